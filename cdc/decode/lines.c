/* lines.c - changes as JSON lines.
 *
 * What begins a line is made once for a transaction. The tables whose gaps were shown are known by
 * their shapes, a reference to each of which is held, so that no later one has its address.
 *
 * With --table, a statement is shown when it names a wanted table, or can't be said not to change
 * one; and the end of a transaction when anything of it was shown. */
#include "cdc/decode/lines.h"

#include "cdc/decode/value_json.h"
#include "core/base/clock.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

#define FLUSH_BYTES 65536
/* Tables with gaps of which we know that they were shown; beyond, they are shown again. */
#define SHOWN_MAX 65536

struct lines {
	bool all_tables;
	uint64_t printed; /* lines of the transaction in hand */
	struct buf head;  /* ,"time":"...","gtid":"..." */
	struct buf scratch;
	struct shape **shown;
	size_t shown_count;
};

struct lines *lines_new(bool all_tables)
{
	struct lines *l = xcalloc(1, sizeof(*l));

	l->all_tables = all_tables;
	return l;
}

static void forget_shown(struct lines *l)
{
	for (size_t i = 0; i < l->shown_count; i++)
		shape_unref(l->shown[i]);
	free(l->shown);
	l->shown = NULL;
	l->shown_count = 0;
}

void lines_free(struct lines *l)
{
	if (l == NULL)
		return;
	forget_shown(l);
	buf_done(&l->head);
	buf_done(&l->scratch);
	free(l);
}

/* ---- parts of lines ------------------------------------------------------------------------- */

static void make_head(struct lines *l, const struct walk_event *ev)
{
	const struct walk_transaction *t = ev->transaction;
	char time[CLOCK_TEXT_SIZE];

	buf_reset(&l->head);
	buf_add_format(&l->head, ",\"time\":\"%s\"", clock_text(t->time_us, time));
	if (t->id[0] != '\0')
		value_json_pair(&l->head, "gtid", slice_str(t->id));
	l->printed = 0;
}

static void begin_line(struct lines *l, struct walk *w, const struct walk_event *ev,
		       struct buf *out)
{
	buf_add_str(out, "{\"at\":");
	value_json_place(out, walk_file_name(w), ev->at);
	if (ev->transaction != NULL)
		buf_add_slice(out, buf_slice(&l->head));
	l->printed++;
}

static void end_line(struct buf *out)
{
	buf_add_str(out, "}\n");
}

static void add_table(struct buf *out, const struct shape *s)
{
	value_json_pair(out, "db", slice_str(s->db));
	value_json_pair(out, "table", slice_str(s->table));
}

/* ---- gaps ----------------------------------------------------------------------------------- */

static bool was_shown(struct lines *l, const struct shape *s)
{
	for (size_t i = l->shown_count; i > 0; i--)
		if (l->shown[i - 1] == s)
			return true;
	return false;
}

