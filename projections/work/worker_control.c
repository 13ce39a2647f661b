/* worker_control.c - what other threads ask of a worker: begin, hold, advance, release, finish,
 * stop.
 *
 * A view with order = partition has several members instead of one thread (share_worker.h): then
 * all calls go there.
 *
 * Requesters set what they want under the worker's mutex, wake its thread and wait for `held`; they
 * never touch what is the thread's own. */
#include "projections/work/share_worker.h"
#include "projections/work/worker_priv.h"

#include "core/base/clock.h"
#include "core/base/gtid.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static int start_shared(const struct worker_options *options, struct worker **ret_worker,
			struct err *e)
{
	struct worker *w;

	if (options->until != NULL)
		return err_config(e, "order = partition: the members of a view don't pass through "
				     "the states that the source had, so there is none to stop at");
	w = xcalloc(1, sizeof(*w));
	if (share_worker_start(options, &w->shared, e) < 0) {
		free(w);
		return -1;
	}
	*ret_worker = w;
	return 0;
}

int worker_start(const struct worker_options *options, struct worker **ret_worker, struct err *e)
{
	if (options->view->order == VIEW_ORDER_PARTITION)
		return start_shared(options, ret_worker, e);

	struct worker *w = xcalloc(1, sizeof(*w));
	struct store_info info;

	if (store_info_of(options->store, options->version, &info, e) < 0) {
		free(w);
		return -1;
	}
	w->options = *options;
	w->view = options->view;
	w->group = options->group != NULL ? xstrdup(options->group) : NULL;
	w->built = w->status.built = info.built;
	w->status.seq = info.seq;
	w->status.commit_us = info.commit_us;
	gtid_text_cut(slice_str(info.gtid_set), w->status.gtid_set, sizeof(w->status.gtid_set));
	w->backoff = (struct backoff)BACKOFF_INIT;
	w->bulk = WORKER_BULK_RECORDS;
	w->started_us = clock_monotonic_us();
	snprintf(w->area, sizeof(w->area), "view:%s:v%d", options->view->name, options->version);
	pthread_mutex_init(&w->lock, NULL);
	clock_condition(&w->changed);
	if (pthread_create(&w->thread, NULL, worker_run, w) != 0) {
		free(w->group);
		free(w);
		return err_fatal(e, "can't start a thread");
	}
	*ret_worker = w;
	return 0;
}

void worker_ask_stop(struct worker *w)
{
	if (w->shared != NULL) {
		share_worker_ask_stop(w->shared);
		return;
	}
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

void worker_stop(struct worker *w)
{
	if (w == NULL)
		return;
	if (w->shared != NULL) {
		share_worker_stop(w->shared);
		free(w);
		mem_trim();
		return;
	}
	worker_ask_stop(w);
	pthread_join(w->thread, NULL);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->changed);
	gtid_set_done(&w->target_gtid);
	gtid_set_done(&w->until_gtid);
	gtid_set_done(&w->until_passed);
	buf_done(&w->position);
	buf_done(&w->add_sql);
	buf_done(&w->add_file);
	buf_done(&w->add_text);
	view_free(w->own_view);
	free(w->group);
	free(w);
	mem_trim(); /* its queues were most of what the process had */
}

/* Under lock: the thread has ended, and why. */
static int ended(const struct worker *w, struct err *e)
{
	if (w->status.state == WORKER_FAILED)
		return err_data(e, "version %d has failed: %s", w->options.version,
				w->status.message);
	return err_retry(e, "version %d is stopped", w->options.version);
}

static bool has_ended(const struct worker *w)
{
	return w->status.state == WORKER_FAILED || w->status.state == WORKER_STOPPED;
}

/* Under lock: until held, or an error. */
static int await_hold(struct worker *w, int64_t timeout_ms, struct err *e)
{
	int64_t until = clock_monotonic_us() + timeout_ms * 1000;

	while (!w->held) {
		if (has_ended(w) || w->stop)
			return ended(w, e);
		if (!w->want_hold)
			return err_retry(e, "version %d was let go again: %s", w->options.version,
					 w->status.state == WORKER_RETRYING ? w->status.message
									    : "its limit passed");
		if (clock_monotonic_us() >= until) {
			err_retry(e, "version %d did not stop within %lld ms%s%s",
				  w->options.version, (long long)timeout_ms,
				  w->status.message[0] != '\0' ? ": " : "", w->status.message);
			return -1;
		}
		worker_wait_until(w, until);
	}
	return 0;
}

