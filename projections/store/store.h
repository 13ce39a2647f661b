/* store.h - where the versions of a view live: rows, position and definition together
 * (DESIGN 5.2, 5.3).
 *
 * A store holds all versions of one view. Each version has its own tables, written by one thread
 * through a store_version; others read it through snapshots. Kinds of stores differ only below
 * `struct store_ops`; projections/store/store_sqlite.c says how SQLite keeps what is promised here:
 *   - rows and position are committed together, or neither;
 *   - two writers can't both commit to one version: opening it for writing fences the one before
 * (ERR_FATAL, EXIT_FENCED);
 *   - the public name always leads to a whole version, also while it is being changed and after a
 * crash. */
#ifndef PROJECTIONS_STORE_STORE_H
#define PROJECTIONS_STORE_STORE_H

#include "core/base/settings.h"
#include "projections/apply/target.h"
#include "projections/apply/view.h"
#include "projections/store/normal.h"

enum store_state {
	STORE_BUILDING,
	STORE_READY,
	STORE_LIVE,
	STORE_SUPERSEDED,
	STORE_FAILED,
	STORE_AS_OF /* the view as it was: built up to a moment, not applied any further */
};

const char *store_state_name(enum store_state state); /* "building", ... */
enum store_state store_state_of(struct slice name);   /* another name: STORE_FAILED */

struct store_info {
	int version; /* from 1 */
	enum store_state state;
	char fingerprint[VIEW_FINGERPRINT_SIZE];
	int64_t made_us;       /* wall clock when the build began */
	int64_t superseded_us; /* when the public name went to another version; 0: not */
	int64_t seq, commit_us;
	char gtid_set[1024]; /* to be shown: gtid_text_cut */
	bool built;          /* the build has ended: indexes made, everything on disk */
	bool swap;           /* goes live by itself when it is ready */
	bool stale; /* its build may be damaged (the machine went down): begin again from nothing */
};

/* What is stored with the rows at each commit. */
struct store_mark {
	struct slice position; /* intake_position_write */
	int64_t seq, commit_us;
	const char *gtid_set;
};

/* A record that could not be applied and is kept whole beside the rows. Its place in its topic
 * (topic, partition, offset) is its name. */
struct store_parked {
	int64_t seq;
	const char *topic;
	int32_t partition;
	int64_t offset;
	int32_t schema_id;
	struct slice key;   /* as it stands in the topic; data NULL: none */
	struct slice value; /* without the wire header */
	int64_t at_us;      /* wall clock when it was parked */
	bool behind;        /* parked only because an earlier record of its key is */
	const char *reason; /* why; of one that is behind another: which */
};

/* The number of a version that is made to try a definition on, or to run its test cases: never
 * listed, never public. Its name in the store holds the process's id, so that two that try don't
 * meet; whoever made it removes it. */
#define STORE_SCRATCH 0

struct store {
	const struct store_ops *ops;
};
struct store_version;
struct store_snapshot;
struct store_rows;
struct share_store;

/* What is asked while a snapshot is taken, by the thread that takes it: whoever holds the version
 * holds it on. -1: give up. */
struct store_still {
	int (*ask)(void *context, struct err *e);
	void *context;
};

