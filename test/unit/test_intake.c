/*
 * test_intake.c - the merge against random histories of source transactions.
 *
 * A history (test/lib/history.h) is fed in random order, and what comes out must be the one right
 * order; then again from every position that was handed out; then with one thing broken.
 */
#include "core/avro/records.h"
#include "core/avro/write.h"
#include "core/base/gtid.h"
#include "core/base/mem.h"
#include "core/intake/merge.h"
#include "core/intake/queue.h"
#include "test/lib/history.h"
#include "test/unit/unit.h"

#include <inttypes.h>

#define TOPICS HISTORY_TOPICS
#define PARTITIONS HISTORY_PARTITIONS
#define PARTS HISTORY_PARTS


static struct records_reader *reader;

/* ---- feeding it ----------------------------------------------------------------------------- */

struct feed {
	const struct history *h;
	struct merge *m;
	size_t next[PARTS]; /* record to feed, by number in the history */
	size_t next_commit;
};

static int feed_record(struct feed *f, size_t part, struct err *e)
{
	static uint8_t payload[64] = "payload";
	size_t i = f->next[part];
	struct buf value = BUF_INIT;
	const struct record *r;
	int rc;

	while (i < f->h->record_count && (f->h->records[i].part != part || f->h->records[i].gone ||
					  f->h->records[i].offset < merge_next_offset(f->m, part)))
		i++;
	if (i == f->h->record_count) {
		f->next[part] = i;
		return 0;
	}
	r = &f->h->records[i];
	write_wire_header(&value, 7);
	write_long(&value, r->seq);
	write_long(&value, (int64_t)i);
	buf_add(&value, payload, r->size);
	rc = merge_add(f->m, part, r->offset, slice_of(&i, sizeof(i)), buf_slice(&value), e);
	buf_done(&value);
	f->next[part] = i + 1;
	return rc < 0 ? -1 : 1;
}

static int feed_commit(struct feed *f, struct err *e)
{
	const struct history *h = f->h;

	while (f->next_commit < h->commit_count &&
	       h->commits[f->next_commit].offset < merge_next_commit_offset(f->m))
		f->next_commit++;
	if (f->next_commit == h->commit_count)
		return 0;
	if (merge_add_commit(f->m, h->commits[f->next_commit].offset,
			     buf_slice(&h->commits[f->next_commit].wire), e) < 0)
		return -1;
	f->next_commit++;
	return 1;
}

