/* partition.c - which partition a key goes to: murmur2 with the seed that Kafka's Java clients use,
 * the sign bit cleared, modulo the number of partitions. So a record lies where any other client
 * would look for its key.
 *
 * MurmurHash2 by Austin Appleby (public domain): four bytes at a time, little-endian, then the
 * tail. */
#include "core/kafka/producer.h"

#include <assert.h>

#define MURMUR_SEED 0x9747b28cu
#define MURMUR_M 0x5bd1e995u

static uint32_t little_endian(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t murmur2(struct slice s)
{
	uint32_t h = MURMUR_SEED ^ (uint32_t)s.size;
	const uint8_t *p = s.data;
	size_t left = s.size;

	for (; left >= 4; p += 4, left -= 4) {
		uint32_t k = little_endian(p) * MURMUR_M;

		k ^= k >> 24;
		h = h * MURMUR_M ^ k * MURMUR_M;
	}
	if (left == 3)
		h ^= (uint32_t)p[2] << 16;
	if (left >= 2)
		h ^= (uint32_t)p[1] << 8;
	if (left >= 1)
		h = (h ^ p[0]) * MURMUR_M;
	h ^= h >> 13;
	h *= MURMUR_M;
	return h ^ h >> 15;
}

int32_t producer_partition(struct slice key_datum, int32_t partition_count)
{
	assert(partition_count > 0);
	if (key_datum.data == NULL)
		return 0;
	return (int32_t)((murmur2(key_datum) & 0x7fffffffu) % (uint32_t)partition_count);
}
