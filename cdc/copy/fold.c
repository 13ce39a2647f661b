/* fold.c - the windows of open chunks and what happened in them.
 *
 * A window's map is a hash of keys to offsets in one buffer: key and latest image, or "deleted". A
 * newer image is appended and the old bytes are dead; the buffer is packed when more than half of
 * it is. At the end the entries are sorted once and merged with the rows of the SELECT, which come
 * in key order; where both have a key the fold wins, as it is newer or the same.
 *
 * Why dropping what lies ahead loses nothing: its chunk's window opens later, and its SELECT sees
 * at least everything that the stream had delivered by then. Why flowing what lies below doubles
 * nothing: a row below `low` was delivered with its chunk, in the state that the stream had reached
 * then. */
#include "cdc/copy/fold.h"

#include "cdc/change/key.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#include <assert.h>
#include <stdlib.h>

#define NO_SLOT UINT32_MAX

struct entry {
	uint32_t hash;
	uint32_t key_size;
	size_t key_at; /* in bytes */
	size_t image_at;
	uint32_t image_size;
	bool deleted;
};

struct fold_window {
	struct fold_window *next;
	void *owner;
	struct buf high;
	bool has_high;
	struct entry *entries;
	uint32_t count, capacity;
	uint32_t *slots; /* open addressing; power of two; NO_SLOT: free */
	uint32_t slot_count;
	struct buf bytes;
	size_t dead;
};

struct fold {
	struct buf low;
	bool has_low, done;
	struct fold_window *first, *last;
};

struct fold *fold_new(void)
{
	return xcalloc(1, sizeof(struct fold));
}

static void window_free(struct fold_window *w)
{
	buf_done(&w->high);
	buf_done(&w->bytes);
	free(w->entries);
	free(w->slots);
	free(w);
}

static void forget(struct fold *f)
{
	while (f->first != NULL)
		fold_abandon_last(f);
}

void fold_free(struct fold *f)
{
	if (f == NULL)
		return;
	forget(f);
	buf_done(&f->low);
	free(f);
}

static void set_key(struct buf *to, struct slice key)
{
	buf_reset(to);
	buf_add_slice(to, key);
}

void fold_resume(struct fold *f, struct slice low)
{
	set_key(&f->low, low);
	f->has_low = true;
}

bool fold_low(const struct fold *f, struct slice *ret_low)
{
	if (!f->has_low)
		return false;
	*ret_low = buf_slice(&f->low);
	return true;
}

bool fold_done(const struct fold *f)
{
	return f->done;
}

void fold_restart(struct fold *f)
{
	forget(f);
	buf_reset(&f->low);
	f->has_low = f->done = false;
}

/* ---- windows -------------------------------------------------------------------------------- */

struct fold_window *fold_open(struct fold *f, const struct slice *high, void *owner)
{
	struct fold_window *w = xcalloc(1, sizeof(*w));

	assert(!f->done && (f->last == NULL || f->last->has_high));
	w->owner = owner;
	w->has_high = high != NULL;
	if (high != NULL)
		set_key(&w->high, *high);
	if (f->last == NULL)
		f->first = w;
	else
		f->last->next = w;
	f->last = w;
	return w;
}

struct fold_window *fold_first(const struct fold *f)
{
	return f->first;
}

struct fold_window *fold_last(const struct fold *f)
{
	return f->last;
}

void *fold_owner(const struct fold_window *w)
{
	return w->owner;
}

void fold_abandon_last(struct fold *f)
{
	struct fold_window *last = f->last, *before = NULL;

	for (struct fold_window *w = f->first; w != last; w = w->next)
		before = w;
	if (before == NULL)
		f->first = NULL;
	else
		before->next = NULL;
	f->last = before;
	window_free(last);
}

void fold_clear(struct fold_window *w)
{
	free(w->slots);
	free(w->entries);
	w->slots = NULL;
	w->entries = NULL;
	w->slot_count = w->count = w->capacity = 0;
	buf_done(&w->bytes);
	w->dead = 0;
}

