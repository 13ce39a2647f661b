/* reconcile_step.c - which step of a reconciling copy comes next, and what streamed changes mean
 * for it.
 *
 *   IDLE -> OPEN -> STATE -> BORDER -> ASKED -> WINDOW -> READING -> READ -> (emit) -> WINDOW ...
 *             ^                 ^                            |         |
 *             +----- WAIT <-----+------------ given up ------+---------+
 *
 * A window opens at a border between source transactions when everything before is committed. From
 * then on keys that the stream changes are marked. The state is caught up to that commit; what it
 * reads beyond are changes of marked keys. The chunk's snapshot sees at least what the stream had
 * delivered, and is compared when the stream has reached all that it sees. So of an unmarked key
 * state and snapshot are both what they were when the window opened, and what differs was never
 * said by the binlog.
 *
 * A window that is given up costs the read alone. Failures that don't heal pause the want: it stays
 * in the queue, named, until somebody resumes or stops it. */
#include "cdc/copy/reconcile_priv.h"

#include "cdc/change/key.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdlib.h>

#define FAILURES_MAX 8
#define PAUSE_US 200000
#define WAIT_MS 5
#define CHUNK_ROWS_MIN 10

/* ---- windows -------------------------------------------------------------------------------- */

void reconcile_close_window(struct reconcile *r)
{
	r->open = false;
	marks_clear(&r->marks);
	shape_unref(r->stream_shape);
	r->stream_shape = NULL;
	chunk_free(r->chunk);
	r->chunk = NULL;
	r->state_there = false;
}

/* Answers that are still to come are dropped when they do. */
static void discard_answers(struct reconcile *r)
{
	r->discard = r->asked;
}

void reconcile_give_up(struct reconcile *r)
{
	discard_answers(r);
	reconcile_close_window(r);
	r->active = NULL;
	r->place = RECONCILE_IDLE;
}

/* The same window once more, with fewer rows. */
static void try_again(struct reconcile *r)
{
	discard_answers(r);
	reconcile_close_window(r);
	r->chunk_rows = r->chunk_rows / 2 > CHUNK_ROWS_MIN ? r->chunk_rows / 2 : CHUNK_ROWS_MIN;
	r->place = RECONCILE_BORDER;
}

/* The table has another key: what was compared by the old one says nothing about the rest. */
void reconcile_begin_again(struct reconcile *r)
{
	reconcile_forget_key(r->active);
	r->active->chunks = 0;
	reconcile_give_up(r);
}

static void open_window(struct reconcile *r, const struct copy_place *place)
{
	const struct reconcile_want *w = r->active;
	struct chunk_request request = {
		.db = w->db,
		.table = w->table,
		.where = reconcile_has_keys(w) ? (const char *)r->batch.sql.data : w->where,
		.all_keys = w->where[0] != '\0',
		.low = r->has_low ? &r->low : NULL,
		.high = r->has_high ? &r->high : NULL,
		.key_shape = r->shape,
		.collator = r->collator,
		.watch = r->watch,
		.rows = r->chunk_rows,
		.bytes_max = r->bytes_max,
		.seen = place->gtid_set,
		.seen_file = place->file,
		.seen_position = place->position,
		.unsettled = place->unsettled,
	};
	struct reconcile_topic *topic;
	char *name = publisher_row_topic(r->options.publisher, r->shape);

	HASH_FIND_STR(r->topics, name, topic);
	free(name);
	r->open = true;
	r->state_there = false;
	r->state_busy = true;
	state_catch_up(r->state, topic != NULL ? topic->seqs : NULL,
		       topic != NULL ? topic->partitions : 0);
	chunk_request(r->reader, &request);
	r->asked = true;
	r->place = RECONCILE_READING;
}

/* ---- from the stream ------------------------------------------------------------------------ */

