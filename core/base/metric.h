/* metric.h - counters, gauges and histograms, shown at /metrics as OpenMetrics text (OpenMetrics
 * 1.0, "ABNF").
 *
 * A series is looked up (or made) once by name and labels, and kept by the caller for ever: it
 * is never freed. Updating one is lock-free and may be done from any thread. Names are
 * millrace_<area>_<what>_<unit>; a counter's name ends in _total (the family is shown without
 * it). Labels are pairs of name and value, ended by NULL:
 *
 *   struct metric *rows = metric_counter("millrace_capture_rows_total", "Row changes delivered.",
 * "table", "shop.item", NULL); metric_add(rows, 1);
 *
 * A name that is used with another kind, a malformed name and more than METRIC_LABELS_MAX labels
 * are bugs and abort. Beyond METRIC_SERIES_MAX series the rest share one series per family
 * without labels, counted in millrace_metric_overflow_total. */
#ifndef CORE_BASE_METRIC_H
#define CORE_BASE_METRIC_H

#include "core/base/buf.h"

#define METRIC_LABELS_MAX 8
#define METRIC_SERIES_MAX 50000
#define METRIC_BOUNDS_MAX 32

struct metric;

struct metric *metric_counter(const char *name, const char *help, ...) __attribute__((sentinel));
struct metric *metric_gauge(const char *name, const char *help, ...) __attribute__((sentinel));
/* `bounds`: upper bounds of the buckets, ascending, without +Inf; copied. */
struct metric *metric_histogram(const char *name, const char *help, const double *bounds,
				size_t bound_count, ...) __attribute__((sentinel));

void metric_add(struct metric *counter, int64_t n); /* n >= 0; also moves a gauge, by any n */
void metric_set(struct metric *gauge, double value);
void metric_observe(struct metric *histogram, double value);
double metric_value(
	const struct metric *m); /* counter or gauge; a histogram's number of observations */

/* Called (in the thread that asks) before every metric_write, to set gauges that are computed on
 * demand. At most 16. */
void metric_on_write(void (*refresh)(void *context), void *context);
/* All series, ended by "# EOF". Appends. Process metrics (memory, CPU time, start, build) are
 * included. */
void metric_write(struct buf *out);

#define METRIC_CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

#endif
