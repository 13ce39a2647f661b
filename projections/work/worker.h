/* worker.h - one version of a view being kept up: a thread that takes records from its feed, gives
 * them to the handlers, and commits rows and position together (DESIGN 5.2).
 *
 * Another thread may hold the worker between two source transactions, let it advance to an exact
 * position, and release it. While it is held nothing of its version changes, and all it has applied
 * is committed.
 *
 * What heals (brokers away, a lock, a full disk) is tried again from the stored position, with
 * backoff. What doesn't (another writer, a missing handler) stops the worker in state failed with
 * the reason; the store then stands at the last commit.
 *
 * A record that can't be applied (ERR_DATA) stops a version that is still being built. One that is
 * built parks it: the record is kept whole beside the rows, in the store transaction that moves the
 * position past it, what it had done is taken back, and later records with its key (in its topic)
 * are parked behind it, because applying them without it would be a guess. */
#ifndef PROJECTIONS_WORK_WORKER_H
#define PROJECTIONS_WORK_WORKER_H

#include "projections/work/feed.h"
#include "projections/store/store.h"

#define WORKER_GTID_SIZE 1024
#define WORKER_MESSAGE_SIZE 2048
#define WORKER_TABLES_SIZE 256
#define WORKER_NOTICE_SIZE 400

struct worker;

enum worker_state {
	WORKER_STARTING,
	WORKER_RUNNING,
	WORKER_HELD,
	WORKER_RETRYING,
	WORKER_FAILED,
	WORKER_STOPPED
};

/* ---- a share of one core: of a build, of a comparison (worker_pace.c) ---- */
struct worker_pace {
	int64_t share; /* percent; 0: as much as it likes */
	int64_t wall_us, cpu_us;
	uint64_t calls;
};
void worker_pace_begin(struct worker_pace *p, int64_t share);
int64_t worker_pace_due_us(struct worker_pace *p); /* what to sleep now; cheap to call */

/* Up to where a version is built: one of the two. Not applied beyond it. */
struct worker_until {
	char *gtid_set;    /* whole source transactions, until these are contained; or NULL */
	int64_t commit_us; /* those committed up to then */
};

struct worker_options {
	struct store *store;     /* outlives the worker */
	const struct view *view; /* as the version was built with; outlives the worker */
	int version;
	struct feed_source source;
	int64_t memory;    /* bytes for the intake */
	const char *group; /* consumer group that shows the lag, or NULL; copied */
	const struct worker_until *until; /* NULL: no end; outlives the worker */
	int64_t share; /* percent of one core that its thread may use while it builds; 0: any */
	/* Records that may be parked, once the version is built; 0: the first that can't be applied
	 * stops the worker. */
	int64_t parked_max;
	/* order = partition: several members, the brokers assign (share_worker.h). NULL: one
	 * worker, in the source's order. */
	const struct settings *settings;
	int workers; /* members of this process */
	bool leads;  /* this process holds the lease; else others lead, and hold, advance and
			finish_build are not called */
};

struct worker_status {
	enum worker_state state;
	enum err_kind kind;                /* of the last error; ERR_NONE while all is well */
	char message[WORKER_MESSAGE_SIZE]; /* why, when retrying or failed */
	int exit_code;
	int64_t seq, commit_us; /* committed */
	int64_t bytes_total, transactions_total;
	char gtid_set[WORKER_GTID_SIZE]; /* to be shown: cut when longer (worker_gtid_set) */
	int64_t records, records_total; /* since the worker began, and what it found then */
	double rate;                    /* records a second */
	struct intake_end delivered;
	bool caught_up; /* at most one commit record was missing at the last look */
	bool copying;   /* first copies go on: the view is incomplete */
	/* Tables it reads that may differ from the source until they are reconciled: "db.t, db.u";
	 * "" none. */
	char reconciling[WORKER_TABLES_SIZE];
	int64_t reconciling_since_us;    /* the earliest, capture's clock */
	char notice[WORKER_NOTICE_SIZE]; /* the same for people; "" none */
	bool built;                      /* worker_finish_build has ended */
	int64_t ignored, inexact;        /* records without handler; rows with inexact values */
	int64_t commits;
	int amended;  /* times that its tables got columns */
	bool outgrown; /* a table has become another one; only a new version can hold it */
	bool reached; /* stands where options.until wants it, for good */
	int64_t parked, parked_behind; /* records kept aside; of them, behind another one */
	struct intake_slowest slowest; /* partition with the most left of what was there at open */
};