size_t fold_bytes(const struct fold_window *w)
{
	return w->bytes.size + w->count * sizeof(struct entry) + w->slot_count * sizeof(uint32_t);
}

/* ---- the map -------------------------------------------------------------------------------- */

static struct slice entry_key(const struct fold_window *w, const struct entry *entry)
{
	return slice_of(w->bytes.data + entry->key_at, entry->key_size);
}

/* FNV-1a (Fowler, Noll, Vo); the keys are the application's own, not an attacker's choice of
 * bucket. */
static uint32_t hash_of(struct slice key)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < key.size; i++)
		h = (h ^ key.data[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)(h ^ h >> 32);
}

static uint32_t *slot_of(const struct fold_window *w, struct slice key, uint32_t hash)
{
	uint32_t i = hash & (w->slot_count - 1);

	while (w->slots[i] != NO_SLOT) {
		const struct entry *entry = &w->entries[w->slots[i]];

		if (entry->hash == hash && slice_equal(entry_key(w, entry), key))
			break;
		i = (i + 1) & (w->slot_count - 1);
	}
	return &w->slots[i];
}

static void rehash(struct fold_window *w)
{
	w->slot_count = w->slot_count == 0 ? 64 : w->slot_count;
	while (w->slot_count < w->count * 2 + 2)
		w->slot_count *= 2;
	w->slots = xrealloc(w->slots, w->slot_count * sizeof(*w->slots));
	memset(w->slots, 0xff, w->slot_count * sizeof(*w->slots));
	for (uint32_t i = 0; i < w->count; i++)
		*slot_of(w, entry_key(w, &w->entries[i]), w->entries[i].hash) = i;
}

static struct entry *find_or_add(struct fold_window *w, struct slice key)
{
	uint32_t hash = hash_of(key), *slot;

	if (w->count * 2 >= w->slot_count)
		rehash(w);
	slot = slot_of(w, key, hash);
	if (*slot != NO_SLOT)
		return &w->entries[*slot];
	if (w->count == w->capacity) {
		w->capacity = w->capacity * 2 + 64;
		w->entries = xrealloc(w->entries, w->capacity * sizeof(*w->entries));
	}
	w->entries[w->count] = (struct entry){ .hash = hash,
					       .key_size = (uint32_t)key.size,
					       .key_at = w->bytes.size };
	buf_add_slice(&w->bytes, key);
	*slot = w->count;
	return &w->entries[w->count++];
}

static void pack(struct fold_window *w)
{
	struct buf packed = BUF_INIT;

	for (uint32_t i = 0; i < w->count; i++) {
		struct entry *entry = &w->entries[i];
		size_t key_at = packed.size;

		buf_add(&packed, w->bytes.data + entry->key_at, entry->key_size);
		entry->key_at = key_at;
		key_at = packed.size;
		buf_add(&packed, w->bytes.data + entry->image_at, entry->image_size);
		entry->image_at = key_at;
	}
	buf_done(&w->bytes);
	w->bytes = packed;
	w->dead = 0;
}

/* image NULL: the row is gone. */
static void put(struct fold_window *w, struct slice key, const struct slice *image)
{
	struct entry *entry = find_or_add(w, key);

	w->dead += entry->image_size;
	entry->deleted = image == NULL;
	entry->image_size = 0;
	if (image != NULL) {
		entry->image_at = w->bytes.size;
		entry->image_size = (uint32_t)image->size;
		buf_add_slice(&w->bytes, *image);
	}
	if (w->dead > 65536 && w->dead > w->bytes.size / 2)
		pack(w);
}

