/* test_mydb_sql.c - the SQL of views for MariaDB and MySQL: where statements end, what is a
 * parameter, what is refused, which INSERTs may become one. */
#include "test/unit/unit.h"

#include "core/base/mem.h"
#include "projections/store/mysql/sql.h"

static struct mydb_sql *read_one(enum mydb_sql_use use, const char *text)
{
	struct err e = ERR_INIT;
	struct mydb_sql *s = NULL;

	ck_assert_msg(mydb_sql_next(use, "on/E.sql", text, text, NULL, &s, &e) == 0, "%s", e.msg);
	return s;
}

static void refused(enum mydb_sql_use use, const char *text, const char *says)
{
	struct err e = ERR_INIT;
	struct mydb_sql *s = NULL;

	ck_assert_msg(mydb_sql_next(use, "on/E.sql", text, text, NULL, &s, &e) < 0, "taken: %s",
		      text);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_msg(strstr(e.msg, says) != NULL, "%s: %s", text, e.msg);
}

START_TEST(test_parameters)
{
	struct mydb_sql *s = read_one(
		MYDB_SQL_HANDLER, "-- a :comment\n/* and :another */ UPDATE t SET a = ':no', b = "
				  "\"it\\\"s :no\", `c:no` = :yes, d = 'o''c :no' # :no\n"
				  "WHERE id = :id ; DELETE FROM t");

	ck_assert_uint_eq(s->count, 2);
	ck_assert_str_eq(s->parameters[0].name, "yes");
	ck_assert_str_eq(s->parameters[1].name, "id");
	ck_assert_int_eq(s->text.data[s->parameters[1].at], '?');
	ck_assert_int_eq(s->line, 2);
	ck_assert_str_eq(s->table, "t");
	ck_assert(strstr(buf_cstr(&s->text), "comment") == NULL);
	ck_assert(strstr(buf_cstr(&s->text), "DELETE") == NULL);
	mydb_sql_free(s);
}
END_TEST

START_TEST(test_script)
{
	const char *script = ";;\n DELETE FROM a;\n\n-- end\n UPDATE b SET x = 1;\n -- nothing\n",
		   *at = script;
	struct err e = ERR_INIT;
	struct mydb_sql *s;

	ck_assert_int_eq(mydb_sql_next(MYDB_SQL_HANDLER, "f", script, at, &at, &s, &e), 0);
	ck_assert_int_eq(s->line, 2);
	mydb_sql_free(s);
	ck_assert_int_eq(mydb_sql_next(MYDB_SQL_HANDLER, "f", script, at, &at, &s, &e), 0);
	ck_assert_int_eq(s->line, 5);
	ck_assert_str_eq(s->table, "b");
	mydb_sql_free(s);
	ck_assert_int_eq(mydb_sql_next(MYDB_SQL_HANDLER, "f", script, at, &at, &s, &e), 0);
	ck_assert_ptr_null(s);
}
END_TEST

static bool has_rows(const char *sql)
{
	struct err e = ERR_INIT;
	struct mydb_sql *s;
	bool has;

	ck_assert_int_eq(mydb_sql_next(MYDB_SQL_HANDLER, "f", sql, sql, NULL, &s, &e), 0);
	has = s->rows != NULL;
	mydb_sql_free(s);
	return has;
}

