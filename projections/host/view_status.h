/* view_status.h - what the daemon says of its views: status records for <name>.status
 * (schemas/status.avsc, key "view:NAME") and metrics. One thread; sending never waits for the
 * brokers. */
#ifndef PROJECTIONS_HOST_VIEW_STATUS_H
#define PROJECTIONS_HOST_VIEW_STATUS_H

#include "core/base/settings.h"
#include "core/registry/registry.h"
#include "projections/host/host.h"

struct view_status;

/* Nothing is asked of Kafka here: the first write connects. The registry is used at the first
 * write. */
struct view_status *view_status_new(const struct settings *settings, struct registry *registry);
void view_status_free(
	struct view_status *v); /* waits at most a second for what was sent; NULL is fine */
/* Updates metrics, and writes the record when the state changed or `every_us` has passed since the
 * last. `stopping`: the last word, state stopped. What goes wrong with Kafka is logged once and
 * tried again. */
void view_status_write(struct view_status *v, struct host *h, const char *http, int64_t every_us,
		       bool stopping);
/* Is all that was written with the brokers? Doesn't wait. */
bool view_status_is_out(struct view_status *v);
/* "building", "live", "retrying" or "failed"; *ret_message: why (points into s). */
const char *view_status_state(const struct host_status *s, const char **ret_message);

#endif
