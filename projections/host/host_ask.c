/* host_ask.c - what others may ask of a view: replay, swap, roll back, drop a version, try parked
 * records again. Each is refused at once, with the reason, where it can be told beforehand; the
 * work is the keeper's (host_keeper.c). */
#include "projections/host/host_priv.h"

#include "core/base/clock.h"
#include "core/base/gtid.h"
#include "core/base/mem.h"
#include "core/base/progress.h"

#include <stdlib.h>

#define SWAP_WAIT_US 5000000

bool host_job_runs(const struct host *h)
{
	return h->pending ||
	       (h->job != HOST_NO_JOB && h->phase != HOST_DONE && h->phase != HOST_FAILED &&
		h->phase != HOST_READY && h->phase != HOST_IDLE);
}

/* Under lock. Readers see a swap a moment before its job has ended: whoever asks for the next one
 * then waits for that end, instead of being sent away. */
static void await_swap(struct host *h)
{
	int64_t until_us = clock_monotonic_us() + SWAP_WAIT_US;
	struct timespec t = clock_timespec(until_us);

	while (!h->stop && host_job_runs(h) && h->phase == HOST_SWAPPING &&
	       clock_monotonic_us() < until_us)
		pthread_cond_timedwait(&h->changed, &h->lock, &t);
}

int host_refuse_running(const struct host *h, struct err *e)
{
	err_config(e, "view %s: a %s of version %d is running (%s)", h->name, host_job_name(h->job),
		   h->job_version, host_phase_name(h->phase));
	return err_hint(e, "Wait for it: GET /api/views/%s shows how far it is.", h->name);
}

/* Under lock: may a replay to this definition begin? */
static int may_replay(struct host *h, const struct view *view, bool force, struct err *e)
{
	const struct version *live = host_find_state(h, STORE_LIVE);
	struct worker_status s;

	if (host_job_runs(h))
		return host_refuse_running(h, e);
	if (live == NULL)
		return 0; /* the first build failed: this is the next try */
	if (!force && strcmp(live->info.fingerprint, view->fingerprint) == 0) {
		err_config(e,
			   "view %s: version %d was built with this very definition: nothing has "
			   "changed",
			   h->name, live->version);
		return err_hint(e, "Edit %s, or use --force to build it again.", h->dir);
	}
	if (live->worker == NULL)
		return 0;
	worker_status(live->worker, &s);
	if (!s.copying)
		return 0;
	err_config(e, "view %s is incomplete: the first copy of its tables goes on", h->name);
	return err_hint(e, "`millrace lag` shows how far it is.");
}

/* ---- room ------------------------------------------------------------------------------------ */

#define ROOM_LEAST (16 * 1024 * 1024)

/* What is built beside the live version will be about as large, and needs some room to grow. */
static int check_room(struct host *h, bool force, struct err *e)
{
	int64_t used = -1, left = -1, needed;
	struct buf has = BUF_INIT, wants = BUF_INIT;
	int live;

	pthread_mutex_lock(&h->lock);
	live = host_live(h);
	pthread_mutex_unlock(&h->lock);
	if (force || live == 0 || h->store->ops->room == NULL)
		return 0;
	if (h->store->ops->room(h->store, live, &used, &left, e) < 0)
		return -1;
	needed = used + used / 4 + ROOM_LEAST;
	if (used < 0 || left < 0 || left >= needed)
		return 0;
	progress_bytes(&has, left);
	progress_bytes(&wants, needed);
	err_config(e, "view %s: no room for another version: %s are free, %s are needed", h->name,
		   buf_cstr(&has), buf_cstr(&wants));
	err_hint(e,
		 "Make room, or drop an old version (`millrace view show %s`); --force tries all "
		 "the same.",
		 h->name);
	buf_done(&has);
	buf_done(&wants);
	return -1;
}

/* ---- replay ---------------------------------------------------------------------------------- */

/* Under lock: what a new replay makes pointless (unfinished, never swapped, failed), then the
 * oldest of those that are too many. A view as it was leaves the ones that wait in peace. */
