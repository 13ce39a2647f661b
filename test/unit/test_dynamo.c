/* test_dynamo.c - item templates, values as attributes, changes of one item made one, and answers
 * of the service. */
#include "test/unit/unit.h"

#include "core/base/mem.h"
#include "projections/store/dynamo/dynamo_priv.h"

#include <string.h>

static const char tables_text[] =
	"{\"members\": {\"key\": [\"group\", \"id\"], \"attributes\": {\"group\": \"string\", "
	"\"id\": \"number\", \"name\": \"string\", \"photo\": \"binary\"}, \"indexes\": "
	"{\"by_name\": [\"name\"]}}, \"counts\": {\"key\": [\"id\"], \"attributes\": {\"id\": "
	"\"number\", \"n\": \"number\"}}}";

static struct dynamo_tables *tables(void)
{
	struct dynamo_tables *t;
	struct err e = ERR_INIT;

	ck_assert_msg(dynamo_tables_read("tables.json", tables_text, &t, &e) == 0, "%s", e.msg);
	return t;
}

/* ---- tables.json ----------------------------------------------------------------------------- */

START_TEST(test_tables)
{
	struct dynamo_tables *t = tables();
	const struct dynamo_table *m = dynamo_table_find(t, "members");

	ck_assert_int_eq((int)t->count, 2);
	ck_assert_int_eq((int)m->attribute_count, 4);
	ck_assert_int_eq((int)m->key.count, 2);
	ck_assert_int_eq((int)m->key.attributes[1], 1);
	ck_assert_str_eq(m->indexes[0].name, "by_name");
	ck_assert(dynamo_key_has(m, 0) && dynamo_key_has(m, 1) && !dynamo_key_has(m, 2));
	ck_assert_ptr_null(dynamo_table_find(t, "member"));
	dynamo_tables_free(t);
}
END_TEST

