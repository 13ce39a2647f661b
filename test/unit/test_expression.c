/* Expressions over a row: what they answer, and above all what they refuse. */
#include "core/base/mem.h"
#include "core/sql/expression.h"
#include "test/unit/unit.h"

#include <string.h>

enum {
	ID,
	STATUS,
	NAME,
	BIN,
	DISABLED,
	BORN,
	PRICE,
	BIG,
	HASH,
	SCORE,
	ODD,
	KIND,
	PLAIN9,
	CASED9,
	COLUMNS
};

static const struct column columns[COLUMNS] = {
	[ID] = { .name = "id", .type = COLUMN_LONG },
	[STATUS] = { .name = "status", .type = COLUMN_VARCHAR, .size_max = 80, .collation = 45 },
	[NAME] = { .name = "name", .type = COLUMN_VARCHAR, .size_max = 80, .collation = 224 },
	[BIN] = { .name = "code", .type = COLUMN_VARCHAR, .size_max = 80, .collation = 46 },
	[DISABLED] = { .name = "disabled_at", .type = COLUMN_DATETIME2, .nullable = true },
	[BORN] = { .name = "born", .type = COLUMN_DATE, .nullable = true },
	[PRICE] = { .name = "price", .type = COLUMN_NEWDECIMAL, .precision = 30, .scale = 2 },
	[BIG] = { .name = "big", .type = COLUMN_LONGLONG, .is_unsigned = true },
	[HASH] = { .name = "hash",
		   .type = COLUMN_VARCHAR,
		   .size_max = 20,
		   .is_binary = true,
		   .collation = 63 },
	[SCORE] = { .name = "score", .type = COLUMN_DOUBLE },
	[ODD] = { .name = "odd", .type = COLUMN_VARCHAR, .size_max = 80, .collation = 231 },
	[KIND] = { .name = "kind \"x\"", .type = COLUMN_ENUM, .pack_bytes = 1, .collation = 2308 },
	/* utf8mb4_0900_ai_ci and as_cs */
	[PLAIN9] = { .name = "plain9", .type = COLUMN_VARCHAR, .size_max = 80, .collation = 255 },
	[CASED9] = { .name = "cased9", .type = COLUMN_VARCHAR, .size_max = 80, .collation = 278 },
};

static struct shape *shape;
static struct value row[COLUMNS];

static struct value text_value(const char *s)
{
	return (struct value){ .kind = VALUE_TEXT, .bytes = slice_str(s) };
}

static struct value int_value(int64_t i)
{
	return (struct value){ .kind = VALUE_INT, .i = i };
}

static void setup(void)
{
	shape = shape_new("shop", "member", COLUMNS);
	for (size_t i = 0; i < COLUMNS; i++) {
		shape->columns[i] = columns[i];
		shape->columns[i].name = xstrdup(columns[i].name);
		row[i] = (struct value){ .kind = VALUE_NULL };
	}
	row[ID] = int_value(7);
	row[STATUS] = text_value("Active ");
	row[NAME] = text_value("Bob");
	row[BIN] = text_value("Abc");
	row[PRICE] = text_value("12.50");
	row[BIG] = text_value("42");
	row[HASH] = (struct value){ .kind = VALUE_BYTES, .bytes = slice_of("\x00\xff", 2) };
	row[SCORE] = (struct value){ .kind = VALUE_DOUBLE, .d = 1.5 };
	row[KIND] = text_value("big");
	row[PLAIN9] = row[CASED9] = text_value("Active");
}

static void teardown(void)
{
	shape_unref(shape);
}

/* 1, 0, or -1 with the error printed. */
static int test_text(const char *text, struct err *e)
{
	struct expression *x;
	bool holds;
	int rc;

	err_clear(e);
	if (expression_new("events/X.avsc", text, shape, &x, e) < 0)
		return -1;
	for (int again = 0; again < 2; again++) /* a statement that was reset must answer alike */
		rc = expression_test(x, row, &holds, e);
	expression_free(x);
	return rc < 0 ? -1 : holds;
}

static void holds(const char *text, int expected)
{
	struct err e;
	int got = test_text(text, &e);

	ck_assert_msg(got == expected, "%s: got %d, expected %d %s", text, got, expected, e.msg);
}

