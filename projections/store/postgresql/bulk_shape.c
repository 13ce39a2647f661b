/* bulk_shape.c - to what kind of table does a plain write go: by the server's
 * catalog. Then the statement that writes many such rows at once. */
#include "projections/store/postgresql/bulk_priv.h"

#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

void bulk_names_free(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

void bulk_shape_free(struct bulk_shape *s)
{
	pg_finalize(s->many);
	for (size_t i = 0; s->arrays != NULL && i < s->column_count; i++)
		buf_done(&s->arrays[i]);
	bulk_names_free(s->columns, s->column_count);
	free(s->parameters);
	free(s->types);
	free(s->key);
	free(s->arrays);
	free(s->text);
	free(s);
}

void bulk_table_free(struct bulk_table *t)
{
	bulk_names_free(t->key, t->key_count);
	bulk_names_free(t->columns, t->column_count);
	free(t->key_types);
	free(t->has_default);
	buf_done(&t->bytes);
	free(t->rows);
	free(t->slots);
	free(t->name);
	free(t);
}

/* ---- the table ------------------------------------------------------------------------------- */

/* A key column as it may be: equal values have equal bytes. */
static bool key_type_fits(uint32_t type, const char *modifier, const char *deterministic)
{
	switch (type) {
	case PG_INT2:
	case PG_INT4:
	case PG_INT8:
	case PG_DATE:
	case PG_BOOL:
	case PG_BYTEA:
	case PG_UUID:
		return true;
	case PG_TIMESTAMP:
	case PG_TIMESTAMPTZ:
	case PG_TIME:
	case PG_NUMERIC:
		return strcmp(modifier, "-1") == 0 || type == PG_NUMERIC; /* it rounds */
	case PG_TEXT:
	case PG_VARCHAR:
		return deterministic == NULL || deterministic[0] == 't';
	default:
		return false;
	}
}

/* Its columns; false: another kind of table. */
static int learn_columns(struct bulk_table *t, struct pg *pg, bool *ret_fits, struct err *e)
{
	const char *values[] = { t->name };
	struct pg_result *r;

	if (pg_ask(pg,
		   "SELECT a.attname, a.atthasdef OR a.attgenerated <> '' OR a.attidentity <> '', "
		   "a.attgenerated <> '' OR a.attidentity = 'a' FROM pg_class c JOIN pg_attribute a "
		   "ON a.attrelid = c.oid WHERE c.relname = $1 AND c.relnamespace = "
		   "current_schema()::regnamespace AND c.relkind = 'r' AND NOT c.relhastriggers AND "
		   "NOT c.relhasrules AND NOT c.relrowsecurity AND NOT c.relispartition AND NOT "
		   "EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhparent = c.oid OR i.inhrelid = "
		   "c.oid) AND (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid AND "
		   "(i.indisunique OR i.indisexclusion)) = 1 AND a.attnum > 0 AND NOT "
		   "a.attisdropped ORDER BY a.attnum",
		   values, 1, &r, e) < 0)
		return -1;
	*ret_fits = pg_rows(r) > 0 && pg_rows(r) <= BULK_COLUMNS_MAX;
	t->has_default = xcalloc(pg_rows(r) + 1, sizeof(*t->has_default));
	for (size_t i = 0; i < pg_rows(r) && *ret_fits; i++) {
		t->has_default[i] = pg_text(r, i, 1)[0] == 't';
		*ret_fits = pg_text(r, i, 2)[0] == 'f';
		bulk_add_name(&t->columns, &t->column_count, pg_text(r, i, 0));
	}
	pg_result_free(r);
	return 0;
}

static int learn_key(struct bulk_table *t, struct pg *pg, bool *ret_fits, struct err *e)
{
	const char *values[] = { t->name };
	struct pg_result *r;

	if (pg_ask(pg,
		   "SELECT a.attname, a.atttypid, a.atttypmod, l.collisdeterministic FROM pg_class c "
		   "JOIN pg_index i ON i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND "
		   "i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL CROSS JOIN "
		   "unnest(i.indkey::int2[]) WITH ORDINALITY k(number, at) JOIN pg_attribute a ON "
		   "a.attrelid = c.oid AND a.attnum = k.number LEFT JOIN pg_collation l ON l.oid = "
		   "i.indcollation[k.at - 1] WHERE c.relname = $1 AND c.relnamespace = "
		   "current_schema()::regnamespace AND c.relkind = 'r' AND k.at <= i.indnkeyatts "
		   "ORDER BY k.at",
		   values, 1, &r, e) < 0)
		return -1;
	*ret_fits = pg_rows(r) > 0;
	t->key_types = xcalloc(pg_rows(r) + 1, sizeof(*t->key_types));
	for (size_t i = 0; i < pg_rows(r) && *ret_fits; i++) {
		t->key_types[i] = (uint32_t)pg_int(r, i, 1);
		*ret_fits = key_type_fits(t->key_types[i], pg_text(r, i, 2), pg_text(r, i, 3));
		bulk_add_name(&t->key, &t->key_count, pg_text(r, i, 0));
	}
	pg_result_free(r);
	return 0;
}

/* *ret_table: NULL when rows of it can't be gathered. */
static int find_table(struct bulk *b, const char *table, struct bulk_table **ret_table,
		      struct err *e)
{
	struct bulk_table *t;
	bool fits = false;
	int rc;

	for (t = b->tables; t != NULL; t = t->next)
		if (strcmp(t->name, table) == 0) {
			*ret_table = t->key_count > 0 ? t : NULL;
			return 0;
		}
	t = xcalloc(1, sizeof(*t));
	t->bulk = b;
	t->name = xstrdup(table);
	rc = learn_columns(t, b->pg, &fits, e);
	if (rc == 0 && fits)
		rc = learn_key(t, b->pg, &fits, e);
	if (rc < 0) {
		bulk_table_free(t);
		return -1;
	}
	if (!fits) { /* remembered, so that it isn't asked for again */
		bulk_names_free(t->key, t->key_count);
		t->key = NULL;
		t->key_count = 0;
	}
	t->next = b->tables;
	b->tables = t;
	*ret_table = fits ? t : NULL;
	return 0;
}

/* ---- does it fit the table ------------------------------------------------------------------- */

static size_t find(char *const *names, size_t count, const char *text)
{
	size_t i = 0;

	while (i < count && strcmp(names[i], text) != 0)
		i++;
	return i;
}

static bool same_set(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
	bool same = a_count == b_count;

	for (size_t i = 0; i < a_count && same; i++)
		same = find(b, b_count, a[i]) < b_count && find(a, i, a[i]) == i;
	return same;
}

static bool fits(struct bulk_reading *r, struct bulk_table *t)
{
	struct bulk_shape *s = r->shape;

	if (s->kind != BULK_DELETE && s->column_count == 0) {
		if (r->value_count != t->column_count)
			return false;
		for (size_t i = 0; i < t->column_count; i++)
			bulk_add_name(&s->columns, &s->column_count, t->columns[i]);
	}
	if (s->kind == BULK_DELETE)
		return same_set(s->columns, s->column_count, t->key, t->key_count);
	for (size_t i = 0; i < t->column_count; i++)
		if (find(s->columns, s->column_count, t->columns[i]) == s->column_count &&
		    t->has_default[i])
			return false;
	for (size_t i = 0; i < t->key_count; i++)
		if (find(s->columns, s->column_count, t->key[i]) == s->column_count)
			return false;
	s->whole = s->column_count == t->column_count;
	if (s->kind == BULK_INSERT)
		return true;
	if (!same_set(r->conflict, r->conflict_count, t->key, t->key_count) ||
	    r->set_count + t->key_count != s->column_count)
		return false;
	for (size_t i = 0; i < s->column_count; i++) {
		bool key = find(t->key, t->key_count, s->columns[i]) < t->key_count;
		bool set = find(r->set, r->set_count, s->columns[i]) < r->set_count;

		if (key == set)
			return false;
	}
	return true;
}

/* ---- the statement for many rows ------------------------------------------------------------- */

/* -1: without it a bpchar would be called "character", which is one of length 1. */
static int add_unnest(struct bulk_shape *s, struct pg *pg, struct buf *sql, struct buf *select,
		      struct err *e)
{
	for (size_t i = 0; i < s->column_count; i++) {
		char number[16], *type = NULL;
		const char *values[] = { number };
		bool binary = pg_is_binary(s->types[i]) || s->types[i] == PG_UUID;

		(void)snprintf(number, sizeof(number), "%u", s->types[i]);
		if (pg_get_text(pg, "SELECT format_type($1::oid, -1)", values, 1, &type, e) < 0)
			return -1;
		buf_add_format(sql, "%s$%zu::%s[]", i > 0 ? ", " : "", i + 1,
			       binary ? type : "text");
		buf_add_format(select, "%su.c%zu%s%s", i > 0 ? ", " : "", i + 1,
			       binary ? "" : "::", binary ? "" : type);
		free(type);
	}
	return 0;
}

static void add_columns(char *const *columns, size_t count, struct buf *sql)
{
	for (size_t i = 0; i < count; i++) {
		buf_add_str(sql, i > 0 ? ", " : "");
		pg_quote_name(columns[i], sql);
	}
}

static void add_alias(size_t count, struct buf *sql)
{
	buf_add_str(sql, ") AS u(");
	for (size_t i = 0; i < count; i++)
		buf_add_format(sql, "%sc%zu", i > 0 ? ", " : "", i + 1);
	buf_add_u8(sql, ')');
}

static void add_conflict(const struct bulk_shape *s, struct buf *sql)
{
	const struct bulk_table *t = s->table;
	bool first = true;

	buf_add_str(sql, " ON CONFLICT (");
	add_columns(t->key, t->key_count, sql);
	buf_add_str(sql, ") DO UPDATE SET ");
	for (size_t i = 0; i < s->column_count; i++) {
		if (find(t->key, t->key_count, s->columns[i]) < t->key_count)
			continue;
		buf_add_str(sql, first ? "" : ", ");
		pg_quote_name(s->columns[i], sql);
		buf_add_str(sql, " = excluded.");
		pg_quote_name(s->columns[i], sql);
		first = false;
	}
}

static int make_sql(struct bulk_shape *s, struct pg *pg, struct buf *sql, struct err *e)
{
	struct buf arrays = BUF_INIT, select = BUF_INIT;
	int rc = add_unnest(s, pg, &arrays, &select, e);

	buf_add_str(sql, s->kind == BULK_DELETE ? "DELETE FROM " : "INSERT INTO ");
	pg_quote_name(s->table->name, sql);
	if (s->kind == BULK_DELETE) {
		buf_add_str(sql, " AS t USING unnest(");
		buf_add_slice(sql, buf_slice(&arrays));
		add_alias(s->column_count, sql);
		for (size_t i = 0; i < s->column_count; i++) {
			buf_add_str(sql, i > 0 ? " AND t." : " WHERE t.");
			pg_quote_name(s->columns[i], sql);
			buf_add_format(sql, " = u.c%zu", i + 1);
			if (s->types[i] == PG_NUMERIC)
				buf_add_str(sql, "::numeric");
		}
	} else {
		buf_add_str(sql, " (");
		add_columns(s->columns, s->column_count, sql);
		buf_add_str(sql, ") SELECT ");
		buf_add_slice(sql, buf_slice(&select));
		buf_add_str(sql, " FROM unnest(");
		buf_add_slice(sql, buf_slice(&arrays));
		add_alias(s->column_count, sql);
		if (s->kind == BULK_UPSERT)
			add_conflict(s, sql);
	}
	buf_done(&arrays);
	buf_done(&select);
	return rc;
}

static int prepare_many(struct bulk_shape *s, const char *origin, struct err *e)
{
	struct pg *pg = s->table->bulk->pg;
	struct buf sql = BUF_INIT;
	int rc = make_sql(s, pg, &sql, e);
	const char *text = buf_cstr(&sql);

	if (rc == 0)
		rc = pg_prepare(pg, origin, text, text, text, &s->many, e);
	buf_done(&sql);
	return rc;
}

/* Everything that makes two statements the same run. */
static void describe(struct bulk_shape *s)
{
	struct buf text = BUF_INIT;

	buf_add_format(&text, "%d %s", (int)s->kind, s->table->name);
	for (size_t i = 0; i < s->column_count; i++)
		buf_add_format(&text, "|%s %u %d", s->columns[i], s->types[i], s->parameters[i]);
	s->text = xstrdup(buf_cstr(&text));
	buf_done(&text);
}

int bulk_learn(struct bulk *b, const char *origin, const struct pg_script *script,
	       const struct pg_statement *one, struct bulk_shape **ret_shape, struct err *e)
{
	struct bulk_reading r = { .shape = xcalloc(1, sizeof(struct bulk_shape)) };
	struct bulk_shape *s = r.shape, *old;
	struct bulk_table *t = NULL;
	int rc = 0;

	*ret_shape = NULL;
	if (bulk_read_shape(&r, script))
		rc = find_table(b, r.table, &t, e);
	if (rc < 0 || t == NULL || !fits(&r, t))
		goto out;
	s->table = t;
	s->types = xcalloc(s->column_count + 1, sizeof(*s->types));
	s->key = xcalloc(t->key_count + 1, sizeof(*s->key));
	for (size_t i = 0; i < s->column_count; i++)
		s->types[i] = pg_parameter_type(one, s->parameters[i]);
	for (size_t i = 0; i < t->key_count; i++) {
		s->key[i] = find(s->columns, s->column_count, t->key[i]);
		if (s->types[s->key[i]] != t->key_types[i] &&
		    !(s->types[s->key[i]] == PG_TEXT && t->key_types[i] == PG_VARCHAR))
			goto out;
	}
	describe(s);
	for (old = b->shapes; old != NULL; old = old->next)
		if (strcmp(old->text, s->text) == 0) {
			*ret_shape = old;
			goto out;
		}
	s->arrays = xcalloc(s->column_count + 1, sizeof(*s->arrays));
	rc = prepare_many(s, origin, e);
	if (rc == 0) {
		s->next = b->shapes;
		b->shapes = s;
		r.shape = NULL;
		*ret_shape = s;
	}
out:
	bulk_reading_done(&r);
	return rc;
}
