/* copy.c - which tables are copied, and what that means for streamed changes.
 *
 * Tables whose turn has not come have nothing copied, so all their changes lie ahead and are
 * dropped; those that are done let everything flow; in between fold.c decides by key.
 *
 * A row image that lacks columns (binlog_row_image is MINIMAL or NOBLOB in some session) cannot be
 * folded: the window it falls into is given up and its rows are read again, after some times in a
 * way that needs no folding (copy_place.c). It flows where its table is copied already.
 *
 * A change whose table has another key than before ends what was copied so far: it is answered with
 * an op t, and the copy begins anew. */
#include "cdc/copy/copy_priv.h"

#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdlib.h>

int copy_new(const struct settings *settings, struct copy **ret_copy, struct err *e)
{
	struct copy *c = xcalloc(1, sizeof(*c));

	c->settings = settings;
	c->lane_count = (size_t)settings->copy_connections;
	c->lanes = xcalloc(c->lane_count, sizeof(*c->lanes));
	c->bytes_max = (size_t)settings->capture_memory / 4 / c->lane_count;
	c->collator = collator_new(settings);
	if (db_watch_open(settings, settings->copy_max_load > 0, &c->watch, e) < 0) {
		copy_free(c);
		return -1;
	}
	*ret_copy = c;
	return 0;
}

static void work_free(struct copy_work *work)
{
	if (work == NULL)
		return;
	fold_free(work->fold);
	key_border_done(&work->low);
	key_border_done(&work->edge);
	buf_done(&work->key_names);
	free(work->last_key);
	free(work);
}

static void table_free(struct copy_table *t)
{
	work_free(t->work);
	shape_unref(t->shape);
	free(t->name);
	free(t);
}

static void lane_done(struct copy_lane *lane)
{
	chunk_reader_close(lane->reader);
	chunk_free(lane->chunk);
	shape_unref(lane->fold_shape);
	key_border_done(&lane->low);
	key_border_done(&lane->high);
}

void copy_free(struct copy *c)
{
	struct copy_seen *seen, *next;

	if (c == NULL)
		return;
	for (size_t i = 0; i < c->lane_count; i++)
		lane_done(&c->lanes[i]);
	free(c->lanes);
	chunk_reader_close(c->exact.reader);
	chunk_free(c->exact.chunk);
	db_watch_close(c->watch);
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
	buf_done(&c->before_key);
	buf_done(&c->after_key);
	free(c->chunk_name);
	free(c->cells);
	free(c->key_cells);
	free(c->positions);
	free(c->status);
	free(c->copying);
	free(c);
}

/* ---- tables --------------------------------------------------------------------------------- */

static struct copy_table *add_table(struct copy *c, struct shape *shape)
{
	struct copy_table *t = xcalloc(1, sizeof(*t));

	t->name = xasprintf("%s.%s", shape->db, shape->table);
	t->work = xcalloc(1, sizeof(*t->work));
	t->work->fold = fold_new();
	t->shape = shape_ref(shape);
	t->transactional = true;
	t->work->chunk_rows = c->settings->copy_chunk_rows;
	if (c->table_count == c->table_capacity) {
		c->table_capacity = c->table_capacity * 2 + 8;
		c->tables = xrealloc(c->tables, c->table_capacity * sizeof(struct copy_table *));
	}
	c->tables[c->table_count++] = t;
	HASH_ADD_KEYPTR(hh, c->by_name, t->name, strlen(t->name), t);
	return t;
}

struct copy_table *copy_find(const struct copy *c, const char *db, const char *table)
{
	char *name = xasprintf("%s.%s", db, table);
	struct copy_table *t;

	HASH_FIND_STR(c->by_name, name, t);
	free(name);
	return t;
}

void copy_set_done(struct copy *c, struct copy_table *t)
{
	work_free(t->work);
	t->work = NULL;
	c->done_count++;
}

/* The names of the key columns stand behind its literals, so that a key that was changed while
 * nobody looked is noticed. */
static void point_last_key(struct copy_table *t)
{
	struct copy_work *work = t->work;
	const char *literal = (const char *)work->low.literals.data;
	size_t i = 0;

	buf_reset(&work->key_names);
	key_order_list(t->shape, &work->key_names);
	work->last_key = xrealloc(work->last_key,
				  (t->shape->key_count + 1u) * sizeof(*work->last_key));
	for (; i < t->shape->key_count; i++) {
		work->last_key[i] = literal;
		literal += strlen(literal) + 1;
	}
	work->last_key[i] = buf_cstr(&work->key_names);
}

