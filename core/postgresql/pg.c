/* pg.c - connect, and statements that wait for their answers.
 *
 * A session is set up in one round trip. Plans: a writer repeats few statements many times on
 * tables that grow under it, so plans are generic, by index, and never compiled; a plan made for an
 * empty table would read all of a large one.
 *
 * The socket doesn't block (libpq's own wait for writing would stop reading, and both sides could
 * then wait for each other): pg_pipeline.c moves it. A server that is silent is found by TCP
 * (keepalives, tcp_user_timeout); one that works long on a statement is waited for. */
#include "core/postgresql/pg_priv.h"

#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* PGresult, seen from outside */
static PGresult *result_of(const struct pg_result *r)
{
	return (PGresult *)(uintptr_t)r;
}

/* ---- connecting ------------------------------------------------------------------------------ */

struct options {
	const char *keys[24], *values[24];
	char numbers[8][24];
	size_t count, number_count;
};

static void option(struct options *o, const char *key, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	o->keys[o->count] = key;
	o->values[o->count++] = value;
}

static void option_int(struct options *o, const char *key, int64_t value)
{
	char *text = o->numbers[o->number_count++];

	(void)snprintf(text, sizeof(o->numbers[0]), "%" PRId64, value);
	option(o, key, text);
}

static void set_options(const struct settings *s, struct options *o)
{
	int64_t silence_s = (s->postgresql_timeout_ms + 999) / 1000;

	option(o, "host", s->postgresql_host);
	option_int(o, "port", s->postgresql_port);
	option(o, "dbname", s->postgresql_database);
	option(o, "user", s->postgresql_user);
	option(o, "password", s->postgresql_password);
	/* nothing from the environment or a home folder decides who we are */
	option(o, "passfile", "/dev/null");
	option(o, "application_name", "millrace");
	option(o, "client_encoding", "UTF8");
	option(o, "target_session_attrs", "read-write");
	option_int(o, "connect_timeout", (s->postgresql_connect_timeout_ms + 999) / 1000);
	option_int(o, "tcp_user_timeout", s->postgresql_timeout_ms);
	option(o, "keepalives", "1");
	option_int(o, "keepalives_idle", silence_s > 3 ? silence_s / 3 : 1);
	option_int(o, "keepalives_interval", silence_s > 6 ? silence_s / 6 : 1);
	option(o, "keepalives_count", "4");
	option(o, "gssencmode", "disable");
	if (strcmp(s->postgresql_tls, "off") == 0) {
		option(o, "sslmode", "disable");
	} else if (strcmp(s->postgresql_tls, "verify") == 0) {
		option(o, "sslmode", "verify-full");
		option(o, "sslrootcert", s->postgresql_tls_ca);
	} else {
		option(o, "sslmode", "require");
	}
	o->keys[o->count] = NULL;
	o->values[o->count] = NULL;
}

static int set_up_session(struct pg *p, const struct settings *settings, struct err *e)
{
	char *sql = xasprintf(
		"SET standard_conforming_strings = on; SET DateStyle = 'ISO, YMD'; SET IntervalStyle "
		"= 'postgres'; SET TimeZone = 'UTC'; SET extra_float_digits = 1; SET bytea_output = "
		"hex; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET "
		"lock_timeout = %" PRId64 "; SET default_transaction_isolation = 'read committed'; "
		"SET default_transaction_read_only = off; SET row_security = off; SET "
		"client_min_messages = error; SET enable_seqscan = off; SET jit = off; SET "
		"plan_cache_mode = force_generic_plan",
		settings->postgresql_lock_timeout_ms);
	int rc = pg_run(p, sql, e);

	free(sql);
	return rc;
}

static void no_notice(void *context, const PGresult *result)
{
	(void)context;
	(void)result; /* may hold values */
}

