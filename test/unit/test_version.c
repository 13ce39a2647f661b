/* test_version.c - versions of a view in the SQLite store: rows and position together, fencing, the
 * public name, the lease, what a crash leaves. */
#include "test/unit/unit.h"

#include "core/base/mem.h"
#include "projections/store/lease.h"
#include "projections/store/store.h"
#include "test/lib/folder.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *dir;
static struct settings settings;
static struct store *store;
static struct view *view;

static void setup(void)
{
	struct view_files files = { 0 };
	struct err e = ERR_INIT;

	dir = folder_new();
	view_files_add(&files, "view.conf", xstrdup("inputs = x\nowner = me"));
	view_files_add(
		&files, "tables.sql",
		xstrdup("CREATE TABLE t (id INTEGER PRIMARY KEY, v);\n-- after build\nCREATE "
			"INDEX t_v ON t (v);"));
	view_files_add(&files, "on/Put.sql", xstrdup("INSERT INTO t VALUES (:id, :v)"));
	ck_assert_msg(view_from_files("v", "v", &files, &view, &e) == 0, "%s", e.msg);
	settings.state_dir = (char *)(uintptr_t)dir;
	ck_assert_msg(store_sqlite.open(&settings, "v", &store, &e) == 0, "%s", e.msg);
}

static void teardown(void)
{
	store->ops->close(store);
	view_free(view);
	folder_remove(dir);
}

static struct store_version *open_version(int version)
{
	struct store_version *v;
	struct err e = ERR_INIT;

	ck_assert_msg(store_sqlite.version_open(store, version, &v, &e) == 0, "%s", e.msg);
	return v;
}

static void create(int version)
{
	struct err e = ERR_INIT;

	ck_assert_msg(store_sqlite.create(store, view, version, true, &e) == 0, "%s", e.msg);
}

static int put(struct store_version *v, int64_t id, struct err *e)
{
	struct target *t = store_sqlite.target(v);
	struct value value = { .kind = VALUE_INT, .i = id };
	const struct value *values[] = { &value, &value };
	struct target_statement *s;
	int rc;

	if (t->ops->prepare(t, "put", "INSERT INTO t VALUES (:id, :v)",
			    "INSERT INTO t VALUES (:id, :v)", NULL, &s, e) < 0)
		return -1;
	rc = t->ops->execute(s, values, e);
	t->ops->finalize(s);
	return rc;
}

static int commit(struct store_version *v, int64_t seq, struct err *e)
{
	struct store_mark mark = { slice_str("{\"seq\":1}"), seq, seq * 10, "0-1-5" };

	return store_sqlite.commit(v, &mark, e);
}

