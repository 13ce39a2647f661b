/* host_priv.h - between the files of a host.
 *
 * Who touches what: `versions` and the job's fields only under `lock`, which is never held while
 * waiting for a worker. Workers are started and stopped by the keeper thread only (and by open and
 * close), so a pointer that the keeper took under lock stays good while it works; others use one
 * only under lock, or through the outside hold, which the keeper respects. */
#ifndef PROJECTIONS_HOST_HOST_PRIV_H
#define PROJECTIONS_HOST_HOST_PRIV_H

#include "projections/host/host.h"
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
	int64_t memory;         /* taken from the pool */
	bool dropping;          /* is going to be removed */
	bool removing;          /* gone for everybody; the store still has to let it go */
	int64_t remove_again_us;
};

/* host_notes.c */
struct host_note {
	struct host_note *next;
	int version;
	int64_t share;
	struct worker_until until;
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
	bool taking_over; /* it has the lease; the versions are not all opened yet */
	struct version versions[HOST_VERSIONS_MAX];
	size_t version_count;
	enum host_job job;
	enum host_phase phase;
	bool pending; /* the job waits for the keeper */
	bool waiting; /* for the first schema of a table; keeper's own */
	struct view **retired; /* of versions whose tables got columns: others may still look */
	size_t retired_count;
	bool no_swap;
	bool force;  /* also with parked records */
	bool cancel; /* the job's version is to be dropped */
	char note[HOST_NOTE_SIZE];
	int last_number; /* of a version, ever */
	struct host_note *notes;
	struct host_shadow shadow;
	struct worker_pace pace; /* of comparisons; the keeper's */
	int shadowing; /* version that the keeper compares just now; 0: none */
	bool shadow_cancel;
	int64_t shadow_us; /* monotonic, of the last look */
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
int host_next_number(struct host *h); /* under lock; host_note_make writes it down */
size_t host_count(struct host *h, enum store_state state); /* under lock */
/* Stops and removes a version, file and all; not under lock. Whoever calls it has seen to it that
 * the keeper doesn't use its worker. On error it is hidden, and removed later. */
int host_drop_version(struct host *h, int version, struct err *e);
void host_remove_again(struct host *h); /* one of those whose removal failed; the keeper */
void host_give_memory(struct host *h, struct version *v);

/* Notes are written by whoever begins a version, and live until it is removed. */
int host_notes_read(struct host *h, struct err *e);
void host_notes_done(struct host *h);
struct host_note *host_note_of(struct host *h, int version); /* NULL: none */
bool host_note_ends(const struct host_note *n);
static inline bool host_ends(struct host *h, int version)
{
	const struct host_note *n = host_note_of(h, version);

	return n != NULL && host_note_ends(n);
}
/* Writes the last number too, whatever there is to be noted. */
int host_note_make(struct host *h, int version, int64_t share, struct worker_until *take_until,
		   struct err *e);
void host_note_forget(struct host *h, int version);

/* ---- host_job.c ---- */
void host_run_job(struct host *h); /* to its end, or until the host closes */
/* Between two looks: -1 when the host closes, or the version is to be dropped. */
int host_pause(struct host *h, int64_t ms, struct err *e);
/* Waits until the version follows closely, one commit record may be missing, and no first copy goes
 * on. */
int host_await_caught_up(struct host *h, struct worker *w, struct err *e);

/* ---- two versions at one position (host_pair.c) ---- */
struct host_pair {
	struct worker *new, *live; /* live NULL: there is none, or it has failed */
	bool apart;                /* the live version stands somewhere else, for good */
};
struct store_snapshot;
/* NULL: it has none. The keeper, which alone stops workers, may use it. */
struct worker *host_worker_of(struct host *h, int version);
/* Holds the new and the live version at one position. */
int host_hold_both(struct host *h, int version, int live, struct host_pair *ret_pair,
		   struct err *e);
void host_release_both(const struct host_pair *p);
/* Compares them; kept for host_json(). */
int host_diff(struct host *h, int version, int live, struct err *e);
/* Snapshots of two versions at one position; *ret_apart: not at one, for good. */
int host_snapshots(struct host *h, int version, int live, struct store_snapshot **ret_old,
		   struct store_snapshot **ret_new, bool *ret_apart, struct err *e);

/* ---- between host_job.c, host_ask.c and host_shadow.c ---- */
/* Under lock: ends a comparison that is going on. */
void host_end_shadow(struct host *h);
void host_shadow_look(struct host *h); /* the keeper, when there is no job */
bool host_job_runs(const struct host *h);
/* ERR_CONFIG: a job is running. */
int host_refuse_running(const struct host *h, struct err *e);

/* ---- host_as_of.c ---- */
/* Under lock: what can be told before anything is built. */
int host_may_as_of(struct host *h, const struct worker_until *until, struct err *e);
int host_refuse_as_of(const struct host *h, const struct view *view,
		      const struct host_replay_options *options, struct err *e);
/* The version stands at its end: is it a view as it was? */
int host_check_reached(struct host *h, const struct worker_status *s, struct err *e);
/* All there is was read, and its end didn't come. */
int host_refuse_until(struct host *h, const struct worker_status *s, struct err *e);
int host_read_until(const char *text, struct worker_until *ret_until, struct err *e);

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

void *host_keeper(void *context); /* host_keeper.c */
bool host_wait_ms(struct host *h, int64_t ms); /* false: stopping */

#endif
