/*
 * encode.c - cells into Avro bytes, one small function per kind of column.
 *
 * encode_for() picks the function once per plan; after that a row is a run of indirect calls, each
 * of which reads a few bytes and appends a few. What a function can't say in its Avro type it
 * leaves unsaid (ENCODE_INEXACT, nothing appended): the caller then asks encode_exact.c for the
 * text.
 *
 * clang-format off
 *   TINY SHORT INT24 LONG   int (unsigned LONG: long; the bytes are alike)
 *   LONGLONG                long
 *   LONGLONG unsigned       bytes, decimal(20,0)
 *   NEWDECIMAL              bytes, decimal(p,s)
 *   FLOAT DOUBLE            float double
 *   text                    string, UTF-8
 *   binary                  bytes (BINARY: to its full length)
 *   DATE                    int, days since 1970
 *   DATETIME TIMESTAMP      long, microseconds since 1970 (TIMESTAMP in UTC)
 *   TIME                    long, microseconds, signed
 *   YEAR                    int, 0 for 0000
 *   ENUM                    string
 *   SET                     array of string
 *   BIT(1)                  boolean
 *   BIT(n)                  bytes, as stored: big-endian
 *   JSON                    string, as the server prints it
 *   GEOMETRY                record { srid long, wkb bytes }
 *   VECTOR                  array of float
 *   UUID INET4 INET6        string, as the server prints them
 * clang-format on
 */
#include "core/value/encode.h"

#include "core/base/fault.h"
#include "core/value/cell_number.h"
#include "core/value/charset.h"
#include "core/value/decimal.h"
#include "core/value/document.h"
#include "core/value/network.h"
#include "core/value/temporal.h"
#include "core/value/write.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "stored numbers are read in place: little-endian machines only"
#endif

/* Functions that read n bytes trust the cell to have them: row_split made it by the same column.
 * Those whose width depends on more than the type check it themselves. */
#define LOAD(to, cell) memcpy(&(to), (cell)->data, sizeof(to))

static enum encode_result encode_tiny(const struct column *column, const struct cell *cell,
				      struct buf *out)
{
	int8_t v = (int8_t)cell->data[0];

	write_long(out, column->is_unsigned ? (uint8_t)v : v);
	return ENCODE_OK;
}

static enum encode_result encode_short(const struct column *column, const struct cell *cell,
				       struct buf *out)
{
	int16_t v;

	LOAD(v, cell);
	write_long(out, column->is_unsigned ? (uint16_t)v : v);
	return ENCODE_OK;
}

static enum encode_result encode_int24(const struct column *column, const struct cell *cell,
				       struct buf *out)
{
	const uint8_t *p = cell->data;
	int32_t v = (int32_t)((uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0]);

	write_long(out, column->is_unsigned || v < 0x800000 || BUG(value_sign) ? v : v - 0x1000000);
	return ENCODE_OK;
}

static enum encode_result encode_long(const struct column *column, const struct cell *cell,
				      struct buf *out)
{
	int32_t v;

	(void)column;
	LOAD(v, cell);
	write_long(out, v);
	return ENCODE_OK;
}

static enum encode_result encode_long_unsigned(const struct column *column, const struct cell *cell,
					       struct buf *out)
{
	uint32_t v;

	(void)column;
	LOAD(v, cell);
	write_long(out, v);
	return ENCODE_OK;
}

static enum encode_result encode_longlong(const struct column *column, const struct cell *cell,
					  struct buf *out)
{
	int64_t v;

	(void)column;
	LOAD(v, cell);
	write_long(out, v);
	return ENCODE_OK;
}

static enum encode_result encode_longlong_unsigned(const struct column *column,
						   const struct cell *cell, struct buf *out)
{
	uint8_t bytes[DECIMAL_BYTES_MAX];
	uint64_t v;

	(void)column;
	LOAD(v, cell);
	write_bytes(out, bytes, decimal_from_u64(v, bytes));
	return ENCODE_OK;
}

static enum encode_result encode_decimal(const struct column *column, const struct cell *cell,
					 struct buf *out)
{
	uint8_t bytes[DECIMAL_BYTES_MAX];
	size_t size = decimal_to_bytes(cell->data, column->precision, column->scale, bytes);

	if (size == 0)
		return ENCODE_INEXACT;
	write_bytes(out, bytes, size);
	return ENCODE_OK;
}

