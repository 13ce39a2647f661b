/* key_sql.c - keys as SQL: literals, conditions, lists of columns.
 *
 * Literals say the same in every session that Millrace opens (UTC, no sql_mode but
 * ALLOW_INVALID_DATES): numbers as they are, DOUBLE with an exponent (without one it would be a
 * DECIMAL), times in quotes, ENUM, SET and BIT as numbers, bytes in hex, text in hex behind the
 * name of its character set, so that neither the connection's character set nor its collation
 * counts. */
#include "cdc/change/key.h"

#include "core/base/hex.h"
#include "core/base/mem.h"
#include "core/value/cell_number.h"
#include "core/value/encode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LITERAL_MAX (2 * KEY_BYTES_MAX + 64)

static const struct column *part(const struct shape *shape, size_t i)
{
	return &shape->columns[shape->key[i]];
}

void key_order_list(const struct shape *shape, struct buf *sql)
{
	for (size_t i = 0; i < shape->key_count; i++) {
		buf_add_str(sql, i > 0 ? "," : "");
		row_quote_name(part(shape, i)->name, sql);
	}
}

void key_select_list(const struct shape *shape, struct buf *sql)
{
	for (size_t i = 0; i < shape->key_count; i++) {
		buf_add_str(sql, i > 0 ? "," : "");
		row_select_column(part(shape, i), sql);
	}
}

/* ---- literals ------------------------------------------------------------------------------- */

enum literal_kind { LITERAL_NUMBER, LITERAL_FLOAT, LITERAL_TIME, LITERAL_BYTES, LITERAL_TEXT };

static enum literal_kind literal_kind(const struct column *c)
{
	switch ((enum column_type)c->type) {
	case COLUMN_TINY:
	case COLUMN_SHORT:
	case COLUMN_INT24:
	case COLUMN_LONG:
	case COLUMN_LONGLONG:
	case COLUMN_YEAR:
	case COLUMN_ENUM:
	case COLUMN_SET:
	case COLUMN_BIT:
	case COLUMN_NEWDECIMAL:
		return LITERAL_NUMBER;
	case COLUMN_FLOAT:
	case COLUMN_DOUBLE:
		return LITERAL_FLOAT;
	case COLUMN_DATE:
	case COLUMN_TIME:
	case COLUMN_TIME2:
	case COLUMN_DATETIME:
	case COLUMN_DATETIME2:
	case COLUMN_TIMESTAMP:
	case COLUMN_TIMESTAMP2:
		return LITERAL_TIME;
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
	case COLUMN_BLOB:
		break;
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
	case COLUMN_JSON: /* these three not in a key */
	case COLUMN_GEOMETRY:
	case COLUMN_VECTOR:
		return LITERAL_BYTES;
	}
	return c->is_binary ? LITERAL_BYTES : LITERAL_TEXT;
}

static bool is_padded(const struct column *c)
{
	return (c->is_binary && c->type == COLUMN_STRING) || c->type == COLUMN_UUID ||
	       c->type == COLUMN_INET4 || c->type == COLUMN_INET6;
}

static void add_hex(const struct column *c, struct slice bytes, struct buf *out)
{
	static const char digits[] = "0123456789abcdef";

	buf_add_str(out, "x'");
	for (size_t i = 0; i < bytes.size; i++) {
		buf_add_u8(out, (uint8_t)digits[bytes.data[i] >> 4]);
		buf_add_u8(out, (uint8_t)digits[bytes.data[i] & 15]);
	}
	/* the server compares the zero bytes of a BINARY(n), and takes no UUID that lacks some */
	for (size_t i = bytes.size; is_padded(c) && i < c->size_max; i++)
		buf_add_str(out, "00");
	buf_add_str(out, "'");
}

