/* merge_priv.h - the merge's state, shared by its three files: merge.c hands over, merge_commit.c
 * takes commit records in hand, merge_position.c keeps the position. */
#ifndef CORE_INTAKE_MERGE_PRIV_H
#define CORE_INTAKE_MERGE_PRIV_H

#include "core/avro/decode.h"
#include "core/base/gtid.h"
#include "core/intake/merge.h"
#include "core/intake/queue.h"

struct part {
	const char *topic;
	size_t topic_index;
	int32_t number;
	struct queue queue;
	int64_t added_offset, added_seq; /* of the record that arrived last */
	int64_t next_offset;             /* behind the record handed over last */
	int64_t taken;                   /* records of the commit record in hand handed over */
	int64_t owed;                    /* and those still to come */
	int64_t last_seq;                /* of the last one of them */
	bool marked;                     /* changed since the position was brought up to date */
	int64_t from_commit;         /* commit records before this offset are done with here */
	struct intake_position from; /* of a share: where it began */
};

struct head {
	int64_t seq;
	uint32_t part;
};

struct topic {
	char *name;
	size_t index, first; /* in the options; number of its partition 0 */
	int32_t partitions;
	size_t *part_of; /* by partition: its part, or NOT_WANTED; NULL: all, from `first` on */
};
#define NOT_WANTED SIZE_MAX

/* The position, apart from the merge so that its text can be made when it is asked for. */
struct standing {
	struct intake_position position;
	struct gtid_set gtids;
	bool stale; /* position.gtid_set is older than gtids */
};

struct merge {
	char *commits;
	struct topic *topics; /* in the options' order */
	struct topic **by_name;
	size_t topic_count;
	struct topic *last_topic; /* found last */
	struct part *parts;
	size_t part_count;
	bool shares; /* some partitions only, each from its own position */
	struct queue_pool pool;
	size_t bytes, bytes_max; /* of records queued, and what they may be */
	struct records_reader *reader;

	struct queue queue; /* commit records not yet in hand */
	size_t commits_queued;
	struct commit_record
		commit; /* in hand when `have`; else the one before, not yet released */
	struct gtid_set commit_gtids; /* its gtid_set */
	int64_t offset;               /* its offset */
	bool have;
	bool begun; /* a commit record was finished: the next one follows it exactly */
	bool open;  /* ... and left open_gtid open */
	struct buf open_gtid;
	size_t at;                  /* source transaction in hand */
	int64_t begin_seq, end_seq; /* its seqs */
	int64_t done_seq;           /* every record up to it was spoken of */
	size_t *touched, touched_count;
	struct head *heap;
	size_t heap_count, blocked; /* partitions that owe records: with one queued, with none */

	struct part *taken_from; /* its queue holds the record handed over last */
	struct buf gtid;         /* handed over last */
	size_t *marked, marked_count;
	struct standing *standing;
	int64_t records;
	struct err failure;
};

/* One more partition with a record queued. (merge.c) */
void merge_push(struct merge *m, struct head h);
/* Takes the next commit record in hand. 1, 0 when none is queued, -1. (merge_commit.c) */
int merge_load(struct merge *m, struct err *e);

/* Brings the position to the end of *t (NULL: of a commit record without any); `last`: the commit
 * record is finished, too. (merge_position.c) */
void merge_stand(struct merge *m, const struct commit_transaction *t, bool last);
struct standing *merge_standing_new(struct merge *m, const struct intake_position *from);
void merge_standing_free(struct standing *s);

static inline void merge_mark(struct merge *m, struct part *p)
{
	if (p->marked)
		return;
	p->marked = true;
	m->marked[m->marked_count++] = (size_t)(p - m->parts);
}

#endif