struct store_ops {
	const char *name; /* as in view.conf */
	/* A snapshot sees what is written later: whoever needs one moment holds the version while
	 * it reads. */
	bool moving;
	/* Makes the place when it is missing. One process at a time may write (lease.h); any may
	 * take snapshots. */
	int (*open)(const struct settings *settings, const char *view, struct store **ret_store,
		    struct err *e);
	void (*close)(struct store *s);
	/* All versions, by number; caller frees. Versions that were never completely made are left
	 * out. */
	int (*list)(struct store *s, struct store_info **ret_infos, size_t *ret_count,
		    struct err *e);
	/* Makes a version's tables and bookkeeping, state building. What a broken attempt left of
	 * that number is removed. */
	int (*create)(struct store *s, const struct view *view, int version, bool swap,
		      struct err *e);
	int (*definition)(struct store *s, int version, struct view_files *ret_files,
			  struct err *e);
	int (*set_state)(struct store *s, int version, enum store_state state, bool swap,
			 struct err *e);
	int (*remove)(struct store *s, int version, struct err *e);
	/* Leads the public name to `version` (which is built) at once, and marks the one before
	 * superseded. */
	int (*publish)(struct store *s, int version, struct err *e);
	/* Takes the public name away, because the view is gone: its versions are removed next,
	 * also the one that was live. Without a public name: nothing. NULL: it goes with the
	 * version that is live, or (SQLite) is a name in the state folder. */
	int (*unpublish)(struct store *s, struct err *e);
	/* Where a reader finds the version: a path, a schema, a database. Malloced. */
	char *(*place)(const struct store *s, int version);
	/* A version whose tables get columns in place (kind mirror), while it has no writer: runs
	 * the statements, ALTER TABLE ... ADD COLUMN each, replaces `file` of the definition, and
	 * where the version is live leads the public name to the new columns, without a reader
	 * noticing. A crash between leaves what a second call completes: a column that is there
	 * already is no error. NULL: only a new version can have them. */
	int (*amend)(struct store *s, int version, const char *sql, const char *file,
		     const char *text, struct err *e);
	/* Learns a view's tables from those that `version` has: view_learn_table(), ..._column()
	 * and ..._key() for each, then view_learn_end(); with `try`, its handlers are prepared
	 * there too. NULL: the view knows them as soon as it is read (SQLite). */
	int (*learn)(struct store *s, int version, bool try, struct view *v, struct err *e);

	int (*version_open)(struct store *s, int version, struct store_version **ret_version,
			    struct err *e);
	void (*version_close)(struct store_version *v); /* NULL is fine; rolls back */
	struct target *(*target)(struct store_version *v);
	/* The stored position, malloced; NULL at the beginning. */
	int (*position)(struct store_version *v, char **ret_text, struct err *e);
	int (*begin)(struct store_version *v, struct err *e);
	int (*commit)(struct store_version *v, const struct store_mark *mark, struct err *e);
	void (*rollback)(struct store_version *v);
	/* Between two source transactions inside a store transaction: for a store whose own
	 * transactions are smaller than that. NULL: not needed. */
	int (*border)(struct store_version *v, struct err *e);
	/* The build has ended: secondary indexes, then everything onto the disk. Does nothing the
	 * second time. */
	int (*finish)(struct store_version *v, const char *after_build_sql, struct err *e);

	/* The rows as they are now, for as long as the snapshot is open. Any thread. */
	int (*snapshot)(struct store *s, int version, struct store_snapshot **ret_snapshot,
			struct err *e);
	/* For a store whose snapshot takes as long as reading all rows does: calls `still` every
	 * few seconds meanwhile, and ends with its error. NULL: snapshot() is done at once. Through
	 * store_snapshot(). */
	int (*snapshot_slow)(struct store *s, int version, const struct store_still *still,
			     struct store_snapshot **ret_snapshot, struct err *e);
	void (*snapshot_close)(struct store_snapshot *n);
	void (*snapshot_info)(const struct store_snapshot *n, struct store_info *ret_info);
	/* Names of a table's columns, in order; count 0: there is no such table. Free with
	 * view_names_free(). */
	int (*columns)(struct store_snapshot *n, const char *table, char ***ret_names,
		       size_t *ret_count, struct err *e);
	/* Rows with these columns in normal form, ordered by `key` (both: normal.h). after: values
	 * of the key columns, in normal form; only rows behind them (NULL: all rows). They are read
	 * while next() is called, with bounded memory, and closing early costs no more than some
	 * thousand rows: verify reads a large table in pieces. */
	int (*rows)(struct store_snapshot *n, const char *table, char *const *columns,
		    size_t column_count, char *const *key, size_t key_count,
		    const struct value *after, struct store_rows **ret_rows, struct err *e);
	/* Returns 1 and a row (valid until the next call), 0 at the end, -1 on error. */
	int (*next)(struct store_rows *r, const struct value **ret_values, struct err *e);
	void (*rows_close)(struct store_rows *r);
	int (*row_count)(struct store_snapshot *n, const char *table, int64_t *ret_count,
			 struct err *e);
	/* order = partition (share.h). NULL: a version has one writer here. */
	const struct share_store *shares;

