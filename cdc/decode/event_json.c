/* event_json.c - prints events as JSON lines.
 *
 * The same decoders as capture uses, and nothing else: what this prints is what capture sees, which
 * makes the golden files a test of the real thing. A line is written only when its event was
 * understood to its last byte. */
#include "cdc/decode/event_json.h"

#include "cdc/decode/value_json.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

struct event_json {
	struct buf scratch;
};

struct event_json *event_json_new(void)
{
	return xcalloc(1, sizeof(struct event_json));
}

void event_json_free(struct event_json *j)
{
	if (j == NULL)
		return;
	buf_done(&j->scratch);
	free(j);
}

static void add_flag(struct buf *out, const char *key, bool on)
{
	if (on)
		buf_add_format(out, ",\"%s\":true", key);
}

static void add_table_name(struct buf *out, const char *db, const char *table)
{
	char *name = xasprintf("%s.%s", db, table);

	value_json_text(out, slice_str(name));
	free(name);
}

/* ---- one function per kind of event --------------------------------------------------------- */

static void add_format(const struct event_format *format, struct buf *out)
{
	value_json_pair(out, "server", slice_str(format->server_version));
	buf_add_format(out, ",\"checksum\":\"%s\"",
		       format->checksum == EVENT_CHECKSUM_CRC32 ? "crc32" : "none");
}

static int add_rotate(const struct event *ev, struct buf *out, struct err *e)
{
	struct event_rotate r;

	if (event_rotate_read(ev, &r, e) < 0)
		return -1;
	value_json_pair(out, "file", r.file);
	buf_add_format(out, ",\"position\":%" PRIu64, r.position);
	return 0;
}

static int add_gtid(const struct event *ev, struct buf *out, struct err *e)
{
	struct event_gtid g;
	char text[GTID_TEXT_SIZE];

	if (event_gtid_read(ev, &g, e) < 0)
		return -1;
	buf_add_format(out, ",\"gtid\":\"%s\"", gtid_text(&g.gtid, text));
	add_flag(out, "standalone", g.standalone);
	add_flag(out, "ddl", g.ddl);
	add_flag(out, "transactional", g.transactional);
	add_flag(out, "xa_prepared", g.xa_prepared);
	add_flag(out, "xa_completed", g.xa_completed);
	if (g.has_commit_id)
		buf_add_format(out, ",\"commit_id\":%" PRIu64, g.commit_id);
	if (g.xa_prepared || g.xa_completed) {
		value_json_pair(out, "gtrid", g.xid_gtrid);
		value_json_pair(out, "bqual", g.xid_bqual);
	}
	return 0;
}

static int add_gtid_list(const struct event *ev, struct buf *out, struct err *e)
{
	struct gtid_set set = GTID_SET_INIT;

	if (event_gtid_list_read(ev, &set, e) < 0)
		return -1;
	buf_add_str(out, ",\"gtids\":\"");
	gtid_set_text(&set, out);
	buf_add_u8(out, '"');
	gtid_set_done(&set);
	return 0;
}

static int add_mysql_gtid(const struct event *ev, struct buf *out, struct err *e)
{
	struct event_mysql_gtid g;

	if (event_mysql_gtid_read(ev, &g, e) < 0)
		return -1;
	if (!g.anonymous) {
		buf_add_str(out, ",\"gtid\":\"");
		gtid_range_id(&g.id, out);
		buf_add_u8(out, '"');
	}
	if (g.commit_us != 0)
		buf_add_format(out, ",\"committed_us\":%" PRIu64, g.commit_us);
	if (g.size != 0)
		buf_add_format(out, ",\"transaction_size\":%" PRIu64, g.size);
	return 0;
}

static int add_previous_gtids(const struct event *ev, struct buf *out, struct err *e)
{
	struct gtid_set set = GTID_SET_INIT;

	if (event_previous_gtids_read(ev, &set, e) < 0)
		return -1;
	buf_add_str(out, ",\"gtids\":\"");
	gtid_set_text(&set, out);
	buf_add_u8(out, '"');
	gtid_set_done(&set);
	return 0;
}

static void add_tables(const struct statement *s, struct buf *out)
{
	for (size_t i = 0; i < s->table_count; i++) {
		buf_add_str(out, i == 0 ? ",\"tables\":[" : ",");
		buf_add_str(out, s->tables[i].target ? "{\"changes\":" : "{\"reads\":");
		add_table_name(out, s->tables[i].db, s->tables[i].table);
		buf_add_u8(out, '}');
	}
	if (s->table_count > 0)
		buf_add_u8(out, ']');
}

static int add_query(const struct event_query *q, struct buf *out, struct err *e)
{
	struct statement s = STATEMENT_INIT;

	if (statement_read(q->text, q->db, &s, e) < 0)
		return -1;
	value_json_pair(out, "db", q->db);
	buf_add_format(out, ",\"statement\":\"%s\"", statement_kind_name(s.kind));
	if (s.name != NULL)
		value_json_pair(out, "name", slice_str(s.name));
	add_flag(out, "temporary", s.temporary);
	add_flag(out, "or_replace", s.or_replace);
	add_tables(&s, out);
	if (q->error_code != 0)
		buf_add_format(out, ",\"error\":%u", q->error_code);
	value_json_pair(out, "text", q->text);
	statement_done(&s);
	return 0;
}

