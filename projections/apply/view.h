/* view.h - a view as its folder declares it (DESIGN 5.1).
 *
 *   view.conf      owner, doc, inputs = TOPIC, TOPIC; key.TABLE = COLUMN, COLUMN (default: its
 *                  primary key); kind = sql; store = sqlite, postgresql, ...; order = source or
 *                  partition, workers = N (docs/ORDER.md)
 *   tables.sql     the tables; what stands after a line "-- after build" runs once the first build
 *                  has ended
 *   on/EVENT.sql   statements run for a record of that type: :field, :seq, :gtid, :at (commit time,
 *                  microseconds). A field of a nested record is :outer_inner; one that is itself
 *                  called seq, gtid or at is :value_seq ...
 *   on/DB.TABLE.insert.sql, .update.sql, .delete.sql   for row topics: :column, :before_column;
 *                  insert also takes copied rows
 *   on/DB.TABLE.truncate.sql   the table was emptied at once (TRUNCATE, DROP): :seq, :gtid, :at
 *   source.sql     one SELECT per table, each after a line "-- table: NAME": the same answer asked
 *                  of the source
 *   query.sql      kind = query: the view itself, one SELECT per table, each after such a line
 *   keys/TABLE.sql kind = query: which rows of the view a row of TABLE counts for (query.h)
 *   indexes.sql    kind = mirror or query: run behind the build
 *   cases/ *.jsonl test cases (view_case.h)
 *
 * With store = dynamodb there is no SQL: tables.json in place of tables.sql (dynamo_tables.h), and
 * on/ *.json, item templates (dynamo_template.h).
 *
 * A view is read from a folder or from a version that was built with it (the definition is stored
 * in the version); both go through the same checks. Every mistake is reported, not only the first.
 *
 * Its tables, columns and keys are learned by trying tables.sql. For SQLite that is done at once,
 * in memory; for DynamoDB by reading. Other stores speak other SQL: until its store has learned it
 * (store_try() and `learn`, store.h) such a view has only the tables that view.conf gives keys to,
 * without columns, and `learned` is false. */
#ifndef PROJECTIONS_APPLY_VIEW_H
#define PROJECTIONS_APPLY_VIEW_H

#include "core/base/buf.h"
#include "core/base/err.h"

#define VIEW_FILE_MAX (1024 * 1024) /* bytes of one file */
#define VIEW_FILES_MAX 2000
#define VIEW_FINGERPRINT_SIZE 33 /* 32 hex digits and NUL */

struct view_file {
	char *name; /* relative to the folder: "view.conf", "on/UserJoinedGroup.sql" */
	char *text; /* NUL-terminated, holds no other NUL */
};

struct view_files {
	struct view_file *items; /* sorted by name */
	size_t count;
};

enum view_on { VIEW_ON_EVENT, VIEW_ON_INSERT, VIEW_ON_UPDATE, VIEW_ON_DELETE, VIEW_ON_TRUNCATE };

enum view_kind { VIEW_SQL, VIEW_MIRROR, VIEW_QUERY };

/* In what order records are applied: whole source transactions in the source's order, or those of
 * each partition in theirs, by several members side by side. */
enum view_order { VIEW_ORDER_SOURCE, VIEW_ORDER_PARTITION };

#define VIEW_WORKERS_MAX 64

struct view_handler {
	enum view_on on;
	char *name; /* event record name, with or without namespace; or "db.table" */
	const struct view_file *file;
};

struct view_table {
	char *name;
	char **key;
	size_t key_count;
	char **columns;
	char **types; /* as they were declared in the store, "" without: by them the answer of
			 source.sql is converted before it is compared (store/normal.h) */
	size_t column_count;
	char *source; /* the SELECT of source.sql, or NULL */
	int key_line; /* of view.conf; 0: the key is the primary key */
};

struct mirror_table; /* mirror.h */
struct view_query;   /* query.h */

