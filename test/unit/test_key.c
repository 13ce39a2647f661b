/* test_key.c - keys: memcmp order is the order of the values, for each kind of column; literals
 * lead back to the same key; conditions read as they should; weights with and without padding sort
 * as their texts do. The server's own order is what test_copy_keys.py compares with. */
#include "cdc/change/key.h"
#include "cdc/change/key_collation.h"
#include "test/unit/unit.h"

#include <stdio.h>
#include <string.h>

/* check writes a mark for every assertion, which would be most of the time spent here. */
#define MUST(condition, ...)                       \
	do {                                       \
		if (!(condition))                  \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

static struct shape *shape_of(const struct column *columns, uint16_t count)
{
	static const char *const names[] = { "a", "b`", "c" };
	struct shape *s = shape_new("d", "t", count);

	s->key_count = count;
	s->key = calloc(count, sizeof(*s->key));
	for (uint16_t i = 0; i < count; i++) {
		s->columns[i] = columns[i];
		s->columns[i].name = strdup(names[i]);
		s->key[i] = i;
	}
	return s;
}

static struct shape *key_shape(void)
{
	static const struct column columns[] = {
		{ .type = COLUMN_SHORT },
		{ .type = COLUMN_LONGLONG, .is_unsigned = true },
		{ .type = COLUMN_VARCHAR, .is_binary = true, .collation = 63, .size_max = 20 },
	};

	return shape_of(columns, 3);
}

/* A weigher whose "collation" turns letters into capitals. */
static int weigh_capitals(void *context, size_t part, const struct column *c, struct slice value,
			  struct buf *key, struct err *e)
{
	(void)context;
	(void)part;
	(void)c;
	(void)e;
	for (size_t i = 0; i < value.size; i++)
		buf_add_u8(key,
			   value.data[i] >= 'a' ? (uint8_t)(value.data[i] - 32) : value.data[i]);
	buf_add_u8(key, 0);
	return 0;
}

static const char *latin1(void *context, const struct column *c)
{
	(void)context;
	(void)c;
	return "latin1";
}

static const struct key_weigher weigher = { NULL, weigh_capitals, latin1 };

static void border_of(const struct shape *s, const char *const *texts, struct key_border *border)
{
	struct slice text[3];
	struct err e = ERR_INIT;

	for (size_t i = 0; i < s->key_count; i++)
		text[i] = slice_str(texts[i]);
	key_border_reset(border);
	MUST(key_border_from_text(s, text, &weigher, border, &e) == 0, "%s", e.msg);
}

static void check_way_back(const struct shape *s, const struct key_border *border)
{
	struct key_border back = { BUF_INIT, BUF_INIT };
	const char *literals[3], *at = (const char *)border->literals.data;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < s->key_count; i++) {
		literals[i] = at;
		at += strlen(at) + 1;
	}
	MUST(key_border_from_literals(s, literals, s->key_count, &weigher, &back, &e) == 0,
	     "%s: %s", literals[0], e.msg);
	MUST(slice_equal(buf_slice(&back.key), buf_slice(&border->key)), "not the same key: %s",
	     literals[0]);
	key_border_done(&back);
}

/* ---- rows of three columns ------------------------------------------------------------------ */

struct row3 {
	int16_t a;
	uint64_t b;
	uint8_t c[4];
	uint8_t size;
};

static struct row3 random_row(void)
{
	struct row3 r;

	memset(&r, 0, sizeof(r));
	r.a = (int16_t)((int)unit_random_below(3) - 1);
	if (unit_random_below(8) == 0)
		r.a = (int16_t)unit_random64();
	r.b = unit_random_below(2) == 0 ? unit_random_below(3) : UINT64_MAX - unit_random_below(3);
	r.size = (uint8_t)unit_random_below(5);
	for (size_t i = 0; i < r.size; i++)
		r.c[i] = (uint8_t)(unit_random_below(3) == 0 ? 0xff : unit_random_below(2));
	return r;
}