static int64_t rows(int version)
{
	struct store_snapshot *n;
	struct err e = ERR_INIT;
	int64_t count = -1;

	ck_assert_msg(store_sqlite.snapshot(store, version, &n, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(store_sqlite.row_count(n, "t", &count, &e), 0);
	store_sqlite.snapshot_close(n);
	return count;
}

static struct store_info info_of(int version)
{
	struct store_info *infos, found = { 0 };
	struct err e = ERR_INIT;
	size_t count;

	ck_assert_msg(store_sqlite.list(store, &infos, &count, &e) == 0, "%s", e.msg);
	for (size_t i = 0; i < count; i++) {
		if (infos[i].version == version)
			found = infos[i];
	}
	free(infos);
	return found;
}

START_TEST(test_rows_and_position_together)
{
	struct err e = ERR_INIT;
	struct store_version *v;
	char *text = NULL;

	setup();
	create(1);
	v = open_version(1);
	ck_assert_int_eq(store_sqlite.position(v, &text, &e), 0);
	ck_assert_ptr_null(text);
	ck_assert_int_eq(store_sqlite.begin(v, &e), 0);
	ck_assert_int_eq(put(v, 1, &e), 0);
	ck_assert_int_eq(commit(v, 7, &e), 0);
	ck_assert_int_eq(store_sqlite.begin(v, &e), 0);
	ck_assert_int_eq(put(v, 2, &e), 0);
	store_sqlite.version_close(v); /* not committed */
	ck_assert_int_eq(rows(1), 1);
	ck_assert_int_eq(info_of(1).seq, 7);
	ck_assert_int_eq(info_of(1).commit_us, 70);
	ck_assert_str_eq(info_of(1).gtid_set, "0-1-5");
	v = open_version(1);
	ck_assert_int_eq(store_sqlite.position(v, &text, &e), 0);
	ck_assert_str_eq(text, "{\"seq\":1}");
	free(text);
	store_sqlite.version_close(v);
	teardown();
}
END_TEST

START_TEST(test_second_writer_fences_the_first)
{
	struct err e = ERR_INIT;
	struct store_version *first, *second;

	setup();
	create(1);
	first = open_version(1);
	second = open_version(1);
	ck_assert_int_eq(store_sqlite.begin(first, &e), 0);
	ck_assert_int_eq(put(first, 1, &e), 0);
	ck_assert_int_lt(commit(first, 1, &e), 0);
	ck_assert_int_eq(e.kind, ERR_FATAL);
	ck_assert_int_eq(err_exit_code(&e), EXIT_FENCED);
	ck_assert_int_eq(rows(1), 0);
	ck_assert_int_eq(store_sqlite.begin(second, &e), 0);
	ck_assert_int_eq(put(second, 1, &e), 0);
	ck_assert_int_eq(commit(second, 1, &e), 0);
	ck_assert_int_eq(rows(1), 1);
	store_sqlite.version_close(first);
	store_sqlite.version_close(second);
	teardown();
}
END_TEST

static void finish(int version)
{
	struct store_version *v = open_version(version);
	struct err e = ERR_INIT;

	ck_assert_msg(store_sqlite.finish(v, view->after_build_sql, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(store_sqlite.finish(v, view->after_build_sql, &e), 0);
	store_sqlite.version_close(v);
	v = open_version(version);
	ck_assert_int_eq(store_sqlite.finish(v, view->after_build_sql, &e),
			 0); /* not a second time */
	store_sqlite.version_close(v);
}

/* A reader in a process of its own, begun before this one has opened anything (SQLite's connections
 * don't survive a fork): for each byte it opens the file to read and write, closes it, and answers
 * with its number of rows. */
struct reader {
	int ask, answer;
	pid_t child;
};

static void read_for_ever(int asked, int answer, const char *path)
{
	char byte;

	while (read(asked, &byte, 1) == 1) {
		struct err e = ERR_INIT;
		struct sql_db *db;
		int64_t count = -1;

		if (sql_open_db(path, SQL_OPEN_WRITE, &db, &e) == 0) {
			(void)sql_get_int(db, "SELECT count(*) FROM t", &count, &e);
			sql_close(db);
		}
		if (write(answer, &count, sizeof(count)) != sizeof(count))
			_exit(1);
	}
	_exit(0);
}

static struct reader begin_reader(const char *path)
{
	struct reader r;
	int ask[2], answer[2];

	ck_assert_int_eq(pipe(ask), 0);
	ck_assert_int_eq(pipe(answer), 0);
	r.child = fork();
	if (r.child == 0) {
		close(ask[1]);
		close(answer[0]);
		read_for_ever(ask[0], answer[1], path);
	}
	close(ask[0]);
	close(answer[1]);
	r.ask = ask[1];
	r.answer = answer[0];
	return r;
}

static int64_t rows_for_others(const struct reader *r)
{
	int64_t count;

	ck_assert_int_eq(write(r->ask, "", 1), 1);
	ck_assert_int_eq(read(r->answer, &count, sizeof(count)), sizeof(count));
	return count;
}

/* Whoever closes a file of SQLite last removes its log: a worker's locks say that it isn't the
 * last. They would be gone if this process opened and closed the file by itself. */
START_TEST(test_readers_leave_the_log)
{
	struct err e = ERR_INIT;
	struct store_version *v;
	struct reader reader;
	char *path;

	setup();
	path = store->ops->place(store, 1);
	reader = begin_reader(path);
	create(1);
	v = open_version(1);
	ck_assert_int_eq(store_sqlite.begin(v, &e), 0);
	ck_assert_int_eq(put(v, 1, &e), 0);
	ck_assert_int_eq(commit(v, 1, &e), 0);
	ck_assert_msg(store_sqlite.finish(v, view->after_build_sql, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(rows_for_others(&reader), 1);
	ck_assert_int_eq(store_sqlite.begin(v, &e), 0);
	ck_assert_int_eq(put(v, 2, &e), 0);
	ck_assert_msg(commit(v, 2, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(rows_for_others(&reader), 2);
	store_sqlite.version_close(v);
	close(reader.ask);
	close(reader.answer);
	ck_assert_int_eq(waitpid(reader.child, NULL, 0), reader.child);
	free(path);
	teardown();
}
END_TEST

START_TEST(test_public_name)
{
	struct err e = ERR_INIT;
	char target[300], path[300];
	ssize_t n;

	setup();
	create(1);
	create(2);
	ck_assert_int_lt(store_sqlite.publish(store, 1, &e), 0); /* not built */
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	finish(1);
	finish(2);
	ck_assert_msg(store_sqlite.publish(store, 1, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(info_of(1).state, STORE_LIVE);
	ck_assert_msg(store_sqlite.publish(store, 2, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(info_of(1).state, STORE_SUPERSEDED);
	ck_assert(info_of(1).superseded_us > 0);
	ck_assert_int_eq(info_of(2).state, STORE_LIVE);
	snprintf(path, sizeof(path), "%s/v.db", dir);
	n = readlink(path, target, sizeof(target) - 1);
	ck_assert_int_gt(n, 0);
	target[n] = '\0';
	ck_assert_str_eq(target, "views/v/v2.db");
	ck_assert_int_eq(store_sqlite.publish(store, 1, &e), 0); /* roll back */
	ck_assert_int_eq(info_of(1).state, STORE_LIVE);
	ck_assert_int_eq(info_of(1).superseded_us, 0);
	/* a crash between the rename and the rows: the name decides */
	ck_assert_int_eq(store_sqlite.set_state(store, 2, STORE_LIVE, false, &e), 0);
	ck_assert_int_eq(info_of(2).state, STORE_SUPERSEDED);
	/* a crash before the rename: the swap is still to come */
	ck_assert_int_eq(store_sqlite.set_state(store, 2, STORE_LIVE, true, &e), 0);
	ck_assert_int_eq(info_of(2).state, STORE_READY);
	ck_assert(info_of(2).swap);
	ck_assert(!info_of(1).swap);
	/* the old file was taken away: the swap stands all the same */
	snprintf(path, sizeof(path), "%s/views/v/v1.db", dir);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_msg(store_sqlite.publish(store, 2, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(info_of(2).state, STORE_LIVE);
	/* so was the live one: the name leads nowhere until its successor is built */
	snprintf(path, sizeof(path), "%s/views/v/v2.db", dir);
	ck_assert_int_eq(unlink(path), 0);
	create(2);
	snprintf(path, sizeof(path), "%s/v.db", dir);
	ck_assert_int_lt(readlink(path, target, sizeof(target)), 0);
	ck_assert_int_eq(info_of(2).state, STORE_BUILDING);
	ck_assert_int_eq(store_sqlite.remove(store, 2, &e), 0);
	ck_assert_int_eq(info_of(2).version, 0);
	teardown();
}
END_TEST

/* A crash between the files of a version that is removed. */
START_TEST(test_left_by_a_crash)
{
	struct err e = ERR_INIT;
	char path[300];

	setup();
	create(1);
	folder_write(dir, "views/v/v1.db-wal", "");
	folder_write(dir, "views/v/v2.db-wal", "x");
	folder_write(dir, "views/v/v2.db-shm", "x");
	ck_assert_int_eq(info_of(1).version, 1);
	snprintf(path, sizeof(path), "%s/views/v/v2.db-wal", dir);
	ck_assert_int_lt(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/views/v/v2.db-shm", dir);
	ck_assert_int_lt(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/views/v/v1.db-wal", dir);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(store_sqlite.remove(store, 1, &e), 0);
	teardown();
}
END_TEST

START_TEST(test_strange_public_name)
{
	struct store_info *infos;
	struct err e = ERR_INIT;
	size_t count;
	char path[300];

	setup();
	folder_write(dir, "v.db", "a file of somebody");
	ck_assert_int_lt(store_sqlite.list(store, &infos, &count, &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.msg, "not a symlink"));
	snprintf(path, sizeof(path), "%s/v.db", dir);
	unlink(path);
	ck_assert_int_eq(symlink("/etc/passwd", path), 0);
	ck_assert_int_lt(store_sqlite.list(store, &infos, &count, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.msg, "no version"));
	teardown();
}
END_TEST

START_TEST(test_damaged_version)
{
	struct store_info *infos;
	struct err e = ERR_INIT;
	size_t count;

	setup();
	create(1);
	create(2);
	finish(2);
	ck_assert_int_eq(store_sqlite.publish(store, 2, &e), 0);
	folder_write(dir, "views/v/v1.db", "this is no database, however long one looks at it");
	ck_assert_int_eq(info_of(1).state, STORE_FAILED);
	ck_assert_int_eq(info_of(2).state, STORE_LIVE);
	folder_write(dir, "views/v/v2.db", "this is no database, however long one looks at it");
	ck_assert_int_lt(store_sqlite.list(store, &infos, &count, &e), 0);
	ck_assert_int_eq(e.kind, ERR_FATAL);
	ck_assert_ptr_nonnull(strstr(e.msg, "v2.db"));
	ck_assert_ptr_nonnull(strstr(e.msg, "built anew"));
	teardown();
}
END_TEST

START_TEST(test_half_made_version_counts_as_not_there)
{
	struct store_info *infos;
	struct err e = ERR_INIT;
	size_t count;

	setup();
	folder_write(dir, "views/v/v3.db", "");
	folder_write(dir, "views/v/v4.db.bak", "x");
	folder_write(dir, "views/v/v0.db", "x");
	ck_assert_msg(store_sqlite.list(store, &infos, &count, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(count, 0);
	free(infos);
	create(3);
	ck_assert_int_eq(info_of(3).version, 3);
	ck_assert_int_eq(info_of(3).state, STORE_BUILDING);
	ck_assert(!info_of(3).stale);
	ck_assert_str_eq(info_of(3).fingerprint, view->fingerprint);
	teardown();
}
END_TEST

static void *list_often(void *arg)
{
	static struct err e;
	struct store_info *infos = NULL;
	size_t count;

	while (!atomic_load((atomic_bool *)arg) && e.kind == ERR_NONE)
		if (store_sqlite.list(store, &infos, &count, &e) == 0)
			free(infos);
	return &e;
}

/* The daemon lists versions for its pages while a job makes and removes some. */
START_TEST(test_listed_while_made_and_removed)
{
	atomic_bool enough = false;
	struct err e = ERR_INIT;
	pthread_t thread;
	void *said;

	setup();
	pthread_create(&thread, NULL, list_often, &enough);
	for (int i = 0; i < 100; i++) {
		create(1 + i % 3);
		ck_assert_int_eq(store_sqlite.remove(store, 1 + i % 3, &e), 0);
	}
	atomic_store(&enough, true);
	pthread_join(thread, &said);
	ck_assert_msg(((struct err *)said)->kind == ERR_NONE, "%s", ((struct err *)said)->msg);
	teardown();
}
END_TEST

START_TEST(test_definition_is_kept)
{
	struct view_files files = { 0 };
	struct err e = ERR_INIT;
	struct view *again;

	setup();
	create(1);
	ck_assert_int_eq(store_sqlite.definition(store, 1, &files, &e), 0);
	ck_assert_msg(view_from_files("v", "v1", &files, &again, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(again->fingerprint, view->fingerprint);
	view_free(again);
	teardown();
}
END_TEST

START_TEST(test_snapshot_stands_still)
{
	struct store_snapshot *n;
	struct err e = ERR_INIT;
	struct store_version *v;
	struct store_info info;
	int64_t count = -1;

	setup();
	create(1);
	v = open_version(1);
	ck_assert_int_eq(store_sqlite.snapshot(store, 1, &n, &e), 0);
	ck_assert_int_eq(store_sqlite.begin(v, &e), 0);
	ck_assert_int_eq(put(v, 1, &e), 0);
	ck_assert_int_eq(commit(v, 9, &e), 0);
	ck_assert_int_eq(store_sqlite.row_count(n, "t", &count, &e), 0);
	ck_assert_int_eq(count, 0);
	store_sqlite.snapshot_info(n, &info);
	ck_assert_int_eq(info.seq, 0);
	store_sqlite.snapshot_close(n);
	ck_assert_int_eq(rows(1), 1);
	store_sqlite.version_close(v);
	teardown();
}
END_TEST

/* The ids behind this key, in their order, as text: "3 4"; at most `most`. */
static void rows_behind(struct store_snapshot *n, const char *table, const struct value *after,
			int most, struct buf *out)
{
	char a[] = "a", b[] = "b", id[] = "id", *columns[] = { id }, *key[] = { a, b };
	struct err e = ERR_INIT;
	struct store_rows *rows;
	const struct value *row;

	buf_reset(out);
	ck_assert_msg(store_sqlite.rows(n, table, columns, 1, key, 2, after, &rows, &e) == 0, "%s",
		      e.msg);
	for (int i = 0; i < most && store_sqlite.next(rows, &row, &e) == 1; i++)
		buf_add_format(out, "%s%lld", out->size > 0 ? " " : "", (long long)row[0].i);
	store_sqlite.rows_close(rows);
}

static struct value text_value(const char *s)
{
	return (struct value){ .kind = s != NULL ? VALUE_TEXT : VALUE_NULL,
			       .bytes = slice_str(s != NULL ? s : "") };
}

static void check_behind(struct store_snapshot *n, const char *table, const char *a, const char *b,
			 const char *expected)
{
	struct value after[2] = { text_value(a), text_value(b) };
	struct buf out = BUF_INIT;

	rows_behind(n, table, after, 100, &out);
	ck_assert_msg(strcmp(buf_cstr(&out), expected) == 0, "%s behind %s %s: %s, not %s", table,
		      a != NULL ? a : "NULL", b != NULL ? b : "NULL", buf_cstr(&out), expected);
	buf_done(&out);
}

static struct view *keyed_view(void)
{
	struct view_files files = { 0 };
	struct err e = ERR_INIT;
	struct view *v;

	view_files_add(&files, "view.conf", xstrdup("inputs = x\nkey.t = a, b\nkey.u = a, b"));
	view_files_add(&files, "tables.sql",
		       xstrdup("CREATE TABLE t (id, a TEXT, b TEXT); CREATE TABLE u (id, a TEXT "
			       "COLLATE NOCASE, b TEXT COLLATE NOCASE); CREATE INDEX u_i ON u (a, b); CREATE "
			       "TABLE large (id, a INTEGER, b INTEGER, PRIMARY KEY (a, b)); "
			       "INSERT INTO t VALUES (1, NULL, NULL), (2, NULL, 'b'), (3, 'A', "
			       "NULL), (4, 'A', 'B'), (5, 'A', 'a'), (6, 'a', 'A'), (7, 'b', ''); "
			       "INSERT INTO u SELECT * FROM t; WITH RECURSIVE n(i) AS (SELECT 1 "
			       "UNION ALL SELECT i + 1 FROM n WHERE i < 200000) INSERT INTO large "
			       "SELECT i, 1, i FROM n"));
	view_files_add(&files, "on/Put.sql", xstrdup("DELETE FROM t"));
	ck_assert_msg(view_from_files("v", "v", &files, &v, &e) == 0, "%s", e.msg);
	return v;
}

START_TEST(test_rows_behind_a_key)
{
	struct view *keyed = keyed_view();
	struct value after[2] = { { .kind = VALUE_INT, .i = 1 }, { .kind = VALUE_INT } };
	struct err e = ERR_INIT;
	struct store_snapshot *n;
	struct buf out = BUF_INIT;
	clock_t began;

	setup();
	ck_assert_msg(store_sqlite.create(store, keyed, 3, true, &e) == 0, "%s", e.msg);
	ck_assert_msg(store_sqlite.snapshot(store, 3, &n, &e) == 0, "%s", e.msg);
	for (int i = 0; i < 2; i++) {
		const char *table = i == 0 ? "t" : "u";

		check_behind(n, table, NULL, NULL, "2 3 4 5 6 7");
		check_behind(n, table, NULL, "b", "3 4 5 6 7");
		check_behind(n, table, "A", NULL, "4 5 6 7");
		check_behind(n, table, "A", "B", "5 6 7");
		check_behind(n, table, "A", "Z", "5 6 7");
		check_behind(n, table, "A", "a", "6 7");
		check_behind(n, table, "a", "A", "7");
		check_behind(n, table, "b", "", "");
	}
	/* what lies before isn't read */
	began = clock();
	for (int64_t i = 0; i < 500; i++) {
		after[1].i = 199000 + i;
		rows_behind(n, "large", after, 1, &out);
		ck_assert_int_eq(strtoll(buf_cstr(&out), NULL, 10), 199001 + i);
	}
	ck_assert_int_lt((clock() - began) / CLOCKS_PER_SEC, 2);
	buf_done(&out);
	store_sqlite.snapshot_close(n);
	view_free(keyed);
	teardown();
}
END_TEST

START_TEST(test_lease)
{
	struct lease_owner owner;
	struct lease *l, *second;
	struct err e = ERR_INIT;
	int status;
	pid_t pid;

	dir = folder_new();
	ck_assert(!lease_find(dir, "v", &owner));
	ck_assert_msg(lease_take(dir, "v", 0, &l, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(lease_set_http(l, "127.0.0.1:7412", &e), 0);
	ck_assert(lease_find(dir, "v", &owner));
	ck_assert_int_eq(owner.pid, getpid());
	ck_assert_str_eq(owner.http, "127.0.0.1:7412");
	ck_assert_int_lt(lease_take(dir, "v", 150, &second, &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.msg, "7412"));
	lease_free(l);
	ck_assert(!lease_find(dir, "v", &owner));
	pid = fork();
	if (pid == 0) {
		(void)lease_take(dir, "v", 0, &l, &e);
		_exit(9); /* without letting go */
	}
	waitpid(pid, &status, 0);
	ck_assert_int_eq(lease_take(dir, "v", 0, &l, &e), 0);
	lease_free(l);
	folder_remove(dir);
}
END_TEST

START_TEST(test_version_note)
{
	const struct store_ops *found = NULL;
	struct store_ops other = { .name = "elsewhere" };
	struct err e = ERR_INIT;
	char *views;

	setup();
	views = xasprintf("%s/views/noted", dir);
	ck_assert_int_eq(mkdir(views, 0755), 0);
	settings.project_views_dir = views;
	ck_assert_int_eq(store_of(&settings, "noted", &found, &e), 0);
	ck_assert_ptr_eq(found, &store_sqlite); /* what a view without view.conf has */
	ck_assert_int_eq(store_note(&settings, "noted", &store_sqlite, &e), 0);
	ck_assert_int_eq(store_note(&settings, "noted", &store_sqlite, &e), 0);
	ck_assert_int_eq(store_of(&settings, "noted", &found, &e), 0);
	ck_assert_ptr_eq(found, &store_sqlite);
	ck_assert_int_lt(store_note(&settings, "noted", &other, &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.msg, "lives in sqlite"));
	err_clear(&e);
	ck_assert_int_lt(store_named("elsewhere", &found, &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	free(views);
	teardown();
}
END_TEST

START_TEST(test_version_bad_names)
{
	static const char *const names[] = { "", ".", "..", "../x", "a/b", "x'; DROP", "a\nb" };
	char place[] = "/tmp/millrace-names-XXXXXX";
	struct settings here = { .state_dir = place };
	struct err e = ERR_INIT;

	ck_assert_ptr_nonnull(mkdtemp(place));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct store *made = NULL;

		ck_assert_msg(store_sqlite.open(&here, names[i], &made, &e) < 0, "'%s'", names[i]);
		ck_assert_int_eq(e.kind, ERR_CONFIG);
		err_clear(&e);
	}
	ck_assert_int_eq(rmdir(place), 0); /* nothing was made */
}
END_TEST

/* ---- parked records -------------------------------------------------------------------------- */

struct kept {
	int64_t count, behind;
	char text[400];
};

static bool add_kept(void *context, const struct store_parked *record)
{
	struct kept *k = context;
	size_t used = strlen(k->text);

	k->count++;
	k->behind += record->behind;
	snprintf(k->text + used, sizeof(k->text) - used, "%s-%d-%lld:%lld:%d:%s:%.*s:%s;",
		 record->topic, record->partition, (long long)record->offset,
		 (long long)record->seq, record->schema_id,
		 record->key.data != NULL ? "key" : "none", (int)record->value.size,
		 (const char *)record->value.data, record->reason);
	return true;
}

static struct kept kept(int version)
{
	struct kept k = { 0 };
	struct err e = ERR_INIT;

	ck_assert_msg(store_sqlite.parked(store, version, add_kept, &k, &e) == 0, "%s", e.msg);
	return k;
}

START_TEST(test_parked_with_the_position)
{
	struct store_parked one = { .seq = 7, .topic = "x", .partition = 2, .offset = 5,
				    .schema_id = 3, .key = slice_str("k"),
				    .value = slice_str("value"), .at_us = 1,
				    .reason = "too long" };
	struct store_parked two = { .seq = 6, .topic = "x", .offset = 9, .schema_id = 3,
				    .value = slice_str(""), .behind = true, .reason = "behind" };
	struct err e = ERR_INIT;
	struct store_version *v;

	setup();
	create(1);
	ck_assert_int_eq(kept(1).count, 0); /* a file of a release that parked nothing */
	v = open_version(1);
	ck_assert_int_eq(store_sqlite.begin(v, &e), 0);
	ck_assert_msg(store_sqlite.park(v, &one, &e) == 0, "%s", e.msg);
	store_sqlite.rollback(v);
	ck_assert_int_eq(kept(1).count, 0);
	ck_assert_int_eq(store_sqlite.begin(v, &e), 0);
	ck_assert_int_eq(store_sqlite.park(v, &one, &e), 0);
	ck_assert_int_eq(store_sqlite.park(v, &two, &e), 0);
	one.reason = "still too long";
	ck_assert_int_eq(store_sqlite.park(v, &one, &e), 0);
	ck_assert_int_eq(kept(1).count, 0);
	ck_assert_int_eq(commit(v, 7, &e), 0);
	ck_assert_str_eq(kept(1).text,
			 "x-0-9:6:3:none::behind;x-2-5:7:3:key:value:still too long;");
	ck_assert_int_eq(kept(1).behind, 1);
	ck_assert_int_eq(store_sqlite.begin(v, &e), 0);
	ck_assert_int_eq(store_sqlite.unpark(v, &one, &e), 0);
	ck_assert_int_eq(commit(v, 8, &e), 0);
	ck_assert_str_eq(kept(1).text, "x-0-9:6:3:none::behind;");
	store_sqlite.version_close(v);
	teardown();
}
END_TEST

START_TEST(test_one_record_taken_back)
{
	struct err e = ERR_INIT;
	struct store_version *v;

	setup();
	create(1);
	v = open_version(1);
	ck_assert_int_eq(store_sqlite.begin(v, &e), 0);
	ck_assert_int_eq(put(v, 1, &e), 0);
	ck_assert_msg(store_sqlite.savepoint(v, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(put(v, 2, &e), 0);
	ck_assert_int_lt(put(v, 1, &e), 0);
	ck_assert_msg(store_sqlite.undo(v, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(store_sqlite.savepoint(v, &e), 0);
	ck_assert_int_eq(put(v, 3, &e), 0);
	ck_assert_int_eq(commit(v, 3, &e), 0);
	ck_assert_int_eq(rows(1), 2); /* 1 and 3 */
	ck_assert_int_eq(store_sqlite.begin(v, &e), 0); /* nothing is left of the savepoint */
	ck_assert_int_eq(store_sqlite.savepoint(v, &e), 0);
	ck_assert_int_eq(put(v, 4, &e), 0);
	store_sqlite.rollback(v);
	ck_assert_int_eq(store_sqlite.begin(v, &e), 0);
	ck_assert_int_eq(store_sqlite.savepoint(v, &e), 0);
	ck_assert_int_eq(put(v, 5, &e), 0);
	ck_assert_int_eq(commit(v, 4, &e), 0);
	ck_assert_int_eq(rows(1), 3);
	store_sqlite.version_close(v);
	teardown();
}
END_TEST

START_TEST(test_room)
{
	int64_t used = 0, left = 0;
	struct err e = ERR_INIT;

	setup();
	create(1);
	ck_assert_msg(store_sqlite.room(store, 1, &used, &left, &e) == 0, "%s", e.msg);
	ck_assert_int_gt(used, 0);
	ck_assert_int_gt(left, 0);
	ck_assert_int_eq(store_sqlite.room(store, 7, &used, &left, &e), 0);
	ck_assert_int_eq(used, 0);
	teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("version");

	unit_test(s, test_rows_and_position_together);
	unit_test(s, test_second_writer_fences_the_first);
	unit_test(s, test_readers_leave_the_log);
	unit_test(s, test_public_name);
	unit_test(s, test_left_by_a_crash);
	unit_test(s, test_strange_public_name);
	unit_test(s, test_half_made_version_counts_as_not_there);
	unit_test(s, test_damaged_version);
	unit_test(s, test_listed_while_made_and_removed);
	unit_test(s, test_definition_is_kept);
	unit_test(s, test_snapshot_stands_still);
	unit_test(s, test_rows_behind_a_key);
	unit_test(s, test_lease);
	unit_test(s, test_version_bad_names);
	unit_test(s, test_version_note);
	unit_test(s, test_parked_with_the_position);
	unit_test(s, test_one_record_taken_back);
	unit_test(s, test_room);
	return unit_run(s);
}
