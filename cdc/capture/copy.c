/* copy.c - which table is copied, which step comes next, and what that means for streamed changes.
 *
 *   BORDER_WANTED -> BORDER_ASKED -> BORDER_KNOWN -> READING -> READ -> (emit) -> BORDER_KNOWN ...
 *         ^                                             |        |
 *         +------------------ PAUSED <------------------+--------+
 *
 * until the chunk with the open end is emitted. PAUSED: a read failed. Straight back to
 * BORDER_WANTED: the fold grew too large, or the table was altered meanwhile.
 *
 * A window is opened between two source transactions, with the stream's position as what the
 * snapshot must see. Until its chunk is emitted, changes to its keys are folded (fold.c). A window
 * that is given up costs nothing but the read: its keys lie ahead again.
 *
 * Tables whose turn has not come have nothing copied, so all their changes lie ahead and are
 * dropped; those that are done let everything flow. */
#include "cdc/capture/copy_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#include <stdlib.h>

#define FAILURES_MAX 8
#define PAUSE_US 200000
#define WAIT_MS 5
#define CHUNK_ROWS_MIN 10

int copy_new(const struct settings *settings, struct copy **ret_copy, struct err *e)
{
	struct copy *c = xcalloc(1, sizeof(*c));

	c->settings = settings;
	c->chunk_rows = settings->copy_chunk_rows;
	c->bytes_max = (size_t)settings->capture_memory / 4;
	c->collator = collator_new(settings);
	if (chunk_reader_open(settings, &c->reader, e) < 0) {
		collator_free(c->collator);
		free(c);
		return -1;
	}
	*ret_copy = c;
	return 0;
}

static void table_free(struct copy_table *t)
{
	free(t->db);
	free(t->table);
	free(t->name);
	fold_free(t->fold);
	shape_unref(t->shape);
	key_border_done(&t->low);
	free(t->last_key);
	free(t);
}

void copy_free(struct copy *c)
{
	struct copy_seen *seen, *next;

	if (c == NULL)
		return;
	chunk_reader_close(c->reader);
	collator_free(c->collator);
	HASH_ITER(hh, c->seen, seen, next)
	{
		HASH_DEL(c->seen, seen);
		shape_unref(seen->shape);
		free(seen);
	}
	HASH_CLEAR(hh, c->by_name);
	for (size_t i = 0; i < c->table_count; i++)
		table_free(c->tables[i]);
	free(c->tables);
	chunk_free(c->chunk);
	shape_unref(c->fold_shape);
	key_border_done(&c->border);
	buf_done(&c->before_key);
	buf_done(&c->after_key);
	free(c->chunk_name);
	free(c->cells);
	free(c->positions);
	free(c->status);
	free(c->copying);
	free(c);
}

/* ---- tables --------------------------------------------------------------------------------- */

static struct copy_table *add_table(struct copy *c, const char *db, const char *table)
{
	struct copy_table *t = xcalloc(1, sizeof(*t));

	t->db = xstrdup(db);
	t->table = xstrdup(table);
	t->name = xasprintf("%s.%s", db, table);
	t->fold = fold_new();
	if (c->table_count == c->table_capacity) {
		c->table_capacity = c->table_capacity * 2 + 8;
		c->tables = xrealloc(c->tables, c->table_capacity * sizeof(struct copy_table *));
	}
	c->tables[c->table_count++] = t;
	HASH_ADD_KEYPTR(hh, c->by_name, t->name, strlen(t->name), t);
	return t;
}

static void set_done(struct copy *c, struct copy_table *t)
{
	fold_set_done(t->fold);
	c->done_count++;
}

static void point_literals(struct copy_table *t)
{
	const char *literal = (const char *)t->low.literals.data;

	t->last_key = xrealloc(t->last_key, (t->shape->key_count + 1u) * sizeof(*t->last_key));
	for (size_t i = 0; i < t->shape->key_count && t->low.literals.size > 0; i++) {
		t->last_key[i] = literal;
		literal += strlen(literal) + 1;
	}
}

static int resume(struct copy *c, struct copy_table *t, const struct position_copy *from,
		  struct err *e)
{
	t->chunks = from->chunks;
	t->rows = from->rows;
	if (from->last_key.count == 0)
		return 0;
	if (key_border_from_literals(t->shape, from->last_key.items, from->last_key.count,
				     collator_weigher(c->collator), &t->low, e) < 0)
		return -1;
	fold_resume(t->fold, buf_slice(&t->low.key));
	point_literals(t);
	return 0;
}

