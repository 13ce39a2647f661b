/* producer.h - a Kafka producer: transactional (exactly-once), or idempotent when transactional_id
 * is NULL.
 *
 * Not thread-safe: one thread produces. Delivery reports go to a callback inside, which only
 * counts; the owner awaits them before a commit (that makes a commit cost 2.5-3 ms instead of 11-12
 * ms) and leaves 3 ms between a commit and the next begin (a begin within 2 ms may cost 20 ms).
 * Errors: ERR_RETRY: heals by itself or by opening anew (abort, re-open, resume from the position).
 * ERR_FATAL with EXIT_FENCED: another instance took over. ERR_CONFIG: not authorised, unknown
 * topic. ERR_DATA: a record too large. */
#ifndef CORE_KAFKA_PRODUCER_H
#define CORE_KAFKA_PRODUCER_H

#include "core/base/settings.h"
#include "core/base/slice.h"

struct producer;
struct producer_topic; /* handle of a topic, owned by the producer */

struct producer_options {
	const char *transactional_id; /* NULL: idempotent only */
	/* Records not yet acknowledged: their bytes plus PRODUCER_RECORD_COST each, since that is
	 * what they cost in memory. A single larger record is let in when it is alone. */
	int64_t queue_bytes_max;
	int linger_ms; /* 5 for throughput; a commit or flush does not wait for it */
	/* Records that go out together; 0: PRODUCER_BATCH_MAX. The broker's limit for a topic is
	 * for such a batch as it arrives, compressed. */
	int64_t batch_bytes_max;
	/* Without transactions: after a record that failed nothing more arrives in its partition,
	 * and the producer is of no more use. */
	bool gapless;
};

#define PRODUCER_BATCH_MAX 1000000
#define PRODUCER_RECORD_FRAME 256 /* at most: batch header and varints around one record */

/* What the library holds for a record beside key and value (measured with 2.0.2: message, list
 * entry, malloc). */
#define PRODUCER_RECORD_COST 256

/* Connects; with a transactional_id also init_transactions (fences an older instance, aborts its
 * open transaction). */
int producer_open(const struct settings *settings, const struct producer_options *options,
		  struct producer **ret_producer, struct err *e);
void producer_close(
	struct producer *p); /* NULL is fine; aborts an open transaction, waits at most a second */

struct producer_topic *producer_topic(struct producer *p, const char *topic);
const char *producer_topic_name(const struct producer_topic *topic); /* lasts as long as it */
/* Copies key and value into the queue. key.data == NULL: null key; value.data == NULL: tombstone.
 * When the queue is full it waits (serving callbacks) up to kafka.timeout, then ERR_RETRY. */
int producer_send(struct producer *p, struct producer_topic *topic, int32_t partition,
		  struct slice key, struct slice value, struct err *e);
/* The same, and waits until it (and all before it) is acknowledged: *ret_offset is where. */
int producer_send_offset(struct producer *p, struct producer_topic *topic, int32_t partition,
			 struct slice key, struct slice value, int64_t *ret_offset, struct err *e);
/* Largest key and value together that producer_send takes (message.max.bytes: 16 MB). */
int64_t producer_record_max(const struct producer *p);
int64_t producer_batch_max(const struct producer *p);     /* batch.size as it is in force */
int64_t producer_pending(const struct producer *p);       /* records not yet acknowledged */
int64_t producer_pending_bytes(const struct producer *p); /* what they hold of queue_bytes_max */
/* The broker aborts a transaction that is older than this (transaction.timeout.ms). */
int64_t producer_transaction_ms(const struct producer *p);
void producer_poll(struct producer *p, int timeout_ms);
int producer_error(
	struct producer *p,
	struct err *e); /* the first failed delivery or fatal error since begin, if any */
int producer_flush(struct producer *p,
		   struct err *e); /* waits until everything is acknowledged or failed */

/* Waits by itself until 3 ms have passed since the last commit or abort. */
int producer_begin(struct producer *p, struct err *e);
/* Flush, then commit. After a failure the transaction must be aborted, or the producer closed;
 * whether it was committed is then known only to who opens the transactional_id anew and reads what
 * it wrote. */
int producer_commit(struct producer *p, struct err *e);
int producer_abort(struct producer *p, struct err *e);

/* Stable partition of a key: murmur2 as Kafka's own clients hash, over the datum without the wire
 * header, so a new schema version never moves a key. A null key (data == NULL) goes to partition 0.
 * (partition.c) */
int32_t producer_partition(struct slice key_datum, int32_t partition_count);

#endif
