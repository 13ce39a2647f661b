/* event.h - binlog bytes to events. Pure: bytes in, struct out; slices point into the bytes that
 * were given.
 *
 * Format: MySQL internals manual, "Binary Log"; MariaDB knowledge base, "Binlog events". An event
 * is a header of 19 bytes, a body, and a CRC32 of both when FORMAT_DESCRIPTION says so.
 *
 *   struct event_format format = EVENT_FORMAT_INIT;
 *   for each packet:  event_read(packet, &format, &ev, e)
 *                     event_format_read(&ev, &format, e) when it is a FORMAT_DESCRIPTION, ...
 *
 * All failures are ERR_DATA and name event, type and position. */
#ifndef CDC_BINLOG_EVENT_H
#define CDC_BINLOG_EVENT_H

#include "core/base/err.h"
#include "core/base/gtid.h"
#include "core/base/rd.h"

#define EVENT_HEADER_SIZE 19
#define EVENT_CHECKSUM_SIZE 4
/* Most bytes of a compressed event after inflating: the server's largest max_allowed_packet. */
#define EVENT_INFLATED_MAX (1u << 30)

enum event_type {
	EVENT_QUERY = 2,
	EVENT_STOP = 3,
	EVENT_ROTATE = 4,
	EVENT_INTVAR = 5,
	EVENT_APPEND_BLOCK = 9,
	EVENT_DELETE_FILE = 11,
	EVENT_RAND = 13,
	EVENT_USER_VAR = 14,
	EVENT_FORMAT_DESCRIPTION = 15,
	EVENT_XID = 16,
	EVENT_BEGIN_LOAD_QUERY = 17,
	EVENT_EXECUTE_LOAD_QUERY = 18,
	EVENT_TABLE_MAP = 19,
	EVENT_WRITE_ROWS_V1 = 23,
	EVENT_UPDATE_ROWS_V1 = 24,
	EVENT_DELETE_ROWS_V1 = 25,
	EVENT_INCIDENT = 26,
	EVENT_HEARTBEAT = 27,
	EVENT_IGNORABLE = 28,
	EVENT_ROWS_QUERY = 29,
	EVENT_WRITE_ROWS = 30,
	EVENT_UPDATE_ROWS = 31,
	EVENT_DELETE_ROWS = 32,
	EVENT_MYSQL_GTID = 33,
	EVENT_MYSQL_ANONYMOUS_GTID = 34,
	EVENT_PREVIOUS_GTIDS = 35,
	EVENT_TRANSACTION_CONTEXT = 36, /* group replication, between its members only */
	EVENT_VIEW_CHANGE = 37, /* group replication: who is a member now; in a group alone */
	EVENT_XA_PREPARE = 38,
	EVENT_PARTIAL_UPDATE_ROWS = 39,
	EVENT_TRANSACTION_PAYLOAD = 40,
	EVENT_HEARTBEAT_V2 = 41,
	EVENT_MYSQL_GTID_TAGGED = 42,
	EVENT_ANNOTATE_ROWS = 160,
	EVENT_BINLOG_CHECKPOINT = 161,
	EVENT_GTID = 162,
	EVENT_GTID_LIST = 163,
	EVENT_START_ENCRYPTION = 164,
	EVENT_QUERY_COMPRESSED = 165,
	EVENT_WRITE_ROWS_COMPRESSED_V1 = 166,
	EVENT_UPDATE_ROWS_COMPRESSED_V1 = 167,
	EVENT_DELETE_ROWS_COMPRESSED_V1 = 168,
	EVENT_WRITE_ROWS_COMPRESSED = 169,
	EVENT_UPDATE_ROWS_COMPRESSED = 170,
	EVENT_DELETE_ROWS_COMPRESSED = 171,
};

enum event_flag {
	/* FORMAT_DESCRIPTION of a file that is being written, or was not closed */
	EVENT_FLAG_IN_USE = 0x01,
	/* made by the server for this stream: not in its file (first ROTATE) */
	EVENT_FLAG_ARTIFICIAL = 0x20,
	EVENT_FLAG_IGNORABLE = 0x80,
	EVENT_FLAG_SKIP_REPLICATION = 0x8000,
};

enum event_checksum {
	/* no FORMAT_DESCRIPTION yet: only ROTATE may come, whose checksum is found by trying */
	EVENT_CHECKSUM_UNKNOWN,
	EVENT_CHECKSUM_NONE,
	EVENT_CHECKSUM_CRC32,
};

struct event_header {
	uint32_t timestamp; /* source's clock, when the statement began; 0 in artificial events */
	uint8_t type;       /* enum event_type, or a number we don't know */
	uint32_t server_id;
	uint32_t size;    /* whole event: header, body, checksum; checked against the packet */
	uint32_t log_pos; /* end in its file; 0 inside transactions of MariaDB 11.4+ */
	uint16_t flags;   /* enum event_flag */
};

