/* event_json.c - prints events as JSON lines.
 *
 * The same decoders as capture uses, and nothing else: what this prints is what capture sees, which
 * makes the golden files a test of the real thing. A line is written only when its event was
 * understood to its last byte. */
#include "cdc/catalog/event_json.h"

#include "cdc/binlog/event.h"
#include "cdc/binlog/payload.h"
#include "cdc/binlog/rows.h"
#include "cdc/binlog/statement.h"
#include "cdc/catalog/catalog.h"
#include "core/base/mem.h"
#include "core/value/charset.h"
#include "core/value/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define MAGIC "\xfe\x62in"
#define MAGIC_SIZE 4
#define EVENT_SIZE_MAX (EVENT_INFLATED_MAX + 65536u)

struct event_json {
	struct catalog *catalog;
	struct event_format format;
	struct payload *payload; /* NULL until there was one */
	struct buf inflated, scratch;
	struct cell *before, *after;
};

struct event_json *event_json_new(void)
{
	struct event_json *j = xcalloc(1, sizeof(*j));
	struct settings settings = { 0 };
	char everything[] = "*.*", *patterns[] = { everything };

	settings.capture_tables = (struct text_list){ patterns, 1 };
	j->catalog = catalog_new(&settings);
	j->format = (struct event_format)EVENT_FORMAT_INIT;
	j->before = xcalloc(SHAPE_COLUMNS_MAX, sizeof(j->before[0]));
	j->after = xcalloc(SHAPE_COLUMNS_MAX, sizeof(j->after[0]));
	return j;
}

void event_json_free(struct event_json *j)
{
	if (j == NULL)
		return;
	catalog_free(j->catalog);
	payload_free(j->payload);
	buf_done(&j->inflated);
	buf_done(&j->scratch);
	free(j->before);
	free(j->after);
	free(j);
}

/* ---- JSON ---- */

static void add_hex(struct buf *out, struct slice s)
{
	static const char digits[] = "0123456789abcdef";

	buf_add_str(out, "{\"bytes\":\"");
	for (size_t i = 0; i < s.size; i++) {
		buf_add_u8(out, (uint8_t)digits[s.data[i] >> 4]);
		buf_add_u8(out, (uint8_t)digits[s.data[i] & 15]);
	}
	buf_add_str(out, "\"}");
}

/* Text that isn't UTF-8 is shown as bytes. */
static void add_text(struct buf *out, struct slice s)
{
	if (!charset_utf8_valid(s.data, s.size, false)) {
		add_hex(out, s);
		return;
	}
	buf_add_u8(out, '"');
	for (size_t i = 0; i < s.size; i++) {
		uint8_t c = s.data[i];

		if (c == '"' || c == '\\') {
			buf_add_u8(out, '\\');
			buf_add_u8(out, c);
		} else if (c < 0x20) {
			buf_add_format(out, "\\u%04x", c);
		} else {
			buf_add_u8(out, c);
		}
	}
	buf_add_u8(out, '"');
}

static void add_key_text(struct buf *out, const char *key, struct slice s)
{
	buf_add_format(out, ",\"%s\":", key);
	add_text(out, s);
}

static void add_flag(struct buf *out, const char *key, bool on)
{
	if (on)
		buf_add_format(out, ",\"%s\":true", key);
}

static void add_double(struct buf *out, double d)
{
	if (isfinite(d))
		buf_add_format(out, "%.17g", d);
	else
		buf_add_str(out, isnan(d) ? "\"NaN\"" : d > 0 ? "\"Infinity\"" : "\"-Infinity\"");
}

static void add_cell(struct event_json *j, const struct column *c, const struct cell *cell,
		     struct buf *out)
{
	struct value v;
	bool exact;

