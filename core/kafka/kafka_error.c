/* kafka_error.c - sorts the library's error codes into the kinds that decide what Millrace does.
 *
 * One table says which codes a person must act on (CONFIG), which condemn the bytes (DATA), and
 * which end this instance (fenced). Whatever is not in it is taken to heal: ERR_RETRY, which
 * everywhere means to close, wait and open anew. That is the safe answer for a code that nobody has
 * thought of, because nothing counts as delivered until the position says so.
 *
 * librdkafka repeats a refused log-in for ever and reports only a timeout; the last connection
 * problem, kept by the error callback, turns such a timeout into the mistake that it is. */
#include "core/kafka/kafka_priv.h"

#include <stdio.h>
#include <string.h>

struct sorted {
	rd_kafka_resp_err_t code;
	enum err_kind kind;
	const char *hint; /* NULL: none */
};

#define ACL_TOPIC                                                               \
	"Give Millrace's user the ACLs Describe, Read and Write on this topic " \
	"(kafka-acls.sh --add --allow-principal User:NAME --operation ... --topic TOPIC)."

#define NOT_THERE \
	"`millrace run` makes its topics when it first starts: has it run, under this name?"

static const struct sorted sorted[] = {
	{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ERR_CONFIG, ACL_TOPIC },
	{ RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, ERR_CONFIG,
	  "Give Millrace's user the ACLs Create, DescribeConfigs and IdempotentWrite on the cluster "
	  "(kafka-acls.sh --add --allow-principal User:NAME --operation ... --cluster)." },
	{ RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ERR_CONFIG,
	  "Give Millrace's user the ACLs Describe and Write on this transactional.id "
	  "(kafka-acls.sh --add --allow-principal User:NAME --operation Write --operation Describe "
	  "--transactional-id ID)." },
	{ RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ERR_CONFIG,
	  "Give Millrace's user the ACL Read on this consumer group." },
	{ RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, ERR_CONFIG,
	  "Check kafka.sasl.* in section [kafka]." },
	{ RD_KAFKA_RESP_ERR__AUTHENTICATION, ERR_CONFIG, "Check kafka.sasl.* in section [kafka]." },
	{ RD_KAFKA_RESP_ERR__SSL, ERR_CONFIG,
	  "Check kafka.security.protocol and kafka.ssl.* in section [kafka]." },
	{ RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, ERR_CONFIG,
	  "Check kafka.sasl.mechanisms." },
	/* a broker that has just come back answers so for topics that are there: whoever looks for
	 * them when it opens says so if they are not */
	{ RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, ERR_RETRY, NOT_THERE },
	{ RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, ERR_RETRY, NOT_THERE },
	{ RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, ERR_RETRY, NOT_THERE },
	{ RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, ERR_CONFIG,
	  "A topic name has at most 249 characters out of A-Z, a-z, 0-9, '.', '_' and '-'." },
	{ RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, ERR_CONFIG,
	  "Set kafka.replication to the number of brokers or less." },
	{ RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, ERR_CONFIG, "Set kafka.partitions to 1 or more." },
	{ RD_KAFKA_RESP_ERR_INVALID_CONFIG, ERR_CONFIG, NULL },
	{ RD_KAFKA_RESP_ERR_POLICY_VIOLATION, ERR_CONFIG,
	  "Ask who runs the brokers for their rule about topics." },
	{ RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, ERR_CONFIG,
	  "Set kafka.transaction.timeout.ms to the brokers' transaction.max.timeout.ms or less." },
	{ RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, ERR_CONFIG,
	  "Millrace needs Apache Kafka 2.5 or newer." },
	{ RD_KAFKA_RESP_ERR__INVALID_ARG, ERR_CONFIG, NULL },
	/* no more than the limits allowed when they were read: opening anew reads them again */
	{ RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, ERR_RETRY,
	  "The topic's max.message.bytes was lowered; records that are larger will be parked." },
	{ RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, ERR_RETRY, NULL },
	{ RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE, ERR_RETRY, NULL },
	{ RD_KAFKA_RESP_ERR_INVALID_RECORD, ERR_DATA,
	  "A compacted topic takes no record without a key." },
	{ RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, ERR_DATA, NULL },
	{ RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, ERR_DATA, NULL },
	{ RD_KAFKA_RESP_ERR__BAD_MSG, ERR_DATA, NULL },
	{ RD_KAFKA_RESP_ERR__BAD_COMPRESSION, ERR_DATA, NULL },
};

