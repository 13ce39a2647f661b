/* host.h - one view in the process that owns it: its lease, its versions with their workers, and
 * the work that changes which of them is live: first build, replay, swap, roll back (DESIGN 5.3).
 * The daemon has a host for each view; the verb `replay` makes one for itself when there is no
 * daemon.
 *
 *   job       phases, in order
 *   build     building -> finishing -> swapping -> done            version 1: nothing to compare
 * with replay    building -> finishing -> diffing -> ready -> swapping -> done     (--no-swap ends
 * in ready) swap      swapping -> done                                      a version that is ready
 *   rollback  swapping -> done                                      back to the newest superseded
 * version still applied
 *   as-of     building -> finishing -> done             a version that shows the view as it was; it
 * is neither applied any further nor swapped
 *
 * A job that can't go on ends in failed, with the reason; what is live stays
 * live.
 *
 * A version that was being built when the process ended is taken up again where it stood. The
 * version before stays applied for project.keep_applied after a swap, then it is removed. All calls
 * are thread-safe. */
#ifndef PROJECTIONS_HOST_HOST_H
#define PROJECTIONS_HOST_HOST_H

#include "core/base/settings.h"
#include "projections/verify/compare.h"
#include "projections/work/worker.h"

#include <pthread.h>

#define HOST_VERSIONS_MAX 16 /* those included that are being removed */
#define HOST_VERSIONS_KEPT 8 /* beyond them a replay removes the oldest superseded one first */
#define HOST_AS_OF_MAX 3
#define HOST_NOTE_SIZE 400

struct host;

enum host_job { HOST_NO_JOB, HOST_BUILD, HOST_REPLAY, HOST_SWAP, HOST_ROLLBACK, HOST_AS_OF };
enum host_phase {
	HOST_IDLE,
	HOST_BUILDING,
	HOST_FINISHING,
	HOST_DIFFING,
	HOST_READY,
	HOST_SWAPPING,
	HOST_DONE,
	HOST_FAILED
};

/* Memory for the intakes of replays, shared by the hosts of a process: init the mutex, and `left`
 * with half of project.memory. */
struct host_pool {
	pthread_mutex_t lock;
	int64_t left;
};

struct host_options {
	const struct settings *settings; /* outlives the host */
	const char *name;                /* of the view; its folder is project.views/NAME */
	const struct store_ops *store; /* store_of() */
	struct feed_source source;
	size_t views;    /* that share project.memory, in this process; 0: this one alone */
	struct host_pool *pool; /* outlives the host; NULL: this view replays alone */
	int64_t wait_ms; /* for another process that works on the view to end */
};

struct host_version {
	int version;
	enum store_state state;
	char fingerprint[VIEW_FINGERPRINT_SIZE];
	int64_t superseded_us;
	bool running; /* has a worker; else worker is zero but for seq and gtid_set */
	int64_t made_us;
	int64_t share;   /* percent of one core that its build takes at most; 0: any */
	char as_of[256]; /* GTID set or time up to which it is built; "": it goes on */
	struct worker_status worker;
};

/* A version that waits beside the live one is compared with it every project.shadow_interval, at
 * equal positions. */
struct host_shadow {
	int version;                      /* that is compared with the live one; 0: none */
	int64_t rows, differences;        /* at the last look; -1: there was none */
	int64_t compared_us;              /* when, wall clock; 0: never */
	int64_t since_us;                 /* since when they differ; 0: they don't */
	char gtid_set[WORKER_GTID_SIZE];  /* at which position */
};

struct host_status {
	enum host_job job;
	enum host_phase phase;
	int job_version, job_from; /* version that the job makes live, and what was live before */
	struct err job_err;        /* phase failed */
	int64_t job_started_us, job_ended_us;
	int live; /* version; 0: none yet */
	struct host_version versions[HOST_VERSIONS_MAX];
	size_t version_count;
	struct host_shadow shadow;
	char note[HOST_NOTE_SIZE]; /* why a replay ended in ready instead of swapping; "" */
	bool verified;
	int64_t verified_us, verified_rows, verified_differences;
	char verified_gtid_set[WORKER_GTID_SIZE];
	int64_t diff_rows, differences; /* of the last replay's diff; -1: none */
};

