/*
 * row_text.c - rows of a SELECT into the images that the binlog would hold.
 *
 * The first copy reads tables by the text protocol. Instead of a second way from value to Avro, its
 * rows are packed into the binlog's own form here, and go through the same split and encode as
 * streamed rows: what text can't say exactly (FLOAT, ENUM, SET, BIT) is asked for as a number by
 * the select list.
 *
 * What the server does when it packs a row, and we must do too: CHAR loses its trailing blanks and
 * BINARY its trailing zero bytes; unused bits at the end of the null bitmap are 1.
 *
 * Refuses text that its column can't have printed; the message names the column, never the value.
 */
#include "core/value/row.h"

#include "core/base/fault.h"
#include "core/value/charset.h"
#include "core/value/decimal.h"
#include "core/value/document.h"
#include "core/value/temporal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define NUMBER_TEXT_MAX 400 /* a DOUBLE(255,30) in full */

void row_quote_name(const char *name, struct buf *sql)
{
	buf_add_u8(sql, '`');
	for (const char *p = name; *p != '\0'; p++) {
		if (*p == '`')
			buf_add_u8(sql, '`');
		buf_add_u8(sql, (uint8_t)*p);
	}
	buf_add_u8(sql, '`');
}

void row_select_column(const struct column *c, struct buf *sql)
{
	const char *before = "", *after = "";

	if (c->type == COLUMN_FLOAT || c->type == COLUMN_DOUBLE) {
		after = "*1e0"; /* with all digits, and CAST(... AS DOUBLE) is not on every server
				 */
	} else if (c->type == COLUMN_UUID || c->type == COLUMN_INET4 || c->type == COLUMN_INET6) {
		before = "CAST(";
		after = c->type == COLUMN_INET4 ? " AS BINARY(4))" : " AS BINARY(16))";
	} else if (c->type == COLUMN_ENUM || c->type == COLUMN_SET || c->type == COLUMN_BIT) {
		before = "CAST(";
		after = " AS UNSIGNED)";
	}
	buf_add_str(sql, before);
	row_quote_name(c->name, sql);
	buf_add_str(sql, after);
}

void row_select_list(const struct shape *shape, struct buf *sql)
{
	for (uint16_t i = 0; i < shape->column_count; i++) {
		if (i > 0)
			buf_add_u8(sql, ',');
		row_select_column(&shape->columns[i], sql);
	}
}

static void put_le(struct buf *image, uint64_t v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		buf_add_u8(image, (uint8_t)(v >> 8 * i));
}

static void put_be(struct buf *image, uint64_t v, size_t bytes)
{
	while (bytes > 0)
		buf_add_u8(image, (uint8_t)(v >> 8 * --bytes));
}

/* Digits only, as many as there are (ZEROFILL), no more than 64 bits. */
static bool parse_digits(struct slice text, uint64_t *ret_v)
{
	uint64_t v = 0;

	if (text.size == 0)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		uint8_t digit = (uint8_t)(text.data[i] - '0');

		if (digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, digit, &v))
			return false;
	}
	*ret_v = v;
	return true;
}

static bool store_integer(struct slice text, size_t bytes, bool is_unsigned, struct buf *image)
{
	uint64_t limit = is_unsigned ? UINT64_MAX >> (64 - 8 * bytes)
				     : (UINT64_C(1) << (8 * bytes - 1)) - 1,
		 v;
	bool negative = !is_unsigned && text.size > 0 && text.data[0] == '-';

	if (negative)
		text = slice_of(text.data + 1, text.size - 1);
	if (!parse_digits(text, &v) || v > limit + negative)
		return false;
	put_le(image, negative ? -v : v, bytes);
	return true;
}

static bool store_number(struct slice text, uint64_t limit, size_t bytes, bool big_endian,
			 struct buf *image)
{
	uint64_t v;

	if (!parse_digits(text, &v) || v > limit)
		return false;
	if (big_endian)
		put_be(image, v, bytes);
	else
		put_le(image, v, bytes);
	return true;
}

static bool store_float(struct slice text, bool single, struct buf *image)
{
	char number[NUMBER_TEXT_MAX + 1], *end;
	double d;
	float f;

	if (text.size == 0 || text.size > NUMBER_TEXT_MAX)
		return false;
	memcpy(number, text.data, text.size);
	number[text.size] = '\0';
	if (strspn(number, "0123456789+-.e") != text.size) /* blanks, hex, names, E: strtod's own */
		return false;
	d = strtod(number, &end);
	if (end != number + text.size || !isfinite(d))
		return false;
	f = (float)d;
	if (single && (double)f != d) /* CAST AS DOUBLE prints the float itself, nothing near it */
		return false;
	if (single)
		buf_add(image, &f, sizeof(f));
	else
		buf_add(image, &d, sizeof(d));
	return true;
}

/* "2024", "0000"; YEAR(2) prints two digits: 1970 to 2069, and no zero. */
static bool store_year(struct slice text, struct buf *image)
{
	uint64_t v;

	if (!parse_digits(text, &v))
		return false;
	if (text.size == 2)
		v += v < 70 ? 2000 : 1900;
	if (text.size > 4 || (v != 0 && (v < 1901 || v > 2155)))
		return false;
	buf_add_u8(image, v == 0 ? 0 : (uint8_t)(v - 1900));
	return true;
}