void copy_set_low(struct copy_table *t, const struct key_border *low)
{
	key_border_copy(&t->work->low, low);
	t->work->has_low = true;
	point_last_key(t);
}

/* Older positions lack the names. */
static bool same_key_names(const struct copy_table *t, const struct position_copy *from)
{
	struct buf names = BUF_INIT;
	bool same;

	if (from->last_key.count != t->shape->key_count + 1u)
		return from->last_key.count == t->shape->key_count;
	key_order_list(t->shape, &names);
	same = strcmp(from->last_key.items[t->shape->key_count], buf_cstr(&names)) == 0;
	buf_done(&names);
	return same;
}

static int resume(struct copy *c, struct copy_table *t, const struct position_copy *from,
		  struct err *e)
{
	struct key_border low = { BUF_INIT, BUF_INIT };
	struct err failure = ERR_INIT;
	int rc = 0;

	t->chunks = from->chunks;
	t->rows = from->rows;
	if (from->last_key.count == 0) {
		t->restart = t->chunks > 0; /* cdc/delivery/delivery_tail.c */
		return 0;
	}
	if (!same_key_names(t, from) ||
	    key_border_from_literals(t->shape, from->last_key.items, t->shape->key_count,
				     collator_weigher(c->collator), &low, &failure) < 0) {
		if (failure.kind != ERR_NONE && failure.kind != ERR_DATA) {
			*e = failure;
			rc = -1;
		} else {
			log_warning("copy", "%s: its key was changed, its copy begins anew",
				    t->name);
			t->restart = true;
		}
	} else {
		fold_resume(t->work->fold, buf_slice(&low.key));
		copy_set_low(t, &low);
		key_border_copy(&t->work->edge, &low);
		t->work->has_edge = true;
	}
	key_border_done(&low);
	return rc;
}

