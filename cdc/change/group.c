/* group.c - scans a group: checksums, table maps, savepoints, the end.
 *
 *              GTID            XID, COMMIT, ROLLBACK, XA PREPARE, a statement that stands alone
 *   BETWEEN ----------> OPEN -----------------------------------------------------> COMPLETE
 *      ^                                                                               |
 *      +--------------------------------- group_reset() -------------------------------+
 *
 * Three passes (enum group_pass). KEEPING notes each row event of a captured table, so that
 * decoding walks over a short list and never looks at the rest again. LOOKING notes nothing but
 * cuts and the outcome. AGAIN knows both from before and gives the rows of each packet at once.
 *
 * Row events of captured tables are numbered; cuts.c says which numbers were taken back. The
 * numbering depends only on the bytes and on which tables are captured, so a second reading gives
 * the same. */
#include "cdc/change/group_priv.h"

#include "cdc/binlog/statement.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct group *group_new(const struct settings *settings, struct catalog *catalog)
{
	struct group *g = xcalloc(1, sizeof(*g));

	g->settings = settings;
	g->catalog = catalog;
	g->format = (struct event_format)EVENT_FORMAT_INIT;
	return g;
}

static void drop_events(struct group *g)
{
	if (g->has_current)
		shape_unref(g->current.shape);
	g->has_current = false;
	g->payload_open = false;
	for (size_t i = 0; i < g->event_count; i++)
		shape_unref(g->events[i].shape);
	g->event_count = 0;
	g->event_at = 0;
	g->rows_open = false;
}

void group_free(struct group *g)
{
	if (g == NULL)
		return;
	drop_events(g);
	free(g->events);
	cuts_done(&g->cuts);
	group_effects_reset(g);
	free(g->effects);
	payload_free(g->payload);
	buf_done(&g->xid);
	buf_done(&g->scratch);
	buf_done(&g->inflated);
	free(g->before);
	free(g->after);
	free(g);
}

void group_reset(struct group *g)
{
	drop_events(g);
	cuts_reset(&g->cuts);
	group_effects_reset(g);
	g->state = GROUP_BETWEEN;
	g->pass = GROUP_KEEPING;
	g->rolled_back = false;
	g->numbers = 0;
	g->cut_at = 0;
	g->effect_at = 0;
	g->order = 0;
	g->info.rows = false;
	g->info.shapes_changed = false;
	g->info.xa = GROUP_XA_NONE;
	g->info.xid = NULL;
}

void group_let_go(struct group *g)
{
	drop_events(g);
	g->pass = GROUP_LOOKING;
}

bool group_let_go_was_called(const struct group *g)
{
	return g->pass == GROUP_LOOKING;
}

/* The outcome (cuts, rolled_back, effects, info) stays; the numbers start again. */
void group_again(struct group *g)
{
	drop_events(g);
	g->state = GROUP_BETWEEN;
	g->pass = GROUP_AGAIN;
	g->numbers = 0;
	g->cut_at = 0;
	g->effect_at = 0;
	g->order = 0;
	g->format = (struct event_format)EVENT_FORMAT_INIT;
}

bool group_is_again(const struct group *g)
{
	return g->pass == GROUP_AGAIN;
}

bool group_open(const struct group *g)
{
	return g->state == GROUP_OPEN;
}

bool group_complete(const struct group *g)
{
	return g->state == GROUP_COMPLETE;
}

const struct group_info *group_info(const struct group *g)
{
	return &g->info;
}

int64_t group_take_bytes(struct group *g)
{
	int64_t bytes = g->bytes;

	g->bytes = 0;
	return bytes;
}

const char *group_file(const struct group *g)
{
	return g->file;
}

uint32_t group_file_created(const struct group *g)
{
	return g->file_created;
}

void group_by_place(struct group *g, bool by_place)
{
	g->by_place = by_place;
}

uint64_t group_file_position(const struct group *g)
{
	return g->file_position;
}

/* ---- events --------------------------------------------------------------------------------- */

/* format:hex:hex */
void group_name_xid(struct group *g, uint32_t format, struct slice gtrid, struct slice bqual)
{
	buf_reset(&g->xid);
	buf_add_format(&g->xid, "%" PRIu32 ":", format);
	for (size_t i = 0; i < gtrid.size; i++)
		buf_add_format(&g->xid, "%02x", gtrid.data[i]);
	buf_add_u8(&g->xid, ':');
	for (size_t i = 0; i < bqual.size; i++)
		buf_add_format(&g->xid, "%02x", bqual.data[i]);
	g->info.xid = buf_cstr(&g->xid);
}