int copy_table(struct copy *c, struct shape *shape, int64_t rows_estimate,
	       const struct position_copy *from, bool done, struct err *e)
{
	struct copy_table *t = add_table(c, shape->db, shape->table);
	const char *refused = key_refused(shape);

	t->shape = shape_ref(shape);
	t->rows_estimate = rows_estimate;
	if (from != NULL ? from->done : done) {
		t->chunks = from != NULL ? from->chunks : 0;
		t->rows = from != NULL ? from->rows : 0;
		set_done(c, t);
		return 0;
	}
	if (refused != NULL) {
		err_config(e, "table %s cannot be copied: %s", t->name, refused);
		return err_hint(e, "Leave it out of capture.tables, or set source.start = now and "
				   "begin without a copy.");
	}
	if (collator_prepare(c->collator, shape, e) < 0)
		return -1;
	return from != NULL ? resume(c, t, from, e) : 0;
}

bool copy_all_done(const struct copy *c)
{
	return c->done_count == c->table_count;
}

/* ---- streamed changes ----------------------------------------------------------------------- */

static void give_up(struct copy *c)
{
	fold_abandon(c->active->fold);
	shape_unref(c->fold_shape);
	c->fold_shape = NULL;
	c->discard = c->state == COPY_READING;
	chunk_free(c->chunk);
	c->chunk = NULL;
	c->state = c->discard ? COPY_READING : COPY_BORDER_WANTED;
}

static struct copy_table *table_of(struct copy *c, struct shape *shape)
{
	struct copy_table *t;
	struct copy_seen *seen;
	char *name;

	if (c->last != NULL && c->last->shape == shape)
		return c->last->table;
	HASH_FIND_PTR(c->seen, &shape, seen);
	if (seen == NULL) {
		name = xasprintf("%s.%s", shape->db, shape->table);
		HASH_FIND_STR(c->by_name, name, t);
		free(name);
		if (t == NULL) {
			t = add_table(c, shape->db, shape->table);
			t->shape = shape_ref(shape);
			set_done(c, t);
		}
		seen = xcalloc(1, sizeof(*seen));
		seen->shape = shape_ref(shape);
		seen->table = t;
		HASH_ADD_PTR(c->seen, shape, seen);
	}
	c->last = seen;
	return seen->table;
}

/* The window's images must all have one shape, that of the chunk: else it is read again. */
static void check_window(struct copy *c, struct copy_table *t, struct shape *shape)
{
	if (t != c->active || !fold_is_open(t->fold))
		return;
	if (c->fold_shape == NULL)
		c->fold_shape = shape_ref(shape);
	if (c->fold_shape != shape && !shape_equal(c->fold_shape, shape))
		give_up(c);
	else if (fold_bytes(t->fold) > c->bytes_max)
		give_up(c); /* too much changes while a chunk is read: a smaller one */
}

static int fold_row(struct copy *c, struct copy_table *t, struct group_row *row, struct err *e)
{
	struct change *change = &row->change;
	struct slice before, after;

	if (!fold_is_open(t->fold) && !fold_low(t->fold, &before))
		return 0; /* nothing of it is copied yet */
	if (!key_equal_columns(t->shape, change->shape))
		return err_data(e, "the primary key of %s changed while the table is copied",
				t->name);
	if (!row->full) {
		err_data(e, "table %s: a row image lacks columns while the table is copied",
			 t->name);
		return err_hint(e, "Every session must write with binlog_row_image=FULL until the "
				   "copy has ended.");
	}
	buf_reset(&c->before_key);
	buf_reset(&c->after_key);
	if ((change->before != NULL &&
	     key_from_cells(change->shape, change->before, collator_weigher(c->collator),
			    &c->before_key, e) < 0) ||
	    (change->after != NULL &&
	     key_from_cells(change->shape, change->after, collator_weigher(c->collator),
			    &c->after_key, e) < 0))
		return -1;
	check_window(c, t, change->shape);
	before = buf_slice(&c->before_key);
	after = buf_slice(&c->after_key);
	switch (fold_change(t->fold, change->before != NULL ? &before : NULL,
			    change->after != NULL ? &after : NULL, row->after_image)) {
	case FOLD_FLOW:
		return 1;
	case FOLD_DROP:
		return 0;
	case FOLD_AS_DELETE:
		change->op = CHANGE_DELETE;
		change->after = NULL;
		return 1;
	case FOLD_AS_CREATE:
		change->op = CHANGE_CREATE;
		change->before = NULL;
		return 1;
	}
	return 0;
}

int copy_change(struct copy *c, struct group_row *row, struct err *e)
{
	struct copy_table *t = table_of(c, row->change.shape);

	return fold_done(t->fold) ? 1 : fold_row(c, t, row, e);
}

