/* test_replay_jobs.c - what a replay may be asked besides the plain one, and what is done about
 * records that can't be applied. */
#include "test/unit/unit.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/sql/store_db.h"
#include "test/lib/stock.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

/* Rows of the public name by id, -1 where there is none. */
static void read_public(int64_t *ret_values)
{
	char path[600];
	struct err e = ERR_INIT;
	struct sql_statement *s;
	struct sql_db *db;

	for (int i = 0; i < SCRIPT_IDS; i++)
		ret_values[i] = -1;
	snprintf(path, sizeof(path), "%s/stock.db", stock_settings.state_dir);
	ck_assert_int_eq(sql_open_db(path, SQL_OPEN_READ, &db, &e), 0);
	ck_assert_int_eq(sql_prepare(db, "test", "SELECT id, value FROM item", NULL, &s, &e), 0);
	while (sql_step(s, &e) == 1) {
		struct value id, value;

		sql_column(s, 0, &id);
		sql_column(s, 1, &value);
		ret_values[id.i] = value.i;
	}
	sql_finalize(s);
	sql_close(db);
}

/* What a view holds that parks record `poison` and what comes after it with its id. */
static void state_without(int64_t poison, int64_t *ret_values, int64_t *ret_parked)
{
	int64_t seq = script_seq(&stock_script), id = stock_script.records[poison - 1].id;

	script_state(&stock_script, seq, ret_values);
	*ret_parked = 0;
	ret_values[id] = -1;
	for (int64_t i = 0; i < seq; i++) {
		if (stock_script.records[i].id != id)
			continue;
		if (i + 1 < poison)
			ret_values[id] = stock_script.records[i].value;
		else
			(*ret_parked)++;
	}
}

static struct host_version await_parked(struct host *h, int64_t parked, int64_t seq)
{
	struct host_status s;

	for (int i = 0; i < 3000; i++) {
		host_status(h, &s);
		if (s.versions[0].worker.parked == parked && s.versions[0].worker.seq >= seq)
			break;
		clock_sleep_us(10000);
	}
	ck_assert_int_eq(s.versions[0].worker.parked, parked);
	ck_assert_int_ge(s.versions[0].worker.seq, seq);
	return s.versions[0];
}

/* A view that is live goes on without the record, and without what follows it for its key. */
START_TEST(test_poison_is_parked_live)
{
	int64_t want[SCRIPT_IDS], have[SCRIPT_IDS], parked;
	struct host_version v;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_settings.project_parked_max = 1000;
	stock_script.keys = true;
	stock_grow(50);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	stock_await_applied(script_seq(&stock_script));
	stock_script.poison_seq = script_seq(&stock_script) + 2;
	stock_grow(60);
	state_without(stock_script.poison_seq, want, &parked);
	v = await_parked(h, parked, script_seq(&stock_script));
	ck_assert_int_eq(v.worker.state, WORKER_RUNNING);
	ck_assert_int_eq(v.worker.parked_behind, parked - 1);
	read_public(have);
	ck_assert_mem_eq(have, want, sizeof(want));
	host_close(h);
	h = stock_host(); /* it is still known which keys wait */
	stock_grow(60);
	state_without(stock_script.poison_seq, want, &parked);
	await_parked(h, parked, script_seq(&stock_script));
	read_public(have);
	ck_assert_mem_eq(have, want, sizeof(want));
	host_close(h);
	stock_teardown();
}
END_TEST

/* Waits until the version is in this state, and none is built. */
static struct host_version await_state(struct host *h, int version, enum store_state state)
{
	struct host_status s;

	for (int i = 0; i < 6000; i++) {
		host_status(h, &s);
		for (size_t n = 0; n < s.version_count; n++) {
			if (s.versions[n].version == version && s.versions[n].state == state)
				return s.versions[n];
		}
		clock_sleep_us(10000);
	}
	ck_abort_msg("version %d did not become %s; job %s %s: %s", version,
		     store_state_name(state), host_job_name(s.job), host_phase_name(s.phase),
		     s.job_err.msg);
}

static bool has_version(struct host *h, int version)
{
	struct host_status s;

	host_status(h, &s);
	for (size_t n = 0; n < s.version_count; n++) {
		if (s.versions[n].version == version)
			return true;
	}
	return false;
}

