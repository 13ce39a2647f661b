/* test_query.c - views of kind query: what is refused, and that what is kept up equals what is
 * computed from scratch, after every source transaction of random histories.
 *
 * A history is random transactions over three tables with small domains, so that rows meet:
 * inserts, updates, deletes, keys that change, a table emptied at once. The SELECTs are a family
 * with a random condition each: joins, left joins, groups, unions, subqueries, a table joined with
 * itself. */
#include "test/unit/unit.h"

#include "core/base/mem.h"
#include "projections/apply/kind.h"
#include "projections/apply/query.h"

static const char tables[] =
	"CREATE TABLE a (id INTEGER PRIMARY KEY, k INTEGER, s TEXT);\n"
	"CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INTEGER, w INTEGER);\n"
	"CREATE TABLE c (x INTEGER, y INTEGER, z INTEGER, PRIMARY KEY (x, y));";

struct family {
	const char *name, *key;
	const char *query; /* %s: a condition */
	const char *condition[3];
	const char *keys[3]; /* of a, b, c; NULL: no file */
};

static const struct family family[] = {
	{ "a join",
	  "id",
	  "SELECT b.id, a.s, b.w FROM d.b b JOIN d.a a ON a.id = b.a_id WHERE %s",
	  { "1", "b.w > 2", "a.k IS NOT NULL AND b.w < 4" },
	  { "SELECT id FROM d.b WHERE a_id = :id" } },
	{ "a left join",
	  "id",
	  "SELECT a.id AS id, a.s, c.z FROM a LEFT JOIN c ON c.x = a.k AND c.y = a.id AND %s",
	  { "1", "c.z > 2", "a.s <> 'p'" },
	  { NULL, NULL, "SELECT id FROM a WHERE k = :x AND id = :y" } },
	{ "a group by, its table alone",
	  "k",
	  "SELECT k, COUNT(*) AS n, COUNT(DISTINCT s) AS m FROM d.a WHERE k IS NOT NULL AND %s "
	  "GROUP BY k",
	  { "1", "s <> 'p'", "id % 2 = 0" },
	  { NULL } },
	{ "count, sum, min and max over a left join, with having",
	  "k",
	  "SELECT a.k, COUNT(b.id) AS n, SUM(b.w) AS s, MIN(b.w) AS least, MAX(b.w) AS most "
	  "FROM d.a LEFT JOIN d.b ON b.a_id = a.id WHERE a.k IS NOT NULL GROUP BY a.k HAVING %s",
	  { "1", "COUNT(*) > 1", "SUM(b.w) IS NULL OR MAX(b.w) > 2" },
	  { "SELECT :k", "SELECT k FROM a WHERE id = :a_id" } },
	{ "a group of two columns of two tables",
	  "k, w",
	  "SELECT a.k, b.w, COUNT(*) AS n FROM a JOIN b ON b.a_id = a.id WHERE a.k IS NOT NULL "
	  "AND b.w IS NOT NULL AND %s GROUP BY a.k, b.w",
	  { "1", "a.s <> 'p'", "b.id < 6" },
	  { "SELECT :k, w FROM b WHERE a_id = :id", "SELECT k, :w FROM a WHERE id = :a_id" } },
	{ "a union of all rows",
	  "kind, id",
	  "SELECT 'a' AS kind, id, k AS v FROM a WHERE %s UNION ALL SELECT 'b', id, w FROM b",
	  { "1", "k > 2", "s IS NULL" },
	  { "SELECT 'a', :id", "SELECT 'b', :id" } },
	{ "a union of values",
	  "v",
	  "SELECT k AS v FROM a WHERE k IS NOT NULL UNION SELECT w FROM b WHERE w IS NOT NULL AND "
	  "%s",
	  { "1", "id > 3", "a_id IS NOT NULL" },
	  { "SELECT :k", "SELECT :w" } },
	{ "what has no counterpart",
	  "id",
	  "SELECT a.id, a.k FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.a_id = a.id AND %s)",
	  { "1", "b.w > 1", "b.w = a.k" },
	  { "SELECT :id", "SELECT :a_id" } },
	{ "a table with itself",
	  "id",
	  "SELECT x.id, COUNT(y.id) AS n FROM a x LEFT JOIN a y ON y.k = x.k AND y.id <> x.id AND "
	  "%s GROUP BY x.id",
	  { "1", "y.s = 'q'", "y.id > x.id" },
	  { "SELECT :id UNION SELECT id FROM a WHERE k = :k" } },
	{ "a subquery in WITH, three tables",
	  "x",
	  "WITH t AS (SELECT a.k, SUM(b.w) AS s FROM a JOIN b ON b.a_id = a.id GROUP BY a.k) "
	  "SELECT c.x, MAX(c.z) AS z, MAX(t.s) AS s FROM c LEFT JOIN t ON t.k = c.x WHERE %s "
	  "GROUP BY c.x",
	  { "1", "c.z IS NOT NULL", "c.y < 3" },
	  { "SELECT :k", "SELECT k FROM a WHERE id = :a_id", "SELECT :x" } },
};

