/* chunk_between.c - reads the binlog between two marks and looks for one table.
 *
 * Where the stream is near, the binlog is asked for from the stream's place on, as all before it
 * is in `low`; else by GTID, and the server looks for the first transaction that is not. What is
 * in `low` is passed over either way. Reading ends at `high`, never where the server ends by
 * itself: a session that is killed ends like that, too. Of transactions that it leaves out the
 * server tells the place by a heartbeat.
 *
 * Whatever can't be told counts as a change: a statement other than those around a transaction, an
 * anonymous transaction, an end of XA (its rows stand elsewhere). */
#include "cdc/source/chunk_between.h"

#include "cdc/binlog/payload.h"
#include "cdc/binlog/statement.h"
#include "cdc/binlog/table_map.h"
#include "core/mysql/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define NEAR_BYTES (64 << 20)

struct between {
	const struct chunk_request *request;
	const struct gtid_set *low, *high;
	struct event_format format;
	char file[GTID_FILE_MAX + 1];
	bool passed_over; /* the transaction in hand is in `low` */
	bool touched, ended;
	struct payload *payload;
	struct buf scratch;
};

static bool is_name(struct slice name, const char *of)
{
	return name.size == strlen(of) && strncasecmp((const char *)name.data, of, name.size) == 0;
}

static int take_table(struct between *b, const struct event *ev, struct err *e)
{
	struct slice db, table;

	if (table_map_names(ev->body, b->format.rows_header_size, &db, &table, e) < 0)
		return -1;
	b->touched |= is_name(db, b->request->db) && is_name(table, b->request->table);
	return 0;
}

