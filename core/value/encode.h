/* encode.h - a cell straight into Avro bytes: the hot path. No allocation, no intermediate value.
 *
 * The mapping of column types to Avro is DESIGN 4.3 and schemas/mapping.md; encode_avro_type()
 * (core/avro/row_schema) is its other half: a test holds both against each other and against
 * avro-c.
 *
 * Values that their Avro type cannot hold (zero date, 2024-02-31, invalid UTF-8 of the column's
 * character set, an ENUM number without label) are *inexact*: nothing is changed silently; the
 * caller gets the exact text instead. */
#ifndef CORE_VALUE_ENCODE_H
#define CORE_VALUE_ENCODE_H

#include "core/base/buf.h"
#include "core/value/row.h"

enum encode_result { ENCODE_OK, ENCODE_INEXACT };

/* Appends the Avro binary form of a CELL_VALUE cell (without union branch). On ENCODE_INEXACT
 * nothing was appended. */
typedef enum encode_result (*encode_fn)(const struct column *column, const struct cell *cell,
					struct buf *out);

/* The function for a column, chosen once per plan. Never NULL for a shape that was accepted. */
encode_fn encode_for(const struct column *column);
/* Exact text of a value (for the envelope's `exact` map): the server's own text form, or 0x... hex
 * for bytes. */
void encode_exact_text(const struct column *column, const struct cell *cell, struct buf *out);
/* NULL when character data of this column can be delivered as UTF-8 (utf8mb3/4, ascii, latin1,
 * binary ... known collation ids), else the reason. Checked when a shape is made. */
const char *encode_collation_refused(uint16_t collation);

#endif
