/* walk.c - events in their order, and where transactions begin and end.
 *
 * Which event ends a transaction is the same as in cdc/change/group.c: XID, COMMIT, ROLLBACK,
 * XA_PREPARE, or a statement that stands alone, which MariaDB's GTID says, and which on MySQL is
 * one without BEGIN before it. MySQL 5.6 without GTIDs writes no event that begins a transaction;
 * then its first QUERY does.
 *
 * Table maps go through the catalog, as capture's do, with one difference: what they don't say is a
 * gap, and no mistake. */
#include "cdc/decode/walk.h"

#include "cdc/binlog/payload.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct walk {
	const char *file;
	struct catalog *catalog;
	bool everything;
	struct event_format format;
	struct walk_transaction transaction;
	bool open, mysql;
	bool alone;              /* MariaDB: the GTID says so; MySQL: no BEGIN has come */
	struct payload *payload; /* NULL until there was one */
	struct buf query, inflated;
	struct cell *before, *after;
	size_t cell_capacity;
};

struct walk *walk_new(char *const *tables, size_t count)
{
	struct walk *w = xcalloc(1, sizeof(*w));
	char all[] = "*.*", *everything[] = { all };
	struct settings settings = { .capture_tables = { everything, 1 } };

	w->everything = count == 0;
	if (!w->everything)
		settings.capture_tables =
			(struct text_list){ (char **)(uintptr_t)tables, count }; /* copied */
	w->catalog = catalog_new(&settings);
	catalog_take_gaps(w->catalog);
	w->format = (struct event_format)EVENT_FORMAT_INIT;
	w->file = "binlog";
	return w;
}

void walk_free(struct walk *w)
{
	if (w == NULL)
		return;
	catalog_free(w->catalog);
	payload_free(w->payload);
	buf_done(&w->query);
	buf_done(&w->inflated);
	free(w->before);
	free(w->after);
	free(w);
}

void walk_file(struct walk *w, const char *name)
{
	w->file = name;
	w->format = (struct event_format)EVENT_FORMAT_INIT;
	w->open = false;
}

const char *walk_file_name(const struct walk *w)
{
	return w->file;
}

const struct event_format *walk_format(const struct walk *w)
{
	return &w->format;
}

bool walk_wants(const struct walk *w, const char *db, const char *table)
{
	return w->everything || catalog_captures(w->catalog, slice_str(db), slice_str(table));
}

const char *walk_end_name(enum walk_end end)
{
	switch (end) {
	case WALK_GOES_ON:
		return "";
	case WALK_COMMIT:
		return "commit";
	case WALK_ROLLBACK:
		return "rollback";
	case WALK_PREPARE:
		return "prepare";
	case WALK_XA_COMMIT:
		return "xa commit";
	case WALK_XA_ROLLBACK:
		return "xa rollback";
	}
	return "";
}

/* ---- transactions --------------------------------------------------------------------------- */

static int begin(struct walk *w, struct walk_event *ev, int64_t time_us, struct err *e)
{
	if (w->open)
		return err_data(e,
				"another transaction begins inside the one from %" PRIu64
				" on, which has no end",
				w->transaction.at);
	w->transaction = (struct walk_transaction){ .time_us = time_us, .at = ev->at };
	w->open = true;
	ev->begins = true;
	return 0;
}

static int64_t time_of(const struct walk_event *ev)
{
	return (int64_t)ev->event->header.timestamp * 1000000;
}

static int take_gtid(struct walk *w, struct walk_event *ev, struct err *e)
{
	char text[GTID_TEXT_SIZE];
	struct event_gtid gtid;

	if (event_gtid_read(ev->event, &gtid, e) < 0 || begin(w, ev, time_of(ev), e) < 0)
		return -1;
	(void)snprintf(w->transaction.id, sizeof(w->transaction.id), "%s",
		       gtid_text(&gtid.gtid, text)); /* fits */
	w->mysql = false;
	w->alone = gtid.standalone;
	return 0;
}

