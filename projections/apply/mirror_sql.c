/* mirror_sql.c - what a mirrored table's statements are. */
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
