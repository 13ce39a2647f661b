/* http_priv.h - a request, as the server's own files see it. */
#ifndef CORE_HTTP_HTTP_PRIV_H
#define CORE_HTTP_HTTP_PRIV_H

#include "core/http/http_server.h"

#include <microhttpd.h>
#include <stdatomic.h>

struct http_pair {
	char *name, *text;
};

struct http_request {
	struct MHD_Connection *connection;
	const char *path;
	const atomic_bool *stopping;
	const struct http_route *route;
	struct http_pair parameters[HTTP_PARAMETERS_MAX];
	size_t parameter_count;
	struct buf body;
	bool too_large;
	struct http_pair *fields; /* members of the body's JSON object */
	size_t field_count;
	struct http_server *server;
	struct http_response response; /* of the handler */
	bool answered;
	struct http_request *next; /* that waits for a thread */
	struct http_wait *wait;    /* begun by the handler; NULL: none */
};

/* Parts of `path` against `pattern`; fills the parameters on a match. */
bool http_request_match(struct http_request *r, const char *pattern, const char *path);
void http_request_drop_parameters(struct http_request *r);
/* Reads the body (empty, or a JSON object) into fields. False: it is neither. */
bool http_request_read_fields(struct http_request *r);
void http_request_free(struct http_request *r);

#endif
