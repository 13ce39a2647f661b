/* project_http.c - the daemon's API over its hosts. Handlers run in the server's threads; hosts are
 * thread-safe. A job is begun and answered at once: who asked looks at GET /api/views/V until it is
 * over. */
#include "projections/host/project.h"
#include "projections/host/project_wait.h"

#include "core/base/mem.h"
#include "core/base/quote.h"
#include "core/http/http_server.h"

#include <stdlib.h>

#define ADVANCE_MS_DEFAULT 30000
#define ADVANCE_MS_MAX 300000

static struct host *find(struct project *p, const struct http_request *request,
			 struct http_response *response)
{
	const char *name = http_parameter(request, "view");

	for (size_t i = 0; i < p->host_count; i++) {
		if (strcmp(host_name(p->hosts[i]), name) == 0)
			return p->hosts[i];
	}
	http_fail(response, 404, "no view %s here", name);
	return NULL;
}

/* The status is written behind it, so that no other process knows less than who asked. */
static void answer(struct project *p, struct host *h, int rc, const struct err *e,
		   struct http_response *response)
{
	if (rc < 0) {
		http_fail_err(response, e);
		return;
	}
	host_json(h, false, &response->body);
	project_say(p, h);
}

static void get_views(void *context, const struct http_request *request,
		      struct http_response *response)
{
	struct project *p = context;

	(void)request;
	buf_add_u8(&response->body, '[');
	for (size_t i = 0; i < p->host_count; i++) {
		if (i > 0)
			buf_add_u8(&response->body, ',');
		host_json(p->hosts[i], false, &response->body);
	}
	buf_add_u8(&response->body, ']');
}

static void get_view(void *context, const struct http_request *request,
		     struct http_response *response)
{
	struct host *h = find(context, request, response);

	if (h == NULL)
		return;
	host_json(h, http_query(request, "sizes") != NULL, &response->body);
	project_say(context, h);
}

static void get_wait(void *context, const struct http_request *request,
		     struct http_response *response)
{
	struct project *p = context;
	const char *name = http_query(request, "view");
	struct err e = ERR_INIT;

	if (name == NULL) {
		http_fail(response, 400, "wait needs ?view=VIEW&gtid=GTID");
		return;
	}
	for (size_t i = 0; i < p->host_count; i++) {
		if (strcmp(host_name(p->hosts[i]), name) != 0)
			continue;
		if (host_refuse_wait(p->hosts[i], &e) < 0)
			http_fail_err(response, &e);
		else
			project_wait_for(p->wait, p->hosts[i], request, response);
		return;
	}
	http_fail(response, 404, "no view %s here", name);
}

static void post_hold(void *context, const struct http_request *request,
		      struct http_response *response)
{
	struct host *h = find(context, request, response);
	const char *asked = http_query(request, "version");
	char *gtid_set = NULL;
	struct err e = ERR_INIT;
	int version = 0;

	if (h == NULL)
		return;
	if (host_hold(h, asked != NULL ? (int)strtol(asked, NULL, 10) : 0, &version, &gtid_set,
		      &e) < 0) {
		http_fail_err(response, &e);
		return;
	}
	buf_add_format(&response->body, "{\"version\":%d", version);
	quote_json_key(&response->body, "gtid_set");
	quote_json(&response->body, slice_str(gtid_set));
	buf_add_u8(&response->body, '}');
	free(gtid_set);
}

static void post_advance(void *context, const struct http_request *request,
			 struct http_response *response)
{
	struct host *h = find(context, request, response);
	const char *gtid = http_query(request, "gtid"), *limit = http_query(request, "timeout_ms");
	int64_t timeout_ms = limit != NULL ? strtoll(limit, NULL, 10) : ADVANCE_MS_DEFAULT;
	struct err e = ERR_INIT;

	if (h == NULL)
		return;
	if (gtid == NULL || timeout_ms < 1 || timeout_ms > ADVANCE_MS_MAX) {
		http_fail(response, 400, "advance needs ?gtid=GTID and a timeout_ms of at most %d",
			  ADVANCE_MS_MAX);
		return;
	}
	answer(context, h, host_advance(h, gtid, timeout_ms, &e), &e, response);
}

static void post_release(void *context, const struct http_request *request,
			 struct http_response *response)
{
	struct host *h = find(context, request, response);

	if (h == NULL)
		return;
	host_release(h);
	host_json(h, false, &response->body);
}