static void add_literal(const struct column *c, struct slice text,
			const struct key_weigher *weigher, struct buf *out)
{
	switch (literal_kind(c)) {
	case LITERAL_NUMBER:
		buf_add_slice(out, text);
		break;
	case LITERAL_FLOAT:
		buf_add_slice(out, text);
		if (memchr(text.data, 'e', text.size) == NULL)
			buf_add_str(out, "e0");
		break;
	case LITERAL_TIME:
		buf_add_u8(out, '\'');
		buf_add_slice(out, text);
		buf_add_u8(out, '\'');
		break;
	case LITERAL_TEXT:
		buf_add_format(out, "_%s ", weigher->charset(weigher->context, c));
		add_hex(c, text, out);
		break;
	case LITERAL_BYTES:
		add_hex(c, text, out);
		break;
	}
	buf_add_u8(out, 0);
}

int key_border_from_text(const struct shape *shape, const struct slice *text,
			 const struct key_weigher *weigher, struct key_border *border,
			 struct err *e)
{
	if (key_from_text(shape, text, weigher, &border->key, e) < 0)
		return -1;
	for (size_t i = 0; i < shape->key_count; i++)
		add_literal(part(shape, i), text[i], weigher, &border->literals);
	return 0;
}

static bool text_from_hex(const char *literal, struct buf *text)
{
	size_t size = strlen(literal);

	if (size < 3 || literal[0] != 'x' || literal[1] != '\'' || literal[size - 1] != '\'' ||
	    size % 2 != 1)
		return false;
	for (size_t i = 2; i + 1 < size; i += 2) {
		int high = hex_value_lower((uint8_t)literal[i]);
		int low = hex_value_lower((uint8_t)literal[i + 1]);

		if (high < 0 || low < 0)
			return false;
		buf_add_u8(text, (uint8_t)(high << 4 | low));
	}
	return true;
}

/* What the server's text protocol would say. */
static bool text_from_literal(const struct column *c, const char *literal, struct buf *text)
{
	size_t size = strlen(literal);

	if (size == 0 || size > LITERAL_MAX)
		return false;
	switch (literal_kind(c)) {
	case LITERAL_NUMBER:
	case LITERAL_FLOAT:
		buf_add(text, literal, size);
		return strspn(literal, "0123456789+-.e") == size;
	case LITERAL_TIME:
		if (size < 2 || literal[0] != '\'' || literal[size - 1] != '\'')
			return false;
		buf_add(text, literal + 1, size - 2);
		return strspn(literal + 1, "0123456789-:. ") == size - 2;
	case LITERAL_TEXT:
		literal = literal[0] == '_' ? strchr(literal, ' ') : NULL;
		return literal != NULL && text_from_hex(literal + 1, text);
	case LITERAL_BYTES:
		return text_from_hex(literal, text);
	}
	return false;
}

int key_border_from_literals(const struct shape *shape, const char *const *literals, size_t count,
			     const struct key_weigher *weigher, struct key_border *border,
			     struct err *e)
{
	struct slice text[KEY_PARTS_MAX];
	struct buf texts[KEY_PARTS_MAX];
	bool ok = count == shape->key_count && count <= KEY_PARTS_MAX;
	size_t done = 0;
	int rc = -1;

	for (; ok && done < count; done++) {
		texts[done] = (struct buf)BUF_INIT;
		(void)buf_reserve(&texts[done], 1); /* an empty text is not NULL */
		ok = text_from_literal(part(shape, done), literals[done], &texts[done]);
		text[done] = slice_of(texts[done].data, texts[done].size);
	}
	if (ok)
		rc = key_border_from_text(shape, text, weigher, border, e);
	if (!ok || (rc < 0 && e->kind == ERR_DATA))
		rc = err_data(
			e,
			"table %s.%s: the position's last copied key does not fit its primary key",
			shape->db, shape->table);
	while (done > 0)
		buf_done(&texts[--done]);
	return rc;
}

/* ---- conditions ----------------------------------------------------------------------------- */

