/* dialect.h - the SQL that Millrace writes itself, store by store: names, types, how a value goes
 * in, and the few statements in which the stores differ. What is the same everywhere is written by
 * whoever needs it.
 *
 * A mirrored column gets the store's own type for what it is at the source. Where a store has no
 * type that holds every value of it, it gets a wider one that does (schemas/mapping.md has the
 * table). Parameters are :p0, :p1 ...: the numbers of a table's columns, because a column's name
 * may be anything. */
#ifndef PROJECTIONS_APPLY_DIALECT_H
#define PROJECTIONS_APPLY_DIALECT_H

#include "core/base/buf.h"
#include "core/value/shape.h"

/* What a column of a view's table holds: mostly a column of the source; of a GEOMETRY there are
 * two, its SRID and its WKB. */
enum dialect_part { DIALECT_WHOLE, DIALECT_SRID, DIALECT_WKB };

struct dialect {
	const char *store;
	char quote; /* around names */
	bool loose; /* a column takes a value of any type: what its own can't hold stands there as
		       its exact text. Else the column is NULL, and MIRROR_EXACT (mirror.h) says
		       what it really is */
	const char *insert_or_nothing[2]; /* "INSERT IGNORE INTO ", and what follows the SELECT */
	const char *table_end;            /* behind CREATE TABLE (...) */
	size_t key_bytes_max;             /* a character column in a key; 0: no limit */
};

/* NULL: a store without SQL. */
const struct dialect *dialect_of(const char *store);
/* `name` quoted. Appends, as all of these do. */
void dialect_name(const struct dialect *d, const char *name, struct buf *out);
void dialect_type(const struct dialect *d, const struct column *c, enum dialect_part part, bool key,
		  struct buf *out);
/* :p<number>, made into the column's type. */
void dialect_parameter(const struct dialect *d, const struct column *c, enum dialect_part part,
		       size_t number, struct buf *out);
/* " ON CONFLICT (...) DO UPDATE SET ..." behind INSERT ... VALUES. */
struct dialect_names {
	const char *const *items;
	size_t count;
};
void dialect_upsert(const struct dialect *d, struct dialect_names key, struct dialect_names others,
		    struct buf *out);

#endif