struct event {
	struct event_header header;
	struct slice body; /* behind the header, without checksum */
};

/* What FORMAT_DESCRIPTION says; valid for the events behind it. */
struct event_format {
	enum event_checksum checksum;
	uint32_t created; /* not 0: the server has (re)started here, table ids are gone */
	char server_version[51];
	uint8_t rows_header_size; /* 6 or 8: table ids of 4 or 6 bytes in TABLE_MAP and v1 rows */
};

/* clang-format off */
#define EVENT_FORMAT_INIT { .checksum = EVENT_CHECKSUM_UNKNOWN, .rows_header_size = 8 }
/* clang-format on */

/* Header only, checksum not verified: for scanning ahead. The packet must hold one whole event. */
int event_header_read(struct slice packet, struct event_header *ret_header, struct err *e);
/* Header, verified checksum, body. */
int event_read(struct slice packet, const struct event_format *format, struct event *ret_event,
	       struct err *e);
/* "Write_rows_v1", "Gtid", ...; "unknown" for numbers we have no name for. Known names include
 * types that we refuse. */
const char *event_type_name(uint8_t type);
/* True for the types of enum event_type. */
bool event_type_known(uint8_t type);
/* What to answer to a type that has no meaning here. Unless it is flagged ignorable: ERR_DATA with
 * number, name, position, hint. */
int event_refuse_unknown(const struct event_header *h, struct err *e);

int event_format_read(const struct event *ev, struct event_format *ret_format, struct err *e);

struct event_rotate {
	uint64_t position;
	struct slice file;
};
int event_rotate_read(const struct event *ev, struct event_rotate *ret_rotate, struct err *e);

/* GTID begins a group: one transaction, or one statement that stands alone (DDL). */
struct event_gtid {
	struct gtid gtid;
	bool standalone; /* a single QUERY follows and ends the group: no XID, no COMMIT */
	bool ddl;
	bool transactional; /* false: not everything in it can roll back */
	bool xa_prepared;   /* rows of a prepared XA transaction: ends with XA_PREPARE */
	bool xa_completed;  /* the later XA COMMIT or XA ROLLBACK (a QUERY that says which) */
	bool has_commit_id;
	uint64_t commit_id;  /* same in all transactions of one group commit of the source */
	uint32_t xid_format; /* XA only */
	struct slice xid_gtrid, xid_bqual;
};
int event_gtid_read(const struct event *ev, struct event_gtid *ret_gtid, struct err *e);

/* MYSQL_GTID, MYSQL_ANONYMOUS_GTID and MYSQL_GTID_TAGGED begin a group, whose kind shows only by
 * what follows: BEGIN or XA START, or a statement that stands alone. */
struct event_mysql_gtid {
	bool anonymous;       /* id is nothing then */
	struct gtid_range id; /* first and last are the same */
	uint8_t flags;
	uint64_t commit_us; /* at the server where it was committed first; 0: older than 8.0.1 */
	uint64_t size;      /* of the whole group in bytes of its file; 0: older than 8.0.2 */
};
int event_mysql_gtid_read(const struct event *ev, struct event_mysql_gtid *ret_gtid, struct err *e);
/* PREVIOUS_GTIDS: the set that the file begins behind. Replaces *set. */
int event_previous_gtids_read(const struct event *ev, struct gtid_set *set, struct err *e);

/* GTID_LIST: the position at the beginning of a file. Also sent artificially when a stream reaches
 * its start. */
int event_gtid_list_read(const struct event *ev, struct gtid_set *set, struct err *e);

/* QUERY and QUERY_COMPRESSED. `scratch` receives the inflated text; body and scratch must outlive
 * the result. */
struct event_query {
	uint32_t thread_id;
	uint16_t error_code;
	struct slice db; /* default database, may be empty */
	struct slice text;
};
struct buf;
int event_query_read(const struct event *ev, struct buf *scratch, struct event_query *ret_query,
		     struct err *e);

int event_xid_read(const struct event *ev, uint64_t *ret_xid, struct err *e);

struct event_xa_prepare {
	bool one_phase; /* XA COMMIT ... ONE PHASE: this is a commit, not a prepare */
	uint32_t format;
	struct slice gtrid, bqual;
};
int event_xa_prepare_read(const struct event *ev, struct event_xa_prepare *ret_xa, struct err *e);

struct event_incident {
	uint16_t number;
	struct slice message;
};
int event_incident_read(const struct event *ev, struct event_incident *ret_incident, struct err *e);

/* ANNOTATE_ROWS (MariaDB): the statement's text is the whole body; BINLOG_CHECKPOINT: the file
 * name. */
struct slice event_annotate_text(const struct event *ev);
int event_checkpoint_read(const struct event *ev, struct slice *ret_file, struct err *e);

#endif
