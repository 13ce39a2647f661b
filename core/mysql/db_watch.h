/* db_watch.h - makes long reads give way, and looks at the server's load.
 *
 * An open read holds a metadata lock: an ALTER TABLE waits for it, and everybody else waits behind
 * the ALTER. Who reads says so: db_watch_begin(), db_watch_end(). A read that lasts longer than 200
 * ms is watched from then on: when somebody waits for the table, it is ended (KILL QUERY, which
 * needs no right for one's own session) and fails with ERR_RETRY. Whether somebody waits is found
 * with no right but SELECT: while an exclusive lock is asked for, no new one is given, so a
 * question about the table that may not wait fails. */
#ifndef CORE_MYSQL_DB_WATCH_H
#define CORE_MYSQL_DB_WATCH_H

#include "core/mysql/db.h"

#define DB_WATCH_READS_MAX 64

struct db_watch;

/* One thread, which rests until there is something to watch. load: Threads_running is asked for
 * every second. */
int db_watch_open(const struct settings *settings, bool load, struct db_watch **ret_watch,
		  struct err *e);
void db_watch_close(struct db_watch *w); /* NULL is fine */
/* This connection reads db.table from now on. Any thread. -1: too many at once; it isn't watched.
 */
int db_watch_begin(struct db_watch *w, const struct db *reader, const char *db, const char *table);
/* The same for a read of any tables: `probe` is a statement that needs the same locks and does no
 * work ("EXPLAIN SELECT ..."); `what` is for the log. */
int db_watch_begin_query(struct db_watch *w, const struct db *reader, const char *what,
			 const char *probe);
/* true: it was made to give way. */
bool db_watch_end(struct db_watch *w, int read);
int64_t db_watch_load(struct db_watch *w); /* -1: not known */

#endif