	/* ---- records that can't be applied (worker.h). park NULL: the store keeps none, and a
	 * view there stops at the first ---- */
	/* Between begin and commit: keeps the record, in the same transaction as rows and position;
	 * one that is kept already gets this reason, `behind` and time. */
	int (*park)(struct store_version *v, const struct store_parked *record, struct err *e);
	/* Between begin and commit: keeps it no longer. */
	int (*unpark)(struct store_version *v, const struct store_parked *record, struct err *e);
	/* What is kept as of the last commit, by seq and within a seq as parked; `each` returns
	 * false to stop. Any thread. A version of a release that parked nothing has none. */
	int (*parked)(struct store *s, int version,
		      bool (*each)(void *context, const struct store_parked *record),
		      void *context, struct err *e);
	/* Between begin and commit: `undo` takes back all that was executed since `savepoint`, and
	 * only that; one savepoint at a time, the next one replaces it. What was held back has run
	 * (target's flush) before either is called. NULL: nothing can be taken back; what a record
	 * did before it failed stays, and the store says what that means. */
	int (*savepoint)(struct store_version *v, struct err *e);
	int (*undo)(struct store_version *v, struct err *e);
	/* Bytes that the version takes, indexes included, and bytes that can still be written where
	 * versions are made; -1: not known. NULL: neither is. Any thread. */
	int (*room)(struct store *s, int version, int64_t *ret_used, int64_t *ret_free,
		    struct err *e);
};

extern const struct store_ops store_sqlite;
extern const struct store_ops store_dynamo;
extern const struct store_ops store_mariadb, store_mysql;
extern const struct store_ops store_postgresql;

int store_snapshot(struct store *s, int version, const struct store_still *still,
		   struct store_snapshot **ret_snapshot, struct err *e);
/* One of those listed; ERR_CONFIG: there is no such version. Reads no rows, as a snapshot may. */
int store_info_of(struct store *s, int version, struct store_info *ret_info, struct err *e);

/* What stores share. The name becomes part of other names, and may come from a command line:
 * ERR_CONFIG unless it is a plain one (view_is_plain) of at most that many characters that doesn't
 * begin with a dot. */
int store_check_name(const char *view, size_t longest, struct err *e);
void store_sort_infos(struct store_info *infos, size_t count); /* by version */
/* Gives `each` the record with these as its texts, which need no end of their own. */
bool store_tell_parked(struct store_parked record, struct slice topic, struct slice reason,
		       bool (*each)(void *context, const struct store_parked *record),
		       void *context);
/* The same of values: topic, partition, offset, seq, schema_id, key, value, at_us, behind, reason.
 */
bool store_tell_parked_values(const struct value values[10],
			      bool (*each)(void *context, const struct store_parked *record),
			      void *context);

/* The store of that name; ERR_CONFIG names those there are. */
int store_named(const char *name, const struct store_ops **ret_ops, struct err *e);
/* The store that the view's versions live in, by the note in millrace.state; where there is none
 * yet, by view.conf in project.views. */
int store_of(const struct settings *settings, const char *view, const struct store_ops **ret_ops,
	     struct err *e);
/* The view that a version was built with, as its definition stands. */
int store_view(struct store *s, const char *name, int version, struct view **ret_view,
	       struct err *e);
/* Writes that note, once. ERR_CONFIG: another store is noted, so that the versions there would be
 * forgotten. For whoever has the view's lease. */
int store_note(const struct settings *settings, const char *view, const struct store_ops *ops,
	       struct err *e);
/* Learns a view that isn't yet: its tables are made in a scratch version and removed again, its
 * handlers are tried there. Mistakes in the definition are ERR_CONFIG, all of them. */
int store_try(struct store *s, struct view *v, struct err *e);

#endif
