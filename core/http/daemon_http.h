/* daemon_http.h - what every daemon serves, in one call: GET / (the page), /metrics, /healthz
 * (alive, loops turning), /readyz (rows can flow), /api/status (the status topic as JSON), and
 * the daemon's own routes. */
#ifndef CORE_HTTP_DAEMON_HTTP_H
#define CORE_HTTP_DAEMON_HTTP_H

#include "core/base/settings.h"
#include "core/http/http_server.h"

struct daemon_http;

struct daemon_http_options {
	const char *default_listen; /* "127.0.0.1:7411" (run), "127.0.0.1:7412" (project): used when
				       http.listen is empty */
	/* Each returns true, or false and why in ret_why (plain text; with true it is said
	 * instead of "ok"). Called from the server's
	 * threads. NULL: always true. */
	bool (*healthy)(void *context, struct buf *ret_why);
	bool (*ready)(void *context, struct buf *ret_why);
	void *context;
	const struct http_route *routes; /* the daemon's own; copied */
	size_t route_count;
};

/* *ret_daemon is NULL, with success, when http.listen is "off". The status topic need not exist
 * yet. */
int daemon_http_start(const struct settings *settings, const struct daemon_http_options *options,
		      struct daemon_http **ret_daemon, struct err *e);
const char *daemon_http_address(
	const struct daemon_http *d);         /* host:port really bound; "" for NULL */
void daemon_http_stop(struct daemon_http *d); /* NULL is fine */

#endif
