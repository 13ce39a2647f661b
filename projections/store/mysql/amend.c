/* amend.c - columns that a version's tables get in place, while nobody writes it.
 *
 * Each ALTER TABLE commits by itself, so the order is: the tables, then the public name, then the
 * definition. A crash between leaves a definition that lacks the columns: the worker comes to the
 * same record, and all of it is done again, where a column that is there is no error. The public
 * name is mended at the next start as well (public.c).
 *
 * ALGORITHM = INSTANT changes no row. InnoDB still refuses a table that has changed to a
 * transaction whose snapshot is older ("table definition has changed"): so the live version's
 * tables are altered behind the gate, when no transaction that has looked at the view is open; who
 * comes meanwhile waits. A server that can't do it instantly (before MariaDB 10.3 and MySQL 8.0.12;
 * MySQL's limit of 64 such changes of one table; compressed rows) makes the table anew, without the
 * gate: it takes as long as it takes, readers go on, and wait at its two ends for a second at most.
 */
#include "projections/store/mysql/swap.h"

#include "core/base/fault.h"
#include "core/base/mem.h"

#include <stdlib.h>

enum {
	SYNTAX_ERROR = 1064,
	COLUMN_IS_THERE = 1060,
	UNKNOWN_ALGORITHM = 1800,
	NOT_SUPPORTED = 1845,
	NOT_SUPPORTED_BECAUSE = 1846,
	TOO_MANY_INSTANT = 4092
};

/* 1: the server can't do it instantly. */
static int add_instantly(struct mydb_swap *w, bool live, const char *statement, struct err *e)
{
	char *sql = xasprintf("%s, ALGORITHM = INSTANT", statement);
	int rc = live ? mydb_gate_hold(w, sql, e) : mydb_gate_run(w, sql, MYDB_ALTER_MS, e);

	free(sql);
	if (rc == 0)
		return 0;
	switch (db_error_number(w->db)) {
	case COLUMN_IS_THERE:
		err_clear(e);
		return 0;
	case SYNTAX_ERROR: /* MySQL 5.7 */
	case UNKNOWN_ALGORITHM:
	case NOT_SUPPORTED:
	case NOT_SUPPORTED_BECAUSE:
	case TOO_MANY_INSTANT:
		err_clear(e);
		return 1;
	default:
		return -1;
	}
}

static int add_column(struct mydb_swap *w, bool live, const char *statement, struct err *e)
{
	int rc = add_instantly(w, live, statement, e);

	if (rc != 1)
		return rc;
	rc = mydb_run(w->db, e, "SET lock_wait_timeout = 1");
	if (rc == 0)
		rc = db_store_run_long(w->db, statement, NULL, NULL, e);
	if (rc < 0 && db_error_number(w->db) == COLUMN_IS_THERE) {
		err_clear(e);
		rc = 0;
	}
	return rc;
}

static int add_columns(struct mydb_swap *w, bool live, const char *sql, const char *file,
		       struct err *e)
{
	const char *at = sql;

	if (mydb_run(w->db, e, "USE %s", w->from) < 0)
		return -1;
	for (;;) {
		struct mydb_sql *s = NULL;
		int rc;

		if (mydb_sql_next(MYDB_SQL_TABLES, file, sql, at, &at, &s, e) < 0)
			return -1;
		if (s == NULL)
			return 0;
		rc = add_column(w, live, buf_cstr(&s->text), e);
		mydb_sql_free(s);
		if (rc < 0)
			return -1;
		FAULT(view_altered);
	}
}

static int replace_file(struct mydb_swap *w, const char *file, const char *text, struct err *e)
{
	char *path = mydb_literal(file), *content = mydb_literal(text);
	int rc = mydb_run(w->db, e,
			  "UPDATE %s.millrace_definition SET content = %s WHERE path = %s", w->from,
			  content, path);

	free(content);
	free(path);
	return rc;
}

int store_mysql_amend(struct store *s, int version, const char *sql, const char *file,
		      const char *text, struct err *e)
{
	struct mydb_store *m = mydb_store_of(s);
	struct mydb_swap w;
	int live = 0, rc = -1;

	if (mydb_swap_begin(m, version, &w, e) < 0 || mydb_live(m, w.db, &live, e) < 0 ||
	    add_columns(&w, live == version, sql, file, e) < 0 ||
	    (live == version && mydb_mend(m, version, e) < 0))
		goto out;
	FAULT(view_amended);
	rc = replace_file(&w, file, text, e);
out:
	mydb_swap_done(&w);
	return rc < 0 ? err_wrap(e, "view %s, version %d: new columns", m->view, version) : 0;
}