static bool store_text(const struct column *c, struct slice text, struct buf *image)
{
	if (text.size > column_bytes_max(c))
		return false;
	if (c->type == COLUMN_STRING || BUG(copy_blank))
		text.size = charset_trim(charset_of(c->collation), text.data, text.size);
	put_le(image, text.size, column_length_bytes(c));
	buf_add_slice(image, text);
	return true;
}

/* UUID and INET: all bytes, which lose zeros at their end. */
static bool store_network(const struct column *c, struct slice bytes, struct buf *image)
{
	if (bytes.size != c->size_max)
		return false;
	bytes.size = charset_trim(CHARSET_BINARY, bytes.data, bytes.size);
	return store_text(c, bytes, image);
}

/* Text, marked as such (document.h). */
static bool store_document(const struct column *c, struct slice text, struct buf *image)
{
	if (text.size >= column_bytes_max(c))
		return false;
	put_le(image, text.size + 1, column_length_bytes(c));
	buf_add_u8(image, DOCUMENT_IS_TEXT);
	buf_add_slice(image, text);
	return true;
}

static bool store_temporal(const struct column *c, struct slice text, struct buf *image)
{
	struct temporal t;

	return temporal_parse(c->type, text, &t) && temporal_store(c, &t, image);
}

static bool store_decimal(const struct column *c, struct slice text, struct buf *image)
{
	uint8_t packed[DECIMAL_PACKED_MAX];

	if (!decimal_from_text(text, c->precision, c->scale, packed))
		return false;
	buf_add(image, packed, decimal_packed_size(c->precision, c->scale));
	return true;
}

static uint64_t ones(unsigned bits)
{
	return bits == 0 ? 0 : UINT64_MAX >> (64 - bits);
}

bool row_store_bytes(const struct column *c, struct slice bytes, struct buf *image)
{
	size_t length = column_length_bytes(c);

	if (length == 0 || bytes.size > column_bytes_max(c))
		return false;
	put_le(image, bytes.size, length);
	buf_add_slice(image, bytes);
	return true;
}

bool row_store_text(const struct column *c, struct slice text, struct buf *image)
{
	switch ((enum column_type)c->type) {
	case COLUMN_TINY:
		return store_integer(text, 1, c->is_unsigned, image);
	case COLUMN_SHORT:
		return store_integer(text, 2, c->is_unsigned, image);
	case COLUMN_INT24:
		return store_integer(text, 3, c->is_unsigned, image);
	case COLUMN_LONG:
		return store_integer(text, 4, c->is_unsigned, image);
	case COLUMN_LONGLONG:
		return store_integer(text, 8, c->is_unsigned, image);
	case COLUMN_FLOAT:
	case COLUMN_DOUBLE:
		return store_float(text, c->type == COLUMN_FLOAT, image);
	case COLUMN_NEWDECIMAL:
		return store_decimal(c, text, image);
	case COLUMN_YEAR:
		return store_year(text, image);
	case COLUMN_BIT:
		return store_number(text, ones(c->bits), (c->bits + 7u) / 8, true, image);
	case COLUMN_ENUM:
	case COLUMN_SET:
		return store_number(text, ones(8u * c->pack_bytes), c->pack_bytes, false, image);
	case COLUMN_DATE:
	case COLUMN_TIME:
	case COLUMN_TIMESTAMP:
	case COLUMN_DATETIME:
	case COLUMN_TIME2:
	case COLUMN_TIMESTAMP2:
	case COLUMN_DATETIME2:
		return store_temporal(c, text, image);
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
	case COLUMN_BLOB:
	case COLUMN_GEOMETRY:
	case COLUMN_VECTOR:
		return store_text(c, text, image);
	case COLUMN_JSON:
		return store_document(c, text, image);
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
		return store_network(c, text, image);
	}
	return false;
}

/* Length prefixes are taken off again, as row_split() does. */
bool row_cell_from_text(const struct column *c, struct slice text, struct buf *stored,
			struct cell *ret_cell)
{
	size_t at = stored->size, prefix = column_length_bytes(c);

	if (!row_store_text(c, text, stored))
		return false;
	*ret_cell = (struct cell){ .data = stored->data + at + prefix,
				   .size = (uint32_t)(stored->size - at - prefix),
				   .state = CELL_VALUE };
	return true;
}

int row_image_from_text(const struct shape *shape, const struct slice *text, struct buf *image,
			struct err *e)
{
	size_t begin = image->size, nulls = (shape->column_count + 7u) / 8;

	memset(buf_reserve(image, nulls), 0xff, nulls);
	image->size += nulls;
	for (uint16_t i = 0; i < shape->column_count; i++) {
		const struct column *c = &shape->columns[i];
		char type[64];

		if (text[i].data == NULL)
			continue;
		if (!row_store_text(c, text[i], image)) {
			image->size = begin;
			return err_data(
				e,
				"table %s.%s: column %s: text of %zu bytes is no value of type %s",
				shape->db, shape->table, c->name, text[i].size,
				column_type_text(c, type, sizeof(type)));
		}
		image->data[begin + i / 8] &= (uint8_t) ~(1u << i % 8);
	}
	return 0;
}
