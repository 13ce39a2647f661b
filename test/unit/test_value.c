/* Values: the same canonical form from a cell and from the server's text, and an order that is
 * total. */
#include "core/base/mem.h"
#include "core/value/value.h"
#include "test/unit/unit.h"

#include <math.h>

#define LONG_TEXT 300

static struct value int_value(int64_t i)
{
	return (struct value){ .kind = VALUE_INT, .i = i };
}

static struct value double_value(double d)
{
	return (struct value){ .kind = VALUE_DOUBLE, .d = d };
}

static struct value bytes_value(enum value_kind kind, const char *data, size_t size)
{
	return (struct value){ .kind = (uint8_t)kind, .bytes = slice_of(data, size) };
}

static void text_is(const struct value *v, const char *expected)
{
	struct buf out = BUF_INIT;

	value_text(v, &out);
	ck_assert_str_eq(buf_cstr(&out), expected);
	buf_done(&out);
}

/* One text through image and cell, and through the text protocol: both must give `expected`. */
struct both {
	struct column column;
	struct value_source_type type;
	const char *image_text;  /* as row_select_list's query gives it */
	const char *source_text; /* as a question gives it; NULL: the same */
	const char *expected;    /* as value_text shows it */
	bool inexact;
};

static const struct both all[] = {
	{ { .type = COLUMN_TINY }, { .type = 1 }, "-128", NULL, "-128", false },
	{ { .type = COLUMN_INT24 }, { .type = 9 }, "-8388608", NULL, "-8388608", false },
	{ { .type = COLUMN_LONG, .is_unsigned = true },
	  { .type = 3, .is_unsigned = true },
	  "4294967295",
	  "0004294967295",
	  "4294967295",
	  false },
	{ { .type = COLUMN_LONGLONG },
	  { .type = 8 },
	  "-9223372036854775808",
	  NULL,
	  "-9223372036854775808",
	  false },
	{ { .type = COLUMN_LONGLONG, .is_unsigned = true },
	  { .type = 8, .is_unsigned = true },
	  "18446744073709551615",
	  NULL,
	  "'18446744073709551615'",
	  false },
	{ { .type = COLUMN_LONGLONG, .is_unsigned = true },
	  { .type = 8, .is_unsigned = true },
	  "7",
	  "00007",
	  "'7'",
	  false },
	{ { .type = COLUMN_LONGLONG, .is_unsigned = true },
	  { .type = 8, .is_unsigned = true },
	  "0",
	  "0000",
	  "'0'",
	  false },
	{ { .type = COLUMN_NEWDECIMAL, .precision = 10, .scale = 2 },
	  { .type = 246, .decimals = 2 },
	  "-12.50",
	  NULL,
	  "'-12.50'",
	  false },
	{ { .type = COLUMN_NEWDECIMAL, .precision = 10, .scale = 2 },
	  { .type = 246, .decimals = 2 },
	  "0.50",
	  "00000000.50",
	  "'0.50'",
	  false },
	{ { .type = COLUMN_NEWDECIMAL, .precision = 10, .scale = 2 },
	  { .type = 246, .decimals = 2 },
	  "0.00",
	  "-0.00",
	  "'0.00'",
	  false },
	{ { .type = COLUMN_NEWDECIMAL, .precision = 3, .scale = 3 },
	  { .type = 0, .decimals = 3 },
	  "-0.001",
	  NULL,
	  "'-0.001'",
	  false },
	{ { .type = COLUMN_FLOAT },
	  { .type = 4 },
	  "0.10000000149011612",
	  "0.1",
	  "0.10000000149011612",
	  false },
	{ { .type = COLUMN_DOUBLE }, { .type = 5 }, "1e22", NULL, "1e+22", false },
	{ { .type = COLUMN_YEAR }, { .type = 13 }, "2024", NULL, "2024", false },
	{ { .type = COLUMN_YEAR }, { .type = 13 }, "0000", NULL, "0", false },
	{ { .type = COLUMN_DATE }, { .type = 10 }, "1969-12-31", NULL, "-1", false },
	{ { .type = COLUMN_DATE }, { .type = 14 }, "2024-02-31", NULL, "'2024-02-31'", true },
	{ { .type = COLUMN_DATETIME2, .fraction = 2 },
	  { .type = 12 },
	  "1970-01-01 00:00:01.50",
	  NULL,
	  "1500000",
	  false },
	{ { .type = COLUMN_DATETIME2, .fraction = 3 },
	  { .type = 12 },
	  "0000-00-00 00:00:00.000",
	  NULL,
	  "'0000-00-00 00:00:00.000'",
	  true },
	{ { .type = COLUMN_TIMESTAMP2 },
	  { .type = 7 },
	  "1970-01-01 00:00:01",
	  NULL,
	  "1000000",
	  false },
	{ { .type = COLUMN_TIMESTAMP2 },
	  { .type = 7 },
	  "0000-00-00 00:00:00",
	  NULL,
	  "'0000-00-00 00:00:00'",
	  true },
	{ { .type = COLUMN_TIME2, .fraction = 1 },
	  { .type = 11 },
	  "-00:00:00.5",
	  NULL,
	  "-500000",
	  false },
	{ { .type = COLUMN_VARCHAR, .size_max = 40, .collation = 45 },
	  { .type = 253 },
	  "it's\n",
	  NULL,
	  "'it''s\\n'",
	  false },
	{ { .type = COLUMN_VARCHAR, .size_max = 40, .collation = 8 },
	  { .type = 253 },
	  "\xe9",
	  "\xc3\xa9",
	  "'\xc3\xa9'",
	  false },
	{ { .type = COLUMN_VARCHAR, .size_max = 40, .is_binary = true, .collation = 63 },
	  { .type = 253, .is_binary = true },
	  "a\x01",
	  NULL,
	  "x'6101'",
	  false },
	{ { .type = COLUMN_BLOB, .size_max = 2, .is_binary = true, .collation = 63 },
	  { .type = 252, .is_binary = true },
	  "",
	  NULL,
	  "x''",
	  false },
	{ { .type = COLUMN_BIT, .bits = 1 }, { .type = 16, .bits = 1 }, "1", "\x01", "1", false },
	{ { .type = COLUMN_BIT, .bits = 12 },
	  { .type = 16, .bits = 12 },
	  "2561",
	  "\x0a\x01",
	  "x'0a01'",
	  false },
};

