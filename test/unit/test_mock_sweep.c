/* test_mock_sweep.c - a whole capture session against librdkafka's mock brokers, and each kind of
 * request that it makes answered once, in turn, with each error that a broker gives to it.
 *
 * Goal: whatever the brokers answer, and wherever in a session's life, the session gets over it or
 * ends, and the sessions that follow bring the topics to the same records in the same order as if
 * nothing had been answered: every seq once, from 1, nothing that was rolled back among them.
 *
 * Method: the source is a script (test/script), the brokers are the library's (test/mock); what is
 * linked between the two is what runs in production. A fault strikes as the first session opens,
 * before the first record of a group commit, before its commit record, or as a session opens on
 * topics that hold something. That the broker really gave the answer is asked of its own list of
 * answers yet to give. Afterwards a plain consumer reads everything, and it is compared byte for
 * byte with a run without a fault.
 *
 * The cases are dealt to PROCESSES processes: they mostly wait for the library's own pauses.
 *
 * One request at a time and connection: of a producer without a transactional.id the mock brokers
 * take a batch although the one before it was refused, which no broker does.
 *
 * MOCK_SHOW=1 tells what each case took and what the sessions ended with, MOCK_CASE=words picks
 * the cases whose name has these words.
 *
 * Not swept: CreateTopics and DescribeConfigs, which the mock brokers don't know (test_sweep fails
 * the functions that send them). */
#include "test/unit/unit.h"

#include "core/base/mem.h"
#include "core/base/stop.h"
#include "test/mock/mock.h"
#include "test/script/script.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 16
#define SESSIONS_MAX 8
#define LATE_MS 2500 /* more than the request's own time limit */
#define LOST_ANSWERS 3
#define REFERENCE_MAX (256 * 1024)
#define HIT_AT 2 /* group commits that are there when a fault strikes within a session */

enum api { API_PRODUCE = 0, API_ADD_PARTITIONS = 24, API_END = 26 };
enum where { OPENS = 1, RECORD = 2, COMMIT = 4, AGAIN = 8 };
#define READS (OPENS | AGAIN)
#define WRITES (RECORD | COMMIT)

/* What a broker's answer is replaced by: an error; the end of the connection; nothing for LATE_MS.
 * LOST_: for EndTxn, never an answer, and the transaction was committed, or it was not. The others
 * happen to the brokers, without a request. */
enum how { ERROR, CUT, LATE, LOST_DONE, LOST_UNDONE, TOPIC_ERROR, LEADER, COORDINATOR, DOWN };

static const struct fault {
	int16_t api;
	const char *name;
	int where;
	int codes[20]; /* up to 0 */
} faults[] = {
	{ 0,
	  "Produce",
	  WRITES,
	  { RD_KAFKA_RESP_ERR_INVALID_MSG, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
	    RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
	    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
	    RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
	    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
	    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
	    RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
	    RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE,
	    RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
	    RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_UNKNOWN } },
	{ 1,
	  "Fetch",
	  READS,
	  { RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
	    RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
	    RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE,
	    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
	    RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
	    RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_UNKNOWN } },
	{ 2,
	  "ListOffsets",
	  READS,
	  { RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
	    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
	    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
	    RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
	    RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_UNKNOWN } },
	{ 10,
	  "FindCoordinator",
	  READS,
	  { RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
	    RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
	    RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
	    RD_KAFKA_RESP_ERR_INVALID_REQUEST } },
	{ 18, "ApiVersions", READS, { RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION } },
	{ 22,
	  "InitProducerId",
	  READS,
	  { RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
	    RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
	    RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
	    RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT,
	    RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS,
	    RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
	    RD_KAFKA_RESP_ERR_PRODUCER_FENCED, RD_KAFKA_RESP_ERR_UNKNOWN } },
	{ 24,
	  "AddPartitionsToTxn",
	  RECORD,
	  { RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
	    RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
	    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
	    RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE,
	    RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING,
	    RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS,
	    RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
	    RD_KAFKA_RESP_ERR_OPERATION_NOT_ATTEMPTED, RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
	    RD_KAFKA_RESP_ERR_UNKNOWN } },
	{ 26,
	  "EndTxn",
	  COMMIT,
	  { RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
	    RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
	    RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE,
	    RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING,
	    RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS,
	    RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
	    RD_KAFKA_RESP_ERR_PRODUCER_FENCED, RD_KAFKA_RESP_ERR_UNKNOWN } },
};
#define FAULTS (sizeof(faults) / sizeof(faults[0]))

/* The mock brokers take no errors for this one: it is said of a topic, until the session ends. */
static const struct fault metadata = { 3,
				       "Metadata",
				       RECORD | COMMIT | AGAIN,
				       { RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
					 RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
					 RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED } };
static const struct fault moves = { -1, "three brokers", RECORD | COMMIT | AGAIN, { 0 } };

struct scenario {
	const struct fault *fault; /* NULL: none */
	enum how how;
	rd_kafka_resp_err_t code;
	enum where where;
};

static struct shared { /* by the processes */
	atomic_int cases, struck;
	size_t size; /* of the records without a fault */
	uint8_t reference[REFERENCE_MAX];
} * shared;