static int take_mysql_gtid(struct walk *w, struct walk_event *ev, struct err *e)
{
	struct event_mysql_gtid gtid;
	struct buf id = BUF_INIT;

	if (event_mysql_gtid_read(ev->event, &gtid, e) < 0 ||
	    begin(w, ev, gtid.commit_us != 0 ? (int64_t)gtid.commit_us : time_of(ev), e) < 0)
		return -1;
	if (!gtid.anonymous) {
		gtid_range_id(&gtid.id, &id);
		(void)snprintf(w->transaction.id, sizeof(w->transaction.id), "%s",
			       buf_cstr(&id)); /* fits */
		buf_done(&id);
	}
	w->mysql = true;
	w->alone = true;
	return 0;
}

static int begin_bare(struct walk *w, struct walk_event *ev, struct err *e)
{
	if (w->open || ev->inside)
		return 0;
	w->mysql = true;
	w->alone = true;
	return begin(w, ev, time_of(ev), e);
}

static int need_transaction(const struct walk *w, struct err *e)
{
	if (w->open)
		return 0;
	err_data(e, "stands outside of any transaction");
	return err_hint(e, "--from OFFSET must be where a transaction begins: the offset of its "
			   "Gtid event (decode --events), or of its BEGIN.");
}

static int take_query(struct walk *w, struct walk_event *ev, struct err *e)
{
	struct slice name;

	if (event_query_read(ev->event, &w->query, &ev->query, e) < 0 || begin_bare(w, ev, e) < 0)
		return -1;
	ev->kind = statement_peek(ev->query.text, &name);
	switch (ev->kind) {
	case STATEMENT_BEGIN:
		if (w->mysql)
			w->alone = false;
		return 0;
	case STATEMENT_COMMIT:
		ev->end = WALK_COMMIT;
		return 0;
	case STATEMENT_ROLLBACK:
		ev->end = WALK_ROLLBACK;
		return 0;
	case STATEMENT_XA_COMMIT:
		ev->end = WALK_XA_COMMIT;
		return 0;
	case STATEMENT_XA_ROLLBACK:
		ev->end = WALK_XA_ROLLBACK;
		return 0;
	case STATEMENT_SAVEPOINT:
	case STATEMENT_ROLLBACK_TO:
	case STATEMENT_RELEASE:
		return 0;
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
	if (w->alone)
		ev->end = WALK_COMMIT;
	return 0;
}

static int take_xa_prepare(struct walk *w, struct walk_event *ev, struct err *e)
{
	struct event_xa_prepare xa;

	if (need_transaction(w, e) < 0 || event_xa_prepare_read(ev->event, &xa, e) < 0)
		return -1;
	ev->end = xa.one_phase ? WALK_COMMIT : WALK_PREPARE;
	return 0;
}

/* ---- tables --------------------------------------------------------------------------------- */

static int take_format(struct walk *w, const struct walk_event *ev, struct err *e)
{
	if (event_format_read(ev->event, &w->format, e) < 0)
		return -1;
	catalog_server(w->catalog, w->format.server_version);
	catalog_reset(w->catalog);
	return 0;
}

static int take_rows(struct walk *w, struct walk_event *ev, struct err *e)
{
	uint64_t id;

	if (need_transaction(w, e) < 0 || rows_table_id(ev->event, &w->format, &id, e) < 0)
		return -1;
	ev->table = catalog_find(w->catalog, id);
	if (ev->table == NULL)
		return err_data(e, "rows of table id %" PRIu64 " without a Table_map event before",
				id);
	return 0;
}

int walk_rows_begin(struct walk *w, const struct walk_event *ev, struct walk_rows *ret_rows,
		    struct err *e)
{
	struct walk_rows r = { .shape = ev->table->shape };

	if (rows_read(ev->event, &w->format, &w->inflated, &r.rows, e) < 0)
		return -1;
	if (r.shape->column_count > w->cell_capacity) {
		w->cell_capacity = r.shape->column_count;
		w->before = xrealloc(w->before, w->cell_capacity * sizeof(*w->before));
		w->after = xrealloc(w->after, w->cell_capacity * sizeof(*w->after));
	}
	r.before = r.rows.before != NULL ? w->before : NULL;
	r.after = r.rows.after != NULL ? w->after : NULL;
	*ret_rows = r;
	return 0;
}

int walk_rows_next(struct walk *w, const struct walk_event *ev, struct walk_rows *r, struct err *e)
{
	int rc = rows_next(&r->rows, r->shape, w->before, w->after, e);

	if (rc == 1)
		ev->transaction->rows++;
	return rc;
}

/* ---- events --------------------------------------------------------------------------------- */

static int take(struct walk *w, struct walk_event *ev, struct err *e)
{
	uint64_t xid;

	if (rows_is(ev->event->header.type))
		return take_rows(w, ev, e);
	switch (ev->event->header.type) { /* a wire byte: what isn't named here moves nothing */
	case EVENT_FORMAT_DESCRIPTION:
		return take_format(w, ev, e);
	case EVENT_GTID:
		return take_gtid(w, ev, e);
	case EVENT_MYSQL_GTID:
	case EVENT_MYSQL_ANONYMOUS_GTID:
	case EVENT_MYSQL_GTID_TAGGED:
		return take_mysql_gtid(w, ev, e);
	case EVENT_QUERY:
	case EVENT_QUERY_COMPRESSED:
	case EVENT_EXECUTE_LOAD_QUERY:
		return take_query(w, ev, e);
	case EVENT_TABLE_MAP:
		if (need_transaction(w, e) < 0)
			return -1;
		return catalog_table_map(w->catalog, ev->event->body, &ev->table, e);
	case EVENT_XID:
		if (need_transaction(w, e) < 0 || event_xid_read(ev->event, &xid, e) < 0)
			return -1;
		ev->end = WALK_COMMIT;
		return 0;
	case EVENT_XA_PREPARE:
		return take_xa_prepare(w, ev, e);
	case EVENT_TRANSACTION_PAYLOAD:
		return need_transaction(w, e);
	default:
		return event_refuse_unknown(&ev->event->header, e);
	}
}

static int give(struct walk *w, struct walk_event *ev, walk_fn *fn, void *context, struct err *e)
{
	if (take(w, ev, e) < 0)
		return -1;
	ev->transaction = w->open ? &w->transaction : NULL;
	if (w->open && !ev->inside)
		w->transaction.bytes += ev->event->header.size;
	if (fn(context, w, ev, e) < 0)
		return -1;
	if (ev->end != WALK_GOES_ON)
		w->open = false;
	return 0;
}

static int give_payload(struct walk *w, const struct walk_event *outer, walk_fn *fn, void *context,
			struct err *e)
{
	struct event inner;
	int rc;

	if (w->payload == NULL)
		w->payload = payload_new();
	if (payload_open(w->payload, outer->event, e) < 0)
		return -1;
	while ((rc = payload_next(w->payload, &inner, e)) == 1) {
		struct walk_event ev = { .event = &inner, .at = outer->at, .inside = true };

		if (give(w, &ev, fn, context, e) < 0)
			return -1;
	}
	return rc;
}

int walk_packet(struct walk *w, uint64_t at, struct slice packet, walk_fn *fn, void *context,
		struct err *e)
{
	struct walk_event ev = { .at = at };
	struct event event;
	int rc = event_read(packet, &w->format, &event, e);

	ev.event = &event;
	if (rc == 0)
		rc = give(w, &ev, fn, context, e);
	if (rc == 0 && event.header.type == EVENT_TRANSACTION_PAYLOAD)
		rc = give_payload(w, &ev, fn, context, e);
	return rc < 0 ? err_wrap(e, "%s:%" PRIu64, w->file, at) : 0;
}

int walk_end(struct walk *w, uint64_t at, struct err *e)
{
	if (!w->open)
		return 0;
	err_data(e, "%s:%" PRIu64 ": the file ends inside the transaction %s%sfrom %" PRIu64 " on",
		 w->file, at, w->transaction.id, w->transaction.id[0] != '\0' ? " " : "",
		 w->transaction.at);
	return err_hint(e, "It was cut off there, or its server is still writing it.");
}
