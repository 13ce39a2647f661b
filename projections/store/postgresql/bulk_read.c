/* bulk_read.c - is a statement a plain write: by its tokens alone. What kind of table it writes to
 * is asked behind it (bulk_shape.c). */
#include "projections/store/postgresql/bulk_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>

static bool is_symbol(const struct bulk_reading *r, const char *symbol)
{
	return r->at < r->end && r->at->kind == PG_TOKEN_SYMBOL && strcmp(r->at->text, symbol) == 0;
}

static bool symbol(struct bulk_reading *r, const char *text)
{
	if (!is_symbol(r, text))
		return false;
	r->at++;
	return true;
}

static bool word(struct bulk_reading *r, const char *text)
{
	if (r->at == r->end || r->at->kind != PG_TOKEN_WORD || strcmp(r->at->text, text) != 0)
		return false;
	r->at++;
	return true;
}

static const char *name(struct bulk_reading *r)
{
	if (r->at == r->end || (r->at->kind != PG_TOKEN_WORD && r->at->kind != PG_TOKEN_QUOTED))
		return NULL;
	return r->at++->text;
}

void bulk_add_name(char ***names, size_t *count, const char *text)
{
	*names = xrealloc(*names, (*count + 1) * sizeof(**names));
	(*names)[(*count)++] = xstrdup(text);
}

static void add_parameter(struct bulk_shape *s, size_t at, int number)
{
	s->parameters = xrealloc(s->parameters, (at + 1) * sizeof(*s->parameters));
	s->parameters[at] = number - 1;
}

/* (a, b) */
static bool names_in_parentheses(struct bulk_reading *r, char ***names, size_t *count)
{
	const char *text;

	if (!symbol(r, "("))
		return false;
	do {
		text = name(r);
		if (text == NULL || *count == BULK_COLUMNS_MAX)
			return false;
		bulk_add_name(names, count, text);
	} while (symbol(r, ","));
	return symbol(r, ")");
}

/* (:x, :y); *ret_count of them */
static bool parameters(struct bulk_reading *r, size_t *ret_count)
{
	size_t count = 0;

	if (!symbol(r, "("))
		return false;
	do {
		if (r->at == r->end || r->at->kind != PG_TOKEN_PARAMETER ||
		    count == BULK_COLUMNS_MAX)
			return false;
		add_parameter(r->shape, count++, r->at++->number);
	} while (symbol(r, ","));
	*ret_count = count;
	return symbol(r, ")");
}

static bool conflict(struct bulk_reading *r)
{
	if (!word(r, "conflict") || !names_in_parentheses(r, &r->conflict, &r->conflict_count) ||
	    !word(r, "do") || !word(r, "update") || !word(r, "set"))
		return false;
	do {
		const char *column = name(r), *from;

		if (column == NULL || !symbol(r, "=") || !word(r, "excluded") || !symbol(r, "."))
			return false;
		from = name(r);
		if (from == NULL || strcmp(from, column) != 0 || r->set_count == BULK_COLUMNS_MAX)
			return false;
		bulk_add_name(&r->set, &r->set_count, column);
	} while (symbol(r, ","));
	return true;
}

static bool read_insert(struct bulk_reading *r)
{
	struct bulk_shape *s = r->shape;
	size_t count = 0;
	const char *text;

	if (!word(r, "into") || (text = name(r)) == NULL)
		return false;
	r->table = xstrdup(text);
	s->kind = BULK_INSERT;
	if (is_symbol(r, "(") && !names_in_parentheses(r, &s->columns, &s->column_count))
		return false;
	if (!word(r, "values") || !parameters(r, &count))
		return false;
	if (s->column_count != 0 && s->column_count != count)
		return false;
	if (word(r, "on")) {
		s->kind = BULK_UPSERT;
		if (!conflict(r))
			return false;
	}
	r->value_count = count;
	return r->at == r->end;
}

static bool read_delete(struct bulk_reading *r)
{
	struct bulk_shape *s = r->shape;
	const char *text;

	if (!word(r, "from") || (text = name(r)) == NULL)
		return false;
	r->table = xstrdup(text);
	s->kind = BULK_DELETE;
	if (!word(r, "where"))
		return false;
	do {
		text = name(r);
		if (text == NULL || !symbol(r, "=") || r->at == r->end ||
		    r->at->kind != PG_TOKEN_PARAMETER || s->column_count == BULK_COLUMNS_MAX)
			return false;
		add_parameter(s, s->column_count, r->at++->number);
		bulk_add_name(&s->columns, &s->column_count, text);
	} while (word(r, "and"));
	return r->at == r->end;
}

bool bulk_read_shape(struct bulk_reading *r, const struct pg_script *script)
{
	r->at = script->tokens;
	r->end = script->tokens + script->token_count;
	if (word(r, "insert"))
		return read_insert(r);
	return word(r, "delete") && read_delete(r);
}

void bulk_reading_done(struct bulk_reading *r)
{
	bulk_names_free(r->conflict, r->conflict_count);
	bulk_names_free(r->set, r->set_count);
	free(r->table);
	if (r->shape != NULL)
		bulk_shape_free(r->shape);
}
