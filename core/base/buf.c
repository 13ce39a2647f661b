/* buf.c - growth and formatting for buf.h. */
#include "core/base/buf.h"

#include "core/base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf)BUF_INIT;
}

void buf_grow(struct buf *b, size_t extra)
{
	size_t capacity = b->capacity != 0 ? b->capacity : 64;

	if (extra > SIZE_MAX / 4 || b->size > SIZE_MAX / 4)
		abort(); /* a size nobody checked against its limit: a bug of ours */
	while (capacity - b->size < extra)
		capacity *= 2;
	if (capacity != b->capacity) {
		b->data = xrealloc(b->data, capacity);
		b->capacity = capacity;
	}
}

void buf_trim(struct buf *b)
{
	if (b->size == 0) {
		buf_done(b);
	} else if (b->size < b->capacity) {
		b->data = xrealloc(b->data, b->size);
		b->capacity = b->size;
	}
}

void buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_add_format(struct buf *b, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		abort(); /* only a broken format string can do that */
	buf_grow(b, (size_t)n + 1);
	va_start(args, format);
	vsnprintf((char *)b->data + b->size, (size_t)n + 1, format, args);
	va_end(args);
	b->size += (size_t)n;
}

char *buf_cstr(struct buf *b)
{
	*buf_reserve(b, 1) = '\0';
	return (char *)b->data;
}
