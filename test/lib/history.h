/* history.h - random histories of source transactions, as capture would write them, for merge tests
 * merge.
 *
 * Source transactions over two wanted topics and one that nobody reads, several records with one
 * seq, group commits that end within a source transaction, commit records without any, idle
 * partitions, and offsets that Kafka's own end marks take. */
#ifndef TEST_LIB_HISTORY_H
#define TEST_LIB_HISTORY_H

#include "core/base/buf.h"
#include "core/intake/merge.h"

#define HISTORY_TOPICS 2
#define HISTORY_PARTITIONS 3 /* of each topic; the last one of topic 1 stays idle */
#define HISTORY_PARTS (HISTORY_TOPICS * HISTORY_PARTITIONS)
#define HISTORY_RECORDS_MAX 4000
#define HISTORY_COMMITS_MAX 600

struct record {
	size_t part;
	int64_t offset, seq;
	size_t size; /* of the payload */
	bool gone;
};

struct logged_commit {
	int64_t offset;
	struct buf wire;
};

struct expected {
	enum intake_kind kind;
	size_t record; /* number in the history */
	int64_t seq;   /* end of a transaction */
	char gtid[48]; /* "" for a commit record without any */
};

struct history {
	struct record *records;
	size_t record_count;
	struct logged_commit commits[HISTORY_COMMITS_MAX];
	size_t commit_count;
	struct expected *expected;
	size_t expected_count;
	int64_t end[HISTORY_PARTS];
	int64_t commits_end;
};

extern const struct merge_topic history_topics[HISTORY_TOPICS];

/* By the random numbers of unit.h. */
struct history *history_new(size_t transactions);
void history_free(struct history *h);

#endif
