/* stock.c - see stock.h. */
#include "test/lib/stock.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/sql/store_db.h"
#include "test/lib/folder.h"
#include "test/unit/unit.h"

#define ADDED 1000000

struct script stock_script;
struct settings stock_settings;
const char *stock_dir;

void stock_write(bool changed)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/views", stock_dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/views/stock", stock_dir);
	mkdir(path, 0755);
	folder_write(path, "view.conf", "owner = shop\ninputs = items\n");
	folder_write(
		path, "tables.sql",
		"CREATE TABLE item (id INTEGER PRIMARY KEY, value INTEGER NOT NULL, seq INTEGER "
		"NOT NULL);\n"
		"-- after build\nCREATE INDEX item_value ON item (value);\n");
	folder_write(path, "on/ItemPut.sql",
		     changed ? "INSERT INTO item VALUES (:id, :value + 1000000, :seq)\n"
			       "ON CONFLICT (id) DO UPDATE SET value = excluded.value, seq = "
			       "excluded.seq"
			     : "INSERT INTO item VALUES (:id, :value, :seq)\n"
			       "ON CONFLICT (id) DO UPDATE SET value = excluded.value, seq = "
			       "excluded.seq");
	folder_write(path, "on/ItemGone.sql", "DELETE FROM item WHERE id = :id");
}

void stock_setup(void)
{
	static char state[512], views[512];
	stock_dir = folder_new();
	log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
	snprintf(state, sizeof(state), "%s/state", stock_dir);
	snprintf(views, sizeof(views), "%s/views", stock_dir);
	stock_settings = (struct settings){ .name = (char *)(uintptr_t) "test",
					    .state_dir = state,
					    .project_views_dir = views,
					    .project_memory = 1 << 20,
					    .project_keep_applied_ms = 3600000 };
	script_init(&stock_script);
	stock_write(false);
}

void stock_teardown(void)
{
	script_done(&stock_script);
	folder_remove(stock_dir);
}

void stock_grow(int transactions)
{
	for (int i = 0; i < transactions; i++)
		script_add(&stock_script, 1 + unit_random_below(20), unit_random64);
}

struct host *stock_host(void)
{
	struct host_options o = { .settings = &stock_settings,
				  .name = "stock",
				  .store = &store_sqlite,
				  .source = { &script_feed_ops, &stock_script } };
	struct err e = ERR_INIT;
	struct host *h;

	ck_assert_msg(host_open(&o, &h, &e) == 0, "%s", e.msg);
	return h;
}

/* Waits until the phase is there (or failed, which is returned too). */
enum host_phase stock_await(struct host *h, enum host_phase phase, int live)
{
	struct host_status s;

	for (int i = 0; i < 12000; i++) { /* two minutes: other work may have the machine */
		host_status(h, &s);
		if ((s.phase == phase && (live == 0 || s.live == live)) || s.phase == HOST_FAILED)
			return s.phase;
		clock_sleep_us(10000);
	}
	ck_abort_msg("phase %s did not come; it is %s", host_phase_name(phase),
		     host_phase_name(s.phase));
	return s.phase;
}

/* Reads one file in one transaction and holds it against the history. Returns its seq. */
static int64_t check_file(const char *path, int *ret_version)
{
	int64_t truth[SCRIPT_IDS], seq = 0, version = 0, changed = 0, rows = 0, want = 0;
	struct err e = ERR_INIT;
	struct sql_statement *s;
	struct sql_db *db;

	ck_assert_msg(sql_open_db(path, SQL_OPEN_READ, &db, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(sql_run(db, "BEGIN", &e), 0);
	ck_assert_msg(sql_get_int(db, "SELECT seq FROM millrace_position", &seq, &e) == 0, "%s",
		      e.msg);
	ck_assert_int_eq(sql_get_int(db, "SELECT version FROM millrace_view", &version, &e), 0);
	ck_assert_int_eq(
		sql_get_int(db,
			    "SELECT content LIKE '%1000000%' FROM millrace_definition WHERE path = "
			    "'on/ItemPut.sql'",
			    &changed, &e),
		0);
	script_state(&stock_script, seq, truth);
	ck_assert_int_eq(sql_prepare(db, "test", "SELECT id, value FROM item", NULL, &s, &e), 0);
	while (sql_step(s, &e) == 1) {
		struct value id, value;

		sql_column(s, 0, &id);
		sql_column(s, 1, &value);
		ck_assert_msg(truth[id.i] >= 0 && truth[id.i] + changed * ADDED == value.i,
			      "version %d at seq %lld: id %lld is %lld, must be %lld", (int)version,
			      (long long)seq, (long long)id.i, (long long)value.i,
			      (long long)(truth[id.i] + changed * ADDED));
		rows++;
	}
	for (int i = 0; i < SCRIPT_IDS; i++)
		want += truth[i] >= 0;
	ck_assert_int_eq(rows, want);
	sql_finalize(s);
	sql_close(db);
	if (ret_version != NULL)
		*ret_version = (int)version;
	return seq;
}

int64_t stock_check(int *ret_version)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/stock.db", stock_settings.state_dir);
	return check_file(path, ret_version);
}

void stock_await_applied(int64_t seq)
{
	for (int i = 0; i < 1000 && stock_check(NULL) < seq; i++)
		clock_sleep_us(10000);
	ck_assert_int_ge(stock_check(NULL), seq);
}