bool copy_emptied(struct copy *c, const char *db, const char *table)
{
	struct copy_table *t = c->active;

	if (t != NULL && strcmp(t->db, db) == 0 && strcmp(t->table, table) == 0 &&
	    fold_is_open(t->fold))
		give_up(c);
	return copy_is_copying(c, db, table);
}

/* ---- steps ---------------------------------------------------------------------------------- */

static struct copy_table *next_table(struct copy *c)
{
	for (size_t i = 0; i < c->table_count; i++)
		if (!fold_done(c->tables[i]->fold))
			return c->tables[i];
	return NULL;
}

static void ask(struct copy *c, const struct copy_place *place, bool bound_only)
{
	struct chunk_request request = {
		.db = c->active->db,
		.table = c->active->table,
		.bound_only = bound_only,
		.low = c->active->low.literals.size > 0 ? &c->active->low : NULL,
		.high = !bound_only && c->has_border ? &c->border : NULL,
		.key_shape = c->active->shape,
		.collator = c->collator,
		.rows = c->chunk_rows,
		.bytes_max = c->bytes_max,
		.seen = place->gtid_set,
		.seen_file = place->file,
		.seen_position = place->position,
	};

	chunk_request(c->reader, &request);
}

static void set_border(struct copy *c, bool has, const struct key_border *border)
{
	c->has_border = has;
	key_border_copy(&c->border, border);
	c->state = COPY_BORDER_KNOWN;
}

static void open_window(struct copy *c, const struct copy_place *place)
{
	struct slice border = buf_slice(&c->border.key);

	if (!BUG(low_mark))
		fold_open(c->active->fold, c->has_border ? &border : NULL);
	if (c->active->started_us == 0) {
		c->active->started_us = clock_monotonic_us();
		c->active->rows_at_start = c->active->rows;
	}
	ask(c, place, false);
	c->state = COPY_READING;
	FAULT(window_open);
}

/* Fewer rows next time: a failed read was perhaps too long, a large fold needs a shorter window. */
static void shrink(struct copy *c)
{
	c->chunk_rows = c->chunk_rows / 2 > CHUNK_ROWS_MIN ? c->chunk_rows / 2 : CHUNK_ROWS_MIN;
}

static int read_failed(struct copy *c, struct err *failure, struct err *e)
{
	if (failure->kind != ERR_RETRY || ++c->failures > FAILURES_MAX) {
		*e = *failure;
		return err_wrap(e, "copy of %s", c->active->name);
	}
	c->discard = false;
	if (c->state == COPY_READING)
		give_up(c);
	c->discard = false;
	shrink(c);
	c->state = COPY_PAUSED;
	c->retry_us = clock_monotonic_us() + (PAUSE_US << (c->failures < 5 ? c->failures : 5));
	return 0;
}

static void chunk_came(struct copy *c, struct chunk *chunk)
{
	c->failures = 0;
	if (c->state == COPY_BORDER_ASKED) {
		set_border(c, chunk->has_next, &chunk->next);
		chunk_free(chunk);
	} else if (c->discard) {
		c->discard = false;
		shrink(c);
		chunk_free(chunk);
		c->state = COPY_BORDER_WANTED;
	} else {
		struct slice border = buf_slice(&c->border.key);

		c->chunk = chunk;
		if (BUG(low_mark))
			fold_open(c->active->fold, c->has_border ? &border : NULL);
		if (chunk->cut)
			fold_narrow(c->active->fold, buf_slice(&chunk->high.key));
		c->state = COPY_READ;
		FAULT(chunk_read);
	}
}

static int poll_reader(struct copy *c, struct err *e)
{
	struct err failure = ERR_INIT;
	struct chunk *chunk = NULL;
	int rc = chunk_poll(c->reader, &chunk, &failure);

	if (rc < 0)
		return read_failed(c, &failure, e);
	if (rc > 0)
		chunk_came(c, chunk);
	return 0;
}

static bool ready(struct copy *c, const struct copy_place *place)
{
	if (c->state != COPY_READ || !gtid_set_contains_set(place->gtid_set, &c->chunk->point))
		return false;
	if (c->fold_shape != NULL && !shape_equal(c->fold_shape, c->chunk->shape)) {
		give_up(c);
		return false;
	}
	return true;
}

