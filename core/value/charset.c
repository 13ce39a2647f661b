/*
 * charset.c - collation id -> character set -> UTF-8.
 *
 * Nearly all text is ASCII or UTF-8 already, so the hot question is "is it valid?": eight bytes at
 * a time while no byte has its high bit set, then character by character. Conversions write
 * straight into the output; the worst growth of each set is known, so room is made once.
 *
 * Refuses: what its own character set doesn't define (a lone surrogate, a code beyond U+10FFFF,
 * half a unit, a byte of 0x80 and up in ascii). The server itself lets surrogates into utf8mb3
 * columns; a reader of UTF-8 would not.
 */
#include "core/value/charset.h"

#include "core/base/fault.h"
#include "core/value/charset_table.h"

#include <assert.h>

const char *charset_refused(uint16_t collation)
{
	return charset_of(collation) == CHARSET_UNKNOWN ? "its collation id is not known" : NULL;
}

bool charset_is_ambiguous(enum charset charset)
{
	const struct charset_table *t = charset_table(charset);

	return t != NULL && charset_table_is_ambiguous(t);
}

/* How many bytes from `text` on are ASCII, found eight at a time. */
static size_t ascii_prefix(const uint8_t *text, size_t size)
{
	size_t i = 0;

	for (; size - i >= 8; i += 8) {
		uint64_t word;

		memcpy(&word, text + i, 8);
		if (word & UINT64_C(0x8080808080808080))
			break;
	}
	if (i + 8 > size && i > 0) { /* the rest, with some of what was looked at before it */
		uint64_t word;

		memcpy(&word, text + size - 8, 8);
		if ((word & UINT64_C(0x8080808080808080)) == 0)
			return size;
	}
	while (i < size && text[i] < 0x80)
		i++;
	return i;
}

