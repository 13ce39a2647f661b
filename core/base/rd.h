/* rd.h - a bounds-checked reader of little-endian bytes from outside.
 *
 * The cursor is sticky: after the first failed read every read gives zero or an empty slice and
 * does not move, so one rd_ok() check covers a run of reads. A nested part gets its own cursor
 * by rd_sub(). A decoder ends with rd_end(): bytes left over are as wrong as bytes missing.
 * Never allocates. */
#ifndef CORE_BASE_RD_H
#define CORE_BASE_RD_H

#include "core/base/slice.h"

struct rd {
	const uint8_t *data;
	size_t size;
	size_t at;
	bool failed;
};

static inline struct rd rd_of(const void *data, size_t size)
{
	/* NULL is nothing, too: not to be counted from */
	const uint8_t *bytes = data != NULL ? data : "";

	return (struct rd){ bytes, size, 0, false };
}

static inline struct rd rd_from(struct slice s)
{
	return rd_of(s.data, s.size);
}

static inline bool rd_ok(const struct rd *r)
{
	return !r->failed;
}

static inline size_t rd_left(const struct rd *r)
{
	return r->failed ? 0 : r->size - r->at;
}

/* True when nothing failed and nothing is left. */
static inline bool rd_end(const struct rd *r)
{
	return !r->failed && r->at == r->size;
}

static inline void rd_fail(struct rd *r)
{
	r->failed = true;
}

/* The next n bytes, or an empty slice (data is never NULL then, so memcpy of 0 bytes is fine). */
static inline struct slice rd_bytes(struct rd *r, size_t n)
{
	struct slice s;

	if (r->failed || r->size - r->at < n) {
		r->failed = true;
		return slice_of("", 0);
	}
	s = slice_of(r->data + r->at, n);
	r->at += n;
	return s;
}

static inline void rd_skip(struct rd *r, size_t n)
{
	(void)rd_bytes(r, n); /* a failure is kept in the cursor */
}

static inline struct slice rd_rest(struct rd *r)
{
	return rd_bytes(r, rd_left(r));
}

static inline struct rd rd_sub(struct rd *r, size_t n)
{
	struct rd sub = rd_from(rd_bytes(r, n));

	sub.failed = r->failed;
	return sub;
}

/* Little-endian unsigned integer of n bytes, 1 <= n <= 8. */
static inline uint64_t rd_le(struct rd *r, size_t n)
{
	struct slice s = rd_bytes(r, n);
	uint64_t v = 0;

	for (size_t i = s.size; i > 0; i--)
		v = v << 8 | s.data[i - 1];
	return v;
}

/* Big-endian, as MySQL packs temporal values and decimals. */
static inline uint64_t rd_be(struct rd *r, size_t n)
{
	struct slice s = rd_bytes(r, n);
	uint64_t v = 0;

	for (size_t i = 0; i < s.size; i++)
		v = v << 8 | s.data[i];
	return v;
}

static inline uint8_t rd_u8(struct rd *r)
{
	return (uint8_t)rd_le(r, 1);
}

static inline uint16_t rd_u16(struct rd *r)
{
	return (uint16_t)rd_le(r, 2);
}

static inline uint32_t rd_u24(struct rd *r)
{
	return (uint32_t)rd_le(r, 3);
}

static inline uint32_t rd_u32(struct rd *r)
{
	return (uint32_t)rd_le(r, 4);
}

static inline uint64_t rd_u48(struct rd *r)
{
	return rd_le(r, 6);
}

static inline uint64_t rd_u64(struct rd *r)
{
	return rd_le(r, 8);
}

/* MySQL's length-encoded integer (protocol manual, "Protocol::LengthEncodedInteger"). 0xfb
 * (NULL) and 0xff fail. */
uint64_t rd_lenenc(struct rd *r);
/* A length-encoded integer and that many bytes. */
struct slice rd_lenenc_bytes(struct rd *r);

#endif
