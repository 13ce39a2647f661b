/* test_reconcile.c - the queue of reconciling copies: what is merged, what is kept, what a restart
 * finds again. */
#include "cdc/copy/reconcile.h"
#include "test/unit/unit.h"

#include <string.h>

static bool copying(void *context, const char *db, const char *table)
{
	(void)db;
	(void)table;
	return *(bool *)context;
}

static int64_t rows_estimate(void *context, const char *db, const char *table)
{
	(void)context;
	(void)db;
	(void)table;
	return 7;
}

static bool busy = true; /* every table is being copied: nothing begins */
static struct settings settings = { .copy_chunk_rows = 100, .capture_memory = 1 << 24 };

static struct reconcile *queue(void)
{
	struct reconcile_options options = { .settings = &settings,
					     .copying = copying,
					     .rows_estimate = rows_estimate,
					     .context = &busy };
	struct reconcile *r = NULL;
	struct err e = ERR_INIT;

	ck_assert(reconcile_new(&options, &r, &e) == 0);
	return r;
}

static void want(struct reconcile *r, const char *table, const char *where)
{
	struct err e = ERR_INIT;

	ck_assert_msg(reconcile_want(r, "db", table, where, "why", &e) == 0, "%s", e.msg);
}

static size_t count(struct reconcile *r)
{
	size_t n;

	(void)reconcile_positions(r, &n);
	return n;
}

START_TEST(test_merged)
{
	struct reconcile *r = queue();

	want(r, "a", "x = 1");
	want(r, "a", "x = 1");
	ck_assert_uint_eq(count(r), 1);
	want(r, "a", "x = 2");
	want(r, "b", "x = 1");
	ck_assert_uint_eq(count(r), 3);
	want(r, "a", ""); /* does the work of both */
	ck_assert_uint_eq(count(r), 2);
	want(r, "a", "x = 3");
	want(r, "a", "");
	ck_assert_uint_eq(count(r), 2);
	ck_assert_int_eq(reconcile_id_of(r, "db", "a", "x = 9"), 4);
	ck_assert_int_eq(reconcile_id_of(r, "db", "b", ""), 0);
	ck_assert_uint_eq(reconcile_reconciling(r).count, 2);
	reconcile_free(r);
}
END_TEST

/* A paused one covers nothing: it may rest for ever. */
START_TEST(test_paused)
{
	struct reconcile *r = queue();

	want(r, "a", "");
	ck_assert_uint_eq(reconcile_pause(r, "db", "a", true), 1);
	ck_assert_uint_eq(reconcile_pause(r, "db", "a", true), 0);
	want(r, "a", "");
	ck_assert_uint_eq(count(r), 2);
	ck_assert_uint_eq(reconcile_reconciling(r).count, 1);
	ck_assert_uint_eq(reconcile_pause(r, NULL, NULL, false), 1);
	ck_assert_uint_eq(reconcile_stop(r, "db", "b"), 0);
	ck_assert_uint_eq(reconcile_stop(r, "db", "a"), 2);
	ck_assert_uint_eq(count(r), 0);
	reconcile_free(r);
}
END_TEST

START_TEST(test_emptied)
{
	struct reconcile *r = queue();

	want(r, "a", "");
	want(r, "b", "");
	reconcile_emptied(r, "db", "a");
	ck_assert_uint_eq(count(r), 1);
	want(r, "a", ""); /* what came after counts */
	ck_assert_uint_eq(count(r), 2);
	reconcile_free(r);
}
END_TEST

START_TEST(test_restarted)
{
	const char *key[] = { "5", "'x'" };
	const struct position_copy copies[] = {
		{ .db = "db", .table = "f", .kind = "first", .done = true },
		{ .db = "db",
		  .table = "a",
		  .kind = "reconcile",
		  .id = 9,
		  .done = true,
		  .why = "",
		  .where = "" },
		{ .db = "db",
		  .table = "a",
		  .kind = "reconcile",
		  .id = 7,
		  .chunks = 3,
		  .rows = 30,
		  .why = "ALTER",
		  .where = "",
		  .last_key = { key, 2 } },
		{ .db = "db",
		  .table = "b",
		  .kind = "reconcile",
		  .id = 8,
		  .why = "",
		  .where = "x",
		  .paused = true },
	};
	struct reconcile *r = queue();
	const struct position_copy *found;
	size_t n;

	reconcile_resume(r, copies, 4);
	found = reconcile_positions(r, &n);
	ck_assert_uint_eq(n, 3);
	ck_assert(found[0].done);
	ck_assert_int_eq(found[0].id, 9);
	ck_assert_int_eq(found[1].chunks, 3);
	ck_assert_str_eq(found[1].why, "ALTER");
	ck_assert_uint_eq(found[1].last_key.count, 2);
	ck_assert_str_eq(found[1].last_key.items[1], "'x'");
	ck_assert(found[2].paused);
	ck_assert_str_eq(found[2].where, "x");
	want(r, "a", ""); /* the one that has begun does not cover it */
	found = reconcile_positions(r, &n);
	ck_assert_uint_eq(n, 4);
	ck_assert_int_eq(found[3].id, 10);
	ck_assert_str_eq(reconcile_status(r, &n)[0].table, "db.a");
	ck_assert_uint_eq(n, 3);
	reconcile_free(r);
}
END_TEST

