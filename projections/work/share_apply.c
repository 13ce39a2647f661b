/* share_apply.c - a member's loop: records of its partitions -> handlers -> rows and positions,
 * committed together.
 *
 *   border -> [ next -> apply ... ] -> border -> commit
 *
 * A border is the place between two source transactions, as in worker.c; only there are positions
 * moved, and only there does the member look whether its assignment has changed, and whether a
 * barrier is up. A barrier is looked for every BARRIER_US, not at every commit: a member that
 * hasn't seen it hasn't said that it stands, and is waited for.
 *
 * Under a barrier with a GTID set the member must know what comes next before it goes on: between
 * commit records a position lacks what wasn't captured, so it may never hold the target itself.
 *
 * A TRUNCATE concerns rows of all partitions, whose order among each other is given up. So each
 * member that meets it commits what is before, says so, and waits until all partitions of that
 * topic have come to it; one of them runs the handler, in a store transaction of its own, and only
 * then does anyone go on behind it. */
#include "projections/work/share_member_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/gtid.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define LIVE_OPEN_US_MAX 200000
#define BUILD_OPEN_US_MAX 2000000
#define WAIT_MS 50
#define BUILD_COALESCE_MS 20
#define BARRIER_US 50000
#define STAND_MS 20             /* between two looks while standing */
#define POSITION_ONLY_US 200000 /* between commits that only move positions */
#define SAY_US 2000000          /* between two signs of life */
#define GROUP_COMMIT_US 5000000

/* ---- committing ------------------------------------------------------------------------------ */

static int begin(struct share_member *m, struct err *e)
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

static void publish(struct share_member *m, bool committed)
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

static int commit(struct share_member *m, struct err *e)
{
	if (begin(m, e) < 0)
		return -1;
	make_marks(m);
	m->open = false; /* over either way */
	FAULT(share_commit);
	m->store_failed = true;
	if (share_commit(m->link, m->marks, m->count, e) < 0)
		return -1;
	m->store_failed = false;
	remember(m);
	publish(m, true);
	backoff_reset(&m->backoff);
	m->careful = m->careful && m->marked_seq <= m->careful_seq;
	m->bulk = m->bulk * 2 < WORKER_BULK_RECORDS ? m->bulk * 2 : WORKER_BULK_RECORDS;
	if (m->mark_us - m->group_us > GROUP_COMMIT_US)
		commit_group(m);
	return 0;
}

static bool position_moved(const struct share_member *m)
{
	const struct intake_position *p = share_feed(m)->position(m->feed);

	return p->seq != m->marked_seq ||
	       strcmp(p->gtid_set != NULL ? p->gtid_set : "", m->marked_gtid) != 0;
}

static bool store_transaction_full(const struct share_member *m)
{
	int64_t limit = m->built ? LIVE_OPEN_US_MAX : BUILD_OPEN_US_MAX;

	return m->careful || m->open_records >= m->bulk ||
	       clock_monotonic_us() - m->open_us > limit;
}

void share_apply_begin(struct share_member *m)
{
	m->open = m->inside = m->applied_inside = m->truncating = m->leaves = false;
	m->store_failed = false;
	m->barrier_us = m->stands = 0;
	m->rate_us = 0;
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
	rc = share_feed(m)->wait(m->feed, STAND_MS, e);
	if (rc < 0)
		return -1;
	return rc == 0 ? 2 : gtid_reached(m);
}

static int say(struct share_member *m, struct err *e)
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
	if ((m->open || position_moved(m)) && commit(m, e) < 0)
		return -1;
	if (m->stands != m->barrier.number || clock_monotonic_us() - m->said_us > SAY_US) {
		m->stands = m->barrier.number;
		if (say(m, e) < 0)
			return -1;
	}
	FAULT(share_stands);
	return assignment_wait(m->assignment, m->generation, STAND_MS, e) < 0 ? -1 : 0;
}

static void set_held(struct share_member *m, bool held)
{
	pthread_mutex_lock(&m->lock);
	m->status.state = held ? WORKER_HELD : WORKER_RUNNING;
	pthread_mutex_unlock(&m->lock);
}

/* 1: go on; 0: *ret_end says why not; -1. */
static int border(struct share_member *m, enum share_end *ret_end, struct err *e)
{
	bool held = false;

	for (;;) {
		bool stop = atomic_load(&m->stop);
		int at = 0;

		if (stop || assignment_generation(m->assignment) != m->generation) {
			*ret_end = stop ? SHARE_STOPPED : SHARE_REASSIGNED;
			return (m->open || position_moved(m)) && commit(m, e) < 0 ? -1 : 0;
		}
		if (look_at_barrier(m, e) < 0)
			return -1;
		if (barrier_is_up(m) && (at = at_barrier(m, e)) < 0)
			return -1;
		if (at == 0)
			break;
		if (at == 1 && stand(m, e) < 0)
			return -1;
		if (at == 1 && !held)
			set_held(m, held = true);
	}
	if (held)
		set_held(m, false);
	return 1;
}

/* ---- TRUNCATE -------------------------------------------------------------------------------- */

