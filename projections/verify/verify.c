/* verify.c - the source's answer and the view's, piece by piece, each at one GTID.
 *
 * The size of a piece follows how long the last one took; what the source can't give in pieces is
 * one piece. */
#include "projections/verify/verify_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/quote.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE_US 700000 /* what a piece shall take */
#define PIECE_FIRST 50000
#define PIECE_USUAL 10000 /* smaller ones only cost more; but a rate may ask for them */
#define PIECE_MOST 1000000

/* ---- a table --------------------------------------------------------------------------------- */

static int64_t next_size(const struct verification *r, const struct verify_look *l,
			 const struct verify_piece *p)
{
	int64_t size = p->size, most = r->o->rate > 0 ? r->o->rate : PIECE_MOST;

	if (!l->question->ranged || l->took_us <= 0)
		return size;
	size = (int64_t)((double)size * PIECE_US / (double)l->took_us);
	if (size > 4 * p->size)
		size = 4 * p->size;
	size = size > PIECE_USUAL ? size : PIECE_USUAL;
	size = size < most ? size : most;
	return size > VERIFY_PIECE_LEAST ? size : VERIFY_PIECE_LEAST;
}

/* Rows a second: what the piece was too fast is waited for, with nothing open. */
static int keep_rate(struct verification *r, int64_t rows, int64_t took_us, struct err *e)
{
	int64_t wait = r->o->rate > 0 ? rows * 1000000 / r->o->rate - took_us : 0;

	if (wait <= 0)
		return 0;
	verify_pair_close(r);
	return verify_rest(r, wait, e);
}

static int compare_pieces(struct verification *r, struct verify_look *l, struct verify_piece *p,
			  struct compare_table *whole, struct err *e)
{
	for (;;) {
		int64_t size, began = clock_monotonic_us();

		if (verify_look(r, l, p, e) < 0 ||
		    (compare_table_differences(l->found) > 0 && verify_look_again(r, l, p, e) < 0))
			return -1;
		r->rows += l->found->right_rows;
		r->result->pieces++;
		size = next_size(r, l, p);
		if (keep_rate(r, l->found->right_rows, clock_monotonic_us() - began, e) < 0)
			return -1;
		compare_merge(whole, l->found);
		verify_piece_done(p);
		*p = l->next;
		l->next = (struct verify_piece){ 0 };
		p->size = size;
		if (p->place.count == 0)
			return 0;
	}
}

static int64_t first_size(const struct verification *r, const struct question *q)
{
	int64_t rate = r->o->rate;

	if (!q->ranged)
		return 0;
	return rate > 0 && rate < PIECE_FIRST
		       ? (rate > VERIFY_PIECE_LEAST ? rate : VERIFY_PIECE_LEAST)
		       : PIECE_FIRST;
}

