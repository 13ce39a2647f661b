/* share_border.c - a member between two source transactions: committing, and what keeps it there.
 *
 * Only at a border are positions moved, and only there does the member look whether its assignment
 * has changed, and whether a barrier is up. A barrier is looked for every BARRIER_US, not at every
 * commit: a member that hasn't seen it hasn't said that it stands, and is waited for.
 *
 * Under a barrier with a GTID set the member must know what comes next before it goes on: between
 * commit records a position lacks what wasn't captured, so it may never hold the target itself. */
#include "projections/work/share_member_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/gtid.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define LIVE_OPEN_US_MAX 200000
#define BUILD_OPEN_US_MAX 2000000
#define BARRIER_US 50000
#define GROUP_COMMIT_US 5000000

/* ---- committing ------------------------------------------------------------------------------ */

int share_border_begin(struct share_member *m, struct err *e)
{
	if (m->open)
		return 0;
	m->store_failed = true;
	if (share_begin(m->link, e) < 0)
		return -1;
	m->store_failed = false;
	m->open = true;
	m->open_us = clock_monotonic_us();
	m->open_records = 0;
	return 0;
}

static void update_rate(struct share_member *m, int64_t now, int64_t records)
{
	if (now - m->rate_us < 500000)
		return;
	if (m->rate_us != 0)
		m->rate = m->rate * 0.6 +
			  (double)(records - m->rate_records) * 0.4e6 / (double)(now - m->rate_us);
	m->rate_us = now;
	m->rate_records = records;
}

/* What is said of each share: where it stands, and how far what is delivered is ahead. */
static void make_marks(struct share_member *m)
{
	int64_t left = share_feed(m)->records_total(m->feed) - share_feed(m)->records(m->feed);
	struct intake_position p;
	struct intake_end end;
	bool caught_up;

	share_feed(m)->delivered(m->feed, &end);
	caught_up = end.commits_behind <= 1 ||
		    (end.seen && (double)(end.seq - m->marked_seq) <= m->rate / 2);
	for (size_t i = 0; i < m->count; i++) {
		struct share_mark *mark = &m->marks[i];

		share_feed(m)->share_position(m->feed, i, &p);
		buf_reset(&m->texts[i]);
		intake_position_write(&p, &m->texts[i]);
		mark->position = buf_slice(&m->texts[i]);
		mark->seq = p.seq;
		mark->commit_us = p.commit_us;
		mark->delivered_seq = end.seq;
		mark->delivered_us = end.commit_us;
		mark->left = i == 0 && left > 0 ? left
						: 0; /* the sum over the shares is asked for */
		mark->caught_up = caught_up;
	}
}

void share_border_publish(struct share_member *m, bool committed)
{
	const char *const *copying = share_feed(m)->copying(m->feed);
	struct worker_status said = { 0 };
	const struct intake_reconciling *tables;
	struct handlers_counts counts;
	size_t table_count;

	tables = share_feed(m)->reconciling(m->feed, &table_count);
	worker_name_reconciling(&said, tables, table_count);
	handlers_count(m->handlers, &counts);
	update_rate(m, clock_monotonic_us(), share_feed(m)->records(m->feed));
	pthread_mutex_lock(&m->lock);
	m->status.records = share_feed(m)->records(m->feed);
	m->status.ignored = counts.ignored;
	m->status.inexact = counts.inexact;
	m->status.commits += committed;
	m->status.copying = copying != NULL && copying[0] != NULL;
	snprintf(m->status.reconciling, sizeof(m->status.reconciling), "%s", said.reconciling);
	snprintf(m->status.notice, sizeof(m->status.notice), "%s", said.notice);
	m->status.reconciling_since_us = said.reconciling_since_us;
	pthread_mutex_unlock(&m->lock);
}

static void commit_group(struct share_member *m)
{
	struct assigned_partition *at = xcalloc(m->count + 1, sizeof(*at));
	struct intake_position p;

	for (size_t i = 0; i < m->count; i++) {
		share_feed(m)->share_position(m->feed, i, &p);
		at[i] = (struct assigned_partition){ m->names[i].topic, m->names[i].partition,
						     p.partitions[0].offset };
	}
	assignment_commit(m->assignment, at, m->count);
	free(at);
	m->group_us = clock_monotonic_us();
}

static void remember(struct share_member *m)
{
	const struct intake_position *p = share_feed(m)->position(m->feed);

	free(m->marked_gtid);
	m->marked_gtid = xstrdup(p->gtid_set != NULL ? p->gtid_set : "");
	m->marked_seq = p->seq;
	m->mark_us = m->said_us = clock_monotonic_us();
}

int share_border_commit(struct share_member *m, struct err *e)
{
	if (share_border_begin(m, e) < 0)
		return -1;
	make_marks(m);
	m->open = false; /* over either way */
	FAULT(share_commit);
	m->store_failed = true;
	if (share_commit(m->link, m->marks, m->count, e) < 0)
		return -1;
	m->store_failed = false;
	remember(m);
	share_border_publish(m, true);
	backoff_reset(&m->backoff);
	m->careful = m->careful && m->marked_seq <= m->careful_seq;
	m->bulk = m->bulk * 2 < WORKER_BULK_RECORDS ? m->bulk * 2 : WORKER_BULK_RECORDS;
	if (m->mark_us - m->group_us > GROUP_COMMIT_US)
		commit_group(m);
	return 0;
}

