/*
 * queue.c - chunks of frames.
 *
 *   first -> [ taken | frame frame frame ] -> [ frame frame | room ] <- last
 *
 * Every chunk but the first holds at least one frame that wasn't taken; the first may be used up
 * until queue_settle, because the frame taken last is still being read by the caller.
 */
#include "core/intake/queue.h"

#include "core/base/mem.h"

#include <assert.h>
#include <stdlib.h>

struct queue_chunk {
	struct queue_chunk *next;
	uint32_t size, begin, end; /* room, and what of it holds frames */
	uint64_t data[];           /* aligned as frames are */
};

static uint8_t *bytes_of(struct queue_chunk *c)
{
	return (uint8_t *)c->data;
}

void queue_pool_done(struct queue_pool *pool)
{
	while (pool->free != NULL) {
		struct queue_chunk *next = pool->free->next;

		free(pool->free);
		pool->free = next;
	}
	pool->free_count = 0;
}

void queue_done(struct queue *q)
{
	while (q->first != NULL) {
		struct queue_chunk *next = q->first->next;

		free(q->first);
		q->first = next;
	}
	q->last = NULL;
	q->bytes = 0;
}

static struct queue_chunk *chunk_new(struct queue_pool *pool, uint32_t need)
{
	uint32_t size = need > pool->chunk_size ? need : pool->chunk_size;
	struct queue_chunk *c = pool->free;

	if (c != NULL && size == pool->chunk_size) {
		pool->free = c->next;
		pool->free_count--;
	} else {
		c = xmalloc(sizeof(*c) + size);
		c->size = size;
	}
	c->next = NULL;
	c->begin = c->end = 0;
	return c;
}

static void chunk_drop(struct queue_pool *pool, struct queue_chunk *c)
{
	if (c->size != pool->chunk_size || pool->free_count >= pool->free_max) {
		free(c);
		return;
	}
	c->next = pool->free;
	pool->free = c;
	pool->free_count++;
}

void queue_add(struct queue *q, struct queue_pool *pool, struct queue_frame frame, struct slice key,
	       struct slice value)
{
	size_t key_size = key.data != NULL ? key.size : 0;
	uint8_t *to;

	assert(key_size < QUEUE_RECORD_MAX && value.size < QUEUE_RECORD_MAX);
	frame.key_size = key.data != NULL ? (uint32_t)key_size : QUEUE_NO_KEY;
	frame.value_size = (uint32_t)value.size;
	frame.size = (uint32_t)((sizeof(frame) + key_size + value.size + 7) & ~(size_t)7);
	if (q->last == NULL || q->last->size - q->last->end < frame.size) {
		struct queue_chunk *c = chunk_new(pool, frame.size);

		if (q->last == NULL)
			q->first = c;
		else
			q->last->next = c;
		q->last = c;
	}
	to = bytes_of(q->last) + q->last->end;
	memcpy(to, &frame, sizeof(frame));
	if (key_size > 0)
		memcpy(to + sizeof(frame), key.data, key_size);
	if (value.size > 0)
		memcpy(to + sizeof(frame) + key_size, value.data, value.size);
	q->last->end += frame.size;
	q->bytes += frame.size;
}

const struct queue_frame *queue_front(const struct queue *q)
{
	struct queue_chunk *c = q->first;

	if (c != NULL && c->begin == c->end)
		c = c->next;
	if (c == NULL)
		return NULL;
	return (const struct queue_frame *)(const void *)(bytes_of(c) + c->begin);
}

void queue_take(struct queue *q)
{
	const struct queue_frame *f = queue_front(q);
	struct queue_chunk *c = q->first;

	assert(f != NULL && c->begin < c->end); /* settled since the last take */
	c->begin += f->size;
	q->bytes -= f->size;
}

void queue_settle(struct queue *q, struct queue_pool *pool)
{
	struct queue_chunk *c = q->first;

	if (c == NULL || c->begin < c->end)
		return;
	q->first = c->next;
	if (q->first == NULL)
		q->last = NULL;
	chunk_drop(pool, c);
}

struct slice queue_key(const struct queue_frame *f)
{
	if (f->key_size == QUEUE_NO_KEY)
		return slice_of(NULL, 0);
	return slice_of(f + 1, f->key_size);
}

struct slice queue_value(const struct queue_frame *f)
{
	size_t key_size = f->key_size == QUEUE_NO_KEY ? 0 : f->key_size;

	return slice_of((const uint8_t *)(f + 1) + key_size, f->value_size);
}
