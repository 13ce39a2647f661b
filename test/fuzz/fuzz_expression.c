/* fuzz_expression.c - SQL expressions over a row (core/sql/expression*.c). Input: a part with the
 * expression, then bytes for the row's values. It is refused, or answers the same twice. */
#include "test/fuzz/fuzz.h"

#include "core/base/mem.h"
#include "core/sql/expression.h"

#include <string.h>

static const struct column columns[] = {
	{ .name = "a", .type = COLUMN_LONG },
	{ .name = "s", .type = COLUMN_VARCHAR, .size_max = 80, .collation = 45 },
	{ .name = "u", .type = COLUMN_VARCHAR, .size_max = 80, .collation = 224 },
	{ .name = "b", .type = COLUMN_VARCHAR, .size_max = 80, .collation = 46 },
	{ .name = "t", .type = COLUMN_DATETIME2, .nullable = true },
	{ .name = "d", .type = COLUMN_DATE, .nullable = true },
	{ .name = "n", .type = COLUMN_NEWDECIMAL, .precision = 30, .scale = 2 },
	{ .name = "big", .type = COLUMN_LONGLONG, .is_unsigned = true },
	{ .name = "h", .type = COLUMN_VARCHAR, .size_max = 9, .is_binary = true, .collation = 63 },
	{ .name = "f", .type = COLUMN_DOUBLE },
	{ .name = "o", .type = COLUMN_VARCHAR, .size_max = 80, .collation = 231 },
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static struct shape *make_shape(void)
{
	struct shape *s = shape_new("d", "t", COLUMNS);

	for (size_t i = 0; i < COLUMNS; i++) {
		s->columns[i] = columns[i];
		s->columns[i].name = xstrdup(columns[i].name);
	}
	return s;
}

/* Of the kinds that a column's canonical form may have. */
static struct value make_value(const struct column *c, struct buf *decimal)
{
	struct value v = { .kind = VALUE_NULL };
	uint64_t choice = fuzz_pick(8);
	struct slice part;

	if (choice < 2) {
		v.kind = choice == 0 ? VALUE_NULL : VALUE_ABSENT;
	} else if (c->type == COLUMN_VARCHAR) {
		part = fuzz_part();
		v = (struct value){ .kind = c->is_binary ? VALUE_BYTES : VALUE_TEXT,
				    .bytes = part };
	} else if (c->type == COLUMN_DOUBLE) {
		v = (struct value){ .kind = VALUE_DOUBLE, .d = (double)fuzz_pick(65536) / 7 };
	} else if (c->type == COLUMN_NEWDECIMAL || c->type == COLUMN_LONGLONG) {
		buf_reset(decimal);
		buf_add_format(decimal, "%llu%s",
			       (unsigned long long)fuzz_pick(UINT32_MAX) << fuzz_pick(32),
			       c->scale > 0 ? ".50" : "");
		v = (struct value){ .kind = VALUE_TEXT, .bytes = buf_slice(decimal) };
	} else if (choice == 2 && c->type != COLUMN_LONG) {
		v = (struct value){ .kind = VALUE_TEXT, .bytes = slice_str("0000-00-00") };
	} else {
		v = (struct value){ .kind = VALUE_INT,
				    .i = (int64_t)fuzz_pick(UINT32_MAX) - 70000 };
	}
	return v;
}

static void evaluate(struct expression *x)
{
	struct buf decimals[COLUMNS] = { BUF_INIT }, first = BUF_INIT, second = BUF_INIT;
	struct value row[COLUMNS], v;
	struct err e = ERR_INIT;
	bool holds, again;
	int rc;

	for (size_t i = 0; i < COLUMNS; i++) {
		memset(&decimals[i], 0, sizeof(decimals[i]));
		row[i] = make_value(&columns[i], &decimals[i]);
	}
	rc = expression_test(x, row, &holds, &e);
	fuzz_check(rc == expression_test(x, row, &again, &e), "another answer");
	if (rc == 0)
		fuzz_check(holds == again, "another answer");
	else
		fuzz_check_error(&e, ERR_DATA);
	if (expression_value(x, row, &v, &e) == 0) {
		value_text(&v, &first);
		fuzz_check(expression_value(x, row, &v, &e) == 0, "%s", e.msg);
		value_text(&v, &second);
		fuzz_check_same(buf_slice(&first), buf_slice(&second));
	}
	for (size_t i = 0; i < COLUMNS; i++)
		buf_done(&decimals[i]);
	buf_done(&first);
	buf_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shape *shape = make_shape();
	struct buf text = BUF_INIT;
	struct expression *x;
	struct err e = ERR_INIT;

	fuzz_input = rd_of(data, size);
	buf_add_slice(&text, fuzz_part());
	if (expression_new("a.avsc", buf_cstr(&text), shape, &x, &e) == 0) {
		evaluate(x);
		expression_free(x);
	} else {
		fuzz_check_error(&e, ERR_CONFIG);
	}
	shape_unref(shape);
	buf_done(&text);
	return 0;
}