START_TEST(test_tables_with_mistakes)
{
	static const struct {
		const char *text, *said;
	} bad[] = {
		{ "{\n\n\"a\": }", "tables.json:3:" },
		{ "{\"a\": {}, \"a\": {}}", "duplicate" },
		{ "[]", "no table" },
		{ "{}", "no table" },
		{ "{\"a b\": {}}", "not a name for a table" },
		{ "{\"millrace\": {}}", "not a name for a table" },
		{ "{\"a\": {\"key\": [\"x\"]}}", "no attributes" },
		{ "{\"a\": {\"attributes\": {\"x\": \"text\"}}}", "its type is not known" },
		{ "{\"a\": {\"attributes\": {\"x\": \"string\"}}}", "its key" },
		{ "{\"a\": {\"key\": [\"y\"], \"attributes\": {\"x\": \"string\"}}}", "y is none" },
		{ "{\"a\": {\"key\": [\"x\", \"x\"], \"attributes\": {\"x\": \"string\"}}}",
		  "twice" },
		{ "{\"a\": {\"key\": [\"x\"], \"attribute\": {\"x\": \"string\"}}}",
		  "Did you mean 'attributes'" },
		{ "{\"a\": {\"key\": [\"x\"], \"attributes\": {\"x\": \"string\"}, \"indexes\": "
		  "{\"by_x\": [\"y\"]}}}",
		  "index by_x: y is none" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct dynamo_tables *t;
		struct err e = ERR_INIT;

		ck_assert_msg(dynamo_tables_read("tables.json", bad[i].text, &t, &e) < 0, "%s",
			      bad[i].text);
		ck_assert_int_eq(e.kind, ERR_CONFIG);
		ck_assert_msg(strstr(e.msg, bad[i].said) != NULL, "%s: %s", bad[i].text, e.msg);
	}
}
END_TEST

/* ---- templates ------------------------------------------------------------------------------- */

START_TEST(test_templates_with_mistakes)
{
	static const struct {
		const char *text, *said;
	} bad[] = {
		{ "[{\"put\": \"members\"", "on/x.json:1:" },
		{ "{}", "operation 1: it doesn't say what to do" },
		{ "[{\"clear\": \"counts\"}, {\"clear\": \"count\"}]", "operation 2: no table" },
		{ "{\"put\": \"counts\", \"item\": {\"n\": 1}}", "the key lacks id" },
		{ "{\"put\": \"counts\", \"item\": {\"id\": null}}", "the key lacks id" },
		{ "{\"put\": \"counts\", \"item\": {\"id\": \":a b\"}}", "not a parameter" },
		{ "{\"put\": \"counts\", \"item\": {\"id\": \"one\"}}",
		  "a text that is no number" },
		{ "{\"put\": \"members\", \"item\": {\"group\": 1.5, \"id\": 1}}",
		  "floating-point" },
		{ "{\"put\": \"counts\", \"item\": {\"id\": [1]}}", "neither text nor number" },
		{ "{\"put\": \"counts\", \"key\": {\"id\": 1}}", "not a part of it: key" },
		{ "{\"update\": \"counts\", \"key\": {\"id\": 1}}", "sets and removes nothing" },
		{ "{\"update\": \"counts\", \"key\": {\"id\": 1}, \"set\": {\"id\": 2}}",
		  "can't change" },
		{ "{\"update\": \"counts\", \"key\": {\"id\": 1}, \"remove\": [\"id\"]}",
		  "can't change" },
		{ "{\"update\": \"counts\", \"key\": {\"id\": 1, \"n\": 2}, \"set\": {}}",
		  "not of the key" },
		{ "{\"update\": \"counts\", \"key\": {\"id\": 1}, \"set\": {\"n\": 1}, "
		  "\"remove\": [\"n\"]}",
		  "twice: n" },
		{ "{\"update\": \"counts\", \"key\": {\"id\": 1}, \"add\": {\"n\": 1}}",
		  "relative" },
		{ "{\"update\": \"counts\", \"key\": {\"id\": 1}, \"set\": {\"n\": \"n + :by\"}}",
		  "relative" },
		{ "{\"update\": \"counts\", \"key\": {\"id\": 1}, \"set\": {\"n\": \":n + 1\"}}",
		  "relative" },
		{ "{\"update\": \"members\", \"key\": {\"group\": \"g\", \"id\": 1}, \"set\": "
		  "{\"name\": \"if_not_exists(name, :n)\"}}",
		  "relative" },
		{ "{\"delete\": \"counts\", \"key\": {\"id\": 1}, \"ConditionExpression\": \"x\"}",
		  "relative" },
		{ "{\"delete\": \"counts\", \"key\": {\"id\": 1}, \"when\": {\"n\": 1}}",
		  "a condition on n" },
		{ "{\"clear\": \"counts\", \"when\": {\":n\": 1}, \"unless\": {\":n\": 1}}",
		  "either" },
	};
	struct dynamo_tables *t = tables();

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct dynamo_template *template;
		struct err e = ERR_INIT;

		ck_assert_msg(dynamo_template_read("on/x.json", bad[i].text, t, &template, &e) < 0,
			      "%s", bad[i].text);
		ck_assert_int_eq(e.kind, ERR_CONFIG);
		ck_assert_msg(strstr(e.msg, bad[i].said) != NULL, "%s: %s", bad[i].text, e.msg);
	}
	dynamo_tables_free(t);
}
END_TEST

static struct dynamo_template *template_of(const struct dynamo_tables *t, const char *text)
{
	struct dynamo_template *template;
	struct err e = ERR_INIT;

	ck_assert_msg(dynamo_template_read("on/x.json", text, t, &template, &e) == 0, "%s", e.msg);
	return template;
}

START_TEST(test_conditions)
{
	struct dynamo_tables *t = tables();
	struct dynamo_template *when = template_of(
		t, "{\"clear\": \"counts\", \"when\": {\":status\": [\"active\", 1], \":gone\": "
		   "null}}");
	struct dynamo_template *unless = template_of(
		t,
		"{\"clear\": \"counts\", \"unless\": {\":status\": \"active\", \":gone\": null}}");
	struct value text = { .kind = VALUE_TEXT, .bytes = slice_str("active") },
		     one = { .kind = VALUE_INT, .i = 1 }, two = { .kind = VALUE_INT, .i = 2 },
		     null = { .kind = VALUE_NULL };
	const struct value *values[] = { &text, &null };

	ck_assert_int_eq((int)when->parameter_count, 2);
	ck_assert_str_eq(when->parameters[0], "status");
	ck_assert(dynamo_applies(&when->operations[0], values));
	ck_assert(!dynamo_applies(&unless->operations[0], values));
	values[0] = &one;
	ck_assert(dynamo_applies(&when->operations[0], values));
	ck_assert(dynamo_applies(&unless->operations[0], values));
	values[0] = &two;
	ck_assert(!dynamo_applies(&when->operations[0], values));
	values[0] = &text;
	values[1] = &one;
	ck_assert(!dynamo_applies(&when->operations[0], values));
	ck_assert(dynamo_applies(&unless->operations[0], values));
	dynamo_template_free(when);
	dynamo_template_free(unless);
	dynamo_tables_free(t);
}
END_TEST

