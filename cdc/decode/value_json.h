/* value_json.h - values and row images as JSON text.
 *
 * Values are in the canonical form of core/value/value.h: bytes are {"bytes":"hex"}, values without
 * canonical form {"exact":"text"}. Where the binlog does not say what a value means
 * (shape.unknown), nothing is guessed:
 *
 *   a number of unknown sign     12, where both readings agree, else {"signed":-1,"unsigned":255}
 *   text of unknown characters   as text when it is printable ASCII, else {"bytes":"hex"}
 *   ENUM, SET without labels     their number
 */
#ifndef CDC_DECODE_VALUE_JSON_H
#define CDC_DECODE_VALUE_JSON_H

#include "core/base/buf.h"
#include "core/value/row.h"

/* "text", escaped; what isn't UTF-8 is {"bytes":"hex"}. */
void value_json_text(struct buf *out, struct slice text);
/* ,"key":"text" */
void value_json_pair(struct buf *out, const char *key, struct slice text);
/* "file:offset" */
void value_json_place(struct buf *out, const char *file, uint64_t at);
void value_json_number(struct buf *out, int64_t n);
void value_json_unsigned(struct buf *out, uint64_t n);
/* One cell that isn't absent. scratch is overwritten. */
void value_json_cell(struct buf *out, const struct shape *shape, size_t column,
		     const struct cell *cell, struct buf *scratch);
/* An object column -> value, absent columns left out. */
void value_json_image(struct buf *out, const struct shape *shape, const struct cell *cells,
		      struct buf *scratch);
/* {"id":"int not null",...}; what is not known is called so: "int of unknown sign". */
void value_json_columns(struct buf *out, const struct shape *shape);

#endif
