/* verify.c - the source's answer and the view's, at one GTID, row by row.
 *
 * The answer goes through a temporary table with the declared types of the view's table before it
 * is compared: SQLite then converts both sides by the same rules ('12.50' in a NUMERIC column
 * is 12.5 on both), and sorts them in the same order. */
#include "projections/replay/verify.h"

#include "core/base/mem.h"
#include "core/base/quote.h"
#include "core/mysql/db.h"
#include "projections/apply/row_copy.h"
#include "projections/replay/verify_snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define PROGRESS_ROWS 1000

/* ---- the source's answer --------------------------------------------------------------------- */

struct answer {
	struct sql_db *db;          /* temporary */
	struct sql_statement *rows; /* sorted */
	struct value *values;
	const struct view_table *table;
	struct row_copy last; /* the row before: a key must not come twice */
};

static void answer_done(struct answer *a)
{
	sql_finalize(a->rows);
	sql_close(a->db);
	free(a->values);
	row_copy_done(&a->last);
	*a = (struct answer){ 0 };
}

/* For each column of the view's table its number in the answer. SQLite's names don't know case. */
static int match_columns(const struct view_table *t, const struct db_result *r, size_t *ret_from,
			 struct err *e)
{
	size_t answers = db_column_count(r);
	struct buf missing = BUF_INIT, more = BUF_INIT;
	int rc = 0;

	for (size_t j = 0; j < answers; j++) {
		const char *name = db_column_name(r, j);
		size_t i = 0;

		while (i < t->column_count && strcasecmp(name, t->columns[i]) != 0)
			i++;
		if (i == t->column_count)
			buf_add_format(&more, "%s%s", more.size > 0 ? ", " : "", name);
	}
	for (size_t i = 0; i < t->column_count; i++) {
		size_t matches = 0;

		for (size_t j = 0; j < answers; j++) {
			if (strcasecmp(db_column_name(r, j), t->columns[i]) != 0)
				continue;
			ret_from[i] = j;
			matches++;
		}
		if (matches != 1)
			buf_add_format(&missing, "%s%s%s", missing.size > 0 ? ", " : "",
				       t->columns[i], matches > 1 ? " (twice)" : "");
	}
	if (missing.size > 0) {
		rc = err_config(e, "source.sql, table %s: the answer has no column %s%s%s", t->name,
				buf_cstr(&missing), more.size > 0 ? ", but " : "", buf_cstr(&more));
		err_hint(e, "Each column of the view's table is compared with the one of its name: "
			    "SELECT ... AS NAME, in any order.");
	}
	buf_done(&missing);
	buf_done(&more);
	return rc;
}

static int make_table(struct answer *a, const struct view_table *t,
		      struct sql_statement **ret_insert, struct err *e)
{
	struct buf sql = BUF_INIT, insert = BUF_INIT;
	int rc;

	buf_add_str(&sql, "CREATE TABLE answer (");
	buf_add_str(&insert, "INSERT INTO answer VALUES (");
	for (size_t i = 0; i < t->column_count; i++) {
		buf_add_str(&sql, i > 0 ? ", " : "");
		sql_quote_name(t->columns[i], &sql);
		buf_add_format(&sql, " %s", t->types[i]);
		buf_add_format(&insert, "%s?%zu", i > 0 ? ", " : "", i + 1);
	}
	buf_add_str(&sql, ")");
	buf_add_str(&insert, ")");
	rc = sql_run(a->db, buf_cstr(&sql), e) < 0
		     ? -1
		     : sql_prepare(a->db, "verify", buf_cstr(&insert), NULL, ret_insert, e);
	buf_done(&sql);
	buf_done(&insert);
	return rc;
}

static int read_rows(const struct verify_options *o, const struct view_table *t, const size_t *from,
		     struct db_result *r, struct sql_statement *insert, struct err *e)
{
	struct buf scratch = BUF_INIT;
	const struct slice *row;
	int64_t rows = 0;
	int rc;

	while ((rc = db_next(r, &row, e)) == 1) {
		for (size_t i = 0; i < t->column_count && rc >= 0; i++) {
			struct value_source_type type = db_column_type(r, from[i]);
			struct slice text = row[from[i]];
			struct value v = { .kind = VALUE_NULL };

			/* one value at a time: SQLite copies nothing, so each needs its own place
			 * until the step */
			if (i == 0) {
				size_t room = 0;

				for (size_t k = 0; k < t->column_count; k++)
					room += row[from[k]].size * 4 + 64;
				buf_reset(&scratch);
				(void)buf_reserve(&scratch, room); /* so that nothing moves while
								      values point into it */
			}
			if (text.data != NULL && value_from_text(&type, text, &scratch, &v, e) < 0)
				rc = err_wrap(e, "table %s, column %s", t->name, t->columns[i]);
			else
				rc = sql_bind(insert, (int)i + 1, &v, e);
		}
		if (rc < 0 || (rc = sql_step(insert, e)) < 0)
			break;
		sql_reset(insert);
		if (++rows % PROGRESS_ROWS == 0 && o->progress != NULL &&
		    !o->progress(o->context, t->name, rows)) {
			rc = err_retry(e, "stopped");
			break;
		}
	}
	buf_done(&scratch);
	return rc < 0 ? -1 : 0;
}

