/* daemon_http.c - the routes that every daemon has, in front of its own.
 *
 * The page and the two probes are open: they hold nothing secret (the page is the same for
 * everybody; what it shows it asks for at /api/status, with the token where one is needed). */
#include "core/http/daemon_http.h"

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/http/status_feed.h"

#include "page.gen.h"

#include <stdlib.h>

#define COMMON_ROUTES 5

struct daemon_http {
	struct daemon_http_options options;
	struct http_server *server;
	struct status_feed *feed;
};

static void serve_page(void *context, const struct http_request *request,
		       struct http_response *response)
{
	(void)context;
	(void)request;
	response->content_type = "text/html; charset=utf-8";
	for (size_t i = 0; i < sizeof(page_files) / sizeof(page_files[0]); i++)
		if (strcmp(page_files[i].name, "index.html") == 0)
			buf_add(&response->body, page_files[i].data, page_files[i].size);
}

static void serve_metrics(void *context, const struct http_request *request,
			  struct http_response *response)
{
	(void)context;
	(void)request;
	response->content_type = METRIC_CONTENT_TYPE;
	metric_write(&response->body);
}

static void serve_probe(bool (*probe)(void *context, struct buf *ret_why), void *context,
			struct http_response *response)
{
	struct buf why = BUF_INIT;
	bool good = probe == NULL || probe(context, &why);

	http_text(response, "text/plain; charset=utf-8", "%s\n",
		  why.size > 0 ? buf_cstr(&why) : "ok");
	response->status = good ? 200 : 503;
	buf_done(&why);
}

static void serve_health(void *context, const struct http_request *request,
			 struct http_response *response)
{
	const struct daemon_http *d = context;

	(void)request;
	serve_probe(d->options.healthy, d->options.context, response);
}

static void serve_ready(void *context, const struct http_request *request,
			struct http_response *response)
{
	const struct daemon_http *d = context;

	(void)request;
	serve_probe(d->options.ready, d->options.context, response);
}

static void serve_status(void *context, const struct http_request *request,
			 struct http_response *response)
{
	const struct daemon_http *d = context;
	const char *since = http_query(request, "since");

	status_feed_write(d->feed, since != NULL ? strtoll(since, NULL, 10) : 0, &response->body);
}

static int start_server(struct daemon_http *d, const struct settings *settings, struct err *e)
{
	const struct http_route common[COMMON_ROUTES] = {
		{ "GET", "/", serve_page, d, true, true },
		{ "GET", "/healthz", serve_health, d, true, true },
		{ "GET", "/readyz", serve_ready, d, true, true },
		{ "GET", "/metrics", serve_metrics, d, false, true },
		{ "GET", "/api/status", serve_status, d, false, true },
	};
	size_t count = COMMON_ROUTES + d->options.route_count;
	struct http_route *routes = xcalloc(count, sizeof(*routes));
	const char *listen = *settings->http_listen != '\0' ? settings->http_listen
							    : d->options.default_listen;
	struct http_server_options options = { listen, settings->http_token, routes, count };
	int rc;

	memcpy(routes, common, sizeof(common));
	if (d->options.route_count != 0)
		memcpy(routes + COMMON_ROUTES, d->options.routes,
		       d->options.route_count * sizeof(*routes));
	rc = http_server_start(&options, &d->server, e);
	free(routes);
	return rc;
}

int daemon_http_start(const struct settings *settings, const struct daemon_http_options *options,
		      struct daemon_http **ret_daemon, struct err *e)
{
	struct daemon_http *d;

	if (strcmp(settings->http_listen, "off") == 0) {
		*ret_daemon = NULL;
		return 0;
	}
	d = xcalloc(1, sizeof(*d));
	d->options = *options;
	d->feed = status_feed_start(settings);
	if (start_server(d, settings, e) < 0) {
		daemon_http_stop(d);
		return -1;
	}
	log_info("http", "listening on http://%s/", http_server_address(d->server));
	*ret_daemon = d;
	return 0;
}

const char *daemon_http_address(const struct daemon_http *d)
{
	return d != NULL ? http_server_address(d->server) : "";
}

void daemon_http_stop(struct daemon_http *d)
{
	if (d == NULL)
		return;
	http_server_stop(d->server);
	status_feed_stop(d->feed);
	free(d);
}
