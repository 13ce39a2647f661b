/*
 * test_decode.c - data back into values and JSON: fixed cases by hand, random schemas with random
 * data (avro-c must read the same bytes to their end), and every kind of damage.
 */
#include "core/avro/decode.h"
#include "core/avro/write.h"
#include "core/base/mem.h"
#include "test/unit/unit.h"

#include <avro.h>

static struct schema *parse(const char *text)
{
	struct schema *s;
	struct err e = ERR_INIT;

	ck_assert_msg(schema_parse(slice_str(text), &s, &e) == 0, "%s: %s", text, e.msg);
	return s;
}

static struct decode_plan *plan_of(const char *text)
{
	struct schema *s = parse(text);
	struct decode_plan *plan;
	struct err e = ERR_INIT;

	ck_assert_msg(decode_plan_new(s, &plan, &e) == 0, "%s", e.msg);
	schema_free(s); /* the plan lives on */
	return plan;
}

static const char envelope[] =
	"{\"type\":\"record\",\"name\":\"Envelope\",\"fields\":["
	"{\"name\":\"source\",\"type\":{\"type\":\"record\",\"name\":\"Source\",\"fields\":["
	"{\"name\":\"seq\",\"type\":\"long\"},{\"name\":\"gtid\",\"type\":\"string\"}]}},"
	"{\"name\":\"before\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"Value\",\"fields\":["
	"{\"name\":\"id\",\"type\":[\"null\",\"int\"]},{\"name\":\"price\",\"type\":[\"null\","
	"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":10,\"scale\":2}]},"
	"{\"name\":\"tags\",\"type\":[{\"type\":\"array\",\"items\":\"string\"},\"null\"]}]}]},"
	"{\"name\":\"after\",\"type\":[\"null\",\"Value\"]},"
	"{\"name\":\"exact\",\"type\":[\"null\",{\"type\":\"map\",\"values\":\"string\"}]}]}";

static void write_envelope(struct buf *b)
{
	write_long(b, 42);
	write_str(b, "0-1-9");
	write_long(b, 0); /* before: null */
	write_long(b, 1);
	write_long(b, 1); /* id */
	write_long(b, -7);
	write_long(b, 1);
	write_bytes(b, "\xff\x38", 2); /* -200 */
	write_long(b, 0);
	write_long(b, 2); /* tags: two blocks */
	write_str(b, "a");
	write_str(b, "b");
	write_long(b, -1);
	write_long(b, 2);
	write_str(b, "c");
	write_long(b, 0);
	write_long(b, 1);
	write_long(b, 1); /* exact */
	write_str(b, "d");
	write_str(b, "0000-00-00");
	write_long(b, 0);
}

static void check_text(const struct value *v, const char *text)
{
	ck_assert_int_eq(v->kind, VALUE_TEXT);
	ck_assert_msg(slice_is(v->bytes, text), "%.*s is not %s", (int)v->bytes.size, v->bytes.data,
		      text);
}

