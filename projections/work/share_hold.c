/* share_hold.c - holding all members of a version, wherever they run; and what is done meanwhile:
 * the end of its build, parked records tried again.
 *
 * Holding is a barrier in two steps: all members stand wherever they are; then all go on to where
 * the furthest of them stands, which is the end of a source transaction, so all of them come to it
 * exactly. It holds when every share's row says so with the barrier's number; members that come and
 * go in between see the barrier before they apply anything. */
#include "projections/work/share_worker_priv.h"

#include "core/base/clock.h"
#include "core/base/gtid.h"

#define AWAIT_US 20000
#define FINISH_LIMIT_MS 600000
#define ACT_HOLD_MS 30000
#define ACT_LIMIT_MS 120000

int share_open_control(struct share_worker *w, struct err *e)
{
	struct share_barrier ignored;
	struct err gone = ERR_INIT;

	if (w->control != NULL && share_barrier(w->control, &ignored, &gone) == 0)
		return 0;
	share_close(w->control);
	w->control = NULL;
	if (share_open(w->options.store, w->options.version, "leader", &w->control, e) < 0)
		return -1;
	return share_ensure(w->control, NULL, 0, e);
}

void share_close_control(struct share_worker *w)
{
	share_close(w->control);
	w->control = NULL;
}

