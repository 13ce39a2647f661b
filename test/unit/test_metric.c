/* Metrics: exact text, escaping, many threads at once, too many series. A real OpenMetrics
 * parser reads the same text in the tests with servers. */
#include "core/base/metric.h"
#include "test/unit/unit.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

/* The text stays valid for the next seven calls. */
static char *written(void)
{
	static struct buf kept[8];
	static size_t next;
	struct buf *out = &kept[next++ % 8];

	buf_reset(out);
	metric_write(out);
	return buf_cstr(out);
}

static void has(const char *text, const char *wanted)
{
	if (strstr(text, wanted) == NULL)
		ck_abort_msg("missing: %s\nin:\n%s", wanted, text);
}

START_TEST(test_text)
{
	static const double bounds[] = { 0.1, 1, 10 };
	struct metric *c = metric_counter("millrace_t_rows_total", "Rows.", "table", "a.b", NULL);
	struct metric *g = metric_gauge("millrace_t_lag_seconds", "Lag \\ \"now\"\nhere.", NULL);
	struct metric *h =
		metric_histogram("millrace_t_wait_seconds", "Wait.", bounds, 3, "kind", "x", NULL);

	metric_add(c, 3);
	metric_add(c, -5); /* counters do not go back */
	metric_set(g, 1.5);
	metric_add(g, -1);
	metric_observe(h, 0.1);
	metric_observe(h, 5);
	metric_observe(h, 100);
	char *text = written();

	has(text,
	    "# TYPE millrace_t_rows counter\n# HELP millrace_t_rows Rows.\nmillrace_t_rows_total{table=\"a.b\"} 3\n");
	has(text,
	    "# TYPE millrace_t_lag_seconds gauge\n# UNIT millrace_t_lag_seconds seconds\n"
	    "# HELP millrace_t_lag_seconds Lag \\\\ \\\"now\\\"\\nhere.\nmillrace_t_lag_seconds 0.5\n");
	has(text,
	    "millrace_t_wait_seconds_bucket{kind=\"x\",le=\"0.1\"} 1\nmillrace_t_wait_seconds_bucket{kind=\"x\",le=\"1.0\"} 1\n"
	    "millrace_t_wait_seconds_bucket{kind=\"x\",le=\"10.0\"} 2\nmillrace_t_wait_seconds_bucket{kind=\"x\",le=\"+Inf\"} 3\n"
	    "millrace_t_wait_seconds_count{kind=\"x\"} 3\nmillrace_t_wait_seconds_sum{kind=\"x\"} 105.0");
	has(text, "millrace_build_info{version=\"");
	has(text, "process_resident_memory_bytes ");
	ck_assert_str_eq(text + strlen(text) - 6, "# EOF\n");
	ck_assert(metric_value(c) == 3 && metric_value(g) == 0.5 && metric_value(h) == 3);
}
END_TEST

START_TEST(test_same_name_and_labels_is_the_same_series)
{
	struct metric *a = metric_counter("millrace_t_a_total", "A.", "x", "1", "y", "2", NULL);

	ck_assert_ptr_eq(a, metric_counter("millrace_t_a_total", "A.", "x", "1", "y", "2", NULL));
	ck_assert_ptr_ne(a, metric_counter("millrace_t_a_total", "A.", "x", "1", "y", "3", NULL));
	ck_assert_ptr_ne(a, metric_counter("millrace_t_b_total", "B.", "x", "1", "y", "2", NULL));
	/* what looks the same only after clumsy joining is not the same */
	ck_assert_ptr_ne(metric_gauge("millrace_t_c", "C.", "x", "1\",y=\"2", NULL),
			 metric_gauge("millrace_t_c", "C.", "x", "1", "y", "2", NULL));
}
END_TEST

START_TEST(test_odd_values)
{
	struct metric *g = metric_gauge("millrace_t_odd", "Odd.", NULL);

	metric_set(g, NAN);
	has(written(), "millrace_t_odd NaN\n");
	metric_set(g, INFINITY);
	has(written(), "millrace_t_odd +Inf\n");
	metric_set(g, -1e300);
	has(written(), "millrace_t_odd -1");
	metric_set(g, 123456789012345);
	has(written(), "millrace_t_odd 123456789012345\n");
}
END_TEST

static void refresh(void *context)
{
	metric_set(context, 42);
}

START_TEST(test_refresh)
{
	struct metric *g = metric_gauge("millrace_t_fresh", "Fresh.", NULL);

	metric_on_write(refresh, g);
	has(written(), "millrace_t_fresh 42\n");
}
END_TEST

static void *worker(void *context)
{
	static const double bounds[] = { 1 };

	for (int i = 0; i < 20000; i++) {
		char label[16];

		snprintf(label, sizeof(label), "%d", i % 500);
		metric_add(metric_counter("millrace_t_many_total", "Many.", "n", label, NULL), 1);
		metric_add(context, 1);
		metric_observe(
			metric_histogram("millrace_t_many_seconds", "Many.", bounds, 1, NULL), 0.5);
	}
	return NULL;
}

START_TEST(test_threads)
{
	struct metric *gauge = metric_gauge("millrace_t_threads", "Threads.", NULL);
	pthread_t threads[4];
	double sum = 0;

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, worker, gauge), 0);
	for (int i = 0; i < 20; i++)
		(void)written(); /* the text is not looked at, only made while others count */
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 500; i++) {
		char label[16];

		snprintf(label, sizeof(label), "%d", i);
		sum += metric_value(
			metric_counter("millrace_t_many_total", "Many.", "n", label, NULL));
	}
	ck_assert(sum == 80000);
	ck_assert(metric_value(gauge) == 80000);
	has(written(), "millrace_t_many_seconds_sum 40000\n");
}
END_TEST

START_TEST(test_too_many_series)
{
	char label[16];

	for (int i = 0; i < METRIC_SERIES_MAX + 10; i++) {
		snprintf(label, sizeof(label), "%d", i);
		metric_add(metric_counter("millrace_t_flood_total", "Flood.", "n", label, NULL), 1);
	}
	struct metric *shared = metric_counter("millrace_t_flood_total", "Flood.", NULL);
	ck_assert(metric_value(shared) >= 10);
	ck_assert(metric_value(metric_counter("millrace_t_flood_total", "Flood.", "n", "5",
					      NULL)) == 1); /* the early ones stay */
	ck_assert(metric_value(metric_counter("millrace_metric_overflow_total", "", NULL)) >= 10);
}
END_TEST

START_TEST(test_bug_kind)
{
	metric_gauge("millrace_t_x", "X.", NULL);
	static const double bounds[] = { 1 };
	metric_histogram("millrace_t_x", "X.", bounds, 1, NULL);
}
END_TEST

START_TEST(test_bug_total)
{
	metric_counter("millrace_t_x", "X.", NULL);
}
END_TEST

START_TEST(test_bug_name)
{
	metric_gauge("millrace-t", "X.", NULL);
}
END_TEST

static void aborts(Suite *s, const TTest *fn)
{
	TCase *c = tcase_create("bug");

	tcase_add_test_raise_signal(c, fn, 6);
	suite_add_tcase(s, c);
}

int main(void)
{
	Suite *s = suite_create("metric");

	unit_test(s, test_text);
	unit_test(s, test_same_name_and_labels_is_the_same_series);
	unit_test(s, test_odd_values);
	unit_test(s, test_refresh);
	unit_test_slow(s, test_threads, 30);
	unit_test_slow(s, test_too_many_series, 30);
	aborts(s, test_bug_kind);
	aborts(s, test_bug_total);
	aborts(s, test_bug_name);
	return unit_run(s);
}
