/* intake.h - topics -> one stream in the source's own order, whole source transactions
 * (DESIGN 5.2).
 *
 * Reads <name>.commits and all partitions of the wanted topics from a position, read_committed.
 * Each commit record says, for every partition it touched, how many records and which last seq; so
 * the intake knows when a source transaction is complete, that nothing is missing (a gap is
 * ERR_DATA, never skipped) and idle partitions hold nothing up. One bounded queue per partition,
 * each with its share of the memory budget; a partition that runs ahead is paused. A topic that the
 * schema gate holds ends the intake before the first commit record that says so (ERR_RETRY). One
 * thread per intake. Records of equal seq come in the order of options.topics, then of the
 * partition. */
#ifndef CORE_INTAKE_INTAKE_H
#define CORE_INTAKE_INTAKE_H

#include "core/base/buf.h"
#include "core/base/settings.h"

struct admin;
struct intake;

struct intake_partition {
	char *topic;
	int32_t partition;
	int64_t offset; /* next to read */
	int64_t taken;  /* records of the commit record at commits_offset already handed over */
};

/* A table that may differ from the source: something changed its rows that the binlog does not say,
 * and the reconciling copy has not ended yet. */
struct intake_reconciling {
	char *table;      /* db.table */
	int64_t since_us; /* capture's clock, at the group commit that said so first */
};

/* Where a reader stands, between two source transactions. The store keeps it as text (JSON), in the
 * same transaction as the rows. */
struct intake_position {
	int64_t seq;            /* every change up to it has been handed over */
	int64_t commits_offset; /* commit record in hand, or next to read when none of it was handed
				   over */
	int64_t commit_us;      /* source's commit time of the last source transaction */
	int64_t bytes_total, transactions_total;
	char *gtid_set;
	struct intake_partition *partitions;
	size_t partition_count;
	char **copying; /* tables whose first copy had not ended; NULL-terminated, or NULL */
	struct intake_reconciling *reconciling; /* in the order in which capture names them */
	size_t reconciling_count;
};

void intake_position_done(struct intake_position *p);
void intake_position_copy(const struct intake_position *from, struct intake_position *ret_copy);
void intake_position_write(const struct intake_position *p,
			   struct buf *text); /* appends one line */
/* Reads what intake_position_write wrote, in this release or the ones before, and nothing else:
 * ERR_DATA. */
int intake_position_read(struct slice text, struct intake_position *ret_position, struct err *e);

/* One partition that a reader of some partitions takes, and where it goes on there. */
struct intake_share {
	size_t topic; /* index into options.topics */
	int32_t partition;
	/* Of this partition alone, as intake_share_position wrote it; NULL: the beginning. */
	const struct intake_position *from;
};

struct intake_options {
	const char *const *topics; /* full topic names */
	size_t topic_count;
	/* These partitions only (order = partition); NULL: all. Each goes on from its own position,
	 * and `from` is not looked at: those that are further on give nothing until the others
	 * have come to them. At least one; none twice. */
	const struct intake_share *only;
	size_t only_count;
	/* NULL: offset zero of everything; a partition whose log no longer starts at 0 is then
	 * ERR_DATA */
	const struct intake_position *from;
	const char *group; /* consumer group for intake_commit_offsets, or NULL */
	int64_t memory;    /* bytes for all queues, librdkafka's included */
};

enum intake_kind {
	INTAKE_RECORD,      /* one record; more of the same source transaction may follow */
	INTAKE_TRANSACTION, /* a source transaction is complete: here rows may be committed */
	INTAKE_IDLE,        /* nothing within the timeout */
};

struct intake_item {
	enum intake_kind kind;
	/* INTAKE_RECORD */
	size_t topic; /* index into options.topics */
	int32_t partition;
	int64_t offset, seq;
	int32_t schema_id;
	struct slice key, value; /* value without the wire header, key as it stands; valid until the
				    next intake_next */
	uint32_t away;           /* inside: the value has so many bytes, and is fetched again */
	/* INTAKE_TRANSACTION: of the source transaction just completed. A commit record without
	 * source transactions (the source moved on, nothing captured) is handed over as one with
	 * gtid NULL. */
	const char *gtid; /* valid until the next intake_next */
	int64_t commit_us;
	bool commit_end; /* also the end of its commit record: a cheap place to store positions */
};

/* ERR_RETRY: the topic is not there; capture may never have run yet. */
int intake_count_partitions(struct admin *admin, const char *topic, int32_t *ret_partitions,
			    struct err *e);
/* Waits for nothing but the brokers. The settings must outlive the intake. ERR_RETRY: a topic isn't
 * there (yet). */
int intake_open(const struct settings *settings, const struct intake_options *options,
		struct intake **ret_intake, struct err *e);
void intake_close(struct intake *in);
int intake_next(struct intake *in, int timeout_ms, struct intake_item *ret_item, struct err *e);
/* The position after the last INTAKE_TRANSACTION handed out. Owned by the intake. */
const struct intake_position *intake_position(const struct intake *in);
/* The position of options.only[i] by itself: its own while the others have not come to it, then
 * intake_position's. Fills *ret_position; its memory is the intake's until the next intake_next. */
void intake_share_position(const struct intake *in, size_t i, struct intake_position *ret_position);
/* Goes on from these positions, of the same partitions as at open, without opening anything anew:
 * what was handed over and not committed comes again. */
int intake_rewind(struct intake *in, const struct intake_share *only, struct err *e);
/* Waits until something is there to be handed over. 1, 0: nothing within the timeout, -1. */
int intake_wait(struct intake *in, int timeout_ms, struct err *e);
/* GTID of the source transaction that comes next, where it has arrived, else NULL. Valid until the
 * next intake_next. Between commit records gtid_set lacks transactions that weren't captured: who
 * wants to stop at GTID G stops when gtid_set contains G or the next GTID of its domain is beyond.
 */
const char *intake_next_gtid(struct intake *in);
/* Its commit time, where it has arrived, else 0. */
int64_t intake_next_commit_us(struct intake *in);
/* End of the commits topic as seen by now: how far the delivered side is. */
struct intake_end {
	int64_t seq, commit_us, bytes_total, transactions_total;
	int64_t commits_behind; /* commit records not yet handed over (far behind: about) */
	bool seen; /* else seq and the totals are only those of the position, and commits_behind is
		      two or more unless the position is the end */
};
void intake_delivered(const struct intake *in, struct intake_end *ret_end);
/* Tables (db.table) whose first copy has not ended, by the last commit record handed over: views
 * that read them are incomplete. NULL-terminated. */
const char *const *intake_copying(const struct intake *in);
/* Of the position's reconciling, those that the wanted topics are made from: views that read them
 * equal what was delivered, but may differ from the source. Valid until the next call. */
const struct intake_reconciling *intake_reconciling(struct intake *in, size_t *ret_count);
/* Records handed over since open, and records the wanted partitions held at open beyond `from`
 * (progress, ETA; from offsets, so it falls a little as the gaps between records become known). */
int64_t intake_records(const struct intake *in);
int64_t intake_records_total(const struct intake *in);
/* The wanted partition with the most offsets left of those that it held at open. */
#define INTAKE_TOPIC_SIZE 250 /* Kafka's limit, and NUL */
struct intake_slowest {
	char topic[INTAKE_TOPIC_SIZE]; /* "": nothing is left in any */
	int32_t partition;
	int64_t done, total; /* offsets behind which all is handed over, and those at open */
};
void intake_slowest(const struct intake *in, struct intake_slowest *ret_slowest);
void intake_commit_offsets(struct intake *in);

#endif
