/* dynamo_value.h - values as DynamoDB's attributes: types, text and size. */
#ifndef CORE_DYNAMO_DYNAMO_VALUE_H
#define CORE_DYNAMO_DYNAMO_VALUE_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/value/value.h"

enum dynamo_type { DYNAMO_STRING, DYNAMO_NUMBER, DYNAMO_BINARY };

const char *dynamo_type_name(enum dynamo_type type);   /* "string", as in tables.json */
const char *dynamo_type_letter(enum dynamo_type type); /* "S", as in requests */
/* {"S":"..."}, appended; *ret_size is what it counts towards an item's size. `v` is neither NULL
 * nor absent. ERR_DATA, without the value, when the type can't hold it: text that is no number,
 * more than 38 digits, binary for a string ... */
int dynamo_value_write(struct buf *out, enum dynamo_type type, const struct value *v,
		       size_t *ret_size, struct err *e);

/* Bytes that compare as the numbers do, appended; false when it is none. */
bool dynamo_number_sort(struct slice text, struct buf *out);

void dynamo_base64_write(struct slice bytes, struct buf *out);
bool dynamo_base64_read(struct slice text, struct buf *out); /* false: it isn't base64 */

#endif
