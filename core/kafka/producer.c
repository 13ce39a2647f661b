/* producer.c - records into Kafka: idempotent, all in-sync replicas, and in transactions when there
 * is an id for them.
 *
 * The queue is limited by bytes of our own count, because the library counts only keys and values,
 * and small records cost more than their bytes. The delivery callback runs inside rd_kafka_poll and
 * rd_kafka_flush, so in the owner's thread: it subtracts, and keeps the first error. No allocation
 * per record here; the library makes one for each.
 *
 * Time of a commit: rd_kafka_flush sends at once what linger.ms would still hold and returns with
 * the last delivery report; only then rd_kafka_commit_transaction is called, which otherwise waits
 * for reports in steps of 10 ms. A transaction begun within about 2 ms of the last one's end may
 * find the broker still writing markers, and the library then waits 20 ms: producer_begin keeps the
 * distance.
 *
 * A broker that lost patience with a transaction (older than transaction.timeout.ms) bumps the
 * producer's epoch, which looks as if another instance had taken over. A transaction of that age is
 * therefore ERR_RETRY and not EXIT_FENCED. */
#include "core/kafka/producer.h"
#include "core/kafka/kafka_priv.h"
#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define COMMIT_GAP_US 3000
#define CLOSE_MS 1000
#define STRANGERS_MAX 20       /* topics that may be asked for one by one within */
#define ALL_TOLD_US 300000000 /* 5 min; the library forgets after 15 */
#define POLL_EVERY 256 /* records sent between two looks at delivery reports */
#define ID_MAX \
	249 /* of a transactional.id; the broker's limit for topic names, taken for these too */

struct producer_topic {
	UT_hash_handle hh;     /* by name */
	rd_kafka_topic_t *rkt; /* NULL: nothing was sent to it yet */
	char name[];
};

struct producer {
	struct kafka_client client; /* first: the library's opaque points to it */
	struct producer_topic *topics;
	unsigned strangers;  /* topics the library was told of since it was told of all */
	int64_t all_told_us; /* when that was; 0: never */
	int64_t queue_bytes_max;
	int64_t pending, pending_bytes;
	unsigned since_poll;
	bool transactional, open;
	int64_t begun_us, ended_us; /* of the last transaction */
	rd_kafka_resp_err_t failed; /* first failed delivery since begin */
	char failed_topic[256];
	int32_t failed_partition;
	int64_t watched; /* offset of the record that producer_send_offset waits for; -1: not yet */
};