int copy_step(struct copy *c, const struct copy_place *place, struct err *e)
{
	if (c->active == NULL) {
		c->active = next_table(c);
		c->state = COPY_BORDER_WANTED;
		if (c->active == NULL)
			return 0;
	}
	switch (c->state) {
	case COPY_PAUSED:
		if (clock_monotonic_us() < c->retry_us)
			return 0;
		c->state = COPY_BORDER_WANTED;
		return 0;
	case COPY_BORDER_WANTED:
		ask(c, place, true);
		c->state = COPY_BORDER_ASKED;
		return 0;
	case COPY_BORDER_KNOWN:
		open_window(c, place);
		return 0;
	case COPY_BORDER_ASKED:
	case COPY_READING:
		return poll_reader(c, e);
	case COPY_READ:
		return ready(c, place);
	}
	return 0;
}

int copy_wait_ms(const struct copy *c)
{
	return copy_all_done(c) ? -1 : WAIT_MS;
}

/* ---- the chunk ------------------------------------------------------------------------------ */

struct emitting {
	struct copy *copy;
	struct change change;
	int (*deliver)(void *context, const struct change *change, struct err *e);
	void *context;
};

static int emit_row(void *context, struct slice image, bool folded, void *error)
{
	static const uint8_t all[SHAPE_COLUMNS_MAX / 8] = { [0 ... SHAPE_COLUMNS_MAX / 8 - 1] =
								    0xff };
	struct emitting *emitting = context;
	struct rd in = rd_from(image);
	struct err *e = error;

	(void)folded; /* a folded image and a selected one are alike */
	if (row_split(&in, emitting->change.shape, all, emitting->copy->cells, e) < 0)
		return -1;
	if (!rd_end(&in))
		return err_data(e, "copy of %s: a row image does not fit the table",
				emitting->copy->active->name);
	emitting->change.order++;
	return emitting->deliver(emitting->context, &emitting->change, e);
}

const char *copy_chunk_name(const struct copy *c)
{
	return c->chunk_name;
}

static void name_chunk(struct copy *c)
{
	free(c->chunk_name);
	c->chunk_name =
		xasprintf("snapshot:%s:%lld", c->active->name, (long long)c->active->chunks + 1);
}

/* The shape that all chunks of the table share while it does not change, so that plans are found by
 * pointer. */
static void take_shape(struct copy *c)
{
	struct copy_table *t = c->active;

	if (!shape_equal(t->shape, c->chunk->shape)) {
		shape_unref(t->shape);
		t->shape = shape_ref(c->chunk->shape);
	}
	c->cells = xrealloc(c->cells, t->shape->column_count * sizeof(*c->cells));
}

static struct fold_select *selection(const struct chunk *chunk)
{
	struct fold_select *rows = xcalloc(chunk->row_count + 1, sizeof(*rows));

	for (size_t i = 0; i < chunk->row_count; i++)
		rows[i] = (struct fold_select){ chunk_key(chunk, i), chunk_image(chunk, i) };
	return rows;
}

/* The next chunk's border came with this one, unless this one was cut. */
static void advance(struct copy *c, int64_t rows)
{
	struct copy_table *t = c->active;

	fold_close(t->fold);
	t->chunks++;
	t->rows += rows;
	if (!fold_done(t->fold)) {
		key_border_copy(&t->low, c->chunk->cut ? &c->chunk->high : &c->border);
		point_literals(t);
	}
	shape_unref(c->fold_shape);
	c->fold_shape = NULL;
	if (fold_done(t->fold)) {
		c->done_count++;
		c->active = NULL;
	} else if (c->chunk->cut) {
		int64_t fit = (int64_t)c->chunk->row_count * 3 / 4;

		c->chunk_rows = fit > CHUNK_ROWS_MIN ? fit : CHUNK_ROWS_MIN;
		c->state = COPY_BORDER_WANTED;
	} else {
		set_border(c, c->chunk->has_next, &c->chunk->next);
	}
	chunk_free(c->chunk);
	c->chunk = NULL;
}

int copy_emit(struct copy *c, int64_t commit_us,
	      int (*deliver)(void *context, const struct change *change, struct err *e),
	      void *context, const char **ret_ended, struct err *e)
{
	struct emitting emitting = { .copy = c, .deliver = deliver, .context = context };
	struct copy_table *t = c->active;
	struct fold_select *rows;
	int rc;

	take_shape(c);
	name_chunk(c);
	emitting.change = (struct change){ .op = CHANGE_READ,
					   .shape = t->shape,
					   .after = c->cells,
					   .transaction = c->chunk_name,
					   .commit_us = commit_us };
	rows = selection(c->chunk);
	rc = fold_merge(t->fold, rows, c->chunk->row_count, emit_row, &emitting, e);
	free(rows);
	if (rc < 0)
		return err_wrap(e, "copy of %s", t->name);
	advance(c, emitting.change.order);
	*ret_ended = fold_done(t->fold) ? t->name : NULL;
	return 0;
}
