/* key.c - the order of primary keys.
 *
 * One byte string serves the fold map, the borders of chunks and the merge of a chunk's rows with
 * what was folded. Both ways into it, from a row image and from the server's text, go through the
 * stored form of the value, so they cannot differ.
 *
 * What it refuses: tables without a primary key. */
#include "cdc/change/key.h"

#include "core/base/mem.h"
#include "core/value/cell_number.h"

#include <string.h>

#define SIGN_BIT (UINT64_C(1) << 63)

enum part_kind {
	PART_SIGNED,
	PART_UNSIGNED,
	PART_STORED,
	PART_FLOAT,
	PART_BINARY,
	PART_UUID,
	PART_TEXT
};

static enum part_kind part_kind(const struct column *c)
{
	switch ((enum column_type)c->type) {
	case COLUMN_TINY:
	case COLUMN_SHORT:
	case COLUMN_INT24:
	case COLUMN_LONG:
	case COLUMN_LONGLONG:
		return c->is_unsigned ? PART_UNSIGNED : PART_SIGNED;
	case COLUMN_TIME: /* the old forms are numbers: hhmmss, yyyymmddhhmmss, seconds */
		return PART_SIGNED;
	case COLUMN_DATETIME:
	case COLUMN_TIMESTAMP:
	case COLUMN_DATE:
	case COLUMN_YEAR:
	case COLUMN_ENUM:
	case COLUMN_SET:
		return PART_UNSIGNED;
	case COLUMN_NEWDECIMAL:
	case COLUMN_TIME2:
	case COLUMN_DATETIME2:
	case COLUMN_TIMESTAMP2:
	case COLUMN_BIT:
		return PART_STORED;
	case COLUMN_FLOAT:
	case COLUMN_DOUBLE:
		return PART_FLOAT;
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
	case COLUMN_BLOB:
		return c->is_binary ? PART_BINARY : PART_TEXT;
	case COLUMN_INET4:
	case COLUMN_INET6:
		return PART_BINARY;
	case COLUMN_UUID:
		return PART_UUID;
	case COLUMN_JSON: /* not in a key */
	case COLUMN_GEOMETRY:
	case COLUMN_VECTOR:
		return PART_BINARY;
	}
	return PART_STORED;
}

static const struct column *part(const struct shape *shape, size_t i)
{
	return &shape->columns[shape->key[i]];
}

const char *key_refused(const struct shape *shape)
{
	if (shape->key_count == 0)
		return "it has no primary key";
	if (shape->key_count > KEY_PARTS_MAX)
		return "its primary key has too many columns";
	return NULL;
}

bool key_is_text(const struct shape *shape, size_t i)
{
	return part_kind(part(shape, i)) == PART_TEXT;
}

bool key_is_local(const struct shape *shape)
{
	for (size_t i = 0; i < shape->key_count; i++)
		if (key_is_text(shape, i))
			return false;
	return true;
}

static bool equal_labels(const struct column *a, const struct column *b)
{
	if (a->label_count != b->label_count)
		return false;
	for (uint16_t i = 0; i < a->label_count; i++)
		if (strcmp(a->labels[i], b->labels[i]) != 0)
			return false;
	return true;
}

static bool equal_parts(const struct column *a, const struct column *b)
{
	enum part_kind kind = part_kind(a);

	if (kind != part_kind(b) || strcmp(a->name, b->name) != 0)
		return false;
	switch (kind) {
	case PART_SIGNED:
		return true; /* a wider integer sorts the same */
	case PART_UNSIGNED:
		return (a->type <= COLUMN_LONG || a->type == COLUMN_LONGLONG ||
			a->type == COLUMN_INT24 || a->type == b->type) &&
		       equal_labels(a, b);
	case PART_STORED:
		return a->type == b->type && a->precision == b->precision && a->scale == b->scale &&
		       a->fraction == b->fraction && a->bits == b->bits;
	case PART_FLOAT:
	case PART_BINARY:
	case PART_UUID:
		return a->type == b->type;
	case PART_TEXT:
		return a->collation == b->collation;
	}
	return false;
}

bool key_equal_columns(const struct shape *a, const struct shape *b)
{
	if (a == b)
		return true;
	if (a->key_count != b->key_count)
		return false;
	for (size_t i = 0; i < a->key_count; i++)
		if (!equal_parts(part(a, i), part(b, i)))
			return false;
	return true;
}

/* ---- encode --------------------------------------------------------------------------------- */

static void add_number(struct buf *key, uint64_t v)
{
	uint8_t *p = buf_reserve(key, 8);

	for (size_t i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (56 - 8 * i));
	key->size += 8;
}

static void add_binary(struct buf *key, const struct column *c, struct slice s)
{
	static const uint8_t zero[2] = { 0x00, 0xff }, end[2] = { 0x00, 0x00 };

	while (c->type == COLUMN_STRING && s.size > 0 && s.data[s.size - 1] == 0)
		s.size--;
	for (size_t i = 0; i < s.size; i++) {
		if (s.data[i] == 0)
			buf_add(key, zero, 2);
		else
			buf_add_u8(key, s.data[i]);
	}
	buf_add(key, end, 2);
}

