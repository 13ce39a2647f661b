/* event_files.h - the folder of published events (capture.events): reads every *.avsc, checks what
 * can be checked without the tables, and what only shows when all files are seen together. */
#ifndef CDC_PUBLISH_EVENT_FILES_H
#define CDC_PUBLISH_EVENT_FILES_H

#include "core/avro/event_schema.h"

#define EVENT_FILES_MAX 10000

struct event_files {
	struct event_schema **events; /* in file name order */
	size_t count;
};

/* ERR_CONFIG holds the mistakes of all files: bad files, two files with one event name, event types
 * that share a topic but not the key's schema, tables that are not captured, an empty folder. dir
 * NULL or "": no events. */
int event_files_read(const char *dir,
		     bool (*captured)(const char *db, const char *table, void *context),
		     void *context, struct event_files *ret_files, struct err *e);
void event_files_done(struct event_files *files);

#endif
