/* The small parts of core/base: slice, rd, buf, err, backoff, clock, quote, table, stop. */
#include "core/base/backoff.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/base/quote.h"
#include "core/base/rd.h"
#include "core/base/stop.h"
#include "core/base/table.h"
#include "test/unit/unit.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(test_slice)
{
	ck_assert(slice_is(slice_of("abc", 3), "abc"));
	ck_assert(!slice_is(slice_of("abc", 2), "abc"));
	ck_assert(slice_equal(slice_of(NULL, 0), slice_str("")));
}
END_TEST

START_TEST(test_rd_numbers)
{
	static const uint8_t bytes[] = { 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
					 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24 };
	struct rd r = rd_of(bytes, sizeof(bytes));

	ck_assert_uint_eq(rd_u8(&r), 1);
	ck_assert_uint_eq(rd_u16(&r), 0x0302);
	ck_assert_uint_eq(rd_u24(&r), 0x060504);
	ck_assert_uint_eq(rd_u32(&r), 0x0a090807);
	ck_assert_uint_eq(rd_u48(&r), UINT64_C(0x100f0e0d0c0b));
	ck_assert_uint_eq(rd_u64(&r), UINT64_C(0x1817161514131211));
	ck_assert(rd_end(&r));
	r = rd_of(bytes, 3);
	ck_assert_uint_eq(rd_be(&r, 3), 0x010203);
	ck_assert(rd_end(&r));
}
END_TEST

START_TEST(test_rd_is_sticky)
{
	struct rd r = rd_of("\1\2\3", 3);
	struct slice s;

	ck_assert_uint_eq(rd_u32(&r), 0);
	ck_assert(!rd_ok(&r));
	ck_assert_uint_eq(rd_u8(&r),
			  0); /* there is a byte, but the cursor does not move any more */
	ck_assert_uint_eq(rd_left(&r), 0);
	s = rd_bytes(&r, 1);
	ck_assert_uint_eq(s.size, 0);
	ck_assert_ptr_nonnull(s.data);
	ck_assert(!rd_end(&r));
	r = rd_of("\1\2\3", 3);
	struct rd sub = rd_sub(&r, 4);
	ck_assert(!rd_ok(&sub) && !rd_ok(&r));
	r = rd_of("\1\2\3", 3);
	sub = rd_sub(&r, 2);
	rd_skip(&sub, 3);
	ck_assert(!rd_ok(&sub) && rd_ok(&r));
	ck_assert_uint_eq(rd_left(&r), 1);
	ck_assert_uint_eq(rd_bytes(&r, SIZE_MAX).size, 0);
}
END_TEST

START_TEST(test_rd_lenenc)
{
	static const struct {
		const char *bytes;
		size_t size;
		uint64_t value;
		bool good;
	} cases[] = {
		{ "\xfa", 1, 250, true },
		{ "\xfc\x01\x02", 3, 513, true },
		{ "\xfd\x01\x02\x03", 4, 197121, true },
		{ "\xfe\1\2\3\4\5\6\7\x88", 9, UINT64_C(0x8807060504030201), true },
		{ "\xfb", 1, 0, false },
		{ "\xff", 1, 0, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t cut = 0; cut <= cases[i].size; cut++) {
			struct rd r = rd_of(cases[i].bytes, cut);
			bool whole = cut == cases[i].size && cases[i].good;

			ck_assert_uint_eq(rd_lenenc(&r), whole ? cases[i].value : 0);
			ck_assert(rd_ok(&r) == whole);
		}
	struct rd r = rd_of("\xfe\xff\xff\xff\xff\xff\xff\xff\xff", 9);
	ck_assert_uint_eq(rd_lenenc_bytes(&r).size, 0);
	ck_assert(!rd_ok(&r));
}
END_TEST

START_TEST(test_buf)
{
	struct buf b = BUF_INIT;
	uint8_t *kept;

	for (int i = 0; i < 1000; i++)
		buf_add_format(&b, "%03d", i);
	ck_assert_uint_eq(b.size, 3000);
	ck_assert_str_eq(buf_cstr(&b) + 2997, "999");
	kept = b.data;
	buf_reset(&b);
	buf_add_str(&b, "x");
	buf_add_u8(&b, 'y');
	buf_add(&b, NULL, 0);
	ck_assert_ptr_eq(b.data, kept);
	ck_assert(slice_is(buf_slice(&b), "xy"));
	buf_done(&b);
	ck_assert_ptr_null(b.data);
	ck_assert_str_eq(buf_cstr(&b), "");
	buf_done(&b);
}
END_TEST

START_TEST(test_err)
{
	struct err e = ERR_INIT;
	char longest[4000];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(err_exit_code(&e), EXIT_OK);
	ck_assert_int_eq(err_data(&e, "byte %d", 7), -1);
	ck_assert_int_eq(err_wrap(&e, "table %s", "t"), -1);
	ck_assert_int_eq(err_hint(&e, "Do %s.", "it"), -1);
	ck_assert_str_eq(e.msg, "table t: byte 7\nHINT: Do it.");
	ck_assert_int_eq(err_exit_code(&e), EXIT_DATA);
	err_exit(&e, EXIT_PURGED);
	ck_assert_int_eq(err_exit_code(&e), EXIT_PURGED);
	err_retry(&e, "%s", longest);
	ck_assert_int_eq(err_exit_code(&e), EXIT_UNREACHABLE);
	ck_assert_uint_eq(strlen(e.msg), sizeof(e.msg) - 1);
	err_wrap(&e, "%s", longest);
	err_hint(&e, "%s", longest);
	ck_assert_uint_eq(strlen(e.msg), sizeof(e.msg) - 1);
	err_clear(&e);
	ck_assert_int_eq(e.kind, ERR_NONE);
	ck_assert_str_eq(err_kind_name(ERR_FATAL), "fatal");
}
END_TEST

START_TEST(test_backoff)
{
	struct backoff b = BACKOFF_INIT;
	int64_t wanted[] = { 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000 };

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		int64_t wait = b.next_ms, got = backoff_next_ms(&b);

		(void)wait;
		ck_assert_int_le(got, wanted[i]);
		ck_assert_int_ge(got, wanted[i] * 3 / 4);
	}
	ck_assert_uint_eq(b.tries, 9);
	backoff_reset(&b);
	ck_assert_int_le(backoff_next_ms(&b), 100);
}
END_TEST

