/* query_sql.c - the statements that keep a query view.
 *
 * "Compute the rows of these keys" must reach into the SELECT, down to an index of the tables that
 * it reads; how a store is brought to do that differs:
 *   sqlite      takes a condition on a constant into a grouped SELECT, but none with a subquery. So
 *               the touched keys have a trigger: deleting one computes its rows, with the key as a
 *               constant. One statement deletes them all
 *   postgresql  takes an outer value into a LATERAL subquery that isn't flattened (OFFSET 0)
 *   mariadb     joins: its optimizer splits a grouped SELECT by the key (LATERAL DERIVED). It
 *               splits no UNION; there a user variable is a constant that goes into each part
 *   mysql       splits nothing, but takes constants into groups and unions; so user variables,
 *               key by key. Where a constant doesn't reach (a WITH, LEFT JOIN to a grouped
 *               subquery) the SELECT is computed whole each time: docs/VIEWS.md
 *
 * The old rows are found by the key's own index in all of them, by a join that begins with the
 * touched keys: `IN (SELECT ...)` reads the whole table in MariaDB before 11.1, and may in others.
 *
 * What a keys/ file calls :column is asked of the mirrored row itself, by its primary key: so the
 * same statement serves before a change and behind it, whatever the record holds. */
#include "projections/apply/query.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

static const struct dialect *dialect(const struct view *v)
{
	return dialect_of(v->store);
}

static bool is_sqlite(const struct view *v)
{
	return dialect(v)->loose;
}

static bool is_mysql(const struct view *v)
{
	return dialect(v)->key_bytes_max > 0;
}

static void put_touched(const struct view *v, const struct view_query *q, struct buf *out)
{
	struct buf name = BUF_INIT;

	buf_add_format(&name, "touched %s", q->table);
	dialect_name(dialect(v), buf_cstr(&name), out);
	buf_done(&name);
}

static void put_key(const struct view *v, const struct view_query *q, struct buf *out)
{
	for (size_t i = 0; i < q->key_count; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		dialect_name(dialect(v), q->key[i], out);
	}
}

/* A row without a key is none of the view: it couldn't be found again. */
static void put_not_null(const struct view *v, const struct view_query *q, const char *prefix,
			 struct buf *out)
{
	for (size_t i = 0; i < q->key_count; i++) {
		buf_add_format(out, "%s%s", i > 0 ? " AND " : "", prefix);
		dialect_name(dialect(v), q->key[i], out);
		buf_add_str(out, " IS NOT NULL");
	}
}

/* a."k1" = b."k1" AND ... */
static void put_equal(const struct view *v, const struct view_query *q, const char *a,
		      const char *b, struct buf *out)
{
	for (size_t i = 0; i < q->key_count; i++) {
		buf_add_format(out, "%s%s.", i > 0 ? " AND " : "", a);
		dialect_name(dialect(v), q->key[i], out);
		buf_add_format(out, " = %s.", b);
		dialect_name(dialect(v), q->key[i], out);
	}
}

void query_create_sql(const struct view *v, const struct view_query *q, struct buf *out)
{
	buf_add_str(out, "CREATE TABLE ");
	dialect_name(dialect(v), q->table, out);
	if (is_mysql(v)) {
		buf_add_str(out, " (PRIMARY KEY (");
		put_key(v, q, out);
		buf_add_format(out, "))%s", dialect(v)->table_end);
	}
	buf_add_format(out, " AS SELECT q.* FROM (\n%s\n) q;\n", q->text);
	if (!is_mysql(v)) {
		buf_add_str(out, "ALTER TABLE ");
		dialect_name(dialect(v), q->table, out);
		buf_add_str(out, " ADD PRIMARY KEY (");
		put_key(v, q, out);
		buf_add_str(out, ");\n");
	}
}

void query_fill_sql(const struct view *v, const struct view_query *q, struct buf *out)
{
	buf_add_str(out, "DELETE FROM ");
	dialect_name(dialect(v), q->table, out);
	buf_add_str(out, ";\nINSERT INTO ");
	dialect_name(dialect(v), q->table, out);
	buf_add_format(out, " SELECT q.* FROM (\n%s\n) q WHERE ", q->text);
	put_not_null(v, q, "q.", out);
	buf_add_str(out, ";\n");
}

void query_source_sql(const struct view_query *q, struct buf *out)
{
	buf_add_format(out, "SELECT q.* FROM (\n%s\n) q WHERE ", q->source);
	for (size_t i = 0; i < q->key_count; i++) {
		buf_add_str(out, i > 0 ? " AND q." : "q.");
		dialect_name(dialect_of("mysql"), q->key[i], out);
		buf_add_str(out, " IS NOT NULL");
	}
}

