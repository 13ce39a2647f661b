/* expression_priv.h - what the files of an expression share: its text's scan, and the source's text
 * rules. */
#ifndef CORE_SQL_EXPRESSION_PRIV_H
#define CORE_SQL_EXPRESSION_PRIV_H

#include "core/sql/expression.h"

#include <sqlite3.h>

/* How a column's text compares. */
enum text_rule {
	TEXT_EXACT,     /* binary collations without padding, binary bytes */
	TEXT_EXACT_PAD, /* ..._bin: trailing spaces count for nothing */
	TEXT_CASED,     /* case counts, accents may not */
	TEXT_CASED_PAD,
	TEXT_FOLDED, /* ..._ci */
	TEXT_FOLDED_PAD,
	TEXT_RULES,
	TEXT_UNKNOWN = TEXT_RULES,
};

enum text_rule text_rule_of(uint16_t collation);
const char *text_rule_name(enum text_rule rule); /* name of the SQLite collation */
bool text_rule_soft(enum text_rule rule);        /* equality may hang on accents */

struct text_context {
	enum text_rule like_rule;
	bool undecided; /* set when a comparison could not be decided; the reader clears it */
};

/* Registers collations and functions that behave like the source's. The collation of UNKNOWN is
 * there for declaring columns, and must be removed before anything is compiled. */
int text_register(sqlite3 *db, struct text_context *context);
/* Functions that an expression may call. */
bool text_function_allowed(const char *name);

/* What the text of an expression shows without parsing it. */
struct scan {
	bool text_literal;    /* any '...' */
	bool date_literal;    /* one that reads as a date and is not given to days() or micros() */
	bool foreign_literal; /* one beyond ASCII */
};

/* ERR_CONFIG for what is refused by its looks. */
int expression_scan(const char *text, struct scan *ret_scan, struct err *e);

#endif
