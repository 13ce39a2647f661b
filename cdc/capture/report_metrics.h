/* report_metrics.h - what capture counts, as /metrics shows it. Metrics live as long as the process
 * and may be set from any thread. */
#ifndef CDC_CAPTURE_REPORT_METRICS_H
#define CDC_CAPTURE_REPORT_METRICS_H

#include "core/avro/records.h"
#include "core/base/metric.h"

#include <stddef.h>
#include <stdint.h>

enum report_lag { REPORT_LAG_READ, REPORT_LAG_DELIVERED };

struct report_metrics {
	struct metric *rows, *transactions, *bytes, *commits, *commit_seconds, *seq, *up, *leads;
	struct metric *lag_transactions[2], *lag_bytes[2], *lag_seconds[2]; /* read, delivered */
	struct metric *copy_rows, *copying, *copy_rate, *copy_left, *copy_paused;
};

void report_metrics_make(struct report_metrics *m);
/* How far the stage is behind the source's head. */
void report_metrics_lag(const struct report_metrics *m, enum report_lag which,
			const struct status_stage *head, const struct status_stage *stage);
void report_metrics_commit(const struct report_metrics *m, int64_t changes, int64_t transactions,
			   int64_t bytes, int64_t took_us);
void report_metrics_copies(const struct report_metrics *m, const struct status_copy *copies,
			   size_t count);

#endif
