/* admin_many.c - thousands of topics made and looked at in few requests.
 *
 *   metadata of all topics     which are there
 *   CreateTopics, in batches   those that are not
 *   metadata again             until every partition has a leader
 *   DescribeConfigs, batches   of those that were there before: may they lose what they must keep?
 *
 * A topic made here has its promises from its maker and isn't described. The metadata of all topics
 * is asked for because a list of names would be sent back and forth one by one. The library keeps
 * it (0.6 kB a topic) for as long as the client that asked: so that is one of its own. */
#include "core/kafka/admin_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define CREATE_BATCH 200
#define DESCRIBE_BATCH 50 /* an answer holds some 3 kB for each */
#define LOOK_US 50000
#define LOOK_EACH_US 20     /* and for each topic, as the answer names them all */
#define LEADER_EACH_US 20000 /* what a busy broker takes to make the files of a topic */

struct wanted {
	const char *name;
	size_t index; /* the caller's */
	bool exists, made, leads;
	int32_t partitions;
	int64_t message_max; /* 0: not known */
};

struct many {
	struct admin *admin;
	enum topic_keep keep;
	int32_t partitions;
	struct wanted *wanted; /* by name */
	size_t count;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct wanted *)a)->name, ((const struct wanted *)b)->name);
}

static int name_against(const void *name, const void *wanted)
{
	return strcmp(name, ((const struct wanted *)wanted)->name);
}

static struct wanted *find(struct many *m, const char *name)
{
	return bsearch(name, m->wanted, m->count, sizeof(*m->wanted), name_against);
}

static void note(struct many *m, const struct rd_kafka_metadata_topic *t)
{
	struct wanted *w = find(m, t->topic);
	int leaders = 0;

	if (w == NULL || t->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		return;
	for (int i = 0; i < t->partition_cnt; i++)
		leaders += t->partitions[i].leader >= 0 &&
			   t->partitions[i].err == RD_KAFKA_RESP_ERR_NO_ERROR;
	w->exists = true;
	w->partitions = t->partition_cnt;
	w->leads = t->partition_cnt > 0 && leaders == t->partition_cnt;
}

static int look(struct many *m, struct err *e)
{
	struct kafka_client *client = &m->admin->client;
	const struct rd_kafka_metadata *answer;
	rd_kafka_resp_err_t code =
		rd_kafka_metadata(client->rk, 1, NULL, &answer, (int)client->timeout_ms);

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_fail(client, code, e, "the list of topics");
	for (int i = 0; i < answer->topic_cnt; i++)
		note(m, &answer->topics[i]);
	rd_kafka_metadata_destroy(answer);
	return 0;
}

/* ---- making ---------------------------------------------------------------------------------- */

static int read_created(struct many *m, rd_kafka_event_t *event, struct err *e)
{
	rd_kafka_resp_err_t code = rd_kafka_event_error(event);
	const rd_kafka_topic_result_t **results;
	size_t count;

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_fail(&m->admin->client, code, e, "topics cannot be created");
	results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event),
						      &count);
	for (size_t i = 0; i < count; i++) {
		const char *name = rd_kafka_topic_result_name(results[i]),
			   *text = rd_kafka_topic_result_error_string(results[i]);
		struct wanted *w = find(m, name);

		code = rd_kafka_topic_result_error(results[i]);
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR && w != NULL)
			w->made = true;
		else if (code != RD_KAFKA_RESP_ERR_NO_ERROR &&
			 code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
			return admin_create_failed(m->admin, name, code, text != NULL ? text : "",
						   e);
	}
	return 0;
}

