/* read.c - a version as it is at one moment.
 *
 * A snapshot is a REPEATABLE READ, READ ONLY transaction: it sees what was committed when it
 * began, while the writer goes on. It keeps the server's vacuum from cleaning up for as long as it
 * is open, so whoever takes one ends it. Rows come through a cursor, in the order of normal.h: for
 * numbers and times that is the primary key's own index; text is ordered by its bytes (COLLATE
 * "C"), for which the server sorts unless the column or the database has that collation.
 *
 * Types that have no binary form here (numeric, json, inet, enums ...) are read as text. */
#include "projections/store/postgresql/postgresql_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>

struct pg_column {
	char *name;
	uint32_t type; /* a domain's own */
};

struct store_snapshot {
	struct pg *pg;
	struct store_info info;
	char *schema;
};

struct store_rows {
	struct pg_cursor *cursor;
	struct value *values;
	bool *numeric;
	struct buf scratch;
	size_t count;
};

/* ---- snapshots ------------------------------------------------------------------------------- */

void store_postgresql_snapshot_close(struct store_snapshot *n)
{
	if (n == NULL)
		return;
	pg_close(n->pg);
	free(n->schema);
	free(n);
}

static int read_info(struct store_snapshot *n, struct err *e)
{
	char *sql = xasprintf("SELECT %s FROM millrace_view v, millrace_position p",
			      store_postgresql_info_columns);
	struct pg_result *r;
	int rc = pg_ask(n->pg, sql, NULL, 0, &r, e);

	free(sql);
	if (rc < 0)
		return -1;
	rc = pg_rows(r) == 1 ? store_postgresql_info(r, 0, &n->info)
			     : err_data(e, "schema %s: no bookkeeping", n->schema);
	pg_result_free(r);
	return rc;
}

int store_postgresql_snapshot(struct store *s, int version, struct store_snapshot **ret_snapshot,
			      struct err *e)
{
	struct pg_store *f = pg_store_of(s);
	struct store_snapshot *n = xcalloc(1, sizeof(*n));
	bool there;
	int rc;

	n->schema = store_postgresql_schema(f, version);
	rc = store_postgresql_connect(f, n->schema, &n->pg, e);
	if (rc == 0)
		rc = store_postgresql_owned(f, n->pg, n->schema, &there, e);
	if (rc == 0 && !there)
		rc = err_config(e, "there is no schema %s", n->schema);
	/* the transaction's snapshot is taken by its first read, which is of the position; a sort
	 * over a whole table is right here, where the rows are wanted in an order */
	if (rc == 0 && (pg_run(n->pg,
			       "SET enable_seqscan = on; SET plan_cache_mode = auto; SET "
			       "cursor_tuple_fraction = 0.01; BEGIN ISOLATION LEVEL REPEATABLE "
			       "READ, READ ONLY",
			       e) < 0 ||
			read_info(n, e) < 0))
		rc = -1;
	if (rc < 0) {
		err_wrap(e, "view %s, version %d", f->view, version);
		store_postgresql_snapshot_close(n);
	} else {
		*ret_snapshot = n;
	}
	return rc;
}

void store_postgresql_snapshot_info(const struct store_snapshot *n, struct store_info *ret_info)
{
	*ret_info = n->info;
}

/* ---- columns --------------------------------------------------------------------------------- */

static void columns_free(struct pg_column *columns, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(columns[i].name);
	free(columns);
}

static int read_columns(const struct store_snapshot *n, const char *table,
			struct pg_column **ret_columns, size_t *ret_count, struct err *e)
{
	const char *values[] = { n->schema, table };
	struct pg_column *columns;
	struct pg_result *r;

	if (pg_ask(n->pg,
		   "SELECT a.attname, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END "
		   "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN "
		   "pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid "
		   "WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v') AND "
		   "a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
		   values, 2, &r, e) < 0)
		return -1;
	*ret_count = pg_rows(r);
	columns = xcalloc(*ret_count + 1, sizeof(*columns));
	for (size_t i = 0; i < *ret_count; i++) {
		columns[i].name = xstrdup(pg_text(r, i, 0));
		columns[i].type = (uint32_t)pg_int(r, i, 1);
	}
	pg_result_free(r);
	*ret_columns = columns;
	return 0;
}

