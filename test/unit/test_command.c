/* test_command.c - the mailbox between the API and the pipeline, and what may stand behind WHERE.
 */
#include "cdc/capture/capture_http.h"
#include "cdc/capture/command.h"
#include "cdc/copy/marks.h"
#include "core/base/clock.h"
#include "test/unit/unit.h"

#include <pthread.h>
#include <string.h>

struct asking {
	struct command_box *box;
	int64_t timeout_ms;
	int rc;
	struct buf answer;
	struct err e;
};

static void *ask(void *context)
{
	struct asking *a = context;
	struct command_field fields[] = { { "tables", "a.b" }, { "where", NULL } };

	a->rc = command_ask(a->box, "copies", fields, 2, a->timeout_ms, &a->answer, &a->e);
	return NULL;
}

static struct command *take(struct command_box *box)
{
	struct command *c;

	while ((c = command_take(box)) == NULL)
		clock_sleep_us(1000);
	return c;
}

START_TEST(test_asked_and_answered)
{
	struct command_box *box = command_box_new();
	struct asking a = { .box = box, .timeout_ms = 60000 };
	struct command *c;
	struct err e = ERR_INIT;
	pthread_t thread;

	ck_assert_ptr_null(command_take(box));
	ck_assert_int_eq(pthread_create(&thread, NULL, ask, &a), 0);
	c = take(box);
	ck_assert_str_eq(command_name(c), "copies");
	ck_assert_str_eq(command_text(c, "tables"), "a.b");
	ck_assert_ptr_null(command_text(c, "where"));
	command_answer(box, c, slice_str("{}"));
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(a.rc, 0);
	ck_assert(slice_is(buf_slice(&a.answer), "{}"));
	ck_assert_int_eq(pthread_create(&thread, NULL, ask, &a), 0);
	c = take(box);
	err_config(&e, "no");
	command_fail(box, c, &e);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(a.rc, -1);
	ck_assert_int_eq(a.e.kind, ERR_CONFIG);
	buf_done(&a.answer);
	command_box_free(box);
}
END_TEST

/* Nobody waits for ever: not for a pipeline that does not come, that forgot, or that has ended. */
START_TEST(test_nobody_answers)
{
	struct command_box *box = command_box_new();
	struct asking a = { .box = box, .timeout_ms = 10 };
	pthread_t thread;

	(void)ask(&a);
	ck_assert_int_eq(a.rc, -1);
	ck_assert_int_eq(a.e.kind, ERR_RETRY);
	ck_assert_ptr_null(command_take(box));
	a.timeout_ms = 60000;
	ck_assert_int_eq(pthread_create(&thread, NULL, ask, &a), 0);
	(void)take(box);
	ck_assert_ptr_null(command_take(box)); /* the next session looks */
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(a.rc, -1);
	ck_assert_int_eq(pthread_create(&thread, NULL, ask, &a), 0);
	(void)take(box);
	command_box_close(box);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(a.rc, -1);
	(void)ask(&a);
	ck_assert_int_eq(a.rc, -1);
	command_box_free(box);
}
END_TEST

START_TEST(test_conditions)
{
	static const char *const good[] = {
		"",          "a = 1",    "a IN (1, (2))", "a = ')' AND b = 'it''s'", "`;` = \"--\"",
		"a = '\\''", "a - 1 > 2"
	};
	static const char *const bad[] = { "1) OR (1", ")",   "(",       "a = 'x", "`a", "1; DROP",
					   "a -- b",   "# x", "a /* */", "a = \"", "'\\" };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(capture_check_where(good[i], &e) == 0, "%s: %s", good[i], e.msg);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(capture_check_where(bad[i], &e) < 0, "%s", bad[i]);
}
END_TEST

START_TEST(test_marks)
{
	struct marks m = { NULL, 0 };

	ck_assert(!marks_has(&m, slice_str("a")));
	marks_add(&m, slice_str("a"));
	marks_add(&m, slice_str("a"));
	marks_add(&m, slice_of("", 0));
	ck_assert(marks_has(&m, slice_str("a")));
	ck_assert(marks_has(&m, slice_of("", 0)));
	ck_assert(!marks_has(&m, slice_str("ab")));
	ck_assert_uint_gt(m.bytes, 0);
	marks_clear(&m);
	ck_assert(!marks_has(&m, slice_str("a")));
	ck_assert_uint_eq(m.bytes, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("command");

	unit_test(s, test_asked_and_answered);
	unit_test(s, test_nobody_answers);
	unit_test(s, test_conditions);
	unit_test(s, test_marks);
	return unit_run(s);
}