/* Feeds at random, or only what the merge waits for. 0 at the end of everything. */
static int feed_some(struct feed *f, bool only_needed, struct err *e)
{
	size_t from = unit_random_below(PARTS + 1);

	for (size_t k = 0; k <= PARTS; k++) {
		size_t part = (from + k) % (PARTS + 1);
		int rc;

		if (only_needed && !merge_waits_for(f->m, part == PARTS ? MERGE_COMMITS : part))
			continue;
		rc = part == PARTS ? feed_commit(f, e) : feed_record(f, part, e);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int feed_begin(struct feed *f, const struct history *h, const struct intake_position *from,
		      struct err *e)
{
	struct merge_options options = { .commits = "cap.commits",
					 .topics = history_topics,
					 .topic_count = TOPICS,
					 .from = from,
					 .reader = reader,
					 .chunk_bytes = 256 };

	*f = (struct feed){ .h = h };
	return merge_new(&options, &f->m, e);
}

static void check_item(const struct history *h, const struct expected *x,
		       const struct intake_item *item)
{
	ck_assert_int_eq(item->kind, x->kind);
	if (x->kind == INTAKE_RECORD) {
		const struct record *r = &h->records[x->record];
		struct buf value = BUF_INIT;

		ck_assert_int_eq(item->seq, r->seq);
		ck_assert_uint_eq(item->topic * PARTITIONS + (size_t)item->partition, r->part);
		ck_assert_int_eq(item->offset, r->offset);
		ck_assert_int_eq(item->schema_id, 7);
		ck_assert_uint_eq(item->key.size, sizeof(size_t));
		write_long(&value, r->seq);
		write_long(&value, (int64_t)x->record);
		ck_assert_uint_eq(item->value.size, value.size + r->size);
		ck_assert_mem_eq(item->value.data, value.data, value.size);
		buf_done(&value);
	} else {
		ck_assert_str_eq(item->gtid != NULL ? item->gtid : "", x->gtid);
	}
}

/* Runs everything from `from` on; `at` is the first expected item. Positions after each
 * transaction are kept as texts when asked for. */
static void run_from(const struct history *h, const struct intake_position *from, size_t at,
		     bool only_needed, struct buf *texts, size_t *ats, size_t *ret_count)
{
	struct err e = ERR_INIT;
	struct intake_item item;
	struct feed f;
	size_t positions = 0;
	int rc, fed = 1;

	ck_assert_int_eq(feed_begin(&f, h, from, &e), 0);
	while ((rc = merge_next(f.m, &item, &e)) > 0 || fed > 0) {
		ck_assert_msg(rc >= 0 && fed >= 0, "%s", e.msg);
		if (rc == 0) {
			fed = feed_some(&f, only_needed, &e);
			continue;
		}
		ck_assert_uint_lt(at, h->expected_count);
		check_item(h, &h->expected[at++], &item);
		if (item.kind != INTAKE_TRANSACTION)
			continue;
		ck_assert_int_eq(merge_position(f.m)->seq, h->expected[at - 1].seq);
		if (texts != NULL) {
			intake_position_write(merge_position(f.m), &texts[positions]);
			ats[positions++] = at;
		}
	}
	ck_assert_msg(rc == 0, "%s", e.msg);
	ck_assert_uint_eq(at, h->expected_count);
	if (ret_count != NULL)
		*ret_count = positions;
	merge_free(f.m);
}

static void begin(void)
{
	unit_seed();
	reader = records_reader_new(NULL, NULL);
}

START_TEST(test_intake_order)
{
	begin();
	for (int round = 0; round < 100; round++) {
		struct history *h = history_new(1 + unit_random_below(100));

		run_from(h, NULL, 0, round % 2 == 0, NULL, NULL, NULL);
		history_free(h);
	}
}
END_TEST

START_TEST(test_intake_resume)
{
	begin();
	for (int round = 0; round < 10; round++) {
		struct history *h = history_new(60);
		struct buf *texts = xcalloc(h->expected_count + 1, sizeof(*texts));
		size_t *ats = xcalloc(h->expected_count + 1, sizeof(*ats)), count;

		run_from(h, NULL, 0, false, texts, ats, &count);
		ck_assert_uint_gt(count, 50);
		for (size_t i = 0; i < count; i++) {
			struct intake_position from;
			struct buf again = BUF_INIT;
			struct err e = ERR_INIT;

			ck_assert_msg(intake_position_read(buf_slice(&texts[i]), &from, &e) == 0,
				      "%s", e.msg);
			intake_position_write(&from, &again);
			ck_assert(slice_equal(buf_slice(&again), buf_slice(&texts[i])));
			run_from(h, &from, ats[i], i % 2 == 0, NULL, NULL, NULL);
			intake_position_done(&from);
			buf_done(&again);
			buf_done(&texts[i]);
		}
		free(texts);
		free(ats);
		history_free(h);
	}
}
END_TEST

/* Feeds what is broken until it fails or ends. True when it failed as ERR_DATA at `place`, or waits
 * there for what isn't in the log. */
static bool run_broken(const struct history *h, const char *place, struct err *e)
{
	struct intake_item item;
	struct feed f;
	bool failed = false;

	ck_assert_int_eq(feed_begin(&f, h, NULL, e), 0);
	for (;;) {
		int rc = merge_next(f.m, &item, e);

		if (rc == 0)
			rc = feed_some(&f, false, e);
		if (rc < 0) {
			struct err again = ERR_INIT;

			failed = true;
			ck_assert_int_eq(merge_next(f.m, &item, &again), -1); /* and stays so */
			ck_assert_str_eq(again.msg, e->msg);
		}
		if (rc <= 0)
			break;
	}
	for (size_t i = 0; !failed && i < PARTS; i++) {
		char *waits = xasprintf("%s-%zu-", history_topics[i / PARTITIONS].name,
					i % PARTITIONS);

		failed = merge_waits_for(f.m, i);
		if (failed)
			err_data(e, "cap.commits-0-, %s: missing at the end",
				 place != NULL ? waits : "");
		free(waits);
	}
	merge_free(f.m);
	if (failed) {
		ck_assert_msg(e->kind == ERR_DATA || strstr(e->msg, "has a new partition") != NULL,
			      "%s", e->msg);
		ck_assert_msg(place == NULL || strstr(e->msg, place) != NULL, "%s not in: %s",
			      place, e->msg);
	}
	return failed;
}

/* A record of a partition in which another one follows: its lack must show. */
static size_t some_record(const struct history *h, bool followed)
{
	for (;;) {
		size_t i = unit_random_below(h->record_count), k = i + 1;

		while (k < h->record_count && (h->records[k].part != h->records[i].part ||
					       h->records[k].seq == h->records[i].seq))
			k++;
		if (!followed || k < h->record_count)
			return i;
	}
}

static char *place_of(const struct record *r)
{
	return xasprintf("%s-%zu-", history_topics[r->part / PARTITIONS].name,
			 r->part % PARTITIONS);
}

START_TEST(test_intake_missing_record)
{
	begin();
	for (int round = 0; round < 200; round++) {
		struct history *h = history_new(40);
		struct record *r = &h->records[some_record(h, true)];
		char *place = place_of(r);
		struct err e = ERR_INIT;

		r->gone = true;
		ck_assert(run_broken(h, place, &e));
		free(place);
		history_free(h);
	}
}
END_TEST

START_TEST(test_intake_extra_record)
{
	begin();
	for (int round = 0; round < 200; round++) {
		struct history *h = history_new(40);
		size_t at = some_record(h, false);
		struct record extra = h->records[at];
		char *place = place_of(&extra);
		struct err e = ERR_INIT;

		/* the same one once more; all later offsets of the partition move */
		memmove(&h->records[at + 1], &h->records[at],
			(h->record_count - at) * sizeof(extra));
		h->record_count++;
		for (size_t i = at + 1; i < h->record_count; i++)
			h->records[i].offset += h->records[i].part == extra.part;
		ck_assert(run_broken(h, place, &e));
		free(place);
		history_free(h);
	}
}
END_TEST

/* Rewrites commit record `at` after `change` had its way with it. */
static void rewrite(struct history *h, size_t at, void (*change_it)(struct commit_record *c))
{
	struct logged_commit *l = &h->commits[at];
	struct commit_record c;
	struct err e = ERR_INIT;

	ck_assert_msg(records_read_commit(reader, buf_slice(&l->wire), &c, &e) == 0, "%s", e.msg);
	change_it(&c);
	buf_reset(&l->wire);
	write_wire_header(&l->wire, 1);
	records_write_commit(&c, &l->wire);
	records_done_commit(&c);
}

static void last_seq_plus(struct commit_record *c)
{
	c->partitions[0].last_seq++;
}

static void last_seq_minus(struct commit_record *c)
{
	c->partitions[0].last_seq--;
}

static void one_record_more(struct commit_record *c)
{
	c->partitions[0].records++;
}

static void one_record_less(struct commit_record *c)
{
	c->partitions[0].records--;
}

static void partition_twice(struct commit_record *c)
{
	static struct commit_touched two[2];

	two[0] = two[1] = c->partitions[0];
	c->partitions = two;
	c->partition_count = 2;
}

static void one_change_more(struct commit_record *c)
{
	c->transactions[0].changes++;
}

static void endless_changes(struct commit_record *c)
{
	c->transactions[0].changes = INT64_MAX;
}

static void other_range(struct commit_record *c)
{
	c->first_seq--;
}

static void seq_ends_early(struct commit_record *c)
{
	c->seq = c->first_seq - 2;
}

static void bad_gtid_set(struct commit_record *c)
{
	c->gtid_set = "0-1-";
}

START_TEST(test_intake_wrong_commit)
{
	static void (*const changes[])(struct commit_record *) = {
		last_seq_plus,   last_seq_minus,  one_record_more, one_record_less, partition_twice,
		one_change_more, endless_changes, other_range,     seq_ends_early,  bad_gtid_set
	};

	begin();
	for (size_t round = 0; round < 300; round++) {
		struct history *h = history_new(40);
		struct err e = ERR_INIT;
		size_t at;

		for (;;) { /* one that speaks of a record that is followed by others */
			struct commit_record c;

			at = unit_random_below(h->commit_count * 3 / 4);
			ck_assert_int_eq(records_read_commit(
						 reader, buf_slice(&h->commits[at].wire), &c, &e),
					 0);
			size_t usable = c.transaction_count > 0 && c.partition_count > 0 &&
					strcmp(c.partitions[0].topic, "not.wanted") != 0 &&
					c.partitions[0].partition < PARTITIONS;
			records_done_commit(&c);
			if (usable)
				break;
		}
		rewrite(h, at, changes[round % (sizeof(changes) / sizeof(*changes))]);
		ck_assert_msg(run_broken(h, NULL, &e),
			      "change %zu of commit record %zu of %zu passed",
			      round % (sizeof(changes) / sizeof(*changes)), at, h->commit_count);
		history_free(h);
	}
}
END_TEST

START_TEST(test_intake_missing_commit)
{
	begin();
	for (size_t round = 0; round < 100; round++) {
		struct history *h = history_new(40);
		struct err e = ERR_INIT;
		size_t at;
		struct commit_record c;

		do { /* one without source transactions leaves no gap */
			at = unit_random_below(h->commit_count - 1);
			ck_assert_int_eq(records_read_commit(
						 reader, buf_slice(&h->commits[at].wire), &c, &e),
					 0);
			records_done_commit(&c);
		} while (c.seq == 0 && h->commits[at].wire.size < 60);
		h->commit_count--;
		if (at < h->commit_count) {
			struct buf gone = h->commits[at].wire;
			int64_t first, next;

			ck_assert_int_eq(records_read_commit(reader, buf_slice(&gone), &c, &e), 0);
			first = c.first_seq;
			records_done_commit(&c);
			memmove(&h->commits[at], &h->commits[at + 1],
				(h->commit_count - at) * sizeof(h->commits[0]));
			ck_assert_int_eq(records_read_commit(
						 reader, buf_slice(&h->commits[at].wire), &c, &e),
					 0);
			next = c.first_seq;
			records_done_commit(&c);
			if (next != first)
				ck_assert(run_broken(h, "cap.commits-0-", &e));
			buf_done(&gone);
		}
		history_free(h);
	}
}
END_TEST

/* Bytes of a commit record changed, and shorter ones: an error or a record, never a crash. */
START_TEST(test_intake_hostile_commit)
{
	begin();
	struct history *h = history_new(30);

	for (size_t at = 0; at < h->commit_count && at < 5; at++) {
		struct buf *wire = &h->commits[at].wire;
		size_t size = wire->size;
		struct err e = ERR_INIT;

		for (size_t i = 0; i < 30; i++) {
			size_t place = unit_random_below(size);
			uint8_t was = wire->data[place];

			wire->data[place] = (uint8_t)unit_random64();
			(void)run_broken(h, NULL, &e);
			wire->data[place] = was;
		}
		for (size_t i = 0; i < size; i += 3) {
			wire->size = i;
			ck_assert(run_broken(h, "cap.commits-0-", &e));
		}
		wire->size = size;
	}
	history_free(h);
}
END_TEST

START_TEST(test_intake_records_refused)
{
	static const uint8_t no_header[] = { 1, 0, 0, 0, 7, 2 }, cut[] = { 0, 0, 0, 0, 7 },
			     endless[] = { 0,    0,    0,    0,    7,    0xff, 0xff, 0xff,
					   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1 },
			     good[] = { 0, 0, 0, 0, 7, 8 }, lower[] = { 0, 0, 0, 0, 7, 6 };
	struct history h = { 0 };
	struct err e = ERR_INIT;
	struct feed f;

	begin();
	const struct slice bad[] = { slice_of(no_header, 6), slice_of(cut, 5), slice_of(cut, 0),
				     slice_of(endless, 16) };
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(feed_begin(&f, &h, NULL, &e), 0);
		ck_assert_int_eq(merge_add(f.m, 1, 9, slice_of(NULL, 0), bad[i], &e), -1);
		ck_assert_int_eq(e.kind, ERR_DATA);
		ck_assert_ptr_nonnull(strstr(e.msg, "cap.shop.item-1-9: "));
		merge_free(f.m);
	}
	ck_assert_int_eq(feed_begin(&f, &h, NULL, &e), 0);
	ck_assert_int_eq(merge_add(f.m, 1, 9, slice_of(NULL, 0), slice_of(NULL, 0), &e),
			 0); /* tombstone */
	ck_assert_int_eq(merge_add(f.m, 1, 10, slice_of(NULL, 0), slice_of(good, 6), &e), 0);
	ck_assert_int_eq(merge_add(f.m, 1, 11, slice_of(NULL, 0), slice_of(lower, 6), &e), -1);
	ck_assert_ptr_nonnull(strstr(e.msg, "cap.shop.item-1-11: seq falls from 4 to 3"));
	merge_free(f.m);
	ck_assert_int_eq(feed_begin(&f, &h, NULL, &e), 0);
	ck_assert_int_eq(merge_add(f.m, 1, 10, slice_of(NULL, 0), slice_of(good, 6), &e), 0);
	ck_assert_int_eq(merge_add(f.m, 1, 10, slice_of(NULL, 0), slice_of(good, 6), &e), -1);
	merge_free(f.m);
}
END_TEST

/* The GTID set within a commit record grows by what was handed over; at its end it is the record's.
 */
START_TEST(test_intake_gtids)
{
	begin();
	struct history *h = history_new(50);
	struct err e = ERR_INIT;
	struct intake_item item;
	struct feed f;
	int rc, fed = 1;

	ck_assert_int_eq(feed_begin(&f, h, NULL, &e), 0);
	ck_assert_str_eq(merge_position(f.m)->gtid_set, "");
	while ((rc = merge_next(f.m, &item, &e)) > 0 || fed > 0) {
		if (rc == 0)
			fed = feed_some(&f, false, &e);
		if (rc <= 0 || item.kind != INTAKE_TRANSACTION)
			continue;
		if (item.gtid != NULL)
			ck_assert_str_eq(merge_position(f.m)->gtid_set, item.gtid);
		else
			ck_assert(item.commit_end);
		if (merge_next_gtid(f.m) != NULL)
			ck_assert_str_ne(merge_next_gtid(f.m), merge_position(f.m)->gtid_set);
	}
	ck_assert_msg(rc == 0, "%s", e.msg);
	merge_free(f.m);
	history_free(h);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("intake");


	unit_test_slow(s, test_intake_order, 30);
	unit_test_slow(s, test_intake_resume, 60);
	unit_test_slow(s, test_intake_missing_record, 30);
	unit_test_slow(s, test_intake_extra_record, 30);
	unit_test_slow(s, test_intake_wrong_commit, 30);
	unit_test_slow(s, test_intake_missing_commit, 30);
	unit_test_slow(s, test_intake_hostile_commit, 60);
	unit_test(s, test_intake_records_refused);
	unit_test(s, test_intake_gtids);
	return unit_run(s);
}