static bool is_true(const struct http_request *request, const char *name)
{
	const char *text = http_field(request, name);

	return text != NULL && strcmp(text, "true") == 0;
}

static int64_t number(const struct http_request *request, const char *name, int64_t otherwise)
{
	const char *text = http_field(request, name);

	return text != NULL ? strtoll(text, NULL, 10) : otherwise;
}

static void post_replay(void *context, const struct http_request *request,
			struct http_response *response)
{
	struct host *h = find(context, request, response);
	struct host_replay_options options = { .no_swap = is_true(request, "no_swap"),
					       .force = is_true(request, "force"),
					       .share = number(request, "share", 0),
					       .as_of = http_field(request, "as_of") };
	struct err e = ERR_INIT;

	if (h != NULL)
		answer(context, h, host_replay(h, &options, &e), &e, response);
}

static void post_swap(void *context, const struct http_request *request,
		      struct http_response *response)
{
	struct host *h = find(context, request, response);
	struct err e = ERR_INIT;

	if (h != NULL)
		answer(context, h, host_swap(h, is_true(request, "force"), &e), &e, response);
}

static void post_rollback(void *context, const struct http_request *request,
			  struct http_response *response)
{
	struct host *h = find(context, request, response);
	struct err e = ERR_INIT;

	if (h != NULL)
		answer(context, h, host_rollback(h, is_true(request, "force"), &e), &e, response);
}

static void post_drop(void *context, const struct http_request *request,
		      struct http_response *response)
{
	struct host *h = find(context, request, response);
	const char *version = http_query(request, "version");
	struct err e = ERR_INIT;

	if (h == NULL)
		return;
	if (version == NULL)
		http_fail(response, 400, "drop needs ?version=N");
	else
		answer(context, h, host_drop(h, (int)strtol(version, NULL, 10), &e), &e, response);
}

static void post_parked(void *context, const struct http_request *request,
			struct http_response *response)
{
	struct host *h = find(context, request, response);
	struct worker_parked_ask ask = { .drop = is_true(request, "drop"),
					 .topic = http_field(request, "topic"),
					 .partition = (int32_t)number(request, "partition", -1),
					 .offset = number(request, "offset", -1) };
	int64_t applied = 0, left = 0;
	struct err e = ERR_INIT;

	if (h == NULL)
		return;
	if (host_parked_act(h, (int)number(request, "version", 0), &ask, &applied, &left, &e) < 0)
		http_fail_err(response, &e);
	else
		buf_add_format(&response->body, "{\"applied\":%lld,\"left\":%lld}\n",
			       (long long)applied, (long long)left);
}

static void post_verified(void *context, const struct http_request *request,
			  struct http_response *response)
{
	struct host *h = find(context, request, response);
	const char *gtid_set = http_field(request, "gtid_set"), *rows = http_field(request, "rows");
	const char *differences = http_field(request, "differences");

	if (h == NULL)
		return;
	if (gtid_set == NULL || rows == NULL || differences == NULL) {
		http_fail(response, 400, "verified needs gtid_set, rows and differences");
		return;
	}
	host_set_verified(h, gtid_set, strtoll(rows, NULL, 10), strtoll(differences, NULL, 10));
	answer(context, h, 0, NULL, response);
}

const struct http_route *project_routes(struct project *p, size_t *ret_count)
{
	static struct http_route routes[] = {
		{ "GET", "/api/wait", get_wait, NULL, false, false },
		{ "GET", "/api/views", get_views, NULL, false, false },
		{ "GET", "/api/views/:view", get_view, NULL, false, false },
		{ "POST", "/api/views/:view/hold", post_hold, NULL, false, false },
		{ "POST", "/api/views/:view/advance", post_advance, NULL, false, false },
		{ "POST", "/api/views/:view/release", post_release, NULL, false, false },
		{ "POST", "/api/views/:view/replay", post_replay, NULL, false, false },
		{ "POST", "/api/views/:view/swap", post_swap, NULL, false, false },
		{ "POST", "/api/views/:view/rollback", post_rollback, NULL, false, false },
		{ "POST", "/api/views/:view/drop", post_drop, NULL, false, false },
		{ "POST", "/api/views/:view/parked", post_parked, NULL, false, false },
		{ "POST", "/api/views/:view/verified", post_verified, NULL, false, false },
	};

	*ret_count = sizeof(routes) / sizeof(routes[0]);
	for (size_t i = 0; i < *ret_count; i++)
		routes[i].context = p;
	return routes;
}
