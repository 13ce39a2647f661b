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
};

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
/* Copies key and value into the queue. key.data == NULL: null key; value.data == NULL: tombstone.
 * When the queue is full it waits (serving callbacks) up to kafka.timeout, then ERR_RETRY. */
int producer_send(struct producer *p, struct producer_topic *topic, int32_t partition,
		  struct slice key, struct slice value, struct err *e);
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
