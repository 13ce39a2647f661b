/* test_normal.c - decimals in normal form and the order of keys, against a plain model; JSON by
 * what it says; what class a declared type has. */
#include "test/unit/unit.h"

#include "core/base/mem.h"
#include "projections/store/normal.h"

#include <stdio.h>
#include <stdlib.h>

static struct value number(const char *text, struct buf *scratch)
{
	struct value v;

	ck_assert_msg(normal_number(slice_str(text), scratch, &v), "%s", text);
	return v;
}

static void check_text(const char *text, const char *expected)
{
	struct buf scratch = BUF_INIT;
	struct value v = number(text, &scratch);
	char got[600];

	if (v.kind == VALUE_INT)
		snprintf(got, sizeof(got), "%lld", (long long)v.i);
	else
		snprintf(got, sizeof(got), "%.*s", (int)v.bytes.size, (const char *)v.bytes.data);
	ck_assert_str_eq(got, expected);
	ck_assert_msg(v.kind == (strchr(expected, '.') != NULL || strlen(expected) > 20 ? VALUE_TEXT
											: v.kind),
		      "%s", text);
	buf_done(&scratch);
}

START_TEST(test_decimals)
{
	static const char *const cases[][2] = {
		{ "12.50", "12.5" },
		{ "12.00", "12" },
		{ "0", "0" },
		{ "-0", "0" },
		{ "-0.00", "0" },
		{ "+7", "7" },
		{ "007", "7" },
		{ "-007.10", "-7.1" },
		{ ".5", "0.5" },
		{ "-.5", "-0.5" },
		{ "5.", "5" },
		{ "0.001", "0.001" },
		{ "00.001", "0.001" },
		{ "9223372036854775807", "9223372036854775807" },
		{ "9223372036854775808", "9223372036854775808" },
		{ "-9223372036854775808", "-9223372036854775808" },
		{ "-9223372036854775809", "-9223372036854775809" },
		{ "18446744073709551615.000", "18446744073709551615" },
		{ "1.5e3", "1500" },
		{ "1.5E-3", "0.0015" },
		{ "-1e0", "-1" },
		{ "1e-2", "0.01" },
		{ "12345e-3", "12.345" },
		{ "1e20", "100000000000000000000" },
		{ "0.005e3", "5" },
	};
	static const char *const none[] = { "",   ".",  "-",   "1.2.3", "1e",    "e5",  "abc",
					    "1 ", " 1", "0x1", "NaN",   "1e999", "--1", "1-" };
	struct buf scratch = BUF_INIT;
	struct value v;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_text(cases[i][0], cases[i][1]);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		ck_assert_msg(!normal_number(slice_str(none[i]), &scratch, &v), "%s", none[i]);
	v = number("9223372036854775807", &scratch);
	ck_assert_int_eq(v.kind, VALUE_INT);
	v = number("9223372036854775808", &scratch);
	ck_assert_int_eq(v.kind, VALUE_TEXT);
	buf_done(&scratch);
}
END_TEST

/* Random decimals with four digits behind the point, as whole numbers: the same order. */
START_TEST(test_order_of_decimals)
{
	unit_seed();
	for (int i = 0; i < 20000; i++) {
		int64_t a = (int64_t)unit_random_below(40000) - 20000;
		int64_t b = (int64_t)unit_random_below(40000) - 20000;
		struct buf scratch = BUF_INIT;
		char text_a[40], text_b[40];
		struct value x, y;
		int order;

		snprintf(text_a, sizeof(text_a), "%s%lld.%02lld00", a < 0 ? "-" : "",
			 (long long)(a < 0 ? -a : a) / 100, (long long)(a < 0 ? -a : a) % 100);
		snprintf(text_b, sizeof(text_b), "%s0%lld.%02lld", b < 0 ? "-" : "",
			 (long long)(b < 0 ? -b : b) / 100, (long long)(b < 0 ? -b : b) % 100);
		buf_reserve(&scratch, 200);
		x = number(text_a, &scratch);
		y = number(text_b, &scratch);
		order = normal_compare(NORMAL_NUMBER, &x, &y);
		ck_assert_msg((order > 0) - (order < 0) == (a > b) - (a < b), "%s %s: %d", text_a,
			      text_b, order);
		ck_assert(normal_equal(NORMAL_NUMBER, &x, &y) == (a == b));
		buf_done(&scratch);
	}
}
END_TEST

static struct value text(const char *s)
{
	return (struct value){ .kind = VALUE_TEXT, .bytes = slice_str(s) };
}

