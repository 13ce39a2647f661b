/* project_wait.h - GET /api/wait?view=V&gtid=G&timeout=SECONDS: answers when the view has applied G
 * (DESIGN 5.5). Any number of requests wait without a thread; one thread looks for all of them.
 *
 *   200  {"view","version","gtid_set","seq","commit_us"}: readers of the public name see G
 *   504  the same with "error": not within the timeout; how far it is
 *   400  no GTID, no time; 404 no such view here
 *   409  the view is incomplete (first build or first copy), or another process leads it
 *   503  the view has failed, or the daemon ends */
#ifndef PROJECTIONS_HOST_PROJECT_WAIT_H
#define PROJECTIONS_HOST_PROJECT_WAIT_H

#include "core/http/http_server.h"
#include "projections/host/host.h"

#define PROJECT_WAIT_MS_DEFAULT 10000
#define PROJECT_WAIT_MS_MAX 300000

struct project_wait;

int project_wait_start(struct project_wait **ret_wait, struct err *e);
/* Answers all that wait, and all that come later, with 503; NULL is fine. The server must be
 * stopped, or have got its last request, before project_wait_free. */
void project_wait_stop(struct project_wait *w);
void project_wait_free(struct project_wait *w);
/* The handler's work for a view that was found. */
void project_wait_for(struct project_wait *w, struct host *h, const struct http_request *request,
		      struct http_response *response);

#endif
