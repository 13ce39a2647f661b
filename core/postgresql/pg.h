/* pg.h - a connection to PostgreSQL: statements, values in and out, pipelines. The only face of
 * libpq.
 *
 * Every session is set up alike, whatever the server's defaults are: UTF-8, UTC, read committed,
 * no statement timeout, plans that use indexes. One thread at a time uses a connection.
 *
 * Errors: unreachable, lost, deadlock, serialization, a lock that stays busy, a server that starts
 * or stops -> ERR_RETRY; no room on its disk -> ERR_RETRY with EXIT_FATAL (sql_no_room); a value
 * that types or constraints refuse -> ERR_DATA; wrong password, missing grant, unknown table or
 * column -> ERR_CONFIG with what to type. What the server says of values is withheld: the message
 * names SQLSTATE, table, column and constraint instead. */
#ifndef CORE_POSTGRESQL_PG_H
#define CORE_POSTGRESQL_PG_H

#include "core/base/buf.h"
#include "core/base/settings.h"
#include "core/value/value.h"

struct pg;
struct pg_result;
struct pg_statement;

#define PG_NAME_MAX 63 /* bytes of a name; the server would cut it */

int pg_open(const struct settings *settings, struct pg **ret_pg, struct err *e);
void pg_close(struct pg *p);              /* NULL is fine */
const char *pg_where(const struct pg *p); /* "postgresql 127.0.0.1:5432/views" */
const char *pg_user(const struct pg *p);
const char *pg_database(const struct pg *p);
int pg_server_number(const struct pg *p); /* 15.4: 150004 */
int pg_backend(const struct pg *p);       /* the server process's id */
bool pg_is_lost(const struct pg *p);      /* only pg_close is left */
bool pg_in_transaction(const struct pg *p);

/* ---- one after the other: each waits for its answer ---- */
/* One statement, or several with a ';' between them; results are dropped. */
int pg_run(struct pg *p, const char *sql, struct err *e);
/* One statement (the server refuses more), of a user's script: what fails is said with
 * "origin:line: ". `script` is where the script begins that `at` points into. */
int pg_run_at(struct pg *p, const char *origin, const char *script, const char *at, const char *sql,
	      struct err *e);
/* One statement with text parameters $1.. (NULL: NULL); its result as text. */
int pg_ask(struct pg *p, const char *sql, const char *const *values, int count,
	   struct pg_result **ret_result, struct err *e);
size_t pg_rows(const struct pg_result *r);
size_t pg_columns(const struct pg_result *r);
int64_t pg_changed(const struct pg_result *r); /* rows that the statement touched */
const char *pg_text(const struct pg_result *r, size_t row, int column); /* NULL: NULL */
struct slice pg_slice(const struct pg_result *r, size_t row, int column);
int64_t pg_int(const struct pg_result *r, size_t row, int column); /* of text; NULL: 0 */
void pg_result_free(struct pg_result *r);                          /* NULL is fine */
/* First column of the first row, malloced; NULL when there is no row or it is NULL. */
int pg_get_text(struct pg *p, const char *sql, const char *const *values, int count,
		char **ret_text, struct err *e);
int pg_get_int(struct pg *p, const char *sql, const char *const *values, int count,
	       int64_t *ret_value, struct err *e);
/* SQLSTATE of what failed last, "" when nothing did. */
const char *pg_state(const struct pg *p);
/* Wakes a thread that waits for an answer: its statement is cancelled and fails with ERR_RETRY. Any
 * thread, while p is open. */
void pg_cancel(struct pg *p);

/* ---- pipelined: queued, sent in bulk, answered together ---- */
/* Prepares once. The texts are copied. */
int pg_prepare(struct pg *p, const char *origin, const char *script, const char *at,
	       const char *sql, struct pg_statement **ret_statement, struct err *e);
/* Has the server plan it, which finds what preparing does not: an ON CONFLICT that no unique index
 * stands behind. Fails as pg_prepare does, whose parameters these are. */
int pg_plan(struct pg_statement *s, const char *origin, const char *script, const char *at,
	    struct err *e);
int pg_parameter_count(const struct pg_statement *s);
uint32_t pg_parameter_type(const struct pg_statement *s, int i); /* from 0; an OID of pg_type */
void pg_finalize(struct pg_statement *s);                        /* NULL is fine */
/* Queues one execution; values[i] is parameter i's. They are copied. The outcome is known after
 * pg_drain, or a later call says it. */
int pg_send(struct pg_statement *s, const struct value *const *values, struct err *e);
/* The same with parameters encoded by the caller in binary form; data NULL: NULL. */
int pg_send_encoded(struct pg_statement *s, const struct slice *parts, struct err *e);
/* Queues a statement without parameters. */
int pg_queue(struct pg *p, const char *sql, struct err *e);
/* All that was queued has run when this returns 0. -1: the first that failed; none behind it ran.
 * Rows touched by the last one go to *ret_changed (may be NULL). */
int pg_drain(struct pg *p, int64_t *ret_changed, struct err *e);

/* ---- values ---- */
enum pg_type { /* OIDs that values are encoded for in binary form */
	       PG_BOOL = 16,
	       PG_BYTEA = 17,
	       PG_CHAR = 18,
	       PG_NAME = 19,
	       PG_INT8 = 20,
	       PG_INT2 = 21,
	       PG_INT4 = 23,
	       PG_TEXT = 25,
	       PG_JSON = 114,
	       PG_FLOAT4 = 700,
	       PG_FLOAT8 = 701,
	       PG_BPCHAR = 1042,
	       PG_VARCHAR = 1043,
	       PG_DATE = 1082,
	       PG_TIME = 1083,
	       PG_TIMESTAMP = 1114,
	       PG_TIMESTAMPTZ = 1184,
	       PG_INTERVAL = 1186,
	       PG_NUMERIC = 1700,
	       PG_UUID = 2950
};
/* Appends the value as that type's binary form. False: it has none there (another type, or a value
 * that doesn't fit); then it must go as text. A date takes days, a timestamp or interval
 * microseconds, as core/value has them. */
bool pg_encode(uint32_t type, const struct value *v, struct buf *out);
/* Can pg_decode read results of this type? Others are to be cast to text. */
bool pg_is_binary(uint32_t type);
/* A binary result as a value. What a class can't hold (infinity) is TEXT. Text points into bytes.
 */
void pg_decode(uint32_t type, struct slice bytes, struct value *ret_value);

/* ---- rows of a cursor, in binary form, read ahead ---- */
struct pg_cursor;
/* Inside a transaction; `sql` is a SELECT whose columns are all pg_is_binary() or text. */
int pg_cursor_open(struct pg *p, const char *sql, struct pg_cursor **ret_cursor, struct err *e);
/* 1 and a row (valid until the next call), 0 at the end, -1. */
int pg_cursor_next(struct pg_cursor *c, const struct value **ret_values, struct err *e);
void pg_cursor_close(struct pg_cursor *c); /* NULL is fine */

/* ---- text ---- */
void pg_quote_name(const char *name, struct buf *out);       /* "name" */
void pg_quote_text(struct slice text, struct buf *out);      /* 'text' */
void pg_quote_value(const struct value *v, struct buf *out); /* a literal; BYTES as '\x..'::bytea */

#endif
