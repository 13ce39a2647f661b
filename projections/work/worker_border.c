/* worker_border.c - what a worker does between two source transactions: ends the store transaction,
 * stands where others want it to, ends the build.
 *
 * Caught up, a store transaction ends as soon as the feed has nothing more at hand; so latency is
 * one commit, and a burst shares one. In bulk it takes WORKER_BULK_RECORDS or a time limit, because
 * a commit costs far more than a row. */
#include "projections/work/worker_priv.h"

#include "core/base/clock.h"
#include "core/base/gtid.h"
#include "core/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define LIVE_OPEN_US_MAX 200000 /* a live store transaction under constant load */
#define BUILD_OPEN_US_MAX 2000000
#define GROUP_COMMIT_US 5000000 /* between commits of consumer group offsets */

static const struct feed_ops *feed(const struct worker *w)
{
	return w->options.source.ops;
}

static const struct store_ops *store(const struct worker *w)
{
	return w->options.store->ops;
}

void worker_look_again(struct worker *w, int64_t seq)
{
	w->again = w->careful_seq == 0;
	if (w->again)
		w->careful_seq = seq;
}

/* ---- store transactions ---------------------------------------------------------------------- */

int worker_begin(struct worker *w, struct err *e)
{
	if (w->open)
		return 0;
	if (store(w)->begin(w->version, e) < 0)
		return -1;
	w->open = true;
	w->open_us = clock_monotonic_us();
	w->open_records = 0;
	return 0;
}

static bool same_gtid(const struct worker *w, const char *gtid_set)
{
	return w->marked_gtid != NULL && strcmp(w->marked_gtid, gtid_set) == 0;
}

void worker_set_marked_gtid(struct worker *w, const char *gtid_set)
{
	pthread_mutex_lock(&w->lock);
	free(w->marked_gtid);
	w->marked_gtid = gtid_set != NULL ? xstrdup(gtid_set) : NULL;
	free(w->read_gtid);
	w->read_gtid = NULL;
	pthread_mutex_unlock(&w->lock);
}

int worker_commit(struct worker *w, struct err *e)
{
	const struct intake_position *p = feed(w)->position(w->feed);
	const char *gtid_set = p->gtid_set != NULL ? p->gtid_set : "";
	struct store_mark mark = { .seq = p->seq, .commit_us = p->commit_us, .gtid_set = gtid_set };

	if (worker_begin(w, e) < 0)
		return -1;
	if (kind_settle(w->kind, e) < 0) {
		if (e->kind == ERR_DATA)
			worker_look_again(w, p->seq);
		return -1;
	}
	buf_reset(&w->position);
	intake_position_write(p, &w->position);
	mark.position = buf_slice(&w->position);
	w->open = false; /* commit ends it either way */
	if (store(w)->commit(w->version, &mark, e) < 0) {
		if (e->kind == ERR_DATA) /* of a statement that was held back: which one? */
			worker_look_again(w, p->seq);
		return -1;
	}
	if (!same_gtid(w, gtid_set))
		worker_set_marked_gtid(w, gtid_set);
	w->marked_seq = p->seq;
	w->mark_us = clock_monotonic_us();
	worker_publish_status(w, true);
	pthread_mutex_lock(&w->lock);
	w->status.commits++;
	pthread_mutex_unlock(&w->lock);
	backoff_reset(&w->backoff);
	if (w->careful_seq == 0)
		w->bulk = w->bulk * 2 < WORKER_BULK_RECORDS ? w->bulk * 2 : WORKER_BULK_RECORDS;
	if (w->group != NULL && w->mark_us - w->group_us > GROUP_COMMIT_US) {
		feed(w)->commit_offsets(w->feed);
		w->group_us = w->mark_us;
	}
	return 0;
}

bool worker_position_moved(const struct worker *w)
{
	const struct intake_position *p = feed(w)->position(w->feed);

	return p->seq != w->marked_seq || !same_gtid(w, p->gtid_set != NULL ? p->gtid_set : "");
}