START_TEST(test_decode_envelope)
{
	static const char *const paths[] = { "source.seq",   "source.gtid", "before.id",
					     "before.price", "before.tags", "after.id",
					     "after.price",  "after.tags",  "exact" };
	struct decode_plan *plan = plan_of(envelope);
	struct buf datum = BUF_INIT, scratch = BUF_INIT, json = BUF_INIT;
	struct schema *s = parse(envelope);
	struct err e = ERR_INIT;
	struct value v[9];

	write_envelope(&datum);
	ck_assert_uint_eq(decode_leaf_count(plan), 9);
	for (size_t i = 0; i < 9; i++) {
		ck_assert_str_eq(decode_leaf_path(plan, i), paths[i]);
		ck_assert_int_eq(decode_leaf_find(plan, paths[i]), (int)i);
	}
	ck_assert_int_eq(decode_leaf_find(plan, "source"), -1);
	for (int round = 0; round < 2; round++) {
		ck_assert_msg(decode_run(plan, buf_slice(&datum), &scratch, v, &e) == 0, "%s",
			      e.msg);
		ck_assert(v[0].kind == VALUE_INT && v[0].i == 42);
		check_text(&v[1], "0-1-9");
		for (size_t i = 2; i < 5; i++)
			ck_assert_int_eq(v[i].kind, VALUE_ABSENT);
		ck_assert(v[5].kind == VALUE_INT && v[5].i == -7);
		check_text(&v[6], "-2.00");
		check_text(&v[7], "a,b,c");
		check_text(&v[8], "{\"d\":\"0000-00-00\"}");
	}
	ck_assert_msg(decode_json(s, buf_slice(&datum), &json, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(
		buf_cstr(&json),
		"{\"source\":{\"seq\":42,\"gtid\":\"0-1-9\"},\"before\":null,\"after\":"
		"{\"id\":-7,\"price\":\"-2.00\",\"tags\":[\"a\",\"b\",\"c\"]},\"exact\":{\"d\":\"0000-00-00\"}}");
	for (size_t n = 0; n < datum.size; n++) {
		ck_assert_int_eq(decode_run(plan, slice_of(datum.data, n), &scratch, v, &e), -1);
		ck_assert_int_eq(e.kind, ERR_DATA);
		buf_reset(&json);
		ck_assert_int_eq(decode_json(s, slice_of(datum.data, n), &json, &e), -1);
	}
	buf_add_u8(&datum, 0);
	ck_assert_int_eq(decode_run(plan, buf_slice(&datum), &scratch, v, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.msg, "1 bytes left over"));
	ck_assert_int_eq(decode_json(s, buf_slice(&datum), &json, &e), -1);
	decode_plan_free(plan);
	schema_free(s);
	buf_done(&datum);
	buf_done(&scratch);
	buf_done(&json);
}
END_TEST

/* One leaf of a schema: its bytes as hex, its value, its JSON. NULL value: refused. */
struct leaf {
	const char *schema, *bytes, *value, *json;
};

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t n = 0;

	for (; hex[2 * n] != '\0'; n++) {
		char pair[3] = { hex[2 * n], hex[2 * n + 1], '\0' };

		out[n] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

#define LOGICAL(type, logical) "{\"type\":\"" type "\",\"logicalType\":\"" logical "\"}"
#define DECIMAL(scale) \
	"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":65,\"scale\":" #scale "}"

static const struct leaf leaves[] = {
	{ "\"null\"", "", "NULL", "null" },
	{ "\"boolean\"", "01", "1", "true" },
	{ "\"boolean\"", "02", NULL, NULL },
	{ "\"int\"", "01", "-1", "-1" },
	{ "\"int\"", "feffffff0f", "2147483647", "2147483647" },
	{ "\"int\"", "8080808010", NULL, NULL }, /* 2^31 */
	{ "\"long\"", "ffffffffffffffffff01", "-9223372036854775808", "-9223372036854775808" },
	{ "\"long\"", "ffffffffffffffffff02", NULL, NULL },
	{ "\"long\"", "80808080808080808080", NULL, NULL },
	{ "\"float\"", "0000c03f", "1.5", "1.5" },
	{ "\"double\"", "000000000000f0bf", "-1", "-1" },
	{ "\"double\"", "000000000000f07f", "inf", "\"Infinity\"" },
	{ "\"string\"", "0461c3", "'a\xc3'", "\"a\xef\xbf\xbd\"" },
	{ "\"string\"", "01", NULL, NULL }, /* length -1 */
	{ "\"string\"", "feffffffffffffffff0161", NULL, NULL },
	{ "\"bytes\"", "0400ff", "x'00ff'", "\"00ff\"" },
	{ "{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "abcd", "x'abcd'", "\"abcd\"" },
	{ "{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "ab", NULL, NULL },
	{ "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}", "02", "'B'", "\"B\"" },
	{ "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}", "04", NULL, NULL },
	{ "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}", "01", NULL, NULL },
	{ LOGICAL("int", "date"), "00", "0", "\"1970-01-01\"" },
	{ LOGICAL("int", "date"), "b1a004", "-34841", "\"1874-08-11\"" },
	{ LOGICAL("int", "date"), "feffffff0f", "2147483647", "2147483647" },
	{ LOGICAL("long", "timestamp-micros"), "01", "-1", "\"1969-12-31T23:59:59.999999Z\"" },
	{ LOGICAL("long", "local-timestamp-micros"), "8080f28183898506", "1700000000000000",
	  "\"2023-11-14T22:13:20\"" },
	{ LOGICAL("long", "timestamp-millis"), "02", "1000", "\"1970-01-01T00:00:00.001000Z\"" },
	{ LOGICAL("long", "timestamp-millis"), "feffffffffffffffff01", NULL, NULL },
	{ LOGICAL("int", "time-millis"), "02", "1000", "\"00:00:00.001000\"" },
	{ LOGICAL("long", "time-micros"), "02", "1", "\"00:00:00.000001\"" },
	{ LOGICAL("string", "uuid"), "0261", "'a'", "\"a\"" },
	{ DECIMAL(0), "0200", "'0'", "\"0\"" },
	{ DECIMAL(2), "0200", "'0.00'", "\"0.00\"" },
	{ DECIMAL(2), "0205", "'0.05'", "\"0.05\"" },
	{ DECIMAL(2), "02ff", "'-0.01'", "\"-0.01\"" },
	{ DECIMAL(0), "0280", "'-128'", "\"-128\"" },
	{ DECIMAL(0), "1000000000ffffffff", "'4294967295'", "\"4294967295\"" },
	{ DECIMAL(0), "108000000000000000", "'-9223372036854775808'", "\"-9223372036854775808\"" },
	{ DECIMAL(0), "1200ffffffffffffffff", "'18446744073709551615'",
	  "\"18446744073709551615\"" },
	{ DECIMAL(3), "12ff0000000000000000", "'-18446744073709551.616'",
	  "\"-18446744073709551.616\"" },
	{ DECIMAL(0), "1a4b3b4ca85a86c47a098a224000", "'5960464477539062500000000000000'", NULL },
	{ DECIMAL(0), "00", NULL, NULL },
	{ "{\"type\":\"array\",\"items\":\"string\"}", "00", "''", "[]" },
	{ "{\"type\":\"array\",\"items\":\"int\"}", "0402040206", NULL, NULL },
	{ "{\"type\":\"array\",\"items\":\"int\"}", "04020400", "'[1,2]'", "[1,2]" },
	{ "{\"type\":\"array\",\"items\":\"null\"}", "feffffffffffffffff0100", NULL, NULL },
	{ "{\"type\":\"array\",\"items\":\"null\"}", "0400", "'[null,null]'", "[null,null]" },
	{ "{\"type\":\"array\",\"items\":\"string\"}", "ffffffffffffffffff0100", NULL, NULL },
	{ "[\"null\",\"long\"]", "00", "NULL", "null" },
	{ "[\"long\",\"null\"]", "0002", "1", "1" },
	{ "[\"null\",\"long\"]", "04", NULL, NULL },
	{ "[\"null\",\"long\"]", "01", NULL, NULL },
	{ "[\"null\",\"long\",\"string\"]", "040278", "'\"x\"'", "\"x\"" },
	{ "[\"long\"]", "0002", "'1'", "1" },
	{ "[\"null\"]", "00", "'null'", "null" },
};

START_TEST(test_decode_leaves)
{
	struct buf scratch = BUF_INIT, text = BUF_INIT;

	for (size_t i = 0; i < sizeof(leaves) / sizeof(*leaves); i++) {
		struct decode_plan *plan = plan_of(leaves[i].schema);
		struct schema *s = parse(leaves[i].schema);
		struct err e = ERR_INIT;
		uint8_t bytes[64], *datum;
		size_t size = unhex(leaves[i].bytes, bytes);
		struct value v;
		int rc, json;

		ck_assert_uint_eq(decode_leaf_count(plan), 1);
		ck_assert_str_eq(decode_leaf_path(plan, 0), "");
		datum = xmalloc(size + 1); /* so that a sanitizer sees a read beyond */
		memcpy(datum, bytes, size);
		rc = decode_run(plan, slice_of(datum, size), &scratch, &v, &e);
		ck_assert_msg((rc == 0) == (leaves[i].value != NULL), "%zu: %s", i, e.msg);
		buf_reset(&text);
		if (rc == 0)
			value_text(&v, &text);
		if (rc == 0)
			ck_assert_msg(strcmp(buf_cstr(&text), leaves[i].value) == 0, "%zu: %s", i,
				      buf_cstr(&text));
		buf_reset(&text);
		json = decode_json(s, slice_of(datum, size), &text, &e);
		ck_assert_int_eq(json, rc);
		if (leaves[i].json != NULL)
			ck_assert_msg(strcmp(buf_cstr(&text), leaves[i].json) == 0, "%zu: %s", i,
				      buf_cstr(&text));
		free(datum);
		schema_free(s);
		decode_plan_free(plan);
	}
	buf_done(&scratch);
	buf_done(&text);
}
END_TEST

/* Schemas that unfold: 2^30 leaves, 2^30 empty records, and 2^30 steps behind no bytes at all. */
START_TEST(test_decode_unfolding)
{
	static const char *const innermost[] = { "{\"name\":\"a\",\"type\":\"null\"}", "" };
	struct err e = ERR_INIT;

	for (int kind = 0; kind < 2; kind++) {
		struct buf text = BUF_INIT, datum = BUF_INIT, out = BUF_INIT;
		struct decode_plan *plan;
		struct schema *s;

		for (int i = 0; i < 14; i++)
			buf_add_format(
				&text,
				"{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"a\",\"type\":",
				i);
		buf_add_format(&text, "{\"type\":\"record\",\"name\":\"R14\",\"fields\":[%s]}",
			       innermost[kind]);
		for (int i = 13; i >= 0; i--)
			buf_add_format(
				&text,
				"},{\"name\":\"b\",\"type\":\"R%d\"},{\"name\":\"c\",\"type\":\"R%d\"},"
				"{\"name\":\"d\",\"type\":\"R%d\"}]}",
				i + 1, i + 1, i + 1);
		s = parse(buf_cstr(&text));
		ck_assert_int_eq(decode_plan_new(s, &plan, &e), -1);
		ck_assert_int_eq(e.kind, ERR_DATA);
		ck_assert_int_eq(decode_json(s, buf_slice(&datum), &out, &e), -1);
		schema_free(s);
		buf_done(&text);
		buf_done(&out);
	}
}
END_TEST

START_TEST(test_decode_wire)
{
	static const uint8_t good[] = { 0, 0x01, 0x02, 0x03, 0x04, 0x80, 0x02, 9 },
			     magic[] = { 1, 0, 0, 0, 1, 2 }, negative[] = { 0, 0, 0, 0, 1, 1 },
			     high[] = { 0, 0xff, 0, 0, 1, 2 };
	struct err e = ERR_INIT;
	int64_t seq = 7;
	int32_t id = 7;

	ck_assert_int_eq(decode_seq(slice_of(good, 8), &seq, &e), 0);
	ck_assert_int_eq(seq, 128);
	ck_assert_int_eq(decode_wire_id(slice_of(good, 5), &id, &e), 0);
	ck_assert_int_eq(id, 0x01020304);
	for (size_t n = 0; n < 7; n++)
		ck_assert_int_eq(decode_seq(slice_of(good, n), &seq, &e), -1);
	ck_assert_int_eq(decode_seq(slice_of(magic, 6), &seq, &e), -1);
	ck_assert_int_eq(decode_seq(slice_of(negative, 6), &seq, &e), -1);
	ck_assert_int_eq(decode_wire_id(slice_of(high, 6), &id, &e), -1);
	ck_assert_int_eq(decode_wire_id(slice_of(good, 4), &id, &e), -1);
	ck_assert_int_eq(decode_wire_id(slice_of(NULL, 0), &id, &e), -1);
	ck_assert(seq == 128 && id == 0x01020304 && e.kind == ERR_DATA);
}
END_TEST

/* ---- random schemas and data ----------------------------------------------------------------- */

static int names;

static void random_type(struct buf *text, int depth)
{
	static const char *const plain[] = { "\"null\"",
					     "\"boolean\"",
					     "\"int\"",
					     "\"long\"",
					     "\"float\"",
					     "\"double\"",
					     "\"bytes\"",
					     "\"string\"",
					     DECIMAL(4),
					     LOGICAL("int", "date"),
					     LOGICAL("long", "timestamp-micros") };
	uint64_t n = 1 + unit_random_below(4);

	switch (depth > 0 ? unit_random_below(9) : 9) {
	case 0:
	case 1:
		buf_add_format(text, "{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[", names++);
		for (uint64_t i = 0; i < n; i++) {
			buf_add_format(text, "%s{\"name\":\"f%d\",\"type\":", i > 0 ? "," : "",
				       (int)i);
			random_type(text, depth - 1);
			buf_add_str(text, "}");
		}
		buf_add_str(text, "]}");
		break;
	case 2:
	case 3:
		buf_add_str(text, unit_random_below(2) == 0 ? "{\"type\":\"array\",\"items\":"
							    : "{\"type\":\"map\",\"values\":");
		random_type(text, depth - 1);
		buf_add_str(text, "}");
		break;
	case 4:
		buf_add_format(
			text,
			"[\"null\",{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"x\",\"type\":",
			names++);
		random_type(text, depth - 1);
		buf_add_str(text, "},{\"name\":\"y\",\"type\":\"string\"}]}]");
		break;
	case 5:
		buf_add_format(text, "[\"null\",%s]", plain[1 + unit_random_below(10)]);
		break;
	case 6:
		buf_add_str(text, "[\"string\",\"null\",\"long\"]");
		break;
	case 7:
		buf_add_format(
			text,
			"{\"type\":\"enum\",\"name\":\"E%d\",\"symbols\":[\"A\",\"B\",\"C\"]}",
			names++);
		break;
	case 8:
		buf_add_format(text, "{\"type\":\"fixed\",\"name\":\"F%d\",\"size\":%d}", names++,
			       1 + (int)unit_random_below(5));
		break;
	default:
		buf_add_str(text, plain[unit_random_below(11)]);
		break;
	}
}

static void random_bytes(struct buf *out, size_t least)
{
	uint8_t bytes[12];
	size_t n = least + unit_random_below(12 - least);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)('a' + unit_random_below(26));
	write_bytes(out, bytes, n);
}

static void random_datum(const struct schema *s, struct buf *out)
{
	uint64_t n = unit_random_below(4);

	switch (s->type) {
	case SCHEMA_NULL:
		break;
	case SCHEMA_BOOLEAN:
		write_bool(out, n > 1);
		break;
	case SCHEMA_INT:
		write_long(out, (int32_t)unit_random64());
		break;
	case SCHEMA_LONG:
		write_long(out, (int64_t)(unit_random64() >> unit_random_below(64)));
		break;
	case SCHEMA_FLOAT:
		write_float(out, (float)n);
		break;
	case SCHEMA_DOUBLE:
		write_double(out, (double)n / 8);
		break;
	case SCHEMA_BYTES:
		random_bytes(out, s->logical != NULL);
		break;
	case SCHEMA_STRING:
		random_bytes(out, 0);
		break;
	case SCHEMA_FIXED:
		buf_add(out, "12345", s->count);
		break;
	case SCHEMA_ENUM:
		write_long(out, (int64_t)unit_random_below(s->count));
		break;
	case SCHEMA_RECORD:
		for (size_t i = 0; i < s->count; i++)
			random_datum(s->fields[i].schema, out);
		break;
	case SCHEMA_ARRAY:
	case SCHEMA_MAP:
		if (n > 0)
			write_long(out, (int64_t)n);
		for (uint64_t i = 0; i < n; i++) {
			if (s->type == SCHEMA_MAP)
				random_bytes(out, 1);
			random_datum(s->items, out);
		}
		write_long(out, 0);
		break;
	case SCHEMA_UNION:
		n = unit_random_below(s->count);
		write_long(out, (int64_t)n);
		random_datum(s->branches[n], out);
		break;
	}
}

/* avro-c reads the bytes, and then has nothing left. */
static void check_by_avro_c(const struct buf *text, const struct buf *datum)
{
	avro_schema_t schema;
	avro_value_iface_t *iface;
	avro_value_t value;
	avro_reader_t in;
	char rest;

	ck_assert_msg(avro_schema_from_json_length((const char *)text->data, text->size, &schema) ==
			      0,
		      "%s", avro_strerror());
	iface = avro_generic_class_from_schema(schema);
	ck_assert_int_eq(avro_generic_value_new(iface, &value), 0);
	in = avro_reader_memory((const char *)datum->data, (int64_t)datum->size);
	ck_assert_msg(avro_value_read(in, &value) == 0, "%s", avro_strerror());
	ck_assert_int_ne(avro_read(in, &rest, 1), 0);
	avro_reader_free(in);
	avro_value_decref(&value);
	avro_value_iface_decref(iface);
	avro_schema_decref(schema);
}

START_TEST(test_decode_random)
{
	struct buf text = BUF_INIT, datum = BUF_INIT, scratch = BUF_INIT, json = BUF_INIT;
	struct err e = ERR_INIT;

	unit_seed();
	for (int round = 0; round < 3000; round++) {
		struct decode_plan *plan;
		struct value *values;
		struct schema *s;

		buf_reset(&text);
		buf_reset(&datum);
		buf_reset(&json);
		names = 0;
		random_type(&text, 4);
		ck_assert_msg(schema_parse(buf_slice(&text), &s, &e) == 0, "%s: %s",
			      buf_cstr(&text), e.msg);
		random_datum(s, &datum);
		(void)buf_cstr(&datum);
		check_by_avro_c(&text, &datum);
		ck_assert_msg(decode_plan_new(s, &plan, &e) == 0, "%s", e.msg);
		values = xcalloc(decode_leaf_count(plan) + 1, sizeof(*values));
		ck_assert_msg(decode_run(plan, buf_slice(&datum), &scratch, values, &e) == 0,
			      "%s: %s", buf_cstr(&text), e.msg);
		ck_assert_msg(decode_json(s, buf_slice(&datum), &json, &e) == 0, "%s: %s",
			      buf_cstr(&text), e.msg);
		for (int i = 0; i < 40 && datum.size > 0;
		     i++) { /* damaged: both agree whether it is a value */
			size_t at = unit_random_below(datum.size);
			uint8_t was = datum.data[at];
			int one, two;

			datum.data[at] = (uint8_t)unit_random64();
			buf_reset(&json);
			one = decode_run(plan, buf_slice(&datum), &scratch, values, &e);
			two = decode_json(s, buf_slice(&datum), &json, &e);
			ck_assert_int_eq(one, two);
			datum.data[at] = was;
		}
		free(values);
		decode_plan_free(plan);
		schema_free(s);
	}
	buf_done(&text);
	buf_done(&datum);
	buf_done(&scratch);
	buf_done(&json);
}
END_TEST

/* Earlier values that lie in scratch move with it when it grows. */
START_TEST(test_decode_scratch_moves)
{
	struct buf text = BUF_INIT, datum = BUF_INIT, scratch = BUF_INIT;
	struct value values[300];
	struct decode_plan *plan;
	struct err e = ERR_INIT;

	buf_add_str(&text, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[");
	for (int i = 0; i < 300; i++)
		buf_add_format(&text, "%s{\"name\":\"f%d\",\"type\":%s}", i > 0 ? "," : "", i,
			       DECIMAL(0));
	buf_add_str(&text, "]}");
	plan = plan_of(buf_cstr(&text));
	for (int i = 0; i < 300; i++) {
		uint8_t number[2] = { (uint8_t)(i >> 8), (uint8_t)i };

		write_bytes(&datum, number, 2);
	}
	ck_assert_msg(decode_run(plan, buf_slice(&datum), &scratch, values, &e) == 0, "%s", e.msg);
	for (int i = 0; i < 300; i++) {
		char number[16];

		snprintf(number, sizeof(number), "%d", i);
		check_text(&values[i], number);
	}
	decode_plan_free(plan);
	buf_done(&text);
	buf_done(&datum);
	buf_done(&scratch);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("decode");

	unit_test(s, test_decode_envelope);
	unit_test(s, test_decode_leaves);
	unit_test(s, test_decode_unfolding);
	unit_test(s, test_decode_wire);
	unit_test_slow(s, test_decode_random, 30);
	unit_test(s, test_decode_scratch_moves);
	return unit_run(s);
}
