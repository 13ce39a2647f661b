/* test_intake_position.c - a position as text and back: this release's, those of the ones before,
 * and damaged ones. */
#include "test/unit/unit.h"

#include "core/intake/intake.h"

START_TEST(test_intake_position_text)
{
	struct intake_partition partitions[2] = { { (char *)(uintptr_t) "a.b", 0, 5, 0 },
						  { (char *)(uintptr_t) "c", 2147483647, INT64_MAX,
						    3 } };
	char odd[] = "d\xc3\xa4.t\"\\\n\x01", *copying[] = { odd, NULL }, set[] = "0-1-5,1-2-7";
	struct intake_position p = { 12,         3, 1700000000000000, 99,   7, set,
				     partitions, 2, copying,          NULL, 0 },
			       back;
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	unit_seed();
	intake_position_write(&p, &text);
	ck_assert_msg(intake_position_read(buf_slice(&text), &back, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(back.seq, 12);
	ck_assert_str_eq(back.gtid_set, set);
	ck_assert_uint_eq(back.partition_count, 2);
	ck_assert_int_eq(back.partitions[1].offset, INT64_MAX);
	ck_assert_str_eq(back.copying[0], odd);
	ck_assert_ptr_null(back.copying[1]);
	intake_position_done(&back);
	for (size_t n = 0; n < text.size; n++) {
		ck_assert_int_eq(intake_position_read(slice_of(text.data, n), &back, &e), -1);
		ck_assert_int_eq(e.kind, ERR_DATA);
	}
	for (int i = 0; i < 20000; i++) {
		size_t at = unit_random_below(text.size);
		uint8_t was = text.data[at];

		text.data[at] = (uint8_t)unit_random64();
		if (intake_position_read(buf_slice(&text), &back, &e) == 0)
			intake_position_done(&back);
		text.data[at] = was;
	}
	buf_done(&text);
}
END_TEST

/* What a release without reconciling wrote is still read, and written the same; with it, it comes
 * back. */
START_TEST(test_intake_position_reconciling)
{
	static const char old[] =
		"{\"seq\":12,\"commits_offset\":3,\"commit_us\":5,\"bytes_total\":6,"
		"\"transactions_total\":7,\"gtid_set\":\"0-1-5\",\"partitions\":[{\"topic\":\"a.b\","
		"\"partition\":0,\"offset\":5,\"taken\":0}],\"copying\":[\"d.t\"]}";
	char one[] = "d.t", two[] = "d.\"u\"";
	struct intake_reconciling tables[] = { { one, 1700000000000000 }, { two, 0 } };
	struct intake_position p, back;
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	ck_assert_msg(intake_position_read(slice_str(old), &p, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(p.reconciling_count, 0);
	intake_position_write(&p, &text);
	ck_assert_str_eq(buf_cstr(&text), old);
	free(p.reconciling);
	p.reconciling = tables;
	p.reconciling_count = 2;
	buf_reset(&text);
	intake_position_write(&p, &text);
	p.reconciling = NULL;
	p.reconciling_count = 0;
	intake_position_done(&p);
	ck_assert_msg(intake_position_read(buf_slice(&text), &p, &e) == 0, "%s", e.msg);
	intake_position_copy(&p, &back);
	intake_position_done(&p);
	ck_assert_uint_eq(back.reconciling_count, 2);
	ck_assert_str_eq(back.reconciling[1].table, two);
	ck_assert_int_eq(back.reconciling[0].since_us, 1700000000000000);
	ck_assert_int_eq(back.reconciling[1].since_us, 0);
	intake_position_done(&back);
	for (size_t n = 0; n < text.size; n++) {
		ck_assert_int_eq(intake_position_read(slice_of(text.data, n), &back, &e), -1);
		ck_assert_int_eq(e.kind, ERR_DATA);
	}
	buf_done(&text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("intake_position");

	unit_test(s, test_intake_position_text);
	unit_test(s, test_intake_position_reconciling);
	return unit_run(s);
}
