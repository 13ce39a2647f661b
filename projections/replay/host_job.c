/* host_job.c - the keeper thread of a host: runs one job at a time, and lets old versions go when
 * their time is over.
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
#include "projections/replay/host_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/quote.h"
#include "core/sql/store_db.h"

#include <stdio.h>
#include <stdlib.h>

#define HOLD_TIMEOUT_MS 30000
#define HOLD_LIMIT_MS 60000
#define ADVANCE_TIMEOUT_MS 60000
#define POLL_MS 50
#define RETRY_MS 500

bool host_wait_ms(struct host *h, int64_t ms)
{
	int64_t until = clock_monotonic_us() + ms * 1000;
	struct timespec t = { .tv_sec = (time_t)(until / 1000000),
			      .tv_nsec = (long)(until % 1000000) * 1000 };
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
	h->phase = job == HOST_BUILD || job == HOST_REPLAY ? HOST_BUILDING : HOST_SWAPPING;
	h->job_version = version;
	h->job_from = host_live(h);
	h->job_started_us = clock_now_us();
	h->job_ended_us = 0;
	err_clear(&h->job_err);
	h->pending = true;
	pthread_cond_broadcast(&h->changed);
}

/* The worker of a version, and whether it has ended. The keeper itself is the only one to stop it.
 */
static struct worker *worker_of(struct host *h, int version)
{
	const struct version *v;
	struct worker *w;

	pthread_mutex_lock(&h->lock);
	v = version != 0 ? host_find(h, version) : NULL;
	w = v != NULL ? v->worker : NULL;
	pthread_mutex_unlock(&h->lock);
	return w;
}

static bool has_failed(struct worker *w)
{
	struct worker_status s;

	if (w == NULL)
		return true;
	worker_status(w, &s);
	return s.state == WORKER_FAILED || s.state == WORKER_STOPPED;
}

static void set_phase(struct host *h, enum host_phase phase)
{
	pthread_mutex_lock(&h->lock);
	h->phase = phase;
	if (phase == HOST_DONE || phase == HOST_FAILED || phase == HOST_READY)
		h->job_ended_us = clock_now_us();
	pthread_mutex_unlock(&h->lock);
	log_info("view", "%s: %s of version %d: %s", h->name, host_job_name(h->job), h->job_version,
		 host_phase_name(phase));
}

static int stopped(struct err *e)
{
	return err_retry(e, "stopped");
}

/* Waits until the version has read all there is, and no first copy goes on. */
static int await_caught_up(struct host *h, struct worker *w, struct err *e)
{
	for (;;) {
		struct worker_status s;

		worker_status(w, &s);
		if (s.state == WORKER_FAILED) {
			e->kind = s.kind;
			e->exit_code = s.exit_code;
			snprintf(e->msg, sizeof(e->msg), "%s", s.message);
			return -1;
		}
		if (s.state == WORKER_RETRYING && h->job == HOST_REPLAY &&
		    sql_no_room(s.kind, s.exit_code)) {
			err_retry(e, "%s", s.message);
			return err_exit(e, EXIT_FATAL);
		}
		if (s.caught_up && !s.copying && s.state == WORKER_RUNNING)
			return 0;
		if (!host_wait_ms(h, POLL_MS))
			return stopped(e);
	}
}

/* ---- both at one position -------------------------------------------------------------------- */

struct pair {
	struct worker *new, *live; /* live NULL: there is none, or it has failed */
	bool apart;                /* the live version stands somewhere else, for good */
};

static void release(const struct pair *p)
{
	worker_release(p->new);
	if (p->live != NULL)
		worker_release(p->live);
}

static int level(const struct pair *p, struct err *e)
{
	struct worker_status new, live;

	worker_status(p->new, &new);
	worker_status(p->live, &live);
	if (new.seq < live.seq && worker_advance_seq(p->new, live.seq, ADVANCE_TIMEOUT_MS, e) < 0)
		return -1;
	if (live.seq < new.seq && worker_advance_seq(p->live, new.seq, ADVANCE_TIMEOUT_MS, e) < 0)
		return -1;
	worker_status(p->new, &new);
	worker_status(p->live, &live);
	if (new.seq != live.seq)
		return err_retry(e, "the versions stand at seq %lld and %lld", (long long)new.seq,
				 (long long)live.seq);
	return 0;
}