static int compare_rows(const struct row3 *x, const struct row3 *y)
{
	int order;

	if (x->a != y->a)
		return x->a < y->a ? -1 : 1;
	if (x->b != y->b)
		return x->b < y->b ? -1 : 1;
	order = memcmp(x->c, y->c, x->size < y->size ? x->size : y->size);
	return order != 0 ? (order < 0 ? -1 : 1) : x->size < y->size ? -1 : x->size > y->size;
}

static void row_key(const struct shape *s, const struct row3 *r, struct key_border *border)
{
	struct cell cells[3] = { { (const uint8_t *)&r->a, 2, CELL_VALUE },
				 { (const uint8_t *)&r->b, 8, CELL_VALUE },
				 { r->c, r->size, CELL_VALUE } };
	struct slice text[3];
	struct buf key = BUF_INIT;
	struct err e = ERR_INIT;
	char a[16], b[24];

	(void)snprintf(a, sizeof(a), "%d", r->a);
	(void)snprintf(b, sizeof(b), "%" PRIu64, r->b);
	text[0] = slice_str(a);
	text[1] = slice_str(b);
	text[2] = slice_of(r->c, r->size);
	key_border_reset(border);
	MUST(key_border_from_text(s, text, NULL, border, &e) == 0, "%s", e.msg);
	MUST(key_from_cells(s, cells, NULL, &key, &e) == 0, "%s", e.msg);
	MUST(slice_equal(buf_slice(&key), buf_slice(&border->key)), "stream and copy differ");
	buf_done(&key);
}

START_TEST(test_order_and_literals)
{
	struct shape *s = key_shape();
	struct key_border x = { BUF_INIT, BUF_INIT }, y = { BUF_INIT, BUF_INIT };

	unit_seed();
	for (size_t i = 0; i < 100000; i++) {
		struct row3 one = random_row(), two = random_row();
		int order = compare_rows(&one, &two), got;

		row_key(s, &one, &x);
		row_key(s, &two, &y);
		got = key_compare(buf_slice(&x.key), buf_slice(&y.key));
		MUST((got < 0) == (order < 0) && (got > 0) == (order > 0), "order %d, expected %d",
		     got, order);
		check_way_back(s, &x);
	}
	key_border_done(&x);
	key_border_done(&y);
	shape_unref(s);
}
END_TEST

/* ---- one column of each type ---------------------------------------------------------------- */

