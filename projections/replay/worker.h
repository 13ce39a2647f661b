/* worker.h - one version of a view being kept up: a thread that takes records from its feed, gives
 * them to the handlers, and commits rows and position together (DESIGN 5.2).
 *
 * Another thread may hold the worker between two source transactions, let it advance to an exact
 * position, and release it. While it is held nothing of its version changes, and all it has applied
 * is committed.
 *
 * What heals (brokers away, a lock, a full disk) is tried again from the stored position, with
 * backoff. What doesn't (a record that can't be applied, another writer) stops the worker in state
 * failed with the reason; the store then stands at the last commit. */
#ifndef PROJECTIONS_REPLAY_WORKER_H
#define PROJECTIONS_REPLAY_WORKER_H

#include "projections/replay/feed.h"
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

struct worker_options {
	struct store *store;     /* outlives the worker */
	const struct view *view; /* as the version was built with; outlives the worker */
	int version;
	struct feed_source source;
	int64_t memory;    /* bytes for the intake */
	const char *group; /* consumer group that shows the lag, or NULL; copied */
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
void worker_release(struct worker *w); /* fine when not held */
/* What is committed, whole. NULL: nothing is open (it tries again, or has ended). The caller
 * frees it. */
char *worker_gtid_set(struct worker *w);
bool worker_is_held(struct worker *w); /* still, and not let go by its limit */
/* Runs the end of the build (indexes, disk) in the worker's thread, between two source
 * transactions. */
int worker_finish_build(struct worker *w, struct err *e);
const char *worker_state_name(enum worker_state state);

#endif
