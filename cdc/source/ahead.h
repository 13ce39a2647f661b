/* ahead.h - the binlog read on to its end, for statements that change what tables look like
 * (cdc/change/shaping.h): what lies between the stream and the present.
 *
 * By a connection of its own, which ends where the binlog ends now. Rows are passed over unread, so
 * it is as fast as the source sends. */
#ifndef CDC_SOURCE_AHEAD_H
#define CDC_SOURCE_AHEAD_H

#include "core/base/settings.h"
#include "core/base/err.h"

#include <stdint.h>

struct ahead {
	char file[512]; /* where to begin, then how far it was read; "": by gtid */
	uint64_t offset;
};

struct ahead_reader {
	void *context;
	/* ends at `at` (gtid_file_ordinal); table "": all of the database, db "": all */
	void (*found)(void *context, const char *db, const char *table, uint64_t at);
	void (*turn)(void *context); /* now and then; may be NULL */
};

/* From a->file, or behind the position `gtid` where that is "". ERR_RETRY: the connection is lost,
 * or a stop is wanted. */
int ahead_read(const struct settings *settings, const char *gtid, struct ahead *a,
	       const struct ahead_reader *reader, struct err *e);

#endif
