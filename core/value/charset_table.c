/*
 * charset_table.c - tables of character sets, unpacked.
 *
 * A table holds a 16-bit character for each code that could be one, 0xffff where there is none:
 *
 * clang-format off
 *   single   256     one byte; 0xffff for bytes that begin a longer code
 *   pairs    126*191 two bytes, 81..fe and 40..fe
 *   triples  94*94   8f and two bytes a1..fe (ujis, eucjpms)
 *   quads    39420   four bytes 81..84 30..39 81..fe 30..39 (gb18030): the rest of the basic plane;
 *                    from 90 30 81 30 on they are the characters beyond it, in order
 * clang-format on
 *
 * Packed, all tables stand one behind the other, as one run of low bytes and one of high bytes:
 * what each character is more than the one before plus one, or, for a set with a relative, what
 * differs from it. Deflated, and in base64 to be C.
 *
 * The way back is needed rarely (rows that are read out of topics again), so its tables are made
 * when they are first asked for.
 */
#include "core/value/charset_table.h"

#include "core/base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <zlib.h>

struct charset_range {
	uint16_t first, last;
	uint8_t charset;
};

struct charset_packed {
	uint8_t charset, relative;
};

#include "core/value/charset_tables.gen.h"

#define NONE 0xffff
#define LEAD 0x81
#define LEADS 126
#define TRAIL 0x40
#define TRAILS 191
#define PAIRS ((size_t)LEADS * TRAILS)
#define TRIPLE_LEAD 0x8f
#define TRIPLE_FROM 0xa1
#define TRIPLE_SIDE 94
#define TRIPLES ((size_t)TRIPLE_SIDE * TRIPLE_SIDE)
#define QUADS 39420
#define QUAD_OF_NONE (QUADS - 1) /* of U+FFFF: there it is a character */
#define QUADS_BEYOND 189000      /* of U+10000 */

struct charset_table {
	enum charset charset;
	const uint16_t *single, *pairs, *triples, *quads; /* NULL: no such codes */
	bool ascii;
	/* the way back: codes by character of the basic plane, 0: none */
	pthread_once_t once;
	uint32_t *codes;
	bool ambiguous;
};

static struct charset_table tables[CHARSET_COUNT];
static pthread_once_t unpacked = PTHREAD_ONCE_INIT;

/* ---- collations ----------------------------------------------------------------------------- */

enum charset charset_of(uint16_t collation)
{
	size_t low = 0, high = sizeof(charset_ranges) / sizeof(charset_ranges[0]);
	const size_t end = high;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (collation > charset_ranges[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < end && collation >= charset_ranges[low].first)
		return (enum charset)charset_ranges[low].charset;
	return CHARSET_UNKNOWN;
}

/* ---- unpacking ------------------------------------------------------------------------------ */

static bool has_pairs(enum charset c)
{
	return c == CHARSET_BIG5 || c == CHARSET_SJIS || c == CHARSET_CP932 || c == CHARSET_GBK ||
	       c == CHARSET_GB2312 || c == CHARSET_EUCKR || c == CHARSET_UJIS ||
	       c == CHARSET_EUCJPMS || c == CHARSET_GB18030;
}

static bool has_triples(enum charset c)
{
	return c == CHARSET_UJIS || c == CHARSET_EUCJPMS;
}

static size_t words_of(enum charset c)
{
	return 256 + (has_pairs(c) ? PAIRS : 0) + (has_triples(c) ? TRIPLES : 0) +
	       (c == CHARSET_GB18030 ? QUADS : 0);
}

static uint32_t base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint32_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint32_t)(c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0' + 52);
	return c == '+' ? 62 : 63;
}