/* ---- values ---------------------------------------------------------------------------------- */

static void check_number(const char *text, const char *wanted)
{
	struct value v = { .kind = VALUE_TEXT, .bytes = slice_str(text) };
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	size_t size;
	char *json = wanted != NULL ? xasprintf("{\"N\":\"%s\"}", wanted) : NULL;
	int rc = dynamo_value_write(&out, DYNAMO_NUMBER, &v, &size, &e);

	if (wanted == NULL) {
		ck_assert_msg(rc < 0 && e.kind == ERR_DATA, "%s", text);
		ck_assert(text[0] == '\0' || strstr(e.msg, text) == NULL);
	} else {
		ck_assert_msg(rc == 0, "%s: %s", text, e.msg);
		ck_assert_str_eq(buf_cstr(&out), json);
	}
	buf_done(&out);
	free(json);
}

START_TEST(test_numbers)
{
	check_number("0", "0");
	check_number("-0.000", "0");
	check_number("12.50", "1.25E1");
	check_number("-0012", "-12");
	check_number("1000", "1000");
	check_number("1e3", "1000");
	check_number("0.001", "1E-3");
	check_number("18446744073709551615", "18446744073709551615");
	check_number("12345678901234567890123456789012345678",
		     "12345678901234567890123456789012345678");
	check_number("-1.5e-7", "-1.5E-7");
	check_number("9.5E+125", "9.5E125");
	check_number("1E126", NULL);
	check_number("1E-131", NULL);
	check_number("1E99999999999999999999", NULL);
	check_number("123456789012345678901234567890123456789", NULL);
	check_number("12a", NULL);
	check_number("1.2.3", NULL);
	check_number("1e", NULL);
	check_number("-", NULL);
	check_number("", NULL);
}
END_TEST

START_TEST(test_numbers_sort)
{
	static const char *const ascending[] = { "-1e100", "-100", "-12.5", "-12", "-1",   "-0.9",
						 "-0.001", "0",    "1e-9",  "0.5", "0.55", "1",
						 "1.5",    "2",    "10",    "11",  "100",  "1e30" };
	struct buf before = BUF_INIT, after = BUF_INIT;

	for (size_t i = 0; i < sizeof(ascending) / sizeof(ascending[0]); i++) {
		buf_reset(&after);
		ck_assert(dynamo_number_sort(slice_str(ascending[i]), &after));
		if (i > 0) {
			size_t n = before.size < after.size ? before.size : after.size;
			int order = memcmp(before.data, after.data, n);

			ck_assert_msg(order < 0 || (order == 0 && before.size < after.size), "%s",
				      ascending[i]);
		}
		buf_reset(&before);
		buf_add_slice(&before, buf_slice(&after));
	}
	buf_done(&before);
	buf_done(&after);
}
END_TEST

START_TEST(test_base64)
{
	static const char *const texts[] = { "", "f", "fo", "foo", "foob", "fooba", "foobar" };
	static const char *const coded[] = { "",         "Zg==",     "Zm8=",    "Zm9v",
					     "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		buf_reset(&out);
		dynamo_base64_write(slice_str(texts[i]), &out);
		ck_assert_str_eq(buf_cstr(&out), coded[i]);
		buf_reset(&out);
		ck_assert(dynamo_base64_read(slice_str(coded[i]), &out));
		ck_assert_str_eq(buf_cstr(&out), texts[i]);
	}
	ck_assert(!dynamo_base64_read(slice_str("Zg="), &out));
	ck_assert(!dynamo_base64_read(slice_str("Z===Zg=="), &out));
	ck_assert(!dynamo_base64_read(slice_str("Zm9*"), &out));
	buf_done(&out);
}
END_TEST

