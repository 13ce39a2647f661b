/* row_back_value.c - one Avro value into a column's stored form.
 *
 * Most values go by way of the text that the server would print, into the function that packs the
 * first copy's rows (row_store_text): what copy and stream share is then also what comes back.
 * Numbers that text would only slow down or blur are packed here: floats, bits, ENUM and SET (their
 * numbers are looked up by label), dates and times.
 *
 * A column whose type was changed meanwhile gets what the value means in the new type where that is
 * plain: whole numbers of another width, text of numbers and dates, a date as midnight. */
#include "cdc/publish/row_back.h"

#include "core/avro/decode.h"
#include "core/avro/read.h"
#include "core/base/hex.h"
#include "core/value/charset.h"
#include "core/value/decimal.h"
#include "core/value/network.h"
#include "core/value/temporal.h"

#include <inttypes.h>
#include <stdio.h>

#define ITEMS_MAX 4096 /* of an array in a row record: a SET has 64 */

/* A value of the record, before it becomes the column's. */
enum kind { KIND_INT, KIND_DATE, KIND_MICROS, KIND_DOUBLE, KIND_TEXT, KIND_BYTES };

struct source {
	enum kind kind;
	int64_t i;
	double d;
	bool single; /* the double was a float */
	struct slice bytes;
};

/* ---- out of the record ---------------------------------------------------------------------- */

static bool is_logical(const struct schema *s, const char *name)
{
	return s->logical != NULL && strcmp(s->logical, name) == 0;
}

static struct slice scratch_from(const struct buf *scratch, size_t begin)
{
	if (scratch->size == begin)
		return slice_of("", 0);
	return slice_of(scratch->data + begin, scratch->size - begin);
}

/* The labels of a SET, joined by ','. */
static void read_set(struct rd *in, struct buf *scratch)
{
	size_t count = 0;

	for (int64_t n = read_block(in); n > 0; n = read_block(in)) {
		for (int64_t i = 0; i < n && rd_ok(in); i++) {
			if (++count > ITEMS_MAX)
				rd_fail(in);
			if (count > 1)
				buf_add_u8(scratch, ',');
			buf_add_slice(scratch, read_bytes(in));
		}
	}
}

static void read_integer(const struct schema *s, struct rd *in, struct source *v)
{
	v->i = s->type == SCHEMA_INT ? read_int(in) : read_long(in);
	v->kind = KIND_INT;
	if (is_logical(s, "date"))
		v->kind = KIND_DATE;
	else if (is_logical(s, "timestamp-micros") || is_logical(s, "local-timestamp-micros"))
		v->kind = KIND_MICROS;
}

static void read_binary(const struct schema *s, struct rd *in, struct buf *scratch,
			struct source *v)
{
	size_t begin = scratch->size;

	v->kind = KIND_BYTES;
	v->bytes = read_bytes(in);
	if (!is_logical(s, "decimal") || !rd_ok(in))
		return;
	v->kind = KIND_TEXT;
	if (!decode_decimal(v->bytes, s->scale, scratch))
		rd_fail(in);
	v->bytes = scratch_from(scratch, begin);
}

/* { srid, wkb }, together as the server has them. */
static bool read_geometry(const struct schema *s, struct rd *in, struct buf *scratch,
			  struct source *v)
{
	size_t begin = scratch->size;
	int64_t srid;

	if (s->count != 2 || strcmp(s->fields[0].name, "srid") != 0 ||
	    s->fields[0].schema->type != SCHEMA_LONG || strcmp(s->fields[1].name, "wkb") != 0 ||
	    s->fields[1].schema->type != SCHEMA_BYTES)
		return false;
	srid = read_long(in);
	for (unsigned shift = 0; shift < 32; shift += 8)
		buf_add_u8(scratch, (uint8_t)(srid >> shift));
	buf_add_slice(scratch, read_bytes(in));
	if (srid < 0 || srid > UINT32_MAX)
		rd_fail(in);
	v->kind = KIND_BYTES;
	v->bytes = scratch_from(scratch, begin);
	return true;
}

/* The floats of a VECTOR, together as the server has them. */
static void read_vector(struct rd *in, struct buf *scratch, struct source *v)
{
	size_t begin = scratch->size;

	for (int64_t n = read_block(in); n > 0 && rd_ok(in); n = read_block(in)) {
		if ((uint64_t)n > rd_left(in) / sizeof(float))
			rd_fail(in);
		else
			buf_add_slice(scratch, rd_bytes(in, (size_t)n * sizeof(float)));
	}
	v->kind = KIND_BYTES;
	v->bytes = scratch_from(scratch, begin);
}