static int refuse_truncate(const struct share_member *m, size_t topic, struct err *e)
{
	err_data(
		e,
		"%s was emptied (TRUNCATE or DROP) in a source transaction that also changes rows: "
		"order = partition can't tell which of them come before",
		m->options->view->inputs[topic]);
	return err_hint(e, "Take order = partition out of view.conf, and run `millrace replay %s`.",
			m->options->view->name);
}

int share_apply_truncate(void *context, size_t topic, int64_t seq, struct err *e)
{
	struct share_member *m = context;
	enum share_end end;
	int rc;

	if (m->applied_inside)
		return refuse_truncate(m, topic, e);
	if (commit(m, e) < 0)
		return -1;
	for (;;) {
		rc = border(m, &end, e);
		if (rc == 0) {
			m->leaves = true;
			m->leaves_as = end;
			return err_retry(e, "a TRUNCATE was waited for");
		}
		if (rc < 0)
			return -1;
		m->store_failed = true;
		rc = share_truncate(m->link, m->options->view->inputs[topic], seq, m->marks,
				    m->count, e);
		if (rc < 0)
			return -1;
		m->store_failed = false;
		if (rc != 0)
			break;
		if (assignment_wait(m->assignment, m->generation, STAND_MS, e) < 0)
			return -1;
	}
	m->truncating = m->open = rc == 2;
	return rc == 2 ? 1 : 0;
}

static int end_truncate(struct share_member *m, struct err *e)
{
	m->truncating = m->open = false;
	m->store_failed = true;
	FAULT(share_truncate);
	if (share_truncated_commit(m->link, e) < 0)
		return -1;
	m->store_failed = false;
	return 0;
}

/* ---- records --------------------------------------------------------------------------------- */

static int flush(struct share_member *m, struct err *e)
{
	struct target *t = share_target(m->link);

	return t->ops->flush(t, e);
}

static int apply(struct share_member *m, const struct intake_item *item, struct err *e)
{
	struct handlers_record record = { item->topic, item->schema_id, item->value };
	struct handlers_counts before, after;

	if (begin(m, e) < 0)
		return -1;
	m->inside = true;
	m->open_records++;
	handlers_count(m->handlers, &before);
	if (handlers_apply(m->handlers, &record, e) < 0 ||
	    (m->careful && m->open && flush(m, e) < 0)) {
		if (e->kind == ERR_DATA)
			m->failed = m->careful || !m->open; /* this record, for sure */
		else if (e->kind == ERR_RETRY && m->open)
			m->store_failed = true;
		return err_wrap(e, "%s partition %d offset %lld (seq %lld)",
				m->options->view->inputs[item->topic], item->partition,
				(long long)item->offset, (long long)item->seq);
	}
	if (m->truncating)
		return end_truncate(m, e);
	handlers_count(m->handlers, &after);
	m->applied_inside = m->applied_inside || after.applied > before.applied;
	FAULT(applied);
	return 0;
}

static int idle(struct share_member *m, enum share_end *ret_end, struct err *e)
{
	int64_t now = clock_monotonic_us();

	if (m->inside && atomic_load(&m->stop)) {
		*ret_end = SHARE_STOPPED; /* the rest is applied by whoever comes next */
		return 0;
	}
	if (m->inside) {
		if (assignment_generation(m->assignment) == m->generation)
			return 1;
		*ret_end = SHARE_REASSIGNED;
		return 0;
	}
	if ((m->open || (position_moved(m) && now - m->mark_us > POSITION_ONLY_US)) &&
	    commit(m, e) < 0)
		return -1;
	if (now - m->said_us > SAY_US && say(m, e) < 0)
		return -1;
	publish(m, false);
	return border(m, ret_end, e);
}

static int transaction(struct share_member *m, enum share_end *ret_end, struct err *e)
{
	m->inside = m->applied_inside = false;
	if (m->open && store_transaction_full(m) && commit(m, e) < 0)
		return -1;
	if (!m->open && clock_monotonic_us() - m->mark_us > 500000)
		return idle(m, ret_end, e); /* other partitions' transactions only */
	return border(m, ret_end, e);
}

/* replay --nice */
static void pace(struct share_member *m)
{
	int64_t due = m->built ? 0 : worker_pace_due_us(&m->pace);

	for (int64_t until = clock_monotonic_us() + due;
	     due >= 1000 && !atomic_load(&m->stop) && clock_monotonic_us() < until;)
		clock_sleep_us(due < 20000 ? due : 20000);
}

int share_apply(struct share_member *m, enum share_end *ret_end, struct err *e)
{
	int go = border(m, ret_end, e);

	while (go == 1) {
		int timeout_ms = !m->open || m->inside ? WAIT_MS : m->built ? 0 : BUILD_COALESCE_MS;
		struct intake_item item;

		if (share_feed(m)->next(m->feed, timeout_ms, &item, e) < 0)
			return -1;
		if (item.kind == INTAKE_RECORD)
			pace(m);
		if (item.kind == INTAKE_RECORD) {
			go = apply(m, &item, e) == 0 ? 1 : m->leaves ? 0 : -1;
			*ret_end = m->leaves_as;
		} else if (item.kind == INTAKE_TRANSACTION)
			go = transaction(m, ret_end, e);
		else {
			go = idle(m, ret_end, e);
		}
	}
	return go;
}