static int pointless(const struct host *h, bool as_of)
{
	const struct version *oldest = NULL;
	size_t count = 0;

	for (size_t i = 0; i < h->version_count; i++) {
		const struct version *v = &h->versions[i];

		if (v->removing)
			continue;
		if (v->state == STORE_FAILED ||
		    (!as_of && (v->state == STORE_READY || v->state == STORE_BUILDING)))
			return v->version;
		count += v->state != STORE_AS_OF;
		if (v->state == STORE_SUPERSEDED &&
		    (oldest == NULL || v->superseded_us < oldest->superseded_us))
			oldest = v;
	}
	return oldest != NULL && count >= HOST_VERSIONS_KEPT - 1 ? oldest->version : 0;
}

static int make_room(struct host *h, bool as_of, struct err *e)
{
	for (;;) {
		int version;

		pthread_mutex_lock(&h->lock);
		version = pointless(h, as_of);
		pthread_mutex_unlock(&h->lock);
		if (version == 0)
			return 0;
		if (host_drop_version(h, version, e) < 0)
			return -1;
	}
}

/* Reserves the job; the keeper begins when the version is there. */
static int reserve(struct host *h, const struct view *view,
		   const struct host_replay_options *options, const struct worker_until *until,
		   int *ret_number, struct err *e)
{
	int rc;

	pthread_mutex_lock(&h->lock);
	host_end_shadow(h);
	rc = options->as_of != NULL ? host_may_as_of(h, until, e)
				    : may_replay(h, view, options->force, e);
	if (rc == 0) {
		*ret_number = host_next_number(h);
		host_begin_job(h,
			       options->as_of != NULL ? HOST_AS_OF
			       : host_live(h) != 0    ? HOST_REPLAY
						      : HOST_BUILD,
			       *ret_number);
		h->pending = false;
		h->no_swap = options->no_swap;
		h->force = options->force;
	}
	pthread_mutex_unlock(&h->lock);
	return rc;
}

static int begin_version(struct host *h, struct view *take_view, int number,
			 const struct host_replay_options *options, struct worker_until *until,
			 struct err *e)
{
	bool as_of = options->as_of != NULL;

	if (make_room(h, as_of, e) < 0 || host_note_make(h, number, options->share, until, e) < 0) {
		view_free(take_view);
		return -1;
	}
	return host_create_version(h, number, take_view, !as_of && !options->no_swap, e);
}

/* view and *until are taken. */
static int replay(struct host *h, struct view *view, const struct host_replay_options *options,
		  struct worker_until *until, struct err *e)
{
	int number = 0, rc;

	if (host_refuse_as_of(h, view, options, e) < 0 || check_room(h, options->force, e) < 0 ||
	    reserve(h, view, options, until, &number, e) < 0) {
		view_free(view);
		free(until->gtid_set);
		return -1;
	}
	rc = begin_version(h, view, number, options, until, e);
	if (rc < 0)
		host_note_forget(h, number);
	free(until->gtid_set);
	pthread_mutex_lock(&h->lock);
	if (rc == 0) {
		h->pending = true;
	} else {
		h->job_err = *e;
		h->phase = HOST_FAILED;
	}
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
	return rc;
}

int host_replay(struct host *h, const struct host_replay_options *options, struct err *e)
{
	struct worker_until until = { 0 };
	struct view *view;

	if (host_refuse_follower(h, e) < 0 ||
	    (options->as_of != NULL && host_read_until(options->as_of, &until, e) < 0))
		return -1;
	if (host_read_view(h, &view, e) < 0) {
		free(until.gtid_set);
		return -1;
	}
	pthread_mutex_lock(&h->lock);
	await_swap(h);
	pthread_mutex_unlock(&h->lock);
	return replay(h, view, options, &until, e);
}

int host_replay_view(struct host *h, struct view *take_view,
		     const struct host_replay_options *options, struct err *e)
{
	return replay(h, take_view, options, &(struct worker_until){ 0 }, e);
}

/* ---- swap and roll back ---------------------------------------------------------------------- */

