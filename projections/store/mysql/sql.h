/* sql.h - the SQL of a view in MariaDB's and MySQL's dialect, cut into statements and looked
 * at before the server sees it.
 *
 * Named parameters (:name) are found where they are parameters: not in quotes, not in comments. A
 * handler may only change rows, tables.sql only make tables and indexes; neither may name another
 * database or Millrace's own tables: the connection's default database picks the version.
 *
 * Pure text: no server. sql_mode is Millrace's own (core/mysql/db_store.h): "x" is a string, a
 * backslash escapes. */
#ifndef PROJECTIONS_STORE_MYSQL_SQL_H
#define PROJECTIONS_STORE_MYSQL_SQL_H

#include "core/base/buf.h"
#include "core/base/err.h"

enum mydb_sql_use { MYDB_SQL_HANDLER, MYDB_SQL_TABLES };

struct mydb_parameter {
	char *name; /* NULL: a bare '?' */
	size_t at;  /* of its '?' in the text */
};

/* How a column gets its parameter: the value as it is; a DATE from days, a DATETIME from
 * microseconds since 1970; a TIME from microseconds. */
enum mydb_form { MYDB_AS_IS, MYDB_DAYS, MYDB_MICROS, MYDB_CLOCK };

struct mydb_cell {
	char *column;
	size_t parameter;
	enum mydb_form form;
};

/* A tuple that is nothing but parameters, each for one named column. */
struct mydb_rows {
	struct mydb_cell *cells;
	size_t count;
	bool replaces; /* REPLACE */
	bool updates;  /* ON DUPLICATE KEY UPDATE: of these columns, to their new values */
	char **set;
	size_t set_count;
};

struct mydb_sql {
	struct buf text; /* without comments, '?' for each parameter */
	struct mydb_parameter *parameters;
	size_t count;
	int line;    /* in its file, of its first word */
	char *table; /* the only one that it changes and reads; NULL: several, or not known */
	/* INSERT or REPLACE of one row, to which other rows can be added: text is
	 * [0, tuple_begin) (...) [tuple_end, ...), and `suffix` (malloced) stands behind the rows.
	 * All parameters that count are in the tuple. */
	bool merges;
	size_t tuple_begin, tuple_end;
	char *suffix;
	struct mydb_rows *rows; /* of one that merges; NULL: its tuple is more than that */
};

/* The statement at `text`, inside `script` (for lines). *ret_sql is NULL when only blanks and
 * comments are left. ERR_CONFIG: "origin:line: what". */
int mydb_sql_next(enum mydb_sql_use use, const char *origin, const char *script, const char *text,
		  const char **ret_tail, struct mydb_sql **ret_sql, struct err *e);
void mydb_sql_free(struct mydb_sql *s); /* NULL is fine */

#endif
