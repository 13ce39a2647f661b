/* event_json.h - a binlog file as JSON lines, one per event: for `decode` and for the golden files.
 *
 * Every table is decoded, whatever capture.tables says. Values are in the canonical form of
 * core/value/value.h; bytes are
 * {"bytes":"hex"}, values without canonical form {"exact":"text"}. Row images are objects column ->
 * value, absent columns left out. */
#ifndef CDC_CATALOG_EVENT_JSON_H
#define CDC_CATALOG_EVENT_JSON_H

#include "core/base/buf.h"
#include "core/base/err.h"

#include <stdio.h>

struct event_json;

struct event_json *event_json_new(void);
void event_json_free(struct event_json *j); /* NULL is fine */
/* Appends the line of one event (with its newline); `at` is its offset in the file. ERR_DATA:
 * nothing was appended. */
int event_json_add(struct event_json *j, uint64_t at, struct slice packet, struct buf *out,
		   struct err *e);
/* A whole file: magic number, then events to the end. Stops at the first mistake, lines before it
 * are printed. ERR_DATA with offset; ERR_FATAL when reading or writing fails. */
int event_json_print(FILE *in, FILE *out, struct err *e);

#endif
