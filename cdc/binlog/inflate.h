/* inflate.h - MariaDB's compressed event parts (log_bin_compress=1). For the decoders of this
 * folder. */
#ifndef CDC_BINLOG_INFLATE_H
#define CDC_BINLOG_INFLATE_H

#include "core/base/buf.h"
#include "core/base/err.h"

/* Inflates `packed`, which is all that is left of its event, into `out` (reset first). ERR_DATA:
 * unknown algorithm, more than EVENT_INFLATED_MAX, a stream that is damaged or gives another size
 * than it promised. */
int inflate_part(struct slice packed, struct buf *out, struct err *e);

#endif
