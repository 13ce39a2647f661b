/* fuzz_avro_schema.c - schema text, and event files (core/avro/schema*.c, event_schema.c;
 * decode.c's plan; cdc/publish/row_back.c). What is taken can be read by; a declared event's
 * registered text is a schema again. */
#include "test/fuzz/fuzz.h"

#include "cdc/publish/row_back.h"
#include "core/avro/decode.h"
#include "core/avro/event_schema.h"
#include "core/base/mem.h"

static void check_plan(const struct schema *s)
{
	struct decode_plan *plan;
	struct err e = ERR_INIT;

	if (decode_plan_new(s, &plan, &e) < 0) {
		fuzz_check_error(&e, ERR_DATA);
		return;
	}
	for (size_t i = 0; i < decode_leaf_count(plan); i++)
		fuzz_check(decode_leaf_path(plan, i) != NULL &&
				   decode_leaf_find(plan, decode_leaf_path(plan, i)) >= 0,
			   "leaf %zu", i);
	decode_plan_free(plan);
}

static void check_event(struct slice text)
{
	struct event_schema *event;
	struct schema *registered;
	struct err e = ERR_INIT;
	char *table;

	if (event_schema_read("a.avsc", text, &event, &e) < 0) {
		fuzz_check_error(&e, ERR_CONFIG);
		return;
	}
	fuzz_check(schema_parse(slice_str(event->registered), &registered, &e) == 0, "%s: %s",
		   e.msg, event->registered);
	fuzz_check(registered->count == event->field_count + 1, "fields");
	schema_free(registered);
	fuzz_check(schema_parse(slice_str(event->key_text), &registered, &e) == 0, "%s", e.msg);
	schema_free(registered);
	table = event_schema_table(slice_str(event->registered));
	fuzz_check(table != NULL, "its table");
	free(table);
	event_schema_free(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shape *shape = shape_new("d", "t", 1);
	struct slice text = slice_of(data, size);
	struct row_back *back;
	struct schema *s;
	struct err e = ERR_INIT;

	shape->columns[0].name = xstrdup("id");
	shape->columns[0].type = COLUMN_LONG;
	if (schema_parse(text, &s, &e) == 0) {
		check_plan(s);
		(void)schema_check_legal(text, &e);
		schema_free(s);
	} else {
		fuzz_check_error(&e, ERR_DATA);
	}
	check_event(text);
	if (row_back_new(text, shape, &back, &e) == 0)
		row_back_free(back);
	shape_unref(shape);
	return 0;
}