/* ---- changes --------------------------------------------------------------------------------- */

struct script {
	struct dynamo_tables *tables;
	struct batch all, one;
	char *names[2];
};

/* Runs every operation of the template, without parameters. */
static void run(struct script *s, const char *text)
{
	struct dynamo_template *t = template_of(s->tables, text);
	struct err e = ERR_INIT;

	for (size_t i = 0; i < t->count; i++) {
		ck_assert_msg(batch_set(&s->one, &t->operations[i], NULL, &e) == 0, "%s", e.msg);
		ck_assert(batch_takes(&s->all, &s->one, &s->one.changes[0]));
		batch_add(&s->all, &s->one, &s->one.changes[0]);
	}
	dynamo_template_free(t);
}

static void check_actions(const char *text, const char *wanted)
{
	struct script s = { .tables = tables() };
	struct buf out = BUF_INIT;

	s.names[0] = xstrdup("T0");
	s.names[1] = xstrdup("T1");
	run(&s, text);
	batch_write(&s.all, s.tables, s.names, &out);
	ck_assert_str_eq(buf_cstr(&out), wanted);
	buf_done(&out);
	batch_done(&s.all);
	batch_done(&s.one);
	free(s.names[0]);
	free(s.names[1]);
	dynamo_tables_free(s.tables);
}

#define PUT "{\"put\": \"members\", \"item\": {\"group\": \"g\", \"id\": 1, \"name\": \"a\"}}"
#define DELETE "{\"delete\": \"members\", \"key\": {\"group\": \"g\", \"id\": \"1.0\"}}"
#define UPDATE                                                                                   \
	"{\"update\": \"members\", \"key\": {\"group\": \"g\", \"id\": 1}, \"set\": {\"name\": " \
	"\"b\"}}"
#define REMOVE                                                                           \
	"{\"update\": \"members\", \"key\": {\"group\": \"g\", \"id\": 1}, \"remove\": " \
	"[\"name\"]}"
#define KEY "\"group\":{\"S\":\"g\"},\"id\":{\"N\":\"1\"}"

/* One action for an item, whatever happened to it. */
START_TEST(test_changes_of_one_item)
{
	check_actions(PUT, ",{\"Put\":{\"TableName\":\"T0\",\"Item\":{" KEY
			   ",\"name\":{\"S\":\"a\"}}}}");
	check_actions("[" PUT "," UPDATE "]", ",{\"Put\":{\"TableName\":\"T0\",\"Item\":{" KEY
					      ",\"name\":{\"S\":\"b\"}}}}");
	check_actions("[" PUT "," REMOVE "]",
		      ",{\"Put\":{\"TableName\":\"T0\",\"Item\":{" KEY "}}}");
	check_actions("[" PUT "," DELETE "]",
		      ",{\"Delete\":{\"TableName\":\"T0\",\"Key\":{" KEY "}}}");
	check_actions("[" DELETE "," UPDATE "]", ",{\"Put\":{\"TableName\":\"T0\",\"Item\":{" KEY
						 ",\"name\":{\"S\":\"b\"}}}}");
	check_actions("[" DELETE "," REMOVE "]",
		      ",{\"Put\":{\"TableName\":\"T0\",\"Item\":{" KEY "}}}");
	check_actions("[" UPDATE "," PUT "]", ",{\"Put\":{\"TableName\":\"T0\",\"Item\":{" KEY
					      ",\"name\":{\"S\":\"a\"}}}}");
	check_actions(UPDATE,
		      ",{\"Update\":{\"TableName\":\"T0\",\"Key\":{" KEY
		      "},\"UpdateExpression\":\"SET #2=:2\",\"ExpressionAttributeNames\":{"
		      "\"#2\":\"name\"},\"ExpressionAttributeValues\":{\":2\":{\"S\":\"b\"}}"
		      "}}");
	check_actions("[" UPDATE "," REMOVE "]",
		      ",{\"Update\":{\"TableName\":\"T0\",\"Key\":{" KEY
		      "},\"UpdateExpression\":\" REMOVE #2\",\"ExpressionAttributeNames\":{"
		      "\"#2\":\"name\"}}}");
	check_actions("[" DELETE ",{\"delete\": \"counts\", \"key\": {\"id\": 1}}]",
		      ",{\"Delete\":{\"TableName\":\"T0\",\"Key\":{" KEY
		      "}}},{\"Delete\":{\"TableName\":\"T1\",\"Key\":{\"id\":{\"N\":\"1\"}}}}");
}
END_TEST