/* Values in rising order, as the server prints them; the literal of the second one. */
static const struct {
	struct column column;
	const char *literal;
	const char *values[10];
} types[] = {
	{ { .type = COLUMN_TINY }, "-1", { "-128", "-1", "0", "1", "127" } },
	{ { .type = COLUMN_INT24, .is_unsigned = true }, "1", { "0", "1", "8388608", "16777215" } },
	{ { .type = COLUMN_YEAR }, "1901", { "0000", "1901", "1999", "2155" } },
	{ { .type = COLUMN_NEWDECIMAL, .precision = 12, .scale = 3 },
	  "-1.001",
	  { "-999999999.999", "-1.001", "-1.000", "-0.999", "0.000", "0.001", "1.000",
	    "123456789.012" } },
	{ { .type = COLUMN_DATE },
	  "'1000-01-01'",
	  { "0000-00-00", "1000-01-01", "2024-02-29", "2024-02-31", "2024-03-01", "9999-12-31" } },
	{ { .type = COLUMN_TIME2, .fraction = 3 },
	  "'-00:00:01.001'",
	  { "-838:59:59.000", "-00:00:01.001", "-00:00:01.000", "-00:00:00.999", "00:00:00.000",
	    "00:00:00.001", "838:59:59.000" } },
	{ { .type = COLUMN_TIME2 },
	  "'-00:00:01'",
	  { "-838:59:59", "-00:00:01", "00:00:00", "00:00:01" } },
	{ { .type = COLUMN_DATETIME2, .fraction = 6 },
	  "'1000-01-01 00:00:00.000001'",
	  { "0000-00-00 00:00:00.000000", "1000-01-01 00:00:00.000001",
	    "2024-01-01 00:00:00.000000", "2024-01-01 00:00:00.999999",
	    "9999-12-31 23:59:59.999999" } },
	{ { .type = COLUMN_TIMESTAMP2, .fraction = 1 },
	  "'1970-01-01 00:00:01.5'",
	  { "0000-00-00 00:00:00.0", "1970-01-01 00:00:01.5", "2004-01-10 13:37:04.0",
	    "2038-01-19 03:14:07.9" } },
	{ { .type = COLUMN_BIT, .bits = 20 }, "1", { "0", "1", "255", "256", "1048575" } },
	{ { .type = COLUMN_ENUM, .pack_bytes = 1 }, "1", { "0", "1", "2", "255" } },
	{ { .type = COLUMN_SET, .pack_bytes = 8 },
	  "1",
	  { "0", "1", "256", "18446744073709551615" } },
	{ { .type = COLUMN_DOUBLE },
	  "-2.5e0",
	  { "-1.7976931348623157e308", "-2.5", "-1e-300", "0", "5e-324", "0.1", "1", "1e20" } },
	{ { .type = COLUMN_FLOAT },
	  "-0.10000000149011612e0",
	  { "-1.5", "-0.10000000149011612", "0", "0.5" } },
	{ { .type = COLUMN_STRING, .is_binary = true, .collation = 63, .size_max = 3 },
	  "x'610000'",
	  { "", "a", "ab", "b" } },
	{ { .type = COLUMN_BLOB, .is_binary = true, .collation = 63, .size_max = 2 },
	  "x'61'",
	  { "", "a", "ab", "b" } },
	{ { .type = COLUMN_VARCHAR, .collation = 8, .size_max = 10 },
	  "_latin1 x'61'",
	  { "", "a", "B", "c" } },
};

/* The condition for one row, made of its cell, says what the literal says. */
static void check_equals(const struct shape *s, const char *text, const struct key_border *border)
{
	const char *literal = (const char *)border->literals.data, *found;
	struct buf stored = BUF_INIT, sql = BUF_INIT;
	struct cell cell;

	(void)buf_reserve(&stored, 1);
	ck_assert(row_cell_from_text(&s->columns[0], slice_str(text), &stored, &cell));
	ck_assert(key_equals(s, &cell, &weigher, &sql));
	found = buf_cstr(&sql);
	ck_assert(strncmp(found, "(`a`=", 5) == 0 && found[strlen(found) - 1] == ')');
	if (s->columns[0].type == COLUMN_DOUBLE || s->columns[0].type == COLUMN_FLOAT)
		ck_assert(strtod(found + 5, NULL) == strtod(literal, NULL));
	else
		ck_assert_int_eq(strncmp(found + 5, literal, strlen(found) - 6), 0);
	cell.state = CELL_NULL;
	ck_assert(!key_equals(s, &cell, &weigher, &sql));
	buf_done(&stored);
	buf_done(&sql);
}

START_TEST(test_every_type)
{
	struct key_border x = { BUF_INIT, BUF_INIT }, y = { BUF_INIT, BUF_INIT };

	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		struct shape *s = shape_of(&types[t].column, 1);

		for (size_t i = 0; types[t].values[i] != NULL; i++) {
			border_of(s, &types[t].values[i], &x);
			check_way_back(s, &x);
			check_equals(s, types[t].values[i], &x);
			if (i == 1)
				ck_assert_str_eq((const char *)x.literals.data, types[t].literal);
			for (size_t j = 0; types[t].values[j] != NULL; j++) {
				int got, want = i < j ? -1 : i > j;

				border_of(s, &types[t].values[j], &y);
				got = key_compare(buf_slice(&x.key), buf_slice(&y.key));
				MUST((got < 0) == (want < 0) && (got > 0) == (want > 0),
				     "type %u: %s and %s: order %d", types[t].column.type,
				     types[t].values[i], types[t].values[j], got);
			}
		}
		shape_unref(s);
	}
	key_border_done(&x);
	key_border_done(&y);
}
END_TEST