	buf_reset(&j->scratch);
	exact = value_from_cell(c, cell, &j->scratch, &v);
	if (!exact)
		buf_add_str(out, "{\"exact\":");
	switch ((enum value_kind)v.kind) {
	case VALUE_ABSENT:
	case VALUE_NULL:
		buf_add_str(out, "null");
		break;
	case VALUE_INT:
		buf_add_format(out, "%" PRId64, v.i);
		break;
	case VALUE_DOUBLE:
		add_double(out, v.d);
		break;
	case VALUE_TEXT:
		add_text(out, v.bytes);
		break;
	case VALUE_BYTES:
		add_hex(out, v.bytes);
		break;
	}
	if (!exact)
		buf_add_u8(out, '}');
}

static void add_image(struct event_json *j, const char *name, const struct shape *s,
		      const struct cell *cells, struct buf *out)
{
	char mark = '{';

	buf_add_format(out, "\"%s\":", name);
	for (uint16_t i = 0; i < s->column_count; i++) {
		if (cells[i].state == CELL_ABSENT)
			continue;
		buf_add_u8(out, (uint8_t)mark);
		add_text(out, slice_str(s->columns[i].name));
		buf_add_u8(out, ':');
		add_cell(j, &s->columns[i], &cells[i], out);
		mark = ',';
	}
	buf_add_str(out, mark == '{' ? "{}" : "}");
}

static void add_table_name(struct buf *out, const char *db, const char *table)
{
	char *name = xasprintf("%s.%s", db, table);

	add_text(out, slice_str(name));
	free(name);
}

/* ---- one function per kind of event ---- */

static int add_format(struct event_json *j, const struct event *ev, struct buf *out, struct err *e)
{
	if (event_format_read(ev, &j->format, e) < 0)
		return -1;
	catalog_reset(j->catalog);
	catalog_server(j->catalog, j->format.server_version);
	add_key_text(out, "server", slice_str(j->format.server_version));
	buf_add_format(out, ",\"checksum\":\"%s\"",
		       j->format.checksum == EVENT_CHECKSUM_CRC32 ? "crc32" : "none");
	return 0;
}

