/*
 * test_row_schema.c - schema texts of tables: what stands in them, that avro-c takes them, and that
 * a cell that was encoded by its column comes back by its schema as the value that the cell has.
 */
#include "core/avro/decode.h"
#include "core/avro/row_schema.h"
#include "core/avro/schema.h"
#include "core/avro/write.h"
#include "core/base/mem.h"
#include "core/value/encode.h"
#include "core/value/value.h"
#include "test/unit/unit.h"

static char *labels[] = { (char *)(uintptr_t) "a", (char *)(uintptr_t) "b\"c",
			  (char *)(uintptr_t) "\xc3\xa4" };

/* A column, its type as text, a value as the server's text, and the value as value_text shows it.
 */
static const struct {
	struct column column;
	const char *type, *text, *value;
} cases[] = {
	{ { .type = COLUMN_TINY }, "{\"type\":\"int\",\"mysql\":\"tinyint\"}", "-128", "-128" },
	{ { .type = COLUMN_TINY, .is_unsigned = true },
	  "{\"type\":\"int\",\"mysql\":\"tinyint unsigned\"}",
	  "255",
	  "255" },
	{ { .type = COLUMN_SHORT },
	  "{\"type\":\"int\",\"mysql\":\"smallint\"}",
	  "-32768",
	  "-32768" },
	{ { .type = COLUMN_INT24 },
	  "{\"type\":\"int\",\"mysql\":\"mediumint\"}",
	  "-8388608",
	  "-8388608" },
	{ { .type = COLUMN_LONG },
	  "{\"type\":\"int\",\"mysql\":\"int\"}",
	  "-2147483648",
	  "-2147483648" },
	{ { .type = COLUMN_LONG, .is_unsigned = true },
	  "{\"type\":\"long\",\"mysql\":\"int unsigned\"}",
	  "4294967295",
	  "4294967295" },
	{ { .type = COLUMN_LONGLONG },
	  "{\"type\":\"long\",\"mysql\":\"bigint\"}",
	  "-9223372036854775808",
	  "-9223372036854775808" },
	{ { .type = COLUMN_LONGLONG, .is_unsigned = true },
	  "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":20,\"scale\":0,\"mysql\":\"bigint unsigned\"}",
	  "18446744073709551615",
	  "'18446744073709551615'" },
	{ { .type = COLUMN_NEWDECIMAL, .precision = 30, .scale = 4 },
	  "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":30,\"scale\":4,\"mysql\":\"decimal(30,4)\"}",
	  "-12345678901234567890123456.0050",
	  "'-12345678901234567890123456.0050'" },
	{ { .type = COLUMN_FLOAT }, "{\"type\":\"float\",\"mysql\":\"float\"}", "1.5", "1.5" },
	{ { .type = COLUMN_DOUBLE }, "{\"type\":\"double\",\"mysql\":\"double\"}", "0.1", "0.1" },
	{ { .type = COLUMN_DATE },
	  "{\"type\":\"int\",\"logicalType\":\"date\",\"mysql\":\"date\"}",
	  "1970-01-02",
	  "1" },
	{ { .type = COLUMN_DATETIME2, .fraction = 6 },
	  "{\"type\":\"long\",\"logicalType\":\"local-timestamp-micros\",\"mysql\":\"datetime(6)\"}",
	  "1970-01-01 00:00:01.000002",
	  "1000002" },
	{ { .type = COLUMN_TIMESTAMP2 },
	  "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\",\"mysql\":\"timestamp\"}",
	  "2023-11-14 22:13:20",
	  "1700000000000000" },
	{ { .type = COLUMN_TIME2, .fraction = 2 },
	  "{\"type\":\"long\",\"mysql\":\"time(2)\"}",
	  "-838:59:59.00",
	  "-3020399000000" },
	{ { .type = COLUMN_YEAR }, "{\"type\":\"int\",\"mysql\":\"year\"}", "2024", "2024" },
	{ { .type = COLUMN_VARCHAR, .size_max = 40, .collation = 45 },
	  "{\"type\":\"string\",\"mysql\":\"varchar\"}",
	  "\xc3\xa4",
	  "'\xc3\xa4'" },
	{ { .type = COLUMN_VARCHAR, .size_max = 40, .collation = 8 },
	  "{\"type\":\"string\",\"mysql\":\"varchar\"}",
	  "\xe4",
	  "'\xc3\xa4'" },
	{ { .type = COLUMN_STRING, .size_max = 4, .collation = 63, .is_binary = true },
	  "{\"type\":\"bytes\",\"mysql\":\"binary\"}",
	  "ab",
	  NULL },
	{ { .type = COLUMN_BLOB, .size_max = 2, .collation = 63, .is_binary = true },
	  "{\"type\":\"bytes\",\"mysql\":\"blob\"}",
	  "\xff\x01",
	  "x'ff01'" },
	{ { .type = COLUMN_BLOB, .size_max = 4, .collation = 45 },
	  "{\"type\":\"string\",\"mysql\":\"longtext\"}",
	  "x",
	  "'x'" },
	{ { .type = COLUMN_ENUM,
	    .pack_bytes = 1,
	    .labels = labels,
	    .label_count = 3,
	    .collation = 45 },
	  "{\"type\":\"string\",\"mysql\":\"enum\",\"labels\":[\"a\",\"b\\\"c\",\"\xc3\xa4\"]}",
	  "2",
	  "'b\"c'" },
	{ { .type = COLUMN_SET,
	    .pack_bytes = 1,
	    .labels = labels,
	    .label_count = 3,
	    .collation = 45 },
	  "{\"type\":\"array\",\"items\":\"string\",\"mysql\":\"set\",\"labels\":[\"a\",\"b\\\"c\",\"\xc3\xa4\"]}",
	  "5",
	  "'a,\xc3\xa4'" },
	{ { .type = COLUMN_BIT, .bits = 1 },
	  "{\"type\":\"boolean\",\"mysql\":\"bit(1)\"}",
	  "1",
	  "1" },
	{ { .type = COLUMN_BIT, .bits = 12 },
	  "{\"type\":\"bytes\",\"mysql\":\"bit(12)\"}",
	  "258",
	  "x'0102'" },
	{ { .type = COLUMN_JSON, .size_max = 4 },
	  "{\"type\":\"string\",\"mysql\":\"json\"}",
	  "{\"a\": 1}",
	  "'{\"a\": 1}'" },
	{ { .type = COLUMN_VECTOR, .size_max = 8, .pack_bytes = 1 },
	  "{\"type\":\"array\",\"items\":\"float\",\"mysql\":\"vector(2)\"}",
	  "\xa4\x70\x9d\x3f\xa4\x70\x9d\xbf",
	  "'[1.23,-1.23]'" },
	{ { .type = COLUMN_UUID, .size_max = 16 },
	  "{\"type\":\"string\",\"mysql\":\"uuid\"}",
	  "\x12\x34\x56\x78\x12\x34\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67",
	  "'12345678-1234-4567-89ab-cdef01234567'" },
	{ { .type = COLUMN_INET4, .size_max = 4 },
	  "{\"type\":\"string\",\"mysql\":\"inet4\"}",
	  "\x01\x02\x03\xff",
	  "'1.2.3.255'" },
	{ { .type = COLUMN_INET6, .size_max = 16 },
	  "{\"type\":\"string\",\"mysql\":\"inet6\"}",
	  "\x12\x34\x56\x78\x12\x34\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67",
	  "'1234:5678:1234:4567:89ab:cdef:123:4567'" },
};
#define CASES (sizeof(cases) / sizeof(*cases))

