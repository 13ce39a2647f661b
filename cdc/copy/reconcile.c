/* reconcile.c - the queue of reconciling copies.
 *
 * Wants are worked on in the order of their ids, which rise for as long as the capture lives: the
 * last one that ended stays in the position, so that a restart knows the number. A want that has
 * begun covers nothing of a later one: what the later one is for may have happened behind its
 * last key. So only wants that have not begun swallow others, and at most one of all rows waits per
 * table. */
#include "cdc/copy/reconcile_priv.h"

#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdlib.h>

#define MEMORY_SHARE 8 /* of capture.memory, for a chunk; as much for the marks of its window */

int reconcile_new(const struct reconcile_options *options, struct reconcile **ret_reconcile,
		  struct err *e)
{
	struct reconcile *r = xcalloc(1, sizeof(*r));

	r->options = *options;
	r->chunk_rows = options->settings->copy_chunk_rows;
	r->bytes_max = (size_t)options->settings->capture_memory / MEMORY_SHARE;
	r->collator = collator_new(options->settings);
	if (db_watch_open(options->settings, false, &r->watch, e) < 0 ||
	    chunk_reader_open(options->settings, &r->reader, e) < 0) {
		db_watch_close(r->watch);
		collator_free(r->collator);
		free(r);
		return -1;
	}
	*ret_reconcile = r;
	return 0;
}

void reconcile_forget_key(struct reconcile_want *w)
{
	for (size_t i = 0; i < w->last_key.count; i++)
		free((char *)(uintptr_t)w->last_key.items[i]);
	free(w->last_key.items);
	w->last_key = (struct record_texts){ NULL, 0 };
}

void reconcile_want_free(struct reconcile_want *w)
{
	if (w == NULL)
		return;
	reconcile_forget_key(w);
	reconcile_keys_done(w);
	free(w->db);
	free(w->table);
	free(w->name);
	free(w->where);
	free(w->why);
	free(w->failure);
	free(w);
}

void reconcile_free(struct reconcile *r)
{
	struct reconcile_topic *topic, *next;

	if (r == NULL)
		return;
	chunk_reader_close(r->reader);
	db_watch_close(r->watch);
	state_close(r->state);
	collator_free(r->collator);
	reconcile_close_window(r);
	HASH_ITER(hh, r->topics, topic, next)
	{
		HASH_DEL(r->topics, topic);
		free(topic->name);
		free(topic->seqs);
		free(topic);
	}
	for (size_t i = 0; i < r->want_count; i++)
		reconcile_want_free(r->wants[i]);
	reconcile_want_free(r->last_done);
	shape_unref(r->shape);
	key_border_done(&r->low);
	key_border_done(&r->high);
	buf_done(&r->key);
	buf_done(&r->whole.image);
	reconcile_batch_done(&r->batch);
	buf_done(&r->bytes);
	free(r->before);
	free(r->after);
	for (size_t i = 0; i < RECONCILE_ENDED_MAX; i++)
		free(r->ends[i].table);
	free(r->state_table);
	free(r->wants);
	free(r->chunk_name);
	free(r->ended);
	free(r->positions);
	free(r->status);
	free(r->names);
	free(r);
}

/* ---- wants ---------------------------------------------------------------------------------- */

static struct reconcile_want *want_new(const char *db, const char *table, const char *where,
				       const char *why, int64_t id)
{
	struct reconcile_want *w = xcalloc(1, sizeof(*w));

	w->db = xstrdup(db);
	w->table = xstrdup(table);
	w->name = xasprintf("%s.%s", db, table);
	w->where = xstrdup(where);
	w->why = xstrdup(why);
	w->id = id;
	return w;
}

static void add(struct reconcile *r, struct reconcile_want *w)
{
	if (r->want_count == r->want_capacity) {
		r->want_capacity = r->want_capacity * 2 + 8;
		r->wants = xrealloc(r->wants, r->want_capacity * sizeof(struct reconcile_want *));
	}
	r->wants[r->want_count++] = w;
	r->names_known = false;
}

static void take_out(struct reconcile *r, size_t at)
{
	memmove(&r->wants[at], &r->wants[at + 1],
		(--r->want_count - at) * sizeof(struct reconcile_want *));
	r->names_known = false;
}

void reconcile_resume(struct reconcile *r, const struct position_copy *copies, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct position_copy *c = &copies[i];
		struct reconcile_want *w;

		if (strcmp(c->kind, "reconcile") != 0)
			continue;
		w = want_new(c->db, c->table, c->where, c->why, c->id);
		w->chunks = c->chunks;
		w->rows = c->rows;
		w->paused = c->paused;
		w->last_key.items = xcalloc(c->last_key.count + 1, sizeof(*w->last_key.items));
		for (size_t k = 0; k < c->last_key.count; k++)
			w->last_key.items[w->last_key.count++] = xstrdup(c->last_key.items[k]);
		for (size_t k = 0; k < c->keys.count && c->keys.count > 2; k++)
			reconcile_keys_add(w, c->keys.items[k]);
		if (w->id > r->last_id)
			r->last_id = w->id;
		if (c->done) {
			reconcile_want_free(r->last_done);
			r->last_done = w;
		} else {
			add(r, w);
		}
	}
}