int worker_hold(struct worker *w, int64_t timeout_ms, int64_t limit_ms, struct err *e)
{
	int rc;

	if (w->shared != NULL)
		return share_worker_hold(w->shared, timeout_ms, limit_ms, e);
	pthread_mutex_lock(&w->lock);
	if (w->want_hold) {
		rc = err_retry(e, "version %d is held already", w->options.version);
	} else {
		w->want_hold = true;
		w->hold_lost = false;
		w->target = TARGET_NONE;
		w->hold_limit_us = limit_ms * 1000;
		rc = await_hold(w, timeout_ms, e);
		if (rc < 0)
			worker_let_go(w, false);
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}

/* Under lock, target set: sends the thread on and waits until it stands again. */
static int advance(struct worker *w, enum target_kind target, int64_t timeout_ms, struct err *e)
{
	int rc;

	if (!w->held)
		return has_ended(w) ? ended(w, e)
				    : err_retry(e, "version %d is not held%s", w->options.version,
						w->hold_lost ? " any more: its limit passed" : "");
	w->target = target;
	w->held = false;
	pthread_cond_broadcast(&w->changed);
	rc = await_hold(w, timeout_ms, e);
	if (rc == 0 || has_ended(w) || !w->want_hold)
		return rc;
	w->target = TARGET_NONE; /* stand where it is: the caller still holds it */
	return await_hold(w, 10000, &(struct err)ERR_INIT) < 0 ? -1 : rc;
}

int worker_advance_seq(struct worker *w, int64_t seq, int64_t timeout_ms, struct err *e)
{
	int rc;

	if (w->shared != NULL)
		return share_worker_advance_seq(w->shared, seq, timeout_ms, e);
	pthread_mutex_lock(&w->lock);
	w->target_seq = seq;
	rc = advance(w, TARGET_SEQ, timeout_ms, e);
	pthread_mutex_unlock(&w->lock);
	return rc < 0 ? err_wrap(e, "advance to seq %lld", (long long)seq) : 0;
}

int worker_advance_gtid(struct worker *w, const char *gtid_set, int64_t timeout_ms, struct err *e)
{
	struct gtid_set set = GTID_SET_INIT;
	int rc;

	if (w->shared != NULL)
		return share_worker_advance_gtid(w->shared, gtid_set, timeout_ms, e);
	if (gtid_set_parse(slice_str(gtid_set), &set, e) < 0)
		return -1;
	pthread_mutex_lock(&w->lock);
	gtid_set_copy(&w->target_gtid, &set);
	rc = advance(w, TARGET_GTID, timeout_ms, e);
	pthread_mutex_unlock(&w->lock);
	gtid_set_done(&set);
	return rc < 0 ? err_wrap(e, "advance to %s", gtid_set) : 0;
}

void worker_release(struct worker *w)
{
	if (w->shared != NULL) {
		share_worker_release(w->shared);
		return;
	}
	pthread_mutex_lock(&w->lock);
	if (w->want_hold)
		worker_let_go(w, false);
	pthread_mutex_unlock(&w->lock);
}

bool worker_is_held(struct worker *w)
{
	bool held;

	if (w->shared != NULL)
		return share_worker_is_held(w->shared);
	pthread_mutex_lock(&w->lock);
	held = w->held;
	pthread_mutex_unlock(&w->lock);
	return held;
}

int64_t worker_left_us(const struct worker_status *s)
{
	int64_t left = s->records_total - s->records;

	return s->caught_up || s->reached || s->rate <= 0 || left <= 0
		       ? -1
		       : (int64_t)((double)left / s->rate * 1e6);
}

void worker_position(struct worker *w, struct store_info *info)
{
	struct worker_status s;

	worker_status(w, &s);
	info->seq = s.seq;
	info->commit_us = s.commit_us;
	info->built = s.built;
	snprintf(info->gtid_set, sizeof(info->gtid_set), "%s", s.gtid_set);
}

char *worker_gtid_set(struct worker *w)
{
	char *text;

	if (w->shared != NULL)
		return share_worker_gtid_set(w->shared);
	pthread_mutex_lock(&w->lock);
	text = w->marked_gtid != NULL ? xstrdup(w->marked_gtid) : NULL;
	pthread_mutex_unlock(&w->lock);
	return text;
}

char *worker_applied_gtid(struct worker *w)
{
	char *text;

	if (w->shared != NULL)
		return share_worker_gtid_set(w->shared);
	pthread_mutex_lock(&w->lock);
	text = w->marked_gtid == NULL ? NULL
				      : xstrdup(w->read_gtid != NULL ? w->read_gtid
								     : w->marked_gtid);
	pthread_mutex_unlock(&w->lock);
	return text;
}

int worker_finish_build(struct worker *w, struct err *e)
{
	int rc;

	if (w->shared != NULL)
		return share_worker_finish_build(w->shared, e);
	pthread_mutex_lock(&w->lock);
	w->want_finish = true;
	pthread_cond_broadcast(&w->changed);
	while (w->want_finish && !has_ended(w) && !w->stop)
		worker_wait_until(w, clock_monotonic_us() + 1000000);
	if (w->want_finish) {
		w->want_finish = false;
		rc = ended(w, e);
	} else {
		rc = w->finish_rc;
		if (rc < 0)
			*e = w->finish_err;
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}

void worker_shares(struct worker *w, struct worker_share **ret_shares, size_t *ret_count)
{
	*ret_shares = NULL;
	*ret_count = 0;
	if (w->shared != NULL)
		share_worker_shares(w->shared, ret_shares, ret_count);
}

#define ACT_TIMEOUT_US 30000000

int worker_parked_act(struct worker *w, const struct worker_parked_ask *ask, int64_t *ret_applied,
		      int64_t *ret_left, struct err *e)
{
	int64_t until = clock_monotonic_us() + ACT_TIMEOUT_US;
	int rc = 0;

	if (w->shared != NULL)
		return share_worker_parked_act(w->shared, ask, ret_applied, ret_left, e);
	pthread_mutex_lock(&w->lock);
	if (w->want_act)
		rc = err_retry(e, "version %d: others are tried again", w->options.version);
	if (rc == 0) {
		w->want_act = true;
		w->act = ask;
		pthread_cond_broadcast(&w->changed);
		while (w->want_act &&
		       (w->acting ||
			(!has_ended(w) && !w->stop && clock_monotonic_us() < until)))
			worker_wait_until(w, clock_monotonic_us() + 1000000);
		if (w->want_act) {
			w->want_act = false;
			rc = has_ended(w) || w->stop
				     ? ended(w, e)
				     : err_retry(e, "version %d is busy", w->options.version);
		} else {
			rc = w->act_rc;
			if (rc < 0)
				*e = w->act_err;
			*ret_applied = w->act_applied;
			*ret_left = w->act_left;
		}
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}
