/* touched.h - what a group commit must say of each partition: how many records it got, and the last
 * seq. */
#ifndef CDC_PUBLISH_TOUCHED_H
#define CDC_PUBLISH_TOUCHED_H

#include "cdc/publish/publisher.h"

struct touched {
	struct publish_touched *items;
	uint32_t **slots; /* of each item: where its topic remembers the index, to be cleared */
	size_t count, capacity;
	int64_t bytes;
};

void touched_done(struct touched *t);
/* slot: the caller's cell for this topic-partition, 0 when untouched; kept as index + 1. topic must
 * outlive the commit. */
void touched_add(struct touched *t, uint32_t *slot, const char *topic, int32_t partition,
		 int64_t seq, size_t bytes);
void touched_clear(struct touched *t);

#endif
