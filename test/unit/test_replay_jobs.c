/* test_replay_jobs.c - what a replay may be asked besides the plain one, and what is done about
 * records that can't be applied. */
#include "test/unit/unit.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/sql/store_db.h"
#include "test/lib/stock.h"

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

int main(void)
{
	Suite *s = suite_create("replay_jobs");

	unit_test_slow(s, test_poison_is_parked_live, 60);
	return unit_run(s);
}
