/* stats.h - counts of a binlog: `decode --stats`.
 *
 * By type of event, by table and operation; transactions by how they ended; which GTIDs; the
 * largest transactions; from when to when. Bytes are those of the file, so those of a compressed
 * transaction count once, for its payload event; the events inside of it are counted, and add no
 * bytes. */
#ifndef CDC_DECODE_STATS_H
#define CDC_DECODE_STATS_H

#include "cdc/decode/walk.h"

#include <stdio.h>

struct stats;

struct stats *stats_new(void);
void stats_free(struct stats *s); /* NULL is fine */
/* A file whose events come now. */
void stats_file(struct stats *s);
/* From inside of a walk_fn. */
int stats_add(struct stats *s, struct walk *w, const struct walk_event *ev, struct err *e);

/* Tables for people. */
void stats_print(const struct stats *s, FILE *out);
/* One object, with its newline. */
void stats_json(const struct stats *s, struct buf *out);

#endif
