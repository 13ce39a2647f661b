/* verify_piece.c - both sides give their rows in the order of the key, so a piece is a merge of two
 * streams. A read that was made to give way, or that took too long, is begun again from where its
 * piece began, smaller if that helps. */
#include "projections/verify/verify_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define AGAIN_TRIES 30
#define AGAIN_US 200000
#define LOOKS 4 /* at rows that differ, each at a later GTID */
#define LOOK_US 100000

void verify_piece_done(struct verify_piece *p)
{
	question_place_done(&p->place);
	row_copy_done(&p->after);
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
static int open_view(struct verification *r, const struct question *q, const struct verify_piece *p,
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

static bool goes_on(void *answer)
{
	return answer_goes_on(answer);
}

static bool compared(void *context, int64_t rows)
{
	return verify_go_on(context, rows);
}

static int compare_piece_rows(struct verification *r, struct verify_look *l,
			      const struct verify_piece *p, struct view_rows *view,
			      struct answer **ret_answer, struct err *e)
{
	struct compare_reader left = { next_view, view, NULL }, right;
	int rc = answer_open(l->question, r->db, r->watch, r->normal,
			     p->place.count > 0 ? &p->place : NULL, p->size, ret_answer, e);

	right = (struct compare_reader){ answer_next, *ret_answer, goes_on };
	return rc < 0 ? -1 : compare_run(l->found, &left, &right, compared, r, e);
}

static int look_once(struct verification *r, struct verify_look *l, const struct verify_piece *p,
		     struct err *e)
{
	struct answer *answer = NULL;
	struct view_rows view = { 0 };
	int64_t began;
	int rc = -1;

	l->again = l->gave_way = false;
	l->rows = 0;
	if (verify_pair_open(r, e) < 0)
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
static int prepare_again(struct verification *r, struct verify_look *l, struct verify_piece *p,
			 int tries, struct err *e)
{
	int64_t half = l->rows / 2;

	if (!l->again || tries >= AGAIN_TRIES)
		return -1;
	/* from the beginning of the table, in another order: not here */
	if (!l->question->ordered && p->place.count > 0)
		return -1;
	if (l->question->ordered && (!l->gave_way || tries > 2) && half >= VERIFY_PIECE_LEAST)
		p->size = half;
	else if (!l->gave_way && l->question->ordered)
		return -1;
	verify_pair_close(r);
	err_clear(e);
	return verify_rest(r, AGAIN_US, e);
}

int verify_look(struct verification *r, struct verify_look *l, struct verify_piece *p,
		struct err *e)
{
	for (int tries = 0;; tries++) {
		compare_clear(l->found);
		verify_piece_done(&l->next);
		if (look_once(r, l, p, e) == 0)
			break;
		if (prepare_again(r, l, p, tries, e) < 0)
			return -1;
	}
	if (verify_pair_is_old(r))
		verify_pair_close(r);
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

int verify_look_again(struct verification *r, struct verify_look *l, struct verify_piece *p,
		      struct err *e)
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
		verify_pair_close(r);
		if (verify_rest(r, LOOK_US, e) < 0 || verify_look(r, l, p, e) < 0) {
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
