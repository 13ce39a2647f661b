/* share_apply.c - a member's loop: records of its partitions -> handlers -> rows and positions,
 * committed together.
 *
 *   border -> [ next -> apply ... ] -> border -> commit
 *
 * A border is the place between two source transactions, as in worker.c (share_border.c).
 *
 * A TRUNCATE concerns rows of all partitions, whose order among each other is given up. So each
 * member that meets it commits what is before, says so, and waits until all partitions of that
 * topic have come to it; one of them runs the handler, in a store transaction of its own, and only
 * then does anyone go on behind it. */
#include "projections/work/share_member_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"

#define WAIT_MS 50
#define BUILD_COALESCE_MS 20
#define POSITION_ONLY_US 200000 /* between commits that only move positions */

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

/* Of all partitions: every member of that topic has come to it. Their rows are gone. */
static int drop_parked(struct share_member *m, size_t topic, int64_t seq, struct err *e)
{
	const char *name = m->options->view->inputs[topic];
	int64_t dropped = 0;

	m->store_failed = true;
	if (share_unpark(m->link, name, seq, &dropped, e) < 0)
		return -1;
	m->store_failed = false;
	if (dropped > 0)
		log_warning("view",
			    "%s: version %d: %s was emptied (TRUNCATE or DROP, seq %lld): %lld "
			    "parked records of it are dropped, as their rows are gone",
			    m->options->view->name, m->options->version, name, (long long)seq,
			    (long long)dropped);
	return 1;
}

int share_apply_truncate(void *context, size_t topic, int64_t seq, struct err *e)
{
	struct share_member *m = context;
	enum share_end end;
	int rc;

	m->emptied = true;
	if (m->applied_inside)
		return refuse_truncate(m, topic, e);
	if (share_border_commit(m, e) < 0)
		return -1;
	for (;;) {
		rc = share_border(m, &end, e);
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
		if (assignment_wait(m->assignment, m->generation, SHARE_STAND_MS, e) < 0)
			return -1;
	}
	m->truncating = m->open = rc == 2;
	return rc == 2 ? drop_parked(m, topic, seq, e) : 0;
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

/* Inside a source transaction, nothing open: others may have been parked or dropped meanwhile. */
static int look_again(struct share_member *m, struct err *e)
{
	int rc = 0;

	share_park_forget(m);
	while (rc == 0 && (rc = share_park_look(m, e)) == 0)
		clock_sleep_us(SHARE_STAND_MS * 1000); /* until that barrier is over */
	return rc < 0 ? -1 : 0;
}

static int apply_one(struct share_member *m, const struct intake_item *item, struct err *e)
{
	struct handlers_record record = { item->topic, item->schema_id, item->value };

	if (m->careful && share_parks(m) &&
	    m->options->store->ops->savepoint(share_version(m->link), e) < 0)
		return -1;
	if (handlers_apply(m->handlers, &record, e) == 0 &&
	    (!m->careful || !m->open || flush(m, e) == 0))
		return 0;
	return err_wrap(e, "%s partition %d offset %lld (seq %lld)",
			m->options->view->inputs[item->topic], item->partition,
			(long long)item->offset, (long long)item->seq);
}

/* What failed without anybody knowing for sure what it left behind is come to once more; what
 * failed carefully is parked, where that is done. A TRUNCATE never is: others wait for it. */
static int apply_failed(struct share_member *m, const struct intake_item *item, struct err *e)
{
	struct err why = *e;

	if (e->kind == ERR_RETRY && m->open)
		m->store_failed = true;
	if (e->kind != ERR_DATA)
		return -1;
	if (!m->careful || !m->open || m->emptied || !share_parks(m)) {
		m->failed = m->careful || !m->open || m->emptied; /* this record, for sure */
		return -1;
	}
	err_clear(e);
	m->store_failed = true;
	if (m->options->store->ops->undo(share_version(m->link), e) < 0)
		return -1;
	m->store_failed = false;
	m->careful_seq = item->seq + WORKER_CAREFUL_SEQS; /* one often comes with others */
	return share_park(m, item, why.msg, e);
}

static int apply(struct share_member *m, const struct intake_item *item, struct err *e)
{
	struct handlers_counts before, after;
	int waits;

	if (share_border_begin(m, e) < 0)
		return -1;
	m->inside = true;
	m->emptied = false;
	m->open_records++;
	if ((waits = share_waits(m, item, e)) != 0)
		return waits < 0 ? -1 : share_park(m, item, NULL, e);
	handlers_count(m->handlers, &before);
	if (apply_one(m, item, e) < 0)
		return apply_failed(m, item, e);
	if (m->emptied)
		return (m->truncating && end_truncate(m, e) < 0) || look_again(m, e) < 0 ? -1 : 0;
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
	if ((m->open || (share_border_moved(m) && now - m->mark_us > POSITION_ONLY_US)) &&
	    share_border_commit(m, e) < 0)
		return -1;
	if (now - m->said_us > SHARE_SAY_US && share_border_say(m, e) < 0)
		return -1;
	share_border_publish(m, false);
	return share_border(m, ret_end, e);
}

static int transaction(struct share_member *m, enum share_end *ret_end, struct err *e)
{
	m->inside = m->applied_inside = false;
	if (m->open && share_border_full(m) && share_border_commit(m, e) < 0)
		return -1;
	if (!m->open && clock_monotonic_us() - m->mark_us > 500000)
		return idle(m, ret_end, e); /* other partitions' transactions only */
	return share_border(m, ret_end, e);
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
	int go = share_border(m, ret_end, e);

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
