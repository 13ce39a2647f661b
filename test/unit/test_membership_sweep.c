/* test_membership_sweep.c - two members of a group against librdkafka's mock brokers, and each
 * request of a group member answered once, in turn, with each error that a broker gives to it, by
 * the end of the connection, or late.
 *
 * Goal: whatever the coordinator answers, and wherever in a member's life, never do both hold the
 * partition, soon one does, and when it leaves the other one follows. A member whose wait fails is
 * closed and opened anew, as capture does (or systemd does for it).
 *
 * That the broker really gave the answer is asked of its own list of answers yet to give. The cases
 * are dealt to PROCESSES processes: they mostly wait for the library's own pauses.
 *
 * A mock broker ends its process (an assertion of its own) when a member asks a second time while
 * it still keeps the first answer back, which members of a busy machine do. The case is begun again
 * then, MOST_AGAIN times in one process.
 *
 * MEMBER_SHOW=1 tells what each case took, MEMBER_CASE=words picks the cases whose name has these
 * words.
 *
 * Not given: FENCED_INSTANCE_ID, which is for members with a group.instance.id.
 *
 * Not swept: ListGroups and DescribeGroups, which the mock brokers don't know; so no member takes
 * itself for alone here, and both wait for the coordinator (test_failover has real ones). */
#include "core/base/clock.h"
#include "core/kafka/membership.h"
#include "test/unit/unit.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 36
#define LATE_MS 2500
#define SOON_US 40000000 /* several sessions of 6 s */
#define STEP_MS 50
#define MOST_AGAIN 5

enum where { FIRST = 1, SECOND = 2, HOLDS = 4, LEAVES = 8 };
enum how { ERROR, CUT, LATE };

static const struct fault {
	int16_t api;
	const char *name;
	int where;
	int codes[12]; /* up to 0 */
} faults[] = {
	{ 9,
	  "OffsetFetch",
	  FIRST,
	  { RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
	    RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
	    RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED } },
	{ 10,
	  "FindCoordinator",
	  FIRST | SECOND,
	  { RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
	    RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
	    RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED } },
	{ 11,
	  "JoinGroup",
	  FIRST | SECOND,
	  { RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
	    RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
	    RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
	    RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
	    RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
	    RD_KAFKA_RESP_ERR_GROUP_MAX_SIZE_REACHED } },
	{ 12,
	  "Heartbeat",
	  HOLDS,
	  { RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
	    RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
	    RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
	    RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED } },
	{ 13,
	  "LeaveGroup",
	  LEAVES,
	  { RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
	    RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
	    RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED } },
	{ 14,
	  "SyncGroup",
	  FIRST | SECOND,
	  { RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
	    RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
	    RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
	    RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED } },
};
#define FAULTS (sizeof(faults) / sizeof(faults[0]))

static struct shared { /* by the processes */
	atomic_int struck;
	struct turn {
		int cases, done;  /* of this process; done is how many of the first are over */
		bool mock_failed; /* it ended for the mock broker, not for us */
	} turns[PROCESSES];
} * shared;

static int process;
static const struct fault *fault;
static enum how how;
static rd_kafka_resp_err_t code;
static char doing[200];

static struct settings settings;
static rd_kafka_t *owner;
static rd_kafka_mock_cluster_t *mock;

/* What assert() calls, here in place of the C library's: the mock broker's is told from others. */
void __assert_fail(const char *what, const char *file, unsigned int line, const char *function)
{
	(void)fprintf(stderr, "%s:%u: %s: %s\n", file, line, function, what);
	if (strstr(file, "rdkafka_mock") == NULL)
		abort();
	shared->turns[process].mock_failed = true;
	_exit(EXIT_FAILURE);
}

/* ---- one case -------------------------------------------------------------------------------- */

