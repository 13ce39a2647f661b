/* consumer.c - reads assigned partitions of Kafka from given offsets.
 *
 * Promises: only committed records, each partition in order and without a gap, CRCs checked. An
 * offset that isn't there any more is an error (auto.offset.reset=error), never a jump.
 *
 * How: the library's simple consumer, so no group and no group ACL is needed. All partitions feed
 * one queue; a poll takes what is there, and waits for a first record only when there is nothing.
 * The records of a poll stay alive until the next.
 *
 * The end: at assignment each partition's last stable offset is asked for. A partition is done when
 * a record at or behind the last one before it was returned, or when the library says that it has
 * met the end of the partition: that is how one that ends in transaction markers or aborted
 * records, which are never returned, gets done.
 *
 * A full queue: the library (before 2.2) looks only once a second whether there is room again,
 * which would make a small budget slow. Any request to the partition's leader wakes the thread that
 * looks. So when as much was taken as the library needs to stop fetching, without the queue having
 * been empty in between, and little is left, the leaders are asked for a partition's end; the
 * answer doesn't matter.
 *
 * Silence is no news: an idle topic and a dead broker look the same. After a quarter of
 * kafka.timeout without a record the brokers are asked for something small; when that has failed
 * for the rest of the time, it is ERR_RETRY. */
#include "core/kafka/consumer.h"
#include "core/kafka/kafka_priv.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 1024
#define PARTITION_MAX 100000 /* highest partition number taken */
#define RECORD_COST \
	600 /* what the library holds for a fetched record beside its bytes (measured) */
#define PROBE_MS 1000
#define LEADERS_MAX 64 /* brokers that are woken; the others are slow once the queue was full */

/* Lives as long as the consumer: the library may hand out a topic's first handle, with its opaque,
 * again. */
struct consumer_topic {
	rd_kafka_topic_t *rkt;
	char *name;
	int32_t *index_of; /* partition -> index in the assignment, or -1 */
	int32_t index_count;
};

struct assigned {
	struct consumer_partition at; /* offset: the next one to be returned */
	struct consumer_topic *topic;
	int64_t end;
	bool done;
};

struct consumer {
	struct kafka_client client; /* first: the library's opaque points to it */
	rd_kafka_queue_t *queue;
	bool stop_at_end;
	struct assigned *assigned;
	struct consumer_topic **topics;
	size_t count, topic_count, done_count;
	rd_kafka_message_t *held[BATCH_MAX]; /* alive until the next poll */
	size_t held_count;
	struct consumer_message messages[BATCH_MAX];
	size_t message_count;
	int64_t heard_us, probed_us;        /* last sign of life, last question */
	int64_t failing_us;                 /* the first question without an answer; 0: none */
	int64_t queue_records, queue_bytes; /* at which the library stops fetching */
	int64_t run_records, run_bytes; /* taken since the queue was empty, or leaders were woken */
	int32_t leaders[LEADERS_MAX];
	size_t wake[LEADERS_MAX], leader_count; /* a partition of each leader */
};

/* ---- opening and closing
 * ----------------------------------------------------------------------------------- */

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
	return value < least ? least : value > most ? most : value;
}

/* How the budget is used: up to half of it may wait in the queue when the library decides to fetch
 * more; the other half is for what one response brings, with room for compression and the cost of
 * small records. */
static void put_limits(struct consumer *c, rd_kafka_conf_t *conf, int64_t bytes, int64_t partitions)
{
	int64_t fetch = clamp(bytes / 16, 64 * 1024, 8 * 1024 * 1024);
	int64_t part = clamp(fetch / clamp(partitions, 1, 1000), 16 * 1024, fetch);
	int64_t kbytes = clamp(bytes / 2048, 64, 2000000);

	c->queue_bytes = kbytes * 1024;
	c->queue_records = clamp(bytes / 2 / RECORD_COST, 100, 1000000);
	kafka_conf_put(conf, "queued.max.messages.kbytes", "%lld", (long long)kbytes);
	kafka_conf_put(conf, "queued.min.messages", "%lld", (long long)c->queue_records);
	/* the library raises fetch.max.bytes to message.max.bytes; a larger record comes all the
	 * same */
	kafka_conf_put(conf, "message.max.bytes", "%lld", (long long)fetch);
	kafka_conf_put(conf, "fetch.max.bytes", "%lld", (long long)fetch);
	kafka_conf_put(conf, "fetch.message.max.bytes", "%lld", (long long)part);
}

