/* admin_priv.h - what admin.c (one topic at a time) and admin_many.c (thousands) share. */
#ifndef CORE_KAFKA_ADMIN_PRIV_H
#define CORE_KAFKA_ADMIN_PRIV_H

#include "core/kafka/admin.h"
#include "core/kafka/kafka_priv.h"

struct admin {
	struct kafka_client client; /* first: the library's opaque points to it */
	const struct settings *settings;
	int replication;
};

/* A new topic with its promises in its own configuration. NULL: ERR_CONFIG. */
rd_kafka_NewTopic_t *admin_new_topic(struct admin *a, const char *topic, enum topic_keep keep,
				     int32_t partitions, struct err *e);
/* Why it can't be made, and what an administrator would do. */
int admin_create_failed(struct admin *a, const char *topic, rd_kafka_resp_err_t code,
			const char *text, struct err *e);
/* The configuration of one topic into *info. */
void admin_note_config(const rd_kafka_ConfigResource_t *resource, struct topic_info *info);
int admin_describe_failed(struct admin *a, const char *topic, rd_kafka_resp_err_t code,
			  struct err *e);
/* May the topic lose what it must keep? ERR_CONFIG. */
int admin_judge(struct admin *a, const char *topic, enum topic_keep keep,
		const struct topic_info *info, struct err *e);
/* Largest batch that the topic takes, by its configuration. */
int64_t admin_limit_of(const struct topic_info *info);
rd_kafka_AdminOptions_t *admin_options_for(struct admin *a, rd_kafka_admin_op_t op);
/* Waits for the one answer of an admin request. NULL after the time limit (cannot happen: the
 * library has its own). */
rd_kafka_event_t *admin_await(struct admin *a, rd_kafka_queue_t *queue);

#endif
