/* view_metrics.h - the gauges of a view, millrace_view_*, by what its daemon knows of it.
 * docs/OPERATIONS.md tells what they are for. */
#ifndef PROJECTIONS_HOST_VIEW_METRICS_H
#define PROJECTIONS_HOST_VIEW_METRICS_H

#include "core/base/metric.h"
#include "projections/host/host.h"

struct view_metrics {
	struct metric *seq, *records, *rate, *lag_seconds, *lag_transactions, *live, *up, *behind,
		*parked, *total, *left, *slowest, *differing;
	struct metric *verified_at, *verified_rows, *verified_differences; /* NULL: never was */
};

void view_metrics_open(struct view_metrics *m, const char *view);
/* state: view_status_state() */
void view_metrics_update(struct view_metrics *m, const char *view, const struct host_status *s,
			 const char *state);
/* The version that stands for the view: the live one, else the one being built; NULL: neither. */
const struct host_version *view_metrics_main(const struct host_status *s);

#endif
