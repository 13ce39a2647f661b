/* db_store.c - sessions that write.
 *
 * Statements go as text with their values in it, many in one packet, and the next packet is made
 * while the server works on the one before (mysql_send_query, mysql_read_query_result). A literal
 * is exact: integers and doubles by their digits, text with its quotes and backslashes escaped,
 * binary as hexadecimal. All of it is UTF-8, and the session says so, so no byte of a character
 * can be taken for a quote.
 *
 * A statement whose wait must be short is sent, too, and the socket is watched. lock_wait_timeout
 * counts whole seconds, on MySQL one at least; KILL QUERY by another connection doesn't. */
#include "core/mysql/db_store.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/mysql/db_priv.h"
#include "core/value/real.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define STATEMENT_LOCK_WAIT_S 10
#define GONE_MS 120000 /* without an answer to a keepalive */

static int set_up(struct db *db, const char *database, struct err *e)
{
	static const char *const statements[] = {
		"SET NAMES utf8mb4",
		"SET time_zone = '+00:00', sql_mode = "
		"'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_"
		"SUBSTITUTION', autocommit = 1, net_write_timeout = 600, wait_timeout = 604800, "
		"sql_select_limit = DEFAULT, default_storage_engine = InnoDB, "
		"max_sort_length = 8192, lc_messages = 'en_US'",
		"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE",
	};
	char text[200];

	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
		if (db_run(db, statements[i], e) < 0)
			return -1;
	snprintf(text, sizeof(text), "SET lock_wait_timeout = %d, innodb_lock_wait_timeout = %d",
		 STATEMENT_LOCK_WAIT_S, STATEMENT_LOCK_WAIT_S);
	if (db_run(db, text, e) < 0)
		return -1;
	if (mysql_set_server_option(db->mysql, MYSQL_OPTION_MULTI_STATEMENTS_ON) != 0)
		return db_failed(db, "set up a session on", e);
	if (database != NULL && mysql_select_db(db->mysql, database) != 0)
		return db_failed(db, "use a database of", e);
	return 0;
}

static void watch_peer(int socket)
{
	int on = 1, idle = 30, every = 15, count = 4, gone = GONE_MS;

	/* a Unix socket knows none of them, and needs none */
	(void)setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	(void)setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	(void)setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone, sizeof(gone));
}

int db_store_open(const struct db_login *login, const char *database, struct db **ret_db,
		  struct err *e)
{
	struct db *db;

	if (db_connect(login, &db, e) < 0)
		return -1;
	watch_peer(db->socket);
	if (set_up(db, database, e) < 0) {
		db_close(db);
		return -1;
	}
	*ret_db = db;
	return 0;
}

/* ---- on the way ------------------------------------------------------------------------------ */

int db_store_send(struct db *db, struct slice statements, struct err *e)
{
	if (db->result_open)
		return err_fatal(e, "statements on a connection that still owes answers");
	db->answers = 0;
	if (mysql_send_query(db->mysql, (const char *)statements.data, statements.size) != 0)
		return db_failed(db, "write to", e);
	db->result_open = true;
	return 0;
}

bool db_store_is_sent(const struct db *db)
{
	return db->result_open;
}

uint64_t db_store_affected(const struct db *db)
{
	return mysql_affected_rows(db->mysql);
}

size_t db_store_answers(const struct db *db)
{
	return db->answers;
}

/* RETURNING gives rows: nobody wants them. */
static void drop_rows(struct db *db)
{
	MYSQL_RES *result = mysql_use_result(db->mysql);

	if (result != NULL)
		mysql_free_result(result);
}

int db_store_take(struct db *db, struct err *e)
{
	int rc;

	if (!db->result_open)
		return 0;
	if (db_load_runs(db))
		return db_load_take(db, e);
	db->result_open = false;
	rc = mysql_read_query_result(db->mysql);
	while (rc == 0) {
		drop_rows(db);
		if (mysql_errno(db->mysql) != 0)
			break;
		db->answers++;
		if (!mysql_more_results(db->mysql))
			return 0;
		rc = mysql_next_result(db->mysql) > 0;
	}
	return db_failed(db, "write to", e);
}

/* 1: there is something to read; 0: not within the time. */
static int wait_for_answer(const struct db *db, int wait_ms)
{
	struct pollfd p = { .fd = db->socket, .events = POLLIN };
	int64_t until = clock_monotonic_us() + (int64_t)wait_ms * 1000;

	for (;;) {
		int64_t left = until - clock_monotonic_us();
		int n = poll(&p, 1, left > 0 ? (int)((left + 999) / 1000) : 0);

		if (n > 0 || (n < 0 && errno != EINTR))
			return 1; /* what is wrong is said by the read */
		if (n == 0 && left <= 0)
			return 0;
	}
}

