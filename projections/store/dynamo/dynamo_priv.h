/* dynamo_priv.h - between the files of the DynamoDB store. */
#ifndef PROJECTIONS_STORE_DYNAMO_DYNAMO_PRIV_H
#define PROJECTIONS_STORE_DYNAMO_DYNAMO_PRIV_H

#include "core/dynamo/dynamo.h"
#include "projections/apply/target_dynamo.h"
#include "projections/store/store.h"

#include <pthread.h>

#define STORE_DYNAMO_LANES DYNAMO_SLOTS /* writes in flight while a version is built */
#define STORE_DYNAMO_ITEMS                                                            \
	(DYNAMO_ACTIONS_MAX - 2)        /* of one transaction: fence and position too \
					 */
#define STORE_DYNAMO_CHUNK (256 * 1024) /* of what is larger than an item */

struct store_dynamo {
	struct store store; /* first: a store is the address of this */
	const struct settings *settings;
	char *view;
	char *book; /* the bookkeeping's table */
	pthread_mutex_t lock;
	struct dynamo *client; /* under lock */
};

static inline struct store_dynamo *store_dynamo_of(struct store *s)
{
	return (struct store_dynamo *)s;
}

/* ---- names: all malloced ---- */
char *store_dynamo_label(int version); /* "v2"; of the scratch version "v0-PID" */
char *store_dynamo_table(const struct store_dynamo *s, const char *label, const char *table);

/* ---- requests about items of the bookkeeping; each takes the lock ---- */
/* "Key":{"item":{"S":label + after}} */
void store_dynamo_key(struct buf *out, const char *label, const char *after);
/* ,"name":{"N":"i"} and {"S":"text"} */
void store_dynamo_add_int(struct buf *out, const char *name, int64_t i);
void store_dynamo_add_text(struct buf *out, const char *name, struct slice text);
int store_dynamo_ask(struct store_dynamo *s, const char *operation, const struct buf *body,
		     struct dynamo_answer *ret_answer, struct err *e);
/* The item, read consistently; *ret_item NULL: there is none. Free the answer. */
int store_dynamo_get(struct store_dynamo *s, const char *label, const char *after,
		     struct dynamo_answer *ret_answer, const struct dynamo_node **ret_item,
		     struct err *e);
/* Those whose name begins with `prefix` ("" for all), with these attributes only (ends with NULL).
 * each: -1 stops. */
int store_dynamo_each(struct store_dynamo *s, const char *prefix, const char *const *names,
		      int (*each)(void *context, const struct dynamo_node *item, struct err *e),
		      void *context, struct err *e);
/* Writes an item: its attributes, without the braces. */
int store_dynamo_put_item(struct store_dynamo *s, const struct buf *item, struct err *e);

/* ---- versions and where they stand (dynamo/list.c, public.c) ---- */
void store_dynamo_info(const struct dynamo_node *version, const struct dynamo_node *position,
		       struct store_info *ret_info);
int store_dynamo_list(struct store *s, struct store_info **ret_infos, size_t *ret_count,
		      struct err *e);
int store_dynamo_set_state(struct store *s, int version, enum store_state state, bool swap,
			   struct err *e);
int store_dynamo_publish(struct store *s, int version, struct err *e);

/* ---- the files that a version was built with (dynamo/definition.c) ---- */
size_t store_dynamo_definition_pieces(const struct view_files *files);
/* ERR_CONFIG: it is too large. */
int store_dynamo_check_definition(const struct view_files *files, struct err *e);
int store_dynamo_put_definition(struct store_dynamo *s, const char *label,
				const struct view_files *files, struct err *e);
int store_dynamo_definition(struct store *s, int version, struct view_files *ret_files,
			    struct err *e);
/* The tables that the version was made with. */
int store_dynamo_tables(struct store_dynamo *s, int version, struct dynamo_tables **ret_tables,
			struct err *e);

/* ---- tables of the service (dynamo/tables.c) ---- */
/* Asks for the table; may_exist: one that is there already is ours. */
int store_dynamo_make_table(struct store_dynamo *s, const struct dynamo_table *t, const char *name,
			    bool may_exist, struct err *e);
int store_dynamo_await_table(struct store_dynamo *s, const char *name, struct err *e);
/* Gone when it returns 0, also if it never was there. */
int store_dynamo_remove_table(struct store_dynamo *s, const char *name, struct err *e);
int store_dynamo_make_book(struct store_dynamo *s, struct err *e);

/* ---- making and removing a version (dynamo/make.c) ---- */
int store_dynamo_create(struct store *s, const struct view *view, int version, bool swap,
			struct err *e);
