/* publisher.h - row changes -> records: envelopes on row topics, published events on event topics
 * (DESIGN 4.4, 4.5).
 *
 * Per table shape one plan is compiled: schemas registered, topic handles, constant bytes, an
 * encode step per column; then each change is encoded straight into reused buffers. Numbers each
 * change: seq, without gaps. A changed key is a delete and a create, with a seq each; events that
 * derive from a change share the seq of the row record that carries the after-image (leaves: of the
 * one that carries the before-image). Everything goes out through publish_sink, so tests need no
 * broker. */
#ifndef CDC_PUBLISH_PUBLISHER_H
#define CDC_PUBLISH_PUBLISHER_H

#include "cdc/change/change.h"
#include "core/base/settings.h"

struct publisher;
struct publish_topic; /* sink's own handle */

struct publish_parked { /* a record that is to be parked */
	struct publish_topic *topic;
	const char *topic_name;
	int32_t partition;
	struct slice key, value; /* key.data NULL: none; both with their wire headers */
	int64_t seq;
	unsigned number; /* of the records made from this change; 0 is the row's */
	const char *op;  /* of a row record; "": a published event */
	bool stand_in;   /* something takes its place in the topic */
	const char *transaction;
	int64_t commit_us;
	const char *reason;
};

struct publish_sink {
	void *context;
	/* Creates the topic if need be and gives its handle and number of partitions. */
	int (*topic)(void *context, const char *name, struct publish_topic **ret_topic,
		     int32_t *ret_partitions, struct err *e);
	int (*send)(void *context, struct publish_topic *topic, int32_t partition, struct slice key,
		    struct slice value, struct err *e);
	int (*schema)(void *context, const char *subject, const char *text, int32_t *ret_id,
		      struct err *e);
	/* Largest key and value together that the topic takes. NULL: no limit, and what follows is
	 * not asked. */
	int64_t (*record_max)(void *context, const struct publish_topic *topic);
	/* Keeps a record elsewhere; *ret_where gets what its stand-in says. */
	int (*park)(void *context, const struct publish_parked *record, struct buf *ret_where,
		    struct err *e);
	/* A parked event with this key has to go out first. */
	bool (*blocks)(void *context, const struct publish_topic *topic, struct slice key);
};

struct publish_touched { /* for the commit record: since the last publisher_commit */
	const char *topic;
	int32_t partition;
	int64_t records;
	int64_t last_seq;
};

/* Reads and checks the event files (all mistakes at once). `shapes` of captured tables need not be
 * known yet. */
int publisher_new(const struct settings *settings, const struct publish_sink *sink,
		  struct publisher **ret_publisher, struct err *e);
void publisher_free(struct publisher *p);
/* Called once per captured table before anything is sent (start-up, copy, a new shape): compiles
 * the plan, registers the schemas, checks the events bound to it. publisher_change does it by
 * itself for a shape it hasn't seen. */
int publisher_prepare(struct publisher *p, struct shape *shape, struct err *e);
/* Sends the records of one change; *seq is the last seq used so far and is advanced. A change with
 * op t is one seq and a record in every partition of the row topic, without key and images; no
 * event is made of it. */
int publisher_change(struct publisher *p, const struct change *change, int64_t *seq, struct err *e);
/* A record that was parked, as it goes out now: bytes with their wire headers. seq is the one in
 * value. */
int publisher_resend(struct publisher *p, const char *topic, int32_t partition, struct slice key,
		     struct slice value, int64_t seq, struct err *e);
const struct publish_touched *publisher_touched(const struct publisher *p, size_t *ret_count);
int64_t publisher_bytes(const struct publisher *p); /* of records since the last publisher_commit */
void publisher_commit(struct publisher *p);         /* forget what was touched */
/* Text that decides seq and partition (tables, events' bindings, partitions): part of the
 * position's fingerprint. */
void publisher_fingerprint(const struct publisher *p, struct buf *out);
/* Tables ("db.table") that event files are bound to, for check: count and names owned by the
 * publisher. */
const char *const *publisher_event_tables(const struct publisher *p, size_t *ret_count);
bool publisher_has_events(const struct publisher *p, const char *db, const char *table);
/* The table's shape as it was last prepared or seen, NULL: never. Owned by the publisher. */
struct shape *publisher_shape(const struct publisher *p, const char *db, const char *table);
/* Topic of the table's rows; malloced. */
char *publisher_row_topic(const struct publisher *p, const struct shape *shape);
/* Topic of the event with that index in publisher_event_tables. */
const char *publisher_event_topic(const struct publisher *p, size_t event);

#endif