static int64_t cost_of(size_t key, size_t value)
{
	return (int64_t)(key + value) + PRODUCER_RECORD_COST;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	struct producer *p = opaque;

	(void)rk;
	p->pending--;
	p->pending_bytes -= cost_of(m->key_len, m->len);
	if (m->_private != NULL && m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		p->watched = m->offset;
	if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR || p->failed != RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	p->failed = m->err;
	p->failed_partition = m->partition;
	snprintf(p->failed_topic, sizeof(p->failed_topic), "%s", rd_kafka_topic_name(m->rkt));
}

static void forget_failure(struct producer *p)
{
	p->failed = RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* ---- opening and closing
 * ----------------------------------------------------------------------------------- */

static rd_kafka_conf_t *make_conf(struct producer *p, const struct settings *settings,
				  const struct producer_options *options)
{
	rd_kafka_conf_t *conf = kafka_conf_begin(&p->client, settings, KAFKA_PRODUCER);
	int64_t kbytes = (options->queue_bytes_max + KAFKA_MESSAGE_MAX) / 1024;

	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	kafka_conf_put(conf, "enable.idempotence", "true");
	kafka_conf_put(conf, "acks", "all");
	kafka_conf_put(conf, "compression.type", "lz4");
	kafka_conf_put(conf, "linger.ms", "%d", options->linger_ms);
	kafka_conf_put(conf, "batch.size", "%lld",
		       (long long)(options->batch_bytes_max > 0 ? options->batch_bytes_max
								: PRODUCER_BATCH_MAX));
	kafka_conf_put(conf, "batch.num.messages", "100000");
	kafka_conf_put(conf, "message.max.bytes", "%d", KAFKA_MESSAGE_MAX);
	/* our own count is what limits; these only must not come first */
	kafka_conf_put(conf, "queue.buffering.max.kbytes", "%lld",
		       (long long)(kbytes < 1024 ? 1024 : kbytes));
	kafka_conf_put(conf, "queue.buffering.max.messages", "10000000");
	if (options->gapless)
		kafka_conf_put(conf, "enable.gapless.guarantee", "true");
	if (options->transactional_id != NULL)
		kafka_conf_put(conf, "transactional.id", "%s", options->transactional_id);
	return conf;
}

static int init_transactions(struct producer *p, const char *id, struct err *e)
{
	char what[320];
	rd_kafka_error_t *error =
		rd_kafka_init_transactions(p->client.rk, (int)p->client.timeout_ms);

	if (error == NULL)
		return 0;
	snprintf(what, sizeof(what), "transactional.id %s", id);
	return kafka_fail_object(&p->client, error, e, what);
}

int producer_open(const struct settings *settings, const struct producer_options *options,
		  struct producer **ret_producer, struct err *e)
{
	const char *id = options->transactional_id;
	struct producer *p;

	assert(options->queue_bytes_max > 0 && options->linger_ms >= 0);
	if (id != NULL && (id[0] == '\0' || strlen(id) > ID_MAX))
		return err_config(e, "a transactional.id has 1 to %d bytes, not %zu", ID_MAX,
				  strlen(id));
	p = xcalloc(1, sizeof(*p));
	p->queue_bytes_max = options->queue_bytes_max;
	p->transactional = id != NULL;
	if (kafka_client_start(&p->client, settings, make_conf(p, settings, options),
			       KAFKA_PRODUCER, e) < 0) {
		free(p);
		return -1;
	}
	if (p->transactional && init_transactions(p, id, e) < 0) {
		producer_close(p);
		return -1;
	}
	kafka_client_healthy(&p->client);
	*ret_producer = p;
	return 0;
}

void producer_close(struct producer *p)
{
	struct producer_topic *t, *next;

	if (p == NULL)
		return;
	if (p->open && rd_kafka_fatal_error(p->client.rk, NULL, 0) == RD_KAFKA_RESP_ERR_NO_ERROR) {
		rd_kafka_error_t *error = rd_kafka_abort_transaction(p->client.rk, CLOSE_MS);

		if (error !=
		    NULL) /* the broker aborts it when the id is opened anew, or by its timeout */
			rd_kafka_error_destroy(error);
	}
	rd_kafka_purge(p->client.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	(void)rd_kafka_flush(p->client.rk,
			     CLOSE_MS); /* only serves the callbacks of what was purged */
	HASH_ITER(hh, p->topics, t, next)
	{
		HASH_DEL(p->topics, t);
		if (t->rkt != NULL)
			rd_kafka_topic_destroy(t->rkt);
		free(t);
	}
	kafka_client_done(&p->client);
	free(p);
}

/* Of a topic that it doesn't know, the library asks the brokers, in a request for each. When many
 * come at once these pile up and time out; so then it is told of all topics in one. */
static void tell_of_all(struct producer *p)
{
	const struct rd_kafka_metadata *answer;
	int64_t now = clock_monotonic_us();

	if (++p->strangers < STRANGERS_MAX ||
	    (p->all_told_us != 0 && now - p->all_told_us < ALL_TOLD_US))
		return;
	p->strangers = 0;
	p->all_told_us = now;
	if (rd_kafka_metadata(p->client.rk, 1, NULL, &answer, (int)p->client.timeout_ms) ==
	    RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_metadata_destroy(answer); /* it keeps what it needs */
}

/* Of many topics the library's objects are made for the first record: it takes 4 kB for a topic and
 * its partition, and most of many tables rest. NULL only for a name beyond 512 bytes. */
static rd_kafka_topic_t *library_topic(struct producer *p, struct producer_topic *t)
{
	if (t->rkt == NULL) {
		tell_of_all(p);
		t->rkt = rd_kafka_topic_new(p->client.rk, t->name, NULL);
	}
	return t->rkt;
}

struct producer_topic *producer_topic(struct producer *p, const char *topic)
{
	struct producer_topic *t;
	size_t size = strlen(topic);

	HASH_FIND(hh, p->topics, topic, size, t);
	if (t == NULL) {
		t = xcalloc(1, sizeof(*t) + size + 1);
		memcpy(t->name, topic, size);
		HASH_ADD_KEYPTR(hh, p->topics, t->name, size, t);
		if (HASH_COUNT(p->topics) < STRANGERS_MAX)
			(void)library_topic(p, t); /* few: it looks for them at once */
	}
	return t;
}

const char *producer_topic_name(const struct producer_topic *topic)
{
	return topic->name;
}

/* ---- sending
 * -----------------------------------------------------------------------------------------------
 */

int64_t producer_record_max(const struct producer *p)
{
	return p->client.message_max - PRODUCER_RECORD_FRAME;
}

int64_t producer_batch_max(const struct producer *p)
{
	return p->client.batch_max;
}

int64_t producer_pending(const struct producer *p)
{
	return p->pending;
}

int64_t producer_pending_bytes(const struct producer *p)
{
	return p->pending_bytes;
}

int64_t producer_transaction_ms(const struct producer *p)
{
	return p->client.transaction_ms;
}

void producer_poll(struct producer *p, int timeout_ms)
{
	p->since_poll = 0;
	(void)rd_kafka_poll(p->client.rk, timeout_ms); /* the number of callbacks served */
}

/* Fenced while the broker had already lost patience with our transaction: nobody else need be
 * there. */
static int soften(struct producer *p, struct err *e)
{
	int64_t age_ms = (clock_monotonic_us() - p->begun_us) / 1000;

	if (e->exit_code != EXIT_FENCED || !p->open || age_ms < p->client.transaction_ms)
		return -1;
	return err_retry(e,
			 "the broker aborted a Kafka transaction that was open for %lld ms "
			 "(transaction.timeout.ms is %lld)",
			 (long long)age_ms, (long long)p->client.transaction_ms);
}

/* The library purges its queue when a transaction has failed, and reports each record as purged.
 * Why it failed, it says only to who tries to commit; in that state it cannot do so. */
static int why_purged(struct producer *p, struct err *e)
{
	rd_kafka_error_t *error = rd_kafka_commit_transaction(p->client.rk, CLOSE_MS);

	if (error == NULL)
		return err_retry(e, "records were purged from Kafka transaction");
	return kafka_fail_object(&p->client, error, e, "Kafka transaction");
}

int producer_error(struct producer *p, struct err *e)
{
	rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(p->client.rk, NULL, 0);

	if (fatal != RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka_fail(&p->client, RD_KAFKA_RESP_ERR__FATAL, e, "Kafka producer");
		return soften(p, e);
	}
	if (p->failed == RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	if (p->open && (p->failed == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
			p->failed == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT))
		return why_purged(p, e);
	if (kafka_is_unknown_topic(p->failed))
		return err_retry(e, "topic %s, partition %d: %s", p->failed_topic,
				 (int)p->failed_partition, rd_kafka_err2str(p->failed));
	return kafka_fail(&p->client, p->failed, e, "topic %s, partition %d", p->failed_topic,
			  (int)p->failed_partition);
}

/* Waits until `bytes` more fit, serving callbacks. Progress of any kind starts the time limit anew.
 */
static int wait_for_room(struct producer *p, int64_t bytes, struct err *e)
{
	int64_t limit = p->client.timeout_ms * 1000, since = clock_monotonic_us(),
		seen = p->pending;

	while (p->pending > 0 && p->pending_bytes + bytes > p->queue_bytes_max) {
		producer_poll(p, 50);
		if (producer_error(p, e) < 0)
			return -1;
		if (p->pending != seen) {
			seen = p->pending;
			since = clock_monotonic_us();
		} else if (clock_monotonic_us() - since > limit) {
			return kafka_fail(&p->client, RD_KAFKA_RESP_ERR__TIMED_OUT, e,
					  "%lld records wait for an acknowledgement",
					  (long long)p->pending);
		}
	}
	return 0;
}

/* mark: the library hands it to the delivery report. */
static int send_marked(struct producer *p, struct producer_topic *topic, int32_t partition,
		       struct slice key, struct slice value, void *mark, struct err *e)
{
	int64_t cost = cost_of(key.size, value.size);
	rd_kafka_resp_err_t code;

	if ((int64_t)(key.size + value.size) > producer_record_max(p))
		return err_data(e, "topic %s: a record of %zu bytes is over the limit of %lld",
				topic->name, key.size + value.size,
				(long long)producer_record_max(p));
	if (library_topic(p, topic) == NULL)
		return err_config(e, "topic name of %zu bytes: Kafka allows 249",
				  strlen(topic->name));
	if (++p->since_poll >= POLL_EVERY)
		producer_poll(p, 0);
	if (p->pending_bytes + cost > p->queue_bytes_max && wait_for_room(p, cost, e) < 0)
		return -1;
	/* the library's parameters lack const; with F_COPY it only reads */
	if (rd_kafka_produce(topic->rkt, partition, RD_KAFKA_MSG_F_COPY,
			     (void *)(uintptr_t)value.data, value.size, key.data, key.size,
			     mark) == 0) {
		p->pending++;
		p->pending_bytes += cost;
		return 0;
	}
	code = rd_kafka_last_error();
	if (producer_error(p, e) < 0)
		return -1;
	if (code == RD_KAFKA_RESP_ERR__STATE && p->open)
		return why_purged(p, e);
	return kafka_fail(&p->client, code, e, "topic %s, partition %d", topic->name,
			  (int)partition);
}

int producer_send(struct producer *p, struct producer_topic *topic, int32_t partition,
		  struct slice key, struct slice value, struct err *e)
{
	return send_marked(p, topic, partition, key, value, NULL, e);
}

int producer_send_offset(struct producer *p, struct producer_topic *topic, int32_t partition,
			 struct slice key, struct slice value, int64_t *ret_offset, struct err *e)
{
	p->watched = -1;
	if (send_marked(p, topic, partition, key, value, p, e) < 0 || producer_flush(p, e) < 0)
		return -1;
	if (p->watched < 0) /* acknowledged as a repetition: the broker no longer knows where */
		return err_retry(e, "topic %s, partition %d: the broker did not say the offset",
				 topic->name, (int)partition);
	*ret_offset = p->watched;
	return 0;
}

int producer_flush(struct producer *p, struct err *e)
{
	int64_t limit = p->client.timeout_ms * 1000, since = clock_monotonic_us(),
		seen = p->pending;

	while (p->pending > 0) {
		(void)rd_kafka_flush(p->client.rk, 100); /* what is left shows in pending */
		if (producer_error(p, e) < 0)
			return -1;
		if (p->pending != seen) {
			seen = p->pending;
			since = clock_monotonic_us();
		} else if (clock_monotonic_us() - since > limit) {
			return kafka_fail(&p->client, RD_KAFKA_RESP_ERR__TIMED_OUT, e,
					  "%lld records wait for an acknowledgement",
					  (long long)p->pending);
		}
	}
	return producer_error(p, e);
}

/* ---- transactions
 * ------------------------------------------------------------------------------------------ */

int producer_begin(struct producer *p, struct err *e)
{
	int64_t early_us = p->ended_us + COMMIT_GAP_US - clock_monotonic_us();
	rd_kafka_error_t *error;

	assert(p->transactional && !p->open);
	if (p->ended_us != 0 && early_us > 0)
		clock_sleep_us(early_us);
	forget_failure(p);
	error = rd_kafka_begin_transaction(p->client.rk);
	if (error != NULL)
		return kafka_fail_object(&p->client, error, e, "Kafka transaction, begin");
	p->open = true;
	p->begun_us = clock_monotonic_us();
	return 0;
}

static int end_failed(struct producer *p, rd_kafka_error_t *error, const char *what, struct err *e)
{
	kafka_fail_object(&p->client, error, e, what);
	return soften(p, e);
}

static void ended(struct producer *p)
{
	p->open = false;
	p->ended_us = clock_monotonic_us();
	kafka_client_healthy(&p->client);
}

/* Commit and abort may be called again after a retriable failure: the library resumes where it was.
 */
static rd_kafka_error_t *end_within(struct producer *p, rd_kafka_error_t *(*end)(rd_kafka_t *, int))
{
	int64_t until = clock_monotonic_us() + p->client.timeout_ms * 1000;
	rd_kafka_error_t *error;

	for (;;) {
		int64_t left_ms = (until - clock_monotonic_us()) / 1000;

		error = end(p->client.rk, left_ms > 1 ? (int)left_ms : 1);
		if (error == NULL || !rd_kafka_error_is_retriable(error) || left_ms <= 1)
			return error;
		rd_kafka_error_destroy(error);
		producer_poll(p, 50);
	}
}

int producer_commit(struct producer *p, struct err *e)
{
	rd_kafka_error_t *error;

	assert(p->open);
	if (producer_flush(p, e) < 0)
		return -1;
	FAULT(flushed);
	error = end_within(p, rd_kafka_commit_transaction);
	if (error != NULL)
		return end_failed(p, error, "Kafka transaction, commit", e);
	ended(p);
	return 0;
}

int producer_abort(struct producer *p, struct err *e)
{
	rd_kafka_error_t *error;

	if (!p->open)
		return 0;
	error = end_within(p, rd_kafka_abort_transaction);
	if (error != NULL)
		return end_failed(p, error, "Kafka transaction, abort", e);
	/* what was purged from the queue is reported as failed: served here, so that it does not
	 * meet the next begin */
	while (p->pending > 0 && rd_kafka_poll(p->client.rk, 100) > 0)
		;
	forget_failure(p);
	ended(p);
	return 0;
}
