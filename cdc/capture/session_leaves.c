/* session_leaves.c - a statement empties a table that published events are bound to: before its op
 * t, each row that was delivered leaves by a change with op d, so that the events hear of it.
 *
 * The rows are those of the row topic's last state (capture/state.h). What is in hand is committed
 * first, and the state caught up to just that, so that it is what consumers have.
 *
 * All these changes, in the order of keys, belong to the effect: they have its order, as the two
 * halves of a changed key share one. So a source transaction that is cut among them is cut before
 * the effect. Who goes on does the whole effect again, with a state that lacks the rows that left
 * already: none leaves twice. All tables of an effect are done before its first op t, behind which
 * it can't be cut.
 *
 * at-least-once sends again what it made of the position: the state must be that of the position,
 * whatever the topic holds beyond. So it has a limit, and a file of its own that was never built
 * further than a position.
 *
 * Only op t is left to tables without a key, to those whose shape is not known (dropped, and no row
 * seen since the start) and to those whose topic can't be understood; the log says so. A row
 * that is parked and can't be fetched, or was delivered under another key, is counted and passed
 * over. */
#include "cdc/capture/session_priv.h"

#include "cdc/copy/state.h"
#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/notify.h"
#include "core/base/stop.h"

#include <stdlib.h>

#define TURN_ROWS 1024
#define POLL_US 5000

struct leaving {
	struct session *s;
	struct state *state;
	struct change change;
	struct cell *cells;
	struct buf bytes;
	int64_t rows, unknown;
	bool unreadable;
};

/* What the loop would do. After a stop this group is begun again. */
static int turn(struct session *s, struct err *e)
{
	notify_watchdog();
	session_progress(s, false);
	if (stop_requested())
		return err_retry(e, "stopping");
	if (leader_check(s->leader, e) < 0)
		return -1;
	return delivery_check(s->delivery, e);
}

static int commit_in_hand(struct session *s, struct err *e)
{
	if (s->seq == s->batch.seq_before && s->batch.begun_us == 0)
		return 0;
	return session_cut(s, e);
}

/* The state as of what is committed. A topic that can't be understood must not hold up all else. */
static int catch_up(struct leaving *l, struct err *e)
{
	struct session *s = l->s;
	char *topic = publisher_row_topic(s->publisher, l->change.shape);
	const int64_t *seqs;
	size_t partitions;
	int rc = state_open(s->settings, s->registry, topic, "leaves", l->change.shape, &l->state,
			    e);

	if (rc == 0) {
		seqs = reconcile_last_seqs(s->reconcile, topic, &partitions);
		state_limit(l->state, s->seq);
		state_catch_up(l->state, seqs, partitions);
		while ((rc = state_poll(l->state, e)) == 0 && turn(s, e) == 0)
			clock_sleep_us(POLL_US);
	}
	free(topic);
	if (rc < 0 && e->kind == ERR_DATA) {
		err_wrap(e, "no published event tells which rows went");
		log_err(LOG_LEVEL_ERROR, "capture", l->change.transaction, e);
		err_clear(e);
		l->unreadable = true;
		return 0;
	}
	return rc == 1 ? 0 : -1;
}

/* The row as it was delivered. False: that can't be known. */
static bool delivered(struct leaving *l, const struct state_row *row)
{
	const struct shape *shape = l->change.shape;
	struct err e = ERR_INIT;

	if (row->unknown)
		return false;
	if (state_cells(l->state, row, &l->bytes, l->cells, &e) < 0) {
		if (l->unknown == 0)
			log_err(LOG_LEVEL_WARNING, "capture", NULL, &e);
		return false;
	}
	for (uint16_t k = 0; k < shape->key_count; k++)
		if (l->cells[shape->key[k]].state != CELL_VALUE)
			return false;
	return true;
}

static int leave(struct leaving *l, const struct state_row *row, struct err *e)
{
	struct session *s = l->s;

	if (!delivered(l, row)) {
		l->unknown++;
		return 0;
	}
	if (publisher_change(s->publisher, &l->change, &s->seq, e) < 0)
		return -1;
	FAULT(leaves);
	if (++l->rows % TURN_ROWS != 0)
		return 0;
	if (turn(s, e) < 0)
		return -1;
	return commit_batch_must_cut(&s->batch, clock_monotonic_us()) ? session_cut(s, e) : 0;
}

static int all_leave(struct leaving *l, struct err *e)
{
	struct state_row row;
	int rc;

	if (commit_in_hand(l->s, e) < 0 || catch_up(l, e) < 0)
		return -1;
	if (l->unreadable)
		return 0;
	if (state_seek(l->state, NULL, NULL, e) < 0)
		return -1;
	while ((rc = state_next(l->state, &row, e)) == 1)
		if (leave(l, &row, e) < 0)
			return -1;
	return rc;
}

static void report_end(const struct leaving *l, const char *db, const char *table)
{
	const char *gtid = l->change.transaction;

	log_info("capture", "%s: %lld rows leave %s.%s", gtid, (long long)l->rows, db, table);
	if (l->unknown > 0)
		log_warning("capture",
			    "%s: %lld rows of %s.%s are gone, of which no published event tells: "
			    "what was parked is gone, or they were delivered under another key",
			    gtid, (long long)l->unknown, db, table);
}

int session_leaves(struct session *s, const struct group_effect *effect, const char *db,
		   const char *table, struct err *e)
{
	const struct group_info *info = group_info(s->group);
	struct shape *shape = publisher_shape(s->publisher, db, table);
	struct leaving l = { .s = s };
	int rc;

	if (!publisher_has_events(s->publisher, db, table))
		return 0;
	if (shape == NULL || shape->key_count == 0) {
		log_warning("capture",
			    "%s: %s.%s is empty; no published event tells which rows went: %s",
			    info->gtid_text, db, table,
			    shape == NULL ? "what they looked like is not known any more"
					  : "it has no primary key");
		return 0;
	}
	l.change = (struct change){ .op = CHANGE_DELETE,
				    .shape = shape_ref(shape),
				    .transaction = info->gtid_text,
				    .commit_us = info->commit_us,
				    .order = effect->order };
	l.cells = xcalloc(shape->column_count, sizeof(*l.cells));
	l.change.before = l.cells;
	s->order = effect->order - 1; /* where it may be cut */
	rc = all_leave(&l, e);
	s->order = effect->order;
	if (rc == 0)
		report_end(&l, db, table);
	state_close(l.state);
	shape_unref(l.change.shape);
	buf_done(&l.bytes);
	free(l.cells);
	return rc < 0 ? err_wrap(e, "rows of %s.%s that are gone", db, table) : 0;
}