int group_begin(struct group *g, const char *id, int64_t commit_us, struct err *e)
{
	if (g->state == GROUP_OPEN)
		return err_data(e, "transaction %s has no end: another one begins inside it",
				g->info.gtid_text);
	if (g->pass != GROUP_AGAIN)
		(void)snprintf(g->info.gtid_text, sizeof(g->info.gtid_text), "%s",
			       id); /* made to fit */
	else if (!g->by_place && strcmp(id, g->info.gtid_text) != 0)
		return err_data(e, "the source sent %s where it had sent %s before", id,
				g->info.gtid_text);
	g->state = GROUP_OPEN;
	g->begun = false;
	g->info.commit_us = commit_us;
	return 0;
}

static int scan_gtid(struct group *g, const struct event *ev, struct err *e)
{
	struct event_gtid gtid;
	char text[GTID_TEXT_SIZE];

	if (event_gtid_read(ev, &gtid, e) < 0 ||
	    group_begin(g, gtid_text(&gtid.gtid, text), (int64_t)ev->header.timestamp * 1000000,
			e) < 0)
		return -1;
	g->gtid = gtid;
	g->mysql = false;
	if (gtid.xa_prepared || gtid.xa_completed)
		group_name_xid(g, gtid.xid_format, gtid.xid_gtrid, gtid.xid_bqual);
	return 0;
}

int group_add_to(const struct group *g, struct gtid_set *set, struct err *e)
{
	if (g->by_place)
		gtid_set_move(set, g->file, g->file_position);
	else if (g->mysql)
		return gtid_ranges_add(&set->ranges, &g->mysql_id, e);
	else
		return gtid_set_update(set, &g->gtid.gtid, e);
	return 0;
}

/* ---- what is inside ------------------------------------------------------------------------- */

static void complete(struct group *g, bool committed)
{
	uint64_t cut = 0;

	g->state = GROUP_COMPLETE;
	if (g->pass == GROUP_AGAIN)
		return;
	if (g->by_place)
		group_name_place(g, g->file_position);
	committed = committed || BUG(rolled_back);
	g->rolled_back = !committed;
	for (size_t i = 0; i < g->cuts.count; i++)
		cut += g->cuts.items[i].to - g->cuts.items[i].from;
	g->info.rows = (committed && g->numbers > cut) || g->info.effect_count > 0;
	if (!committed || g->numbers == cut)
		drop_events(g);
}

static int scan_table_map(struct group *g, const struct event *ev, struct err *e)
{
	const struct catalog_table *table;

	g->last_table = NULL;
	if (catalog_table_map(g->catalog, ev->body, &table, e) < 0)
		return err_wrap(e, "transaction %s", g->info.gtid_text);
	g->last_id = table->id;
	g->last_table = table;
	return 0;
}

void group_keep(struct group *g, const struct event *ev, struct shape *shape, uint64_t number,
		bool watched)
{
	if (g->event_count == g->event_capacity) {
		g->event_capacity = g->event_capacity * 2 + 64;
		g->events = xrealloc(g->events, g->event_capacity * sizeof(*g->events));
	}
	g->events[g->event_count++] = (struct group_event){ *ev,
							    shape != NULL ? shape_ref(shape) : NULL,
							    number, watched };
}

/* Are its rows to be given? */
static bool is_wanted(struct group *g)
{
	if (g->in_payload) /* the payload as a whole is kept */
		return false;
	if (g->pass == GROUP_AGAIN)
		return !g->rolled_back && !cuts_has(&g->cuts, g->numbers, &g->cut_at);
	return g->pass == GROUP_KEEPING;
}

static int scan_rows(struct group *g, const struct event *ev, struct err *e)
{
	uint64_t id;

	if (rows_table_id(ev, &g->format, &id, e) < 0)
		return -1;
	if (g->last_table == NULL || g->last_id != id) {
		g->last_table = catalog_find(g->catalog, id);
		g->last_id = id;
	}
	if (g->last_table == NULL)
		return err_data(e,
				"transaction %s: rows of table id %" PRIu64
				" without a table map before them",
				g->info.gtid_text, id);
	if (!g->last_table->captured && !g->last_table->watched)
		return 0;
	if (g->last_table->unknown) {
		group_unknown_rows(g, g->last_table->db, g->last_table->table);
		return 0;
	}
	if (is_wanted(g))
		group_keep(g, ev, g->last_table->shape, g->numbers, g->last_table->watched);
	g->numbers++;
	return 0;
}

