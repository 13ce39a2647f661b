/* copy_step.c - what each connection reads next.
 *
 * Every connection is a lane of its own:
 *
 *   FREE -> BORDER_ASKED -> READING -> READ -> (emitted) -> FREE
 *              |   |           |        |
 *              |   |           +--------+--> given up: DISCARD (the answer is still to come) ->
 * FREE |   +--> REKEYED -> (op t emitted) -> FREE
 *              +--> failed -> FREE, and the table rests for a while
 *
 * A lane takes the first table that has something left to read: behind the table's last window it
 * asks for a border, opens a window up to there and reads it. So several windows of one table may
 * be open, and tables overlap too; what is read waits for its turn, as the windows of a table are
 * closed from the first to the last. Only one lane asks for a table's border at a time.
 *
 * A window is opened between two source transactions, with the stream's position as what the
 * snapshot must see. Until its chunk is emitted, changes to its keys are folded (fold.c). A window
 * that is given up costs nothing but the read: its keys lie ahead again, and so do those of the
 * windows behind it.
 *
 * How many rows a chunk has follows from how long the last one took. */
#include "cdc/copy/copy_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define PAUSE_US 100000
#define REFUSED_MAX 6 /* the table may be gone: the stream will say so */
#define WAIT_MS 2
#define READ_LONG_US 300000 /* half as many rows */
#define READ_SHORT_US 120000

void copy_shrink(struct copy_table *t)
{
	int64_t half = t->work->chunk_rows / 2;

	t->work->chunk_rows = half > COPY_ROWS_MIN ? half : COPY_ROWS_MIN;
}

static void adapt(struct copy *c, struct copy_table *t, const struct chunk *chunk)
{
	int64_t most = c->settings->copy_chunk_rows, now = t->work->chunk_rows;
	int64_t more = now + now / 4 + 1;

	if (chunk->cut) {
		int64_t fit = (int64_t)chunk->row_count * 3 / 4;

		t->work->chunk_rows = fit > COPY_ROWS_MIN ? fit : COPY_ROWS_MIN;
	} else if (chunk->read_us > READ_LONG_US) {
		copy_shrink(t);
	} else if (chunk->read_us < READ_SHORT_US) {
		t->work->chunk_rows = more < most ? more : most;
	}
}

void copy_lane_free(struct copy_lane *lane)
{
	chunk_free(lane->chunk);
	lane->chunk = NULL;
	shape_unref(lane->fold_shape);
	lane->fold_shape = NULL;
	lane->window = NULL;
	lane->exact = false;
	lane->state = LANE_FREE;
	lane->table = NULL;
}

/* The table's last window. */
static void drop_last(struct copy_table *t)
{
	struct copy_lane *lane = fold_owner(fold_last(t->work->fold));
	bool reading = lane->state == LANE_READING;

	fold_abandon_last(t->work->fold);
	key_border_copy(&t->work->edge, &lane->low);
	t->work->has_edge = lane->has_low;
	t->work->edge_end = false;
	copy_lane_free(lane);
	if (reading) {
		lane->state = LANE_DISCARD;
		lane->table = t;
	}
}

static void drop_border(struct copy_table *t)
{
	if (t->work->asking == NULL)
		return;
	t->work->asking->state = LANE_DISCARD;
	t->work->asking = NULL;
}

void copy_lane_give_up(struct copy *c, struct copy_lane *lane)
{
	struct copy_table *t = lane->table;
	struct fold_window *window = lane->window;
	bool more = true;

	(void)c;
	drop_border(t); /* it begins where a window ended that goes away */
	while (more) {
		more = fold_last(t->work->fold) != window;
		drop_last(t);
	}
}

/* ---- asking --------------------------------------------------------------------------------- */