/* (a>x OR (a=x AND (b>y OR (b=y AND (c>z))))): the optimizer makes ranges of the whole key from it;
 * of a row constructor, (a,b)>(x,y), it does not. */
void key_condition(const struct shape *shape, const struct key_border *border, bool above,
		   bool or_equal, struct buf *sql)
{
	const char *literal = (const char *)border->literals.data;

	for (size_t i = 0; i < shape->key_count; i++) {
		bool final = i + 1 == shape->key_count;

		buf_add_str(sql, "(");
		row_quote_name(part(shape, i)->name, sql);
		buf_add_str(sql, above ? ">" : "<");
		if (final && or_equal)
			buf_add_str(sql, "=");
		buf_add_str(sql, literal);
		if (final)
			break;
		buf_add_str(sql, " OR (");
		row_quote_name(part(shape, i)->name, sql);
		buf_add_str(sql, "=");
		buf_add_str(sql, literal);
		buf_add_str(sql, " AND ");
		literal += strlen(literal) + 1;
	}
	for (size_t i = 0; i < shape->key_count; i++)
		buf_add_str(sql, i == 0 ? ")" : "))");
}

/* ---- one row -------------------------------------------------------------------------------- */

static uint64_t number_of(const struct column *c, const struct cell *cell)
{
	uint64_t v = 0;

	for (size_t i = 0; i < cell->size && i < 8; i++)
		v = v << 8 | cell->data[c->type == COLUMN_BIT ? i : cell->size - 1 - i];
	return v;
}

/* What the server's text protocol would say of a cell. */
static void text_of(const struct column *c, const struct cell *cell, struct buf *text)
{
	switch (literal_kind(c)) {
	case LITERAL_NUMBER:
		if (c->type == COLUMN_ENUM || c->type == COLUMN_SET || c->type == COLUMN_BIT)
			buf_add_format(text, "%" PRIu64, number_of(c, cell));
		else
			encode_exact_text(c, cell, text);
		return;
	case LITERAL_FLOAT:
		buf_add_format(text, "%.17g", cell_double(cell));
		return;
	case LITERAL_TIME:
		encode_exact_text(c, cell, text);
		return;
	case LITERAL_BYTES:
	case LITERAL_TEXT:
		buf_add(text, cell->data, cell->size);
		return;
	}
}

static bool is_literal(const struct column *c, struct slice text)
{
	const char *legal = NULL;
	size_t size = 0;

	switch (literal_kind(c)) {
	case LITERAL_NUMBER:
	case LITERAL_FLOAT:
		legal = "0123456789+-.e";
		break;
	case LITERAL_TIME:
		legal = "0123456789-:. ";
		break;
	case LITERAL_BYTES:
	case LITERAL_TEXT:
		return true;
	}
	while (size < text.size && strchr(legal, text.data[size]) != NULL && text.data[size] != 0)
		size++;
	return size == text.size && size > 0;
}

bool key_equals(const struct shape *shape, const struct cell *cells,
		const struct key_weigher *weigher, struct buf *sql)
{
	struct buf text = BUF_INIT, literal = BUF_INIT;
	bool ok = true;

	for (size_t i = 0; i < shape->key_count && ok; i++) {
		const struct column *c = part(shape, i);
		const struct cell *cell = &cells[shape->key[i]];

		buf_reset(&text);
		buf_reset(&literal);
		(void)buf_reserve(&text, 1);
		if (cell->state == CELL_VALUE)
			text_of(c, cell, &text);
		ok = cell->state == CELL_VALUE && is_literal(c, buf_slice(&text));
		if (!ok)
			break;
		add_literal(c, buf_slice(&text), weigher, &literal);
		buf_add_str(sql, i == 0 ? "(" : " AND ");
		row_quote_name(c->name, sql);
		buf_add_str(sql, "=");
		buf_add_str(sql, (const char *)literal.data);
	}
	buf_add_str(sql, ")");
	buf_done(&text);
	buf_done(&literal);
	return ok;
}
