/*
 * test_schema.c - schema text: what is read out of it, what is refused with which words, names, and
 * text that was cut or damaged.
 */
#include "core/avro/records.h"
#include "core/avro/schema.h"
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "test/unit/unit.h"

static struct schema *parse(const char *text)
{
	struct schema *s;
	struct err e = ERR_INIT;

	ck_assert_msg(schema_parse(slice_str(text), &s, &e) == 0, "%s: %s", text, e.msg);
	return s;
}

START_TEST(test_schema_tree)
{
	struct schema *s = parse(
		"{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"a.b\",\"doc\":\"x\",\"fields\":["
		"{\"name\":\"n\",\"type\":\"long\"},"
		"{\"name\":\"u\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}],\"default\":null},"
		"{\"name\":\"d\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":20,\"scale\":3}},"
		"{\"name\":\"bad\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":2,\"scale\":3}},"
		"{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}},"
		"{\"name\":\"again\",\"type\":\"E\"},"
		"{\"name\":\"full\",\"type\":\"a.b.E\"},"
		"{\"name\":\"f\",\"type\":{\"type\":\"fixed\",\"name\":\"c.F\",\"size\":7}},"
		"{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":\"c.F\"}}},"
		"{\"name\":\"w\",\"type\":{\"type\":{\"type\":\"string\"}}}]}");

	ck_assert_int_eq(s->type, SCHEMA_RECORD);
	ck_assert_str_eq(s->name, "a.b.R");
	ck_assert_uint_eq(s->count, 10);
	ck_assert(!s->fields[0].has_default && s->fields[1].has_default);
	ck_assert_str_eq(s->fields[1].schema->branches[1]->logical, "timestamp-micros");
	ck_assert_int_eq(s->fields[2].schema->precision, 20);
	ck_assert_int_eq(s->fields[2].schema->scale, 3);
	ck_assert_ptr_null(
		s->fields[3].schema->logical); /* as the specification says: passed over */
	ck_assert_ptr_eq(s->fields[5].schema, s->fields[4].schema);
	ck_assert_ptr_eq(s->fields[6].schema, s->fields[4].schema);
	ck_assert_str_eq(s->fields[5].schema->name, "a.b.E");
	ck_assert_str_eq(s->fields[7].schema->name, "c.F");
	ck_assert_uint_eq(s->fields[7].schema->count, 7);
	ck_assert_ptr_eq(s->fields[8].schema->items->items, s->fields[7].schema);
	ck_assert_int_eq(s->fields[9].schema->type, SCHEMA_STRING);
	schema_free(s);
}
END_TEST

START_TEST(test_schema_refused)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "not JSON" },
		{ "{", "not JSON" },
		{ "12", "a schema is a name" },
		{ "\"lnog\"", "unknown type \"lnog\"" },
		{ "{}", "without \"type\"" },
		{ "[]", "a union of nothing" },
		{ "[\"null\",[\"int\"]]", "a union inside a union" },
		{ "[\"null\",\"null\"]", "\"null\" twice" },
		{ "[{\"type\":\"array\",\"items\":\"int\"},"
		  "{\"type\":\"array\",\"items\":\"long\"}]",
		  "\"array\" twice" },
		{ "{\"type\":\"record\",\"fields\":[]}", "without \"name\"" },
		{ "{\"type\":\"record\",\"name\":\"a-b\",\"fields\":[]}",
		  "\"a-b\" is not a legal name" },
		{ "{\"type\":\"record\",\"name\":\"1a\",\"fields\":[]}", "not a legal name" },
		{ "{\"type\":\"record\",\"name\":\"a\",\"namespace\":\"b..c\",\"fields\":[]}",
		  "not a legal name" },
		{ "{\"type\":\"record\",\"name\":\"long\",\"fields\":[]}", "not a legal name" },
		{ "{\"type\":\"record\",\"name\":\"R\"}", "has no \"fields\"" },
		{ "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\"}]}",
		  "field x has no \"type\"" },
		{ "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"type\":\"int\"}]}",
		  "field 1 has no legal name" },
		{ "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
		  "{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"x\",\"type\":\"int\"}]}",
		  "field x twice" },
		{ "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
		  "{\"name\":\"next\",\"type\":[\"null\",\"R\"]}]}",
		  "field next: unknown type \"R\"" },
		{ "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
		  "{\"name\":\"in\",\"type\":{\"type\":\"fixed\",\"name\":\"R\",\"size\":1}}]}",
		  "\"R\" is defined twice" },
		{ "{\"type\":\"enum\",\"name\":\"E\"}", "has no \"symbols\"" },
		{ "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"a b\"]}",
		  "symbol 1 is not a legal name" },
		{ "{\"type\":\"fixed\",\"name\":\"F\"}", "\"size\" must be" },
		{ "{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}", "\"size\" must be" },
		{ "{\"type\":\"fixed\",\"name\":\"F\",\"size\":99999999999}", "\"size\" must be" },
		{ "{\"type\":\"array\"}", "array without \"items\"" },
		{ "{\"type\":\"map\",\"items\":\"int\"}", "map without \"values\"" },
		{ "{\"type\":\"int\",\"type\":\"int\"}", "not JSON" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct err e = ERR_INIT;
		struct schema *s;

		ck_assert_msg(schema_parse(slice_str(cases[i].text), &s, &e) == -1, "%s",
			      cases[i].text);
		ck_assert_int_eq(e.kind, ERR_DATA);
		ck_assert_msg(strstr(e.msg, cases[i].message) != NULL, "%s: %s", cases[i].text,
			      e.msg);
	}
}
END_TEST