int consumer_open(const struct settings *settings, const struct consumer_options *options,
		  struct consumer **ret_consumer, struct err *e)
{
	struct consumer *c = xcalloc(1, sizeof(*c));
	rd_kafka_conf_t *conf = kafka_conf_begin(&c->client, settings, KAFKA_CONSUMER);

	assert(options->queue_bytes_max > 0);
	kafka_conf_put(conf, "isolation.level", "read_committed");
	kafka_conf_put(conf, "check.crcs", "true");
	kafka_conf_put(conf, "auto.offset.reset", "error");
	kafka_conf_put(conf, "enable.auto.commit", "false");
	kafka_conf_put(conf, "auto.commit.enable", "false");
	kafka_conf_put(conf, "enable.auto.offset.store", "false");
	kafka_conf_put(conf, "enable.partition.eof", options->stop_at_end ? "true" : "false");
	kafka_conf_put(conf, "fetch.wait.max.ms", "100");
	kafka_conf_put(conf, "fetch.error.backoff.ms", "100");
	put_limits(c, conf, options->queue_bytes_max, options->partitions);
	if (options->group != NULL)
		kafka_conf_put(conf, "group.id", "%s", options->group);
	if (kafka_client_start(&c->client, settings, conf, KAFKA_CONSUMER, e) < 0) {
		free(c);
		return -1;
	}
	c->stop_at_end = options->stop_at_end;
	*ret_consumer = c;
	return 0;
}

static void release_held(struct consumer *c)
{
	for (size_t i = 0; i < c->held_count; i++)
		rd_kafka_message_destroy(c->held[i]);
	c->held_count = 0;
	c->message_count = 0;
}

void consumer_release(struct consumer *c)
{
	release_held(c);
}

static void unassign(struct consumer *c)
{
	release_held(c);
	for (size_t i = 0; i < c->count; i++)
		(void)rd_kafka_consume_stop(c->assigned[i].topic->rkt,
					    c->assigned[i].at.partition); /* not started: fine */
	for (size_t i = 0; i < c->topic_count; i++)
		for (int32_t p = 0; p < c->topics[i]->index_count; p++)
			c->topics[i]->index_of[p] = -1;
	if (c->queue !=
	    NULL) /* a new one for each assignment: what is left in it must not be met again */
		rd_kafka_queue_destroy(c->queue);
	c->queue = NULL;
	free(c->assigned);
	c->assigned = NULL;
	c->count = c->done_count = c->leader_count = 0;
	c->run_records = c->run_bytes = 0;
}

void consumer_close(struct consumer *c)
{
	if (c == NULL)
		return;
	unassign(c);
	for (size_t i = 0; i < c->topic_count; i++) {
		rd_kafka_topic_destroy(c->topics[i]->rkt);
		free(c->topics[i]->index_of);
		free(c->topics[i]->name);
		free(c->topics[i]);
	}
	free(c->topics);
	kafka_client_done(&c->client);
	free(c);
}

/* ---- assignment
 * -------------------------------------------------------------------------------------------- */

static struct consumer_topic *topic_of(struct consumer *c, const char *name)
{
	rd_kafka_topic_conf_t *conf;
	struct consumer_topic *t;

	for (size_t i = 0; i < c->topic_count; i++)
		if (strcmp(c->topics[i]->name, name) == 0)
			return c->topics[i];
	t = xcalloc(1, sizeof(*t));
	conf = rd_kafka_default_topic_conf_dup(c->client.rk);
	rd_kafka_topic_conf_set_opaque(conf, t);
	t->rkt = rd_kafka_topic_new(c->client.rk, name, conf);
	if (t->rkt == NULL) {
		rd_kafka_topic_conf_destroy(conf);
		free(t);
		return NULL;
	}
	t->name = xstrdup(name);
	c->topics = xrealloc(c->topics, (c->topic_count + 1) * sizeof(struct consumer_topic *));
	c->topics[c->topic_count++] = t;
	return t;
}

static void index_partition(struct consumer_topic *t, int32_t partition, size_t index)
{
	if (partition >= t->index_count) {
		t->index_of = xrealloc(t->index_of, (size_t)(partition + 1) * sizeof(*t->index_of));
		for (int32_t i = t->index_count; i <= partition; i++)
			t->index_of[i] = -1;
		t->index_count = partition + 1;
	}
	assert(t->index_of[partition] == -1); /* a partition twice is a bug of the caller */
	t->index_of[partition] = (int32_t)index;
}