START_TEST(test_clock)
{
	char text[CLOCK_TEXT_SIZE];
	int64_t before = clock_monotonic_us();

	ck_assert_str_eq(clock_text(INT64_C(1795240800123456), text), "2026-11-21T06:00:00.123Z");
	ck_assert_str_eq(clock_text(0, text), "1970-01-01T00:00:00.000Z");
	clock_sleep_us(20000);
	clock_sleep_us(-1);
	ck_assert_int_ge(clock_monotonic_us() - before, 20000);
	ck_assert_int_gt(clock_now_us(), INT64_C(1700000000000000));
}
END_TEST

START_TEST(test_quote)
{
	static const char *const cases[][2] = {
		{ "plain", "\"plain\"" },
		{ "a\"b\\c\n\t\x01\x7f", "\"a\\\"b\\\\c\\n\\t\\u0001\\u007f\"" },
		{ "\xc3\xa4\xe2\x82\xac", "\"\xc3\xa4\xe2\x82\xac\"" },
		{ "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"" },
		{ "\xff", "\"\xef\xbf\xbd\"" },
		{ "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	};
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&out);
		quote_json(&out, slice_str(cases[i][0]));
		ck_assert_str_eq(buf_cstr(&out), cases[i][1]);
	}
	buf_reset(&out);
	quote_json(&out, slice_of("\0", 1));
	ck_assert_str_eq(buf_cstr(&out), "\"\\u0000\"");
	buf_reset(&out);
	buf_add_u8(&out, '{');
	quote_json_key(&out, "a");
	buf_add_str(&out, "1");
	quote_json_key(&out, "b");
	ck_assert_str_eq(buf_cstr(&out), "{\"a\":1,\"b\":");
	buf_done(&out);
}
END_TEST

START_TEST(test_table)
{
	struct table *t = table_new();
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	table_column(t, "name", TABLE_LEFT);
	table_column(t, "n", TABLE_RIGHT);
	table_column(t, "", TABLE_LEFT);
	table_cell(t, "%s", "\xc3\xa4\xc3\xb6");
	table_cell(t, "%d", 12345);
	table_cell(t, "%s", "");
	table_cell(t, "%s", "longer name");
	table_colour(t, "\033[31m");
	table_cell(t, "%d", 7);
	table_cell(t, "%s", "last");
	table_cell(t, "%s", "unfinished");
	ck_assert_uint_eq(table_rows(t), 3);
	table_print(t, out, 1);
	fclose(out);
	ck_assert_str_eq(text, " name             n\n"
			       " \xc3\xa4\xc3\xb6           12345\n"
			       " longer name      7  last\n"
			       " unfinished\n");
	free(text);
	table_free(t);
}
END_TEST

START_TEST(test_stop)
{
	struct pollfd p;
	int64_t before;

	stop_install();
	stop_install();
	p = (struct pollfd){ .fd = stop_fd(), .events = POLLIN };
	ck_assert(!stop_requested());
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	before = clock_monotonic_us();
	ck_assert(!stop_wait_ms(30));
	ck_assert_int_ge(clock_monotonic_us() - before, 29000);
	raise(SIGTERM);
	ck_assert(stop_requested());
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	before = clock_monotonic_us();
	ck_assert(stop_wait_ms(10000));
	ck_assert_int_lt(clock_monotonic_us() - before, 1000000);
}
END_TEST

START_TEST(test_second_signal_leaves_at_once)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		stop_install();
		raise(SIGINT);
		raise(SIGTERM);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 128 + SIGTERM);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base");

	unit_test(s, test_slice);
	unit_test(s, test_rd_numbers);
	unit_test(s, test_rd_is_sticky);
	unit_test(s, test_rd_lenenc);
	unit_test(s, test_buf);
	unit_test(s, test_err);
	unit_test(s, test_backoff);
	unit_test(s, test_clock);
	unit_test(s, test_quote);
	unit_test(s, test_table);
	unit_test(s, test_stop);
	unit_test(s, test_second_signal_leaves_at_once);
	return unit_run(s);
}
