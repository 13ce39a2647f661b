/* fuzz_rows.c - rows of every column type: the event, its images, the envelope, and the way back
 * (cdc/binlog/rows*.c, core/value, cdc/publish/row_plan.c, row_back*.c).
 *
 * Input: the table and the kind of event by its first bytes, then the row images. What must hold
 * for every row, whatever its bytes: the envelope is read by its schema; each value that is exact
 * reads as the value of its cell; and what comes back from the envelope gives the same envelope
 * again, and the same cells wherever the bytes were such as a server writes. */
#include "test/fuzz/fuzz.h"

#include "cdc/binlog/rows.h"
#include "cdc/publish/row_back.h"
#include "cdc/publish/row_plan.h"
#include "core/avro/decode.h"
#include "core/avro/row_schema.h"
#include "core/base/mem.h"
#include "core/value/charset.h"
#include "core/value/encode.h"
#include "core/value/value.h"

#include <math.h>
#include <string.h>

#define COLUMNS 12
#define LEAVES 160

static const uint8_t types[] = { EVENT_WRITE_ROWS,         EVENT_UPDATE_ROWS,
				 EVENT_DELETE_ROWS,        EVENT_WRITE_ROWS_V1,
				 EVENT_UPDATE_ROWS_V1,     EVENT_DELETE_ROWS_V1,
				 EVENT_PARTIAL_UPDATE_ROWS };

struct way {
	struct shape *shape;
	struct row_plan *plan;
	struct row_back *back;
	struct schema *schema;
	struct decode_plan *decode;
	struct buf datum, again, scratch, bytes, text;
	struct cell cells[COLUMNS];
};

static void way_begin(struct way *w)
{
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	memset(w, 0, sizeof(*w));
	w->shape = fuzz_table(COLUMNS);
	w->plan = row_plan_new("n", w->shape);
	fuzz_check(row_schema_envelope("n", w->shape, &text, &e) == 0, "%s", e.msg);
	fuzz_check(schema_parse(buf_slice(&text), &w->schema, &e) == 0, "%s", e.msg);
	fuzz_check(decode_plan_new(w->schema, &w->decode, &e) == 0, "%s", e.msg);
	fuzz_check(row_back_new(buf_slice(&text), w->shape, &w->back, &e) == 0, "%s", e.msg);
	buf_done(&text);
}

static void way_end(struct way *w)
{
	row_back_free(w->back);
	decode_plan_free(w->decode);
	schema_free(w->schema);
	row_plan_free(w->plan);
	shape_unref(w->shape);
	buf_done(&w->datum);
	buf_done(&w->again);
	buf_done(&w->scratch);
	buf_done(&w->bytes);
	buf_done(&w->text);
}

static void check_value(struct way *w, const struct column *c, const struct cell *cell,
			const struct value *read)
{
	struct value own;
	bool exact;

	if (c->type == COLUMN_GEOMETRY) /* two leaves */
		return;
	buf_reset(&w->text);
	exact = value_from_cell(c, cell, &w->text, &own);
	if (cell->state != CELL_VALUE || !exact) {
		fuzz_check(read->kind == VALUE_NULL, "type %u: kind %u", c->type, read->kind);
		return;
	}
	if (own.kind == VALUE_DOUBLE && read->kind == VALUE_DOUBLE && own.d != own.d)
		fuzz_check(read->d != read->d, "NaN"); /* equal to nothing */
	else
		fuzz_check(value_equal(&own, read), "type %u: kinds %u and %u", c->type, own.kind,
			   read->kind);
}

/* The leaves of one image are those of its columns, in their order. */
static void check_values(struct way *w, const char *image, const struct cell *cells,
			 const struct value *leaves)
{
	struct buf path = BUF_INIT;
	int leaf;

	for (uint16_t i = 0; cells != NULL && i < w->shape->column_count; i++) {
		buf_reset(&path);
		buf_add_format(&path, "%s.", image);
		schema_escape_name(w->shape->columns[i].name, &path);
		leaf = decode_leaf_find(w->decode, buf_cstr(&path));
		if (w->shape->columns[i].type == COLUMN_GEOMETRY)
			continue;
		fuzz_check(leaf >= 0, "no leaf %s", buf_cstr(&path));
		check_value(w, &w->shape->columns[i], &cells[i], &leaves[leaf]);
	}
	buf_done(&path);
}

/* No server stores such a number, and none takes it back. */
static bool is_no_number(const struct column *c, const struct cell *cell)
{
	double d = 0;
	float f = 0;

	if (c->type == COLUMN_DOUBLE && cell->size == sizeof(d))
		memcpy(&d, cell->data, sizeof(d));
	if (c->type == COLUMN_FLOAT && cell->size == sizeof(f))
		memcpy(&f, cell->data, sizeof(f));
	return !isfinite(d) || !isfinite(f);
}

static bool is_text(const struct column *c)
{
	return column_is_character(c) || c->type == COLUMN_ENUM || c->type == COLUMN_SET;
}

/* As servers write it: a CHAR without the blanks at its end. */
static struct cell packed(const struct column *c, const struct cell *cell)
{
	struct cell out = *cell;