static struct membership *members[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of members, while they are watched */
static atomic_bool ends;
static atomic_int both;

static bool holds(int i)
{
	return members[i] != NULL && membership_holds(members[i]);
}

static void *watch(void *context)
{
	(void)context;
	while (!atomic_load(&ends)) {
		pthread_mutex_lock(&lock);
		if (holds(0) && holds(1) && holds(0))
			atomic_fetch_add(&both, 1);
		pthread_mutex_unlock(&lock);
		clock_sleep_us(500);
	}
	return NULL;
}

static void start(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[256];

	rd_kafka_conf_set_log_cb(conf, NULL);
	owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	ck_assert_ptr_nonnull(owner);
	mock = rd_kafka_mock_cluster_new(owner, 1);
	ck_assert_int_eq(rd_kafka_mock_topic_create(mock, "x.position", 1, 1),
			 RD_KAFKA_RESP_ERR_NO_ERROR);
	memset(&settings, 0, sizeof(settings));
	settings.kafka_bootstrap = (char *)(uintptr_t)rd_kafka_mock_cluster_bootstraps(mock);
	settings.kafka_timeout_ms = 5000;
	atomic_store(&ends, false);
	atomic_store(&both, 0);
}

static void open_member(int i)
{
	struct err e = ERR_INIT;
	struct membership *m = NULL;

	ck_assert_msg(membership_open(&settings, "x.leader", "x.position", &m, &e) == 0,
		      "%s: %s", doing, e.msg);
	pthread_mutex_lock(&lock);
	members[i] = m;
	pthread_mutex_unlock(&lock);
}

static void close_member(int i)
{
	struct membership *m = members[i];

	pthread_mutex_lock(&lock); /* it holds nothing from here on: its owner writes no more */
	members[i] = NULL;
	pthread_mutex_unlock(&lock);
	membership_close(m);
}

static void give(void)
{
	rd_kafka_resp_err_t answer = how == ERROR ? code
				     : how == CUT ? RD_KAFKA_RESP_ERR__TRANSPORT
						  : RD_KAFKA_RESP_ERR_NO_ERROR;

	ck_assert_int_eq(rd_kafka_mock_broker_push_request_error_rtts(
				 mock, 1, fault->api, 1, answer, how == LATE ? LATE_MS : 0),
			 RD_KAFKA_RESP_ERR_NO_ERROR);
}

static bool is_given(void)
{
	size_t left = 1;

	ck_assert_int_eq(rd_kafka_mock_broker_error_stack_cnt(mock, 1, fault->api, &left),
			 RD_KAFKA_RESP_ERR_NO_ERROR);
	return left == 0;
}

/* Until the answer was given (unless it need not be), and then one member holds the partition;
 * members that can't go on are opened anew. Returns which holds it. */
static int settle(bool answered)
{
	int64_t until = clock_monotonic_us() + SOON_US;
	int found = -1;

	while (clock_monotonic_us() < until) {
		for (int i = 0; i < 2; i++) {
			struct err e = ERR_INIT;

			if (members[i] != NULL && membership_wait(members[i], STEP_MS, &e) < 0) {
				close_member(i);
				open_member(i);
			}
		}
		found = holds(0) ? 0 : holds(1) ? 1 : -1;
		if (found >= 0 && (!answered || is_given()))
			return found;
	}
	ck_abort_msg("%s: %s", doing, found < 0 ? "nobody holds it" : "not given");
}

static void run(enum where where)
{
	pthread_t watcher;
	int holder;

	start();
	ck_assert_int_eq(pthread_create(&watcher, NULL, watch, NULL), 0);
	if (where == FIRST)
		give();
	open_member(0);
	(void)settle(where == FIRST);
	if (where == SECOND)
		give();
	open_member(1);
	holder = settle(where == SECOND);
	if (where == HOLDS) {
		give();
		holder = settle(true);
	}
	if (where == LEAVES)
		give();
	close_member(holder);
	ck_assert_int_eq(settle(where == LEAVES), 1 - holder);
	atomic_store(&ends, true);
	(void)pthread_join(watcher, NULL);
	ck_assert_msg(atomic_load(&both) == 0, "%s: both held it, seen %d times", doing,
		      atomic_load(&both));
	close_member(1 - holder);
	rd_kafka_mock_cluster_destroy(mock);
	rd_kafka_destroy(owner);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void one(enum where where)
{
	static int number;
	struct turn *turn = &shared->turns[process];
	const char *only = getenv("MEMBER_CASE");
	int64_t since = clock_monotonic_us();

	(void)snprintf(doing, sizeof(doing), "%s, %s: %s", fault->name,
		       where == FIRST    ? "as the first joins"
		       : where == SECOND ? "as the second joins"
		       : where == HOLDS  ? "as one holds it"
					 : "as one leaves",
		       how == ERROR ? rd_kafka_err2name(code)
		       : how == CUT ? "the connection ends"
				    : "late"); /* fits */
	if ((only != NULL && strstr(doing, only) == NULL) || number++ % PROCESSES != process)
		return;
	if (turn->cases++ < turn->done)
		return;
	run(where);
	turn->done++;
	atomic_fetch_add(&shared->struck, 1);
	if (getenv("MEMBER_SHOW") != NULL)
		printf("%5lld ms  %s\n", (long long)(clock_monotonic_us() - since) / 1000, doing);
}

START_TEST(test_sweep)
{
	for (size_t i = 0; i < FAULTS; i++) {
		fault = &faults[i];
		for (int where = FIRST; where <= LEAVES; where *= 2) {
			if ((fault->where & where) == 0)
				continue;
			how = ERROR;
			for (int k = 0; fault->codes[k] != 0; k++) {
				code = (rd_kafka_resp_err_t)fault->codes[k];
				one((enum where)where);
			}
			for (how = CUT; how <= LATE; how++)
				one((enum where)where);
		}
	}
}
END_TEST

static int work(void)
{
	struct turn *turn = &shared->turns[process];

	for (int again = 0;; again++) {
		Suite *s = suite_create("membership_sweep");
		int status;

		turn->cases = 0;
		turn->mock_failed = false;
		unit_test_slow(s, test_sweep, 240);
		status = unit_run(s);
		if (!turn->mock_failed || again == MOST_AGAIN)
			return status;
		printf("the mock broker gave up: again from case %d of process %d\n", turn->done,
		       process);
	}
}

int main(void)
{
	int cases = 0, failed = 0, status;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return EXIT_FAILURE;
	for (process = 0; process < PROCESSES; process++)
		if (fork() == 0)
			return work();
	while (wait(&status) > 0)
		failed += status != 0;
	for (process = 0; process < PROCESSES; process++)
		cases += shared->turns[process].cases;
	printf("%d cases; what was to happen did in %d\n", cases, atomic_load(&shared->struck));
	return failed == 0 && cases > 0 && cases == atomic_load(&shared->struck) ? EXIT_SUCCESS
										 : EXIT_FAILURE;
}
