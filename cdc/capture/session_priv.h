/* session_priv.h - shared by the files of a session: its loop (session.c), its start
 * (session_open.c, session_resume.c), its group commits (session_commit.c), and what comes up on
 * the way. */
#ifndef CDC_CAPTURE_SESSION_PRIV_H
#define CDC_CAPTURE_SESSION_PRIV_H

#include "cdc/copy/cascade.h"
#include "cdc/delivery/commit.h"
#include "cdc/delivery/commit_lists.h"
#include "cdc/copy/copy.h"
#include "cdc/delivery/delivery.h"
#include "cdc/copy/reconcile.h"
#include "cdc/capture/session.h"
#include "cdc/change/group.h"
#include "cdc/source/ahead.h"
#include "cdc/source/stream.h"

struct db;

struct session {
	const struct settings *configured;
	struct settings chosen;          /* the same, with the one server that is read */
	const struct settings *settings; /* that */
	/* capture.tables of before, for what is delivered once more; else empty */
	struct text_list redo_tables;
	struct report *report;
	const struct leader *leader;
	size_t server; /* of the configured source.host */
	struct admin *admin;
	struct registry *registry;
	struct delivery *delivery;
	struct publisher *publisher;
	struct catalog *catalog;
	struct group *group;
	struct stream *stream;
	struct copy *copy;
	struct reconcile *reconcile;
	struct cascade *cascade;
	struct command_box *commands; /* or NULL */
	struct position_copy *more; /* tables that the copy does not know */
	size_t more_count;
	struct position_prepared *prepared; /* XA transactions that may be committed yet */
	size_t prepared_count;
	struct xa_list unsettled;   /* committed in the stream, maybe not in the tables yet */
	struct xa_list suspects;    /* among them: not known to be committed */
	int64_t suspects_until_us;  /* monotonic */
	size_t unsettled_ask;       /* so many: the source is asked which of them still are */
	struct catalog *xa_catalog; /* of their tables; NULL until one was read again */

	/* Where we stand: between two source transactions, or inside one when `open_gtid` says so.
	 */
	struct gtid_set gtid_set;
	int64_t seq, commit_us, bytes_total, transactions_total;
	char *source;            /* server_id@host:port */
	bool mysql;              /* it is one of MySQL's */
	bool catalog_mode;       /* its binlog does not name columns (session_shapes.c) */
	bool hinted;             /* there are, or were, columns that it does not tell */
	struct ahead ahead;      /* how far it was read for statements */
	bool lost, refused_lost; /* no server has what follows our position (session_source.c) */
	struct buf fingerprint;
	char file[512];
	uint64_t file_position;
	uint32_t file_created; /* seconds of the source's clock; 0: not known */

	/* The source transaction in hand. */
	char open_gtid[GTID_ID_SIZE]; /* it was cut: the part up to open_changes is delivered; ""
				       */
	int64_t open_changes;
	int64_t part_seq; /* seq before the part that isn't committed yet */
	int64_t order;    /* of the last change taken from the group */

	struct commit_batch batch;
	struct commit_lists lists; /* as the commit records of this session say them */
	uint64_t cursor, released; /* in the ring */
	unsigned packets;          /* taken, for turn() */
	int64_t read_base_transactions, read_base_bytes; /* totals when the stream was opened */
	int64_t reported_us, committed_transactions, committed_bytes;
	struct buf gtid_text;
};

/* What is in hand becomes visible, with the position behind it. */
int session_commit(struct session *s, struct err *e);
/* at-least-once: commits what is in hand. Called before and behind what can't be made again by
 * reading the source again (a chunk), so that it is alone in its group commit. */
int session_apart(struct session *s, struct err *e);
/* (Re)opens the stream at gtid_set. */
int session_stream(struct session *s, struct err *e);
/* What table maps can't say, after DDL on a captured table: by a short connection of its own. */
int session_read_hints(struct session *s, struct err *e);
void session_progress(struct session *s, bool now);

/* ---- session_resume.c ----------------------------------------------------------------------- */

/* Tables of the source, as they are now. */
struct source_table {
	struct shape *shape;
	struct copy_source source;
};

struct source_tables {
	struct source_table *items;
	size_t count;
};

/* Goes on at the position, with these tables. *ret_new: there is one that the position doesn't
 * know. */
int session_resume(struct session *s, const struct position_record *position,
		   const struct source_tables *tables, bool *ret_new, struct err *e);

/* ---- session_shapes.c ----------------------------------------------------------------------- */

/* The position is known, the tables are read, the stream isn't open yet. present: where it begins,
 * if not at the position (what is between is lost); else NULL. */
int session_shapes_open(struct session *s, struct db *db, const struct position_record *position,
			const struct gtid_set *present, const struct source_tables *tables,
			struct err *e);
/* Before the position is written: each first copy's shape in force, which the registry has then. */
int session_shapes_keep(struct session *s, struct position_copy *copies, size_t count,
			struct err *e);
/* Behind a statement on a captured table. */
int session_shapes_ask(struct session *s, struct db *db, struct err *e);

/* s->xa_catalog, made anew, is for a group that stands at an older place: a table that was not
 * altered since looks as it does where the stream stands. Rows of others can't be known; they come
 * out as an effect. */
int session_shapes_back(struct session *s, const char *gtid_set, const char *file, int64_t offset,
			struct err *e);

/* ---- session_redo.c ------------------------------------------------------------------------- */

/* What delivery_resume() found to be delivered once more goes by the tables of then. */
void session_redo_open(struct session *s);
/* Between two source transactions: it is all there, and capture.tables says something else. */
bool session_redo_ends(const struct session *s);
void session_redo_done(struct session *s);