/* FLOAT, DOUBLE: Avro has them as they are stored. */
static enum encode_result encode_same(const struct column *column, const struct cell *cell,
				      struct buf *out)
{
	(void)column;
	buf_add(out, cell->data, cell->size);
	return ENCODE_OK;
}

static enum encode_result encode_year(const struct column *column, const struct cell *cell,
				      struct buf *out)
{
	write_long(out, column_year(column, cell->data[0]));
	return ENCODE_OK;
}

static enum encode_result encode_temporal(const struct column *column, const struct cell *cell,
					  struct buf *out)
{
	struct temporal t;
	int64_t number;

	if (!temporal_from_cell(column, cell, &t) || !temporal_number(column->type, &t, &number))
		return ENCODE_INEXACT;
	write_long(out, number);
	return ENCODE_OK;
}

/* TIMESTAMP(0), the common one, has no need of a calendar. */
static enum encode_result encode_timestamp(const struct column *column, const struct cell *cell,
					   struct buf *out)
{
	uint32_t v;

	(void)column;
	LOAD(v, cell);
	v = __builtin_bswap32(v);
	if (v == 0)
		return ENCODE_INEXACT;
	write_long(out, (int64_t)v * 1000000);
	return ENCODE_OK;
}

static enum encode_result encode_bytes(const struct column *column, const struct cell *cell,
				       struct buf *out)
{
	(void)column;
	write_bytes(out, cell->data, cell->size);
	return ENCODE_OK;
}

/* BINARY(n) is stored without its trailing zero bytes, but has them. */
static enum encode_result encode_binary(const struct column *column, const struct cell *cell,
					struct buf *out)
{
	size_t missing = column->size_max > cell->size ? column->size_max - cell->size : 0;

	write_long(out, (int64_t)(cell->size + missing));
	buf_add(out, cell->data, cell->size);
	memset(buf_reserve(out, missing), 0, missing);
	out->size += missing;
	return ENCODE_OK;
}

static enum encode_result encode_bit1(const struct column *column, const struct cell *cell,
				      struct buf *out)
{
	(void)column;
	if (cell->data[0] > 1)
		return ENCODE_INEXACT;
	write_bool(out, cell->data[0] != 0);
	return ENCODE_OK;
}

static enum encode_result encode_utf8(const struct column *column, const struct cell *cell,
				      struct buf *out)
{
	(void)column;
	if (!charset_utf8_valid(cell->data, cell->size, false))
		return ENCODE_INEXACT;
	write_bytes(out, cell->data, cell->size);
	return ENCODE_OK;
}

static enum encode_result encode_utf8mb3(const struct column *column, const struct cell *cell,
					 struct buf *out)
{
	(void)column;
	if (!charset_utf8_valid(cell->data, cell->size, true))
		return ENCODE_INEXACT;
	write_bytes(out, cell->data, cell->size);
	return ENCODE_OK;
}

#define GAP 10 /* any length fits in */

/* A string that is made behind a gap, then moved up to its length. */
static size_t begin_string(struct buf *out)
{
	(void)buf_reserve(out, GAP);
	out->size += GAP;
	return out->size;
}

static enum encode_result end_string(size_t from, bool made, struct buf *out)
{
	size_t size = out->size - from;

	out->size = from - GAP;
	if (!made)
		return ENCODE_INEXACT;
	write_long(out, (int64_t)size);
	memmove(out->data + out->size, out->data + from, size);
	out->size += size;
	return ENCODE_OK;
}

static enum encode_result encode_converted(const struct column *column, const struct cell *cell,
					   struct buf *out)
{
	size_t from = begin_string(out);

	return end_string(from,
			  charset_to_utf8(charset_of(column->collation),
					  slice_of(cell->data, cell->size), out),
			  out);
}

static enum encode_result encode_json(const struct column *column, const struct cell *cell,
				      struct buf *out)
{
	size_t from = begin_string(out);

	return end_string(from, document_text(column, cell, out), out);
}

/* Stored: the SRID in 4 bytes, little-endian, then WKB. */
static enum encode_result encode_geometry(const struct column *column, const struct cell *cell,
					  struct buf *out)
{
	uint32_t srid;

