/* test_parked.c - a record put together from its pieces, and everything that is not one. */
#include "test/unit/unit.h"

#include "core/base/mem.h"
#include "core/intake/parked.h"

#define TEXT "the whole record"
#define SIZE ((int64_t)sizeof(TEXT) - 1)

static struct parked_record piece(int32_t number, int32_t pieces, const char *data)
{
	return (struct parked_record){ .seq = 7,
				       .id = "7.1",
				       .piece = number,
				       .pieces = pieces,
				       .size = SIZE,
				       .data = slice_str(data) };
}

START_TEST(test_references)
{
	static const char *const bad[] = {
		"",
		"x",
		"x:1",
		":1:2",
		"x:1:",
		"x:1:-2",
		"x::2",
		"x:a:2",
		"x:1:2b",
		"x:99999999999:2",
		"x:1:9999999999999999999",
		"x:+1:2",
		"x: 1:2",
	};
	struct parked_reference r;
	struct err e = ERR_INIT;

	ck_assert_int_eq(parked_reference_read(slice_str("a:b.parked:3:123456789012"), &r, &e), 0);
	ck_assert_str_eq(r.topic, "a:b.parked");
	ck_assert_int_eq(r.partition, 3);
	ck_assert_int_eq(r.offset, INT64_C(123456789012));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = (struct err)ERR_INIT;
		ck_assert_msg(parked_reference_read(slice_str(bad[i]), &r, &e) < 0, "%s", bad[i]);
		ck_assert_int_eq(e.kind, ERR_DATA);
	}
	ck_assert_int_lt(parked_reference_read(slice_of("x:1:2\0", 6), &r, &e), 0);
}
END_TEST

START_TEST(test_whole)
{
	struct parked_parts parts;
	struct parked_record p;
	struct err e = ERR_INIT;

	parked_begin(&parts, 7, SIZE);
	p = piece(0, 3, "the ");
	ck_assert_int_eq(parked_add(&parts, &p, &e), 0);
	p = piece(1, 3, "");
	ck_assert_int_eq(parked_add(&parts, &p, &e), 0);
	p = piece(2, 3, "whole record");
	ck_assert_msg(parked_add(&parts, &p, &e) == 1, "%s", e.msg);
	ck_assert(slice_is(buf_slice(&parts.value), TEXT));
	parked_done(&parts);
}
END_TEST

/* Each of them instead of the second piece of two. */
START_TEST(test_wrong_pieces)
{
	struct parked_record wrong[] = {
		piece(0, 2, "whole record"),  piece(2, 2, "whole record"),
		piece(1, 3, "whole record"),  piece(1, 2, "whole recor"),
		piece(1, 2, "whole record!"), piece(1, 2, "whole record"),
		piece(1, 2, "whole record"),  piece(-1, 2, "whole record"),
	};

	wrong[5].id = "7.2";
	wrong[6].size++;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct parked_record first = piece(0, 2, "the ");
		struct parked_parts parts;
		struct err e = ERR_INIT;

		parked_begin(&parts, 7, SIZE);
		ck_assert_int_eq(parked_add(&parts, &first, &e), 0);
		ck_assert_msg(parked_add(&parts, &wrong[i], &e) < 0, "wrong piece %zu", i);
		ck_assert_int_eq(e.kind, ERR_DATA);
		parked_done(&parts);
	}
}
END_TEST

START_TEST(test_refused_at_once)
{
	struct parked_record bad[] = { piece(0, 1, TEXT), piece(1, 2, TEXT), piece(0, 0, TEXT),
				       piece(0, 1, TEXT), piece(0, 1, TEXT) };

	bad[0].seq = 8;
	bad[3].size = -1;
	bad[4].size = INT64_MAX;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct parked_parts parts;
		struct err e = ERR_INIT;

		parked_begin(&parts, 7, SIZE);
		ck_assert_msg(parked_add(&parts, &bad[i], &e) < 0, "bad piece %zu", i);
		ck_assert_int_eq(e.kind, ERR_DATA);
		ck_assert_uint_eq(parts.value.capacity, 0); /* nothing was reserved for it */
		if (i == 4)
			ck_assert_ptr_nonnull(strstr(e.msg, "project.record_max"));
		parked_done(&parts);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("parked");

	unit_test(s, test_references);
	unit_test(s, test_whole);
	unit_test(s, test_wrong_pieces);
	unit_test(s, test_refused_at_once);
	return unit_run(s);
}