int pg_open(const struct settings *settings, struct pg **ret_pg, struct err *e)
{
	struct options o = { 0 };
	struct pg *p = xcalloc(1, sizeof(*p));

	set_options(settings, &o);
	p->user = xstrdup(settings->postgresql_user);
	p->database = xstrdup(settings->postgresql_database);
	p->where = xasprintf("postgresql %s:%" PRId64 "/%s", settings->postgresql_host,
			     settings->postgresql_port, settings->postgresql_database);
	p->conn = PQconnectdbParams(o.keys, o.values, 0);
	if (p->conn == NULL)
		abort(); /* it only allocates */
	if (PQstatus(p->conn) != CONNECTION_OK) {
		pg_connect_failed(p, e);
		goto failed;
	}
	PQsetNoticeReceiver(p->conn, no_notice, NULL);
	if (PQserverVersion(p->conn) < 140000) {
		err_config(e, "%s: PostgreSQL %d.%d is too old", p->where,
			   PQserverVersion(p->conn) / 10000, PQserverVersion(p->conn) % 10000);
		err_hint(e, "Millrace wants version 14 or later.");
		goto failed;
	}
	if (PQsetnonblocking(p->conn, 1) != 0 || set_up_session(p, settings, e) < 0)
		goto failed;
	*ret_pg = p;
	return 0;
failed:
	pg_close(p);
	return -1;
}

void pg_close(struct pg *p)
{
	if (p == NULL)
		return;
	PQfinish(p->conn);
	free(p->items);
	free(p->where);
	free(p->user);
	free(p->database);
	buf_done(&p->gone);
	for (size_t i = 0; i < p->origin_count; i++)
		free(p->origins[i]);
	free(p->origins);
	free(p);
}

const char *pg_where(const struct pg *p)
{
	return p->where;
}

const char *pg_user(const struct pg *p)
{
	return p->user;
}

const char *pg_database(const struct pg *p)
{
	return p->database;
}

int pg_server_number(const struct pg *p)
{
	return PQserverVersion(p->conn);
}

int pg_backend(const struct pg *p)
{
	return PQbackendPID(p->conn);
}

bool pg_is_lost(const struct pg *p)
{
	return PQstatus(p->conn) != CONNECTION_OK;
}

bool pg_in_transaction(const struct pg *p)
{
	PGTransactionStatusType status = PQtransactionStatus(p->conn);

	return p->count > 0 || status == PQTRANS_INTRANS || status == PQTRANS_INERROR ||
	       status == PQTRANS_ACTIVE;
}

const char *pg_state(const struct pg *p)
{
	return p->state;
}

void pg_cancel(struct pg *p)
{
	PGcancel *cancel = PQgetCancel(p->conn);
	char text[256];

	if (cancel == NULL)
		return;
	(void)PQcancel(cancel, text, sizeof(text)); /* it may just have ended */
	PQfreeCancel(cancel);
}

/* ---- statements ------------------------------------------------------------------------------ */

bool pg_is_good(const PGresult *r)
{
	ExecStatusType status = PQresultStatus(r);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
	       status == PGRES_EMPTY_QUERY;
}

int pg_collect(struct pg *p, PGresult **ret_result, struct err *e)
{
	PGresult *result, *last = NULL;
	int rc = 0;

	if (pg_push(p, e) < 0)
		return -1;
	while ((result = pg_await(p)) != NULL) {
		if (rc == 0 && !pg_is_good(result))
			rc = pg_failed(p, result, false, e);
		PQclear(last);
		last = result;
		if (pg_is_lost(p))
			break;
	}
	if (rc == 0 && (last == NULL || pg_is_lost(p)))
		rc = pg_failed(p, NULL, false, e);
	if (rc == 0 && ret_result != NULL) {
		*ret_result = last;
		last = NULL;
	}
	PQclear(last);
	return rc;
}

int pg_run(struct pg *p, const char *sql, struct err *e)
{
	if (pg_settle(p, e) < 0)
		return -1;
	if (PQsendQuery(p->conn, sql) == 0)
		return pg_failed(p, NULL, false, e);
	return pg_collect(p, NULL, e);
}

int pg_ask(struct pg *p, const char *sql, const char *const *values, int count,
	   struct pg_result **ret_result, struct err *e)
{
	PGresult *result = NULL;