static int hold_once(const struct pair *p, struct err *e)
{
	if (worker_hold(p->new, HOLD_TIMEOUT_MS, HOLD_LIMIT_MS, e) < 0)
		return -1;
	if (p->live == NULL)
		return 0;
	if (worker_hold(p->live, HOLD_TIMEOUT_MS, HOLD_LIMIT_MS, e) < 0) {
		worker_release(p->new);
		return -1;
	}
	if (level(p, e) < 0) {
		release(p);
		return -1;
	}
	return 0;
}

/* Holds the new and the live version at one position. */
static int hold_both(struct host *h, int version, int live, struct pair *ret_pair, struct err *e)
{
	for (;;) {
		struct pair p = { .new = worker_of(h, version), .live = worker_of(h, live) };

		if (live != 0 && has_failed(p.live)) {
			p.live = NULL;
			p.apart = true;
		}
		if (p.new == NULL)
			return err_config(e, "version %d is not applied any more", version);
		if (await_caught_up(h, p.new, e) < 0)
			return -1;
		pthread_mutex_lock(&h->lock);
		host_forget_outside(h); /* whose late release would end this hold */
		pthread_mutex_unlock(&h->lock);
		if (hold_once(&p, e) == 0) {
			*ret_pair = p;
			return 0;
		}
		if (e->kind != ERR_RETRY && !(p.live != NULL && has_failed(p.live)))
			return -1;
		log_debug("view", "%s: %s", h->name, e->msg);
		if (!host_wait_ms(h, RETRY_MS))
			return stopped(e);
	}
}

/* ---- diff ------------------------------------------------------------------------------------ */

static bool go_on(void *context, int64_t rows)
{
	struct host *h = context;
	bool stop;

	(void)rows;
	pthread_mutex_lock(&h->lock);
	stop = h->stop;
	pthread_mutex_unlock(&h->lock);
	return !stop;
}

static int open_snapshots(struct host *h, int version, int live, struct store_snapshot **ret_old,
			  struct store_snapshot **ret_new, bool *ret_apart, struct err *e)
{
	const struct store_ops *ops = h->store->ops;
	struct pair p;
	int rc;

	if (hold_both(h, version, live, &p, e) < 0)
		return -1;
	rc = ops->snapshot(h->store, live, ret_old, e);
	if (rc == 0)
		rc = ops->snapshot(h->store, version, ret_new, e);
	if (rc == 0 && (!worker_is_held(p.new) || (p.live != NULL && !worker_is_held(p.live))))
		rc = err_retry(e, "the hold was lost");
	release(&p);
	*ret_apart = p.apart;
	return rc;
}

static void keep_diff(struct host *h, const struct compare *c, const struct store_snapshot *new,
		      bool apart)
{
	struct store_info info;
	struct buf text = BUF_INIT;

	h->store->ops->snapshot_info(new, &info);
	buf_add_format(&text,
		       "{\"old_version\":%d,\"new_version\":%d,\"seq\":%lld,\"same_position\":%s",
		       h->job_from, h->job_version, (long long)info.seq, apart ? "false" : "true");
	quote_json_key(&text, "gtid_set");
	quote_json(&text, slice_str(info.gtid_set));
	quote_json_key(&text, "compare");
	compare_json(c, &text);
	buf_add_u8(&text, '}');
	pthread_mutex_lock(&h->lock);
	free(h->diff);
	h->diff = xstrdup(buf_cstr(&text));
	h->diff_rows = compare_rows(c);
	h->differences = compare_differences(c);
	pthread_mutex_unlock(&h->lock);
	buf_done(&text);
}

