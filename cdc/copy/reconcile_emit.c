/* reconcile_emit.c - a chunk against the delivered state: what differs, as changes.
 *
 * Both come in key order and are merged. A row that only the state has is gone, one that only the
 * chunk has is new, and where both have it their cells are compared byte for byte, in the table's
 * present shape; a row that was delivered with another type of column is delivered again, so that
 * the topic's last word on each key can be read by itself. The before-image is the row as it was
 * delivered, so that consumers see a change of what they have. Keys that the stream has changed
 * since the window opened are left to it. */
#include "cdc/copy/reconcile_priv.h"

#include "cdc/change/key.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdlib.h>

struct emitting {
	struct reconcile *r;
	struct reconcile_want *w;
	struct change change;
	int (*deliver)(void *context, const struct change *change, struct err *e);
	void *context;
};

static bool equal_cells(const struct reconcile *r)
{
	for (uint16_t c = 0; c < r->shape->column_count; c++)
		if (!row_cell_same(&r->shape->columns[c], &r->before[c], &r->after[c]))
			return false;
	return true;
}

static int split(struct emitting *out, struct slice image, struct err *e)
{
	static const uint8_t all[SHAPE_COLUMNS_MAX / 8] = { [0 ... SHAPE_COLUMNS_MAX / 8 - 1] =
								    0xff };
	struct rd in = rd_from(image);

	if (row_split(&in, out->r->shape, all, out->r->after, e) < 0)
		return -1;
	if (!rd_end(&in))
		return err_data(e, "%s: a row image does not fit the table", out->w->name);
	return 0;
}

static int deliver(struct emitting *out, enum change_op op, struct err *e)
{
	out->change.op = op;
	out->change.before = op == CHANGE_CREATE ? NULL : out->r->before;
	out->change.after = op == CHANGE_DELETE ? NULL : out->r->after;
	out->change.order++;
	return out->deliver(out->context, &out->change, e);
}

/* The row as it was delivered. False: that can't be known, and it is not compared. */
static bool delivered(struct emitting *out, const struct state_row *old)
{
	struct err e = ERR_INIT;

	if (state_cells(out->r->state, old, &out->r->bytes, out->r->before, &e) == 0)
		return true;
	if (out->w->unknown++ == 0)
		log_err(LOG_LEVEL_WARNING, "copy", NULL, &e);
	return false;
}

static int gone(struct emitting *out, const struct state_row *old, struct err *e)
{
	if (marks_has(&out->r->marks, old->key) || !delivered(out, old))
		return 0;
	out->w->deleted++;
	return deliver(out, CHANGE_DELETE, e);
}

static int came(struct emitting *out, struct slice key, struct slice image, struct err *e)
{
	out->w->rows++;
	if (marks_has(&out->r->marks, key))
		return 0;
	if (split(out, image, e) < 0)
		return -1;
	out->w->created++;
	return deliver(out, CHANGE_CREATE, e);
}

static int stayed(struct emitting *out, const struct state_row *old, struct slice image,
		  struct err *e)
{
	out->w->rows++;
	if (marks_has(&out->r->marks, old->key))
		return 0;
	if (old->unknown) { /* its values are parked, whole: they are not compared */
		out->w->unknown++;
		return 0;
	}
	if (!delivered(out, old))
		return 0;
	if (split(out, image, e) < 0)
		return -1;
	if (equal_cells(out->r) && !state_converted(out->r->state))
		return 0;
	out->w->updated++;
	return deliver(out, CHANGE_UPDATE, e);
}

