/* pg_priv.h - for the files of core/postgresql only: the connection's inside, and how its errors
 * are sorted. */
#ifndef CORE_POSTGRESQL_PG_PRIV_H
#define CORE_POSTGRESQL_PG_PRIV_H

#include "core/postgresql/pg.h"

#include <libpq-fe.h>

/* What was queued and not yet answered. */
struct pg_item {
	const char *origin; /* of the statement, for messages; NULL: our own */
	bool rows;          /* its parameters are values of rows */
	bool sync;
};

struct pg {
	PGconn *conn;
	char *where, *user, *database, *host;
	char state[6];
	unsigned statements; /* names given so far */
	struct pg_item *items;
	size_t first, count, capacity; /* a ring */
	size_t unsent;                 /* bytes since the socket took all */
	int64_t changed;               /* by the last answered */
	struct buf gone;               /* names of statements to be deallocated, ',' between */
	bool cursor;
	char **origins; /* each once: what is queued names them when its statement is gone */
	size_t origin_count;
};

struct pg_statement {
	struct pg *pg;
	char name[16];
	const char *origin;
	int count;
	uint32_t *types;
	const char **values; /* arrays for the call, `count` each */
	int *lengths, *formats;
	size_t *offsets;
	struct buf bytes;
};

/* Fills *e from a result (NULL: the connection's last error) and notes its SQLSTATE. `rows`: values
 * were at work, their text is withheld. Returns -1. */
int pg_failed(struct pg *p, const PGresult *result, bool rows, struct err *e);
int pg_connect_failed(const struct pg *p, struct err *e);
/* Before anything that waits for its own answer: nothing is queued any more, and the connection is
 * out of pipeline mode. */
int pg_settle(struct pg *p, struct err *e);
/* Waits for the next result; NULL: none. Keeps the socket moving in both directions. */
PGresult *pg_await(struct pg *p);
int pg_push(struct pg *p, struct err *e); /* what is queued goes to the server */
bool pg_is_good(const PGresult *r);
/* All results of what was just sent; the last one to *ret_result (NULL: dropped). */
int pg_collect(struct pg *p, PGresult **ret_result, struct err *e);
/* What a script's own text is wrong about: it holds no row, so all may be shown. Parameters are
 * those of pg_prepare. Returns -1. */
int pg_script_failed(struct pg *p, const char *origin, const char *script, const char *at,
		     const char *sql, const PGresult *result, struct err *e);

#endif