/* The whole group of an XA transaction's end. */
static int scan_xa_end(struct group *g, const struct event_query *query, bool committed,
		       struct err *e)
{
	if (g->mysql && group_mysql_xid(g, query->text, e) < 0)
		return -1;
	if (!g->mysql && !g->gtid.xa_completed)
		return err_data(e,
				"transaction %s ends an XA transaction, but its GTID event does "
				"not say which",
				g->info.gtid_text);
	g->info.xa = committed ? GROUP_XA_COMMIT : GROUP_XA_ROLLBACK;
	complete(g, true);
	return 0;
}

/* A statement is the whole group: MariaDB's GTID says so; MySQL's begins nothing. */
bool group_is_alone(const struct group *g)
{
	return g->mysql ? !g->begun : g->gtid.standalone;
}

/* COMMIT, ROLLBACK and savepoints shape the group; what else a QUERY says is a statement. */
static int scan_query(struct group *g, const struct event *ev, struct err *e)
{
	struct event_query query;
	enum statement_kind kind;
	struct slice name;

	if (event_query_read(ev, &g->scratch, &query, e) < 0)
		return -1;
	kind = statement_peek(query.text, &name);
	switch (kind) {
	case STATEMENT_BEGIN:
		g->begun = true;
		return 0;
	case STATEMENT_COMMIT:
		complete(g, true);
		return 0;
	case STATEMENT_ROLLBACK:
		complete(g, false);
		return 0;
	case STATEMENT_SAVEPOINT:
		return g->pass == GROUP_AGAIN ? 0 : cuts_savepoint(&g->cuts, name, g->numbers, e);
	case STATEMENT_ROLLBACK_TO:
		return g->pass == GROUP_AGAIN ? 0 : cuts_rollback_to(&g->cuts, name, g->numbers, e);
	case STATEMENT_RELEASE:
		if (g->pass != GROUP_AGAIN)
			cuts_release(&g->cuts, name);
		return 0;
	case STATEMENT_XA_COMMIT:
	case STATEMENT_XA_ROLLBACK:
		return scan_xa_end(g, &query, kind == STATEMENT_XA_COMMIT, e);
	case STATEMENT_XA_OTHER:
	case STATEMENT_CREATE_TABLE:
	case STATEMENT_ALTER_TABLE:
	case STATEMENT_DROP_TABLE:
	case STATEMENT_RENAME_TABLE:
	case STATEMENT_TRUNCATE:
	case STATEMENT_OPTIMIZE:
	case STATEMENT_DROP_DATABASE:
	case STATEMENT_DDL_OTHER:
	case STATEMENT_DML:
	case STATEMENT_OTHER:
		break;
	}
	if (g->pass != GROUP_AGAIN && group_statement(g, ev, &query, e) < 0)
		return -1;
	if (group_is_alone(g))
		complete(g, true);
	return 0;
}

/* XA_PREPARE ends a group whose rows are not committed yet, unless it says one phase. */
static int scan_xa_prepare(struct group *g, const struct event *ev, struct err *e)
{
	struct event_xa_prepare xa;

	if (event_xa_prepare_read(ev, &xa, e) < 0)
		return -1;
	if (g->mysql)
		group_name_xid(g, xa.format, xa.gtrid, xa.bqual);
	else if (!xa.one_phase && !g->gtid.xa_prepared)
		return err_data(e,
				"transaction %s prepares an XA transaction, but its GTID event "
				"does not say which",
				g->info.gtid_text);
	if (!xa.one_phase)
		g->info.xa = GROUP_XA_PREPARE;
	complete(g, true);
	return 0;
}

static int scan_incident(const struct event *ev, struct err *e)
{
	struct event_incident incident;

	if (event_incident_read(ev, &incident, e) < 0)
		return -1;
	err_data(e,
		 "the source reports incident %u in its binlog: %.*s; changes may be missing from "
		 "it",
		 incident.number, (int)(incident.message.size < 500 ? incident.message.size : 500),
		 (const char *)incident.message.data);
	return err_hint(e,
			"Find out what was lost. To begin anew, give millrace.name another value.");
}

static int scan_format(struct group *g, const struct event *ev, struct err *e)
{
	if (event_format_read(ev, &g->format, e) < 0)
		return -1;
	g->file_created = ev->header.timestamp;
	catalog_server(g->catalog, g->format.server_version);
	if (g->format.created != 0) {
		catalog_reset(g->catalog);
		g->last_table = NULL;
	}
	return 0;
}