/* ---- session_source.c ----------------------------------------------------------------------- */

typedef int (*session_check_fn)(struct session *s, struct db *db, struct err *e);
/* Connects to the server that is to be read, and narrows s->settings to it. s->lost: none has what
 * follows the position, and source.lost says to go on. position NULL: there is none. */
int session_source_open(struct session *s, const struct position_record *position,
			session_check_fn check, struct db **ret_db, struct err *e);
/* Where the source is now. */
int session_source_present(struct db *db, struct gtid_set *set, struct err *e);
/* gtid_set is where the oldest binlog file begins. */
int session_source_oldest(struct session *s, struct db *db, struct err *e);
/* What to do where the binlog does not have what follows. EXIT_PURGED; returns -1. */
int session_source_refuse(struct err *e);
/* session_source_mysql.c: session_source_open()'s question, and session_source_oldest(). */
int session_source_check_mysql(struct session *s, struct db *db,
			       const struct position_record *position, struct err *e);
int session_source_oldest_mysql(struct session *s, struct db *db, struct err *e);
/* s->lost: the position moves to the present, and is written with the reconciling copies that are
 * queued. */
int session_source_move(struct session *s, const struct gtid_set *present, struct err *e);

/* ---- session_rows.c ------------------------------------------------------------------------- */

/* Everything that group_next() gives of `from` (s->group, or what s->group commits). What an
 * earlier part has delivered is passed over. */
int session_deliver_rows(struct session *s, struct group *from, struct err *e);
/* The group goes on in the next group commit. Position: before the group, plus the changes
 * delivered of it. */
int session_cut(struct session *s, struct err *e);

/* ---- session_effects.c ---------------------------------------------------------------------- */

int session_effect(struct session *s, const struct group_effect *effect, struct err *e);
/* Before the op t of a table that published events are bound to: its rows leave one by one
 * (session_leaves.c). */
int session_leaves(struct session *s, const struct group_effect *effect, const char *db,
		   const char *table, struct err *e);

/* ---- session_meet.c ------------------------------------------------------------------------- */

/* A table of the position that the source no longer has, or one that came by a statement: it counts
 * as copied. */
void session_more_table(struct session *s, const struct position_copy *known);
bool session_knows(struct session *s, const char *db, const char *table);
/* Does a table of this name exist now? Asked by its name, it waits for who is moving it. */
int session_exists(struct session *s, const char *db, const char *table, bool *ret_exists,
		   struct err *e);
int session_exists_on(struct db *source, const char *db, const char *table, bool *ret_exists,
		      struct err *e);
/* A table that came to be known is part of the next position. Without Kafka transactions its
 * records may outlive a crash that this position doesn't see: then it is committed now. next: the
 * order of the first change of this group that is not delivered yet. */
int session_remember(struct session *s, int64_t next, struct err *e);
/* One that is not known, and was created at this place. */
int session_created(struct session *s, const char *db, const char *table, int64_t next,
		    struct err *e);
/* One that is not known, and keeps its rows at this place; or a row of one that the copy doesn't
 * know. ERR_RETRY: it was hidden when the tables were listed, and the next session lists it. */
int session_meet_kept(struct session *s, const char *db, const char *table, struct err *e);
int session_meet_row(struct session *s, const struct change *row, struct err *e);
void session_meet_done(struct session *s);

/* ---- session_xa.c --------------------------------------------------------------------------- */

#define SESSION_PREPARED_MAX 10000

/* The group in hand ended in XA PREPARE: call before its GTID is added to gtid_set. */
int session_xa_prepare(struct session *s, struct err *e);
/* The group in hand is an XA COMMIT: delivers the rows of what was prepared. */
int session_xa_commit(struct session *s, struct err *e);
void session_xa_rollback(struct session *s);
void session_xa_resume(struct session *s, const struct position_record *position);
void session_xa_done(struct session *s);

/* ---- session_settle.c ----------------------------------------------------------------------- */

/* Before the stream is opened, the position is known. */
int session_settle_open(struct session *s, struct db *db, struct err *e);
/* The stream has seen XA COMMIT; XA PREPARE or XA ROLLBACK. */
void session_settle_commit(struct session *s, const char *xid);
void session_settle_other(struct session *s, const char *xid);
/* Between two source transactions: keeps the list short. */
int session_settle(struct session *s, struct err *e);
void session_settle_done(struct session *s);

/* ---- session_copy.c ------------------------------------------------------------------------- */

/* Between two source transactions: a step of the first copy, and the chunk that is ready. */
int session_copy(struct session *s, const struct copy_place *place, struct err *e);
/* A group begins: rests as long as the copy of a table without a key needs it to. */
int session_copy_hold(struct session *s, struct err *e);

/* ---- session_reconcile.c -------------------------------------------------------------------- */

/* Goes on with what the position holds; NULL: there is none. */
int session_reconcile_open(struct session *s, const struct position_record *position,
			   struct err *e);
/* Between two source transactions. */
int session_reconcile(struct session *s, const struct copy_place *place, struct err *e);
/* Does the commands that wait, between two source transactions (session_command.c). */
int session_commands(struct session *s, struct err *e);
/* The command "parked": fields id, action (retry or drop), force. */
int session_parked(struct session *s, const struct command *c, struct buf *out, struct err *e);
/* First and reconciling copies, for records. Valid until the next call. */
const struct position_copy *session_copies(struct session *s, size_t *ret_count);
const struct status_copy *session_copy_status(struct session *s, size_t *ret_count);

#endif
