/* db.h - a connection to MySQL or MariaDB: connect, query, raw replication packets. The only face
 * of libmariadb.
 *
 * Every session is set up the same way: time_zone '+00:00', sql_mode '', character_set_results
 * binary (NULL) unless asked for UTF-8, autocommit, READ ONLY; network timeouts from settings.
 *
 * Errors: unreachable, lost, killed, deadlock, lock wait, statement time over -> ERR_RETRY
 * (EXIT_UNREACHABLE); wrong password, missing grant, unknown table -> ERR_CONFIG with the GRANT in
 * the hint; binlog purged (1236) -> ERR_CONFIG with EXIT_PURGED. */
#ifndef CORE_MYSQL_DB_H
#define CORE_MYSQL_DB_H

#include "core/base/settings.h"
#include "core/base/slice.h"
#include "core/value/value.h"

struct db;
struct db_result;

/* Where a connection goes, and as whom. Texts are copied. */
struct db_login {
	const char *role;   /* section of the settings: "source", "mariadb", "mysql" */
	const char *host;   /* ignored where there is a socket */
	const char *socket; /* path; "" or NULL: none */
	uint16_t port;
	const char *user, *password;
	const char *tls, *tls_ca; /* off, on, verify */
	int64_t connect_ms, read_ms;
	const char *grants; /* of a session that writes: what to type where a right is missing */
};

/* character_set_results: utf8mb4, or each column's own */
enum db_text { DB_TEXT_UTF8, DB_TEXT_BINARY };

/* Connects to the first server of source.host that lets it; ERR_RETRY when one of them may later.
 */
int db_open(const struct settings *settings, enum db_text text, struct db **ret_db, struct err *e);
/* The same on the server `i` of source.host. */
int db_open_source(const struct settings *settings, size_t i, enum db_text text,
		   struct db **ret_db, struct err *e);
const char *db_where(const struct db *db); /* host:port */
void db_close(struct db *db);
/* Runs a statement without a result (or drops the result). */
int db_run(struct db *db, const char *sql, struct err *e);
/* Streams the result (use_result): call db_next until it returns 0, then db_result_free. One open
 * result per connection. */
int db_query(struct db *db, const char *sql, struct db_result **ret_result, struct err *e);
/* Returns 1 and a row (array of column_count slices; data NULL = SQL NULL; valid until the next
 * call), 0 at the end, -1 on error. */
int db_next(struct db_result *r, const struct slice **ret_row, struct err *e);
size_t db_column_count(const struct db_result *r);
const char *db_column_name(const struct db_result *r, size_t column);
struct value_source_type db_column_type(const struct db_result *r, size_t column);
void db_result_free(struct db_result *r); /* reads and drops what is left; NULL is fine */
/* First column of the first row, malloced text; NULL when there is no row or it is NULL. */
int db_get_text(struct db *db, const char *sql, char **ret_text, struct err *e);
/* Statements with a ';' between them, in one round trip. `row` gets each row of each of them, of
 * which each has a result; -1 from it ends the call. The first statement that fails is the last
 * that is run: -1, and *ret_done are the ones before it. */
typedef int (*db_row_fn)(void *context, size_t statement, const struct slice *row, size_t columns,
			 struct err *e);
int db_query_batch(struct db *db, const char *statements, db_row_fn row, void *context,
		   size_t *ret_done, struct err *e);
/* Number of the last error (MariaDB knowledge base, "MariaDB Error Codes"); 0: none. */
unsigned db_error_number(const struct db *db);
bool db_is_mariadb(const struct db *db);
uint64_t db_connection_id(const struct db *db);
const char *db_server_version(const struct db *db);
unsigned db_server_number(const struct db *db); /* 8.0.31: 80031; 10.11.5: 101105 */
/* `text` as a quoted SQL literal ('...'), appended. */
struct buf;
void db_quote(struct slice text, struct buf *sql);

/* ---- replication stream: COM_REGISTER_SLAVE, COM_BINLOG_DUMP, COM_BINLOG_DUMP_GTID ---- */
struct db_dump_options {
	/* a position of the server's dialect (core/base/gtid.h): "0-1-5,1-2-7", "uuid:1-5", or a
	 * place; "" = oldest binlog; ignored when file is set */
	const char *gtid;
	const char *file; /* or file and offset */
	uint64_t offset;  /* ERR_CONFIG beyond 4 GB: no server takes more */
	uint32_t server_id; /* 0: not a replica; the stream ends at the end of the binlog */
	int64_t heartbeat_ms;
	bool annotate; /* also send ANNOTATE_ROWS: the text of statements */
};
/* Turns the connection into a replication stream: sets what the server's kind wants to be set
 * (checksums as in the binlog, heartbeats, GTIDs; net_write_timeout), registers, and sends the dump
 * command. */
int db_dump(struct db *db, const struct db_dump_options *options, struct err *e);
/* Next event packet, header included, without the leading OK byte; valid until the next call.
 * Blocks up to source.read_timeout. -1: ERR_RETRY when the connection is lost or silent,
 * EXIT_PURGED, or what the server says. */
int db_dump_next(struct db *db, struct slice *ret_event, struct err *e);
/* The same of a stream with server id 0: 1, or 0 at the end of the binlog. */
int db_dump_try_next(struct db *db, struct slice *ret_event, struct err *e);
/* Wakes a thread that blocks in db_dump_next or in a query (shuts the socket down): that call then
 * fails with ERR_RETRY. The only call allowed from another thread, while the owner hasn't closed
 * the connection. */
void db_interrupt(struct db *db);

#endif