START_TEST(test_order_by_class)
{
	struct value nine = text("9.5"), ten = text("10.5"), nan = text("NaN");
	struct value i = { .kind = VALUE_INT, .i = 10 }, null = { .kind = VALUE_NULL };

	ck_assert_int_lt(normal_compare(NORMAL_NUMBER, &nine, &ten), 0);
	ck_assert_int_gt(normal_compare(NORMAL_TEXT, &nine, &ten), 0);
	ck_assert_int_gt(normal_compare(NORMAL_LOOSE, &nine, &ten), 0);
	ck_assert_int_lt(normal_compare(NORMAL_NUMBER, &i, &ten), 0);
	ck_assert_int_gt(normal_compare(NORMAL_NUMBER, &i, &nine), 0);
	ck_assert_int_gt(normal_compare(NORMAL_NUMBER, &nan, &ten), 0);
	ck_assert_int_gt(normal_compare(NORMAL_NUMBER, &nan, &i), 0);
	ck_assert_int_lt(normal_compare(NORMAL_NUMBER, &null, &i), 0);
	ck_assert_int_lt(normal_compare(NORMAL_LOOSE_NUMERIC, &i, &nine), 0); /* numbers, text */
}
END_TEST

START_TEST(test_classes)
{
	static const struct {
		const char *store, *type, *expected;
	} cases[] = {
		{ "postgresql", "numeric(12,2)", "number" },
		{ "postgresql", "timestamp(3) with time zone", "datetime" },
		{ "postgresql", "timestamp without time zone", "datetime" },
		{ "postgresql", "time without time zone", "time" },
		{ "postgresql", "double precision", "double" },
		{ "postgresql", "character varying(20)", "text" },
		{ "postgresql", "uuid", "text" },
		{ "postgresql", "real", "float" },
		{ "postgresql", "boolean", "boolean" },
		{ "postgresql", "bytea", "bytes" },
		{ "postgresql", "jsonb", "json" },
		{ "mariadb", "bigint(20) unsigned", "number" },
		{ "mariadb", "BIGINT UNSIGNED ZEROFILL", "number" },
		{ "mariadb", "float", "float" },
		{ "mariadb", "enum('int')", "text" },
		{ "mariadb", "datetime(6)", "datetime" },
		{ "mariadb", "bit(1)", "number" },
		{ "mariadb", "bit(8)", "bytes" },
		{ "mariadb", "varbinary(16)", "bytes" },
		{ "dynamodb", "", "any" },
		{ "dynamodb", "any", "any" },
		{ "dynamodb", "text", "text" },
		{ "sqlite", "DATE", "sqlite" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_str_eq(normal_class_name(normal_class(cases[i].store, cases[i].type)),
				 cases[i].expected);
	ck_assert_int_eq(normal_class("sqlite", "VARCHAR(9)"), NORMAL_LOOSE_TEXT);
	ck_assert_int_eq(normal_class("sqlite", "DATE"), NORMAL_LOOSE_NUMERIC);
	ck_assert_int_eq(normal_class("sqlite", "FLOATING POINT"), NORMAL_LOOSE_NUMERIC);
	ck_assert_int_eq(normal_class("sqlite", "CHARINT"), NORMAL_LOOSE_NUMERIC);
	ck_assert_int_eq(normal_class("sqlite", "double"), NORMAL_LOOSE_REAL);
	ck_assert_int_eq(normal_class("sqlite", ""), NORMAL_LOOSE);
}
END_TEST

/* ---- JSON ------------------------------------------------------------------------------------ */

static bool same_json(const char *a, const char *b)
{
	struct value x = text(a), y = text(b);
	bool same = normal_equal(NORMAL_JSON, &x, &y);

	ck_assert(normal_equal(NORMAL_JSON, &y, &x) == same);
	return same;
}

START_TEST(test_json_by_value)
{
	static const char *const same[][2] = {
		{ "{\"a\":1,\"b\":[1,2]}", " { \"b\" : [ 1 , 2 ] ,\n\t\"a\" : 1 } " },
		{ "{\"a\":{\"y\":1,\"x\":2},\"b\":3}", "{\"b\":3,\"a\":{\"x\":2,\"y\":1}}" },
		{ "{\"a\":1,\"a\":2}", "{\"a\":2}" },
		{ "{\"b\":0,\"a\":1,\"c\":5,\"a\":2}", "{\"a\":2,\"b\":0,\"c\":5}" },
		{ "{\"\\u0061\":1,\"a\":2}", "{\"a\":2}" },
		{ "[1.50,-0,1e2,0.001]", "[1.5,0,100,1E-3]" },
		{ "1e20", "100000000000000000000" },
		{ "\"\\u00e9\\ud83d\\ude00\"", "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
		{ "\"\\/\\u000a\\u0022\\u005C\"", "\"/\\n\\\"\\\\\"" },
		{ "[]", "[ ]" },
		{ "{}", "{ }" },
		{ "[{},[],\"\",null,true,false]", "[ {} , [] , \"\" , null , true , false ]" },
		{ "no json", "no json" },
	};
	static const char *const different[][2] = {
		{ "9007199254740993", "9007199254740992" },
		{ "18446744073709551615", "18446744073709551614" },
		{ "0.1", "0.10000000000000001" },
		{ "[1,2]", "[2,1]" },
		{ "[1,2]", "[12]" },
		{ "[[1],2]", "[1,[2]]" },
		{ "[1]", "1" },
		{ "1", "\"1\"" },
		{ "{\"a\":1}", "{\"a\":\"1\"}" },
		{ "{\"a\":1}", "{\"A\":1}" },
		{ "{\"a\":1}", "[\"a\",1]" },
		{ "{\"a\":1}", "{\"a\":1,\"b\":null}" },
		{ "{\"a\":1,\"a\":2}", "{\"a\":1}" },
		{ "{}", "[]" },
		{ "{\"a\":{\"b\":1}}", "{\"a\":{},\"b\":1}" },
		{ "[\"a,b\"]", "[\"a\",\"b\"]" },
		{ "[\"a\\\"\",\"b\"]", "[\"a\",\"\\\"b\"]" },
		{ "\"a\\\\n\"", "\"a\\n\"" },
		{ "\"\\ud83d\"", "\"\\ude00\"" },
		{ "true", "false" },
		{ "null", "\"null\"" },
		{ "\"a\"", "\"a \"" },
		{ "no json", "no  json" },
	};

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		ck_assert_msg(same_json(same[i][0], same[i][1]), "%s", same[i][0]);
	for (size_t i = 0; i < sizeof(different) / sizeof(different[0]); i++)
		ck_assert_msg(!same_json(different[i][0], different[i][1]), "%s", different[i][0]);
}
END_TEST

START_TEST(test_no_json)
{
	static const char *const none[] = {
		"",           " ",     "{",     "[",       "[1",      "[1,",
		"[1,]",       "[,1]",  "[1 2]", "{\"a\"}", "{\"a\":", "{\"a\":1",
		"{\"a\":1,}", "{a:1}", "{1:1}", "\"a",     "\"\\",    "\"\\x\"",
		"\"\\u12\"",  "tru",   "nulls", "1.",      "-",       "1e",
		".5",         "1 2",   "[1]]",  "{}}",     "+1",      "\"\\ud83d\\u\"",
	};
	struct buf out = BUF_INIT;
	char deep[2 * NORMAL_JSON_DEPTH_MAX + 3];

	buf_add_str(&out, "kept");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		ck_assert_msg(!normal_json(slice_str(none[i]), &out), "%s", none[i]);
		ck_assert(slice_equal(buf_slice(&out), slice_str("kept")));
	}
	for (int depth = NORMAL_JSON_DEPTH_MAX; depth <= NORMAL_JSON_DEPTH_MAX + 1; depth++) {
		memset(deep, '[', (size_t)depth);
		memset(deep + depth, ']', (size_t)depth);
		ck_assert_int_eq(normal_json(slice_of(deep, 2 * (size_t)depth), &out),
				 depth == NORMAL_JSON_DEPTH_MAX);
	}
	buf_done(&out);
}
END_TEST

/* Any byte changed, or the text cut: never a read behind its end (the sanitizers look), never
 * another answer for the same bytes. */
START_TEST(test_json_damaged)
{
	static const char text[] = "{\"a\": [1.5e1, \"\\u00e9\\n\", {\"b\": null}], \"c\": -0.10}";
	uint8_t bytes[sizeof(text)];

	unit_seed();
	for (int i = 0; i < 20000; i++) {
		size_t size = 1 + unit_random_below(sizeof(text) - 1);
		uint8_t *copy = xmalloc(size);

		memcpy(bytes, text, sizeof(text));
		bytes[unit_random_below(sizeof(text) - 1)] = (uint8_t)unit_random_below(256);
		memcpy(copy, bytes, size);
		ck_assert(normal_json_equal(slice_of(copy, size), slice_of(bytes, size)));
		(void)normal_json_equal(slice_of(copy, size), slice_str(text));
		free(copy);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("normal");

	unit_test(s, test_decimals);
	unit_test(s, test_order_of_decimals);
	unit_test(s, test_order_by_class);
	unit_test(s, test_classes);
	unit_test(s, test_json_by_value);
	unit_test(s, test_no_json);
	unit_test(s, test_json_damaged);
	return unit_run(s);
}
