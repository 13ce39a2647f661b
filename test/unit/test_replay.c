/* test_replay.c - a view from its first build through replays, swaps and roll backs, over a made-up
 * history that grows meanwhile.
 *
 * One rule is checked all the time, by a reader that opens the public name again and again: the
 * rows equal the definition of the version that is read, applied to the history up to the seq that
 * the version names. */
#include "test/unit/unit.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/sql/store_db.h"
#include "projections/host/host.h"
#include "projections/host/view_status.h"
#include "test/lib/folder.h"
#include "test/lib/stock.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- tests ----------------------------------------------------------------------------------- */

START_TEST(test_first_build_goes_live)
{
	struct host_status s;
	struct host *h;
	int version;

	unit_seed();
	stock_setup();
	stock_grow(200);
	h = stock_host();
	ck_assert_int_eq(stock_await(h, HOST_DONE, 1), HOST_DONE);
	stock_await_applied(script_seq(&stock_script));
	stock_grow(50);
	stock_await_applied(script_seq(&stock_script));
	stock_check(&version);
	ck_assert_int_eq(version, 1);
	host_status(h, &s);
	ck_assert(s.versions[0].worker.built);
	ck_assert_int_eq(s.versions[0].state, STORE_LIVE);
	host_close(h);
	stock_teardown();
}
END_TEST

START_TEST(test_incomplete_view_does_not_go_live)
{
	struct host_status s;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_grow(20);
	stock_script.copying = true;
	h = stock_host();
	clock_sleep_us(600000);
	host_status(h, &s);
	ck_assert_int_eq(s.live, 0);
	ck_assert_int_eq(s.phase, HOST_BUILDING);
	stock_script.copying = false;
	ck_assert_int_eq(stock_await(h, HOST_DONE, 1), HOST_DONE);
	host_close(h);
	stock_teardown();
}
END_TEST

/* It goes live and is swapped all the same; the state says what may be wrong with it. */
START_TEST(test_reconciling_is_shown)
{
	struct host_status s;
	struct buf json = BUF_INIT;
	const char *message;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_grow(20);
	stock_script.reconciling = true;
	h = stock_host();
	ck_assert_int_eq(stock_await(h, HOST_DONE, 1), HOST_DONE);
	host_status(h, &s);
	ck_assert_str_eq(s.versions[0].worker.reconciling, "shop.item");
	ck_assert_int_eq(s.versions[0].worker.reconciling_since_us, 1700000000000000);
	ck_assert_str_eq(view_status_state(&s, &message), "live");
	ck_assert_ptr_nonnull(strstr(message, "since 2023-11-14T22:13:20"));
	host_json(h, false, &json);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&json), "\"reconciling\":\"shop.item\""));
	stock_script.reconciling = false;
	stock_grow(1);
	stock_await_applied(script_seq(&stock_script));
	for (int i = 0; i < 500 && s.versions[0].worker.reconciling[0] != '\0'; i++) {
		clock_sleep_us(20000);
		host_status(h, &s);
	}
	ck_assert_str_eq(s.versions[0].worker.reconciling, "");
	ck_assert_str_eq(view_status_state(&s, &message), "live");
	ck_assert_str_eq(message, "");
	buf_done(&json);
	host_close(h);
	stock_teardown();
}
END_TEST

/* ---- a full disk: no file may grow beyond the limit ---- */

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A view that grows by 4 kB with each record. */
static void write_growing_view(void)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/views/stock", stock_dir);
	folder_write(
		path, "tables.sql",
		"CREATE TABLE item (id INTEGER PRIMARY KEY, value INTEGER NOT NULL, seq INTEGER "
		"NOT NULL);\nCREATE TABLE log (seq INTEGER PRIMARY KEY, pad TEXT);\n");
	folder_write(path, "on/ItemPut.sql",
		     "INSERT INTO item VALUES (:id, :value, :seq)\n"
		     "ON CONFLICT (id) DO UPDATE SET value = excluded.value, seq = excluded.seq;\n"
		     "INSERT INTO log VALUES (:seq, hex(zeroblob(2000)))");
}