static const struct sorted *find(rd_kafka_resp_err_t code)
{
	for (size_t i = 0; i < sizeof(sorted) / sizeof(sorted[0]); i++)
		if (sorted[i].code == code)
			return &sorted[i];
	return NULL;
}

static bool is_fenced(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
	       code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

static bool is_silence(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT ||
	       code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__RESOLVE ||
	       code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT ||
	       code == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE;
}

static int fail_sorted(const struct sorted *s, const char *what, const char *text, struct err *e)
{
	if (s->kind == ERR_DATA)
		err_data(e, "%s: %s", what, text);
	else if (s->kind == ERR_RETRY)
		err_retry(e, "%s: %s", what, text);
	else
		err_config(e, "%s: %s", what, text);
	if (s->hint != NULL)
		err_hint(e, "%s", s->hint);
	return -1;
}

/* No answer in time: whom was asked, and what the connection's last problem was. */
static int fail_silence(struct kafka_client *client, const char *what, rd_kafka_resp_err_t code,
			struct err *e)
{
	rd_kafka_resp_err_t trouble_code;
	char trouble[sizeof(client->trouble)];
	const struct sorted *s;

	pthread_mutex_lock(&client->lock);
	trouble_code = client->trouble_code;
	memcpy(trouble, client->trouble, sizeof(trouble));
	pthread_mutex_unlock(&client->lock);
	s = find(trouble_code);
	if (s != NULL && s->kind == ERR_CONFIG)
		return fail_sorted(s, what, trouble, e);
	if (trouble[0] == '\0')
		snprintf(trouble, sizeof(trouble), "%s", rd_kafka_err2str(code));
	err_retry(e, "%s: no answer from Kafka at %s: %s", what, client->brokers, trouble);
	return err_hint(e, "Check that the brokers run and that kafka.bootstrap names them.");
}

static int fail_text(struct kafka_client *client, rd_kafka_resp_err_t code, const char *text,
		     const char *what, struct err *e)
{
	const struct sorted *s = find(code);

	if (is_fenced(code)) {
		err_fatal(e, "%s: another instance with the same name has taken over: %s", what,
			  text);
		return err_exit(e, EXIT_FENCED);
	}
	if (s != NULL)
		return fail_sorted(s, what, text, e);
	if (is_silence(code))
		return fail_silence(client, what, code, e);
	return err_retry(e, "%s: %s", what, text);
}

int kafka_fail(struct kafka_client *client, rd_kafka_resp_err_t code, struct err *e,
	       const char *format, ...)
{
	char what[320], text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(text, sizeof(text), "%s", rd_kafka_err2str(code));
	if (code == RD_KAFKA_RESP_ERR__FATAL)
		code = rd_kafka_fatal_error(client->rk, text, sizeof(text));
	return fail_text(client, code, text, what, e);
}

int kafka_fail_object(struct kafka_client *client, rd_kafka_error_t *error, struct err *e,
		      const char *what)
{
	rd_kafka_resp_err_t code = rd_kafka_error_code(error);
	char text[320];
	bool retriable = rd_kafka_error_is_retriable(error) ||
			 rd_kafka_error_txn_requires_abort(error);

	snprintf(text, sizeof(text), "%s", rd_kafka_error_string(error));
	if (code == RD_KAFKA_RESP_ERR__FATAL)
		code = rd_kafka_fatal_error(client->rk, text, sizeof(text));
	rd_kafka_error_destroy(error);
	if (retriable && find(code) == NULL && !is_fenced(code) && !is_silence(code))
		return err_retry(e, "%s: %s", what, text);
	return fail_text(client, code, text, what, e);
}
