/* query_plan.c - would a change of one row read a whole table? SQLite is asked for its plans over
 * empty tables: which index it can use is then decided by the SQL alone.
 *
 * A plan's line "SCAN name" is a table, or what it goes by in the SELECT, that is read from end to
 * end. Our own names around the SELECT are not meant. */
#include "projections/apply/query.h"

#include "core/base/mem.h"
#include "core/sql/store_db.h"

#include <stdlib.h>
#include <strings.h>

/* The name behind "SCAN ", or an empty slice when the line is fine. */
static struct slice scanned(struct slice detail)
{
	static const char *const ours[] = { "q", "k", "CONSTANT", "touched" };
	const char *at = (const char *)detail.data, *end = at + detail.size;
	struct slice name;

	if (detail.size < 6 || memcmp(at, "SCAN ", 5) != 0 || at[5] == '(')
		return (struct slice){ NULL, 0 };
	at += 5;
	name = slice_of(at, 0);
	while (at + name.size < end && at[name.size] != ' ')
		name.size++;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (slice_is(name, ours[i]))
			return (struct slice){ NULL, 0 };
	}
	return name;
}

static int explain(struct sql_db *db, const char *file, struct buf *sql, query_slow_fn each,
		   void *context, struct err *e)
{
	struct buf text = BUF_INIT;
	struct sql_statement *s = NULL;
	int rc;

	buf_add_format(&text, "EXPLAIN QUERY PLAN %s", buf_cstr(sql));
	rc = sql_prepare(db, file, buf_cstr(&text), NULL, &s, e);
	while (rc == 0 && (rc = sql_step(s, e)) == 1) {
		struct value detail;
		struct slice name;

		rc = 0;
		sql_column(s, 3, &detail);
		name = scanned(detail.bytes);
		if (name.data != NULL)
			each(context, file, name);
	}
	sql_finalize(s);
	buf_done(&text);
	buf_reset(sql);
	return rc;
}

static int explain_query(const struct view *v, const struct view_query *q, struct sql_db *db,
			 query_slow_fn each, void *context, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	query_open_sql(v, q, &sql);
	rc = sql_script(db, "query.sql", buf_cstr(&sql), e);
	buf_reset(&sql);
	query_one_key_sql(v, q, &sql);
	if (rc == 0)
		rc = explain(db, "query.sql", &sql, each, context, e);
	for (size_t i = 0; i < v->mirror_count && rc == 0; i++) {
		char *file = xasprintf("keys/%s.sql", v->mirrors[i].table);

		query_touch_sql(v, q, i, &sql);
		if (sql.size > 0)
			rc = explain(db, file, &sql, each, context, e);
		free(file);
	}
	buf_done(&sql);
	return rc;
}

int query_slow(const struct view *v, query_slow_fn each, void *context, struct err *e)
{
	struct sql_db *db = NULL;
	int rc;

	if (v->kind != VIEW_QUERY || !v->learned || !dialect_of(v->store)->loose)
		return 0;
	rc = sql_open_db(NULL, SQL_OPEN_MEMORY, &db, e);
	if (rc == 0)
		rc = sql_script(db, "tables.sql", v->create_sql, e);
	if (rc == 0)
		rc = sql_script(db, "indexes.sql", v->after_build_sql, e);
	for (size_t i = 0; i < v->query_count && rc == 0; i++)
		rc = explain_query(v, &v->queries[i], db, each, context, e);
	sql_close(db);
	return rc;
}
