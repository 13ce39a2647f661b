/* admin.c - topics: there or not, made, described, bounds, names, deleted.
 *
 * Every call is a request and its answer, at most kafka.timeout long. The handle is one of a
 * consumer, because looking a topic up through a producer's would create it on brokers with
 * auto.create.topics.enable.
 *
 * A topic is made with its promises in its own configuration (retention forever, no compaction
 * unless asked for, 16 MB records), so that the brokers' defaults, seven days in Kafka's own, don't
 * matter. One that is there already is looked at and never changed: who made it may have meant it.
 */
#include "core/kafka/admin_priv.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define PING_SLICE_MS 500
#define PING_REFUSED_US 3000000
#define LEADER_WAIT_US 20000
#define TOPICS_MAX 1000000

int admin_open(const struct settings *settings, struct admin **ret_admin, struct err *e)
{
	struct admin *a = xcalloc(1, sizeof(*a));
	rd_kafka_conf_t *conf = kafka_conf_begin(&a->client, settings, KAFKA_ADMIN);

	kafka_conf_put(conf, "isolation.level", "read_uncommitted");
	if (kafka_client_start(&a->client, settings, conf, KAFKA_ADMIN, e) < 0) {
		free(a);
		return -1;
	}
	a->settings = settings;
	a->replication = (int)settings->kafka_replication;
	*ret_admin = a;
	return 0;
}

void admin_close(struct admin *a)
{
	if (a == NULL)
		return;
	kafka_client_done(&a->client);
	free(a);
}

int admin_ping(struct admin *a, int *ret_brokers, struct err *e)
{
	int64_t start = clock_monotonic_us(), limit = a->client.timeout_ms * 1000, waited;
	const struct rd_kafka_metadata *answer;
	rd_kafka_resp_err_t code;

	for (;;) {
		code = rd_kafka_metadata(a->client.rk, 0, NULL, &answer, PING_SLICE_MS);
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		(void)rd_kafka_poll(a->client.rk, 0); /* error callbacks */
		waited = clock_monotonic_us() - start;
		if (waited > limit ||
		    (waited > PING_REFUSED_US && kafka_client_all_down(&a->client)))
			return kafka_fail(&a->client, RD_KAFKA_RESP_ERR__TIMED_OUT, e, "Kafka");
		if (code != RD_KAFKA_RESP_ERR__TIMED_OUT)
			clock_sleep_us(100000);
	}
	*ret_brokers = answer->broker_cnt;
	rd_kafka_metadata_destroy(answer);
	kafka_client_healthy(&a->client);
	return 0;
}

/* ---- describing
 * -------------------------------------------------------------------------------------------- */

