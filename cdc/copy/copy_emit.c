/* copy_emit.c - a chunk, a whole table, or "it is empty now", as changes. */
#include "cdc/copy/copy_priv.h"

#include "core/base/log.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

struct emitting {
	struct copy *copy;
	const char *table;
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
	if ((int64_t)image.size > emitting->copy->settings->capture_memory)
		log_warning("copy",
			    "%s, %s: a row of %zu bytes is larger than capture.memory (%" PRId64
			    "): it takes up to twice its size beside it",
			    emitting->table, emitting->change.transaction, image.size,
			    emitting->copy->settings->capture_memory);
	if (row_split(&in, emitting->change.shape, all, emitting->copy->cells, e) < 0)
		return -1;
	if (!rd_end(&in))
		return err_data(e, "copy of %s: a row image does not fit the table",
				emitting->table);
	emitting->change.order++;
	return emitting->deliver(emitting->context, &emitting->change, e);
}

const char *copy_chunk_name(const struct copy *c)
{
	return c->chunk_name;
}

bool copy_is_whole(const struct copy *c)
{
	return c->ready_table != NULL && c->ready_table == c->exact.table;
}

int copy_too_long(const struct copy *c, struct err *e)
{
	err_config(e, "table %s has no key, and its rows don't fit into one Kafka transaction",
		   c->ready_table->name);
	return err_hint(e, "Raise kafka.transaction.timeout.ms, and on the brokers "
			   "transaction.max.timeout.ms; or give the table a primary key.");
}

static void name_chunk(struct copy *c, struct copy_table *t)
{
	free(c->chunk_name);
	c->chunk_name = xasprintf("snapshot:%s:%lld", t->name, (long long)++t->chunks);
}

/* The shape that all chunks of the table share while it does not change, so that plans are found by
 * pointer. */
static void take_shape(struct copy *c, struct copy_table *t, const struct chunk *chunk)
{
	if (t->shape != chunk->shape && !shape_equal(t->shape, chunk->shape)) {
		shape_unref(t->shape);
		t->shape = shape_ref(chunk->shape);
	}
	c->cells = xrealloc(c->cells, (t->shape->column_count + 1u) * sizeof(*c->cells));
}

static struct fold_select *selection(const struct chunk *chunk)
{
	struct fold_select *rows = xcalloc(chunk->row_count + 1, sizeof(*rows));

	for (size_t i = 0; i < chunk->row_count; i++)
		rows[i] = (struct fold_select){ chunk_key(chunk, i), chunk_image(chunk, i) };
	return rows;
}

static int emit_chunk(struct copy *c, struct emitting *emitting, struct err *e)
{
	struct copy_lane *lane = c->ready_lane;
	struct copy_table *t = lane->table;
	struct fold_select *rows = selection(lane->chunk);
	int rc;

	if (lane->exact) /* the snapshot has it all */
		fold_clear(lane->window);
	rc = fold_merge(t->work->fold, rows, lane->chunk->row_count, emit_row, emitting, e);

	free(rows);
	if (rc < 0)
		return -1;
	t->rows += emitting->change.order;
	copy_place_emitted(lane);
	if (lane->has_high)
		copy_set_low(t, &lane->high);
	fold_close(t->work->fold);
	if (fold_done(t->work->fold))
		copy_set_done(c, t);
	copy_lane_free(lane);
	return 0;
}

static int emit_whole(struct copy *c, struct emitting *emitting, struct err *e)
{
	struct copy_table *t = c->ready_table;
	struct slice image;
	int rc;

	while ((rc = spool_next(c->exact.chunk->spool, &image, e)) == 1)
		if (emit_row(emitting, image, false, e) < 0)
			return -1;
	if (rc < 0)
		return -1;
	t->rows = emitting->change.order;
	copy_set_done(c, t);
	copy_exact_done(c);
	return 0;
}

static int emit_empty(struct copy *c, struct copy_table *t, struct shape *shape,
		      struct emitting *emitting, struct err *e)
{
	struct shape *kept = shape_ref(shape);
	int rc;

	copy_begin_anew(c, t, kept);
	emitting->change.op = CHANGE_TRUNCATE;
	emitting->change.shape = kept;
	emitting->change.after = NULL;
	emitting->change.order = 1;
	rc = collator_prepare(c->collator, kept, e);
	if (rc == 0)
		rc = emitting->deliver(emitting->context, &emitting->change, e);
	shape_unref(kept);
	return rc;
}

int copy_emit(struct copy *c, int64_t commit_us,
	      int (*deliver)(void *context, const struct change *change, struct err *e),
	      void *context, const char **ret_ended, struct err *e)
{
	struct emitting emitting = { .copy = c, .deliver = deliver, .context = context };
	struct copy_lane *lane = c->ready_lane;
	struct copy_table *t = lane != NULL ? lane->table : c->ready_table;
	struct chunk *chunk = lane != NULL ? lane->chunk : copy_is_whole(c) ? c->exact.chunk : NULL;
	bool empty = chunk == NULL || chunk->rekeyed;
	int rc;

	if (!empty)
		take_shape(c, t, chunk);
	name_chunk(c, t);
	emitting.table = t->name;
	emitting.change = (struct change){ .op = CHANGE_READ,
					   .shape = t->shape,
					   .after = c->cells,
					   .transaction = c->chunk_name,
					   .commit_us = commit_us };
	if (empty)
		rc = emit_empty(c, t, chunk != NULL ? chunk->shape : t->shape, &emitting, e);
	else
		rc = lane != NULL ? emit_chunk(c, &emitting, e) : emit_whole(c, &emitting, e);
	c->ready_lane = NULL;
	c->ready_table = NULL;
	if (rc < 0)
		return err_wrap(e, "copy of %s", t->name);
	*ret_ended = copy_is_done(t) ? t->name : NULL;
	return 0;
}
