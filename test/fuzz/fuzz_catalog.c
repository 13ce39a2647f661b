/* fuzz_catalog.c - a column as information_schema describes it (cdc/catalog/catalog_schema.c).
 * Input: a byte for the server, then a part for each field. Of what is taken a schema can be made.
 */
#include "test/fuzz/fuzz.h"

#include "cdc/catalog/catalog_priv.h"
#include "core/avro/row_schema.h"
#include "core/avro/schema.h"
#include "core/value/row.h"

static const char *const servers[] = { "10.11.6-MariaDB-log", "8.0.36", "5.7.44-log",
				       "11.8.2-MariaDB", "9.1.0" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shape *s = shape_new("d", "t", 1);
	struct slice row[CATALOG_FIELD_COUNT];
	struct buf text = BUF_INIT;
	struct schema *schema;
	struct err e = ERR_INIT;
	const char *server;
	char type[80];

	fuzz_input = rd_of(data, size);
	server = servers[fuzz_pick(5)];
	for (size_t i = 0; i < CATALOG_FIELD_COUNT; i++) {
		row[i] = fuzz_part();
		if (row[i].size == 0 && i > CATALOG_FIELD_NULLABLE)
			row[i] = slice_of(NULL, 0);
	}
	if (catalog_take_column(s, &s->columns[0], server, row, &e) == 0) {
		(void)column_type_text(&s->columns[0], type, sizeof(type));
		(void)catalog_column_refused(&s->columns[0]);
		row_select_list(s, &text);
		fuzz_check(text.size > 0, "no select list");
		buf_reset(&text);
		row_schema_column(&s->columns[0], &text);
		if (s->columns[0].type != COLUMN_NEWDECIMAL && text.size < SCHEMA_TEXT_MAX) {
			fuzz_check(schema_parse(buf_slice(&text), &schema, &e) == 0, "%s: %s",
				   e.msg, buf_cstr(&text));
			schema_free(schema);
		}
	} else {
		fuzz_check(e.kind != ERR_NONE && e.msg[0] != '\0', "no error");
	}
	shape_unref(s);
	buf_done(&text);
	return 0;
}