static bool is_table(const struct reconcile_want *w, const char *db, const char *table)
{
	return strcmp(w->db, db) == 0 && strcmp(w->table, table) == 0;
}

static bool has_begun(const struct reconcile *r, const struct reconcile_want *w)
{
	return w == r->active || w->chunks > 0;
}

/* A want in the queue that will do what is asked for. */
int64_t reconcile_id_of(const struct reconcile *r, const char *db, const char *table,
			const char *where)
{
	for (size_t i = 0; i < r->want_count; i++) {
		const struct reconcile_want *w = r->wants[i];

		if (is_table(w, db, table) && !has_begun(r, w) && !w->paused &&
		    !reconcile_has_keys(w) && (w->where[0] == '\0' || strcmp(w->where, where) == 0))
			return w->id;
	}
	return 0;
}

/* One of all rows does the work of those with a condition, or of some keys, that wait. */
static void drop_covered(struct reconcile *r, const char *db, const char *table)
{
	for (size_t i = r->want_count; i-- > 0;) {
		struct reconcile_want *w = r->wants[i];

		if (is_table(w, db, table) && !has_begun(r, w) &&
		    (w->where[0] != '\0' || reconcile_has_keys(w))) {
			take_out(r, i);
			reconcile_want_free(w);
		}
	}
}

struct reconcile_want *reconcile_add(struct reconcile *r, const char *db, const char *table,
				     const char *where, const char *why, struct err *e)
{
	if (r->want_count >= RECONCILE_WANTS_MAX) {
		err_config(e, "%d reconciling copies are waiting: no room for one of %s.%s",
			   RECONCILE_WANTS_MAX, db, table);
		return NULL;
	}
	add(r, want_new(db, table, where, why, ++r->last_id));
	return r->wants[r->want_count - 1];
}

int reconcile_want(struct reconcile *r, const char *db, const char *table, const char *where,
		   const char *why, struct err *e)
{
	if (reconcile_id_of(r, db, table, where) != 0)
		return 0;
	if (where[0] == '\0')
		drop_covered(r, db, table);
	if (reconcile_add(r, db, table, where, why, e) == NULL)
		return -1;
	log_info("copy", "%s.%s will be reconciled (%lld): %s", db, table, (long long)r->last_id,
		 why);
	return 0;
}

size_t reconcile_pause(struct reconcile *r, const char *db, const char *table, bool paused)
{
	size_t changed = 0;

	for (size_t i = 0; i < r->want_count; i++) {
		struct reconcile_want *w = r->wants[i];

		if ((db != NULL && !is_table(w, db, table)) || w->paused == paused)
			continue;
		if (w == r->active)
			reconcile_give_up(r);
		w->paused = paused;
		free(w->failure);
		w->failure = NULL;
		changed++;
	}
	return changed;
}

size_t reconcile_stop(struct reconcile *r, const char *db, const char *table)
{
	size_t dropped = 0;

	for (size_t i = r->want_count; i-- > 0;) {
		struct reconcile_want *w = r->wants[i];

		if (db != NULL && !is_table(w, db, table))
			continue;
		if (w == r->active)
			reconcile_give_up(r);
		log_warning("copy", "the reconciling copy of %s (%lld) was stopped: it may differ",
			    w->name, (long long)w->id);
		take_out(r, i);
		reconcile_want_free(w);
		dropped++;
	}
	return dropped;
}

/* Whatever differed is gone with the rows, on both sides. */
void reconcile_emptied(struct reconcile *r, const char *db, const char *table)
{
	for (size_t i = r->want_count; i-- > 0;) {
		struct reconcile_want *w = r->wants[i];

		if (!is_table(w, db, table))
			continue;
		if (w == r->active)
			reconcile_give_up(r);
		log_info("copy", "%s was emptied: its reconciling copy (%lld) has nothing to do",
			 w->name, (long long)w->id);
		take_out(r, i);
		reconcile_want_free(w);
	}
}

void reconcile_finish(struct reconcile *r)
{
	struct reconcile_want *w = r->active;

	for (size_t i = 0; i < r->want_count; i++)
		if (r->wants[i] == w)
			take_out(r, i);
	r->active = NULL;
	reconcile_forget_key(w);
	if (r->last_done == NULL || r->last_done->id < w->id) {
		reconcile_want_free(r->last_done);
		r->last_done = w;
	} else {
		reconcile_want_free(w);
	}
}