bool worker_full(const struct worker *w)
{
	int64_t limit = w->built ? LIVE_OPEN_US_MAX : BUILD_OPEN_US_MAX;

	return w->open_records >= w->bulk || clock_monotonic_us() - w->open_us > limit;
}

/* ---- borders: what other threads want -------------------------------------------------------- */

/* The source transaction that comes next lies behind the target: between commit records a position
 * lacks what was not captured, so it may never hold the target itself. */
static bool next_is_beyond(struct worker *w)
{
	const char *next = feed(w)->next_gtid(w->feed);

	/* a chunk of a first copy has no GTID */
	return next != NULL && gtid_is_id(slice_str(next)) &&
	       !gtid_set_has(&w->target_gtid, slice_str(next));
}

static bool gtid_reached(struct worker *w)
{
	const struct intake_position *p = feed(w)->position(w->feed);
	struct gtid_set at = GTID_SET_INIT;
	struct err ignored = ERR_INIT;
	bool reached = gtid_set_parse(slice_str(p->gtid_set != NULL ? p->gtid_set : ""), &at,
				      &ignored) == 0 &&
		       gtid_set_contains_set(&at, &w->target_gtid);

	gtid_set_done(&at);
	return reached || next_is_beyond(w);
}

/* Under lock. */
static bool target_reached(struct worker *w)
{
	switch (w->target) {
	case TARGET_NONE:
		return true;
	case TARGET_SEQ:
		return feed(w)->position(w->feed)->seq >= w->target_seq;
	case TARGET_GTID:
		return gtid_reached(w);
	}
	return true;
}

void worker_let_go(struct worker *w, bool lost)
{
	w->want_hold = false;
	w->held = false;
	w->hold_lost = lost;
	w->target = TARGET_NONE;
	pthread_cond_broadcast(&w->changed);
}

/* Under lock, everything committed: stays here until it is released, sent on, stopped or asked to
 * finish. */
static void stand(struct worker *w)
{
	w->held = true;
	w->target = TARGET_NONE;
	w->hold_until_us = clock_monotonic_us() + w->hold_limit_us;
	w->status.state = WORKER_HELD;
	pthread_cond_broadcast(&w->changed);
	while (!w->stop && !w->want_finish && !w->want_act && w->want_hold && w->held) {
		worker_wait_until(w, w->hold_until_us);
		if (w->want_hold && clock_monotonic_us() >= w->hold_until_us)
			worker_let_go(w, true);
	}
	w->status.state = WORKER_RUNNING;
}

static int finish_build(struct worker *w)
{
	struct err e = ERR_INIT;
	int rc = store(w)->finish(w->version, w->options.view->after_build_sql, &e);

	if (rc == 0)
		rc = kind_built(w->kind, &e);
	if (rc == 0)
		worker_note_wants(w);
	pthread_mutex_lock(&w->lock);
	w->want_finish = false;
	w->finish_rc = rc;
	w->finish_err = e;
	w->built = w->status.built = rc == 0 || w->built;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	return rc;
}

int worker_border(struct worker *w, struct err *e)
{
	bool stop, hold, finish, act, until;

	for (;;) {
		pthread_mutex_lock(&w->lock);
		stop = w->stop;
		finish = w->want_finish;
		act = w->want_act;
		until = worker_until_reached(w);
		hold = w->want_hold && !w->held && target_reached(w);
		if ((hold || w->held || until) && !w->open && !worker_position_moved(w) && !stop &&
		    !finish && !act) {
			if (until)
				worker_rest(w);
			else
				stand(w);
			pthread_mutex_unlock(&w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		if (!stop && !hold && !finish && !act && !until)
			return 1;
		if ((w->open || worker_position_moved(w)) && worker_commit(w, e) < 0)
			return -1;
		if (stop)
			return 0;
		if (act && worker_act(w, e) < 0)
			return -1;
		if (finish && finish_build(w) < 0) {
			*e = w->finish_err;
			return -1;
		}
	}
}
