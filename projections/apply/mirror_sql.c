/* mirror_sql.c - what a mirrored table's statements are, and how two shapes of it differ. */
#include "projections/apply/mirror.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <strings.h>

static const struct dialect *dialect(const struct view *v)
{
	return dialect_of(v->store);
}

static bool is_key(const struct mirror_table *t, size_t column)
{
	for (size_t i = 0; i < t->key_count; i++) {
		if (t->key[i] == column)
			return true;
	}
	return false;
}

/* :pN, as the column wants it. */
static void put_parameter(const struct view *v, const struct mirror_table *t, size_t i,
			  struct buf *out)
{
	const struct mirror_column *c = &t->columns[i];

	if (c->of != NULL)
		dialect_parameter(dialect(v), c->of, c->part, i, out);
	else
		buf_add_format(out, ":p%zu", i);
}

void mirror_key_sql(const struct view *v, const struct mirror_table *t, struct buf *out)
{
	for (size_t i = 0; i < t->key_count; i++) {
		buf_add_str(out, i > 0 ? " AND " : "");
		dialect_name(dialect(v), t->columns[t->key[i]].name, out);
		buf_add_str(out, " = ");
		put_parameter(v, t, t->key[i], out);
	}
}

void mirror_create_sql(const struct view *v, const struct mirror_table *t, struct buf *out)
{
	const struct dialect *d = dialect(v);

	buf_add_str(out, "CREATE TABLE ");
	dialect_name(d, t->name, out);
	buf_add_str(out, " (\n");
	for (size_t i = 0; i < t->column_count; i++) {
		buf_add_str(out, "  ");
		dialect_name(d, t->columns[i].name, out);
		buf_add_format(out, " %s%s,\n", t->columns[i].type,
			       is_key(t, i) ? " NOT NULL" : "");
	}
	buf_add_str(out, "  PRIMARY KEY (");
	for (size_t i = 0; i < t->key_count; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		dialect_name(d, t->columns[t->key[i]].name, out);
	}
	buf_add_format(out, ")\n)%s;\n", d->table_end);
}

/* As a column's new value, or compared with the column itself: PostgreSQL then knows the type, and
 * a plain parameter can be gathered with others (projections/store/bulk_postgresql.h). */
static void put_plain(const struct view *v, const struct mirror_table *t, size_t i, struct buf *out)
{
	if (strcmp(v->store, "postgresql") == 0)
		buf_add_format(out, ":p%zu", i);
	else
		put_parameter(v, t, i, out);
}

void mirror_upsert_sql(const struct view *v, const struct mirror_table *t, struct buf *out)
{
	const struct dialect *d = dialect(v);
	const char **names = xcalloc(t->column_count + 1, sizeof(*names));
	size_t keys = 0, others = 0;

	buf_add_str(out, "INSERT INTO ");
	dialect_name(d, t->name, out);
	buf_add_str(out, " (");
	for (size_t i = 0; i < t->column_count; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		dialect_name(d, t->columns[i].name, out);
	}
	buf_add_str(out, ") VALUES (");
	for (size_t i = 0; i < t->column_count; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		put_plain(v, t, i, out);
	}
	buf_add_str(out, ")");
	for (size_t i = 0; i < t->key_count; i++)
		names[keys++] = t->columns[t->key[i]].name;
	for (size_t i = 0; i < t->column_count; i++) {
		if (!is_key(t, i))
			names[keys + others++] = t->columns[i].name;
	}
	dialect_upsert(d, (struct dialect_names){ names, keys },
		       (struct dialect_names){ names + keys, others }, out);
	free(names);
}

void mirror_partial_sql(const struct view *v, const struct mirror_table *t, struct buf *out)
{
	const struct dialect *d = dialect(v);
	bool first = true;

	buf_add_str(out, "UPDATE ");
	dialect_name(d, t->name, out);
	buf_add_str(out, " SET ");
	for (size_t i = 0; i < t->column_count; i++) {
		if (is_key(t, i))
			continue;
		buf_add_str(out, first ? "" : ", ");
		first = false;
		dialect_name(d, t->columns[i].name, out);
		buf_add_format(out, " = CASE WHEN :h%zu = 1 THEN ", i);
		put_parameter(v, t, i, out);
		buf_add_str(out, " ELSE ");
		dialect_name(d, t->columns[i].name, out);
		buf_add_str(out, " END");
	}
	if (first) { /* nothing but a key */
		dialect_name(d, t->columns[t->key[0]].name, out);
		buf_add_str(out, " = ");
		dialect_name(d, t->columns[t->key[0]].name, out);
	}
	buf_add_str(out, " WHERE ");
	mirror_key_sql(v, t, out);
}

void mirror_remove_sql(const struct view *v, const struct mirror_table *t, struct buf *out)
{
	buf_add_str(out, "DELETE FROM ");
	dialect_name(dialect(v), t->name, out);
	buf_add_str(out, " WHERE ");
	for (size_t i = 0; i < t->key_count; i++) {
		buf_add_str(out, i > 0 ? " AND " : "");
		dialect_name(dialect(v), t->columns[t->key[i]].name, out);
		buf_add_str(out, " = ");
		put_plain(v, t, t->key[i], out);
	}
}

/* ---- the same question asked of the source --------------------------------------------------- */

static void put_source_name(const char *name, struct buf *out)
{
	dialect_name(dialect_of("mysql"), name, out);
}

static void put_source_column(const struct mirror_column *c, struct buf *out)
{
	if (c->of == NULL) {
		buf_add_str(out, "NULL");
	} else if (c->part == DIALECT_SRID) {
		buf_add_str(out, "ST_SRID(");
		put_source_name(c->of->name, out);
		buf_add_str(out, ")");
	} else if (c->part == DIALECT_WKB) { /* as it is stored, behind the SRID: no axes turned */
		buf_add_str(out, "UNHEX(SUBSTRING(HEX(");
		put_source_name(c->of->name, out);
		buf_add_str(out, "), 9))");
	} else {
		put_source_name(c->of->name, out);
	}
	buf_add_str(out, " AS ");
	put_source_name(c->name, out);
}

void mirror_source_sql(const struct mirror_table *t, struct buf *out)
{
	buf_add_str(out, "SELECT ");
	for (size_t i = 0; i < t->column_count; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		put_source_column(&t->columns[i], out);
	}
	buf_add_str(out, " FROM ");
	put_source_name(t->db, out);
	buf_add_str(out, ".");
	put_source_name(t->table, out);
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
	if (!t->own_key && !same_key(was, now)) {
		say(ret_why, "the primary key", " has changed", "");
		change = MIRROR_OTHER;
	}
	return change;
}

static void add_column_sql(const struct view *v, const struct mirror_table *t,
			   const struct column *c, enum dialect_part part, const char *end,
			   struct buf *out)
{
	const struct dialect *d = dialect(v);
	char *name = xasprintf("%s%s", c->name, end);

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
			add_column_sql(v, t, c, DIALECT_SRID, "_srid", out);
			add_column_sql(v, t, c, DIALECT_WKB, "_wkb", out);
		} else {
			add_column_sql(v, t, c, DIALECT_WHOLE, "", out);
		}
	}
}