static void refused(const char *text, enum err_kind kind, const char *message)
{
	struct err e;
	int got = test_text(text, &e);

	ck_assert_msg(got == -1, "%s: got %d, expected a refusal", text, got);
	ck_assert_msg(e.kind == kind, "%s: %s: %s", text, err_kind_name(e.kind), e.msg);
	ck_assert_msg(strstr(e.msg, message) != NULL, "%s: \"%s\" lacks \"%s\"", text, e.msg,
		      message);
}

START_TEST(test_conditions)
{
	holds("status = 'active' AND disabled_at IS NULL", 1);
	holds("status = 'active' AND disabled_at IS NOT NULL", 0);
	holds("STATUS <> 'disabled'", 1);
	holds("`status` IN ('new', 'active', 'x')", 1);
	holds("member.id = 7", 1);
	holds("id BETWEEN 1 AND 7 AND NOT id != 7", 1);
	holds("disabled_at", 0);
	holds("disabled_at = 1", 0);
	holds("TRUE", 1);
	holds("score = 1.5", 1);
	holds("\"kind \"\"x\"\"\" = 'BIG'", 1);
	holds("CASE WHEN id > 5 THEN 1 ELSE 0 END", 1);
	holds("coalesce(disabled_at, id) = 7", 1);
	holds("hash = x'00FF'", 1);
	holds("hash = x'00FE'", 0);
}
END_TEST

START_TEST(test_numbers)
{
	holds("price = 12.5", 1);
	holds("price > 9", 1);
	holds("price > '9'",
	      1); /* a number column makes a number of the string, as in the source */
	holds("big = 42", 1);
	row[PRICE] = text_value("-0.30");
	holds("price = -0.3", 1);
	row[BIG] = text_value("9223372036854775807");
	holds("big = 9223372036854775807", 1);
	holds("big = 9223372036854775806", 0);
	row[BIG] = text_value("18446744073709551615");
	refused("big > 1", ERR_DATA, "more than 15 digits");
	row[PRICE] = text_value("123456789012345.67");
	refused("price > 1", ERR_DATA, "column price");
	row[PRICE] = text_value("1234567890123.40000");
	holds("price = 1234567890123.4", 1);
}
END_TEST

START_TEST(test_collations)
{
	holds("status = 'ACTIVE'", 1);
	holds("status = 'active   '", 1);
	holds("status = ' active'", 0);
	holds("code = 'Abc '", 1);
	holds("code = 'abc'", 0);
	holds("code > 'Abb'", 1);
	holds("\"kind \"\"x\"\"\" = 'big '", 0); /* a collation without padding */
	holds("plain9 = 'ACTIVE'", 1);
	holds("plain9 = 'active '", 0);
	holds("cased9 = 'active'", 0);
	holds("cased9 = 'Active'", 1);
	row[NAME] = row[PLAIN9] = text_value("caf\xc3\xa9");
	refused("plain9 = 'cafe'", ERR_DATA, "accents");
	holds("plain9 = 'cafx'", 0);
	refused("name = 'cafe'", ERR_DATA, "accents");
	holds("name = 'cafx'", 0);
	holds("name = 'bob'", 0);
	holds("name = 'caf'", 0 - 1); /* the rest might be a sign that does not count */
	row[NAME] = text_value("\xc3\x89mile");
	holds("name = 'bob'", 0);
	refused("name = 'emile'", ERR_DATA, "accents");
	refused("name IN ('emile', 'v', 'w', 'x', 'y', 'z')", ERR_DATA, "accents");
	holds("name IN ('a', 'b', 'c', 'x', 'y', 'z')", 0);
	row[NAME] = text_value("\xe6\x97\xa5\xe6\x9c\xac");
	holds("name = 'bob'", 0);
	holds("name <> 'bob'", 1);
	row[NAME] = text_value("bob\xc2\xad");
	refused("name = 'bob'", ERR_DATA, "accents");
	row[BIN] = text_value("caf\xc3\xa9");
	holds("code = 'caf\xc3\xa9'", 1);
	holds("code = 'cafe'", 0);
}
END_TEST

