/* source_binlogs.h - which binlog files a server still has. */
#ifndef CDC_CAPTURE_SOURCE_BINLOGS_H
#define CDC_CAPTURE_SOURCE_BINLOGS_H

#include "core/base/gtid.h"
#include "core/base/settings.h"
#include "core/mysql/db.h"

#include <stdbool.h>

struct source_binlogs {
	char first[GTID_FILE_MAX + 1]; /* the oldest; "": there is none */
	bool has_file;                 /* the one that was asked for is there, and */
	int64_t file_size;
};

/* file: "" for none. */
int source_binlogs_read(struct db *db, const char *file, struct source_binlogs *ret_binlogs,
			struct err *e);
/* The Info of the first event of this type among the first of a file, "" when there is none; owned
 * by the caller. */
int source_binlogs_info(struct db *db, const char *file, const char *type, char **ret_info,
			struct err *e);
/* When the file was begun, in seconds of the server's clock: the time of its FORMAT_DESCRIPTION. On
 * a connection of its own. */
int source_binlogs_created(const struct settings *settings, const char *file, uint32_t *ret_created,
			   struct err *e);

#endif
