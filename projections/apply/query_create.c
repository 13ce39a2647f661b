/* query_create.c - the tables of a query view.
 *
 * In SQLite the SELECTs are prepared at once, over empty tables in memory: so their columns and
 * types are known, and where each comes from. Another store says when it makes the tables
 * (store_try). */
#include "projections/apply/query.h"

#include "core/base/mem.h"
#include "core/sql/store_db.h"
#include "projections/apply/view_priv.h"

#include <stdlib.h>
#include <strings.h>

/* The statement with its lines as in query.sql. */
static int prepare_query(struct sql_db *db, const struct view_query *q,
			 struct sql_statement **ret_statement, struct err *e)
{
	struct buf text = BUF_INIT;
	int rc;

	for (int i = 1; i < q->line; i++)
		buf_add_u8(&text, '\n');
	buf_add_str(&text, q->text);
	sql_guard(db, true);
	rc = sql_prepare(db, "query.sql", buf_cstr(&text), NULL, ret_statement, e);
	sql_guard(db, false);
	buf_done(&text);
	if (rc < 0 && strstr(e->msg, "no such table") != NULL)
		err_hint(e, "Tables that are read stand in inputs of view.conf, as NAME.DATABASE."
			    "TABLE.");
	return rc;
}

/* The key's columns as CREATE TABLE ... AS would declare them; all of them into create. */
static int learn_columns(struct sql_db *db, struct view_query *q, struct buf *create, struct err *e)
{
	struct sql_statement *s;
	char **types = xcalloc(q->key_count + 1, sizeof(*types));
	int rc, count = 0;

	rc = sql_prepare(db, "query.sql",
			 "SELECT name, type FROM pragma_table_info('millrace_try')", NULL, &s, e);
	while (rc == 0 && (rc = sql_step(s, e)) == 1) {
		struct value name, type;
		char *text;

		rc = 0;
		sql_column(s, 0, &name);
		sql_column(s, 1, &type);
		text = xstrndup((const char *)name.bytes.data, name.bytes.size);
		buf_add_str(create, count++ > 0 ? ", " : "");
		sql_quote_name(text, create);
		buf_add_u8(create, ' ');
		buf_add_slice(create, type.bytes);
		for (size_t i = 0; i < q->key_count; i++) {
			if (strcasecmp(q->key[i], text) != 0)
				continue;
			buf_add_str(create, " NOT NULL");
			types[i] = xstrndup((const char *)type.bytes.data, type.bytes.size);
		}
		free(text);
	}
	sql_finalize(s);
	q->types = types;
	for (size_t i = 0; i < q->key_count && rc == 0; i++) {
		if (types[i] == NULL)
			rc = err_config(e, "view.conf: key.%s: the SELECT has no column %s",
					q->table, q->key[i]);
	}
	if (rc < 0) { /* a list with gaps can't be freed as names are */
		for (size_t i = 0; i < q->key_count; i++)
			free(types[i]);
		free(types);
		q->types = NULL;
	}
	return rc;
}

static int try_query(struct view *v, struct sql_db *db, struct view_query *q, struct buf *create,
		     struct view_mistakes *m, struct err *e)
{
	struct sql_statement *s = NULL;
	struct buf sql = BUF_INIT;
	int rc = prepare_query(db, q, &s, e);

	if (rc == 0)
		query_find_keys(v, q, s, m);
	sql_finalize(s);
	buf_add_format(&sql, "CREATE TABLE millrace_try AS SELECT * FROM (\n%s\n)", q->text);
	if (rc == 0)
		rc = sql_run(db, buf_cstr(&sql), e);
	if (rc == 0)
		rc = learn_columns(db, q, create, e);
	buf_done(&sql);
	if (rc == 0)
		rc = sql_run(db, "DROP TABLE millrace_try", e);
	return rc;
}

static void put_names(const struct dialect *d, char *const *names, size_t count, struct buf *out)
{
	for (size_t i = 0; i < count; i++) {
		buf_add_str(out, i > 0 ? ", " : "");
		dialect_name(d, names[i], out);
	}
}

static void create_sqlite(struct view *v, struct sql_db *db, struct view_query *q,
			  struct view_mistakes *m, struct buf *out)
{
	struct buf columns = BUF_INIT;
	struct err e = ERR_INIT;

	if (try_query(v, db, q, &columns, m, &e) < 0) {
		view_mistake_err(m, &e);
	} else {
		buf_add_str(out, "CREATE TABLE ");
		sql_quote_name(q->table, out);
		buf_add_str(out, " (");
		buf_add_slice(out, buf_slice(&columns));
		buf_add_str(out, ", PRIMARY KEY (");
		put_names(dialect_of(v->store), q->key, q->key_count, out);
		buf_add_str(out, ")) WITHOUT ROWID;\n");
	}
	buf_done(&columns);
}

void query_create_sqlite(struct view *v, struct view_mistakes *m, struct buf *out)
{
	struct sql_db *db = NULL;
	struct err e = ERR_INIT;

	if (sql_open_db(NULL, SQL_OPEN_MEMORY, &db, &e) < 0 ||
	    sql_run(db, buf_cstr(out), &e) < 0) /* the mirrored tables */
		view_mistake_err(m, &e);
	for (size_t i = 0; i < v->query_count && e.kind == ERR_NONE; i++)
		create_sqlite(v, db, &v->queries[i], m, out);
	sql_close(db);
}

void query_create_other(struct view *v, struct view_mistakes *m, struct buf *out)
{
	for (size_t i = 0; i < v->query_count; i++) {
		query_find_keys(v, &v->queries[i], NULL, m);
		query_create_sql(v, &v->queries[i], out);
	}
}