int worker_start(const struct worker_options *options, struct worker **ret_worker, struct err *e);
void worker_stop(struct worker *w); /* ends the thread between two transactions (an open one is
				       rolled back); frees w; NULL is fine */
void worker_status(struct worker *w, struct worker_status *ret_status);

/* Waits until the worker stands between two source transactions with everything committed. If
 * nobody releases it within limit_ms, it goes on by itself, and later calls of advance say so.
 * ERR_RETRY: not within timeout_ms. Already held: ERR_RETRY. */
int worker_hold(struct worker *w, int64_t timeout_ms, int64_t limit_ms, struct err *e);
/* From held: applies whole source transactions until the position has this seq, or contains this
 * GTID set; holds again. On error the worker is still held (or failed). */
int worker_advance_seq(struct worker *w, int64_t seq, int64_t timeout_ms, struct err *e);
int worker_advance_gtid(struct worker *w, const char *gtid_set, int64_t timeout_ms, struct err *e);
/* What outgrew it (status.outgrown): a file of the definition that describes the table as it is
 * now, mallocs, and the seq of the record that says so. */
void worker_outgrown(struct worker *w, char **ret_file, char **ret_text, int64_t *ret_seq);
/* Where it stands, into seq, commit_us, gtid_set and built of *info. */
void worker_position(struct worker *w, struct store_info *info);
void worker_release(struct worker *w); /* fine when not held */
/* What is committed, whole. NULL: nothing is open (it tries again, or has ended). The caller
 * frees it. */
char *worker_gtid_set(struct worker *w);
/* What is applied and committed, whole: as worker_gtid_set, and what was read since without a row
 * for this view. NULL as there. */
char *worker_applied_gtid(struct worker *w);
bool worker_is_held(struct worker *w); /* still, and not let go by its limit */
/* Runs the end of the build (indexes, disk) in the worker's thread, between two source
 * transactions. */
int worker_finish_build(struct worker *w, struct err *e);
/* order = partition: what each partition of the inputs has reached, and who has it, by topic and
 * partition; of another view: none. The caller frees them. */
struct worker_share {
	char *topic;
	int32_t partition;
	int64_t offset; /* next to be applied */
	int64_t seq;
	int64_t lag_us; /* behind what is delivered, by the source's clock */
	bool caught_up;
	char *member;  /* host, process and worker; "": nobody yet */
	char *trouble; /* why it can't go on; "" */
};
void worker_shares(struct worker *w, struct worker_share **ret_shares, size_t *ret_count);
void worker_shares_free(struct worker_share *shares, size_t count);

/* What is to be done with parked records; in the worker's thread, between two source transactions.
 */
struct worker_parked_ask {
	bool drop;         /* the record itself; those behind it are then tried */
	const char *topic; /* its place; NULL: all, and then nothing is dropped but by `drop` */
	int32_t partition;
	int64_t offset;
};
/* Tries parked records again, each key in its own order, until one of the key still can't be
 * applied. *ret_applied: how many were applied (or dropped) and are parked no longer. ERR_CONFIG:
 * there is no such record, or it waits behind another one; ERR_RETRY: not now. */
int worker_parked_act(struct worker *w, const struct worker_parked_ask *ask, int64_t *ret_applied,
		      int64_t *ret_left, struct err *e);
/* Asks the thread to end soon, without waiting for it; whoever waits for the worker (hold, advance,
 * finish) is told so. worker_stop is still to be called. */
void worker_ask_stop(struct worker *w);
/* Time that what is left of the build will take, by the rate so far; -1: not known, or caught up.
 */
int64_t worker_left_us(const struct worker_status *s);
const char *worker_state_name(enum worker_state state);

#endif