/* Partitions and replication; leaders: how many partitions have one. */
static int look_up(struct admin *a, const char *topic, struct topic_info *ret_info,
		   int *ret_leaders, struct err *e)
{
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(a->client.rk, topic, NULL);
	const struct rd_kafka_metadata *answer;
	rd_kafka_resp_err_t code;
	int leaders = 0;

	if (rkt == NULL)
		return kafka_fail(&a->client, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, e, "topic %s",
				  topic);
	code = rd_kafka_metadata(a->client.rk, 0, rkt, &answer, (int)a->client.timeout_ms);
	rd_kafka_topic_destroy(rkt);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
		const struct rd_kafka_metadata_topic *t = &answer->topics[0];

		code = answer->topic_cnt == 1 ? t->err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
		for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < t->partition_cnt; i++)
			leaders += t->partitions[i].leader >= 0 &&
				   t->partitions[i].err == RD_KAFKA_RESP_ERR_NO_ERROR;
		ret_info->exists = code == RD_KAFKA_RESP_ERR_NO_ERROR;
		if (ret_info->exists) {
			ret_info->partitions = t->partition_cnt;
			ret_info->replication = t->partition_cnt > 0 ? t->partitions[0].replica_cnt
								     : 0;
		}
		rd_kafka_metadata_destroy(answer);
	}
	if (code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
		ret_info->exists = true;
	else if (code != RD_KAFKA_RESP_ERR_NO_ERROR &&
		 code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		return kafka_fail(&a->client, code, e, "topic %s", topic);
	*ret_leaders = leaders;
	return 0;
}

static void note_config(const rd_kafka_ConfigEntry_t *entry, struct topic_info *info)
{
	const char *name = rd_kafka_ConfigEntry_name(entry),
		   *value = rd_kafka_ConfigEntry_value(entry);

	if (value == NULL)
		return;
	if (strcmp(name, "cleanup.policy") == 0)
		snprintf(info->cleanup_policy, sizeof(info->cleanup_policy), "%s", value);
	else if (strcmp(name, "retention.ms") == 0)
		info->retention_ms = strtoll(value, NULL, 10);
	else if (strcmp(name, "retention.bytes") == 0)
		info->retention_bytes = strtoll(value, NULL, 10);
	else if (strcmp(name, "max.message.bytes") == 0)
		info->message_bytes_max = strtoll(value, NULL, 10);
	else if (strcmp(name, "segment.bytes") == 0)
		info->segment_bytes = strtoll(value, NULL, 10);
}

rd_kafka_event_t *admin_await(struct admin *a, rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, (int)a->client.timeout_ms + 5000);

	(void)rd_kafka_poll(a->client.rk, 0); /* error callbacks, for the message of a failure */
	return event;
}

rd_kafka_AdminOptions_t *admin_options_for(struct admin *a, rd_kafka_admin_op_t op)
{
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(a->client.rk, op);
	char text[128];

	/* refused only outside 0 .. 1 h; kafka.timeout is at most 10 min */
	(void)rd_kafka_AdminOptions_set_request_timeout(options, (int)a->client.timeout_ms, text,
							sizeof(text));
	if (op == RD_KAFKA_ADMIN_OP_CREATETOPICS)
		(void)rd_kafka_AdminOptions_set_operation_timeout(
			options, (int)a->client.timeout_ms, text, sizeof(text));
	return options;
}

void admin_note_config(const rd_kafka_ConfigResource_t *resource, struct topic_info *info)
{
	size_t count;
	const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);

	for (size_t i = 0; i < count; i++)
		note_config(entries[i], info);
}

