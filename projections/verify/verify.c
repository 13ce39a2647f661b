/* verify.c - the source's answer and the view's, piece by piece, each at one GTID.
 *
 * Both sides give their rows in the order of the key, so a piece is a merge of two streams. Its
 * size follows how long the last one took; what the source can't give in pieces is one piece. A
 * read that was made to give way, or that took too long, is begun again from where its piece began,
 * smaller if that helps. */
#include "projections/verify/verify.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/quote.h"
#include "projections/apply/row_copy.h"
#include "projections/verify/verify_question_priv.h"
#include "projections/verify/verify_snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PAIR_US 500000  /* for so long a pair of snapshots is used for another piece */
#define PIECE_US 300000 /* what a piece shall take */
#define PIECE_FIRST 50000
#define PIECE_USUAL 10000 /* smaller ones only cost more */
#define PIECE_LEAST 1000  /* unless a rate asks for them, or a time limit */
#define PIECE_MOST 1000000
#define AGAIN_TRIES 30
#define AGAIN_US 200000
#define LOOKS 4 /* at rows that differ, each at a later GTID */
#define LOOK_US 100000
#define HOLD_US 10000000 /* somebody else may hold the view for a moment */
#define WAIT_US 50000    /* between looks at whether to stop */

struct run {
	const struct verify_options *o;
	struct verify_result *result;
	struct db *db;
	struct db_watch *watch;
	struct normal_source *normal;
	struct store_snapshot *snapshot; /* NULL: no pair is open */
	bool held;                       /* still, while it is read (a store that moves) */
	int64_t opened_us, rows;
	const struct view_table *table;
};

/* Where a piece begins, and how many rows it has at most (0: all). */
struct piece {
	struct question_place place;
	struct row_copy after; /* the same for the store */
	int64_t size;
};

static void piece_done(struct piece *p)
{
	question_place_done(&p->place);
	row_copy_done(&p->after);
}

static bool go_on(struct run *r, int64_t more)
{
	return r->o->progress == NULL ||
	       r->o->progress(r->o->context, r->table != NULL ? r->table->name : "",
			      r->rows + more);
}

static int rest(struct run *r, int64_t us, struct err *e)
{
	int64_t until = clock_monotonic_us() + us, left;

	while ((left = until - clock_monotonic_us()) > 0) {
		if (!go_on(r, 0))
			return err_retry(e, "stopped");
		clock_sleep_us(left < WAIT_US ? left : WAIT_US);
	}
	return 0;
}

/* ---- a pair of snapshots --------------------------------------------------------------------- */

static void close_pair(struct run *r)
{
	struct err ignored = ERR_INIT;

	if (r->snapshot == NULL)
		return;
	(void)db_run(r->db, "ROLLBACK", &ignored); /* lets go of the tables, or it is gone anyway */
	r->o->store->ops->snapshot_close(r->snapshot);
	r->snapshot = NULL;
	if (r->held)
		r->o->control.release(r->o->control.context);
	r->held = false;
}

static int hold(struct run *r, char **ret_gtid_set, struct err *e)
{
	const struct verify_control *control = &r->o->control;
	int64_t until = clock_monotonic_us() + HOLD_US;

	while (control->hold(control->context, ret_gtid_set, e) < 0) {
		if (e->kind != ERR_RETRY || clock_monotonic_us() >= until)
			return -1;
		err_clear(e);
		if (rest(r, WAIT_US, e) < 0)
			return -1;
	}
	return 0;
}

struct standing {
	struct run *run;
	const char *gtid_set;
};

/* Sent on to where it stands, the version stands from now on. */
static int still_stands(void *context, struct err *e)
{
	const struct standing *s = context;
	const struct verify_control *control = &s->run->o->control;

	if (!go_on(s->run, 0))
		return err_retry(e, "stopped");
	return control->advance(control->context, s->gtid_set, e);
}

/* Both at one position; the view moves on when this returns. */
static int take_pair(struct run *r, char **ret_gtid_set, struct err *e)
{
	const struct verify_control *control = &r->o->control;
	const struct store_ops *ops = r->o->store->ops;
	char *held_at = NULL, *gtid_set = NULL;
	int rc = -1;

	if (hold(r, &held_at, e) < 0)
		return -1;
	if (verify_snapshot(r->o->settings, r->db, held_at, &gtid_set, e) == 0 &&
	    control->advance(control->context, gtid_set, e) == 0)
		rc = store_snapshot(r->o->store, r->o->version,
				    &(struct store_still){ still_stands,
							   &(struct standing){ r, gtid_set } },
				    &r->snapshot, e);
	/* still held: else the snapshot may be of a later position */
	if (rc == 0 && control->advance(control->context, gtid_set, e) < 0) {
		ops->snapshot_close(r->snapshot);
		r->snapshot = NULL;
		rc = -1;
	}
	r->held = rc == 0 && ops->moving;
	if (!r->held)
		control->release(control->context);
	free(held_at);
	if (rc < 0)
		free(gtid_set);
	else
		*ret_gtid_set = gtid_set;
	return rc;
}

