/* random_row.c - columns with random attributes, and values packed by hand or by the way back of
 * what is tested (temporal_store, decimal_from_text), whose own tests are elsewhere. */
#include "test/lib/random_row.h"

#include "core/base/mem.h"
#include "core/value/charset.h"
#include "core/value/decimal.h"
#include "core/value/temporal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UTF8MB3 33
#define UTF8MB4 45
#define LATIN1 8
#define ASCII 11
#define UCS2 35
#define UTF16 54
#define UTF16LE 56
#define UTF32 60
#define SJIS 13
#define CP932 95
#define GB18030 248
#define CP1251 51
#define COLLATIONS_END 2400

const uint8_t random_row_types[] = {
	COLUMN_TINY,      COLUMN_SHORT,    COLUMN_LONG,       COLUMN_FLOAT,    COLUMN_DOUBLE,
	COLUMN_TIMESTAMP, COLUMN_LONGLONG, COLUMN_INT24,      COLUMN_DATE,     COLUMN_TIME,
	COLUMN_DATETIME,  COLUMN_YEAR,     COLUMN_VARCHAR,    COLUMN_BIT,      COLUMN_TIMESTAMP2,
	COLUMN_DATETIME2, COLUMN_TIME2,    COLUMN_NEWDECIMAL, COLUMN_ENUM,     COLUMN_SET,
	COLUMN_BLOB,      COLUMN_STRING,   COLUMN_JSON,       COLUMN_GEOMETRY, COLUMN_VECTOR,
	COLUMN_UUID,      COLUMN_INET4,    COLUMN_INET6,
};
const size_t random_row_type_count = sizeof(random_row_types);

static bool one_in(random_row_fn random, unsigned n)
{
	return random(n) == 0;
}

static uint64_t word(random_row_fn random)
{
	uint64_t v = 0;

	for (int i = 0; i < 4; i++)
		v = v << 16 | random(65536);
	return v;
}

static void must(bool true_of_our_own)
{
	if (!true_of_our_own)
		abort();
}

/* ---- random columns ------------------------------------------------------------------------- */

static void set_labels(struct column *c, uint16_t count)
{
	c->labels = xcalloc(count, sizeof(*c->labels));
	c->label_count = count;
	for (uint16_t i = 0; i < count; i++)
		c->labels[i] = i == 1 ? xstrdup("\xc3\xbc 'x'") : xasprintf("label %u", i);
	c->collation = UTF8MB4;
}

static void random_text_column(random_row_fn random, struct column *c)
{
	static const uint16_t collations[] = { UTF8MB4, UTF8MB4, UTF8MB3, LATIN1, ASCII,
					       UCS2,    UTF16,   UTF16LE, UTF32,  COLLATION_BINARY,
					       SJIS,    GB18030, CP1251,  CP932 };

	c->collation = collations[random(sizeof(collations) / sizeof(collations[0]))];
	if (one_in(random, 3)) { /* any that there is */
		c->collation = (uint16_t)(1 + random(COLLATIONS_END));
		while (charset_refused(c->collation) != NULL)
			c->collation = (uint16_t)(1 + c->collation % COLLATIONS_END);
	}
	c->is_binary = c->collation == COLLATION_BINARY;
	if (c->type == COLUMN_BLOB)
		c->size_max = 1 + (uint32_t)random(4);
	else
		c->size_max = c->type == COLUMN_STRING || one_in(random, 2) ? 255 : 1000;
	if (c->type == COLUMN_BLOB && c->size_max == 1)
		c->size_max = 2;
}

void random_row_column(random_row_fn random, struct column *c, uint8_t type, unsigned number)
{
	*c = (struct column){ .type = type, .nullable = true };
	c->name = one_in(random, 9) ? xasprintf("%u \xc3\xbc-_x", number)
				    : xasprintf("c%u", number);
	c->is_unsigned = one_in(random, 2);
	if (c->type == COLUMN_VARCHAR || c->type == COLUMN_BLOB || c->type == COLUMN_STRING)
		random_text_column(random, c);
	if (c->type == COLUMN_TIMESTAMP2 || c->type == COLUMN_DATETIME2 || c->type == COLUMN_TIME2)
		c->fraction = (uint8_t)random(7);
	if (c->type == COLUMN_BIT)
		c->bits = one_in(random, 3) ? 1 : (uint16_t)(1 + random(64));
	if (c->type == COLUMN_NEWDECIMAL) {
		c->precision = (uint8_t)(1 + random(65));
		c->scale = (uint8_t)random(c->precision < 30 ? c->precision + 1u : 31u);
	}
	if (c->type == COLUMN_JSON || c->type == COLUMN_GEOMETRY)
		c->size_max = 4;
	if (c->type == COLUMN_UUID || c->type == COLUMN_INET6)
		c->size_max = 16;
	if (c->type == COLUMN_INET4)
		c->size_max = 4;
	if (c->type == COLUMN_VECTOR) {
		c->size_max = 4 * (1 + (uint32_t)random(100));
		c->pack_bytes = one_in(random, 2) ? 4 : c->size_max > 255 ? 2 : 1;
	}
	if (c->type == COLUMN_ENUM) {
		set_labels(c, one_in(random, 4) ? 300 : 5);
		c->pack_bytes = c->label_count > 255 ? 2 : 1;
	}
	if (c->type == COLUMN_SET) {
		set_labels(c, one_in(random, 4) ? 64 : 5);
		c->pack_bytes = c->label_count > 32 ? 8 : 1;
	}
}

