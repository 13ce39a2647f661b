/* load.h - rows of a handler's INSERT or REPLACE as LOAD DATA takes them, which costs the server
 * some 0.6 of what the same rows cost behind one VALUES. While a version is built.
 *
 * Which statements: sql_rows.c finds the plain ones by their text. Of these, by what the catalog
 * says of the table: all columns are named, none is generated or counts by itself; and behind ON
 * DUPLICATE KEY UPDATE, the one unique index is the primary key, of which equal values have equal
 * bytes, and all other columns get new values: then REPLACE does the same.
 *
 * Which values: those that a column takes from text as it takes them from a literal; others
 * mydb_load_row() refuses. LOAD DATA LOCAL makes warnings of what an INSERT refuses. So whoever
 * loads does it behind a savepoint, and a load that isn't plain (db_store_load_was_plain) is taken
 * back and done as the INSERT that it stands for. */
#ifndef PROJECTIONS_STORE_MYSQL_LOAD_H
#define PROJECTIONS_STORE_MYSQL_LOAD_H

#include "core/mysql/db_store.h"
#include "projections/store/mysql/sql.h"

struct mydb_load;

/* *ret_load: NULL when LOAD DATA wouldn't do the same. `s` outlives it. */
int mydb_load_learn(struct db *db, const struct mydb_sql *s, struct mydb_load **ret_load,
		    struct err *e);
void mydb_load_free(struct mydb_load *l); /* NULL is fine */
/* The statement, without its rows. */
struct slice mydb_load_sql(const struct mydb_load *l);
/* A row, appended to `rows` (db_store_send_load); false: it isn't, its values are no such. */
bool mydb_load_row(const struct mydb_load *l, const struct value *const *values, struct buf *rows);
/* Rows as the INSERT or REPLACE, appended. */
void mydb_load_as_insert(const struct mydb_sql *s, struct slice rows, struct buf *sql);

#endif