static int merge(struct emitting *out, struct err *e)
{
	const struct chunk *chunk = out->r->chunk;
	struct state_row old;
	int rc = state_next(out->r->state, &old, e);
	size_t i = 0;

	while (rc == 1 || (rc == 0 && i < chunk->row_count)) {
		int order = rc == 0                 ? 1
			    : i == chunk->row_count ? -1
						    : key_compare(old.key, chunk_key(chunk, i));
		int done;

		if (order < 0)
			done = gone(out, &old, e);
		else if (order > 0)
			done = came(out, chunk_key(chunk, i), chunk_image(chunk, i), e);
		else
			done = stayed(out, &old, chunk_image(chunk, i), e);
		if (done < 0)
			return -1;
		if (order <= 0)
			rc = state_next(out->r->state, &old, e);
		if (order >= 0)
			i++;
	}
	return rc;
}

/* With a condition: a row is gone when its key is, whatever it was like; one that is there is
 * compared when it meets the condition, as it is on the source. */
static int one_key(struct emitting *out, struct slice key, const struct state_row *old, size_t *row,
		   struct err *e)
{
	const struct chunk *chunk = out->r->chunk;

	while (*row < chunk->row_count && key_compare(chunk_key(chunk, *row), key) < 0)
		(*row)++; /* no snapshots: it came or went between two statements, so it is marked
			   */
	if (*row == chunk->row_count || key_compare(chunk_key(chunk, *row), key) != 0)
		return 0;
	return old != NULL ? stayed(out, old, chunk_image(chunk, (*row)++), e)
			   : came(out, key, chunk_image(chunk, (*row)++), e);
}

static int merge_keys(struct emitting *out, const struct slice *high, struct err *e)
{
	const struct chunk *chunk = out->r->chunk;
	size_t count = chunk->key_count, i = 0, row = 0;
	struct state_row old;
	int rc = state_next(out->r->state, &old, e);

	while (high != NULL && count > 0 && key_compare(chunk_any_key(chunk, count - 1), *high) > 0)
		count--; /* the chunk was cut before them */
	while (rc == 1 || (rc == 0 && i < count)) {
		int order = rc == 0      ? 1
			    : i == count ? -1
					 : key_compare(old.key, chunk_any_key(chunk, i));
		int done = order < 0 ? gone(out, &old, e)
				     : one_key(out, chunk_any_key(chunk, i),
					       order == 0 ? &old : NULL, &row, e);

		if (done < 0)
			return -1;
		if (order <= 0)
			rc = state_next(out->r->state, &old, e);
		if (order >= 0)
			i++;
	}
	return rc;
}