/* The live view waits in state retrying, loses nothing, and goes on when there is room. */
START_TEST(test_full_disk_heals)
{
	const char *message;
	struct host_status s;
	int64_t stood;
	struct host *h;

	unit_seed();
	signal(SIGXFSZ, SIG_IGN);
	stock_setup();
	stock_grow(300);
	h = stock_host();
	ck_assert_int_eq(stock_await(h, HOST_DONE, 1), HOST_DONE);
	stock_await_applied(script_seq(&stock_script));
	limit_files(4096);
	stood = script_seq(&stock_script);
	stock_grow(300);
	for (int i = 0; i < 500; i++) {
		host_status(h, &s);
		if (s.versions[0].worker.state == WORKER_RETRYING)
			break;
		clock_sleep_us(20000);
	}
	ck_assert_str_eq(view_status_state(&s, &message), "retrying");
	ck_assert_ptr_nonnull(strstr(message, "no room"));
	ck_assert_int_eq(s.versions[0].worker.exit_code, EXIT_FATAL);
	ck_assert_int_eq(s.versions[0].worker.seq, stood);
	limit_files(RLIM_INFINITY);
	stock_await_applied(script_seq(&stock_script));
	stock_check(NULL);
	host_close(h);
	stock_teardown();
}
END_TEST