static void kill_query(const struct db *db, struct db *other)
{
	struct err ignored = ERR_INIT;
	char sql[60];

	snprintf(sql, sizeof(sql), "KILL QUERY %" PRIu64, db_connection_id(db));
	(void)db_run(other, sql, &ignored); /* then it ends by its own lock_wait_timeout */
}

int db_store_run_within(struct db *db, struct db *other, const char *sql, int wait_ms,
			struct err *e)
{
	if (db_store_send(db, slice_str(sql), e) < 0)
		return -1;
	if (wait_for_answer(db, wait_ms) == 0)
		kill_query(db, other);
	return db_store_take(db, e);
}

int db_store_run_long(struct db *db, const char *sql, bool (*stop)(void *context), void *context,
		      struct err *e)
{
	if (db_store_send(db, slice_str(sql), e) < 0)
		return -1;
	while (wait_for_answer(db, 1000) == 0)
		if (stop != NULL && stop(context)) {
			db_interrupt(db);
			break;
		}
	return db_store_take(db, e);
}

int db_store_try(struct db *db, struct slice sql, struct err *e)
{
	MYSQL_STMT *s;
	int rc = 0;

	if (db->result_open)
		return err_fatal(e, "a statement on a connection that still owes answers");
	s = mysql_stmt_init(db->mysql);
	if (s == NULL)
		abort(); /* it only allocates */
	if (mysql_stmt_prepare(s, (const char *)sql.data, sql.size) != 0)
		rc = db_store_try_failed(db, mysql_stmt_errno(s), mysql_stmt_sqlstate(s),
					 mysql_stmt_error(s), e);
	mysql_stmt_close(s);
	return rc;
}

/* ---- literals -------------------------------------------------------------------------------- */

static void add_integer(int64_t i, struct buf *sql)
{
	char text[24], *p = text + sizeof(text);
	uint64_t v = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;

	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	if (i < 0)
		*--p = '-';
	buf_add(sql, p, (size_t)(text + sizeof(text) - p));
}

/* Always with an exponent: 12.5 would be a DECIMAL. */
static void add_double(double d, struct buf *sql)
{
	char digits[REAL_DIGITS_MAX + 1];
	int point;
	size_t count = real_digits(d, digits, &point);

	if (d < 0)
		buf_add_u8(sql, '-');
	buf_add_str(sql, "0.");
	buf_add(sql, digits, count);
	buf_add_format(sql, "e%d", point);
}

static void add_hex(struct slice bytes, struct buf *sql)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t *p = buf_reserve(sql, bytes.size * 2 + 3);

	*p++ = 'x';
	*p++ = '\'';
	for (size_t i = 0; i < bytes.size; i++) {
		*p++ = (uint8_t)hex[bytes.data[i] >> 4];
		*p++ = (uint8_t)hex[bytes.data[i] & 15];
	}
	*p = '\'';
	sql->size += bytes.size * 2 + 3;
}

/* Runs of plain bytes at once. */
static void add_text(struct slice text, struct buf *sql)
{
	uint8_t *p = buf_reserve(sql, text.size * 2 + 2), *begin = p;

	*p++ = '\'';
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];

		if (c == '\'' || c == '\\' || c == '\0') {
			*p++ = '\\';
			c = c == '\0' ? '0' : c;
		}
		*p++ = c;
	}
	*p++ = '\'';
	sql->size += (size_t)(p - begin);
}

void db_store_literal(const struct value *value, struct buf *sql)
{
	switch ((enum value_kind)value->kind) {
	case VALUE_ABSENT:
	case VALUE_NULL:
		buf_add(sql, "NULL", 4);
		return;
	case VALUE_INT:
		add_integer(value->i, sql);
		return;
	case VALUE_DOUBLE:
		add_double(value->d, sql);
		return;
	case VALUE_TEXT:
		add_text(value->bytes, sql);
		return;
	case VALUE_BYTES:
		add_hex(value->bytes, sql);
		return;
	}
}

void db_store_name(const char *name, struct buf *sql)
{
	buf_add_u8(sql, '`');
	for (; *name != '\0'; name++) {
		if (*name == '`')
			buf_add_u8(sql, '`');
		buf_add_u8(sql, (uint8_t)*name);
	}
	buf_add_u8(sql, '`');
}
