/* share_member_priv.h - a member's state: share_member.c is its life (assignment, taking, errors),
 * share_border.c what it does between two source transactions, share_apply.c its loop over records.
 */
#ifndef PROJECTIONS_WORK_SHARE_MEMBER_PRIV_H
#define PROJECTIONS_WORK_SHARE_MEMBER_PRIV_H

#include "core/base/backoff.h"
#include "core/base/buf.h"
#include "core/kafka/assignment.h"
#include "projections/apply/handlers.h"
#include "projections/store/share.h"
#include "projections/work/share_worker.h"
#include "projections/work/worker_priv.h"

#include <pthread.h>
#include <stdatomic.h>

/* Why the loop over records ended; -1: an error. */
enum share_end { SHARE_STOPPED, SHARE_REASSIGNED };

struct share_member {
	const struct worker_options *options;
	char area[128], name[SHARE_MEMBER_SIZE];
	pthread_t thread;
	atomic_bool stop;

	pthread_mutex_t lock;
	struct share_member_status status; /* under lock */

	/* the thread's own */
	struct assignment *assignment;
	int64_t generation;         /* of what is worked on */
	struct share_link *link;    /* NULL: the store is not open */
	struct share_name *names;   /* what it has */
	struct share_mark *marks;   /* the same, as last said */
	struct share *taken;        /* as they were taken */
	struct intake_share *only;  /* where the feed began */
	struct intake_position *at; /* ... what `only` points to */
	struct buf *texts;          /* positions, as last said */
	size_t count;
	void *feed;
	struct handlers *handlers;
	struct share_barrier barrier; /* as last seen, at barrier_us (monotonic) */
	int64_t barrier_us, stands;   /* stands: number of the barrier that it said it stands at */
	bool open, built;             /* a store transaction; the build has ended */
	bool inside, applied_inside;  /* a source transaction has begun; rows of it were applied */
	bool leaves;                  /* while it waited at a TRUNCATE */
	enum share_end leaves_as;
	bool truncating;   /* the open store transaction is that of a TRUNCATE */
	bool emptied;      /* the record in hand is a TRUNCATE that was met */
	bool store_failed; /* the last error came from the store: the feed is good */
	bool careful; /* an error of a held-back statement: one record at a time, to know which */
	bool failed;  /* and it came again */
	struct parking *parking; /* keys that have parked records; NULL: to be read */
	int64_t others_us;       /* when it was last counted what other members parked */
	int64_t careful_seq; /* until the version is behind this one */
	int64_t open_us, open_records, bulk;
	int64_t marked_seq, mark_us, said_us, group_us;
	char *marked_gtid;
	double rate;
	int64_t rate_us, rate_records;
	struct worker_pace pace; /* while the version is built */
	struct backoff backoff;
};

/* Applies until it is asked to stop or its assignment changes; then everything complete is
 * committed. */
int share_apply(struct share_member *m, enum share_end *ret_end, struct err *e);
/* A member whose feed was just opened or set back. */
void share_apply_begin(struct share_member *m);
/* handlers_truncate_fn; the context is the member. */
int share_apply_truncate(void *context, size_t topic, int64_t seq, struct err *e);

/* ---- between two source transactions (share_border.c) ---- */
#define SHARE_STAND_MS 20   /* between two looks while standing */
#define SHARE_SAY_US 2000000 /* between two signs of life */
int share_border_begin(struct share_member *m, struct err *e); /* a store transaction */
/* Rows and positions; begins one where none is open. */
int share_border_commit(struct share_member *m, struct err *e);
bool share_border_moved(const struct share_member *m); /* beyond what is committed */
bool share_border_full(const struct share_member *m);  /* the store transaction */
void share_border_publish(struct share_member *m, bool committed);
int share_border_say(struct share_member *m, struct err *e);
/* Stands here as long as a barrier wants it. 1: go on; 0: *ret_end says why not; -1. */
int share_border(struct share_member *m, enum share_end *ret_end, struct err *e);

/* ---- records that can't be applied (share_park.c) ---- */
bool share_parks(const struct share_member *m); /* rather than stop */
/* What is known is stale: it is read again before the member goes on. */
void share_park_forget(struct share_member *m);
/* Reads it, if need be. 1: go on; 0: a barrier at which it is said to stand is up after all; -1. */
int share_park_look(struct share_member *m, struct err *e);
/* One with its key is parked already. */
int share_waits(struct share_member *m, const struct intake_item *item, struct err *e);
/* Inside the store transaction. why NULL: it is behind another one. */
int share_park(struct share_member *m, const struct intake_item *item, const char *why,
	       struct err *e);

static inline const struct feed_ops *share_feed(const struct share_member *m)
{
	return m->options->source.ops;
}

#endif
