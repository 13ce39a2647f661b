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

struct range {
	uint16_t first, last;
	uint8_t charset;
};

/* Sets that are converted. Sorted, no overlap. From 1024: the same collations without padding; from
 * 2048: UCA 14. */
static const struct range ranges[] = {
	{ 5, 5, CHARSET_LATIN1 },        { 8, 8, CHARSET_LATIN1 },
	{ 11, 11, CHARSET_ASCII },       { 15, 15, CHARSET_LATIN1 },
	{ 31, 31, CHARSET_LATIN1 },      { 33, 33, CHARSET_UTF8MB3 },
	{ 35, 35, CHARSET_UCS2 },        { 45, 46, CHARSET_UTF8MB4 },
	{ 47, 49, CHARSET_LATIN1 },      { 54, 55, CHARSET_UTF16 },
	{ 56, 56, CHARSET_UTF16LE },     { 60, 61, CHARSET_UTF32 },
	{ 62, 62, CHARSET_UTF16LE },     { 63, 63, CHARSET_BINARY },
	{ 65, 65, CHARSET_ASCII },       { 83, 83, CHARSET_UTF8MB3 },
	{ 90, 90, CHARSET_UCS2 },        { 94, 94, CHARSET_LATIN1 },
	{ 101, 124, CHARSET_UTF16 },     { 128, 151, CHARSET_UCS2 },
	{ 159, 159, CHARSET_UCS2 },      { 160, 183, CHARSET_UTF32 },
	{ 192, 215, CHARSET_UTF8MB3 },   { 223, 223, CHARSET_UTF8MB3 },
	{ 224, 247, CHARSET_UTF8MB4 },   { 576, 578, CHARSET_UTF8MB3 },
	{ 608, 610, CHARSET_UTF8MB4 },   { 640, 642, CHARSET_UCS2 },
	{ 672, 674, CHARSET_UTF16 },     { 736, 738, CHARSET_UTF32 },
	{ 1032, 1032, CHARSET_LATIN1 },  { 1035, 1035, CHARSET_ASCII },
	{ 1057, 1057, CHARSET_UTF8MB3 }, { 1059, 1059, CHARSET_UCS2 },
	{ 1069, 1070, CHARSET_UTF8MB4 }, { 1071, 1071, CHARSET_LATIN1 },
	{ 1078, 1079, CHARSET_UTF16 },   { 1080, 1080, CHARSET_UTF16LE },
	{ 1084, 1085, CHARSET_UTF32 },   { 1086, 1086, CHARSET_UTF16LE },
	{ 1089, 1089, CHARSET_ASCII },   { 1107, 1107, CHARSET_UTF8MB3 },
	{ 1114, 1114, CHARSET_UCS2 },    { 1125, 1125, CHARSET_UTF16 },
	{ 1147, 1147, CHARSET_UTF16 },   { 1152, 1152, CHARSET_UCS2 },
	{ 1174, 1174, CHARSET_UCS2 },    { 1184, 1184, CHARSET_UTF32 },
	{ 1206, 1206, CHARSET_UTF32 },   { 1216, 1216, CHARSET_UTF8MB3 },
	{ 1238, 1238, CHARSET_UTF8MB3 }, { 1248, 1248, CHARSET_UTF8MB4 },
	{ 1270, 1270, CHARSET_UTF8MB4 }, { 2048, 2303, CHARSET_UTF8MB3 },
	{ 2304, 2559, CHARSET_UTF8MB4 }, { 2560, 2815, CHARSET_UCS2 },
	{ 2816, 3071, CHARSET_UTF16 },   { 3072, 3327, CHARSET_UTF32 },
};

/* Sets that are known by name only; zero ends a list of ids. */
/* clang-format off */
#define OTHER(set, ...) { "character set " set " is not supported yet", { __VA_ARGS__ } }
/* clang-format on */
static const struct {
	const char *reason;
	uint16_t ids[9];
} others[] = {
	OTHER("armscii8", 32, 64, 1056, 1088),
	OTHER("big5", 1, 84, 1025, 1108),
	OTHER("cp1250", 26, 34, 44, 66, 99, 1050, 1090),
	OTHER("cp1251", 14, 23, 50, 51, 52, 1074, 1075),
	OTHER("cp1256", 57, 67, 1081, 1091),
	OTHER("cp1257", 29, 58, 59, 1082, 1083),
	OTHER("cp850", 4, 80, 1028, 1104),
	OTHER("cp852", 40, 81, 1064, 1105),
	OTHER("cp866", 36, 68, 1060, 1092),
	OTHER("cp932", 95, 96, 1119, 1120),
	OTHER("dec8", 3, 69, 1027, 1093),
	OTHER("eucjpms", 97, 98, 1121, 1122),
	OTHER("euckr", 19, 85, 1043, 1109),
	OTHER("gb2312", 24, 86, 1048, 1110),
	OTHER("gbk", 28, 87, 1052, 1111),
	OTHER("geostd8", 92, 93, 1116, 1117),
	OTHER("greek", 25, 70, 1049, 1094),
	OTHER("hebrew", 16, 71, 1040, 1095),
	OTHER("hp8", 6, 72, 1030, 1096),
	OTHER("keybcs2", 37, 73, 1061, 1097),
	OTHER("koi8r", 7, 74, 1031, 1098),
	OTHER("koi8u", 22, 75, 1046, 1099),
	OTHER("latin2", 2, 9, 21, 27, 77, 1033, 1101),
	OTHER("latin5", 30, 78, 1054, 1102),
	OTHER("latin7", 20, 41, 42, 79, 1065, 1103),
	OTHER("macce", 38, 43, 1062, 1067),
	OTHER("macroman", 39, 53, 1063, 1077),
	OTHER("sjis", 13, 88, 1037, 1112),
	OTHER("swe7", 10, 82, 1034, 1106),
	OTHER("tis620", 18, 89, 1042, 1113),
	OTHER("ujis", 12, 91, 1036, 1115),
};