START_TEST(test_minus_zero_is_zero)
{
	static const struct column column = { .type = COLUMN_DOUBLE };
	struct shape *s = shape_of(&column, 1);
	double values[2] = { 0.0, -0.0 };
	struct buf keys[2] = { BUF_INIT, BUF_INIT };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < 2; i++) {
		struct cell cell = { (const uint8_t *)&values[i], 8, CELL_VALUE };

		ck_assert_int_eq(key_from_cells(s, &cell, NULL, &keys[i], &e), 0);
	}
	ck_assert(slice_equal(buf_slice(&keys[0]), buf_slice(&keys[1])));
	buf_done(&keys[0]);
	buf_done(&keys[1]);
	shape_unref(s);
}
END_TEST

START_TEST(test_condition)
{
	struct shape *s = key_shape();
	struct row3 r = { -5, UINT64_MAX, { 0, 0xab }, 2 };
	struct key_border border = { BUF_INIT, BUF_INIT };
	struct buf sql = BUF_INIT;

	row_key(s, &r, &border);
	key_condition(s, &border, true, false, &sql);
	ck_assert_str_eq(buf_cstr(&sql), "(`a`>-5 OR (`a`=-5 AND (`b```>18446744073709551615 OR "
					 "(`b```=18446744073709551615 AND (`c`>x'00ab')))))");
	buf_reset(&sql);
	s->key_count = 1;
	key_condition(s, &border, false, true, &sql);
	ck_assert_str_eq(buf_cstr(&sql), "(`a`<=-5)");
	key_border_done(&border);
	buf_done(&sql);
	shape_unref(s);
}
END_TEST

START_TEST(test_bad_literals)
{
	static const char *const bad[][3] = {
		{ "1", "2", "x'0'" },
		{ "1", "2", "x'0g'" },
		{ "1", "2", "00" },
		{ "1", "-2", "x'00'" },
		{ "", "2", "x'00'" },
		{ "1x", "2", "x'00'" },
		{ "1 OR 1", "2", "x'00'" },
		{ "99999999999999999999", "2", "x''" },
		{ "1", "18446744073709551616", "x''" },
	};
	struct shape *s = key_shape();
	struct key_border border = { BUF_INIT, BUF_INIT };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;

		ck_assert_int_eq(key_border_from_literals(s, bad[i], 3, NULL, &border, &e), -1);
		ck_assert_int_eq(e.kind, ERR_DATA);
		ck_assert_int_eq(key_border_from_literals(s, bad[i], 2, NULL, &border, &e), -1);
	}
	key_border_done(&border);
	shape_unref(s);
}
END_TEST

START_TEST(test_equal_columns)
{
	struct shape *a = key_shape(), *b = key_shape();

	ck_assert(key_equal_columns(a, b));
	b->columns[0].type = COLUMN_LONGLONG; /* wider: sorts the same */
	ck_assert(key_equal_columns(a, b));
	b->columns[0].is_unsigned = true;
	ck_assert(!key_equal_columns(a, b));
	b->columns[0].is_unsigned = false;
	b->columns[2].is_binary = false;
	b->columns[2].collation = 45;
	ck_assert(!key_equal_columns(a, b));
	a->columns[2].is_binary = false;
	a->columns[2].collation = 46;
	ck_assert(!key_equal_columns(a, b));
	shape_unref(a);
	shape_unref(b);
}
END_TEST

/* ---- weights -------------------------------------------------------------------------------- */

