/* view_shares.h - order = partition: what is shown of each partition of a view's inputs. */
#ifndef PROJECTIONS_HOST_VIEW_SHARES_H
#define PROJECTIONS_HOST_VIEW_SHARES_H

#include "core/avro/records.h"
#include "projections/host/host.h"

/* Of all versions in a status, in its order. */
struct view_shares {
	struct {
		struct worker_share *shares;
		struct status_share *said; /* points into them */
		size_t count;
	} of[HOST_VERSIONS_MAX];
	size_t count;
};

void view_shares_read(struct host *h, const struct host_status *s, struct view_shares *ret_shares);
void view_shares_done(struct view_shares *s);
/* Into a version's part of the status record, which then points into `s`. */
void view_shares_fill(struct view_shares *s, size_t version, struct status_version *record);

/* A view's metrics, one for each partition that was ever seen. All zero: none yet. */
struct view_shares_shown {
	struct view_share_metrics *items;
	size_t count;
};
void view_shares_metrics(struct view_shares_shown *m, const char *view, const struct view_shares *s,
			 size_t version);
void view_shares_shown_done(struct view_shares_shown *m);

#endif
