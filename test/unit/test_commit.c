/* test_commit.c - when a group commit is due, and that its record adds up. */
#include "cdc/delivery/commit.h"
#include "cdc/delivery/position.h"
#include "test/unit/unit.h"

#include <string.h>

static const struct commit_limits limits = { .interval_us = 250000,
					     .bytes_max = 1000,
					     .transaction_us_max = 40000000 };

START_TEST(test_commit_due)
{
	struct commit_batch b;

	commit_batch_init(&b, &limits, 0);
	ck_assert(!commit_batch_due(&b, 5000000, 0, true)); /* nothing happened */
	ck_assert_int_eq(commit_batch_wait_us(&b, 5000000), -1);
	commit_batch_begin(&b, 5000000);
	commit_batch_add(&b, "0-1-1", 1, 1);
	ck_assert(!commit_batch_due(&b, 5000001, 10, false));
	ck_assert(commit_batch_due(&b, 5000001, 10, true));    /* nothing more to read */
	ck_assert(commit_batch_due(&b, 5000001, 1000, false)); /* bytes */
	ck_assert(commit_batch_due(&b, 5250000, 10, false));   /* interval */
	ck_assert_int_eq(commit_batch_wait_us(&b, 5100000), 150000);
	ck_assert(!commit_batch_must_cut(&b, 5250000));
	ck_assert(commit_batch_must_cut(&b, 45000000));
	commit_batch_begin(&b, 6000000); /* only the first begins */
	ck_assert(commit_batch_due(&b, 5250000, 10, false));
	commit_batch_done(&b);
}
END_TEST

START_TEST(test_commit_position_only_is_rare)
{
	struct commit_batch b;

	commit_batch_init(&b, &limits, 0);
	commit_batch_clear(&b, 0, 1000000);
	commit_batch_move(&b);
	ck_assert(!commit_batch_due(&b, 1500000, 0, true));
	ck_assert_int_eq(commit_batch_wait_us(&b, 1500000), 500000);
	ck_assert(commit_batch_due(&b, 2000000, 0, true));
	ck_assert(commit_batch_due(&b, 2000000, 0, false));
	commit_batch_done(&b);
}
END_TEST

START_TEST(test_commit_limits_of_the_record)
{
	struct commit_batch b;
	char long_name[1000];

	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	commit_batch_init(&b, &limits, 0);
	commit_batch_begin(&b, 1);
	for (int i = 0; i < COMMIT_TRANSACTIONS_MAX; i++) {
		ck_assert(!commit_batch_due(&b, 2, 0, false));
		commit_batch_add(&b, "0-1-1", 1, 1);
	}
	ck_assert(commit_batch_due(&b, 2, 0, false));
	commit_batch_clear(&b, COMMIT_TRANSACTIONS_MAX, 3);
	commit_batch_begin(&b, 4);
	for (int i = 0; i < COMMIT_TEXT_MAX / 1000; i++)
		commit_batch_add(&b, long_name, 1, 1);
	commit_batch_add(&b, long_name, 1, 1);
	ck_assert(commit_batch_due(&b, 5, 0, false));
	commit_batch_done(&b);
}
END_TEST

/* Random batches: the record names every transaction as it was added, and the seqs follow each
 * other from batch to batch. */
START_TEST(test_commit_records_follow_each_other)
{
	int64_t seq = 41, end = 41;
	struct commit_batch b;

	unit_seed();
	commit_batch_init(&b, &limits, seq);
	for (int round = 0; round < 200; round++) {
		size_t count = (size_t)unit_random_below(50);
		struct commit_record r = { 0 };
		int64_t sum = 0;

		for (size_t i = 0; i < count; i++) {
			int64_t changes = 1 + (int64_t)unit_random_below(9);
			char gtid[32];

			snprintf(gtid, sizeof(gtid), "0-1-%d-%zu", round, i);
			commit_batch_begin(&b, round + 1);
			commit_batch_add(&b, gtid, changes, round * 1000 + (int64_t)i);
			seq += changes;
		}
		if (round % 3 == 0)
			commit_batch_copied(&b, "shop.item");
		commit_batch_fill(&b, seq, &r);
		ck_assert_int_eq(r.first_seq, end + 1);
		ck_assert_int_eq(r.seq, seq);
		ck_assert_uint_eq(r.transaction_count, count);
		ck_assert_uint_eq(r.copied.count, round % 3 == 0);
		for (size_t i = 0; i < count; i++) {
			char gtid[32];

			snprintf(gtid, sizeof(gtid), "0-1-%d-%zu", round, i);
			ck_assert_str_eq(r.transactions[i].gtid, gtid);
			ck_assert_int_eq(r.transactions[i].commit_us, round * 1000 + (int64_t)i);
			sum += r.transactions[i].changes;
		}
		ck_assert_int_eq(sum, seq - end);
		end = seq;
		commit_batch_clear(&b, seq, round);
		ck_assert(!commit_batch_due(&b, 1000000000, 0, true));
	}
	commit_batch_done(&b);
}
END_TEST

