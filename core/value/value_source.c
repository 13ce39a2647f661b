/*
 * value_source.c - the text of a query's answer in canonical form.
 *
 * verify asks the source a question and compares the answer with a view that was built from events.
 * Both sides must say a value in the same way, so this does to the text protocol what value.c does
 * to cells. The session must have time_zone '+00:00' and utf8mb4 results.
 *
 * Refuses text that its type can't have printed. A date that is no day of the calendar is fine: it
 * stays text, as in value.c.
 */
#include "core/value/value.h"

#include "core/value/charset.h"
#include "core/value/temporal.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* Codes that only the protocol uses. */
enum {
	SOURCE_OLD_DECIMAL = 0,
	SOURCE_NULL = 6,
	SOURCE_NEWDATE = 14,
	SOURCE_TINY_BLOB = 249,
	SOURCE_LONG_BLOB = 251,
	SOURCE_VAR_STRING = 253,
};

#define NUMBER_TEXT_MAX 400 /* a DOUBLE(255,30) in full */

static bool read_integer(struct slice text, int64_t *ret_i)
{
	char number[24], *end;

	if (text.size == 0 || text.size >= sizeof(number))
		return false;
	memcpy(number, text.data, text.size);
	number[text.size] = '\0';
	if (number[0] != '-' && (number[0] < '0' || number[0] > '9'))
		return false;
	errno = 0;
	*ret_i = strtoll(number, &end, 10);
	return errno == 0 && end == number + text.size;
}

static bool read_double(struct slice text, bool single, double *ret_d)
{
	char number[NUMBER_TEXT_MAX + 1], *end;

	if (text.size == 0 || text.size > NUMBER_TEXT_MAX)
		return false;
	memcpy(number, text.data, text.size);
	number[text.size] = '\0';
	if (strspn(number, "0123456789+-.eE") != text.size) /* blanks, hex, names: strtod's own */
		return false;
	*ret_d = single ? (double)strtof(number, &end) : strtod(number, &end);
	return end == number + text.size && isfinite(*ret_d);
}

/* Digits, at most one point, maybe a sign. Sets where the digits begin behind leading zeros, and
 * whether all are zero. */
static bool scan_decimal(struct slice text, size_t *ret_begin, bool *ret_zero)
{
	size_t begin = text.size > 0 && text.data[0] == '-', points = 0, digits = 0;

	*ret_zero = true;
	for (size_t i = begin; i < text.size; i++) {
		uint8_t c = text.data[i];

		if (c != '.' && (c < '0' || c > '9'))
			return false;
		points += c == '.';
		digits += c != '.';
		*ret_zero = *ret_zero && (c == '.' || c == '0');
	}
	while (begin + 1 < text.size && text.data[begin] == '0' && text.data[begin + 1] != '.')
		begin++;
	*ret_begin = begin;
	return points <= 1 && digits > 0;
}

/* The server's form without zeros of ZEROFILL and without a sign on zero. */
static bool read_decimal(struct slice text, struct buf *scratch, struct value *ret_value)
{
	size_t at = scratch->size, begin;
	bool zero;

	if (!scan_decimal(text, &begin, &zero))
		return false;
	if (text.data[0] == '-' && !zero)
		buf_add_u8(scratch, '-');
	if (text.data[begin] == '.')
		buf_add_u8(scratch, '0');
	buf_add(scratch, text.data + begin, text.size - begin);
	*ret_value = (struct value){ .kind = VALUE_TEXT,
				     .bytes = slice_of(scratch->data + at, scratch->size - at) };
	return true;
}

static bool read_temporal(uint8_t type, struct slice text, struct value *ret_value)
{
	struct temporal t;

	if (!temporal_parse(type, text, &t))
		return false;
	if (temporal_number(type, &t, &ret_value->i))
		ret_value->kind = VALUE_INT;
	else
		*ret_value = (struct value){ .kind = VALUE_TEXT, .bytes = text };
	return true;
}

