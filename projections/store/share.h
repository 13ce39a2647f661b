/* share.h - a version that several members write side by side (order = partition, DESIGN 5.2).
 *
 * A share is one partition of one input topic. A version's database holds, beside its tables:
 *
 *   millrace_share      a row for each share: fencing epoch, position, seq, and what its member
 * says millrace_barrier    one row: where the leader wants all members to stand millrace_truncated
 * for each topic, the seq of the last TRUNCATE that was applied
 *
 * A member takes a share by raising its epoch. It commits rows and the positions of its shares in
 * one store transaction, and only while all their epochs are its own: whoever lost a share (another
 * member took it) can't commit any more. Between taking and losing it nobody else changes the row's
 * position, so what it read when it took the share is where it goes on.
 *
 * A barrier asks all members to stand: first wherever they are, then at a seq, or at a GTID set,
 * that all of them come to. A member that stands says so in its shares' rows, with the barrier's
 * number, and commits nothing before it is lowered or its time is over (by the store's clock).
 * Taking a share clears what was said: its new member must see the barrier itself before it
 * commits. So a barrier holds when every row says its number and the same seq, and its time is not
 * over.
 *
 * share_*.c writes all that in SQL that stores with transactions and row locks share; a store gives
 * `struct share_store`. */
#ifndef PROJECTIONS_STORE_SHARE_H
#define PROJECTIONS_STORE_SHARE_H

#include "projections/store/store.h"

#define SHARE_MEMBER_SIZE 160
#define SHARE_TROUBLE_SIZE 1024

/* The answer of a statement, as text; all of it in memory: for bookkeeping only. */
struct share_rows {
	char **cells; /* row by row; NULL: an SQL NULL. Each malloced */
	size_t columns, rows;
};

/* What a store has to give. The connection of a version that was opened here belongs to one thread;
 * begin, rollback, target, finish and version_close of the store's own ops work on it. */
struct share_store {
	enum share_dialect { SHARE_POSTGRESQL, SHARE_MYSQL } dialect;
	/* A version to be written by one of several members: nobody is fenced, and nobody who opens
	 * it so fences this one. Unqualified names mean the version's tables. READ COMMITTED. What
	 * it leaves idle in a transaction is ended by the server after some seconds, so that a
	 * member that stands still doesn't keep its row locks. */
	int (*open)(struct store *s, int version, struct store_version **ret_version,
		    struct err *e);
	/* One statement, inside the transaction where one is open. Either result may be NULL. A
	 * deadlock, a lock timeout, a connection that is gone: ERR_RETRY. */
	int (*run)(struct store_version *v, const char *sql, struct share_rows *ret_rows,
		   int64_t *ret_affected, struct err *e);
	/* Ends what begin() began, flushed, without a mark. It is over either way. */
	int (*commit)(struct store_version *v, struct err *e);
	/* What readers of the version are told: `mark` into its own bookkeeping (millrace_view), by
	 * itself. For the leader, while a barrier holds, and about once a second. */
	int (*mark)(struct store_version *v, const struct store_mark *mark, struct err *e);
};

void share_rows_done(struct share_rows *r);

struct share_name {
	const char *topic;
	int32_t partition;
};

/* A row of millrace_share. */
struct share {
	char *topic;
	int32_t partition;
	int64_t epoch; /* 0: nobody has taken it yet */
	int64_t seq, commit_us;
	char *position; /* intake_position_write, of this partition alone; NULL: the beginning */
	int64_t applied_to; /* every change below this seq is applied; more than seq + 1 only while
			       its member waits at a TRUNCATE */
	int64_t barrier;    /* number of the barrier at which it stands; 0: none */
	/* what its member said last */
	int64_t said_us, delivered_seq, delivered_us; /* said_us: the store's clock */
	int64_t left;                                 /* records still to be read, about */
	bool caught_up;
	char *member;  /* host, process and thread, for people; "" */
	char *trouble; /* why it can't go on; "" */
};

void share_list_free(struct share *shares, size_t count);