struct shape *random_row_shape(random_row_fn random, unsigned columns)
{
	struct shape *s = shape_new("db", "t", (uint16_t)columns);

	for (unsigned i = 0; i < columns; i++)
		random_row_column(
			random, &s->columns[i],
			random_row_types[i < random_row_type_count ? i
								   : random(random_row_type_count)],
			i);
	return s;
}

/* ---- random values -------------------------------------------------------------------------- */

static void put_random(random_row_fn random, struct buf *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_add_u8(out, (uint8_t)word(random));
}

static void put_temporal(random_row_fn random, const struct column *c, struct buf *out)
{
	struct temporal t = { .year = (uint32_t)random(10000),
			      .month = 1 + (uint32_t)random(12),
			      .day = 1 + (uint32_t)random(28),
			      .hour = (uint32_t)random(24),
			      .minute = (uint32_t)random(60),
			      .second = (uint32_t)random(60) };
	bool time = c->type == COLUMN_TIME || c->type == COLUMN_TIME2;
	uint32_t step = 1;

	for (int i = c->fraction; i < 6; i++)
		step *= 10;
	t.micros = c->fraction > 0 ? (uint32_t)random(1000000 / step) * step : 0;
	if (time) {
		t.year = t.month = t.day = 0;
		t.hour = (uint32_t)random(839);
		t.negative = one_in(random, 2);
		t.negative = t.negative && (t.hour | t.minute | t.second | t.micros) != 0;
	} else if (one_in(random, 6)) { /* the zero date */
		t = (struct temporal){ 0 };
		t.zero_stamp = c->type == COLUMN_TIMESTAMP || c->type == COLUMN_TIMESTAMP2;
	} else if (c->type == COLUMN_TIMESTAMP || c->type == COLUMN_TIMESTAMP2) {
		t.year = 1970 + (uint32_t)random(68);
		t.day = 2;
	} else if (one_in(random, 5)) { /* no such day */
		t.month = (uint32_t)random(13);
		t.day = (uint32_t)random(32);
	}
	must(temporal_store(c, &t, out));
}

static void put_decimal(random_row_fn random, const struct column *c, struct buf *out)
{
	char text[DECIMAL_TEXT_MAX + 2] = "";
	uint8_t packed[DECIMAL_PACKED_MAX];
	size_t n = 0;

	if (one_in(random, 2))
		text[n++] = '-';
	for (int i = 0; i < c->precision - c->scale; i++)
		text[n++] = (char)('0' + random(10));
	if (c->precision == c->scale)
		text[n++] = '0';
	if (c->scale > 0)
		text[n++] = '.';
	for (int i = 0; i < c->scale; i++)
		text[n++] = (char)(one_in(random, 3) ? '0' : '0' + random(10));
	if (text[0] == '-' && strspn(text, "-0.") >= n) /* the server has no negative zero */
		text[0] = '0';
	must(decimal_from_text(slice_of(text, n), c->precision, c->scale, packed));
	buf_add(out, packed, decimal_packed_size(c->precision, c->scale));
}

/* Mostly text of the character set; sometimes any bytes. */
static void put_text(random_row_fn random, const struct column *c, struct buf *out)
{
	static const char *const words[] = {
		"a", " ", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "Z'\\\"", "0x41", ""
	};
	struct buf utf8 = BUF_INIT, text = BUF_INIT;
	enum charset charset = charset_of(c->collation);
	size_t length = c->type == COLUMN_BLOB ? c->size_max : c->size_max > 255 ? 2 : 1;
	size_t count = random(12);

	if (c->is_binary || one_in(random, 6)) {
		put_random(random, &text, random(40));
	} else {
		for (size_t i = 0; i < count; i++) {
			buf_reset(&utf8);
			buf_add_str(&utf8, words[random(8)]);
			(void)charset_from_utf8(charset, buf_slice(&utf8), &text);
		}
	}
	if (c->type == COLUMN_STRING)
		text.size = charset_trim(charset, text.data, text.size);
	for (size_t i = 0; i < length; i++)
		buf_add_u8(out, (uint8_t)(text.size >> 8 * i));
	buf_add_slice(out, buf_slice(&text));
	buf_done(&utf8);
	buf_done(&text);
}

