/* queue.h - records of one partition waiting for their turn: first in, first out, in chunks.
 *
 * A record is copied in once, as a frame, and handed out in place. Chunks of the usual size go back
 * to a pool that all queues of a merge share, so that a running merge allocates nothing. */
#ifndef CORE_INTAKE_QUEUE_H
#define CORE_INTAKE_QUEUE_H

#include "core/base/slice.h"

struct queue_chunk;

struct queue_pool {
	struct queue_chunk *free;
	size_t free_count, free_max;
	uint32_t chunk_size;
};

struct queue {
	struct queue_chunk *first, *last;
	size_t bytes; /* of frames not yet taken */
};

struct queue_frame {
	int64_t offset, seq;
	int32_t schema_id;
	uint32_t key_size; /* QUEUE_NO_KEY: none */
	uint32_t value_size;
	uint32_t size; /* of the frame: this, key, value, padding */
	uint32_t away; /* bytes of the value, which was not kept; 0: it is here */
	uint32_t unused;
};
#define QUEUE_NO_KEY UINT32_MAX
#define QUEUE_RECORD_MAX (1u << 30)

void queue_pool_done(struct queue_pool *pool);
void queue_done(struct queue *q);
/* Copies key and value behind the frame's numbers; fills the frame's sizes. Sizes below
 * QUEUE_RECORD_MAX. */
void queue_add(struct queue *q, struct queue_pool *pool, struct queue_frame frame, struct slice key,
	       struct slice value);
/* The oldest frame, or NULL. Stays where it is until queue_settle after queue_take. */
const struct queue_frame *queue_front(const struct queue *q);
/* The front is done with, but its memory stays until queue_settle. */
void queue_take(struct queue *q);
void queue_settle(struct queue *q, struct queue_pool *pool);
struct slice queue_key(const struct queue_frame *f);
struct slice queue_value(const struct queue_frame *f);

#endif