void fold_narrow(struct fold *f, struct fold_window *w, struct slice high)
{
	uint32_t kept = 0;

	assert(w == f->last);
	set_key(&w->high, high);
	w->has_high = true;
	for (uint32_t i = 0; i < w->count; i++) {
		if (key_compare(entry_key(w, &w->entries[i]), high) <= 0)
			w->entries[kept++] = w->entries[i];
		else
			w->dead += w->entries[i].key_size + w->entries[i].image_size;
	}
	w->count = kept;
	rehash(w);
}

/* ---- changes -------------------------------------------------------------------------------- */

enum place { PLACE_NONE, PLACE_COPIED, PLACE_INSIDE, PLACE_AHEAD };

struct fold_window *fold_find(const struct fold *f, struct slice key)
{
	if (f->first == NULL || (f->has_low && key_compare(key, buf_slice(&f->low)) <= 0))
		return NULL;
	for (struct fold_window *w = f->first; w != NULL; w = w->next)
		if (!w->has_high || key_compare(key, buf_slice(&w->high)) <= 0)
			return w;
	return NULL;
}

static enum place place_of(const struct fold *f, const struct slice *key,
			   struct fold_window **ret_window)
{
	if (key == NULL)
		return PLACE_NONE;
	if (f->has_low && key_compare(*key, buf_slice(&f->low)) <= 0)
		return PLACE_COPIED;
	*ret_window = fold_find(f, *key);
	return *ret_window != NULL ? PLACE_INSIDE : PLACE_AHEAD;
}

enum fold_answer fold_change(struct fold *f, const struct slice *before_key,
			     const struct slice *after_key, struct slice after_image)
{
	struct fold_window *from = NULL, *to = NULL;
	enum place before, after;

	if (f->done)
		return FOLD_FLOW;
	before = place_of(f, before_key, &from);
	after = place_of(f, after_key, &to);
	if (before == PLACE_INSIDE && !BUG(fold))
		put(from, *before_key, NULL);
	if (after == PLACE_INSIDE && !BUG(fold))
		put(to, *after_key, &after_image);
	if (before == PLACE_COPIED)
		return after == PLACE_COPIED || after == PLACE_NONE ? FOLD_FLOW : FOLD_AS_DELETE;
	if (after == PLACE_COPIED)
		return before == PLACE_NONE ? FOLD_FLOW : FOLD_AS_CREATE;
	return FOLD_DROP;
}

/* ---- the end of a chunk --------------------------------------------------------------------- */

static int compare_entries(const void *a, const void *b, void *context)
{
	const struct fold_window *w = context;

	return key_compare(entry_key(w, a), entry_key(w, b));
}

static int row_of_entry(const struct fold_window *w, const struct entry *entry, fold_row_fn row,
			void *context, void *e)
{
	if (entry->deleted)
		return 0;
	return row(context, slice_of(w->bytes.data + entry->image_at, entry->image_size), true, e);
}

int fold_merge(struct fold *f, const struct fold_select *selected, size_t count, fold_row_fn row,
	       void *context, void *e)
{
	struct fold_window *w = f->first;
	uint32_t next = 0;

	if (w->count > 1)
		qsort_r(w->entries, w->count, sizeof(*w->entries), compare_entries, w);
	for (size_t i = 0; i < count; i++) {
		int order = -1;

		while (next < w->count) {
			order = key_compare(selected[i].key, entry_key(w, &w->entries[next]));
			if (order < 0)
				break;
			if (row_of_entry(w, &w->entries[next++], row, context, e) < 0)
				return -1;
			if (order == 0)
				break;
		}
		if (order != 0 && row(context, selected[i].image, false, e) < 0)
			return -1;
	}
	while (next < w->count)
		if (row_of_entry(w, &w->entries[next++], row, context, e) < 0)
			return -1;
	return 0;
}

void fold_close(struct fold *f)
{
	struct fold_window *w = f->first;

	if (!w->has_high) {
		forget(f);
		f->done = true;
		return;
	}
	fold_resume(f, buf_slice(&w->high));
	f->first = w->next;
	if (f->first == NULL)
		f->last = NULL;
	window_free(w);
}
