/* worker_park.c - records that can't be applied, kept aside by a version that is built.
 *
 *   record -> its key waits already? -> parked behind it
 *          -> applied carefully (savepoint, flush) -> ERR_DATA: taken back, parked, and on
 *
 * Which keys wait is held in memory, a set read from the store when the version is opened; while it
 * is empty nothing is asked of it. A key is topic and key bytes; records without a key (a table
 * without primary key) count as one key, since their order matters as much.
 *
 * Trying again goes key by key, in the order of the records, with the same care; it moves no
 * position. A record of which a part failed leaves nothing behind, where the store can take it
 * back. */
#include "projections/work/worker_priv.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

struct waiting {
	UT_hash_handle hh;
	int64_t count;
	size_t size; /* of the bytes that follow: topic number, whether there is a key, the key */
	uint8_t bytes[];
};

struct worker_waiting {
	struct waiting *keys;
	int64_t count, behind;
	struct buf key; /* being looked up */
};

static const struct store_ops *store(const struct worker *w)
{
	return w->options.store->ops;
}

bool worker_parks(const struct worker *w)
{
	return w->built && w->options.parked_max > 0 && store(w)->park != NULL;
}

/* ---- which keys wait ------------------------------------------------------------------------- */

static void make_key(struct worker_waiting *p, size_t topic, struct slice key)
{
	uint32_t number = (uint32_t)topic;

	buf_reset(&p->key);
	buf_add(&p->key, &number, sizeof(number));
	buf_add_u8(&p->key, key.data != NULL);
	buf_add_slice(&p->key, key);
}

static struct waiting *find(struct worker_waiting *p, size_t topic, struct slice key)
{
	struct waiting *found;

	make_key(p, topic, key);
	HASH_FIND(hh, p->keys, p->key.data, p->key.size, found);
	return found;
}

static void add(struct worker_waiting *p, size_t topic, struct slice key, bool behind)
{
	struct waiting *k = find(p, topic, key);

	if (k == NULL) {
		k = xcalloc(1, sizeof(*k) + p->key.size);
		k->size = p->key.size;
		memcpy(k->bytes, p->key.data, k->size);
		HASH_ADD(hh, p->keys, bytes, k->size, k);
	}
	k->count++;
	p->count++;
	p->behind += behind;
}

static void free_waiting(struct worker_waiting *p)
{
	struct waiting *k, *next;

	if (p == NULL)
		return;
	HASH_ITER(hh, p->keys, k, next)
	{
		HASH_DEL(p->keys, k);
		free(k);
	}
	buf_done(&p->key);
	free(p);
}

/* The number of a topic among the inputs; of one that isn't: their count. */
static size_t topic_number(const struct worker *w, const char *topic)
{
	size_t i = 0;

	while (i < w->options.view->input_count && strcmp(w->options.view->inputs[i], topic) != 0)
		i++;
	return i;
}

static bool note(void *context, const struct store_parked *record)
{
	const struct worker *w = context;

	add(w->waiting, topic_number(w, record->topic), record->key, record->behind);
	return true;
}

static void publish(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->status.parked = w->waiting->count;
	w->status.parked_behind = w->waiting->behind;
	pthread_mutex_unlock(&w->lock);
}

int worker_park_open(struct worker *w, struct err *e)
{
	worker_park_close(w);
	w->waiting = xcalloc(1, sizeof(*w->waiting));
	if (store(w)->park != NULL &&
	    store(w)->parked(w->options.store, w->options.version, note, w, e) < 0)
		return -1;
	publish(w);
	return 0;
}

void worker_park_close(struct worker *w)
{
	free_waiting(w->waiting);
	w->waiting = NULL;
}

bool worker_waits(struct worker *w, const struct intake_item *item)
{
	return w->waiting->count > 0 && find(w->waiting, item->topic, item->key) != NULL;
}

/* ---- parking --------------------------------------------------------------------------------- */