static bool is_active(const struct reconcile *r, const char *db, const char *table)
{
	return r->active != NULL && strcmp(r->active->db, db) == 0 &&
	       strcmp(r->active->table, table) == 0;
}

static int mark(struct reconcile *r, const struct shape *shape, const struct cell *cells,
		struct err *e)
{
	buf_reset(&r->key);
	if (key_from_cells(shape, cells, collator_weigher(r->collator), &r->key, e) < 0)
		return -1;
	marks_add(&r->marks, buf_slice(&r->key));
	return 0;
}

/* An after-image may lack the key columns that did not change. */
static bool lacks_key(const struct shape *shape, const struct cell *cells)
{
	for (uint16_t k = 0; k < shape->key_count; k++)
		if (cells[shape->key[k]].state == CELL_ABSENT)
			return true;
	return false;
}

int reconcile_change(struct reconcile *r, const struct group_row *row, struct err *e)
{
	const struct change *c = &row->change;

	if (!r->open || !is_active(r, c->shape->db, c->shape->table))
		return 0;
	if (r->stream_shape == NULL)
		r->stream_shape = shape_ref(c->shape);
	if ((r->stream_shape != c->shape && !shape_equal(r->stream_shape, c->shape)) ||
	    !key_equal_columns(r->shape, c->shape)) {
		reconcile_give_up(r);
		return 0;
	}
	if (r->shape->key_count == 0) {
		reconcile_whole_change(r, row->prepared);
		return 0;
	}
	if ((c->before != NULL && mark(r, c->shape, c->before, e) < 0) ||
	    (c->after != NULL && !(c->before != NULL && lacks_key(c->shape, c->after)) &&
	     mark(r, c->shape, c->after, e) < 0))
		return -1;
	if (r->marks.bytes > r->bytes_max) /* too much changes meanwhile: a shorter window */
		try_again(r);
	return 0;
}

static struct reconcile_topic *topic_of(struct reconcile *r, const char *name)
{
	struct reconcile_topic *topic;

	HASH_FIND_STR(r->topics, name, topic);
	if (topic == NULL) {
		topic = xcalloc(1, sizeof(*topic));
		topic->name = xstrdup(name);
		HASH_ADD_KEYPTR(hh, r->topics, topic->name, strlen(topic->name), topic);
	}
	return topic;
}

void reconcile_committed(struct reconcile *r, const struct publish_touched *touched, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct reconcile_topic *topic = topic_of(r, touched[i].topic);
		size_t partition = (size_t)touched[i].partition;

		if (partition >= topic->partitions) {
			topic->seqs = xrealloc(topic->seqs, (partition + 1) * sizeof(*topic->seqs));
			for (size_t p = topic->partitions; p <= partition; p++)
				topic->seqs[p] = 0;
			topic->partitions = partition + 1;
		}
		topic->seqs[partition] = touched[i].last_seq;
	}
}