START_TEST(test_rows)
{
	static const char *const plain[] = {
		"INSERT INTO t (a, b) VALUES (:a, :b)",
		"REPLACE t (a) VALUES (:a)",
		"INSERT t (a, `b`) VALUES (:a, :b) ON DUPLICATE KEY UPDATE b = VALUES(`b`)",
		"INSERT t (a, b) VALUES (:a, :b) ON DUPLICATE KEY UPDATE b = :b",
		"INSERT t (a, b) VALUES (:a, date'1970-01-01' + interval :b day)",
		"INSERT t (a) VALUES (DATE_ADD('1970-01-01', INTERVAL :a DAY))",
		"INSERT t (a) VALUES (TIMESTAMP'1970-01-01 00:00:00' + INTERVAL :a MICROSECOND)",
		"INSERT t (a) VALUES (TIMESTAMPADD(MICROSECOND, :a, '1970-01-01'))",
		"INSERT t (a) VALUES (SEC_TO_TIME(:a * 0.000001))",
	};
	static const char *const others[] = {
		"INSERT INTO t VALUES (:a, :b)",
		"INSERT IGNORE INTO t (a) VALUES (:a)",
		"INSERT INTO t (a, b) VALUES (:a, 1)",
		"INSERT INTO t (a, b) VALUES (:a, :b + 1)",
		"INSERT INTO t (a) VALUES (SEC_TO_TIME(:a * 0.00001))",
		"INSERT INTO t (a) VALUES (DATE'1970-01-02' + INTERVAL :a DAY)",
		"INSERT t (a, b) VALUES (:a, :b) ON DUPLICATE KEY UPDATE b = b + 1",
		"INSERT t (a, b) VALUES (:a, :b) ON DUPLICATE KEY UPDATE b = VALUES(a)",
		"INSERT t (a, b) VALUES (:a, :b) ON DUPLICATE KEY UPDATE b = VALUES(b) + 1",
		"INSERT t (a, b) VALUES (:a, :b) ON DUPLICATE KEY UPDATE b = VALUES(b), a = a",
	};

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		ck_assert_msg(has_rows(plain[i]), "%s", plain[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert_msg(!has_rows(others[i]), "%s", others[i]);
}
END_TEST

START_TEST(test_refused)
{
	static const char *const handlers[] = {
		"COMMIT",
		"ROLLBACK",
		"START TRANSACTION",
		"SAVEPOINT x",
		"CREATE TABLE t (a INT)",
		"DROP TABLE t",
		"TRUNCATE t",
		"ALTER TABLE t ADD b INT",
		"USE other",
		"SET sql_mode = ''",
		"LOCK TABLES t WRITE",
		"CALL p()",
		"LOAD DATA INFILE 'x' INTO TABLE t",
		"PREPARE s FROM 'COMMIT'",
		"DELETE FROM millrace_epoch",
		"UPDATE t SET a = (SELECT epoch FROM `millrace_epoch`)",
		"UPDATE t SET a = RELEASE_ALL_LOCKS()",
		"INSERT INTO t SELECT GET_LOCK('a', 1)",
	};
	static const char *const others[] = {
		"INSERT INTO other.t VALUES (1)",
		"INSERT other.t VALUES (1)",
		"REPLACE `other`.`t` VALUES (1)",
		"UPDATE other.t SET a = 1",
		"UPDATE t, other.u SET t.a = u.a",
		"DELETE FROM other . t",
		"INSERT INTO t SELECT * FROM other.u",
		"INSERT INTO t SELECT * FROM u JOIN other.v ON u.id = v.id",
		"INSERT INTO t SELECT * FROM (u, other.v)",
		"DELETE t FROM t JOIN other.u USING (id)",
	};

	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		refused(MYDB_SQL_HANDLER, handlers[i], "not allowed here");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		refused(MYDB_SQL_HANDLER, others[i], "names a database");
	refused(MYDB_SQL_HANDLER, "SELECT 1", "only reads");
	refused(MYDB_SQL_HANDLER, "WITH x AS (SELECT 1) SELECT * FROM x", "only reads");
	refused(MYDB_SQL_HANDLER, "DELETE FROM t WHERE a = 'x", "no end");
	refused(MYDB_SQL_HANDLER, "DELETE FROM t /*!50000 WHERE a = 1 */", "execute");
	refused(MYDB_SQL_TABLES, "CREATE TABLE other.t (a INT)", "names a database");
	refused(MYDB_SQL_TABLES, "CREATE TABLE t LIKE other.t", "names a database");
	refused(MYDB_SQL_TABLES, "CREATE INDEX i ON other.t (a)", "names a database");
	refused(MYDB_SQL_TABLES, "ALTER TABLE t RENAME TO other.t", "names a database");
	refused(MYDB_SQL_TABLES, "CREATE TABLE t (a INT REFERENCES other.u (a))",
		"names a database");
	refused(MYDB_SQL_TABLES, "CREATE TEMPORARY TABLE t (a INT)", "not allowed here");
	refused(MYDB_SQL_TABLES, "CREATE TRIGGER x AFTER INSERT ON t FOR EACH ROW SET @a = 1",
		"not allowed here");
	refused(MYDB_SQL_TABLES, "DROP DATABASE x", "not allowed here");
	refused(MYDB_SQL_TABLES, "CREATE TABLE millrace_view (a INT)", "not allowed here");
}
END_TEST

START_TEST(test_taken)
{
	static const char *const taken[] = {
		"UPDATE t SET a = EXTRACT(YEAR FROM t.at)",
		"UPDATE t SET a = TRIM(LEADING 'x' FROM t.b) WHERE t.id = :id",
		"UPDATE t JOIN u ON t.id = u.id SET t.a = u.a",
		"DELETE t FROM t JOIN u ON u.id = t.id WHERE u.x = 1",
		"INSERT INTO t (a) SELECT u.a FROM u WHERE u.a > :a ON DUPLICATE KEY UPDATE t.a = 1",
		"INSERT INTO t VALUES (:a) ON DUPLICATE KEY UPDATE t.a = VALUES(a)",
		"UPDATE t SET a = REPLACE(b, 'x', 'y')",
		"WITH x AS (SELECT 1 AS a) DELETE FROM t WHERE a IN (SELECT a FROM x)",
	};

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		mydb_sql_free(read_one(MYDB_SQL_HANDLER, taken[i]));
	mydb_sql_free(read_one(MYDB_SQL_TABLES,
			       "CREATE TABLE IF NOT EXISTS t (a INT, FOREIGN KEY (a) REFERENCES "
			       "u (a) ON DELETE CASCADE)"));
	mydb_sql_free(read_one(MYDB_SQL_TABLES, "CREATE UNIQUE INDEX i ON t (a)"));
	mydb_sql_free(read_one(MYDB_SQL_TABLES, "INSERT INTO t VALUES (1), (2)"));
	mydb_sql_free(read_one(MYDB_SQL_TABLES,
			       "INSERT INTO t SELECT a.id, b.n FROM a JOIN b ON a.id = b.id AND "
			       "b.name LIKE a.name"));
	mydb_sql_free(read_one(MYDB_SQL_TABLES,
			       "CREATE TABLE t AS SELECT a.id FROM a LEFT JOIN b ON b.id = a.id"));
}
END_TEST

static void merges(const char *text, const char *suffix)
{
	struct mydb_sql *s = read_one(MYDB_SQL_HANDLER, text);

	ck_assert_msg(s->merges == (suffix != NULL), "%s", text);
	if (suffix != NULL)
		ck_assert_str_eq(s->suffix, suffix);
	mydb_sql_free(s);
}

START_TEST(test_merges)
{
	merges("INSERT INTO t VALUES (:a, :b)", "");
	merges("INSERT IGNORE t (a, b) VALUES (:a, CONCAT(:b, 'x'))", "");
	merges("REPLACE INTO `t` (a) VALUE (:a)", "");
	merges("INSERT INTO t (a, n) VALUES (:a, 1) ON DUPLICATE KEY UPDATE n = n + VALUES(n)",
	       " ON DUPLICATE KEY UPDATE n = n + VALUES(n)");
	merges("INSERT INTO t (a, `b c`) VALUES (:a, :b) ON DUPLICATE KEY UPDATE `b c` = :b, a = "
	       ":a",
	       " ON DUPLICATE KEY UPDATE `b c` = VALUES(`b c`), a = VALUES(`a`)");
	merges("INSERT INTO t VALUES (:a, :b) AS new ON DUPLICATE KEY UPDATE b = new.b",
	       " AS new ON DUPLICATE KEY UPDATE b = new.b");
	/* the parameter is another, is part of more, or nobody knows the column */
	merges("INSERT INTO t (a, b) VALUES (:a, :b) ON DUPLICATE KEY UPDATE b = :a", NULL);
	merges("INSERT INTO t (a, b) VALUES (:a, :b + 1) ON DUPLICATE KEY UPDATE b = :b", NULL);
	merges("INSERT INTO t (a, b) VALUES (:a, :b) ON DUPLICATE KEY UPDATE b = :b + 1", NULL);
	merges("INSERT INTO t VALUES (:a, :b) ON DUPLICATE KEY UPDATE b = :b", NULL);
	merges("INSERT INTO t VALUES (:a), (:b)", NULL);
	merges("INSERT INTO t VALUES (:a, (SELECT MAX(x) FROM u))", NULL);
	merges("INSERT INTO t VALUES (:a, @x)", NULL);
	merges("INSERT INTO t SELECT :a", NULL);
	merges("INSERT INTO t SET a = :a", NULL);
	merges("UPDATE t SET a = :a", NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mydb_sql");

	unit_test(s, test_parameters);
	unit_test(s, test_script);
	unit_test(s, test_rows);
	unit_test(s, test_refused);
	unit_test(s, test_taken);
	unit_test(s, test_merges);
	return unit_run(s);
}