static int diff(struct host *h, int version, int live, struct err *e)
{
	const struct store_ops *ops = h->store->ops;
	struct store_snapshot *old = NULL, *new = NULL;
	struct compare *c = NULL;
	const struct view *view;
	bool apart = false;
	int rc;

	pthread_mutex_lock(&h->lock);
	view = host_find(h, version)->view;
	pthread_mutex_unlock(&h->lock);
	rc = open_snapshots(h, version, live, &old, &new, &apart, e);
	FAULT(view_diffing);
	if (rc == 0)
		rc = compare_snapshots(ops, view, old, new, go_on, h, &c, e);
	if (rc == 0)
		keep_diff(h, c, new, apart);
	compare_free(c);
	ops->snapshot_close(old);
	ops->snapshot_close(new);
	return rc;
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
	pthread_mutex_unlock(&h->lock);
	log_info("view", "%s: version %d is live", h->name, version);
}

static int swap(struct host *h, int version, int live, struct err *e)
{
	struct pair p;
	int rc;

	if (hold_both(h, version, live, &p, e) < 0)
		return -1;
	FAULT(view_held);
	rc = h->store->ops->publish(h->store, version, e);
	FAULT(view_published);
	if (rc == 0)
		note_swapped(h, version, live);
	release(&p);
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
	struct worker *w = worker_of(h, version);

	set_phase(h, HOST_BUILDING);
	if (await_caught_up(h, w, e) < 0)
		return -1;
	set_phase(h, HOST_FINISHING);
	FAULT(view_built);
	if (worker_finish_build(w, e) < 0)
		return -1;
	FAULT(view_finished);
	return await_caught_up(h, w, e);
}

static int run_build(struct host *h, struct err *e)
{
	int version = h->job_version, live = h->job_from;
	bool no_swap = h->no_swap;

	if (build(h, version, e) < 0)
		return -1;
	if (h->job == HOST_REPLAY && live != 0) {
		set_phase(h, HOST_DIFFING);
		if (diff(h, version, live, e) < 0 ||
		    set_state(h, version, STORE_READY, !no_swap, e) < 0)
			return -1;
		FAULT(view_ready);
		if (no_swap) {
			set_phase(h, HOST_READY);
			return 0;
		}
	}
	set_phase(h, HOST_SWAPPING);
	if (swap(h, version, live, e) < 0)
		return -1;
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
	if (v != NULL && (h->job == HOST_BUILD || h->job == HOST_REPLAY)) {
		w = v->worker;
		v->worker = NULL;
		v->state = STORE_FAILED;
	}
	pthread_mutex_unlock(&h->lock);
	worker_stop(w);
	if (w != NULL) /* a store that can't be written is what the job failed for */
		(void)h->store->ops->set_state(h->store, h->job_version, STORE_FAILED, false,
					       &ignored);
	if (w != NULL && sql_no_room(e->kind, e->exit_code) &&
	    host_drop_version(h, h->job_version, &ignored) == 0)
		log_info("view", "%s: version %d removed, for its room", h->name, h->job_version);
	set_phase(h, HOST_FAILED);
	log_err(LOG_LEVEL_ERROR, "view", h->name, e);
}

/* What was live before a replay needs the room more than the version that is built beside it. */
static bool gives_way(const struct host *h, const struct err *e)
{
	return h->job == HOST_REPLAY && sql_no_room(e->kind, e->exit_code);
}

static void run_job(struct host *h)
{
	struct err e = ERR_INIT;

	for (;;) {
		int rc = h->job == HOST_BUILD || h->job == HOST_REPLAY ? run_build(h, &e)
								       : run_swap(h, &e);

		if (rc == 0 || !go_on(h, 0))
			return; /* stopped: the store knows how far it came */
		if (e.kind != ERR_RETRY || gives_way(h, &e))
			break;
		log_err(LOG_LEVEL_WARNING, "view", "trying again soon", &e);
		if (!host_wait_ms(h, RETRY_MS))
			return;
	}
	fail_job(h, &e);
}

/* ---- old versions ---------------------------------------------------------------------------- */

static int due(struct host *h)
{
	int64_t before = clock_now_us() - h->options.settings->project_keep_applied_ms * 1000;
	int version = 0;

	pthread_mutex_lock(&h->lock);
	host_forget_outside(h);
	for (size_t i = 0; i < h->version_count; i++) {
		const struct version *v = &h->versions[i];

		if (v->state == STORE_SUPERSEDED && v->superseded_us <= before &&
		    v->version != h->outside)
			version = v->version;
	}
	pthread_mutex_unlock(&h->lock);
	return version;
}