static int scan_rotate(struct group *g, const struct event *ev, struct err *e)
{
	struct event_rotate rotate;

	if (event_rotate_read(ev, &rotate, e) < 0)
		return -1;
	if (rotate.file.size > GTID_FILE_MAX)
		return err_data(e, "Rotate event: a binlog file with a name of %zu bytes",
				rotate.file.size);
	(void)snprintf(g->file, sizeof(g->file), "%.*s", (int)rotate.file.size,
		       (const char *)rotate.file.data); /* fits */
	g->file_position = rotate.position;
	return 0;
}

int group_scan_inside(struct group *g, const struct event *ev, struct err *e)
{
	if (g->state != GROUP_OPEN && group_begin_bare(g, ev, e) < 0)
		return -1;
	if (rows_is(ev->header.type))
		return scan_rows(g, ev, e);
	switch (ev->header.type) {
	case EVENT_TABLE_MAP:
		return scan_table_map(g, ev, e);
	case EVENT_QUERY:
	case EVENT_QUERY_COMPRESSED:
	case EVENT_EXECUTE_LOAD_QUERY:
		return scan_query(g, ev, e);
	case EVENT_XA_PREPARE:
		return scan_xa_prepare(g, ev, e);
	case EVENT_TRANSACTION_PAYLOAD:
		return group_scan_payload(g, ev, e);
	case EVENT_XID:
		complete(g, true);
		return 0;
	case EVENT_ANNOTATE_ROWS:
	case EVENT_ROWS_QUERY:
	case EVENT_INTVAR:
	case EVENT_RAND:
	case EVENT_USER_VAR:
	case EVENT_VIEW_CHANGE:
		return 0;
	default:
		return event_refuse_unknown(&ev->header, e);
	}
}

static int scan(struct group *g, const struct event *ev, struct err *e)
{
	switch (ev->header.type) {
	case EVENT_GTID:
		return scan_gtid(g, ev, e);
	case EVENT_MYSQL_GTID:
	case EVENT_MYSQL_ANONYMOUS_GTID:
	case EVENT_MYSQL_GTID_TAGGED:
		return group_scan_mysql_gtid(g, ev, e);
	case EVENT_FORMAT_DESCRIPTION:
		return scan_format(g, ev, e);
	case EVENT_ROTATE:
		return scan_rotate(g, ev, e);
	case EVENT_INCIDENT:
		return scan_incident(ev, e);
	case EVENT_STOP:
	case EVENT_HEARTBEAT:
	case EVENT_HEARTBEAT_V2:
	case EVENT_GTID_LIST:
	case EVENT_PREVIOUS_GTIDS:
	/* group replication's notes about its members: MySQL itself skips them when it applies a
	 * binlog, and no row depends on them */
	case EVENT_TRANSACTION_CONTEXT:
	case EVENT_VIEW_CHANGE:
	case EVENT_BINLOG_CHECKPOINT:
	case EVENT_START_ENCRYPTION: /* about the file: the server sends events in the clear */
	case EVENT_ANNOTATE_ROWS:
	case EVENT_ROWS_QUERY:
	case EVENT_INTVAR:
	case EVENT_RAND:
	case EVENT_USER_VAR:
	/* the bytes of a LOAD DATA that is written as text: the statement itself tells enough */
	case EVENT_BEGIN_LOAD_QUERY:
	case EVENT_APPEND_BLOCK:
	case EVENT_DELETE_FILE:
	case EVENT_IGNORABLE:
		return 0;
	default:
		return group_scan_inside(g, ev, e);
	}
}

/* Headers count 32 bits only, and 0 stands for nothing; a file never goes back. */
static void advance(struct group *g, uint32_t log_pos)
{
	uint64_t position = (g->file_position & ~(uint64_t)UINT32_MAX) | log_pos;

	if (log_pos == 0)
		return;
	g->file_position = position < g->file_position ? position + UINT32_MAX + 1 : position;
}

int group_scan(struct group *g, struct slice packet, struct err *e)
{
	struct event ev;

	if (g->pass == GROUP_AGAIN)
		drop_events(g); /* those of the packet before */
	if (event_read(packet, &g->format, &ev, e) < 0)
		return -1;
	if (!(ev.header.flags & EVENT_FLAG_ARTIFICIAL) && ev.header.type != EVENT_HEARTBEAT &&
	    ev.header.type != EVENT_HEARTBEAT_V2) {
		g->bytes += ev.header.size;
		advance(g, ev.header.log_pos);
	} else if (ev.header.type == EVENT_HEARTBEAT && g->state == GROUP_BETWEEN) {
		advance(g, ev.header.log_pos); /* behind what the server had no need to send */
	}
	return scan(g, &ev, e);
}
