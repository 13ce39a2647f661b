/* kafka_priv.h - what producer, consumer and admin share: making a client, its log, and sorting its
 * errors.
 *
 * The only header of Millrace that names rdkafka.h; included inside core/kafka and by tests. */
#ifndef CORE_KAFKA_KAFKA_PRIV_H
#define CORE_KAFKA_KAFKA_PRIV_H

#include "core/kafka/kafka_conf.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

enum kafka_role { KAFKA_PRODUCER, KAFKA_CONSUMER, KAFKA_ADMIN };

/* One librdkafka handle and what is known about its connection. Its address must not change: the
 * library keeps it. */
struct kafka_client {
	rd_kafka_t *rk;
	char *brokers;                  /* as configured, for messages */
	int64_t timeout_ms;             /* kafka.timeout */
	int64_t transaction_ms;         /* producers: transaction.timeout.ms as it is in force */
	int64_t message_max, batch_max; /* producers: message.max.bytes, batch.size */
	pthread_mutex_t lock;           /* of what follows: callbacks come from any thread */
	rd_kafka_resp_err_t trouble_code;
	char trouble[256];    /* the last connection problem, in the library's words; "" */
	bool all_down;        /* no broker was reachable when last heard of */
	int64_t log_after_us; /* no warning before this time */
};

/* Default settings of the role, to which the owner adds its own by kafka_conf_put. `client` becomes
 * the opaque of all callbacks and is initialised. */
rd_kafka_conf_t *kafka_conf_begin(struct kafka_client *client, const struct settings *settings,
				  enum kafka_role role);
/* A setting of Millrace's own. That the library refuses it is a bug, and aborts. */
void kafka_conf_put(rd_kafka_conf_t *conf, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Adds the kafka.<property> lines that concern the role, and makes the handle. Takes conf. After a
 * failure the client is as after kafka_client_done. */
int kafka_client_start(struct kafka_client *client, const struct settings *settings,
		       rd_kafka_conf_t *conf, enum kafka_role role, struct err *e);
/* Destroys the handle. The owner has destroyed topics and queues before. */
void kafka_client_done(struct kafka_client *client);

/* For a member of a consumer group that has joined, its thread being over: leaves the group and
 * destroys the handle. `answered`: it has been given partitions, or none; callbacks set it. False:
 * it never was, and then the handle can't be destroyed: `owner`, which holds it and what its
 * callbacks use, must not be freed (group_leave.c). */
bool kafka_group_leave(struct kafka_client *client, const atomic_bool *answered, void *owner);

/* Forgets the last connection problem: the brokers have answered. */
void kafka_client_healthy(struct kafka_client *client);
bool kafka_client_all_down(struct kafka_client *client);

/* Sorts a library error into ours: returns -1 with kind, exit code and hint. `what` says what was
 * tried ("topic x"). A timeout names the brokers and the last connection problem; a timeout behind
 * which stands a refused log-in or certificate is ERR_CONFIG. */
int kafka_fail(struct kafka_client *client, rd_kafka_resp_err_t code, struct err *e,
	       const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same for an error object, which it takes. Fatal ones are looked up. */
int kafka_fail_object(struct kafka_client *client, rd_kafka_error_t *error, struct err *e,
		      const char *what);

static inline bool kafka_is_unknown_topic(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
	       code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
	       code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

/* Times that stand for the two ends of a log (ListOffsets in the Kafka protocol guide). */
#define KAFKA_TIME_OF_END (-1)
#define KAFKA_TIME_OF_BEGIN (-2)

/* First offset and end of one partition's log; with read_committed the end is the last stable
 * offset. Both within timeout_ms, also while the partition's leader is down. */
rd_kafka_resp_err_t kafka_bounds(struct kafka_client *client, const char *topic, int32_t partition,
				 int64_t timeout_ms, int64_t *ret_low, int64_t *ret_end);

#endif
