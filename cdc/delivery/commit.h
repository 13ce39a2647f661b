/* commit.h - what one group commit holds, and when it is due (DESIGN 4.6). Pure: the clock is an
 * argument.
 *
 * A group commit is the unit that becomes visible at once: the records of whole source
 * transactions, a commit record that says which, and the position behind them. */
#ifndef CDC_DELIVERY_COMMIT_H
#define CDC_DELIVERY_COMMIT_H

#include "cdc/publish/publisher.h"
#include "core/avro/records.h"

#define COMMIT_TRANSACTIONS_MAX 10000
#define COMMIT_TEXT_MAX (512 * 1024) /* bytes of the commit record's transactions */
#define COMMIT_QUIET_US 1000000      /* between commits that move the position only */

struct commit_limits {
	int64_t interval_us, bytes_max;
	int64_t transaction_us_max; /* a source transaction is cut when its Kafka transaction has
				       lasted this long */
};

struct commit_batch {
	struct commit_limits limits;
	struct commit_transaction *items; /* gtid holds an offset until commit_batch_fill() */
	size_t *gtid_at;
	size_t count, capacity;
	struct buf texts;
	struct record_texts copied;
	struct buf copied_texts;
	int64_t seq_before;   /* last seq before this batch */
	int64_t begun_us;     /* of the first record; 0: nothing begun */
	bool position_moved;  /* there is something to commit even without records */
	int64_t committed_us; /* when the last commit ended */
};

void commit_batch_init(struct commit_batch *b, const struct commit_limits *limits, int64_t seq);
void commit_batch_done(struct commit_batch *b);

/* A source transaction (or the part of one that is cut here) with `changes` seqs. 0 only for the
 * rest of one that an earlier group commit has left open. */
void commit_batch_add(struct commit_batch *b, const char *gtid, int64_t changes, int64_t commit_us);
/* The first record of the batch is being sent. */
void commit_batch_begin(struct commit_batch *b, int64_t now_us);
/* A source transaction without captured changes moved the position. */
void commit_batch_move(struct commit_batch *b);
/* The first copy of db.table ends with this batch. */
void commit_batch_copied(struct commit_batch *b, const char *name);

/* Between source transactions. idle: the source has nothing more to read. */
bool commit_batch_due(const struct commit_batch *b, int64_t now_us, int64_t bytes, bool idle);
/* Inside one: its Kafka transaction would not live much longer. */
bool commit_batch_must_cut(const struct commit_batch *b, int64_t now_us);
/* How long the loop may wait for the source before it must ask again; -1: for ever. */
int64_t commit_batch_wait_us(const struct commit_batch *b, int64_t now_us);

/* Fills seq, first_seq, transactions and copied; what it points to lives until
 * commit_batch_clear(). */
void commit_batch_fill(struct commit_batch *b, int64_t seq, struct commit_record *r);
void commit_batch_clear(struct commit_batch *b, int64_t seq, int64_t now_us);

#endif