static int verify_table(struct verification *r, const struct view_table *t, struct err *e)
{
	struct compare_table *whole, found;
	struct verify_look l = { .found = &found };
	struct verify_piece p = { .size = 0 };
	int64_t rows = r->rows;
	int rc;

	r->table = t;
	if (question_open(r->o->settings, r->db, r->o->view, t, &l.question, e) < 0)
		return -1;
	rc = compare_add(r->result->compare, t->name, t->columns, l.question->classes,
			 t->column_count, t->key, t->key_count, NULL, &whole, e);
	if (rc == 0) {
		bool ordered = l.question->ordered;

		compare_piece(whole, &found);
		p.size = first_size(r, l.question);
		rc = compare_pieces(r, &l, &p, whole, e);
		if (rc < 0 && ordered && !l.question->ordered && l.again) {
			err_clear(e);
			verify_pair_close(r);
			compare_clear(whole);
			verify_piece_done(&p);
			p = (struct verify_piece){ 0 };
			r->rows = rows;
			rc = compare_pieces(r, &l, &p, whole, e);
		}
		compare_piece_done(&found);
	}
	verify_piece_done(&p);
	verify_piece_done(&l.next);
	question_close(l.question);
	return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

#define MYSQL_READ_LIMIT 50708 /* max_execution_time came with it */

/* MySQL has one time limit for all SELECTs of a session; MariaDB takes it before each. */
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

static int check_questions(const struct view *v, struct err *e)
{
	for (size_t i = 0; i < v->table_count; i++) {
		if (v->tables[i].source != NULL)
			return 0;
	}
	err_config(e, "view %s has no source.sql: there is no question to compare with", v->name);
	return err_hint(e, "Write source.sql with a SELECT for each table after a line '-- table: "
			   "NAME', or use --source.");
}

/* Plain names in a query view's text are of the database that its tables are of. */
static int use_database(struct verification *r, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	if (r->o->view->source_db == NULL)
		return 0;
	buf_add_str(&sql, "USE `");
	for (const char *p = r->o->view->source_db; *p != '\0'; p++) {
		buf_add_u8(&sql, (uint8_t)*p);
		if (*p == '`')
			buf_add_u8(&sql, '`');
	}
	buf_add_str(&sql, "`");
	rc = db_run(r->db, buf_cstr(&sql), e);
	buf_done(&sql);
	return rc;
}

/* A server whose default is READ COMMITTED would ignore WITH CONSISTENT SNAPSHOT. */
static int open_source(struct verification *r, struct err *e)
{
	return db_open(r->o->settings, DB_TEXT_UTF8, &r->db, e) < 0 ||
			       db_run(r->db,
				      "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
				      e) < 0 ||
			       use_database(r, e) < 0 ||
			       limit_session(r->o->settings, r->db, e) < 0 ||
			       db_watch_open(r->o->settings, false, &r->watch, e) < 0 ||
			       normal_source_open(&r->normal, e) < 0
		       ? -1
		       : 0;
}

int verify_run(const struct verify_options *o, struct verify_result *ret_result, struct err *e)
{
	struct verify_result result = { .version = o->version };
	struct verification r = { .o = o, .result = &result };
	int64_t began = clock_monotonic_us();
	int rc;

	if (check_questions(o->view, e) < 0)
		return -1;
	result.compare = compare_new("view", "source");
	rc = open_source(&r, e);
	for (size_t i = 0; i < o->view->table_count && rc == 0; i++) {
		if (o->view->tables[i].source != NULL)
			rc = verify_table(&r, &o->view->tables[i], e);
	}
	verify_pair_close(&r);
	db_watch_close(r.watch);
	db_close(r.db);
	normal_source_close(r.normal);
	result.took_us = clock_monotonic_us() - began;
	if (rc < 0)
		verify_result_done(&result);
	else
		*ret_result = result;
	return rc;
}

void verify_result_done(struct verify_result *r)
{
	compare_free(r->compare);
	free(r->first_gtid_set);
	free(r->gtid_set);
	*r = (struct verify_result){ 0 };
}

static int64_t sum_of(const struct compare *c, enum compare_kind kind)
{
	int64_t sum = 0;

	for (size_t i = 0; i < c->table_count; i++)
		sum += c->tables[i].counts[kind];
	return sum;
}

static int64_t late_of(const struct compare *c)
{
	int64_t sum = 0;

	for (size_t i = 0; i < c->table_count; i++)
		sum += c->tables[i].late;
	return sum;
}

void verify_json(const char *view, const struct verify_result *r, struct buf *out)
{
	int64_t rows = compare_rows(r->compare);
	double seconds = (double)r->took_us / 1e6;

	buf_add_u8(out, '{');
	quote_json_key(out, "view");
	quote_json(out, slice_str(view));
	buf_add_format(out, ",\"version\":%d,\"seq\":%lld", r->version, (long long)r->seq);
	quote_json_key(out, "gtid_set");
	quote_json(out, slice_str(r->gtid_set));
	quote_json_key(out, "first_gtid_set");
	quote_json(out, slice_str(r->first_gtid_set));
	buf_add_format(out, ",\"snapshots\":%lld,\"pieces\":%lld,\"gave_way\":%lld,\"rows\":%lld",
		       (long long)r->snapshots, (long long)r->pieces, (long long)r->gave_way,
		       (long long)rows);
	buf_add_format(out, ",\"missing\":%lld,\"extra\":%lld,\"changed\":%lld,\"late\":%lld",
		       (long long)sum_of(r->compare, COMPARE_ONLY_RIGHT),
		       (long long)sum_of(r->compare, COMPARE_ONLY_LEFT),
		       (long long)sum_of(r->compare, COMPARE_CHANGED),
		       (long long)late_of(r->compare));
	buf_add_format(out, ",\"seconds\":%.3f,\"rows_per_second\":%.0f", seconds,
		       seconds > 0 ? (double)rows / seconds : 0);
	quote_json_key(out, "compare");
	compare_json(r->compare, out);
	buf_add_u8(out, '}');
}
