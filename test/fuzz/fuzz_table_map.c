/* fuzz_table_map.c - TABLE_MAP (cdc/binlog/table_map.c, cdc/catalog/catalog_map.c) and the schemas
 * that are made of what it says. Input: a byte that chooses the server, then the body. */
#include "test/fuzz/fuzz.h"

#include "cdc/binlog/table_map.h"
#include "cdc/catalog/catalog.h"
#include "cdc/publish/row_back.h"
#include "core/avro/row_schema.h"
#include "core/avro/schema.h"

#define TABLE_ID_SIZE 8

static const char *const servers[] = { "10.11.6-MariaDB-log", "8.0.36", "5.7.44-log",
				       "11.8.2-MariaDB", "9.1.0" };

/* The names that are read alone are those that are read with the rest. */
static void check_parts(struct slice body)
{
	struct slice db, table;
	struct table_map map;
	struct err e = ERR_INIT;
	uint64_t id;

	if (table_map_read(body, TABLE_ID_SIZE, &map, &e) < 0)
		return;
	fuzz_check(table_map_id(body, TABLE_ID_SIZE, &id, &e) == 0 && id == map.id, "id");
	fuzz_check(table_map_names(body, TABLE_ID_SIZE, &db, &table, &e) == 0, "%s", e.msg);
	fuzz_check_same(db, map.db);
	fuzz_check_same(table, map.table);
}

static void check_shape(struct shape *s)
{
	struct buf text = BUF_INIT;
	struct schema *schema;
	struct row_back *back;
	struct err e = ERR_INIT;
	char type[80];

	fuzz_check(s->column_count >= 1 && s->column_count <= SHAPE_COLUMNS_MAX, "columns");
	fuzz_check(shape_equal(s, s), "not equal to itself");
	for (uint16_t k = 0; k < s->key_count; k++)
		fuzz_check(s->key[k] < s->column_count, "key column %u", s->key[k]);
	for (uint16_t i = 0; i < s->column_count; i++)
		fuzz_check(column_type_text(&s->columns[i], type, sizeof(type))[0] != '\0', "type");
	if (row_schema_envelope("n", s, &text, &e) < 0) {
		fuzz_check_error(&e, ERR_CONFIG);
	} else {
		fuzz_check(schema_parse(buf_slice(&text), &schema, &e) == 0, "%s", e.msg);
		schema_free(schema);
		fuzz_check(row_back_new(buf_slice(&text), s, &back, &e) == 0, "%s", e.msg);
		row_back_free(back);
	}
	buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char everything[] = "*.*", *patterns[] = { everything };
	struct settings settings = { .capture_tables = { patterns, 1 } };
	struct catalog *c = catalog_new(&settings);
	const struct catalog_table *t, *again;
	struct err e = ERR_INIT;
	struct slice body;

	fuzz_input = rd_of(data, size);
	catalog_server(c, servers[fuzz_pick(5)]);
	body = rd_rest(&fuzz_input);
	check_parts(body);
	if (catalog_table_map(c, body, &t, &e) == 0) {
		fuzz_check(t->shape != NULL, "no shape");
		check_shape(t->shape);
		fuzz_check(catalog_table_map(c, body, &again, &e) == 0 && again->shape == t->shape,
			   "the second time");
		fuzz_check(catalog_find(c, t->id) != NULL, "not found");
	} else {
		fuzz_check_error(&e, ERR_DATA);
	}
	catalog_free(c);
	return 0;
}
