/* fuzz_row_text.c - values as a server's text protocol gives them (core/value/row_text.c,
 * value_source.c, temporal.c, decimal.c, network.c, real.c; key.c). Input: a table, then a part for
 * each column (size 0xffff: NULL). What is taken makes an image whose cells are the value; its key
 * sorts with itself. */
#include "test/fuzz/fuzz.h"

#include "cdc/change/key.h"
#include "core/base/mem.h"
#include "core/value/decimal.h"
#include "core/value/encode.h"
#include "core/value/temporal.h"
#include "core/value/value.h"

#include <string.h>

#define COLUMNS 6

static struct slice pick_text(void)
{
	struct slice part = fuzz_part();

	return part.size == 0 && fuzz_pick(2) == 1 ? slice_of(NULL, 0) : part;
}

/* The same text of a query's result, by the column's type. */
static void check_source(const struct column *c, struct slice text)
{
	struct value_source_type type = { .type = c->type,
					  .is_unsigned = c->is_unsigned,
					  .is_binary = c->is_binary,
					  .decimals = c->fraction,
					  .bits = c->bits };
	struct buf scratch = BUF_INIT, shown = BUF_INIT;
	struct err e = ERR_INIT;
	struct value v;

	if (value_from_text(&type, text, &scratch, &v, &e) == 0) {
		value_text(&v, &shown);
		fuzz_check(v.kind == VALUE_DOUBLE || value_compare(&v, &v) == 0, "with itself");
	} else {
		fuzz_check_error(&e, ERR_DATA);
	}
	buf_done(&scratch);
	buf_done(&shown);
}

/* Stored and printed again, a date or a number is the same. */
static void check_printed(const struct column *c, struct slice text)
{
	uint8_t packed[DECIMAL_PACKED_MAX];
	char first[TEMPORAL_TEXT_MAX + DECIMAL_TEXT_MAX], second[sizeof(first)];
	struct temporal t, back;
	size_t size;

	if (c->type == COLUMN_NEWDECIMAL &&
	    decimal_from_text(text, c->precision, c->scale, packed)) {
		size = decimal_to_text(packed, c->precision, c->scale, first);
		fuzz_check(size > 0 && size <= DECIMAL_TEXT_MAX, "%zu", size);
		fuzz_check(decimal_from_text(slice_of(first, size), c->precision, c->scale, packed),
			   "'%.*s'", (int)size, first);
		fuzz_check(decimal_to_text(packed, c->precision, c->scale, second) == size &&
				   memcmp(first, second, size) == 0,
			   "'%.*s'", (int)size, first);
	}
	if (temporal_size(c) == 0 || !temporal_parse(c->type, text, &t))
		return;
	size = temporal_text(c->type, &t, 6, first);
	fuzz_check(size <= TEMPORAL_TEXT_MAX, "%zu", size);
	fuzz_check(temporal_parse(c->type, slice_of(first, size), &back), "'%.*s'", (int)size,
		   first);
	fuzz_check(temporal_text(c->type, &back, 6, second) == size &&
			   memcmp(first, second, size) == 0,
		   "'%.*s'", (int)size, first);
}

static bool is_temporal(const struct column *c)
{
	switch ((enum column_type)c->type) {
	case COLUMN_TIMESTAMP:
	case COLUMN_DATE:
	case COLUMN_TIME:
	case COLUMN_DATETIME:
	case COLUMN_TIMESTAMP2:
	case COLUMN_DATETIME2:
	case COLUMN_TIME2:
		return true;
	case COLUMN_TINY:
	case COLUMN_SHORT:
	case COLUMN_LONG:
	case COLUMN_FLOAT:
	case COLUMN_DOUBLE:
	case COLUMN_LONGLONG:
	case COLUMN_INT24:
	case COLUMN_YEAR:
	case COLUMN_VARCHAR:
	case COLUMN_BIT:
	case COLUMN_VECTOR:
	case COLUMN_JSON:
	case COLUMN_NEWDECIMAL:
	case COLUMN_ENUM:
	case COLUMN_SET:
	case COLUMN_BLOB:
	case COLUMN_STRING:
	case COLUMN_GEOMETRY:
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
		return false;
	}
	return false;
}

static void check_cells(const struct shape *s, const struct slice *texts, struct slice image)
{
	static const uint8_t all[] = { 0xff };
	struct buf out = BUF_INIT, stored = BUF_INIT;
	struct cell cells[COLUMNS], one;
	struct err e = ERR_INIT;
	struct rd in = rd_from(image);

	fuzz_check(row_split(&in, s, all, cells, &e) == 0 && rd_end(&in), "%s", e.msg);
	for (uint16_t i = 0; i < s->column_count; i++) {
		const struct column *c = &s->columns[i];

		fuzz_check((cells[i].state == CELL_NULL) == (texts[i].data == NULL), "NULL");
		if (cells[i].state != CELL_VALUE)
			continue;
		buf_reset(&stored);
		fuzz_check(row_cell_from_text(c, texts[i], &stored, &one) &&
				   cell_equal(&one, &cells[i]),
			   "alone: type %u", c->type);
		(void)encode_for(c)(c, &cells[i], &out);
		encode_exact_text(c, &cells[i], &out);
	}
	buf_done(&out);
	buf_done(&stored);
}

static void check_key(struct shape *s, const struct slice *texts)
{
	struct key_border border = { BUF_INIT, BUF_INIT }, back = { BUF_INIT, BUF_INIT };
	const char *literals[COLUMNS];
	struct buf sql = BUF_INIT;
	struct err e = ERR_INIT;
	size_t at = 0;

	if (key_refused(s) != NULL || !key_is_local(s))
		return;
	if (key_border_from_text(s, texts, NULL, &border, &e) == 0) {
		for (uint16_t i = 0; i < s->key_count; i++) {
			literals[i] = (const char *)border.literals.data + at;
			at += strlen(literals[i]) + 1;
		}
		fuzz_check(at == border.literals.size, "literals");
		fuzz_check(key_border_from_literals(s, literals, s->key_count, NULL, &back, &e) ==
				   0,
			   "%s: %s", e.msg, literals[0]);
		fuzz_check_same(buf_slice(&border.key), buf_slice(&back.key));
		fuzz_check(key_compare(buf_slice(&border.key), buf_slice(&back.key)) == 0, "order");
		key_condition(s, &border, true, false, &sql);
		fuzz_check(sql.size > 0, "no condition");
	}
	key_border_done(&border);
	key_border_done(&back);
	buf_done(&sql);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice texts[COLUMNS];
	struct buf image = BUF_INIT;
	struct err e = ERR_INIT;
	struct shape *s;

	fuzz_input = rd_of(data, size);
	s = fuzz_table(COLUMNS);
	for (uint16_t i = 0; i < s->column_count; i++) {
		texts[i] = pick_text();
		if (texts[i].data == NULL)
			continue;
		check_source(&s->columns[i], texts[i]);
		if (is_temporal(&s->columns[i]) || s->columns[i].type == COLUMN_NEWDECIMAL)
			check_printed(&s->columns[i], texts[i]);
	}
	if (row_image_from_text(s, texts, &image, &e) == 0) {
		buf_trim(&image);
		check_cells(s, texts, buf_slice(&image));
		s->key = xcalloc(s->column_count, sizeof(*s->key));
		s->key_count = 1;
		if (texts[0].data != NULL)
			check_key(s, texts);
	} else {
		fuzz_check_error(&e, ERR_DATA);
	}
	shape_unref(s);
	buf_done(&image);
	return 0;
}
