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
	char *role, *grants;       /* of db_login; grants NULL: a session that only reads */
	bool result_open;
	size_t answers; /* of statements that were sent: taken so far */
	struct db_load *load;
};

/* Connects; the session is not set up. */
int db_connect(const struct db_login *login, struct db **ret_db, struct err *e);
/* db_failed() of a session that writes: no message holds values. */
int db_store_failed(const struct db *db, const char *doing, struct err *e);
int db_error_sort_store(const struct db *db, unsigned number, const char *state, const char *text,
			const char *doing, struct err *e);

/* Fills *e from the connection's last error. `doing`: "query", "connect to", ... Returns -1. */
int db_failed(const struct db *db, const char *doing, struct err *e);
/* The sorting itself, from number and text. */
int db_error_sort(const struct db *db, unsigned number, const char *text, const char *doing,
		  struct err *e);

/* Of a statement that was only prepared. */
int db_store_try_failed(const struct db *db, unsigned number, const char *state, const char *text,
			struct err *e);

/* ---- rows in bulk (db_load.c) ---- */
void db_load_allow(struct db *db); /* the session may load rows */
bool db_load_runs(const struct db *db);
int db_load_take(struct db *db, struct err *e); /* waits; one runs */
void db_load_free(struct db *db);

/* ---- which errors heal (db_error.c) ---- */
enum db_hint {
	DB_HINT_NONE,
	DB_HINT_AWAY,
	DB_HINT_LOGIN,
	DB_HINT_GRANT,
	DB_HINT_GRANT_GLOBAL,
	DB_HINT_HOST,
	DB_HINT_SPACE,
	DB_HINT_TLS,
	DB_HINT_READ_ONLY,
	DB_HINT_PACKET,
	DB_HINT_DATABASE
};

struct db_sorted {
	unsigned number;
	enum err_kind kind;
	enum db_hint hint;
};

const struct db_sorted *db_error_in(const struct db_sorted *table, size_t count, unsigned number);
/* Of a source's and a store's server alike, and the client's own; NULL: another one. */
const struct db_sorted *db_error_known(unsigned number);

#endif