/* Does the statement only begin, cut or end a transaction whose rows stand here? */
static bool is_frame(enum statement_kind kind)
{
	switch (kind) {
	case STATEMENT_BEGIN:
	case STATEMENT_COMMIT:
	case STATEMENT_ROLLBACK:
	case STATEMENT_SAVEPOINT:
	case STATEMENT_ROLLBACK_TO:
	case STATEMENT_RELEASE:
	case STATEMENT_XA_OTHER:
		return true;
	case STATEMENT_XA_COMMIT:
	case STATEMENT_XA_ROLLBACK:
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
	return false;
}

static int take_query(struct between *b, const struct event *ev, struct err *e)
{
	struct event_query query;
	struct slice savepoint;

	if (event_query_read(ev, &b->scratch, &query, e) < 0)
		return -1;
	b->touched |= !is_frame(statement_peek(query.text, &savepoint));
	return 0;
}

static int take_gtid(struct between *b, const struct event *ev, struct err *e)
{
	struct gtid_ranges one = { NULL, 0, 0 };
	struct event_mysql_gtid gtid;
	int rc;

	if (event_mysql_gtid_read(ev, &gtid, e) < 0)
		return -1;
	b->passed_over = false;
	if (gtid.anonymous)
		return 0;
	rc = gtid_ranges_add(&one, &gtid.id, e);
	if (rc == 0)
		b->passed_over = gtid_ranges_contain(&b->low->ranges, &one);
	gtid_ranges_done(&one);
	return rc;
}

static int take_change(struct between *b, const struct event *ev, struct err *e);

static int take_payload(struct between *b, const struct event *ev, struct err *e)
{
	struct event inner;
	int rc;

	if (b->payload == NULL)
		b->payload = payload_new();
	if (payload_open(b->payload, ev, e) < 0)
		return -1;
	while (!b->touched && (rc = payload_next(b->payload, &inner, e)) != 0)
		if (rc < 0 || take_change(b, &inner, e) < 0)
			return -1;
	return 0;
}

static int take_change(struct between *b, const struct event *ev, struct err *e)
{
	switch ((unsigned)ev->header.type) {
	case EVENT_TABLE_MAP:
		return take_table(b, ev, e);
	case EVENT_QUERY:
		return take_query(b, ev, e);
	case EVENT_TRANSACTION_PAYLOAD:
		return take_payload(b, ev, e);
	case EVENT_BEGIN_LOAD_QUERY:
	case EVENT_EXECUTE_LOAD_QUERY:
	case EVENT_INCIDENT:
		b->touched = true;
		return 0;
	default: /* a number of the wire */
		return 0;
	}
}

static int take_rotate(struct between *b, const struct event *ev, struct err *e)
{
	struct event_rotate rotate;

	if (event_rotate_read(ev, &rotate, e) < 0)
		return -1;
	(void)snprintf(b->file, sizeof(b->file), "%.*s", (int)rotate.file.size,
		       (const char *)rotate.file.data); /* a longer one is no name of `high` */
	b->ended = gtid_file_compare(b->file, b->high->file) > 0;
	return 0;
}

/* Sets `ended` once the event ends at `high` or behind it; true: it begins there already. */
static bool is_behind(struct between *b, const struct event_header *h)
{
	if (strcmp(b->file, b->high->file) != 0 || h->log_pos == 0 ||
	    b->high->offset > UINT32_MAX) /* their headers count 32 bits only */
		return false;
	b->ended = h->log_pos >= b->high->offset;
	return h->log_pos > b->high->offset;
}

static int take(struct between *b, struct slice packet, struct err *e)
{
	struct event ev;

	if (event_read(packet, &b->format, &ev, e) < 0)
		return -1;
	if (ev.header.type == EVENT_ROTATE)
		return take_rotate(b, &ev, e);
	if (ev.header.type == EVENT_FORMAT_DESCRIPTION)
		return event_format_read(&ev, &b->format, e);
	if ((ev.header.flags & EVENT_FLAG_ARTIFICIAL) != 0 || is_behind(b, &ev.header))
		return 0;
	switch ((unsigned)ev.header.type) {
	case EVENT_MYSQL_GTID:
	case EVENT_MYSQL_ANONYMOUS_GTID:
	case EVENT_MYSQL_GTID_TAGGED:
		return take_gtid(b, &ev, e);
	default: /* a number of the wire */
		return b->passed_over ? 0 : take_change(b, &ev, e);
	}
}

/* The stream is near enough to read on from its place. */
static bool is_near(const struct chunk_request *r, const struct gtid_set *high)
{
	return r->seen_file[0] != '\0' && strcmp(r->seen_file, high->file) == 0 &&
	       high->offset <= UINT32_MAX && r->seen_position <= high->offset &&
	       high->offset - r->seen_position < NEAR_BYTES;
}

static int walk(struct between *b, struct db *db, const struct settings *settings, struct err *e)
{
	struct buf set = BUF_INIT;
	struct db_dump_options options = { .heartbeat_ms = settings->source_read_timeout_ms / 4 };
	struct slice packet;
	int rc;

	gtid_set_text(b->low, &set);
	options.gtid = buf_cstr(&set);
	if (is_near(b->request, b->high)) {
		options.file = b->request->seen_file;
		options.offset = b->request->seen_position;
	}
	rc = db_dump(db, &options, e);
	while (rc == 0 && !b->touched && !b->ended) {
		rc = db_dump_next(db, &packet, e);
		if (rc == 0)
			rc = take(b, packet, e);
	}
	buf_done(&set);
	return rc;
}

int chunk_between(const struct settings *settings, const struct chunk_request *request,
		  const struct gtid_set *low, const struct gtid_set *high, bool *ret_touched,
		  struct err *e)
{
	struct between b = {
		.request = request, .low = low, .high = high, .format = EVENT_FORMAT_INIT
	};
	struct db *db = NULL;
	int rc;

	*ret_touched = false;
	if (is_near(request, high) && request->seen_position == high->offset)
		return 0;
	rc = db_open(settings, DB_TEXT_UTF8, &db, e) < 0 ? -1 : walk(&b, db, settings, e);
	db_close(db);
	payload_free(b.payload);
	buf_done(&b.scratch);
	if (rc < 0)
		return err_wrap(e, "the binlog behind a snapshot of %s.%s", request->db,
				request->table);
	*ret_touched = b.touched;
	return 0;
}
