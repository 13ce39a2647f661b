/* sql_merge.c - which statements may become one: INSERT and REPLACE of one row, whose outcome
 * is the same when the rows of several stand behind one VALUES.
 *
 *   INSERT [IGNORE] [INTO] t [(a, b)] VALUES (:a, :b) [ON DUPLICATE KEY UPDATE b = VALUES(b), ...]
 *   REPLACE [INTO] t [(a, b)] VALUES (:a, :b)
 *
 * The server takes the rows of such a statement one after the other, so ON DUPLICATE KEY UPDATE
 * sees what the rows before have done. What stands behind the tuple is there once for all rows, so
 * it can hold no parameter: "b = :b" is written "b = VALUES(b)", where column b gets just :b.
 * Subqueries and user variables would see the rows before, or not: those stay apart. */
#include "projections/store/mysql/sql_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <strings.h>

/* The sign that closes the one at `open`; t->count: none. */
static size_t closing(const struct mydb_tokens *t, size_t open)
{
	size_t i = open + 1;

	while (i < t->count &&
	       !(mydb_token_sign(t, i, ')') && t->items[i].depth == t->items[open].depth))
		i++;
	return i;
}

static bool has_word(const struct mydb_tokens *t, const char *word)
{
	for (size_t i = 0; i < t->count; i++)
		if (mydb_token_is(t, i, word))
			return true;
	return false;
}

static bool has_sign(const struct mydb_tokens *t, char sign)
{
	for (size_t i = 0; i < t->count; i++)
		if (mydb_token_sign(t, i, sign))
			return true;
	return false;
}

bool mydb_token_item(const struct mydb_tokens *t, size_t open, size_t place, size_t *ret_from,
		     size_t *ret_to)
{
	size_t close = closing(t, open), at = open + 1, items = 0;

	for (size_t i = open + 1; i <= close; i++) {
		bool end = i == close || (mydb_token_sign(t, i, ',') &&
					  t->items[i].depth == t->items[open].depth + 1);

		if (!end)
			continue;
		*ret_from = at;
		*ret_to = i;
		if (items++ == place)
			return true;
		at = i + 1;
	}
	return false;
}

/* The item at `place` of a list in parentheses is this one token; t->count: it is more. */
static size_t single_item(const struct mydb_tokens *t, size_t open, size_t place)
{
	size_t from, to;

	return mydb_token_item(t, open, place, &from, &to) && to == from + 1 ? from : t->count;
}

static bool same_text(const struct mydb_tokens *t, size_t a, size_t b)
{
	const char *text = (const char *)t->sql->text.data;

	return t->items[a].size == t->items[b].size &&
	       strncasecmp(text + t->items[a].at, text + t->items[b].at, t->items[a].size) == 0;
}

/* Is token `p` the parameter that column `name` gets? */
static bool is_of_column(const struct mydb_tokens *t, size_t columns, size_t tuple, size_t name,
			 size_t p)
{
	for (size_t place = 0;; place++) {
		size_t column = single_item(t, columns, place), value;

		if (column == t->count)
			return false;
		if (!same_text(t, column, name))
			continue;
		value = single_item(t, tuple, place);
		return value < t->count && t->items[value].kind == TOKEN_PARAMETER &&
		       strcmp(t->sql->parameters[t->items[value].parameter].name,
			      t->sql->parameters[t->items[p].parameter].name) == 0;
	}
}

/* What stands behind the tuple, with VALUES(column) in place of parameters; NULL: can't be. */
static char *write_suffix(const struct mydb_tokens *t, size_t columns, size_t tuple, size_t from)
{
	const char *text = (const char *)t->sql->text.data;
	size_t at = t->items[closing(t, tuple)].at + 1;
	struct buf out = BUF_INIT;
	char *suffix;

	for (size_t i = from; i < t->count; i++) {
		const struct mydb_token *p = &t->items[i];
		bool ends = i + 1 == t->count || mydb_token_sign(t, i + 1, ',');

		if (p->kind != TOKEN_PARAMETER)
			continue;
		if (columns == 0 || p->depth != 0 || !ends || i < from + 2 ||
		    !mydb_token_sign(t, i - 1, '=') || !mydb_token_name(t, i - 2) ||
		    mydb_token_sign(t, i - 3, '.') || !is_of_column(t, columns, tuple, i - 2, i)) {
			buf_done(&out);
			return NULL;
		}
		buf_add(&out, text + at, p->at - at);
		buf_add_str(&out, "VALUES(`");
		buf_add(&out, text + t->items[i - 2].at, t->items[i - 2].size);
		buf_add_str(&out, "`)");
		at = p->at + 1;
	}
	buf_add(&out, text + at, t->sql->text.size - at);
	suffix = xstrdup(buf_cstr(&out));
	buf_done(&out);
	return suffix;
}

static bool nameless(const struct mydb_sql *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->parameters[i].name == NULL)
			return true;
	return false;
}

void mydb_sql_find_merge(struct mydb_sql *s, const struct mydb_tokens *t)
{
	bool insert = mydb_token_is(t, 0, "INSERT"), replace = mydb_token_is(t, 0, "REPLACE");
	size_t i = 1, columns = 0, tuple, behind;

	if (!(insert || replace) || s->table == NULL || nameless(s) || has_word(t, "SELECT") ||
	    has_word(t, "RETURNING") || has_word(t, "LAST_INSERT_ID") || has_sign(t, '@'))
		return;
	i += insert && mydb_token_is(t, i, "IGNORE");
	i += mydb_token_is(t, i, "INTO");
	i++; /* the table */
	if (mydb_token_sign(t, i, '(')) {
		columns = i;
		i = closing(t, i) + 1;
	}
	if (!mydb_token_is(t, i, "VALUES") && !mydb_token_is(t, i, "VALUE"))
		return;
	tuple = i + 1;
	if (!mydb_token_sign(t, tuple, '('))
		return;
	behind = closing(t, tuple);
	if (behind == t->count)
		return;
	behind++;
	if (behind < t->count && !mydb_token_is(t, behind, "ON") && !mydb_token_is(t, behind, "AS"))
		return;
	s->suffix = write_suffix(t, columns, tuple, behind);
	s->tuple_begin = t->items[tuple].at;
	s->tuple_end = t->items[behind - 1].at + 1;
	s->merges = s->suffix != NULL;
	if (s->merges)
		mydb_sql_find_rows(s, t, columns, tuple, behind);
}
