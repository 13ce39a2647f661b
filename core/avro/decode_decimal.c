/*
 * decode_decimal.c - Avro's decimal (two's complement, big-endian) as text.
 *
 * Up to eight bytes, the common case, is one 64-bit division a digit pair; longer ones are divided
 * by 10^9 limb by limb. The text is the server's own: no leading zeros, one digit before the point
 * at least, no sign for zero.
 */
#include "core/avro/decode.h"
#include "core/avro/decode_priv.h"

#define LIMBS (DECODE_DECIMAL_BYTES_MAX / 4)
#define DIGITS_MAX 160 /* 64 bytes: 155 digits */
#define BILLION 1000000000u

/* Digits of v, least significant first. Returns their number. */
static size_t digits_of_u64(uint64_t v, uint8_t *digits)
{
	size_t n = 0;

	for (; v != 0; v /= 10)
		digits[n++] = (uint8_t)(v % 10);
	return n;
}

/* The magnitude as 32-bit limbs, most significant first. */
static void load_limbs(struct slice bytes, bool negative, uint32_t *limbs)
{
	unsigned carry = 1;

	memset(limbs, 0, LIMBS * sizeof(*limbs));
	for (size_t i = 0; i < bytes.size; i++) { /* i-th byte from the right */
		uint8_t b = bytes.data[bytes.size - 1 - i];

		if (negative) {
			unsigned v = (uint8_t)~b + carry;

			b = (uint8_t)v;
			carry = v >> 8;
		}
		limbs[LIMBS - 1 - i / 4] |= (uint32_t)b << 8 * (i % 4);
	}
	/* -2^(8n-1) has the magnitude 2^(8n-1), which fits in the same bytes: no carry is left */
}

static size_t digits_of_limbs(uint32_t *limbs, uint8_t *digits)
{
	size_t n = 0, first = 0;

	for (;;) {
		uint64_t rest = 0;

		while (first < LIMBS && limbs[first] == 0)
			first++;
		if (first == LIMBS)
			break;
		for (size_t i = first; i < LIMBS; i++) {
			uint64_t v = rest << 32 | limbs[i];

			limbs[i] = (uint32_t)(v / BILLION);
			rest = v % BILLION;
		}
		for (int k = 0; k < 9; k++, rest /= 10)
			digits[n++] = (uint8_t)(rest % 10);
	}
	while (n > 0 && digits[n - 1] == 0)
		n--;
	return n;
}

static uint64_t load_magnitude(struct slice bytes, bool negative)
{
	uint64_t v = negative ? UINT64_MAX : 0;

	for (size_t i = 0; i < bytes.size; i++)
		v = v << 8 | bytes.data[i];
	return negative ? -v : v;
}

bool decode_decimal(struct slice bytes, int scale, struct buf *out)
{
	uint8_t digits[DIGITS_MAX + 1];
	uint32_t limbs[LIMBS];
	bool negative;
	size_t n, most;

	if (bytes.size == 0 || bytes.size > DECODE_DECIMAL_BYTES_MAX || scale > SCHEMA_SCALE_MAX)
		return false;
	negative = (bytes.data[0] & 0x80) != 0;
	if (bytes.size <= 8) {
		n = digits_of_u64(load_magnitude(bytes, negative), digits);
	} else {
		load_limbs(bytes, negative, limbs);
		n = digits_of_limbs(limbs, digits);
	}
	most = n > (size_t)scale ? n : (size_t)scale + 1;
	(void)buf_reserve(out, most + 2);
	if (negative)
		out->data[out->size++] = '-';
	for (size_t i = most; i > 0; i--) {
		if (i == (size_t)scale)
			out->data[out->size++] = '.';
		out->data[out->size++] = (uint8_t)('0' + (i <= n ? digits[i - 1] : 0));
	}
	return true;
}
