/* worker.c - the loop of one version: the thread that opens it, applies records, and tries again.
 *
 *   open version -> read position -> open feed there -> [ next -> apply ... border -> commit ] ->
 * on error: close all, wait, the same again
 *
 * A border is the place between two source transactions: only there may the store transaction end,
 * only there does the loop look at what other threads want (worker_border.c).
 *
 * When the loop ends in an error, what is complete is committed first if it can be; and each failed
 * attempt halves the bulk, so that even a feed that breaks again and again gets somewhere. A record
 * that can't be applied is come to a second time carefully: in store transactions of one source
 * transaction each, and nothing is held back. So it is known which it is, and it is parked
 * (worker_park.c), or the view stands exactly before it.
 *
 * Control is a handful of fields under one mutex with one condition variable for both directions:
 * requesters set what they want and wait for `held`; the thread, when held, waits for a change.
 * Nobody takes the mutex for longer than a copy of the status. */
#include "projections/work/worker_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define WAIT_MS 50 /* of the feed, when nothing is open: how soon a hold is seen */
#define BUILD_COALESCE_MS 20
#define PATIENCE_US 60000000     /* for topics that a capture which just began is still making */
#define POSITION_ONLY_US 1000000 /* between store commits that only move the position */

static const struct feed_ops *feed(const struct worker *w)
{
	return w->options.source.ops;
}

static const struct store_ops *store(const struct worker *w)
{
	return w->options.store->ops;
}

void worker_wait_until(struct worker *w, int64_t monotonic_us)
{
	struct timespec t = clock_timespec(monotonic_us);

	pthread_cond_timedwait(&w->changed, &w->lock, &t);
}

