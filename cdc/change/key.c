/* key.c - the order of primary keys.
 *
 * The encoding is injective and reversible, so one byte string serves the fold map, the borders of
 * chunks, the SQL of the next chunk and the position. What it refuses: character keys (their order
 * is the collation's, the server would have to be asked), and types whose stored form does not
 * sort; the caller says so at start-up. */
#include "cdc/change/key.h"

#include "core/base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define SIGN_BIT (UINT64_C(1) << 63)

enum part_kind { PART_REFUSED, PART_SIGNED, PART_UNSIGNED, PART_BINARY };

static enum part_kind part_kind(const struct column *c)
{
	switch (c->type) {
	case COLUMN_TINY:
	case COLUMN_SHORT:
	case COLUMN_INT24:
	case COLUMN_LONG:
	case COLUMN_LONGLONG:
		return c->is_unsigned ? PART_UNSIGNED : PART_SIGNED;
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
		return c->is_binary ? PART_BINARY : PART_REFUSED;
	default:
		return PART_REFUSED;
	}
}

static const struct column *part(const struct shape *shape, size_t i)
{
	return &shape->columns[shape->key[i]];
}

const char *key_refused(const struct shape *shape, struct buf *scratch)
{
	char type[64];

	if (shape->key_count == 0)
		return "it has no primary key";
	if (shape->key_count > KEY_PARTS_MAX)
		return "its primary key has too many columns";
	for (size_t i = 0; i < shape->key_count; i++) {
		if (part_kind(part(shape, i)) != PART_REFUSED)
			continue;
		buf_reset(scratch);
		buf_add_format(scratch, "its key column %s is %s", part(shape, i)->name,
			       column_type_text(part(shape, i), type, sizeof(type)));
		return buf_cstr(scratch);
	}
	return NULL;
}

