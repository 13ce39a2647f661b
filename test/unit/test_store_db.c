/* test_store_db.c - SQLite behind core/sql: values in and out, errors by kind, the guard. */
#include "test/unit/unit.h"

#include "core/sql/store_db.h"
#include "test/lib/folder.h"

static struct sql_db *memory(void)
{
	struct err e = ERR_INIT;
	struct sql_db *db;

	ck_assert_int_eq(sql_open_db(NULL, SQL_OPEN_MEMORY, &db, &e), 0);
	return db;
}

START_TEST(test_values_round_trip)
{
	static const uint8_t bytes[] = { 0, 1, 255 };
	const struct value in[] = {
		{ .kind = VALUE_NULL },
		{ .kind = VALUE_INT, .i = INT64_MIN },
		{ .kind = VALUE_DOUBLE, .d = 0.1 },
		{ .kind = VALUE_TEXT, .bytes = slice_str("gr\xc3\xbc\xc3\x9f") },
		{ .kind = VALUE_TEXT },
		{ .kind = VALUE_BYTES, .bytes = slice_of(bytes, 3) },
		{ .kind = VALUE_BYTES },
	};
	struct sql_db *db = memory();
	struct sql_statement *s;
	struct err e = ERR_INIT;

	ck_assert_int_eq(sql_prepare(db, "t", "SELECT :a", NULL, &s, &e), 0);
	ck_assert_int_eq(sql_parameter_count(s), 1);
	ck_assert_str_eq(sql_parameter_name(s, 1), "a");
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		struct value out;

		ck_assert_int_eq(sql_bind(s, 1, &in[i], &e), 0);
		ck_assert_int_eq(sql_step(s, &e), 1);
		sql_column(s, 0, &out);
		ck_assert_uint_eq(out.kind, in[i].kind);
		ck_assert_msg(value_equal(&in[i], &out), "value %zu", i);
		sql_reset(s);
	}
	sql_finalize(s);
	sql_close(db);
}
END_TEST

START_TEST(test_errors_have_kinds)
{
	struct sql_db *db = memory();
	struct sql_statement *s;
	struct err e = ERR_INIT;

	ck_assert_int_lt(
		sql_prepare(db, "on/X.sql", "-- one\n\nSELECT x FROM nowhere", NULL, &s, &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_msg(strstr(e.msg, "on/X.sql:3: no such table: nowhere") != NULL, "%s", e.msg);
	ck_assert_int_lt(sql_script(db, "tables.sql",
				    "CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT;\n\nSELEC 1;",
				    &e),
			 0);
	ck_assert_ptr_nonnull(strstr(e.msg, "tables.sql:3:"));
	ck_assert_int_eq(sql_run(db, "INSERT INTO t VALUES (1)", &e), 0);
	ck_assert_int_lt(sql_run(db, "INSERT INTO t VALUES (1)", &e), 0);
	ck_assert_int_eq(e.kind, ERR_DATA);
	ck_assert_int_lt(sql_run(db, "INSERT INTO t VALUES ('x')", &e), 0);
	ck_assert_int_eq(e.kind, ERR_DATA);
	ck_assert_int_lt(sql_prepare(db, "t", "SELECT \"typo\" FROM t", NULL, &s, &e),
			 0); /* never a string */
	ck_assert_int_lt(sql_open_db("/nowhere/at/all.db", SQL_OPEN_CREATE, &db, &e), 0);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.msg, "/nowhere/at/all.db"));
	sql_close(db);
}
END_TEST

START_TEST(test_guard)
{
	static const char *const refused[] = {
		"COMMIT",
		"BEGIN",
		"ROLLBACK",
		"SAVEPOINT x",
		"ATTACH 'x' AS x",
		"PRAGMA synchronous = off",
		"DELETE FROM millrace_position",
		"INSERT INTO t SELECT one FROM millrace_position",
		"UPDATE MILLRACE_POSITION SET one = 2",
		"DROP TABLE millrace_position",
		"CREATE TABLE millrace_x (a)",
		"CREATE INDEX i ON millrace_position (one)",
		"ALTER TABLE millrace_position RENAME TO t2",
		"CREATE TRIGGER g AFTER INSERT ON millrace_position BEGIN SELECT 1; END",
	};
	struct sql_db *db = memory();
	struct err e = ERR_INIT;

	ck_assert_int_eq(
		sql_run(db, "CREATE TABLE t (a); CREATE TABLE millrace_position (one)", &e), 0);
	sql_guard(db, true);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		ck_assert_msg(sql_script(db, "x", refused[i], &e) < 0, "%s", refused[i]);
		ck_assert_msg(e.kind == ERR_CONFIG, "%s: %s", refused[i], e.msg);
	}
	ck_assert_msg(
		sql_script(db, "x",
			   "INSERT INTO t VALUES (1); CREATE INDEX i ON t (a); UPDATE t SET a = 2; "
			   "DELETE FROM t; CREATE TABLE u AS SELECT * FROM t; DROP TABLE u",
			   &e) == 0,
		"%s", e.msg);
	sql_guard(db, false);
	ck_assert_int_eq(sql_run(db, "DELETE FROM millrace_position", &e), 0);
	sql_close(db);
}
END_TEST

START_TEST(test_full_disk_leaves_nothing)
{
	const char *dir = folder_new();
	struct err e = ERR_INIT;
	struct sql_db *db;
	char path[300];
	int64_t rows = -1;

	snprintf(path, sizeof(path), "%s/full.db", dir);
	ck_assert_int_eq(sql_open_db(path, SQL_OPEN_CREATE, &db, &e), 0);
	ck_assert_int_eq(sql_run(db, "CREATE TABLE t (a); PRAGMA max_page_count = 10; BEGIN", &e),
			 0);
	for (int i = 0; i < 100 && e.kind == ERR_NONE; i++)
		(void)sql_run(db, "INSERT INTO t VALUES (zeroblob(2000))", &e);
	ck_assert(sql_no_room(e.kind, e.exit_code)); /* heals */
	ck_assert_ptr_nonnull(strstr(e.msg, path));
	if (sql_in_transaction(db))
		ck_assert_int_eq(sql_run(db, "ROLLBACK", &e), 0);
	ck_assert_int_eq(sql_get_int(db, "SELECT count(*) FROM t", &rows, &e), 0);
	ck_assert_int_eq(rows, 0);
	sql_close(db);
	folder_remove(dir);
}
END_TEST

START_TEST(test_not_a_database)
{
	const char *dir = folder_new();
	struct err e = ERR_INIT;
	struct sql_db *db;
	int64_t n;
	char path[300];

	folder_write(
		dir, "x.db",
		"this is a text file, and long enough to be looked at as if it were a database "
		"header........"
		"........................................");
	snprintf(path, sizeof(path), "%s/x.db", dir);
	ck_assert_int_eq(sql_open_db(path, SQL_OPEN_READ, &db, &e), 0);
	ck_assert_int_lt(sql_get_int(db, "SELECT count(*) FROM sqlite_schema", &n, &e), 0);
	ck_assert_int_eq(e.kind, ERR_FATAL);
	sql_close(db);
	folder_remove(dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store_db");

	unit_test(s, test_values_round_trip);
	unit_test(s, test_errors_have_kinds);
	unit_test(s, test_guard);
	unit_test(s, test_full_disk_leaves_nothing);
	unit_test(s, test_not_a_database);
	return unit_run(s);
}
