/*
 * value.c - cells as values in canonical form, and what values are compared by.
 *
 * A value points where its bytes are: into the row image where text is UTF-8 already, into the
 * caller's scratch where something had to be made. Scratch may move when it grows; value_fix() then
 * takes the earlier values of the same row along, and value_from_row() does that for a whole row.
 *
 * Order is SQLite's: NULL, numbers, text, bytes. An integer and a double are compared as the exact
 * numbers they are, not after rounding one of them.
 */
#include "core/value/value.h"

#include "core/value/cell_number.h"
#include "core/value/charset.h"
#include "core/value/decimal.h"
#include "core/value/document.h"
#include "core/value/encode.h"
#include "core/value/network.h"
#include "core/value/temporal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_SHOWN_MAX 200 /* bytes of content in a diff */

static struct value of_int(int64_t i)
{
	return (struct value){ .kind = VALUE_INT, .i = i };
}

static struct value of_bytes(enum value_kind kind, struct slice bytes)
{
	return (struct value){ .kind = (uint8_t)kind, .bytes = bytes };
}

/* Text that stands in scratch from `begin` on. */
static struct value of_scratch(enum value_kind kind, const struct buf *scratch, size_t begin)
{
	if (scratch->size == begin)
		return of_bytes(kind, slice_of("", 0));
	return of_bytes(kind, slice_of(scratch->data + begin, scratch->size - begin));
}

static struct value exact_text(const struct column *column, const struct cell *cell,
			       struct buf *scratch)
{
	size_t begin = scratch->size;

	encode_exact_text(column, cell, scratch);
	return of_scratch(VALUE_TEXT, scratch, begin);
}

static bool from_integer(const struct column *column, const struct cell *cell, struct buf *scratch,
			 struct value *ret_value)
{
	unsigned unused = 64 - 8 * cell->size;
	uint64_t v = cell_packed(cell);

	if (column->is_unsigned && cell->size == 8)
		*ret_value = exact_text(column, cell, scratch);
	else if (column->is_unsigned)
		*ret_value = of_int((int64_t)v);
	else
		*ret_value = of_int((int64_t)(v << unused) >> unused);
	return true;
}

static bool from_float(const struct cell *cell, struct value *ret_value)
{
	struct value v = { .kind = VALUE_DOUBLE };
	float f;

	if (cell->size == sizeof(f)) {
		memcpy(&f, cell->data, sizeof(f));
		v.d = (double)f;
	} else {
		memcpy(&v.d, cell->data, sizeof(v.d));
	}
	*ret_value = v;
	return true;
}

static bool from_decimal(const struct column *column, const struct cell *cell, struct buf *scratch,
			 struct value *ret_value)
{
	char text[DECIMAL_TEXT_MAX];

	*ret_value = exact_text(column, cell, scratch);
	return decimal_to_text(cell->data, column->precision, column->scale, text) > 0;
}

static bool from_temporal(const struct column *column, const struct cell *cell, struct buf *scratch,
			  struct value *ret_value)
{
	struct temporal t;
	int64_t number;

	if (temporal_from_cell(column, cell, &t) && temporal_number(column->type, &t, &number)) {
		*ret_value = of_int(number);
		return true;
	}
	*ret_value = exact_text(column, cell, scratch);
	return false;
}

static bool from_labels(const struct column *column, const struct cell *cell, struct buf *scratch,
			struct value *ret_value)
{
	uint64_t number = cell_packed(cell);

	*ret_value = exact_text(column, cell, scratch);
	if (column->type == COLUMN_ENUM)
		return number > 0 && number <= column->label_count;
	return column->label_count >= 64 || number >> column->label_count == 0;
}

static bool from_binary(const struct column *column, const struct cell *cell, struct buf *scratch,
			struct value *ret_value)
{
	size_t begin = scratch->size, missing;

	*ret_value = of_bytes(VALUE_BYTES, slice_of(cell->data, cell->size));
	if (column->type != COLUMN_STRING || cell->size >= column->size_max)
		return true;
	missing = column->size_max - cell->size;
	buf_add(scratch, cell->data, cell->size);
	memset(buf_reserve(scratch, missing), 0, missing);
	scratch->size += missing;
	*ret_value = of_scratch(VALUE_BYTES, scratch, begin);
	return true;
}

static bool from_text(const struct column *column, const struct cell *cell, struct buf *scratch,
		      struct value *ret_value)
{
	struct slice text = slice_of(cell->data, cell->size);
	enum charset charset = charset_of(column->collation);
	size_t begin = scratch->size;