	if (cell->state == CELL_VALUE && c->type == COLUMN_STRING && !c->is_binary)
		out.size = (uint32_t)charset_trim(charset_of(c->collation), cell->data, cell->size);
	return out;
}

/* Other bytes came back. That is right where they are the same value, which has several forms in
 * hostile bytes alone; and where they were none, and what came back is NULL. */
static void check_other_bytes(const struct column *c, const struct cell *sent,
			      const struct cell *is)
{
	struct cell one = packed(c, sent);
	const struct cell *was = &one;
	struct buf first = BUF_INIT, second = BUF_INIT;
	enum encode_result exact;

	fuzz_check(was->state == CELL_VALUE, "type %u: state %u -> %u", c->type, was->state,
		   is->state);
	exact = encode_for(c)(c, was, &first);
	if (is->state == CELL_VALUE) {
		fuzz_check(encode_for(c)(c, is, &second) == exact, "type %u, exact: %d", c->type,
			   exact == ENCODE_OK);
		if (exact == ENCODE_INEXACT) {
			encode_exact_text(c, was, &first);
			encode_exact_text(c, is, &second);
		}
		fuzz_check(slice_equal(buf_slice(&first), buf_slice(&second)),
			   "type %u, fraction %u, exact: %d: '%.*s' and '%.*s'", c->type,
			   c->fraction, exact == ENCODE_OK, (int)first.size, first.data,
			   (int)second.size, second.data);
	} else {
		fuzz_check(is->state == CELL_NULL && (is_no_number(c, was) ||
						      (exact == ENCODE_INEXACT && !is_text(c))),
			   "type %u, collation %u: state %u, exact: %d", c->type, c->collation,
			   is->state, exact == ENCODE_OK);
	}
	buf_done(&first);
	buf_done(&second);
}

static void check_image(struct way *w, const struct row_back_record *r, enum row_back_image image,
			const struct cell *cells)
{
	struct err e = ERR_INIT;

	fuzz_check(row_back_cells(w->back, r, image, &w->bytes, w->cells, &e) == 0, "%s", e.msg);
	for (uint16_t i = 0; i < w->shape->column_count; i++)
		if (!row_cell_same(&w->shape->columns[i], &cells[i], &w->cells[i]))
			check_other_bytes(&w->shape->columns[i], &cells[i], &w->cells[i]);
}

static void check_row(struct way *w, const struct cell *before, const struct cell *after)
{
	struct row_meta meta = { .op = CHANGE_UPDATE, .seq = 77, .transaction = "0-1-2" };
	struct value leaves[LEAVES];
	struct row_back_record r;
	struct err e = ERR_INIT;

	fuzz_check(decode_leaf_count(w->decode) <= LEAVES, "leaves");
	buf_reset(&w->datum);
	(void)row_plan_envelope(w->plan, &meta, before, after, &w->datum, NULL);
	fuzz_check(decode_run(w->decode, buf_slice(&w->datum), &w->scratch, leaves, &e) == 0, "%s",
		   e.msg);
	check_values(w, "before", before, leaves);
	check_values(w, "after", after, leaves);
	fuzz_check(row_back_read(w->back, buf_slice(&w->datum), &r, &e) == 0, "%s", e.msg);
	fuzz_check(r.seq == 77 && r.op == 'u' && r.has_before == (before != NULL) &&
			   r.has_after == (after != NULL),
		   "the record");
	if (before != NULL)
		check_image(w, &r, ROW_BACK_BEFORE, before);
	if (after != NULL)
		check_image(w, &r, ROW_BACK_AFTER, after);
}

/* Table id 1, no flags, no extra data, the number of columns; bitmaps and rows are the input's. */
static void make_body(const struct way *w, uint8_t type, struct buf *body)
{
	bool v1 = type >= EVENT_WRITE_ROWS_V1 && type <= EVENT_DELETE_ROWS_V1;

	buf_add(body, "\1\0\0\0\0\0\1\0\2\0", v1 ? 8 : 10);
	buf_add_u8(body, (uint8_t)w->shape->column_count);
	buf_add_slice(body, rd_rest(&fuzz_input));
	buf_trim(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_format format = EVENT_FORMAT_INIT;
	struct cell before[COLUMNS], after[COLUMNS];
	struct event ev = { .header = { .log_pos = 77 } };
	struct buf body = BUF_INIT, scratch = BUF_INIT;
	struct err e = ERR_INIT;
	struct rows rows;
	struct way w;
	int rc;

	fuzz_input = rd_of(data, size);
	way_begin(&w);
	ev.header.type = types[fuzz_pick(sizeof(types))];
	make_body(&w, ev.header.type, &body);
	ev.body = buf_slice(&body);
	rc = rows_read(&ev, &format, &scratch, &rows, &e);
	if (rc == 0)
		while ((rc = rows_next(&rows, w.shape, before, after, &e)) == 1)
			check_row(&w, rows.kind == ROWS_WRITE ? NULL : before,
				  rows.kind == ROWS_DELETE ? NULL : after);
	if (rc < 0)
		fuzz_check_error(&e, ERR_DATA);
	way_end(&w);
	buf_done(&body);
	buf_done(&scratch);
	return 0;
}