static int gap(const struct consumer_partition *p, int64_t offset, int64_t low, int64_t end,
	       struct err *e)
{
	err_data(e, "topic %s, partition %d: offset %lld is not there, the log holds %lld to %lld",
		 p->topic, (int)p->partition, (long long)offset, (long long)low, (long long)end);
	if (offset < low)
		return err_hint(
			e,
			"The topic has lost its beginning: look at its retention.ms, retention.bytes and "
			"cleanup.policy; what was derived from it must be built from its source again.");
	return err_hint(
		e,
		"The topic was made anew, or its log was cut: what was derived from it must be rebuilt.");
}

/* Bounds of one partition, with read_committed: the end is the last stable offset. */
static int resolve(struct consumer *c, struct assigned *a, struct err *e)
{
	int64_t low, end;
	rd_kafka_resp_err_t code = kafka_bounds(&c->client, a->at.topic, a->at.partition,
						c->client.timeout_ms, &low, &end);

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return kafka_fail(&c->client, code, e, "topic %s, partition %d", a->at.topic,
				  (int)a->at.partition);
	if (a->at.offset == CONSUMER_BEGIN)
		a->at.offset = low;
	else if (a->at.offset == CONSUMER_END)
		a->at.offset = end;
	if (a->at.offset < low || a->at.offset > end)
		return gap(&a->at, a->at.offset, low, end, e);
	a->end = end;
	a->done = a->at.offset >= end;
	c->done_count += a->done;
	return 0;
}

static int start(struct consumer *c, size_t index, struct err *e)
{
	struct assigned *a = &c->assigned[index];

	if (rd_kafka_consume_start_queue(a->topic->rkt, a->at.partition, a->at.offset, c->queue) ==
	    0)
		return 0;
	return kafka_fail(&c->client, rd_kafka_last_error(), e, "topic %s, partition %d",
			  a->at.topic, (int)a->at.partition);
}

static void heard(struct consumer *c)
{
	c->heard_us = clock_monotonic_us();
	c->failing_us = 0;
}

static void know_leader(struct consumer *c, size_t index, int32_t leader)
{
	for (size_t i = 0; i < c->leader_count; i++)
		if (c->leaders[i] == leader)
			return;
	if (leader < 0 || c->leader_count == LEADERS_MAX)
		return;
	c->leaders[c->leader_count] = leader;
	c->wake[c->leader_count++] = index;
}

/* Finds a partition of each leader, to wake it by. Leaders may move later: then a full queue is
 * slow, nothing else. */
