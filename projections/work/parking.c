/* parking.c - records that can't be applied, kept aside by a version that is built (parking.h).
 *
 *   record -> its key waits already? -> parked behind it
 *          -> applied carefully (savepoint, flush) -> ERR_DATA: taken back, parked, and on
 *          -> its table was emptied -> what is parked of that table is parked no longer
 *
 * Which keys wait is held in memory, a set read from the store when the version is opened; while it
 * is empty nothing is asked of it. A key is topic and key bytes; records without a key (a table
 * without primary key) count as one key, since their order matters as much.
 *
 * A record that says that its table was emptied (TRUNCATE, DROP) has no key, and concerns all of
 * them: it waits behind nobody, and is never parked, since nothing that follows could be applied
 * then. Rows that are parked are gone at the source, too: applied later, they would stand in a
 * table that was emptied after them.
 *
 * Trying again goes key by key, in the order of the records, with the same care; it moves no
 * position. A record of which a part failed leaves nothing behind, where the store can take it
 * back. */
#include "projections/work/parking.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdlib.h>
#include <uthash.h>

struct spot {
	int64_t offset, seq;
	int32_t partition;
	bool behind;
};

struct waiting {
	UT_hash_handle hh;
	struct spot *records; /* also those of the open store transaction; by seq */
	size_t count, room;
	size_t size; /* of the bytes that follow: topic number, whether there is a key, the key */
	uint8_t bytes[];
};

struct parking {
	struct parking_place place;
	struct waiting *keys;
	int64_t count, behind, others;
	struct buf key; /* being looked up */
};

static const struct store_ops *store(const struct parking *p)
{
	return p->place.store->ops;
}

/* ---- which keys wait ------------------------------------------------------------------------- */

static void make_key(struct parking *p, size_t topic, struct slice key)
{
	uint32_t number = (uint32_t)topic;

	buf_reset(&p->key);
	buf_add(&p->key, &number, sizeof(number));
	buf_add_u8(&p->key, key.data != NULL);
	buf_add_slice(&p->key, key);
}

static struct waiting *find(struct parking *p, size_t topic, struct slice key)
{
	struct waiting *found;

	make_key(p, topic, key);
	HASH_FIND(hh, p->keys, p->key.data, p->key.size, found);
	return found;
}

static void add(struct parking *p, size_t topic, const struct store_parked *record)
{
	struct waiting *k = find(p, topic, record->key);

	if (k == NULL) {
		k = xcalloc(1, sizeof(*k) + p->key.size);
		k->size = p->key.size;
		memcpy(k->bytes, p->key.data, k->size);
		HASH_ADD(hh, p->keys, bytes, k->size, k);
	}
	if (k->count == k->room) {
		k->room = k->room > 0 ? k->room * 2 : 4;
		k->records = xrealloc(k->records, k->room * sizeof(*k->records));
	}
	k->records[k->count++] = (struct spot){ .offset = record->offset,
						.seq = record->seq,
						.partition = record->partition,
						.behind = record->behind };
	p->count++;
	p->behind += record->behind;
}

static void drop_key(struct parking *p, struct waiting *k)
{
	for (size_t i = 0; i < k->count; i++)
		p->behind -= k->records[i].behind;
	p->count -= (int64_t)k->count;
	HASH_DEL(p->keys, k);
	free(k->records);
	free(k);
}

static void forget(struct parking *p)
{
	struct waiting *k, *next;

	HASH_ITER(hh, p->keys, k, next)
		drop_key(p, k);
}

void parking_free(struct parking *p)
{
	if (p == NULL)
		return;
	forget(p);
	buf_done(&p->key);
	free(p);
}

/* The number of a topic among the inputs; of one that isn't: their count. */
static size_t topic_number(const struct parking *p, const char *topic)
{
	const struct view *view = p->place.view;
	size_t i = 0;

	while (i < view->input_count && strcmp(view->inputs[i], topic) != 0)
		i++;
	return i;
}

static bool is_mine(const struct parking *p, const struct store_parked *record)
{
	return p->place.is_mine == NULL ||
	       p->place.is_mine(p->place.context, record->topic, record->partition);
}

static bool note(void *context, const struct store_parked *record)
{
	struct parking *p = context;

	if (is_mine(p, record))
		add(p, topic_number(p, record->topic), record);
	return true;
}

struct parking *parking_new(const struct parking_place *place)
{
	struct parking *p = xcalloc(1, sizeof(*p));