static int create_batch(struct many *m, rd_kafka_NewTopic_t **topics, size_t count, struct err *e)
{
	struct admin *a = m->admin;
	rd_kafka_AdminOptions_t *options = admin_options_for(a, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(a->client.rk);
	rd_kafka_event_t *event;
	int rc;

	rd_kafka_CreateTopics(a->client.rk, topics, count, options, queue);
	event = admin_await(a, queue);
	rc = event != NULL ? read_created(m, event, e)
			   : kafka_fail(&a->client, RD_KAFKA_RESP_ERR__TIMED_OUT, e,
					"topics cannot be created");
	if (event != NULL)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	return rc;
}

static int create_missing(struct many *m, struct err *e)
{
	rd_kafka_NewTopic_t *topics[CREATE_BATCH];
	size_t batch = 0;
	int rc = 0;

	for (size_t i = 0; i <= m->count && rc == 0; i++) {
		if (i < m->count && !m->wanted[i].exists) {
			topics[batch] = admin_new_topic(m->admin, m->wanted[i].name, m->keep,
							m->partitions, e);
			if (topics[batch] == NULL)
				rc = -1;
			else
				batch++;
		}
		if (rc < 0 || batch == CREATE_BATCH || (i == m->count && batch > 0)) {
			if (rc == 0)
				rc = create_batch(m, topics, batch, e);
			rd_kafka_NewTopic_destroy_array(topics, batch);
			batch = 0;
		}
	}
	return rc;
}

/* NULL: there is none. */
static const struct wanted *without_leader(const struct many *m, size_t *ret_count)
{
	const struct wanted *w = NULL;

	*ret_count = 0;
	for (size_t i = 0; i < m->count; i++) {
		if (m->wanted[i].leads)
			continue;
		w = &m->wanted[i];
		(*ret_count)++;
	}
	return w;
}

/* Progress of any kind starts the time limit anew. */
static int await_leaders(struct many *m, struct err *e)
{
	int64_t limit = m->admin->client.timeout_ms * 1000 + (int64_t)m->count * LEADER_EACH_US;
	int64_t since = clock_monotonic_us();
	size_t count, before = SIZE_MAX;
	const struct wanted *w;

	while ((w = without_leader(m, &count)) != NULL) {
		if (count < before)
			since = clock_monotonic_us();
		before = count;
		if (clock_monotonic_us() - since > limit)
			return err_retry(e,
					 "topic %s: not all partitions have a leader after %lld ms",
					 w->name, (long long)limit / 1000);
		clock_sleep_us(LOOK_US + (int64_t)m->count * LOOK_EACH_US);
		if (look(m, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- judging --------------------------------------------------------------------------------- */

static int read_described(struct many *m, rd_kafka_event_t *event, struct err *e)
{
	const rd_kafka_ConfigResource_t **resources;
	rd_kafka_resp_err_t code = rd_kafka_event_error(event);
	size_t count;

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_fail(&m->admin->client, code, e, "the configuration of topics");
	resources = rd_kafka_DescribeConfigs_result_resources(
		rd_kafka_event_DescribeConfigs_result(event), &count);
	for (size_t i = 0; i < count; i++) {
		const char *name = rd_kafka_ConfigResource_name(resources[i]);
		struct topic_info info = { .exists = true };
		struct wanted *w;

		code = rd_kafka_ConfigResource_error(resources[i]);
		if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
			return admin_describe_failed(m->admin, name, code, e);
		admin_note_config(resources[i], &info);
		if (admin_judge(m->admin, name, m->keep, &info, e) < 0)
			return -1;
		w = find(m, name);
		if (w != NULL)
			w->message_max = admin_limit_of(&info);
	}
	return 0;
}

static int describe_batch(struct many *m, rd_kafka_ConfigResource_t **resources, size_t count,
			  struct err *e)
{
	struct admin *a = m->admin;
	rd_kafka_AdminOptions_t *options = admin_options_for(a, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(a->client.rk);
	rd_kafka_event_t *event;
	int rc;

	rd_kafka_DescribeConfigs(a->client.rk, resources, count, options, queue);
	event = admin_await(a, queue);
	rc = event != NULL ? read_described(m, event, e)
			   : kafka_fail(&a->client, RD_KAFKA_RESP_ERR__TIMED_OUT, e,
					"the configuration of topics");
	if (event != NULL)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	return rc;
}

static int judge_all(struct many *m, struct err *e)
{
	rd_kafka_ConfigResource_t *resources[DESCRIBE_BATCH];
	size_t batch = 0;
	int rc = 0;

	for (size_t i = 0; i <= m->count && rc == 0; i++) {
		if (i < m->count && !m->wanted[i].made)
			resources[batch++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC,
									 m->wanted[i].name);
		if (batch == DESCRIBE_BATCH || (i == m->count && batch > 0)) {
			rc = describe_batch(m, resources, batch, e);
			rd_kafka_ConfigResource_destroy_array(resources, batch);
			batch = 0;
		}
	}
	return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int ensure(struct many *m, bool strict, struct err *e)
{
	int brokers;

	if (admin_ping(m->admin, &brokers, e) < 0 || look(m, e) < 0 || create_missing(m, e) < 0 ||
	    await_leaders(m, e) < 0)
		return -1;
	return strict ? judge_all(m, e) : 0;
}

int admin_ensure_topics(struct admin *a, const char *const *names, size_t count,
			enum topic_keep keep, int32_t partitions, bool strict,
			int32_t *ret_partitions, int64_t *ret_message_max, struct err *e)
{
	struct many m = { .keep = keep, .partitions = partitions, .count = count };
	int rc;

	if (admin_open(a->settings, &m.admin, e) < 0)
		return -1;
	m.wanted = xcalloc(count + 1, sizeof(*m.wanted));
	for (size_t i = 0; i < count; i++)
		m.wanted[i] = (struct wanted){ .name = names[i], .index = i };
	qsort(m.wanted, count, sizeof(*m.wanted), by_name);
	rc = ensure(&m, strict, e);
	for (size_t i = 0; i < count; i++) {
		const struct wanted *w = &m.wanted[i];

		ret_partitions[w->index] = w->partitions;
		ret_message_max[w->index] = w->made ? KAFKA_MESSAGE_MAX : w->message_max;
	}
	free(m.wanted);
	admin_close(m.admin);
	return rc;
}
