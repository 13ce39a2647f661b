/* view_shares.c - order = partition: each partition of a view's inputs, in its status record and in
 * the metrics. */
#include "projections/host/view_shares.h"

#include "core/base/mem.h"
#include "core/base/metric.h"

#include <stdio.h>
#include <stdlib.h>

struct view_share_metrics {
	char *topic;
	int32_t partition;
	struct metric *seq, *lag, *up;
};

void view_shares_read(struct host *h, const struct host_status *s, struct view_shares *ret_shares)
{
	*ret_shares = (struct view_shares){ .count = s->version_count };
	for (size_t i = 0; i < s->version_count; i++)
		host_shares(h, s->versions[i].version, &ret_shares->of[i].shares,
			    &ret_shares->of[i].count);
}

void view_shares_done(struct view_shares *s)
{
	for (size_t i = 0; i < s->count; i++) {
		worker_shares_free(s->of[i].shares, s->of[i].count);
		free(s->of[i].said);
	}
	s->count = 0;
}

void view_shares_fill(struct view_shares *s, size_t version, struct status_version *record)
{
	const struct worker_share *shares = s->of[version].shares;
	size_t count = s->of[version].count;
	struct status_share *said = xcalloc(count + 1, sizeof(*said));

	for (size_t i = 0; i < count; i++)
		said[i] = (struct status_share){ .topic = shares[i].topic,
						 .partition = shares[i].partition,
						 .offset = shares[i].offset,
						 .seq = shares[i].seq,
						 .lag_us = shares[i].lag_us,
						 .member = shares[i].member,
						 .trouble = shares[i].trouble };
	free(s->of[version].said);
	s->of[version].said = said;
	record->shares = said;
	record->share_count = count;
}

/* ---- metrics --------------------------------------------------------------------------------- */

static struct view_share_metrics *metrics_of(struct view_shares_shown *m, const char *view,
					     const struct worker_share *s)
{
	struct view_share_metrics *one;
	char partition[16];

	for (size_t i = 0; i < m->count; i++)
		if (m->items[i].partition == s->partition &&
		    strcmp(m->items[i].topic, s->topic) == 0)
			return &m->items[i];
	m->items = xrealloc(m->items, (m->count + 1) * sizeof(*m->items));
	one = &m->items[m->count++];
	snprintf(partition, sizeof(partition), "%d", s->partition);
	*one = (struct view_share_metrics){
		.topic = xstrdup(s->topic),
		.partition = s->partition,
		.seq = metric_gauge("millrace_view_share_seq",
				    "order = partition: last seq applied of a partition.", "view",
				    view, "topic", s->topic, "partition", partition, NULL),
		.lag = metric_gauge("millrace_view_share_lag_seconds",
				    "order = partition: seconds that a partition is behind what "
				    "is delivered, by the source's clock.",
				    "view", view, "topic", s->topic, "partition", partition, NULL),
		.up = metric_gauge("millrace_view_share_up",
				   "order = partition: 1 while a member applies the partition; 0: "
				   "nobody does, or its member has stopped at an error.",
				   "view", view, "topic", s->topic, "partition", partition, NULL),
	};
	return one;
}

void view_shares_metrics(struct view_shares_shown *m, const char *view, const struct view_shares *s,
			 size_t version)
{
	for (size_t i = 0; i < s->of[version].count; i++) {
		const struct worker_share *share = &s->of[version].shares[i];
		const struct view_share_metrics *to = metrics_of(m, view, share);

		metric_set(to->seq, (double)share->seq);
		metric_set(to->lag, (double)share->lag_us / 1e6);
		metric_set(to->up, share->member[0] != '\0' && share->trouble[0] == '\0');
	}
}

void view_shares_shown_done(struct view_shares_shown *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->items[i].topic);
	free(m->items);
	*m = (struct view_shares_shown){ 0 };
}
