/* merge.h - records of many partitions and the commit records that speak of them -> whole source
 * transactions in the source's order. Pure: no Kafka, no clock; the intake feeds it.
 *
 * What is wrong with the topics (a record missing, one too many, a wrong last seq, a commit record
 * that doesn't follow the one before) is ERR_DATA with topic-partition-offset, and stays so: every
 * later call fails the same way. */
#ifndef CORE_INTAKE_MERGE_H
#define CORE_INTAKE_MERGE_H

#include "core/avro/records.h"
#include "core/intake/intake.h"

struct merge;

struct merge_topic {
	const char *name;
	int32_t partitions;
};

struct merge_options {
	const char *commits; /* name of the commits topic, for messages */
	const struct merge_topic *topics;
	size_t topic_count;
	const struct intake_position *from; /* NULL: from the beginning */
	const struct intake_share *only;    /* instead of `from`; NULL: all partitions */
	size_t only_count;
	struct records_reader *reader;      /* of commit records; must outlive the merge */
	uint32_t chunk_bytes;               /* of the queues' memory; 0: a default */
	/* What may be queued in all; 0: no limit. A large record beyond it is kept without its
	 * value and handed over so (intake_item.away): in what order records of many partitions
	 * come is only known when each has one. */
	size_t bytes_max;
};

/* ERR_DATA: `from` speaks of a partition that the topics haven't got. */
int merge_new(const struct merge_options *options, struct merge **ret_merge, struct err *e);
void merge_free(struct merge *m);

/* Partitions are numbered through all topics, in order; with `only`, as they stand there. */
size_t merge_partition_count(const struct merge *m);
size_t merge_partition(const struct merge *m, size_t topic, int32_t partition);
/* The topic's index, and the number in it. */
size_t merge_partition_place(const struct merge *m, size_t partition, int32_t *ret_number);
/* Where reading begins: offset of the next record, of a partition or of the commits topic. */
int64_t merge_next_offset(const struct merge *m, size_t partition);
int64_t merge_next_commit_offset(const struct merge *m);

/* A record that arrived, copied. A record without value (a tombstone) has no seq and is passed
 * over. */
int merge_add(struct merge *m, size_t partition, int64_t offset, struct slice key,
	      struct slice value, struct err *e);
int merge_add_commit(struct merge *m, int64_t offset, struct slice value, struct err *e);

/* 1: *ret_item is filled; its slices are valid until the next merge_next. 0: more must arrive
 * first. */
int merge_next(struct merge *m, struct intake_item *ret_item, struct err *e);
/* After merge_next gave 0: is this partition one that it waits for? (MERGE_COMMITS: commit
 * records.) */
bool merge_waits_for(const struct merge *m, size_t partition);
#define MERGE_COMMITS SIZE_MAX

size_t merge_bytes(const struct merge *m,
		   size_t partition); /* queued; MERGE_COMMITS: commit records */
size_t merge_commits_queued(const struct merge *m);
const struct intake_position *merge_position(const struct merge *m);
/* intake_share_position */
void merge_share_position(const struct merge *m, size_t i, struct intake_position *ret_position);
/* Is a commit record in hand, so that something may be handed over? */
bool merge_has_commit(struct merge *m);
const char *merge_next_gtid(struct merge *m);
int64_t merge_next_commit_us(struct merge *m); /* 0: it has not arrived */
/* Records handed over. */
int64_t merge_records(const struct merge *m);

#endif
