/* host_shadow.c - a version that waits beside the live one (replay --no-swap) is compared with it
 * now and then, for hours or days: so it shows how many rows differ before anybody swaps.
 *
 * Both are held at one position for some milliseconds, as for the diff of a replay; the comparison
 * reads snapshots while both go on, at project.nice_share of one core. Whoever asks for a job ends
 * it: it can be done again. */
#include "projections/host/host_priv.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

void host_end_shadow(struct host *h)
{
	while (h->shadowing != 0) {
		h->shadow_cancel = true;
		pthread_cond_wait(&h->changed, &h->lock);
	}
}

/* Under lock: the newest version that waits, and is applied. */
static int candidate(struct host *h)
{
	const struct version *v = host_find_state(h, STORE_READY);
	const struct version *live = host_find_state(h, STORE_LIVE);
	struct worker_status s;

	if (v == NULL || v->worker == NULL || v->dropping || live == NULL || live->worker == NULL ||
	    h->stop)
		return 0;
	worker_status(v->worker, &s);
	if (s.state != WORKER_RUNNING || !s.caught_up)
		return 0;
	worker_status(live->worker, &s);
	return s.state == WORKER_RUNNING && s.caught_up ? v->version : 0;
}

static bool go_on(void *context, int64_t rows)
{
	struct host *h = context;
	int64_t due_us = worker_pace_due_us(&h->pace);
	bool stop;

	(void)rows;
	if (due_us >= 1000)
		(void)host_wait_ms(h, due_us / 1000); /* what ends it is looked at below */
	pthread_mutex_lock(&h->lock);
	stop = h->stop || h->shadow_cancel || h->pending;
	pthread_mutex_unlock(&h->lock);
	return !stop;
}

static void keep(struct host *h, int version, const struct compare *c,
		 const struct store_snapshot *new)
{
	int64_t differences = compare_differences(c), now = clock_now_us();
	struct store_info info;

	h->store->ops->snapshot_info(new, &info);
	pthread_mutex_lock(&h->lock);
	if (differences == 0)
		h->shadow.since_us = 0;
	else if (h->shadow.since_us == 0 || h->shadow.version != version)
		h->shadow.since_us = now;
	h->shadow.version = version;
	h->shadow.rows = compare_rows(c);
	h->shadow.differences = differences;
	h->shadow.compared_us = now;
	snprintf(h->shadow.gtid_set, sizeof(h->shadow.gtid_set), "%s", info.gtid_set);
	pthread_mutex_unlock(&h->lock);
}

static int look(struct host *h, int version, int live, struct err *e)
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
	worker_pace_begin(&h->pace, h->options.settings->project_nice_share);
	rc = host_snapshots(h, version, live, &old, &new, &apart, e);
	if (rc == 0 && !apart)
		rc = compare_snapshots(ops, view, old, new, go_on, h, &c, e);
	if (rc == 0 && c != NULL)
		keep(h, version, c, new);
	compare_free(c);
	ops->snapshot_close(old);
	ops->snapshot_close(new);
	return rc;
}

void host_shadow_look(struct host *h)
{
	int64_t every_us = h->options.settings->project_shadow_ms * 1000;
	int64_t now = clock_monotonic_us();
	struct err e = ERR_INIT;
	int version = 0, live = 0;

	pthread_mutex_lock(&h->lock);
	if (every_us > 0 && (h->shadow_us == 0 || now - h->shadow_us >= every_us) && !h->pending &&
	    !host_job_runs(h))
		version = candidate(h);
	if (version != 0) {
		live = host_live(h);
		h->shadowing = version;
		h->shadow_cancel = false;
		h->shadow_us = now;
	} else if (host_find_state(h, STORE_READY) == NULL) {
		h->shadow = (struct host_shadow){ .differences = -1 };
	}
	pthread_mutex_unlock(&h->lock);
	if (version == 0)
		return;
	if (look(h, version, live, &e) < 0)
		log_debug("view", "%s: versions %d and %d were not compared: %s", h->name, version,
			  live, e.msg);
	pthread_mutex_lock(&h->lock);
	h->shadowing = 0;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
}
