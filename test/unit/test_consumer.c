/* test_consumer.c - the consumer against the library's own mock brokers: everything once and in
 * order, ends, gaps, faults and silence. Transactions are visible to the mock's consumers at once,
 * so read_committed is tested with a real broker. */
#include "core/base/clock.h"
#include "core/kafka/consumer.h"
#include "core/kafka/kafka_priv.h"
#include "core/kafka/producer.h"
#include "test/unit/unit.h"

#include <librdkafka/rdkafka_mock.h>
#include <string.h>

static const char topic[] = "rows", other[] = "events";
static struct settings settings;
static struct err e;
static rd_kafka_t *mock_owner;
static rd_kafka_mock_cluster_t *mock;

static void start(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[256];

	rd_kafka_conf_set_log_cb(conf, NULL);
	mock_owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	ck_assert_ptr_nonnull(mock_owner);
	mock = rd_kafka_mock_cluster_new(mock_owner, 1);
	ck_assert_int_eq(rd_kafka_mock_topic_create(mock, topic, 2, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
	ck_assert_int_eq(rd_kafka_mock_topic_create(mock, other, 2, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
	memset(&settings, 0, sizeof(settings));
	settings.kafka_bootstrap = (char *)(uintptr_t)rd_kafka_mock_cluster_bootstraps(mock);
	settings.kafka_timeout_ms = 2000;
	err_clear(&e);
}

static void stop(void)
{
	rd_kafka_mock_cluster_destroy(mock);
	rd_kafka_destroy(mock_owner);
}

/* Records "0", "1", ... into a partition. */
static void produce(const char *name, int32_t partition, int count)
{
	const struct producer_options options = { .queue_bytes_max = 1 << 20, .linger_ms = 1 };
	struct producer *p;
	char text[16];

	ck_assert_msg(producer_open(&settings, &options, &p, &e) == 0, "%s", e.msg);
	for (int i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%d", i);
		ck_assert_int_eq(producer_send(p, producer_topic(p, name), partition,
					       slice_of(NULL, 0), slice_str(text), &e),
				 0);
	}
	ck_assert_msg(producer_flush(p, &e) == 0, "%s", e.msg);
	producer_close(p);
}

static struct consumer *open_consumer(bool stop_at_end)
{
	const struct consumer_options options = { .queue_bytes_max = 1 << 20,
						  .stop_at_end = stop_at_end };
	struct consumer *c;

	ck_assert_msg(consumer_open(&settings, &options, &c, &e) == 0, "%s", e.msg);
	return c;
}

/* Reads to the end; the records of each partition must be numbered on from the first offset. */
static int read_all(struct consumer *c, const struct consumer_partition *parts)
{
	const struct consumer_message *m;
	int64_t next[4] = { parts[0].offset, parts[1].offset, 0, 0 };
	size_t count;
	int total = 0;
	char text[16];

	for (int tries = 0; !consumer_at_end(c) && tries < 200; tries++) {
		ck_assert_msg(consumer_poll(c, 100, &m, &count, &e) == 0, "%s", e.msg);
		for (size_t i = 0; i < count; i++, total++) {
			ck_assert_ptr_eq(m[i].topic, parts[m[i].index].topic);
			ck_assert_int_eq(m[i].partition, parts[m[i].index].partition);
			if (next[m[i].index] < 0)
				next[m[i].index] = 0;
			ck_assert_int_eq(m[i].offset, next[m[i].index]++);
			snprintf(text, sizeof(text), "%d", (int)m[i].offset);
			ck_assert(slice_is(m[i].value, text));
			ck_assert_ptr_null(m[i].key.data);
		}
	}
	ck_assert(consumer_at_end(c));
	return total;
}

START_TEST(test_reads_everything_once)
{
	const struct consumer_partition parts[] = { { topic, 1, CONSUMER_BEGIN },
						    { other, 0, CONSUMER_BEGIN } };
	struct consumer *c;

	start();
	produce(topic, 1, 3000);
	produce(other, 0, 2);
	c = open_consumer(true);
	ck_assert_msg(consumer_assign(c, parts, 2, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(read_all(c, parts), 3002);
	ck_assert_int_eq(consumer_next(c, 0), 3000);
	ck_assert_int_eq(consumer_next(c, 1), 2);
	consumer_close(c);
	stop();
}
END_TEST

START_TEST(test_assigns_again)
{
	struct consumer_partition parts[] = { { topic, 0, CONSUMER_BEGIN },
					      { other, 1, CONSUMER_BEGIN } };
	struct consumer *c;

	start();
	produce(topic, 0, 500);
	produce(other, 1, 500);
	c = open_consumer(true);
	ck_assert_int_eq(consumer_assign(c, parts, 2, &e), 0);
	ck_assert_int_eq(read_all(c, parts), 1000);
	for (int round = 0; round < 5; round++) { /* same topics, other offsets and order */
		parts[0] = (struct consumer_partition){ other, 1, 100 * round };
		parts[1] = (struct consumer_partition){ topic, 0, 499 };
		ck_assert_msg(consumer_assign(c, parts, 2, &e) == 0, "%s", e.msg);
		ck_assert_int_eq(read_all(c, parts), 501 - 100 * round);
	}
	ck_assert_int_eq(consumer_assign(c, NULL, 0, &e), 0);
	ck_assert(consumer_at_end(c));
	consumer_close(c);
	stop();
}
END_TEST

START_TEST(test_empty_and_end)
{
	const struct consumer_partition parts[] = { { topic, 0, CONSUMER_BEGIN },
						    { topic, 1, CONSUMER_END } };
	const struct consumer_message *m;
	struct consumer *c;
	size_t count;

	start();
	produce(topic, 1, 10);
	c = open_consumer(true);
	ck_assert_int_eq(consumer_assign(c, parts, 2, &e), 0);
	ck_assert(consumer_at_end(c));
	ck_assert_int_eq(consumer_next(c, 1), 10);
	ck_assert_int_eq(consumer_poll(c, 5000, &m, &count, &e), 0); /* returns at once */
	ck_assert_uint_eq(count, 0);
	consumer_close(c);
	stop();
}
END_TEST

START_TEST(test_what_is_not_there)
{
	struct consumer_partition part = { topic, 0, 11 };
	struct consumer *c;

	start();
	produce(topic, 0, 10);
	c = open_consumer(false);
	ck_assert_int_eq(consumer_assign(c, &part, 1, &e), -1);
	ck_assert_int_eq(e.kind, ERR_DATA);
	ck_assert_msg(strstr(e.msg, "offset 11") != NULL, "%s", e.msg);
	part = (struct consumer_partition){ topic, 7, 0 };
	ck_assert_int_eq(consumer_assign(c, &part, 1, &e), -1);
	ck_assert_int_eq(e.kind, ERR_RETRY);
	part = (struct consumer_partition){ topic, -3, 0 };
	ck_assert_int_eq(consumer_assign(c, &part, 1, &e), -1);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	part = (struct consumer_partition){ topic, 0, 10 };
	ck_assert_int_eq(consumer_assign(c, &part, 1, &e), 0);
	consumer_close(c);
	stop();
}
END_TEST

/* The log is cut behind a running reader: an error, not a jump. */
START_TEST(test_gap_while_reading)
{
	const struct consumer_partition part = { topic, 0, 0 };
	const struct consumer_message *m;
	struct consumer *c;
	size_t count;
	int rc = 0;

	start();
	produce(topic, 0, 10);
	c = open_consumer(false);
	rd_kafka_mock_push_request_errors(mock, 1 /* Fetch */, 1,
					  RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
	ck_assert_int_eq(consumer_assign(c, &part, 1, &e), 0);
	for (int i = 0; i < 50 && rc == 0; i++) {
		rc = consumer_poll(c, 100, &m, &count, &e);
		ck_assert(rc < 0 || count == 0);
	}
	ck_assert_int_eq(rc, -1);
	ck_assert_msg(e.kind == ERR_DATA, "%s", e.msg);
	consumer_close(c);
	stop();
}
END_TEST

START_TEST(test_pause)
{
	const struct consumer_partition parts[] = { { topic, 0, 0 }, { topic, 1, 0 } };
	const struct consumer_message *m;
	struct consumer *c;
	size_t count;
	int seen[2] = { 0, 0 };

	start();
	c = open_consumer(false);
	ck_assert_int_eq(consumer_assign(c, parts, 2, &e), 0);
	ck_assert_msg(consumer_pause(c, 0, true, &e) == 0, "%s", e.msg);
	produce(topic, 0, 5);
	produce(topic, 1, 5);
	for (int i = 0; i < 100 && seen[0] < 5; i++) {
		if (i == 10) {
			ck_assert_int_eq(seen[0], 0);
			ck_assert_int_eq(seen[1], 5);
			ck_assert_int_eq(consumer_pause(c, 0, false, &e), 0);
		}
		ck_assert_int_eq(consumer_poll(c, 100, &m, &count, &e), 0);
		for (size_t k = 0; k < count; k++)
			seen[m[k].index]++;
	}
	ck_assert_int_eq(seen[0], 5);
	consumer_close(c);
	stop();
}
END_TEST

START_TEST(test_silence)
{
	const struct consumer_partition part = { topic, 0, 0 };
	const struct consumer_message *m;
	struct consumer *c;
	int64_t since;
	size_t count;
	int rc = 0;

	start();
	c = open_consumer(false);
	ck_assert_int_eq(consumer_assign(c, &part, 1, &e), 0);
	since = clock_monotonic_us();
	while (clock_monotonic_us() - since <
	       4000000) /* idle, but alive: longer than kafka.timeout */
		ck_assert_msg(consumer_poll(c, 200, &m, &count, &e) == 0, "%s", e.msg);
	rd_kafka_mock_broker_set_down(mock, 1);
	since = clock_monotonic_us();
	while (rc == 0 && clock_monotonic_us() - since < 10000000)
		rc = consumer_poll(c, 200, &m, &count, &e);
	ck_assert_int_eq(rc, -1);
	ck_assert_int_eq(e.kind, ERR_RETRY);
	ck_assert_msg(strstr(e.msg, settings.kafka_bootstrap) != NULL, "%s", e.msg);
	consumer_close(c);
	stop();
}
END_TEST

/* The library's own call for the ends of a log waits for a leader that is down as long as it is. */
START_TEST(test_leader_is_down)
{
	const struct consumer_partition part = { topic, 0, CONSUMER_BEGIN };
	struct consumer *c;
	int64_t since;

	start();
	c = open_consumer(false);
	ck_assert_int_eq(consumer_assign(c, &part, 1, &e), 0);
	rd_kafka_mock_broker_set_down(mock, 1); /* known as the leader already */
	since = clock_monotonic_us();
	ck_assert_int_eq(consumer_assign(c, &part, 1, &e), -1);
	ck_assert_int_eq(e.kind, ERR_RETRY);
	ck_assert_int_lt(clock_monotonic_us() - since, 10000000); /* kafka.timeout is 2 s */
	consumer_close(c);
	stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("consumer");

	unit_test_slow(s, test_reads_everything_once, 30);
	unit_test_slow(s, test_assigns_again, 30);
	unit_test_slow(s, test_empty_and_end, 20);
	unit_test_slow(s, test_what_is_not_there, 20);
	unit_test_slow(s, test_gap_while_reading, 20);
	unit_test_slow(s, test_pause, 30);
	unit_test_slow(s, test_silence, 30);
	unit_test_slow(s, test_leader_is_down, 30);
	return unit_run(s);
}
