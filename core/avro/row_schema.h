/* row_schema.h - schema text of row topics: the Value and Key records of a table shape and the
 * Debezium-shaped envelope (DESIGN 4.3, 4.4). The registered text says everything: logical types,
 * the MySQL type in the "mysql" property, ENUM and SET labels in "labels", and the name as the
 * server has it in "column" where it had to be escaped.
 *
 * The Value record has a property "catalog" with the rest of the shape, so that it can be made
 * again from the text (row_schema_shape): {"key": [column numbers], "columns": [[type, flags,
 * collation, size_max, precision, scale, fraction, bits, pack_bytes], ...]}, zeros at the end left
 * out; flags: 1 nullable, 2 unsigned, 4 binary, 8 JSON of MySQL 5.7 (core/value/shape.h).
 *
 * Names go through schema_escape_name; the namespace is <name>.<db>.<table>. The field order of the
 * envelope is fixed here and nowhere else:
 *
 *   source {seq long, gtid string, ts_us long (commit time, microseconds; the server's seconds
 *           times 1e6), snapshot boolean, name string, db string, table string},
 *   op string, ts_ms long, before [null, Value], after [null, Value],
 *   transaction [null, {id string, total_order long}], absent [null, array<string>],
 *   exact [null, map<string>],
 *   parked [null, string]
 *
 * absent and exact name a column as "before.<column>" or "after.<column>".
 *
 * parked: the record is a stand-in, because the whole one is larger than its topic allows. It has
 * the seq, key, op and transaction of the whole one; before and after are null, whatever the op.
 * The text says where the whole one is: "<topic>:<partition>:<offset>" of its first piece, a Parked
 * record (schemas/parked.avsc); the others follow it on the same partition, in order. The pieces'
 * data, one behind the other, are the record's value with its wire header; its parked is null. */
#ifndef CORE_AVRO_ROW_SCHEMA_H
#define CORE_AVRO_ROW_SCHEMA_H

#include "core/base/buf.h"
#include "core/value/shape.h"

/* Envelope schema text of rows of `shape` in capture `name`. Deterministic: equal shapes give equal
 * text. Appends. ERR_CONFIG: the text would be longer than SCHEMA_TEXT_MAX, or two columns have one
 * name once escaped (the escape is injective, so that is a table with the same column twice). */
int row_schema_envelope(const char *name, const struct shape *shape, struct buf *ret_text,
			struct err *e);
/* Key schema text (record of the key columns, not null). shape->key_count must not be 0. */
int row_schema_key(const char *name, const struct shape *shape, struct buf *ret_text,
		   struct err *e);
/* The shape of an envelope's text. ERR_DATA: it is none, or one of before the property "catalog".
 */
int row_schema_shape(struct slice text, const char *db, const char *table, struct shape **ret_shape,
		     struct err *e);
/* The Avro type of one column as JSON text, without the union: what encode_for(column) writes. */
void row_schema_column(const struct column *column, struct buf *ret_text);
/* Is a value of type `was`, read as it stands, the same value of the column? Wider and narrower
 * integers and floats are; microseconds are no days, and bytes no text. */
struct schema;
bool row_schema_holds(const struct column *column, const struct schema *was);

#endif