START_TEST(test_waits_for_the_first_copy)
{
	struct copy_place place = { NULL, "", 0, 0, NULL };
	struct reconcile *r = queue();
	enum reconcile_answer answer;
	struct err e = ERR_INIT;
	struct buf json = BUF_INIT;

	ck_assert_int_eq(reconcile_wait_ms(r), -1);
	want(r, "a", "");
	for (int i = 0; i < 10; i++) {
		ck_assert(reconcile_step(r, &place, false, &answer, &e) == 0);
		ck_assert_int_eq(answer, RECONCILE_NOTHING);
	}
	reconcile_json(r, &json);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&json), "\"state\":\"waiting\""));
	buf_done(&json);
	reconcile_free(r);
}
END_TEST

START_TEST(test_too_many)
{
	struct reconcile *r = queue();
	struct err e = ERR_INIT;
	char table[20];

	for (int i = 0; i < RECONCILE_WANTS_MAX; i++) {
		snprintf(table, sizeof(table), "t%d", i);
		want(r, table, "");
	}
	ck_assert(reconcile_want(r, "db", "other", "", "why", &e) < 0);
	ck_assert(reconcile_want(r, "db", "t5", "", "why", &e) == 0);
	reconcile_free(r);
}
END_TEST

static void want_key(struct reconcile *r, const char *table, const char *columns, const char *value)
{
	struct reconcile_key key = { "db", table, columns, "d3.0;", value };
	struct err e = ERR_INIT;

	ck_assert_msg(reconcile_want_key(r, &key, "why", &e) == 0, "%s", e.msg);
}

/* Values of one foreign key are compared together; one of all rows does their work. */
START_TEST(test_keys)
{
	struct reconcile *r = queue(), *again = queue();
	const struct position_copy *found;
	size_t n;

	want_key(r, "c", "`p`", "0401000000");
	want_key(r, "c", "`p`", "0401000000");
	want_key(r, "c", "`p`", "0402000000");
	ck_assert_uint_eq(count(r), 1);
	ck_assert_uint_eq(reconcile_positions(r, &n)[0].keys.count, 4);
	ck_assert_int_eq(reconcile_id_of(r, "db", "c", ""), 0);
	ck_assert_int_eq(reconcile_id_of(r, "db", "c", "x"), 0);
	want_key(r, "c", "`q`", "0402000000");
	ck_assert_uint_eq(count(r), 2);
	found = reconcile_positions(r, &n);
	reconcile_resume(again, found, n);
	ck_assert_uint_eq(count(again), 2);
	ck_assert_str_eq(reconcile_positions(again, &n)[0].keys.items[3], "0402000000");
	want(r, "c", "");
	ck_assert_uint_eq(count(r), 1);
	want_key(r, "c", "`p`", "0403000000");
	ck_assert_uint_eq(count(r), 1);
	ck_assert_uint_eq(reconcile_positions(r, &n)[0].keys.count, 0);
	reconcile_free(r);
	reconcile_free(again);
}
END_TEST

START_TEST(test_too_many_keys)
{
	struct reconcile *r = queue();
	char text[20];
	size_t n;

	for (int i = 0; i <= RECONCILE_KEYS_MAX; i++) {
		ck_assert_uint_eq(count(r), i > 0);
		snprintf(text, sizeof(text), "04%08x", (unsigned)i);
		want_key(r, "c", "`p`", text);
	}
	ck_assert_uint_eq(count(r), 1);
	ck_assert_uint_eq(reconcile_positions(r, &n)[0].keys.count, 0); /* of all rows now */
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "t%d", i);
		want_key(r, text, "`p`", "0401000000");
	}
	ck_assert_uint_eq(count(r), 21);
	ck_assert_uint_gt(reconcile_positions(r, &n)[8].keys.count, 0);
	ck_assert_uint_eq(reconcile_positions(r, &n)[9].keys.count,
			  0); /* the position has limits */
	reconcile_free(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("reconcile");

	unit_test(s, test_merged);
	unit_test(s, test_paused);
	unit_test(s, test_emptied);
	unit_test(s, test_keys);
	unit_test(s, test_too_many_keys);
	unit_test(s, test_restarted);
	unit_test(s, test_waits_for_the_first_copy);
	unit_test_slow(s, test_too_many, 30);
	return unit_run(s);
}