	p->place = *place;
	return p;
}

int parking_read(struct parking *p, struct err *e)
{
	forget(p);
	if (store(p)->park == NULL)
		return 0;
	return store(p)->parked(p->place.store, p->place.version, note, p, e);
}

void parking_count(const struct parking *p, int64_t *ret_parked, int64_t *ret_behind)
{
	*ret_parked = p->count;
	*ret_behind = p->behind;
}

void parking_set_others(struct parking *p, int64_t others)
{
	p->others = others;
}

bool parking_waits(struct parking *p, const struct intake_item *item)
{
	return p->count > 0 && find(p, item->topic, item->key) != NULL;
}

/* ---- parking --------------------------------------------------------------------------------- */

static int refuse_more(const struct parking *p, const char *why, struct err *e)
{
	err_data(e, "%lld records are parked already, and another one can't be applied: %s",
		 (long long)(p->count + p->others),
		 why != NULL ? why : "it is behind a parked one");
	return err_hint(
		e,
		"A definition that is wrong for so many is better fixed: `millrace parked "
		"list --view %s` says why, then edit the view and run `millrace replay %s`. "
		"project.parked_max is the limit.",
		p->place.view->name, p->place.view->name);
}

/* It comes again, and waits behind nobody but itself: a store may keep a record ahead of the
 * position (DynamoDB, when there are many), and the writer was killed between. */
static bool is_kept(struct parking *p, const struct intake_item *item)
{
	const struct waiting *k = find(p, item->topic, item->key);

	for (size_t i = k != NULL ? k->count : 0; i > 0 && item->seq <= k->records[i - 1].seq;
	     i--) {
		if (k->records[i - 1].partition == item->partition &&
		    k->records[i - 1].offset == item->offset)
			return true;
	}
	return false;
}

int parking_add(struct parking *p, const struct intake_item *item, const char *why, struct err *e)
{
	struct store_parked record = {
		.seq = item->seq,
		.topic = p->place.view->inputs[item->topic],
		.partition = item->partition,
		.offset = item->offset,
		.schema_id = item->schema_id,
		.key = item->key,
		.value = item->value,
		.at_us = clock_now_us(),
		.behind = why == NULL,
		.reason = why != NULL ? why : "an earlier record of its key is parked",
	};

	if (why == NULL && is_kept(p, item))
		return 0;
	if (p->count + p->others >= p->place.max)
		return refuse_more(p, why, e);
	if (store(p)->park(p->place.writer, &record, e) < 0)
		return -1;
	add(p, item->topic, &record);
	/* the first ones each, then one of many: a wrong definition fails for all */
	if (why != NULL && (p->count <= 10 || p->count % 1000 == 0))
		log_warning(
			"view",
			"%s: version %d: a record is parked (`millrace parked list --view %s`): %s",
			p->place.view->name, p->place.version, p->place.view->name, why);
	return 0;
}

/* ---- a table that was emptied ---------------------------------------------------------------- */

static size_t topic_of(const struct waiting *k)
{
	uint32_t number;

	memcpy(&number, k->bytes, sizeof(number));
	return number;
}

static int unpark_all(struct parking *p, const struct waiting *k, const char *topic, struct err *e)
{
	for (size_t i = 0; i < k->count; i++) {
		struct store_parked record = { .topic = topic,
					       .partition = k->records[i].partition,
					       .offset = k->records[i].offset,
					       .seq = k->records[i].seq };

		if (store(p)->unpark(p->place.writer, &record, e) < 0)
			return -1;
	}
	return 0;
}

int parking_emptied(struct parking *p, size_t topic, int64_t seq, struct err *e)
{
	const char *name = p->place.view->inputs[topic];
	int64_t before = p->count;
	struct waiting *k, *next;

	HASH_ITER(hh, p->keys, k, next)
	{
		if (topic_of(k) != topic)
			continue;
		if (unpark_all(p, k, name, e) < 0)
			return -1;
		drop_key(p, k);
	}
	if (p->count < before)
		log_warning("view",
			    "%s: version %d: %s was emptied (TRUNCATE or DROP, seq %lld): %lld "
			    "parked records of it are dropped, as their rows are gone",
			    p->place.view->name, p->place.version, name, (long long)seq,
			    (long long)(before - p->count));
	return 0;
}

/* ---- trying again ---------------------------------------------------------------------------- */

struct chain {
	struct store_parked *items; /* their texts and bytes are owned */
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
	struct store_parked *kept;

