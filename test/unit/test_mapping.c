/*
 * test_mapping.c - schemas/mapping.md is what the code does.
 *
 * Each kind of column goes through row_schema_column(), and the table of types in mapping.md is
 * written from its answer. The test fails when the file says something else, or when a column type
 * is missing; `make golden-update` writes the table anew. What a view sees, and how Debezium calls
 * the same column (its connectors' documentation, "Data type mappings", with their defaults), are
 * words of this table alone.
 */
#include "core/avro/row_schema.h"
#include "core/avro/schema.h"
#include "test/unit/unit.h"

#define FILE_NAME "schemas/mapping.md"
#define BEGIN "<!-- types: written by test_mapping -->\n"
#define END "<!-- end of types -->\n"

#define UTF8MB4 45
#define BINARY 63

static char *labels[] = { "a" };

static const struct {
	const char *sql;
	struct column column;
	const char *view, *debezium;
} types[] = {
	{ "TINYINT, TINYINT UNSIGNED", { .type = COLUMN_TINY }, "INTEGER", "int16" },
	{ "SMALLINT", { .type = COLUMN_SHORT }, "INTEGER", "int16" },
	{ "SMALLINT UNSIGNED", { .type = COLUMN_SHORT, .is_unsigned = true }, "INTEGER", "int32" },
	{ "MEDIUMINT, MEDIUMINT UNSIGNED", { .type = COLUMN_INT24 }, "INTEGER", "int32" },
	{ "INT", { .type = COLUMN_LONG }, "INTEGER", "int32" },
	{ "INT UNSIGNED", { .type = COLUMN_LONG, .is_unsigned = true }, "INTEGER", "int64" },
	{ "BIGINT", { .type = COLUMN_LONGLONG }, "INTEGER", "int64" },
	{ "BIGINT UNSIGNED",
	  { .type = COLUMN_LONGLONG, .is_unsigned = true },
	  "TEXT",
	  "int64; beyond 2^63 negative" },
	{ "DECIMAL(p,s), here (12,2)",
	  { .type = COLUMN_NEWDECIMAL, .precision = 12, .scale = 2 },
	  "TEXT, as the server prints it",
	  "bytes, org.apache.kafka.connect.data.Decimal" },
	{ "FLOAT", { .type = COLUMN_FLOAT }, "REAL", "float32" },
	{ "DOUBLE", { .type = COLUMN_DOUBLE }, "REAL", "float64" },
	{ "BIT(1)", { .type = COLUMN_BIT, .bits = 1 }, "INTEGER 0 or 1", "boolean" },
	{ "BIT(n): big-endian",
	  { .type = COLUMN_BIT, .bits = 9 },
	  "BLOB",
	  "bytes, data.Bits: little-endian" },
	{ "CHAR, VARCHAR, TEXT of any size, NCHAR, in any character set",
	  { .type = COLUMN_VARCHAR, .size_max = 40, .collation = UTF8MB4 },
	  "TEXT",
	  "string" },
	{ "BINARY, VARBINARY, BLOB of any size",
	  { .type = COLUMN_STRING, .size_max = 2, .collation = BINARY, .is_binary = true },
	  "BLOB",
	  "bytes" },
	{ "ENUM: the label",
	  { .type = COLUMN_ENUM, .pack_bytes = 1, .labels = labels, .label_count = 1 },
	  "TEXT",
	  "string, data.Enum" },
	{ "SET: the labels",
	  { .type = COLUMN_SET, .pack_bytes = 1, .labels = labels, .label_count = 1 },
	  "TEXT, joined by ','",
	  "string, data.EnumSet" },
	{ "YEAR", { .type = COLUMN_YEAR }, "INTEGER", "int32, time.Year" },
	{ "DATE", { .type = COLUMN_DATE }, "INTEGER, days since 1970-01-01", "int32, time.Date" },
	{ "DATETIME(n)",
	  { .type = COLUMN_DATETIME2, .fraction = 6 },
	  "INTEGER, microseconds since 1970-01-01 00:00",
	  "int64, time.Timestamp or time.MicroTimestamp" },
	{ "TIMESTAMP(n)",
	  { .type = COLUMN_TIMESTAMP2 },
	  "INTEGER, microseconds since 1970 in UTC",
	  "string, time.ZonedTimestamp" },
	{ "TIME(n): microseconds, -838:59:59.999999 to 838:59:59.999999",
	  { .type = COLUMN_TIME2 },
	  "INTEGER",
	  "int64, time.MicroTime" },
	{ "DATETIME of before MySQL 5.6", { .type = COLUMN_DATETIME }, "the same", "the same" },
	{ "TIMESTAMP of before MySQL 5.6", { .type = COLUMN_TIMESTAMP }, "the same", "the same" },
	{ "TIME of before MySQL 5.6", { .type = COLUMN_TIME }, "the same", "the same" },
	{ "JSON (MySQL): as CAST(... AS CHAR) prints it",
	  { .type = COLUMN_JSON, .size_max = 4 },
	  "TEXT",
	  "string, data.Json" },
	{ "GEOMETRY and its sub-types: WKB as stored (longitude first)",
	  { .name = (char *)(uintptr_t) "place", .type = COLUMN_GEOMETRY, .size_max = 4 },
	  "two parameters: :place_srid INTEGER, :place_wkb BLOB",
	  "struct, data.geometry.Geometry" },
	{ "VECTOR(n)",
	  { .type = COLUMN_VECTOR, .size_max = 12, .pack_bytes = 4 },
	  "TEXT, a JSON array",
	  "array, data.FloatVector" },
	{ "UUID (MariaDB)", { .type = COLUMN_UUID, .size_max = 16 }, "TEXT", "-" },
	{ "INET4 (MariaDB)", { .type = COLUMN_INET4, .size_max = 4 }, "TEXT", "-" },
	{ "INET6 (MariaDB)", { .type = COLUMN_INET6, .size_max = 16 }, "TEXT", "-" },
};
#define TYPES (sizeof(types) / sizeof(types[0]))

