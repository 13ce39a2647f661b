/* event_schema.h - a published event as its file declares it (DESIGN 4.5): an ordinary Avro record
 * schema plus a `millrace` property that binds it to a table.
 *
 *   "millrace": { "owner": TEAM, "topic": TOPIC, "key": [FIELD, ...], "from": "DB.TABLE",
 *                 "when": "enters" | "leaves" | "changes" | "always", "where": condition }
 *   a field's own "millrace": a column, or an SQL expression over the row; without it the column of
 *   the field's name. "where", an SQL condition, may be missing.
 *
 * What is registered is the same text with one field put in front: `meta`, a record {seq, gtid, at,
 * traceparent}. */
#ifndef CORE_AVRO_EVENT_SCHEMA_H
#define CORE_AVRO_EVENT_SCHEMA_H

#include "core/avro/schema.h"

enum event_when { EVENT_ENTERS, EVENT_LEAVES, EVENT_CHANGES, EVENT_ALWAYS };

#define EVENT_FIELDS_MAX 1000

struct event_field {
	char *name;
	char *expression;    /* column name or SQL expression */
	struct schema *type; /* without the null branch; owned by the event's schema */
	bool nullable;
	bool null_second; /* the union is [T, null] rather than [null, T] */
	bool is_key;
};

struct event_schema {
	char *file;                               /* as given, for messages */
	char *name, *full_name;                   /* record name, and with its namespace */
	char *owner, *topic, *db, *table, *where; /* where may be NULL */
	enum event_when when;
	char **key;
	size_t key_count;
	struct event_field *fields;
	size_t field_count;
	struct schema *schema; /* as declared */
	char *registered;      /* text with `meta` first */
	char *key_text; /* schema text of the topic's key: record <Topic>.Key of the key fields */
};

/* Reads one file's text. On ERR_CONFIG the message holds every mistake found, one a line, beginning
 * with the file name. */
int event_schema_read(const char *file, struct slice text, struct event_schema **ret_event,
		      struct err *e);
void event_schema_free(struct event_schema *event);
/* "DB.TABLE" that a registered event is made from, malloced; NULL: the text is no event's. */
char *event_schema_table(struct slice registered);
const char *event_when_name(enum event_when when);

#endif
