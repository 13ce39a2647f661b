/* share_worker.h - a worker with several members (order = partition): the same promises as
 * worker.h, kept by members in this process and in others.
 *
 * Every process runs `workers` members for a version. Each is a thread with a store connection and
 * an intake of its own, and a member of the version's consumer group: it applies the partitions
 * that the group assigns to it (share_member.c). The process that leads holds all of them, wherever
 * they run, by barriers in the store (share_hold.c). How far the version is, every process reads
 * from the shares' rows. */
#ifndef PROJECTIONS_WORK_SHARE_WORKER_H
#define PROJECTIONS_WORK_SHARE_WORKER_H

#include "projections/work/worker.h"

struct share_worker;
struct share_link;

int share_worker_start(const struct worker_options *options, struct share_worker **ret_worker,
		       struct err *e);
void share_worker_ask_stop(struct share_worker *w);
void share_worker_stop(struct share_worker *w);
void share_worker_status(struct share_worker *w, struct worker_status *ret_status);
int share_worker_hold(struct share_worker *w, int64_t timeout_ms, int64_t limit_ms, struct err *e);
int share_worker_advance_seq(struct share_worker *w, int64_t seq, int64_t timeout_ms,
			     struct err *e);
int share_worker_advance_gtid(struct share_worker *w, const char *gtid_set, int64_t timeout_ms,
			      struct err *e);
void share_worker_release(struct share_worker *w);
char *share_worker_gtid_set(struct share_worker *w);
bool share_worker_is_held(struct share_worker *w);
void share_worker_shares(struct share_worker *w, struct worker_share **ret_shares,
			 size_t *ret_count);
int share_worker_finish_build(struct share_worker *w, struct err *e);
int share_worker_parked_act(struct share_worker *w, const struct worker_parked_ask *ask,
			    int64_t *ret_applied, int64_t *ret_left, struct err *e);

/* ---- members: share_member.c ---- */
struct share_member;

struct share_member_status {
	enum worker_state state;
	enum err_kind kind;
	int exit_code;
	char message[WORKER_MESSAGE_SIZE];
	int64_t records, ignored, inexact, commits;
	size_t shares; /* that it has */
	bool copying;
	char reconciling[WORKER_TABLES_SIZE], notice[WORKER_NOTICE_SIZE];
	int64_t reconciling_since_us;
};

/* The options must outlive the member; `number` tells members of a process apart. */
int share_member_start(const struct worker_options *options, int number,
		       struct share_member **ret_member, struct err *e);
/* Asks it to end, and waits for that; what is complete is committed. */
void share_member_ask_to_stop(struct share_member *m);
void share_member_stop(struct share_member *m);
void share_member_status(struct share_member *m, struct share_member_status *ret_status);

/* ---- parked records: share_park.c ---- */
/* For the leader, under barrier `number`: does what is asked, in one transaction. The options are
 * the members' own. */
int share_park_act(const struct worker_options *options, struct share_link *link, int64_t number,
		   const struct worker_parked_ask *ask, int64_t *ret_applied, struct err *e);

#endif
