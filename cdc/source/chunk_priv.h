/* chunk_priv.h - what chunk_read.c takes from chunk_snapshot.c. */
#ifndef CDC_SOURCE_CHUNK_PRIV_H
#define CDC_SOURCE_CHUNK_PRIV_H

#include "cdc/source/chunk.h"
#include "core/mysql/db.h"

/* Opens the snapshot that the request wants, and tells its place if it wants that. */
int chunk_snapshot_open(const struct settings *settings, struct db *db,
			const struct chunk_request *request, struct err *e);
/* The binlog's end, behind the last SELECT, into c->point. A cut chunk has ended its connection:
 * its point needs another, its successor's border is asked for later. */
int chunk_read_point(const struct settings *settings, struct db *db, struct chunk *c,
		     struct err *e);

#endif
