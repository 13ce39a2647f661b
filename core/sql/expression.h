/* expression.h - SQL expressions over one row: `where` and computed fields of published events (DESIGN 4.5), evaluated by SQLite in
 * memory, compiled once per table shape. Column names in the expression are the table's columns; each becomes a parameter.
 * Text comparison: only binary and ASCII-case rules are available here; an expression that compares or orders text columns of a collation we cannot
 * reproduce is refused (utf8mb4_general_ci and other _ci collations are reproduced for ASCII letters only, so a constant on the other side must
 * be ASCII and the column is compared NOCASE with trailing spaces ignored). */
#ifndef CORE_SQL_EXPRESSION_H
#define CORE_SQL_EXPRESSION_H

#include "core/base/err.h"
#include "core/value/value.h"

struct expression;

/* ERR_CONFIG when it doesn't parse, names an unknown column (nearest known one in the hint), or uses a subquery or a
 * non-deterministic function. `origin`: file and event name for messages. */
int expression_new(const char *origin, const char *text, const struct shape *shape, struct expression **ret_expression,
		   struct err *e);
void expression_free(struct expression *x);
/* Which columns it reads: bitmap by column number, for the caller to convert only those. */
bool expression_uses(const struct expression *x, uint16_t column);
/* values: one per column of the shape (only used ones are looked at). NULL and false both give false. */
int expression_test(struct expression *x, const struct value *values, bool *ret_true, struct err *e);
/* The value of the expression; text and bytes valid until the next call on x. */
int expression_value(struct expression *x, const struct value *values, struct value *ret_value, struct err *e);

#endif
