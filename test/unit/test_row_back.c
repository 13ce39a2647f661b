/* test_row_back.c - envelopes back into cells: for random tables of all types and random values
 * (also those that no Avro type holds), what was encoded comes back byte for byte; across shapes
 * that differ, what is left means the same; cut and changed bytes are refused or harmless. */
#include "cdc/publish/row_back.h"
#include "cdc/publish/row_plan.h"
#include "core/avro/row_schema.h"
#include "core/base/mem.h"
#include "core/value/charset.h"
#include "core/value/decimal.h"
#include "core/value/temporal.h"
#include "test/unit/unit.h"

#include <math.h>
#include <string.h>

#define COLUMNS 60
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

static uint64_t below(uint64_t n)
{
	return unit_random64() % n;
}

static bool one_in(unsigned n)
{
	return below(n) == 0;
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

static void random_text_column(struct column *c)
{
	static const uint16_t collations[] = { UTF8MB4, UTF8MB4, UTF8MB3, LATIN1, ASCII,
					       UCS2,    UTF16,   UTF16LE, UTF32,  COLLATION_BINARY,
					       SJIS,    GB18030, CP1251,  CP932 };

	c->collation = collations[below(sizeof(collations) / sizeof(collations[0]))];
	c->is_binary = c->collation == COLLATION_BINARY;
	if (c->type == COLUMN_BLOB)
		c->size_max = 1 + (uint32_t)below(4);
	else
		c->size_max = c->type == COLUMN_STRING || one_in(2) ? 255 : 1000;
	if (c->type == COLUMN_BLOB && c->size_max == 1)
		c->size_max = 2;
}

static void random_column(struct column *c, unsigned number)
{
	static const uint8_t types[] = {
		COLUMN_TINY,    COLUMN_SHORT,      COLUMN_LONG,       COLUMN_FLOAT,
		COLUMN_DOUBLE,  COLUMN_TIMESTAMP,  COLUMN_LONGLONG,   COLUMN_INT24,
		COLUMN_DATE,    COLUMN_TIME,       COLUMN_DATETIME,   COLUMN_YEAR,
		COLUMN_VARCHAR, COLUMN_BIT,        COLUMN_TIMESTAMP2, COLUMN_DATETIME2,
		COLUMN_TIME2,   COLUMN_NEWDECIMAL, COLUMN_ENUM,       COLUMN_SET,
		COLUMN_BLOB,    COLUMN_STRING,     COLUMN_JSON,       COLUMN_GEOMETRY,
		COLUMN_VECTOR,  COLUMN_UUID,       COLUMN_INET4,      COLUMN_INET6,
	};

	c->name = one_in(9) ? xasprintf("%u \xc3\xbc-_x", number) : xasprintf("c%u", number);
	c->type = types[number < sizeof(types) ? number : below(sizeof(types))];
	c->nullable = true;
	c->is_unsigned = one_in(2);
	if (c->type == COLUMN_VARCHAR || c->type == COLUMN_BLOB || c->type == COLUMN_STRING)
		random_text_column(c);
	if (c->type == COLUMN_TIMESTAMP2 || c->type == COLUMN_DATETIME2 || c->type == COLUMN_TIME2)
		c->fraction = (uint8_t)below(7);
	if (c->type == COLUMN_BIT)
		c->bits = one_in(3) ? 1 : (uint16_t)(1 + below(64));
	if (c->type == COLUMN_NEWDECIMAL) {
		c->precision = (uint8_t)(1 + below(65));
		c->scale = (uint8_t)below(c->precision < 30 ? c->precision + 1u : 31u);
	}
	if (c->type == COLUMN_JSON || c->type == COLUMN_GEOMETRY)
		c->size_max = 4;
	if (c->type == COLUMN_UUID || c->type == COLUMN_INET6)
		c->size_max = 16;
	if (c->type == COLUMN_INET4)
		c->size_max = 4;
	if (c->type == COLUMN_VECTOR) {
		c->size_max = 4 * (1 + (uint32_t)below(100));
		c->pack_bytes = one_in(2) ? 4 : c->size_max > 255 ? 2 : 1;
	}
	if (c->type == COLUMN_ENUM) {
		set_labels(c, one_in(4) ? 300 : 5);
		c->pack_bytes = c->label_count > 255 ? 2 : 1;
	}
	if (c->type == COLUMN_SET) {
		set_labels(c, one_in(4) ? 64 : 5);
		c->pack_bytes = c->label_count > 32 ? 8 : 1;
	}
}

static struct shape *random_shape(unsigned columns)
{
	struct shape *s = shape_new("db", "t", (uint16_t)columns);

	for (unsigned i = 0; i < columns; i++)
		random_column(&s->columns[i], i);
	return s;
}

/* ---- random values -------------------------------------------------------------------------- */

static void put_random(struct buf *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_add_u8(out, (uint8_t)unit_random64());
}

static void put_temporal(const struct column *c, struct buf *out)
{
	struct temporal t = { .year = (uint32_t)below(10000),
			      .month = 1 + (uint32_t)below(12),
			      .day = 1 + (uint32_t)below(28),
			      .hour = (uint32_t)below(24),
			      .minute = (uint32_t)below(60),
			      .second = (uint32_t)below(60) };
	bool time = c->type == COLUMN_TIME || c->type == COLUMN_TIME2;
	uint32_t step = 1;

	for (int i = c->fraction; i < 6; i++)
		step *= 10;
	t.micros = c->fraction > 0 ? (uint32_t)below(1000000 / step) * step : 0;
	if (time) {
		t.year = t.month = t.day = 0;
		t.hour = (uint32_t)below(839);
		t.negative = one_in(2);
		t.negative = t.negative && (t.hour | t.minute | t.second | t.micros) != 0;
	} else if (one_in(6)) { /* the zero date */
		t = (struct temporal){ 0 };
		t.zero_stamp = c->type == COLUMN_TIMESTAMP || c->type == COLUMN_TIMESTAMP2;
	} else if (c->type == COLUMN_TIMESTAMP || c->type == COLUMN_TIMESTAMP2) {
		t.year = 1970 + (uint32_t)below(68);
		t.day = 2;
	} else if (one_in(5)) { /* no such day */
		t.month = (uint32_t)below(13);
		t.day = (uint32_t)below(32);
	}
	ck_assert(temporal_store(c, &t, out));
}

static void put_decimal(const struct column *c, struct buf *out)
{
	char text[DECIMAL_TEXT_MAX + 2] = "";
	uint8_t packed[DECIMAL_PACKED_MAX];
	size_t n = 0;

	if (one_in(2))
		text[n++] = '-';
	for (int i = 0; i < c->precision - c->scale; i++)
		text[n++] = (char)('0' + below(10));
	if (c->precision == c->scale)
		text[n++] = '0';
	if (c->scale > 0)
		text[n++] = '.';
	for (int i = 0; i < c->scale; i++)
		text[n++] = (char)(one_in(3) ? '0' : '0' + below(10));
	if (text[0] == '-' && strspn(text, "-0.") >= n) /* the server has no negative zero */
		text[0] = '0';
	ck_assert(decimal_from_text(slice_of(text, n), c->precision, c->scale, packed));
	buf_add(out, packed, decimal_packed_size(c->precision, c->scale));
}

/* Mostly text of the character set; sometimes any bytes. */
static void put_text(const struct column *c, struct buf *out)
{
	static const char *const words[] = {
		"a", " ", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "Z'\\\"", "0x41", ""
	};
	struct buf utf8 = BUF_INIT, text = BUF_INIT;
	enum charset charset = charset_of(c->collation);
	size_t length = c->type == COLUMN_BLOB ? c->size_max : c->size_max > 255 ? 2 : 1;
	size_t count = below(12);

	if (c->is_binary || one_in(6)) {
		put_random(&text, below(40));
	} else {
		for (size_t i = 0; i < count; i++) {
			buf_reset(&utf8);
			buf_add_str(&utf8, words[below(8)]);
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

static void put_double(bool single, struct buf *out)
{
	static const double some[] = { 0.0, -0.0, 1.5, 0.1, -3.25e10, 1e-20, 16777217.0 };
	double d = some[below(7)];
	float f;

	if (one_in(2)) {
		do {
			uint64_t bits = unit_random64();

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
static void put_document(struct buf *out)
{
	static const char *const texts[] = { "{}", "[1, 2.50]", "\"\xc3\xa9\"", "", "null" };
	const char *text = texts[below(5)];

	put_packed(one_in(9) ? 3 : strlen(text) + 1, 4, out);
	if (out->data[out->size - 4] == 3 && strlen(text) != 2) {
		buf_add(out, "\x0c\xff\xff", 3);
		return;
	}
	buf_add_u8(out, 0xff);
	buf_add_str(out, text);
}

/* Bytes with their length; of fixed types without the zeros at their end. */
static void put_counted(const struct column *c, struct buf *out)
{
	size_t size = c->type == COLUMN_GEOMETRY ? below(60) : c->size_max, n = size;
	struct buf bytes = BUF_INIT;

	put_random(&bytes, size);
	for (size_t zeros = below(4); zeros > 0 && zeros <= n; zeros--)
		bytes.data[n - zeros] = 0;
	while (c->type != COLUMN_GEOMETRY && c->type != COLUMN_VECTOR && n > 0 &&
	       bytes.data[n - 1] == 0)
		n--;
	put_packed(n, column_length_bytes(c), out);
	buf_add(out, bytes.data, n);
	buf_done(&bytes);
}

static void put_value(const struct column *c, struct buf *out)
{
	size_t before;

	switch ((enum column_type)c->type) {
	case COLUMN_TINY:
		put_random(out, 1);
		return;
	case COLUMN_YEAR:
		put_random(out, 1);
		return;
	case COLUMN_SHORT:
		put_random(out, 2);
		return;
	case COLUMN_INT24:
		put_random(out, 3);
		return;
	case COLUMN_LONG:
		put_random(out, 4);
		return;
	case COLUMN_LONGLONG:
		put_random(out, 8);
		return;
	case COLUMN_FLOAT:
	case COLUMN_DOUBLE:
		put_double(c->type == COLUMN_FLOAT, out);
		return;
	case COLUMN_NEWDECIMAL:
		put_decimal(c, out);
		return;
	case COLUMN_BIT:
		before = out->size;
		put_random(out, (c->bits + 7u) / 8);
		if (c->bits % 8 != 0)
			out->data[before] &= (uint8_t)((1u << c->bits % 8) - 1);
		return;
	case COLUMN_ENUM:
		put_packed(below(c->label_count + 3u), c->pack_bytes, out);
		return;
	case COLUMN_SET:
		put_packed(c->label_count == 64 ? unit_random64() : below(64), c->pack_bytes, out);
		return;
	case COLUMN_DATE:
	case COLUMN_TIME:
	case COLUMN_TIMESTAMP:
	case COLUMN_DATETIME:
	case COLUMN_TIME2:
	case COLUMN_TIMESTAMP2:
	case COLUMN_DATETIME2:
		put_temporal(c, out);
		return;
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
	case COLUMN_BLOB:
		put_text(c, out);
		return;
	case COLUMN_JSON:
		put_document(out);
		return;
	case COLUMN_GEOMETRY:
	case COLUMN_VECTOR:
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
		put_counted(c, out);
		return;
	}
}

static void random_row(const struct shape *s, struct buf *image, struct cell *cells)
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
		if (one_in(8))
			continue;
		put_value(&s->columns[i], image);
		image->data[i / 8] &= (uint8_t) ~(1u << i % 8);
	}
	in = rd_from(buf_slice(image));
	ck_assert_msg(row_split(&in, s, all, cells, &e) == 0, "%s", e.msg);
	ck_assert(rd_end(&in));
}

static void encode(const struct shape *s, const struct cell *before, const struct cell *after,
		   struct buf *datum)
{
	struct row_plan *plan = row_plan_new("n", (struct shape *)(uintptr_t)s);
	struct row_meta meta = { .op = before == NULL ? CHANGE_CREATE : CHANGE_UPDATE,
				 .seq = 77,
				 .transaction = "0-1-2" };

	buf_reset(datum);
	(void)row_plan_envelope(plan, &meta, before, after, datum, NULL);
	row_plan_free(plan);
}

static struct row_back *back_of(const struct shape *written, struct shape *now)
{
	struct buf text = BUF_INIT;
	struct row_back *b = NULL;
	struct err e = ERR_INIT;

	ck_assert(row_schema_envelope("n", written, &text, &e) == 0);
	ck_assert_msg(row_back_new(buf_slice(&text), now, &b, &e) == 0, "%s", e.msg);
	buf_done(&text);
	return b;
}

static void same_cells(const struct shape *s, const struct cell *want, const struct cell *got)
{
	char type[64];

	for (uint16_t i = 0; i < s->column_count; i++) {
		if (row_cell_same(&s->columns[i], &want[i], &got[i]))
			continue;
		for (uint32_t k = 0; k < want[i].size && k < 40; k++)
			printf("%02x", want[i].data[k]);
		printf(" -> ");
		for (uint32_t k = 0; k < got[i].size && k < 40; k++)
			printf("%02x", got[i].data[k]);
		ck_abort_msg("\ncolumn %u (%s, collation %u, fraction %u): state %u -> %u, size %u "
			     "-> %u",
			     i, column_type_text(&s->columns[i], type, sizeof(type)),
			     s->columns[i].collation, s->columns[i].fraction, want[i].state,
			     got[i].state, want[i].size, got[i].size);
	}
}

START_TEST(test_every_value_comes_back)
{
	struct buf image = BUF_INIT, older = BUF_INIT, datum = BUF_INIT, bytes = BUF_INIT;
	struct cell cells[COLUMNS], before[COLUMNS], got[COLUMNS];

	unit_seed();
	for (int round = 0; round < 40; round++) {
		struct shape *s = random_shape(COLUMNS);
		struct row_back *b = back_of(s, s);

		for (int row = 0; row < 100; row++) {
			struct row_back_record r;
			struct err e = ERR_INIT;

			random_row(s, &image, cells);
			random_row(s, &older, before);
			encode(s, before, cells, &datum);
			ck_assert_msg(row_back_read(b, buf_slice(&datum), &r, &e) == 0, "%s",
				      e.msg);
			ck_assert(r.has_before && r.has_after && !r.parked);
			ck_assert_int_eq(r.op, 'u');
			ck_assert_int_eq(r.seq, 77);
			ck_assert_msg(row_back_cells(b, &r, ROW_BACK_AFTER, &bytes, got, &e) == 0,
				      "%s", e.msg);
			same_cells(s, cells, got);
			ck_assert_msg(row_back_cells(b, &r, ROW_BACK_BEFORE, &bytes, got, &e) == 0,
				      "%s", e.msg);
			same_cells(s, before, got);
		}
		row_back_free(b);
		shape_unref(s);
	}
	buf_done(&image);
	buf_done(&older);
	buf_done(&datum);
	buf_done(&bytes);
}
END_TEST

/* Columns that an image lacked stay absent. */
START_TEST(test_absent_columns)
{
	struct buf image = BUF_INIT, datum = BUF_INIT, bytes = BUF_INIT;
	struct cell cells[COLUMNS], got[COLUMNS];
	struct shape *s = random_shape(COLUMNS);
	struct row_back *b = back_of(s, s);
	struct row_back_record r;
	struct err e = ERR_INIT;

	unit_seed();
	for (int row = 0; row < 50; row++) {
		random_row(s, &image, cells);
		for (int i = 0; i < COLUMNS; i += 3)
			cells[i] = (struct cell){ .state = CELL_ABSENT };
		encode(s, NULL, cells, &datum);
		ck_assert(row_back_read(b, buf_slice(&datum), &r, &e) == 0);
		ck_assert(row_back_cells(b, &r, ROW_BACK_AFTER, &bytes, got, &e) == 0);
		same_cells(s, cells, got);
	}
	row_back_free(b);
	shape_unref(s);
	buf_done(&image);
	buf_done(&datum);
	buf_done(&bytes);
}
END_TEST

static struct shape *shape_of(const char *const *names, const uint8_t *types, uint16_t count)
{
	struct shape *s = shape_new("db", "t", count);

	for (uint16_t i = 0; i < count; i++) {
		struct column *c = &s->columns[i];

		c->name = xstrdup(names[i]);
		c->type = types[i];
		c->nullable = true;
		if (c->type == COLUMN_VARCHAR) {
			c->size_max = 100;
			c->collation = LATIN1;
		}
		if (c->type == COLUMN_ENUM) {
			set_labels(c, 3);
			c->pack_bytes = 1;
		}
	}
	return s;
}

/* Moved, added, dropped and retyped columns. */
START_TEST(test_across_shapes)
{
	static const char *const old_names[] = { "id", "gone", "day", "n", "label", "big" };
	static const uint8_t old_types[] = { COLUMN_LONG, COLUMN_LONG, COLUMN_DATE,
					     COLUMN_LONG, COLUMN_ENUM, COLUMN_LONGLONG };
	static const char *const new_names[] = { "added", "label", "n", "day", "id", "big" };
	static const uint8_t new_types[] = { COLUMN_LONG,      COLUMN_ENUM,     COLUMN_VARCHAR,
					     COLUMN_DATETIME2, COLUMN_LONGLONG, COLUMN_TINY };
	static const uint8_t day[] = { 0x21, 0xd0, 0x0f }, label[] = { 2 };
	static const uint8_t expected_day[] = { 0x99, 0xb2, 0x42, 0x00, 0x00 };
	struct shape *old = shape_of(old_names, old_types, 6),
		     *now = shape_of(new_names, new_types, 6);
	struct row_back *b = back_of(old, now);
	int32_t id = -5, n = 42;
	int64_t big = 1000;
	struct cell cells[6] = {
		{ (const uint8_t *)&id, 4, CELL_VALUE }, { (const uint8_t *)&n, 4, CELL_VALUE },
		{ day, 3, CELL_VALUE },			 { (const uint8_t *)&n, 4, CELL_VALUE },
		{ label, 1, CELL_VALUE },		 { (const uint8_t *)&big, 8, CELL_VALUE },
	}, got[6];
	struct buf datum = BUF_INIT, bytes = BUF_INIT;
	struct row_back_record r;
	struct err e = ERR_INIT;
	int64_t wide;

	encode(old, NULL, cells, &datum);
	ck_assert(row_back_read(b, buf_slice(&datum), &r, &e) == 0);
	ck_assert_msg(row_back_cells(b, &r, ROW_BACK_AFTER, &bytes, got, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(got[0].state, CELL_NULL);
	ck_assert_int_eq(got[1].data[0], 2);
	ck_assert_int_eq(got[2].size, 2);
	ck_assert(memcmp(got[2].data, "42", 2) == 0);
	ck_assert_int_eq(got[3].size, 5);
	ck_assert_msg(memcmp(got[3].data, expected_day, 5) == 0, "%02x%02x%02x%02x%02x",
		      got[3].data[0], got[3].data[1], got[3].data[2], got[3].data[3],
		      got[3].data[4]);
	memcpy(&wide, got[4].data, 8);
	ck_assert_int_eq(wide, -5);
	ck_assert_int_eq(got[5].state, CELL_NULL); /* 1000 is no TINYINT */
	buf_done(&datum);
	buf_done(&bytes);
	row_back_free(b);
	shape_unref(old);
	shape_unref(now);
}
END_TEST

START_TEST(test_hostile_bytes)
{
	struct buf image = BUF_INIT, datum = BUF_INIT, bytes = BUF_INIT;
	struct cell cells[COLUMNS], got[COLUMNS];
	struct shape *s = random_shape(COLUMNS);
	struct row_back *b = back_of(s, s);
	struct row_back_record r;
	struct err e = ERR_INIT;

	unit_seed();
	random_row(s, &image, cells);
	encode(s, NULL, cells, &datum);
	for (size_t cut = 0; cut < datum.size; cut++)
		ck_assert(row_back_read(b, slice_of(datum.data, cut), &r, &e) < 0);
	for (int i = 0; i < 20000; i++) {
		size_t at = below(datum.size);
		uint8_t kept = datum.data[at];

		datum.data[at] = (uint8_t)unit_random64();
		if (row_back_read(b, buf_slice(&datum), &r, &e) == 0 && r.has_after)
			(void)row_back_cells(b, &r, ROW_BACK_AFTER, &bytes, got, &e);
		datum.data[at] = kept;
	}
	row_back_free(b);
	shape_unref(s);
	buf_done(&image);
	buf_done(&datum);
	buf_done(&bytes);
}
END_TEST

START_TEST(test_keys)
{
	static const char *const names[] = { "a", "b", "c" };
	static const uint8_t types[] = { COLUMN_LONG, COLUMN_VARCHAR, COLUMN_LONG };
	struct shape *s = shape_of(names, types, 3);
	struct buf text = BUF_INIT, datum = BUF_INIT, bytes = BUF_INIT;
	struct row_plan *plan;
	struct row_back *b;
	struct err e = ERR_INIT;
	int32_t n = 7;
	struct cell cells[3] = { { (const uint8_t *)&n, 4, CELL_VALUE },
				 { (const uint8_t *)"\xe9", 1, CELL_VALUE },
				 { NULL, 0, CELL_NULL } },
		    got[3];
	bool whole;

	s->key = xcalloc(2, sizeof(*s->key));
	s->key_count = 2;
	s->key[0] = 1;
	ck_assert(row_schema_key("n", s, &text, &e) == 0);
	ck_assert_msg(row_back_new(buf_slice(&text), s, &b, &e) == 0, "%s", e.msg);
	plan = row_plan_new("n", s);
	ck_assert(row_plan_key(plan, cells, &datum, &e) == 0);
	ck_assert(row_back_key(b, buf_slice(&datum), &bytes, got, &whole, &e) == 0);
	ck_assert(whole);
	ck_assert_int_eq(got[2].state, CELL_ABSENT);
	ck_assert_int_eq(got[1].size, 1);
	ck_assert_int_eq(got[1].data[0], 0xe9);
	ck_assert(memcmp(got[0].data, &n, 4) == 0);
	s->key[1] = 2; /* another column became part of the key */
	ck_assert(row_back_key(b, buf_slice(&datum), &bytes, got, &whole, &e) == 0);
	ck_assert(!whole);
	row_plan_free(plan);
	row_back_free(b);
	shape_unref(s);
	buf_done(&text);
	buf_done(&datum);
	buf_done(&bytes);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("row_back");

	unit_test_slow(s, test_every_value_comes_back, 60);
	unit_test(s, test_absent_columns);
	unit_test(s, test_across_shapes);
	unit_test_slow(s, test_hostile_bytes, 60);
	unit_test(s, test_keys);
	return unit_run(s);
}