	if (pg_settle(p, e) < 0)
		return -1;
	if (PQsendQueryParams(p->conn, sql, count, NULL, values, NULL, NULL, 0) == 0)
		return pg_failed(p, NULL, false, e);
	if (pg_collect(p, &result, e) < 0)
		return -1;
	if (ret_result != NULL)
		*ret_result = (struct pg_result *)result;
	else
		PQclear(result);
	return 0;
}

/* Where the server says the mistake is, as a line of the script. */
static int line_of(const char *script, const char *at, const char *sql, const PGresult *result)
{
	const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
	long characters = position != NULL ? strtol(position, NULL, 10) - 1 : 0;
	int line = 1;

	for (const char *c = script; c < at; c++)
		line += *c == '\n';
	if (position == NULL) /* where the statement begins */
		characters = (long)strspn(sql, " \t\r\n");
	for (const char *c = sql; *c != '\0' && characters > 0; c++) {
		line += *c == '\n';
		characters -= ((unsigned char)*c & 0xc0) != 0x80;
	}
	return line;
}

int pg_script_failed(struct pg *p, const char *origin, const char *script, const char *at,
		     const char *sql, const PGresult *result, struct err *e)
{
	const char *said = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	int rc = pg_failed(p, result, false, e);

	if (e->kind != ERR_DATA && e->kind != ERR_CONFIG)
		return rc;
	if (strcmp(p->state, "42501") != 0)
		err_config(e, "%s", said != NULL ? said : "refused");
	return err_wrap(e, "%s:%d", origin, line_of(script, at, sql, result));
}

int pg_run_at(struct pg *p, const char *origin, const char *script, const char *at, const char *sql,
	      struct err *e)
{
	PGresult *result;
	int rc = 0;

	if (pg_settle(p, e) < 0)
		return -1;
	if (PQsendQueryParams(p->conn, sql, 0, NULL, NULL, NULL, NULL, 0) == 0 || pg_push(p, e) < 0)
		return pg_failed(p, NULL, false, e);
	while ((result = pg_await(p)) != NULL) {
		if (rc == 0 && !pg_is_good(result))
			rc = pg_script_failed(p, origin, script, at, sql, result, e);
		PQclear(result);
	}
	return rc == 0 && pg_is_lost(p) ? pg_failed(p, NULL, false, e) : rc;
}

size_t pg_rows(const struct pg_result *r)
{
	return (size_t)PQntuples(result_of(r));
}

size_t pg_columns(const struct pg_result *r)
{
	return (size_t)PQnfields(result_of(r));
}

int64_t pg_changed(const struct pg_result *r)
{
	return strtoll(PQcmdTuples(result_of(r)), NULL, 10);
}

const char *pg_text(const struct pg_result *r, size_t row, int column)
{
	return PQgetisnull(result_of(r), (int)row, column)
		       ? NULL
		       : PQgetvalue(result_of(r), (int)row, column);
}

struct slice pg_slice(const struct pg_result *r, size_t row, int column)
{
	const char *text = pg_text(r, row, column);

	return text == NULL ? slice_of(NULL, 0)
			    : slice_of(text, (size_t)PQgetlength(result_of(r), (int)row, column));
}

int64_t pg_int(const struct pg_result *r, size_t row, int column)
{
	const char *text = pg_text(r, row, column);

	return text != NULL ? strtoll(text, NULL, 10) : 0;
}

void pg_result_free(struct pg_result *r)
{
	PQclear(result_of(r));
}

int pg_get_text(struct pg *p, const char *sql, const char *const *values, int count,
		char **ret_text, struct err *e)
{
	struct pg_result *r;

	if (pg_ask(p, sql, values, count, &r, e) < 0)
		return -1;
	*ret_text = pg_rows(r) > 0 && pg_text(r, 0, 0) != NULL ? xstrdup(pg_text(r, 0, 0)) : NULL;
	pg_result_free(r);
	return 0;
}

int pg_get_int(struct pg *p, const char *sql, const char *const *values, int count,
	       int64_t *ret_value, struct err *e)
{
	struct pg_result *r;

	if (pg_ask(p, sql, values, count, &r, e) < 0)
		return -1;
	*ret_value = pg_rows(r) > 0 ? pg_int(r, 0, 0) : 0;
	pg_result_free(r);
	return 0;
}
