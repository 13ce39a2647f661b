/* write.h - Avro's binary encoding, the primitives (Avro specification 1.11, "Binary Encoding").
 * Inline: the hot path. It lives below core/avro because cells are encoded here; core/avro/write.h
 * adds what frames a whole datum. */
#ifndef CORE_VALUE_WRITE_H
#define CORE_VALUE_WRITE_H

#include "core/base/buf.h"

static inline void write_long(struct buf *b, int64_t v)
{
	uint64_t z = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
	uint8_t *p = buf_reserve(b, 10);
	size_t n = 0;

	while (z > 0x7f) {
		p[n++] = (uint8_t)(z | 0x80);
		z >>= 7;
	}
	p[n++] = (uint8_t)z;
	b->size += n;
}

static inline void write_bytes(struct buf *b, const void *data, size_t size) /* bytes and string */
{
	write_long(b, (int64_t)size);
	buf_add(b, data, size);
}

static inline void write_slice(struct buf *b, struct slice s)
{
	write_bytes(b, s.data, s.size);
}

static inline void write_str(struct buf *b, const char *s)
{
	write_bytes(b, s, strlen(s));
}

static inline void write_bool(struct buf *b, bool v)
{
	buf_add_u8(b, v ? 1 : 0);
}

static inline void write_double(struct buf *b, double v)
{
	buf_add(b, &v, sizeof(v)); /* little-endian hosts only; core/base/platform checks at compile
				      time */
}

static inline void write_float(struct buf *b, float v)
{
	buf_add(b, &v, sizeof(v));
}

#endif
