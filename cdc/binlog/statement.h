/* statement.h - what kind of statement a QUERY event holds, and which tables it names.
 *
 * A tokenizer, not a parser: skips blanks and comments (reading what versioned comments hold),
 * knows strings, back quotes and double-quoted names, and collects the names that stand where a
 * table can stand. It names rather too many tables than too few. Pure. */
#ifndef CDC_BINLOG_STATEMENT_H
#define CDC_BINLOG_STATEMENT_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"

#define STATEMENT_TABLES_MAX 4096

enum statement_kind {
	STATEMENT_BEGIN, /* BEGIN, START TRANSACTION, XA START */
	STATEMENT_COMMIT,
	STATEMENT_ROLLBACK,
	STATEMENT_SAVEPOINT,   /* name: the savepoint */
	STATEMENT_ROLLBACK_TO, /* name: the savepoint */
	STATEMENT_RELEASE,     /* RELEASE SAVEPOINT; name */
	STATEMENT_XA_COMMIT,
	STATEMENT_XA_ROLLBACK,
	STATEMENT_XA_OTHER, /* XA END, XA PREPARE */
	STATEMENT_CREATE_TABLE,
	STATEMENT_ALTER_TABLE, /* also CREATE INDEX, DROP INDEX, REPAIR */
	STATEMENT_DROP_TABLE,
	STATEMENT_RENAME_TABLE,
	STATEMENT_TRUNCATE,
	STATEMENT_OPTIMIZE,      /* the table may be made anew; no row changes */
	STATEMENT_DROP_DATABASE, /* one entry in tables: db, table "" */
	/* views, routines, triggers, users, grants, databases: no rows change */
	STATEMENT_DDL_OTHER,
	/* INSERT, UPDATE, DELETE, REPLACE, LOAD DATA; SELECT, DO, CALL: `tables` may be empty */
	STATEMENT_DML,
	/* SET, FLUSH, ANALYZE, dummy events (#), empty, or not understood */
	STATEMENT_OTHER,
};

/* How a statement names something. */
enum statement_role {
	STATEMENT_NAMED,
	STATEMENT_LEFT,   /* RENAME: the table goes away from this name ... */
	STATEMENT_FILLED, /* ... to this one: of RENAME TABLE right behind; of ALTER TABLE, whose
			   * first table is the one that goes, others may stand between (REFERENCES)
			   */
};

struct statement_table {
	char *db, *table; /* unquoted, in the statement's character set */
	bool target;      /* may be changed by the statement; false: only read or referred to */
	enum statement_role role;
};

struct statement {
	enum statement_kind kind;
	bool temporary;     /* CREATE or DROP TEMPORARY TABLE */
	bool or_replace;    /* CREATE OR REPLACE TABLE: drops what was there */
	bool if_not_exists; /* CREATE TABLE IF NOT EXISTS: it may have been there, with rows */
	bool ignore;        /* ALTER IGNORE TABLE: rows may be dropped */
	bool as_select;     /* CREATE TABLE ... SELECT: with the rows of a query */
	/* ALTER TABLE and its like: the part of it that may change the rows that exist, or what
	 * they are called; a literal; NULL: it can't (statement_alter.c). RENAME of the table
	 * itself is told by roles. */
	const char *rewrites;
	/* DML: it calls something that may be a stored function, or more than can be listed: any
	 * table may be changed */
	bool any_table;
	/* Not understood: `tables` are all names in it */
	bool unreadable;
	char *name; /* savepoint; else NULL */
	struct statement_table *tables;
	size_t table_count, table_capacity;
};

/* clang-format off */
#define STATEMENT_INIT { .kind = STATEMENT_OTHER }
/* clang-format on */

/* Only whether the text begins, ends or cuts a group, without collecting tables or allocating:
 * cheap enough for every QUERY. Kinds behind STATEMENT_XA_OTHER come back as STATEMENT_OTHER.
 * ret_name: the savepoint's name as written (quotes included), pointing into text. */
enum statement_kind statement_peek(struct slice text, struct slice *ret_name);
/* Same savepoint? Compares names as written: without quotes, ASCII letters in any case, as the
 * server does. */
bool statement_same_name(struct slice a, struct slice b);
/* Everything. ERR_DATA: more than STATEMENT_TABLES_MAX tables. What cannot be read gives
 * STATEMENT_OTHER, `unreadable`, with every name that may be a table. */
int statement_read(struct slice text, struct slice default_db, struct statement *ret_statement,
		   struct err *e);
void statement_done(struct statement *s);
const char *statement_kind_name(enum statement_kind kind); /* "ALTER TABLE", ... */

#endif
