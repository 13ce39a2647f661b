/* share_worker_priv.h - the state of a version's members seen as one worker: share_worker.c is its
 * life and its watcher, share_seen.c what the shares' rows say, share_hold.c holding. */
#ifndef PROJECTIONS_WORK_SHARE_WORKER_PRIV_H
#define PROJECTIONS_WORK_SHARE_WORKER_PRIV_H

#include "projections/store/share.h"
#include "projections/work/share_worker.h"

#include <pthread.h>

struct share_worker {
	struct worker_options options;
	char *group;
	struct share_member *members[VIEW_WORKERS_MAX];
	int member_count;
	pthread_t watcher;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct worker_status status;
	char *gtid_set; /* whole; NULL: not known */
	struct worker_share *shares;
	size_t share_count;
	bool stop, held, holding;
	int64_t held_number, held_seq;

	pthread_mutex_t report_lock; /* reading the shares and reporting them is one step */
	pthread_mutex_t control_lock; /* of what follows; taken before lock */
	struct share_link *control;
	int64_t limit_us;

	/* the watcher's own */
	struct share_link *watch;
	int64_t marked_us, rate_us, rate_records;
};

/* ---- what the shares' rows say (share_seen.c) ---- */
/* As they were read, and what is parked. */
struct share_seen {
	struct share *shares;
	size_t count;
	int64_t parked, behind;
};

/* Added up. */
struct share_total {
	size_t count;
	int64_t parked, parked_behind;
	int64_t seq, most_seq; /* of the furthest behind, of the furthest ahead */
	int64_t number;        /* of the barrier at which all stand; 0: not all, or at none */
	int64_t delivered_seq, delivered_us, left, records;
	bool caught_up;
	const struct share *least;   /* furthest behind; NULL: none has begun */
	const struct share *trouble; /* that can't go on, or NULL */
};

int share_see(struct share_link *l, struct share_seen *ret_seen, struct err *e);
void share_seen_done(struct share_seen *s);
/* The total points into `seen`. */
void share_add_up(const struct share_seen *seen, struct share_total *ret_total);
/* Into the worker's status. Under report_lock, together with share_see(). */
void share_report(struct share_worker *w, const struct share_seen *seen);
/* What readers of the store are told of the version: where its furthest-behind share stands. */
int share_mark_least(struct share_link *l, const struct share *least, struct err *e);

/* ---- holding (share_hold.c) ---- */
/* Under control_lock. A connection that was idle for long may be gone. */
int share_open_control(struct share_worker *w, struct err *e);
void share_close_control(struct share_worker *w);

#endif