	if (column->is_binary)
		return from_binary(column, cell, scratch, ret_value);
	if (charset == CHARSET_UTF8MB4 && charset_utf8_valid(text.data, text.size, false)) {
		*ret_value = of_bytes(VALUE_TEXT, text);
		return true;
	}
	if (!charset_to_utf8(charset, text, scratch)) {
		*ret_value = exact_text(column, cell, scratch);
		return false;
	}
	*ret_value = of_scratch(VALUE_TEXT, scratch, begin);
	return true;
}

static bool from_bit(const struct column *column, const struct cell *cell, struct buf *scratch,
		     struct value *ret_value)
{
	if (column->bits == 1 && cell->data[0] > 1) { /* as encode.c has it */
		*ret_value = exact_text(column, cell, scratch);
		return false;
	}
	if (column->bits == 1)
		*ret_value = of_int(cell->data[0]);
	else
		*ret_value = of_bytes(VALUE_BYTES, slice_of(cell->data, cell->size));
	return true;
}

static bool from_document(const struct column *column, const struct cell *cell, struct buf *scratch,
			  struct value *ret_value)
{
	size_t begin = scratch->size;

	if (!document_text(column, cell, scratch)) {
		*ret_value = exact_text(column, cell, scratch);
		return false;
	}
	*ret_value = of_scratch(VALUE_TEXT, scratch, begin);
	return true;
}

static bool from_network(const struct column *column, const struct cell *cell, struct buf *scratch,
			 struct value *ret_value)
{
	char text[NETWORK_TEXT_MAX];

	*ret_value = exact_text(column, cell, scratch);
	return network_text(column, cell, text) > 0;
}

bool value_from_cell(const struct column *column, const struct cell *cell, struct buf *scratch,
		     struct value *ret_value)
{
	if (cell->state != CELL_VALUE) {
		ret_value->kind = cell->state == CELL_NULL ? VALUE_NULL : VALUE_ABSENT;
		return true;
	}
	switch ((enum column_type)column->type) {
	case COLUMN_TINY:
	case COLUMN_SHORT:
	case COLUMN_INT24:
	case COLUMN_LONG:
	case COLUMN_LONGLONG:
		return from_integer(column, cell, scratch, ret_value);
	case COLUMN_FLOAT:
	case COLUMN_DOUBLE:
		return from_float(cell, ret_value);
	case COLUMN_NEWDECIMAL:
		return from_decimal(column, cell, scratch, ret_value);
	case COLUMN_YEAR:
		*ret_value = of_int(column_year(column, cell->data[0]));
		return true;
	case COLUMN_DATE:
	case COLUMN_TIME:
	case COLUMN_TIMESTAMP:
	case COLUMN_DATETIME:
	case COLUMN_TIME2:
	case COLUMN_TIMESTAMP2:
	case COLUMN_DATETIME2:
		return from_temporal(column, cell, scratch, ret_value);
	case COLUMN_BIT:
		return from_bit(column, cell, scratch, ret_value);
	case COLUMN_ENUM:
	case COLUMN_SET:
		return from_labels(column, cell, scratch, ret_value);
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
	case COLUMN_BLOB:
		return from_text(column, cell, scratch, ret_value);
	case COLUMN_JSON:
		return from_document(column, cell, scratch, ret_value);
	case COLUMN_VECTOR:
		*ret_value = exact_text(column, cell, scratch);
		return cell->size % sizeof(float) == 0;
	case COLUMN_GEOMETRY:
		*ret_value = of_bytes(VALUE_BYTES, slice_of(cell->data, cell->size));
		return cell->size >= 4;
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
		return from_network(column, cell, scratch, ret_value);
	}
	*ret_value = exact_text(column, cell, scratch);
	return false;
}

void value_fix(struct value *values, size_t count, uintptr_t before, size_t size,
	       const struct buf *scratch)
{
	uintptr_t now = (uintptr_t)scratch->data;

	if (before == 0 || before == now)
		return;
	for (size_t i = 0; i < count; i++) {
		uintptr_t at = (uintptr_t)values[i].bytes.data;

		if ((values[i].kind == VALUE_TEXT || values[i].kind == VALUE_BYTES) &&
		    at >= before && at - before < size)
			values[i].bytes.data = scratch->data + (at - before);
	}
}

size_t value_from_row(const struct shape *shape, const struct cell *cells, struct buf *scratch,
		      struct value *ret_values)
{
	size_t inexact = 0;