static int add_rotate(const struct event *ev, struct buf *out, struct err *e)
{
	struct event_rotate r;

	if (event_rotate_read(ev, &r, e) < 0)
		return -1;
	add_key_text(out, "file", r.file);
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
		add_key_text(out, "gtrid", g.xid_gtrid);
		add_key_text(out, "bqual", g.xid_bqual);
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

static int add_query(struct event_json *j, const struct event *ev, struct buf *out, struct err *e)
{
	struct statement s = STATEMENT_INIT;
	struct event_query q;

	if (event_query_read(ev, &j->inflated, &q, e) < 0 ||
	    statement_read(q.text, q.db, &s, e) < 0)
		return -1;
	add_key_text(out, "db", q.db);
	buf_add_format(out, ",\"statement\":\"%s\"", statement_kind_name(s.kind));
	if (s.name != NULL)
		add_key_text(out, "name", slice_str(s.name));
	add_flag(out, "temporary", s.temporary);
	add_flag(out, "or_replace", s.or_replace);
	add_tables(&s, out);
	if (q.error_code != 0)
		buf_add_format(out, ",\"error\":%u", q.error_code);
	add_key_text(out, "text", q.text);
	statement_done(&s);
	return 0;
}

static int add_xa_prepare(const struct event *ev, struct buf *out, struct err *e)
{
	struct event_xa_prepare xa;

	if (event_xa_prepare_read(ev, &xa, e) < 0)
		return -1;
	add_flag(out, "one_phase", xa.one_phase);
	add_key_text(out, "gtrid", xa.gtrid);
	add_key_text(out, "bqual", xa.bqual);
	return 0;
}

static int add_incident(const struct event *ev, struct buf *out, struct err *e)
{
	struct event_incident incident;

	if (event_incident_read(ev, &incident, e) < 0)
		return -1;
	buf_add_format(out, ",\"number\":%u", incident.number);
	add_key_text(out, "message", incident.message);
	return 0;
}

static int add_table_map(struct event_json *j, const struct event *ev, struct buf *out,
			 struct err *e)
{
	const struct catalog_table *t;
	char type[80];

	if (catalog_table_map(j->catalog, ev->body, &t, e) < 0)
		return -1;
	buf_add_str(out, ",\"table\":");
	add_table_name(out, t->db, t->table);
	for (uint16_t i = 0; i < t->shape->column_count; i++) {
		const struct column *c = &t->shape->columns[i];

		buf_add_str(out, i == 0 ? ",\"columns\":{" : ",");
		add_text(out, slice_str(c->name));
		buf_add_format(out, ":\"%s%s\"", column_type_text(c, type, sizeof(type)),
			       c->nullable ? "" : " not null");
	}
	buf_add_u8(out, '}');
	for (uint16_t i = 0; i < t->shape->key_count; i++) {
		buf_add_str(out, i == 0 ? ",\"key\":[" : ",");
		add_text(out, slice_str(t->shape->columns[t->shape->key[i]].name));
	}
	if (t->shape->key_count > 0)
		buf_add_u8(out, ']');
	return 0;
}

static int add_row_images(struct event_json *j, struct rows *r, const struct shape *shape,
			  struct buf *out, struct err *e)
{
	const char *mark = "";
	int rc;

	buf_add_str(out, ",\"rows\":[");
	while ((rc = rows_next(r, shape, j->before, j->after, e)) == 1) {
		buf_add_format(out, "%s{", mark);
		if (r->before != NULL)
			add_image(j, "before", shape, j->before, out);
		if (r->before != NULL && r->after != NULL)
			buf_add_u8(out, ',');
		if (r->after != NULL)
			add_image(j, "after", shape, j->after, out);
		buf_add_u8(out, '}');
		mark = ",";
	}
	buf_add_u8(out, ']');
	return rc;
}

static int add_rows(struct event_json *j, const struct event *ev, struct buf *out, struct err *e)
{
	const struct catalog_table *t;
	struct rows r;

	if (rows_read(ev, &j->format, &j->inflated, &r, e) < 0)
		return -1;
	t = catalog_find(j->catalog, r.table_id);
	if (t == NULL || t->shape == NULL)
		return err_data(
			e, "%s event for table id %" PRIu64 " without a Table_map event before it",
			event_type_name(ev->header.type), r.table_id);
	buf_add_str(out, ",\"table\":");
	add_table_name(out, t->db, t->table);
	add_flag(out, "statement_end", (r.flags & ROWS_FLAG_STATEMENT_END) != 0);
	return add_row_images(j, &r, t->shape, out, e);
}

static int add_body(struct event_json *j, const struct event *ev, struct buf *out, struct err *e);

static void begin_event(const struct event *ev, struct buf *out)
{
	buf_add_format(out, "\"type\":\"%s\",\"time\":%" PRIu32, event_type_name(ev->header.type),
		       ev->header.timestamp);
}

static int add_payload(struct event_json *j, const struct event *ev, struct buf *out,
		       struct err *e)
{
	struct event inner;
	const char *mark = "";
	int rc;

	if (j->payload == NULL)
		j->payload = payload_new();
	if (payload_open(j->payload, ev, e) < 0)
		return -1;
	buf_add_format(out, ",\"inflated_size\":%" PRIu64 ",\"events\":[",
		       payload_size(j->payload));
	while ((rc = payload_next(j->payload, &inner, e)) == 1) {
		buf_add_format(out, "%s{", mark);
		begin_event(&inner, out);
		if (add_body(j, &inner, out, e) < 0)
			return -1;
		buf_add_u8(out, '}');
		mark = ",";
	}
	buf_add_u8(out, ']');
	return rc;
}

static int add_body(struct event_json *j, const struct event *ev, struct buf *out, struct err *e)
{
	struct slice file;
	uint64_t xid;

	if (rows_is(ev->header.type))
		return add_rows(j, ev, out, e);
	switch (ev->header.type) { /* a wire byte: what isn't named below has no fields to show */
	case EVENT_FORMAT_DESCRIPTION:
		return add_format(j, ev, out, e);
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
	case EVENT_TRANSACTION_PAYLOAD:
		return add_payload(j, ev, out, e);
	case EVENT_QUERY:
	case EVENT_QUERY_COMPRESSED:
		return add_query(j, ev, out, e);
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
		return add_table_map(j, ev, out, e);
	case EVENT_ANNOTATE_ROWS:
		add_key_text(out, "text", event_annotate_text(ev));
		return 0;
	case EVENT_BINLOG_CHECKPOINT:
		if (event_checkpoint_read(ev, &file, e) < 0)
			return -1;
		add_key_text(out, "file", file);
		return 0;
	case EVENT_START_ENCRYPTION:
		return err_data(e, "the file is encrypted from here on");
	default:
		return event_refuse_unknown(&ev->header, e);
	}
}

int event_json_add(struct event_json *j, uint64_t at, struct slice packet, struct buf *out,
		   struct err *e)
{
	size_t start = out->size;
	struct event ev;

	if (event_read(packet, &j->format, &ev, e) < 0)
		return err_wrap(e, "offset %" PRIu64, at);
	buf_add_format(out, "{\"at\":%" PRIu64 ",", at);
	begin_event(&ev, out);
	if (add_body(j, &ev, out, e) < 0) {
		out->size = start;
		return err_wrap(e, "offset %" PRIu64, at);
	}
	buf_add_str(out, "}\n");
	return 0;
}

/* The next event of the file into `packet`: 1, 0 at the end, -1. */
static int read_event(FILE *in, uint64_t at, struct buf *packet, struct err *e)
{
	size_t got;
	struct rd size;
	uint32_t rest;

	buf_reset(packet);
	got = fread(buf_reserve(packet, EVENT_HEADER_SIZE), 1, EVENT_HEADER_SIZE, in);
	if (ferror(in))
		return err_fatal(e, "cannot read the file at offset %" PRIu64, at);
	if (got == 0)
		return 0;
	if (got < EVENT_HEADER_SIZE)
		return err_data(e, "offset %" PRIu64 ": the file ends inside an event's header",
				at);
	packet->size = got;
	size = rd_of(packet->data + 9, 4);
	rest = rd_u32(&size);
	if (rest < EVENT_HEADER_SIZE || rest > EVENT_SIZE_MAX)
		return err_data(e, "offset %" PRIu64 ": an event of %" PRIu32 " bytes", at, rest);
	rest -= EVENT_HEADER_SIZE;
	while (rest >
	       0) { /* in steps, so that a wrong size doesn't reserve what the file cannot hold */
		size_t step = rest < 1u << 20 ? rest : 1u << 20;

		if (fread(buf_reserve(packet, step), 1, step, in) != step)
			return err_data(e, "offset %" PRIu64 ": the file ends inside an event", at);
		packet->size += step;
		rest -= (uint32_t)step;
	}
	return 1;
}

int event_json_print(FILE *in, FILE *out, struct err *e)
{
	struct event_json *j = event_json_new();
	struct buf packet = BUF_INIT, line = BUF_INIT;
	char magic[MAGIC_SIZE];
	uint64_t at = MAGIC_SIZE;
	int rc = -1;

	if (fread(magic, 1, sizeof(magic), in) != sizeof(magic) ||
	    memcmp(magic, MAGIC, sizeof(magic)) != 0) {
		err_data(e, "not a binlog file: it does not begin with the bytes fe 62 69 6e");
		goto out;
	}
	while ((rc = read_event(in, at, &packet, e)) == 1) {
		buf_reset(&line);
		rc = event_json_add(j, at, buf_slice(&packet), &line, e);
		if (rc < 0)
			break;
		if (fwrite(line.data, 1, line.size, out) != line.size) {
			rc = err_fatal(e, "cannot write");
			break;
		}
		at += packet.size;
	}
out:
	event_json_free(j);
	buf_done(&packet);
	buf_done(&line);
	return rc;
}
