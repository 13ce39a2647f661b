/* reconcile_whole.c - tables without a primary key: all of it at once, as a multiset.
 *
 *   BORDER -> OPENING -> SPOOLING -> SPOOLED -> COUNTING -> DIFFER -> (emit, part by part)
 *
 * One snapshot is read into a file; its place in the binlog is known before the stream may go on
 * (reconcile_holds()), so the stream's seq at that place is known once it passes it. The state is
 * caught up to just that seq, and what the two have in different numbers was never said by the
 * binlog: d for what the topic has more of, c for what it lacks. The stream need not wait: what it
 * brings meanwhile adds to both sides alike.
 *
 * Parts are source transactions of their own. A crash between them begins anew with another
 * snapshot, and a state that has what was delivered: nothing repeats.
 *
 * An engine without snapshots (MyISAM, Aria) is read in one statement; a change that the stream
 * shows until it has passed what was read makes it be read again. */
#include "cdc/copy/reconcile_priv.h"

#include "core/base/log.h"
#include "core/base/mem.h"

#include <string.h>

void reconcile_whole_ask(struct reconcile *r, const struct copy_place *place)
{
	struct reconcile_whole *x = &r->whole;
	struct chunk_request request = {
		.db = r->active->db,
		.table = r->active->table,
		.spool = true,
		.tell_place = x->transactional,
		.key_shape = r->shape,
		.collator = r->collator,
		.watch = r->watch,
		.seen = place->gtid_set,
		.seen_file = place->file,
		.seen_position = place->position,
		.unsettled = place->unsettled,
	};

	x->file[0] = '\0';
	x->passed = x->dirty = false;
	x->left = 0;
	r->open = true;
	chunk_request(r->reader, &request);
	r->asked = true;
	r->place = x->transactional ? RECONCILE_OPENING : RECONCILE_SPOOLING;
}

bool reconcile_holds(const struct reconcile *r)
{
	return r->place == RECONCILE_OPENING;
}

/* Once the stream has all up to `point`, it has passed the place: that lies before. */
static bool is_past(const struct reconcile *r, const struct copy_place *place)
{
	const struct reconcile_whole *x = &r->whole;

	if (x->transactional && x->file[0] != '\0' && place->file[0] != '\0' &&
	    copy_compare_places(place->file, place->position, x->file, x->position) >= 0)
		return true;
	return r->chunk != NULL && copy_passed(place, &r->chunk->point);
}

void reconcile_pass(struct reconcile *r, const struct copy_place *place)
{
	struct reconcile_whole *x = &r->whole;

	if ((r->place != RECONCILE_SPOOLING && r->place != RECONCILE_SPOOLED) || x->passed ||
	    !is_past(r, place))
		return;
	x->passed = true;
	x->seq = place->seq;
}

void reconcile_whole_change(struct reconcile *r, bool prepared)
{
	if ((!r->whole.transactional || prepared) && !r->whole.passed)
		r->whole.dirty = true;
}

void reconcile_whole_read(struct reconcile *r, struct chunk *chunk)
{
	struct reconcile_whole *x = &r->whole;

	if (x->transactional) /* it may have been faster than we asked for its place */
		(void)chunk_place(r->reader, x->file, &x->position);
	if (chunk->rekeyed || !shape_equal(r->shape, chunk->shape)) {
		chunk_free(chunk);
		reconcile_begin_again(r);
		return;
	}
	r->chunk = chunk;
	r->place = RECONCILE_SPOOLED;
}

/* The stream has passed the place, and everything up to it is committed. */
static void count(struct reconcile *r)
{
	char *topic = publisher_row_topic(r->options.publisher, r->shape);
	struct spool *spool = r->chunk->spool;
	size_t partitions;
	const int64_t *seqs = reconcile_last_seqs(r, topic, &partitions);

	r->whole.rows = spool_rows(spool);
	r->chunk->spool = NULL;
	state_limit(r->state, r->whole.seq);
	state_catch_up_with(r->state, seqs, partitions, spool);
	r->state_busy = true;
	r->place = RECONCILE_COUNTING;
	free(topic);
}

static int read_again(struct reconcile *r, struct err *e)
{
	return err_retry(e, "%s changed while it was read, %s", r->active->name,
			 r->whole.transactional ? "by an XA transaction"
						: "and its engine has no snapshots");
}

int reconcile_whole_step(struct reconcile *r, const struct copy_place *place, bool uncommitted,
			 enum reconcile_answer *answer, struct err *e)
{
	struct reconcile_whole *x = &r->whole;

	if (r->place == RECONCILE_OPENING && chunk_place(r->reader, x->file, &x->position))
		r->place = RECONCILE_SPOOLING;
	reconcile_pass(r, place);
	if (r->place == RECONCILE_DIFFER) {
		*answer = RECONCILE_READY;
		return 0;
	}
	if (r->place != RECONCILE_SPOOLED || !x->passed)
		return 0;
	if (x->dirty)
		return read_again(r, e);
	if (uncommitted)
		*answer = RECONCILE_COMMIT;
	else
		count(r);
	return 0;
}

/* ---- what differs --------------------------------------------------------------------------- */

static int next_image(struct reconcile *r, struct err *e)
{
	struct reconcile_whole *x = &r->whole;
	struct slice image;
	int rc;

	if (x->left != 0)
		return 1;
	rc = state_differ(r->state, &image, &x->left, e);
	if (rc != 1)
		return rc;
	buf_reset(&x->image);
	buf_add_slice(&x->image, image);
	return 1;
}

static int emit_part(struct reconcile *r, struct change *change,
		     int (*deliver)(void *context, const struct change *change, struct err *e),
		     void *context, struct err *e)
{
	struct reconcile_whole *x = &r->whole;
	struct reconcile_want *w = r->active;
	int rc = 1;

	while (change->order < r->options.settings->copy_chunk_rows &&
	       (rc = next_image(r, e)) == 1) {
		bool gone = x->left > 0;

		if (state_image_cells(r->state, buf_slice(&x->image), r->before, e) < 0)
			return -1;
		change->op = gone ? CHANGE_DELETE : CHANGE_CREATE;
		change->before = gone ? r->before : NULL;
		change->after = gone ? NULL : r->before;
		change->order++;
		if (deliver(context, change, e) < 0)
			return -1;
		x->left += gone ? -1 : 1;
		*(gone ? &w->deleted : &w->created) += 1;
	}
	return rc;
}

int reconcile_whole_emit(struct reconcile *r, int64_t commit_us,
			 int (*deliver)(void *context, const struct change *change, struct err *e),
			 void *context, const char **ret_ended, struct err *e)
{
	struct reconcile_want *w = r->active;
	struct change change;
	int rc;

	reconcile_name_chunk(r);
	change = (struct change){ .shape = r->shape,
				  .transaction = r->chunk_name,
				  .commit_us = commit_us };
	rc = emit_part(r, &change, deliver, context, e);
	if (rc < 0)
		return err_wrap(e, "reconciling %s", w->name);
	w->chunks++;
	w->rows = r->whole.rows;
	if (rc == 0)
		*ret_ended = reconcile_end(r);
	return 0;
}
