/* touched.c - constant time per record: each topic-partition remembers its place in the list. */
#include "cdc/publish/touched.h"

#include "core/base/mem.h"

#include <stdlib.h>

void touched_done(struct touched *t)
{
	free(t->items);
	free(t->slots);
	*t = (struct touched){ NULL, NULL, 0, 0, 0 };
}

static uint32_t touch(struct touched *t, uint32_t *slot, const char *topic, int32_t partition)
{
	if (t->count == t->capacity) {
		t->capacity = t->capacity != 0 ? t->capacity * 2 : 16;
		t->items = xrealloc(t->items, t->capacity * sizeof(*t->items));
		t->slots = xrealloc(t->slots, t->capacity * sizeof(*t->slots));
	}
	t->items[t->count] = (struct publish_touched){ .topic = topic, .partition = partition };
	t->slots[t->count] = slot;
	return (uint32_t)++t->count;
}

void touched_add(struct touched *t, uint32_t *slot, const char *topic, int32_t partition,
		 int64_t seq, size_t bytes)
{
	struct publish_touched *item;

	if (*slot == 0)
		*slot = touch(t, slot, topic, partition);
	item = &t->items[*slot - 1];
	item->records++;
	item->last_seq = seq;
	t->bytes += (int64_t)bytes;
}

void touched_clear(struct touched *t)
{
	for (size_t i = 0; i < t->count; i++)
		*t->slots[i] = 0;
	t->count = 0;
	t->bytes = 0;
}
