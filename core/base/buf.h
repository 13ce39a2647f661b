/* buf.h - a growable byte buffer. Grows by doubling and keeps its memory on buf_reset, so that a
 * hot loop that reuses one buffer allocates nothing once warm. Embedded: BUF_INIT or zeroed
 * memory is an empty buffer. */
#ifndef CORE_BASE_BUF_H
#define CORE_BASE_BUF_H

#include "core/base/slice.h"

struct buf {
	uint8_t *data;
	size_t size;
	size_t capacity;
};

#define BUF_INIT           \
	{                  \
		NULL, 0, 0 \
	}

void buf_done(struct buf *b); /* frees the memory; the buffer is empty and usable again */
void buf_grow(struct buf *b, size_t extra); /* room for at least `extra` more bytes */
/* Gives back the room that isn't used: for one of many that stay as they are. */
void buf_trim(struct buf *b);

static inline void buf_reset(struct buf *b)
{
	b->size = 0;
}

static inline struct slice buf_slice(const struct buf *b)
{
	return slice_of(b->data, b->size);
}

/* Room for n bytes at the end, to be written by the caller, who then adds to b->size. Never NULL,
 * also where n is 0. */
static inline uint8_t *buf_reserve(struct buf *b, size_t n)
{
	if (b->capacity - b->size <= n)
		buf_grow(b, n);
	return b->data + b->size;
}

static inline void buf_add(struct buf *b, const void *data, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf_reserve(b, n), data, n);
	b->size += n;
}

static inline void buf_add_slice(struct buf *b, struct slice s)
{
	buf_add(b, s.data, s.size);
}

static inline void buf_add_u8(struct buf *b, uint8_t v)
{
	*buf_reserve(b, 1) = v;
	b->size++;
}

void buf_add_str(struct buf *b, const char *s);
void buf_add_format(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A NUL after the content (not counted in size), so that data can be used as a C string. Returns
 * it. */
char *buf_cstr(struct buf *b);

#endif
