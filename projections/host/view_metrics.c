/* view_metrics.c - the gauges of views. */
#include "projections/host/view_metrics.h"

#include <string.h>

void view_metrics_open(struct view_metrics *m, const char *view)
{
	m->seq = metric_gauge("millrace_view_seq", "Last seq applied by the live version.", "view",
			      view, NULL);
	m->records = metric_gauge("millrace_view_records",
				  "Records read by the newest version since it was opened.", "view",
				  view, NULL);
	m->rate = metric_gauge("millrace_view_records_per_second",
			       "Records a second read by the newest version.", "view", view, NULL);
	m->lag_seconds = metric_gauge("millrace_view_lag_seconds",
				      "Seconds behind what is delivered, by the source's clock.",
				      "view", view, NULL);
	m->lag_transactions = metric_gauge("millrace_view_lag_transactions",
					   "Source transactions delivered but not applied.", "view",
					   view, NULL);
	m->live = metric_gauge("millrace_view_live_version",
			       "Version that the public name leads to; 0: none.", "view", view,
			       NULL);
	m->up = metric_gauge("millrace_view_up", "1 while the view is being applied.", "view", view,
			     NULL);
	m->behind = metric_gauge("millrace_view_commits_behind",
				 "Group commits not yet applied by the live version.", "view", view,
				 NULL);
	m->parked = metric_gauge("millrace_view_parked",
				 "Records that the live version could not apply and keeps aside.",
				 "view", view, NULL);
	m->total = metric_gauge("millrace_view_records_total",
				"Records that the newest version has read or still has to.", "view",
				view, NULL);
	m->left = metric_gauge("millrace_view_build_left_seconds",
			       "Time left of the newest version's build; 0: built or not known.",
			       "view", view, NULL);
	m->slowest = metric_gauge("millrace_view_build_slowest_left",
				  "Offsets left in the partition that has the most of them.",
				  "view", view, NULL);
	m->differing = metric_gauge(
		"millrace_view_differing_rows",
		"Rows in which the version that waits differs from the live one, at the last look.",
		"view", view, NULL);
}

static const struct host_version *find_version(const struct host_status *s, int version)
{
	for (size_t i = 0; i < s->version_count; i++) {
		if (s->versions[i].version == version)
			return &s->versions[i];
	}
	return NULL;
}

const struct host_version *view_metrics_main(const struct host_status *s)
{
	const struct host_version *v = find_version(s, s->live);

	return v != NULL ? v : find_version(s, s->job_version);
}

static void update_verified(struct view_metrics *m, const char *view, const struct host_status *s)
{
	if (!s->verified)
		return;
	if (m->verified_at == NULL) {
		m->verified_at = metric_gauge("millrace_view_verified_timestamp_seconds",
					      "When the live version was last compared with the "
					      "source.",
					      "view", view, NULL);
		m->verified_rows = metric_gauge("millrace_view_verified_rows",
						"Rows that were compared then.", "view", view,
						NULL);
		m->verified_differences = metric_gauge("millrace_view_verified_differences",
						       "Rows that differed from the source then.",
						       "view", view, NULL);
	}
	metric_set(m->verified_at, (double)s->verified_us / 1e6);
	metric_set(m->verified_rows, (double)s->verified_rows);
	metric_set(m->verified_differences, (double)s->verified_differences);
}

void view_metrics_update(struct view_metrics *m, const char *view, const struct host_status *s,
			 const char *state)
{
	const struct host_version *v = view_metrics_main(s),
				  *newest = find_version(s, s->job_version);
	int64_t lag_us;

	metric_set(m->live, s->live);
	metric_set(m->up, strcmp(state, "live") == 0 || strcmp(state, "building") == 0);
	update_verified(m, view, s);
	if (newest == NULL)
		newest = v;
	if (v == NULL)
		return;
	lag_us = v->worker.delivered.transactions_total > v->worker.transactions_total
			 ? v->worker.delivered.commit_us - v->worker.commit_us
			 : 0;
	metric_set(m->seq, (double)v->worker.seq);
	metric_set(m->lag_seconds, lag_us > 0 ? (double)lag_us / 1e6 : 0);
	metric_set(m->lag_transactions,
		   v->worker.delivered.transactions_total > v->worker.transactions_total
			   ? (double)(v->worker.delivered.transactions_total -
				      v->worker.transactions_total)
			   : 0);
	metric_set(m->behind, (double)v->worker.delivered.commits_behind);
	metric_set(m->records, (double)newest->worker.records);
	metric_set(m->rate, newest->worker.rate);
	metric_set(m->total, (double)newest->worker.records_total);
	metric_set(m->left, worker_left_us(&newest->worker) > 0
				    ? (double)worker_left_us(&newest->worker) / 1e6
				    : 0);
	metric_set(m->slowest, newest->worker.caught_up ? 0
							: (double)(newest->worker.slowest.total -
								   newest->worker.slowest.done));
	metric_set(m->parked, (double)v->worker.parked);
	metric_set(m->differing, s->shadow.differences > 0 ? (double)s->shadow.differences : 0);
}
