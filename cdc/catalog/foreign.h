/* foreign.h - foreign keys that change rows of their own accord (CASCADE, SET NULL, SET DEFAULT):
 * InnoDB does that below the binlog, which shows the parent's change alone.
 *
 * Read from SHOW CREATE TABLE: information_schema hides foreign keys from an account that has
 * nothing but SELECT. */
#ifndef CDC_CATALOG_FOREIGN_H
#define CDC_CATALOG_FOREIGN_H

#include "core/base/slice.h"
#include "core/mysql/db.h"

struct foreign_key {
	char *db, *table;               /* the child, whose rows change */
	char *parent_db, *parent_table; /* whose changes do it */
	char **columns;                 /* of the parent: those that are referred to */
	size_t column_count;
	char **child_columns; /* which refer to them, in the same order */
	size_t child_column_count;
	bool on_delete, on_update; /* acts on the child's rows, not just refuses */
};

struct foreign_keys {
	struct foreign_key *items;
	size_t count;
};

void foreign_keys_done(struct foreign_keys *keys);
/* Those of `from` behind those of `to`; `from` is empty then. */
void foreign_keys_move(struct foreign_keys *from, struct foreign_keys *to);
/* Appends those of one table that act. 0: read; 1: there is no such table, or it may not be seen;
 * -1. */
int foreign_keys_read(struct db *db, const char *schema, const char *table,
		      struct foreign_keys *keys, struct err *e);
/* The same of many tables, some hundred in a round trip. *ret_missing: the first that there is not,
 * or that may not be seen; `count`: none. */
struct foreign_table {
	const char *db, *table;
	struct foreign_keys *keys; /* appended to */
};
int foreign_keys_read_all(struct db *db, const struct foreign_table *tables, size_t count,
			  size_t *ret_missing, struct err *e);
/* The same from the text of SHOW CREATE TABLE. Pure. */
void foreign_keys_parse(const char *schema, const char *table, struct slice text,
			struct foreign_keys *keys);

#endif
