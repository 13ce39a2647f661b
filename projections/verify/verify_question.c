/* verify_question.c - what is asked of the source for one table, and whether it can be asked in
 * pieces.
 *
 * A FLOAT is asked for as a DOUBLE: the server prints six digits of it only. Text is ordered by its
 * bytes in UTF-8, for which no index of the source is of use unless it is binary already; numbers
 * and times are ordered by themselves. Whether a piece costs as much as its rows is asked of the
 * optimizer: no sorting, nothing put into a temporary table. */
#include "projections/verify/verify_question.h"

#include "core/base/mem.h"
#include "core/value/row.h"
#include "core/value/shape.h"
#include "projections/verify/verify_question_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

enum { ERROR_UNKNOWN_COLUMN = 1054 };

/* ---- columns --------------------------------------------------------------------------------- */

/* For each column of the view's table its number in the answer. Case doesn't count. */
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

static char *quoted(const char *name)
{
	struct buf text = BUF_INIT;
	char *copy;

	row_quote_name(name, &text);
	copy = xstrdup(buf_cstr(&text));
	buf_done(&text);
	return copy;
}

/* One column: how it is asked for, and, of a key, ordered by. */
static void set_column(struct question *q, size_t i, const struct db_result *r, size_t from)
{
	struct value_source_type type = db_column_type(r, from);
	char *name = quoted(db_column_name(r, from));

	q->expressions[i] = type.type == COLUMN_FLOAT ? xasprintf("%s + 0e0", name) : xstrdup(name);
	for (size_t k = 0; k < q->table->key_count; k++) {
		bool bytes;

		if (q->key[k] != i)
			continue;
		if (!normal_source_orders(q->classes[i], &type, &bytes)) {
			q->ordered = false;
			continue;
		}
		q->hex[k] = bytes;
		q->order[k] =
			!bytes || (type.is_binary && type.type != COLUMN_ENUM &&
				   type.type != COLUMN_SET)
				? xstrdup(q->expressions[i])
				: xasprintf("CAST(CONVERT(%s USING utf8mb4) AS BINARY)", name);
	}
	free(name);
}

static int question_refused(const struct view_table *t, const struct db *db, struct err *e)
{
	if (db_error_number(db) == ERROR_UNKNOWN_COLUMN)
		err_hint(e, "Has the column gone at the source? A view whose question is made from "
			    "its tables hears of it with the table's next row, and is built anew; "
			    "a source.sql is changed by hand.");
	return err_wrap(e, "source.sql, table %s", t->name);
}

static int read_columns(struct question *q, struct db *db, struct err *e)
{
	const struct view_table *t = q->table;
	char *sql = xasprintf("%sSELECT * FROM (\n%s\n) AS millrace_question LIMIT 0", q->limit,
			      t->source);
	size_t *from = xcalloc(t->column_count + 1, sizeof(*from));
	struct db_result *r = NULL;
	int rc = db_query(db, sql, &r, e);

	if (rc < 0)
		rc = question_refused(t, db, e);
	else
		rc = match_columns(t, r, from, e);
	for (size_t i = 0; rc == 0 && i < t->column_count; i++)
		set_column(q, i, r, from[i]);
	db_result_free(r);
	free(from);
	free(sql);
	return rc;
}

/* ---- the text -------------------------------------------------------------------------------- */

/* (k1 > a OR k1 = a AND (k2 > b OR ...)), behind k1 >= a, which an index answers. NULL comes before
 * everything. */
static void add_behind(const struct question *q, const struct question_place *from, struct buf *sql)
{
	size_t count = from->count;

	buf_add_str(sql, " WHERE ");
	if (from->literals[0] != NULL)
		buf_add_format(sql, "%s >= %s AND ", q->order[0], from->literals[0]);
	for (size_t k = 0; k < count; k++) {
		const char *literal = from->literals[k];

		if (literal == NULL)
			buf_add_format(sql, "(%s IS NOT NULL", q->order[k]);
		else
			buf_add_format(sql, "(%s > %s", q->order[k], literal);
		if (k + 1 < count)
			buf_add_format(sql, " OR %s <=> %s AND ", q->order[k],
				       literal != NULL ? literal : "NULL");
	}
	for (size_t k = 0; k < count; k++)
		buf_add_u8(sql, ')');
}

void question_text(const struct question *q, const struct question_place *from, int64_t rows,
		   struct buf *sql)
{
	const struct view_table *t = q->table;

	buf_add_str(sql, "SELECT ");
	for (size_t i = 0; i < t->column_count; i++)
		buf_add_format(sql, "%s%s", i > 0 ? ", " : "", q->expressions[i]);
	buf_add_format(sql, " FROM (\n%s\n) AS millrace_question", t->source);
	if (from != NULL)
		add_behind(q, from, sql);
	for (size_t k = 0; q->ordered && k < t->key_count; k++)
		buf_add_format(sql, "%s%s", k > 0 ? ", " : " ORDER BY ", q->order[k]);
	if (rows > 0)
		buf_add_format(sql, " LIMIT %" PRId64, rows);
}

