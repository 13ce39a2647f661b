/* quote.h - text as a JSON string, for everything that writes JSON without a JSON library (logs,
 * positions, API answers). */
#ifndef CORE_BASE_QUOTE_H
#define CORE_BASE_QUOTE_H

#include "core/base/buf.h"

/* Appends "text" with its quotes. Control characters are escaped; bytes that are not UTF-8
 * become U+FFFD, so the result is always legal JSON. */
void quote_json(struct buf *out, struct slice text);
/* Appends "key": with its quotes and colon, after a comma unless the last byte of `out` opens an
 * object or array. */
void quote_json_key(struct buf *out, const char *key);

#endif
