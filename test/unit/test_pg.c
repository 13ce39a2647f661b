/* test_pg.c - a user's PostgreSQL script taken apart; values in the server's binary forms and back.
 */
#include "test/unit/unit.h"

#include "core/postgresql/pg.h"
#include "core/postgresql/pg_script.h"

static struct pg_script read_ok(const char *text, enum pg_script_use use)
{
	struct err e = ERR_INIT;
	struct pg_script s;

	ck_assert_msg(pg_script_read("on/x.sql", text, text, use, &s, &e) == 0, "%s: %s", text,
		      e.msg);
	return s;
}

START_TEST(test_parameters_get_numbers)
{
	static const struct {
		const char *text, *sql;
		int names;
	} cases[] = {
		{ "INSERT INTO t VALUES (:a, :b, :a)", "INSERT INTO t VALUES ($1, $2, $1)", 2 },
		{ "UPDATE t SET a = ':x' || :x::text", "UPDATE t SET a = ':x' || $1::text", 1 },
		{ "DELETE FROM t WHERE a = E'\\':no' AND b = :b",
		  "DELETE FROM t WHERE a = E'\\':no' AND b = $1", 1 },
		{ "DELETE FROM t WHERE \":n\" = 'it''s :no' -- :no\n AND b /* :n /* :n */ */ = :b",
		  "DELETE FROM t WHERE \":n\" = 'it''s :no' -- :no\n AND b /* :n /* :n */ */ = $1",
		  1 },
		{ "INSERT INTO t VALUES ($$ :no $$, $q$ :no $$ ; $q$, a[1 : 2], b::int)",
		  "INSERT INTO t VALUES ($$ :no $$, $q$ :no $$ ; $q$, a[1 : 2], b::int)", 0 },
		{ "INSERT INTO t VALUES (1e5, 0x1F, a1$b, :before_a)",
		  "INSERT INTO t VALUES (1e5, 0x1F, a1$b, $1)", 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pg_script s = read_ok(cases[i].text, PG_SCRIPT_HANDLER);

		ck_assert_str_eq(s.sql, cases[i].sql);
		ck_assert_int_eq(s.name_count, cases[i].names);
		pg_script_done(&s);
	}
}
END_TEST

START_TEST(test_statements_are_told_apart)
{
	const char *text =
		";; CREATE TABLE a (v text DEFAULT ';');\n"
		"CREATE FUNCTION f() RETURNS int AS $f$ BEGIN; END $f$ LANGUAGE sql;\n-- end\n";
	struct pg_script s;
	struct err e = ERR_INIT;

	ck_assert_int_eq(pg_script_read("tables.sql", text, text, PG_SCRIPT_TABLES, &s, &e), 0);
	ck_assert_str_eq(s.sql, " CREATE TABLE a (v text DEFAULT ';')");
	text = s.tail;
	pg_script_done(&s);
	ck_assert_int_eq(pg_script_read("tables.sql", text, text, PG_SCRIPT_TABLES, &s, &e), 0);
	ck_assert_str_eq(s.tokens[1].text, "function");
	text = s.tail;
	pg_script_done(&s);
	ck_assert_int_eq(pg_script_read("tables.sql", text, text, PG_SCRIPT_TABLES, &s, &e), 0);
	ck_assert_uint_eq(s.token_count, 0);
	pg_script_done(&s);
}
END_TEST

START_TEST(test_what_a_script_may_not_do)
{
	static const struct {
		const char *text, *said;
		enum pg_script_use use;
	} cases[] = {
		{ "\nCOMMIT", "on/x.sql:2: a statement that a view may not use",
		  PG_SCRIPT_HANDLER },
		{ "SET search_path = public", "may not use", PG_SCRIPT_TABLES },
		{ "BEGIN", "may not use", PG_SCRIPT_TABLES },
		{ "DO $$ BEGIN END $$", "may not use", PG_SCRIPT_TABLES },
		{ "TRUNCATE t", "under its readers", PG_SCRIPT_HANDLER },
		{ "SELECT 1", "only reads", PG_SCRIPT_HANDLER },
		{ "CREATE TABLE x (i int)", "nothing else", PG_SCRIPT_HANDLER },
		{ "DELETE FROM Millrace_Position", "Millrace's own", PG_SCRIPT_HANDLER },
		{ "DELETE FROM \"millrace_epoch\"", "Millrace's own", PG_SCRIPT_HANDLER },
		{ "INSERT INTO t SELECT set_config('a', 'b', false)", "function",
		  PG_SCRIPT_HANDLER },
		{ "CREATE TABLE t (a int DEFAULT :a)", "parameter", PG_SCRIPT_TABLES },
		{ "DELETE FROM t WHERE a = 'x", "a string that never ends", PG_SCRIPT_HANDLER },
		{ "DELETE FROM t /* x", "a comment that never ends", PG_SCRIPT_HANDLER },
		{ "DELETE FROM \"t", "a quoted name that never ends", PG_SCRIPT_HANDLER },
		{ "DELETE FROM t WHERE a = $x$ y", "a string that never ends", PG_SCRIPT_HANDLER },
		{ "(SELECT 1)", "not a statement", PG_SCRIPT_HANDLER },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = ERR_INIT;
		struct pg_script s;

		ck_assert_msg(pg_script_read("on/x.sql", cases[i].text, cases[i].text, cases[i].use,
					     &s, &e) < 0,
			      "%s", cases[i].text);
		ck_assert_int_eq(e.kind, ERR_CONFIG);
		ck_assert_msg(strstr(e.msg, cases[i].said) != NULL, "%s: %s", cases[i].text, e.msg);
	}
}
END_TEST

static struct value whole(int64_t i)
{
	return (struct value){ .kind = VALUE_INT, .i = i };
}

START_TEST(test_values_there_and_back)
{
	static const struct {
		uint32_t type;
		int64_t from, to;
	} ranges[] = {
		{ PG_INT2, INT16_MIN, INT16_MAX },
		{ PG_INT4, INT32_MIN, INT32_MAX },
		{ PG_INT8, INT64_MIN, INT64_MAX },
		{ PG_BOOL, 0, 1 },
		{ PG_DATE, -2440588, 2145042885 },
		{ PG_TIME, 0, INT64_C(86400000000) },
		{ PG_TIMESTAMP, INT64_C(-210866803200000000), INT64_C(253402300799999999) },
		{ PG_TIMESTAMPTZ, -1, INT64_C(946684800000000) },
		{ PG_INTERVAL, INT64_C(-3020399999999), INT64_C(3020399999999) },
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		int64_t ends[] = { ranges[i].from, ranges[i].to, 0 };

		for (size_t k = 0; k < 3; k++) {
			struct value in = whole(ends[k]), out;
			struct buf b = BUF_INIT;

			ck_assert_msg(pg_encode(ranges[i].type, &in, &b), "%u", ranges[i].type);
			pg_decode(ranges[i].type, buf_slice(&b), &out);
			ck_assert_int_eq(out.kind, VALUE_INT);
			ck_assert_int_eq(out.i, ends[k]);
			buf_done(&b);
		}
	}
}
END_TEST

START_TEST(test_what_doesnt_fit_goes_as_text)
{
	const struct value text = { .kind = VALUE_TEXT, .bytes = slice_str("0000-00-00") };
	struct buf b = BUF_INIT;
	struct value v;

	ck_assert(!pg_encode(PG_DATE, &text, &b));
	ck_assert(!pg_encode(PG_INT8, &text, &b));
	ck_assert(!pg_encode(PG_NUMERIC, &text, &b));
	ck_assert(!pg_encode(PG_UUID, &text, &b));
	v = whole(40000);
	ck_assert(!pg_encode(PG_INT2, &v, &b));
	v = whole(INT64_C(1) << 40);
	ck_assert(!pg_encode(PG_INT4, &v, &b));
	ck_assert(!pg_encode(PG_DATE, &v, &b));
	v = whole(-1);
	ck_assert(!pg_encode(PG_TIME, &v, &b));
	v = whole(INT64_MIN);
	ck_assert(!pg_encode(PG_TIMESTAMP, &v, &b));
	ck_assert_uint_eq(b.size, 0);
	pg_decode(PG_BPCHAR, slice_str("ab   "), &v);
	ck_assert(slice_is(v.bytes, "ab"));
	pg_decode(PG_DATE, slice_of("\x7f\xff\xff\xff", 4), &v);
	ck_assert(v.kind == VALUE_TEXT && slice_is(v.bytes, "infinity"));
	buf_done(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pg");

	unit_test(s, test_parameters_get_numbers);
	unit_test(s, test_statements_are_told_apart);
	unit_test(s, test_what_a_script_may_not_do);
	unit_test(s, test_values_there_and_back);
	unit_test(s, test_what_doesnt_fit_goes_as_text);
	return unit_run(s);
}