static void add_gaps(struct lines *l, struct walk *w, const struct walk_event *ev, struct buf *out)
{
	static const char *const names[] = { "names", "signs", "charsets", "labels" };
	struct shape *s = ev->table->shape;
	const char *mark = "";

	if (s->unknown == 0 || was_shown(l, s))
		return;
	if (l->shown_count == SHOWN_MAX)
		forget_shown(l);
	l->shown = xrealloc(l->shown, (l->shown_count + 1) * sizeof(struct shape *));
	l->shown[l->shown_count++] = shape_ref(s);
	begin_line(l, w, ev, out);
	add_table(out, s);
	buf_add_str(out, ",\"columns\":");
	value_json_columns(out, s);
	buf_add_str(out, ",\"unknown\":[");
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((s->unknown >> i & 1) != 0) {
			buf_add_format(out, "%s\"%s\"", mark, names[i]);
			mark = ",";
		}
	buf_add_u8(out, ']');
	end_line(out);
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void add_row(struct lines *l, struct walk *w, const struct walk_event *ev,
		    const struct walk_rows *r, struct buf *out)
{
	static const char ops[] = { [ROWS_WRITE] = 'c', [ROWS_UPDATE] = 'u', [ROWS_DELETE] = 'd' };

	begin_line(l, w, ev, out);
	buf_add_str(out, ",\"order\":");
	value_json_unsigned(out, ev->transaction->rows);
	add_table(out, r->shape);
	buf_add_str(out, ",\"op\":\"");
	buf_add_u8(out, (uint8_t)ops[r->rows.kind]);
	buf_add_u8(out, '"');
	if (r->before != NULL) {
		buf_add_str(out, ",\"before\":");
		value_json_image(out, r->shape, r->before, &l->scratch);
	}
	if (r->after != NULL) {
		buf_add_str(out, ",\"after\":");
		value_json_image(out, r->shape, r->after, &l->scratch);
	}
	end_line(out);
}

static int add_rows(struct lines *l, struct walk *w, const struct walk_event *ev, struct buf *out,
		    lines_flush_fn *flush, void *context, struct err *e)
{
	struct walk_rows r;
	int rc;

	if (ev->table->shape == NULL)
		return 0;
	add_gaps(l, w, ev, out);
	if (walk_rows_begin(w, ev, &r, e) < 0)
		return -1;
	while ((rc = walk_rows_next(w, ev, &r, e)) == 1) {
		add_row(l, w, ev, &r, out);
		if (out->size >= FLUSH_BYTES && flush(context, out, e) < 0)
			return -1;
	}
	return rc;
}

/* ---- statements and ends -------------------------------------------------------------------- */

static bool concerns(const struct walk *w, const struct statement *s)
{
	for (size_t i = 0; i < s->table_count; i++)
		if (walk_wants(w, s->tables[i].db, s->tables[i].table))
			return true;
	return s->any_table || (s->unreadable && s->table_count == 0);
}

static void add_tables(const struct statement *s, struct buf *out)
{
	for (size_t i = 0; i < s->table_count; i++) {
		buf_add_str(out, i == 0 ? ",\"tables\":[{" : ",{");
		buf_add_str(out, s->tables[i].target ? "\"changes\":true" : "\"changes\":false");
		value_json_pair(out, "db", slice_str(s->tables[i].db));
		if (s->tables[i].table[0] != '\0')
			value_json_pair(out, "table", slice_str(s->tables[i].table));
		buf_add_u8(out, '}');
	}
	if (s->table_count > 0)
		buf_add_u8(out, ']');
}

static int add_statement(struct lines *l, struct walk *w, const struct walk_event *ev,
			 struct buf *out, struct err *e)
{
	struct statement s = STATEMENT_INIT;

	if (statement_read(ev->query.text, ev->query.db, &s, e) < 0)
		return -1;
	if (l->all_tables || concerns(w, &s) || (s.name != NULL && l->printed > 0)) {
		begin_line(l, w, ev, out);
		buf_add_format(out, ",\"statement\":\"%s\"", statement_kind_name(s.kind));
		value_json_pair(out, "db", ev->query.db);
		add_tables(&s, out);
		if (ev->query.error_code != 0)
			buf_add_format(out, ",\"error\":%u", ev->query.error_code);
		value_json_pair(out, "text", ev->query.text);
		end_line(out);
	}
	statement_done(&s);
	return 0;
}

/* BEGIN, COMMIT and their like are told by the line of the end. */
static bool is_border(const struct walk_event *ev)
{
	return ev->kind == STATEMENT_BEGIN || ev->kind == STATEMENT_COMMIT ||
	       ev->kind == STATEMENT_ROLLBACK || ev->kind == STATEMENT_XA_COMMIT ||
	       ev->kind == STATEMENT_XA_ROLLBACK || ev->kind == STATEMENT_XA_OTHER;
}

static void add_hex(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.size; i++)
		buf_add_format(out, "%02x", s.data[i]);
}

/* What XA PREPARE ends is named by bytes; what a statement ends, by its text. */
static int add_xid(const struct walk_event *ev, struct buf *out, struct err *e)
{
	struct event_xa_prepare xa;

	if (ev->event->header.type != EVENT_XA_PREPARE) {
		if (ev->end == WALK_XA_COMMIT || ev->end == WALK_XA_ROLLBACK)
			value_json_pair(out, "text", ev->query.text);
		return 0;
	}
	if (event_xa_prepare_read(ev->event, &xa, e) < 0)
		return -1;
	buf_add_str(out, ",\"xid\":\"X'");
	add_hex(out, xa.gtrid);
	buf_add_str(out, "',X'");
	add_hex(out, xa.bqual);
	buf_add_format(out, "',%" PRIu32 "\"", xa.format);
	return 0;
}

static int add_end(struct lines *l, struct walk *w, const struct walk_event *ev, struct buf *out,
		   struct err *e)
{
	if (!l->all_tables && l->printed == 0)
		return 0;
	begin_line(l, w, ev, out);
	buf_add_format(out, ",\"end\":\"%s\"", walk_end_name(ev->end));
	if (add_xid(ev, out, e) < 0)
		return -1;
	buf_add_str(out, ",\"rows\":");
	value_json_unsigned(out, ev->transaction->rows);
	buf_add_str(out, ",\"bytes\":");
	value_json_unsigned(out, ev->transaction->bytes);
	end_line(out);
	return 0;
}

static int add_incident(struct lines *l, struct walk *w, const struct walk_event *ev,
			struct buf *out, struct err *e)
{
	struct event_incident incident;

	if (event_incident_read(ev->event, &incident, e) < 0)
		return -1;
	begin_line(l, w, ev, out);
	buf_add_format(out, ",\"incident\":%u", incident.number);
	value_json_pair(out, "message", incident.message);
	end_line(out);
	return 0;
}

int lines_add(struct lines *l, struct walk *w, const struct walk_event *ev, struct buf *out,
	      lines_flush_fn *flush, void *context, struct err *e)
{
	uint8_t type = ev->event->header.type;
	int rc = 0;

	if (ev->begins)
		make_head(l, ev);
	if (rows_is(type))
		rc = add_rows(l, w, ev, out, flush, context, e);
	else if (ev->query.text.data != NULL && !is_border(ev))
		rc = add_statement(l, w, ev, out, e);
	else if (type == EVENT_INCIDENT)
		rc = add_incident(l, w, ev, out, e);
	if (rc == 0 && ev->end != WALK_GOES_ON)
		rc = add_end(l, w, ev, out, e);
	if (rc == 0 && out->size >= FLUSH_BYTES)
		rc = flush(context, out, e);
	return rc;
}