START_TEST(test_like)
{
	row[STATUS] = text_value("member7@example.org");
	holds("status LIKE '%@EXAMPLE.org'", 1);
	holds("status LIKE 'member_@%'", 1);
	holds("status LIKE 'member'", 0);
	holds("status NOT LIKE '%x'", 1);
	holds("status LIKE ''", 0);
	holds("status LIKE '%%%'", 1);
	holds("status LIKE '%e%e%e%e%e%'", 0);
	holds("status LIKE 'member7!@%' ESCAPE '!'", 1);
	holds("code LIKE 'a%'", 0);
	holds("code LIKE 'A%'", 1);
	row[NAME] = text_value("J\xc3\xb6rg");
	holds("name LIKE 'j_rg'", 1);
	holds("name LIKE '%x%'", 0);
	refused("name LIKE 'jorg'", ERR_DATA, "accents");
	refused("name LIKE 'a%' OR code LIKE 'a%'", ERR_CONFIG, "LIKE");
	refused("odd LIKE 'a%'", ERR_CONFIG, "LIKE");
}
END_TEST

START_TEST(test_dates)
{
	row[DISABLED] = int_value(INT64_C(1706702400000000));
	row[BORN] = int_value(19753);
	holds("disabled_at = micros('2024-01-31 12:00:00')", 1);
	holds("disabled_at > micros('2024-01-31')", 1);
	holds("born = days('2024-01-31')", 1);
	refused("disabled_at > '2024-01-31'", ERR_CONFIG, "micros(");
	refused("born = '2024-01-31 00:00:00'", ERR_CONFIG, "days(");
	refused("born = days('2024-02-31')", ERR_DATA, "days()");
	row[BORN] = text_value("0000-00-00");
	holds("born < days('0001-01-01')", 1);
	holds("born IS NULL", 0);
	row[BORN] = text_value("2024-02-31");
	refused("born < days('2024-01-01')", ERR_DATA, "a date that is none");
	holds("status = '2024-01-31'", 0);
}
END_TEST

START_TEST(test_refusals)
{
	refused("statos = 'active'", ERR_CONFIG, "Did you mean status?");
	refused("status = \"active\"", ERR_CONFIG, "no column active");
	refused("status = active", ERR_CONFIG, "single quotes");
	refused("id IN (SELECT 1)", ERR_CONFIG, "subquery");
	refused("id = (SELECT id FROM member)", ERR_CONFIG, "subquery");
	refused("random() > 0", ERR_CONFIG, "random()");
	refused("id > strftime('%s', 'now')", ERR_CONFIG, "strftime()");
	refused("current_timestamp > 1", ERR_CONFIG, "current_timestamp()");
	refused("lower(name) = 'x'", ERR_CONFIG, "lower()");
	refused("count(*) > 0", ERR_CONFIG, "count()");
	refused("load_extension('x')", ERR_CONFIG, "load_extension()");
	refused("rowid = 1", ERR_CONFIG, "ROWID");
	refused("id = ?1", ERR_CONFIG, "not one value");
	refused("id = :id", ERR_CONFIG, "not one value");
	refused("id, status", ERR_CONFIG, "row value misused");
	refused("id), (status", ERR_CONFIG, "not opened");
	refused("1) FROM member WHERE (id = 1", ERR_CONFIG, "not opened");
	refused("1; DELETE FROM member", ERR_CONFIG, "';'");
	refused("id = 1 -- or so", ERR_CONFIG, "comments");
	refused("id = 1 /* or so */", ERR_CONFIG, "comments");
	refused("id = 1)", ERR_CONFIG, "not opened");
	refused("(id = 1", ERR_CONFIG, "not closed");
	refused("status = 'active", ERR_CONFIG, "not closed");
	refused("", ERR_CONFIG, "syntax error");
	refused("id = 1 || 0", ERR_CONFIG, "concat");
	refused("id / 2 = 3", ERR_CONFIG, "divides");
	refused("status = 'a\\'", ERR_CONFIG, "backslash");
	refused("hash = 'abc'", ERR_CONFIG, "x'");
	refused("name = 'caf\xc3\xa9'", ERR_CONFIG, "ASCII");
	refused("name > 'a'", ERR_CONFIG, "orders text");
	refused("'a' <= name", ERR_CONFIG, "orders text");
	refused("name BETWEEN 'a' AND 'b'", ERR_CONFIG, "orders text");
	refused("odd = 'a'", ERR_CONFIG, "collation");
	holds("odd IS NULL", 1);
	refused("name COLLATE utf8mb4_bin = 'a'", ERR_CONFIG, "no such collation");
}
END_TEST