static int sort_rows(struct answer *a, const struct view_table *t, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	buf_add_str(&sql, "SELECT * FROM answer ORDER BY ");
	for (size_t i = 0; i < t->key_count; i++) {
		buf_add_str(&sql, i > 0 ? ", " : "");
		sql_quote_name(t->key[i], &sql);
		buf_add_str(&sql, " COLLATE BINARY");
	}
	rc = sql_prepare(a->db, "verify", buf_cstr(&sql), NULL, &a->rows, e);
	buf_done(&sql);
	a->table = t;
	a->values = xcalloc(t->column_count + 1, sizeof(*a->values));
	return rc;
}

/* An empty file name is SQLite's own temporary file: it is gone with the connection. */
static int open_temporary(struct sql_db **ret_db, struct err *e)
{
	return sql_open_db("", SQL_OPEN_CREATE, ret_db, e) < 0 ||
			       sql_run(*ret_db,
				       "PRAGMA journal_mode = off; PRAGMA synchronous = off; "
				       "PRAGMA cache_size = -16000; BEGIN",
				       e) < 0
		       ? -1
		       : 0;
}

#define MYSQL_READ_LIMIT 50708 /* max_execution_time came with it */

/* The question within the time limit: MariaDB takes it before the statement, MySQL has one for all
 * SELECTs of the session (limit_session()). */
static char *limited(const struct settings *settings, const struct db *db, const char *question)
{
	double limit = (double)settings->copy_read_limit_ms / 1000;

	return db_is_mariadb(db) ? xasprintf("SET STATEMENT max_statement_time = %.3f FOR %s",
					     limit, question)
				 : xstrdup(question);
}

static int limit_session(const struct settings *settings, struct db *db, struct err *e)
{
	char *sql;
	int rc;

	if (db_is_mariadb(db) || db_server_number(db) < MYSQL_READ_LIMIT)
		return 0;
	sql = xasprintf("SET SESSION max_execution_time = %" PRId64, settings->copy_read_limit_ms);
	rc = db_run(db, sql, e);
	free(sql);
	return rc;
}

/* The question's answer, sorted. */
static int ask(const struct verify_options *o, struct db *db, const struct view_table *t,
	       struct answer *a, struct err *e)
{
	size_t *from = xcalloc(t->column_count + 1, sizeof(*from));
	char *sql = limited(o->settings, db, t->source);
	struct sql_statement *insert = NULL;
	struct db_result *r = NULL;
	int rc = -1;

	if (open_temporary(&a->db, e) < 0)
		goto out;
	if (db_query(db, sql, &r, e) < 0) {
		err_wrap(e, "source.sql, table %s", t->name);
		goto out;
	}
	if (match_columns(t, r, from, e) == 0 && make_table(a, t, &insert, e) == 0 &&
	    read_rows(o, t, from, r, insert, e) == 0)
		rc = sort_rows(a, t, e);
out:
	sql_finalize(insert);
	db_result_free(r);
	free(from);
	free(sql);
	return rc;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static size_t column_of(const struct view_table *t, const char *name)
{
	size_t i = 0;

	while (i < t->column_count && strcmp(t->columns[i], name) != 0)
		i++;
	return i;
}

/* Pairing rows of one key would be a guess, and could hide that the view lacks one. */
static int check_key(struct answer *a, struct err *e)
{
	const struct view_table *t = a->table;
	struct buf key = BUF_INIT;
	bool same = a->last.values != NULL;

	for (size_t i = 0; i < t->key_count && same; i++) {
		size_t c = column_of(t, t->key[i]);

		same = value_equal(&a->values[c], &a->last.values[c]);
	}
	row_copy_done(&a->last);
	row_copy_init(&a->last, a->values, t->column_count);
	if (!same)
		return 0;
	for (size_t i = 0; i < t->key_count; i++) {
		buf_add_format(&key, "%s%s=", i > 0 ? ", " : "", t->key[i]);
		value_text(&a->values[column_of(t, t->key[i])], &key);
	}
	err_config(e, "source.sql: the answer has more than one row with the key %s",
		   buf_cstr(&key));
	buf_done(&key);
	return err_hint(e, "Rows are compared by the table's key: the question must give each key "
			   "once.");
}

static int next_answer(void *context, const struct value **ret_values, struct err *e)
{
	struct answer *a = context;
	int rc = sql_step(a->rows, e);

	for (size_t i = 0; rc == 1 && i < a->table->column_count; i++)
		sql_column(a->rows, (int)i, &a->values[i]);
	*ret_values = a->values;
	return rc == 1 && check_key(a, e) < 0 ? -1 : rc;
}

struct view_rows {
	const struct store_ops *ops;
	struct store_rows *rows;
};

static int next_view(void *context, const struct value **ret_values, struct err *e)
{
	struct view_rows *v = context;

	return v->ops->next(v->rows, ret_values, e);
}

static int verify_table(const struct verify_options *o, struct db *db, const struct view_table *t,
			struct store_snapshot *snapshot, struct compare *compare, struct err *e)
{
	struct view_rows rows = { o->store->ops, NULL };
	struct answer a = { 0 };
	struct compare_reader left = { next_view, &rows }, right = { next_answer, &a };
	struct compare_table *table;
	int rc = -1;