/* False: no type that a column is delivered as. */
static bool read_source(const struct schema *s, struct rd *in, struct buf *scratch,
			struct source *v)
{
	size_t begin = scratch->size;

	*v = (struct source){ .kind = KIND_INT };
	switch (s->type) {
	case SCHEMA_BOOLEAN:
		v->i = read_bool(in);
		return true;
	case SCHEMA_INT:
	case SCHEMA_LONG:
		read_integer(s, in, v);
		return true;
	case SCHEMA_FLOAT:
		v->kind = KIND_DOUBLE;
		v->single = true;
		v->d = (double)read_float(in);
		return true;
	case SCHEMA_DOUBLE:
		v->kind = KIND_DOUBLE;
		v->d = read_double(in);
		return true;
	case SCHEMA_BYTES:
		read_binary(s, in, scratch, v);
		return true;
	case SCHEMA_STRING:
		v->kind = KIND_TEXT;
		v->bytes = read_bytes(in);
		return true;
	case SCHEMA_RECORD:
		if (!read_geometry(s, in, scratch, v))
			break;
		return true;
	case SCHEMA_ARRAY:
		if (s->items->type == SCHEMA_FLOAT) {
			read_vector(in, scratch, v);
			return true;
		}
		if (s->items->type != SCHEMA_STRING)
			break;
		read_set(in, scratch);
		v->kind = KIND_TEXT;
		v->bytes = scratch_from(scratch, begin);
		return true;
	case SCHEMA_NULL:
	case SCHEMA_ENUM:
	case SCHEMA_MAP:
	case SCHEMA_UNION:
	case SCHEMA_FIXED:
		break;
	}
	row_back_skip(s, in);
	return false;
}

/* ---- into the column ------------------------------------------------------------------------ */

/* The moment that a value means; the kind decides, as a number alone may be anything. */
static bool temporal_of(const struct source *v, uint8_t type, struct temporal *t)
{
	*t = (struct temporal){ 0 };
	if (v->kind == KIND_DATE)
		return !temporal_is_time(type) && temporal_from_number(COLUMN_DATE, v->i, t);
	if (v->kind == KIND_MICROS)
		return !temporal_is_time(type) && temporal_from_number(COLUMN_DATETIME, v->i, t);
	if (v->kind == KIND_INT)
		return temporal_is_time(type) && temporal_from_number(COLUMN_TIME, v->i, t);
	return v->kind == KIND_TEXT && temporal_parse(type, v->bytes, t);
}

static bool store_temporal(const struct column *c, const struct source *v, struct buf *image)
{
	struct temporal t;

	if (!temporal_of(v, c->type, &t))
		return false;
	if (c->type == COLUMN_DATE && (t.hour | t.minute | t.second | t.micros) != 0)
		return false;
	return temporal_store(c, &t, image);
}

/* Text that the server would print of it; false for bytes. */
static bool text_of(const struct source *v, struct buf *scratch, struct slice *ret_text)
{
	char text[TEMPORAL_TEXT_MAX > 40 ? TEMPORAL_TEXT_MAX : 40];
	struct temporal t = { 0 };
	size_t begin = scratch->size, size = 0;

	switch (v->kind) {
	case KIND_TEXT:
		*ret_text = v->bytes;
		return true;
	case KIND_BYTES:
		return false;
	case KIND_INT:
		size = (size_t)snprintf(text, sizeof(text), "%" PRId64, v->i);
		break;
	case KIND_DOUBLE:
		size = (size_t)snprintf(text, sizeof(text), "%.*g", v->single ? 9 : 17, v->d);
		break;
	case KIND_DATE:
		if (!temporal_from_number(COLUMN_DATE, v->i, &t))
			return false;
		size = temporal_text(COLUMN_DATE, &t, 0, text);
		break;
	case KIND_MICROS:
		if (!temporal_from_number(COLUMN_DATETIME, v->i, &t))
			return false;
		size = temporal_text(COLUMN_DATETIME2, &t, t.micros != 0 ? 6 : 0, text);
		break;
	}
	buf_add(scratch, text, size);
	*ret_text = scratch_from(scratch, begin);
	return true;
}

static bool store_as_text(const struct column *c, const struct source *v, struct buf *scratch,
			  struct buf *image)
{
	struct slice text;

	return text_of(v, scratch, &text) && row_store_text(c, text, image);
}

static bool store_number(const struct column *c, uint64_t number, struct buf *scratch,
			 struct buf *image)
{
	size_t begin = scratch->size;

	buf_add_format(scratch, "%" PRIu64, number);
	return row_store_text(c, scratch_from(scratch, begin), image);
}