static void set_held(struct share_worker *w, bool held, int64_t number, int64_t seq)
{
	pthread_mutex_lock(&w->lock);
	w->held = held;
	w->held_number = number;
	w->held_seq = seq;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* One look: 1 when all shares stand at `number`. *ret_seq: the furthest. */
static int all_stand_now(struct share_worker *w, int64_t number, int64_t *ret_seq, bool *ret_level,
			 struct err *e)
{
	struct share_barrier b;
	struct share_seen seen;
	struct share_total t;
	int rc = 0;

	if (share_barrier(w->control, &b, e) < 0 || share_see(w->control, &seen, e) < 0)
		return -1;
	share_add_up(&seen, &t);
	*ret_seq = t.most_seq;
	*ret_level = t.seq == t.most_seq;
	if (b.number != number || b.left_us <= 0)
		rc = err_retry(e, "version %d was let go again: its limit passed",
			       w->options.version);
	else if (t.trouble != NULL)
		rc = err_data(e, "version %d has failed: %s", w->options.version,
			      t.trouble->trouble);
	else if (t.count > 0 && t.number == number) {
		share_report(w, &seen);
		rc = share_mark_least(w->control, t.least, e) < 0 ? -1 : 1;
	}
	share_seen_done(&seen);
	return rc;
}

static int all_stand(struct share_worker *w, int64_t number, int64_t *ret_seq, bool *ret_level,
		     struct err *e)
{
	int rc;

	pthread_mutex_lock(&w->report_lock);
	rc = all_stand_now(w, number, ret_seq, ret_level, e);
	pthread_mutex_unlock(&w->report_lock);
	return rc;
}

static bool is_stopping(struct share_worker *w)
{
	bool stop;

	pthread_mutex_lock(&w->lock);
	stop = w->stop || !w->holding;
	pthread_mutex_unlock(&w->lock);
	return stop;
}

static int await_all(struct share_worker *w, int64_t number, int64_t until_us, int64_t *ret_seq,
		     bool *ret_level, struct err *e)
{
	for (;;) {
		int rc = all_stand(w, number, ret_seq, ret_level, e);

		if (rc != 0)
			return rc < 0 ? -1 : 0;
		if (is_stopping(w))
			return err_retry(e, "version %d is stopped", w->options.version);
		if (clock_monotonic_us() >= until_us)
			return err_retry(e, "the members of version %d did not all stand in time",
					 w->options.version);
		clock_sleep_us(AWAIT_US);
	}
}

/* Raises it, waits, and levels what doesn't stand at one seq. */
static int stand_at(struct share_worker *w, int64_t seq, const char *gtid_set, int64_t timeout_ms,
		    struct err *e)
{
	int64_t until = clock_monotonic_us() + timeout_ms * 1000, number, most;
	bool level;

	for (;;) {
		if (share_raise(w->control, seq, gtid_set, w->limit_us, &number, e) < 0 ||
		    await_all(w, number, until, &most, &level, e) < 0)
			return -1;
		if (level && (seq >= 0 || gtid_set[0] != '\0'))
			break;
		seq = most;
		gtid_set = "";
	}
	set_held(w, true, number, most);
	return 0;
}

/* The next call opens the connection anew: what failed may have been it. */
static int fail_control(struct share_worker *w)
{
	struct err ignored = ERR_INIT;

	if (w->control != NULL)
		(void)share_lower(w->control, &ignored);
	share_close_control(w);
	set_held(w, false, 0, 0);
	return -1;
}

int share_worker_hold(struct share_worker *w, int64_t timeout_ms, int64_t limit_ms, struct err *e)
{
	bool busy;
	int rc;

	pthread_mutex_lock(&w->lock);
	busy = w->holding;
	w->holding = true;
	pthread_mutex_unlock(&w->lock);
	if (busy)
		return err_retry(e, "version %d is held already", w->options.version);
	pthread_mutex_lock(&w->control_lock);
	w->limit_us = (limit_ms + timeout_ms) * 1000;
	rc = share_open_control(w, e);
	if (rc == 0)
		rc = stand_at(w, -1, "", timeout_ms, e);
	if (rc < 0)
		fail_control(w);
	pthread_mutex_unlock(&w->control_lock);
	if (rc < 0) {
		pthread_mutex_lock(&w->lock);
		w->holding = false;
		pthread_mutex_unlock(&w->lock);
	}
	return rc;
}

static int advance(struct share_worker *w, int64_t seq, const char *gtid_set, int64_t timeout_ms,
		   struct err *e)
{
	struct err ignored = ERR_INIT;
	int64_t held_seq;
	bool held;
	int rc = 0;

	pthread_mutex_lock(&w->control_lock);
	pthread_mutex_lock(&w->lock);
	held = w->held;
	held_seq = w->held_seq;
	pthread_mutex_unlock(&w->lock);
	if (!held || w->control == NULL)
		rc = err_retry(e, "version %d is not held", w->options.version);
	else if (gtid_set[0] != '\0' || seq > held_seq)
		rc = stand_at(w, seq, gtid_set, timeout_ms, e);
	/* on error it stands where it is: the caller still holds it */
	if (rc < 0 && held && w->control != NULL && stand_at(w, -1, "", timeout_ms, &ignored) < 0)
		fail_control(w);
	pthread_mutex_unlock(&w->control_lock);
	return rc;
}

int share_worker_advance_seq(struct share_worker *w, int64_t seq, int64_t timeout_ms, struct err *e)
{
	if (advance(w, seq, "", timeout_ms, e) < 0)
		return err_wrap(e, "advance to seq %lld", (long long)seq);
	return 0;
}

int share_worker_advance_gtid(struct share_worker *w, const char *gtid_set, int64_t timeout_ms,
			      struct err *e)
{
	struct gtid_set set = GTID_SET_INIT;
	int rc = gtid_set_parse(slice_str(gtid_set), &set, e);

	gtid_set_done(&set);
	if (rc < 0)
		return -1;
	if (gtid_set[0] != '\0' && advance(w, -1, gtid_set, timeout_ms, e) < 0)
		return err_wrap(e, "advance to %s", gtid_set);
	return 0;
}

void share_worker_release(struct share_worker *w)
{
	struct err e = ERR_INIT;

	pthread_mutex_lock(&w->lock);
	w->holding = false; /* ends a wait, too */
	pthread_mutex_unlock(&w->lock);
	pthread_mutex_lock(&w->control_lock);
	set_held(w, false, 0, 0);
	if (w->control != NULL && share_lower(w->control, &e) < 0)
		share_close_control(w); /* its limit lets it go */
	pthread_mutex_unlock(&w->control_lock);
}

bool share_worker_is_held(struct share_worker *w)
{
	int64_t number, seq, most;
	struct err e = ERR_INIT;
	bool held, level;

	pthread_mutex_lock(&w->control_lock);
	pthread_mutex_lock(&w->lock);
	held = w->held && w->holding;
	number = w->held_number;
	seq = w->held_seq;
	pthread_mutex_unlock(&w->lock);
	if (held && (w->control == NULL || all_stand(w, number, &most, &level, &e) < 1 || !level ||
		     most != seq)) {
		held = false;
		fail_control(w);
	}
	pthread_mutex_unlock(&w->control_lock);
	return held;
}

int share_worker_finish_build(struct share_worker *w, struct err *e)
{
	const struct store_ops *ops = w->options.store->ops;
	int rc;

	if (share_worker_hold(w, FINISH_LIMIT_MS / 10, FINISH_LIMIT_MS, e) < 0)
		return -1;
	pthread_mutex_lock(&w->control_lock);
	rc = w->control == NULL ? err_retry(e, "version %d was let go", w->options.version) : 0;
	if (rc == 0)
		rc = ops->finish(share_version(w->control), w->options.view->after_build_sql, e);
	if (rc == 0)
		rc = share_set_built(w->control, e);
	pthread_mutex_unlock(&w->control_lock);
	share_worker_release(w);
	if (rc == 0) {
		pthread_mutex_lock(&w->lock);
		w->status.built = true;
		pthread_mutex_unlock(&w->lock);
	}
	return rc;
}

int share_worker_parked_act(struct share_worker *w, const struct worker_parked_ask *ask,
			    int64_t *ret_applied, int64_t *ret_left, struct err *e)
{
	int64_t applied = 0, behind;
	int rc;

	if (share_worker_hold(w, ACT_HOLD_MS, ACT_LIMIT_MS, e) < 0)
		return -1;
	pthread_mutex_lock(&w->control_lock);
	rc = w->control == NULL ? err_retry(e, "version %d was let go", w->options.version) : 0;
	if (rc == 0)
		rc = share_park_act(&w->options, w->control, w->held_number, ask, &applied, e);
	if (rc == 0)
		rc = share_count_parked(w->control, ret_left, &behind, e);
	pthread_mutex_unlock(&w->control_lock);
	share_worker_release(w);
	*ret_applied = applied;
	return rc;
}
