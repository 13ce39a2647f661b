/* postgresql_priv.h - between the files of the PostgreSQL store. */
#ifndef PROJECTIONS_STORE_POSTGRESQL_POSTGRESQL_PRIV_H
#define PROJECTIONS_STORE_POSTGRESQL_POSTGRESQL_PRIV_H

#include "core/postgresql/pg.h"
#include "projections/store/share.h"
#include "projections/store/postgresql/target.h"

#include <pthread.h>

/* The epoch that this process took of a version: whoever finds another one there is fenced. */
struct pg_taken {
	int version;
	int64_t epoch;
};

struct pg_store {
	struct store store;              /* first: a store is the address of this */
	const struct settings *settings; /* outlives the store */
	char *view;
	pthread_mutex_t lock;
	struct pg_taken *taken;
	size_t taken_count;
};

struct store_version {
	struct pg_store *store;
	struct pg *pg;
	struct pg_statement *mark;
	struct target_postgresql target;
	char *schema;
	int version;
	int64_t epoch;
	bool built, shared;
	bool saved; /* the transaction has a savepoint */
};

static inline struct pg_store *pg_store_of(struct store *s)
{
	return (struct pg_store *)s;
}

char *store_postgresql_schema(const struct pg_store *f, int version); /* malloced */
/* A connection whose plain names are those of the version's schema (NULL: none). */
int store_postgresql_connect(const struct pg_store *f, const char *schema, struct pg **ret_pg,
			     struct err *e);
/* Runs a script of a view's own, statement by statement; the transaction is the caller's. */
int store_postgresql_script(struct pg *pg, const char *origin, const char *text, struct err *e);
/* ERR_CONFIG: the schema is there, and not this capture's. *ret_there: it is there and ours. */
int store_postgresql_owned(const struct pg_store *f, struct pg *pg, const char *schema,
			   bool *ret_there, struct err *e);
/* Inside a transaction: nobody else has taken the version since we did; nobody can before it ends.
 * ERR_FATAL, EXIT_FENCED. */
int store_postgresql_ours(struct pg_store *f, struct pg *pg, const char *schema, int version,
			  struct err *e);
int store_postgresql_fenced(const char *where, struct err *e);
int64_t store_postgresql_epoch(struct pg_store *f, int version); /* 0: not taken */
void store_postgresql_set_epoch(struct pg_store *f, int version, int64_t epoch);
/* The last statement named a schema or table that isn't there: somebody has dropped it. */
bool store_postgresql_gone(const struct pg *pg);
/* Ends what may be open, whatever comes of it. */
void store_postgresql_undo_all(struct pg *pg);
int store_postgresql_info(const struct pg_result *r, size_t row, struct store_info *ret_info);
extern const char store_postgresql_info_columns[];

int store_postgresql_list(struct store *s, struct store_info **ret_infos, size_t *ret_count,
			  struct err *e);
int store_postgresql_create(struct store *s, const struct view *view, int version, bool swap,
			    struct err *e);
int store_postgresql_definition(struct store *s, int version, struct view_files *ret_files,
				struct err *e);
int store_postgresql_set_state(struct store *s, int version, enum store_state state, bool swap,
			       struct err *e);
int store_postgresql_remove(struct store *s, int version, struct err *e);
int store_postgresql_publish(struct store *s, int version, struct err *e);
/* Which capture a public name that is there belongs to; NULL: nobody said yet. Malloced. */
int store_postgresql_capture(const struct pg_store *f, struct pg *pg, char **ret_capture,
			     struct err *e);
int store_postgresql_unpublish(struct store *s, struct err *e);
int store_postgresql_amend(struct store *s, int version, const char *sql, const char *file,
			   const char *text, struct err *e);
/* How whatever changes the public views waits for those who read them. */
#define PUBLIC_LOCK_MS "20"        /* how long a reader may have to wait for a change that waits */
#define PUBLIC_TRY_FOR_US 20000000 /* then the job tries again; versions stand still meanwhile */
#define PUBLIC_BETWEEN_MS 60
/* Statements that lead the public views to that schema's tables as they are now. */
int store_postgresql_public_script(const struct pg_store *f, struct pg *pg, const char *schema,
				   struct buf *sql, struct err *e);
/* The version that the public name leads to; 0: none. */
int store_postgresql_public(const struct pg_store *f, struct pg *pg, int *ret_version,
			    struct err *e);
int store_postgresql_learn(struct store *s, int version, bool try, struct view *v, struct err *e);

int store_postgresql_version_open(struct store *s, int version, struct store_version **ret_version,
				  struct err *e);
/* The same for one of several writers: the epoch stays as it is. */
int store_postgresql_version_share(struct store *s, int version, struct store_version **ret_version,
				   struct err *e);
extern const struct share_store store_postgresql_shares;
void store_postgresql_version_close(struct store_version *v);
struct target *store_postgresql_target(struct store_version *v);
int store_postgresql_position(struct store_version *v, char **ret_text, struct err *e);
int store_postgresql_begin(struct store_version *v, struct err *e);
int store_postgresql_commit(struct store_version *v, const struct store_mark *mark, struct err *e);
void store_postgresql_rollback(struct store_version *v);
int store_postgresql_finish(struct store_version *v, const char *after_build_sql, struct err *e);
int store_postgresql_savepoint(struct store_version *v, struct err *e);
int store_postgresql_undo(struct store_version *v, struct err *e);

int store_postgresql_park(struct store_version *v, const struct store_parked *record,
			  struct err *e);
int store_postgresql_unpark(struct store_version *v, const struct store_parked *record,
			    struct err *e);
int store_postgresql_parked(struct store *s, int version,
			    bool (*each)(void *context, const struct store_parked *record),
			    void *context, struct err *e);
int store_postgresql_room(struct store *s, int version, int64_t *ret_used, int64_t *ret_free,
			  struct err *e);

int store_postgresql_snapshot(struct store *s, int version, struct store_snapshot **ret_snapshot,
			      struct err *e);
void store_postgresql_snapshot_close(struct store_snapshot *n);
void store_postgresql_snapshot_info(const struct store_snapshot *n, struct store_info *ret_info);
int store_postgresql_columns(struct store_snapshot *n, const char *table, char ***ret_names,
			     size_t *ret_count, struct err *e);
int store_postgresql_rows(struct store_snapshot *n, const char *table, char *const *columns,
			  size_t column_count, char *const *key, size_t key_count,
			  const struct value *after, struct store_rows **ret_rows, struct err *e);
int store_postgresql_next(struct store_rows *r, const struct value **ret_values, struct err *e);
void store_postgresql_rows_close(struct store_rows *r);
int store_postgresql_row_count(struct store_snapshot *n, const char *table, int64_t *ret_count,
			       struct err *e);

#endif