static void know_leaders(struct consumer *c)
{
	const struct rd_kafka_metadata *answer;

	if (rd_kafka_metadata(c->client.rk, 0, NULL, &answer, (int)c->client.timeout_ms) !=
	    RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	for (size_t i = 0; i < c->count; i++)
		for (int t = 0; t < answer->topic_cnt; t++) {
			const struct rd_kafka_metadata_topic *topic = &answer->topics[t];

			if (strcmp(topic->topic, c->assigned[i].at.topic) != 0)
				continue;
			for (int p = 0; p < topic->partition_cnt; p++)
				if (topic->partitions[p].id == c->assigned[i].at.partition)
					know_leader(c, i, topic->partitions[p].leader);
		}
	rd_kafka_metadata_destroy(answer);
}

int consumer_assign(struct consumer *c, const struct consumer_partition *partitions, size_t count,
		    struct err *e)
{
	unassign(c);
	if (count == 0)
		return 0;
	c->queue = rd_kafka_queue_new(c->client.rk);
	c->assigned = xcalloc(count, sizeof(*c->assigned));
	for (size_t i = 0; i < count; i++) {
		struct assigned *a = &c->assigned[i];

		a->at = partitions[i];
		a->topic = topic_of(c, a->at.topic);
		if (a->topic == NULL || a->at.partition < 0 || a->at.partition > PARTITION_MAX) {
			err_config(e, "topic %s, partition %d: no such partition", a->at.topic,
				   (int)a->at.partition);
			goto failed;
		}
		c->count = i + 1;
		index_partition(a->topic, a->at.partition, i);
		if (resolve(c, a, e) < 0)
			goto failed;
	}
	for (size_t i = 0; i < count; i++)
		if (start(c, i, e) < 0)
			goto failed;
	know_leaders(c);
	kafka_client_healthy(&c->client);
	heard(c);
	return 0;
failed:
	unassign(c);
	return -1;
}

int64_t consumer_next(const struct consumer *c, size_t index)
{
	assert(index < c->count);
	return c->assigned[index].at.offset;
}

bool consumer_at_end(const struct consumer *c)
{
	return c->done_count == c->count;
}

/* ---- reading
 * -----------------------------------------------------------------------------------------------
 */

static struct assigned *find(const struct consumer *c, const rd_kafka_message_t *m,
			     size_t *ret_index)
{
	struct consumer_topic *t = m->rkt != NULL ? rd_kafka_topic_opaque(m->rkt) : NULL;
	int32_t index = t != NULL && m->partition >= 0 && m->partition < t->index_count
				? t->index_of[m->partition]
				: -1;

	if (index < 0)
		return NULL;
	*ret_index = (size_t)index;
	return &c->assigned[index];
}

static void advance(struct consumer *c, struct assigned *a, int64_t next)
{
	if (next > a->at.offset)
		a->at.offset = next;
	if (!a->done && a->at.offset >= a->end) {
		a->done = true;
		c->done_count++;
	}
}

static int64_t timestamp_of(const rd_kafka_message_t *m)
{
	rd_kafka_timestamp_type_t type;

	return rd_kafka_message_timestamp(m, &type);
}

static void add_record(struct consumer *c, struct assigned *a, size_t index,
		       const rd_kafka_message_t *m)
{
	c->messages[c->message_count++] = (struct consumer_message){
		.topic = a->at.topic,
		.index = index,
		.partition = m->partition,
		.offset = m->offset,
		.timestamp_ms = timestamp_of(m),
		.key = slice_of(m->key, m->key_len),
		.value = slice_of(m->payload, m->len),
	};
	c->run_records++;
	c->run_bytes += (int64_t)(m->len + m->key_len);
	advance(c, a, m->offset + 1);
}

static int add_event(struct consumer *c, struct assigned *a, const rd_kafka_message_t *m,
		     struct err *e)
{
	if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		advance(c, a, m->offset);
		return 0;
	}
	if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
	    m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
		int64_t low = 0, end = 0;

		rd_kafka_get_watermark_offsets(c->client.rk, a->at.topic, a->at.partition, &low,
					       &end);
		return gap(&a->at, a->at.offset, low, end, e);
	}
	return kafka_fail(&c->client, m->err, e, "topic %s, partition %d, near offset %lld",
			  a->at.topic, (int)a->at.partition, (long long)a->at.offset);
}

/* Sorts what was taken from the queue from `from` on. */
static int sort_held(struct consumer *c, size_t from, struct err *e)
{
	for (size_t i = from; i < c->held_count; i++) {
		const rd_kafka_message_t *m = c->held[i];
		size_t index = 0;
		struct assigned *a = find(c, m, &index);

		if (a == NULL && (m->err == RD_KAFKA_RESP_ERR_NO_ERROR ||
				  m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF))
			continue; /* of an assignment that is over */
		if (a == NULL)
			return kafka_fail(&c->client, m->err, e, "Kafka consumer");
		if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
			add_record(c, a, index, m);
		else if (add_event(c, a, m, e) < 0)
			return -1;
	}
	return 0;
}

static void take_queued(struct consumer *c)
{
	ssize_t n = rd_kafka_consume_batch_queue(c->queue, 0, c->held + c->held_count,
						 BATCH_MAX - c->held_count);

	if (n > 0)
		c->held_count += (size_t)n;
}

/* All at once, and none for longer than PROBE_MS. */
static void wake_leaders(const struct consumer *c)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new((int)c->leader_count);

	for (size_t i = 0; i < c->leader_count; i++) {
		const struct consumer_partition *at = &c->assigned[c->wake[i]].at;

		rd_kafka_topic_partition_list_add(list, at->topic, at->partition)->offset =
			KAFKA_TIME_OF_END;
	}
	if (c->leader_count > 0)
		(void)rd_kafka_offsets_for_times(c->client.rk, list, PROBE_MS); /* see above */
	rd_kafka_topic_partition_list_destroy(list);
}