int store_postgresql_columns(struct store_snapshot *n, const char *table, char ***ret_names,
			     size_t *ret_count, struct err *e)
{
	struct pg_column *columns;
	size_t count;
	char **names;

	if (read_columns(n, table, &columns, &count, e) < 0)
		return -1;
	names = xcalloc(count + 1, sizeof(*names));
	for (size_t i = 0; i < count; i++)
		names[i] = xstrdup(columns[i].name);
	columns_free(columns, count);
	*ret_names = names;
	*ret_count = count;
	return 0;
}

static uint32_t type_of(const struct pg_column *columns, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(columns[i].name, name) == 0)
			return columns[i].type;
	return 0;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void add_column(const char *name, uint32_t type, struct buf *sql)
{
	pg_quote_name(name, sql);
	if (!pg_is_binary(type))
		buf_add_str(sql, "::text");
}

static bool by_value(uint32_t type)
{
	return type == PG_NUMERIC || type == PG_BYTEA || type == PG_UUID ||
	       (pg_is_binary(type) && type != PG_TEXT && type != PG_VARCHAR && type != PG_BPCHAR &&
		type != PG_NAME && type != PG_JSON);
}

/* Of the table: a bare name in ORDER BY would be the column of the answer, a numeric as text. */
static void add_key(const char *name, uint32_t type, struct buf *sql)
{
	buf_add_str(sql, "t.");
	pg_quote_name(name, sql);
	if (!by_value(type))
		buf_add_str(sql, type == PG_TEXT || type == PG_VARCHAR ? " COLLATE \"C\""
								       : "::text COLLATE \"C\"");
}

/* A value in normal form as a literal of the key's own type. */
static void add_bound(const struct value *v, uint32_t type, struct buf *sql)
{
	switch (type) {
	case PG_DATE:
		buf_add_format(sql, "('1970-01-01'::date + %lld)", (long long)v->i);
		return;
	case PG_TIMESTAMP:
	case PG_TIMESTAMPTZ:
		buf_add_format(sql, "('1970-01-01 00:00:00+00'::%s + %lld * interval '1 us')",
			       type == PG_TIMESTAMP ? "timestamp" : "timestamptz", (long long)v->i);
		return;
	case PG_TIME:
		buf_add_format(sql, "('00:00'::time + %lld * interval '1 us')", (long long)v->i);
		return;
	case PG_INTERVAL:
		buf_add_format(sql, "(%lld * interval '1 us')", (long long)v->i);
		return;
	case PG_BOOL:
		buf_add_str(sql, v->i != 0 ? "true" : "false");
		return;
	case PG_NUMERIC:
		pg_quote_value(v, sql);
		buf_add_str(sql, "::numeric");
		return;
	case PG_UUID:
		pg_quote_value(v, sql);
		buf_add_str(sql, "::uuid");
		return;
	default:
		pg_quote_value(v, sql);
	}
}

/* NULL comes first, and has only equal ones beside it: (a > 1) or (a = 1 and b > 2), by column. */
static void add_after(const struct pg_column *columns, size_t count, char *const *key,
		      size_t key_count, const struct value *after, struct buf *sql)
{
	for (size_t last = 0; last < key_count; last++) {
		buf_add_str(sql, last == 0 ? " WHERE (" : " OR (");
		for (size_t i = 0; i <= last; i++) {
			uint32_t type = type_of(columns, count, key[i]);
			bool null = after[i].kind == VALUE_NULL;

			buf_add_str(sql, i > 0 ? " AND " : "");
			add_key(key[i], type, sql);
			if (null) {
				buf_add_str(sql, i < last ? " IS NULL" : " IS NOT NULL");
				continue;
			}
			buf_add_str(sql, i < last ? " = " : " > ");
			add_bound(&after[i], type, sql);
		}
		buf_add_u8(sql, ')');
	}
}

/* The same for a key without NULL, as the index can use it. */
static void add_after_row(const struct pg_column *columns, size_t count, char *const *key,
			  size_t key_count, const struct value *after, struct buf *sql)
{
	buf_add_str(sql, " WHERE (");
	for (size_t i = 0; i < key_count; i++) {
		buf_add_str(sql, i > 0 ? ", " : "");
		add_key(key[i], type_of(columns, count, key[i]), sql);
	}
	buf_add_str(sql, ") > (");
	for (size_t i = 0; i < key_count; i++) {
		buf_add_str(sql, i > 0 ? ", " : "");
		add_bound(&after[i], type_of(columns, count, key[i]), sql);
	}
	buf_add_u8(sql, ')');
}

