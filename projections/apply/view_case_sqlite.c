/* view_case_sqlite.c - an SQLite database in memory as the place where test cases run: a new one
 * for each case. An event that fails ends its case's chances anyway, so nothing is taken back. */
#include "projections/apply/view_case.h"

#include "core/base/mem.h"
#include "projections/apply/target.h"

#include <stdlib.h>

struct view_case_memory {
	struct sql_db *db;
	struct target_sqlite target;
};

static void memory_end(void *context)
{
	struct view_case_memory *m = context;

	sql_close(m->db);
	m->db = NULL;
}

static int memory_begin(void *context, const struct view *v, struct target **ret_target,
			struct err *e)
{
	struct view_case_memory *m = context;

	if (sql_open_db(NULL, SQL_OPEN_MEMORY, &m->db, e) < 0 ||
	    sql_script(m->db, "tables.sql", v->create_sql, e) < 0 ||
	    sql_script(m->db, "tables.sql", v->after_build_sql, e) < 0)
		return -1;
	target_sqlite_init(&m->target, m->db);
	*ret_target = &m->target.target;
	return 0;
}

static int memory_event_begin(void *context, struct err *e)
{
	(void)context;
	(void)e;
	return 0;
}

static int memory_event_end(void *context, bool keep, struct err *e)
{
	(void)context;
	(void)keep;
	(void)e;
	return 0;
}

static int memory_columns(void *context, const char *table, char ***ret_names, size_t *ret_count,
			  struct err *e)
{
	struct view_case_memory *m = context;

	return sql_column_names(m->db, table, ret_names, ret_count, e);
}

static int memory_rows(void *context, const char *table, char *const *columns, size_t count,
		       void (*row)(void *arg, const struct value *values), void *arg, struct err *e)
{
	struct view_case_memory *m = context;
	struct value *values = xcalloc(count + 1, sizeof(*values));
	struct sql_statement *s = NULL;
	struct buf sql = BUF_INIT;
	int rc;

	for (size_t i = 0; i < count; i++) {
		buf_add_str(&sql, i > 0 ? ", " : "SELECT ");
		sql_quote_name(columns[i], &sql);
	}
	buf_add_str(&sql, " FROM ");
	sql_quote_name(table, &sql);
	rc = sql_prepare(m->db, "case", buf_cstr(&sql), NULL, &s, e);
	while (rc == 0 && (rc = sql_step(s, e)) == 1) {
		for (size_t i = 0; i < count; i++)
			sql_column(s, (int)i, &values[i]);
		row(arg, values);
		rc = 0;
	}
	sql_finalize(s);
	buf_done(&sql);
	free(values);
	return rc;
}

struct view_case_memory *view_case_memory_new(struct view_case_place *ret_place)
{
	struct view_case_memory *m = xcalloc(1, sizeof(*m));

	*ret_place = (struct view_case_place){
		.begin = memory_begin,
		.end = memory_end,
		.event_begin = memory_event_begin,
		.event_end = memory_event_end,
		.columns = memory_columns,
		.rows = memory_rows,
		.context = m,
	};
	return m;
}

void view_case_memory_free(struct view_case_memory *m)
{
	if (m == NULL)
		return;
	memory_end(m);
	free(m);
}
