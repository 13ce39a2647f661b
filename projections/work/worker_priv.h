/* worker_priv.h - a worker's state: worker.c is its thread, worker_border.c what it does between
 * two source transactions, worker_control.c what other threads ask of it. */
#ifndef PROJECTIONS_WORK_WORKER_PRIV_H
#define PROJECTIONS_WORK_WORKER_PRIV_H

#include "core/base/backoff.h"
#include "core/base/buf.h"
#include "core/base/gtid.h"
#include "projections/apply/kind.h"
#include "projections/work/worker.h"

#include <pthread.h>

#define WORKER_BULK_RECORDS 50000

#define WORKER_CAREFUL_SEQS 1000

enum target_kind { TARGET_NONE, TARGET_SEQ, TARGET_GTID };

struct worker {
	struct share_worker *shared; /* order = partition: it does it all, the rest is unused */
	struct worker_options options;
	char *group, area[128];
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* under lock */
	struct worker_status status;
	bool stop, want_hold, held, hold_lost, want_finish;
	enum target_kind target;
	int64_t target_seq, hold_limit_us, hold_until_us;
	struct gtid_set target_gtid;
	struct err finish_err;
	int finish_rc;
	bool want_act, acting;
	const struct worker_parked_ask *act;
	struct err act_err;
	int act_rc;
	int64_t act_applied, act_left;

	/* the thread's own */
	struct store_version *version;
	struct kind *kind;
	const struct view *view; /* options.view, or own_view once its tables got columns */
	struct view *own_view;
	/* kind_shape(); sql: columns to be added before the next attempt */
	struct buf add_sql, add_file, add_text;
	int64_t add_seq;
	void *feed;
	bool open, inside, built; /* store transaction open; inside a source transaction */
	int64_t open_us, open_records, records_base;
	int64_t started_us;
	int64_t bulk; /* records of one store transaction, at most about */
	/* A record could not be applied: until behind it each one is flushed by itself; 0: not */
	int64_t careful_seq;
	bool emptying; /* the record that is being applied empties its table */
	bool again;    /* the attempt ended so that records are come to once more, carefully */
	struct parking *parking; /* keys that have parked records: worker_park.c */
	struct worker_pace pace;
	int64_t progress_us, progress_calls; /* worker_status.c */
	struct gtid_set until_gtid, until_passed;
	int64_t group_us, mark_us, rate_us, rate_records;
	int64_t marked_seq;
	char *read_gtid;   /* the same; beyond it while only the position moved */
	char *marked_gtid; /* written under lock, by the thread of the worker alone */
	struct buf position;
	struct backoff backoff;
};

void *worker_run(void *context); /* the thread */
/* Of the thread, for others; `committed`: what the last store commit made true, too. */
void worker_publish_status(struct worker *w, bool committed);
void worker_publish_progress(struct worker *w); /* after each record; now and then it does so */

/* ---- between two source transactions (worker_border.c) ---- */
int worker_begin(struct worker *w, struct err *e);  /* a store transaction, if none is open */
int worker_commit(struct worker *w, struct err *e); /* rows and position as they are */
bool worker_full(const struct worker *w);           /* the store transaction */
/* The stored position is behind what was read without a row of ours (other tables' transactions).
 */
bool worker_position_moved(const struct worker *w);
/* The position that the store has, as others are told. NULL: no version is open. */
void worker_set_marked_gtid(struct worker *w, const char *gtid_set);
/* Up to `seq` a record can't be applied: the next attempt comes to it carefully; but not twice. */
void worker_look_again(struct worker *w, int64_t seq);
/* Does what other threads want. 1: go on; 0: stop; -1. */
int worker_border(struct worker *w, struct err *e);
/* Under lock: no longer held, and nobody wants it to be; `lost`: not because its owner said so. */
void worker_let_go(struct worker *w, bool lost);

/* ---- records that can't be applied (worker_park.c) ---- */
/* Reads which keys wait; when a version was opened. */
int worker_park_open(struct worker *w, struct err *e);
void worker_park_close(struct worker *w);
bool worker_parks(const struct worker *w); /* rather than stop */
/* 1: one with its key is parked already, and it must wait; 0; -1. */
int worker_waits(struct worker *w, const struct intake_item *item, struct err *e);
/* Inside the store transaction. why NULL: it is behind another one. */
int worker_park(struct worker *w, const struct intake_item *item, const char *why, struct err *e);
/* handlers_truncate_fn; the context is the worker. What is parked of the table is dropped in the
 * open store transaction. */
int worker_emptied(void *context, size_t topic, int64_t seq, struct err *e);
/* That failed, or what the view does about it. -1. */
int worker_emptied_failed(const struct worker *w, struct err *e);
/* Does what worker_parked_act wants; nothing is open. Says so to whoever asked. */
int worker_act(struct worker *w, struct err *e);
int worker_flush(struct worker *w, struct err *e); /* what the target held back has run */

/* ---- tables that change at the source (worker_amend.c) ---- */
/* The attempt or a build ended: keeps what its kind wants of the version, if it does. */
void worker_note_wants(struct worker *w);
bool worker_wants_columns(const struct worker *w);
/* Nothing is open: adds the columns, and takes the version's definition as it then is. */
int worker_add_columns(struct worker *w, struct err *e);

/* ---- up to a moment (worker_until.c) ---- */
int worker_until_open(struct worker *w, struct err *e);
bool worker_until_reached(struct worker *w); /* between two source transactions */
void worker_rest(struct worker *w); /* under lock, all committed: stays until something is wanted */

/* ---- a share of one core (worker_pace.c) ---- */
void worker_pace(struct worker *w);
/* What a status says of tables that are being reconciled. */
void worker_name_reconciling(struct worker_status *s, const struct intake_reconciling *tables,
			     size_t count);
void worker_wait_until(struct worker *w, int64_t monotonic_us); /* under lock */

#endif