static int open_pair(struct run *r, struct err *e)
{
	struct verify_result *result = r->result;
	struct store_info info;
	char *gtid_set;

	if (r->snapshot != NULL && clock_monotonic_us() - r->opened_us < PAIR_US)
		return 0;
	close_pair(r);
	if (take_pair(r, &gtid_set, e) < 0)
		return -1;
	r->opened_us = clock_monotonic_us();
	r->o->store->ops->snapshot_info(r->snapshot, &info);
	result->seq = info.seq;
	result->snapshots++;
	if (result->first_gtid_set == NULL)
		result->first_gtid_set = xstrdup(gtid_set);
	free(result->gtid_set);
	result->gtid_set = gtid_set;
	return 0;
}

/* ---- the view's rows ------------------------------------------------------------------------- */

struct view_rows {
	const struct store_ops *ops;
	struct store_rows *rows;
	const struct question *question;
	struct last_key last;
	const struct value *first; /* fetched before the source was asked */
	int first_rc;
	bool begun;
};

static int fetch(struct view_rows *v, const struct value **ret_values, struct err *e)
{
	int rc = v->ops->next(v->rows, ret_values, e);

	if (rc != 1)
		return rc;
	if (last_key_compare(&v->last, v->question, *ret_values) > 0)
		return err_fatal(e, "store %s gave the rows of table %s in the wrong order",
				 v->ops->name, v->question->table->name);
	last_key_keep(&v->last, v->question, *ret_values);
	return 1;
}

static int next_view(void *context, const struct value **ret_values, struct err *e)
{
	struct view_rows *v = context;

	if (v->begun)
		return fetch(v, ret_values, e);
	v->begun = true;
	*ret_values = v->first;
	return v->first_rc;
}

/* A store that has to sort does it now, and not while the source waits. */
static int open_view(struct run *r, const struct question *q, const struct piece *p,
		     struct view_rows *v, struct err *e)
{
	const struct view_table *t = q->table;

	*v = (struct view_rows){ .ops = r->o->store->ops, .question = q };
	if (v->ops->rows(r->snapshot, t->name, t->columns, t->column_count, t->key, t->key_count,
			 p->after.values, &v->rows, e) < 0)
		return -1;
	v->first_rc = fetch(v, &v->first, e);
	return v->first_rc < 0 ? -1 : 0;
}

static void close_view(struct view_rows *v)
{
	v->ops->rows_close(v->rows);
	last_key_done(&v->last);
}

/* ---- a piece --------------------------------------------------------------------------------- */

struct look {
	struct question *question;
	struct compare_table *found; /* emptied, filled */
	/* out */
	struct piece next; /* place and after; place.count 0: that was the last one */
	int64_t rows, took_us;
	bool again, gave_way;
};

static bool goes_on(void *answer)
{
	return answer_goes_on(answer);
}

static bool compared(void *context, int64_t rows)
{
	return go_on(context, rows);
}

static int compare_piece_rows(struct run *r, struct look *l, const struct piece *p,
			      struct view_rows *view, struct answer **ret_answer, struct err *e)
{
	struct compare_reader left = { next_view, view, NULL }, right;
	int rc = answer_open(l->question, r->db, r->watch, r->normal,
			     p->place.count > 0 ? &p->place : NULL, p->size, ret_answer, e);

	right = (struct compare_reader){ answer_next, *ret_answer, goes_on };
	return rc < 0 ? -1 : compare_run(l->found, &left, &right, compared, r, e);
}

static int look_once(struct run *r, struct look *l, const struct piece *p, struct err *e)
{
	struct answer *answer = NULL;
	struct view_rows view = { 0 };
	int64_t began;
	int rc = -1;

	l->again = l->gave_way = false;
	l->rows = 0;
	if (open_pair(r, e) < 0)
		return -1;
	began = clock_monotonic_us();
	if (open_view(r, l->question, p, &view, e) == 0)
		rc = compare_piece_rows(r, l, p, &view, &answer, e);
	if (answer != NULL) {
		l->rows = answer_rows(answer);
		l->again = rc < 0 && answer_again(answer);
	}
	if (rc == 0 && answer_goes_on(answer)) {
		answer_place(answer, &l->next.place);
		row_copy_init(&l->next.after, answer_key(answer), l->next.place.count);
	}
	close_view(&view);
	l->gave_way = answer_close(answer);
	r->result->gave_way += l->gave_way;
	l->took_us = clock_monotonic_us() - began;
	return rc;
}

/* A read that failed and may be begun again. 0: it is; -1: no use. */
static int prepare_again(struct run *r, struct look *l, struct piece *p, int tries, struct err *e)
{
	int64_t half = l->rows / 2;

	if (!l->again || tries >= AGAIN_TRIES)
		return -1;
	/* from the beginning of the table, in another order: not here */
	if (!l->question->ordered && p->place.count > 0)
		return -1;
	if (l->question->ordered && (!l->gave_way || tries > 2) && half >= PIECE_LEAST)
		p->size = half;
	else if (!l->gave_way && l->question->ordered)
		return -1;
	close_pair(r);
	err_clear(e);
	return rest(r, AGAIN_US, e);
}

