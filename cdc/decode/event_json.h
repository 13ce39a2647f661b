/* event_json.h - every event of a binlog as a JSON line: `decode --events`, and the golden files.
 *
 * {"at":"binlog.000003:1234","type":"Gtid","time":1795243985,...}: where it stands, what it is,
 * when its statement began (seconds since 1970), then what is in it. The events of a compressed
 * transaction stand behind its own line, each with "inside":true and the same place. Values as
 * value_json.h says. */
#ifndef CDC_DECODE_EVENT_JSON_H
#define CDC_DECODE_EVENT_JSON_H

#include "cdc/decode/walk.h"

struct event_json;

struct event_json *event_json_new(void);
void event_json_free(struct event_json *j); /* NULL is fine */
/* From inside of a walk_fn: appends the line of the event, with its newline. ERR_DATA: it could not
 * be understood to its last byte, and nothing was appended. */
int event_json_add(struct event_json *j, struct walk *w, const struct walk_event *ev,
		   struct buf *out, struct err *e);

#endif
