/*
 * decimal.c - packed decimal, text, two's complement.
 *
 * A packed decimal is read group by group; each group says how many digits it holds, so text and
 * number are both made by walking the groups once. Up to 18 digits (most money) the number fits 64
 * bits; beyond, it is collected in seven 32-bit limbs, multiplied by the power of ten of each
 * group: 65 digits are 216 bits.
 *
 * Refuses a group whose value needs more digits than it has room for: such bytes come from no
 * server.
 */
#include "core/value/decimal.h"

#define LIMBS 7

static const uint8_t group_bytes[10] = { 0, 1, 1, 2, 2, 3, 3, 4, 4, 4 };
static const uint32_t power10[10] = { 1,      10,      100,      1000,      10000,
				      100000, 1000000, 10000000, 100000000, 1000000000 };

struct groups {
	const uint8_t *at;
	uint8_t mask, first; /* what to invert; the first byte has its own */
	uint8_t whole, part; /* digits left before and after the point */
};

size_t decimal_packed_size(uint8_t precision, uint8_t scale)
{
	unsigned whole = precision >= scale ? (unsigned)(precision - scale) : 0;

	return whole / 9 * 4 + group_bytes[whole % 9] + scale / 9 * 4u + group_bytes[scale % 9];
}

static struct groups groups_of(const uint8_t *packed, uint8_t precision, uint8_t scale)
{
	uint8_t mask = packed[0] & 0x80 ? 0 : 0xff;

	return (struct groups){ packed, mask, (uint8_t)(mask ^ 0x80), (uint8_t)(precision - scale),
				scale };
}

/* The next group: its digits, and its value. Zero digits: the end. */
static unsigned next_group(struct groups *g, uint32_t *ret_value)
{
	unsigned digits, bytes;
	uint32_t v = 0;

	if (g->whole > 0) {
		digits = g->whole % 9 != 0 ? g->whole % 9 : 9;
		g->whole = (uint8_t)(g->whole - digits);
	} else {
		digits = g->part < 9 ? g->part : 9;
		g->part = (uint8_t)(g->part - digits);
	}
	bytes = group_bytes[digits];
	for (unsigned i = 0; i < bytes; i++) {
		v = v << 8 | (uint8_t)(*g->at++ ^ g->first);
		g->first = g->mask;
	}
	*ret_value = v;
	return digits;
}

/* The shortest two's complement of the number in big-endian `bytes` (size of them, first bit is the
 * sign). */
static size_t shorten(const uint8_t *bytes, size_t size, uint8_t *ret_bytes)
{
	size_t skip = 0;

	while (skip + 1 < size && ((bytes[skip] == 0 && bytes[skip + 1] < 0x80) ||
				   (bytes[skip] == 0xff && bytes[skip + 1] >= 0x80)))
		skip++;
	memcpy(ret_bytes, bytes + skip, size - skip);
	return size - skip;
}

static void put_be64(uint8_t *to, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(to, &v, 8);
}

size_t decimal_from_u64(uint64_t v, uint8_t *ret_bytes)
{
	uint8_t bytes[9] = { 0 };

	put_be64(bytes + 1, v);
	return shorten(bytes, sizeof(bytes), ret_bytes);
}

static size_t short_to_bytes(struct groups g, uint8_t *ret_bytes)
{
	bool negative = g.mask != 0;
	int64_t sum = 0;
	uint32_t v;
	uint8_t bytes[8];

	for (unsigned digits; (digits = next_group(&g, &v)) > 0;) {
		if (v >= power10[digits])
			return 0;
		sum = sum * power10[digits] + v;
	}
	put_be64(bytes, (uint64_t)(negative ? -sum : sum));
	return shorten(bytes, sizeof(bytes), ret_bytes);
}