static void check_both(const struct both *b)
{
	static const uint8_t present[1] = { 1 };
	struct slice text = slice_str(b->image_text),
		     source = slice_str(b->source_text != NULL ? b->source_text : b->image_text);
	struct shape *shape = shape_new("d", "t", 1);
	struct buf image = BUF_INIT, scratch = BUF_INIT, more = BUF_INIT;
	struct value v, w;
	struct cell cell;
	struct err e = ERR_INIT;
	struct rd in;

	shape->columns[0] = b->column;
	shape->columns[0].name = xstrdup("c");
	ck_assert_msg(row_image_from_text(shape, &text, &image, &e) == 0, "%s", e.msg);
	in = rd_from(buf_slice(&image));
	ck_assert_int_eq(row_split(&in, shape, present, &cell, &e), 0);
	ck_assert_int_eq(value_from_cell(&shape->columns[0], &cell, &scratch, &v), !b->inexact);
	text_is(&v, b->expected);
	ck_assert_msg(value_from_text(&b->type, source, &more, &w, &e) == 0, "%s", e.msg);
	text_is(&w, b->expected);
	ck_assert(v.kind == w.kind && value_equal(&v, &w));
	buf_done(&image);
	buf_done(&scratch);
	buf_done(&more);
	shape_unref(shape);
}

START_TEST(test_both_ways)
{
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		check_both(&all[i]);
}
END_TEST

START_TEST(test_labels)
{
	struct column c = { .name = (char[]){ "c" },
			    .type = COLUMN_SET,
			    .pack_bytes = 1,
			    .label_count = 3,
			    .labels = (char *[]){ (char[]){ "a" }, (char[]){ "b" },
						  (char[]){ "c" } } };
	uint8_t stored = 5;
	struct cell cell = { &stored, 1, CELL_VALUE };
	struct buf scratch = BUF_INIT;
	struct value v;

	ck_assert(value_from_cell(&c, &cell, &scratch, &v));
	text_is(&v, "'a,c'");
	stored = 0;
	ck_assert(value_from_cell(&c, &cell, &scratch, &v));
	text_is(&v, "''");
	stored = 9;
	ck_assert(!value_from_cell(&c, &cell, &scratch, &v));
	text_is(&v, "'9'");
	c.type = COLUMN_ENUM;
	stored = 3;
	ck_assert(value_from_cell(&c, &cell, &scratch, &v));
	text_is(&v, "'c'");
	stored = 0;
	ck_assert(!value_from_cell(&c, &cell, &scratch, &v));
	text_is(&v, "''");
	cell.state = CELL_NULL;
	ck_assert(value_from_cell(&c, &cell, &scratch, &v));
	text_is(&v, "NULL");
	cell.state = CELL_ABSENT;
	ck_assert(value_from_cell(&c, &cell, &scratch, &v));
	text_is(&v, "(absent)");
	buf_done(&scratch);
}
END_TEST

