/* event_bind.h - a published event bound to one table shape: when it happens, from which image, and
 * its bytes.
 *
 * How a field takes its value: from a column whose Avro type is the field's (or int where the field
 * is long) by straight copy; any other column, and any SQL expression, by way of a value
 * (schemas/mapping.md, "Published events"). A `changes` event needs a field that really differs. A
 * row whose event key changes leaves under the old key and enters under the new one. */
#ifndef CDC_PUBLISH_EVENT_BIND_H
#define CDC_PUBLISH_EVENT_BIND_H

#include "core/avro/event_schema.h"
#include "core/base/buf.h"
#include "core/value/row.h"

struct event_bind;

enum event_image { EVENT_FROM_NONE, EVENT_FROM_BEFORE, EVENT_FROM_AFTER };

/* ERR_CONFIG lists every field that does not fit the table, and a `where` that does not compile.
 * Keeps `event` and takes a reference to shape. */
int event_bind_new(const struct event_schema *event, struct shape *shape,
		   struct event_bind **ret_bind, struct err *e);
void event_bind_free(struct event_bind *bind);
const struct event_schema *event_bind_event(const struct event_bind *bind);
/* before or after may be NULL. */
int event_bind_decide(struct event_bind *bind, const struct cell *before, const struct cell *after,
		      enum event_image *ret_image, struct err *e);
/* Append the declared fields (not meta), or the key record, of one row. ERR_DATA: a field that
 * can't be null has no value, or a value that its type can't hold. */
int event_bind_fields(struct event_bind *bind, const struct cell *row, struct buf *out,
		      struct err *e);
int event_bind_key(struct event_bind *bind, const struct cell *row, struct buf *out, struct err *e);

#endif
