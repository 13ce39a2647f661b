/* test_intake_merge.c - single cases of the merge, beside the random histories of test_intake.c. */
#include "core/avro/records.h"
#include "core/avro/write.h"
#include "core/intake/merge.h"
#include "test/unit/unit.h"

#define TOPICS 2
#define PARTITIONS 3

static const struct merge_topic topics[TOPICS] = { { "cap.shop.item", PARTITIONS },
						   { "events", PARTITIONS } };
static struct records_reader *reader;

/* Since when: the first commit record in a row that names the table. */
START_TEST(test_intake_reconciling_since)
{
	static const char *const named[5][2] = {
		{ "d.a" }, { "d.a", "d.b" }, { "d.b" }, { "d.a" }, { NULL }
	};
	static const int64_t since[5][2] = { { 100 }, { 100, 101 }, { 101 }, { 103 }, { 0 } };
	reader = records_reader_new(NULL, NULL);
	struct merge_options o = {
		.commits = "cap.commits", .topics = topics, .topic_count = TOPICS, .reader = reader
	};
	struct err e = ERR_INIT;
	struct intake_item item;
	struct merge *m;

	ck_assert_int_eq(merge_new(&o, &m, &e), 0);
	for (size_t i = 0; i < 5; i++) {
		const char *tables[] = { named[i][0], named[i][1] };
		size_t count = tables[0] == NULL ? 0 : tables[1] == NULL ? 1 : 2;
		struct commit_record r = { .first_seq = 1,
					   .at_us = 100 + (int64_t)i,
					   .gtid_set = "0-1-1",
					   .reconciling = { tables, count } };
		const struct intake_position *p;
		struct buf wire = BUF_INIT;

		write_wire_header(&wire, 1);
		records_write_commit(&r, &wire);
		ck_assert_int_eq(merge_add_commit(m, (int64_t)i, buf_slice(&wire), &e), 0);
		ck_assert_msg(merge_next(m, &item, &e) == 1, "%s", e.msg);
		p = merge_position(m);
		ck_assert_uint_eq(p->reconciling_count, count);
		for (size_t n = 0; n < count; n++) {
			ck_assert_str_eq(p->reconciling[n].table, tables[n]);
			ck_assert_int_eq(p->reconciling[n].since_us, since[i][n]);
		}
		buf_done(&wire);
	}
	merge_free(m);
}
END_TEST

/* A held topic stops those who read it, before the group commit that lacks some; nobody else. */
START_TEST(test_intake_held)
{
	static const char *const held[2] = { "somebody.elses", "events" };
	reader = records_reader_new(NULL, NULL);
	struct merge_options o = {
		.commits = "cap.commits", .topics = topics, .topic_count = TOPICS, .reader = reader
	};
	struct err e = ERR_INIT;
	struct intake_item item;
	struct merge *m;

	ck_assert_int_eq(merge_new(&o, &m, &e), 0);
	for (size_t i = 0; i < 2; i++) {
		struct commit_transaction t = { "0-1-7", 1, 5 };
		struct commit_record r = { .first_seq = 1 + (int64_t)i,
					   .seq = 1 + (int64_t)i,
					   .gtid_set = "0-1-7",
					   .transactions = &t,
					   .transaction_count = 1,
					   .held = { (const char **)(uintptr_t)&held[i], 1 } };
		struct buf wire = BUF_INIT;

		write_wire_header(&wire, 1);
		records_write_commit(&r, &wire);
		ck_assert_int_eq(merge_add_commit(m, (int64_t)i * 2, buf_slice(&wire), &e), 0);
		buf_done(&wire);
	}
	ck_assert_msg(merge_next(m, &item, &e) == 1, "%s", e.msg);
	ck_assert_int_eq(item.kind, INTAKE_TRANSACTION);
	ck_assert_int_eq(merge_next(m, &item, &e), -1);
	ck_assert_int_eq(e.kind, ERR_RETRY);
	ck_assert_ptr_nonnull(strstr(e.msg, "events is held by the schema gate from seq 2 on"));
	ck_assert_int_eq(merge_position(m)->seq, 1);
	merge_free(m);
}
END_TEST