/* As a reader of the Avro bytes prints them (core/avro/decode_json.c). */
START_TEST(test_elements_of_a_vector)
{
	static const char expected[] = "[526560,-0.1,1e+15,2.6187e-41,\"NaN\",\"-Infinity\"]";
	float elements[] = { 526560.0F, -0.1F, 1e15F, 2.61875e-41F, NAN, -INFINITY };
	struct column c = { .type = COLUMN_VECTOR, .size_max = 40 };
	struct cell cell = { (const uint8_t *)elements, sizeof(elements), CELL_VALUE };
	struct buf scratch = BUF_INIT;
	struct value v;

	ck_assert(value_from_cell(&c, &cell, &scratch, &v));
	ck_assert_msg(slice_is(v.bytes, expected), "%.*s", (int)v.bytes.size,
		      (const char *)v.bytes.data);
	buf_done(&scratch);
}
END_TEST

/* Scratch grows many times while a row is taken; every value must still be right. */
START_TEST(test_scratch_moves)
{
	enum { COLUMNS = 200 };
	struct shape *shape = shape_new("d", "t", COLUMNS);
	struct slice text[COLUMNS];
	struct value values[COLUMNS];
	struct cell cells[COLUMNS];
	struct buf image = BUF_INIT, scratch = BUF_INIT;
	uint8_t present[COLUMNS / 8];
	struct err e = ERR_INIT;
	struct rd in;

	memset(present, 0xff, sizeof(present));
	for (size_t i = 0; i < COLUMNS; i++) {
		shape->columns[i] = (struct column){ .name = xstrdup("c"),
						     .type = COLUMN_VARCHAR,
						     .size_max = 99,
						     .collation = i % 3 == 0 ? 45 : 8 };
		text[i] = slice_str(i % 2 == 0   ? "caf\xe9"
				    : i % 5 == 0 ? ""
						 : "plain text of some length");
	}
	ck_assert_int_eq(row_image_from_text(shape, text, &image, &e), 0);
	in = rd_from(buf_slice(&image));
	ck_assert_int_eq(row_split(&in, shape, present, cells, &e), 0);
	buf_add_str(&scratch, "before");
	ck_assert_uint_eq(value_from_row(shape, cells, &scratch, values),
			  34); /* latin1 bytes in a utf8mb4 column */
	for (size_t i = 0; i < COLUMNS; i++) {
		const char *expected = i % 2 != 0   ? (const char *)text[i].data
				       : i % 3 == 0 ? "0x636166e9"
						    : "caf\xc3\xa9";

		ck_assert_msg(slice_is(values[i].bytes, expected), "column %zu", i);
	}
	ck_assert(memcmp(scratch.data, "before", 6) == 0);
	buf_done(&image);
	buf_done(&scratch);
	shape_unref(shape);
}
END_TEST

START_TEST(test_fix)
{
	uint8_t old[] = "abcdef", image[] = "image";
	struct buf scratch = BUF_INIT;
	struct value v[4] = { bytes_value(VALUE_TEXT, (char *)old + 2, 3),
			      bytes_value(VALUE_BYTES, (char *)image, 5), int_value(7),
			      bytes_value(VALUE_TEXT, (char *)old + 6, 1) };

	buf_add(&scratch, old, 6);
	v[2].bytes.data = old; /* left over from another use: a number has no bytes */
	value_fix(v, 4, (uintptr_t)old, 6, &scratch);
	ck_assert_ptr_eq(v[0].bytes.data, scratch.data + 2);
	ck_assert_ptr_eq(v[1].bytes.data, image);
	ck_assert_ptr_eq(v[2].bytes.data, old);
	ck_assert_ptr_eq(v[3].bytes.data, old + 6);
	buf_done(&scratch);
}
END_TEST