const int64_t *reconcile_last_seqs(const struct reconcile *r, const char *topic,
				   size_t *ret_partitions)
{
	const struct reconcile_topic *found;

	HASH_FIND_STR(r->topics, topic, found);
	*ret_partitions = found != NULL ? found->partitions : 0;
	return found != NULL ? found->seqs : NULL;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static void fail_want(struct reconcile *r, const struct err *failure)
{
	struct reconcile_want *w = r->active;
	struct err e = *failure;

	err_wrap(&e, "the reconciling copy of %s (%lld) pauses: it may differ from the source",
		 w->name, (long long)w->id);
	log_err(LOG_LEVEL_ERROR, "copy", NULL, &e);
	w->paused = true;
	free(w->failure);
	w->failure = xstrdup(failure->msg);
	reconcile_give_up(r);
}

/* What heals is tried again, more and more slowly; what doesn't pauses the want. */
static void failed(struct reconcile *r, const struct err *failure)
{
	if (failure->kind != ERR_RETRY || ++r->failures > FAILURES_MAX) {
		r->failures = 0;
		fail_want(r, failure);
		return;
	}
	log_warning("copy", "reconciling %s: %s; trying again", r->active->name, failure->msg);
	try_again(r);
	r->place = RECONCILE_WAIT;
	r->retry_us = clock_monotonic_us() + (PAUSE_US << (r->failures < 5 ? r->failures : 5));
}

static struct reconcile_want *next_want(struct reconcile *r)
{
	for (size_t i = 0; i < r->want_count; i++) {
		struct reconcile_want *w = r->wants[i];

		if (!w->paused && !r->options.copying(r->options.context, w->db, w->table))
			return w;
	}
	return NULL;
}

/* The border that is asked for with the shape, before there is one. */
static void ask_border(struct reconcile *r, const struct copy_place *place)
{
	struct chunk_request request = {
		.db = r->active->db,
		.table = r->active->table,
		.where = r->active->where,
		.all_keys = r->active->where[0] != '\0',
		.bound_only = true,
		.low = r->has_low ? &r->low : NULL,
		.key_shape = r->has_low ? r->shape : NULL,
		.collator = r->collator,
		.watch = r->watch,
		.rows = r->chunk_rows,
		.bytes_max = r->bytes_max,
		.seen = place->gtid_set,
		.seen_file = place->file,
		.seen_position = place->position,
		.unsettled = place->unsettled,
	};

	chunk_request(r->reader, &request);
	r->asked = true;
	r->place = RECONCILE_ASKED;
}

static void take_shape(struct reconcile *r, struct shape *shape)
{
	if (r->shape != NULL && shape_equal(r->shape, shape))
		return;
	shape_ref(shape);
	shape_unref(r->shape);
	r->shape = shape;
	r->before = xrealloc(r->before, shape->column_count * sizeof(*r->before));
	r->after = xrealloc(r->after, shape->column_count * sizeof(*r->after));
}

/* Where it goes on: behind the last key of an earlier run. */
static int take_low(struct reconcile *r, struct err *e)
{
	const struct reconcile_want *w = r->active;

	r->has_low = w->last_key.count > 0;
	key_border_reset(&r->low);
	if (collator_prepare(r->collator, r->shape, e) < 0)
		return -1;
	if (r->has_low)
		return key_border_from_literals(r->shape, w->last_key.items, w->last_key.count,
						collator_weigher(r->collator), &r->low, e);
	return 0;
}

/* The state of the table, opened once and kept until another table's turn. */
static int open_state(struct reconcile *r, struct err *e)
{
	struct reconcile_want *w = r->active;
	char *topic;
	int rc;

	if (r->state != NULL && strcmp(r->state_table, w->name) == 0) {
		state_limit(r->state, INT64_MAX);
		return state_reshape(r->state, r->shape, e);
	}
	state_close(r->state);
	r->state = NULL;
	free(r->state_table);
	r->state_table = xstrdup(w->name);
	topic = publisher_row_topic(r->options.publisher, r->shape);
	rc = state_open(r->options.settings, r->options.registry, topic, "", r->shape, &r->state,
			e);
	free(topic);
	return rc;
}

static void begin(struct reconcile *r)
{
	struct reconcile_want *w = next_want(r);

	if (w == NULL)
		return;
	r->active = w;
	r->has_low = r->has_high = false;
	reconcile_batch_reset(r);
	r->chunk_rows = r->options.settings->copy_chunk_rows;
	w->started_us = 0;
	if (w->rows_estimate == 0)
		w->rows_estimate = r->options.rows_estimate(r->options.context, w->db, w->table);
	r->place = RECONCILE_OPEN;
}

static void check_keys(struct reconcile *r)
{
	const char *unfit = reconcile_keys_unfit(r);

	if (unfit == NULL)
		return;
	log_info("copy", "%s is compared whole: %s", r->active->name, unfit);
	reconcile_keys_done(r->active);
}

/* Its rows have no order in which it could go on. */
static int take_whole(struct reconcile *r, const struct chunk *chunk, struct err *e)
{
	if (r->active->where[0] != '\0') {
		err_config(e,
			   "table %s has no primary key: it is compared whole, not by a condition",
			   r->active->name);
		return err_hint(e, "millrace snapshot %s, without --where.", r->active->name);
	}
	r->whole.transactional = chunk->transactional;
	reconcile_forget_key(r->active);
	return 0;
}

/* The first answer brings the shape; where an earlier run stopped can only be read with it. */
static int take_border(struct reconcile *r, struct chunk *chunk, struct err *e)
{
	bool whole = chunk->shape->key_count == 0, begun = r->active->started_us != 0;

	if (chunk->rekeyed || (begun && whole)) {
		reconcile_begin_again(r);
		return 0;
	}
	take_shape(r, chunk->shape);
	if (!begun) {
		if (reconcile_has_keys(r->active))
			check_keys(r);
		if (whole && take_whole(r, chunk, e) < 0)
			return -1;
		if (take_low(r, e) < 0 || open_state(r, e) < 0)
			return -1;
		r->active->started_us = clock_monotonic_us();
		r->active->rows_at_start = r->active->rows;
		if (reconcile_has_keys(r->active)) {
			state_want_link(r->state, r->active->keys.items[0]);
			r->place = RECONCILE_LINKING;
			return 0;
		}
		r->state_busy = true;
		state_catch_up(r->state, NULL, 0);
		r->place = RECONCILE_STATE;
		return 0;
	}
	r->has_high = chunk->has_next;
	key_border_copy(&r->high, &chunk->next);
	r->place = RECONCILE_WINDOW;
	return 0;
}

static int take_chunk(struct reconcile *r, struct chunk *chunk, struct err *e)
{
	int rc = 0;

	if (r->place == RECONCILE_ASKED) {
		rc = take_border(r, chunk, e);
		chunk_free(chunk);
		return rc;
	}
	if (r->shape->key_count == 0) {
		reconcile_whole_read(r, chunk);
		return 0;
	}
	r->chunk = chunk;
	if (r->state_there)
		r->place = RECONCILE_READ;
	return 0;
}

static int poll_reader(struct reconcile *r, struct err *e)
{
	struct chunk *chunk = NULL;
	int rc = chunk_poll(r->reader, &chunk, e);

	if (rc == 0)
		return 0;
	r->asked = false;
	if (r->discard) {
		r->discard = false;
		chunk_free(chunk);
		err_clear(e);
		return 0;
	}
	return rc < 0 ? -1 : take_chunk(r, chunk, e);
}

static int poll_state(struct reconcile *r, struct err *e)
{
	int rc = state_poll(r->state, e);

	if (rc == 0)
		return 0;
	r->state_busy = false;
	if (rc < 0)
		return -1;
	if (r->place == RECONCILE_STATE) {
		r->batch.linked = true;
		r->place = RECONCILE_BORDER;
	}
	if (r->place == RECONCILE_COUNTING)
		r->place = RECONCILE_DIFFER;
	if (r->place == RECONCILE_READING) {
		r->state_there = true;
		if (r->chunk != NULL)
			r->place = RECONCILE_READ;
	}
	return 0;
}

/* All that the snapshot saw has been streamed, and the table looks as it did then. */
static bool is_ready(struct reconcile *r, const struct copy_place *place)
{
	if (!copy_passed(place, &r->chunk->point))
		return false;
	if (r->chunk->rekeyed || !key_equal_columns(r->shape, r->chunk->shape)) {
		reconcile_begin_again(r);
		return false;
	}
	if (r->stream_shape != NULL && !shape_equal(r->stream_shape, r->chunk->shape)) {
		try_again(r);
		return false;
	}
	take_shape(r, r->chunk->shape);
	return true;
}

/* What was delivered up to here is what the parent's change found. */
static void link_state(struct reconcile *r)
{
	char *topic = publisher_row_topic(r->options.publisher, r->shape);
	size_t partitions;
	const int64_t *seqs = reconcile_last_seqs(r, topic, &partitions);

	free(topic);
	state_catch_up(r->state, seqs, partitions);
	r->state_busy = true;
	r->place = RECONCILE_STATE;
}

static int next_keys(struct reconcile *r, struct err *e)
{
	if (!r->batch.linked) {
		r->place = RECONCILE_LINKING;
		return 0;
	}
	if (state_reshape(r->state, r->shape, e) < 0 || reconcile_batch_fill(r, e) < 0)
		return -1;
	r->has_low = r->has_high = false;
	r->place = r->batch.count > 0 ? RECONCILE_WINDOW : RECONCILE_DIFFER;
	return 0;
}

/* Something of an earlier window is still read: nothing can be asked for before it came. */
static bool is_busy(const struct reconcile *r)
{
	return r->discard || (r->state_busy && r->place != RECONCILE_READING);
}

static int step(struct reconcile *r, const struct copy_place *place, bool uncommitted,
		enum reconcile_answer *answer, struct err *e)
{
	if (r->asked && poll_reader(r, e) < 0)
		return -1;
	if (r->state_busy && poll_state(r, e) < 0)
		return -1;
	if (is_busy(r))
		return 0;
	switch (r->place) {
	case RECONCILE_IDLE:
		begin(r);
		return 0;
	case RECONCILE_WAIT:
		if (clock_monotonic_us() >= r->retry_us)
			r->place = r->active->started_us == 0 ? RECONCILE_OPEN : RECONCILE_BORDER;
		return 0;
	case RECONCILE_LINKING:
		*answer = uncommitted ? RECONCILE_COMMIT : RECONCILE_NOTHING;
		if (!uncommitted)
			link_state(r);
		return 0;
	case RECONCILE_BORDER:
		if (reconcile_has_keys(r->active))
			return next_keys(r, e);
		if (r->shape->key_count == 0) {
			reconcile_whole_ask(r, place);
			return 0;
		}
		ask_border(r, place);
		return 0;
	case RECONCILE_OPEN:
		ask_border(r, place);
		return 0;
	case RECONCILE_WINDOW:
		*answer = uncommitted ? RECONCILE_COMMIT : RECONCILE_NOTHING;
		if (!uncommitted)
			open_window(r, place);
		return 0;
	case RECONCILE_STATE:
	case RECONCILE_ASKED:
	case RECONCILE_READING:
		return 0;
	case RECONCILE_READ:
		*answer = is_ready(r, place) ? RECONCILE_READY : RECONCILE_NOTHING;
		return 0;
	case RECONCILE_OPENING:
	case RECONCILE_SPOOLING:
	case RECONCILE_SPOOLED:
	case RECONCILE_COUNTING:
	case RECONCILE_DIFFER:
		return reconcile_whole_step(r, place, uncommitted, answer, e);
	}
	return 0;
}

int reconcile_step(struct reconcile *r, const struct copy_place *place, bool uncommitted,
		   enum reconcile_answer *ret_answer, struct err *e)
{
	enum reconcile_answer answer = RECONCILE_NOTHING;
	struct err failure = ERR_INIT;

	(void)e; /* nothing that fails here ends the session */
	*ret_answer = RECONCILE_NOTHING;
	if (step(r, place, uncommitted, &answer, &failure) == 0)
		*ret_answer = answer;
	else if (r->active != NULL)
		failed(r, &failure);
	return 0;
}

int reconcile_wait_ms(const struct reconcile *r)
{
	if (r->active == NULL && !r->asked && !r->state_busy) {
		for (size_t i = 0; i < r->want_count; i++)
			if (!r->wants[i]->paused)
				return WAIT_MS;
		return -1;
	}
	return WAIT_MS;
}