static int look(struct run *r, struct look *l, struct piece *p, struct err *e)
{
	for (int tries = 0;; tries++) {
		compare_clear(l->found);
		piece_done(&l->next);
		if (look_once(r, l, p, e) == 0)
			break;
		if (prepare_again(r, l, p, tries, e) < 0)
			return -1;
	}
	if (clock_monotonic_us() - r->opened_us >= PAIR_US)
		close_pair(r);
	return 0;
}

/* ---- rows that differ ------------------------------------------------------------------------ */

static int compare_hashes(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* How many of `these` are not among `those`, which are sorted. */
static int64_t count_others(const uint64_t *these, size_t count, const uint64_t *those,
			    size_t others)
{
	int64_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += bsearch(&these[i], those, others, sizeof(*those), compare_hashes) == NULL;
	return found;
}

/* What differs only because one side was behind by a moment doesn't at a later GTID. A difference
 * counts when two looks, one after the other, have found it. */
static int look_again(struct run *r, struct look *l, struct piece *p, struct err *e)
{
	int64_t late = 0;

	for (int i = 1; i < LOOKS; i++) {
		size_t count = l->found->differing_count;
		uint64_t *before;
		bool settled;

		if (count == 0 || count >= COMPARE_DIFFERING_MAX)
			break;
		before = xcalloc(count, sizeof(*before));
		memcpy(before, l->found->differing, count * sizeof(*before));
		qsort(before, count, sizeof(*before), compare_hashes);
		close_pair(r);
		if (rest(r, LOOK_US, e) < 0 || look(r, l, p, e) < 0) {
			free(before);
			return -1;
		}
		qsort(l->found->differing, l->found->differing_count, sizeof(*before),
		      compare_hashes);
		settled = count_others(l->found->differing, l->found->differing_count, before,
				       count) == 0;
		late += count_others(before, count, l->found->differing, l->found->differing_count);
		free(before);
		if (settled)
			break;
	}
	l->found->late = late;
	return 0;
}

/* ---- a table --------------------------------------------------------------------------------- */

static int64_t next_size(const struct run *r, const struct look *l, const struct piece *p)
{
	int64_t size = p->size, most = r->o->rate > 0 ? r->o->rate : PIECE_MOST;

	if (!l->question->ranged || l->took_us <= 0)
		return size;
	size = (int64_t)((double)size * PIECE_US / (double)l->took_us);
	if (size > 4 * p->size)
		size = 4 * p->size;
	size = size > PIECE_USUAL ? size : PIECE_USUAL;
	size = size < most ? size : most;
	return size > PIECE_LEAST ? size : PIECE_LEAST;
}

/* Rows a second: what the piece was too fast is waited for, with nothing open. */
static int keep_rate(struct run *r, int64_t rows, int64_t took_us, struct err *e)
{
	int64_t wait = r->o->rate > 0 ? rows * 1000000 / r->o->rate - took_us : 0;

	if (wait <= 0)
		return 0;
	close_pair(r);
	return rest(r, wait, e);
}

static int compare_pieces(struct run *r, struct look *l, struct piece *p,
			  struct compare_table *whole, struct err *e)
{
	for (;;) {
		int64_t size, began = clock_monotonic_us();

		if (look(r, l, p, e) < 0 ||
		    (compare_table_differences(l->found) > 0 && look_again(r, l, p, e) < 0))
			return -1;
		r->rows += l->found->right_rows;
		r->result->pieces++;
		size = next_size(r, l, p);
		if (keep_rate(r, l->found->right_rows, clock_monotonic_us() - began, e) < 0)
			return -1;
		compare_merge(whole, l->found);
		piece_done(p);
		*p = l->next;
		l->next = (struct piece){ 0 };
		p->size = size;
		if (p->place.count == 0)
			return 0;
	}
}

static int64_t first_size(const struct run *r, const struct question *q)
{
	int64_t rate = r->o->rate;

	if (!q->ranged)
		return 0;
	return rate > 0 && rate < PIECE_FIRST ? (rate > PIECE_LEAST ? rate : PIECE_LEAST)
					      : PIECE_FIRST;
}

static int verify_table(struct run *r, const struct view_table *t, struct err *e)
{
	struct compare_table *whole, found;
	struct look l = { .found = &found };
	struct piece p = { .size = 0 };
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
			close_pair(r);
			compare_clear(whole);
			piece_done(&p);
			p = (struct piece){ 0 };
			r->rows = rows;
			rc = compare_pieces(r, &l, &p, whole, e);
		}
		compare_piece_done(&found);
	}
	piece_done(&p);
	piece_done(&l.next);
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
static int use_database(struct run *r, struct err *e)
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
static int open_source(struct run *r, struct err *e)
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
	struct run r = { .o = o, .result = &result };
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
	close_pair(&r);
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