/* Takes the lease, starts workers, takes up what was interrupted. A view without versions is read
 * from its folder and built. ERR_CONFIG: the folder has mistakes (all in the message), another
 * process has the view. */
int host_open(const struct host_options *options, struct host **ret_host, struct err *e);
/* Begins to close, without waiting: so that the hosts of a process end side by side. */
void host_ask_stop(struct host *h);
void host_close(struct host *h); /* NULL is fine; ends workers and jobs between two transactions */
const char *host_name(const struct host *h);
/* order = partition: another process leads; this one applies its part, refuses jobs and holds. */
bool host_follows(struct host *h);
int host_set_http(struct host *h, const char *address, struct err *e);
void host_status(struct host *h, struct host_status *ret_status);
/* Owner and input topics, by the live version's definition (or the newest, when none is live). Free
 * owner with free(), inputs with view_names_free(). */
void host_describe(struct host *h, char **ret_owner, char ***ret_inputs, size_t *ret_count);

/* All that there is of a view that nobody serves any more: versions, public name, state. For one
 * whose folder is gone. ERR_CONFIG: somebody has it. */
int host_drop_all(const struct settings *settings, const char *view, struct err *e);
const char *host_store(const struct host *h); /* name of its store */
const char *host_kind(struct host *h);        /* "sql", "mirror", "query"; "": not known */
/* worker_shares() of a version; none where it is not applied. */
void host_shares(struct host *h, int version, struct worker_share **ret_shares, size_t *ret_count);

struct host_replay_options {
	bool no_swap;
	bool force; /* also when the definition hasn't changed, there may be no room, or parked
		       records would go live */
	int64_t share;     /* percent of one core that it may use; 0: any */
	const char *as_of; /* GTID, GTID set, or a time "2026-11-21 06:00:00" (UTC); NULL: all */
};
/* Each begins a job and returns; host_status shows how it goes. ERR_CONFIG: refused (a job is
 * running, nothing has changed, the view is incomplete, there is nothing to swap or roll back to);
 * the message says why. */
int host_replay(struct host *h, const struct host_replay_options *options, struct err *e);
int host_swap(struct host *h, bool force, struct err *e);
int host_rollback(struct host *h, bool force, struct err *e);
/* Removes a version that is not live, whatever it is doing; 30 seconds at most. ERR_CONFIG: it is
 * live, or there is none. */
int host_drop(struct host *h, int version, struct err *e);
/* worker_parked_act on a version (0: the live one). */
int host_parked_act(struct host *h, int version, const struct worker_parked_ask *ask,
		    int64_t *ret_applied, int64_t *ret_left, struct err *e);

/* Holds one version (0: the live one) for somebody outside: verify. One at a time; gone by itself
 * after a while. */
int host_hold(struct host *h, int version, int *ret_version, char **ret_gtid_set, struct err *e);
int host_advance(struct host *h, const char *gtid_set, int64_t timeout_ms, struct err *e);
void host_release(struct host *h);
/* What a reader of the public name sees by now, and whether it may rely on it. */
struct host_applied {
	char *gtid_set; /* whole, malloced; NULL: it can't be told just now */
	int64_t seq, commit_us;
	int version; /* 0: none is live */
	bool copying;
	enum worker_state state;
	char message[WORKER_MESSAGE_SIZE];
};
/* ERR_CONFIG: another process leads the view, and knows. */
int host_refuse_wait(struct host *h, struct err *e);
void host_applied(struct host *h, struct host_applied *ret_applied);
/* What a verification of the live version found. */
void host_set_verified(struct host *h, const char *gtid_set, int64_t rows, int64_t differences);

/* Everything as one JSON object: {"view","live","job":{...},"versions":[...],"diff":{as
 * compare_json},"verified":{...}}. sizes: also the bytes that each version takes (asks the store).
 */
void host_json(struct host *h, bool sizes, struct buf *out);
const char *host_job_name(enum host_job job);
const char *host_phase_name(enum host_phase phase);

#endif