static int set_values(const char *text, const struct value *const *values, struct err *e)
{
	struct dynamo_tables *t = tables();
	struct dynamo_template *template = template_of(t, text);
	struct batch one = { .count = 0 };
	int rc = batch_set(&one, &template->operations[0], values, e);

	batch_done(&one);
	dynamo_template_free(template);
	dynamo_tables_free(t);
	return rc;
}

START_TEST(test_items_that_cannot_be)
{
	static const char put[] = "{\"put\": \"members\", \"item\": {\"group\": \":g\", \"id\": "
				  "\":i\", \"name\": \":n\", \"photo\": \":p\"}}";
	char *large = xmalloc(500000);
	struct value group = { .kind = VALUE_TEXT, .bytes = slice_str("g") },
		     id = { .kind = VALUE_INT, .i = 1 },
		     name = { .kind = VALUE_TEXT, .bytes = slice_str("n") },
		     photo = { .kind = VALUE_BYTES, .bytes = slice_of(large, 400000) },
		     null = { .kind = VALUE_NULL };
	const struct value *values[] = { &group, &id, &name, &photo };
	struct err e = ERR_INIT;

	memset(large, 'S', 500000);
	ck_assert_msg(set_values(put, values, &e) == 0, "%s", e.msg);
	photo.bytes.size = 410000;
	ck_assert_int_lt(set_values(put, values, &e), 0);
	ck_assert_msg(e.kind == ERR_DATA && strstr(e.msg, "409600") != NULL, "%s", e.msg);
	photo.bytes.size = 10;
	name.bytes = slice_str(""); /* part of an index's key */
	ck_assert_int_lt(set_values(put, values, &e), 0);
	ck_assert_msg(strstr(e.msg, "name is empty") != NULL, "%s", e.msg);
	values[2] = &null; /* not in the index, then */
	ck_assert_msg(set_values(put, values, &e) == 0, "%s", e.msg);
	group.bytes = slice_of(large, 2049);
	ck_assert_int_lt(set_values(put, values, &e), 0);
	ck_assert_msg(strstr(e.msg, "2049") != NULL && strstr(e.msg, "SSS") == NULL, "%s", e.msg);
	values[0] = &null;
	ck_assert_int_lt(set_values(put, values, &e), 0);
	ck_assert_msg(e.kind == ERR_DATA && strstr(e.msg, "group is NULL") != NULL, "%s", e.msg);
	values[0] = &photo;
	ck_assert_int_lt(set_values(put, values, &e), 0);
	ck_assert_msg(strstr(e.msg, "a string is declared") != NULL, "%s", e.msg);
	free(large);
}
END_TEST

START_TEST(test_a_batch_is_full)
{
	struct script s = { .tables = tables() };

	for (int i = 0; i < STORE_DYNAMO_ITEMS; i++) {
		char *text = xasprintf("{\"put\": \"counts\", \"item\": {\"id\": %d}}", i);

		run(&s, text);
		free(text);
	}
	ck_assert_int_eq((int)s.all.count, STORE_DYNAMO_ITEMS);
	run(&s, "{\"delete\": \"counts\", \"key\": {\"id\": 7}}"); /* one that is there fits */
	ck_assert_int_eq((int)s.all.count, STORE_DYNAMO_ITEMS);
	{
		struct dynamo_template *t =
			template_of(s.tables, "{\"put\": \"counts\", \"item\": {\"id\": 1000}}");
		struct err e = ERR_INIT;

		ck_assert_int_eq(batch_set(&s.one, &t->operations[0], NULL, &e), 0);
		ck_assert(!batch_takes(&s.all, &s.one, &s.one.changes[0]));
		dynamo_template_free(t);
	}
	batch_done(&s.all);
	batch_done(&s.one);
	dynamo_tables_free(s.tables);
}
END_TEST

