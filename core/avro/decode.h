/* decode.h - records back into values, by the schema they were written with.
 *
 * A decode plan flattens the writer schema into leaves, each with a path: record fields joined by
 * '.', e.g. "meta.seq", "group_id", "after.name". A union with null is transparent: its null gives
 * VALUE_NULL for the leaf, or VALUE_ABSENT for every leaf below when the null stands for a whole
 * record (envelope "before"). Arrays, maps and other unions are one leaf, as text: an array of
 * strings joined by ',', anything else as JSON. Logical types come out in the canonical form of
 * value.h (decimal as text, dates and times as INT, milliseconds as microseconds). */
#ifndef CORE_AVRO_DECODE_H
#define CORE_AVRO_DECODE_H

#include "core/avro/schema.h"
#include "core/base/buf.h"
#include "core/value/value.h"

struct decode_plan;

#define DECODE_LEAVES_MAX 20000
#define DECODE_DECIMAL_BYTES_MAX 64

/* The writer schema may be freed afterwards. ERR_DATA: more leaves than DECODE_LEAVES_MAX. */
int decode_plan_new(const struct schema *writer, struct decode_plan **ret_plan, struct err *e);
void decode_plan_free(struct decode_plan *plan); /* NULL is fine */
size_t decode_leaf_count(const struct decode_plan *plan);
/* A schema that is no record has one leaf, with the path "". */
const char *decode_leaf_path(const struct decode_plan *plan, size_t leaf);
/* Leaf number or -1. Not for the hot path. */
int decode_leaf_find(const struct decode_plan *plan, const char *path);

/* Decodes one datum (without the 5-byte wire header) into ret_values[0 .. leaf_count-1]. Plain
 * strings and bytes point into the datum, enum symbols into the plan, converted text into scratch
 * (reset by the call). ERR_DATA when bytes are missing, left over or absurd (lengths, counts and
 * depth are limited), with the leaf and the byte; ret_values are then of no use. No allocation once
 * scratch is warm. */
int decode_run(const struct decode_plan *plan, struct slice datum, struct buf *scratch,
	       struct value *ret_values, struct err *e);

/* Two's complement, big-endian, as decimal text with `scale` digits behind the point. False when
 * it is empty or longer than DECODE_DECIMAL_BYTES_MAX. */
bool decode_decimal(struct slice bytes, int scale, struct buf *out);

/* seq is the first field of every value (DESIGN 4.4): from the first bytes, without a plan. */
int decode_seq(struct slice wire, int64_t *ret_seq, struct err *e);
/* Schema id of a Confluent-framed value. */
int decode_wire_id(struct slice wire, int32_t *ret_id, struct err *e);
#define DECODE_WIRE_HEADER 5 /* bytes before the datum */

/* The datum as one line of JSON (tail): unions unwrapped, times as ISO text, decimals as text,
 * bytes as hex. Appends to out; after an error, out ends somewhere in the middle. */
int decode_json(const struct schema *writer, struct slice datum, struct buf *out, struct err *e);

#endif