#define FAMILIES (sizeof(family) / sizeof(family[0]))
#define ROWS 8

static struct view *view;
static struct sql_db *db;
static struct target_sqlite target;
static struct kind *kind;

static void read_view(const struct family *f, const char *condition, struct err *e)
{
	struct view_files files = { 0 };
	char format[1000];
	const char *names[] = { "keys/a.sql", "keys/d.b.sql", "keys/c.sql" };
	const char *hole = strstr(f->query, "%s");

	snprintf(format, sizeof(format), "-- table: v\n%.*s%s%s;\n", (int)(hole - f->query),
		 f->query, condition, hole + 2);
	view_files_add(&files, "query.sql", xstrdup(format));
	snprintf(format, sizeof(format), "kind = query\ninputs = n.d.a, n.d.b, n.d.c\nkey.v = %s",
		 f->key);
	view_files_add(&files, "view.conf", xstrdup(format));
	for (size_t i = 0; i < 3; i++) {
		if (f->keys[i] != NULL)
			view_files_add(&files, names[i], xstrdup(f->keys[i]));
	}
	view = NULL;
	if (view_from_files("v", "v", &files, &view, e) == 0 &&
	    view_shape_sql(view, "tables.sql", tables, e) < 0) {
		view_free(view);
		view = NULL;
	}
}

static void open_view(const struct family *f, const char *condition)
{
	struct kind_options o = { .built = true };
	struct err e = ERR_INIT;

	read_view(f, condition, &e);
	ck_assert_msg(view != NULL, "%s: %s", f->name, e.msg);
	ck_assert_int_eq(sql_open_db(NULL, SQL_OPEN_MEMORY, &db, &e), 0);
	ck_assert_msg(sql_script(db, "create", view->create_sql, &e) == 0 &&
			      sql_script(db, "after", view->after_build_sql, &e) == 0,
		      "%s: %s", f->name, e.msg);
	target_sqlite_init(&target, db);
	o.handlers.view = view;
	o.handlers.target = &target.target;
	ck_assert_msg(kind_open(&o, &kind, &e) == 0, "%s: %s", f->name, e.msg);
}

static void close_view(void)
{
	kind_close(kind);
	sql_close(db);
	view_free(view);
}

/* ---- histories ------------------------------------------------------------------------------- */

static struct value number(int64_t i)
{
	return (struct value){ .kind = VALUE_INT, .i = i };
}

static struct value maybe(int64_t i)
{
	return unit_random_below(5) == 0 ? (struct value){ .kind = VALUE_NULL } : number(i);
}

static const struct {
	const char *name, *columns[3];
	size_t keys;
} shapes[] = { { "d.a", { "id", "k", "s" }, 1 },
	       { "d.b", { "id", "a_id", "w" }, 1 },
	       { "d.c", { "x", "y", "z" }, 2 } };

static struct value random_value(size_t table, size_t column)
{
	static const char *const texts[] = { "p", "q", "r" };

	if (column < shapes[table].keys)
		return number((int64_t)unit_random_below(shapes[table].keys == 1 ? ROWS : 4));
	if (table == 0 && column == 2 && unit_random_below(5) > 0)
		return (struct value){ .kind = VALUE_TEXT,
				       .bytes = slice_str(texts[unit_random_below(3)]) };
	return maybe((int64_t)unit_random_below(table == 1 && column == 1 ? ROWS : 5));
}

