/* test_view_case.c - a view's own cases: what passes, what fails and what it says, lines that can't
 * be read. */
#include "test/unit/unit.h"

#include "core/base/mem.h"
#include "projections/apply/view_case.h"

static struct buf said;

static void report(void *context, const struct view_case_result *r)
{
	(void)context;
	buf_add_format(&said, "%s %s:%d %s\n%s\n", r->ok ? "ok" : "FAIL", r->file, r->line, r->name,
		       r->ok ? "" : r->text);
}

static struct view *view_with(const char *cases)
{
	struct view_files files = { 0 };
	struct err e = ERR_INIT;
	struct view *v;

	view_files_add(&files, "view.conf", xstrdup("inputs = x"));
	view_files_add(&files, "tables.sql",
		       xstrdup("CREATE TABLE m (a INTEGER, b INTEGER, t TEXT, PRIMARY KEY (a, b));"
			       "CREATE VIEW n AS SELECT a, count(*) AS c FROM m GROUP BY a;"));
	view_files_add(
		&files, "on/Put.sql",
		xstrdup("INSERT INTO m VALUES (:a, :b, :t) ON CONFLICT DO UPDATE SET t = :t"));
	view_files_add(&files, "on/Mark.sql", xstrdup("INSERT INTO m VALUES (:seq, :at, :gtid)"));
	view_files_add(&files, "on/Deep.sql",
		       xstrdup("INSERT INTO m VALUES (:in_x, :value_seq, :list)"));
	view_files_add(
		&files, "on/s.i.update.sql",
		xstrdup("UPDATE m SET a = :a, b = :b WHERE a = :before_a AND b = :before_b"));
	view_files_add(&files, "on/s.i.delete.sql",
		       xstrdup("DELETE FROM m WHERE a = :a AND b = :b"));
	view_files_add(&files, "on/s.i.insert.sql", xstrdup("INSERT INTO m VALUES (:a, :b, NULL)"));
	view_files_add(&files, "on/s.i.truncate.sql", xstrdup("DELETE FROM m WHERE a <> :seq"));
	view_files_add(&files, "cases/one.jsonl", xstrdup(cases));
	ck_assert_msg(view_from_files("v", "v", &files, &v, &e) == 0, "%s", e.msg);
	return v;
}

static int run(const char *cases, struct view_case_counts *counts, struct err *e)
{
	struct view *v = view_with(cases);
	struct view_case_memory *memory;
	struct view_case_place place;
	int rc;

	buf_reset(&said);
	memory = view_case_memory_new(&place);
	rc = view_case_run(v, &place, report, NULL, counts, e);
	view_case_memory_free(memory);
	view_free(v);
	return rc;
}

static void check(const char *cases, size_t passed, size_t failed)
{
	struct view_case_counts counts = { 0 };
	struct err e = ERR_INIT;

	ck_assert_msg(run(cases, &counts, &e) == 0, "%s", e.msg);
	ck_assert_msg(counts.passed == passed && counts.failed == failed, "%s", buf_cstr(&said));
}

