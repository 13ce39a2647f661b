/* target.h - a PostgreSQL connection as the place that handlers write to: statements are
 * queued in a pipeline, and runs of plain upserts, inserts and deletes are gathered and sent as
 * arrays. */
#ifndef PROJECTIONS_STORE_POSTGRESQL_TARGET_H
#define PROJECTIONS_STORE_POSTGRESQL_TARGET_H

#include "core/postgresql/pg.h"
#include "projections/apply/target.h"

struct bulk;

struct target_postgresql {
	struct target target; /* first: a target is the address of this */
	struct pg *pg;        /* not owned; plain names are those of the version's schema */
	struct bulk *bulk;
};

void target_postgresql_init(struct target_postgresql *t, struct pg *pg);
/* Statements are finalized first. */
void target_postgresql_done(struct target_postgresql *t);
/* What was gathered is queued on the connection: from here on pg_drain() tells how it went. */
int target_postgresql_queue(struct target_postgresql *t, struct err *e);
/* Forgets what was gathered: the transaction was rolled back. */
void target_postgresql_forget(struct target_postgresql *t);

#endif
