/* test_producer.c - the producer against the library's own mock brokers: what is sent arrives,
 * faults are sorted into the right kind, nothing waits for ever. Also the hash of keys and the
 * check of pass-through properties. */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/kafka/admin_priv.h"
#include "core/kafka/kafka_priv.h"
#include "core/kafka/producer.h"
#include "test/unit/unit.h"

#include <librdkafka/rdkafka_mock.h>
#include <string.h>

#define TOPIC "rows"

static struct settings settings;
static struct err e;
static rd_kafka_t *mock_owner;
static rd_kafka_mock_cluster_t *mock;

static void start(void)
{
	char text[256];

	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	rd_kafka_conf_set_log_cb(conf, NULL);
	mock_owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	ck_assert_ptr_nonnull(mock_owner);
	mock = rd_kafka_mock_cluster_new(mock_owner, 1);
	ck_assert_int_eq(rd_kafka_mock_topic_create(mock, TOPIC, 4, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
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

static struct producer *open_producer(const char *id, int64_t queue)
{
	const struct producer_options options = { .transactional_id = id,
						  .queue_bytes_max = queue,
						  .linger_ms = 1 };
	struct producer *p = NULL;

	ck_assert_msg(producer_open(&settings, &options, &p, &e) == 0, "%s", e.msg);
	return p;
}

static int send_some(struct producer *p, int count)
{
	struct producer_topic *t = producer_topic(p, TOPIC);

	for (int i = 0; i < count; i++)
		if (producer_send(p, t, i % 4, slice_str("key"), slice_str("some value"), &e) < 0)
			return -1;
	return 0;
}

/* As org.apache.kafka.common.utils.Utils.murmur2 gives them, sign bit cleared. */
START_TEST(test_partition_is_kafkas)
{
	static const struct {
		const char *key;
		uint32_t hash;
	} known[] = {
		{ "21", (uint32_t)-973932308 },
		{ "foobar", (uint32_t)-790332482 },
		{ "a-little-bit-long-string", (uint32_t)-985981536 },
		{ "a-little-bit-longer-string", (uint32_t)-1486304829 },
		{ "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", (uint32_t)-58897971 },
		{ "abc", 479470107u },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		uint32_t positive = known[i].hash & 0x7fffffffu;

		ck_assert_int_eq(producer_partition(slice_str(known[i].key), INT32_MAX),
				 positive % INT32_MAX);
		ck_assert_int_eq(producer_partition(slice_str(known[i].key), 7), positive % 7);
	}
	ck_assert_int_eq(producer_partition(slice_of(NULL, 0), 7), 0);
	ck_assert_int_eq(producer_partition(slice_str("x"), 1), 0);
}
END_TEST

START_TEST(test_commit_and_abort)
{
	struct producer *p;

	start();
	p = open_producer("capture", 1 << 20);
	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(producer_begin(p, &e), 0);
		ck_assert_int_eq(send_some(p, 100), 0);
		ck_assert_msg(producer_commit(p, &e) == 0, "%s", e.msg);
		ck_assert_int_eq(producer_pending(p), 0);
		ck_assert_int_eq(producer_pending_bytes(p), 0);
	}
	ck_assert_int_eq(producer_begin(p, &e), 0);
	ck_assert_int_eq(send_some(p, 100), 0);
	ck_assert_msg(producer_abort(p, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(producer_pending(p), 0);
	ck_assert_int_eq(producer_abort(p, &e), 0); /* nothing open: nothing to do */
	producer_close(p);
	stop();
}
END_TEST

START_TEST(test_begin_keeps_its_distance)
{
	struct producer *p;
	int64_t committed;

	start();
	p = open_producer("capture", 1 << 20);
	ck_assert_int_eq(producer_begin(p, &e), 0);
	ck_assert_int_eq(send_some(p, 1), 0);
	ck_assert_int_eq(producer_commit(p, &e), 0);
	committed = clock_monotonic_us();
	ck_assert_int_eq(producer_begin(p, &e), 0);
	ck_assert_int_ge(clock_monotonic_us() - committed, 2500);
	producer_close(p); /* aborts */
	stop();
}
END_TEST

START_TEST(test_passing_faults_pass)
{
	struct producer *p;

	start();
	p = open_producer("capture", 1 << 20);
	rd_kafka_mock_push_request_errors(
		mock, 0 /* Produce */, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
		RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
	settings.kafka_timeout_ms = 10000;
	ck_assert_int_eq(producer_begin(p, &e), 0);
	ck_assert_int_eq(send_some(p, 100), 0);
	ck_assert_msg(producer_commit(p, &e) == 0, "%s", e.msg);
	producer_close(p);
	stop();
}
END_TEST

/* Pushes `code` as the answer to a request of kind `api`, and wants the commit to fail so. */
static void want_fault(int16_t api, rd_kafka_resp_err_t code, enum err_kind kind, int exit_code,
		       const char *word)
{
	struct producer *p;

	start();
	p = open_producer("capture", 1 << 20);
	rd_kafka_mock_push_request_errors(mock, api, 1, code);
	ck_assert_int_eq(producer_begin(p, &e), 0);
	ck_assert(send_some(p, 10) < 0 || producer_commit(p, &e) < 0);
	ck_assert_msg(e.kind == kind && err_exit_code(&e) == exit_code &&
			      strstr(e.msg, word) != NULL,
		      "%s, exit %d: %s", err_kind_name(e.kind), err_exit_code(&e), e.msg);
	producer_close(p);
	stop();
}

/* What passes while the library asks again: `code` twice as the answer to `api`, from the first
 * request on, and the commit succeeds. */
static void want_healed(int16_t api, rd_kafka_resp_err_t code)
{
	struct producer *p;

	start();
	settings.kafka_timeout_ms = 15000;
	rd_kafka_mock_push_request_errors(mock, api, 2, code, code);
	p = open_producer("capture", 1 << 20);
	ck_assert_int_eq(producer_begin(p, &e), 0);
	ck_assert_msg(send_some(p, 10) == 0 && producer_commit(p, &e) == 0, "api %d, code %d: %s",
		      api, code, e.msg);
	producer_close(p);
	stop();
}

START_TEST(test_what_heals)
{
	want_healed(3 /* Metadata */, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
	want_healed(10 /* FindCoordinator */, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE);
	want_healed(22 /* InitProducerId */, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
	want_healed(24 /* AddPartitionsToTxn */, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS);
	want_healed(26 /* EndTxn */, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
	want_healed(0 /* Produce */, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
	want_healed(0, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND);
	want_healed(0, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
}
END_TEST

/* What a new session mends: it reads the limits anew, and begins a transaction of its own. */
START_TEST(test_what_is_done_again)
{
	want_fault(0, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, ERR_RETRY, EXIT_UNREACHABLE,
		   "rows");
	want_fault(0, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, ERR_RETRY, EXIT_UNREACHABLE,
		   "rows");
	want_fault(24, RD_KAFKA_RESP_ERR_UNKNOWN, ERR_RETRY, EXIT_UNREACHABLE, "");
	want_fault(26, RD_KAFKA_RESP_ERR_UNKNOWN, ERR_RETRY, EXIT_UNREACHABLE, "");
}
END_TEST

/* Refused before anything is sent. */
START_TEST(test_refused_at_the_start)
{
	static const struct {
		int16_t api;
		rd_kafka_resp_err_t code;
	} cases[] = {
		{ 22, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED },
		{ 22, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED },
		{ 22, RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT },
		{ 10, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED },
	};
	const struct producer_options options = { .transactional_id = "capture",
						  .queue_bytes_max = 1000 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct producer *p = NULL;

		start();
		rd_kafka_mock_push_request_errors(mock, cases[i].api, 1, cases[i].code);
		ck_assert_int_eq(producer_open(&settings, &options, &p, &e), -1);
		ck_assert_msg(e.kind == ERR_CONFIG && strstr(e.msg, "HINT") != NULL, "%zu: %s", i,
			      e.msg);
		stop();
	}
}
END_TEST

/* Where a record lies, which a stand-in says; and a limit that the user raised. */
START_TEST(test_offsets_and_limits)
{
	struct property large = { (char *)(uintptr_t) "message.max.bytes",
				  (char *)(uintptr_t) "40000000" };
	uint8_t *bytes = xcalloc(1, 30000000);
	struct producer *p;
	int64_t offset = -1;

	start();
	settings.kafka_properties = &large;
	settings.kafka_property_count = 1;
	settings.kafka_timeout_ms = 20000;
	p = open_producer(NULL, 1 << 20);
	ck_assert_int_eq(producer_record_max(p), 40000000 - PRODUCER_RECORD_FRAME);
	for (int64_t i = 0; i < 3; i++) {
		ck_assert_msg(producer_send_offset(p, producer_topic(p, TOPIC), 2, slice_str("k"),
						   slice_str("v"), &offset, &e) == 0,
			      "%s", e.msg);
		ck_assert_int_eq(offset, i);
	}
	ck_assert_msg(producer_send_offset(p, producer_topic(p, TOPIC), 2, slice_of(NULL, 0),
					   slice_of(bytes, 30000000), &offset, &e) == 0,
		      "%s", e.msg);
	ck_assert_int_eq(offset, 3);
	producer_close(p);
	free(bytes);
	stop();
}
END_TEST

START_TEST(test_faults_are_sorted)
{
	want_fault(0, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ERR_CONFIG, EXIT_CONFIG,
		   "HINT: Give");
	want_fault(24, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ERR_CONFIG, EXIT_CONFIG,
		   "ACL");
	want_fault(26, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ERR_CONFIG,
		   EXIT_CONFIG, "transactional");
	want_fault(0, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, ERR_RETRY, EXIT_UNREACHABLE,
		   "max.message.bytes");
	want_fault(26, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, ERR_FATAL, EXIT_FENCED,
		   "another instance");
	want_fault(26, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, ERR_FATAL, EXIT_FENCED,
		   "another instance");
}
END_TEST

START_TEST(test_too_large)
{
	struct producer *p;
	uint8_t *bytes = xcalloc(1, KAFKA_MESSAGE_MAX);

	start();
	p = open_producer(NULL, 1 << 20);
	ck_assert_int_eq(producer_send(p, producer_topic(p, TOPIC), 0, slice_of(NULL, 0),
				       slice_of(bytes, KAFKA_MESSAGE_MAX), &e),
			 -1);
	ck_assert_int_eq(e.kind, ERR_DATA);
	ck_assert_int_eq(producer_pending(p), 0);
	producer_close(p);
	free(bytes);
	stop();
}
END_TEST

/* The queue never holds more than its limit, and a record larger than the limit still gets through
 * alone. */
START_TEST(test_queue_is_bounded)
{
	uint8_t bytes[20000] = { 0 };
	struct producer *p;

	start();
	p = open_producer(NULL, 10000);
	for (int i = 0; i < 500; i++) {
		ck_assert_msg(send_some(p, 1) == 0, "%s", e.msg);
		ck_assert_int_le(producer_pending_bytes(p), 10000);
	}
	ck_assert_int_eq(producer_send(p, producer_topic(p, TOPIC), 0, slice_of(NULL, 0),
				       slice_of(bytes, sizeof(bytes)), &e),
			 0);
	ck_assert_int_eq(producer_pending(p), 1);
	ck_assert_int_eq(producer_flush(p, &e), 0);
	ck_assert_int_eq(producer_pending(p), 0);
	producer_close(p);
	stop();
}
END_TEST

START_TEST(test_dead_broker)
{
	struct producer *p;
	int64_t since;

	start();
	p = open_producer("capture", 10000);
	ck_assert_int_eq(producer_begin(p, &e), 0);
	ck_assert_int_eq(send_some(p, 4), 0);
	ck_assert_int_eq(producer_flush(p, &e), 0);
	rd_kafka_mock_broker_set_down(mock, 1);
	since = clock_monotonic_us();
	ck_assert_int_eq(send_some(p, 1000), -1); /* the queue fills, then the wait ends */
	ck_assert_int_eq(e.kind, ERR_RETRY);
	ck_assert_msg(strstr(e.msg, settings.kafka_bootstrap) != NULL, "%s", e.msg);
	ck_assert_int_lt(clock_monotonic_us() - since, 4000000);
	since = clock_monotonic_us();
	producer_close(p);
	ck_assert_int_lt(clock_monotonic_us() - since, 3000000);
	stop();
}
END_TEST

START_TEST(test_no_broker_at_all)
{
	const struct producer_options options = { .transactional_id = "x",
						  .queue_bytes_max = 1000 };
	struct producer *p = NULL;

	memset(&settings, 0, sizeof(settings));
	settings.kafka_bootstrap = (char *)(uintptr_t) "127.0.0.1:1";
	settings.kafka_timeout_ms = 1500;
	ck_assert_int_eq(producer_open(&settings, &options, &p, &e), -1);
	ck_assert_int_eq(e.kind, ERR_RETRY);
	ck_assert_msg(strstr(e.msg, "127.0.0.1:1") != NULL, "%s", e.msg);
	ck_assert_ptr_null(p);
}
END_TEST

static int check_one(const char *key, const char *value)
{
	struct property property = { (char *)(uintptr_t)key, (char *)(uintptr_t)value };

	memset(&settings, 0, sizeof(settings));
	settings.kafka_properties = &property;
	settings.kafka_property_count = 1;
	err_clear(&e);
	return kafka_conf_check(&settings, &e);
}

START_TEST(test_properties)
{
	ck_assert_int_eq(check_one("linger.ms", "20"), 0);
	ck_assert_int_eq(check_one("fetch.min.bytes", "1"), 0);
	ck_assert_int_eq(check_one("compression.type", "zstd"), 0);
	ck_assert_int_eq(check_one("linger.ms", "soon"), -1);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_int_eq(check_one("compresion.type", "zstd"), -1);
	ck_assert_msg(strstr(e.msg, "kafka.compression.type?") != NULL, "%s", e.msg);
	ck_assert_int_eq(check_one("acks", "1"), -1);
	ck_assert_int_eq(check_one("isolation.level", "read_uncommitted"), -1);
}
END_TEST

START_TEST(test_all_mistakes_are_told)
{
	struct property list[] = { { (char *)(uintptr_t) "acks", (char *)(uintptr_t) "0" },
				   { (char *)(uintptr_t) "nonsense", (char *)(uintptr_t) "1" } };

	memset(&settings, 0, sizeof(settings));
	settings.kafka_properties = list;
	settings.kafka_property_count = 2;
	ck_assert_int_eq(kafka_conf_check(&settings, &e), -1);
	ck_assert(strstr(e.msg, "kafka.acks") != NULL && strstr(e.msg, "kafka.nonsense") != NULL);
}
END_TEST

/* A property of the other kind of client is left out, not refused. */
START_TEST(test_properties_of_consumers)
{
	struct property list[] = {
		{ (char *)(uintptr_t) "fetch.min.bytes", (char *)(uintptr_t) "1" },
		{ (char *)(uintptr_t) "transaction.timeout.ms", (char *)(uintptr_t) "20000" }
	};
	struct producer *p;

	start();
	settings.kafka_properties = list;
	settings.kafka_property_count = 2;
	p = open_producer("capture", 1 << 20);
	ck_assert_int_eq(producer_transaction_ms(p), 20000);
	producer_close(p);
	stop();
}
END_TEST

/* One code for a mistake and for a moment: what a broker says of it decides. */
START_TEST(test_a_topic_that_cannot_be_made)
{
	static const struct {
		const char *text;
		enum err_kind kind;
	} said[] = {
		{ "Unable to replicate the partition 3 time(s): The target replication factor of 3 "
		  "cannot be reached because only 1 broker(s) are registered.",
		  ERR_CONFIG },
		{ "Unable to replicate the partition 1 time(s): All brokers are currently fenced.",
		  ERR_RETRY },
		{ "", ERR_CONFIG },
	};
	struct admin a = { .client.lock = PTHREAD_MUTEX_INITIALIZER };

	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		err_clear(&e);
		ck_assert_int_eq(admin_create_failed(&a, TOPIC,
						     RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR,
						     said[i].text, &e),
				 -1);
		ck_assert_int_eq(e.kind, said[i].kind);
		ck_assert_ptr_nonnull(strstr(e.msg, TOPIC));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("producer");

	unit_test(s, test_partition_is_kafkas);
	unit_test_slow(s, test_commit_and_abort, 20);
	unit_test_slow(s, test_begin_keeps_its_distance, 20);
	unit_test_slow(s, test_passing_faults_pass, 20);
	unit_test_slow(s, test_what_heals, 240);
	unit_test_slow(s, test_what_is_done_again, 120);
	unit_test_slow(s, test_refused_at_the_start, 120);
	unit_test_slow(s, test_offsets_and_limits, 60);
	unit_test_slow(s, test_faults_are_sorted, 60);
	unit_test_slow(s, test_too_large, 20);
	unit_test_slow(s, test_queue_is_bounded, 20);
	unit_test_slow(s, test_dead_broker, 20);
	unit_test_slow(s, test_no_broker_at_all, 20);
	unit_test(s, test_properties);
	unit_test(s, test_all_mistakes_are_told);
	unit_test(s, test_a_topic_that_cannot_be_made);
	unit_test_slow(s, test_properties_of_consumers, 20);
	return unit_run(s);
}
