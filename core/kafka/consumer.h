/* consumer.h - reads partitions from given offsets, read_committed, CRCs checked. No group
 * rebalancing: the owner assigns.
 *
 * One thread. Messages arrive in batches; a message's memory is valid until the next consumer_poll
 * on the same consumer. */
#ifndef CORE_KAFKA_CONSUMER_H
#define CORE_KAFKA_CONSUMER_H

#include "core/base/settings.h"
#include "core/base/slice.h"

struct consumer;

struct consumer_partition {
	const char *topic;
	int32_t partition;
	int64_t offset; /* next to read; CONSUMER_BEGIN or CONSUMER_END */
};
#define CONSUMER_BEGIN (-2)
#define CONSUMER_END (-1)

struct consumer_message {
	const char *topic; /* pointer-equal to the assigned partition's topic string */
	size_t index;      /* index in the assigned array */
	int32_t partition;
	int64_t offset;
	int64_t timestamp_ms;
	struct slice key, value; /* data NULL when the record has none */
};

struct consumer_options {
	const char *group; /* consumer group whose offsets consumer_commit writes, or NULL */
	/* Memory for what is fetched but not yet polled, all partitions together. A bound in
	 * practice, not by proof: a response of the broker is taken whole, so batches that compress
	 * beyond 10:1 may exceed it. */
	int64_t queue_bytes_max;
	/* About how many partitions will be assigned, so that one response of the broker can hold a
	 * part of each; 0 counts as one. */
	int64_t partitions;
	bool stop_at_end; /* consumer_poll returns what is there and consumer_at_end tells when all
			     partitions are at their end */
};

int consumer_open(const struct settings *settings, const struct consumer_options *options,
		  struct consumer **ret_consumer, struct err *e);
void consumer_close(struct consumer *c); /* NULL is fine */
/* Reads these partitions from now on, and no others. Copies the array; the topic strings must live
 * until the next assignment or the close. Asks the brokers for each partition's bounds, so an
 * unknown topic or partition (ERR_RETRY: a broker may not have heard of it yet) and an offset that
 * is no longer there or not there yet (ERR_DATA) show here. count 0: stops reading. */
int consumer_assign(struct consumer *c, const struct consumer_partition *partitions, size_t count,
		    struct err *e);
/* Waits at most timeout_ms for at least one message. Returns the number in *ret_messages (0 on
 * timeout). -1 on error: a gap (offset no longer there: ERR_DATA, never a silent reset), unknown
 * topic or authorisation (ERR_CONFIG), brokers away (ERR_RETRY after kafka.timeout of silence).
 * After an error the assignment is of no more use: assign anew, or close. */
int consumer_poll(struct consumer *c, int timeout_ms, const struct consumer_message **ret_messages,
		  size_t *ret_count, struct err *e);
/* The messages of the last poll are no longer needed: their memory is given back now, not at the
 * next poll. */
void consumer_release(struct consumer *c);
/* Offset of the next record of an assigned partition that consumer_poll has not returned yet,
 * beyond transaction markers and aborted records once the partition's end was met. For
 * CONSUMER_BEGIN and CONSUMER_END the offset they stood for. */
int64_t consumer_next(const struct consumer *c, size_t index);
bool consumer_at_end(const struct consumer *c); /* stop_at_end: every partition reached the last
						   stable offset it had at assign time */
int consumer_pause(struct consumer *c, size_t index, bool paused,
		   struct err *e); /* stop or resume fetching one assigned partition */
/* Commits offsets to the group (asynchronously; failures are counted, not raised: the store's
 * position is the truth). */
void consumer_commit(struct consumer *c, const struct consumer_partition *partitions, size_t count);

#endif