START_TEST(test_absent)
{
	struct err e;

	row[STATUS].kind = VALUE_ABSENT;
	refused("status = 'x'", ERR_DATA, "binlog_row_image");
	ck_assert_int_eq(test_text("id = 7", &e), 1);
	ck_assert_int_eq(test_text("CASE id WHEN 7 THEN 1 ELSE status = 'x' END", &e), 1);
}
END_TEST

START_TEST(test_uses)
{
	struct expression *x;
	struct err e = ERR_INIT;

	ck_assert_int_eq(expression_new("x", "Status = 'a' AND disabled_at IS NULL", shape, &x, &e),
			 0);
	for (uint16_t i = 0; i < COLUMNS; i++)
		ck_assert_int_eq(expression_uses(x, i), i == STATUS || i == DISABLED);
	expression_free(x);
}
END_TEST

static void value_is(const char *text, const struct value *expected)
{
	struct expression *x;
	struct value got;
	struct err e = ERR_INIT;

	ck_assert_msg(expression_new("x", text, shape, &x, &e) == 0, "%s", e.msg);
	ck_assert_msg(expression_value(x, row, &got, &e) == 0, "%s", e.msg);
	ck_assert_msg(got.kind == expected->kind && value_equal(&got, expected), "%s: kind %u",
		      text, got.kind);
	expression_free(x);
}

START_TEST(test_values)
{
	struct value v = text_value("Active /Bob"), null = { .kind = VALUE_NULL };

	value_is("concat(status, '/', name)", &v);
	v = int_value(8);
	value_is("id + 1", &v);
	value_is("disabled_at", &null);
	value_is("concat(status, disabled_at)", &null);
	v = text_value("12.50");
	value_is(" `price` ", &v); /* a lone column is handed through */
	v = (struct value){ .kind = VALUE_DOUBLE, .d = 25.0 };
	value_is("price * 2", &v);
	v = row[HASH];
	value_is("hash", &v);
	value_is("substr(hash, 1)", &v);
	v = text_value("");
	value_is("trim('  ')", &v);
	row[NAME] = text_value("J\xc3\xb6rg");
	v = int_value(5);
	value_is("length(name)", &v);
	v = int_value(4);
	value_is("char_length(name)", &v);
	row[BORN] = text_value("2024-02-31");
	value_is("coalesce(born, 0)", &row[BORN]);
}
END_TEST

/* Whatever stands in the text, it is compiled or refused. */
START_TEST(test_garbage)
{
	static const char *const words[] = { "id",  "status", "=",    "'a'",  "(",    ")",   "AND",
					     "NOT", "LIKE",   "\"",   "'",    "`",    "[",   "]",
					     "1",   "-",      ",",    "CASE", "WHEN", "END", "x'",
					     "%",   "days",   "NULL", "IN",   "\xc3", "e" };
	struct err e;

	unit_seed();
	for (int i = 0; i < 1500; i++) {
		char text[200] = "";

		for (uint64_t n = unit_random_below(9) + 1; n > 0; n--) {
			const char *word =
				words[unit_random_below(sizeof(words) / sizeof(words[0]))];
			size_t at = strlen(text);

			snprintf(text + at, sizeof(text) - at, "%s ", word);
		}
		(void)test_text(text, &e);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("expression");
	const TTest *const tests[] = { test_conditions, test_numbers,  test_collations, test_like,
				       test_dates,      test_refusals, test_absent,     test_uses,
				       test_values,     test_garbage };
	TCase *c = tcase_create("row");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 20);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(c, tests[i]);
	suite_add_tcase(s, c);
	return unit_run(s);
}