/* Our own bytes: what is wrong with them is our mistake. */
static uint8_t *inflate_tables(void)
{
	uint8_t *deflated = xmalloc(CHARSET_DEFLATED + 3),
		*bytes = xmalloc((size_t)2 * CHARSET_WORDS);
	uLongf size = (uLongf)2 * CHARSET_WORDS;
	size_t n = 0;
	int rc;

	for (const char *p = charset_base64; n < CHARSET_DEFLATED; p += 4) {
		uint32_t v = base64_value(p[0]) << 18 | base64_value(p[1]) << 12 |
			     base64_value(p[2]) << 6 | base64_value(p[3]);

		deflated[n++] = (uint8_t)(v >> 16);
		deflated[n++] = (uint8_t)(v >> 8);
		deflated[n++] = (uint8_t)v;
	}
	rc = uncompress(bytes, &size, deflated, CHARSET_DEFLATED);
	assert(rc == Z_OK && size == (uLongf)2 * CHARSET_WORDS);
	free(deflated);
	return bytes;
}

/* The tables of one set, one behind the other from `words` on. */
static void set_table(enum charset c, const uint16_t *words)
{
	struct charset_table *t = &tables[c];

	t->charset = c;
	t->single = words;
	words += 256;
	if (has_pairs(c)) {
		t->pairs = words;
		words += PAIRS;
	}
	if (has_triples(c))
		t->triples = words;
	else if (c == CHARSET_GB18030)
		t->quads = words;
	t->ascii = true;
	for (uint16_t i = 0; i < 128; i++)
		t->ascii = t->ascii && t->single[i] == i;
	t->once = (pthread_once_t)PTHREAD_ONCE_INIT;
}

/* Kept for the life of the process. */
static void unpack(void)
{
	uint8_t *bytes = inflate_tables();
	uint16_t *words = xmalloc((size_t)2 * CHARSET_WORDS);
	size_t at = 0;

	for (size_t i = 0; i < sizeof(charset_packed) / sizeof(charset_packed[0]); i++) {
		enum charset c = (enum charset)charset_packed[i].charset;
		const uint16_t *relative = tables[charset_packed[i].relative].single;
		size_t count = words_of(c), shared = 0;
		uint16_t before = 0;

		if (relative != NULL)
			shared = words_of((enum charset)charset_packed[i].relative);
		for (size_t k = 0; k < count; k++, at++) {
			uint16_t step = (uint16_t)(bytes[at] | bytes[CHARSET_WORDS + at] << 8);

			if (relative != NULL)
				words[at] = k < shared ? step ^ relative[k] : step;
			else
				words[at] = (uint16_t)(before + 1 + step);
			before = words[at];
		}
		set_table(c, words + at - count);
	}
	assert(at == CHARSET_WORDS);
	free(bytes);
}

const struct charset_table *charset_table(enum charset charset)
{
	pthread_once(&unpacked, unpack);
	return tables[charset].single != NULL ? &tables[charset] : NULL;
}