START_TEST(test_passing)
{
	check("# comment\n\n{\"case\":\"put\"}\n"
	      "{\"event\":\"Put\",\"value\":{\"a\":1,\"b\":2,\"t\":\"x\"}}\n"
	      "{\"expect\":\"m\",\"rows\":[{\"a\":1,\"b\":2,\"t\":\"x\"}]}\n"
	      "{\"event\":\"Put\",\"value\":{\"a\":1,\"b\":2,\"t\":null}}\n"
	      "{\"expect\":\"m\",\"rows\":[{\"a\":1,\"t\":null}]}\n"
	      "{\"case\":\"empty again\"}\n{\"expect\":\"m\",\"rows\":[]}\n"
	      "{\"expect\":\"n\",\"rows\":[]}\n",
	      2, 0);
	check("{\"row\":\"s.i\",\"op\":\"r\",\"after\":{\"a\":1,\"b\":1}}\n"
	      "{\"row\":\"s.i\",\"op\":\"c\",\"after\":{\"a\":1,\"b\":2}}\n"
	      "{\"row\":\"s.i\",\"op\":\"u\",\"before\":{\"a\":1,\"b\":2},\"after\":{\"a\":7,\"b\":8}}\n"
	      "{\"row\":\"s.i\",\"op\":\"d\",\"before\":{\"a\":1,\"b\":1}}\n"
	      "{\"expect\":\"m\",\"rows\":[{\"a\":7,\"b\":8}]}\n"
	      "{\"expect\":\"n\",\"rows\":[{\"a\":7,\"c\":1}]}",
	      1, 0);
	check("{\"row\":\"s.i\",\"op\":\"c\",\"after\":{\"a\":1,\"b\":1}}\n"
	      "{\"row\":\"s.i\",\"op\":\"c\",\"after\":{\"a\":3,\"b\":2}}\n"
	      "{\"row\":\"s.i\",\"op\":\"t\"}\n"
	      "{\"expect\":\"m\",\"rows\":[{\"a\":3,\"b\":2}]}",
	      1, 0);
	check("{\"event\":\"Mark\"}\n{\"event\":\"Mark\",\"seq\":40,\"gtid\":\"0-1-9\",\"at\":5}\n"
	      "{\"expect\":\"m\",\"rows\":[{\"a\":1,\"b\":1000000,\"t\":\"0-1-1\"},{\"a\":40,\"b\":5,\"t\":\"0-1-9\"}]}",
	      1, 0);
	check("{\"event\":\"Deep\",\"value\":{\"in\":{\"x\":3},\"seq\":4,\"list\":[\"p\",\"q\"]}}\n"
	      "{\"expect\":\"m\",\"rows\":[{\"a\":3,\"b\":4,\"t\":\"p,q\"}]}",
	      1, 0);
}
END_TEST

START_TEST(test_failing_says_what_differs)
{
	check("{\"event\":\"Put\",\"value\":{\"a\":1,\"b\":2,\"t\":\"x\"}}\n"
	      "{\"event\":\"Put\",\"value\":{\"a\":3,\"b\":4,\"t\":\"z\"}}\n"
	      "{\"expect\":\"m\",\"rows\":[{\"a\":1,\"b\":2,\"t\":\"y\"},{\"a\":9,\"b\":9}]}",
	      0, 1);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&said), "t should be 'y', is 'x'"));
	ck_assert_ptr_nonnull(strstr(buf_cstr(&said), "expected row is missing: a=9, b=9"));
	ck_assert_ptr_nonnull(strstr(buf_cstr(&said), "not expected: a=3, b=4"));
	check("{\"event\":\"Put\",\"value\":{\"a\":1,\"b\":2}}", 0, 1);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&said), "no value for :t"));
	check("{\"event\":\"Nobody\",\"value\":{}}", 0, 1);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&said), "no handler for Nobody"));
	check("{\"row\":\"s.i\",\"op\":\"c\",\"after\":{\"a\":1,\"b\":1}}\n"
	      "{\"row\":\"s.i\",\"op\":\"c\",\"after\":{\"a\":1,\"b\":1}}",
	      0, 1);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&said), "UNIQUE"));
	check("{\"expect\":\"m\",\"rows\":[{\"nope\":1}]}", 0, 1);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&said), "no column nope"));
}
END_TEST

START_TEST(test_bad_lines)
{
	static const char *const lines[] = {
		"{",
		"[1]",
		"{\"what\":1}",
		"{\"expect\":\"nowhere\",\"rows\":[]}",
		"{\"row\":\"s.i\",\"op\":\"x\"}",
		"{\"row\":\"s.i\"}",
		"nonsense",
		"\"text\"",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct view_case_counts counts = { 0 };
		struct err e = ERR_INIT;
		char *text = xasprintf("\n%s", lines[i]);

		ck_assert_msg(run(text, &counts, &e) < 0, "%s", lines[i]);
		ck_assert_msg(e.kind == ERR_CONFIG || e.kind == ERR_DATA, "%s: %s", lines[i],
			      e.msg);
		ck_assert_msg(strstr(e.msg, "cases/one.jsonl:2: ") != NULL, "%s: %s", lines[i],
			      e.msg);
		free(text);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("view_case");

	unit_test(s, test_passing);
	unit_test(s, test_failing_says_what_differs);
	unit_test(s, test_bad_lines);
	return unit_run(s);
}