static rd_kafka_resp_err_t read_described(rd_kafka_event_t *event, struct topic_info *info)
{
	const rd_kafka_ConfigResource_t **resources;
	rd_kafka_resp_err_t code = rd_kafka_event_error(event);
	size_t count;

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return code;
	resources = rd_kafka_DescribeConfigs_result_resources(
		rd_kafka_event_DescribeConfigs_result(event), &count);
	if (count != 1)
		return RD_KAFKA_RESP_ERR__BAD_MSG;
	code = rd_kafka_ConfigResource_error(resources[0]);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return code;
	admin_note_config(resources[0], info);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

int admin_describe_failed(struct admin *a, const char *topic, rd_kafka_resp_err_t code,
			  struct err *e)
{
	if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		return err_retry(e, "topic %s: its configuration: a broker does not know it",
				 topic);
	if (code != RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
		return kafka_fail(&a->client, code, e, "topic %s: its configuration", topic);
	err_config(e, "topic %s: its configuration may not be read: %s", topic,
		   rd_kafka_err2str(code));
	return err_hint(e, "Give Millrace's user the ACL DescribeConfigs on this topic.");
}

static rd_kafka_resp_err_t describe_once(struct admin *a, const char *topic,
					 struct topic_info *info)
{
	rd_kafka_ConfigResource_t *resource =
		rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
	rd_kafka_AdminOptions_t *options = admin_options_for(a, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(a->client.rk);
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
	rd_kafka_event_t *event;

	rd_kafka_DescribeConfigs(a->client.rk, &resource, 1, options, queue);
	event = admin_await(a, queue);
	if (event != NULL) {
		code = read_described(event, info);
		rd_kafka_event_destroy(event);
	}
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_ConfigResource_destroy(resource);
	return code;
}

/* Only asked of topics that were there a moment ago: any broker may be asked, and one that has just
 * come back or heard nothing yet of a new topic answers that it is unknown. */
static int describe(struct admin *a, const char *topic, struct topic_info *info, struct err *e)
{
	int64_t until = clock_monotonic_us() + a->client.timeout_ms * 1000;
	rd_kafka_resp_err_t code;

	while ((code = describe_once(a, topic, info)) == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART &&
	       clock_monotonic_us() < until)
		clock_sleep_us(LEADER_WAIT_US);
	return code != RD_KAFKA_RESP_ERR_NO_ERROR ? admin_describe_failed(a, topic, code, e) : 0;
}

int admin_topic(struct admin *a, const char *topic, struct topic_info *ret_info, struct err *e)
{
	struct topic_info info;
	int leaders;

	memset(&info, 0, sizeof(info));
	if (look_up(a, topic, &info, &leaders, e) < 0)
		return -1;
	if (info.exists && describe(a, topic, &info, e) < 0)
		return -1;
	*ret_info = info;
	return 0;
}

int admin_partitions(struct admin *a, const char *topic, bool *ret_exists, int32_t *ret_partitions,
		     struct err *e)
{
	struct topic_info info;
	int leaders;

	memset(&info, 0, sizeof(info));
	if (look_up(a, topic, &info, &leaders, e) < 0)
		return -1;
	*ret_exists = info.exists;
	*ret_partitions = info.partitions;
	return 0;
}

/* ---- creating
 * ---------------------------------------------------------------------------------------------- */

static rd_kafka_resp_err_t read_created(rd_kafka_event_t *event, char *ret_text, size_t size)
{
	const rd_kafka_topic_result_t **results;
	rd_kafka_resp_err_t code = rd_kafka_event_error(event);
	size_t count;

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		snprintf(ret_text, size, "%s", rd_kafka_event_error_string(event));
		return code;
	}
	results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event),
						      &count);
	if (count != 1)
		return RD_KAFKA_RESP_ERR__BAD_MSG;
	code = rd_kafka_topic_result_error(results[0]);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR &&
	    rd_kafka_topic_result_error_string(results[0]) != NULL)
		snprintf(ret_text, size, "%s", rd_kafka_topic_result_error_string(results[0]));
	return code;
}

static rd_kafka_resp_err_t ask_create(struct admin *a, rd_kafka_NewTopic_t *topic, char *ret_text,
				      size_t size)
{
	rd_kafka_AdminOptions_t *options = admin_options_for(a, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(a->client.rk);
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
	rd_kafka_event_t *event;

	rd_kafka_CreateTopics(a->client.rk, &topic, 1, options, queue);
	event = admin_await(a, queue);
	if (event != NULL) {
		code = read_created(event, ret_text, size);
		rd_kafka_event_destroy(event);
	}
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	return code;
}

rd_kafka_NewTopic_t *admin_new_topic(struct admin *a, const char *topic, enum topic_keep keep,
				     int32_t partitions, struct err *e)
{
	char text[256] = "", bytes[32];
	rd_kafka_NewTopic_t *t =
		rd_kafka_NewTopic_new(topic, partitions, a->replication, text, sizeof(text));

	if (t == NULL) {
		err_config(e, "topic %s: %s", topic, text);
		return NULL;
	}
	snprintf(bytes, sizeof(bytes), "%d", KAFKA_MESSAGE_MAX);
	/* these can't fail: no value is NULL */
	(void)rd_kafka_NewTopic_set_config(t, "cleanup.policy",
					   keep == TOPIC_COMPACTED ? "compact" : "delete");
	(void)rd_kafka_NewTopic_set_config(t, "retention.ms", "-1");
	(void)rd_kafka_NewTopic_set_config(t, "retention.bytes", "-1");
	(void)rd_kafka_NewTopic_set_config(t, "max.message.bytes", bytes);
	return t;
}

/* No broker has told the controller lately that it is there (it has just started, or its machine
 * was too busy): the code is that of a wrong kafka.replication, only the text tells the two apart.
 */
static bool all_are_fenced(rd_kafka_resp_err_t code, const char *text)
{
	return code == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR &&
	       strstr(text, "All brokers are currently fenced") != NULL;
}

int admin_create_failed(struct admin *a, const char *topic, rd_kafka_resp_err_t code,
			const char *text, struct err *e)
{
	if (all_are_fenced(code, text))
		return err_retry(e, "topic %s cannot be created yet: %s", topic, text);
	kafka_fail(&a->client, code, e, "topic %s cannot be created%s%s", topic,
		   text[0] != '\0' ? ": " : "", text);
	if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
	    code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED)
		err_hint(e, "Or let an administrator create it: %s",
			 "cleanup.policy as in the manual, retention.ms=-1, "
			 "retention.bytes=-1, max.message.bytes=16777216.");
	return -1;
}

