/* fold.c - the window of an open chunk and what happened in it.
 *
 * The map is a hash of keys to offsets in one buffer: key and latest image, or "deleted". A newer
 * image is appended and the old bytes are dead; the buffer is packed when more than half of it is.
 * At the end the entries are sorted once and merged with the rows of the SELECT, which come in key
 * order; where both have a key the fold wins, as it is newer or the same.
 *
 * Why dropping what lies ahead loses nothing: its chunk's window opens later, and its SELECT sees
 * at least everything that the stream had delivered by then. Why flowing what lies below doubles
 * nothing: a row below `low` was delivered with its chunk, in the state that the stream had reached
 * then. */
#include "cdc/capture/fold.h"

#include "cdc/change/key.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

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

struct fold {
	struct buf low, high;
	bool has_low, has_high, open, done;
	struct entry *entries;
	uint32_t count, capacity;
	uint32_t *slots; /* open addressing; power of two; NO_SLOT: free */
	uint32_t slot_count;
	struct buf bytes;
	size_t dead;
};

struct fold *fold_new(void)
{
	return xcalloc(1, sizeof(struct fold));
}

void fold_free(struct fold *f)
{
	if (f == NULL)
		return;
	buf_done(&f->low);
	buf_done(&f->high);
	buf_done(&f->bytes);
	free(f->entries);
	free(f->slots);
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

/* Memory goes back: a table that is done stays in the list for as long as the process runs. */
static void forget(struct fold *f)
{
	free(f->slots);
	free(f->entries);
	f->slots = NULL;
	f->entries = NULL;
	f->slot_count = f->count = f->capacity = 0;
	buf_done(&f->bytes);
	f->dead = 0;
}

void fold_set_done(struct fold *f)
{
	forget(f);
	f->open = false;
	f->done = true;
}

void fold_open(struct fold *f, const struct slice *high)
{
	f->open = true;
	f->has_high = high != NULL;
	if (high != NULL)
		set_key(&f->high, *high);
}

bool fold_is_open(const struct fold *f)
{
	return f->open;
}

void fold_abandon(struct fold *f)
{
	forget(f);
	f->open = false;
}

size_t fold_bytes(const struct fold *f)
{
	return f->bytes.size + f->count * sizeof(struct entry) + f->slot_count * sizeof(uint32_t);
}

/* ---- the map -------------------------------------------------------------------------------- */

static struct slice entry_key(const struct fold *f, const struct entry *entry)
{
	return slice_of(f->bytes.data + entry->key_at, entry->key_size);
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

static uint32_t *slot_of(const struct fold *f, struct slice key, uint32_t hash)
{
	uint32_t i = hash & (f->slot_count - 1);

	while (f->slots[i] != NO_SLOT) {
		const struct entry *entry = &f->entries[f->slots[i]];

		if (entry->hash == hash && slice_equal(entry_key(f, entry), key))
			break;
		i = (i + 1) & (f->slot_count - 1);
	}
	return &f->slots[i];
}

static void rehash(struct fold *f)
{
	f->slot_count = f->slot_count == 0 ? 64 : f->slot_count;
	while (f->slot_count < f->count * 2 + 2)
		f->slot_count *= 2;
	f->slots = xrealloc(f->slots, f->slot_count * sizeof(*f->slots));
	memset(f->slots, 0xff, f->slot_count * sizeof(*f->slots));
	for (uint32_t i = 0; i < f->count; i++)
		*slot_of(f, entry_key(f, &f->entries[i]), f->entries[i].hash) = i;
}

static struct entry *find_or_add(struct fold *f, struct slice key)
{
	uint32_t hash = hash_of(key), *slot;

	if (f->count * 2 >= f->slot_count)
		rehash(f);
	slot = slot_of(f, key, hash);
	if (*slot != NO_SLOT)
		return &f->entries[*slot];
	if (f->count == f->capacity) {
		f->capacity = f->capacity * 2 + 64;
		f->entries = xrealloc(f->entries, f->capacity * sizeof(*f->entries));
	}
	f->entries[f->count] = (struct entry){ .hash = hash,
					       .key_size = (uint32_t)key.size,
					       .key_at = f->bytes.size };
	buf_add_slice(&f->bytes, key);
	*slot = f->count;
	return &f->entries[f->count++];
}

static void pack(struct fold *f)
{
	struct buf packed = BUF_INIT;

	for (uint32_t i = 0; i < f->count; i++) {
		struct entry *entry = &f->entries[i];
		size_t key_at = packed.size;

		buf_add(&packed, f->bytes.data + entry->key_at, entry->key_size);
		entry->key_at = key_at;
		key_at = packed.size;
		buf_add(&packed, f->bytes.data + entry->image_at, entry->image_size);
		entry->image_at = key_at;
	}
	buf_done(&f->bytes);
	f->bytes = packed;
	f->dead = 0;
}

/* image NULL: the row is gone. */
static void put(struct fold *f, struct slice key, const struct slice *image)
{
	struct entry *entry = find_or_add(f, key);

	f->dead += entry->image_size;
	entry->deleted = image == NULL;
	entry->image_size = 0;
	if (image != NULL) {
		entry->image_at = f->bytes.size;
		entry->image_size = (uint32_t)image->size;
		buf_add_slice(&f->bytes, *image);
	}
	if (f->dead > 65536 && f->dead > f->bytes.size / 2)
		pack(f);
}

void fold_narrow(struct fold *f, struct slice high)
{
	uint32_t kept = 0;

	set_key(&f->high, high);
	f->has_high = true;
	for (uint32_t i = 0; i < f->count; i++) {
		if (key_compare(entry_key(f, &f->entries[i]), high) <= 0)
			f->entries[kept++] = f->entries[i];
		else
			f->dead += f->entries[i].key_size + f->entries[i].image_size;
	}
	f->count = kept;
	rehash(f);
}

/* ---- changes -------------------------------------------------------------------------------- */

enum place { PLACE_NONE, PLACE_COPIED, PLACE_INSIDE, PLACE_AHEAD };

static enum place place_of(const struct fold *f, const struct slice *key)
{
	if (key == NULL)
		return PLACE_NONE;
	if (f->has_low && key_compare(*key, buf_slice(&f->low)) <= 0)
		return PLACE_COPIED;
	if (!f->open)
		return PLACE_AHEAD;
	return !f->has_high || key_compare(*key, buf_slice(&f->high)) <= 0 ? PLACE_INSIDE
									   : PLACE_AHEAD;
}

enum fold_answer fold_change(struct fold *f, const struct slice *before_key,
			     const struct slice *after_key, struct slice after_image)
{
	enum place before, after;

	if (f->done)
		return FOLD_FLOW;
	before = place_of(f, before_key);
	after = place_of(f, after_key);
	if (before == PLACE_INSIDE && !BUG(fold))
		put(f, *before_key, NULL);
	if (after == PLACE_INSIDE && !BUG(fold))
		put(f, *after_key, &after_image);
	if (before == PLACE_COPIED)
		return after == PLACE_COPIED || after == PLACE_NONE ? FOLD_FLOW : FOLD_AS_DELETE;
	if (after == PLACE_COPIED)
		return before == PLACE_NONE ? FOLD_FLOW : FOLD_AS_CREATE;
	return FOLD_DROP;
}

/* ---- the end of a chunk --------------------------------------------------------------------- */

static int compare_entries(const void *a, const void *b, void *context)
{
	const struct fold *f = context;

	return key_compare(entry_key(f, a), entry_key(f, b));
}

static int row_of_entry(const struct fold *f, const struct entry *entry, fold_row_fn row,
			void *context, void *e)
{
	if (entry->deleted)
		return 0;
	return row(context, slice_of(f->bytes.data + entry->image_at, entry->image_size), true, e);
}

int fold_merge(struct fold *f, const struct fold_select *selected, size_t count, fold_row_fn row,
	       void *context, void *e)
{
	uint32_t next = 0;

	if (f->count > 1)
		qsort_r(f->entries, f->count, sizeof(*f->entries), compare_entries, f);
	for (size_t i = 0; i < count; i++) {
		int order = -1;

		while (next < f->count) {
			order = key_compare(selected[i].key, entry_key(f, &f->entries[next]));
			if (order < 0)
				break;
			if (row_of_entry(f, &f->entries[next++], row, context, e) < 0)
				return -1;
			if (order == 0)
				break;
		}
		if (order != 0 && row(context, selected[i].image, false, e) < 0)
			return -1;
	}
	while (next < f->count)
		if (row_of_entry(f, &f->entries[next++], row, context, e) < 0)
			return -1;
	return 0;
}

void fold_close(struct fold *f)
{
	if (!f->has_high) {
		fold_set_done(f);
		return;
	}
	fold_resume(f, buf_slice(&f->high));
	fold_abandon(f);
}