bool charset_table_is_ascii(const struct charset_table *t)
{
	return t->ascii;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* gb18030, four bytes. */
static size_t read_quad(const struct charset_table *t, const uint8_t *p, size_t left,
			uint32_t *ret_character)
{
	uint32_t index;

	if (left < 4 || p[2] < LEAD || p[2] > 0xfe || p[3] < '0' || p[3] > '9')
		return 0;
	index = ((((uint32_t)p[0] - LEAD) * 10 + (p[1] - '0')) * LEADS + (p[2] - LEAD)) * 10 +
		(p[3] - '0');
	if (index >= QUADS_BEYOND && index - QUADS_BEYOND <= 0xfffff) {
		*ret_character = 0x10000 + index - QUADS_BEYOND;
		return 4;
	}
	if (index >= QUADS || (t->quads[index] == NONE && index != QUAD_OF_NONE))
		return 0;
	*ret_character = t->quads[index];
	return 4;
}

static size_t read_triple(const struct charset_table *t, const uint8_t *p, size_t left,
			  uint32_t *ret_character)
{
	uint16_t c;

	if (left < 3 || p[1] < TRIPLE_FROM || p[1] > 0xfe || p[2] < TRIPLE_FROM || p[2] > 0xfe)
		return 0;
	c = t->triples[(p[1] - TRIPLE_FROM) * TRIPLE_SIDE + (p[2] - TRIPLE_FROM)];
	*ret_character = c;
	return c == NONE ? 0 : 3;
}

size_t charset_table_read(const struct charset_table *t, const uint8_t *p, size_t left,
			  uint32_t *ret_character)
{
	uint16_t c = t->single[p[0]];

	if (c != NONE) {
		*ret_character = c;
		return 1;
	}
	if (t->pairs == NULL || left < 2 || p[0] < LEAD || p[0] > 0xfe)
		return 0;
	if (t->triples != NULL && p[0] == TRIPLE_LEAD)
		return read_triple(t, p, left, ret_character);
	if (t->quads != NULL && p[1] >= '0' && p[1] <= '9')
		return read_quad(t, p, left, ret_character);
	if (p[1] < TRAIL || p[1] > 0xfe)
		return 0;
	c = t->pairs[(p[0] - LEAD) * TRAILS + (p[1] - TRAIL)];
	*ret_character = c;
	return c == NONE ? 0 : 2;
}

/* ---- the way back --------------------------------------------------------------------------- */

static struct charset_table *turning; /* held by turn_lock: pthread_once takes no argument */
static pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;

/* Codes are kept with their bytes from the highest down, the first one never 0 but for U+0000. */
static void turn_code(struct charset_table *t, uint16_t character, uint32_t code)
{
	if (character == NONE)
		return;
	if (t->codes[character] == 0 && !(character == 0 && code != 0))
		t->codes[character] = code;
	else
		t->ambiguous = t->ambiguous || t->codes[character] != code;
}

static uint32_t quad_code(uint32_t index)
{
	uint32_t last = index % 10, third = index / 10 % LEADS, second = index / 10 / LEADS % 10;

	return (LEAD + index / 10 / LEADS / 10) << 24 | ('0' + second) << 16 | (LEAD + third) << 8 |
	       ('0' + last);
}

static void turn(void)
{
	struct charset_table *t = turning;

	t->codes = xcalloc(65536, sizeof(t->codes[0]));
	for (uint32_t i = 0; i < 256; i++)
		turn_code(t, t->single[i], i);
	for (uint32_t i = 0; t->pairs != NULL && i < PAIRS; i++)
		turn_code(t, t->pairs[i], (LEAD + i / TRAILS) << 8 | (TRAIL + i % TRAILS));
	for (uint32_t i = 0; t->triples != NULL && i < TRIPLES; i++)
		turn_code(t, t->triples[i],
			  TRIPLE_LEAD << 16 | (TRIPLE_FROM + i / TRIPLE_SIDE) << 8 |
				  (TRIPLE_FROM + i % TRIPLE_SIDE));
	for (uint32_t i = 0; t->quads != NULL && i < QUADS; i++)
		turn_code(t, t->quads[i], quad_code(i));
	if (t->quads != NULL)
		t->codes[NONE] = quad_code(QUAD_OF_NONE);
}

static struct charset_table *turned(const struct charset_table *t)
{
	struct charset_table *own = &tables[t->charset];

	pthread_mutex_lock(&turn_lock);
	turning = own;
	pthread_once(&own->once, turn);
	pthread_mutex_unlock(&turn_lock);
	return own;
}

size_t charset_table_write(const struct charset_table *t, uint32_t character, uint8_t ret_code[4])
{
	uint32_t code = 0;
	size_t size = 1;

	if (character < 0x10000)
		code = turned(t)->codes[character];
	else if (t->quads != NULL && character <= 0x10ffff)
		code = quad_code(QUADS_BEYOND + character - 0x10000);
	if (code == 0 && (character != 0 || t->single[0] != 0))
		return 0;
	while (size < 4 && code >> 8 * size != 0)
		size++;
	for (size_t i = 0; i < size; i++)
		ret_code[i] = (uint8_t)(code >> 8 * (size - 1 - i));
	return size;
}

bool charset_table_is_ambiguous(const struct charset_table *t)
{
	return turned(t)->ambiguous;
}