static int refuse_more(const struct worker *w, const struct intake_item *item, const char *why,
		       struct err *e)
{
	err_data(e, "%lld records are parked already, and another one can't be applied: %s",
		 (long long)w->waiting->count, why != NULL ? why : "it is behind a parked one");
	(void)item;
	return err_hint(
		e,
		"A definition that is wrong for so many is better fixed: `millrace parked "
		"list --view %s` says why, then edit the view and run `millrace replay %s`. "
		"project.parked_max is the limit.",
		w->options.view->name, w->options.view->name);
}

int worker_park(struct worker *w, const struct intake_item *item, const char *why, struct err *e)
{
	struct store_parked record = {
		.seq = item->seq,
		.topic = w->options.view->inputs[item->topic],
		.partition = item->partition,
		.offset = item->offset,
		.schema_id = item->schema_id,
		.key = item->key,
		.value = item->value,
		.at_us = clock_now_us(),
		.behind = why == NULL,
		.reason = why != NULL ? why : "an earlier record of its key is parked",
	};

	if (w->waiting->count >= w->options.parked_max)
		return refuse_more(w, item, why, e);
	if (store(w)->park(w->version, &record, e) < 0)
		return -1;
	add(w->waiting, item->topic, item->key, record.behind);
	publish(w);
	/* the first ones each, then one of many: a wrong definition fails for all */
	if (why != NULL && (w->waiting->count <= 10 || w->waiting->count % 1000 == 0))
		log_warning(
			"view",
			"%s: version %d: a record is parked (`millrace parked list --view %s`): %s",
			w->options.view->name, w->options.version, w->options.view->name, why);
	return 0;
}

/* ---- trying again ---------------------------------------------------------------------------- */

struct kept {
	struct store_parked record; /* its texts and bytes are owned */
	bool done;
};

struct chain {
	struct kept *items;
	size_t count;
};

static struct slice copy_of(struct slice s)
{
	uint8_t *bytes;

	if (s.data == NULL)
		return s;
	bytes = xmalloc(s.size + 1);
	memcpy(bytes, s.data, s.size);
	return slice_of(bytes, s.size);
}

static bool collect(void *context, const struct store_parked *record)
{
	struct chain *c = context;
	struct kept *k;

	c->items = xrealloc(c->items, (c->count + 1) * sizeof(*c->items));
	k = &c->items[c->count++];
	*k = (struct kept){ .record = *record };
	k->record.topic = xstrdup(record->topic);
	k->record.reason = xstrdup(record->reason);
	k->record.key = copy_of(record->key);
	k->record.value = copy_of(record->value);
	return true;
}

static void chain_done(struct chain *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free((void *)(uintptr_t)c->items[i].record.topic);
		free((void *)(uintptr_t)c->items[i].record.reason);
		free((void *)(uintptr_t)c->items[i].record.key.data);
		free((void *)(uintptr_t)c->items[i].record.value.data);
	}
	free(c->items);
}

static bool same_key(const struct store_parked *a, const struct store_parked *b)
{
	return strcmp(a->topic, b->topic) == 0 && (a->key.data == NULL) == (b->key.data == NULL) &&
	       slice_equal(a->key, b->key);
}

static bool is_asked(const struct worker_parked_ask *ask, const struct store_parked *record)
{
	return ask->topic == NULL ? !record->behind
				  : strcmp(ask->topic, record->topic) == 0 &&
					    ask->partition == record->partition &&
					    ask->offset == record->offset;
}

static int undo(struct worker *w, struct err *e)
{
	return store(w)->undo != NULL ? store(w)->undo(w->version, e) : 0;
}

/* One record, carefully. 1: applied; 0: still not, and *why says so; -1: error. */
static int try_one(struct worker *w, const struct store_parked *p, struct err *why, struct err *e)
{
	struct handlers_record record = { topic_number(w, p->topic), p->schema_id, p->value };

	if (record.topic == w->options.view->input_count) {
		err_data(why, "%s is no input of the view", p->topic);
		return 0;
	}
	if (store(w)->savepoint != NULL && store(w)->savepoint(w->version, e) < 0)
		return -1;
	if (kind_apply(w->kind, &record, why) == 0 && kind_settle(w->kind, why) == 0 &&
	    worker_flush(w, why) == 0)
		return store(w)->unpark(w->version, p, e) < 0 ? -1 : 1;
	if (why->kind != ERR_DATA) {
		*e = *why;
		return -1;
	}
	err_wrap(why, "%s partition %d offset %lld (seq %lld)", p->topic, p->partition,
		 (long long)p->offset, (long long)p->seq);
	return undo(w, e) < 0 ? -1 : 0;
}

