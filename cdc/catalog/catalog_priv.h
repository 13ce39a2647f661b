/* catalog_priv.h - for the files of cdc/catalog only. */
#ifndef CDC_CATALOG_CATALOG_PRIV_H
#define CDC_CATALOG_CATALOG_PRIV_H

#include "cdc/binlog/table_map.h"
#include "cdc/catalog/catalog.h"

#define CATALOG_HINT "Leave the table out of capture.tables, or change the column."

/* Shape from a TABLE_MAP with FULL metadata. ERR_DATA as catalog_table_map says. */
int catalog_map_shape(const struct table_map *map, bool captured, struct shape **ret_shape,
		      struct err *e);

/* NULL when columns like this one can be delivered, else why not. Both ways to a shape ask it. */
const char *catalog_column_refused(const struct column *column);

/* Columns whose TABLE_MAP hides their type. */
struct catalog_hidden {
	char *db, *table, *column, *type;
};
struct catalog_hints {
	struct catalog_hidden *items;
	size_t count, capacity;
};
void catalog_hints_done(struct catalog_hints *h);
struct catalog_hints *catalog_hints_of(struct catalog *c);
const struct text_list *catalog_patterns(const struct catalog *c);
/* A pattern that may match no table (catalog_may_lack). */
bool catalog_lacks(const struct catalog *c, const char *pattern);

#endif