	c->items = xrealloc(c->items, (c->count + 1) * sizeof(*c->items));
	kept = &c->items[c->count++];
	*kept = *record;
	kept->topic = xstrdup(record->topic);
	kept->reason = xstrdup(record->reason);
	kept->key = copy_of(record->key);
	kept->value = copy_of(record->value);
	return true;
}

static void chain_done(struct chain *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free((void *)(uintptr_t)c->items[i].topic);
		free((void *)(uintptr_t)c->items[i].reason);
		free((void *)(uintptr_t)c->items[i].key.data);
		free((void *)(uintptr_t)c->items[i].value.data);
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

static int undo(struct parking *p, struct err *e)
{
	return store(p)->undo != NULL ? store(p)->undo(p->place.writer, e) : 0;
}

/* One record, carefully. 1: applied; 0: still not, and *why says so; -1: error. */
static int try_one(struct parking *p, const struct store_parked *r, struct err *why, struct err *e)
{
	struct handlers_record record = { topic_number(p, r->topic), r->schema_id, r->value };

	if (record.topic == p->place.view->input_count) {
		err_data(why, "%s is no input of the view", r->topic);
		return 0;
	}
	if (store(p)->savepoint != NULL && store(p)->savepoint(p->place.writer, e) < 0)
		return -1;
	if (p->place.apply(p->place.context, &record, why) == 0)
		return store(p)->unpark(p->place.writer, r, e) < 0 ? -1 : 1;
	if (why->kind != ERR_DATA) {
		*e = *why;
		return -1;
	}
	err_wrap(why, "%s partition %d offset %lld (seq %lld)", r->topic, r->partition,
		 (long long)r->offset, (long long)r->seq);
	return undo(p, e) < 0 ? -1 : 0;
}

/* The first of a key, and what waits behind it. */
static int try_chain(struct parking *p, struct chain *c, size_t first, bool drop, int64_t *applied,
		     struct err *e)
{
	for (size_t i = first; i < c->count; i++) {
		struct store_parked *r = &c->items[i];
		struct err why = ERR_INIT;
		int rc;

		if (i != first && !same_key(r, &c->items[first]))
			continue;
		if (i == first && drop)
			rc = store(p)->unpark(p->place.writer, r, e) < 0 ? -1 : 1;
		else
			rc = try_one(p, r, &why, e);
		if (rc < 0)
			return -1;
		if (rc == 0) { /* the new head of those that wait; why is no longer than it was */
			struct store_parked again = *r;

			again.behind = false;
			again.reason = why.msg;
			return store(p)->park(p->place.writer, &again, e);
		}
		(*applied)++;
	}
	return 0;
}

static int try_asked(struct parking *p, struct chain *c, const struct worker_parked_ask *ask,
		     int64_t *applied, struct err *e)
{
	bool found = ask->topic == NULL;

	for (size_t i = 0; i < c->count; i++) {
		const struct store_parked *r = &c->items[i];

		if (!is_asked(ask, r))
			continue;
		found = true;
		if (r->behind) {
			err_config(e, "%s:%d:%lld waits behind an earlier record of its key",
				   r->topic, r->partition, (long long)r->offset);
			return err_hint(e, "Retry or drop that one: those behind it follow.");
		}
		if (try_chain(p, c, i, ask->drop, applied, e) < 0)
			return -1;
	}
	return found ? 0
		     : err_config(e, "no record %s:%d:%lld is parked", ask->topic, ask->partition,
				  (long long)ask->offset);
}

/* `drop` of all: nothing is tried. */
static int drop_all(struct parking *p, struct chain *c, int64_t *applied, struct err *e)
{
	for (size_t i = 0; i < c->count; i++) {
		if (store(p)->unpark(p->place.writer, &c->items[i], e) < 0)
			return -1;
		(*applied)++;
	}
	return 0;
}

int parking_act(struct parking *p, const struct worker_parked_ask *ask, int64_t *ret_applied,
		struct err *e)
{
	struct chain c = { 0 };
	int rc;

	*ret_applied = 0;
	if (store(p)->park == NULL)
		return err_config(e, "store %s parks no records", store(p)->name);
	rc = store(p)->parked(p->place.store, p->place.version, collect, &c, e);
	if (rc == 0)
		rc = ask->drop && ask->topic == NULL ? drop_all(p, &c, ret_applied, e)
						     : try_asked(p, &c, ask, ret_applied, e);
	chain_done(&c);
	return rc;
}