int store_dynamo_remove(struct store *s, int version, struct err *e);

/* ---- items on their way (dynamo/batch.c) ---- */
struct batch_cell {
	uint32_t offset, size;
	enum { CELL_NONE, CELL_SET, CELL_REMOVED } state;
};

/* What is to become of one item: the outcome of all operations on it so far. */
struct change {
	enum dynamo_kind kind; /* put, update or delete */
	const struct dynamo_table *table;
	uint64_t hash;
	size_t cells; /* number of its first; one for each attribute, the key's are always set */
};

#define BATCH_HASH 256

struct batch {
	struct buf data;
	struct batch_cell *cells;
	size_t cell_count, cell_room;
	struct change changes[STORE_DYNAMO_ITEMS];
	size_t count;
	uint8_t index[BATCH_HASH]; /* number of a change, from 1 */
};

void batch_done(struct batch *b);
void batch_reset(struct batch *b);
/* The operation's change, as the only one of `b`. ERR_DATA: the values can't be an item. */
int batch_set(struct batch *b, const struct dynamo_operation *op, const struct value *const *values,
	      struct err *e);
/* Would `c` of `from` fit into `b`? */
bool batch_takes(const struct batch *b, const struct batch *from, const struct change *c);
/* Would all of `from`? */
bool batch_takes_all(const struct batch *b, const struct batch *from);
void batch_add(struct batch *b, const struct batch *from, const struct change *c);
/* Its actions, each behind a comma, as parts of a list. names[i] is what table i of `tables` is
 * called in the service. */
void batch_write(const struct batch *b, const struct dynamo_tables *tables, char *const *names,
		 struct buf *out);

/* ---- a version that is written (dynamo/version.c, fence.c, clear.c) ---- */
int store_dynamo_version_open(struct store *s, int version, struct store_version **ret_version,
			      struct err *e);
void store_dynamo_version_close(struct store_version *v);
struct target *store_dynamo_target(struct store_version *v);
int store_dynamo_position(struct store_version *v, char **ret_text, struct err *e);
int store_dynamo_begin(struct store_version *v, struct err *e);
int store_dynamo_commit(struct store_version *v, const struct store_mark *mark, struct err *e);
void store_dynamo_rollback(struct store_version *v);
int store_dynamo_border(struct store_version *v, struct err *e);
int store_dynamo_finish(struct store_version *v, const char *after_build_sql, struct err *e);

const char *store_dynamo_version_label(const struct store_version *v);
struct store_dynamo *store_dynamo_version_store(const struct store_version *v);
/* An action (behind its comma) on `item` of the bookkeeping that goes with the position; or at
 * once, behind the fence. */
int store_dynamo_also(struct store_version *v, const char *item, const struct buf *action,
		      struct err *e);
int store_dynamo_now(struct store_version *v, const struct buf *action, struct err *e);
int store_dynamo_savepoint(struct store_version *v, struct err *e);
int store_dynamo_undo(struct store_version *v, struct err *e);

/* ---- records that can't be applied (dynamo/parked.c) ---- */
int store_dynamo_park(struct store_version *v, const struct store_parked *record, struct err *e);
int store_dynamo_unpark(struct store_version *v, const struct store_parked *record, struct err *e);
int store_dynamo_parked(struct store *s, int version,
			bool (*each)(void *context, const struct store_parked *record),
			void *context, struct err *e);

/* ---- a version that is read (dynamo/copy.c, read.c) ---- */
int store_dynamo_snapshot(struct store *s, int version, struct store_snapshot **ret_snapshot,
			  struct err *e);
int store_dynamo_snapshot_slow(struct store *s, int version, const struct store_still *still,
			       struct store_snapshot **ret_snapshot, struct err *e);
void store_dynamo_snapshot_close(struct store_snapshot *n);
void store_dynamo_snapshot_info(const struct store_snapshot *n, struct store_info *ret_info);
int store_dynamo_columns(struct store_snapshot *n, const char *table, char ***ret_names,
			 size_t *ret_count, struct err *e);
int store_dynamo_rows(struct store_snapshot *n, const char *table, char *const *columns,
		      size_t column_count, char *const *key, size_t key_count,
		      const struct value *after, struct store_rows **ret_rows, struct err *e);
int store_dynamo_next(struct store_rows *r, const struct value **ret_values, struct err *e);
void store_dynamo_rows_close(struct store_rows *r);
int store_dynamo_row_count(struct store_snapshot *n, const char *table, int64_t *ret_count,
			   struct err *e);

#endif
