/* field_write.h - a value into the Avro type that an event's field declares (schemas/mapping.md,
 * "Published events"). */
#ifndef CDC_PUBLISH_FIELD_WRITE_H
#define CDC_PUBLISH_FIELD_WRITE_H

#include "core/avro/event_schema.h"
#include "core/base/buf.h"
#include "core/value/value.h"

/* True when values can be written to this type at all; arrays, maps, records, enums and fixed
 * can't. */
bool field_write_accepts(const struct schema *type);
/* Appends v (not null) without a union branch. Times are microseconds in every value, so a
 * `-millis` type divides (towards the past). -1 (nothing appended) when the type can't hold the
 * value. */
int field_write(const struct schema *type, const struct value *v, struct buf *out);

#endif