	(void)column;
	if (cell->size < sizeof(srid))
		return ENCODE_INEXACT;
	LOAD(srid, cell);
	write_long(out, srid);
	write_bytes(out, cell->data + sizeof(srid), cell->size - sizeof(srid));
	return ENCODE_OK;
}

/* Stored as little-endian floats, as Avro has them: one block, and the end of blocks. */
static enum encode_result encode_vector(const struct column *column, const struct cell *cell,
					struct buf *out)
{
	(void)column;
	if (cell->size % sizeof(float) != 0)
		return ENCODE_INEXACT;
	if (cell->size > 0)
		write_long(out, cell->size / (int64_t)sizeof(float));
	buf_add(out, cell->data, cell->size);
	write_long(out, 0);
	return ENCODE_OK;
}

static enum encode_result encode_network(const struct column *column, const struct cell *cell,
					 struct buf *out)
{
	char text[NETWORK_TEXT_MAX];
	size_t size = network_text(column, cell, text);

	if (size == 0)
		return ENCODE_INEXACT;
	write_bytes(out, text, size);
	return ENCODE_OK;
}

static enum encode_result encode_enum(const struct column *column, const struct cell *cell,
				      struct buf *out)
{
	uint64_t number = cell_packed(cell);

	if (number == 0 || number > column->label_count)
		return ENCODE_INEXACT;
	write_str(out, column->labels[number - 1]);
	return ENCODE_OK;
}

static enum encode_result encode_set(const struct column *column, const struct cell *cell,
				     struct buf *out)
{
	uint64_t bits = cell_packed(cell);

	if (column->label_count < 64 && bits >> column->label_count != 0)
		return ENCODE_INEXACT;
	if (bits != 0)
		write_long(out, __builtin_popcountll(bits));
	for (uint16_t i = 0; bits != 0; i++, bits >>= 1) {
		if (bits & 1)
			write_str(out, column->labels[i]);
	}
	write_long(out, 0); /* the end of an array's blocks */
	return ENCODE_OK;
}

/* For a collation that encode_collation_refused() refuses: never guess. */
static enum encode_result encode_nothing(const struct column *column, const struct cell *cell,
					 struct buf *out)
{
	(void)column;
	(void)cell;
	(void)out;
	return ENCODE_INEXACT;
}

static encode_fn text_function(const struct column *column)
{
	if (column->is_binary)
		return column->type == COLUMN_STRING ? encode_binary : encode_bytes;
	switch ((unsigned)charset_of(column->collation)) {
	case CHARSET_UTF8MB4:
		return encode_utf8;
	case CHARSET_UTF8MB3:
		return encode_utf8mb3;
	case CHARSET_UNKNOWN:
		return encode_nothing;
	default:
		return encode_converted;
	}
}

encode_fn encode_for(const struct column *column)
{
	switch ((enum column_type)column->type) {
	case COLUMN_TINY:
		return encode_tiny;
	case COLUMN_SHORT:
		return encode_short;
	case COLUMN_INT24:
		return encode_int24;
	case COLUMN_LONG:
		return column->is_unsigned ? encode_long_unsigned : encode_long;
	case COLUMN_LONGLONG:
		return column->is_unsigned ? encode_longlong_unsigned : encode_longlong;
	case COLUMN_NEWDECIMAL:
		return encode_decimal;
	case COLUMN_FLOAT:
	case COLUMN_DOUBLE:
		return encode_same;
	case COLUMN_TIMESTAMP2:
		return column->fraction == 0 ? encode_timestamp : encode_temporal;
	case COLUMN_DATE:
	case COLUMN_TIME:
	case COLUMN_TIMESTAMP:
	case COLUMN_DATETIME:
	case COLUMN_TIME2:
	case COLUMN_DATETIME2:
		return encode_temporal;
	case COLUMN_YEAR:
		return encode_year;
	case COLUMN_BIT:
		return column->bits == 1 ? encode_bit1 : encode_bytes;
	case COLUMN_ENUM:
		return encode_enum;
	case COLUMN_SET:
		return encode_set;
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
	case COLUMN_BLOB:
		return text_function(column);
	case COLUMN_JSON:
		return encode_json;
	case COLUMN_GEOMETRY:
		return encode_geometry;
	case COLUMN_VECTOR:
		return encode_vector;
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
		return encode_network;
	}
	return encode_nothing;
}

const char *encode_collation_refused(uint16_t collation)
{
	return charset_refused(collation);
}