static bool read_bit(const struct value_source_type *type, struct slice text,
		     struct value *ret_value)
{
	if (text.size < 1 || text.size > 8)
		return false;
	if (type->bits == 1)
		*ret_value = (struct value){ .kind = VALUE_INT, .i = text.data[text.size - 1] };
	else
		*ret_value = (struct value){ .kind = VALUE_BYTES, .bytes = text };
	return true;
}

/* MySQL's VECTOR comes as its bytes. */
static bool read_vector(struct slice bytes, struct buf *scratch, struct value *ret_value)
{
	struct column c = { .type = COLUMN_VECTOR };
	struct cell cell = { bytes.data, (uint32_t)bytes.size, CELL_VALUE };

	return bytes.size <= UINT32_MAX && value_from_cell(&c, &cell, scratch, ret_value);
}

static bool read_text(bool is_binary, struct slice text, struct value *ret_value)
{
	*ret_value = (struct value){ .kind = is_binary ? VALUE_BYTES : VALUE_TEXT, .bytes = text };
	return is_binary || charset_utf8_valid(text.data, text.size, false);
}

/* NULL is out of the way. */
static bool read_value(const struct value_source_type *type, struct slice text, struct buf *scratch,
		       struct value *ret_value)
{
	switch (type->type) {
	case COLUMN_TINY:
	case COLUMN_SHORT:
	case COLUMN_INT24:
	case COLUMN_LONG:
	case COLUMN_YEAR:
		ret_value->kind = VALUE_INT;
		return read_integer(text, &ret_value->i);
	case COLUMN_LONGLONG:
		if (type->is_unsigned)
			return read_decimal(text, scratch, ret_value);
		ret_value->kind = VALUE_INT;
		return read_integer(text, &ret_value->i);
	case SOURCE_OLD_DECIMAL:
	case COLUMN_NEWDECIMAL:
		return read_decimal(text, scratch, ret_value);
	case COLUMN_FLOAT:
	case COLUMN_DOUBLE:
		ret_value->kind = VALUE_DOUBLE;
		return read_double(text, type->type == COLUMN_FLOAT, &ret_value->d);
	case SOURCE_NEWDATE:
		return read_temporal(COLUMN_DATE, text, ret_value);
	case COLUMN_DATE:
	case COLUMN_TIME:
	case COLUMN_TIME2:
	case COLUMN_DATETIME:
	case COLUMN_DATETIME2:
	case COLUMN_TIMESTAMP:
	case COLUMN_TIMESTAMP2:
		return read_temporal(type->type, text, ret_value);
	case COLUMN_BIT:
		return read_bit(type, text, ret_value);
	case COLUMN_ENUM:
	case COLUMN_SET:
	case COLUMN_JSON:
		return read_text(false, text, ret_value);
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
	case SOURCE_VAR_STRING:
	case COLUMN_BLOB:
	case SOURCE_TINY_BLOB:
	case SOURCE_TINY_BLOB + 1: /* MEDIUM_BLOB */
	case SOURCE_LONG_BLOB:
		return read_text(type->is_binary, text, ret_value);
	case COLUMN_GEOMETRY:
		return read_text(true, text, ret_value);
	case COLUMN_VECTOR:
		return read_vector(text, scratch, ret_value);
	default: /* a byte from the server, not an enum */
		return false;
	}
}

int value_from_text(const struct value_source_type *type, struct slice text, struct buf *scratch,
		    struct value *ret_value, struct err *e)
{
	struct value v = { .kind = VALUE_NULL };

	if (text.data == NULL || type->type == SOURCE_NULL) {
		*ret_value = v;
		return 0;
	}
	if (!read_value(type, text, scratch, &v))
		return err_data(e, "text of %zu bytes is no value of column type %u", text.size,
				type->type);
	*ret_value = v;
	return 0;
}