static void wake_when_drained(struct consumer *c)
{
	size_t left = rd_kafka_queue_length(c->queue);

	if (left <= (size_t)c->queue_records / 4 &&
	    (c->run_records >= c->queue_records || c->run_bytes >= c->queue_bytes)) {
		wake_leaders(c);
		c->run_records = c->run_bytes = 0;
	} else if (left == 0) {
		c->run_records = c->run_bytes = 0;
	}
}

static int probe(struct consumer *c, struct err *e)
{
	int64_t now = clock_monotonic_us(), limit = c->client.timeout_ms * 1000;
	const struct rd_kafka_metadata *answer;
	rd_kafka_resp_err_t code;

	(void)rd_kafka_poll(c->client.rk, 0); /* error and commit callbacks */
	if (now - c->heard_us < limit / 4 || now - c->probed_us < PROBE_MS * 1000)
		return 0;
	code = rd_kafka_metadata(c->client.rk, 0, c->assigned[0].topic->rkt, &answer, PROBE_MS);
	c->probed_us = clock_monotonic_us();
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
		rd_kafka_metadata_destroy(answer);
		kafka_client_healthy(&c->client);
		c->heard_us = c->probed_us;
		c->failing_us = 0;
		return 0;
	}
	if (c->failing_us == 0)
		c->failing_us = now;
	if (c->probed_us - c->failing_us < limit / 4 * 3)
		return 0;
	return kafka_fail(&c->client, code, e, "%lld s of silence",
			  (long long)(c->probed_us - c->heard_us) / 1000000);
}

int consumer_poll(struct consumer *c, int timeout_ms, const struct consumer_message **ret_messages,
		  size_t *ret_count, struct err *e)
{
	bool finished = c->stop_at_end && consumer_at_end(c);
	int64_t until = clock_monotonic_us() + (finished ? 0 : (int64_t)timeout_ms * 1000), left;

	release_held(c);
	if (c->count == 0) {
		clock_sleep_us((int64_t)timeout_ms * 1000);
		*ret_messages = c->messages;
		*ret_count = 0;
		return 0;
	}
	for (;;) {
		size_t from = c->held_count;

		take_queued(c);
		if (c->held_count == from) /* what a pause dropped has left room, too */
			wake_when_drained(c);
		if (c->held_count == from && (left = until - clock_monotonic_us()) > 0) {
			rd_kafka_message_t *first =
				rd_kafka_consume_queue(c->queue, (int)(left / 1000) + 1);

			if (first != NULL) {
				c->held[c->held_count++] = first;
				take_queued(c);
			}
		}
		if (sort_held(c, from, e) < 0)
			return -1;
		/* events alone are no answer while time is left, unless they were the last ends
		 * waited for */
		if (c->message_count > 0 || c->held_count == BATCH_MAX ||
		    clock_monotonic_us() >= until || (c->stop_at_end && consumer_at_end(c)))
			break;
	}
	if (c->message_count > 0)
		wake_when_drained(c);
	if (c->held_count > 0)
		heard(c);
	else if (probe(c, e) < 0)
		return -1;
	*ret_messages = c->messages;
	*ret_count = c->message_count;
	return 0;
}

/* ---- pausing and committing
 * -------------------------------------------------------------------------------- */

int consumer_pause(struct consumer *c, size_t index, bool paused, struct err *e)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *one;
	rd_kafka_resp_err_t code;

	assert(index < c->count);
	one = rd_kafka_topic_partition_list_add(list, c->assigned[index].at.topic,
						c->assigned[index].at.partition);
	code = paused ? rd_kafka_pause_partitions(c->client.rk, list)
		      : rd_kafka_resume_partitions(c->client.rk, list);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		code = one->err;
	rd_kafka_topic_partition_list_destroy(list);
	/* A pause drops what the queue holds of the partition, and neither makes the library look
	 * again before its second is over: the next poll that finds little wakes it. */
	c->run_records = c->queue_records;
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	return kafka_fail(&c->client, code, e, "topic %s, partition %d: pause",
			  c->assigned[index].at.topic, (int)c->assigned[index].at.partition);
}

void consumer_commit(struct consumer *c, const struct consumer_partition *partitions, size_t count)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
	rd_kafka_resp_err_t code;

	for (size_t i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, partitions[i].topic,
						  partitions[i].partition)
			->offset = partitions[i].offset;
	code = rd_kafka_commit(c->client.rk, list, 1);
	rd_kafka_topic_partition_list_destroy(list);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		log_debug("kafka", "offsets not committed to the group: %s",
			  rd_kafka_err2str(code));
}
