/* db_priv.h - for the files of core/mysql only: the connection's inside, and how its errors are
 * sorted. */
#ifndef CORE_MYSQL_DB_PRIV_H
#define CORE_MYSQL_DB_PRIV_H

#include "core/mysql/db.h"

#include <mysql.h>

struct db {
	MYSQL *mysql;
	int socket;
	char *host, *user, *where; /* where: host:port */
	bool result_open;
};

/* Fills *e from the connection's last error. `doing`: "query", "connect to", ... Returns -1. */
int db_failed(const struct db *db, const char *doing, struct err *e);
/* The sorting itself, from number and text. */
int db_error_sort(const struct db *db, unsigned number, const char *text, const char *doing,
		  struct err *e);

#endif
