/* checksum.c - CRC32 by folding, where the processor can; else zlib's.
 *
 * A CRC is the remainder of the message, as a polynomial over GF(2), by the generator; and what is
 * congruent has the same one. So 16 bytes may be replaced by a product of 12 and a bit that stands
 * further behind: x^n mod P is a constant for each distance n, and one instruction (PCLMULQDQ)
 * multiplies 64 bits by it. Four such 16-byte accumulators run side by side over blocks of 64
 * bytes; they are folded into one at the end, and that is reduced by Barrett's method. After V.
 * Gopal and others, "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", Intel, 2009,
 * whose constants for this polynomial in reflected order are below.
 *
 * What is shorter than a block of 64 bytes, and the last bytes beyond a multiple of 16, are zlib's.
 */
#include "cdc/binlog/checksum.h"

#include <zlib.h>

#ifdef __x86_64__
#include <immintrin.h>

#define FOLDS __attribute__((target("pclmul,sse4.1")))
#define LANES 4
#define BLOCK (LANES * sizeof(__m128i))

/* x^(d+32) mod P and x^(d-32) mod P for the distance d in bits: low and high half */
static const uint64_t over_512[2] = { 0x154442bd4, 0x1c6e41596 };
static const uint64_t over_128[2] = { 0x1751997d0, 0x0ccaa009e };
static const uint64_t over_64[2] = { 0x163cd6124, 0 };
/* P, and x^64 divided by it */
static const uint64_t generator[2] = { 0x1db710641, 0x1f7011641 };

static inline FOLDS __m128i load(const void *p)
{
	return _mm_loadu_si128((const __m128i *)p);
}

/* What `sum` is worth so much further behind, and what stands there. */
static inline FOLDS __m128i fold(__m128i sum, __m128i by, __m128i next)
{
	__m128i low = _mm_clmulepi64_si128(sum, by, 0x00),
		high = _mm_clmulepi64_si128(sum, by, 0x11);

	return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* The remainder of 128 bits. */
static FOLDS uint32_t reduce(__m128i sum)
{
	const __m128i low_words = _mm_set_epi32(0, -1, 0, -1), by = load(over_128),
		      last = load(over_64), p = load(generator);
	__m128i quotient;

	sum = _mm_xor_si128(_mm_srli_si128(sum, 8), _mm_clmulepi64_si128(sum, by, 0x10));
	sum = _mm_xor_si128(_mm_srli_si128(sum, 4),
			    _mm_clmulepi64_si128(_mm_and_si128(sum, low_words), last, 0x00));
	quotient = _mm_clmulepi64_si128(_mm_and_si128(sum, low_words), p, 0x10);
	quotient = _mm_clmulepi64_si128(_mm_and_si128(quotient, low_words), p, 0x00);
	return (uint32_t)_mm_extract_epi32(_mm_xor_si128(sum, quotient), 1);
}

/* Takes all whole 16 bytes; at least a block. Returns how many bytes that were. */
static FOLDS size_t fold_all(uint32_t *crc, const uint8_t *data, size_t size)
{
	const __m128i far = load(over_512), near = load(over_128);
	__m128i sum[LANES];
	size_t at = BLOCK;

	for (size_t i = 0; i < LANES; i++)
		sum[i] = load(data + i * sizeof(sum[0]));
	sum[0] = _mm_xor_si128(sum[0], _mm_cvtsi32_si128((int)~*crc));
	for (; size - at >= BLOCK; at += BLOCK)
		for (size_t i = 0; i < LANES; i++)
			sum[i] = fold(sum[i], far, load(data + at + i * sizeof(sum[0])));
	for (size_t i = 1; i < LANES; i++)
		sum[0] = fold(sum[0], near, sum[i]);
	for (; size - at >= sizeof(sum[0]); at += sizeof(sum[0]))
		sum[0] = fold(sum[0], near, load(data + at));
	*crc = ~reduce(sum[0]);
	return at;
}

static int can_fold(void)
{
	return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}

uint32_t checksum_crc32(uint32_t crc, const void *data, size_t size)
{
	size_t done = size >= BLOCK && can_fold() ? fold_all(&crc, data, size) : 0;

	return (uint32_t)crc32_z(crc, (const uint8_t *)data + done, size - done);
}

#else

uint32_t checksum_crc32(uint32_t crc, const void *data, size_t size)
{
	return (uint32_t)crc32_z(crc, data, size);
}

#endif