/* The rows of a batch, each by itself. */
static int merge_batch(struct emitting *out, struct err *e)
{
	struct reconcile *r = out->r;
	const struct chunk *chunk = r->chunk;
	size_t row = 0;

	for (size_t i = 0; i < r->batch.count; i++) {
		struct slice key = reconcile_batch_key(r, i);
		struct state_row old;
		bool there;
		int rc;

		if (chunk->cut && key_compare(key, buf_slice(&chunk->high.key)) > 0)
			break;
		while (row < chunk->row_count && key_compare(chunk_key(chunk, row), key) < 0)
			row++;
		there = row < chunk->row_count && key_compare(chunk_key(chunk, row), key) == 0;
		rc = state_find(r->state, key, &old, e);
		if (rc == 1)
			rc = there ? stayed(out, &old, chunk_image(chunk, row), e)
				   : gone(out, &old, e);
		else if (rc == 0 && there)
			rc = came(out, key, chunk_image(chunk, row), e);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int compare_all(struct emitting *out, const struct slice *low, const struct slice *high,
		       struct err *e)
{
	if (reconcile_has_keys(out->w))
		return merge_batch(out, e);
	if (state_seek(out->r->state, low, high, e) < 0)
		return -1;
	return out->w->where[0] != '\0' ? merge_keys(out, high, e) : merge(out, e);
}

/* ---- all of it ------------------------------------------------------------------------------ */

const char *reconcile_chunk_name(const struct reconcile *r)
{
	return r->chunk_name;
}

void reconcile_name_chunk(struct reconcile *r)
{
	free(r->chunk_name);
	r->chunk_name = xasprintf("reconcile:%s:%lld.%lld", r->active->name,
				  (long long)r->active->id, (long long)r->active->chunks + 1);
}

/* The chunk may go less far than was asked for. */
static const struct key_border *end_of(const struct reconcile *r)
{
	if (r->chunk->cut)
		return &r->chunk->high;
	return r->has_high ? &r->high : NULL;
}

static void remember(struct reconcile *r, const struct key_border *high)
{
	struct reconcile_want *w = r->active;
	const char *literal = (const char *)high->literals.data;

	reconcile_forget_key(w);
	w->last_key.items = xcalloc(r->shape->key_count + 1u, sizeof(*w->last_key.items));
	for (uint16_t k = 0; k < r->shape->key_count; k++) {
		w->last_key.items[w->last_key.count++] = xstrdup(literal);
		literal += strlen(literal) + 1;
	}
	r->has_low = true;
	key_border_copy(&r->low, high);
}

static void report_end(const struct reconcile_want *w)
{
	log_info("copy",
		 "%s is reconciled (%lld): %lld rows compared, %lld created, %lld updated, %lld "
		 "deleted",
		 w->name, (long long)w->id, (long long)w->rows, (long long)w->created,
		 (long long)w->updated, (long long)w->deleted);
	if (w->unknown > 0)
		log_warning("copy",
			    "%s: %lld rows were not compared: what was delivered of them is parked "
			    "or unreadable",
			    w->name, (long long)w->unknown);
}

const char *reconcile_end(struct reconcile *r)
{
	const struct reconcile_want *w = r->active;

	r->failures = 0;
	report_end(w);
	reconcile_note_end(r, w);
	free(r->ended);
	r->ended = xstrdup(w->name);
	reconcile_close_window(r);
	reconcile_finish(r);
	r->place = RECONCILE_IDLE;
	return r->ended;
}

/* The next chunk's border came with this one, unless this one was cut. */
static const char *advance(struct reconcile *r)
{
	struct reconcile_want *w = r->active;
	const struct key_border *high = end_of(r);

	w->chunks++;
	r->failures = 0;
	if (reconcile_has_keys(w)) {
		struct slice cut = buf_slice(&r->chunk->high.key);

		reconcile_batch_take(r, r->chunk->cut ? &cut : NULL);
		reconcile_close_window(r);
		r->place = RECONCILE_BORDER;
		return NULL;
	}
	if (high == NULL)
		return reconcile_end(r);
	remember(r, high);
	r->place = RECONCILE_BORDER;
	if (!r->chunk->cut) {
		r->has_high = r->chunk->has_next;
		key_border_copy(&r->high, &r->chunk->next);
		r->place = RECONCILE_WINDOW;
	}
	reconcile_close_window(r);
	return NULL;
}

int reconcile_emit(struct reconcile *r, int64_t commit_us,
		   int (*deliver_fn)(void *context, const struct change *change, struct err *e),
		   void *context, const char **ret_ended, struct err *e)
{
	struct emitting out = { .r = r, .w = r->active, .deliver = deliver_fn, .context = context };
	struct slice low = buf_slice(&r->low.key), high = low;
	const struct key_border *end;

	if (r->place == RECONCILE_DIFFER && reconcile_has_keys(r->active)) { /* no more keys */
		reconcile_name_chunk(r);
		*ret_ended = reconcile_end(r);
		return 0;
	}
	if (r->shape->key_count == 0)
		return reconcile_whole_emit(r, commit_us, deliver_fn, context, ret_ended, e);
	end = end_of(r);
	if (end != NULL)
		high = buf_slice(&end->key);
	reconcile_name_chunk(r);
	out.change = (struct change){ .shape = r->shape,
				      .transaction = r->chunk_name,
				      .commit_us = commit_us };
	if (state_reshape(r->state, r->shape, e) < 0 ||
	    compare_all(&out, r->has_low ? &low : NULL, end != NULL ? &high : NULL, e) < 0)
		return err_wrap(e, "reconciling %s", r->active->name);
	*ret_ended = advance(r);
	return 0;
}
