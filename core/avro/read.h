/* read.h - Avro's binary encoding, read from bytes that may be hostile (specification 1.11, "Binary
 * Encoding"). The other half of write.h, on the sticky cursor of rd.h: after the first failure
 * every read gives zero, so one rd_ok() covers a run of reads. Inline: the hot path. */
#ifndef CORE_AVRO_READ_H
#define CORE_AVRO_READ_H

#include "core/base/rd.h"

/* int and long: zigzag, seven bits a byte, at most ten bytes. */
static inline int64_t read_long(struct rd *r)
{
	uint64_t z = 0;

	if (r->failed)
		return 0;
	for (unsigned shift = 0; shift < 64 && r->at < r->size; shift += 7) {
		uint8_t byte = r->data[r->at++];

		if (shift == 63 && byte > 1)
			break;
		z |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return (int64_t)(z >> 1) ^ -(int64_t)(z & 1);
	}
	r->failed = true;
	return 0;
}

static inline int32_t read_int(struct rd *r)
{
	int64_t v = read_long(r);

	if (v >= INT32_MIN && v <= INT32_MAX)
		return (int32_t)v;
	r->failed = true;
	return 0;
}

static inline struct slice read_bytes(struct rd *r) /* bytes and string */
{
	int64_t n = read_long(r);

	if (n < 0)
		r->failed = true;
	return rd_bytes(r, n < 0 ? 0 : (size_t)n);
}

static inline bool read_bool(struct rd *r)
{
	uint8_t v = rd_u8(r);

	if (v > 1)
		r->failed = true;
	return v == 1;
}

static inline double read_double(struct rd *r)
{
	struct slice s = rd_bytes(r, sizeof(double));
	double v = 0;

	if (s.size == sizeof(v))
		memcpy(&v, s.data, sizeof(v)); /* little-endian, as write_double */
	return v;
}

static inline float read_float(struct rd *r)
{
	struct slice s = rd_bytes(r, sizeof(float));
	float v = 0;

	if (s.size == sizeof(v))
		memcpy(&v, s.data, sizeof(v));
	return v;
}

/* Items in the next block of an array or map; 0 ends it. A negative count has the block's size
 * behind it, which we have no use for. The count is only as good as the writer: what limits it
 * is the caller's. */
static inline int64_t read_block(struct rd *r)
{
	int64_t n = read_long(r);

	if (n >= 0)
		return n;
	if (n == INT64_MIN || read_long(r) < 0) {
		r->failed = true;
		return 0;
	}
	return r->failed ? 0 : -n;
}

#endif