static void put_double(random_row_fn random, bool single, struct buf *out)
{
	static const double some[] = { 0.0, -0.0, 1.5, 0.1, -3.25e10, 1e-20, 16777217.0 };
	double d = some[random(7)];
	float f;

	if (one_in(random, 2)) {
		do {
			uint64_t bits = word(random);

			memcpy(&d, &bits, sizeof(d));
			f = (float)d;
		} while (!isfinite(single ? (double)f : d));
	}
	f = (float)d;
	buf_add(out, single ? (const void *)&f : (const void *)&d, single ? sizeof(f) : sizeof(d));
}

static void put_packed(uint64_t v, size_t bytes, struct buf *out)
{
	for (size_t i = 0; i < bytes; i++)
		buf_add_u8(out, (uint8_t)(v >> 8 * i));
}

/* A JSON cell as the first copy makes it; now and then one that is none. */
static void put_document(random_row_fn random, struct buf *out)
{
	static const char *const texts[] = { "{}", "[1, 2.50]", "\"\xc3\xa9\"", "", "null" };
	const char *text = texts[random(5)];

	put_packed(one_in(random, 9) ? 3 : strlen(text) + 1, 4, out);
	if (out->data[out->size - 4] == 3 && strlen(text) != 2) {
		buf_add(out, "\x0c\xff\xff", 3);
		return;
	}
	buf_add_u8(out, 0xff);
	buf_add_str(out, text);
}

/* Bytes with their length; of fixed types without the zeros at their end. */
static void put_counted(random_row_fn random, const struct column *c, struct buf *out)
{
	size_t size = c->type == COLUMN_GEOMETRY ? random(60) : c->size_max, n = size;
	struct buf bytes = BUF_INIT;

	put_random(random, &bytes, size);
	for (size_t zeros = random(4); zeros > 0 && zeros <= n; zeros--)
		bytes.data[n - zeros] = 0;
	while (c->type != COLUMN_GEOMETRY && c->type != COLUMN_VECTOR && n > 0 &&
	       bytes.data[n - 1] == 0)
		n--;
	put_packed(n, column_length_bytes(c), out);
	buf_add(out, bytes.data, n);
	buf_done(&bytes);
}

void random_row_value(random_row_fn random, const struct column *c, struct buf *out)
{
	size_t before;

	switch ((enum column_type)c->type) {
	case COLUMN_TINY:
		put_random(random, out, 1);
		return;
	case COLUMN_YEAR:
		put_random(random, out, 1);
		return;
	case COLUMN_SHORT:
		put_random(random, out, 2);
		return;
	case COLUMN_INT24:
		put_random(random, out, 3);
		return;
	case COLUMN_LONG:
		put_random(random, out, 4);
		return;
	case COLUMN_LONGLONG:
		put_random(random, out, 8);
		return;
	case COLUMN_FLOAT:
	case COLUMN_DOUBLE:
		put_double(random, c->type == COLUMN_FLOAT, out);
		return;
	case COLUMN_NEWDECIMAL:
		put_decimal(random, c, out);
		return;
	case COLUMN_BIT:
		before = out->size;
		put_random(random, out, (c->bits + 7u) / 8);
		if (c->bits % 8 != 0)
			out->data[before] &= (uint8_t)((1u << c->bits % 8) - 1);
		return;
	case COLUMN_ENUM:
		put_packed(random(c->label_count + 3u), c->pack_bytes, out);
		return;
	case COLUMN_SET:
		put_packed(c->label_count == 64 ? word(random) : random(64), c->pack_bytes, out);
		return;
	case COLUMN_DATE:
	case COLUMN_TIME:
	case COLUMN_TIMESTAMP:
	case COLUMN_DATETIME:
	case COLUMN_TIME2:
	case COLUMN_TIMESTAMP2:
	case COLUMN_DATETIME2:
		put_temporal(random, c, out);
		return;
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
	case COLUMN_BLOB:
		put_text(random, c, out);
		return;
	case COLUMN_JSON:
		put_document(random, out);
		return;
	case COLUMN_GEOMETRY:
	case COLUMN_VECTOR:
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
		put_counted(random, c, out);
		return;
	}
}

void random_row(random_row_fn random, const struct shape *s, struct buf *image, struct cell *cells)
{
	uint8_t all[SHAPE_COLUMNS_MAX / 8];
	size_t nulls = (s->column_count + 7u) / 8;
	struct err e = ERR_INIT;
	struct rd in;

	memset(all, 0xff, sizeof(all));
	buf_reset(image);
	memset(buf_reserve(image, nulls), 0xff, nulls);
	image->size = nulls;
	for (uint16_t i = 0; i < s->column_count; i++) {
		if (one_in(random, 8))
			continue;
		random_row_value(random, &s->columns[i], image);
		image->data[i / 8] &= (uint8_t) ~(1u << i % 8);
	}
	in = rd_from(buf_slice(image));
	must(row_split(&in, s, all, cells, &e) == 0 && rd_end(&in));
}
