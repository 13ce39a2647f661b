/* value_json.c - values as JSON text.
 *
 * Numbers are written digit by digit, and text without need for escapes in one go: of a file of
 * many rows, this is what takes the time. */
#include "cdc/decode/value_json.h"

#include "core/value/charset.h"
#include "core/value/real.h"
#include "core/value/value.h"

#include <inttypes.h>
#include <math.h>

static void add_hex(struct buf *out, struct slice s)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *to;

	buf_add_str(out, "{\"bytes\":\"");
	to = buf_reserve(out, 2 * s.size);
	for (size_t i = 0; i < s.size; i++) {
		*to++ = (uint8_t)digits[s.data[i] >> 4];
		*to++ = (uint8_t)digits[s.data[i] & 15];
	}
	out->size += 2 * s.size;
	buf_add_str(out, "\"}");
}

static bool is_plain(uint8_t c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

void value_json_text(struct buf *out, struct slice text)
{
	size_t i = 0;

	if (!charset_utf8_valid(text.data, text.size, false)) {
		add_hex(out, text);
		return;
	}
	buf_add_u8(out, '"');
	while (i < text.size) {
		size_t from = i;

		while (i < text.size && is_plain(text.data[i]))
			i++;
		buf_add(out, text.data + from, i - from);
		if (i == text.size)
			break;
		if (text.data[i] < 0x20) {
			buf_add_format(out, "\\u%04x", text.data[i]);
		} else {
			buf_add_u8(out, '\\');
			buf_add_u8(out, text.data[i]);
		}
		i++;
	}
	buf_add_u8(out, '"');
}

void value_json_pair(struct buf *out, const char *key, struct slice text)
{
	buf_add_str(out, ",\"");
	buf_add_str(out, key);
	buf_add_str(out, "\":");
	value_json_text(out, text);
}

void value_json_unsigned(struct buf *out, uint64_t n)
{
	uint8_t digits[20], *at = digits + sizeof(digits);

	do {
		*--at = (uint8_t)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	buf_add(out, at, (size_t)(digits + sizeof(digits) - at));
}

void value_json_place(struct buf *out, const char *file, uint64_t at)
{
	value_json_text(out, slice_str(file));
	if (out->data[out->size - 1] != '"') { /* a name that isn't UTF-8 is bytes */
		buf_add_str(out, ",\"offset\":");
		value_json_unsigned(out, at);
		return;
	}
	out->data[out->size - 1] = ':';
	value_json_unsigned(out, at);
	buf_add_u8(out, '"');
}

void value_json_number(struct buf *out, int64_t n)
{
	if (n < 0)
		buf_add_u8(out, '-');
	value_json_unsigned(out, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

static void add_double(struct buf *out, double d)
{
	char text[REAL_TEXT_MAX];

	if (isfinite(d))
		buf_add(out, text, real_text(d, text));
	else
		buf_add_str(out, isnan(d) ? "\"NaN\"" : d > 0 ? "\"Infinity\"" : "\"-Infinity\"");
}

static void add_value(struct buf *out, const struct value *v)
{
	switch ((enum value_kind)v->kind) {
	case VALUE_ABSENT:
	case VALUE_NULL:
		buf_add_str(out, "null");
		break;
	case VALUE_INT:
		value_json_number(out, v->i);
		break;
	case VALUE_DOUBLE:
		add_double(out, v->d);
		break;
	case VALUE_TEXT:
		value_json_text(out, v->bytes);
		break;
	case VALUE_BYTES:
		add_hex(out, v->bytes);
		break;
	}
}

/* ---- what the binlog leaves open ------------------------------------------------------------ */

static bool is_integer(uint8_t type)
{
	return type == COLUMN_TINY || type == COLUMN_SHORT || type == COLUMN_INT24 ||
	       type == COLUMN_LONG || type == COLUMN_LONGLONG;
}

static bool is_labelled(uint8_t type)
{
	return type == COLUMN_ENUM || type == COLUMN_SET;
}

static uint64_t read_le(const struct cell *cell)
{
	uint64_t v = 0;

	for (size_t i = cell->size; i > 0; i--)
		v = v << 8 | cell->data[i - 1];
	return v;
}

static void add_either_sign(struct buf *out, const struct cell *cell)
{
	uint64_t v = read_le(cell);
	unsigned bits = 8 * (unsigned)cell->size;

	if (v >> (bits - 1) == 0) {
		value_json_unsigned(out, v);
		return;
	}
	buf_add_str(out, "{\"signed\":");
	value_json_number(out, (int64_t)(bits == 64 ? v : v | UINT64_MAX << bits));
	buf_add_str(out, ",\"unsigned\":");
	value_json_unsigned(out, v);
	buf_add_u8(out, '}');
}

static void add_either_text(struct buf *out, const struct cell *cell)
{
	for (size_t i = 0; i < cell->size; i++)
		if (cell->data[i] < 0x20 || cell->data[i] > 0x7e) {
			add_hex(out, slice_of(cell->data, cell->size));
			return;
		}
	value_json_text(out, slice_of(cell->data, cell->size));
}

/* What shape.unknown leaves open of this column: a bit of it, or 0. */
static unsigned open_question(const struct shape *s, const struct column *c)
{
	if (is_integer(c->type))
		return s->unknown & SHAPE_UNKNOWN_SIGNS;
	if (column_is_character(c))
		return s->unknown & SHAPE_UNKNOWN_CHARSETS;
	return is_labelled(c->type) ? s->unknown & SHAPE_UNKNOWN_LABELS : 0;
}

static bool add_open(struct buf *out, const struct shape *s, const struct column *c,
		     const struct cell *cell)
{
	switch (open_question(s, c)) {
	case SHAPE_UNKNOWN_SIGNS:
		add_either_sign(out, cell);
		return true;
	case SHAPE_UNKNOWN_CHARSETS:
		add_either_text(out, cell);
		return true;
	case SHAPE_UNKNOWN_LABELS:
		value_json_unsigned(out, read_le(cell));
		return true;
	default: /* nothing is open */
		return false;
	}
}

/* ---- cells, images -------------------------------------------------------------------------- */

void value_json_cell(struct buf *out, const struct shape *shape, size_t column,
		     const struct cell *cell, struct buf *scratch)
{
	const struct column *c = &shape->columns[column];
	struct value v;
	bool exact;

	if (shape->unknown != 0 && cell->state == CELL_VALUE && add_open(out, shape, c, cell))
		return;
	buf_reset(scratch);
	exact = value_from_cell(c, cell, scratch, &v);
	if (!exact)
		buf_add_str(out, "{\"exact\":");
	add_value(out, &v);
	if (!exact)
		buf_add_u8(out, '}');
}

void value_json_image(struct buf *out, const struct shape *shape, const struct cell *cells,
		      struct buf *scratch)
{
	uint8_t mark = '{';

	for (uint16_t i = 0; i < shape->column_count; i++) {
		if (cells[i].state == CELL_ABSENT)
			continue;
		buf_add_u8(out, mark);
		value_json_text(out, slice_str(shape->columns[i].name));
		buf_add_u8(out, ':');
		value_json_cell(out, shape, i, &cells[i], scratch);
		mark = ',';
	}
	buf_add_str(out, mark == '{' ? "{}" : "}");
}

static void add_type(struct buf *out, const struct shape *s, const struct column *c)
{
	char type[80];

	if (column_is_character(c) && open_question(s, c) != 0)
		buf_add_str(out, c->type == COLUMN_BLOB      ? "blob or text"
				 : c->type == COLUMN_VARCHAR ? "varchar or varbinary"
							     : "char or binary");
	else
		buf_add_str(out, column_type_text(c, type, sizeof(type)));
	if (is_integer(c->type) && open_question(s, c) != 0)
		buf_add_str(out, " of unknown sign");
	if (!c->nullable)
		buf_add_str(out, " not null");
}

void value_json_columns(struct buf *out, const struct shape *shape)
{
	for (uint16_t i = 0; i < shape->column_count; i++) {
		buf_add_u8(out, i == 0 ? '{' : ',');
		value_json_text(out, slice_str(shape->columns[i].name));
		buf_add_str(out, ":\"");
		add_type(out, shape, &shape->columns[i]);
		buf_add_u8(out, '"');
	}
	buf_add_u8(out, '}');
}
