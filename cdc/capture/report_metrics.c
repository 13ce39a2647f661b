/* report_metrics.c - names, units and help texts of capture's metrics, and how they follow from a
 * status. */
#include "cdc/capture/report_metrics.h"

void report_metrics_make(struct report_metrics *m)
{
	static const double bounds[] = {
		0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10
	};
	static const char *const stages[2] = { "read", "delivered" };

	m->rows = metric_counter("millrace_capture_changes_total", "Row changes delivered.", NULL);
	m->transactions = metric_counter("millrace_capture_transactions_total",
					 "Source transactions delivered.", NULL);
	m->bytes = metric_counter("millrace_capture_binlog_bytes_total", "Binlog bytes delivered.",
				  NULL);
	m->commits = metric_counter("millrace_capture_commits_total", "Group commits.", NULL);
	m->commit_seconds = metric_histogram("millrace_capture_commit_seconds",
					     "Time that a group commit's end took.", bounds,
					     sizeof(bounds) / sizeof(bounds[0]), NULL);
	m->seq = metric_gauge("millrace_capture_seq", "Last seq delivered.", NULL);
	m->up = metric_gauge("millrace_capture_up", "1 while changes can flow.", NULL);
	m->leads = metric_gauge("millrace_capture_leads",
				"1 while this instance leads, 0 while it stands by.", NULL);
	m->copy_rows = metric_gauge("millrace_capture_copied_rows",
				    "Rows delivered by first copies.", NULL);
	m->copy_rate = metric_gauge("millrace_capture_copy_rows_per_second",
				    "Rows a second of the copies under way.", NULL);
	m->copy_left = metric_gauge("millrace_capture_copy_rows_left",
				    "Rows that copies have yet to read, by the source's estimate.",
				    NULL);
	m->copy_paused = metric_gauge("millrace_capture_copy_paused",
				      "1 while copies wait for the source's load to fall.", NULL);
	m->copying = metric_gauge("millrace_capture_copying_tables",
				  "Tables whose first copy has not ended.", NULL);
	for (size_t i = 0; i < 2; i++) {
		m->lag_transactions[i] = metric_gauge(
			"millrace_capture_lag_transactions",
			"Source transactions behind the source's head.", "stage", stages[i], NULL);
		m->lag_bytes[i] = metric_gauge("millrace_capture_lag_bytes",
					       "Binlog bytes behind the source's head.", "stage",
					       stages[i], NULL);
		m->lag_seconds[i] =
			metric_gauge("millrace_capture_lag_seconds",
				     "Seconds behind the source's head, by the source's clock.",
				     "stage", stages[i], NULL);
	}
}

void report_metrics_lag(const struct report_metrics *m, enum report_lag which,
			const struct status_stage *head, const struct status_stage *stage)
{
	int64_t transactions = head->transactions - stage->transactions,
		bytes = head->bytes - stage->bytes;
	int64_t us = transactions > 0 && stage->us != 0 ? head->us - stage->us : 0;

	metric_set(m->lag_transactions[which], transactions > 0 ? (double)transactions : 0);
	metric_set(m->lag_bytes[which], bytes > 0 ? (double)bytes : 0);
	metric_set(m->lag_seconds[which], us > 0 ? (double)us / 1e6 : 0);
}

void report_metrics_commit(const struct report_metrics *m, int64_t changes, int64_t transactions,
			   int64_t bytes, int64_t took_us)
{
	metric_add(m->rows, changes);
	metric_add(m->transactions, transactions);
	metric_add(m->bytes, bytes);
	metric_add(m->commits, 1);
	metric_observe(m->commit_seconds, (double)took_us / 1e6);
}

void report_metrics_copies(const struct report_metrics *m, const struct status_copy *copies,
			   size_t count)
{
	int64_t rows = 0, copying = 0, left = 0;
	bool paused = false;
	double rate = 0;

	for (size_t i = 0; i < count; i++) {
		const struct status_copy *c = &copies[i];

		rows += c->rows;
		if (c->done)
			continue;
		copying++;
		paused = paused || c->paused;
		rate += c->rate;
		if (c->rows_estimate > c->rows)
			left += c->rows_estimate - c->rows;
	}
	metric_set(m->copy_rate, rate);
	metric_set(m->copy_left, (double)left);
	metric_set(m->copy_paused, paused ? 1 : 0);
	metric_set(m->copy_rows, (double)rows);
	metric_set(m->copying, (double)copying);
}