static int unit_at(const uint8_t *text, size_t size, size_t i, bool pad)
{
	return i < size ? text[i] : pad ? 0x20 : -1;
}

static int compare_texts(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, bool pad)
{
	for (size_t i = 0; i < a_size || i < b_size; i++) {
		int x = unit_at(a, a_size, i, pad), y = unit_at(b, b_size, i, pad);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return 0;
}

static size_t random_text(uint8_t *text)
{
	static const uint8_t bytes[] = { 0x20, 0x20, 0x20, 0x00, 0x1f, 0x21, 0xff };
	size_t size = unit_random_below(7);

	for (size_t i = 0; i < size; i++)
		text[i] = bytes[unit_random_below(sizeof(bytes))];
	return size;
}

START_TEST(test_weights_sort)
{
	struct key_collation k = { .level_count = 1,
				   .levels = { 1 },
				   .space = { { 1, { 0x20 } } } };
	struct buf x = BUF_INIT, y = BUF_INIT;
	uint8_t a[8], b[8];

	unit_seed();
	for (size_t i = 0; i < 300000; i++) {
		size_t a_size = random_text(a), b_size = random_text(b);
		struct slice wa = slice_of(a, a_size), wb = slice_of(b, b_size);
		int want, got;

		k.pad = i % 2 == 0;
		buf_reset(&x);
		buf_reset(&y);
		MUST(key_collate(&k, &wa, &x) && key_collate(&k, &wb, &y), "refused");
		buf_add_u8(&x, 0x80); /* a part behind it must not count before its end */
		buf_add_u8(&y, 0x80);
		want = compare_texts(a, a_size, b, b_size, k.pad);
		got = key_compare(buf_slice(&x), buf_slice(&y));
		MUST((got < 0) == (want < 0) && (got > 0) == (want > 0), "order %d, expected %d",
		     got, want);
	}
	buf_done(&x);
	buf_done(&y);
}
END_TEST

START_TEST(test_weights_cut_short)
{
	struct key_collation k = { .pad = true, .level_count = 1, .space = { { 2, { 0, 0x20 } } } };
	struct slice odd = slice_of("\0a\0", 3);
	struct buf key = BUF_INIT;

	ck_assert(!key_collate(&k, &odd, &key));
	ck_assert_uint_eq(key.size, 0);
	buf_done(&key);
}
END_TEST

START_TEST(test_ascii_is_weighed_here)
{
	struct key_collation k = { .pad = true, .level_count = 1, .space = { { 1, { 0x20 } } } };
	struct buf scratch = BUF_INIT, here = BUF_INIT, there = BUF_INIT;
	struct slice weights = slice_str("AB");

	ck_assert(!key_collate_ascii(&k, slice_str("ab"), &scratch, &here));
	k.ascii = true;
	for (int i = 0; i < 128; i++)
		k.weights[i] =
			(struct key_weight){ 1, { (uint8_t)(i >= 'a' && i <= 'z' ? i - 32 : i) } };
	ck_assert(key_collate_ascii(&k, slice_str("ab "), &scratch, &here));
	ck_assert(key_collate(&k, &weights, &there));
	ck_assert(slice_equal(buf_slice(&here), buf_slice(&there)));
	ck_assert(!key_collate_ascii(&k, slice_str("\xc3\xa4"), &scratch, &here));
	buf_done(&scratch);
	buf_done(&here);
	buf_done(&there);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("key");

	unit_test_slow(s, test_order_and_literals, 30);
	unit_test(s, test_every_type);
	unit_test(s, test_minus_zero_is_zero);
	unit_test(s, test_condition);
	unit_test(s, test_bad_literals);
	unit_test(s, test_equal_columns);
	unit_test_slow(s, test_weights_sort, 30);
	unit_test(s, test_weights_cut_short);
	unit_test(s, test_ascii_is_weighed_here);
	return unit_run(s);
}
