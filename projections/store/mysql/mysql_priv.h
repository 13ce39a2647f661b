/* mysql_priv.h - between the files of the MariaDB and MySQL store. */
#ifndef PROJECTIONS_STORE_MYSQL_MYSQL_PRIV_H
#define PROJECTIONS_STORE_MYSQL_MYSQL_PRIV_H

#include "core/mysql/db_store.h"
#include "projections/store/mysql/sql.h"
#include "projections/store/share.h"
#include "projections/store/store.h"

#include <pthread.h>

/* In the public database: they sort before all other names there. */
#define MYDB_GATE "!millrace"
#define MYDB_GATE_AWAY "!millrace_"

struct mydb_opened {
	int version;
	int64_t made_us; /* of the version: another of that number is another */
	int64_t epoch;   /* that this process raised it to */
};

struct mydb_store {
	struct store store; /* first: a store is the address of this */
	const struct settings *settings;
	const char *role; /* "mariadb" or "mysql": name of the store, and section of its settings */
	char *view, *owner; /* owner: millrace.name */
	char *grants;
	pthread_mutex_t lock;
	/* under lock */
	struct mydb_opened *opened;
	size_t opened_count;
	int *leaving; /* versions that are removed as soon as nobody reads them */
	size_t leaving_count;
	bool leaver_runs, stop;
	pthread_cond_t changed;
	pthread_t leaver;
};

static inline struct mydb_store *mydb_store_of(struct store *s)
{
	return (struct mydb_store *)s;
}

/* ---- mysql/server.c: which server it is ---- */
void mydb_login(const struct mydb_store *m, struct db_login *ret_login);
/* A connection for one call; the server's kind is looked at. database NULL: none. */
int mydb_connect(const struct mydb_store *m, const char *database, struct db **ret_db,
		 struct err *e);
/* ERR_CONFIG: the store's server is the source, or may be. */
int mydb_refuse_source(const struct mydb_store *m, struct db *db, struct err *e);