static int create(struct admin *a, const char *topic, enum topic_keep keep, int32_t partitions,
		  struct err *e)
{
	rd_kafka_NewTopic_t *t = admin_new_topic(a, topic, keep, partitions, e);
	rd_kafka_resp_err_t code;
	char text[256] = "";

	if (t == NULL)
		return -1;
	code = ask_create(a, t, text, sizeof(text));
	rd_kafka_NewTopic_destroy(t);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
		return 0; /* somebody else was first: fine */
	return admin_create_failed(a, topic, code, text, e);
}

static int await_leaders(struct admin *a, const char *topic, int32_t *ret_partitions, struct err *e)
{
	int64_t until = clock_monotonic_us() + a->client.timeout_ms * 1000;
	struct topic_info info;
	int leaders;

	for (;;) {
		memset(&info, 0, sizeof(info));
		if (look_up(a, topic, &info, &leaders, e) < 0)
			return -1;
		if (info.exists && info.partitions > 0 && leaders == info.partitions)
			break;
		if (clock_monotonic_us() > until)
			return err_retry(
				e, "topic %s: %d of %d partitions have a leader after %lld ms",
				topic, leaders, (int)info.partitions,
				(long long)a->client.timeout_ms);
		clock_sleep_us(LEADER_WAIT_US);
	}
	*ret_partitions = info.partitions;
	return 0;
}

int admin_judge(struct admin *a, const char *topic, enum topic_keep keep,
		const struct topic_info *info, struct err *e)
{
	const char *policy = keep == TOPIC_COMPACTED ? "compact" : "delete";
	bool deletes = strstr(info->cleanup_policy, "delete") != NULL &&
		       (info->retention_ms != -1 || info->retention_bytes != -1);
	bool compacts = strstr(info->cleanup_policy, "compact") != NULL;

	if (!deletes && !(compacts && keep == TOPIC_HISTORY))
		return 0;
	err_config(
		e,
		"topic %s would lose records: cleanup.policy=%s, retention.ms=%lld, retention.bytes=%lld",
		topic, info->cleanup_policy, (long long)info->retention_ms,
		(long long)info->retention_bytes);
	return err_hint(
		e,
		"kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s "
		"--add-config cleanup.policy=%s,retention.ms=-1,retention.bytes=-1",
		a->client.brokers, topic, policy);
}

int admin_ensure_topic(struct admin *a, const char *topic, enum topic_keep keep, int32_t partitions,
		       bool strict, int32_t *ret_partitions, struct err *e)
{
	struct topic_info info;
	int leaders, brokers;

	memset(&info, 0, sizeof(info));
	if (admin_ping(a, &brokers, e) < 0 || look_up(a, topic, &info, &leaders, e) < 0)
		return -1;
	if (!info.exists && create(a, topic, keep, partitions, e) < 0)
		return -1;
	/* also after creating: who was first may have been somebody else */
	if (strict && await_leaders(a, topic, ret_partitions, e) == 0)
		return describe(a, topic, &info, e) < 0 ? -1
							: admin_judge(a, topic, keep, &info, e);
	return strict ? -1 : await_leaders(a, topic, ret_partitions, e);
}