static void replay(struct host *h, const struct host_replay_options *o)
{
	struct err e = ERR_INIT;

	ck_assert_msg(host_replay(h, o, &e) == 0, "%s", e.msg);
}

static void refused(struct host *h, const struct host_replay_options *o, const char *why)
{
	struct err e = ERR_INIT;

	ck_assert_int_lt(host_replay(h, o, &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_msg(strstr(e.msg, why) != NULL, "%s", e.msg);
}

START_TEST(test_parked_tried_again_and_dropped)
{
	int64_t want[SCRIPT_IDS], have[SCRIPT_IDS], parked, applied, left, poison;
	struct worker_parked_ask ask = { .topic = "items" };
	struct err e = ERR_INIT;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_settings.project_parked_max = 1000;
	stock_script.keys = true;
	stock_grow(50);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	stock_await_applied(script_seq(&stock_script));
	poison = script_seq(&stock_script) + 2;
	stock_script.poison_seq = poison;
	stock_grow(100);
	state_without(poison, want, &parked);
	await_parked(h, parked, script_seq(&stock_script));
	ck_assert_int_gt(parked, 1);
	ask.offset = script_seq(&stock_script) + 5; /* there is none */
	ck_assert_int_lt(host_parked_act(h, 0, &ask, &applied, &left, &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	e = (struct err)ERR_INIT;
	ask.offset = poison - 1; /* still cut short */
	ck_assert_msg(host_parked_act(h, 0, &ask, &applied, &left, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(applied, 0);
	ck_assert_int_eq(left, parked);
	ask.drop = true; /* what waits behind it goes on */
	ck_assert_msg(host_parked_act(h, 0, &ask, &applied, &left, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(applied, parked);
	ck_assert_int_eq(left, 0);
	script_state(&stock_script, script_seq(&stock_script), want);
	read_public(have);
	ck_assert_mem_eq(have, want, sizeof(want)); /* the last record of the id decides */
	stock_grow(20);
	await_parked(h, 0, script_seq(&stock_script)); /* its key waits no longer */
	stock_check(NULL);
	host_close(h);
	stock_teardown();
}
END_TEST

START_TEST(test_too_many_parked_stop_the_view)
{
	struct host_status s;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_settings.project_parked_max = 2;
	stock_grow(20); /* without keys all are one: everything waits behind the first */
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	stock_await_applied(script_seq(&stock_script));
	stock_script.poison_seq = script_seq(&stock_script) + 1;
	stock_grow(50);
	for (int i = 0; i < 3000; i++) {
		host_status(h, &s);
		if (s.versions[0].worker.state == WORKER_FAILED)
			break;
		clock_sleep_us(10000);
	}
	ck_assert_int_eq(s.versions[0].worker.state, WORKER_FAILED);
	ck_assert_msg(strstr(s.versions[0].worker.message, "parked already") != NULL, "%s",
		      s.versions[0].worker.message);
	host_close(h);
	stock_teardown();
}
END_TEST

START_TEST(test_parked_records_do_not_go_live)
{
	struct host_replay_options o = { .no_swap = true, .force = true };
	struct err e = ERR_INIT;
	struct host_status s;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_settings.project_parked_max = 1000;
	stock_script.keys = true;
	stock_grow(50);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	replay(h, &o);
	ck_assert_int_eq(stock_await(h, HOST_READY, 1), HOST_READY);
	stock_script.poison_seq = script_seq(&stock_script) + 1;
	stock_grow(20);
	for (int i = 0; i < 3000; i++) {
		host_status(h, &s);
		if (s.versions[1].worker.parked > 0)
			break;
		clock_sleep_us(10000);
	}
	ck_assert_int_gt(s.versions[1].worker.parked, 0);
	ck_assert_int_eq(host_swap(h, false, &e), 0);
	ck_assert_int_eq(stock_await(h, HOST_DONE, 2), HOST_FAILED);
	host_status(h, &s);
	ck_assert_msg(strstr(s.job_err.msg, "parked") != NULL, "%s", s.job_err.msg);
	ck_assert_int_eq(s.live, 1);
	ck_assert_int_eq(host_swap(h, true, &e), 0);
	for (int i = 0; i < 3000 && s.live != 2; i++) {
		clock_sleep_us(10000);
		host_status(h, &s);
	}
	ck_assert_int_eq(s.live, 2);
	host_close(h);
	stock_teardown();
}
END_TEST

/* ---- numbers, room ---- */

START_TEST(test_numbers_are_never_used_twice)
{
	struct host_replay_options o = { .no_swap = true, .force = true };
	struct err e = ERR_INIT;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_grow(5);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	replay(h, &o);
	await_state(h, 2, STORE_READY);
	ck_assert_msg(host_drop(h, 2, &e) == 0, "%s", e.msg);
	ck_assert(!has_version(h, 2));
	host_close(h);
	h = stock_host(); /* also not after a restart */
	replay(h, &o);
	await_state(h, 3, STORE_READY);
	host_close(h);
	stock_teardown();
}
END_TEST

/* Of many superseded versions the oldest goes first: the one before is what one rolls back to. */
START_TEST(test_oldest_goes_first)
{
	struct host_replay_options o = { .force = true };
	struct host *h;

	unit_seed();
	stock_setup();
	stock_grow(5);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	for (int version = 2; version <= HOST_VERSIONS_KEPT + 1; version++) {
		replay(h, &o);
		ck_assert_int_eq(stock_await(h, HOST_DONE, version), HOST_DONE);
		ck_assert(has_version(h, version - 1));
	}
	ck_assert(!has_version(h, 1));
	ck_assert(has_version(h, 3));
	host_close(h);
	stock_teardown();
}
END_TEST

/* A store that can't let go of a version: a reader has it. */
static struct store_ops stubborn;
static bool stuck;

static int stubborn_remove(struct store *s, int version, struct err *e)
{
	return stuck ? err_retry(e, "a reader has it") : store_sqlite.remove(s, version, e);
}

static int64_t room_left = -1;

static int stubborn_room(struct store *s, int version, int64_t *ret_used, int64_t *ret_free,
			 struct err *e)
{
	int rc = store_sqlite.room(s, version, ret_used, ret_free, e);

	if (room_left >= 0)
		*ret_free = room_left;
	return rc;
}

static volatile bool published;
static int64_t publish_us; /* of a store that takes its time behind what readers see */

static int stubborn_publish(struct store *s, int version, struct err *e)
{
	int rc = store_sqlite.publish(s, version, e);

	published = true;
	clock_sleep_us(publish_us);
	return rc;
}

static int stubborn_open(const struct settings *settings, const char *view, struct store **ret,
			 struct err *e)
{
	if (store_sqlite.open(settings, view, ret, e) < 0)
		return -1;
	(*ret)->ops = &stubborn;
	return 0;
}

static struct host *stubborn_host(void)
{
	struct host_options o = { .settings = &stock_settings,
				  .name = "stock",
				  .store = &stubborn,
				  .source = { &script_feed_ops, &stock_script } };
	struct err e = ERR_INIT;
	struct host *h;

	stubborn = store_sqlite;
	stubborn.open = stubborn_open;
	stubborn.remove = stubborn_remove;
	stubborn.room = stubborn_room;
	stubborn.publish = stubborn_publish;
	ck_assert_msg(host_open(&o, &h, &e) == 0, "%s", e.msg);
	return h;
}

/* Readers see a new version a moment before the job has ended. Who asks then is not sent away. */
START_TEST(test_asked_at_the_end_of_a_swap)
{
	struct host_replay_options o = { .force = true };
	struct host *h;

	unit_seed();
	stock_setup();
	stock_grow(5);
	publish_us = 300000;
	h = stubborn_host();
	while (!published)
		clock_sleep_us(1000);
	replay(h, &o);
	ck_assert_int_eq(stock_await(h, HOST_DONE, 2), HOST_DONE);
	host_close(h);
	publish_us = 0;
	stock_teardown();
}
END_TEST

/* Versions that can't be removed yet keep nobody from opening the view, however many they are. */
START_TEST(test_waiting_for_removal)
{
	struct host_replay_options o = { .force = true };
	struct err e = ERR_INIT;
	struct host_status s;
	struct host *h;
	char *path;

	unit_seed();
	stock_setup();
	stock_grow(5);
	h = stubborn_host();
	stock_await(h, HOST_DONE, 1);
	for (int version = 2; version <= HOST_VERSIONS_KEPT; version++) {
		replay(h, &o);
		ck_assert_int_eq(stock_await(h, HOST_DONE, version), HOST_DONE);
	}
	stuck = true;
	ck_assert_int_lt(host_drop(h, 3, &e), 0);
	ck_assert(!has_version(h, 3));
	host_close(h);
	stock_settings.project_keep_applied_ms = 0; /* the time of all of them is over */
	h = stubborn_host();
	host_status(h, &s);
	ck_assert_int_eq(s.live, HOST_VERSIONS_KEPT);
	ck_assert_uint_eq(s.version_count, 1);
	stuck = false;
	path = xasprintf("%s/views/stock/v3.db", stock_settings.state_dir);
	for (int i = 0; i < 3000 && access(path, F_OK) == 0; i++)
		clock_sleep_us(10000);
	ck_assert_int_ne(access(path, F_OK), 0);
	free(path);
	replay(h, &o);
	ck_assert_int_eq(stock_await(h, HOST_DONE, HOST_VERSIONS_KEPT + 1), HOST_DONE);
	host_close(h);
	stock_teardown();
}
END_TEST

START_TEST(test_no_room_is_told_beforehand)
{
	struct host_replay_options o = { .no_swap = true };
	struct host *h;

	unit_seed();
	stock_setup();
	stock_grow(5);
	h = stubborn_host();
	stock_await(h, HOST_DONE, 1);
	stock_write(true);
	room_left = 1000000;
	refused(h, &o, "no room");
	ck_assert(!has_version(h, 2));
	o.force = true;
	replay(h, &o);
	await_state(h, 2, STORE_READY);
	room_left = -1;
	host_close(h);
	stock_teardown();
}
END_TEST

/* ---- a view as it was ---- */

/* Rows of version `number` against the history up to seq. */
static void check_version(int number, int64_t seq)
{
	int64_t truth[SCRIPT_IDS], rows = 0, want = 0, at = 0;
	struct err e = ERR_INIT;
	struct sql_statement *s;
	struct sql_db *db;
	char *path = xasprintf("%s/views/stock/v%d.db", stock_settings.state_dir, number);

	ck_assert_msg(sql_open_db(path, SQL_OPEN_READ, &db, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(sql_get_int(db, "SELECT seq FROM millrace_position", &at, &e), 0);
	ck_assert_int_eq(at, seq);
	script_state(&stock_script, seq, truth);
	ck_assert_int_eq(sql_prepare(db, "test", "SELECT id, value FROM item", NULL, &s, &e), 0);
	while (sql_step(s, &e) == 1) {
		struct value id, value;

		sql_column(s, 0, &id);
		sql_column(s, 1, &value);
		ck_assert_int_eq(value.i, truth[id.i]);
		rows++;
	}
	for (int i = 0; i < SCRIPT_IDS; i++)
		want += truth[i] >= 0;
	ck_assert_int_eq(rows, want);
	sql_finalize(s);
	sql_close(db);
	free(path);
}

START_TEST(test_as_of)
{
	struct host_replay_options o = { .as_of = "0-1-70" };
	struct host_version v;
	struct err e = ERR_INIT;
	struct host_status s;
	char time[40];
	struct host *h;

	unit_seed();
	stock_setup();
	stock_script.gtid_step = 1;
	stock_grow(100);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	stock_await_applied(script_seq(&stock_script));
	replay(h, &o);
	ck_assert_int_eq(stock_await(h, HOST_DONE, 1), HOST_DONE);
	v = await_state(h, 2, STORE_AS_OF);
	ck_assert_str_eq(v.as_of, "0-1-70");
	ck_assert(!v.running);
	check_version(2, stock_script.ends[69]);
	/* commit times are seq milliseconds since 1970 */
	snprintf(time, sizeof(time), "1970-01-01T00:00:00.%06dZ",
		 (int)(stock_script.ends[20] * 1000 + 999));
	o.as_of = time;
	replay(h, &o);
	ck_assert_int_eq(stock_await(h, HOST_DONE, 1), HOST_DONE);
	await_state(h, 3, STORE_AS_OF);
	check_version(3, stock_script.ends[20]);
	o.as_of = "0-1-101";
	refused(h, &o, "not in the history");
	o.as_of = "7-1-1";
	refused(h, &o, "not in the history");
	o.as_of = "2999-01-01 00:00";
	refused(h, &o, "not in the history");
	o.as_of = "yesterday";
	refused(h, &o, "neither a GTID nor a time");
	stock_grow(10);
	stock_await_applied(script_seq(&stock_script));
	host_close(h);
	h = stock_host(); /* they are as they were, and nothing is begun */
	host_status(h, &s);
	ck_assert_int_eq(s.live, 1);
	ck_assert_int_eq(s.job, HOST_NO_JOB);
	await_state(h, 2, STORE_AS_OF);
	check_version(2, stock_script.ends[69]);
	o.as_of = "0-1-3";
	replay(h, &o);
	ck_assert_int_eq(stock_await(h, HOST_DONE, 1), HOST_DONE);
	await_state(h, 4, STORE_AS_OF);
	o.as_of = "0-1-4";
	refused(h, &o, "as it was already");
	ck_assert_int_lt(host_drop(h, 1, &e), 0); /* live */
	ck_assert_msg(host_drop(h, 3, &(struct err)ERR_INIT) == 0, "drop");
	ck_assert(!has_version(h, 3));
	replay(h, &o);
	ck_assert_int_eq(stock_await(h, HOST_DONE, 1), HOST_DONE);
	await_state(h, 5, STORE_AS_OF);
	check_version(5, stock_script.ends[3]);
	host_close(h);
	stock_teardown();
}
END_TEST

/* The GTID asked for wasn't captured: the place is known by what comes next. */
START_TEST(test_as_of_between_captured_transactions)
{
	struct host_replay_options o = { .as_of = "0-1-345" };
	struct host *h;

	unit_seed();
	stock_setup();
	stock_script.gtid_step = 10;
	stock_grow(50);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	replay(h, &o);
	await_state(h, 2, STORE_AS_OF);
	check_version(2, stock_script.ends[33]);
	host_close(h);
	stock_teardown();
}
END_TEST

/* A process that builds a view as it was, at a small share of a core, and dies again and again. */
START_TEST(test_as_of_goes_on_after_kills)
{
	struct host_replay_options o = { .as_of = "0-1-2500", .share = 20 };
	struct host_status s;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_grow(3000);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	host_close(h);
	for (int round = 0; round < 8; round++) {
		int64_t life_us = 20000 + (int64_t)unit_random_below(120000);
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			h = stock_host();
			if (round == 0)
				replay(h, &o);
			clock_sleep_us(life_us);
			raise(SIGKILL);
		}
		waitpid(pid, &status, 0);
		ck_assert_int_eq(WTERMSIG(status), SIGKILL);
	}
	h = stock_host();
	await_state(h, 2, STORE_AS_OF);
	host_status(h, &s);
	ck_assert_int_eq(s.live, 1);
	check_version(2, stock_script.ends[2499]);
	host_close(h);
	stock_teardown();
}
END_TEST

/* ---- side by side, dropped, closed ---- */

START_TEST(test_shadow_counts_what_differs)
{
	struct host_replay_options o = { .no_swap = true, .force = true };
	struct host_status s;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_settings.project_shadow_ms = 50;
	stock_settings.project_nice_share = 50;
	stock_grow(100);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	replay(h, &o);
	ck_assert_int_eq(stock_await(h, HOST_READY, 1), HOST_READY);
	for (int i = 0; i < 3000; i++) {
		host_status(h, &s);
		if (s.shadow.compared_us != 0)
			break;
		clock_sleep_us(10000);
	}
	ck_assert_int_eq(s.shadow.version, 2);
	ck_assert_int_eq(s.shadow.differences, 0);
	ck_assert_int_eq(s.shadow.since_us, 0);
	stock_write(true);
	replay(h, &o); /* version 3 takes the place of 2, and differs in each row */
	ck_assert_int_eq(stock_await(h, HOST_READY, 1), HOST_READY);
	for (int i = 0; i < 3000; i++) {
		stock_grow(1);
		host_status(h, &s);
		if (s.shadow.version == 3 && s.shadow.compared_us != 0)
			break;
		clock_sleep_us(10000);
	}
	ck_assert_int_eq(s.shadow.version, 3);
	ck_assert_int_gt(s.shadow.rows, 0);
	ck_assert_int_eq(s.shadow.differences, s.shadow.rows);
	ck_assert_int_gt(s.shadow.since_us, 0);
	ck_assert_msg(host_swap(h, false, &(struct err)ERR_INIT) == 0, "swap");
	ck_assert_int_eq(stock_await(h, HOST_DONE, 3), HOST_DONE);
	host_status(h, &s);
	ck_assert_int_eq(s.shadow.version, 0);
	host_close(h);
	stock_teardown();
}
END_TEST

/* A replay that takes hours is ended by dropping what it builds. */
START_TEST(test_drop_what_is_being_built)
{
	struct host_replay_options o = { .force = true, .share = 1 };
	struct err e = ERR_INIT;
	int64_t begun_us;
	struct host_status s;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_grow(10000);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	replay(h, &o);
	begun_us = clock_monotonic_us();
	ck_assert_msg(host_drop(h, 2, &e) == 0, "%s", e.msg);
	ck_assert_int_lt(clock_monotonic_us() - begun_us, 15000000);
	host_status(h, &s);
	ck_assert_int_eq(s.phase, HOST_FAILED);
	ck_assert(!has_version(h, 2));
	ck_assert_int_lt(host_drop(h, 2, &e), 0);
	o.share = 0;
	replay(h, &o);
	ck_assert_int_eq(stock_await(h, HOST_DONE, 3), HOST_DONE);
	host_close(h);
	stock_teardown();
}
END_TEST

/* Of one core, by the clock of the process: a build at 20 % takes about a fifth. */
START_TEST(test_share_of_a_core)
{
	struct host_replay_options o = { .force = true, .share = 20, .no_swap = true };
	struct timespec before, after;
	int64_t begun_us, cpu_us, wall_us;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_grow(12000);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	begun_us = clock_monotonic_us();
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	replay(h, &o);
	await_state(h, 2, STORE_READY);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	wall_us = clock_monotonic_us() - begun_us;
	cpu_us = (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
	printf("share: %lld ms of cpu in %lld ms\n", (long long)cpu_us / 1000,
	       (long long)wall_us / 1000);
	ck_assert_int_gt(cpu_us, 50000); /* enough to be measured */
	ck_assert_int_lt(cpu_us * 100, wall_us * 35);
	host_close(h);
	stock_teardown();
}
END_TEST

static void *close_it(void *context)
{
	host_close(context);
	return NULL;
}

/* A job that waits for a version which can't come to an end doesn't hold the process up: the rest
 * of a source transaction never comes, so no worker can be held. */
START_TEST(test_closes_while_a_job_waits)
{
	struct host_replay_options o = { .no_swap = true, .force = true };
	struct err e = ERR_INIT;
	struct host *h;
	int64_t begun_us;
	pthread_t closer;

	unit_seed();
	stock_setup();
	stock_grow(10);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	replay(h, &o);
	ck_assert_int_eq(stock_await(h, HOST_READY, 1), HOST_READY);
	script_add_open(&stock_script, 3, unit_random64);
	clock_sleep_us(300000);
	ck_assert_int_eq(host_swap(h, false, &e), 0);
	clock_sleep_us((int64_t)unit_random_below(600000));
	begun_us = clock_monotonic_us();
	pthread_create(&closer, NULL, close_it, h);
	pthread_join(closer, NULL);
	ck_assert_int_lt(clock_monotonic_us() - begun_us, 10000000);
	stock_teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("replay_jobs");

	unit_test_slow(s, test_poison_is_parked_live, 60);
	unit_test_slow(s, test_parked_tried_again_and_dropped, 60);
	unit_test_slow(s, test_too_many_parked_stop_the_view, 60);
	unit_test_slow(s, test_parked_records_do_not_go_live, 60);
	unit_test_slow(s, test_numbers_are_never_used_twice, 60);
	unit_test_slow(s, test_oldest_goes_first, 60);
	unit_test_slow(s, test_asked_at_the_end_of_a_swap, 60);
	unit_test_slow(s, test_waiting_for_removal, 60);
	unit_test_slow(s, test_no_room_is_told_beforehand, 60);
	unit_test_slow(s, test_as_of, 60);
	unit_test_slow(s, test_as_of_between_captured_transactions, 60);
	unit_test_slow(s, test_as_of_goes_on_after_kills, 60);
	unit_test_slow(s, test_shadow_counts_what_differs, 60);
	unit_test_slow(s, test_drop_what_is_being_built, 60);
	unit_test_slow(s, test_share_of_a_core, 60);
	unit_test_slow(s, test_closes_while_a_job_waits, 60);
	return unit_run(s);
}
