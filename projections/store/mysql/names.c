/* names.c - the views of the public database: what is behind the gate now, what is put there next,
 * and what readers name.
 *
 * Views whose columns change are replaced one by one behind a swap; until then columns that the new
 * version lacks are NULL. */
#include "projections/store/mysql/swap.h"

#include "core/base/mem.h"

#include <stdlib.h>

/* Views that are not for readers: of a swap that was broken off, or of the one before. */
int mydb_names_sweep(struct mydb_swap *w, struct err *e)
{
	char *name = mydb_literal(w->store->view), **left = NULL;
	size_t count = 0;
	int rc = mydb_get_names(w->db, &left, &count, e,
				"SELECT TABLE_NAME FROM information_schema.TABLES WHERE "
				"TABLE_SCHEMA = %s AND (TABLE_NAME LIKE '+%%' OR TABLE_NAME LIKE "
				"'-%%')",
				name);

	for (size_t i = 0; i < count && rc == 0; i++) {
		char *quoted = mydb_quoted(left[i]);

		rc = mydb_run(w->db, e, "DROP VIEW IF EXISTS %s.%s", w->public, quoted);
		free(quoted);
	}
	view_names_free(left, count);
	free(name);
	return rc;
}

/* What the version has, and the views behind the gate (without their '~'). */
int mydb_names_find(struct mydb_swap *w, struct err *e)
{
	static const char *const own[] = { "millrace_position", "millrace_view" };
	char *database = mydb_database(w->store, w->version), *name = mydb_literal(w->store->view);
	int rc = mydb_tables(w->db, database, &w->tables, &w->table_count, e);

	if (rc == 0) {
		w->tables = xrealloc(w->tables, (w->table_count + 2) * sizeof(char *));
		for (size_t i = 0; i < 2; i++)
			w->tables[w->table_count++] = xstrdup(own[i]);
		rc = mydb_get_names(w->db, &w->there, &w->there_count, e,
				    "SELECT SUBSTRING(TABLE_NAME, 2) FROM "
				    "information_schema.TABLES WHERE TABLE_SCHEMA = %s AND "
				    "TABLE_NAME LIKE '~%%'",
				    name);
	}
	free(database);
	free(name);
	return rc;
}

bool mydb_is_among(char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

int mydb_columns(struct mydb_swap *w, const char *database, const char *table, char ***ret_names,
		 size_t *ret_count, struct err *e)
{
	char *d = mydb_literal(database), *t = mydb_literal(table);
	int rc = mydb_get_names(w->db, ret_names, ret_count, e,
				"SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE "
				"TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
				d, t);

	free(t);
	free(d);
	return rc;
}

/* `+t`: the version's columns, and NULL for those that only the public view has today. */
int mydb_names_next(struct mydb_swap *w, const char *table, struct err *e)
{
	char *database = mydb_database(w->store, w->version), *quoted = mydb_quoted(table);
	char *hidden = xasprintf("+%s", table), *next = mydb_quoted(hidden);
	char **columns = NULL, **before = NULL;
	struct buf list = BUF_INIT;
	size_t count = 0, before_count = 0;
	int rc = mydb_columns(w, database, table, &columns, &count, e);

	if (rc == 0)
		rc = mydb_columns(w, w->store->view, table, &before, &before_count, e);
	for (size_t k = 0; k < count; k++) {
		buf_add_str(&list, k > 0 ? ", " : "");
		db_store_name(columns[k], &list);
	}
	for (size_t k = 0; k < before_count; k++) {
		if (mydb_is_among(columns, count, before[k]))
			continue;
		buf_add_str(&list, ", NULL AS ");
		db_store_name(before[k], &list);
	}
	if (rc == 0)
		rc = mydb_run(
			w->db, e,
			"CREATE SQL SECURITY DEFINER VIEW %s.%s AS SELECT %s FROM %s.%s WHERE "
			"(SELECT version FROM %s.millrace_gate) > 0",
			w->public, next, buf_cstr(&list), w->from, quoted, w->from);
	view_names_free(columns, count);
	view_names_free(before, before_count);
	buf_done(&list);
	free(next);
	free(hidden);
	free(quoted);
	free(database);
	return rc;
}

/* What readers name: made where it is missing, replaced where the columns are others. */
static int ensure_view(struct mydb_swap *w, const char *table, struct err *e)
{
	char *database = mydb_database(w->store, w->version), *quoted = mydb_quoted(table);
	char *hidden = xasprintf("~%s", table), *moved = mydb_quoted(hidden), **columns = NULL,
	     **now = NULL;
	struct buf sql = BUF_INIT;
	size_t count = 0, now_count = 0;
	bool same;
	int rc = mydb_columns(w, database, table, &columns, &count, e);

	if (rc == 0)
		rc = mydb_columns(w, w->store->view, table, &now, &now_count, e);
	same = rc == 0 && count == now_count;
	for (size_t k = 0; k < count && same; k++)
		same = strcmp(columns[k], now[k]) == 0;
	buf_add_format(&sql, "CREATE OR REPLACE SQL SECURITY DEFINER VIEW %s.%s AS SELECT ",
		       w->public, quoted);
	for (size_t k = 0; k < count; k++) {
		buf_add_str(&sql, k > 0 ? ", t." : "t.");
		db_store_name(columns[k], &sql);
	}
	buf_add_format(&sql, " FROM %s.`" MYDB_GATE "` AS g, %s.%s AS t WHERE g.id = 1", w->public,
		       w->public, moved);
	if (rc == 0 && !same)
		rc = mydb_gate_run(w, buf_cstr(&sql), MYDB_GATE_MS, e);
	view_names_free(columns, count);
	view_names_free(now, now_count);
	buf_done(&sql);
	free(moved);
	free(hidden);
	free(quoted);
	free(database);
	return rc;
}

/* Behind the swap: names that are new, have other columns, or are gone. */
int mydb_names_follow(struct mydb_swap *w, struct err *e)
{
	char *name = mydb_literal(w->store->view), **names = NULL;
	size_t count = 0;
	int rc = 0;

	for (size_t i = 0; i < w->table_count && rc == 0; i++)
		rc = ensure_view(w, w->tables[i], e);
	if (rc == 0)
		rc = mydb_get_names(w->db, &names, &count, e,
				    "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE "
				    "TABLE_SCHEMA = %s AND LEFT(TABLE_NAME, 1) NOT IN ('!', '~', "
				    "'+', '-')",
				    name);
	for (size_t i = 0; i < count && rc == 0; i++) {
		char *quoted = mydb_quoted(names[i]), *sql;

		sql = xasprintf("DROP VIEW IF EXISTS %s.%s", w->public, quoted);
		if (!mydb_is_among(w->tables, w->table_count, names[i]))
			rc = mydb_gate_run(w, sql, MYDB_GATE_MS, e);
		free(sql);
		free(quoted);
	}
	view_names_free(names, count);
	free(name);
	return rc;
}
