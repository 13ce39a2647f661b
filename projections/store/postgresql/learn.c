/* learn.c - what a version's tables are, as the server's catalog has them, and does a definition
 * fit them: its handlers are prepared there, and what comes after a build is tried and taken back.
 */
#include "projections/store/postgresql/postgresql_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>

static int learn_tables(struct pg *pg, const char *schema, struct view *v, struct err *e)
{
	static const char sql[] =
		"SELECT c.relname, a.attname, CASE t.typtype WHEN 'd' THEN format_type("
		"t.typbasetype, t.typtypmod) ELSE format_type(a.atttypid, a.atttypmod) END FROM "
		"pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = "
		"a.atttypid WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p') AND "
		"NOT c.relispartition AND c.relname NOT LIKE 'millrace\\_%' AND a.attnum > 0 AND NOT "
		"a.attisdropped ORDER BY c.oid, a.attnum";
	static const char keys[] =
		"SELECT c.relname, a.attname FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid "
		"AND i.indisprimary CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY k(number, at) "
		"JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number WHERE "
		"c.relnamespace = $1::regnamespace AND c.relname NOT LIKE 'millrace\\_%' AND NOT "
		"c.relispartition AND k.at <= i.indnkeyatts ORDER BY c.oid, k.at";
	struct buf name = BUF_INIT;
	struct pg_result *r = NULL;
	const char *values[1];
	int rc;

	pg_quote_name(schema, &name); /* regnamespace reads it as SQL does */
	values[0] = buf_cstr(&name);
	rc = pg_ask(pg, sql, values, 1, &r, e);
	for (size_t i = 0; rc == 0 && i < pg_rows(r); i++)
		view_learn_column(view_learn_table(v, pg_text(r, i, 0)), pg_text(r, i, 1),
				  pg_text(r, i, 2));
	if (rc == 0) {
		pg_result_free(r);
		r = NULL;
		rc = pg_ask(pg, keys, values, 1, &r, e);
	}
	for (size_t i = 0; rc == 0 && i < pg_rows(r); i++)
		view_learn_key(view_learn_table(v, pg_text(r, i, 0)), pg_text(r, i, 1));
	pg_result_free(r);
	buf_done(&name);
	return rc;
}

/* The indexes that come after a build are tried too, and taken back. */
static int try_after_build(struct pg *pg, const struct view *v, struct err *e)
{
	int rc = pg_run(pg, "BEGIN", e);

	if (rc == 0 && store_postgresql_script(pg, "tables.sql", v->after_build_sql, e) < 0)
		rc = err_wrap(e, "%s", v->place);
	store_postgresql_undo_all(pg);
	return rc;
}

int store_postgresql_learn(struct store *s, int version, bool try, struct view *v, struct err *e)
{
	struct pg_store *f = pg_store_of(s);
	char *schema = store_postgresql_schema(f, version);
	struct target_postgresql target;
	struct pg *pg = NULL;
	int rc = store_postgresql_connect(f, schema, &pg, e);

	if (rc == 0)
		rc = learn_tables(pg, schema, v, e);
	if (rc == 0) {
		target_postgresql_init(&target, pg);
		rc = view_learn_end(v, try ? &target.target : NULL, e);
		target_postgresql_done(&target);
	}
	if (rc == 0 && try)
		rc = try_after_build(pg, v, e);
	pg_close(pg);
	free(schema);
	return rc;
}