static const char *const names[] = {
	[SCHEMA_NULL] = "null",   [SCHEMA_BOOLEAN] = "boolean", [SCHEMA_INT] = "int",
	[SCHEMA_LONG] = "long",   [SCHEMA_FLOAT] = "float",     [SCHEMA_DOUBLE] = "double",
	[SCHEMA_BYTES] = "bytes", [SCHEMA_STRING] = "string",   [SCHEMA_RECORD] = "record",
	[SCHEMA_ENUM] = "enum",   [SCHEMA_ARRAY] = "array",     [SCHEMA_MAP] = "map",
	[SCHEMA_UNION] = "union", [SCHEMA_FIXED] = "fixed",
};

/* "long, timestamp-micros", "record Geometry_place { srid long, wkb bytes }" */
static void put_avro(const struct column *column, struct buf *out)
{
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	struct schema *s;

	row_schema_column(column, &text);
	ck_assert_msg(schema_parse(buf_slice(&text), &s, &e) == 0, "%s", e.msg);
	buf_add_str(out, names[s->type]);
	if (s->type == SCHEMA_ARRAY)
		buf_add_format(out, " of %s", names[s->items->type]);
	if (s->type == SCHEMA_RECORD)
		buf_add_format(out, " %s { ", s->name);
	for (size_t i = 0; s->type == SCHEMA_RECORD && i < s->count; i++)
		buf_add_format(out, "%s%s %s%s", i > 0 ? ", " : "", s->fields[i].name,
			       names[s->fields[i].schema->type], i + 1 == s->count ? " }" : "");
	buf_add_str(out, " | ");
	if (s->logical != NULL && strcmp(s->logical, "decimal") == 0)
		buf_add_format(out, "decimal(%d,%d)", s->precision, s->scale);
	else
		buf_add_str(out, s->logical != NULL ? s->logical : "");
	schema_free(s);
	buf_done(&text);
}

static void put_table(struct buf *out)
{
	buf_add_str(out, "| column | Avro | logical type | Debezium | in a view (SQLite) |\n"
			 "|---|---|---|---|---|\n");
	for (size_t i = 0; i < TYPES; i++) {
		buf_add_format(out, "| %s | ", types[i].sql);
		put_avro(&types[i].column, out);
		buf_add_format(out, " | %s | %s |\n", types[i].debezium, types[i].view);
	}
}

static void read_file(struct buf *out)
{
	FILE *f = fopen(FILE_NAME, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	while ((n = fread(buf_reserve(out, 4096), 1, 4096, f)) > 0)
		out->size += n;
	fclose(f);
	(void)buf_cstr(out);
}

START_TEST(test_mapping_is_fresh)
{
	struct buf file = BUF_INIT, table = BUF_INIT;
	char *begin, *end;
	FILE *f;

	put_table(&table);
	read_file(&file);
	begin = strstr((char *)file.data, BEGIN);
	end = strstr((char *)file.data, END);
	ck_assert(begin != NULL && end > begin);
	begin += strlen(BEGIN);
	if (getenv("UPDATE_GOLDEN") != NULL) {
		f = fopen(FILE_NAME, "w");
		ck_assert_ptr_nonnull(f);
		fwrite(file.data, 1, (size_t)(begin - (char *)file.data), f);
		fwrite(table.data, 1, table.size, f);
		fwrite(end, 1, strlen(end), f);
		ck_assert_int_eq(fclose(f), 0);
	} else {
		ck_assert_msg((size_t)(end - begin) == table.size &&
				      memcmp(begin, table.data, table.size) == 0,
			      FILE_NAME " is stale: make golden-update");
	}
	buf_done(&file);
	buf_done(&table);
}
END_TEST

/* A type that a shape can hold has its row: the names that columns call themselves by tell which
 * numbers are types. */
START_TEST(test_mapping_is_whole)
{
	for (unsigned type = 0; type < 256; type++) {
		struct column c = { .type = (uint8_t)type, .is_binary = true };
		char text[64];
		bool listed = type == COLUMN_BLOB; /* with VARCHAR and BINARY */

		if (strncmp(column_type_text(&c, text, sizeof(text)), "type ", 5) == 0)
			continue;
		for (size_t i = 0; i < TYPES; i++)
			listed = listed || types[i].column.type == type;
		ck_assert_msg(listed, "type %u (%s)", type, text);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mapping");

	unit_test(s, test_mapping_is_fresh);
	unit_test(s, test_mapping_is_whole);
	return unit_run(s);
}
