/* sqlite_priv.h - between the files of the SQLite store. */
#ifndef PROJECTIONS_STORE_SQLITE_SQLITE_PRIV_H
#define PROJECTIONS_STORE_SQLITE_SQLITE_PRIV_H

#include "projections/store/store.h"

struct store_files {
	struct store store; /* first: a store is the address of this */
	char *state_dir, *view;
	char *dir;         /* state_dir/views/VIEW */
	char *public_path; /* state_dir/VIEW.db */
};

static inline struct store_files *store_files_of(struct store *s)
{
	return (struct store_files *)s;
}

/* A version file, opened by the thread that writes it. */
struct store_version {
	struct sql_db *db;
	struct sql_statement *begin, *commit, *rollback, *mark;
	struct target_sqlite target;
	int64_t epoch;
	char *path, *dir;
	bool built;
	bool saved; /* there is a savepoint */
};

char *store_sqlite_path(const struct store_files *f, int version); /* malloced */
/* fsync of a folder. Never of a version's file: closing it would let go of the locks that SQLite
 * has on it in this process (fcntl(2)); sql_sync() is for that. */
int store_sqlite_sync(const char *path, struct err *e);
static inline struct value store_sqlite_text(const char *text)
{
	return (struct value){ .kind = VALUE_TEXT, .bytes = slice_str(text) };
}

static inline struct value store_sqlite_int(int64_t i)
{
	return (struct value){ .kind = VALUE_INT, .i = i };
}

/* ---- what there is (list.c) ---- */
/* The kernel's id of this run of the machine (random(4)). */
void store_sqlite_boot(char *ret_boot, size_t size);
bool store_sqlite_stale(const char *boot); /* it is not the running kernel's */
/* The version that the public name leads to; 0: none. */
int store_sqlite_live(const struct store_files *f, int *ret_version, struct err *e);
int store_sqlite_info(struct sql_db *db, struct store_info *ret_info, struct err *e);
/* 1: read; 0: the file was never completely made; -1: error. */
int store_sqlite_read_info(const struct store_files *f, int version, struct store_info *ret_info,
			   struct err *e);
int store_sqlite_list(struct store *s, struct store_info **ret_infos, size_t *ret_count,
		      struct err *e);

/* ---- making and removing (make.c) ---- */
int store_sqlite_create(struct store *s, const struct view *view, int version, bool swap,
			struct err *e);
int store_sqlite_remove(struct store *s, int version, struct err *e);
int store_sqlite_definition(struct store *s, int version, struct view_files *ret_files,
			    struct err *e);

/* ---- states and the public name (public.c) ---- */
/* One statement with parameters, which changes one row or more. */
int store_sqlite_change(struct sql_db *db, const char *sql, const struct value *values, int count,
			struct err *e);
int store_sqlite_set_state(struct store *s, int version, enum store_state state, bool swap,
			   struct err *e);
int store_sqlite_publish(struct store *s, int version, struct err *e);
int store_sqlite_amend(struct store *s, int version, const char *sql, const char *file,
		       const char *text, struct err *e);

/* ---- a version that is written (version.c) ---- */
int store_sqlite_version_open(struct store *s, int version, struct store_version **ret_version,
			      struct err *e);
void store_sqlite_version_close(struct store_version *v);
struct target *store_sqlite_target(struct store_version *v);
int store_sqlite_position(struct store_version *v, char **ret_text, struct err *e);
int store_sqlite_begin(struct store_version *v, struct err *e);
int store_sqlite_commit(struct store_version *v, const struct store_mark *mark, struct err *e);
void store_sqlite_rollback(struct store_version *v);
int store_sqlite_finish(struct store_version *v, const char *after_build_sql, struct err *e);

/* ---- reading (read.c) ---- */
int store_sqlite_snapshot(struct store *s, int version, struct store_snapshot **ret_snapshot,
			  struct err *e);
void store_sqlite_snapshot_close(struct store_snapshot *n);
void store_sqlite_snapshot_info(const struct store_snapshot *n, struct store_info *ret_info);
int store_sqlite_columns(struct store_snapshot *n, const char *table, char ***ret_names,
			 size_t *ret_count, struct err *e);
int store_sqlite_rows(struct store_snapshot *n, const char *table, char *const *columns,
		      size_t column_count, char *const *key, size_t key_count,
		      const struct value *after, struct store_rows **ret_rows, struct err *e);
int store_sqlite_next(struct store_rows *r, const struct value **ret_values, struct err *e);
void store_sqlite_rows_close(struct store_rows *r);
int store_sqlite_row_count(struct store_snapshot *n, const char *table, int64_t *ret_count,
			   struct err *e);

/* ---- parked records, and room (parked.c) ---- */
int store_sqlite_park(struct store_version *v, const struct store_parked *record, struct err *e);
int store_sqlite_unpark(struct store_version *v, const struct store_parked *record, struct err *e);
int store_sqlite_parked(struct store *s, int version,
			bool (*each)(void *context, const struct store_parked *record),
			void *context, struct err *e);
int store_sqlite_savepoint(struct store_version *v, struct err *e);
int store_sqlite_undo(struct store_version *v, struct err *e);
int store_sqlite_room(struct store *s, int version, int64_t *ret_used, int64_t *ret_free,
		      struct err *e);

#endif