/* A replay gives way to what is live: it fails, and its file is gone. */
START_TEST(test_replay_on_a_full_disk)
{
	struct host_replay_options options = { .force = true };
	struct host_status s;
	struct err e = ERR_INIT;
	struct host *h;
	char *path;

	unit_seed();
	signal(SIGXFSZ, SIG_IGN);
	stock_setup();
	write_growing_view();
	stock_grow(100);
	h = stock_host();
	ck_assert_int_eq(stock_await(h, HOST_DONE, 1), HOST_DONE);
	stock_await_applied(script_seq(&stock_script));
	limit_files(1000000); /* a third of it */
	if (host_replay(h, &options, &e) == 0)
		ck_assert_int_eq(stock_await(h, HOST_FAILED, 2), HOST_FAILED);
	host_status(h, &s);
	ck_assert_int_eq(s.live, 1);
	ck_assert_int_eq(s.phase, HOST_FAILED);
	ck_assert_msg(strstr(s.job_err.msg, "no room") != NULL, "%s", s.job_err.msg);
	ck_assert_int_eq(err_exit_code(&s.job_err), EXIT_FATAL);
	path = xasprintf("%s/views/stock/v2.db", stock_settings.state_dir);
	ck_assert_int_ne(access(path, F_OK), 0);
	free(path);
	limit_files(RLIM_INFINITY);
	stock_check(NULL);
	e = (struct err)ERR_INIT;
	ck_assert_msg(host_replay(h, &options, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(stock_await(h, HOST_DONE, 3), HOST_DONE); /* no number twice */
	host_close(h);
	stock_teardown();
}
END_TEST

static _Atomic bool stop_threads;

static void *keep_writing(void *context)
{
	(void)context;
	while (!stop_threads) {
		stock_grow(1);
		clock_sleep_us(2000);
	}
	return NULL;
}

struct reading {
	int64_t reads, versions;
};

static void *keep_reading(void *context)
{
	struct reading *r = context;
	int last = 0;

	while (!stop_threads) {
		int version;

		stock_check(&version);
		r->reads++;
		r->versions += version != last;
		last = version;
	}
	return NULL;
}

START_TEST(test_replay_beside_live_traffic)
{
	struct host_replay_options o = { .no_swap = false };
	struct reading reading = { 0 };
	pthread_t writer, reader;
	struct err e = ERR_INIT;
	struct host_status s;
	struct buf json = BUF_INIT;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_grow(2000);
	h = stock_host();
	ck_assert_int_eq(stock_await(h, HOST_DONE, 1), HOST_DONE);
	stop_threads = false;
	pthread_create(&writer, NULL, keep_writing, NULL);
	pthread_create(&reader, NULL, keep_reading, &reading);
	ck_assert_int_lt(host_replay(h, &o, &e), 0); /* nothing has changed */
	ck_assert_ptr_nonnull(strstr(e.msg, "nothing has changed"));
	for (int version = 2; version <= 5; version++) {
		stock_write(version % 2 == 0);
		ck_assert_msg(host_replay(h, &o, &e) == 0, "%s", e.msg);
		ck_assert_int_lt(host_replay(h, &o, &(struct err)ERR_INIT), 0); /* one at a time */
		ck_assert_int_eq(stock_await(h, HOST_DONE, version), HOST_DONE);
		host_status(h, &s);
		ck_assert_int_gt(s.diff_rows, 0);
		ck_assert_int_eq(s.differences,
				 s.diff_rows); /* every value changed, no row came or went */
	}
	ck_assert_msg(host_rollback(h, false, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(stock_await(h, HOST_DONE, 4), HOST_DONE);
	stop_threads = true;
	pthread_join(writer, NULL);
	pthread_join(reader, NULL);
	stock_await_applied(script_seq(&stock_script));
	ck_assert_int_gt(reading.reads, 10);
	host_json(h, false, &json);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&json), "\"only_left\":0,\"only_right\":0"));
	buf_done(&json);
	printf("reads %lld, changes of version seen %lld\n", (long long)reading.reads,
	       (long long)reading.versions);
	host_close(h);
	stock_teardown();
}
END_TEST

START_TEST(test_no_swap_then_swap)
{
	struct host_replay_options o = { .no_swap = true };
	struct err e = ERR_INIT;
	struct host_status s;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_grow(100);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	ck_assert_int_lt(host_swap(h, false, &e), 0);
	ck_assert_int_lt(host_rollback(h, false, &e), 0);
	stock_write(true);
	ck_assert_int_eq(host_replay(h, &o, &e), 0);
	ck_assert_int_eq(stock_await(h, HOST_READY, 1), HOST_READY);
	host_status(h, &s);
	ck_assert_int_eq(s.live, 1);
	host_close(h);
	h = stock_host(); /* still ready after a restart, and compared again */
	ck_assert_int_eq(stock_await(h, HOST_READY, 1), HOST_READY);
	ck_assert_msg(host_swap(h, false, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(stock_await(h, HOST_DONE, 2), HOST_DONE);
	stock_grow(10);
	stock_await_applied(script_seq(&stock_script));
	host_close(h);
	stock_teardown();
}
END_TEST

START_TEST(test_old_version_goes_after_its_time)
{
	struct host_replay_options o = { .force = true };
	struct err e = ERR_INIT;
	struct host_status s;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_settings.project_keep_applied_ms = 300;
	stock_grow(10);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	stock_write(true);
	ck_assert_int_eq(host_replay(h, &o, &e), 0);
	stock_await(h, HOST_DONE, 2);
	for (int i = 0; i < 300; i++) {
		host_status(h, &s);
		if (s.version_count == 1)
			break;
		clock_sleep_us(10000);
	}
	ck_assert_uint_eq(s.version_count, 1);
	ck_assert_int_lt(host_rollback(h, false, &e), 0);
	host_close(h);
	stock_teardown();
}
END_TEST

START_TEST(test_what_heals_is_tried_again)
{
	struct host_replay_options o = { .no_swap = false };
	struct err e = ERR_INIT;
	struct host *h;

	unit_seed();
	stock_setup();
	log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
	stock_grow(300);
	stock_script.fail_every = 1501;
	h = stock_host();
	ck_assert_int_eq(stock_await(h, HOST_DONE, 1), HOST_DONE);
	stock_write(true);
	ck_assert_int_eq(host_replay(h, &o, &e), 0);
	ck_assert_int_eq(stock_await(h, HOST_DONE, 2), HOST_DONE);
	stock_grow(50);
	stock_await_applied(script_seq(&stock_script));
	ck_assert_int_gt(stock_script.fails, 1);
	host_close(h);
	stock_teardown();
}
END_TEST

START_TEST(test_poison_stops_and_replay_repairs)
{
	struct host_replay_options o = { .no_swap = false };
	struct err e = ERR_INIT;
	struct host_status s;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_grow(50);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	stock_await_applied(script_seq(&stock_script));
	stock_script.poison_seq = script_seq(&stock_script) + 1;
	stock_grow(5);
	for (int i = 0; i < 500; i++) {
		host_status(h, &s);
		if (s.versions[0].worker.state == WORKER_FAILED)
			break;
		clock_sleep_us(10000);
	}
	ck_assert_int_eq(s.versions[0].worker.state, WORKER_FAILED);
	ck_assert_int_eq(s.versions[0].worker.kind, ERR_DATA);
	ck_assert_ptr_nonnull(strstr(s.versions[0].worker.message, "offset"));
	/* all before the poison is there, and nothing of its transaction */
	ck_assert_int_lt(stock_check(NULL), stock_script.poison_seq);
	ck_assert_int_eq(stock_check(NULL), stock_script.ends[49]);
	stock_write(true);
	ck_assert_int_eq(host_replay(h, &o, &e), 0); /* poison stops a replay too */
	ck_assert_int_eq(stock_await(h, HOST_DONE, 2), HOST_FAILED);
	host_status(h, &s);
	ck_assert_int_eq(s.live, 1);
	ck_assert_int_eq(s.job_err.kind, ERR_DATA);
	stock_script.poison_seq = 0;
	o.force = true;
	ck_assert_msg(host_replay(h, &o, &e) == 0, "%s", e.msg);
	/* numbers are never used twice */
	ck_assert_int_eq(stock_await(h, HOST_DONE, 3), HOST_DONE);
	stock_await_applied(script_seq(&stock_script));
	host_close(h);
	stock_teardown();
}
END_TEST

START_TEST(test_history_that_begins_late)
{
	struct host_replay_options o = { .no_swap = false };
	struct err e = ERR_INIT;
	struct host_status s;
	struct host *h;

	unit_seed();
	stock_setup();
	stock_grow(10);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	stock_script.begins_late = true;
	stock_write(true);
	ck_assert_int_eq(host_replay(h, &o, &e), 0);
	ck_assert_int_eq(stock_await(h, HOST_DONE, 2), HOST_FAILED);
	host_status(h, &s);
	ck_assert_ptr_nonnull(strstr(s.job_err.msg, "begins at offset"));
	stock_grow(10);
	stock_await_applied(script_seq(&stock_script)); /* the live version goes on */
	host_close(h);
	stock_teardown();
}
END_TEST

START_TEST(test_outside_hold)
{
	struct err e = ERR_INIT;
	char *gtid = NULL;
	int64_t seq;
	struct host *h;
	int version;

	unit_seed();
	stock_setup();
	stock_grow(30);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	stock_await_applied(script_seq(&stock_script));
	ck_assert_msg(host_hold(h, 0, &version, &gtid, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(version, 1);
	ck_assert_str_eq(gtid, "0-1-30");
	ck_assert_int_lt(host_hold(h, 0, &version, &gtid, &e), 0); /* somebody else */
	seq = stock_check(NULL);
	stock_grow(10);
	clock_sleep_us(200000);
	ck_assert_int_eq(stock_check(NULL), seq);
	ck_assert_msg(host_advance(h, "0-1-34", 5000, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(stock_check(NULL), stock_script.ends[33]);
	ck_assert_int_lt(host_advance(h, "0-1-9999", 200, &e), 0);
	ck_assert_int_eq(e.kind, ERR_RETRY);
	host_release(h);
	stock_await_applied(script_seq(&stock_script));
	ck_assert_int_lt(host_advance(h, "0-1-34", 100, &e), 0); /* not held */
	free(gtid);
	host_close(h);
	stock_teardown();
}
END_TEST

/* The source's snapshot may stand at a transaction that was not captured: nothing behind it may be
 * applied, whether it has arrived or not. */
START_TEST(test_advance_between_captured_transactions)
{
	struct err e = ERR_INIT;
	char *gtid = NULL;
	struct host *h;
	int version;

	unit_seed();
	stock_setup();
	stock_script.gtid_step = 10;
	stock_grow(30);
	h = stock_host();
	stock_await(h, HOST_DONE, 1);
	stock_await_applied(script_seq(&stock_script));
	ck_assert_msg(host_hold(h, 0, &version, &gtid, &e) == 0, "%s", e.msg);
	stock_grow(10);
	ck_assert_msg(host_advance(h, "0-1-345", 5000, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(stock_check(NULL), stock_script.ends[33]);
	ck_assert_msg(host_advance(h, "0-1-400", 5000, &e) == 0, "%s", e.msg);
	ck_assert_int_lt(host_advance(h, "0-1-405", 300, &e), 0); /* nobody can know yet */
	ck_assert_int_eq(e.kind, ERR_RETRY);
	host_release(h);
	clock_sleep_us(100000);
	stock_grow(1);
	stock_await_applied(script_seq(&stock_script));
	free(gtid);
	host_close(h);
	stock_teardown();
}
END_TEST

START_TEST(test_one_owner)
{
	struct host_options o = { .settings = &stock_settings,
				  .name = "stock",
				  .store = &store_sqlite,
				  .source = { &script_feed_ops, &stock_script } };
	struct err e = ERR_INIT;
	struct host *h, *second;

	unit_seed();
	stock_setup();
	stock_grow(5);
	h = stock_host();
	ck_assert_int_lt(host_open(&o, &second, &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.msg, "belongs to process"));
	host_close(h);
	h = stock_host();
	host_close(h);
	stock_teardown();
}
END_TEST

/* A process that works on the view and dies at a random moment, again and again; the files are
 * checked after each death. */
static void work_and_die(bool replay)
{
	struct host_replay_options o = { .force = true };
	struct err e = ERR_INIT;
	struct host_status s;
	struct host *h = stock_host();
	int64_t until = clock_monotonic_us() + 20000 + (int64_t)unit_random_below(250000);
	bool asked = false;

	while (clock_monotonic_us() < until) {
		host_status(h, &s);
		if (replay && !asked && s.live != 0) {
			stock_write(s.versions[s.version_count - 1].version % 2 == 1);
			(void)host_replay(h, &o, &e);
			asked = true;
		}
		clock_sleep_us(1000);
	}
	raise(SIGKILL);
}

START_TEST(test_killed_at_any_moment)
{
	struct host_status s;
	struct host *h;
	int version = 0, swaps = 0;

	unit_seed();
	stock_setup();
	stock_grow(3000);
	for (int round = 0; round < 25; round++) {
		uint64_t seed = unit_random64();
		char public[600];
		int status, now;
		pid_t pid = fork();

		if (pid == 0) {
			unit_random_state = seed;
			work_and_die(round > 2);
			_exit(1);
		}
		waitpid(pid, &status, 0);
		ck_assert_int_eq(WTERMSIG(status), SIGKILL);
		snprintf(public, sizeof(public), "%s/stock.db", stock_settings.state_dir);
		if (access(public, F_OK) != 0)
			continue;
		stock_check(&now);
		swaps += now != version;
		version = now;
	}
	h = stock_host();
	for (int i = 0; i < 1000; i++) {
		host_status(h, &s);
		if (s.live != 0 && (s.phase == HOST_DONE || s.phase == HOST_IDLE))
			break;
		clock_sleep_us(10000);
	}
	stock_await_applied(script_seq(&stock_script));
	printf("swaps seen over 25 kills: %d\n", swaps);
	host_close(h);
	stock_teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("replay");

	unit_test_slow(s, test_reconciling_is_shown, 60);
	unit_test_slow(s, test_full_disk_heals, 60);
	unit_test_slow(s, test_replay_on_a_full_disk, 60);
	unit_test_slow(s, test_first_build_goes_live, 30);
	unit_test_slow(s, test_incomplete_view_does_not_go_live, 30);
	unit_test_slow(s, test_replay_beside_live_traffic, 60);
	unit_test_slow(s, test_no_swap_then_swap, 30);
	unit_test_slow(s, test_old_version_goes_after_its_time, 30);
	unit_test_slow(s, test_what_heals_is_tried_again, 60);
	unit_test_slow(s, test_poison_stops_and_replay_repairs, 30);
	unit_test_slow(s, test_history_that_begins_late, 30);
	unit_test_slow(s, test_outside_hold, 30);
	unit_test_slow(s, test_advance_between_captured_transactions, 30);
	unit_test_slow(s, test_one_owner, 30);
	unit_test_slow(s, test_killed_at_any_moment, 60);
	return unit_run(s);
}
