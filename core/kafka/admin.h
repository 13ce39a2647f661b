/* admin.h - topics: create, describe, watermarks. Blocking, each bounded by kafka.timeout. */
#ifndef CORE_KAFKA_ADMIN_H
#define CORE_KAFKA_ADMIN_H

#include "core/base/settings.h"

struct admin;

enum topic_keep {
	TOPIC_HISTORY,
	TOPIC_COMPACTED
}; /* forever and whole, or last record of each key */

struct topic_info {
	bool exists;
	int32_t partitions;
	int32_t replication;
	char cleanup_policy[64];               /* "delete", "compact", "compact,delete" */
	int64_t retention_ms, retention_bytes; /* -1: no limit */
	int64_t message_bytes_max, segment_bytes;
};

/* settings must outlive it. */
int admin_open(const struct settings *settings, struct admin **ret_admin, struct err *e);
void admin_close(struct admin *a);
/* Brokers reachable? Fills the broker count. ERR_RETRY with the addresses tried: after 3 s when
 * every one refuses the connection. */
int admin_ping(struct admin *a, int *ret_brokers, struct err *e);
/* Everything that is known of a topic; exists == false (and 0) when there is none. Needs
 * DescribeConfigs on it. Never creates one. */
int admin_topic(struct admin *a, const char *topic, struct topic_info *ret_info, struct err *e);
/* Only whether it is there and how many partitions it has: needs no right but Describe. Never
 * creates one. */
int admin_partitions(struct admin *a, const char *topic, bool *ret_exists, int32_t *ret_partitions,
		     struct err *e);
/* Creates the topic (retention.ms=-1, retention.bytes=-1, max.message.bytes, cleanup.policy by
 * keep; kafka.replication) unless it is there, and waits until every partition has a leader. An
 * existing one is left as it is; with `strict` it is ERR_CONFIG, with the kafka-configs command in
 * the hint, when it may lose what it must keep: TOPIC_HISTORY that deletes by age or size, or
 * compacts; TOPIC_COMPACTED that deletes by age or size. *ret_partitions: the partitions it has. */
int admin_ensure_topic(struct admin *a, const char *topic, enum topic_keep keep, int32_t partitions,
		       bool strict, int32_t *ret_partitions, struct err *e);
/* The same for many topics in few requests: thousands take seconds. names: no name twice.
 * ret_partitions and ret_message_max (as admin_message_max gives it; 0: not known, unless `strict`)
 * have one for each name. */
int admin_ensure_topics(struct admin *a, const char *const *names, size_t count,
			enum topic_keep keep, int32_t partitions, bool strict,
			int32_t *ret_partitions, int64_t *ret_message_max, struct err *e);
/* The broker's limit for a batch of records of this topic (max.message.bytes). Kafka's default when
 * its configuration may not be read. */
int admin_message_max(struct admin *a, const char *topic, int64_t *ret_bytes, struct err *e);
#define ADMIN_MESSAGE_DEFAULT 1048588
/* Fills the offsets: of the first record that was written at `ms` (wall clock) or later; -1: there
 * is none. One request to each broker, however many partitions. ERR_CONFIG: an unknown one. */
struct admin_offset {
	const char *topic;
	int32_t partition;
	int64_t offset;
};
int admin_offsets_at(struct admin *a, int64_t ms, struct admin_offset *offsets, size_t count,
		     struct err *e);
/* low: first offset still there; high: next offset to be written (transactions still open
 * included). */
int admin_watermarks(struct admin *a, const char *topic, int32_t partition, int64_t *ret_low,
		     int64_t *ret_high, struct err *e);
/* Names of all topics that begin with prefix, each malloced; caller frees names and array. */
int admin_list(struct admin *a, const char *prefix, char ***ret_names, size_t *ret_count,
	       struct err *e);

#endif
