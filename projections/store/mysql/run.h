/* run.h - between target.c and run.c: statements on their way to the server, and the rows that wait
 * for more of their kind. */
#ifndef PROJECTIONS_STORE_MYSQL_RUN_H
#define PROJECTIONS_STORE_MYSQL_RUN_H

#include "projections/store/mysql/load.h"
#include "projections/store/mysql/mysql_priv.h"

struct target_statement {
	struct target_mysql *target;
	struct mydb_sql *sql;
	struct mydb_load *load; /* NULL: its rows aren't loaded */
	bool load_off;          /* the server had something to say about some that were */
};

/* A statement with its values, in order with those before it. Doesn't wait, unless a run of rows
 * ends that is loaded. What fails is told by the next target_mysql_send(). */
void run_add(struct target_mysql *t, struct target_statement *s, const struct value *const *values);
/* Waits for what is on its way. */
int run_take(struct target_mysql *t, struct err *e);
/* The statement is about to go: nothing waits for more of its rows any more. */
void run_forget(struct target_mysql *t, const struct target_statement *s);

#endif