START_TEST(test_bad_text)
{
	static const struct {
		struct value_source_type type;
		const char *text;
	} bad[] = {
		{ { .type = 3 }, "" },
		{ { .type = 3 }, "1x" },
		{ { .type = 8 }, "9223372036854775808" },
		{ { .type = 3 }, " 1" },
		{ { .type = 8, .is_unsigned = true }, "" },
		{ { .type = 246 }, "1.2.3" },
		{ { .type = 246 }, "." },
		{ { .type = 246 }, "-" },
		{ { .type = 5 }, "" },
		{ { .type = 5 }, "1e" },
		{ { .type = 5 }, "nan" },
		{ { .type = 5 }, "1e999" },
		{ { .type = 10 }, "2024-1-1" },
		{ { .type = 10 }, "2024-01-01 00:00:00" },
		{ { .type = 12 }, "2024-01-01" },
		{ { .type = 11 }, "24" },
		{ { .type = 253 }, "\xff" },
		{ { .type = 252 }, "\xe2\x82" },
		{ { .type = 16 }, "123456789" },
		{ { .type = 16 }, "" },
		{ { .type = 200 }, "x" },
	};
	struct buf scratch = BUF_INIT;
	struct value v = int_value(5);
	struct err e = ERR_INIT;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(value_from_text(&bad[i].type, slice_str(bad[i].text), &scratch, &v,
					      &e) == -1,
			      "'%s'", bad[i].text);
		ck_assert_int_eq(e.kind, ERR_DATA);
		ck_assert_int_eq(v.i, 5);
	}
	ck_assert_int_eq(value_from_text(&bad[0].type, slice_of(NULL, 0), &scratch, &v, &e), 0);
	ck_assert_uint_eq(v.kind, VALUE_NULL);
	buf_done(&scratch);
}
END_TEST

START_TEST(test_order)
{
	const struct value row[] = {
		{ .kind = VALUE_ABSENT },
		{ .kind = VALUE_NULL },
		double_value(-1e300),
		int_value(INT64_MIN),
		int_value(-1),
		double_value(-0.5),
		int_value(0),
		double_value(0.5),
		int_value(1),
		double_value(1.5),
		int_value(9007199254740992),
		int_value(9007199254740993),
		double_value(9007199254740994.0),
		int_value(INT64_MAX),
		double_value(0x1p63),
		bytes_value(VALUE_TEXT, "", 0),
		bytes_value(VALUE_TEXT, "a", 1),
		bytes_value(VALUE_TEXT, "a\0", 2),
		bytes_value(VALUE_TEXT, "b", 1),
		bytes_value(VALUE_BYTES, "", 0),
		bytes_value(VALUE_BYTES, "a", 1),
	};
	size_t count = sizeof(row) / sizeof(row[0]);

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < count; k++) {
			int order = value_compare(&row[i], &row[k]);

			ck_assert_msg((order > 0) - (order < 0) == (i > k) - (i < k),
				      "%zu against %zu: %d", i, k, order);
			ck_assert_int_eq(value_equal(&row[i], &row[k]), i == k);
		}
	}
	ck_assert(value_equal(&(struct value){ .kind = VALUE_INT, .i = 1 },
			      &(struct value){ .kind = VALUE_DOUBLE, .d = 1.0 }));
	ck_assert(!value_equal(&(struct value){ .kind = VALUE_INT, .i = INT64_MAX },
			       &(struct value){ .kind = VALUE_DOUBLE, .d = 0x1p63 }));
}
END_TEST

START_TEST(test_shown)
{
	char text[LONG_TEXT];
	struct buf out = BUF_INIT;
	struct value v = bytes_value(VALUE_TEXT, text, sizeof(text));

	memset(text, 'x', sizeof(text));
	memcpy(text + 199, "\xf0\x9f\x98\x80", 4); /* would be cut in the middle */
	value_text(&v, &out);
	ck_assert_uint_eq(out.size, 1 + 199 + 4);
	ck_assert_str_eq(buf_cstr(&out) + 198, "xx...'");
	buf_reset(&out);
	v.kind = VALUE_BYTES;
	value_text(&v, &out);
	ck_assert_uint_eq(out.size, 2 + 200 + 4);
	buf_done(&out);
	v = bytes_value(VALUE_TEXT, "a\x01\x7f", 3);
	text_is(&v, "'a\\x01\\x7f'");
	v = double_value(0.1);
	text_is(&v, "0.1");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("value");

	unit_test(s, test_both_ways);
	unit_test(s, test_labels);
	unit_test(s, test_elements_of_a_vector);
	unit_test(s, test_scratch_moves);
	unit_test(s, test_fix);
	unit_test(s, test_bad_text);
	unit_test(s, test_order);
	unit_test(s, test_shown);
	return unit_run(s);
}