/* What a member says of a share at a commit. */
struct share_mark {
	struct share_name name;
	int64_t epoch; /* as it was taken */
	int64_t seq, commit_us;
	struct slice position;
	int64_t delivered_seq, delivered_us, left;
	bool caught_up;
};

struct share_barrier {
	int64_t number;      /* 0: there never was one */
	int64_t seq;         /* where to stand; -1: anywhere, or at gtid_set */
	char gtid_set[1024]; /* "" none. Longer ones are refused by share_raise() */
	int64_t left_us;     /* until its time is over; 0 or less: it is, or it was lowered */
	bool built;          /* the build of the version has ended */
};

/* A member's (or the leader's) connection to a version: one thread. */
struct share_link;

/* `member` is copied. ERR_CONFIG: the store has one writer. */
int share_open(struct store *s, int version, const char *member, struct share_link **ret_link,
	       struct err *e);
void share_close(struct share_link *l); /* NULL is fine; rolls back */
struct target *share_target(struct share_link *l);
struct store_version *share_version(struct share_link *l);

/* Makes the tables, and a row for each name that has none. */
int share_ensure(struct share_link *l, const struct share_name *names, size_t count, struct err *e);
/* Raises the epochs of these shares (all rows exist), clears what was said of them, and tells where
 * they stand, in the order of `names`. Free with share_list_free(). */
int share_take(struct share_link *l, const struct share_name *names, size_t count,
	       struct share **ret_shares, struct err *e);
/* All shares, by topic and partition. */
int share_list(struct share_link *l, struct share **ret_shares, size_t *ret_count, struct err *e);

int share_begin(struct share_link *l, struct err *e);
void share_rollback(struct share_link *l);
/* Commits what was begun, with the positions of these shares. SHARE_LOST(e): another member has
 * taken one of them; nothing was committed. */
int share_commit(struct share_link *l, const struct share_mark *marks, size_t count, struct err *e);
bool share_lost(const struct err *e); /* ERR_RETRY, EXIT_FENCED */

/* Says of shares that they stand at barrier `number` (0: at none), and `trouble` ("" none). */
int share_say(struct share_link *l, const struct share_mark *marks, size_t count, int64_t number,
	      const char *trouble, struct err *e);

int share_barrier(struct share_link *l, struct share_barrier *ret_barrier, struct err *e);
/* A new barrier in place of the one that is up. *ret_number: its number. */
int share_raise(struct share_link *l, int64_t seq, const char *gtid_set, int64_t limit_us,
		int64_t *ret_number, struct err *e);
int share_lower(struct share_link *l, struct err *e);
int share_set_built(struct share_link *l, struct err *e);

/* A TRUNCATE of `topic` at `seq`, met by a member all of whose rows before it are committed. 1: it
 * is done, go on behind it. 0: not all members of that topic have come to it. 2: all have, and it
 * is this member's to apply: a transaction is open; run the handler, then share_truncated_commit().
 */
int share_truncate(struct share_link *l, const char *topic, int64_t seq,
		   const struct share_mark *marks, size_t count, struct err *e);
int share_truncated_commit(struct share_link *l, struct err *e);

/* Begins a transaction beside which no member can write: barrier `number`, at which all stand,
 * stays up or is waited for by whoever goes on (share_await_alone). ERR_RETRY: it is over. */
int share_begin_alone(struct share_link *l, int64_t number, struct err *e);
int share_commit_alone(struct share_link *l, struct err *e);
/* Waits for the end of such a transaction, and reads the barrier. While the caller's shares don't
 * say that they stand at it, none begins. */
int share_await_alone(struct share_link *l, struct share_barrier *ret_barrier, struct err *e);

/* A table was emptied: drops what is parked of its topic from before `seq`, in the transaction of
 * the TRUNCATE. */
int share_unpark(struct share_link *l, const char *topic, int64_t seq, int64_t *ret_dropped,
		 struct err *e);
/* Records of the version that are parked (store.h), and those of them behind others. */
int share_count_parked(struct share_link *l, int64_t *ret_parked, int64_t *ret_behind,
		       struct err *e);

/* The version's own bookkeeping: share_store.mark. */
int share_mark_version(struct share_link *l, const struct store_mark *mark, struct err *e);

#endif