/* ---- bounds and names
 * -------------------------------------------------------------------------------------- */

int admin_watermarks(struct admin *a, const char *topic, int32_t partition, int64_t *ret_low,
		     int64_t *ret_high, struct err *e)
{
	int64_t low, high;
	rd_kafka_resp_err_t code =
		kafka_bounds(&a->client, topic, partition, a->client.timeout_ms, &low, &high);

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_fail(&a->client, code, e, "topic %s, partition %d", topic,
				  (int)partition);
	*ret_low = low;
	*ret_high = high;
	return 0;
}

int64_t admin_limit_of(const struct topic_info *info)
{
	int64_t max = info->message_bytes_max > 0 ? info->message_bytes_max : ADMIN_MESSAGE_DEFAULT;

	/* a batch lies in one segment */
	return info->segment_bytes > 0 && info->segment_bytes < max ? info->segment_bytes : max;
}

int admin_message_max(struct admin *a, const char *topic, int64_t *ret_bytes, struct err *e)
{
	struct topic_info info;

	memset(&info, 0, sizeof(info));
	if (describe(a, topic, &info, e) < 0) {
		if (e->kind != ERR_CONFIG)
			return -1;
		log_debug("kafka", "%s", e->msg); /* not allowed to know: the default it is */
		err_clear(e);
	}
	*ret_bytes = admin_limit_of(&info);
	return 0;
}

static int take_offsets(struct admin *a, const rd_kafka_topic_partition_list_t *list,
			struct admin_offset *offsets, struct err *e)
{
	for (int i = 0; i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *p = &list->elems[i];

		if (p->err != RD_KAFKA_RESP_ERR_NO_ERROR)
			return kafka_fail(&a->client, p->err, e, "topic %s, partition %d", p->topic,
					  (int)p->partition);
		offsets[i].offset = p->offset < 0 ? -1 : p->offset; /* -1 is also its "end" */
	}
	return 0;
}

int admin_offsets_at(struct admin *a, int64_t ms, struct admin_offset *offsets, size_t count,
		     struct err *e)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
	int rc;

	for (size_t i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, offsets[i].topic, offsets[i].partition)
			->offset = ms;
	if (count > 0)
		code = rd_kafka_offsets_for_times(a->client.rk, list, (int)a->client.timeout_ms);
	rc = code != RD_KAFKA_RESP_ERR_NO_ERROR
		     ? kafka_fail(&a->client, code, e, "offsets of %zu partitions", count)
		     : take_offsets(a, list, offsets, e);
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}

int admin_list(struct admin *a, const char *prefix, char ***ret_names, size_t *ret_count,
	       struct err *e)
{
	const struct rd_kafka_metadata *answer;
	rd_kafka_resp_err_t code =
		rd_kafka_metadata(a->client.rk, 1, NULL, &answer, (int)a->client.timeout_ms);
	char **names;
	size_t count = 0;

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_fail(&a->client, code, e, "the list of topics");
	if (answer->topic_cnt > TOPICS_MAX) {
		rd_kafka_metadata_destroy(answer);
		return err_config(e, "more than %d topics", TOPICS_MAX);
	}
	names = xcalloc((size_t)answer->topic_cnt, sizeof(*names));
	for (int i = 0; i < answer->topic_cnt; i++)
		if (strncmp(answer->topics[i].topic, prefix, strlen(prefix)) == 0)
			names[count++] = xstrdup(answer->topics[i].topic);
	rd_kafka_metadata_destroy(answer);
	*ret_names = names;
	*ret_count = count;
	return 0;
}