	for (uint16_t i = 0; i < shape->column_count; i++) {
		uintptr_t before = (uintptr_t)scratch->data;
		size_t size = scratch->size;

		inexact += !value_from_cell(&shape->columns[i], &cells[i], scratch, &ret_values[i]);
		value_fix(ret_values, i, before, size, scratch);
	}
	return inexact;
}

static int compare_bytes(struct slice a, struct slice b)
{
	size_t least = a.size < b.size ? a.size : b.size;
	int order = least > 0 ? memcmp(a.data, b.data, least) : 0;

	return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* Exact: the double's whole part fits an int64 where it lies between its limits, and decides unless
 * equal. */
static int compare_int_double(int64_t i, double d)
{
	int64_t whole;

	if (isnan(d) || d < -0x1p63)
		return 1;
	if (d >= 0x1p63)
		return -1;
	whole = (int64_t)d;
	if (i != whole)
		return i < whole ? -1 : 1;
	return (double)whole < d ? -1 : (double)whole > d;
}

static int compare_doubles(double a, double b)
{
	if (isnan(a) || isnan(b))
		return isnan(b) - isnan(a);
	return (a > b) - (a < b);
}

static int compare_numbers(const struct value *a, const struct value *b)
{
	if (a->kind == VALUE_INT && b->kind == VALUE_INT)
		return (a->i > b->i) - (a->i < b->i);
	if (a->kind == VALUE_INT)
		return compare_int_double(a->i, b->d);
	if (b->kind == VALUE_INT)
		return -compare_int_double(b->i, a->d);
	return compare_doubles(a->d, b->d);
}

static int rank(const struct value *v)
{
	switch ((enum value_kind)v->kind) {
	case VALUE_ABSENT:
		return 0;
	case VALUE_NULL:
		return 1;
	case VALUE_INT:
	case VALUE_DOUBLE:
		return 2;
	case VALUE_TEXT:
		return 3;
	case VALUE_BYTES:
		return 4;
	}
	return 5;
}

int value_compare(const struct value *a, const struct value *b)
{
	int rank_a = rank(a), rank_b = rank(b);

	if (rank_a != rank_b)
		return rank_a < rank_b ? -1 : 1;
	if (rank_a < 2)
		return 0;
	return rank_a == 2 ? compare_numbers(a, b) : compare_bytes(a->bytes, b->bytes);
}

bool value_equal(const struct value *a, const struct value *b)
{
	return value_compare(a, b) == 0;
}

/* Where to cut a text so that no character is halved. */
static size_t shown(struct slice text)
{
	size_t n = text.size;

	if (n <= TEXT_SHOWN_MAX)
		return n;
	for (n = TEXT_SHOWN_MAX; n > TEXT_SHOWN_MAX - 4 && (text.data[n] & 0xc0) == 0x80;)
		n--;
	return n;
}

static void put_quoted(struct slice text, struct buf *out)
{
	size_t size = shown(text);

	buf_add_u8(out, '\'');
	for (size_t i = 0; i < size; i++) {
		uint8_t c = text.data[i];

		if (c == '\'')
			buf_add_str(out, "''");
		else if (c == '\n')
			buf_add_str(out, "\\n");
		else if (c < 0x20 || c == 0x7f)
			buf_add_format(out, "\\x%02x", c);
		else
			buf_add_u8(out, c);
	}
	buf_add_str(out, size < text.size ? "...'" : "'");
}

static void put_hex(struct slice bytes, struct buf *out)
{
	size_t size = bytes.size < TEXT_SHOWN_MAX / 2 ? bytes.size : TEXT_SHOWN_MAX / 2;

	buf_add_str(out, "x'");
	for (size_t i = 0; i < size; i++)
		buf_add_format(out, "%02x", bytes.data[i]);
	buf_add_str(out, size < bytes.size ? "...'" : "'");
}

static void put_double(double d, struct buf *out)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	buf_add_str(out, text);
}

void value_text(const struct value *v, struct buf *out)
{
	switch ((enum value_kind)v->kind) {
	case VALUE_ABSENT:
		buf_add_str(out, "(absent)");
		return;
	case VALUE_NULL:
		buf_add_str(out, "NULL");
		return;
	case VALUE_INT:
		buf_add_format(out, "%" PRId64, v->i);
		return;
	case VALUE_DOUBLE:
		put_double(v->d, out);
		return;
	case VALUE_TEXT:
		put_quoted(v->bytes, out);
		return;
	case VALUE_BYTES:
		put_hex(v->bytes, out);
		return;
	}
}