static void set_state(struct worker *w, enum worker_state state, const struct err *e)
{
	pthread_mutex_lock(&w->lock);
	w->status.state = state;
	w->status.kind = e != NULL ? e->kind : ERR_NONE;
	w->status.exit_code = e != NULL ? err_exit_code(e) : 0;
	snprintf(w->status.message, sizeof(w->status.message), "%s", e != NULL ? e->msg : "");
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* ---- the loop -------------------------------------------------------------------------------- */

int worker_flush(struct worker *w, struct err *e)
{
	struct target *t = store(w)->target(w->version);

	return t->ops->flush(t, e);
}

static int apply_one(struct worker *w, const struct intake_item *item, struct err *e)
{
	struct handlers_record record = { item->topic, item->schema_id, item->value };

	return kind_apply(w->kind, &record, e) < 0 ||
			       (w->careful_seq != 0 &&
				(kind_settle(w->kind, e) < 0 || worker_flush(w, e) < 0))
		       ? err_wrap(e, "%s partition %d offset %lld (seq %lld)",
				  w->options.view->inputs[item->topic], item->partition,
				  (long long)item->offset, (long long)item->seq)
		       : 0;
}

/* What failed without anybody knowing for sure what it left behind is come to once more; what
 * failed carefully is parked, where that is done. */
static int apply_failed(struct worker *w, const struct intake_item *item, struct err *e)
{
	struct err why = *e;

	if (e->kind != ERR_DATA)
		return -1;
	if (w->careful_seq == 0) {
		worker_look_again(w, item->seq);
		return -1;
	}
	if (w->emptying)
		return worker_emptied_failed(w, e);
	if (!worker_parks(w))
		return -1;
	err_clear(e);
	if (store(w)->undo != NULL && store(w)->undo(w->version, e) < 0)
		return -1;
	w->careful_seq = item->seq + WORKER_CAREFUL_SEQS; /* one often comes with others */
	return worker_park(w, item, why.msg, e);
}

static int apply(struct worker *w, const struct intake_item *item, struct err *e)
{
	int waits;

	if (worker_begin(w, e) < 0)
		return -1;
	w->inside = true;
	w->open_records++;
	if (item->seq > w->careful_seq)
		w->careful_seq = 0;
	w->emptying = false;
	waits = worker_waits(w, item, e);
	if (waits != 0)
		return waits < 0 ? -1 : worker_park(w, item, NULL, e);
	if (w->careful_seq != 0 && worker_parks(w) && store(w)->savepoint != NULL &&
	    store(w)->savepoint(w->version, e) < 0)
		return -1;
	if (apply_one(w, item, e) < 0)
		return apply_failed(w, item, e);
	FAULT(applied);
	return 0;
}

/* Nothing is open: what was read is applied, though the store hears of it a little later. */
static void note_read(struct worker *w)
{
	const struct intake_position *p = feed(w)->position(w->feed);
	const char *known = w->read_gtid != NULL ? w->read_gtid : w->marked_gtid;

	if (w->open || p->gtid_set == NULL || known == NULL || strcmp(known, p->gtid_set) == 0)
		return;
	pthread_mutex_lock(&w->lock);
	free(w->read_gtid);
	w->read_gtid = xstrdup(p->gtid_set);
	pthread_mutex_unlock(&w->lock);
}

static int idle(struct worker *w, struct err *e)
{
	if (w->inside) /* the rest of a source transaction is on its way: its store transaction
			  stays open */
		return 1;
	if (w->open ? worker_commit(w, e) < 0
		    : worker_position_moved(w) &&
			      clock_monotonic_us() - w->mark_us > POSITION_ONLY_US &&
			      worker_commit(w, e) < 0)
		return -1;
	worker_publish_status(w, false);
	note_read(w);
	return worker_border(w, e);
}

static bool stopping(struct worker *w)
{
	bool stop;

	pthread_mutex_lock(&w->lock);
	stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	return stop;
}

/* Of the source, inside a store transaction. */
static int end_of_transaction(struct worker *w, struct err *e)
{
	if (store(w)->border != NULL && store(w)->border(w->version, e) < 0)
		return -1;
	return worker_full(w) ? worker_commit(w, e) : 0;
}

static int loop(struct worker *w, struct err *e)
{
	int64_t idle_us = clock_monotonic_us();
	int go = 1;

	while (go == 1) {
		int timeout_ms = !w->open || w->inside ? WAIT_MS : w->built ? 0 : BUILD_COALESCE_MS;
		struct intake_item item;

		if (feed(w)->next(w->feed, timeout_ms, &item, e) < 0)
			return -1;
		switch (item.kind) {
		case INTAKE_RECORD:
			/* only now may it be known that the target lies before it */
			if (!w->inside && (go = worker_border(w, e)) != 1)
				break;
			go = apply(w, &item, e) < 0 ? -1 : 1;
			worker_publish_progress(w);
			worker_pace(w);
			break;
		case INTAKE_TRANSACTION:
			w->inside = false;
			if (w->open && end_of_transaction(w, e) < 0)
				return -1;
			if (!w->open && clock_monotonic_us() - idle_us > 500000) {
				idle_us = clock_monotonic_us(); /* only other tables' transactions:
								   still move the position */
				go = idle(w, e);
				break;
			}
			go = worker_border(w, e);
			break;
		case INTAKE_IDLE:
			go = w->inside && stopping(w) ? 0 : idle(w, e);
			break;
		}
	}
	return go;
}

static int read_schema(void *context, int32_t id, const char **ret_text, struct err *e)
{
	struct worker *w = context;

	return feed(w)->schema(w->options.source.context, id, ret_text, e);
}

static int read_latest(void *context, const char *topic, const char **ret_text, struct err *e)
{
	struct worker *w = context;

	return feed(w)->latest == NULL
		       ? 0
		       : feed(w)->latest(w->options.source.context, topic, ret_text, e);
}

static int read_parked(void *context, struct slice reference, int64_t seq, struct buf *ret_value,
		       struct err *e)
{
	struct worker *w = context;

	return feed(w)->parked(w->options.source.context, reference, seq, ret_value, e);
}

/* The feed; a mistake in its inputs counts as one only after a while. */
static int open_source(struct worker *w, const struct intake_options *o, struct err *e)
{
	int rc = feed(w)->open(w->options.source.context, o, &w->feed, e);

	if (rc < 0 && e->kind == ERR_CONFIG && clock_monotonic_us() - w->started_us < PATIENCE_US)
		e->kind = ERR_RETRY;
	return rc;
}

static int open_feed(struct worker *w, struct err *e)
{
	struct intake_options o = {
		.topics = (const char *const *)w->options.view->inputs,
		.topic_count = w->options.view->input_count,
		.group = w->group,
		.memory = w->options.memory,
	};
	struct intake_position from;
	char *text = NULL;
	int rc;

	if (store(w)->position(w->version, &text, e) < 0)
		return -1;
	if (text == NULL)
		return open_source(w, &o, e);
	rc = intake_position_read(slice_str(text), &from, e);
	free(text);
	if (rc < 0)
		return err_wrap(e, "stored position");
	o.from = &from;
	rc = open_source(w, &o, e);
	intake_position_done(&from);
	return rc;
}

static void close_all(struct worker *w)
{
	if (w->open)
		store(w)->rollback(w->version);
	w->open = w->inside = false;
	kind_close(w->kind);
	if (w->feed != NULL) {
		w->records_base += feed(w)->records(w->feed);
		feed(w)->close(w->feed);
	}
	store(w)->version_close(w->version);
	worker_park_close(w);
	w->kind = NULL;
	w->feed = NULL;
	w->version = NULL;
	worker_set_marked_gtid(w, NULL);
	w->rate_us = 0;
}

static int attempt(struct worker *w, struct err *e)
{
	struct kind_options k = { .handlers = { .view = w->view,
						.schema = read_schema,
						.latest = read_latest,
						.parked = read_parked,
						.truncate = worker_emptied,
						.context = w },
				  .built = w->built };
	const struct intake_position *p;
	int rc = -1;

	if (store(w)->version_open(w->options.store, w->options.version, &w->version, e) < 0 ||
	    open_feed(w, e) < 0 || worker_park_open(w, e) < 0 || worker_until_open(w, e) < 0)
		goto out;
	k.handlers.target = store(w)->target(w->version);
	if (kind_open(&k, &w->kind, e) < 0)
		goto out;
	p = feed(w)->position(w->feed);
	w->marked_seq = p->seq;
	worker_set_marked_gtid(w, p->gtid_set != NULL ? p->gtid_set : "");
	worker_pace_begin(&w->pace, w->options.share);
	worker_publish_status(w, true);
	set_state(w, WORKER_RUNNING, NULL);
	rc = loop(w, e);
	if (rc < 0 && e->kind == ERR_RETRY && w->open && !w->inside)
		(void)worker_commit(w, &(struct err)ERR_INIT); /* else it is applied again */
out:
	if (rc < 0)
		worker_note_wants(w);
	close_all(w);
	return rc;
}

static void back_off(struct worker *w, const struct err *e)
{
	int64_t wait_ms = backoff_next_ms(&w->backoff),
		until = clock_monotonic_us() + wait_ms * 1000;

	log_err(w->backoff.tries > 1 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, w->area,
		"trying again soon", e);
	set_state(w, WORKER_RETRYING, e);
	pthread_mutex_lock(&w->lock);
	if (w->held) /* what was held can't be promised any more */
		worker_let_go(w, true);
	while (!w->stop && clock_monotonic_us() < until)
		worker_wait_until(w, until);
	pthread_mutex_unlock(&w->lock);
}

void *worker_run(void *context)
{
	struct worker *w = context;

	while (!stopping(w)) {
		struct err e = ERR_INIT;

		if (attempt(w, &e) == 0)
			break;
		w->bulk = w->bulk > 1 ? w->bulk / 2 : 1;
		if (w->again) {
			w->again = false;
			w->bulk = 1;
			continue;
		}
		if (worker_wants_columns(w) && worker_add_columns(w, &e) == 0)
			continue;
		if (e.kind != ERR_RETRY) {
			log_err(LOG_LEVEL_ERROR, w->area, "stopped", &e);
			set_state(w, WORKER_FAILED, &e);
			return NULL;
		}
		back_off(w, &e);
	}
	set_state(w, WORKER_STOPPED, NULL);
	return NULL;
}
