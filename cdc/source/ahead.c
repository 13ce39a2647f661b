/* ahead.c - see ahead.h.
 *
 * Only headers are looked at, and Query events. Server id 0 makes the server end the stream at the
 * end of its binlog, and leave the capture's own stream alone. Statements inside compressed
 * transactions are not seen: none of them is DDL, but for CREATE TABLE ... SELECT, whose table has
 * no rows before it. */
#include "cdc/source/ahead.h"

#include "cdc/binlog/event.h"
#include "cdc/binlog/statement.h"
#include "cdc/change/shaping.h"
#include "core/base/buf.h"
#include "core/base/gtid.h"
#include "core/base/stop.h"
#include "core/mysql/db.h"

#include <stdio.h>

#define TURN_PACKETS 4096

struct reading {
	struct ahead *a;
	const struct ahead_reader *reader;
	struct event_format format;
	struct buf scratch;
};

static void found(void *context, const char *db, const char *table)
{
	struct reading *r = context;

	r->reader->found(r->reader->context, db, table,
			 gtid_file_ordinal(r->a->file, r->a->offset));
}

static int take_query(struct reading *r, struct slice packet, struct err *e)
{
	struct statement s = STATEMENT_INIT;
	struct event_query query;
	struct slice name;
	struct event ev;

	if (event_read(packet, &r->format, &ev, e) < 0 ||
	    event_query_read(&ev, &r->scratch, &query, e) < 0)
		return -1;
	if (statement_peek(query.text, &name) != STATEMENT_OTHER)
		return 0;
	if (query.error_code != 0 && query.text.size == 0)
		return 0;
	if (statement_read(query.text, query.db, &s, e) < 0)
		return -1;
	shaping_each(&s, found, r);
	statement_done(&s);
	return 0;
}

static int take_rotate(struct reading *r, struct slice packet, struct err *e)
{
	struct event_rotate rotate;
	struct event ev;

	if (event_read(packet, &r->format, &ev, e) < 0 || event_rotate_read(&ev, &rotate, e) < 0)
		return -1;
	if (rotate.file.size > GTID_FILE_MAX)
		return err_data(e, "Rotate event: a binlog file with a name of %zu bytes",
				rotate.file.size);
	(void)snprintf(r->a->file, sizeof(r->a->file), "%.*s", (int)rotate.file.size,
		       (const char *)rotate.file.data); /* fits */
	r->a->offset = rotate.position;
	return 0;
}

/* As struct group counts: headers hold 32 bits only, and 0 stands for nothing. */
static void advance(struct ahead *a, uint32_t log_pos)
{
	uint64_t position = (a->offset & ~(uint64_t)UINT32_MAX) | log_pos;

	if (log_pos != 0)
		a->offset = position < a->offset ? position + UINT32_MAX + 1 : position;
}

static int take(struct reading *r, struct slice packet, struct err *e)
{
	struct event_header h;
	struct event ev;

	if (event_header_read(packet, &h, e) < 0)
		return -1;
	if (!(h.flags & EVENT_FLAG_ARTIFICIAL) && h.type != EVENT_HEARTBEAT &&
	    h.type != EVENT_HEARTBEAT_V2)
		advance(r->a, h.log_pos);
	switch (h.type) {
	case EVENT_FORMAT_DESCRIPTION:
		return event_read(packet, &r->format, &ev, e) < 0
			       ? -1
			       : event_format_read(&ev, &r->format, e);
	case EVENT_ROTATE:
		return take_rotate(r, packet, e);
	case EVENT_QUERY:
	case EVENT_QUERY_COMPRESSED:
		return take_query(r, packet, e);
	default: /* numbers of the wire */
		return 0;
	}
}

static int read_all(struct reading *r, struct db *db, struct err *e)
{
	struct slice packet;
	int rc;

	for (unsigned n = 1; (rc = db_dump_try_next(db, &packet, e)) == 1; n++) {
		if (take(r, packet, e) < 0)
			return -1;
		if (n % TURN_PACKETS != 0)
			continue;
		if (stop_requested())
			return err_retry(e, "stopping");
		if (r->reader->turn != NULL)
			r->reader->turn(r->reader->context);
	}
	return rc;
}

int ahead_read(const struct settings *settings, const char *gtid, struct ahead *a,
	       const struct ahead_reader *reader, struct err *e)
{
	char file[sizeof(a->file)];
	struct db_dump_options options = { .gtid = gtid,
					   .file = a->file[0] != '\0' ? file : NULL,
					   .offset = a->offset,
					   .heartbeat_ms = settings->source_read_timeout_ms / 4 };
	struct reading r = { .a = a, .reader = reader, .format = EVENT_FORMAT_INIT };
	struct db *db = NULL;
	int rc;

	(void)snprintf(file, sizeof(file), "%s", a->file); /* same size */
	rc = db_open(settings, DB_TEXT_UTF8, &db, e);
	if (rc == 0)
		rc = db_dump(db, &options, e);
	if (rc == 0)
		rc = read_all(&r, db, e);
	if (db != NULL)
		db_close(db);
	buf_done(&r.scratch);
	return rc < 0 ? err_wrap(e, "reading ahead in the binlog") : 0;
}
