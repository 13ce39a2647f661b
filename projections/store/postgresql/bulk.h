/* bulk.h - runs of plain writes to one table, gathered by key and sent as arrays.
 *
 * What counts as plain, by its text and by the table's catalog entry:
 *   INSERT INTO t (a, b) VALUES (:x, :y) ON CONFLICT (a) DO UPDATE SET b = excluded.b   all others
 *   INSERT INTO t (a, b) VALUES (:x, :y)
 *   DELETE FROM t WHERE a = :x                                                         all of the
 * key on a table with one unique index, without triggers, rules, foreign keys or row security, and
 * without defaults for columns that aren't written. There nothing but the last write to a key can
 * be seen behind a run of them, so rows with different keys change places freely, and of several
 * writes to one key the last is sent. A value that only an earlier one of them had is never looked
 * at by the server. */
#ifndef PROJECTIONS_STORE_POSTGRESQL_BULK_H
#define PROJECTIONS_STORE_POSTGRESQL_BULK_H

#include "core/postgresql/pg.h"
#include "core/postgresql/pg_script.h"

struct bulk;
struct bulk_shape;

struct bulk *bulk_new(struct pg *pg);
void bulk_free(struct bulk *b); /* NULL is fine */
/* *ret_shape: NULL when the statement isn't plain. `one` is the same statement, prepared; it tells
 * the parameters' types. Shapes live as long as b. */
int bulk_learn(struct bulk *b, const char *origin, const struct pg_script *script,
	       const struct pg_statement *one, struct bulk_shape **ret_shape, struct err *e);
/* 1: gathered; 0: these values can't be: whoever asked queues b (bulk_queue) and runs the statement
 * by itself; -1. */
int bulk_add(struct bulk_shape *s, const struct value *const *values, struct err *e);
/* Queues all that was gathered on the connection. */
int bulk_queue(struct bulk *b, struct err *e);
void bulk_forget(struct bulk *b);

#endif
