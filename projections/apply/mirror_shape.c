/* mirror_shape.c - a mirrored table's columns, as the source's shape of it gives them names, and
 * how two shapes of it differ.
 *
 * Most columns have the source's names. Those that a view makes itself (the two of a GEOMETRY, and
 * MIRROR_EXACT) must not have the name of another one: underscores are put behind them until they
 * are alone. Which names these are hangs on the shape only, so a version is read back as it was
 * made. */
#include "projections/apply/mirror.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <strings.h>

static const struct dialect *dialect(const struct view *v)
{
	return dialect_of(v->store);
}

static const struct column *column_of(const struct shape *s, const char *name);

/* ---- names ----------------------------------------------------------------------------------- */

static char *free_name(const struct shape *s, const char *name, const char *end)
{
	char *free_one = xasprintf("%s%s", name, end);

	while (column_of(s, free_one) != NULL) {
		char *longer = xasprintf("%s_", free_one);

		free(free_one);
		free_one = longer;
	}
	return free_one;
}

char *mirror_part_name(const struct shape *s, const char *column, enum dialect_part part)
{
	return part == DIALECT_WHOLE
		       ? xstrdup(column)
		       : free_name(s, column, part == DIALECT_SRID ? "_srid" : "_wkb");
}

char *mirror_exact_name(const struct shape *s)
{
	return free_name(s, MIRROR_EXACT, "");
}

/* ---- two shapes ------------------------------------------------------------------------------ */

static const struct column *column_of(const struct shape *s, const char *name)
{
	for (uint16_t i = 0; i < s->column_count; i++) {
		if (strcasecmp(s->columns[i].name, name) == 0)
			return &s->columns[i];
	}
	return NULL;
}

static bool is_in_key(const struct shape *s, const struct column *c)
{
	for (uint16_t i = 0; i < s->key_count; i++) {
		if (&s->columns[s->key[i]] == c)
			return true;
	}
	return false;
}

/* What the store holds of the two is the same: kind of value, and its column's type there. */
static bool same_type(const struct view *v, const struct column *a, const struct column *b,
		      bool key)
{
	char was[64], is[64];
	struct buf ta = BUF_INIT, tb = BUF_INIT;
	bool same;

	dialect_type(dialect(v), a, DIALECT_WHOLE, key, &ta);
	dialect_type(dialect(v), b, DIALECT_WHOLE, key, &tb);
	same = slice_equal(buf_slice(&ta), buf_slice(&tb)) && a->is_binary == b->is_binary &&
	       strcmp(column_type_text(a, was, sizeof(was)), column_type_text(b, is, sizeof(is))) ==
		       0;
	/* a longer or shorter text is none the other */
	same = same || (slice_equal(buf_slice(&ta), buf_slice(&tb)) && column_is_character(a) &&
			column_is_character(b) && a->is_binary == b->is_binary);
	buf_done(&ta);
	buf_done(&tb);
	return same;
}

static bool same_key(const struct shape *a, const struct shape *b)
{
	if (a->key_count != b->key_count)
		return false;
	for (uint16_t i = 0; i < a->key_count; i++) {
		if (strcasecmp(a->columns[a->key[i]].name, b->columns[b->key[i]].name) != 0)
			return false;
	}
	return true;
}

static void say(struct buf *why, const char *before, const char *name, const char *behind)
{
	if (why != NULL)
		buf_add_format(why, "%s%s%s%s", why->size > 0 ? ", " : "", before, name, behind);
}

/* The columns that are none of the source's: a new column may have the name of one. */
static bool same_names(const struct view *v, const struct shape *was, const struct shape *now)
{
	bool same = true;

	for (uint16_t i = 0; i < was->column_count && same; i++) {
		const struct column *c = &was->columns[i];
		char *before, *behind;

		if (c->type != COLUMN_GEOMETRY)
			continue;
		for (int part = DIALECT_SRID; part <= DIALECT_WKB && same; part++) {
			before = mirror_part_name(was, c->name, (enum dialect_part)part);
			behind = mirror_part_name(now, c->name, (enum dialect_part)part);
			same = strcmp(before, behind) == 0;
			free(before);
			free(behind);
		}
	}
	if (same && !dialect(v)->loose) {
		char *before = mirror_exact_name(was), *behind = mirror_exact_name(now);

		same = strcmp(before, behind) == 0;
		free(before);
		free(behind);
	}
	return same;
}

enum mirror_change mirror_compare(const struct view *v, const struct mirror_table *t,
				  const struct shape *now, struct buf *ret_why)
{
	const struct shape *was = t->shape;
	enum mirror_change change = MIRROR_SAME;

	for (uint16_t i = 0; i < now->column_count; i++) {
		if (column_of(was, now->columns[i].name) != NULL)
			continue;
		say(ret_why, "column ", now->columns[i].name, " is new");
		change = MIRROR_ADDED;
	}
	for (uint16_t i = 0; i < was->column_count; i++) {
		const struct column *c = column_of(now, was->columns[i].name);

		if (c == NULL)
			say(ret_why, "column ", was->columns[i].name, " is gone");
		else if (!same_type(v, &was->columns[i], c, is_in_key(was, &was->columns[i])))
			say(ret_why, "column ", c->name, " has another type");
		else
			continue;
		change = MIRROR_OTHER;
	}
	if (change == MIRROR_ADDED && !same_names(v, was, now)) {
		say(ret_why, "it has the name of one", " that the view makes", "");
		change = MIRROR_OTHER;
	}
	if (!t->own_key && !same_key(was, now)) {
		say(ret_why, "the primary key", " has changed", "");
		change = MIRROR_OTHER;
	}
	return change;
}

static void add_column_sql(const struct view *v, const struct mirror_table *t,
			   const struct shape *now, const struct column *c, enum dialect_part part,
			   struct buf *out)
{
	const struct dialect *d = dialect(v);
	char *name = mirror_part_name(now, c->name, part);

	buf_add_str(out, "ALTER TABLE ");
	dialect_name(d, t->name, out);
	buf_add_str(out, " ADD COLUMN ");
	dialect_name(d, name, out);
	buf_add_str(out, " ");
	dialect_type(d, c, part, false, out);
	buf_add_str(out, ";\n");
	free(name);
}

void mirror_add_columns_sql(const struct view *v, const struct mirror_table *t,
			    const struct shape *now, struct buf *out)
{
	for (uint16_t i = 0; i < now->column_count; i++) {
		const struct column *c = &now->columns[i];

		if (column_of(t->shape, c->name) != NULL)
			continue;
		if (c->type == COLUMN_GEOMETRY) {
			add_column_sql(v, t, now, c, DIALECT_SRID, out);
			add_column_sql(v, t, now, c, DIALECT_WKB, out);
		} else {
			add_column_sql(v, t, now, c, DIALECT_WHOLE, out);
		}
	}
}
