/* intake_priv.h - the intake's state: intake_open.c makes it, intake.c reads, intake_tail.c looks
 * at the far end. */
#ifndef CORE_INTAKE_INTAKE_PRIV_H
#define CORE_INTAKE_INTAKE_PRIV_H

#include "core/avro/records.h"
#include "core/intake/intake.h"
#include "core/intake/merge.h"
#include "core/kafka/admin.h"
#include "core/kafka/consumer.h"
#include "core/registry/registry.h"

/* One assigned partition; number 0 is the commits topic, 1 + i the merge's partition i. */
struct feed {
	int64_t next;        /* offset expected next */
	int64_t end_at_open; /* end of the log when the intake was opened */
	size_t bytes_max;    /* its share of the memory */
	bool paused;
};

/* Follows the end of the commits topic, whatever the intake is doing at its beginning. */
struct tail {
	struct consumer *consumer;
	int64_t read_us; /* when it was looked at last */
	int64_t from;    /* first offset it looks at */
	int64_t offset;  /* of the last commit record seen, -1: none */
	struct intake_end end;
};

struct intake {
	const struct settings *settings;
	char *commits;
	char **topics;
	size_t topic_count;
	char *group;
	int64_t timeout_us; /* kafka.timeout */
	struct registry *registry;
	struct records_reader *reader;
	struct merge *merge;
	struct merge_options merge_options; /* topics is the intake's; from and only are not kept */
	struct consumer *consumer;
	struct consumer *again; /* reads one record at a time: those that were not kept */
	bool again_busy;
	struct consumer_partition *assigned;
	struct feed *feeds;
	size_t feed_count, paused_count;
	struct tail tail;
	/* reconciling tables that were looked at, and those of them that matter here */
	struct intake_reconciling *judged, *mine;
	size_t judged_count, mine_count;
	int64_t total;      /* records the wanted partitions held at open, as far as offsets tell */
	int64_t waiting_us; /* since when a partition owes records; 0: none does */
	uint32_t until_tail; /* items before the clock is asked whether the tail's turn has come */
};

/* from: first offset to look at. */
int intake_tail_open(struct intake *in, const struct settings *settings, int64_t from,
		     struct err *e);
void intake_tail_close(struct tail *tail);
/* Takes what is there, without waiting; at most every TAIL_INTERVAL. */
int intake_tail_read(struct intake *in, int64_t now_us, struct err *e);

void intake_reconciling_done(struct intake *in);

#endif
