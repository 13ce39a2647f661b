/* pg_script.h - a user's SQL, statement by statement: where one ends, its parameters by name, what
 * it may not do. Pure: text in, text out.
 *
 * Knows PostgreSQL's quotes ('..', E'..', "..", $tag$..$tag$), comments (nested too) and casts. A
 * parameter is ':' and a name, where neither another ':' nor a name stands before it: an array's
 * slice by a column wants blanks, a[1 : n]. */
#ifndef CORE_POSTGRESQL_PG_SCRIPT_H
#define CORE_POSTGRESQL_PG_SCRIPT_H

#include "core/base/buf.h"
#include "core/base/err.h"

enum pg_token_kind {
	PG_TOKEN_WORD,      /* a name or keyword; without its quotes, unquoted ones in lower case */
	PG_TOKEN_QUOTED,    /* the same of a quoted name */
	PG_TOKEN_LITERAL,   /* a string or number */
	PG_TOKEN_PARAMETER, /* `number` from 1 */
	PG_TOKEN_SYMBOL     /* one character; "::" is one */
};

struct pg_token {
	enum pg_token_kind kind;
	char *text;
	int number;
};

struct pg_script {
	char *sql;    /* the statement with $1, $2 ... for its parameters; lines as in the script */
	char **names; /* of the parameters, each once */
	int name_count;
	struct pg_token *tokens; /* without blanks and comments; 0: there is no statement */
	size_t token_count;
	const char *tail; /* behind its ';' */
};

enum pg_script_use {
	PG_SCRIPT_TABLES,  /* tables.sql: makes and fills tables; no parameters */
	PG_SCRIPT_HANDLER, /* on/x.sql: INSERT, UPDATE, DELETE, MERGE */
	PG_SCRIPT_OWN      /* Millrace's own: anything */
};

/* The statement at `at`, which points into `script` of file `origin`. ERR_CONFIG with file and
 * line: a quote that never ends; or a statement that ends the transaction, changes the session,
 * names what begins with millrace_, or isn't of that use. */
int pg_script_read(const char *origin, const char *script, const char *at, enum pg_script_use use,
		   struct pg_script *ret_script, struct err *e);
void pg_script_done(struct pg_script *s); /* zeroed memory is fine */

#endif
