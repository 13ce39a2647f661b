/* test_diff.c - comparing two tables: against a plain model with random rows, and versions of
 * different shape. */
#include "test/unit/unit.h"

#include "core/base/mem.h"
#include "projections/verify/compare.h"
#include "test/lib/folder.h"

#define KEYS 40

struct side {
	int64_t key[KEYS], value[KEYS];
	size_t count, at;
	struct value row[2];
};

static int next(void *context, const struct value **ret_values, struct err *e)
{
	struct side *s = context;

	(void)e;
	if (s->at == s->count)
		return 0;
	s->row[0] = (struct value){ .kind = VALUE_INT, .i = s->key[s->at] };
	s->row[1] = (struct value){ .kind = s->value[s->at] < 0 ? VALUE_NULL : VALUE_INT,
				    .i = s->value[s->at] };
	s->at++;
	*ret_values = s->row;
	return 1;
}

static struct side random_side(void)
{
	struct side s = { .count = 0 };

	for (int64_t k = 0; k < KEYS; k++) {
		if (unit_random_below(3) == 0)
			continue;
		s.key[s.count] = k;
		s.value[s.count++] = (int64_t)unit_random_below(4) - 1;
	}
	return s;
}

static int find(const struct side *s, int64_t key)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->key[i] == key)
			return (int)i;
	}
	return -1;
}

START_TEST(test_against_a_model)
{
	char *columns[] = { (char *)(uintptr_t) "id", (char *)(uintptr_t) "v" };

	unit_seed();
	for (int round = 0; round < 500; round++) {
		struct side left = random_side(), right = random_side();
		struct compare_reader l = { next, &left, NULL }, r = { next, &right, NULL };
		struct compare *c = compare_new("old", "new");
		struct err e = ERR_INIT;
		struct compare_table *t;
		int64_t want[3] = { 0 };
		struct buf json = BUF_INIT;

		for (int64_t k = 0; k < KEYS; k++) {
			int a = find(&left, k), b = find(&right, k);

			want[0] += a >= 0 && b < 0;
			want[1] += a < 0 && b >= 0;
			want[2] += a >= 0 && b >= 0 && left.value[a] != right.value[b];
		}
		ck_assert_int_eq(compare_add(c, "t", columns, NULL, 2, columns, 1, NULL, &t, &e),
				 0);
		ck_assert_int_eq(compare_run(t, &l, &r, NULL, NULL, &e), 0);
		for (int i = 0; i < 3; i++)
			ck_assert_int_eq(t->counts[i], want[i]);
		ck_assert_int_eq(t->column_changes[1], want[2]);
		ck_assert_int_eq(t->column_changes[0], 0);
		ck_assert_int_eq(compare_differences(c), want[0] + want[1] + want[2]);
		compare_json(c, &json);
		ck_assert_int_eq(buf_cstr(&json)[json.size - 1], '}');
		buf_done(&json);
		compare_free(c);
	}
}
END_TEST

START_TEST(test_key_must_be_compared)
{
	char *columns[] = { (char *)(uintptr_t) "v" }, *key[] = { (char *)(uintptr_t) "id" };
	struct compare *c = compare_new("view", "source");
	struct err e = ERR_INIT;
	struct compare_table *t;

	ck_assert_int_lt(compare_add(c, "t", columns, NULL, 1, key, 1, xstrdup("note"), &t, &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	compare_free(c);
}
END_TEST

static struct view *view_of(const char *tables)
{
	struct view_files files = { 0 };
	struct err e = ERR_INIT;
	struct view *v;

	view_files_add(&files, "view.conf", xstrdup("inputs = x"));
	view_files_add(&files, "tables.sql", xstrdup(tables));
	view_files_add(&files, "on/X.sql", xstrdup("DELETE FROM t"));
	ck_assert_msg(view_from_files("v", "v", &files, &v, &e) == 0, "%s", e.msg);
	return v;
}

START_TEST(test_changed_shape)
{
	const char *dir = folder_new();
	struct view *a = view_of(
		"CREATE TABLE t (id TEXT PRIMARY KEY COLLATE NOCASE, x, gone); INSERT INTO t "
		"VALUES ('a', 1, 2), "
		"('B', 1, 2), ('c', 1, 2)");
	struct view *b = view_of(
		"CREATE TABLE t (id TEXT PRIMARY KEY COLLATE NOCASE, x, fresh); INSERT INTO t "
		"VALUES ('a', 1, 5), "
		"('B', 2, 5), ('d', 1, 2); CREATE TABLE u (id INTEGER PRIMARY KEY); INSERT INTO u "
		"VALUES (1)");
	struct store_snapshot *old, *new;
	struct err e = ERR_INIT;
	struct settings settings = { .state_dir = (char *)(uintptr_t)dir };
	struct store *store;
	struct compare *c;

	ck_assert_int_eq(store_sqlite.open(&settings, "v", &store, &e), 0);
	ck_assert_msg(store_sqlite.create(store, a, 1, true, &e) == 0, "%s", e.msg);
	ck_assert_msg(store_sqlite.create(store, b, 2, true, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(store_sqlite.snapshot(store, 1, &old, &e), 0);
	ck_assert_int_eq(store_sqlite.snapshot(store, 2, &new, &e), 0);
	ck_assert_msg(compare_snapshots(&store_sqlite, b, old, new, NULL, NULL, &c, &e) == 0, "%s",
		      e.msg);
	ck_assert_uint_eq(c->table_count, 2);
	ck_assert_ptr_nonnull(strstr(c->tables[0].note, "fresh is new"));
	ck_assert_ptr_nonnull(strstr(c->tables[0].note, "gone is gone"));
	ck_assert_int_eq(c->tables[0].counts[COMPARE_ONLY_LEFT], 1);
	ck_assert_int_eq(c->tables[0].counts[COMPARE_ONLY_RIGHT], 1);
	ck_assert_int_eq(c->tables[0].counts[COMPARE_CHANGED], 1);
	ck_assert_ptr_nonnull(strstr(c->tables[1].note, "no such table"));
	ck_assert_int_eq(c->tables[1].right_rows, 1);
	compare_free(c);
	store_sqlite.snapshot_close(old);
	store_sqlite.snapshot_close(new);
	store->ops->close(store);
	view_free(a);
	view_free(b);
	folder_remove(dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("diff");

	unit_test(s, test_against_a_model);
	unit_test(s, test_key_must_be_compared);
	unit_test(s, test_changed_shape);
	return unit_run(s);
}
