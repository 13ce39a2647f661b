/* copy_exact.c - tables without a key: all rows from one snapshot, delivered at its place.
 *
 *   OPENING   the snapshot is being opened; the stream rests, as it must not run past it
 *   SPOOLING  its place in the binlog is known: rows go to a file, the stream goes on to that place
 *   SPOOLED   all rows are there; at the place they are delivered, then the table's changes flow
 *
 * Up to the snapshot's place the table's changes are dropped, as the snapshot has them. Where the
 * place comes before the rows are whole, the stream is held there (copy_holds()).
 *
 * A table that is not transactional has no snapshot. It is read in one statement, which locks it;
 * if the stream shows a change to it between the two marks of that read, it is read again. So is
 * one that an XA COMMIT changes there, which a snapshot of that place may have or not. */
#include "cdc/copy/copy_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <string.h>

#define TRIES_MAX 20
#define PAUSE_US 500000

static struct copy_table *next_table(struct copy *c)
{
	int64_t now = clock_monotonic_us();

	for (size_t i = 0; i < c->table_count; i++) {
		struct copy_table *t = c->tables[i];

		if (!copy_is_done(t) && !t->paused && !t->restart && t->shape->key_count == 0 &&
		    now >= t->work->retry_us)
			return t;
	}
	return NULL;
}

static int begin(struct copy *c, const struct copy_place *place, struct err *e)
{
	struct copy_exact *x = &c->exact;
	struct chunk_request request;

	x->table = copy_pace_allows(c) ? next_table(c) : NULL;
	if (x->table == NULL)
		return 0;
	if (x->reader == NULL && chunk_reader_open(c->settings, &x->reader, e) < 0)
		return -1;
	request = (struct chunk_request){ .db = x->table->shape->db,
					  .table = x->table->shape->table,
					  .spool = true,
					  .tell_place = x->table->transactional,
					  .key_shape = x->table->shape,
					  .collator = c->collator,
					  .watch = c->watch,
					  .seen = place->gtid_set,
					  .seen_file = place->file,
					  .seen_position = place->position,
					  .unsettled = place->unsettled };
	x->dirty = x->discard = false;
	x->file[0] = '\0';
	if (x->table->work->started_us == 0)
		x->table->work->started_us = clock_monotonic_us();
	chunk_request(x->reader, &request);
	x->state = x->table->transactional ? EXACT_OPENING : EXACT_SPOOLING;
	return 0;
}

void copy_exact_done(struct copy *c)
{
	chunk_free(c->exact.chunk);
	c->exact.chunk = NULL;
	c->exact.state = EXACT_NONE;
	c->exact.table = NULL;
}

static int again(struct copy *c, struct err *failure, struct err *e)
{
	struct copy_exact *x = &c->exact;
	struct copy_table *t = x->table;

	if (failure->kind != ERR_RETRY || ++x->tries > TRIES_MAX) {
		*e = *failure;
		if (failure->kind == ERR_RETRY)
			e->kind = ERR_CONFIG; /* it was tried often enough */
		err_wrap(e, "copy of %s", t->name);
		return err_hint(e,
				"A table without a primary key is read in one statement: give "
				"it a key, raise copy.read_limit, or copy it at a quieter time.");
	}
	log_info("copy", "%s: %s; it is read again", t->name, failure->msg);
	t->work->retry_us = clock_monotonic_us() + PAUSE_US;
	copy_exact_done(c);
	return 0;
}

static int read_again(struct copy *c, struct err *e)
{
	struct err changed = ERR_INIT;

	err_retry(&changed, "%s changed while it was read, %s", c->exact.table->name,
		  c->exact.table->transactional ? "by an XA transaction"
						: "and its engine has no snapshots");
	return again(c, &changed, e);
}

static int poll_reader(struct copy *c, struct err *e)
{
	struct copy_exact *x = &c->exact;
	struct err failure = ERR_INIT;
	int rc = chunk_poll(x->reader, &x->chunk, &failure);

	if (rc == 0)
		return 0;
	if (x->discard) {
		copy_exact_done(c);
		return 0;
	}
	if (rc < 0)
		return again(c, &failure, e);
	if (!x->chunk->rekeyed)
		copy_pace_read(c, spool_rows(x->chunk->spool));
	FAULT(spooled);
	x->state = EXACT_SPOOLED;
	return 0;
}

int copy_compare_places(const char *file, uint64_t position, const char *other, uint64_t than)
{
	size_t n = strlen(file), m = strlen(other);
	int order = n != m ? (n < m ? -1 : 1) : strcmp(file, other);

	return order != 0 ? order : position < than ? -1 : position > than;
}

/* Does the stream stand at the snapshot's place, or behind it? */
static bool reached(const struct copy_exact *x, const struct copy_place *place)
{
	if (!x->table->transactional || x->chunk->rekeyed || place->file[0] == '\0')
		return copy_passed(place, &x->chunk->point);
	return copy_compare_places(place->file, place->position, x->file, x->position) >= 0;
}

int copy_exact_step(struct copy *c, const struct copy_place *place, struct err *e)
{
	struct copy_exact *x = &c->exact;

	if (x->state == EXACT_NONE)
		return copy_all_done(c) ? 0 : begin(c, place, e);
	if (x->state == EXACT_OPENING && chunk_place(x->reader, x->file, &x->position))
		x->state = EXACT_SPOOLING;
	if (x->state != EXACT_SPOOLED && poll_reader(c, e) < 0)
		return -1;
	if (x->state != EXACT_SPOOLED)
		return 0;
	if (x->dirty)
		return read_again(c, e) < 0 ? -1 : 0;
	if (!reached(x, place))
		return 0;
	c->ready_table = x->table;
	return 1;
}

bool copy_exact_holds(const struct copy *c, const char *file, uint64_t position)
{
	const struct copy_exact *x = &c->exact;

	if (x->discard || x->table == NULL || !x->table->transactional)
		return false;
	if (x->state == EXACT_OPENING)
		return true;
	if (x->file[0] == '\0' || file[0] == '\0')
		return false;
	return (x->state == EXACT_SPOOLING || x->state == EXACT_SPOOLED) &&
	       copy_compare_places(file, position, x->file, x->position) > 0;
}

void copy_exact_change(struct copy *c, const struct copy_table *t, bool prepared)
{
	if (c->exact.table == t && (!t->transactional || prepared))
		c->exact.dirty = true;
}

void copy_exact_give_up(struct copy *c, const struct copy_table *t)
{
	struct copy_exact *x = &c->exact;

	if (x->table != t)
		return;
	if (x->state == EXACT_SPOOLED)
		copy_exact_done(c);
	else
		x->discard = true;
}
