/* db_position.h - where a server is, in its own dialect (core/base/gtid.h).
 *
 * MariaDB: its GTID position. MySQL with gtid_mode=ON: the set that it has executed. MySQL without:
 * the end of its binlog, as a place. */
#ifndef CORE_MYSQL_DB_POSITION_H
#define CORE_MYSQL_DB_POSITION_H

#include "core/base/gtid.h"
#include "core/mysql/db.h"

/* Every transaction has a GTID, now and from now on. */
int db_has_gtids(struct db *db, bool *ret_has, struct err *e);
/* Replaces *set. */
int db_position(struct db *db, struct gtid_set *set, struct err *e);
/* The end of the binlog: the statement for it has another name since MySQL 8.2. Replaces *set by
 * this place. ERR_CONFIG: there is no binlog. */
int db_binlog_end(struct db *db, struct gtid_set *set, struct err *e);
/* One value that is a set, of any dialect; NULL counts as "". */
int db_get_set(struct db *db, const char *sql, struct gtid_set *set, struct err *e);

#endif