/* A row of `seq` in `wire`: its header, and `size` bytes of the same value. */
static void write_large(struct buf *wire, int64_t seq, size_t size)
{
	buf_reset(wire);
	write_wire_header(wire, 7);
	write_long(wire, seq);
	memset(buf_reserve(wire, size), (int)seq, size);
	wire->size += size;
}

/* Large records over the limit are kept without their values; the order stays. */
START_TEST(test_intake_large_records)
{
	enum { SIZE = 100000, COUNT = 4 };
	struct merge_options o = { .commits = "cap.commits",
				   .topics = topics,
				   .topic_count = TOPICS,
				   .bytes_max = 2 * SIZE + SIZE / 2 };
	struct commit_transaction transaction = { "0-1-1", COUNT + 1, 5 };
	struct commit_touched touched[PARTITIONS] = { { 0 } };
	struct commit_record r = { .first_seq = 1,
				   .seq = COUNT + 1,
				   .gtid_set = "0-1-1",
				   .transactions = &transaction,
				   .transaction_count = 1,
				   .partitions = touched,
				   .partition_count = PARTITIONS };
	struct buf wire = BUF_INIT;
	struct err e = ERR_INIT;
	struct intake_item item;
	struct merge *m;

	reader = records_reader_new(NULL, NULL);
	o.reader = reader;
	ck_assert_int_ge(PARTITIONS, 2);
	ck_assert_int_eq(merge_new(&o, &m, &e), 0);
	for (int64_t seq = COUNT + 1; seq > 0; seq--) { /* seq 1 comes last, and is small */
		size_t part = seq == 1 ? 0 : 1;

		touched[part] = (struct commit_touched){ topics[0].name, (int32_t)part,
							 seq == 1 ? 1 : COUNT,
							 seq == 1 ? 1 : COUNT + 1 };
	}
	r.partition_count = 2;
	for (int64_t seq = 2; seq <= COUNT + 1; seq++) {
		write_large(&wire, seq, SIZE);
		ck_assert_int_eq(merge_add(m, 1, seq, slice_str("k"), buf_slice(&wire), &e), 0);
	}
	buf_reset(&wire);
	write_wire_header(&wire, 1);
	records_write_commit(&r, &wire);
	ck_assert_int_eq(merge_add_commit(m, 0, buf_slice(&wire), &e), 0);
	ck_assert_msg(merge_next(m, &item, &e) == 0, "%s", e.msg);
	write_large(&wire, 1, 0);
	ck_assert_int_eq(merge_add(m, 0, 1, slice_of(NULL, 0), buf_slice(&wire), &e), 0);
	for (int64_t seq = 1; seq <= COUNT + 1; seq++) {
		ck_assert_msg(merge_next(m, &item, &e) == 1, "%s", e.msg);
		ck_assert_int_eq(item.kind, INTAKE_RECORD);
		ck_assert_int_eq(item.seq, seq);
		ck_assert_int_eq(item.offset, seq);
		ck_assert_uint_eq(item.away, seq > 3 ? SIZE + 1 : 0);
		ck_assert_uint_eq(item.value.size, seq == 1 ? 1 : seq > 3 ? 0 : SIZE + 1);
		if (seq > 1)
			ck_assert(slice_is(item.key, "k"));
	}
	ck_assert_int_eq(merge_next(m, &item, &e), 1);
	ck_assert_int_eq(item.kind, INTAKE_TRANSACTION);
	/* there is room again */
	write_large(&wire, COUNT + 2, SIZE);
	ck_assert_int_eq(merge_add(m, 1, 50, slice_str("k"), buf_slice(&wire), &e), 0);
	ck_assert_uint_gt(merge_bytes(m, 1), SIZE);
	buf_done(&wire);
	merge_free(m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("intake_merge");

	unit_test(s, test_intake_reconciling_since);
	unit_test(s, test_intake_held);
	unit_test(s, test_intake_large_records);
	return unit_run(s);
}
