/* store_db.h - SQLite, as Millrace uses it: one connection, prepared statements with named
 * parameters, values in and out. The only folder that includes sqlite3.h. Errors: busy/locked ->
 * ERR_RETRY, full/ioerr -> ERR_FATAL with the file, a statement that does not prepare -> ERR_CONFIG
 * with file, line and SQLite's own message. */
#ifndef CORE_SQL_STORE_DB_H
#define CORE_SQL_STORE_DB_H

#include "core/base/err.h"
#include "core/value/value.h"

struct sql_db;
struct sql_statement;

enum sql_open { SQL_OPEN_READ, SQL_OPEN_WRITE, SQL_OPEN_CREATE, SQL_OPEN_MEMORY };

int sql_open_db(const char *path, enum sql_open mode, struct sql_db **ret_db,
		struct err *e); /* WAL, foreign_keys on, busy_timeout */
void sql_close(struct sql_db *db);
/* Runs a script of any number of statements. `origin` (file name) is for messages. */
int sql_script(struct sql_db *db, const char *origin, const char *text, struct err *e);
int sql_run(struct sql_db *db, const char *sql, struct err *e);
/* fsync of the database file, by SQLite's own descriptor: another one, closed, would take this
 * process's locks on the file along. */
int sql_sync(struct sql_db *db, struct err *e);
/* One statement; `*ret_tail` (may be NULL) points behind it, for scripts that are prepared
 * statement by statement. *ret_statement is NULL for empty text (only comments or blanks). */
int sql_prepare(struct sql_db *db, const char *origin, const char *text, const char **ret_tail,
		struct sql_statement **ret_statement, struct err *e);
/* The same for a statement inside a longer script: `script` is where the script begins, so that
 * lines are counted from there. */
int sql_prepare_at(struct sql_db *db, const char *origin, const char *script, const char *text,
		   const char **ret_tail, struct sql_statement **ret_statement, struct err *e);
void sql_finalize(struct sql_statement *s); /* NULL is fine */
bool sql_is_read_only(const struct sql_statement *s);
/* While on, statements of a user's script may neither open, end nor roll back transactions, attach
 * files, set pragmas, nor touch tables whose name begins with millrace_: preparing one that does is
 * ERR_CONFIG. */
void sql_guard(struct sql_db *db, bool on);
/* Is it an error (its kind and own exit code) of a disk without room? It heals when there is some
 * again. */
bool sql_no_room(enum err_kind kind, int exit_code);
bool sql_in_transaction(const struct sql_db *db); /* an error may have rolled it back */
/* Makes running and coming calls of another thread on db return ERR_RETRY soon; safe from any
 * thread while db is open. */
void sql_interrupt(struct sql_db *db);
int sql_parameter_count(const struct sql_statement *s);
/* Name without its ':' of parameter i (1-based), NULL for a nameless one. */
const char *sql_parameter_name(const struct sql_statement *s, int i);
int sql_bind(struct sql_statement *s, int i, const struct value *v,
	     struct err *e); /* bytes are not copied: keep them until reset */
/* Returns 1: a row, 0: done, -1: error. */
int sql_step(struct sql_statement *s, struct err *e);
void sql_reset(struct sql_statement *s);
int sql_column_count(const struct sql_statement *s);
const char *sql_column_name(const struct sql_statement *s, int column);
/* The table's column that a result column is, owned by the statement; false: it is computed. */
bool sql_column_origin(const struct sql_statement *s, int column, const char **ret_table,
		       const char **ret_column);
void sql_column(const struct sql_statement *s, int column,
		struct value *ret_value); /* valid until the next step */
/* As sql_step(); of a row also its first `count` columns, valid until the next step. */
int sql_step_row(struct sql_statement *s, struct value *values, size_t count, struct err *e);
int64_t sql_changes(struct sql_db *db); /* rows changed by the last INSERT, UPDATE or DELETE that
					   ran to its end */
/* Does a column of a table compare text by its bytes? */
bool sql_collates_binary(struct sql_db *db, const char *table, const char *column);
int sql_get_int(struct sql_db *db, const char *sql, int64_t *ret_value, struct err *e);
/* First column of the first row as malloced text; NULL when there is no row or it is NULL. */
int sql_get_text(struct sql_db *db, const char *sql, char **ret_text, struct err *e);
/* A table's columns, in their order; malloced, each and the list. */
int sql_column_names(struct sql_db *db, const char *table, char ***ret_names, size_t *ret_count,
		     struct err *e);
int sql_row_count(struct sql_db *db, const char *table, int64_t *ret_count, struct err *e);
/* `name` as a quoted identifier ("..."), appended. */
void sql_quote_name(const char *name, struct buf *out);

#endif