static void let_go(struct host *h)
{
	int version = due(h);
	struct err e = ERR_INIT;

	if (version == 0)
		return;
	if (host_drop_version(h, version, &e) < 0)
		log_err(LOG_LEVEL_WARNING, "view", h->name, &e);
	else
		log_info("view", "%s: version %d removed: project.keep_applied is over", h->name,
			 version);
}

void *host_keeper(void *context)
{
	struct host *h = context;

	while (host_wait_ms(h, 200)) {
		bool pending;

		pthread_mutex_lock(&h->lock);
		pending = h->pending;
		h->pending = false;
		pthread_mutex_unlock(&h->lock);
		if (pending)
			run_job(h);
		else
			let_go(h);
		if (h->waiting)
			host_try_first(h);
		else
			host_follow_source(h);
	}
	return NULL;
}

/* ---- asking for a job ------------------------------------------------------------------------ */

static bool job_runs(const struct host *h)
{
	return h->pending ||
	       (h->job != HOST_NO_JOB && h->phase != HOST_DONE && h->phase != HOST_FAILED &&
		h->phase != HOST_READY && h->phase != HOST_IDLE);
}

static int refuse_running(const struct host *h, struct err *e)
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

	if (job_runs(h))
		return refuse_running(h, e);
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

/* Versions that a new replay makes pointless: unfinished, never swapped, failed; and when there are
 * too many, the oldest. */
static int make_room(struct host *h, struct err *e)
{
	for (;;) {
		int version = 0;

		pthread_mutex_lock(&h->lock);
		for (size_t i = 0; i < h->version_count; i++) {
			const struct version *v = &h->versions[i];

			if (v->state == STORE_FAILED || v->state == STORE_READY ||
			    v->state == STORE_BUILDING ||
			    (v->state == STORE_SUPERSEDED &&
			     h->version_count >= HOST_VERSIONS_MAX - 1))
				version = v->version;
		}
		pthread_mutex_unlock(&h->lock);
		if (version == 0)
			return 0;
		if (host_drop_version(h, version, e) < 0)
			return -1;
	}
}

int host_replay(struct host *h, const struct host_replay_options *options, struct err *e)
{
	struct view *view;

	if (host_refuse_follower(h, e) < 0 || host_read_view(h, &view, e) < 0)
		return -1;
	return host_replay_view(h, view, options, e);
}

int host_replay_view(struct host *h, struct view *view, const struct host_replay_options *options,
		     struct err *e)
{
	int number = 0, rc;

	pthread_mutex_lock(&h->lock);
	rc = may_replay(h, view, options->force, e);
	if (rc == 0) {
		number = host_next_number(h);
		host_begin_job(h, host_live(h) != 0 ? HOST_REPLAY : HOST_BUILD, number);
		h->pending = false; /* reserved; the keeper begins when the version is there */
		h->no_swap = options->no_swap;
	}
	pthread_mutex_unlock(&h->lock);
	if (rc < 0) {
		view_free(view);
		return -1;
	}
	rc = make_room(h, e);
	if (rc == 0)
		rc = host_create_version(h, number, view, !options->no_swap, e);
	else
		view_free(view);
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

static int begin_swap(struct host *h, enum host_job job, enum store_state state,
		      const char *missing, struct err *e)
{
	const struct version *v;
	int rc = 0;

	if (host_refuse_follower(h, e) < 0)
		return -1;
	pthread_mutex_lock(&h->lock);
	v = host_find_state(h, state);
	if (job_runs(h))
		rc = refuse_running(h, e);
	else if (v == NULL || v->worker == NULL)
		rc = err_config(e, "view %s: %s", h->name, missing);
	else
		host_begin_job(h, job, v->version);
	pthread_mutex_unlock(&h->lock);
	return rc;
}

int host_swap(struct host *h, struct err *e)
{
	return begin_swap(h, HOST_SWAP, STORE_READY, "no version is ready to go live", e);
}

int host_rollback(struct host *h, struct err *e)
{
	return begin_swap(h, HOST_ROLLBACK, STORE_SUPERSEDED,
			  "no earlier version is applied any more: nothing to roll back to", e);
}
