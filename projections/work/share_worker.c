/* share_worker.c - the members of one version, seen as one worker: starting and stopping them, and
 * the thread that watches what they say.
 *
 * It reads the shares' rows a few times a second (share_seen.c). The process that leads also writes
 * how far the version is into the version's own bookkeeping, for those who ask the store (a list of
 * versions, a snapshot).
 *
 * One connection is for the watcher, one for holding (share_hold.c): who holds waits for long. */
#include "projections/work/share_worker_priv.h"

#include "core/base/backoff.h"
#include "core/base/clock.h"
#include "core/base/gtid.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define WATCH_MS 200
#define MARK_US 1000000

/* ---- the watcher ----------------------------------------------------------------------------- */

static int look(struct share_worker *w, struct err *e)
{
	int64_t now = clock_monotonic_us();
	struct share_seen seen;
	struct share_total t;
	int rc = 0;

	if (w->watch == NULL) {
		if (share_open(w->options.store, w->options.version, "watcher", &w->watch, e) < 0 ||
		    share_ensure(w->watch, NULL, 0, e) < 0)
			return -1;
	}
	pthread_mutex_lock(&w->report_lock);
	rc = share_see(w->watch, &seen, e);
	if (rc == 0)
		share_report(w, &seen);
	pthread_mutex_unlock(&w->report_lock);
	if (rc < 0)
		return -1;
	if (w->options.leads && now - w->marked_us > MARK_US) {
		share_add_up(&seen, &t);
		rc = share_mark_least(w->watch, t.least, e);
		w->marked_us = now;
	}
	share_seen_done(&seen);
	return rc;
}

static void say_failing(struct share_worker *w, const struct err *e)
{
	pthread_mutex_lock(&w->lock);
	w->status.state = e->kind == ERR_RETRY ? WORKER_RETRYING : WORKER_FAILED;
	w->status.kind = e->kind;
	w->status.exit_code = err_exit_code(e);
	snprintf(w->status.message, sizeof(w->status.message), "%s", e->msg);
	free(w->gtid_set);
	w->gtid_set = NULL;
	pthread_mutex_unlock(&w->lock);
}

static bool wait_ms(struct share_worker *w, int64_t ms)
{
	int64_t until = clock_monotonic_us() + ms * 1000;
	struct timespec t = clock_timespec(until);
	bool stop;

	pthread_mutex_lock(&w->lock);
	while (!w->stop && clock_monotonic_us() < until)
		pthread_cond_timedwait(&w->changed, &w->lock, &t);
	stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	return !stop;
}

static void *watch(void *context)
{
	struct share_worker *w = context;
	struct backoff backoff = BACKOFF_INIT;

	while (wait_ms(w, WATCH_MS)) {
		struct err e = ERR_INIT;

		if (look(w, &e) == 0) {
			backoff_reset(&backoff);
			continue;
		}
		say_failing(w, &e);
		share_close(w->watch);
		w->watch = NULL;
		log_err(LOG_LEVEL_DEBUG, "view", "shares", &e);
		if (!wait_ms(w, backoff_next_ms(&backoff)))
			break;
	}
	share_close(w->watch);
	w->watch = NULL;
	return NULL;
}

/* ---- starting and stopping ------------------------------------------------------------------- */

static int read_info(struct share_worker *w, struct err *e)
{
	struct store_snapshot *snapshot;
	struct store_info info;

	if (w->options.store->ops->snapshot(w->options.store, w->options.version, &snapshot, e) < 0)
		return -1;
	w->options.store->ops->snapshot_info(snapshot, &info);
	w->options.store->ops->snapshot_close(snapshot);
	w->status.built = info.built;
	w->status.seq = info.seq;
	w->status.commit_us = info.commit_us;
	gtid_text_cut(slice_str(info.gtid_set), w->status.gtid_set, sizeof(w->status.gtid_set));
	return 0;
}

/* What a leader before this one left up. */
static int lower_left_over(struct share_worker *w, struct err *e)
{
	int rc;

	pthread_mutex_lock(&w->control_lock);
	rc = share_open_control(w, e);
	if (rc == 0)
		rc = share_lower(w->control, e);
	if (rc == 0 && w->status.built)
		rc = share_set_built(w->control, e);
	pthread_mutex_unlock(&w->control_lock);
	return rc;
}

static void init_locks(struct share_worker *w)
{
	pthread_mutex_init(&w->lock, NULL);
	pthread_mutex_init(&w->report_lock, NULL);
	pthread_mutex_init(&w->control_lock, NULL);
	clock_condition(&w->changed);
}

static void free_worker(struct share_worker *w)
{
	for (int i = 0; i < w->member_count; i++)
		share_member_ask_to_stop(w->members[i]);
	for (int i = 0; i < w->member_count; i++)
		share_member_stop(w->members[i]);
	share_close_control(w);
	pthread_mutex_destroy(&w->lock);
	pthread_mutex_destroy(&w->report_lock);
	pthread_mutex_destroy(&w->control_lock);
	pthread_cond_destroy(&w->changed);
	worker_shares_free(w->shares, w->share_count);
	free(w->gtid_set);
	free(w->group);
	free(w);
}

int share_worker_start(const struct worker_options *options, struct share_worker **ret_worker,
		       struct err *e)
{
	struct share_worker *w = xcalloc(1, sizeof(*w));
	int rc;

	w->options = *options;
	w->group = xstrdup(options->group);
	w->options.group = w->group;
	init_locks(w);
	rc = read_info(w, e);
	if (rc == 0 && options->leads)
		rc = lower_left_over(w, e);
	for (int i = 0; i < options->workers && i < VIEW_WORKERS_MAX && rc == 0; i++) {
		rc = share_member_start(&w->options, i + 1, &w->members[i], e);
		w->member_count += rc == 0;
	}
	if (rc == 0 && pthread_create(&w->watcher, NULL, watch, w) != 0)
		rc = err_fatal(e, "can't start a thread");
	if (rc < 0) {
		free_worker(w);
		return -1;
	}
	*ret_worker = w;
	return 0;
}

void share_worker_ask_stop(struct share_worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	for (int i = 0; i < w->member_count; i++)
		share_member_ask_to_stop(w->members[i]);
}

void share_worker_stop(struct share_worker *w)
{
	if (w == NULL)
		return;
	share_worker_ask_stop(w);
	pthread_join(w->watcher, NULL);
	free_worker(w);
}
