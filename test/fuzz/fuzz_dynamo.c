/* fuzz_dynamo.c - what DynamoDB answers (core/dynamo/dynamo_answer.c), numbers as it prints them,
 * and a view's own JSON. Input: a part with tables.json, a part with a template, a part with a
 * number, a byte for the status, then the answer. */
#include "test/fuzz/fuzz.h"

#include "core/base/mem.h"
#include "core/dynamo/dynamo.h"
#include "core/dynamo/dynamo_template.h"

#include <stdlib.h>

static void check_answer(long status, struct slice body)
{
	struct buf scratch = BUF_INIT;
	struct dynamo_answer a;
	struct err e = ERR_INIT;
	const struct dynamo_node *item;
	struct value v;
	bool again;
	int rc = dynamo_answer_read("PutItem", status, body, &a, &again, &e);

	fuzz_check((rc == 0) == (a.outcome == DYNAMO_OK), "outcome %d", (int)a.outcome);
	fuzz_check(!again || e.kind == ERR_RETRY, "kind %d", (int)e.kind);
	fuzz_check(rc == 0 || e.msg[0] != '\0', "no message");
	item = dynamo_get(a.root, "Item");
	free(dynamo_string(item, "a"));
	(void)dynamo_int(item, "a");
	if (dynamo_attribute(item, "a", &scratch, &v, &e) == 0)
		fuzz_check(v.kind == VALUE_NULL || v.kind == VALUE_TEXT || v.kind == VALUE_BYTES,
			   "kind %u", v.kind);
	buf_reset(&scratch);
	if (a.root != NULL) {
		dynamo_print(a.root, &scratch);
		fuzz_check_json(buf_slice(&scratch));
	}
	buf_done(&scratch);
	dynamo_answer_done(&a);
}

/* What is written sorts as what was read. */
static void check_number(struct slice text)
{
	struct value v = { .kind = VALUE_TEXT, .bytes = text };
	struct buf json = BUF_INIT, sort = BUF_INIT, again = BUF_INIT;
	struct err e = ERR_INIT;
	size_t size;

	if (dynamo_value_write(&json, DYNAMO_NUMBER, &v, &size, &e) == 0) {
		fuzz_check_json(buf_slice(&json));
		fuzz_check(dynamo_number_sort(text, &sort), "%.*s", (int)text.size,
			   (const char *)text.data);
		fuzz_check(dynamo_number_sort(slice_of(json.data + 6, json.size - 8), &again),
			   "%.*s", (int)json.size, (const char *)json.data);
		fuzz_check_same(buf_slice(&sort), buf_slice(&again));
	} else {
		fuzz_check_error(&e, ERR_DATA);
	}
	buf_done(&json);
	buf_done(&sort);
	buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice tables_text, template_text, number;
	struct dynamo_template *template;
	struct dynamo_tables *tables;
	struct err e = ERR_INIT;
	char *text;
	long status;

	fuzz_input = rd_of(data, size);
	tables_text = fuzz_part();
	template_text = fuzz_part();
	number = fuzz_part();
	status = (rd_u8(&fuzz_input) & 1) != 0 ? 400 : 200;
	check_number(number);
	check_answer(status, rd_rest(&fuzz_input));
	text = xstrndup((const char *)tables_text.data, tables_text.size);
	if (dynamo_tables_read("tables.json", text, &tables, &e) == 0) {
		char *second = xstrndup((const char *)template_text.data, template_text.size);

		if (dynamo_template_read("x.json", second, tables, &template, &e) == 0)
			dynamo_template_free(template);
		else
			fuzz_check_error(&e, ERR_CONFIG);
		free(second);
		dynamo_tables_free(tables);
	} else {
		fuzz_check_error(&e, ERR_CONFIG);
	}
	free(text);
	return 0;
}
