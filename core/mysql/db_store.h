/* db_store.h - sessions that write: a view store in MariaDB or MySQL. Never the source.
 *
 * Every such session is set up alike, whatever the server's defaults are: time_zone '+00:00',
 * utf8mb4, messages in English, a strict sql_mode of its own (MariaDB and MySQL agree on it; no
 * ANSI_QUOTES, backslash escapes on), InnoDB for new tables, REPEATABLE READ, several statements in
 * one packet.
 *
 * Errors: as in db.h, and: values that the tables refuse -> ERR_DATA; no room on the server's disk
 * -> ERR_RETRY with EXIT_FATAL (sql_no_room()); a right that is missing -> ERR_CONFIG with
 * db_login.grants in the hint. Servers put values into their messages: here they are withheld, but
 * for names of tables, columns and keys. */
#ifndef CORE_MYSQL_DB_STORE_H
#define CORE_MYSQL_DB_STORE_H

#include "core/mysql/db.h"

/* login->grants must be given. `database` NULL: none. autocommit is on. */
int db_store_open(const struct db_login *login, const char *database, struct db **ret_db,
		  struct err *e);

/* Statements, with a ';' between them, on their way: the call returns as soon as they are sent, so
 * that the server works while the caller goes on. db_store_take() waits until all have run; the
 * first one that fails ends them. At most one batch is on its way. */
int db_store_send(struct db *db, struct slice statements, struct err *e);
int db_store_take(struct db *db, struct err *e);
bool db_store_is_sent(const struct db *db);
/* The same with rows for one table: `sql` is LOAD DATA LOCAL INFILE, of a file of any name, in
 * utf8mb4, with the default FIELDS and LINES. Takes the bytes of *rows, which is empty then. The
 * server makes warnings of what an INSERT would refuse: db_store_load_was_plain(), once it is
 * taken without an error, tells whether all records went in as they stand. */
int db_store_send_load(struct db *db, struct slice sql, struct buf *rows, struct err *e);
bool db_store_load_was_plain(const struct db *db, uint64_t *ret_records);
/* The last load's, until the next one. */
struct slice db_store_load_rows(const struct db *db);
/* A value as such a field, appended: text, numbers and NULL; no bytes. '\t' stands behind it, '\n'
 * behind the last one of a row. */
void db_store_load_field(const struct value *value, struct buf *rows);
/* Such rows as ('a','b'),('c',NULL). */
void db_store_load_literals(struct slice rows, struct buf *sql);
/* Of the last db_run() or the last statement of a batch: rows that it changed (1 for an INSERT, 2
 * for a row that ON DUPLICATE KEY UPDATE changed). */
uint64_t db_store_affected(const struct db *db);
size_t db_store_answers(const struct db *db); /* statements of the batch that have run */

/* One statement that may wait for locks: after `wait_ms` without an answer it is ended (KILL
 * QUERY, from `other`, a connection of the same user), and that is ERR_RETRY. So what waits behind
 * its locks waits no longer than that. */
int db_store_run_within(struct db *db, struct db *other, const char *sql, int wait_ms,
			struct err *e);
/* One statement that may take hours: no read timeout, but a server that is gone is noticed (TCP
 * keepalive). stop (may be NULL) is asked every second; true ends the statement, ERR_RETRY. */
int db_store_run_long(struct db *db, const char *sql, bool (*stop)(void *context), void *context,
		      struct err *e);

/* Does the server prepare the statement (with ? for each parameter)? ERR_CONFIG with its message.
 */
int db_store_try(struct db *db, struct slice sql, struct err *e);

/* `value` as a literal of this session, appended: NULL, 12, 1.5e0, 'text', x'00ff'. */
void db_store_literal(const struct value *value, struct buf *sql);
void db_store_name(const char *name, struct buf *sql); /* `name` */

#endif
