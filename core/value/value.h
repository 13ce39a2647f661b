/* value.h - one typed value, for the generic paths: SQL expressions over a row, view handlers,
 * verification, tail. The hot path does not use it.
 *
 * Canonical form, the same whether a value comes from a cell, from an Avro record or from the
 * server's text:
 * clang-format off
 *   integers, YEAR, BIT(1)     INT
 *   BIGINT UNSIGNED, DECIMAL   TEXT in the server's own form
 *   FLOAT, DOUBLE              DOUBLE
 *   DATE                       INT, days since 1970
 *   DATETIME, TIMESTAMP        INT, microseconds since 1970 (TIMESTAMP in UTC)
 *   TIME                       INT, microseconds
 *   character data, ENUM, SET  TEXT in UTF-8 (the label; labels joined by ',')
 *   JSON, UUID, INET4, INET6   TEXT as the server prints it
 *   VECTOR                     TEXT: a JSON array
 *   binary, BIT(n)             BYTES
 *   GEOMETRY                   BYTES as the server has them: SRID (4, little-endian) and WKB;
 *                              from a record two values, the SRID as INT and the WKB as BYTES
 * clang-format on */
#ifndef CORE_VALUE_VALUE_H
#define CORE_VALUE_VALUE_H

#include "core/base/buf.h"
#include "core/value/row.h"

enum value_kind { VALUE_ABSENT, VALUE_NULL, VALUE_INT, VALUE_DOUBLE, VALUE_TEXT, VALUE_BYTES };

struct value {
	uint8_t kind;       /* enum value_kind */
	int64_t i;          /* VALUE_INT */
	double d;           /* VALUE_DOUBLE */
	struct slice bytes; /* VALUE_TEXT, VALUE_BYTES: owned by whoever made the value */
};

/* From a cell. Text that needs conversion is appended to `scratch` and points into it: when scratch
 * grows, the values taken before it need value_fix (value_from_row does that). False when the value
 * has no canonical form (zero date): then kind is VALUE_TEXT with the exact text. */
bool value_from_cell(const struct column *column, const struct cell *cell, struct buf *scratch,
		     struct value *ret_value);

/* Takes values[0 .. count-1] along after scratch grew: those that pointed into its first `size`
 * bytes where it was (`before`, its data as a number) point into it where it is now. */
void value_fix(struct value *values, size_t count, uintptr_t before, size_t size,
	       const struct buf *scratch);
/* All values of a row; scratch is appended to, and everything is fixed already. Returns how many
 * were inexact (their kind is VALUE_TEXT, with the exact text). */
size_t value_from_row(const struct shape *shape, const struct cell *cells, struct buf *scratch,
		      struct value *ret_values);

/* The types of a query result, as far as canonical form needs them. */
struct value_source_type {
	uint8_t type; /* protocol column type, see shape.h; 253 (VAR_STRING), 249-251 blobs too */
	bool is_unsigned;
	bool is_binary; /* charset 63 */
	uint8_t decimals;
	uint16_t bits; /* BIT: the field's length in the result; 1 makes an INT, else BYTES */
};
/* From the text protocol (verify: the answer of source.sql), session with time_zone '+00:00' and
 * utf8mb4 results; text.data NULL is NULL. FLOAT prints six digits only: a question about one
 * should ask for CAST(f AS DOUBLE). Appends to scratch as value_from_cell does. ERR_DATA when it
 * cannot be read. */
int value_from_text(const struct value_source_type *type, struct slice text, struct buf *scratch,
		    struct value *ret_value, struct err *e);

/* Kinds and contents; INT 1 equals DOUBLE 1.0. */
bool value_equal(const struct value *a, const struct value *b);
/* NULL < numbers < text < bytes, as SQLite orders. */
int value_compare(const struct value *a, const struct value *b);
/* Short readable form for diffs and tail, e.g. NULL, 12, 'text', x'00ff'. */
void value_text(const struct value *v, struct buf *out);

#endif