/* The number of a label from 1, or 0. */
static uint16_t label_number(const struct column *c, struct slice label)
{
	for (uint16_t i = 0; i < c->label_count; i++)
		if (slice_is(label, c->labels[i]))
			return (uint16_t)(i + 1);
	return 0;
}

static bool store_labels(const struct column *c, struct slice text, struct buf *scratch,
			 struct buf *image)
{
	uint64_t bits = 0;

	if (c->type == COLUMN_ENUM) {
		bits = label_number(c, text);
		return bits != 0 && store_number(c, bits, scratch, image);
	}
	while (text.size > 0) {
		const uint8_t *comma = memchr(text.data, ',', text.size);
		size_t size = comma == NULL ? text.size : (size_t)(comma - text.data);
		uint16_t number = label_number(c, slice_of(text.data, size));

		if (number == 0 || number > 64)
			return false;
		bits |= UINT64_C(1) << (number - 1);
		size += comma != NULL;
		text = slice_of(text.data + size, text.size - size);
	}
	return store_number(c, bits, scratch, image);
}

/* Big-endian, widened with zeros or cut of them. */
static bool store_bits(const struct column *c, const struct source *v, struct buf *image)
{
	size_t size = (c->bits + 7u) / 8;
	struct slice bytes = v->bytes;

	if (v->kind == KIND_INT) {
		if (v->i < 0 || v->i > 1)
			return false;
		for (size_t i = 1; i < size; i++)
			buf_add_u8(image, 0);
		buf_add_u8(image, (uint8_t)v->i);
		return true;
	}
	if (v->kind != KIND_BYTES)
		return false;
	while (bytes.size > size && bytes.data[0] == 0)
		bytes = slice_of(bytes.data + 1, bytes.size - 1);
	if (bytes.size > size)
		return false;
	for (size_t i = bytes.size; i < size; i++)
		buf_add_u8(image, 0);
	buf_add_slice(image, bytes);
	return true;
}

static bool store_characters(const struct column *c, const struct source *v, struct buf *scratch,
			     struct buf *image)
{
	struct buf converted = BUF_INIT; /* apart from scratch, where the text may lie */
	struct slice text;
	bool ok;

	if (v->kind == KIND_BYTES)
		return row_store_text(c, v->bytes, image);
	if (!text_of(v, scratch, &text))
		return false;
	if (c->is_binary)
		return row_store_text(c, text, image);
	if (charset_of(c->collation) == CHARSET_UTF8MB4)
		return charset_utf8_valid(text.data, text.size, false) &&
		       row_store_text(c, text, image);
	ok = charset_from_utf8(charset_of(c->collation), text, &converted) &&
	     row_store_text(c, scratch_from(&converted, 0), image);
	buf_done(&converted);
	return ok;
}

static bool store_network(const struct column *c, const struct source *v, struct buf *image)
{
	uint8_t bytes[NETWORK_BYTES_MAX];

	return v->kind == KIND_TEXT && network_parse(c, v->bytes, bytes) &&
	       row_store_text(c, slice_of(bytes, c->size_max), image);
}

static bool store(const struct column *c, const struct source *v, struct buf *scratch,
		  struct buf *image)
{
	float f = (float)v->d;

	switch ((enum column_type)c->type) {
	case COLUMN_FLOAT:
		if (v->kind != KIND_DOUBLE)
			break;
		if ((double)f != v->d)
			return false;
		buf_add(image, &f, sizeof(f));
		return true;
	case COLUMN_DOUBLE:
		if (v->kind != KIND_DOUBLE)
			break;
		buf_add(image, &v->d, sizeof(v->d));
		return true;
	case COLUMN_DATE:
	case COLUMN_TIME:
	case COLUMN_TIMESTAMP:
	case COLUMN_DATETIME:
	case COLUMN_TIME2:
	case COLUMN_TIMESTAMP2:
	case COLUMN_DATETIME2:
		return store_temporal(c, v, image);
	case COLUMN_BIT:
		return store_bits(c, v, image);
	case COLUMN_ENUM:
	case COLUMN_SET:
		return v->kind == KIND_TEXT && store_labels(c, v->bytes, scratch, image);
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
	case COLUMN_BLOB:
		return store_characters(c, v, scratch, image);
	case COLUMN_JSON:
		return v->kind == KIND_TEXT && row_store_text(c, v->bytes, image);
	case COLUMN_GEOMETRY:
	case COLUMN_VECTOR:
		return v->kind == KIND_BYTES && row_store_bytes(c, v->bytes, image);
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
		return store_network(c, v, image);
	case COLUMN_TINY:
	case COLUMN_SHORT:
	case COLUMN_INT24:
	case COLUMN_LONG:
	case COLUMN_LONGLONG:
	case COLUMN_NEWDECIMAL:
	case COLUMN_YEAR:
		break;
	}
	return store_as_text(c, v, scratch, image);
}

