/* cascade.h - changes of parents that change children below the binlog (DESIGN 4.2): which tables
 * must be watched for them, and what has to be reconciled when they come.
 *
 * The rows that a cascading foreign key deletes, updates or sets to NULL are in no row event. So a
 * parent's delete, or an update of columns that are referred to, queues a reconciling copy of the
 * children. What that copy then changes is a parent's change for the next level. Parents, and
 * tables between a parent and a captured child, need not be captured: they are watched. */
#ifndef CDC_COPY_CASCADE_H
#define CDC_COPY_CASCADE_H

#include "cdc/copy/reconcile.h"
#include "cdc/catalog/catalog.h"

struct cascade;

struct cascade *cascade_new(struct catalog *catalog);
void cascade_free(struct cascade *c); /* NULL is fine */
/* The foreign keys of these captured tables, and of what lies above them, as they are now; what was
 * known before is forgotten. Tells the catalog which tables to watch. The names' keys are taken. */
int cascade_read(struct cascade *c, struct db *db, struct catalog_name *names, size_t count,
		 struct err *e);
/* Tables ("db.table") that are changed so; count. */
size_t cascade_children(const struct cascade *c, const char *const **ret_names);

/* A change of any captured or watched table, delivered or not. unchecked: the session that made it
 * had foreign_key_checks off, then nothing cascades. */
int cascade_change(struct cascade *c, const struct change *change, bool unchecked,
		   struct reconcile *reconcile, struct err *e);

#endif
