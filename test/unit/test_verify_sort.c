/* test_verify_sort.c - rows sorted in a file come as normal_compare() orders them, whatever they
 * hold. */
#include "test/unit/unit.h"

#include "core/base/mem.h"
#include "projections/verify/verify_sort.h"

#include <stdio.h>
#include <stdlib.h>

#define ROWS 3000

static struct value random_value(enum normal_class c, char text[40])
{
	struct buf scratch = BUF_INIT;
	struct value v = { .kind = VALUE_NULL };
	int size;

	switch (unit_random_below(c == NORMAL_NUMBER ? 4 : 6)) {
	case 0:
		v = (struct value){ .kind = VALUE_INT,
				    .i = (int64_t)unit_random_below(2000) - 1000 };
		break;
	case 1:
		size = snprintf(text, 40, "%d.%d", (int)unit_random_below(2000) - 1000,
				(int)unit_random_below(99) + 1);
		buf_reserve(&scratch, 100);
		ck_assert(normal_number(slice_of(text, (size_t)size), &scratch, &v));
		ck_assert_uint_eq(scratch.size, 0); /* it is only cut */
		break;
	case 2:
		size = snprintf(text, 40, "%s%d0000000000000000000",
				unit_random_below(2) != 0 ? "-" : "",
				(int)unit_random_below(99) + 1);
		v = (struct value){ .kind = VALUE_TEXT, .bytes = slice_of(text, (size_t)size) };
		break;
	case 3:
		break;
	case 4:
		size = snprintf(text, 40, "t%d", (int)unit_random_below(500));
		v = (struct value){ .kind = VALUE_TEXT, .bytes = slice_of(text, (size_t)size) };
		break;
	default:
		v = (struct value){ .kind = VALUE_DOUBLE, .d = (double)unit_random_below(100) / 8 };
		if (c == NORMAL_ANY) {
			size = snprintf(text, 40, "b%d", (int)unit_random_below(500));
			v = (struct value){ .kind = VALUE_BYTES,
					    .bytes = slice_of(text, (size_t)size) };
		}
	}
	buf_done(&scratch);
	return v;
}

static void check_class(enum normal_class c)
{
	enum normal_class classes[2] = { NORMAL_NUMBER, c };
	const size_t key[1] = { 1 };
	struct sorter *s;
	struct err e = ERR_INIT;
	const struct value *row;
	struct value last = { .kind = VALUE_ABSENT };
	char last_text[40] = "";
	bool *seen = xcalloc(ROWS, sizeof(*seen));
	int rc, rows = 0;

	ck_assert_msg(sorter_open(2, key, 1, classes, &s, &e) == 0, "%s", e.msg);
	for (int i = 0; i < ROWS; i++) {
		char text[40];
		struct value values[2] = { { .kind = VALUE_INT, .i = i }, random_value(c, text) };

		ck_assert_msg(sorter_add(s, values, &e) == 0, "%s", e.msg);
	}
	while ((rc = sorter_next(s, &row, &e)) == 1) {
		if (rows++ > 0)
			ck_assert_int_le(normal_compare(c, &last, &row[1]), 0);
		ck_assert(!seen[row[0].i]);
		seen[row[0].i] = true;
		last = row[1];
		if (last.kind == VALUE_TEXT || last.kind == VALUE_BYTES) {
			memcpy(last_text, last.bytes.data, last.bytes.size);
			last.bytes.data = (const uint8_t *)last_text;
		}
	}
	ck_assert_msg(rc == 0, "%s", e.msg);
	ck_assert_int_eq(rows, ROWS);
	sorter_close(s);
	free(seen);
}

START_TEST(test_order)
{
	unit_seed();
	check_class(NORMAL_NUMBER);
	check_class(NORMAL_ANY);
	check_class(NORMAL_LOOSE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("verify_sort");

	unit_test(s, test_order);
	return unit_run(s);
}