struct view {
	char *name;  /* last part of the folder's name */
	char *place; /* what messages put before a file's name: the folder, or "NAME version N" */
	char *owner, *doc;
	char *store; /* name of the store that its versions live in: "sqlite" */
	enum view_kind kind;
	enum view_order order;
	int workers;  /* of one process, order = partition only; 0: view.conf doesn't say */
	bool has_verify_every; /* view.conf says how often it is compared with the source */
	int64_t verify_every_ms;
	bool learned; /* tables, columns and keys are known, and every statement was tried */
	char **inputs; /* full topic names */
	size_t input_count;
	struct view_files files;
	struct view_handler *handlers;
	size_t handler_count;
	struct view_table *tables;
	size_t table_count;
	char *create_sql, *after_build_sql; /* the two halves of tables.sql; the second may be "" */
	/* kinds mirror and query, once they know what the tables look like (view_shape): */
	struct mirror_table *mirrors; /* one per input, in their order */
	size_t mirror_count;
	struct view_query *queries; /* kind query: one per table of the view */
	size_t query_count;
	char *source_db; /* plain names of `source` are of this database; NULL: of none */
	char fingerprint[VIEW_FINGERPRINT_SIZE]; /* of what its author wrote but the cases; FNV-1a,
						    not cryptographic */
};

/* Reads and checks a folder. ERR_CONFIG holds all mistakes, one a line: "file:line: what" and a
 * hint; ERR_FATAL: the folder can't be read. */
int view_read(const char *dir, struct view **ret_view, struct err *e);
/* The same from files already in memory (taken over, also on failure). */
int view_from_files(const char *name, const char *place, struct view_files *take_files,
		    struct view **ret_view, struct err *e);
void view_free(struct view *v); /* NULL is fine */

/* The newest registered schema of the rows in a topic, owned by whoever answers. Returns 1, 0 when
 * there is none yet, -1. */
typedef int (*view_schema_fn)(void *context, const char *topic, const char **ret_text,
			      struct err *e);
/* Kinds mirror and query: makes tables and statements of a view read from a folder, by what is
 * registered. One that is read from a version knows them already, and so does kind sql: nothing is
 * done. ERR_RETRY: no schema yet; ERR_CONFIG: all mistakes. */
int view_shape(struct view *v, view_schema_fn schema, void *context, struct err *e);
/* The same with the tables that an SQL script makes in SQLite: cases/tables.sql. */
int view_shape_sql(struct view *v, const char *file, const char *text, struct err *e);
bool view_is_shaped(const struct view *v);

const struct view_table *view_table(const struct view *v,
				    const char *name); /* NULL: there is none */
/* The name of the store that view.conf of a folder asks for, malloced; "sqlite" when it says
 * nothing or can't be read. */
char *view_store_name(const char *dir);
/* What view.conf of a folder says of verify_every; *ret_ms stays when it says nothing, or can't be
 * read. */
void view_verify_every(const char *dir, int64_t *ret_ms);
/* Names of the view folders in dir (folders that hold a view.conf), sorted. Free with
 * view_names_free(). */
int view_list(const char *dir, char ***ret_names, size_t *ret_count, struct err *e);
void view_names_free(char **names, size_t count);
int view_names_find(char *const *names, size_t count, const char *name); /* -1: not there */

/* ---- learning: what a store says of the tables that it made from tables.sql ---- */
/* Finds or adds a table; then its columns in their order, then its primary key's in theirs (which
 * view.conf's key.TABLE overrides). */
struct view_table *view_learn_table(struct view *v, const char *name);
void view_learn_column(struct view_table *t, const char *name, const char *type);
void view_learn_key(struct view_table *t, const char *column);
/* The end of it: keys are checked, every statement of every handler is prepared on `target` (NULL:
 * they have been, when the version was made), source.sql is read. ERR_CONFIG: all mistakes. The
 * view is `learned` on success. */
struct target;
int view_learn_end(struct view *v, struct target *target, struct err *e);

/* Replaces the question: `text` as in source.sql. Tables it doesn't name have none then. */
int view_set_source(struct view *v, const char *file, const char *text, struct err *e);
/* Letters, digits, '_', '-' and '.' only? */
bool view_is_plain(const char *text);
/* A small file as text; ERR_CONFIG when it is missing, too large, or holds a NUL. */
int view_read_file(const char *path, char **ret_text, struct err *e);

void view_files_add(struct view_files *files, const char *name, char *take_text);
void view_files_done(struct view_files *files);

#endif