/* ---- mysql/store.c ---- */
char *mydb_database(const struct mydb_store *m, int version); /* malloced */
/* printf, then db_run. %s are taken as they are: names by mydb_quoted(). */
int mydb_run(struct db *db, struct err *e, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int mydb_get_int(struct db *db, int64_t *ret_value, struct err *e, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
char *mydb_quoted(const char *name);  /* `name`, malloced */
char *mydb_literal(const char *text); /* 'text', malloced */
/* Are texts equal there only where their bytes are, blanks at the end included? Of a column's
 * COLLATION_NAME, "" where it has none. */
bool mydb_is_exact(struct slice collation);
/* First column of all rows. Free with view_names_free(). */
int mydb_get_names(struct db *db, char ***ret_names, size_t *ret_count, struct err *e,
		   const char *format, ...) __attribute__((format(printf, 5, 6)));
int mydb_set_state(struct db *db, const char *database, enum store_state state, bool swap,
		   struct err *e);

/* ---- mysql/list.c ---- */
/* 1: read; 0: no such version, or never completely made. ERR_CONFIG: it is somebody else's. */
int mydb_info(const struct mydb_store *m, struct db *db, int version, struct store_info *ret_info,
	      struct err *e);
int mydb_infos(struct mydb_store *m, struct db *db, struct store_info **ret_infos,
	       size_t *ret_count, struct err *e);
/* Numbers of all databases VIEW_v1 ..., whatever they hold. Caller frees. */
int mydb_numbers(const struct mydb_store *m, struct db *db, int **ret_numbers, size_t *ret_count,
		 struct err *e);
/* The tables that tables.sql made, by name. */
int mydb_tables(struct db *db, const char *database, char ***ret_names, size_t *ret_count,
		struct err *e);
int store_mysql_list(struct store *s, struct store_info **ret_infos, size_t *ret_count,
		     struct err *e);
int store_mysql_definition(struct store *s, int version, struct view_files *ret_files,
			   struct err *e);

/* ---- mysql/make.c ---- */
int store_mysql_create(struct store *s, const struct view *view, int version, bool swap,
		       struct err *e);
/* The statements of tables.sql. What the server says of one is a mistake in that file, unless it
 * heals or is a matter of rights. */
int mydb_run_tables(struct db *db, const char *script, struct err *e);

/* ---- mysql/learn.c ---- */
int store_mysql_learn(struct store *s, int version, bool try, struct view *v, struct err *e);

/* ---- mysql/remove.c ---- */
#define MYDB_DROP_TRIES 5

int store_mysql_remove(struct store *s, int version, struct err *e);
/* 1: the database is there and ours to remove; 0: not there. ERR_CONFIG: it is somebody else's. */
int mydb_look_at(const struct mydb_store *m, struct db *db, const char *database, struct err *e);
/* Tables and database; `other`: as db_store_run_within() needs it. */
int mydb_drop(struct db *db, struct db *other, const char *database, struct err *e);
/* With some patience for readers. ERR_RETRY: somebody still reads. */
int mydb_drop_patiently(const struct mydb_store *m, const char *database, int tries, struct err *e);
/* The thread that removes what is still read has nothing to do with this version any more. */
void mydb_no_longer_leaving(struct mydb_store *m, int version);
/* What removals that were broken off have left goes later. For whoever has the view's lease, while
 * no version is made. */
int mydb_remove_left(struct mydb_store *m, struct db *db, struct err *e);
void mydb_leaver_stop(struct mydb_store *m);

/* ---- mysql/public.c ---- */
/* The version that the public name leads to; 0: none. */
int mydb_live(const struct mydb_store *m, struct db *db, int *ret_version, struct err *e);
int store_mysql_publish(struct store *s, int version, struct err *e);
/* The public name is whole, with all columns that the live version has, and nothing is left of a
 * swap that was broken off. For whoever has the view's lease. */
int mydb_mend(struct mydb_store *m, int live, struct err *e);

/* ---- mysql/unpublish.c ---- */
int store_mysql_unpublish(struct store *s, struct err *e);

/* ---- mysql/amend.c ---- */
int store_mysql_amend(struct store *s, int version, const char *sql, const char *file,
		      const char *text, struct err *e);

/* ---- mysql/target.c ---- */
#define MYSQL_RUNS_MAX 16

/* Rows that wait for more rows of the same statement. */
struct mydb_run {
	const struct mydb_sql *sql; /* of the first row; NULL: free */
	struct target_statement *load; /* they are as LOAD DATA takes them; NULL: literals */
	size_t rows;
	struct buf text;
};

struct target_mysql {
	struct target target; /* first: a target is the address of this */
	struct db *db;        /* not owned */
	struct buf out;       /* statements, each ended by ';' */
	struct mydb_run runs[MYSQL_RUNS_MAX];
	size_t run_count;
	size_t held, held_max, packet_max; /* bytes */
	bool apart; /* tables have nothing to do with each other: no foreign keys, no triggers */
	bool loads; /* many rows of a table go by LOAD DATA: while a version is built (load.h) */
	struct mydb_run loading; /* what is on its way; sql NULL: nothing, or other statements */
	bool failed;             /* what came before the end of a run; told with the next send */
	struct err err;
};

/* Asks the server what it may take at once, and how its tables hang together. */
int target_mysql_open(struct target_mysql *t, struct db *db, struct err *e);
void target_mysql_done(struct target_mysql *t);
void target_mysql_drop(struct target_mysql *t); /* what is held back will never run */
/* The same, and waits for what is on its way, whatever becomes of it. */
void target_mysql_abandon(struct target_mysql *t);
/* A statement of the store's own, in order with what is held back. */
void target_mysql_add(struct target_mysql *t, const char *sql);
int target_mysql_send(struct target_mysql *t, struct err *e); /* all of it; doesn't wait */
/* Rows may go by LOAD DATA, where the server and the tables allow it. */
int target_mysql_allow_loads(struct target_mysql *t, struct err *e);

/* ---- mysql/version.c ---- */
struct store_version {
	struct mydb_store *store;
	struct db *db;
	struct target_mysql target;
	char *database, *place; /* place: for messages */
	int64_t epoch;
	int64_t finished, finishing; /* statements behind "after build" */
	bool built, shared, open;
};

int store_mysql_version_open(struct store *s, int version, struct store_version **ret_version,
			     struct err *e);
/* The same; shared: without taking its epoch. */
int mydb_version_open(struct store *s, int version, bool shared,
		      struct store_version **ret_version, struct err *e);
/* Appends the statement that a commit writes its mark with. */
void mydb_version_mark(const struct store_version *v, const struct store_mark *mark,
		       struct buf *sql);
void store_mysql_version_close(struct store_version *v);
struct target *store_mysql_target(struct store_version *v);
int store_mysql_position(struct store_version *v, char **ret_text, struct err *e);
int store_mysql_begin(struct store_version *v, struct err *e);
int store_mysql_commit(struct store_version *v, const struct store_mark *mark, struct err *e);
void store_mysql_rollback(struct store_version *v);
int store_mysql_finish(struct store_version *v, const char *after_build_sql, struct err *e);
int store_mysql_savepoint(struct store_version *v, struct err *e);
int store_mysql_undo(struct store_version *v, struct err *e);

/* ---- mysql/share.c ---- */
extern const struct share_store store_mysql_shares;

/* ---- mysql/parked.c ---- */
int store_mysql_park(struct store_version *v, const struct store_parked *record, struct err *e);
int store_mysql_unpark(struct store_version *v, const struct store_parked *record, struct err *e);
int store_mysql_parked(struct store *s, int version,
		       bool (*each)(void *context, const struct store_parked *record),
		       void *context, struct err *e);
int store_mysql_room(struct store *s, int version, int64_t *ret_used, int64_t *ret_free,
		     struct err *e);

/* ---- mysql/read.c ---- */
struct store_snapshot {
	struct db *db;
	char *database;
	struct store_info info;
};

int store_mysql_snapshot(struct store *s, int version, struct store_snapshot **ret_snapshot,
			 struct err *e);
void store_mysql_snapshot_close(struct store_snapshot *n);
void store_mysql_snapshot_info(const struct store_snapshot *n, struct store_info *ret_info);
int store_mysql_columns(struct store_snapshot *n, const char *table, char ***ret_names,
			size_t *ret_count, struct err *e);
int store_mysql_row_count(struct store_snapshot *n, const char *table, int64_t *ret_count,
			  struct err *e);

/* ---- mysql/rows.c ---- */
int store_mysql_rows(struct store_snapshot *n, const char *table, char *const *columns,
		     size_t column_count, char *const *key, size_t key_count,
		     const struct value *after, struct store_rows **ret_rows, struct err *e);
int store_mysql_next(struct store_rows *r, const struct value **ret_values, struct err *e);
void store_mysql_rows_close(struct store_rows *r);

#endif