static int process;
static struct scenario now;
static bool given;

/* ---- one case -------------------------------------------------------------------------------- */

static const char *const topics[] = { MOCK_TOPIC_ROWS, "sweep.commits", "sweep.position" };

static void say_of_topics(rd_kafka_resp_err_t code)
{
	for (size_t i = 0; i < 3; i++)
		rd_kafka_mock_topic_set_error(mock_cluster(), topics[i], code);
}

/* Broker 2 has it all, then broker 3. */
static void lead(int32_t broker)
{
	for (size_t i = 0; i < 3; i++)
		for (int32_t p = 0; p < (i == 0 ? 2 : 1); p++)
			ck_assert_int_eq(rd_kafka_mock_partition_set_leader(mock_cluster(),
									    topics[i], p, broker),
					 RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void coordinate(int32_t broker)
{
	ck_assert_int_eq(
		rd_kafka_mock_coordinator_set(mock_cluster(), "transaction", "sweep", broker),
		RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void happen(void)
{
	switch (now.how) {
	case TOPIC_ERROR:
		say_of_topics(now.code);
		break;
	case LEADER:
		lead(3);
		break;
	case COORDINATOR:
		coordinate(3);
		break;
	case DOWN:
		(void)rd_kafka_mock_broker_set_down(mock_cluster(), 2);
		break;
	case ERROR:
	case CUT:
	case LATE:
	case LOST_DONE:
	case LOST_UNDONE:
		break;
	}
}

/* What lasted until a session ended. */
static void make_good(void)
{
	if (now.how == TOPIC_ERROR)
		say_of_topics(RD_KAFKA_RESP_ERR_NO_ERROR);
	else if (now.how == DOWN)
		(void)rd_kafka_mock_broker_set_up(mock_cluster(), 2);
}

static void give(void)
{
	rd_kafka_mock_cluster_t *m = mock_cluster();
	int times = now.how >= LOST_DONE ? LOST_ANSWERS : 1, rtt = now.how >= LATE ? LATE_MS : 0;
	rd_kafka_resp_err_t code = now.how == ERROR ? now.code
				   : now.how == CUT ? RD_KAFKA_RESP_ERR__TRANSPORT
						    : RD_KAFKA_RESP_ERR_NO_ERROR;

	given = true;
	if (now.how >= TOPIC_ERROR) {
		happen();
		return;
	}
	mock_lost(now.how == LOST_DONE);
	for (int i = 0; i < times; i++)
		ck_assert_int_eq(rd_kafka_mock_broker_push_request_error_rtts(m, 1, now.fault->api,
									      1, code, rtt),
				 RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void reached(enum mock_place place, int64_t commits)
{
	if (given || now.fault == NULL || commits < HIT_AT)
		return;
	if ((place == MOCK_RECORD && now.where == RECORD) ||
	    (place == MOCK_COMMIT && now.where == COMMIT))
		give();
	else if (place == MOCK_COMMIT && now.where == AGAIN)
		stop_request(); /* the session ends behind this group commit */
}

static size_t left(void)
{
	size_t count = 0;

	if (now.how >= TOPIC_ERROR)
		return 0;
	ck_assert_int_eq(
		rd_kafka_mock_broker_error_stack_cnt(mock_cluster(), 1, now.fault->api, &count),
		RD_KAFKA_RESP_ERR_NO_ERROR);
	return count;
}

static void to_the_end(void)
{
	struct err e = ERR_INIT;

	for (int i = 0; i < SESSIONS_MAX; i++) {
		e = (struct err)ERR_INIT;
		if (given)
			make_good();
		if (now.fault != NULL && !given &&
		    ((i == 0 && now.where == OPENS) || (i > 0 && now.where == AGAIN)))
			give();
		if (script_live(&e) == 0 && script_is_final())
			return;
		if (getenv("MOCK_SHOW") != NULL && e.kind != ERR_NONE)
			fprintf(stderr, "%s: session %d: %s: %s\n", script_doing, i,
				err_kind_name(e.kind), e.msg);
	}
	ck_abort_msg("%s: does not come to the end: %s", script_doing, e.msg);
}

static void set_up(void)
{
	const struct settings_flag more[] = {
		{ "kafka.transaction.timeout.ms", "20000" },
		{ "kafka.timeout", "5s" },
		{ "kafka.socket.timeout.ms", "2000" },
		{ "kafka.retry.backoff.ms", "10" },
		{ "kafka.reconnect.backoff.ms", "10" },
		{ "capture.commit_interval", "1ms" },
		{ "kafka.max.in.flight", "1" }, /* see above */
	};

	memcpy(script_more, more, sizeof(more));
	mock_start(now.fault == &moves ? 3 : 1);
	(void)script_run_setup(false);
	mock_on(reached);
	given = false;
}

/* Returns whether the broker gave the answer. */
static bool run(void)
{
	struct buf data = BUF_INIT;
	bool struck;

	set_up();
	to_the_end();
	struck = given && left() < (now.how >= LOST_DONE ? LOST_ANSWERS : 1);
	make_good();
	mock_read_back();
	ck_assert_msg(script_is_final(), "%s: the position is not the last", script_doing);
	script_take_data(&data);
	ck_assert_int_gt(script_check_commits(), 20);
	if (shared->size == 0) {
		ck_assert_uint_le(data.size, REFERENCE_MAX);
		memcpy(shared->reference, data.data, data.size);
		shared->size = data.size;
	}
	ck_assert_msg(slice_equal(buf_slice(&data), slice_of(shared->reference, shared->size)),
		      "%s: %zu bytes of records instead of %zu, or others", script_doing, data.size,
		      shared->size);
	buf_done(&data);
	script_run_teardown();
	mock_stop();
	return struck;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const char *how_text(const struct scenario *s)
{
	static const char *const texts[] = { "",
					     "the connection ends",
					     "late",
					     "never an answer, but done",
					     "never an answer",
					     "",
					     "other leaders",
					     "another coordinator",
					     "one is down" };

	return s->how == ERROR || s->how == TOPIC_ERROR ? rd_kafka_err2name(s->code)
							: texts[s->how];
}

static const char *where_text(enum where where)
{
	return where == OPENS    ? "as a session opens"
	       : where == RECORD ? "before a record"
	       : where == COMMIT ? "before a commit record"
				 : "as a second session opens";
}

static void one(const struct scenario *s)
{
	static int number;
	const char *only = getenv("MOCK_CASE");
	struct timespec from, to;

	(void)snprintf(script_doing, sizeof(script_doing), "%s, %s: %s: %s", script_delivery,
		       s->fault->name, where_text(s->where), how_text(s)); /* fits */
	if ((only != NULL && strstr(script_doing, only) == NULL) || number++ % PROCESSES != process)
		return;
	now = *s;
	clock_gettime(CLOCK_MONOTONIC, &from);
	atomic_fetch_add(&shared->cases, 1);
	if (run())
		atomic_fetch_add(&shared->struck, 1);
	else
		printf("not given: %s\n", script_doing);
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (getenv("MOCK_SHOW") != NULL)
		printf("%5lld ms  %s\n",
		       (long long)((to.tv_sec - from.tv_sec) * 1000 +
				   (to.tv_nsec - from.tv_nsec) / 1000000),
		       script_doing);
}

static void errors_of(const struct fault *f, enum where where, enum how how)
{
	struct scenario s = { .fault = f, .where = where, .how = how };

	for (int i = 0; f->codes[i] != 0; i++) {
		s.code = (rd_kafka_resp_err_t)f->codes[i];
		one(&s);
	}
}

static void ways_of(const struct fault *f, enum where where, enum how from, enum how to)
{
	struct scenario s = { .fault = f, .where = where };

	for (s.how = from; s.how <= to; s.how++)
		one(&s);
}

/* The mock brokers look at sequence numbers only where there is a transactional.id: without one
 * they would keep a record twice whose answer came late. */
static void all_of(const struct fault *f, enum where where, bool transactions)
{
	if (!transactions && (f->api == API_ADD_PARTITIONS || f->api == API_END))
		return;
	errors_of(f, where, ERROR);
	ways_of(f, where, CUT,
		f->api == API_END                        ? LOST_UNDONE
		: f->api == API_PRODUCE && !transactions ? CUT
							 : LATE);
}

static void sweep(const char *delivery, bool transactions)
{
	script_delivery = delivery;
	for (size_t i = 0; i < FAULTS; i++)
		for (int where = OPENS; where <= AGAIN; where *= 2)
			if ((faults[i].where & where) != 0)
				all_of(&faults[i], (enum where)where, transactions);
	for (int where = RECORD; where <= AGAIN; where *= 2) {
		errors_of(&metadata, (enum where)where, TOPIC_ERROR);
		ways_of(&moves, (enum where)where, LEADER, DOWN);
	}
}

START_TEST(test_no_fault)
{
	now = (struct scenario){ .fault = NULL };
	(void)run();
	script_delivery = "at-least-once";
	(void)run();
}
END_TEST

START_TEST(test_exactly_once)
{
	sweep("exactly-once", true);
}
END_TEST

START_TEST(test_at_least_once)
{
	sweep("at-least-once", false);
}
END_TEST

static int work(bool faults_too)
{
	Suite *s = suite_create("mock_sweep");

	if (faults_too) {
		unit_test_slow(s, test_exactly_once, 240);
		unit_test_slow(s, test_at_least_once, 240);
	} else {
		unit_test_slow(s, test_no_fault, 60);
	}
	return unit_run(s);
}

int main(void)
{
	int failed = 0, status;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED || work(false) != EXIT_SUCCESS)
		return EXIT_FAILURE;
	for (process = 0; process < PROCESSES; process++)
		if (fork() == 0)
			return work(true);
	while (wait(&status) > 0)
		failed += status != 0;
	printf("%d cases; what was to happen did in %d\n", atomic_load(&shared->cases),
	       atomic_load(&shared->struck));
	return failed == 0 && atomic_load(&shared->cases) == atomic_load(&shared->struck)
		       ? EXIT_SUCCESS
		       : EXIT_FAILURE;
}