int copy_table(struct copy *c, struct shape *shape, const struct copy_source *source,
	       const struct position_copy *from, bool done, struct err *e)
{
	struct copy_table *t = add_table(c, shape);

	t->rows_estimate = source->rows_estimate;
	t->transactional = source->transactional;
	t->paused = from != NULL && from->paused;
	if (from != NULL ? from->done : done) {
		t->chunks = from != NULL ? from->chunks : 0;
		t->rows = from != NULL ? from->rows : 0;
		copy_set_done(c, t);
		return 0;
	}
	if (shape->key_count > KEY_PARTS_MAX) {
		err_config(e, "table %s cannot be copied: %s", t->name, key_refused(shape));
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

size_t copy_table_count(const struct copy *c)
{
	return c->table_count;
}

void copy_begin_anew(struct copy *c, struct copy_table *t, struct shape *shape)
{
	struct fold_window *w;

	while ((w = fold_first(t->work->fold)) != NULL)
		copy_lane_give_up(c, fold_owner(w));
	for (size_t i = 0; i < c->lane_count; i++) {
		struct copy_lane *lane = &c->lanes[i];

		if (lane->table != t)
			continue;
		if (lane->state == LANE_BORDER_ASKED)
			lane->state = LANE_DISCARD;
		if (lane->state == LANE_REKEYED)
			copy_lane_free(lane);
	}
	copy_exact_give_up(c, t);
	t->work->asking = NULL;
	fold_restart(t->work->fold);
	t->work->has_low = t->work->has_edge = t->work->edge_end = t->restart = false;
	key_border_reset(&t->work->low);
	key_border_reset(&t->work->edge);
	t->rows = t->work->rows_at_start = 0;
	t->work->started_us = 0;
	if (shape != NULL && shape != t->shape) {
		shape_unref(t->shape);
		t->shape = shape_ref(shape);
	}
}

/* Whatever comes into the table from here on is in the stream. */
bool copy_emptied(struct copy *c, const char *db, const char *table)
{
	struct copy_table *t = copy_find(c, db, table);

	if (t == NULL || copy_is_done(t))
		return false;
	copy_begin_anew(c, t, NULL);
	copy_set_done(c, t);
	return true;
}

/* ---- streamed changes ----------------------------------------------------------------------- */

void copy_created(struct copy *c, const char *db, const char *table)
{
	struct shape *shape = shape_new(db, table, 0);

	copy_set_done(c, add_table(c, shape));
	shape_unref(shape);
}

/* NULL: it is not known. */
static struct copy_table *table_of(struct copy *c, struct shape *shape)
{
	struct copy_table *t;
	struct copy_seen *seen;

	if (c->last != NULL && c->last->shape == shape)
		return c->last->table;
	HASH_FIND_PTR(c->seen, &shape, seen);
	if (seen == NULL) {
		t = copy_find(c, shape->db, shape->table);
		if (t == NULL)
			return NULL;
		seen = xcalloc(1, sizeof(*seen));
		seen->shape = shape_ref(shape);
		seen->table = t;
		HASH_ADD_PTR(c->seen, shape, seen);
	}
	c->last = seen;
	return seen->table;
}

/* A window's images must all have one shape, that of its chunk, and must not grow without end. Else
 * its rows are read again, in a smaller window. */
static void check_window(struct copy *c, struct copy_table *t, const struct slice *key,
			 const struct group_row *row)
{
	struct fold_window *w = key != NULL ? fold_find(t->work->fold, *key) : NULL;
	struct shape *shape = row->change.shape;
	struct copy_lane *lane;
	bool full = row->full;

	if (w == NULL)
		return;
	lane = fold_owner(w);
	if (lane->fold_shape == NULL)
		lane->fold_shape = shape_ref(shape);
	if (lane->exact) /* before its snapshot, unless that doesn't say so */
		full = !row->prepared;
	else
		t->work->partial += !full;
	if (full && fold_bytes(w) <= c->bytes_max &&
	    (lane->fold_shape == shape || shape_equal(lane->fold_shape, shape)))
		return;
	if (row->full)
		copy_shrink(t);
	copy_lane_give_up(c, lane);
}

/* Key columns that the image behind the change lacks did not change. */
static void complete_key(struct copy *c, struct change *change)
{
	const struct shape *shape = change->shape;

	if (change->before == NULL || change->after == NULL)
		return;
	if (c->key_cells == NULL)
		c->key_cells = xcalloc(SHAPE_COLUMNS_MAX, sizeof(*c->key_cells));
	memcpy(c->key_cells, change->after, shape->column_count * sizeof(*c->key_cells));
	for (size_t i = 0; i < shape->key_count; i++)
		if (c->key_cells[shape->key[i]].state == CELL_ABSENT)
			c->key_cells[shape->key[i]] = change->before[shape->key[i]];
	change->after = c->key_cells;
}

static int row_keys(struct copy *c, const struct change *change, struct err *e)
{
	buf_reset(&c->before_key);
	buf_reset(&c->after_key);
	if (change->before != NULL &&
	    key_from_cells(change->shape, change->before, collator_weigher(c->collator),
			   &c->before_key, e) < 0)
		return -1;
	return change->after == NULL
		       ? 0
		       : key_from_cells(change->shape, change->after, collator_weigher(c->collator),
					&c->after_key, e);
}

/* Takes back what was delivered: the change becomes an op t. Its own row lies ahead now. */
static int begin_anew(struct copy *c, struct copy_table *t, struct group_row *row, const char *why)
{
	bool delivered = t->work->has_low;

	log_warning("copy", "%s: %s: its copy begins anew", t->name, why);
	copy_begin_anew(c, t, row->change.shape);
	if (!delivered)
		return 0;
	row->change.op = CHANGE_TRUNCATE;
	row->change.before = row->change.after = NULL;
	return 1;
}

static int fold_row(struct copy *c, struct copy_table *t, struct group_row *row, struct err *e)
{
	struct change *change = &row->change;
	struct slice before, after;

	if (fold_first(t->work->fold) == NULL && !t->work->has_low)
		return 0; /* nothing of it is copied yet */
	if (!key_equal_columns(t->shape, change->shape))
		return begin_anew(c, t, row, "its key was changed");
	if (row_keys(c, change, e) < 0)
		return -1;
	before = buf_slice(&c->before_key);
	after = buf_slice(&c->after_key);
	check_window(c, t, change->before != NULL ? &before : NULL, row);
	check_window(c, t, change->after != NULL ? &after : NULL, row);
	switch (fold_change(t->work->fold, change->before != NULL ? &before : NULL,
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
		if (!row->full)
			return begin_anew(c, t, row,
					  "a row of which the binlog has a part came among those "
					  "that are copied (binlog_row_image is not FULL)");
		change->op = CHANGE_CREATE;
		change->before = NULL;
		return 1;
	}
	return 0;
}

int copy_change(struct copy *c, struct group_row *row, struct err *e)
{
	struct copy_table *t = table_of(c, row->change.shape);

	if (t == NULL)
		return COPY_UNKNOWN;
	if (!row->full)
		complete_key(c, &row->change);
	if (copy_is_done(t))
		return 1;
	if (t->shape->key_count == 0) {
		copy_exact_change(c, t, row->prepared);
		return 0; /* before its snapshot */
	}
	return fold_row(c, t, row, e);
}
