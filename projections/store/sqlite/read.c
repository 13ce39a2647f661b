/* read.c - a version as it is at one moment: a read transaction in WAL mode sees the
 * file as it was when it began, while the writer goes on. Rows are asked for in key order with
 * binary comparison, the order of value_compare, so that two snapshots (or a snapshot and the
 * source) can be merged. */
#include "projections/store/sqlite/sqlite_priv.h"

#include "core/base/mem.h"
#include "projections/apply/row_copy.h"

#include <stdlib.h>

struct store_snapshot {
	struct sql_db *db;
	struct store_info info;
};

struct store_rows {
	struct sql_statement *statement;
	struct value *values;
	size_t count;
	struct row_copy after; /* bound */
};

void store_sqlite_snapshot_close(struct store_snapshot *n)
{
	if (n == NULL)
		return;
	sql_close(n->db);
	free(n);
}

int store_sqlite_snapshot(struct store *s, int version, struct store_snapshot **ret_snapshot,
			  struct err *e)
{
	struct store_snapshot *n = xcalloc(1, sizeof(*n));
	char *path = store_sqlite_path(store_files_of(s), version);
	int rc = sql_open_db(path, SQL_OPEN_READ, &n->db, e);

	/* the transaction begins with its first read, which is of the position */
	if (rc == 0 &&
	    (sql_run(n->db, "BEGIN", e) < 0 || store_sqlite_info(n->db, &n->info, e) < 0))
		rc = err_wrap(e, "%s", path);
	free(path);
	if (rc < 0)
		store_sqlite_snapshot_close(n);
	else
		*ret_snapshot = n;
	return rc;
}

void store_sqlite_snapshot_info(const struct store_snapshot *n, struct store_info *ret_info)
{
	*ret_info = n->info;
}

int store_sqlite_columns(struct store_snapshot *n, const char *table, char ***ret_names,
			 size_t *ret_count, struct err *e)
{
	return sql_column_names(n->db, table, ret_names, ret_count, e);
}

static void add_names(struct buf *sql, char *const *names, size_t count, const char *after)
{
	for (size_t i = 0; i < count; i++) {
		buf_add_str(sql, i > 0 ? ", " : "");
		sql_quote_name(names[i], sql);
		buf_add_str(sql, after);
	}
}

static void add_key(struct buf *sql, char *const *key, size_t i, const char *comparison)
{
	sql_quote_name(key[i], sql);
	buf_add_format(sql, " COLLATE BINARY %s", comparison);
}

/* Where all collate by bytes, a comparison of whole keys is answered by the index. */
static bool by_bytes(const struct store_snapshot *n, const char *table, char *const *key,
		     size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!sql_collates_binary(n->db, table, key[i]))
			return false;
	}
	return true;
}

/* NULL is before everything, and equal to itself. The first column alone once more, for the index.
 */
static void add_by_columns(struct buf *sql, char *const *key, size_t count,
			   const struct value *after)
{
	if (after[0].kind != VALUE_NULL) {
		add_key(sql, key, 0, ">= ?1");
		buf_add_str(sql, " AND ");
	}
	buf_add_u8(sql, '(');
	for (size_t i = 0; i < count; i++) {
		bool null = after[i].kind == VALUE_NULL;

		add_key(sql, key, i, null ? "IS NOT NULL" : ">");
		if (!null)
			buf_add_format(sql, " ?%zu", i + 1);
		if (i + 1 < count) {
			buf_add_str(sql, " OR (");
			add_key(sql, key, i, "IS");
			buf_add_format(sql, " ?%zu AND (", i + 1);
		}
	}
	for (size_t i = 1; i < count; i++)
		buf_add_str(sql, "))");
	buf_add_u8(sql, ')');
}

static void add_after(const struct store_snapshot *n, const char *table, struct buf *sql,
		      char *const *key, size_t count, const struct value *after)
{
	bool whole = by_bytes(n, table, key, count);

	for (size_t i = 0; i < count; i++)
		whole &= after[i].kind != VALUE_NULL;
	buf_add_str(sql, " WHERE ");
	if (!whole) {
		add_by_columns(sql, key, count, after);
		return;
	}
	buf_add_u8(sql, '(');
	add_names(sql, key, count, "");
	buf_add_str(sql, ") > (");
	for (size_t i = 0; i < count; i++)
		buf_add_format(sql, "%s?%zu", i > 0 ? ", " : "", i + 1);
	buf_add_u8(sql, ')');
}

/* The values may be gone at the first step: SQLite doesn't copy them. */
static int bind_after(struct store_rows *r, const struct value *after, size_t count, struct err *e)
{
	int parameters = sql_parameter_count(r->statement);

	row_copy_init(&r->after, after, count);
	for (int i = 0; i < (int)count && i < parameters; i++) {
		if (sql_bind(r->statement, i + 1, &r->after.values[i], e) < 0)
			return -1;
	}
	return 0;
}

int store_sqlite_rows(struct store_snapshot *n, const char *table, char *const *columns,
		      size_t column_count, char *const *key, size_t key_count,
		      const struct value *after, struct store_rows **ret_rows, struct err *e)
{
	struct store_rows *r = xcalloc(1, sizeof(*r));
	struct buf sql = BUF_INIT;
	int rc;

	buf_add_str(&sql, "SELECT ");
	add_names(&sql, columns, column_count, "");
	buf_add_str(&sql, " FROM ");
	sql_quote_name(table, &sql);
	if (after != NULL)
		add_after(n, table, &sql, key, key_count, after);
	buf_add_str(&sql, " ORDER BY ");
	add_names(&sql, key, key_count, " COLLATE BINARY");
	rc = sql_prepare(n->db, "store", buf_cstr(&sql), NULL, &r->statement, e);
	buf_done(&sql);
	r->count = column_count;
	r->values = xcalloc(column_count + 1, sizeof(*r->values));
	if (rc == 0 && after != NULL)
		rc = bind_after(r, after, key_count, e);
	if (rc < 0)
		store_sqlite_rows_close(r);
	else
		*ret_rows = r;
	return rc;
}

int store_sqlite_next(struct store_rows *r, const struct value **ret_values, struct err *e)
{
	*ret_values = r->values;
	return sql_step_row(r->statement, r->values, r->count, e);
}

void store_sqlite_rows_close(struct store_rows *r)
{
	if (r == NULL)
		return;
	sql_finalize(r->statement);
	row_copy_done(&r->after);
	free(r->values);
	free(r);
}

int store_sqlite_row_count(struct store_snapshot *n, const char *table, int64_t *ret_count,
			   struct err *e)
{
	return sql_row_count(n->db, table, ret_count, e);
}
