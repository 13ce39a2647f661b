/* Progress lines: numbers for people, the bar at any width, plain lines where there is no
 * terminal.
 */
#include "core/base/mem.h"
#include "core/base/progress.h"
#include "test/unit/unit.h"

#include <string.h>

static struct buf last; /* what the last call wrote */

static char *with(void (*add)(struct buf *out, int64_t n), int64_t n)
{
	buf_reset(&last);
	add(&last, n);
	return buf_cstr(&last);
}

START_TEST(test_words)
{
	ck_assert_str_eq(with(progress_number, 0), "0");
	ck_assert_str_eq(with(progress_number, 999), "999");
	ck_assert_str_eq(with(progress_number, 1000), "1,000");
	ck_assert_str_eq(with(progress_number, INT64_MAX), "9,223,372,036,854,775,807");
	ck_assert_str_eq(with(progress_number, -5), "0");
	ck_assert_str_eq(with(progress_duration, -5), "0.0 s");
	ck_assert_str_eq(with(progress_duration, 300000), "0.3 s");
	ck_assert_str_eq(with(progress_duration, 12900000), "12 s");
	ck_assert_str_eq(with(progress_duration, 200000000), "3 min 20 s");
	ck_assert_str_eq(with(progress_duration, INT64_C(7500000000)), "2 h 05 min");
	ck_assert_str_eq(with(progress_duration, INT64_C(356400000000)), "4 d 3 h");
	ck_assert_str_eq(with(progress_bytes, 812), "812 B");
	ck_assert_str_eq(with(progress_bytes, 3400), "3.4 kB");
	ck_assert_str_eq(with(progress_bytes, 999999), "1.0 MB");
	ck_assert_str_eq(with(progress_bytes, 12000000), "12 MB");
	ck_assert_str_eq(with(progress_bytes, INT64_MAX), "9.2 EB");
}
END_TEST

static char *line_of(int64_t done, int64_t total, double rate, size_t width, bool bar)
{
	buf_reset(&last);
	progress_line(&last, "replay", "events", done, total, rate, width, bar);
	return buf_cstr(&last);
}

START_TEST(test_line)
{
	ck_assert_str_eq(line_of(1240000, 2000000, 101230, 200, false),
			 "replay   62 %  1,240,000 of 2,000,000 events  101,230/s  7.5 s left");
	ck_assert_str_eq(line_of(5, 0, 0, 200, true), "replay  5 events");
	ck_assert_str_eq(line_of(7, 5, 1, 200, false), "replay  100 %  7 of 7 events  1/s");
	ck_assert_str_eq(line_of(0, 4, 0, 200, false), "replay    0 %  0 of 4 events");
	ck_assert_ptr_nonnull(
		strstr(line_of(1, 2, 0, 120, true), "[====================>                   ] "));
	ck_assert_ptr_nonnull(
		strstr(line_of(2, 2, 0, 120, true), "[========================================] "));
	for (size_t width = 0; width < 150; width++)
		ck_assert_uint_le(strlen(line_of(INT64_MAX / 2, INT64_MAX, 1e18, width, true)),
				  width);
}
END_TEST

START_TEST(test_plain_lines)
{
	char *text = NULL;
	size_t size;
	FILE *file = tmpfile();
	struct progress *p = progress_new(file, "copy", "rows");

	for (int i = 0; i <= 1000; i++)
		progress_update(p, i, 1000); /* within a moment: one line, at its end */
	progress_label(p, "index");
	progress_update(p, -1, 0); /* nothing to count */
	progress_label(p, "swap"); /* and this one never says anything */
	progress_clear(p);
	progress_free(p);
	progress_free(NULL);
	rewind(file);
	text = xcalloc(1, 4096);
	size = fread(text, 1, 4095, file);
	fclose(file);
	ck_assert_uint_gt(size, 0);
	ck_assert_ptr_null(strchr(text, '\r'));
	ck_assert_ptr_null(strchr(text, '\033'));
	ck_assert_str_eq(text, "copy  100 %  1,000 of 1,000 rows\nindex  0.0 s\n");
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("progress");

	unit_test(s, test_words);
	unit_test(s, test_line);
	unit_test(s, test_plain_lines);
	return unit_run(s);
}