bool share_border_moved(const struct share_member *m)
{
	const struct intake_position *p = share_feed(m)->position(m->feed);

	return p->seq != m->marked_seq ||
	       strcmp(p->gtid_set != NULL ? p->gtid_set : "", m->marked_gtid) != 0;
}

bool share_border_full(const struct share_member *m)
{
	int64_t limit = m->built ? LIVE_OPEN_US_MAX : BUILD_OPEN_US_MAX;

	return m->careful || m->open_records >= m->bulk ||
	       clock_monotonic_us() - m->open_us > limit;
}

void share_apply_begin(struct share_member *m)
{
	m->open = m->inside = m->applied_inside = m->truncating = m->leaves = false;
	m->store_failed = false;
	m->emptied = false;
	m->barrier_us = m->stands = 0;
	m->rate_us = 0;
	share_park_forget(m);
	remember(m);
}

/* ---- borders --------------------------------------------------------------------------------- */

static int look_at_barrier(struct share_member *m, struct err *e)
{
	int64_t now = clock_monotonic_us();

	if (m->barrier_us != 0 && now - m->barrier_us < BARRIER_US)
		return 0;
	m->store_failed = true;
	if (share_barrier(m->link, &m->barrier, e) < 0)
		return -1;
	m->store_failed = false;
	m->barrier_us = now;
	m->built = m->barrier.built || m->built;
	return 0;
}

static bool barrier_is_up(const struct share_member *m)
{
	return m->barrier.number > 0 && m->barrier.left_us > clock_monotonic_us() - m->barrier_us;
}

static bool gtid_reached(struct share_member *m)
{
	const struct intake_position *p = share_feed(m)->position(m->feed);
	struct gtid_set at = GTID_SET_INIT, target = GTID_SET_INIT;
	const char *next = share_feed(m)->next_gtid(m->feed);
	struct err ignored = ERR_INIT;
	bool reached = true; /* what can't be read can't be gone on to */

	if (gtid_set_parse(slice_str(m->barrier.gtid_set), &target, &ignored) == 0 &&
	    gtid_set_parse(slice_str(p->gtid_set != NULL ? p->gtid_set : ""), &at, &ignored) == 0)
		reached = gtid_set_contains_set(&at, &target) ||
			  (next != NULL && gtid_is_id(slice_str(next)) &&
			   !gtid_set_has(&target, slice_str(next)));
	gtid_set_done(&at);
	gtid_set_done(&target);
	return reached;
}

/* 1: the member is where the barrier wants it; 0: not yet; 2: not known before more arrives; -1. */
static int at_barrier(struct share_member *m, struct err *e)
{
	int rc;

	if (m->barrier.gtid_set[0] == '\0')
		return m->barrier.seq < 0 ||
		       share_feed(m)->position(m->feed)->seq >= m->barrier.seq;
	if (gtid_reached(m))
		return 1;
	rc = share_feed(m)->wait(m->feed, SHARE_STAND_MS, e);
	if (rc < 0)
		return -1;
	return rc == 0 ? 2 : gtid_reached(m);
}

int share_border_say(struct share_member *m, struct err *e)
{
	make_marks(m);
	m->store_failed = true;
	if (share_say(m->link, m->marks, m->count, m->stands, "", e) < 0)
		return -1;
	m->store_failed = false;
	m->said_us = clock_monotonic_us();
	return 0;
}

/* Everything up to here is committed, and said to stand at the barrier. */
static int stand(struct share_member *m, struct err *e)
{
	if ((m->open || share_border_moved(m)) && share_border_commit(m, e) < 0)
		return -1;
	if (m->stands != m->barrier.number || clock_monotonic_us() - m->said_us > SHARE_SAY_US) {
		m->stands = m->barrier.number;
		if (share_border_say(m, e) < 0)
			return -1;
	}
	FAULT(share_stands);
	return assignment_wait(m->assignment, m->generation, SHARE_STAND_MS, e) < 0 ? -1 : 0;
}

static void set_held(struct share_member *m, bool held)
{
	pthread_mutex_lock(&m->lock);
	m->status.state = held ? WORKER_HELD : WORKER_RUNNING;
	pthread_mutex_unlock(&m->lock);
}

/* As share_park_look(), which can't be asked within a store transaction. */
static int look_at_parked(struct share_member *m, struct err *e)
{
	if (m->parking != NULL || !share_parks(m))
		return 1;
	if (m->open && share_border_commit(m, e) < 0)
		return -1;
	return share_park_look(m, e);
}

/* 1: go on; 0: *ret_end says why not; -1. */
int share_border(struct share_member *m, enum share_end *ret_end, struct err *e)
{
	bool held = false;

	for (;;) {
		bool stop = atomic_load(&m->stop);
		int at = 0, looked;

		if (stop || assignment_generation(m->assignment) != m->generation) {
			*ret_end = stop ? SHARE_STOPPED : SHARE_REASSIGNED;
			return (m->open || share_border_moved(m)) && share_border_commit(m, e) < 0
				       ? -1
				       : 0;
		}
		if (look_at_barrier(m, e) < 0)
			return -1;
		if (barrier_is_up(m) && (at = at_barrier(m, e)) < 0)
			return -1;
		if (at == 0 && (looked = look_at_parked(m, e)) != 0) {
			if (looked < 0)
				return -1;
			break;
		}
		if (at == 1 && stand(m, e) < 0)
			return -1;
		if (at == 1 && !held)
			set_held(m, held = true);
		if (at == 1)
			share_park_forget(m); /* the leader may try them again now */
	}
	if (held)
		set_held(m, false);
	return 1;
}