static void run(enum view_on on, size_t table, const struct handlers_field *fields, size_t count)
{
	struct err e = ERR_INIT;
	bool found = false;

	ck_assert_msg(kind_run_fields(kind, on, shapes[table].name, fields, count, &found, &e) ==
				      0 &&
			      found,
		      "%s", e.msg);
}

/* One row is put, changed or taken away; whether it is there is left to chance, as it is to a
 * capture that delivers a row again. */
static void random_change(void)
{
	static char names[2][3][16];
	struct handlers_field fields[6];
	size_t table = unit_random_below(3), keys = shapes[table].keys;
	uint64_t what = unit_random_below(40);

	if (what == 0) {
		run(VIEW_ON_TRUNCATE, table, NULL, 0);
		return;
	}
	for (size_t image = 0; image < 2; image++) {
		for (size_t i = 0; i < 3; i++) {
			snprintf(names[image][i], sizeof(names[image][i]), "%s%s",
				 image == 0 ? "before." : "after.", shapes[table].columns[i]);
			fields[image * 3 + i].name = names[image][i];
			fields[image * 3 + i].value = random_value(table, i);
		}
	}
	if (what < 12) { /* before-images of keys only are enough */
		run(VIEW_ON_DELETE, table, fields, keys);
	} else if (what < 24) {
		for (size_t i = 0; i < keys; i++)
			fields[3 + i].value = fields[i].value;
		run(VIEW_ON_UPDATE, table, fields, 6);
	} else if (what < 28) { /* a key that changes comes as two records */
		run(VIEW_ON_DELETE, table, fields, 3);
		run(VIEW_ON_INSERT, table, fields + 3, 3);
	} else if (what < 32) { /* an image with a gap: the last column stays what it is */
		for (size_t i = 0; i < keys; i++)
			fields[3 + i].value = fields[i].value;
		run(VIEW_ON_UPDATE, table, fields, 5);
	} else {
		run(VIEW_ON_INSERT, table, fields + 3, 3);
	}
}

static int64_t count(const char *format, const char *query)
{
	struct buf sql = BUF_INIT;
	struct err e = ERR_INIT;
	int64_t n = -1;

	for (const char *p = format; *p != '\0'; p++) {
		if (*p == '#')
			buf_add_str(&sql, query);
		else
			buf_add_u8(&sql, (uint8_t)*p);
	}
	ck_assert_msg(sql_get_int(db, buf_cstr(&sql), &n, &e) == 0, "%s", e.msg);
	buf_done(&sql);
	return n;
}

static void check_equal(const struct family *f, const char *condition, int at)
{
	const char *query = view->queries[0].text;
	int64_t more = count("SELECT count(*) FROM (SELECT * FROM v EXCEPT SELECT * FROM (#))",
			     query),
		less = count("SELECT count(*) FROM (SELECT * FROM (#) EXCEPT SELECT * FROM v)",
			     query),
		rows = count("SELECT count(*) FROM v", query),
		want = count("SELECT count(*) FROM (#)", query);

	ck_assert_msg(more == 0 && less == 0 && rows == want,
		      "%s, where %s: after transaction %d %lld rows differ or are too many, %lld "
		      "are missing",
		      f->name, condition, at, (long long)more, (long long)less);
}

START_TEST(test_kept_up_equals_computed)
{
	unit_seed();
	for (int i = 0; i < 60; i++) {
		const struct family *f = &family[(size_t)i % FAMILIES];
		const char *condition = f->condition[unit_random_below(3)];
		struct err e = ERR_INIT;

		open_view(f, condition);
		for (int t = 0; t < 60; t++) {
			for (uint64_t n = 1 + unit_random_below(6); n > 0; n--)
				random_change();
			ck_assert_msg(kind_settle(kind, &e) == 0, "%s: %s", f->name, e.msg);
			check_equal(f, condition, t);
		}
		close_view();
	}
}
END_TEST

/* ---- what is refused ------------------------------------------------------------------------- */