/* What position_compare() says of `now`: its notes, or NULL when it refuses. */
static const char *compared(const char *stored, const char *now, struct err *e)
{
	static char text[1000];
	struct buf notes = BUF_INIT;
	int rc;

	*e = (struct err)ERR_INIT;
	rc = position_compare(stored, now, &notes, e);
	snprintf(text, sizeof(text), "%s", buf_cstr(&notes));
	buf_done(&notes);
	return rc == 0 ? text : NULL;
}

START_TEST(test_position_fingerprint)
{
#define TABLE "table a.b\n"
#define EVENT "event E topic=t from=a.b when=enters key=id where="
#define TOPICS "topic n.a.b partitions=4\ntopic t partitions=4\n"
	static const char stored[] = TABLE EVENT "x\n" TOPICS;
	struct err e;

	ck_assert_str_eq(compared(stored, stored, &e), "");
	ck_assert_str_eq(compared(stored,
				  TOPICS EVENT "x\ntable c.d\n" TABLE "topic n.c.d partitions=1",
				  &e),
			 "");
	ck_assert_ptr_null(compared(stored, TABLE EVENT "y\n" TOPICS, &e));
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.msg, "gone: " EVENT "x"));
	ck_assert_ptr_nonnull(strstr(e.msg, "new: " EVENT "y"));
	ck_assert_ptr_nonnull(strstr(e.msg, "HINT"));
	ck_assert_ptr_null(compared(
		stored, TABLE EVENT "x\ntopic n.a.b partitions=3\ntopic t partitions=4\n", &e));
	ck_assert_ptr_nonnull(strstr(e.msg, "new: topic n.a.b partitions=3"));
	ck_assert_str_eq(
		compared(stored, TABLE EVENT "x\ntopic t partitions=4\ntopic n.a.b partitions=12\n",
			 &e),
		"topic n.a.b has more partitions: keys move among them, so that records of one key "
		"stand in two; seq tells their order\n");
	ck_assert_int_eq(position_partitions(stored, "t"), 4);
	ck_assert_int_eq(position_partitions(stored, "n.a"), 0);
	ck_assert_ptr_null(compared(stored, "source x\n" TABLE EVENT "x\n" TOPICS, &e));
	ck_assert_ptr_null(compared("source x\n", "", &e));
}
END_TEST

START_TEST(test_position_tables_and_events_come_and_go)
{
	struct err e;

	ck_assert_str_eq(compared(TABLE "topic n.a.b partitions=4\n", TABLE EVENT "x\n" TOPICS, &e),
			 "event E is new: it is published from here on, not for what was before\n");
	ck_assert_str_eq(compared(TABLE EVENT "x\n" TOPICS, TABLE "topic n.a.b partitions=4\n", &e),
			 "event E is no longer configured: its topic ends here\n");
	ck_assert_str_eq(compared(TABLE TOPICS, "", &e),
			 "table a.b is no longer configured: its topic ends here\n");
	/* a name that only begins like another is another */
	ck_assert_str_eq(
		compared("event E when=enters\n", "event Ex when=leaves\n", &e),
		"event E is no longer configured: its topic ends here\n"
		"event Ex is new: it is published from here on, not for what was before\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("commit");

	unit_test(s, test_commit_due);
	unit_test(s, test_commit_position_only_is_rare);
	unit_test(s, test_commit_limits_of_the_record);
	unit_test(s, test_commit_records_follow_each_other);
	unit_test(s, test_position_fingerprint);
	unit_test(s, test_position_tables_and_events_come_and_go);
	return unit_run(s);
}
