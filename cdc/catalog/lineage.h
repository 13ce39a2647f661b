/* lineage.h - which shape of a table is in force where the stream stands, when the binlog itself
 * does not say (catalog mode).
 *
 * information_schema tells the shape of the present, and the stream may stand far behind it. The
 * statements in between, which made the table what it is, are found by reading the binlog on to its
 * end (cdc/source/ahead.h). They part the time that lies ahead into spans, each with one shape; the
 * first span is where the stream stands, and an answer of information_schema is the shape of the
 * last one:
 *
 *      stream --------- ALTER --------- ALTER --------- end of the binlog
 *      was: known       not known       told: known
 *
 * What nobody has seen is not assumed. Places are numbers that rise along the binlog of one server
 * (gtid_file_ordinal). Pure. */
#ifndef CDC_CATALOG_LINEAGE_H
#define CDC_CATALOG_LINEAGE_H

#include "core/value/shape.h"

#include <stddef.h>

struct lineage_span {
	uint64_t from;       /* end of the statement that it begins with */
	struct shape *shape; /* NULL: not known, or there is no table */
	int32_t id;          /* where it is kept (the caller's); 0: nowhere yet */
};

struct lineage {
	struct lineage_span here;   /* where the stream stands */
	struct lineage_span *ahead; /* in order */
	size_t ahead_count;
	bool told;           /* since the stream came to a statement */
	bool refused;        /* the last TABLE_MAP had no shape that could be known */
	struct shape *doubt; /* was in force here, and no statement says that it is no longer */
};

void lineage_done(struct lineage *l);
/* The shape in force here is known: from before (the position), or the binlog says it. */
void lineage_was(struct lineage *l, struct shape *shape);
/* A statement on this table that ends at `at`, behind all that are known. One that the stream has
 * come to before is not counted again. */
void lineage_found(struct lineage *l, uint64_t at);
/* The stream has come to a statement on this table. */
void lineage_met(struct lineage *l, uint64_t at);
/* What information_schema says, of a moment behind all statements found. NULL: no such table. */
void lineage_told(struct lineage *l, struct shape *shape);
/* Not the shape that was told is in force here, but the one in doubt. */
void lineage_take_doubt(struct lineage *l);
/* The shape here is not known, and to ask for it would help: nothing is known to lie ahead. */
bool lineage_wants(const struct lineage *l);

#endif
