/* delivery.h - records into Kafka, each group commit one Kafka transaction (DESIGN 4.6).
 *
 * Opens the transactional producer (which fences an older instance of the same name) and the topics
 * for commits and positions. Gives the publisher its sink. A transaction begins by itself with the
 * first record. */
#ifndef CDC_DELIVERY_DELIVERY_H
#define CDC_DELIVERY_DELIVERY_H

#include "cdc/delivery/position_store.h"
#include "cdc/publish/publisher.h"
#include "core/avro/records.h"
#include "core/kafka/admin.h"
#include "core/registry/registry.h"

#define DELIVERY_GAP_US 3000 /* a transaction begun sooner after a commit may cost 20 ms */

struct delivery;

/* admin and registry must live as long. */
int delivery_open(const struct settings *settings, struct admin *admin, struct registry *registry,
		  struct delivery **ret_delivery, struct err *e);
void delivery_close(struct delivery *d); /* aborts what is open; NULL is fine */
const struct publish_sink *delivery_sink(struct delivery *d);
/* Goes on from what position_read found: before anything is sent. at-least-once: a group commit
 * that lacked only its position is completed in *stored; what lies beyond is known and not sent
 * again. ERR_CONFIG: the position and the topics don't belong together. */
int delivery_resume(struct delivery *d, struct position_stored *stored, struct err *e);
struct parked *delivery_parked(struct delivery *d);
int delivery_begin(struct delivery *d, struct err *e); /* a transaction, unless one is open */
/* What is sent from `begins` until it ends is a chunk of a copy, and alone in its group commit.
 * At-least-once it is kept in a file until it is delivered (chunk_log.h), so that a crash repeats
 * nothing of it. */
void delivery_chunk(struct delivery *d, bool begins);
/* Largest record that the topic takes now: its limit is read anew. */
int delivery_record_max(struct delivery *d, const char *topic, int64_t *ret_max, struct err *e);
bool delivery_exactly_once(const struct delivery *d);
/* Called in a new transaction, before its first record. */
void delivery_on_begin(struct delivery *d, void (*begun)(void *context), void *context);
/* Writes both records into the transaction (beginning one if none is open) and commits it. Its
 * touched partitions are added here. */
int delivery_commit(struct delivery *d, struct commit_record *commit,
		    const struct position_record *position, const struct publish_touched *touched,
		    size_t touched_count, struct err *e);
/* What is delivered once more (the rest of a source transaction that was cut, what lies beyond the
 * position) goes by the configuration of then: its fingerprint, or NULL when there is nothing. */
const char *delivery_redo(const struct delivery *d);
/* Between two source transactions: all of that is delivered. */
bool delivery_redone(const struct delivery *d, int64_t seq);
/* Between two source transactions: there are more partitions than are used, and what had to go
 * where it went before is delivered. */
bool delivery_may_grow(const struct delivery *d, int64_t seq);
/* A delivery that has failed meanwhile. */
int delivery_check(struct delivery *d, struct err *e);

/* A line per data topic that the sink has given out so far: their partitions decide where a key
 * goes. */
void delivery_fingerprint(const struct delivery *d, struct buf *out);
/* Makes sure that the status topic is there; it is written by the report. */
int delivery_status_topic(struct delivery *d, int32_t *ret_schema_id, struct err *e);

/* Without a delivery: the id of the status record's schema if the topic is there. 1: found, 0: not
 * yet, -1. */
int delivery_find_status(const struct settings *settings, int32_t *ret_schema_id, struct err *e);

/* "NAME.commits", ... malloced */
char *delivery_topic_name(const struct settings *settings, const char *kind);

/* Topics of rows, made and looked at all at once; the sink then takes them as they are. */
int delivery_topics(struct delivery *d, const char *const *names, size_t count, struct err *e);
void delivery_topics_done(struct delivery *d); /* they are looked at again from here on */

#endif
