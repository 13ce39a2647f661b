/* host_priv.h - between the files of a host.
 *
 * Who touches what: `versions` and the job's fields only under `lock`, which is never held while
 * waiting for a worker. Workers are started and stopped by the keeper thread only (and by open and
 * close), so a pointer that the keeper took under lock stays good while it works; others use one
 * only under lock, or through the outside hold, which the keeper respects. */
#ifndef PROJECTIONS_REPLAY_HOST_PRIV_H
#define PROJECTIONS_REPLAY_HOST_PRIV_H

#include "projections/replay/host.h"
#include "projections/store/lease.h"

#include <pthread.h>

struct version {
	int version;
	enum store_state state;
	int64_t superseded_us;
	struct store_info info; /* as found at open */
	struct view *view;      /* NULL: its definition can't be read, or it isn't run */
	struct worker *worker;  /* NULL: not run */
	int amended;            /* worker_status.amended, as far as `view` is of it */
	bool outgrown;          /* a new version was begun, because a table became another one */
};

struct host {
	struct host_options options;
	char *name, *dir; /* dir: the view's folder */
	struct lease *lease; /* NULL: another process leads, this one follows (host_follow.c) */
	char *http;
	struct store *store;
	pthread_t keeper;
	bool keeper_runs;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop, follows;
	struct version versions[HOST_VERSIONS_MAX];
	size_t version_count;
	enum host_job job;
	enum host_phase phase;
	bool pending; /* the job waits for the keeper */
	bool waiting; /* for the first schema of a table; keeper's own */
	struct view **retired; /* of versions whose tables got columns: others may still look */
	size_t retired_count;
	bool no_swap;
	int job_version, job_from;
	struct err job_err;
	int64_t job_started_us, job_ended_us;
	char *diff; /* JSON, or NULL */
	int64_t diff_rows, differences;
	int outside;       /* version held for somebody outside; 0: none */
	bool outside_busy; /* a call on it is running */
	bool outside_held; /* the hold was granted */
	bool verified;
	int64_t verified_us, verified_rows, verified_differences;
	char verified_gtid_set[WORKER_GTID_SIZE];
};

/* Under lock. NULL: there is none. */
struct version *host_find(struct host *h, int version);
struct version *host_find_state(struct host *h,
				enum store_state state); /* the newest of that state */
int host_live(struct host *h);                           /* version number, 0: none */

/* Under lock: waits until no call from outside uses the worker of `version`; it isn't held then. */
void host_end_outside(struct host *h, int version);
/* Under lock: forgets a hold that its owner forgot, and that is over. */
void host_forget_outside(struct host *h);
void host_begin_job(struct host *h, enum host_job job, int version); /* under lock */
int host_start_worker(struct host *h, struct version *v, struct err *e);
int host_add_version(struct host *h, const struct store_info *info, struct view *take_view,
		     bool run, struct err *e);
/* Makes version `number` from `view` (taken) and starts it; not under lock. */
int host_create_version(struct host *h, int number, struct view *take_view, bool swap,
			struct err *e);
/* host_replay() to this definition (taken). */
int host_replay_view(struct host *h, struct view *take_view,
		     const struct host_replay_options *options, struct err *e);
/* What its tables look like by what is registered now. */
int host_shape(struct host *h, struct view *view, struct err *e);
void host_try_first(struct host *h); /* keeper only, while `waiting` */
/* Keeper only: versions whose tables got columns, or have become other ones. */
void host_follow_source(struct host *h);
/* The definition in the view's folder, tried in its store. */
int host_read_view(struct host *h, struct view **ret_view, struct err *e);
int host_next_number(struct host *h); /* under lock */
/* Stops and removes a version, file and all; not under lock, keeper or open only. */
int host_drop_version(struct host *h, int version, struct err *e);

/* The same, here only: the version stays in the store. */
void host_forget_version(struct host *h, int version);
int host_stored_view(struct host *h, int version, struct view **ret_view, struct err *e);
/* What a process does that has just got the lease. */
int host_open_versions(struct host *h, struct err *e);

/* The lease; or, where the view has order = partition and another process has it, nothing: this
 * process follows then. */
int host_take_lease(struct host *h, struct err *e);
/* ERR_CONFIG that says who leads. 0 when this process does. */
int host_refuse_follower(struct host *h, struct err *e);
void *host_follower(void *context); /* in place of the keeper, until it leads */

void *host_keeper(void *context);
bool host_wait_ms(struct host *h, int64_t ms); /* false: stopping */

#endif
