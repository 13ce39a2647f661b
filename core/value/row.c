/*
 * row.c - a row image into cells.
 *
 * Runs once per row image, so it works on plain pointers with one bounds check per value; how a
 * column is stored was looked up when its shape was made. Layout of an image:
 *
 * clang-format off
 *   null bitmap   (number of present columns + 7) / 8 bytes; bit i: the i-th of them is NULL
 *   values        of the present columns that are not NULL, in order, each in its stored form;
 *                 VARCHAR, CHAR and BINARY with their length before them (1 byte, 2 when the column
 *                 can hold more than 255 bytes), BLOB, TEXT, JSON and GEOMETRY with size_max bytes
 *                 of length, VECTOR with pack_bytes
 * clang-format on
 *
 * Refuses a value that reaches beyond the image, and a length beyond what the column can hold: the
 * shape is then not the one that the row was written with, and nothing after it could be trusted.
 */
#include "core/value/row.h"

#include "core/value/charset.h"
#include "core/value/decimal.h"
#include "core/value/temporal.h"

bool row_cell_same(const struct column *column, const struct cell *a, const struct cell *b)
{
	enum charset charset = charset_of(column->collation);
	struct buf text = BUF_INIT, other = BUF_INIT; /* rare: an allocation is fine here */
	bool same;

	if (cell_equal(a, b))
		return true;
	if (a->state != CELL_VALUE || b->state != CELL_VALUE || column->is_binary ||
	    !column_is_character(column) || !charset_is_ambiguous(charset))
		return false;
	same = charset_to_utf8(charset, slice_of(a->data, a->size), &text) &&
	       charset_to_utf8(charset, slice_of(b->data, b->size), &other) &&
	       slice_equal(buf_slice(&text), buf_slice(&other));
	buf_done(&text);
	buf_done(&other);
	return same;
}

static inline bool bit_at(const uint8_t *bitmap, size_t i)
{
	return bitmap[i / 8] >> (i % 8) & 1;
}

/* Size of a value of fixed width; 0 for those with a length before them, SIZE_MAX for a type that
 * has no cells. */
static size_t fixed_size(const struct column *c)
{
	switch ((enum column_type)c->type) {
	case COLUMN_TINY:
	case COLUMN_YEAR:
		return 1;
	case COLUMN_SHORT:
		return 2;
	case COLUMN_INT24:
		return 3;
	case COLUMN_LONG:
	case COLUMN_FLOAT:
		return 4;
	case COLUMN_LONGLONG:
	case COLUMN_DOUBLE:
		return 8;
	case COLUMN_NEWDECIMAL:
		return decimal_packed_size(c->precision, c->scale);
	case COLUMN_DATE:
	case COLUMN_TIME:
	case COLUMN_TIMESTAMP:
	case COLUMN_DATETIME:
	case COLUMN_TIME2:
	case COLUMN_TIMESTAMP2:
	case COLUMN_DATETIME2:
		return temporal_size(c);
	case COLUMN_BIT:
		return (c->bits + 7u) / 8;
	case COLUMN_ENUM:
	case COLUMN_SET:
		return c->pack_bytes;
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
	case COLUMN_BLOB:
	case COLUMN_JSON:
	case COLUMN_GEOMETRY:
	case COLUMN_VECTOR:
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
		return 0;
	}
	return SIZE_MAX;
}

static int cut_short(const struct shape *shape, size_t column, struct err *e)
{
	return err_data(e, "table %s.%s: row image ends inside column %s", shape->db, shape->table,
			shape->columns[column].name);
}

static int too_long(const struct shape *shape, size_t column, size_t size, struct err *e)
{
	const struct column *c = &shape->columns[column];

	return err_data(e,
			"table %s.%s: column %s has a value of %zu bytes where %zu are possible: "
			"the row was not written with this shape",
			shape->db, shape->table, c->name, size, column_bytes_max(c));
}

/* The length of n bytes before a value at p, which is moved behind it. False when it is not all
 * there. */
static inline bool take_length(size_t n, const uint8_t **p, const uint8_t *end, size_t *ret_size)
{
	size_t size = 0;

	if (n > 4 || (size_t)(end - *p) < n)
		return false;
	for (size_t i = n; i > 0; i--)
		size = size << 8 | (*p)[i - 1];
	*p += n;
	*ret_size = size;
	return true;
}

uint8_t row_stored(const struct column *c)
{
	size_t size = fixed_size(c);

	if (size > 0 && size < ROW_LENGTH)
		return (uint8_t)size;
	if (size == SIZE_MAX) /* a type that no shape holds: no length has so many bytes */
		return 0xff;
	size = column_length_bytes(c);
	return size > 4 ? 0xff : (uint8_t)(ROW_LENGTH + size);
}

static size_t count_present(const uint8_t *present, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count / 8; i++)
		n += present[i] == 0xff ? 8 : (size_t)__builtin_popcount(present[i]);
	for (size_t i = count / 8 * 8; i < count; i++)
		n += bit_at(present, i);
	return n;
}

int row_split(struct rd *in, const struct shape *shape, const uint8_t *present,
	      struct cell *ret_cells, struct err *e)
{
	size_t count = shape->column_count, seen = 0;
	const uint8_t *nulls = rd_bytes(in, (count_present(present, count) + 7) / 8).data;
	const uint8_t *p, *end;

	if (!rd_ok(in))
		return err_data(e, "table %s.%s: row image ends inside its null bitmap", shape->db,
				shape->table);
	p = in->data + in->at;
	end = in->data + in->size;
	for (size_t i = 0; i < count; i++) {
		const struct column *c = &shape->columns[i];
		struct cell *cell = &ret_cells[i];
		size_t size = c->stored;

		if (!bit_at(present, i)) {
			*cell = (struct cell){ NULL, 0, CELL_ABSENT };
			continue;
		}
		if (bit_at(nulls, seen++)) {
			*cell = (struct cell){ NULL, 0, CELL_NULL };
			continue;
		}
		if (size == 0)
			size = row_stored(c);
		if (size >= ROW_LENGTH) {
			if (!take_length(size - ROW_LENGTH, &p, end, &size))
				return cut_short(shape, i, e);
			if (size > column_bytes_max(c))
				return too_long(shape, i, size, e);
		}
		if ((size_t)(end - p) < size)
			return cut_short(shape, i, e);
		*cell = (struct cell){ p, (uint32_t)size, CELL_VALUE };
		p += size;
	}
	in->at = (size_t)(p - in->data);
	return 0;
}
