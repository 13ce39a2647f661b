/* test_normal.c - decimals in normal form and the order of keys, against a plain model; what class
 * a declared type has. */
#include "test/unit/unit.h"

#include "projections/store/normal.h"

#include <stdio.h>

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

int main(void)
{
	Suite *s = suite_create("normal");

	unit_test(s, test_decimals);
	unit_test(s, test_order_of_decimals);
	unit_test(s, test_order_by_class);
	unit_test(s, test_classes);
	return unit_run(s);
}