/* ---- answers --------------------------------------------------------------------------------- */

START_TEST(test_answers)
{
	static const struct {
		long status;
		const char *body;
		enum dynamo_outcome outcome;
		enum err_kind kind;
		bool again;
		int action;
	} given[] = {
		{ 200, "{\"Item\":{}}", DYNAMO_OK, ERR_NONE, false, -1 },
		{ 200, "<html>", DYNAMO_FAILED, ERR_CONFIG, false, -1 },
		{ 404, "not here", DYNAMO_FAILED, ERR_FATAL, false, -1 },
		{ 503, "", DYNAMO_FAILED, ERR_RETRY, true, -1 },
		{ 413, "", DYNAMO_REFUSED, ERR_DATA, false, -1 },
		{ 400, "{\"__type\":\"a#ThrottlingException\"}", DYNAMO_FAILED, ERR_RETRY, true,
		  -1 },
		{ 400, "{\"__type\":\"a#ValidationException\",\"message\":\"secret\"}",
		  DYNAMO_REFUSED, ERR_DATA, false, -1 },
		{ 400, "{\"__type\":\"a#ResourceNotFoundException\"}", DYNAMO_MISSING, ERR_RETRY,
		  false, -1 },
		{ 400, "{\"__type\":\"a#ExpiredTokenException\"}", DYNAMO_FAILED, ERR_CONFIG, false,
		  -1 },
		{ 400, "{\"__type\":\"a#NewKindOfException\"}", DYNAMO_FAILED, ERR_FATAL, false,
		  -1 },
		{ 400,
		  "{\"__type\":\"a#TransactionCanceledException\",\"Message\":\"secret\","
		  "\"CancellationReasons\":[{\"Code\":\"None\"},{\"Code\":\"TransactionConflict\"}"
		  "]}",
		  DYNAMO_FAILED, ERR_RETRY, true, 1 },
		{ 400,
		  "{\"__type\":\"a#TransactionCanceledException\",\"CancellationReasons\":[{"
		  "\"Code\":\"TransactionConflict\"},{\"Code\":\"ConditionalCheckFailed\",\"Item\":"
		  "{}}]}",
		  DYNAMO_CONDITION, ERR_RETRY, false, 1 },
		{ 400,
		  "{\"__type\":\"a#TransactionCanceledException\",\"CancellationReasons\":[{"
		  "\"Code\":\"None\"},{\"Code\":\"ValidationError\",\"Message\":\"secret\"}]}",
		  DYNAMO_REFUSED, ERR_DATA, false, 1 },
		{ 400, "{\"__type\":\"a#TransactionCanceledException\"}", DYNAMO_FAILED, ERR_FATAL,
		  false, -1 },
	};

	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		struct dynamo_answer a;
		struct err e = ERR_INIT;
		bool again;
		int rc = dynamo_answer_read("PutItem", given[i].status, slice_str(given[i].body),
					    &a, &again, &e);

		ck_assert_msg(rc == (given[i].kind == ERR_NONE ? 0 : -1), "%s", given[i].body);
		ck_assert_msg(a.outcome == given[i].outcome && e.kind == given[i].kind &&
				      again == given[i].again && a.action == given[i].action,
			      "%s: outcome %d, kind %d, again %d, action %d: %s", given[i].body,
			      (int)a.outcome, (int)e.kind, again, a.action, e.msg);
		ck_assert_msg(strstr(e.msg, "secret") == NULL, "%s", e.msg);
		dynamo_answer_done(&a);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dynamo");

	unit_test(s, test_tables);
	unit_test(s, test_tables_with_mistakes);
	unit_test(s, test_templates_with_mistakes);
	unit_test(s, test_conditions);
	unit_test(s, test_numbers);
	unit_test(s, test_numbers_sort);
	unit_test(s, test_base64);
	unit_test(s, test_changes_of_one_item);
	unit_test(s, test_items_that_cannot_be);
	unit_test(s, test_a_batch_is_full);
	unit_test(s, test_answers);
	return unit_run(s);
}
