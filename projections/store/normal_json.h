/* normal_json.h - JSON texts compared by what they say.
 *
 * Stores print a document in their own ways: blanks, the order of members, 1.50 or 1.5, \u00e9 or
 * the letter itself. All of these are equal here. Numbers are compared as decimals, digit by digit:
 * 9007199254740993 is not 9007199254740992. Of members with one name the last one counts, as in
 * MySQL and in PostgreSQL's jsonb. Elements of an array keep their order, 1 is not "1", and null in
 * a document is not SQL's NULL (which never comes here). */
#ifndef PROJECTIONS_STORE_NORMAL_JSON_H
#define PROJECTIONS_STORE_NORMAL_JSON_H

#include "core/base/buf.h"

/* MySQL ends at 100, MariaDB at 32. */
#define NORMAL_JSON_DEPTH_MAX 128

/* Texts that are no JSON, or are nested deeper, are equal when their bytes are. */
bool normal_json_equal(struct slice a, struct slice b);
/* Appends the one form of all texts that are equal; it is for comparing, not for reading. False:
 * no JSON, or nested too deep; `out` is then as it was. */
bool normal_json(struct slice text, struct buf *out);

#endif