static void put_delete_old(const struct view *v, const struct view_query *q, struct buf *out)
{
	buf_add_str(out, "DELETE FROM ");
	dialect_name(dialect(v), q->table, out);
	buf_add_str(out, " WHERE ");
	for (size_t i = 0; i < q->key_count; i++) {
		buf_add_str(out, i > 0 ? " AND " : "");
		dialect_name(dialect(v), q->key[i], out);
		buf_add_str(out, " = OLD.");
		dialect_name(dialect(v), q->key[i], out);
	}
	buf_add_str(out, ";\n");
}

static void open_sqlite(const struct view *v, const struct view_query *q, struct buf *out)
{
	buf_add_str(out, "CREATE TEMP TABLE ");
	put_touched(v, q, out);
	buf_add_str(out, " (");
	for (size_t i = 0; i < q->key_count; i++) {
		dialect_name(dialect(v), q->key[i], out);
		buf_add_format(out, " %s NOT NULL, ", q->types[i]);
	}
	buf_add_str(out, "PRIMARY KEY (");
	put_key(v, q, out);
	buf_add_str(out, ")) WITHOUT ROWID;\nCREATE TEMP TRIGGER ");
	put_touched(v, q, out);
	buf_add_str(out, " AFTER DELETE ON ");
	put_touched(v, q, out);
	buf_add_str(out, " BEGIN\n");
	put_delete_old(v, q, out);
	buf_add_str(out, "INSERT INTO ");
	dialect_name(dialect(v), q->table, out);
	buf_add_format(out, " SELECT q.* FROM (\n%s\n) q WHERE ", q->text);
	put_equal(v, q, "q", "OLD", out);
	buf_add_str(out, ";\nEND;\n");
}

void query_open_sql(const struct view *v, const struct view_query *q, struct buf *out)
{
	if (is_sqlite(v)) {
		open_sqlite(v, q, out);
		return;
	}
	buf_add_format(out, "CREATE %s TABLE ", is_mysql(v) ? "TEMPORARY" : "TEMP");
	put_touched(v, q, out);
	if (is_mysql(v)) {
		buf_add_str(out, " (PRIMARY KEY (");
		put_key(v, q, out);
		buf_add_str(out, "))");
	}
	buf_add_str(out, " AS SELECT ");
	put_key(v, q, out);
	buf_add_str(out, " FROM ");
	dialect_name(dialect(v), q->table, out);
	buf_add_str(out, " WHERE 1 = 0;\n");
	if (!is_mysql(v)) {
		buf_add_str(out, "ALTER TABLE ");
		put_touched(v, q, out);
		buf_add_str(out, " ADD PRIMARY KEY (");
		put_key(v, q, out);
		buf_add_str(out, ");\n");
	}
}

/* ---- touched keys ---------------------------------------------------------------------------- */

/* :column of the mirrored row: the parameter itself where it is of the primary key, else asked of
 * the row. */
static void put_column(const struct view *v, const struct mirror_table *t, struct query_token token,
		       struct buf *out)
{
	const struct mirror_column *c = NULL;
	size_t i = 0;

	for (; i < t->column_count && c == NULL; i++) {
		if (strlen(t->columns[i].name) == token.size - 1 &&
		    strncasecmp(t->columns[i].name, token.start + 1, token.size - 1) == 0)
			c = &t->columns[i];
	}
	if (c == NULL) /* refused when the view was read */
		return;
	for (size_t k = 0; k < t->key_count; k++) {
		if (t->key[k] == i - 1) {
			if (c->of != NULL)
				dialect_parameter(dialect(v), c->of, c->part, i - 1, out);
			else
				buf_add_format(out, ":p%zu", i - 1);
			return;
		}
	}
	buf_add_str(out, "(SELECT ");
	dialect_name(dialect(v), c->name, out);
	buf_add_str(out, " FROM ");
	dialect_name(dialect(v), t->name, out);
	buf_add_str(out, " WHERE ");
	mirror_key_sql(v, t, out);
	buf_add_str(out, ")");
}

void query_touch_sql(const struct view *v, const struct view_query *q, size_t mirror,
		     struct buf *out)
{
	const struct dialect *d = dialect(v);
	const char *at = q->keys[mirror], *end;
	struct query_token token;

	if (at == NULL)
		return;
	end = at + strlen(at);
	buf_add_str(out, d->insert_or_nothing[0]);
	put_touched(v, q, out);
	buf_add_str(out, " WITH k (");
	put_key(v, q, out);
	buf_add_str(out, ") AS (\n");
	while ((token = query_next(&at, end)).kind != QUERY_END) {
		if (token.kind == QUERY_PARAMETER)
			put_column(v, &v->mirrors[mirror], token, out);
		else
			buf_add(out, token.start, token.size);
	}
	buf_add_str(out, "\n) SELECT ");
	put_key(v, q, out);
	buf_add_str(out, " FROM k WHERE ");
	put_not_null(v, q, "", out);
	buf_add_str(out, d->insert_or_nothing[1]);
}

void query_forget_sql(const struct view *v, const struct view_query *q, struct buf *out)
{
	if (is_sqlite(v)) { /* a trigger would compute them */
		buf_add_str(out, "DROP TABLE temp.");
		put_touched(v, q, out);
		buf_add_str(out, ";\n");
		open_sqlite(v, q, out);
		return;
	}
	buf_add_str(out, "DELETE FROM ");
	put_touched(v, q, out);
	buf_add_str(out, ";\n");
}

