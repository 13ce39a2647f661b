/* worker_status.c - what a worker says of itself: how far it is, how fast, and what to know of the
 * rows.
 *
 * The thread publishes after each store commit and when it idles; and how many records it has read
 * meanwhile, because a large source transaction, or a small share of a core, can take a while.
 * Others copy it under the lock. */
#include "projections/work/share_worker.h"
#include "projections/work/worker_priv.h"

#include "core/base/clock.h"
#include "core/base/gtid.h"

#include <stdio.h>

#define RECORDS_PER_LOOK 256
#define PROGRESS_US 250000

static const struct feed_ops *feed(const struct worker *w)
{
	return w->options.source.ops;
}

static const char *const state_names[] = {
	[WORKER_STARTING] = "starting", [WORKER_RUNNING] = "running", [WORKER_HELD] = "held",
	[WORKER_RETRYING] = "retrying", [WORKER_FAILED] = "failed",   [WORKER_STOPPED] = "stopped",
};

const char *worker_state_name(enum worker_state state)
{
	return state_names[state];
}

/* Once a second: records a second, smoothed over the last few. */
static void update_rate(struct worker *w, int64_t now, int64_t records)
{
	double rate;

	if (w->rate_us == 0) {
		w->rate_us = now;
		w->rate_records = records;
	}
	if (now - w->rate_us < 500000)
		return;
	rate = (double)(records - w->rate_records) * 1e6 / (double)(now - w->rate_us);
	w->status.rate = w->status.rate == 0 ? rate : w->status.rate * 0.6 + rate * 0.4;
	if (w->status.rate < 0.05)
		w->status.rate = 0;
	w->rate_us = now;
	w->rate_records = records;
}

/* Near enough to the end that the rest takes less than half a second, by the rate so far. Under
 * steady traffic the very end may never be seen: group commits arrive faster than anybody looks.
 * With the lock held. */
static bool is_caught_up(const struct worker *w, const struct intake_end *end, int64_t seq)
{
	return end->commits_behind <= 1 ||
	       (end->seen && (double)(end->seq - seq) <= w->status.rate / 2);
}

/* With the lock held. What doesn't fit is left out, with dots. */
void worker_name_reconciling(struct worker_status *s, const struct intake_reconciling *tables,
			     size_t count)
{
	char since[CLOCK_TEXT_SIZE];
	size_t used = 0;

	s->reconciling[0] = '\0';
	s->reconciling_since_us = 0;
	for (size_t i = 0; i < count; i++) {
		size_t room = sizeof(s->reconciling) - used;
		int n = snprintf(s->reconciling + used, room, "%s%s", i > 0 ? ", " : "",
				 tables[i].table);

		if (s->reconciling_since_us == 0 || tables[i].since_us < s->reconciling_since_us)
			s->reconciling_since_us = tables[i].since_us;
		if (n < 0 || (size_t)n + sizeof(", ...") > room) {
			snprintf(s->reconciling + used, room, "%s", used > 0 ? ", ..." : "...");
			break;
		}
		used += (size_t)n;
	}
	s->notice[0] = '\0';
	if (count == 0)
		return;
	clock_text(s->reconciling_since_us, since);
	snprintf(s->notice, sizeof(s->notice),
		 "reconciling since %s: may differ from the source in %s", since, s->reconciling);
}

/* With the lock held. */
static void set_progress(struct worker *w, const struct intake_slowest *slowest)
{
	w->status.records = w->records_base + feed(w)->records(w->feed);
	w->status.records_total = w->records_base + feed(w)->records_total(w->feed);
	if (w->status.records_total < w->status.records)
		w->status.records_total = w->status.records;
	w->status.slowest = *slowest;
	w->progress_us = clock_monotonic_us();
	update_rate(w, w->progress_us, w->status.records);
}

void worker_publish_progress(struct worker *w)
{
	struct intake_slowest slowest;

	if (++w->progress_calls % RECORDS_PER_LOOK != 0 ||
	    clock_monotonic_us() - w->progress_us < PROGRESS_US)
		return;
	feed(w)->slowest(w->feed, &slowest);
	pthread_mutex_lock(&w->lock);
	set_progress(w, &slowest);
	pthread_mutex_unlock(&w->lock);
}

void worker_publish_status(struct worker *w, bool committed)
{
	const struct intake_position *p = feed(w)->position(w->feed);
	const char *const *copying = feed(w)->copying(w->feed);
	const struct intake_reconciling *reconciling;
	struct handlers_counts counts;
	struct intake_slowest slowest;
	struct intake_end end;
	size_t reconciling_count;

	reconciling = feed(w)->reconciling(w->feed, &reconciling_count);
	feed(w)->delivered(w->feed, &end);
	feed(w)->slowest(w->feed, &slowest);
	kind_count(w->kind, &counts);
	pthread_mutex_lock(&w->lock);
	if (committed) {
		w->status.seq = p->seq;
		w->status.commit_us = p->commit_us;
		w->status.bytes_total = p->bytes_total;
		w->status.transactions_total = p->transactions_total;
		gtid_text_cut(slice_str(p->gtid_set != NULL ? p->gtid_set : ""), w->status.gtid_set,
			      sizeof(w->status.gtid_set));
	}
	set_progress(w, &slowest);
	w->status.delivered = end;
	w->status.caught_up = is_caught_up(w, &end, p->seq);
	w->status.copying = copying != NULL && copying[0] != NULL;
	worker_name_reconciling(&w->status, reconciling, reconciling_count);
	w->status.ignored = counts.ignored;
	w->status.inexact = counts.inexact;
	pthread_mutex_unlock(&w->lock);
}

void worker_status(struct worker *w, struct worker_status *ret_status)
{
	if (w->shared != NULL) {
		share_worker_status(w->shared, ret_status);
		return;
	}
	pthread_mutex_lock(&w->lock);
	*ret_status = w->status;
	pthread_mutex_unlock(&w->lock);
}