static void ask(struct copy *c, struct copy_lane *lane, const struct copy_place *place,
		bool bound_only)
{
	struct copy_table *t = lane->table;
	struct chunk_request request = {
		.db = t->shape->db,
		.table = t->shape->table,
		.bound_only = bound_only,
		.rows_only = true,
		.tell_place = lane->exact,
		.low = lane->has_low ? &lane->low : NULL,
		.high = !bound_only && lane->has_high ? &lane->high : NULL,
		.key_shape = t->shape,
		.collator = c->collator,
		.watch = c->watch,
		.rows = copy_pace_rows(c, t->work->chunk_rows),
		.bytes_max = c->bytes_max,
		.seen = place->gtid_set,
		.seen_file = place->file,
		.seen_position = place->position,
		.unsettled = place->unsettled,
	};

	chunk_request(lane->reader, &request);
}

static struct copy_table *next_table(struct copy *c)
{
	int64_t now = clock_monotonic_us();

	for (size_t i = 0; i < c->table_count; i++) {
		struct copy_table *t = c->tables[i];

		if (!copy_is_done(t) && !t->paused && !t->restart && t->shape->key_count > 0 &&
		    !t->work->edge_end && t->work->asking == NULL && now >= t->work->retry_us &&
		    !(copy_place_wanted(t) && fold_first(t->work->fold) != NULL))
			return t;
	}
	return NULL;
}

static int begin(struct copy *c, struct copy_lane *lane, const struct copy_place *place,
		 struct err *e)
{
	struct copy_table *t = copy_pace_allows(c) ? next_table(c) : NULL;

	if (t == NULL)
		return 0;
	if (lane->reader == NULL && chunk_reader_open(c->settings, &lane->reader, e) < 0)
		return -1;
	lane->table = t;
	lane->has_low = t->work->has_edge;
	key_border_copy(&lane->low, &t->work->edge);
	t->work->asking = lane;
	if (t->work->started_us == 0) {
		t->work->started_us = clock_monotonic_us();
		t->work->rows_at_start = t->rows;
	}
	ask(c, lane, place, true);
	lane->state = LANE_BORDER_ASKED;
	return 0;
}

static void open_window(struct copy *c, struct copy_lane *lane, const struct copy_place *place)
{
	struct copy_table *t = lane->table;
	struct slice high = buf_slice(&lane->high.key);

	lane->window = fold_open(t->work->fold, lane->has_high ? &high : NULL, lane);
	if (lane->has_high) {
		key_border_copy(&t->work->edge, &lane->high);
		t->work->has_edge = true;
	} else {
		t->work->edge_end = true;
	}
	t->work->asking = NULL;
	lane->exact = copy_place_wanted(t) && fold_first(t->work->fold) == lane->window;
	lane->file[0] = '\0';
	FAULT(window_open);
	ask(c, lane, place, false);
	lane->state = LANE_READING;
}

/* ---- answers -------------------------------------------------------------------------------- */

static int read_failed(struct copy *c, struct copy_lane *lane, struct err *failure, struct err *e)
{
	struct copy_table *t = lane->table;
	unsigned doubled;

	t->work->failures++;
	if ((failure->kind != ERR_RETRY && failure->kind != ERR_CONFIG) ||
	    t->work->failures > (failure->kind == ERR_RETRY ? COPY_FAILURES_MAX : REFUSED_MAX)) {
		*e = *failure;
		return err_wrap(e, "copy of %s", t->name);
	}
	log_debug("copy", "%s: %s", t->name, failure->msg);
	if (lane->state == LANE_READING) {
		copy_lane_give_up(c, lane);
	} else if (t->work->asking == lane) {
		t->work->asking = NULL;
	}
	copy_lane_free(lane); /* nothing is to come any more */
	copy_shrink(t);
	doubled = t->work->failures < 6 ? t->work->failures : 6;
	t->work->retry_us = clock_monotonic_us() + (PAUSE_US << doubled);
	return 0;
}

static void border_came(struct copy *c, struct copy_lane *lane, struct chunk *chunk,
			const struct copy_place *place)
{
	if (chunk->rekeyed) {
		lane->chunk = chunk;
		lane->state = LANE_REKEYED;
		return;
	}
	lane->has_high = chunk->has_next;
	key_border_copy(&lane->high, &chunk->next);
	chunk_free(chunk);
	open_window(c, lane, place);
}

