/* history.c - makes random histories of source transactions. */
#include "test/lib/history.h"

#include "core/avro/records.h"
#include "core/avro/write.h"
#include "core/base/mem.h"
#include "test/unit/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PARTITIONS HISTORY_PARTITIONS
#define PARTS HISTORY_PARTS
#define RECORDS_MAX HISTORY_RECORDS_MAX
#define COMMITS_MAX HISTORY_COMMITS_MAX


const struct merge_topic history_topics[HISTORY_TOPICS] = { { "cap.shop.item", PARTITIONS },
							    { "events", PARTITIONS } };

struct group {
	struct commit_transaction transactions[100];
	char gtids[100][48];
	size_t count;
	struct commit_touched touched[PARTS + 1];
	int64_t first_seq;
};

static void touch(struct group *g, const char *topic, int32_t partition, size_t slot, int64_t seq)
{
	g->touched[slot].topic = topic;
	g->touched[slot].partition = partition;
	g->touched[slot].records++;
	g->touched[slot].last_seq = seq;
}

static void publish(struct history *h, struct group *g, size_t part, int64_t seq)
{
	struct record *r = &h->records[h->record_count++];

	ck_assert(h->record_count < RECORDS_MAX);
	*r = (struct record){ part, h->end[part]++, seq, (size_t)unit_random_below(60), false };
	touch(g, history_topics[part / PARTITIONS].name, (int32_t)(part % PARTITIONS), part, seq);
}

static void expect(struct history *h, enum intake_kind kind, size_t record, int64_t seq,
		   const char *gtid)
{
	struct expected *x = &h->expected[h->expected_count++];

	*x = (struct expected){ .kind = kind, .record = record, .seq = seq };
	snprintf(x->gtid, sizeof(x->gtid), "%s", gtid);
}

/* Writes the commit record and the end marks of the Kafka transaction. */
static void commit(struct history *h, struct group *g, int64_t seq, bool open, int64_t gtid)
{
	struct logged_commit *c = &h->commits[h->commit_count++];
	struct commit_record r = { .seq = seq,
				   .first_seq = g->first_seq,
				   .open = open,
				   .bytes_total = seq * 100,
				   .transactions_total = gtid,
				   .transactions = g->transactions,
				   .transaction_count = g->count };
	struct commit_touched touched[PARTS + 1];
	char set[48];

	ck_assert(h->commit_count < COMMITS_MAX);
	for (size_t i = 0; i <= PARTS; i++) {
		if (g->touched[i].records > 0)
			touched[r.partition_count++] = g->touched[i];
		if (i < PARTS && g->touched[i].records > 0)
			h->end[i]++;
	}
	r.partitions = touched;
	snprintf(set, sizeof(set), "0-1-%" PRId64, open ? gtid - 1 : gtid);
	r.gtid_set = set;
	c->wire = (struct buf)BUF_INIT;
	write_wire_header(&c->wire, 1);
	records_write_commit(&r, &c->wire);
	c->offset = h->commits_end;
	h->commits_end += 2;
	memset(g, 0, sizeof(*g));
	g->first_seq = seq + 1;
}

static void add_transaction(struct group *g, int64_t gtid, int64_t changes)
{
	snprintf(g->gtids[g->count], sizeof(g->gtids[0]), "0-1-%" PRId64, gtid);
	g->transactions[g->count] =
		(struct commit_transaction){ g->gtids[g->count], changes, 1000000 * gtid };
	g->count++;
}

/* One seq: a row record, and events with it, perhaps two in one partition; or something unread. */
static void change(struct history *h, struct group *g, int64_t seq)
{
	size_t from = h->record_count, event = PARTITIONS + unit_random_below(PARTITIONS - 1);

	if (unit_random_below(4) == 0) {
		touch(g, "not.wanted", 5, PARTS, seq);
		return;
	}
	publish(h, g, unit_random_below(PARTITIONS), seq);
	for (uint64_t n = unit_random_below(3); n > 0; n--)
		publish(h, g, event, seq);
	for (size_t i = from; i < h->record_count; i++)
		expect(h, INTAKE_RECORD, i, seq, "");
}

struct history *history_new(size_t transactions)
{
	struct history *h = xcalloc(1, sizeof(*h));
	struct group g = { .first_seq = 1 };
	int64_t seq = 0, gtid = 0;

	h->records = xcalloc(RECORDS_MAX, sizeof(*h->records));
	h->expected = xcalloc(2 * RECORDS_MAX, sizeof(*h->expected));
	for (size_t t = 0; t < transactions; t++) {
		int64_t changes = 0;
		char text[48];

		gtid++;
		for (uint64_t n = 1 + unit_random_below(unit_random_below(8) == 0 ? 40 : 4); n > 0;
		     n--) {
			change(h, &g, ++seq);
			changes++;
			if (unit_random_below(20) ==
			    0) { /* the next one may have nothing left to add */
				add_transaction(&g, gtid, changes);
				commit(h, &g, seq, true, gtid);
				changes = 0;
			}
		}
		add_transaction(&g, gtid, changes);
		snprintf(text, sizeof(text), "0-1-%" PRId64, gtid);
		expect(h, INTAKE_TRANSACTION, 0, seq, text);
		if (unit_random_below(3) == 0 || g.count > 90 || t + 1 == transactions)
			commit(h, &g, seq, false, gtid);
		if (g.count == 0 && unit_random_below(10) == 0) {
			gtid += 3; /* the source moved on, nothing was captured */
			expect(h, INTAKE_TRANSACTION, 0, seq, "");
			commit(h, &g, seq, false, gtid);
		}
	}
	return h;
}

void history_free(struct history *h)
{
	for (size_t i = 0; i < h->commit_count; i++)
		buf_done(&h->commits[i].wire);
	free(h->records);
	free(h->expected);
	free(h);
}