static inline bool is_tail(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Size of the valid character of two to four bytes at p, or 0 (Unicode standard, table 3-7). */
static size_t utf8_character(const uint8_t *p, size_t left, bool mb3)
{
	if (p[0] < 0xc2 || left < 2 || !is_tail(p[1]))
		return 0;
	if (p[0] < 0xe0)
		return 2;
	if (left < 3 || !is_tail(p[2]))
		return 0;
	if (p[0] < 0xf0) {
		if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
			return 0;
		return 3;
	}
	if (mb3 || p[0] > 0xf4 || left < 4 || !is_tail(p[3]))
		return 0;
	if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return 4;
}

bool charset_utf8_valid(const uint8_t *text, size_t size, bool mb3)
{
	size_t i = ascii_prefix(text, size);

	while (i < size) {
		size_t n = utf8_character(text + i, size - i, mb3);

		if (n == 0)
			return false;
		i += n;
		if (i < size && text[i] < 0x80)
			i += ascii_prefix(text + i, size - i);
	}
	return true;
}

/* Writes a character that is known to be valid. Returns its size. */
static size_t put_utf8(uint8_t *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (uint8_t)(0xc0 | c >> 6);
		to[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (uint8_t)(0xe0 | c >> 12);
		to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		to[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (uint8_t)(0xf0 | c >> 18);
	to[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	to[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	to[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

/* By a table: at most three bytes for a code of one or two, four for one of three or four. */
static bool table_to_utf8(enum charset charset, struct slice text, struct buf *out)
{
	const struct charset_table *t = charset_table(charset);
	bool ascii = t != NULL && charset_table_is_ascii(t);
	size_t begin = out->size;
	uint8_t *to;

	if (t == NULL)
		return false;
	to = buf_reserve(out, text.size * 3);
	for (size_t i = 0; i < text.size;) {
		size_t n = ascii ? ascii_prefix(text.data + i, text.size - i) : 0;
		uint32_t c;

		memcpy(to, text.data + i, n);
		to += n;
		i += n;
		if (i == text.size)
			break;
		n = charset_table_read(t, text.data + i, text.size - i, &c);
		if (n == 0)
			return false;
		to += put_utf8(to, c);
		i += n;
	}
	out->size = (size_t)(to - out->data);
	assert(out->size - begin <= text.size * 3);
	return true;
}

static uint32_t unit16(const uint8_t *p, bool little)
{
	return little ? (uint32_t)p[1] << 8 | p[0] : (uint32_t)p[0] << 8 | p[1];
}

/* UTF-16 of either order; UCS-2 is the same without pairs. */
static bool utf16_to_utf8(struct slice text, bool little, bool pairs, struct buf *out)
{
	uint8_t *to;
	size_t n = 0;

	if (text.size % 2 != 0)
		return false;
	to = buf_reserve(out, text.size / 2 * 3);
	for (size_t i = 0; i < text.size; i += 2) {
		uint32_t c = unit16(text.data + i, little), low;

		if (c >= 0xd800 && c < 0xe000) {
			if (!pairs || c >= 0xdc00 || text.size - i < 4)
				return false;
			i += 2;
			low = unit16(text.data + i, little);
			if (low < 0xdc00 || low >= 0xe000)
				return false;
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		}
		n += put_utf8(to + n, c);
	}
	out->size += n;
	return true;
}

static bool utf32_to_utf8(struct slice text, struct buf *out)
{
	uint8_t *to;
	size_t n = 0;

	if (text.size % 4 != 0)
		return false;
	to = buf_reserve(out, text.size);
	for (size_t i = 0; i < text.size; i += 4) {
		const uint8_t *p = text.data + i;
		uint32_t c = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
			     p[3];

		if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return false;
		n += put_utf8(to + n, c);
	}
	out->size += n;
	return true;
}

static bool add_if(bool valid, struct slice text, struct buf *out)
{
	if (valid)
		buf_add_slice(out, text);
	return valid;
}

/* The sets that are Unicode; UNKNOWN has no table either. */
bool charset_to_utf8(enum charset charset, struct slice text, struct buf *out)
{
	if (text.size == 0)
		return charset != CHARSET_UNKNOWN;
	if (BUG(value_charset) && charset == CHARSET_CP1250)
		charset = CHARSET_LATIN2;
	switch ((unsigned)charset) { /* the others are many, and all alike */
	case CHARSET_BINARY:
		return add_if(true, text, out);
	case CHARSET_ASCII:
		return add_if(ascii_prefix(text.data, text.size) == text.size, text, out);
	case CHARSET_UTF8MB3:
		return add_if(charset_utf8_valid(text.data, text.size, true), text, out);
	case CHARSET_UTF8MB4:
		return add_if(charset_utf8_valid(text.data, text.size, false), text, out);
	case CHARSET_UCS2:
		return utf16_to_utf8(text, false, false, out);
	case CHARSET_UTF16:
		return utf16_to_utf8(text, false, true, out);
	case CHARSET_UTF16LE:
		return utf16_to_utf8(text, true, true, out);
	case CHARSET_UTF32:
		return utf32_to_utf8(text, out);
	default:
		return table_to_utf8(charset, text, out);
	}
}

/* The valid character of `n` bytes at p. */
static uint32_t take_utf8(const uint8_t *p, size_t n)
{
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

static void put_unit16(uint32_t unit, bool little, struct buf *out)
{
	buf_add_u8(out, (uint8_t)(little ? unit : unit >> 8));
	buf_add_u8(out, (uint8_t)(little ? unit >> 8 : unit));
}

static bool put_utf16(uint32_t c, bool little, bool pairs, struct buf *out)
{
	if (c >= 0x10000 && !pairs)
		return false;
	if (c >= 0x10000) {
		put_unit16(0xd800 + ((c - 0x10000) >> 10), little, out);
		c = 0xdc00 + ((c - 0x10000) & 0x3ff);
	}
	put_unit16(c, little, out);
	return true;
}

static bool put_by_table(enum charset charset, uint32_t c, struct buf *out)
{
	const struct charset_table *t = charset_table(charset);
	uint8_t code[4];
	size_t n = t != NULL ? charset_table_write(t, c, code) : 0;

	buf_add(out, code, n);
	return n > 0;
}

static bool put_character(enum charset charset, uint32_t c, struct buf *out)
{
	switch ((unsigned)charset) {
	case CHARSET_UCS2:
		return put_utf16(c, false, false, out);
	case CHARSET_UTF16:
		return put_utf16(c, false, true, out);
	case CHARSET_UTF16LE:
		return put_utf16(c, true, true, out);
	case CHARSET_UTF32:
		put_unit16(c >> 16, false, out);
		put_unit16(c & 0xffff, false, out);
		return true;
	default:
		return put_by_table(charset, c, out);
	}
}

static bool is_utf8_subset(enum charset charset)
{
	return charset == CHARSET_BINARY || charset == CHARSET_ASCII ||
	       charset == CHARSET_UTF8MB3 || charset == CHARSET_UTF8MB4;
}

bool charset_from_utf8(enum charset charset, struct slice text, struct buf *out)
{
	size_t begin = out->size, n;

	if (is_utf8_subset(charset)) /* the same bytes, as far as the set goes */
		return charset_to_utf8(charset, text, out);
	if (charset == CHARSET_UNKNOWN)
		return false;
	for (size_t i = 0; i < text.size; i += n) {
		n = text.data[i] < 0x80 ? 1 : utf8_character(text.data + i, text.size - i, false);
		if (n == 0 || !put_character(charset, take_utf8(text.data + i, n), out)) {
			out->size = begin;
			return false;
		}
	}
	return true;
}

size_t charset_trim(enum charset charset, const uint8_t *text, size_t size)
{
	static const uint8_t blank_be[4] = { 0, 0, 0, ' ' }, blank_le[2] = { ' ', 0 };
	const uint8_t *blank = blank_be + 3;
	size_t unit = 1;

	if (charset == CHARSET_UCS2 || charset == CHARSET_UTF16)
		unit = 2;
	else if (charset == CHARSET_UTF32)
		unit = 4;
	if (charset == CHARSET_UTF16LE) {
		unit = 2;
		blank = blank_le;
	} else if (charset == CHARSET_BINARY) {
		blank = blank_be;
	} else if (unit > 1) {
		blank = blank_be + 4 - unit;
	}
	while (size >= unit && memcmp(text + size - unit, blank, unit) == 0)
		size -= unit;
	return size;
}