static int begin_swap(struct host *h, enum host_job job, enum store_state state, bool force,
		      const char *missing, struct err *e)
{
	const struct version *v;
	int rc = 0;

	if (host_refuse_follower(h, e) < 0)
		return -1;
	pthread_mutex_lock(&h->lock);
	host_end_shadow(h);
	await_swap(h);
	v = host_find_state(h, state);
	if (host_job_runs(h))
		rc = host_refuse_running(h, e);
	else if (v == NULL || v->worker == NULL)
		rc = err_config(e, "view %s: %s", h->name, missing);
	else
		host_begin_job(h, job, v->version);
	h->force = rc == 0 ? force : h->force;
	pthread_mutex_unlock(&h->lock);
	return rc;
}

int host_swap(struct host *h, bool force, struct err *e)
{
	return begin_swap(h, HOST_SWAP, STORE_READY, force, "no version is ready to go live", e);
}

int host_rollback(struct host *h, bool force, struct err *e)
{
	return begin_swap(h, HOST_ROLLBACK, STORE_SUPERSEDED, force,
			  "no earlier version is applied any more: nothing to roll back to", e);
}

/* ---- dropping -------------------------------------------------------------------------------- */

#define DROP_US_MAX 30000000

/* Under lock: waits until the keeper has let go of the version. */
static int end_use(struct host *h, int version, struct err *e)
{
	int64_t until = clock_monotonic_us() + DROP_US_MAX;
	struct timespec t = clock_timespec(until);

	host_end_shadow(h);
	while (host_job_runs(h) && h->job_version == version && !h->stop) {
		h->cancel = true;
		pthread_cond_broadcast(&h->changed);
		if (clock_monotonic_us() >= until)
			return err_retry(e, "view %s: version %d is still %s", h->name, version,
					 host_phase_name(h->phase));
		pthread_cond_timedwait(&h->changed, &h->lock, &t);
	}
	return 0;
}

int host_drop(struct host *h, int version, struct err *e)
{
	struct version *v;
	int rc = 0;

	if (host_refuse_follower(h, e) < 0)
		return -1;
	pthread_mutex_lock(&h->lock);
	v = host_find(h, version);
	if (v == NULL) {
		rc = err_config(e, "view %s has no version %d", h->name, version);
	} else if (v->state == STORE_LIVE) {
		err_config(e, "view %s: version %d is live", h->name, version);
		rc = err_hint(e, "Swap another one in first (`millrace replay %s`, or --rollback).",
			      h->name);
	} else if (host_job_runs(h) && h->job_version == version &&
		   (h->job == HOST_SWAP || h->job == HOST_ROLLBACK || h->phase == HOST_SWAPPING)) {
		rc = err_config(e, "view %s: version %d is being swapped in", h->name, version);
	} else {
		v->dropping = true; /* the keeper begins nothing with it */
		rc = end_use(h, version, e);
		v = host_find(h, version);
		if (v != NULL && rc < 0)
			v->dropping = false;
	}
	pthread_mutex_unlock(&h->lock);
	return rc < 0 ? -1 : host_drop_version(h, version, e);
}

/* ---- parked records -------------------------------------------------------------------------- */

int host_parked_act(struct host *h, int version, const struct worker_parked_ask *ask,
		    int64_t *ret_applied, int64_t *ret_left, struct err *e)
{
	struct version *v;
	struct worker *w = NULL;
	int rc = 0;

	if (host_refuse_follower(h, e) < 0)
		return -1;
	pthread_mutex_lock(&h->lock);
	v = host_find(h, version != 0 ? version : host_live(h));
	if (v == NULL || v->worker == NULL)
		rc = err_config(e, "view %s has no version %d that is applied", h->name, version);
	else if (h->outside_busy || h->outside != 0)
		rc = err_retry(e, "view %s is held for somebody else", h->name);
	if (rc == 0) { /* as a hold from outside: so nobody stops the worker meanwhile */
		w = v->worker;
		h->outside = v->version;
		h->outside_busy = true;
		h->outside_held = false;
	}
	pthread_mutex_unlock(&h->lock);
	if (rc < 0)
		return -1;
	rc = worker_parked_act(w, ask, ret_applied, ret_left, e);
	pthread_mutex_lock(&h->lock);
	h->outside_busy = false;
	h->outside = 0;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
	return rc;
}