START_TEST(test_schema_limits)
{
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	struct schema *s;

	for (int depth = SCHEMA_DEPTH_MAX - 1; depth <= SCHEMA_DEPTH_MAX; depth++) {
		buf_reset(&text);
		for (int i = 0; i < depth; i++)
			buf_add_str(&text, "{\"type\":\"array\",\"items\":");
		buf_add_str(&text, "\"int\"");
		for (int i = 0; i < depth; i++)
			buf_add_str(&text, "}");
		if (depth < SCHEMA_DEPTH_MAX)
			schema_free(parse(buf_cstr(&text)));
		else
			ck_assert_int_eq(schema_parse(buf_slice(&text), &s, &e), -1);
	}
	ck_assert_ptr_nonnull(strstr(e.msg, "nested deeper"));
	buf_reset(&text);
	for (int i = 0; i < 100000; i++)
		buf_add_str(&text, "[");
	ck_assert_int_eq(schema_parse(buf_slice(&text), &s, &e), -1);
	while (text.size <= SCHEMA_TEXT_MAX)
		buf_add_str(&text, "                                        ");
	ck_assert_int_eq(schema_parse(buf_slice(&text), &s, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.msg, "at most"));
	buf_done(&text);
}
END_TEST

/* Every text that is cut fails; one with a byte changed fails or is some schema. */
START_TEST(test_schema_damaged)
{
	unit_seed();
	for (int kind = 0; kind < RECORD_KINDS; kind++) {
		char *text = xstrdup(records_schema_text((enum record_kind)kind));
		size_t size = strlen(text);
		struct err e = ERR_INIT;
		struct schema *s;

		schema_free(parse(text));
		ck_assert_msg(schema_check_legal(slice_str(text), &e) == 0, "%s", e.msg);
		while (size > 0 && text[size - 1] == '\n')
			size--;
		for (size_t n = 0; n < size; n++)
			ck_assert_int_eq(schema_parse(slice_of(text, n), &s, &e), -1);
		for (int i = 0; i < 5000; i++) {
			size_t at = unit_random_below(size);
			char was = text[at];

			text[at] = (char)unit_random64();
			if (schema_parse(slice_of(text, size), &s, &e) == 0)
				schema_free(s);
			text[at] = was;
		}
		free(text);
	}
}
END_TEST

START_TEST(test_schema_legal)
{
	struct err e = ERR_INIT;

	ck_assert_int_eq(
		schema_check_legal(
			slice_str("{\"type\":\"record\",\"name\":\"my-table\",\"fields\":[]}"), &e),
		-1);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.msg, "HINT: "));
	ck_assert_int_eq(schema_check_legal(slice_str("nothing"), &e), -1);
	ck_assert_int_eq(schema_check_legal(slice_str("\"string\""), &e), 0);
}
END_TEST

static const char *escaped(const char *name, struct buf *out)
{
	buf_reset(out);
	schema_escape_name(name, out);
	ck_assert_uint_eq(strlen((const char *)out->data), out->size);
	ck_assert_msg(schema_name_legal(buf_slice(out)), "%s", (const char *)out->data);
	return (const char *)out->data;
}

START_TEST(test_schema_names)
{
	static const char *const cases[][2] = {
		{ "id", "id" },      { "groups_", "groups_" }, { "a_b9", "a_b9" },
		{ "9a", "_x39a" },   { "a-b", "a_x2db" },      { "_x2d", "_x5fx2d" },
		{ "__x", "__x5fx" }, { "x_", "x_" },           { "\xc3\xa4", "_xc3_xa4" },
		{ "", "_x" },        { "a.b", "a_x2eb" },      { "_\xc3\xa4", "__xc3_xa4" }
	};
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		ck_assert_str_eq(escaped(cases[i][0], &out), cases[i][1]);
	buf_reset(&out);
	buf_add_str(&out, "cap.");
	schema_escape_name("a-b", &out); /* appends */
	ck_assert_str_eq((const char *)out.data, "cap.a_x2db");
	buf_done(&out);
}
END_TEST

/* Names of few different letters, so that a collision would be met. */
START_TEST(test_schema_names_injective)
{
	static const char letters[] = "_x2d-5f";
	struct buf a = BUF_INIT, b = BUF_INIT;

	unit_seed();
	for (int i = 0; i < 200000; i++) {
		char one[8] = "", two[8] = "";

		for (size_t n = unit_random_below(7), k = 0; k < n; k++)
			one[k] = letters[unit_random_below(7)];
		for (size_t n = unit_random_below(7), k = 0; k < n; k++)
			two[k] = letters[unit_random_below(7)];
		ck_assert_int_eq(strcmp(escaped(one, &a), escaped(two, &b)) == 0,
				 strcmp(one, two) == 0);
	}
	buf_done(&a);
	buf_done(&b);
}
END_TEST

START_TEST(test_schema_shared)
{
	struct schema *s = parse(
		"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"record\","
		"\"name\":\"I\",\"fields\":[]}},{\"name\":\"b\",\"type\":\"I\"}]}");
	struct schema *inner = schema_ref(s->fields[0].schema);

	schema_free(s);
	ck_assert_str_eq(inner->name, "I");
	schema_free(inner);
	schema_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("schema");

	unit_test(s, test_schema_tree);
	unit_test(s, test_schema_refused);
	unit_test(s, test_schema_limits);
	unit_test_slow(s, test_schema_damaged, 30);
	unit_test(s, test_schema_legal);
	unit_test(s, test_schema_names);
	unit_test_slow(s, test_schema_names_injective, 20);
	unit_test(s, test_schema_shared);
	return unit_run(s);
}
