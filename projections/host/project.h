/* project.h - the projection daemon: a host for each view, their API, status and metrics.
 *
 * Views that have a version are served by it, whatever their folder looks like now. A new view
 * whose folder has mistakes is ERR_CONFIG when it was asked for by name, or when nothing else could
 * be served; else the others go on and it is logged. One view that fails doesn't stop the others;
 * when all have failed the daemon ends with the first one's exit code.
 *
 * API (JSON): GET /api/wait (project_wait.h), /api/views,
 * GET /api/views/V (host_json). POST /api/views/V/hold?version=N,
 * /advance?gtid=G&timeout_ms=T, /release, /replay {"no_swap":bool,"force":bool,"share":PERCENT,
 * "as_of":text}, /swap {"force":bool}, /rollback {"force":bool}, /drop?version=N, /parked
 * {"drop":bool,"version":N,"topic","partition","offset"} (no topic: all),
 * /verified {"gtid_set","rows","differences"}. */
#ifndef PROJECTIONS_HOST_PROJECT_H
#define PROJECTIONS_HOST_PROJECT_H

#include "core/base/settings.h"
#include "core/registry/registry.h"
#include "projections/host/host.h"

#include <pthread.h>

/* Serves the named views (count 0: all folders in project.views) until a stop is requested
 * (core/base/stop.h), which gives 0, or nothing can go on, which gives -1 and why. Waits with
 * backoff for Kafka at the start. */
int project_run(const struct settings *settings, char *const *names, size_t count, struct err *e);

/* What the API needs; for project_http.c. */
struct project {
	const struct settings *settings;
	struct host **hosts;
	struct host_pool pool;
	struct project_wait *wait;
	size_t host_count;
	pthread_mutex_t lock;       /* for `status` */
	struct view_status *status; /* NULL: nothing more is said */
	const char *http;           /* own address */
};

/* Writes the view's status, if it is due, and waits a moment until it is there: what the API says,
 * `millrace lag` says too. Any thread. */
void project_say(struct project *p, struct host *h);

struct http_route;
/* The daemon's own routes; *ret_count of them. context is a struct project. */
const struct http_route *project_routes(struct project *p, size_t *ret_count);

#endif