size_t decimal_to_bytes(const uint8_t *packed, uint8_t precision, uint8_t scale, uint8_t *ret_bytes)
{
	struct groups g = groups_of(packed, precision, scale);
	uint32_t limbs[LIMBS] = { 0 }, v; /* least significant first */
	uint8_t bytes[LIMBS * 4];
	bool negative = g.mask != 0;

	if (precision <= 18)
		return short_to_bytes(g, ret_bytes);
	for (unsigned digits; (digits = next_group(&g, &v)) > 0;) {
		uint64_t carry = v;

		if (v >= power10[digits])
			return 0;
		for (size_t i = 0; i < LIMBS; i++) {
			carry += (uint64_t)limbs[i] * power10[digits];
			limbs[i] = (uint32_t)carry;
			carry >>= 32;
		}
	}
	for (size_t i = 0, carry = 1; negative && i < LIMBS; i++) {
		limbs[i] = ~limbs[i] + (uint32_t)carry;
		carry = carry != 0 && limbs[i] == 0;
	}
	for (size_t i = 0; i < LIMBS; i++) {
		uint32_t limb = __builtin_bswap32(limbs[LIMBS - 1 - i]);

		memcpy(bytes + i * 4, &limb, 4);
	}
	return shorten(bytes, sizeof(bytes), ret_bytes);
}

size_t decimal_to_text(const uint8_t *packed, uint8_t precision, uint8_t scale, char *ret_text)
{
	struct groups g = groups_of(packed, precision, scale);
	unsigned whole = (unsigned)(precision - scale), at = 0;
	char digits[DECIMAL_LOOSE_MAX + 9];
	bool zero = true;
	size_t n = 0;
	uint32_t v;

	for (unsigned count; (count = next_group(&g, &v)) > 0; at += count) {
		if (v >= power10[count])
			return 0;
		zero = zero && v == 0;
		for (unsigned i = count; i > 0; i--, v /= 10)
			digits[at + i - 1] = (char)('0' + v % 10);
	}
	if (g.mask != 0 && !zero)
		ret_text[n++] = '-';
	at = 0;
	while (at + 1 < whole && digits[at] == '0')
		at++;
	if (whole == 0)
		ret_text[n++] = '0';
	for (; at < whole; at++)
		ret_text[n++] = digits[at];
	if (scale > 0) {
		ret_text[n++] = '.';
		memcpy(ret_text + n, digits + whole, scale);
		n += scale;
	}
	return n;
}

/* Writes the packed groups of `count` digits; the short group is the first (whole part) or the
 * last. */
static uint8_t *pack_groups(const char *digits, unsigned count, bool short_first, uint8_t *to)
{
	while (count > 0) {
		unsigned n = short_first && count % 9 != 0 ? count % 9 : count < 9 ? count : 9;
		uint32_t v = 0;

		for (unsigned i = 0; i < n; i++)
			v = v * 10 + (uint32_t)(digits[i] - '0');
		for (unsigned i = group_bytes[n]; i > 0; i--)
			*to++ = (uint8_t)(v >> 8 * (i - 1));
		digits += n;
		count -= n;
	}
	return to;
}

static size_t digit_run(struct slice text, size_t from)
{
	size_t n = 0;

	while (from + n < text.size && text.data[from + n] >= '0' && text.data[from + n] <= '9')
		n++;
	return n;
}

bool decimal_from_text(struct slice text, uint8_t precision, uint8_t scale, uint8_t *ret_packed)
{
	unsigned room = (unsigned)(precision - scale);
	char digits[DECIMAL_DIGITS_MAX];
	size_t at = 0, whole, part = 0, begin;
	bool negative = text.size > 0 && text.data[0] == '-';
	uint8_t *end;

	if (precision == 0 || precision > DECIMAL_DIGITS_MAX || scale > precision)
		return false;
	begin = negative;
	for (whole = digit_run(text, begin); whole > 0 && text.data[begin] == '0'; whole--)
		begin++;
	at = begin + whole;
	memset(digits, '0', sizeof(digits));
	if (at < text.size && text.data[at] == '.') {
		part = digit_run(text, at + 1);
		if (part > scale)
			return false;
		memcpy(digits + room, text.data + at + 1, part);
		at += 1 + part;
	}
	if (at != text.size || whole > room ||
	    (begin == (size_t)negative && whole == 0 && part == 0))
		return false;
	memcpy(digits + room - whole, text.data + begin, whole);
	end = pack_groups(digits, room, true, ret_packed);
	end = pack_groups(digits + room, scale, false, end);
	for (uint8_t *p = ret_packed; negative && p < end; p++)
		*p = (uint8_t) ~*p;
	ret_packed[0] ^= 0x80;
	return true;
}
