/* reconcile.h - reconciling copies: a table is compared with what was delivered of it, and what
 * differs is delivered as c, u and d (DESIGN 4.7).
 *
 * Heals what the binlog does not say: DDL that changes rows, cascading foreign keys, statements in
 * mixed format, a purged binlog, rows changed with sql_log_bin = 0. Wants are queued by table and
 * survive restarts through the position's copies (kind "reconcile"); one table is worked on at a
 * time, chunk by chunk, while the stream goes on:
 *
 *   commit      everything before is delivered
 *   window      opens: keys that the stream changes from here on are marked, it makes them right
 *   state       the row topic's last state (capture/state.h) is caught up to that commit
 *   chunk       an exact snapshot of the keys (low, high], read by the first copy's chunk reader
 *   emission    once the stream has reached the chunk's point: the differences of unmarked keys,
 *               as one source transaction "reconcile:<db>.<table>:<id>.<chunk>"
 *
 * A table without a primary key is compared whole (reconcile_whole.c).
 *
 * Used by the pipeline's thread alone; its readers have threads of their own. */
#ifndef CDC_COPY_RECONCILE_H
#define CDC_COPY_RECONCILE_H

#include "cdc/copy/copy.h"
#include "cdc/publish/publisher.h"
#include "core/registry/registry.h"

struct reconcile;

struct reconcile_options {
	const struct settings *settings;
	struct registry *registry;
	const struct publisher *publisher; /* for names of row topics */
	/* Is the table's first copy under way? Its reconciling copy waits for the end. */
	bool (*copying)(void *context, const char *db, const char *table);
	/* About how many rows it has; 0: not known. */
	int64_t (*rows_estimate)(void *context, const char *db, const char *table);
	void *context;
};

int reconcile_new(const struct reconcile_options *options, struct reconcile **ret_reconcile,
		  struct err *e);
void reconcile_free(struct reconcile *r); /* NULL is fine */
/* Before the first change: goes on with what the position holds; other kinds are passed over. */
void reconcile_resume(struct reconcile *r, const struct position_copy *copies, size_t count);

/* Queues a reconciling copy of db.table, durable with the next position. where: SQL condition that
 * limits the rows, "" for all; why: what is healed, for people. A want that one in the queue covers
 * (the same, or one of all rows, not begun) is merged into it. One that has begun covers nothing:
 * may be called inside a source transaction, whose effects no window before its end has seen.
 * ERR_CONFIG: RECONCILE_WANTS_MAX are queued. */
#define RECONCILE_WANTS_MAX 10000
int reconcile_want(struct reconcile *r, const char *db, const char *table, const char *where,
		   const char *why, struct err *e);
/* The same for the rows of a child that referred to one value of its parent. May become one of all
 * rows: more than RECONCILE_KEYS_MAX values wait, the child has no primary key, ... (the log says
 * so). */
#define RECONCILE_KEYS_MAX 2000
struct reconcile_key {
	const char *db, *table; /* the child */
	const char *columns;    /* its own, of the foreign key: `a`,`b` */
	/* state_describe() of the parent's columns, behind 'd', or 'u' where their values changed
	 */
	const char *def;
	const char *value; /* the parent's cells as stored, each with its size before it, in hex */
};
int reconcile_want_key(struct reconcile *r, const struct reconcile_key *key, const char *why,
		       struct err *e);
/* Wants of the table that are queued or under way; all tables when db is NULL. Returns how many
 * were changed. */
size_t reconcile_pause(struct reconcile *r, const char *db, const char *table, bool paused);
/* Drops them: the table may stay different. */
size_t reconcile_stop(struct reconcile *r, const char *db, const char *table);

/* Every streamed change, before it is delivered. */
int reconcile_change(struct reconcile *r, const struct group_row *row, struct err *e);
/* The table was emptied or dropped (op t). */
void reconcile_emptied(struct reconcile *r, const char *db, const char *table);
/* A group commit succeeded; touched as of publisher_touched(). */
void reconcile_committed(struct reconcile *r, const struct publish_touched *touched, size_t count);
/* The last seq that was committed to each partition of a row topic, in this session; NULL: none. */
const int64_t *reconcile_last_seqs(const struct reconcile *r, const char *topic,
				   size_t *ret_partitions);

/* Between source transactions: takes the next step. */
enum reconcile_answer {
	RECONCILE_NOTHING,
	RECONCILE_COMMIT, /* a group commit is wanted now if anything is uncommitted */
	RECONCILE_READY,  /* reconcile_emit() may be called */
};
/* uncommitted: records were sent since the last group commit. */
int reconcile_step(struct reconcile *r, const struct copy_place *place, bool uncommitted,
		   enum reconcile_answer *ret_answer, struct err *e);
/* The stream must rest here (a group has begun, nothing of it is delivered): reconcile_step() has
 * to be called until this is false. Only while the snapshot of a table without a key is opened. */
bool reconcile_holds(const struct reconcile *r);
/* A group begins here: what was sent so far may be what such a snapshot sees. */
void reconcile_pass(struct reconcile *r, const struct copy_place *place);
/* The source transaction that the differences are. */
const char *reconcile_chunk_name(const struct reconcile *r);
/* Every difference as a change (c, u, d with the delivered row as before-image). *ret_ended: name
 * of the table (db.table) whose reconciling copy ends with this chunk, or NULL; owned by r. */
int reconcile_emit(struct reconcile *r, int64_t commit_us,
		   int (*deliver)(void *context, const struct change *change, struct err *e),
		   void *context, const char **ret_ended, struct err *e);
/* The longest the loop should wait before it calls reconcile_step() again; -1: as it likes. */
int reconcile_wait_ms(const struct reconcile *r);

/* Appends a JSON array: what is queued and under way, and the last RECONCILE_ENDED_MAX that ended
 * in this session, each {"id", "table", "why", "where", "state", "rows", ...}. */
#define RECONCILE_ENDED_MAX 64
void reconcile_json(const struct reconcile *r, struct buf *out);
/* Id of the want that does what this one asks for: queued and not begun; 0: none. */
int64_t reconcile_id_of(const struct reconcile *r, const char *db, const char *table,
			const char *where);
/* For position, commit and status records. Valid until the next call that changes something. */
const struct position_copy *reconcile_positions(struct reconcile *r, size_t *ret_count);
struct record_texts reconcile_reconciling(struct reconcile *r);
const struct status_copy *reconcile_status(struct reconcile *r, size_t *ret_count);

#endif
