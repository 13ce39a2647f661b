/* event_type.c - names of event types, and the answer to those that have no meaning here.
 *
 * The table also names types that Millrace refuses, so that an operator reads a word and not only a
 * number. Numbers are those of MySQL's and MariaDB's log_event.h. */
#include "cdc/binlog/event.h"

struct type_row {
	const char *name;
	bool known; /* has a meaning here (enum event_type) */
};

static const struct type_row types[256] = {
	[1] = { "Start_v3", false },
	[EVENT_QUERY] = { "Query", true },
	[EVENT_STOP] = { "Stop", true },
	[EVENT_ROTATE] = { "Rotate", true },
	[EVENT_INTVAR] = { "Intvar", true },
	[6] = { "Load", false },
	[7] = { "Slave", false },
	[8] = { "Create_file", false },
	[EVENT_APPEND_BLOCK] = { "Append_block", true },
	[10] = { "Exec_load", false },
	[EVENT_DELETE_FILE] = { "Delete_file", true },
	[12] = { "New_load", false },
	[EVENT_RAND] = { "Rand", true },
	[EVENT_USER_VAR] = { "User_var", true },
	[EVENT_FORMAT_DESCRIPTION] = { "Format_description", true },
	[EVENT_XID] = { "Xid", true },
	[EVENT_BEGIN_LOAD_QUERY] = { "Begin_load_query", true },
	[EVENT_EXECUTE_LOAD_QUERY] = { "Execute_load_query", true },
	[EVENT_TABLE_MAP] = { "Table_map", true },
	[20] = { "Pre_GA_write_rows", false },
	[21] = { "Pre_GA_update_rows", false },
	[22] = { "Pre_GA_delete_rows", false },
	[EVENT_WRITE_ROWS_V1] = { "Write_rows_v1", true },
	[EVENT_UPDATE_ROWS_V1] = { "Update_rows_v1", true },
	[EVENT_DELETE_ROWS_V1] = { "Delete_rows_v1", true },
	[EVENT_INCIDENT] = { "Incident", true },
	[EVENT_HEARTBEAT] = { "Heartbeat", true },
	[EVENT_IGNORABLE] = { "Ignorable", true },
	[EVENT_ROWS_QUERY] = { "Rows_query", true },
	[EVENT_WRITE_ROWS] = { "Write_rows", true },
	[EVENT_UPDATE_ROWS] = { "Update_rows", true },
	[EVENT_DELETE_ROWS] = { "Delete_rows", true },
	[EVENT_MYSQL_GTID] = { "Gtid (MySQL)", true },
	[EVENT_MYSQL_ANONYMOUS_GTID] = { "Anonymous_gtid", true },
	[EVENT_PREVIOUS_GTIDS] = { "Previous_gtids", true },
	[EVENT_TRANSACTION_CONTEXT] = { "Transaction_context", true },
	[EVENT_VIEW_CHANGE] = { "View_change", true },
	[EVENT_XA_PREPARE] = { "XA_prepare", true },
	[EVENT_PARTIAL_UPDATE_ROWS] = { "Partial_update_rows", true },
	[EVENT_TRANSACTION_PAYLOAD] = { "Transaction_payload", true },
	[EVENT_HEARTBEAT_V2] = { "Heartbeat_v2", true },
	[EVENT_MYSQL_GTID_TAGGED] = { "Gtid_tagged (MySQL)", true },
	[EVENT_ANNOTATE_ROWS] = { "Annotate_rows", true },
	[EVENT_BINLOG_CHECKPOINT] = { "Binlog_checkpoint", true },
	[EVENT_GTID] = { "Gtid", true },
	[EVENT_GTID_LIST] = { "Gtid_list", true },
	[EVENT_START_ENCRYPTION] = { "Start_encryption", true },
	[EVENT_QUERY_COMPRESSED] = { "Query_compressed", true },
	[EVENT_WRITE_ROWS_COMPRESSED_V1] = { "Write_rows_compressed_v1", true },
	[EVENT_UPDATE_ROWS_COMPRESSED_V1] = { "Update_rows_compressed_v1", true },
	[EVENT_DELETE_ROWS_COMPRESSED_V1] = { "Delete_rows_compressed_v1", true },
	[EVENT_WRITE_ROWS_COMPRESSED] = { "Write_rows_compressed", true },
	[EVENT_UPDATE_ROWS_COMPRESSED] = { "Update_rows_compressed", true },
	[EVENT_DELETE_ROWS_COMPRESSED] = { "Delete_rows_compressed", true },
};

const char *event_type_name(uint8_t type)
{
	return types[type].name != NULL ? types[type].name : "unknown";
}

bool event_type_known(uint8_t type)
{
	return types[type].known;
}

int event_refuse_unknown(const struct event_header *h, struct err *e)
{
	if (event_type_known(h->type) || (h->flags & EVENT_FLAG_IGNORABLE) != 0)
		return 0;
	err_data(e, "event type %u (%s), %u bytes, ending at position %u, is not supported",
		 h->type, event_type_name(h->type), h->size, h->log_pos);
	return err_hint(e, "mariadb-binlog --stop-position=%u shows it. Nothing behind it is read.",
			h->log_pos);
}
