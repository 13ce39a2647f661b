/* unpublish.c - the public name is taken away, because the view is gone: its views and the gate.
 *
 * The database stays, though it may be empty then: what else is in it (routines, events) shows only
 * to accounts that have rights on that, and dropping the database would take it along. */
#include "projections/store/mysql/swap.h"

#include "core/base/mem.h"

#include <stdlib.h>

static void add_view(struct buf *sql, const struct mydb_swap *w, const char *name)
{
	buf_add_format(sql, "%s%s.", sql->size > 0 ? ", " : "DROP VIEW IF EXISTS ", w->public);
	db_store_name(name, sql);
}

/* Those that readers name first: who is killed here finds by the others which they were. */
static int drop_views(struct mydb_swap *w, struct err *e)
{
	char *name = mydb_literal(w->store->view), **hidden = NULL;
	struct buf sql = BUF_INIT;
	size_t count = 0;
	int rc = mydb_get_names(w->db, &hidden, &count, e,
				"SELECT TABLE_NAME FROM information_schema.TABLES WHERE "
				"TABLE_SCHEMA = %s AND TABLE_NAME LIKE '~%%'",
				name);

	for (size_t i = 0; i < count; i++)
		add_view(&sql, w, hidden[i] + 1);
	for (size_t i = 0; i < count; i++)
		add_view(&sql, w, hidden[i]);
	if (rc == 0 && count > 0)
		rc = mydb_gate_run(w, buf_cstr(&sql), MYDB_GATE_MS, e);
	view_names_free(hidden, count);
	buf_done(&sql);
	free(name);
	return rc;
}

static int drop_gate(struct mydb_swap *w, struct err *e)
{
	char *sql = xasprintf("DROP TABLE %s.`" MYDB_GATE "`", w->public);
	int rc = mydb_gate_run(w, sql, MYDB_GATE_MS, e);

	free(sql);
	return rc;
}

int store_mysql_unpublish(struct store *s, struct err *e)
{
	struct mydb_store *m = mydb_store_of(s);
	struct mydb_swap w;
	bool there = false;
	int rc = mydb_swap_begin(m, 0, &w, e) < 0 ? -1 : mydb_find_gate(&w, &there, e);

	if (rc == 0 && there)
		rc = mydb_names_sweep(&w, e) < 0 || drop_views(&w, e) < 0 ? -1 : drop_gate(&w, e);
	mydb_swap_done(&w);
	return rc < 0 ? err_wrap(e, "view %s: the public name", m->view) : 0;
}
