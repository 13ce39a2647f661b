/* test_intake_shares.c - some partitions, each from its own position, against random histories
 * (test/lib/history.h): what a member of order = partition reads. */
#include "core/avro/records.h"
#include "core/avro/write.h"
#include "core/intake/merge.h"
#include "test/lib/history.h"
#include "test/unit/unit.h"

static struct records_reader *reader;

struct share_at {
	struct intake_position position; /* committed */
	bool begun;
	size_t next; /* record of the history that must come next */
};

struct member {
	const struct history *h;
	struct share_at *shares; /* all of them */
	struct merge *m;
	struct intake_share only[HISTORY_PARTS];
	size_t parts[HISTORY_PARTS], nexts[HISTORY_PARTS], fed[HISTORY_PARTS], count;
	size_t fed_commits;
};

static size_t next_of(const struct history *h, size_t part, size_t from)
{
	while (from < h->record_count && h->records[from].part != part)
		from++;
	return from;
}

static int64_t last_seq_of(const struct history *h)
{
	for (size_t i = h->expected_count; i > 0; i--)
		if (h->expected[i - 1].kind == INTAKE_TRANSACTION)
			return h->expected[i - 1].seq;
	return 0;
}

static bool feed_commit(struct member *w)
{
	const struct history *h = w->h;
	struct err e = ERR_INIT;

	while (w->fed_commits < h->commit_count &&
	       h->commits[w->fed_commits].offset < merge_next_commit_offset(w->m))
		w->fed_commits++;
	if (w->fed_commits == h->commit_count)
		return false;
	ck_assert_int_eq(merge_add_commit(w->m, h->commits[w->fed_commits].offset,
					  buf_slice(&h->commits[w->fed_commits].wire), &e),
			 0);
	w->fed_commits++;
	return true;
}

static bool feed_record(struct member *w, size_t at)
{
	const struct history *h = w->h;
	size_t i = next_of(h, w->parts[at], w->fed[at]);
	struct buf value = BUF_INIT;
	struct err e = ERR_INIT;

	while (i < h->record_count && h->records[i].offset < merge_next_offset(w->m, at))
		i = next_of(h, w->parts[at], i + 1);
	if (i == h->record_count)
		return false;
	write_wire_header(&value, 7);
	write_long(&value, h->records[i].seq);
	ck_assert_msg(merge_add(w->m, at, h->records[i].offset, slice_of(&i, sizeof(i)),
				buf_slice(&value), &e) == 0,
		      "%s", e.msg);
	buf_done(&value);
	w->fed[at] = i + 1;
	return true;
}

/* One thing, from a random place on. False: there is nothing left. */
static bool feed_one(struct member *w)
{
	size_t from = unit_random_below(w->count + 1);

	for (size_t k = 0; k <= w->count; k++) {
		size_t at = (from + k) % (w->count + 1);

		if (at == w->count ? feed_commit(w) : feed_record(w, at))
			return true;
	}
	return false;
}

/* None twice, none left out. */
static void take(struct member *w, const struct intake_item *item)
{
	size_t i, at = merge_partition(w->m, item->topic, item->partition);

	memcpy(&i, item->key.data, sizeof(i));
	ck_assert_uint_eq(next_of(w->h, w->parts[at], w->nexts[at]), i);
	w->nexts[at] = i + 1;
}

static void commit(struct member *w)
{
	for (size_t k = 0; k < w->count; k++) {
		struct share_at *s = &w->shares[w->parts[k]];
		struct intake_position p;
		struct buf text = BUF_INIT;
		struct err e = ERR_INIT;

		merge_share_position(w->m, k, &p);
		ck_assert_uint_eq(p.partition_count, 1);
		intake_position_write(&p, &text);
		if (s->begun) {
			ck_assert_int_ge(p.seq, s->position.seq);
			intake_position_done(&s->position);
		}
		ck_assert_int_eq(intake_position_read(buf_slice(&text), &s->position, &e), 0);
		buf_done(&text);
		s->begun = true;
		s->next = w->nexts[k];
	}
}

static void choose(struct member *w, bool all)
{
	size_t from = unit_random_below(HISTORY_PARTS);

	for (size_t i = 0; i < HISTORY_PARTS; i++) {
		size_t part = (from + i) % HISTORY_PARTS;
		const struct share_at *s = &w->shares[part];

		if (!all && unit_random_below(2) == 0)
			continue;
		w->only[w->count] =
			(struct intake_share){ part / HISTORY_PARTITIONS,
					       (int32_t)(part % HISTORY_PARTITIONS),
					       s->begun ? &s->position : NULL };
		w->nexts[w->count] = s->next;
		w->parts[w->count++] = part;
	}
}

/* One member's life: takes some partitions, applies for a while, and commits now and then. What it
 * did not commit is lost. */
static void run_member(const struct history *h, struct share_at *shares, bool to_the_end)
{
	struct member w = { .h = h, .shares = shares };
	struct merge_options options = { .commits = "cap.commits",
					 .topics = history_topics,
					 .topic_count = HISTORY_TOPICS,
					 .only = w.only,
					 .reader = reader,
					 .chunk_bytes = 256 };
	uint64_t steps = to_the_end ? UINT64_MAX : unit_random_below(300);
	struct err e = ERR_INIT;
	struct intake_item item;
	bool more = true;

	choose(&w, to_the_end);
	if (w.count == 0)
		return;
	options.only_count = w.count;
	ck_assert_msg(merge_new(&options, &w.m, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(merge_partition_count(w.m), w.count);
	for (; steps > 0 && more; steps--) {
		int rc = merge_next(w.m, &item, &e);

		ck_assert_msg(rc >= 0, "%s", e.msg);
		if (rc == 0)
			more = feed_one(&w);
		else if (item.kind == INTAKE_RECORD)
			take(&w, &item);
		else if (to_the_end || unit_random_below(3) == 0)
			commit(&w);
	}
	merge_free(w.m);
}

/* Whoever has which partitions, and however often that changes: each record of each comes once, in
 * order; and at the end all stand at the same place. */
START_TEST(test_intake_shares)
{
	unit_seed();
	reader = records_reader_new(NULL, NULL);
	for (int round = 0; round < 60; round++) {
		struct history *h = history_new(1 + unit_random_below(80));
		struct share_at shares[HISTORY_PARTS] = { 0 };
		int64_t last = last_seq_of(h);

		for (uint64_t members = unit_random_below(40); members > 0; members--)
			run_member(h, shares, false);
		run_member(h, shares, true);
		for (size_t i = 0; i < HISTORY_PARTS; i++) {
			const struct intake_position *p = &shares[i].position;

			ck_assert_uint_eq(next_of(h, i, shares[i].next), h->record_count);
			ck_assert_int_eq(p->seq, last);
			ck_assert_str_eq(p->gtid_set, shares[0].position.gtid_set);
			ck_assert_int_eq(p->commits_offset, shares[0].position.commits_offset);
		}
		for (size_t i = 0; i < HISTORY_PARTS; i++)
			intake_position_done(&shares[i].position);
		history_free(h);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("intake_shares");

	unit_test_slow(s, test_intake_shares, 60);
	return unit_run(s);
}