static int add_xa_prepare(const struct event *ev, struct buf *out, struct err *e)
{
	struct event_xa_prepare xa;

	if (event_xa_prepare_read(ev, &xa, e) < 0)
		return -1;
	add_flag(out, "one_phase", xa.one_phase);
	value_json_pair(out, "gtrid", xa.gtrid);
	value_json_pair(out, "bqual", xa.bqual);
	return 0;
}

static int add_incident(const struct event *ev, struct buf *out, struct err *e)
{
	struct event_incident incident;

	if (event_incident_read(ev, &incident, e) < 0)
		return -1;
	buf_add_format(out, ",\"number\":%u", incident.number);
	value_json_pair(out, "message", incident.message);
	return 0;
}

static void add_table_map(const struct catalog_table *t, struct buf *out)
{
	const struct shape *s = t->shape;

	buf_add_str(out, ",\"table\":");
	add_table_name(out, t->db, t->table);
	if (s == NULL)
		return;
	buf_add_str(out, ",\"columns\":");
	value_json_columns(out, s);
	for (uint16_t i = 0; i < s->key_count; i++) {
		buf_add_str(out, i == 0 ? ",\"key\":[" : ",");
		value_json_text(out, slice_str(s->columns[s->key[i]].name));
	}
	if (s->key_count > 0)
		buf_add_u8(out, ']');
}

static int add_rows(struct event_json *j, struct walk *w, const struct walk_event *ev,
		    struct buf *out, struct err *e)
{
	const char *mark = "";
	struct walk_rows r;
	int rc;

	buf_add_str(out, ",\"table\":");
	add_table_name(out, ev->table->db, ev->table->table);
	if (ev->table->shape == NULL)
		return 0;
	if (walk_rows_begin(w, ev, &r, e) < 0)
		return -1;
	add_flag(out, "statement_end", (r.rows.flags & ROWS_FLAG_STATEMENT_END) != 0);
	buf_add_str(out, ",\"rows\":[");
	while ((rc = walk_rows_next(w, ev, &r, e)) == 1) {
		buf_add_str(out, mark);
		if (r.before != NULL) {
			buf_add_str(out, "{\"before\":");
			value_json_image(out, r.shape, r.before, &j->scratch);
		}
		if (r.after != NULL) {
			buf_add_str(out, r.before != NULL ? ",\"after\":" : "{\"after\":");
			value_json_image(out, r.shape, r.after, &j->scratch);
		}
		buf_add_u8(out, '}');
		mark = ",";
	}
	buf_add_u8(out, ']');
	return rc;
}

static int add_body(struct event_json *j, struct walk *w, const struct walk_event *we,
		    struct buf *out, struct err *e)
{
	const struct event *ev = we->event;
	struct slice file;
	uint64_t xid;

	if (rows_is(ev->header.type))
		return add_rows(j, w, we, out, e);
	switch (ev->header.type) { /* a wire byte: what isn't named below has no fields to show */
	case EVENT_FORMAT_DESCRIPTION:
		add_format(walk_format(w), out);
		return 0;
	case EVENT_ROTATE:
		return add_rotate(ev, out, e);
	case EVENT_GTID:
		return add_gtid(ev, out, e);
	case EVENT_GTID_LIST:
		return add_gtid_list(ev, out, e);
	case EVENT_MYSQL_GTID:
	case EVENT_MYSQL_ANONYMOUS_GTID:
	case EVENT_MYSQL_GTID_TAGGED:
		return add_mysql_gtid(ev, out, e);
	case EVENT_PREVIOUS_GTIDS:
		return add_previous_gtids(ev, out, e);
	case EVENT_QUERY:
	case EVENT_QUERY_COMPRESSED:
	case EVENT_EXECUTE_LOAD_QUERY:
		return add_query(&we->query, out, e);
	case EVENT_XID:
		if (event_xid_read(ev, &xid, e) < 0)
			return -1;
		buf_add_format(out, ",\"xid\":%" PRIu64, xid);
		return 0;
	case EVENT_XA_PREPARE:
		return add_xa_prepare(ev, out, e);
	case EVENT_INCIDENT:
		return add_incident(ev, out, e);
	case EVENT_TABLE_MAP:
		add_table_map(we->table, out);
		return 0;
	case EVENT_ANNOTATE_ROWS:
		value_json_pair(out, "text", event_annotate_text(ev));
		return 0;
	case EVENT_BINLOG_CHECKPOINT:
		if (event_checkpoint_read(ev, &file, e) < 0)
			return -1;
		value_json_pair(out, "file", file);
		return 0;
	default:
		return event_refuse_unknown(&ev->header, e);
	}
}

int event_json_add(struct event_json *j, struct walk *w, const struct walk_event *ev,
		   struct buf *out, struct err *e)
{
	size_t start = out->size;

	buf_add_str(out, "{\"at\":");
	value_json_place(out, walk_file_name(w), ev->at);
	buf_add_format(out, ",\"type\":\"%s\",\"time\":%" PRIu32,
		       event_type_name(ev->event->header.type), ev->event->header.timestamp);
	add_flag(out, "inside", ev->inside);
	if (add_body(j, w, ev, out, e) < 0) {
		out->size = start;
		return -1;
	}
	buf_add_str(out, "}\n");
	return 0;
}