bool key_equal_columns(const struct shape *a, const struct shape *b)
{
	if (a->key_count != b->key_count)
		return false;
	for (size_t i = 0; i < a->key_count; i++)
		if (strcmp(part(a, i)->name, part(b, i)->name) != 0 ||
		    part_kind(part(a, i)) != part_kind(part(b, i)) ||
		    (part(a, i)->type == COLUMN_STRING) != (part(b, i)->type == COLUMN_STRING))
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

static uint64_t cell_number(const struct cell *cell, bool is_signed)
{
	uint64_t v = 0;

	for (size_t i = cell->size; i > 0; i--)
		v = v << 8 | cell->data[i - 1];
	if (is_signed && cell->size > 0 && cell->size < 8 && cell->data[cell->size - 1] & 0x80)
		v |= UINT64_MAX << (8 * cell->size);
	return is_signed ? v ^ SIGN_BIT : v;
}

int key_from_cells(const struct shape *shape, const struct cell *cells, struct buf *key,
		   struct err *e)
{
	for (size_t i = 0; i < shape->key_count; i++) {
		const struct cell *cell = &cells[shape->key[i]];
		const struct column *c = part(shape, i);

		if (cell->state != CELL_VALUE) {
			err_data(e, "table %s.%s: key column %s is not in the row image", shape->db,
				 shape->table, c->name);
			return err_hint(e, "While a table is copied, every session must write with "
					   "binlog_row_image=FULL.");
		}
		if (part_kind(c) == PART_BINARY)
			add_binary(key, c, slice_of(cell->data, cell->size));
		else
			add_number(key, cell_number(cell, part_kind(c) == PART_SIGNED));
	}
	return 0;
}

static int add_number_text(struct buf *key, struct slice text, bool is_signed)
{
	char digits[24];
	char *end;

	if (text.data == NULL || text.size == 0 || text.size >= sizeof(digits))
		return -1;
	memcpy(digits, text.data, text.size);
	digits[text.size] = '\0';
	errno = 0;
	if (is_signed)
		add_number(key, (uint64_t)strtoll(digits, &end, 10) ^ SIGN_BIT);
	else if (digits[0] == '-')
		return -1;
	else
		add_number(key, strtoull(digits, &end, 10));
	return errno == 0 && *end == '\0' ? 0 : -1;
}

int key_from_text(const struct shape *shape, const struct slice *text, struct buf *key,
		  struct err *e)
{
	for (size_t i = 0; i < shape->key_count; i++) {
		const struct column *c = part(shape, i);

		if (part_kind(c) == PART_BINARY && text[i].data != NULL)
			add_binary(key, c, text[i]);
		else if (part_kind(c) == PART_BINARY ||
			 add_number_text(key, text[i], part_kind(c) == PART_SIGNED) < 0)
			return err_data(
				e, "table %s.%s: key column %s: the server's text is not a key",
				shape->db, shape->table, c->name);
	}
	return 0;
}

/* ---- back to SQL ---------------------------------------------------------------------------- */

/* The next part of `key` as a literal. BINARY(n) gets its zero bytes back: the server compares
 * them. */
static void part_literal(const struct column *c, struct rd *key, struct buf *sql)
{
	size_t bytes = 0;

	if (part_kind(c) == PART_SIGNED) {
		buf_add_format(sql, "%" PRId64, (int64_t)(rd_be(key, 8) ^ SIGN_BIT));
		return;
	}
	if (part_kind(c) == PART_UNSIGNED) {
		buf_add_format(sql, "%" PRIu64, rd_be(key, 8));
		return;
	}
	buf_add_str(sql, "x'");
	while (rd_left(key) > 0) {
		uint8_t byte = rd_u8(key);

		if (byte == 0 && rd_u8(key) == 0)
			break;
		buf_add_format(sql, "%02x", byte);
		bytes++;
	}
	for (; c->type == COLUMN_STRING && bytes < c->size_max; bytes++)
		buf_add_str(sql, "00");
	buf_add_str(sql, "'");
}

void key_literals(const struct shape *shape, struct slice key, struct buf *out)
{
	struct rd in = rd_from(key);

	for (size_t i = 0; i < shape->key_count; i++) {
		part_literal(part(shape, i), &in, out);
		buf_add_u8(out, 0);
	}
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int binary_from_literal(const char *literal, struct buf *bytes)
{
	size_t size = strlen(literal);

	if (size < 3 || size > 2 * KEY_BYTES_MAX || literal[0] != 'x' || literal[1] != '\'' ||
	    literal[size - 1] != '\'' || size % 2 != 1)
		return -1;
	for (size_t i = 2; i + 1 < size; i += 2) {
		int high = hex(literal[i]), low = hex(literal[i + 1]);

		if (high < 0 || low < 0)
			return -1;
		buf_add_u8(bytes, (uint8_t)(high << 4 | low));
	}
	return 0;
}

int key_from_literals(const struct shape *shape, const char *const *literals, size_t count,
		      struct buf *key, struct err *e)
{
	struct buf bytes = BUF_INIT;
	bool ok = count == shape->key_count;

	for (size_t i = 0; i < count && ok; i++) {
		const struct column *c = part(shape, i);

		buf_reset(&bytes);
		if (part_kind(c) != PART_BINARY) {
			ok = add_number_text(key, slice_str(literals[i]),
					     part_kind(c) == PART_SIGNED) == 0;
		} else {
			ok = binary_from_literal(literals[i], &bytes) == 0;
			if (ok)
				add_binary(key, c, buf_slice(&bytes));
		}
	}
	buf_done(&bytes);
	if (!ok)
		return err_data(
			e,
			"table %s.%s: the position's last copied key does not fit its primary key",
			shape->db, shape->table);
	return 0;
}

/* (a>x OR (a=x AND (b>y OR (b=y AND (c>z))))): the optimizer makes ranges of the whole key from it;
 * of a row constructor, (a,b)>(x,y), it does not. */
void key_condition(const struct shape *shape, struct slice key, bool above, bool or_equal,
		   struct buf *sql)
{
	struct rd in = rd_from(key);
	struct buf literal = BUF_INIT;

	for (size_t i = 0; i < shape->key_count; i++) {
		bool final = i + 1 == shape->key_count;

		buf_reset(&literal);
		part_literal(part(shape, i), &in, &literal);
		buf_add_str(sql, "(");
		row_quote_name(part(shape, i)->name, sql);
		buf_add_str(sql, above ? ">" : "<");
		if (final && or_equal)
			buf_add_str(sql, "=");
		buf_add_slice(sql, buf_slice(&literal));
		if (final)
			break;
		buf_add_str(sql, " OR (");
		row_quote_name(part(shape, i)->name, sql);
		buf_add_str(sql, "=");
		buf_add_slice(sql, buf_slice(&literal));
		buf_add_str(sql, " AND ");
	}
	for (size_t i = 0; i < shape->key_count; i++)
		buf_add_str(sql, i == 0 ? ")" : "))");
	buf_done(&literal);
}

int key_compare(struct slice a, struct slice b)
{
	size_t least = a.size < b.size ? a.size : b.size;
	int order = least == 0 ? 0 : memcmp(a.data, b.data, least);

	return order != 0 ? order : a.size < b.size ? -1 : a.size > b.size;
}