/* MariaDB's order of UUIDs: those of version 1 to 5 with a variant other than 0 are turned around,
 * so that what one machine made lies together (plugin/type_uuid, "mem_need_swap"). */
static void add_uuid(struct buf *key, struct slice s)
{
	uint8_t u[16] = { 0 };

	if (s.size > 0)
		memcpy(u, s.data, s.size < sizeof(u) ? s.size : sizeof(u));
	if (u[6] == 0 || u[6] >= 0x60 || u[8] < 0x80) {
		buf_add(key, u, sizeof(u));
		return;
	}
	buf_add(key, u + 10, 6);
	buf_add(key, u + 8, 2);
	buf_add(key, u + 6, 2);
	buf_add(key, u + 4, 2);
	buf_add(key, u, 4);
}

static uint64_t cell_number(const struct cell *cell, bool is_signed)
{
	uint64_t v = 0;

	for (size_t i = cell->size; i > 0; i--)
		v = v << 8 | cell->data[i - 1];
	if (is_signed && cell->size > 0 && cell->size < 8 && cell->data[cell->size - 1] & 0x80)
		v |= UINT64_MAX << (8 * cell->size);
	return is_signed ? v ^ SIGN_BIT : v;
}

/* A FLOAT is widened: the same number then has the same bytes in both types. */
static uint64_t float_number(const struct cell *cell)
{
	double d = cell_double(cell);
	uint64_t bits;

	if (d == 0)
		d = 0; /* -0 is equal to it */
	memcpy(&bits, &d, sizeof(bits));
	return bits & SIGN_BIT ? ~bits : bits | SIGN_BIT;
}

static int add_part(const struct shape *shape, size_t i, const struct cell *cell,
		    const struct key_weigher *weigher, struct buf *key, struct err *e)
{
	const struct column *c = part(shape, i);
	struct slice bytes = slice_of(cell->data, cell->size);

	switch (part_kind(c)) {
	case PART_SIGNED:
		add_number(key, cell_number(cell, true));
		return 0;
	case PART_UNSIGNED:
		add_number(key, cell_number(cell, false));
		return 0;
	case PART_STORED:
		buf_add_slice(key, bytes);
		return 0;
	case PART_FLOAT:
		add_number(key, float_number(cell));
		return 0;
	case PART_BINARY:
		add_binary(key, c, bytes);
		return 0;
	case PART_UUID:
		add_uuid(key, bytes);
		return 0;
	case PART_TEXT:
		return weigher->weigh(weigher->context, i, c, bytes, key, e);
	}
	return 0;
}

int key_from_cells(const struct shape *shape, const struct cell *cells,
		   const struct key_weigher *weigher, struct buf *key, struct err *e)
{
	for (size_t i = 0; i < shape->key_count; i++) {
		const struct cell *cell = &cells[shape->key[i]];

		if (cell->state != CELL_VALUE) {
			err_data(e, "table %s.%s: key column %s is not in the row image", shape->db,
				 shape->table, part(shape, i)->name);
			return err_hint(e, "While a table is copied, every session must write with "
					   "binlog_row_image=FULL.");
		}
		if (add_part(shape, i, cell, weigher, key, e) < 0)
			return -1;
	}
	return 0;
}

static int add_text(const struct shape *shape, size_t i, struct slice text,
		    const struct key_weigher *weigher, struct buf *stored, struct buf *key,
		    struct err *e)
{
	const struct column *c = part(shape, i);
	struct cell cell;

	buf_reset(stored);
	if (text.data == NULL || !row_cell_from_text(c, text, stored, &cell))
		return err_data(e, "table %s.%s: key column %s: the server's text is not a key",
				shape->db, shape->table, c->name);
	return add_part(shape, i, &cell, weigher, key, e);
}

int key_from_text(const struct shape *shape, const struct slice *text,
		  const struct key_weigher *weigher, struct buf *key, struct err *e)
{
	struct buf stored = BUF_INIT;
	int rc = 0;

	for (size_t i = 0; i < shape->key_count && rc == 0; i++)
		rc = add_text(shape, i, text[i], weigher, &stored, key, e);
	buf_done(&stored);
	return rc;
}

int key_compare(struct slice a, struct slice b)
{
	size_t least = a.size < b.size ? a.size : b.size;
	int order = least == 0 ? 0 : memcmp(a.data, b.data, least);

	return order != 0 ? order : a.size < b.size ? -1 : a.size > b.size;
}

void key_border_copy(struct key_border *to, const struct key_border *from)
{
	key_border_reset(to);
	buf_add_slice(&to->key, buf_slice(&from->key));
	buf_add_slice(&to->literals, buf_slice(&from->literals));
}
