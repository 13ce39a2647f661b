/* worker_priv.h - a worker's state: worker.c is its thread, worker_control.c what other threads ask
 * of it. */
#ifndef PROJECTIONS_REPLAY_WORKER_PRIV_H
#define PROJECTIONS_REPLAY_WORKER_PRIV_H

#include "core/base/backoff.h"
#include "core/base/buf.h"
#include "core/base/gtid.h"
#include "projections/apply/handlers.h"
#include "projections/replay/worker.h"

#include <pthread.h>

#define WORKER_BULK_RECORDS 50000

enum target_kind { TARGET_NONE, TARGET_SEQ, TARGET_GTID };

struct worker {
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

	/* the thread's own */
	struct store_version *version;
	struct handlers *handlers;
	void *feed;
	bool open, inside, built; /* store transaction open; inside a source transaction */
	int64_t open_us, open_records, records_base;
	int64_t started_us;
	int64_t bulk;       /* records of one store transaction, at most about */
	int64_t poison_seq; /* record that could not be applied; 0: none */
	int64_t group_us, mark_us, rate_us, rate_records;
	int64_t marked_seq;
	char *marked_gtid; /* written under lock, by the thread of the worker alone */
	struct buf position;
	struct backoff backoff;
};

void *worker_run(void *context); /* the thread */
/* Under lock: no longer held, and nobody wants it to be; `lost`: not because its owner said so. */
void worker_let_go(struct worker *w, bool lost);
void worker_wait_until(struct worker *w, int64_t monotonic_us); /* under lock */

#endif