static const struct {
	struct family f;
	const char *says;
} bad[] = {
	{ { "", "id", "SELECT id FROM a WHERE k < %s LIMIT 5", { "" }, { NULL } },
	  "query.sql:2: LIMIT can't be kept up" },
	{ { "", "id", "SELECT id,\n random() AS r FROM a WHERE %s", { "" }, { NULL } },
	  "query.sql:3: random can't be kept up: its answer differs each time" },
	{ { "", "id", "SELECT id, now() AS t FROM a WHERE %s", { "" }, { NULL } },
	  "its answer changes with time" },
	{ { "", "id", "SELECT id, date('now') AS t FROM a WHERE %s", { "" }, { NULL } },
	  "its answer changes with time" },
	{ { "",
	    "id",
	    "SELECT id, row_number() OVER (ORDER BY k) AS r FROM a WHERE %s",
	    { "" },
	    { NULL } },
	  "OVER can't be kept up: its numbers depend on the rows around" },
	{ { "", "id", "SELECT id FROM a WHERE k = :x AND %s", { "" }, { NULL } },
	  "it has a parameter" },
	{ { "", "nothing", "SELECT id FROM a WHERE %s", { "" }, { "SELECT :id" } },
	  "the SELECT has no column nothing" },
	{ { "", "id", "SELECT a.id FROM a JOIN b ON b.a_id = a.id WHERE %s", { "" }, { NULL } },
	  "keys/b.sql: missing: it says which rows of v a row of d.b counts for" },
	{ { "", "id", "SELECT x.id FROM a x JOIN a y ON y.k = x.k WHERE %s", { "" }, { NULL } },
	  "keys/a.sql: missing" },
	{ { "", "k", "WITH t AS (SELECT k FROM a) SELECT k FROM t WHERE %s", { "" }, { NULL } },
	  "keys/a.sql: missing" },
	{ { "", "id", "SELECT id FROM elsewhere WHERE %s", { "" }, { NULL } },
	  "query.sql:2: no such table: elsewhere" },
	{ { "", "id", "SELECT id, nosuch FROM a WHERE %s", { "" }, { NULL } },
	  "query.sql:2: no such column: nosuch" },
	{ { "", "id", "SELECT a.id FROM a WHERE %s", { "" }, { "SELECT\n :idd" } },
	  "keys/a.sql:2: :idd is not a column of d.a" },
	{ { "", "id", "DELETE FROM a WHERE %s", { "" }, { NULL } }, "not a SELECT" },
	{ { "",
	    "id",
	    "SELECT id FROM a WHERE %s;\n-- table: V\nSELECT id FROM a",
	    { "" },
	    { NULL } },
	  "query.sql:4: table V has two SELECTs" },
	{ { "",
	    "id",
	    "SELECT id FROM a WHERE %s;\n-- table: b\nSELECT id FROM a",
	    { "" },
	    { NULL } },
	  "query.sql:4: table b: a table that the view reads is called so" },
	{ { "",
	    "id",
	    "SELECT id FROM a WHERE %s;\n-- table: w\nSELECT id FROM a",
	    { "" },
	    { NULL } },
	  "view.conf: table w has no key" },
	{ { "", "id", "SELECT a.id FROM a WHERE %s", { "" }, { "DELETE FROM a WHERE id = :id" } },
	  "keys/a.sql:1: not a SELECT" },
};

START_TEST(test_refused)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;

		read_view(&bad[i].f, "1", &e);
		ck_assert_msg(view == NULL, "case %zu is taken", i);
		ck_assert_msg(e.kind == ERR_CONFIG && strstr(e.msg, bad[i].says) != NULL,
			      "case %zu: '%s' is not in: %s", i, bad[i].says, e.msg);
	}
}
END_TEST

