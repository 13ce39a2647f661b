/* host_job.c - a view's jobs, one at a time, by its keeper thread (host_keeper.c).
 *
 * A replay in short: the new version's worker builds beside the live one. When it has caught up,
 * both are held at one position (the one behind is sent to where the other stands), snapshots of
 * both are opened, and both go on; the diff reads the snapshots in peace. For the swap both are
 * held at one position again, the public name moves, both go on. So readers of the public name see
 * one state the source had, and then the same state by the new definition.
 *
 * What heals (brokers away, somebody verifies just now) is tried again until the host closes; but a
 * replay that fills the disk fails and is removed, because the live version needs the room. A
 * live version that has failed can't be moved to the new one's position: then the diff compares
 * them where they stand, says so, and the swap goes on: replaying is how such a view is repaired.
 */
#include "projections/host/host_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/sql/store_db.h"

#include <stdio.h>

#define POLL_MS 50
#define RETRY_MS 500

bool host_wait_ms(struct host *h, int64_t ms)
{
	struct timespec t = clock_timespec(clock_monotonic_us() + ms * 1000);
	bool stop;

	pthread_mutex_lock(&h->lock);
	if (!h->stop)
		pthread_cond_timedwait(&h->changed, &h->lock, &t);
	stop = h->stop;
	pthread_mutex_unlock(&h->lock);
	return !stop;
}

void host_begin_job(struct host *h, enum host_job job, int version)
{
	h->job = job;
	h->phase = job == HOST_SWAP || job == HOST_ROLLBACK ? HOST_SWAPPING : HOST_BUILDING;
	h->cancel = false;
	h->note[0] = '\0';
	h->job_version = version;
	h->job_from = host_live(h);
	h->job_started_us = clock_now_us();
	h->job_ended_us = 0;
	err_clear(&h->job_err);
	h->pending = true;
	pthread_cond_broadcast(&h->changed);
}

static void set_phase(struct host *h, enum host_phase phase)
{
	pthread_mutex_lock(&h->lock);
	h->phase = phase;
	if (phase == HOST_DONE || phase == HOST_FAILED || phase == HOST_READY)
		h->job_ended_us = clock_now_us();
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
	log_info("view", "%s: %s of version %d: %s", h->name, host_job_name(h->job), h->job_version,
		 host_phase_name(phase));
}

int host_pause(struct host *h, int64_t ms, struct err *e)
{
	bool cancel, ended;

	if (!host_wait_ms(h, ms))
		return err_retry(e, "stopped");
	pthread_mutex_lock(&h->lock);
	cancel = h->cancel;
	ended = h->shadowing != 0 && h->shadow_cancel;
	pthread_mutex_unlock(&h->lock);
	if (ended)
		return err_retry(e, "the comparison was ended");
	return cancel ? err_config(e, "version %d was dropped", h->job_version) : 0;
}

static int say_failed(const struct worker_status *s, struct err *e)
{
	e->kind = s->kind;
	e->exit_code = s->exit_code;
	snprintf(e->msg, sizeof(e->msg), "%s", s->message);
	return -1;
}

/* Until the worker follows closely; `all`: and has what was delivered by the time it first did, so
 * that not even one commit record is missing of what was there when it began. */
static int await_caught_up(struct host *h, struct worker *w, bool all, struct err *e)
{
	int64_t end_seq = -1;

	for (;;) {
		struct worker_status s;

		worker_status(w, &s);
		if (s.state == WORKER_FAILED)
			return say_failed(&s, e);
		if (s.state == WORKER_RETRYING && h->job == HOST_REPLAY &&
		    sql_no_room(s.kind, s.exit_code)) {
			err_retry(e, "%s", s.message);
			return err_exit(e, EXIT_FATAL);
		}
		if (all && end_seq < 0 && s.caught_up)
			end_seq = s.delivered.seq;
		if (s.caught_up && !s.copying && s.state == WORKER_RUNNING && s.seq >= end_seq)
			return 0;
		if (host_pause(h, POLL_MS, e) < 0)
			return -1;
	}
}

int host_await_caught_up(struct host *h, struct worker *w, struct err *e)
{
	return await_caught_up(h, w, false, e);
}

/* ---- swap ------------------------------------------------------------------------------------ */