/* Every case as a column c0, c1, ... of one table. */
static struct shape *make_shape(void)
{
	struct shape *s = shape_new("shop", "it-em", CASES);

	for (uint16_t i = 0; i < CASES; i++) {
		struct column *c = &s->columns[i];

		*c = cases[i].column;
		c->name = xasprintf("c%u", i);
		c->nullable = true;
		c->labels = NULL;
		if (c->label_count > 0)
			c->labels = xcalloc(c->label_count, sizeof(*c->labels));
		for (uint16_t k = 0; k < c->label_count; k++)
			c->labels[k] = xstrdup(labels[k]);
	}
	s->key = xcalloc(2, sizeof(*s->key));
	s->key[0] = 16;
	s->key[1] = 4;
	s->key_count = 2;
	return s;
}

START_TEST(test_row_schema_types)
{
	for (size_t i = 0; i < CASES; i++) {
		struct buf text = BUF_INIT;

		row_schema_column(&cases[i].column, &text);
		ck_assert_str_eq(buf_cstr(&text), cases[i].type);
		buf_done(&text);
	}
}
END_TEST

START_TEST(test_row_schema_geometry)
{
	struct column c = { .name = "the place", .type = COLUMN_GEOMETRY, .size_max = 4 };
	struct buf text = BUF_INIT, image = BUF_INIT, datum = BUF_INIT, scratch = BUF_INIT;
	struct value back[2];
	struct decode_plan *plan;
	struct err e = ERR_INIT;
	struct schema *s;
	struct cell cell;

	row_schema_column(&c, &text);
	ck_assert_str_eq(
		buf_cstr(&text),
		"{\"type\":\"record\",\"name\":\"Geometry_the_x20place\",\"fields\":["
		"{\"name\":\"srid\",\"type\":\"long\"},{\"name\":\"wkb\",\"type\":\"bytes\"}],"
		"\"mysql\":\"geometry\"}");
	ck_assert_msg(schema_parse(buf_slice(&text), &s, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(schema_check_legal(buf_slice(&text), &e), 0);
	ck_assert(row_cell_from_text(&c, slice_of("\xff\xff\xff\xff\1\2", 6), &image, &cell));
	ck_assert_int_eq(encode_for(&c)(&c, &cell, &datum), ENCODE_OK);
	ck_assert_int_eq(decode_plan_new(s, &plan, &e), 0);
	ck_assert_msg(decode_run(plan, buf_slice(&datum), &scratch, back, &e) == 0, "%s", e.msg);
	ck_assert(back[0].kind == VALUE_INT && back[0].i == UINT32_MAX);
	ck_assert(back[1].kind == VALUE_BYTES && slice_is(back[1].bytes, "\1\2"));
	cell.size = 3;
	ck_assert_int_eq(encode_for(&c)(&c, &cell, &datum), ENCODE_INEXACT);
	decode_plan_free(plan);
	schema_free(s);
	buf_done(&text);
	buf_done(&image);
	buf_done(&datum);
	buf_done(&scratch);
}
END_TEST

START_TEST(test_row_schema_values)
{
	struct shape *shape = make_shape();
	struct slice texts[CASES];
	struct cell cells[CASES];
	struct value from_cells[CASES], back[CASES];
	struct buf image = BUF_INIT, text = BUF_INIT, datum = BUF_INIT, scratch = BUF_INIT,
		   other = BUF_INIT;
	uint8_t present[(CASES + 7) / 8];
	struct decode_plan *plan;
	struct err e = ERR_INIT;
	struct schema *s;
	struct rd in;

	memset(present, 0xff, sizeof(present));
	for (size_t i = 0; i < CASES; i++)
		texts[i] = slice_str(cases[i].text);
	ck_assert_msg(row_image_from_text(shape, texts, &image, &e) == 0, "%s", e.msg);
	in = rd_from(buf_slice(&image));
	ck_assert_msg(row_split(&in, shape, present, cells, &e) == 0, "%s", e.msg);
	buf_add_str(&text, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[");
	for (size_t i = 0; i < CASES; i++) {
		buf_add_format(&text, "%s{\"name\":\"c%zu\",\"type\":", i > 0 ? "," : "", i);
		row_schema_column(&shape->columns[i], &text);
		buf_add_str(&text, "}");
		ck_assert_int_eq(
			encode_for(&shape->columns[i])(&shape->columns[i], &cells[i], &datum),
			ENCODE_OK);
	}
	buf_add_str(&text, "]}");
	ck_assert_msg(schema_parse(buf_slice(&text), &s, &e) == 0, "%s", e.msg);
	ck_assert_msg(decode_plan_new(s, &plan, &e) == 0, "%s", e.msg);
	ck_assert_msg(decode_run(plan, buf_slice(&datum), &scratch, back, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(value_from_row(shape, cells, &other, from_cells), 0);
	for (size_t i = 0; i < CASES; i++) {
		struct buf shown = BUF_INIT;

		value_text(&back[i], &shown);
		if (cases[i].value != NULL)
			ck_assert_msg(strcmp(buf_cstr(&shown), cases[i].value) == 0, "%s: %s",
				      cases[i].type, buf_cstr(&shown));
		ck_assert_msg(back[i].kind == from_cells[i].kind &&
				      value_equal(&back[i], &from_cells[i]),
			      "%s: %s", cases[i].type, buf_cstr(&shown));
		buf_done(&shown);
	}
	decode_plan_free(plan);
	schema_free(s);
	shape_unref(shape);
	buf_done(&image);
	buf_done(&text);
	buf_done(&datum);
	buf_done(&scratch);
	buf_done(&other);
}
END_TEST

START_TEST(test_row_schema_envelope)
{
	static const char *const fields[] = { "source",      "op",     "ts_ms", "before", "after",
					      "transaction", "absent", "exact", "parked" };
	static const char *const source[] = { "seq",  "gtid", "ts_us", "snapshot",
					      "name", "db",   "table" };
	struct shape *shape = make_shape();
	struct buf text = BUF_INIT, again = BUF_INIT;
	struct err e = ERR_INIT;
	struct schema *s, *value;

	ck_assert_msg(row_schema_envelope("cap", shape, &text, &e) == 0, "%s", e.msg);
	ck_assert_msg(row_schema_envelope("cap", shape, &again, &e) == 0, "%s", e.msg);
	ck_assert(slice_equal(buf_slice(&text), buf_slice(&again)));
	ck_assert_msg(schema_check_legal(buf_slice(&text), &e) == 0, "%s", e.msg);
	ck_assert_msg(schema_parse(buf_slice(&text), &s, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(s->name, "cap.shop.it_x2dem.Envelope");
	ck_assert_uint_eq(s->count, 9);
	for (size_t i = 0; i < 9; i++)
		ck_assert_str_eq(s->fields[i].name, fields[i]);
	for (size_t i = 0; i < 7; i++)
		ck_assert_str_eq(s->fields[0].schema->fields[i].name, source[i]);
	value = s->fields[3].schema->branches[1];
	ck_assert_str_eq(value->name, "cap.shop.it_x2dem.Value");
	ck_assert_ptr_eq(value, s->fields[4].schema->branches[1]);
	ck_assert_uint_eq(value->count, CASES);
	for (size_t i = 0; i < CASES; i++) {
		ck_assert(value->fields[i].has_default);
		ck_assert_int_eq(value->fields[i].schema->branches[0]->type, SCHEMA_NULL);
	}
	schema_free(s);
	buf_reset(&text);
	ck_assert_msg(row_schema_key("cap", shape, &text, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(
		buf_cstr(&text),
		"{\"type\":\"record\",\"name\":\"Key\",\"namespace\":\"cap.shop.it_x2dem\",\"fields\":["
		"{\"name\":\"c16\",\"type\":{\"type\":\"string\",\"mysql\":\"varchar\"}},"
		"{\"name\":\"c4\",\"type\":{\"type\":\"int\",\"mysql\":\"int\"}}]}");
	ck_assert_msg(schema_check_legal(buf_slice(&text), &e) == 0, "%s", e.msg);
	shape_unref(shape);
	buf_done(&text);
	buf_done(&again);
}
END_TEST

static struct shape *two_columns(const char *a, const char *b)
{
	struct shape *s = shape_new("d", "t", 2);

	s->columns[0] = (struct column){ .name = xstrdup(a), .type = COLUMN_LONG };
	s->columns[1] = (struct column){ .name = xstrdup(b), .type = COLUMN_LONG };
	return s;
}

START_TEST(test_row_schema_names)
{
	struct shape *odd = two_columns("a-\"b", "a_x2db"), *same = two_columns("x", "x");
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	ck_assert_msg(row_schema_envelope("9cap", odd, &text, &e) == 0, "%s", e.msg);
	ck_assert_msg(schema_check_legal(buf_slice(&text), &e) == 0, "%s", e.msg);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&text),
				     "{\"name\":\"a_x2d_x22b\",\"column\":\"a-\\\"b\",\"type\":["));
	ck_assert_ptr_nonnull(strstr(buf_cstr(&text),
				     "{\"name\":\"a_x5fx2db\",\"column\":\"a_x2db\",\"type\":["));
	ck_assert_ptr_nonnull(strstr(buf_cstr(&text), "\"_x39cap.d.t\""));
	ck_assert_int_eq(row_schema_envelope("cap", same, &text, &e), -1);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.msg, "table d.t: two columns"));
	shape_unref(odd);
	shape_unref(same);
	buf_done(&text);
}
END_TEST

START_TEST(test_row_schema_too_long)
{
	struct shape *s = shape_new("d", "t", SHAPE_COLUMNS_MAX);
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < SHAPE_COLUMNS_MAX; i++)
		s->columns[i] =
			(struct column){ .name = xasprintf("%0300u", i), .type = COLUMN_LONG };
	ck_assert_int_eq(row_schema_envelope("cap", s, &text, &e), -1);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.msg, "HINT: "));
	shape_unref(s);
	buf_done(&text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("row_schema");

	unit_test(s, test_row_schema_types);
	unit_test(s, test_row_schema_geometry);
	unit_test(s, test_row_schema_values);
	unit_test(s, test_row_schema_envelope);
	unit_test(s, test_row_schema_names);
	unit_test(s, test_row_schema_too_long);
	return unit_run(s);
}