/* Every word that is refused, as it stands in a SELECT, and the reason's beginning. */
static const struct {
	const char *text, *says;
} words[] = {
	{ "SELECT random ( )", "its answer differs" },
	{ "SELECT RANDOMBLOB(4)", "its answer differs" },
	{ "SELECT rand()", "its answer differs" },
	{ "SELECT random_bytes(4)", "its answer differs" },
	{ "SELECT uuid()", "its answer differs" },
	{ "SELECT uuid_short()", "its answer differs" },
	{ "SELECT sys_guid()", "its answer differs" },
	{ "SELECT gen_random_uuid()", "its answer differs" },
	{ "SELECT nextval('s')", "its answer differs" },
	{ "SELECT id FROM a TABLESAMPLE SYSTEM (10)", "its answer differs" },
	{ "SELECT now()", "its answer changes with time" },
	{ "SELECT sysdate()", "its answer changes with time" },
	{ "SELECT curdate()", "its answer changes with time" },
	{ "SELECT curtime()", "its answer changes with time" },
	{ "SELECT utc_date", "its answer changes with time" },
	{ "SELECT utc_time", "its answer changes with time" },
	{ "SELECT utc_timestamp(6)", "its answer changes with time" },
	{ "SELECT current_date", "its answer changes with time" },
	{ "SELECT current_time", "its answer changes with time" },
	{ "SELECT current_timestamp", "its answer changes with time" },
	{ "SELECT localtime", "its answer changes with time" },
	{ "SELECT localtimestamp", "its answer changes with time" },
	{ "SELECT unix_timestamp()", "its answer changes with time" },
	{ "SELECT clock_timestamp()", "its answer changes with time" },
	{ "SELECT statement_timestamp()", "its answer changes with time" },
	{ "SELECT transaction_timestamp()", "its answer changes with time" },
	{ "SELECT timeofday()", "its answer changes with time" },
	{ "SELECT unixepoch()", "its answer changes with time" },
	{ "SELECT strftime('%s', 'NOW')", "its answer changes with time" },
	{ "SELECT date ( )", "its answer changes with time" },
	{ "SELECT time()", "its answer changes with time" },
	{ "SELECT datetime()", "its answer changes with time" },
	{ "SELECT julianday()", "its answer changes with time" },
	{ "SELECT last_insert_rowid()", "its answer depends on the session" },
	{ "SELECT last_insert_id()", "its answer depends on the session" },
	{ "SELECT changes()", "its answer depends on the session" },
	{ "SELECT total_changes()", "its answer depends on the session" },
	{ "SELECT connection_id()", "its answer depends on the session" },
	{ "SELECT found_rows()", "its answer depends on the session" },
	{ "SELECT row_count()", "its answer depends on the session" },
	{ "SELECT current_user", "its answer depends on the session" },
	{ "SELECT session_user", "its answer depends on the session" },
	{ "SELECT system_user()", "its answer depends on the session" },
	{ "SELECT user()", "its answer depends on the session" },
	{ "SELECT current_role", "its answer depends on the session" },
	{ "SELECT current_schema", "its answer depends on the session" },
	{ "SELECT database()", "its answer depends on the session" },
	{ "SELECT schema()", "its answer depends on the session" },
	{ "SELECT pg_backend_pid()", "its answer depends on the session" },
	{ "SELECT @n := @n + 1", "its answer depends on the session" },
	{ "SELECT @@hostname", "its answer depends on the session" },
	{ "SELECT id FROM a LIMIT 1", "which rows it keeps" },
	{ "SELECT id FROM a ORDER BY id OFFSET 1", "which rows it keeps" },
	{ "SELECT id FROM a FETCH FIRST ROW ONLY", "which rows it keeps" },
	{ "SELECT rownum() FROM a", "its numbers depend" },
	{ "SELECT count(*) OVER () FROM a", "its numbers depend" },
	{ "SELECT count(*) OVER w FROM a WINDOW w AS ()", "its numbers depend" },
	{ "WITH RECURSIVE t AS (SELECT 1) SELECT * FROM t", "it follows rows" },
	{ "SELECT id FROM a WHERE id = :id", "it has a parameter" },
	{ "SELECT id FROM a WHERE id = ?", "it has a parameter" },
	{ "SELECT 1; SELECT 2", "it has more than one statement" },
};

static const char *const fine[] = {
	"SELECT now, random, uuid, user, schema, changes, over FROM a",
	"SELECT a.limit, a.current_date, a.window FROM a",
	"SELECT \"limit\", `offset` FROM a",
	"SELECT 'limit now() ; ? :x', 'now or later' FROM a",
	"SELECT id /* LIMIT 1 ; */ FROM a -- OFFSET now()",
	"SELECT date(at), time(at), datetime ( at ), julianday(at) FROM a",
	"SELECT x::text, y @> z, @ w FROM a",
	"SELECT 'it''s', 'limit' FROM a",
	"SELECT limited, my_limit, offsets FROM a",
};