static void note_swapped(struct host *h, int version, int live)
{
	struct version *v;

	pthread_mutex_lock(&h->lock);
	v = host_find(h, live);
	if (v != NULL) {
		v->state = STORE_SUPERSEDED;
		v->superseded_us = clock_now_us();
	}
	v = host_find(h, version);
	v->state = STORE_LIVE;
	v->superseded_us = 0;
	h->verified = false;
	h->shadow = (struct host_shadow){ .differences = -1 };
	pthread_mutex_unlock(&h->lock);
	log_info("view", "%s: version %d is live", h->name, version);
}

/* Rows that miss what was parked don't go live by accident. Both are held: it can't change now. */
static int refuse_parked(struct host *h, struct worker *w, int version, struct err *e)
{
	struct worker_status s;

	worker_status(w, &s);
	if (s.parked == 0 || h->force || host_live(h) == 0)
		return 0;
	err_config(e, "version %d has %lld parked records: what they say is not in its rows",
		   version, (long long)s.parked);
	return err_hint(e,
			"`millrace parked list --view %s --version %d` shows them; --force swaps all "
			"the same.",
			h->name, version);
}

static int swap(struct host *h, int version, int live, struct err *e)
{
	struct host_pair p;
	int rc;

	if (host_hold_both(h, version, live, &p, e) < 0)
		return -1;
	FAULT(view_held);
	if (refuse_parked(h, p.new, version, e) < 0) {
		host_release_both(&p);
		return -1;
	}
	rc = h->store->ops->publish(h->store, version, e);
	FAULT(view_published);
	if (rc == 0)
		note_swapped(h, version, live);
	host_release_both(&p);
	return rc;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static int set_state(struct host *h, int version, enum store_state state, bool swaps, struct err *e)
{
	struct version *v;

	if (h->store->ops->set_state(h->store, version, state, swaps, e) < 0)
		return -1;
	pthread_mutex_lock(&h->lock);
	v = host_find(h, version);
	if (v != NULL)
		v->state = state;
	pthread_mutex_unlock(&h->lock);
	return 0;
}

/* From building to a version that may go live. */
static int build(struct host *h, int version, struct err *e)
{
	struct worker *w = host_worker_of(h, version);

	set_phase(h, HOST_BUILDING);
	if (await_caught_up(h, w, true, e) < 0) /* the last of it may be one huge transaction */
		return -1;
	set_phase(h, HOST_FINISHING);
	FAULT(view_built);
	if (worker_finish_build(w, e) < 0)
		return -1;
	FAULT(view_finished);
	return host_await_caught_up(h, w, e);
}

/* A version that is ready stays so, and says why it was not swapped in. */
static void stay_ready(struct host *h, const struct err *e)
{
	const char *hint = strstr(e->msg, "\nHINT: ");

	pthread_mutex_lock(&h->lock);
	snprintf(h->note, sizeof(h->note), "not swapped: %.*s",
		 (int)(hint != NULL ? (size_t)(hint - e->msg) : strlen(e->msg)), e->msg);
	pthread_mutex_unlock(&h->lock);
}

static int run_build(struct host *h, struct err *e)
{
	int version = h->job_version, live = h->job_from;
	bool no_swap = h->no_swap;

	if (build(h, version, e) < 0)
		return -1;
	if (h->job == HOST_REPLAY && live != 0) {
		set_phase(h, HOST_DIFFING);
		if (host_diff(h, version, live, e) < 0 ||
		    set_state(h, version, STORE_READY, !no_swap, e) < 0)
			return -1;
		FAULT(view_ready);
		if (no_swap) {
			set_phase(h, HOST_READY);
			return 0;
		}
	}
	set_phase(h, HOST_SWAPPING);
	if (swap(h, version, live, e) < 0) {
		struct err why = *e;

		if (e->kind != ERR_CONFIG || live == 0 || h->cancel)
			return -1;
		err_clear(e);
		if (set_state(h, version, STORE_READY, false, e) < 0)
			return -1;
		stay_ready(h, &why);
		set_phase(h, HOST_READY);
		return 0;
	}
	set_phase(h, HOST_DONE);
	return 0;
}

/* Waits until the version stands at its end. What was delivered when it was asked for decides: what
 * isn't there then was no part of the history. */
static int await_reached(struct host *h, struct worker *w, struct err *e)
{
	int64_t end_seq = -1;

	for (;;) {
		struct worker_status s;

		worker_status(w, &s);
		if (s.state == WORKER_FAILED)
			return say_failed(&s, e);
		if (s.reached)
			return host_check_reached(h, &s, e);
		if (end_seq < 0 && s.delivered.seen && s.state == WORKER_RUNNING)
			end_seq = s.delivered.seq;
		if (end_seq >= 0 && s.seq >= end_seq && s.caught_up && s.state == WORKER_RUNNING)
			return host_refuse_until(h, &s, e);
		if (host_pause(h, POLL_MS, e) < 0)
			return -1;
	}
}

static int run_as_of(struct host *h, struct err *e)
{
	struct worker *w = host_worker_of(h, h->job_version);
	struct version *v;

	set_phase(h, HOST_BUILDING);
	if (await_reached(h, w, e) < 0)
		return -1;
	set_phase(h, HOST_FINISHING);
	if (worker_finish_build(w, e) < 0 ||
	    set_state(h, h->job_version, STORE_AS_OF, false, e) < 0)
		return -1;
	pthread_mutex_lock(&h->lock);
	v = host_find(h, h->job_version);
	host_end_outside(h, h->job_version);
	v->worker = NULL;
	worker_position(w, &v->info);
	host_give_memory(h, v);
	pthread_mutex_unlock(&h->lock);
	worker_stop(w);
	set_phase(h, HOST_DONE);
	return 0;
}

static int run_swap(struct host *h, struct err *e)
{
	set_phase(h, HOST_SWAPPING);
	if (swap(h, h->job_version, h->job_from, e) < 0)
		return -1;
	set_phase(h, HOST_DONE);
	return 0;
}

/* The new version stays on disk, stopped, so that one can look at it; the next replay removes it.
 * Not so where there is no room left. */
static void fail_job(struct host *h, const struct err *e)
{
	struct err ignored = ERR_INIT;
	struct worker *w = NULL;
	struct version *v;

	pthread_mutex_lock(&h->lock);
	h->job_err = *e;
	host_end_outside(h, h->job_version);
	v = host_find(h, h->job_version);
	if (v != NULL && (h->job == HOST_BUILD || h->job == HOST_REPLAY || h->job == HOST_AS_OF)) {
		w = v->worker;
		v->worker = NULL;
		v->state = STORE_FAILED;
	}
	pthread_mutex_unlock(&h->lock);
	worker_stop(w);
	if (w != NULL) /* a store that can't be written is what the job failed for */
		(void)h->store->ops->set_state(h->store, h->job_version, STORE_FAILED, false,
					       &ignored);
	if (w != NULL && (sql_no_room(e->kind, e->exit_code) || h->cancel) &&
	    host_drop_version(h, h->job_version, &ignored) == 0)
		log_info("view", "%s: version %d removed%s", h->name, h->job_version,
			 h->cancel ? "" : ", for its room");
	set_phase(h, HOST_FAILED);
	log_err(LOG_LEVEL_ERROR, "view", h->name, e);
}

/* What was live before a replay needs the room more than the version that is built beside it. */
static bool gives_way(const struct host *h, const struct err *e)
{
	return (h->job == HOST_REPLAY || h->job == HOST_AS_OF) &&
	       sql_no_room(e->kind, e->exit_code);
}

static bool stopping(struct host *h)
{
	bool stop;

	pthread_mutex_lock(&h->lock);
	stop = h->stop;
	pthread_mutex_unlock(&h->lock);
	return stop;
}

void host_run_job(struct host *h)
{
	struct err e = ERR_INIT;

	for (;;) {
		int rc = h->job == HOST_AS_OF ? run_as_of(h, &e)
			 : h->job == HOST_BUILD || h->job == HOST_REPLAY ? run_build(h, &e)
									 : run_swap(h, &e);

		if (rc == 0 || stopping(h))
			return; /* stopped: the store knows how far it came */
		if (e.kind != ERR_RETRY || gives_way(h, &e))
			break;
		log_err(LOG_LEVEL_WARNING, "view", "trying again soon", &e);
		if (!host_wait_ms(h, RETRY_MS))
			return;
	}
	fail_job(h, &e);
}