/* The first of a key, and what waits behind it. */
static int try_chain(struct worker *w, struct chain *c, size_t first, bool drop, int64_t *applied,
		     struct err *e)
{
	for (size_t i = first; i < c->count; i++) {
		struct store_parked *p = &c->items[i].record;
		struct err why = ERR_INIT;
		int rc;

		if (i != first && !same_key(p, &c->items[first].record))
			continue;
		if (i == first && drop)
			rc = store(w)->unpark(w->version, p, e) < 0 ? -1 : 1;
		else
			rc = try_one(w, p, &why, e);
		if (rc < 0)
			return -1;
		if (rc == 0) { /* the new head of those that wait; why is no longer than it was */
			struct store_parked again = *p;

			again.behind = false;
			again.reason = why.msg;
			return store(w)->park(w->version, &again, e);
		}
		(*applied)++;
	}
	return 0;
}

static int act(struct worker *w, struct chain *c, int64_t *applied, struct err *e)
{
	const struct worker_parked_ask *ask = w->act;
	bool found = ask->topic == NULL;

	for (size_t i = 0; i < c->count; i++) {
		const struct store_parked *p = &c->items[i].record;

		if (!is_asked(ask, p))
			continue;
		found = true;
		if (p->behind) {
			err_config(e, "%s:%d:%lld waits behind an earlier record of its key",
				   p->topic, p->partition, (long long)p->offset);
			return err_hint(e, "Retry or drop that one: those behind it follow.");
		}
		if (try_chain(w, c, i, ask->drop, applied, e) < 0)
			return -1;
	}
	return found ? 0
		     : err_config(e, "no record %s:%d:%lld is parked", ask->topic, ask->partition,
				  (long long)ask->offset);
}

/* `drop` of all: nothing is tried. */
static int drop_all(struct worker *w, struct chain *c, int64_t *applied, struct err *e)
{
	for (size_t i = 0; i < c->count; i++) {
		if (store(w)->unpark(w->version, &c->items[i].record, e) < 0)
			return -1;
		(*applied)++;
	}
	return 0;
}

static int act_and_commit(struct worker *w, int64_t *applied, struct err *e)
{
	struct chain c = { 0 };
	int rc;

	if (store(w)->park == NULL)
		return err_config(e, "store %s parks no records", store(w)->name);
	rc = store(w)->parked(w->options.store, w->options.version, collect, &c, e);
	if (rc == 0)
		rc = worker_begin(w, e);
	if (rc == 0)
		rc = w->act->drop && w->act->topic == NULL ? drop_all(w, &c, applied, e)
							   : act(w, &c, applied, e);
	if (rc == 0) {
		rc = worker_commit(w, e);
	} else if (w->open) {
		store(w)->rollback(w->version);
		w->open = false;
	}
	chain_done(&c);
	return rc;
}

/* What was wrong with the question is the asker's; what is wrong with the store is ours, too. */
int worker_act(struct worker *w, struct err *e)
{
	struct err why = ERR_INIT;
	int64_t applied = 0;
	int rc, own = 0;

	pthread_mutex_lock(&w->lock);
	w->acting = w->want_act; /* from here on the asker waits for the end */
	pthread_mutex_unlock(&w->lock);
	if (!w->acting)
		return 0;
	rc = act_and_commit(w, &applied, &why);
	if (rc < 0 && why.kind != ERR_CONFIG) {
		*e = why;
		own = -1;
	} else if (worker_park_open(w, e) < 0) {
		own = -1;
	}
	pthread_mutex_lock(&w->lock);
	w->want_act = w->acting = false;
	w->act_rc = rc;
	w->act_err = why;
	w->act_applied = applied;
	w->act_left = w->status.parked;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	return own;
}