	if (ask(o, db, t, &a, e) < 0)
		goto out;
	rc = compare_add(compare, t->name, t->columns, t->column_count, t->key, t->key_count, NULL,
			 &table, e);
	if (rc == 0)
		rc = rows.ops->rows(snapshot, t->name, t->columns, t->column_count, t->key,
				    t->key_count, NULL, &rows.rows, e);
	if (rc == 0)
		rc = compare_run(table, &left, &right, NULL, NULL, e);
out:
	rows.ops->rows_close(rows.rows);
	answer_done(&a);
	return rc;
}

static bool has_question(const struct view *v)
{
	for (size_t i = 0; i < v->table_count; i++) {
		if (v->tables[i].source != NULL)
			return true;
	}
	return false;
}

/* Both snapshots at one position; the view moves on when this returns. */
static int take_snapshots(const struct verify_options *o, struct db *db,
			  struct store_snapshot **ret_snapshot, char **ret_gtid_set, struct err *e)
{
	const struct verify_control *control = &o->control;
	char *held_at = NULL, *gtid_set = NULL;
	int rc = -1;

	if (control->hold(control->context, &held_at, e) < 0)
		return -1;
	if (verify_snapshot(o->settings, db, held_at, &gtid_set, e) == 0 &&
	    control->advance(control->context, gtid_set, e) == 0)
		rc = o->store->ops->snapshot(o->store, o->version, ret_snapshot, e);
	/* still held: else the snapshot may be of a later position */
	if (rc == 0 && control->advance(control->context, gtid_set, e) < 0) {
		o->store->ops->snapshot_close(*ret_snapshot);
		*ret_snapshot = NULL;
		rc = -1;
	}
	control->release(control->context);
	free(held_at);
	if (rc < 0)
		free(gtid_set);
	else
		*ret_gtid_set = gtid_set;
	return rc;
}

int verify_run(const struct verify_options *o, struct verify_result *ret_result, struct err *e)
{
	struct verify_result result = { .version = o->version };
	struct store_snapshot *snapshot = NULL;
	struct store_info info;
	struct db *db = NULL;
	int rc = -1;

	if (!has_question(o->view)) {
		err_config(e, "view %s has no source.sql: there is no question to compare with",
			   o->view->name);
		return err_hint(
			e, "Write source.sql with a SELECT for each table after a line '-- table: "
			   "NAME', or use --source.");
	}
	/* a server whose default is READ COMMITTED would ignore WITH CONSISTENT SNAPSHOT */
	if (db_open(o->settings, DB_TEXT_UTF8, &db, e) < 0 ||
	    db_run(db, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", e) < 0 ||
	    limit_session(o->settings, db, e) < 0 ||
	    take_snapshots(o, db, &snapshot, &result.gtid_set, e) < 0)
		goto out;
	o->store->ops->snapshot_info(snapshot, &info);
	result.seq = info.seq;
	result.compare = compare_new("view", "source");
	rc = 0;
	for (size_t i = 0; i < o->view->table_count && rc == 0; i++) {
		if (o->view->tables[i].source != NULL)
			rc = verify_table(o, db, &o->view->tables[i], snapshot, result.compare, e);
	}
out:
	o->store->ops->snapshot_close(snapshot);
	db_close(db);
	if (rc < 0)
		verify_result_done(&result);
	else
		*ret_result = result;
	return rc;
}

void verify_result_done(struct verify_result *r)
{
	compare_free(r->compare);
	free(r->gtid_set);
	*r = (struct verify_result){ 0 };
}

void verify_json(const char *view, const struct verify_result *r, struct buf *out)
{
	buf_add_u8(out, '{');
	quote_json_key(out, "view");
	quote_json(out, slice_str(view));
	buf_add_format(out, ",\"version\":%d,\"seq\":%lld", r->version, (long long)r->seq);
	quote_json_key(out, "gtid_set");
	quote_json(out, slice_str(r->gtid_set));
	quote_json_key(out, "compare");
	compare_json(r->compare, out);
	buf_add_u8(out, '}');
}