/* The rows of all touched keys, as they were. */
static void put_delete_touched(const struct view *v, const struct view_query *q, struct buf *out)
{
	if (is_mysql(v)) {
		buf_add_str(out, "DELETE w FROM ");
		put_touched(v, q, out);
		buf_add_str(out, " t STRAIGHT_JOIN ");
		dialect_name(dialect(v), q->table, out);
		buf_add_str(out, " w ON ");
		put_equal(v, q, "w", "t", out);
		buf_add_str(out, ";\n");
		return;
	}
	buf_add_str(out, "DELETE FROM ");
	dialect_name(dialect(v), q->table, out);
	buf_add_str(out, " WHERE ctid = ANY (ARRAY (SELECT x.ctid FROM ");
	put_touched(v, q, out);
	buf_add_str(out, " t CROSS JOIN LATERAL (SELECT w.ctid FROM ");
	dialect_name(dialect(v), q->table, out);
	buf_add_str(out, " w WHERE ");
	put_equal(v, q, "w", "t", out);
	buf_add_str(out, " OFFSET 0) x));\n");
}

void query_settle_sql(const struct view *v, const struct view_query *q, struct buf *out)
{
	if (!is_sqlite(v)) {
		put_delete_touched(v, q, out);
		buf_add_str(out, "INSERT INTO ");
		dialect_name(dialect(v), q->table, out);
		buf_add_str(out, is_mysql(v) ? " SELECT q.* FROM " : " SELECT x.* FROM ");
		put_touched(v, q, out);
		buf_add_format(out,
			       is_mysql(v) ? " t STRAIGHT_JOIN (\n%s\n) q ON "
					   : " t CROSS JOIN LATERAL (SELECT * FROM (\n%s\n) q "
					     "WHERE ",
			       q->text);
		put_equal(v, q, "q", "t", out);
		buf_add_str(out, is_mysql(v) ? ";\n" : " OFFSET 0) x;\n");
	}
	buf_add_str(out, "DELETE FROM ");
	put_touched(v, q, out);
	buf_add_str(out, ";\n");
}

/* ---- one by one ------------------------------------------------------------------------------ */

static bool is_union(const struct view_query *q)
{
	static const char *const words[] = { "union", "except", "intersect" };
	const char *at = q->text, *end = at + strlen(at);
	struct query_token t;

	while ((t = query_next(&at, end)).kind != QUERY_END) {
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			if (query_word_is(t, words[i]))
				return true;
		}
	}
	return false;
}

bool query_one_by_one(const struct view *v, const struct view_query *q)
{
	return is_mysql(v) && (strcmp(v->store, "mysql") == 0 || is_union(q));
}

void query_touched_sql(const struct view *v, const struct view_query *q, struct buf *out)
{
	buf_add_str(out, "SELECT COUNT(*) FROM ");
	put_touched(v, q, out);
}

/* Into @millrace_k0 ...: they have the columns' own types and collations. */
static void put_pick(const struct view *v, const struct view_query *q, int64_t number,
		     struct buf *out)
{
	buf_add_str(out, "SELECT ");
	put_key(v, q, out);
	for (size_t i = 0; i < q->key_count; i++)
		buf_add_format(out, "%s@millrace_k%zu", i > 0 ? ", " : " INTO ", i);
	buf_add_str(out, " FROM ");
	put_touched(v, q, out);
	buf_add_str(out, " ORDER BY ");
	put_key(v, q, out);
	buf_add_format(out, " LIMIT %" PRId64 ", 1;\n", number);
}

void query_settle_each_sql(const struct view *v, const struct view_query *q, int64_t touched,
			   struct buf *out)
{
	put_delete_touched(v, q, out);
	for (int64_t n = 0; n < touched; n++) {
		put_pick(v, q, n, out);
		buf_add_str(out, "INSERT INTO ");
		dialect_name(dialect(v), q->table, out);
		buf_add_format(out, " SELECT q.* FROM (\n%s\n) q WHERE ", q->text);
		for (size_t i = 0; i < q->key_count; i++) {
			buf_add_str(out, i > 0 ? " AND q." : "q.");
			dialect_name(dialect(v), q->key[i], out);
			buf_add_format(out, " = @millrace_k%zu", i);
		}
		buf_add_str(out, ";\n");
	}
	query_forget_sql(v, q, out);
}

void query_one_key_sql(const struct view *v, const struct view_query *q, struct buf *out)
{
	buf_add_format(out, "SELECT q.* FROM (\n%s\n) q WHERE ", q->text);
	for (size_t i = 0; i < q->key_count; i++) {
		buf_add_str(out, i > 0 ? " AND q." : "q.");
		dialect_name(dialect(v), q->key[i], out);
		buf_add_format(out, " = :k%zu", i);
	}
}
