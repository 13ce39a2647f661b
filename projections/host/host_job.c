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
#include "projections/host/host_priv.h"

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
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
	log_info("view", "%s: %s of version %d: %s", h->name, host_job_name(h->job), h->job_version,
		 host_phase_name(phase));
}

/* Between two looks: -1 when the host closes, or the version is to be dropped. */
static int wait_a_little(struct host *h, int64_t ms, struct err *e)
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

/* Waits until the version has read all there is, and no first copy goes on. */
static int await_caught_up(struct host *h, struct worker *w, struct err *e)
{
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
		if (s.caught_up && !s.copying && s.state == WORKER_RUNNING)
			return 0;
		if (wait_a_little(h, POLL_MS, e) < 0)
			return -1;
	}
}

/* ---- both at one position -------------------------------------------------------------------- */

static void release(const struct host_pair *p)
{
	worker_release(p->new);
	if (p->live != NULL)
		worker_release(p->live);
}

static int level(const struct host_pair *p, struct err *e)
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

static int hold_once(const struct host_pair *p, struct err *e)
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
static int hold_both(struct host *h, int version, int live, struct host_pair *ret_pair,
		     struct err *e)
{
	for (;;) {
		struct host_pair p = { .new = worker_of(h, version), .live = worker_of(h, live) };

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
		if (wait_a_little(h, RETRY_MS, e) < 0)
			return -1;
	}
}

/* ---- diff ------------------------------------------------------------------------------------ */

/* The comparison keeps to the share of the build. */
static void pause_a_little(struct host *h)
{
	int64_t due_us = worker_pace_due_us(&h->pace);

	if (due_us >= 1000)
		(void)host_wait_ms(h, due_us / 1000); /* whoever stops us is seen by go_on */
}

static void begin_pace(struct host *h, int version)
{
	const struct host_note *note;

	pthread_mutex_lock(&h->lock);
	note = host_note_of(h, version);
	worker_pace_begin(&h->pace, note != NULL ? note->share : 0);
	pthread_mutex_unlock(&h->lock);
}

static bool go_on(void *context, int64_t rows)
{
	struct host *h = context;
	bool stop;

	(void)rows;
	pthread_mutex_lock(&h->lock);
	stop = h->stop || h->cancel;
	pthread_mutex_unlock(&h->lock);
	pause_a_little(h);
	return !stop;
}

struct standing {
	struct host *host;
	const struct host_pair *pair;
};

/* Each is sent on to where it stands, and stands from now on. */
static int still_stand(void *context, struct err *e)
{
	const struct standing *s = context;
	struct worker *both[] = { s->pair->new, s->pair->live };

	if (!go_on(s->host, 0))
		return err_retry(e, "stopped");
	for (size_t i = 0; i < 2 && both[i] != NULL; i++) {
		struct worker_status status;

		worker_status(both[i], &status);
		if (worker_advance_seq(both[i], status.seq, ADVANCE_TIMEOUT_MS, e) < 0)
			return -1;
	}
	return 0;
}

int host_snapshots(struct host *h, int version, int live, struct store_snapshot **ret_old,
		   struct store_snapshot **ret_new, bool *ret_apart, struct err *e)
{
	struct host_pair p;
	struct standing standing = { h, &p };
	const struct store_still still = { still_stand, &standing };
	int rc;

	if (hold_both(h, version, live, &p, e) < 0)
		return -1;
	rc = store_snapshot(h->store, live, &still, ret_old, e);
	if (rc == 0)
		rc = store_snapshot(h->store, version, &still, ret_new, e);
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
	rc = host_snapshots(h, version, live, &old, &new, &apart, e);
	FAULT(view_diffing);
	begin_pace(h, version);
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

	if (hold_both(h, version, live, &p, e) < 0)
		return -1;
	FAULT(view_held);
	if (refuse_parked(h, p.new, version, e) < 0) {
		release(&p);
		return -1;
	}
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
		if (wait_a_little(h, POLL_MS, e) < 0)
			return -1;
	}
}

static int run_as_of(struct host *h, struct err *e)
{
	struct worker *w = worker_of(h, h->job_version);
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

static void run_job(struct host *h)
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

/* ---- old versions ---------------------------------------------------------------------------- */

static int due(struct host *h)
{
	int64_t before = clock_now_us() - h->options.settings->project_keep_applied_ms * 1000;
	int version = 0;

	pthread_mutex_lock(&h->lock);
	host_forget_outside(h);
	for (size_t i = 0; i < h->version_count; i++) {
		const struct version *v = &h->versions[i];

		if (v->state == STORE_SUPERSEDED && v->superseded_us <= before && !v->removing &&
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

/* The job's version is built, or gone: the next replay may have its share. */
static void give_memory_back(struct host *h)
{
	struct version *v;

	pthread_mutex_lock(&h->lock);
	v = host_find(h, h->job_version);
	if (v != NULL)
		host_give_memory(h, v);
	pthread_mutex_unlock(&h->lock);
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
		if (pending) {
			run_job(h);
			give_memory_back(h);
			host_follow_source(h);
			continue;
		}
		let_go(h);
		host_remove_again(h);
		host_shadow_look(h);
		if (h->waiting)
			host_try_first(h);
		else
			host_follow_source(h);
	}
	return NULL;
}

