/* fuzz_avro_datum.c - a datum by the schema it was written with (core/avro/decode*.c). Input: a
 * part with the schema's text, then the datum. The plan and the walk agree on what is a datum, and
 * what the walk prints is JSON. */
#include "test/fuzz/fuzz.h"

#include "core/avro/decode.h"
#include "core/base/mem.h"

static void check_values(const struct value *values, size_t count)
{
	struct buf shown = BUF_INIT;

	for (size_t i = 0; i < count; i++) {
		fuzz_check(values[i].kind <= VALUE_BYTES, "kind %u", values[i].kind);
		buf_reset(&shown);
		value_text(&values[i], &shown); /* reads all of it */
	}
	buf_done(&shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf scratch = BUF_INIT, json = BUF_INIT;
	struct decode_plan *plan;
	struct slice text, datum;
	struct value *values;
	struct schema *s;
	struct err e = ERR_INIT;
	int64_t seq;
	int32_t id;
	int rc;

	fuzz_input = rd_of(data, size);
	text = fuzz_part();
	datum = rd_rest(&fuzz_input);
	(void)decode_seq(datum, &seq, &e);
	(void)decode_wire_id(datum, &id, &e);
	if (schema_parse(text, &s, &e) < 0)
		return 0;
	if (decode_plan_new(s, &plan, &e) == 0) {
		values = xcalloc(decode_leaf_count(plan) + 1, sizeof(*values));
		err_clear(&e);
		rc = decode_run(plan, datum, &scratch, values, &e);
		if (rc == 0)
			check_values(values, decode_leaf_count(plan));
		else
			fuzz_check_error(&e, ERR_DATA);
		if (decode_json(s, datum, &json, &e) == 0)
			fuzz_check_json(buf_slice(&json));
		else
			fuzz_check_error(&e, ERR_DATA);
		free(values);
		decode_plan_free(plan);
	}
	schema_free(s);
	buf_done(&scratch);
	buf_done(&json);
	return 0;
}
