/* fuzz_row_back.c - envelopes and keys of row topics, read back into cells of another shape
 * (cdc/publish/row_back*.c). Input: the table as it was, the table as it is, then the datum. Cells
 * that come back can be encoded. */
#include "test/fuzz/fuzz.h"

#include "cdc/publish/row_back.h"
#include "cdc/publish/row_plan.h"
#include "core/avro/row_schema.h"
#include "core/base/mem.h"

#define COLUMNS 8

static void check_cells(struct shape *now, const struct cell *cells)
{
	struct row_plan *plan = row_plan_new("n", now);
	struct row_meta meta = { .op = CHANGE_CREATE, .seq = 1, .transaction = "0-1-1" };
	struct buf out = BUF_INIT;

	(void)row_plan_envelope(plan, &meta, NULL, cells, &out, NULL);
	row_plan_free(plan);
	buf_done(&out);
}

static void read_envelope(struct shape *was, struct shape *now, struct slice datum)
{
	struct buf text = BUF_INIT, bytes = BUF_INIT;
	struct cell cells[COLUMNS];
	struct row_back_record r;
	struct row_back *b;
	struct err e = ERR_INIT;

	fuzz_check(row_schema_envelope("n", was, &text, &e) == 0, "%s", e.msg);
	fuzz_check(row_back_new(buf_slice(&text), now, &b, &e) == 0, "%s", e.msg);
	if (row_back_read(b, datum, &r, &e) == 0) {
		if (r.has_before && row_back_cells(b, &r, ROW_BACK_BEFORE, &bytes, cells, &e) == 0)
			check_cells(now, cells);
		if (r.has_after && row_back_cells(b, &r, ROW_BACK_AFTER, &bytes, cells, &e) == 0)
			check_cells(now, cells);
	} else {
		fuzz_check_error(&e, ERR_DATA);
	}
	row_back_free(b);
	buf_done(&text);
	buf_done(&bytes);
}

static void read_key(struct shape *was, struct shape *now, struct slice datum)
{
	struct buf text = BUF_INIT, bytes = BUF_INIT;
	struct cell cells[COLUMNS];
	struct row_back *b;
	struct err e = ERR_INIT;
	bool whole;

	was->key = xcalloc(was->column_count, sizeof(*was->key));
	was->key_count = was->column_count;
	for (uint16_t i = 0; i < was->key_count; i++)
		was->key[i] = (uint16_t)(was->key_count - 1 - i);
	fuzz_check(row_schema_key("n", was, &text, &e) == 0, "%s", e.msg);
	fuzz_check(row_back_new(buf_slice(&text), now, &b, &e) == 0, "%s", e.msg);
	if (row_back_key(b, datum, &bytes, cells, &whole, &e) == 0)
		check_cells(now, cells);
	else
		fuzz_check_error(&e, ERR_DATA);
	row_back_free(b);
	buf_done(&text);
	buf_done(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shape *was, *now;
	struct slice datum;
	bool key, same;

	fuzz_input = rd_of(data, size);
	key = fuzz_pick(2) == 1;
	same = fuzz_pick(2) == 1;
	was = fuzz_table(COLUMNS);
	now = same ? shape_ref(was) : fuzz_table(COLUMNS);
	datum = rd_rest(&fuzz_input);
	if (key)
		read_key(was, now, datum);
	else
		read_envelope(was, now, datum);
	shape_unref(was);
	shape_unref(now);
	return 0;
}
