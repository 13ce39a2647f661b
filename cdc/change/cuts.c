/* cuts.c - savepoints of one group and the ranges that were rolled back.
 *
 * Savepoints form a stack: ROLLBACK TO keeps the one it names and drops those above it; setting one
 * again moves it to the top. Cuts are merged as they come: a later rollback to an earlier savepoint
 * swallows the cuts behind it, so the list stays sorted and disjoint, and its length is bounded by
 * what is alive. */
#include "cdc/change/cuts.h"

#include "core/base/mem.h"

#include <ctype.h>
#include <stdlib.h>

void cuts_done(struct cuts *c)
{
	cuts_reset(c);
	free(c->items);
	free(c->savepoints);
	*c = (struct cuts){ 0 };
}

static void drop_savepoints(struct cuts *c, size_t keep)
{
	while (c->savepoint_count > keep)
		free(c->savepoints[--c->savepoint_count].name);
}

void cuts_reset(struct cuts *c)
{
	drop_savepoints(c, 0);
	c->count = 0;
}

/* Takes the quotes off (doubled ones inside become single) and folds ASCII letters. Other letters
 * keep their case, as MariaDB writes a name back the way the session spelled it and a client spells
 * it the same way twice. */
static char *plain_name(struct slice name)
{
	char *plain = xmalloc(name.size + 1);
	uint8_t quote =
		name.size >= 2 && (name.data[0] == '`' || name.data[0] == '"') ? name.data[0] : 0;
	size_t n = 0;

	for (size_t i = quote != 0; i < name.size - (quote != 0); i++) {
		if (quote != 0 && name.data[i] == quote && i + 2 < name.size &&
		    name.data[i + 1] == quote)
			i++;
		plain[n++] = (char)tolower(name.data[i]);
	}
	plain[n] = '\0';
	return plain;
}

/* Index of the savepoint, or savepoint_count. */
static size_t find(const struct cuts *c, const char *plain)
{
	for (size_t i = c->savepoint_count; i > 0; i--)
		if (strcmp(c->savepoints[i - 1].name, plain) == 0)
			return i - 1;
	return c->savepoint_count;
}

int cuts_savepoint(struct cuts *c, struct slice name, uint64_t next_number, struct err *e)
{
	char *plain;
	size_t old;

	if (name.size > CUTS_NAME_MAX || c->savepoint_count >= CUTS_SAVEPOINTS_MAX)
		return err_data(e, "more than %d savepoints in one transaction",
				CUTS_SAVEPOINTS_MAX);
	plain = plain_name(name);
	old = find(c, plain);
	if (old < c->savepoint_count) {
		free(c->savepoints[old].name);
		memmove(&c->savepoints[old], &c->savepoints[old + 1],
			(c->savepoint_count - old - 1) * sizeof(*c->savepoints));
		c->savepoint_count--;
	}
	if (c->savepoint_count == c->savepoint_capacity) {
		c->savepoint_capacity = c->savepoint_capacity * 2 + 8;
		c->savepoints =
			xrealloc(c->savepoints, c->savepoint_capacity * sizeof(*c->savepoints));
	}
	c->savepoints[c->savepoint_count++] = (struct savepoint){ plain, next_number };
	return 0;
}

static int add_cut(struct cuts *c, uint64_t from, uint64_t to, struct err *e)
{
	while (c->count > 0 && c->items[c->count - 1].to >= from) {
		c->count--;
		if (c->items[c->count].from < from)
			from = c->items[c->count].from;
	}
	if (from == to)
		return 0;
	if (c->count >= CUTS_SAVEPOINTS_MAX)
		return err_data(e, "more than %d rollbacks to savepoints in one transaction",
				CUTS_SAVEPOINTS_MAX);
	if (c->count == c->capacity) {
		c->capacity = c->capacity * 2 + 8;
		c->items = xrealloc(c->items, c->capacity * sizeof(*c->items));
	}
	c->items[c->count++] = (struct cut){ from, to };
	return 0;
}

int cuts_rollback_to(struct cuts *c, struct slice name, uint64_t next_number, struct err *e)
{
	char *plain = plain_name(name);
	size_t i = find(c, plain);

	free(plain);
	if (i == c->savepoint_count)
		return err_data(e, "rollback to savepoint %.*s, which the transaction has not set",
				(int)(name.size < 64 ? name.size : 64), (const char *)name.data);
	drop_savepoints(c, i + 1);
	return add_cut(c, c->savepoints[i].number, next_number, e);
}

void cuts_release(struct cuts *c, struct slice name)
{
	char *plain = plain_name(name);

	drop_savepoints(c, find(c, plain));
	free(plain);
}

bool cuts_has(const struct cuts *c, uint64_t number, size_t *at)
{
	while (*at < c->count && c->items[*at].to <= number)
		(*at)++;
	return *at < c->count && c->items[*at].from <= number;
}
