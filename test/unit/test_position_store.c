/* test_position_store.c - how the position is written: what changed, and nothing else. */
#include "cdc/delivery/position_store.h"
#include "core/base/mem.h"
#include "test/unit/unit.h"

#include <stdlib.h>

#define TABLES 10000
#define KEYS_MAX 16

static struct {
	size_t count, bytes, tombstones;
	char keys[KEYS_MAX][128]; /* the last ones */
} sent;

static int send(void *context, struct slice key, struct slice value, struct err *e)
{
	(void)context, (void)e;
	snprintf(sent.keys[sent.count++ % KEYS_MAX], sizeof(sent.keys[0]), "%.*s", (int)key.size,
		 (const char *)key.data);
	sent.bytes += value.size;
	sent.tombstones += value.data == NULL;
	return 0;
}

static const char *last_key(size_t back)
{
	return sent.keys[(sent.count - 1 - back) % KEYS_MAX];
}

static void forget(void)
{
	memset(&sent, 0, sizeof(sent));
}

START_TEST(test_only_what_changed)
{
	const struct position_stored nothing = { .found = false };
	struct position_writer *w = position_writer_new("cap", 3, &nothing, true);
	struct position_copy *copies = xcalloc(TABLES, sizeof(*copies));
	struct position_record r = { .seq = 1,
				     .gtid_set = "0-1-1",
				     .copies = copies,
				     .copy_count = TABLES,
				     .fingerprint = "table a.*\n" };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < TABLES; i++)
		copies[i] = (struct position_copy){ .db = "a",
						    .table = xasprintf("t%zu", i),
						    .kind = "first" };
	ck_assert_int_eq(position_write(w, &r, send, NULL, &e), 0);
	ck_assert_uint_eq(sent.count, TABLES + 2);
	ck_assert_str_eq(last_key(0), "cap"); /* the position itself comes last */
	ck_assert_str_eq(last_key(1), "cap/fingerprint");
	ck_assert_str_eq(last_key(2), "cap/copy/first/0/a.t9999");

	forget(); /* nothing but the seq: a group commit of any stream */
	r.seq = 2;
	ck_assert_int_eq(position_write(w, &r, send, NULL, &e), 0);
	ck_assert_uint_eq(sent.count, 1);
	ck_assert_uint_lt(sent.bytes, 64);

	forget(); /* one table goes on */
	copies[7].chunks = 1;
	copies[7].rows = 20;
	ck_assert_int_eq(position_write_next(w, &r, send, NULL, &e), 0);
	ck_assert_uint_eq(sent.count, 1);
	ck_assert_str_eq(last_key(0), "cap/next");
	ck_assert_uint_lt(sent.bytes, 128);
	ck_assert_int_eq(position_write(w, &r, send, NULL, &e), 0);
	ck_assert_uint_eq(sent.count, 3);
	ck_assert_str_eq(last_key(1), "cap/copy/first/0/a.t7");

	forget(); /* one is no more, another has two copies */
	free((char *)(uintptr_t)copies[0].table);
	copies[0] = copies[1];
	copies[0].kind = "reconcile";
	copies[0].id = 4;
	ck_assert_int_eq(position_write(w, &r, send, NULL, &e), 0);
	ck_assert_uint_eq(sent.count, 3);
	ck_assert_uint_eq(sent.tombstones, 1);
	ck_assert_str_eq(last_key(1), "cap/copy/first/0/a.t0");
	ck_assert_str_eq(last_key(2), "cap/copy/reconcile/4/a.t1");
	for (size_t i = 1; i < TABLES; i++)
		free((char *)(uintptr_t)copies[i].table);
	free(copies);
	position_writer_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("position_store");

	unit_test_slow(s, test_only_what_changed, 30);
	return unit_run(s);
}
