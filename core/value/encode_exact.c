/*
 * encode_exact.c - the exact text of a value that its Avro type can't hold.
 *
 * Goes into the envelope's `exact` map, so that nothing is lost: dates as the server prints them,
 * an ENUM's error value as the empty text that the server shows, numbers of ENUM and SET that have
 * no label as numbers, and bytes that are no text in their character set as 0x and hex digits. It
 * answers for every type, also where the value would have been exact: parked rows and messages want
 * that. Bytes that are no value of their type at all come out in hex, too.
 */
#include "core/value/encode.h"

#include "core/value/cell_number.h"
#include "core/value/charset.h"
#include "core/value/decimal.h"
#include "core/value/document.h"
#include "core/value/network.h"
#include "core/value/real.h"
#include "core/value/temporal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void put_hex(const struct cell *cell, struct buf *out)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *to = buf_reserve(out, 2 + 2 * (size_t)cell->size);

	*to++ = '0';
	*to++ = 'x';
	for (uint32_t i = 0; i < cell->size; i++) {
		*to++ = (uint8_t)digits[cell->data[i] >> 4];
		*to++ = (uint8_t)digits[cell->data[i] & 0xf];
	}
	out->size += 2 + 2 * (size_t)cell->size;
}

static void put_integer(const struct column *column, const struct cell *cell, struct buf *out)
{
	size_t size = cell->size < 8 ? cell->size : 8;
	uint64_t v = 0;

	for (size_t i = size; i > 0; i--)
		v = v << 8 | cell->data[i - 1];
	if (!column->is_unsigned && size > 0 && size < 8 && v >> (8 * size - 1) != 0)
		v -= UINT64_C(1) << 8 * size;
	if (column->is_unsigned)
		buf_add_format(out, "%" PRIu64, v);
	else
		buf_add_format(out, "%" PRId64, (int64_t)v);
}

static void put_double(double v, bool single, struct buf *out)
{
	char text[REAL_TEXT_MAX];

	if (isfinite(v)) {
		real_short_text(v, single, text);
		buf_add_str(out, text);
	} else {
		buf_add_format(out, "%g", v);
	}
}

static void put_float(const struct cell *cell, struct buf *out)
{
	double d;
	float f;

	if (cell->size == sizeof(f)) {
		memcpy(&f, cell->data, sizeof(f));
		put_double((double)f, true, out);
	} else if (cell->size == sizeof(d)) {
		memcpy(&d, cell->data, sizeof(d));
		put_double(d, false, out);
	} else {
		put_hex(cell, out);
	}
}

static void put_temporal(const struct column *column, const struct cell *cell, struct buf *out)
{
	char text[TEMPORAL_TEXT_MAX];
	struct temporal t;

	if (temporal_from_cell(column, cell, &t))
		buf_add(out, text, temporal_text(column->type, &t, column->fraction, text));
	else
		put_hex(cell, out);
}

static void put_decimal(const struct column *column, const struct cell *cell, struct buf *out)
{
	char text[DECIMAL_TEXT_MAX];
	size_t size = decimal_to_text(cell->data, column->precision, column->scale, text);

	if (size > 0)
		buf_add(out, text, size);
	else
		put_hex(cell, out);
}

static void put_enum(const struct column *column, const struct cell *cell, struct buf *out)
{
	uint64_t number = cell_packed(cell);

	if (number > column->label_count)
		buf_add_format(out, "%" PRIu64, number);
	else if (number > 0)
		buf_add_str(out, column->labels[number - 1]);
}

static void put_set(const struct column *column, const struct cell *cell, struct buf *out)
{
	uint64_t bits = cell_packed(cell);
	const char *comma = "";

	if (column->label_count < 64 && bits >> column->label_count != 0) {
		buf_add_format(out, "%" PRIu64, bits);
		return;
	}
	for (uint16_t i = 0; bits != 0; i++, bits >>= 1) {
		if ((bits & 1) == 0)
			continue;
		buf_add_str(out, comma);
		buf_add_str(out, column->labels[i]);
		comma = ",";
	}
}

static void put_text(const struct column *column, const struct cell *cell, struct buf *out)
{
	if (column->is_binary ||
	    !charset_to_utf8(charset_of(column->collation), slice_of(cell->data, cell->size), out))
		put_hex(cell, out);
}

static void put_document(const struct column *column, const struct cell *cell, struct buf *out)
{
	if (!document_text(column, cell, out))
		put_hex(cell, out);
}

/* As JSON, which is what a view sees of an array (core/avro/decode_json.c). */
static void put_vector(const struct cell *cell, struct buf *out)
{
	float f;

	if (cell->size % sizeof(f) != 0) {
		put_hex(cell, out);
		return;
	}
	buf_add_u8(out, '[');
	for (uint32_t i = 0; i < cell->size; i += sizeof(f)) {
		if (i > 0)
			buf_add_u8(out, ',');
		memcpy(&f, cell->data + i, sizeof(f));
		real_put_json((double)f, true, out);
	}
	buf_add_u8(out, ']');
}

static void put_network(const struct column *column, const struct cell *cell, struct buf *out)
{
	char text[NETWORK_TEXT_MAX];
	size_t size = network_text(column, cell, text);

	if (size > 0)
		buf_add(out, text, size);
	else
		put_hex(cell, out);
}

void encode_exact_text(const struct column *column, const struct cell *cell, struct buf *out)
{
	switch ((enum column_type)column->type) {
	case COLUMN_TINY:
	case COLUMN_SHORT:
	case COLUMN_INT24:
	case COLUMN_LONG:
	case COLUMN_LONGLONG:
		put_integer(column, cell, out);
		return;
	case COLUMN_FLOAT:
	case COLUMN_DOUBLE:
		put_float(cell, out);
		return;
	case COLUMN_NEWDECIMAL:
		put_decimal(column, cell, out);
		return;
	case COLUMN_YEAR:
		buf_add_format(out, "%04d", column_year(column, cell->data[0]));
		return;
	case COLUMN_DATE:
	case COLUMN_TIME:
	case COLUMN_TIMESTAMP:
	case COLUMN_DATETIME:
	case COLUMN_TIME2:
	case COLUMN_TIMESTAMP2:
	case COLUMN_DATETIME2:
		put_temporal(column, cell, out);
		return;
	case COLUMN_ENUM:
		put_enum(column, cell, out);
		return;
	case COLUMN_SET:
		put_set(column, cell, out);
		return;
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
	case COLUMN_BLOB:
		put_text(column, cell, out);
		return;
	case COLUMN_JSON:
		put_document(column, cell, out);
		return;
	case COLUMN_VECTOR:
		put_vector(cell, out);
		return;
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
		put_network(column, cell, out);
		return;
	case COLUMN_GEOMETRY:
	case COLUMN_BIT:
		break;
	}
	put_hex(cell, out);
}
