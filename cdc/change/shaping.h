/* shaping.h - statements that may change what a table looks like, by the names in them.
 *
 * The stream and the reading ahead of it (cdc/source/ahead.h) must agree on which these are: both
 * ask here. Rather too many than too few. Pure. */
#ifndef CDC_CHANGE_SHAPING_H
#define CDC_CHANGE_SHAPING_H

#include "cdc/binlog/statement.h"

/* table "": every table of the database; db "": every table. */
typedef void (*shaping_fn)(void *context, const char *db, const char *table);
void shaping_each(const struct statement *s, shaping_fn each, void *context);

#endif