/* A chunk that was cut: what lies behind it goes to other windows. */
static void narrow(struct copy *c, struct copy_lane *lane)
{
	struct copy_table *t = lane->table;

	drop_border(t);
	while (fold_last(t->work->fold) != lane->window)
		drop_last(t);
	fold_narrow(t->work->fold, lane->window, buf_slice(&lane->chunk->high.key));
	key_border_copy(&lane->high, &lane->chunk->high);
	lane->has_high = true;
	key_border_copy(&t->work->edge, &lane->high);
	t->work->has_edge = true;
	t->work->edge_end = false;
	(void)c;
}

static void chunk_came(struct copy *c, struct copy_lane *lane, struct chunk *chunk)
{
	struct copy_table *t = lane->table;

	t->work->failures = 0;
	if (chunk->rekeyed) {
		copy_lane_give_up(c, lane);
		lane->table = t;
		t->work->asking = lane; /* nobody else need find out */
		lane->chunk = chunk;
		lane->state = LANE_REKEYED;
		return;
	}
	FAULT(chunk_read);
	if (BUG(low_mark))
		fold_clear(lane->window);
	lane->chunk = chunk;
	lane->state = LANE_READ;
	copy_pace_read(c, (int64_t)chunk->row_count);
	adapt(c, t, chunk);
	if (chunk->cut)
		narrow(c, lane);
}

static int poll_reader(struct copy *c, struct copy_lane *lane, const struct copy_place *place,
		       struct err *e)
{
	struct err failure = ERR_INIT;
	struct chunk *chunk = NULL;
	int rc = chunk_poll(lane->reader, &chunk, &failure);

	if (rc == 0)
		return 0;
	if (lane->state == LANE_DISCARD) {
		chunk_free(chunk);
		copy_lane_free(lane);
		return 0;
	}
	if (rc < 0)
		return read_failed(c, lane, &failure, e);
	if (lane->state == LANE_BORDER_ASKED)
		border_came(c, lane, chunk, place);
	else
		chunk_came(c, lane, chunk);
	return 0;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static bool ready(struct copy *c, struct copy_lane *lane, const struct copy_place *place)
{
	struct copy_table *t = lane->table;

	if (lane->window != fold_first(t->work->fold))
		return false;
	if (lane->exact ? !copy_place_reached(lane, place)
			: !copy_passed(place, &lane->chunk->point))
		return false;
	if (lane->fold_shape != NULL && !shape_equal(lane->fold_shape, lane->chunk->shape)) {
		copy_lane_give_up(c, lane);
		return false;
	}
	return true;
}

static int lane_step(struct copy *c, struct copy_lane *lane, const struct copy_place *place,
		     struct err *e)
{
	switch (lane->state) {
	case LANE_FREE:
		return begin(c, lane, place, e);
	case LANE_READING:
		copy_place_learn(lane);
		return poll_reader(c, lane, place, e);
	case LANE_BORDER_ASKED:
	case LANE_DISCARD:
		return poll_reader(c, lane, place, e);
	case LANE_READ:
		return ready(c, lane, place);
	case LANE_REKEYED:
		return copy_passed(place, &lane->chunk->point);
	}
	return 0;
}

/* A table whose copy has to begin anew since before this session. */
static struct copy_table *restarting(struct copy *c)
{
	for (size_t i = 0; i < c->table_count; i++)
		if (c->tables[i]->restart && !copy_is_done(c->tables[i]))
			return c->tables[i];
	return NULL;
}

int copy_step(struct copy *c, const struct copy_place *place, struct err *e)
{
	int rc;

	copy_pace_report(c);
	c->ready_lane = NULL;
	c->ready_table = restarting(c);
	if (c->ready_table != NULL)
		return 1;
	rc = copy_exact_step(c, place, e);
	for (size_t i = 0; i < c->lane_count && rc == 0; i++) {
		rc = lane_step(c, &c->lanes[i], place, e);
		if (rc > 0)
			c->ready_lane = &c->lanes[i];
	}
	return rc;
}

int copy_wait_ms(const struct copy *c)
{
	return copy_all_done(c) ? -1 : WAIT_MS;
}
