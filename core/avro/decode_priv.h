/* decode_priv.h - what the plan (decode.c) and the generic walk (decode_json.c) share. */
#ifndef CORE_AVRO_DECODE_PRIV_H
#define CORE_AVRO_DECODE_PRIV_H

#include "core/avro/read.h"
#include "core/avro/schema.h"
#include "core/base/buf.h"

/* Appends one value of any schema as JSON. `steps` is what is left of the walk's budget: a schema
 * of nothing but nulls must not keep us busy for ever. A failure is kept in the cursor. */
void decode_json_value(const struct schema *s, struct rd *in, int64_t *steps, struct buf *out);
/* An array of strings, joined by ','. */
void decode_joined(struct rd *in, int64_t *steps, struct buf *out);
int64_t decode_steps(size_t datum_size);

#endif