static int nullable(const struct store_snapshot *n, const char *table, char *const *key,
		    size_t key_count, bool *ret_nullable, struct err *e)
{
	const char *values[] = { n->schema, table };
	struct pg_result *r;

	*ret_nullable = false;
	if (pg_ask(n->pg,
		   "SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN "
		   "pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 "
		   "AND a.attnum > 0 AND NOT a.attnotnull",
		   values, 2, &r, e) < 0)
		return -1;
	for (size_t i = 0; i < pg_rows(r); i++)
		for (size_t k = 0; k < key_count; k++)
			*ret_nullable = *ret_nullable || strcmp(key[k], pg_text(r, i, 0)) == 0;
	pg_result_free(r);
	return 0;
}

static int make_question(const struct store_snapshot *n, const char *table, char *const *names,
			 size_t name_count, char *const *key, size_t key_count,
			 const struct value *after, struct store_rows *r, struct buf *sql,
			 struct err *e)
{
	struct pg_column *columns = NULL;
	size_t count = 0;
	bool nulls = false;
	int rc = read_columns(n, table, &columns, &count, e);

	if (rc == 0 && key_count > 0)
		rc = nullable(n, table, key, key_count, &nulls, e);
	buf_add_str(sql, "SELECT ");
	for (size_t i = 0; i < name_count && rc == 0; i++) {
		uint32_t type = type_of(columns, count, names[i]);

		buf_add_str(sql, i > 0 ? ", " : "");
		add_column(names[i], type, sql);
		r->numeric[i] = type == PG_NUMERIC;
	}
	buf_add_str(sql, " FROM ");
	pg_quote_name(table, sql);
	buf_add_str(sql, " t");
	if (rc == 0 && after != NULL)
		(nulls ? add_after : add_after_row)(columns, count, key, key_count, after, sql);
	for (size_t i = 0; i < key_count && rc == 0; i++) {
		buf_add_str(sql, i > 0 ? ", " : " ORDER BY ");
		add_key(key[i], type_of(columns, count, key[i]), sql);
		buf_add_str(sql, nulls ? " NULLS FIRST" : "");
	}
	columns_free(columns, count);
	return rc;
}

int store_postgresql_rows(struct store_snapshot *n, const char *table, char *const *columns,
			  size_t column_count, char *const *key, size_t key_count,
			  const struct value *after, struct store_rows **ret_rows, struct err *e)
{
	struct store_rows *r = xcalloc(1, sizeof(*r));
	struct buf sql = BUF_INIT;
	int rc;

	r->count = column_count;
	r->values = xcalloc(column_count + 1, sizeof(*r->values));
	r->numeric = xcalloc(column_count + 1, sizeof(*r->numeric));
	rc = make_question(n, table, columns, column_count, key, key_count, after, r, &sql, e);
	if (rc == 0)
		rc = pg_cursor_open(n->pg, buf_cstr(&sql), &r->cursor, e);
	buf_done(&sql);
	if (rc < 0)
		store_postgresql_rows_close(r);
	else
		*ret_rows = r;
	return rc;
}

/* A numeric in normal form may need a place of its own: nothing may move while a row is made. */
static void make_numbers(struct store_rows *r)
{
	size_t room = 0;

	for (size_t i = 0; i < r->count; i++)
		room += r->numeric[i] && r->values[i].kind == VALUE_TEXT
				? r->values[i].bytes.size + 32
				: 0;
	if (room == 0)
		return;
	buf_reset(&r->scratch);
	(void)buf_reserve(&r->scratch, room);
	for (size_t i = 0; i < r->count; i++)
		if (r->numeric[i] && r->values[i].kind == VALUE_TEXT)
			(void)normal_number(r->values[i].bytes, &r->scratch, &r->values[i]);
}

int store_postgresql_next(struct store_rows *r, const struct value **ret_values, struct err *e)
{
	const struct value *values;
	int rc = pg_cursor_next(r->cursor, &values, e);

	if (rc != 1)
		return rc;
	memcpy(r->values, values, r->count * sizeof(*values));
	make_numbers(r);
	*ret_values = r->values;
	return 1;
}

void store_postgresql_rows_close(struct store_rows *r)
{
	if (r == NULL)
		return;
	pg_cursor_close(r->cursor);
	buf_done(&r->scratch);
	free(r->values);
	free(r->numeric);
	free(r);
}

int store_postgresql_row_count(struct store_snapshot *n, const char *table, int64_t *ret_count,
			       struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	buf_add_str(&sql, "SELECT count(*) FROM ");
	pg_quote_name(table, &sql);
	rc = pg_get_int(n->pg, buf_cstr(&sql), NULL, 0, ret_count, e);
	buf_done(&sql);
	return rc;
}