/* Bytes 0x80 .. 0x9f of latin1 (Windows-1252). */
static const uint16_t latin1_high[32] = {
	0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
	0x2039, 0x0152, 0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
	0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
};

static const char *other_reason(uint16_t collation)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		for (const uint16_t *id = others[i].ids; *id != 0; id++) {
			if (*id == collation)
				return others[i].reason;
		}
	}
	return NULL;
}

enum charset charset_of(uint16_t collation)
{
	size_t low = 0, high = sizeof(ranges) / sizeof(ranges[0]);

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (collation > ranges[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < sizeof(ranges) / sizeof(ranges[0]) && collation >= ranges[low].first)
		return (enum charset)ranges[low].charset;
	return other_reason(collation) != NULL ? CHARSET_OTHER : CHARSET_UNKNOWN;
}

const char *charset_refused(uint16_t collation)
{
	enum charset charset = charset_of(collation);

	if (charset == CHARSET_OTHER)
		return other_reason(collation);
	return charset == CHARSET_UNKNOWN ? "its collation id is not known" : NULL;
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

static bool latin1_to_utf8(struct slice text, struct buf *out)
{
	uint8_t *to = buf_reserve(out, text.size * 3);
	size_t n = ascii_prefix(text.data, text.size);

	memcpy(to, text.data, n);
	for (size_t i = n; i < text.size; i++) {
		uint8_t byte = text.data[i];

		n += put_utf8(to + n,
			      byte >= 0x80 && byte < 0xa0 ? latin1_high[byte - 0x80] : byte);
	}
	out->size += n;
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

bool charset_to_utf8(enum charset charset, struct slice text, struct buf *out)
{
	if (text.size == 0)
		return charset != CHARSET_OTHER && charset != CHARSET_UNKNOWN;
	switch (charset) {
	case CHARSET_BINARY:
		return add_if(true, text, out);
	case CHARSET_ASCII:
		return add_if(ascii_prefix(text.data, text.size) == text.size, text, out);
	case CHARSET_UTF8MB3:
		return add_if(charset_utf8_valid(text.data, text.size, true), text, out);
	case CHARSET_UTF8MB4:
		return add_if(charset_utf8_valid(text.data, text.size, false), text, out);
	case CHARSET_LATIN1:
		return latin1_to_utf8(text, out);
	case CHARSET_UCS2:
		return utf16_to_utf8(text, false, false, out);
	case CHARSET_UTF16:
		return utf16_to_utf8(text, false, true, out);
	case CHARSET_UTF16LE:
		return utf16_to_utf8(text, true, true, out);
	case CHARSET_UTF32:
		return utf32_to_utf8(text, out);
	case CHARSET_OTHER:
	case CHARSET_UNKNOWN:
		return false;
	}
	return false;
}

/* The valid character of `n` bytes at p. */
static uint32_t take_utf8(const uint8_t *p, size_t n)
{
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

static bool put_latin1(uint32_t c, struct buf *out)
{
	for (size_t i = 0; i < 32; i++) {
		if (latin1_high[i] == c) {
			buf_add_u8(out, (uint8_t)(0x80 + i));
			return true;
		}
	}
	if (c > 0xff || (c >= 0x80 && c < 0xa0))
		return false;
	buf_add_u8(out, (uint8_t)c);
	return true;
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

static bool put_character(enum charset charset, uint32_t c, struct buf *out)
{
	switch (charset) {
	case CHARSET_LATIN1:
		return put_latin1(c, out);
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
	case CHARSET_BINARY:
	case CHARSET_ASCII:
	case CHARSET_UTF8MB3:
	case CHARSET_UTF8MB4:
	case CHARSET_OTHER:
	case CHARSET_UNKNOWN:
		return false;
	}
	return false;
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
	if (charset == CHARSET_OTHER || charset == CHARSET_UNKNOWN)
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