START_TEST(test_words)
{
	const char *at, *why;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		why = query_refuse(words[i].text, &at);
		ck_assert_msg(why != NULL &&
				      strncmp(why, words[i].says, strlen(words[i].says)) == 0,
			      "%s: %s", words[i].text, why != NULL ? why : "taken");
		ck_assert(at > words[i].text && at < words[i].text + strlen(words[i].text));
	}
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		why = query_refuse(fine[i], &at);
		ck_assert_msg(why == NULL, "%s: %s", fine[i], why);
	}
}
END_TEST

/* A key that is NULL has no row that could be found again: it is none of the view's, neither when
 * it is built nor when it is kept up. */
START_TEST(test_null_keys_are_left_out)
{
	static const struct family f = { "",
					 "k",
					 "SELECT k, COUNT(*) AS n FROM a WHERE %s GROUP BY k",
					 { "1" },
					 { "SELECT :k" } };
	struct handlers_field fields[] = { { "after.id", number(1) }, { "after.k", number(2) } };
	struct handlers_field null[] = { { "after.id", number(2) } };
	struct buf fill = BUF_INIT;
	struct err e = ERR_INIT;
	bool found;

	open_view(&f, "1");
	ck_assert_int_eq(kind_run_fields(kind, VIEW_ON_INSERT, "d.a", fields, 2, &found, &e), 0);
	ck_assert_int_eq(kind_settle(kind, &e), 0);
	ck_assert_int_eq(kind_run_fields(kind, VIEW_ON_INSERT, "d.a", null, 1, &found, &e), 0);
	ck_assert_int_eq(kind_settle(kind, &e), 0);
	ck_assert_int_eq(count("SELECT count(*) FROM v WHERE k = 2 AND n = 1", ""), 1);
	ck_assert_int_eq(count("SELECT count(*) FROM v", ""), 1);
	query_fill_sql(view, &view->queries[0], &fill);
	ck_assert_int_eq(sql_script(db, "fill", buf_cstr(&fill), &e), 0);
	buf_done(&fill);
	ck_assert_int_eq(count("SELECT count(*) FROM v", ""), 1);
	close_view();
}
END_TEST

/* ---- rows of the mirrored tables themselves -------------------------------------------------- */

static const struct family plain = {
	"", "id", "SELECT id, k, s FROM a WHERE %s", { "1" }, { "SELECT :id" }
};

static void run_bad(enum view_on on, const struct handlers_field *fields, size_t n,
		    const char *says)
{
	struct err e = ERR_INIT;
	bool found;

	ck_assert_int_lt(kind_run_fields(kind, on, "d.a", fields, n, &found, &e), 0);
	ck_assert_msg(e.kind == ERR_DATA && strstr(e.msg, says) != NULL, "'%s' is not in: %s", says,
		      e.msg);
}

START_TEST(test_gaps_and_rows_that_are_none)
{
	struct value p = { .kind = VALUE_TEXT, .bytes = slice_str("p") };
	struct handlers_field row[] = { { "after.id", number(1) },
					{ "after.k", number(2) },
					{ "after.s", p } };
	struct handlers_field change[] = { { "before.id", number(1) },
					   { "after.id", number(1) },
					   { "after.k", number(3) } };
	struct handlers_field no_key[] = { { "after.id", { .kind = VALUE_NULL } },
					   { "after.k", number(2) },
					   { "after.s", p } };
	struct err e = ERR_INIT;

	open_view(&plain, "1");
	run(VIEW_ON_INSERT, 0, row, 3);
	run(VIEW_ON_UPDATE, 0, change, 3);
	ck_assert_int_eq(kind_settle(kind, &e), 0);
	ck_assert_int_eq(count("SELECT count(*) FROM a WHERE id = 1 AND k = 3 AND s = 'p'", ""), 1);
	ck_assert_int_eq(count("SELECT count(*) FROM v WHERE id = 1 AND k = 3 AND s = 'p'", ""), 1);
	run_bad(VIEW_ON_INSERT, no_key, 3, "table d.a: a row without id, which is of the key");
	ck_assert_int_eq(count("SELECT count(*) FROM a", ""), 1);
	close_view();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("query");
	Suite *s = suite_create("query");

	tcase_set_timeout(t, 300);
	tcase_add_test(t, test_kept_up_equals_computed);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_words);
	tcase_add_test(t, test_null_keys_are_left_out);
	tcase_add_test(t, test_gaps_and_rows_that_are_none);
	suite_add_tcase(s, t);
	return unit_run(s);
}