int row_back_value(const struct schema *schema, const struct column *column, struct rd *in,
		   struct buf *scratch, struct buf *image)
{
	size_t begin = image->size;
	struct source v;

	buf_reset(scratch);
	if (!read_source(schema, in, scratch, &v))
		return rd_ok(in) ? 0 : -1;
	if (!rd_ok(in))
		return -1;
	if (store(column, &v, scratch, image))
		return 1;
	image->size = begin;
	return 0;
}

/* ---- exact text ----------------------------------------------------------------------------- */

/* "0x..." as bytes. */
static bool from_hex(struct slice text, struct buf *out)
{
	if (text.size % 2 != 0 || text.size < 2 || text.data[0] != '0' || text.data[1] != 'x')
		return false;
	for (size_t i = 2; i < text.size; i += 2) {
		int high = hex_value_lower(text.data[i]), low = hex_value_lower(text.data[i + 1]);

		if (high < 0 || low < 0)
			return false;
		buf_add_u8(out, (uint8_t)(high << 4 | low));
	}
	return true;
}

/* Bytes that are no value of their type are stored as they are. */
static bool store_bytes(const struct column *c, struct slice bytes, struct buf *image)
{
	size_t size = temporal_size(c);

	if (column_is_character(c))
		return row_store_text(c, bytes, image);
	if (column_length_bytes(c) > 0)
		return row_store_bytes(c, bytes, image);
	if (c->type == COLUMN_NEWDECIMAL)
		size = decimal_packed_size(c->precision, c->scale);
	else if (c->type == COLUMN_BIT)
		size = (c->bits + 7u) / 8;
	if (bytes.size != size || size == 0)
		return false;
	buf_add_slice(image, bytes);
	return true;
}

bool row_back_exact(const struct column *column, struct slice text, struct buf *scratch,
		    struct buf *image)
{
	size_t begin = image->size;
	bool ok;

	buf_reset(scratch);
	if (from_hex(text, scratch))
		ok = store_bytes(column, scratch_from(scratch, 0), image);
	else if (column->type == COLUMN_ENUM && text.size == 0)
		ok = row_store_text(column, slice_str("0"), image); /* the error value */
	else
		ok = row_store_text(column, text, image);
	if (!ok)
		image->size = begin;
	return ok;
}

/* ---- over a value --------------------------------------------------------------------------- */

static void skip_blocks(const struct schema *s, struct rd *in)
{
	for (int64_t n = read_block(in); n > 0 && rd_ok(in); n = read_block(in)) {
		if ((uint64_t)n > in->size) { /* no item here is without a byte */
			rd_fail(in);
			return;
		}
		for (int64_t i = 0; i < n && rd_ok(in); i++) {
			if (s->type == SCHEMA_MAP)
				(void)read_bytes(in); /* a failure is kept in the cursor */
			row_back_skip(s->items, in);
		}
	}
}

/* Along the schema, which is at most SCHEMA_DEPTH_MAX deep. */
void row_back_skip(const struct schema *s, struct rd *in)
{
	int64_t branch;

	switch (s->type) {
	case SCHEMA_NULL:
		return;
	case SCHEMA_BOOLEAN:
		rd_skip(in, 1);
		return;
	case SCHEMA_INT:
	case SCHEMA_LONG:
	case SCHEMA_ENUM:
		(void)read_long(in); /* a failure is kept in the cursor */
		return;
	case SCHEMA_FLOAT:
		rd_skip(in, 4);
		return;
	case SCHEMA_DOUBLE:
		rd_skip(in, 8);
		return;
	case SCHEMA_BYTES:
	case SCHEMA_STRING:
		(void)read_bytes(in);
		return;
	case SCHEMA_FIXED:
		rd_skip(in, s->count);
		return;
	case SCHEMA_RECORD:
		for (size_t i = 0; i < s->count && rd_ok(in); i++)
			row_back_skip(s->fields[i].schema, in);
		return;
	case SCHEMA_ARRAY:
	case SCHEMA_MAP:
		skip_blocks(s, in);
		return;
	case SCHEMA_UNION:
		branch = read_long(in);
		if (branch < 0 || (uint64_t)branch >= s->count)
			rd_fail(in);
		else
			row_back_skip(s->branches[branch], in);
		return;
	}
}
