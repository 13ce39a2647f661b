/* lines.h - changes as JSON lines: what `decode` prints.
 *
 * One line for each change of a row, for each statement, and for the end of each transaction, in
 * the order of the file. All begin with "at" (file:offset of the event), "time" and "gtid" (of the
 * transaction; no gtid where the server wrote none):
 *
 *   {...,"order":1,"db":"shop","table":"orders","op":"c","after":{...}}      op c, u, d
 *   {...,"statement":"ALTER TABLE","db":"shop","tables":[...],"text":"..."}
 *   {...,"end":"commit","rows":3,"bytes":512}                                or rollback, prepare,
 *                                                            xa commit, xa rollback (with "xid")
 *   {...,"db":"shop","table":"orders","columns":{"@1":"int of unknown
 * sign"},"unknown":["names",..]} before the first row of a table that the file says too little of
 *   {...,"incident":1,"message":"..."}
 *
 * order counts the rows of the transaction. Rows come one at a time, however large the event. */
#ifndef CDC_DECODE_LINES_H
#define CDC_DECODE_LINES_H

#include "cdc/decode/walk.h"

struct lines;

struct lines *lines_new(bool all_tables);
void lines_free(struct lines *l); /* NULL is fine */

/* Takes what is in `out`, and empties it; called between two lines. */
typedef int lines_flush_fn(void *context, struct buf *out, struct err *e);
/* From inside of a walk_fn: appends the lines of this event, if it has any. */
int lines_add(struct lines *l, struct walk *w, const struct walk_event *ev, struct buf *out,
	      lines_flush_fn *flush, void *context, struct err *e);

#endif
