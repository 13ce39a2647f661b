/* sql_rows.c - which statements write plain rows: INSERT and REPLACE as of sql_merge.c whose tuple
 * is nothing but parameters, each as it is or, of a date or time, in one of the forms that
 * docs/STORES.md names and mirrors use. What such a row is in a file is known without the server:
 * so LOAD DATA can write it (load.h). */
#include "projections/store/mysql/sql_priv.h"

#include "core/base/mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

/* Words apart, ? for the parameter. */
static const struct {
	const char *text;
	enum mydb_form form;
} forms[] = {
	{ "?", MYDB_AS_IS },
	{ "DATE '1970-01-01' + INTERVAL ? DAY", MYDB_DAYS },
	{ "DATE_ADD ( '1970-01-01' , INTERVAL ? DAY )", MYDB_DAYS },
	{ "TIMESTAMP '1970-01-01 00:00:00' + INTERVAL ? MICROSECOND", MYDB_MICROS },
	{ "TIMESTAMPADD ( MICROSECOND , ? , '1970-01-01' )", MYDB_MICROS },
	{ "SEC_TO_TIME ( ? * 0 . 000001 )", MYDB_CLOCK },
};

void mydb_rows_free(struct mydb_rows *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->count; i++)
		free(r->cells[i].column);
	for (size_t i = 0; i < r->set_count; i++)
		free(r->set[i]);
	free(r->cells);
	free(r->set);
	free(r);
}

/* ---- the tuple ------------------------------------------------------------------------------- */

static void put_words(const struct mydb_tokens *t, size_t from, size_t to, struct buf *text,
		      size_t *ret_parameter)
{
	for (size_t i = from; i < to; i++) {
		const struct mydb_token *p = &t->items[i];

		buf_add_str(text, i > from ? " " : "");
		if (p->kind == TOKEN_PARAMETER)
			*ret_parameter = p->parameter;
		for (size_t k = 0; k < p->size; k++)
			buf_add_u8(text, (uint8_t)toupper(t->sql->text.data[p->at + k]));
	}
}

static bool read_cell(const struct mydb_tokens *t, size_t from, size_t to, struct mydb_cell *ret)
{
	struct buf text = BUF_INIT;
	bool found = false;

	put_words(t, from, to, &text, &ret->parameter);
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]) && !found; i++) {
		found = strcmp(buf_cstr(&text), forms[i].text) == 0;
		ret->form = forms[i].form;
	}
	buf_done(&text);
	return found;
}

static bool read_tuple(const struct mydb_tokens *t, size_t columns, size_t tuple,
		       struct mydb_rows *r)
{
	size_t from, to;

	while (mydb_token_item(t, tuple, r->count, &from, &to)) {
		struct mydb_cell cell = { NULL, 0, MYDB_AS_IS };

		if (!read_cell(t, from, to, &cell) ||
		    !mydb_token_item(t, columns, r->count, &from, &to) || to != from + 1 ||
		    !mydb_token_name(t, from))
			return false;
		cell.column = mydb_token_text(t, from);
		r->cells = xrealloc(r->cells, (r->count + 1) * sizeof(*r->cells));
		r->cells[r->count++] = cell;
	}
	return !mydb_token_item(t, columns, r->count, &from, &to);
}

/* ---- what stands behind it ------------------------------------------------------------------- */

/* `b = VALUES(b)` at i, or `b = :b`, of which sql_merge.c has seen to it that it is the same.
 * Returns where it ends; 0: it is something else. */
static size_t read_set(const struct mydb_tokens *t, size_t i, struct mydb_rows *r)
{
	char *name, *value = NULL;
	bool same;

	if (!mydb_token_name(t, i) || !mydb_token_sign(t, i + 1, '='))
		return 0;
	name = mydb_token_text(t, i);
	r->set = xrealloc(r->set, (r->set_count + 1) * sizeof(*r->set));
	r->set[r->set_count++] = name;
	if (i + 2 < t->count && t->items[i + 2].kind == TOKEN_PARAMETER)
		return i + 3;
	if (!mydb_token_is(t, i + 2, "VALUES") || !mydb_token_sign(t, i + 3, '(') ||
	    !mydb_token_name(t, i + 4) || !mydb_token_sign(t, i + 5, ')'))
		return 0;
	value = mydb_token_text(t, i + 4);
	same = strcasecmp(name, value) == 0;
	free(value);
	return same ? i + 6 : 0;
}

static bool read_behind(const struct mydb_tokens *t, size_t i, struct mydb_rows *r)
{
	if (i == t->count)
		return true;
	if (!mydb_token_is(t, i, "ON") || !mydb_token_is(t, i + 1, "DUPLICATE") ||
	    !mydb_token_is(t, i + 2, "KEY") || !mydb_token_is(t, i + 3, "UPDATE"))
		return false;
	r->updates = true;
	for (i += 4; (i = read_set(t, i, r)) != 0; i++) {
		if (i == t->count)
			return true;
		if (!mydb_token_sign(t, i, ','))
			return false;
	}
	return false;
}

void mydb_sql_find_rows(struct mydb_sql *s, const struct mydb_tokens *t, size_t columns,
			size_t tuple, size_t behind)
{
	struct mydb_rows *r = xcalloc(1, sizeof(*r));

	r->replaces = mydb_token_is(t, 0, "REPLACE");
	if (columns != 0 && !mydb_token_is(t, 1, "IGNORE") && read_tuple(t, columns, tuple, r) &&
	    read_behind(t, behind, r))
		s->rows = r;
	else
		mydb_rows_free(r);
}
