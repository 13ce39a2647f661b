/* ring.h - whole event packets on their way from the reader thread to the pipeline: one producer,
 * one consumer, bounded.
 *
 * Entries are contiguous, so the consumer decodes in place. It reads with cursors of its own, as
 * far ahead as it likes, and releases when it is done; what it hasn't released bounds what the
 * producer can add. No lock and no system call as long as neither side waits.
 *
 * A packet above a quarter of the ring is lent, not copied: ring_push() then returns only when the
 * consumer has released it. Nothing else can follow meanwhile, which the consumer sees as
 * RING_FULL. */
#ifndef CDC_SOURCE_RING_H
#define CDC_SOURCE_RING_H

#include "core/base/slice.h"

#define RING_BYTES_MIN 4096

struct ring;

enum ring_state {
	RING_EVENT,
	RING_EMPTY, /* nothing within the timeout */
	RING_FULL,  /* everything in the ring lies before the cursor, and the producer cannot go on
		       until some is released */
	RING_END,   /* the producer has ended and everything lies before the cursor */
};

struct ring *ring_new(size_t bytes); /* rounded up to a power of two, at least RING_BYTES_MIN */
void ring_free(struct ring *r);      /* both sides must be done; NULL is fine */

/* ---- producer ------------------------------------------------------------------------------- */
/* Waits for room. False when the consumer has called ring_stop(): nothing was added. The packet
 * must not be empty. */
bool ring_push(struct ring *r, struct slice packet);
void ring_end(struct ring *r); /* nothing more will come */

/* ---- consumer ------------------------------------------------------------------------------- */
uint64_t ring_begin(const struct ring *r); /* cursor of the oldest packet that is not released */
/* The packet at *cursor, which then moves behind it. The slice is valid until released. timeout_ms
 * 0: don't wait. */
enum ring_state ring_read(struct ring *r, uint64_t *cursor, int timeout_ms,
			  struct slice *ret_packet);
/* Everything before the cursor is done with. Never goes back. */
void ring_release(struct ring *r, uint64_t cursor);
void ring_stop(struct ring *r); /* wakes the producer for good */

#endif
