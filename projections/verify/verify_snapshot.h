/* verify_snapshot.h - a snapshot of the source of which the GTID set is known exactly. */
#ifndef PROJECTIONS_VERIFY_VERIFY_SNAPSHOT_H
#define PROJECTIONS_VERIFY_VERIFY_SNAPSHOT_H

#include "core/mysql/db.h"

/* Opens one on this connection (REPEATABLE READ) that holds all of `held_at` at least;
 * *ret_gtid_set (malloced) is what it holds, no more and no less. ERR_DATA: the source lacks what
 * is held; ERR_RETRY: it is never quiet enough (MySQL), or out of reach; ERR_CONFIG: its binlog is
 * off, or it has no GTIDs. */
int verify_snapshot(const struct settings *settings, struct db *db, const char *held_at,
		    char **ret_gtid_set, struct err *e);

#endif