/* ---- what a piece costs ---------------------------------------------------------------------- */

static bool says(struct slice text, const char *word)
{
	return text.data != NULL && memmem(text.data, text.size, word, strlen(word)) != NULL;
}

/* The optimizer's plan of the first piece. A plan that can't be had is a bad one. */
static int find_ranged(struct question *q, struct db *db, struct err *e)
{
	struct buf sql = BUF_INIT;
	struct db_result *r = NULL;
	const struct slice *row;
	int rc;

	buf_add_format(&sql, "%sEXPLAIN ", q->limit);
	question_text(q, NULL, 1000, &sql);
	rc = db_query(db, buf_cstr(&sql), &r, e);
	q->ranged = rc == 0;
	while (rc == 0 && (rc = db_next(r, &row, e)) == 1) {
		for (size_t i = 0; i < db_column_count(r); i++) {
			if (says(row[i], "Using filesort") || says(row[i], "Using temporary") ||
			    says(row[i], "DERIVED") || says(row[i], "UNION"))
				q->ranged = false;
		}
		rc = 0;
	}
	db_result_free(r);
	buf_done(&sql);
	return rc;
}

/* ---- open and close -------------------------------------------------------------------------- */

/* MariaDB takes the limit before the statement; MySQL has one for all SELECTs of the session. */
static char *time_limit(const struct settings *settings, const struct db *db)
{
	double limit = (double)settings->copy_read_limit_ms / 1000;

	return db_is_mariadb(db) ? xasprintf("SET STATEMENT max_statement_time = %.3f FOR ", limit)
				 : xstrdup("");
}

static const struct mirror_column *mirror_column_named(const struct mirror_table *m,
						       const char *name)
{
	for (size_t i = 0; i < m->column_count; i++) {
		if (strcmp(m->columns[i].name, name) == 0)
			return &m->columns[i];
	}
	return NULL;
}

/* Columns come in the store's order: those that were added stand behind MIRROR_EXACT. */
static void find_exact(struct question *q, const struct view *v)
{
	const struct view_table *t = q->table;
	const struct mirror_table *m = v->kind == VIEW_MIRROR ? mirror_find(v, t->name) : NULL;

	q->exact = NO_EXACT;
	q->mirrored = xcalloc(t->column_count + 1, sizeof(*q->mirrored));
	for (size_t i = 0; m != NULL && i < t->column_count; i++) {
		q->mirrored[i] = mirror_column_named(m, t->columns[i]);
		if (q->mirrored[i] != NULL && q->mirrored[i]->of == NULL) {
			q->exact = i;
			q->mirrored[i] = NULL;
			q->classes[i] = NORMAL_JSON;
		}
	}
}

int question_open(const struct settings *settings, struct db *db, const struct view *v,
		  const struct view_table *t, struct question **ret_question, struct err *e)
{
	struct question *q = xcalloc(1, sizeof(*q));
	int rc;

	q->table = t;
	q->limit = time_limit(settings, db);
	q->classes = xcalloc(t->column_count + 1, sizeof(*q->classes));
	q->expressions = xcalloc(t->column_count + 1, sizeof(*q->expressions));
	q->key = xcalloc(t->key_count + 1, sizeof(*q->key));
	q->order = xcalloc(t->key_count + 1, sizeof(*q->order));
	q->hex = xcalloc(t->key_count + 1, sizeof(*q->hex));
	for (size_t i = 0; i < t->column_count; i++) {
		q->classes[i] = normal_class(v->store, t->types[i]);
		for (size_t k = 0; k < t->key_count; k++) {
			if (strcmp(t->key[k], t->columns[i]) == 0)
				q->key[k] = i;
		}
	}
	find_exact(q, v);
	q->ordered = t->key_count > 0;
	rc = read_columns(q, db, e);
	if (rc == 0 && q->ordered)
		rc = find_ranged(q, db, e);
	if (rc < 0)
		question_close(q);
	else
		*ret_question = q;
	return rc;
}

void question_close(struct question *q)
{
	if (q == NULL)
		return;
	for (size_t i = 0; i < q->table->column_count; i++)
		free(q->expressions[i]);
	for (size_t k = 0; k < q->table->key_count; k++)
		free(q->order[k]);
	free(q->classes);
	free(q->mirrored);
	free(q->expressions);
	free(q->key);
	free(q->order);
	free(q->hex);
	free(q->limit);
	free(q);
}

void question_place_done(struct question_place *p)
{
	for (size_t k = 0; k < p->count; k++)
		free(p->literals[k]);
	free(p->literals);
	*p = (struct question_place){ 0 };
}
