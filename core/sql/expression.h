/* expression.h - SQL expressions over one row: `where` and computed fields of published events
 * (DESIGN 4.5), evaluated by SQLite in memory, compiled once per table shape. Column names in the
 * expression are the table's columns.
 *
 * What an expression sees is the canonical form of value.h: DATE as days and DATETIME, TIMESTAMP,
 * TIME as microseconds (compare them with days('2024-01-31') and micros('2024-01-31 12:00:00')),
 * DECIMAL and BIGINT UNSIGNED as numbers, an ENUM as its label. In a test the zero date lies before
 * all others.
 *
 * An expression means what it means in the source, or it is refused; never something near it. So
 * refused are: subqueries, parameters, comments, non-deterministic functions and functions that
 * SQLite and the source understand differently; `||` (OR there, concatenation here: concat()), `/`
 * (integers divide differently), a backslash in a string, "text" in double quotes that is no
 * column, a plain string beside a date or a binary column. Functions: abs char char_length
 * character_length coalesce concat days ifnull iif length (bytes) like ltrim micros nullif
 * octet_length replace round rtrim substr substring trim.
 *
 * Text compares as its column's collation does, as far as that can be known without its tables:
 * binary collations exactly, the general, unicode and UCA root ones for ASCII text (case and
 * trailing spaces as they say). A constant beside such a column must be ASCII; such text can be
 * tested for equality and LIKE, not ordered; and data whose equality hangs on accents ('café' =
 * 'cafe'?) is ERR_DATA, not a guess. Other collations can be tested for NULL only. */
#ifndef CORE_SQL_EXPRESSION_H
#define CORE_SQL_EXPRESSION_H

#include "core/base/err.h"
#include "core/value/value.h"

struct expression;

/* ERR_CONFIG when it doesn't parse, names an unknown column (nearest known one in the hint), or is
 * refused for a reason above. `origin`: file and event name for messages. `shape` must outlive the
 * expression. */
int expression_new(const char *origin, const char *text, const struct shape *shape,
		   struct expression **ret_expression, struct err *e);
void expression_free(struct expression *x);
/* Which columns it reads: bitmap by column number, for the caller to convert only those. */
bool expression_uses(const struct expression *x, uint16_t column);
/* values: one per column of the shape (only used ones are looked at). NULL and false both give
 * false. ERR_DATA: a column that is absent, a number of more digits than can be compared exactly, a
 * date that is none, text that can't be compared. */
int expression_test(struct expression *x, const struct value *values, bool *ret_true,
		    struct err *e);
/* The value of the expression; text and bytes valid until the next call on x, or, where the
 * expression is a column's name alone, as long as `values`: that value is handed through as it is.
 */
int expression_value(struct expression *x, const struct value *values, struct value *ret_value,
		     struct err *e);

#endif
