/* test_commit_lists.c - the lists of incomplete tables, said once by the writer and known at each
 * group commit by the reader: random histories in which tables enter and leave, sessions fail, and
 * the reader begins again at its position. And what a group commit costs with 10,000 tables. */
#include "cdc/delivery/commit_lists.h"
#include "core/avro/write.h"
#include "core/intake/merge.h"
#include "test/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLES 12

static char table_names[10000][24];
static struct records_reader *reader;

struct world {
	bool copying[TABLES], reconciling[TABLES];
	const char *copying_names[TABLES], *reconciling_names[TABLES], *copied[TABLES];
	size_t copied_count;
};

static size_t list_of(const bool *on, const char **ret_names)
{
	size_t count = 0;

	for (size_t i = 0; i < TABLES; i++)
		if (on[i])
			ret_names[count++] = table_names[i];
	return count;
}

static struct commit_record record_of(struct world *w)
{
	return (struct commit_record){
		.first_seq = 1,
		.gtid_set = "0-1-1",
		.copied = { w->copied, w->copied_count },
		.copying = { w->copying_names, list_of(w->copying, w->copying_names) },
		.reconciling = { w->reconciling_names,
				 list_of(w->reconciling, w->reconciling_names) },
	};
}

/* A table may leave without being named (its copy is given up), and be named without leaving. */
static void step(struct world *w)
{
	size_t i = (size_t)unit_random64() % TABLES;

	switch (unit_random64() % 6) {
	case 0:
		w->copying[i] = true;
		break;
	case 1:
	case 2:
		if (w->copied_count < TABLES && (w->copying[i] || unit_random64() % 4 == 0))
			w->copied[w->copied_count++] = table_names[i];
		w->copying[i] = false;
		if (unit_random64() % 8 == 0)
			w->copying[i] = true;
		break;
	case 3:
		w->copying[i] = false;
		break;
	case 4:
		w->reconciling[i] = true;
		break;
	case 5:
		w->reconciling[i] = false;
		break;
	}
}

static void check(const struct world *w, const struct intake_position *p)
{
	const char *expected[TABLES];
	size_t count = list_of(w->copying, expected), n = 0;

	for (; p->copying != NULL && p->copying[n] != NULL; n++)
		ck_assert_str_eq(p->copying[n], n < count ? expected[n] : "nothing");
	ck_assert_uint_eq(n, count);
	count = list_of(w->reconciling, expected);
	ck_assert_uint_eq(p->reconciling_count, count);
	for (size_t i = 0; i < count; i++)
		ck_assert_str_eq(p->reconciling[i].table, expected[i]);
}

static struct merge *merge_at(const struct intake_position *from)
{
	struct merge_options o = { .commits = "c.commits", .reader = reader, .from = from };
	struct err e = ERR_INIT;
	struct merge *m;

	ck_assert_msg(merge_new(&o, &m, &e) == 0, "%s", e.msg);
	return m;
}

static struct merge *merge_again(struct merge *m)
{
	struct intake_position at = { 0 };
	struct merge *again;

	intake_position_copy(merge_position(m), &at);
	merge_free(m);
	again = merge_at(&at);
	intake_position_done(&at);
	return again;
}

START_TEST(test_commit_lists_are_known_at_each_commit)
{
	struct commit_lists lists = { .told = false };
	struct world w = { .copied_count = 0 };
	struct merge *m = merge_at(NULL);
	struct buf wire = BUF_INIT;
	struct err e = ERR_INIT;
	size_t unchanged = 0;

	unit_seed();
	for (int64_t offset = 0; offset < 3000; offset++) {
		struct intake_item item;
		struct commit_record c;

		for (uint64_t k = unit_random64() % 3; k > 0; k--)
			step(&w);
		c = record_of(&w);
		commit_lists_fill(&lists, &c);
		if (unit_random64() % 20 == 0) { /* it fails: the next session begins */
			commit_lists_done(&lists);
			continue;
		}
		unchanged += c.unchanged;
		buf_reset(&wire);
		write_wire_header(&wire, 1);
		records_write_commit(&c, &wire);
		commit_lists_committed(&lists);
		ck_assert_msg(merge_add_commit(m, offset, buf_slice(&wire), &e) == 0, "%s", e.msg);
		ck_assert_msg(merge_next(m, &item, &e) == 1, "%s", e.msg);
		check(&w, merge_position(m));
		w.copied_count = 0;
		if (unit_random64() % 10 == 0)
			m = merge_again(m);
	}
	ck_assert_uint_gt(unchanged, 500);
	merge_free(m);
	commit_lists_done(&lists);
	buf_done(&wire);
}
END_TEST

static size_t size_of(struct commit_lists *lists, const char **names, size_t from, size_t wanted,
		      const char *copied)
{
	struct commit_record c = { .gtid_set = "0-1-1",
				   .copied = { &copied, copied != NULL },
				   .copying = { names + from, 10000 - from },
				   .reconciling = { names, wanted } };
	struct buf out = BUF_INIT;
	size_t size;

	commit_lists_fill(lists, &c);
	records_write_commit(&c, &out);
	commit_lists_committed(lists);
	size = out.size;
	buf_done(&out);
	return size;
}

START_TEST(test_commit_lists_of_ten_thousand_tables)
{
	struct commit_lists lists = { .told = false };
	static const char *names[10000];

	for (size_t i = 0; i < 10000; i++)
		names[i] = table_names[i];
	ck_assert_uint_gt(size_of(&lists, names, 0, 10000, NULL), 100000);
	ck_assert_uint_lt(size_of(&lists, names, 0, 10000, NULL), 40);
	for (size_t i = 1; i < 50; i++) /* one copy after the other ends */
		ck_assert_uint_lt(size_of(&lists, names, i, 10000, names[i - 1]), 60);
	ck_assert_uint_lt(size_of(&lists, names, 49, 9999, NULL), 60);
	ck_assert_uint_gt(size_of(&lists, names, 50, 9999, NULL),
			  100000); /* unnamed: all is said */
	ck_assert_uint_gt(size_of(&lists, names, 50, 10000, NULL), 100000);
	commit_lists_done(&lists);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("commit_lists");

	for (size_t i = 0; i < 10000; i++)
		snprintf(table_names[i], sizeof(table_names[i]), "shop.table_%05zu", i);
	reader = records_reader_new(NULL, NULL);
	unit_test(s, test_commit_lists_are_known_at_each_commit);
	unit_test(s, test_commit_lists_of_ten_thousand_tables);
	return unit_run(s);
}
