/* http_server.h - pages, metrics and the API of a daemon, over libmicrohttpd.
 *
 * Only GET (HEAD with it) and POST. A request is at most HTTP_BODY_MAX bytes, an answer is made
 * whole before it is sent. One thread serves the sockets. A handler that isn't quick has a thread
 * of its own for as long as it runs, so it may block; handlers must be thread-safe. At most
 * HTTP_HANDLERS_MAX run at once, the others wait for them in the order in which they came. A
 * request whose answer will come later, perhaps much later, needs none: see http_wait_begin.
 *
 * Who may ask: on loopback without a token everybody on this machine, but the Host header must
 * be an address or localhost (a page of another site cannot be rebound to us), and a POST needs
 * the header `X-Millrace: 1` (a browser cannot be made to send it across sites). With a token
 * every route except the open ones needs `Authorization: Bearer <token>`. Listening beyond
 * loopback without a token is ERR_CONFIG. */
#ifndef CORE_HTTP_HTTP_SERVER_H
#define CORE_HTTP_HTTP_SERVER_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"

#define HTTP_BODY_MAX (1024 * 1024)
#define HTTP_CONNECTIONS_MAX 512
#define HTTP_HANDLERS_MAX 32
#define HTTP_PARAMETERS_MAX 4

struct http_server;
struct http_request; /* valid during the handler's call */

struct http_response {
	int status;               /* 200 unless the handler says otherwise */
	const char *content_type; /* static text; application/json unless it says otherwise */
	struct buf body;
};

struct http_route {
	const char *method; /* "GET" or "POST" */
	const char *path;   /* "/api/views/:view/hold": a part that begins with ':' matches one part
			       of the path and names it */
	void (*handle)(void *context, const struct http_request *request,
		       struct http_response *response);
	void *context;
	bool open; /* answered without the token (nothing secret in it) */
	/* Answers from memory at once: it is called in the thread of the sockets, and so answers
	 * also those who close their side first, as scripts may. */
	bool quick;
};

struct http_server_options {
	const char *listen; /* host:port, [v6]:port, :port (loopback); port 0: any free one */
	const char *token;  /* NULL or "": none */
	const struct http_route *routes; /* copied; texts must outlive the server */
	size_t route_count;
};

/* ERR_CONFIG: address malformed, in use, or beyond loopback without a token. */
int http_server_start(const struct http_server_options *options, struct http_server **ret_server,
		      struct err *e);
const char *http_server_address(
	const struct http_server *s); /* "127.0.0.1:7411", with the port really bound */
/* Handlers that run see http_stopping and have two seconds to get their answer out; it waits for
 * them to return however long that takes. NULL is fine. */
void http_server_stop(struct http_server *s);

/* The request. Texts are URL-decoded; NULL when there is none. */
const char *http_path(const struct http_request *r);
const char *http_parameter(const struct http_request *r,
			   const char *name); /* ":view" of the route -> "view" */
const char *http_query(const struct http_request *r, const char *name); /* ?name=... */
struct slice http_body(const struct http_request *r);
/* A member of the JSON object in the body: text as it is, numbers and true/false as their JSON
 * text. NULL: no such member. */
const char *http_field(const struct http_request *r, const char *name);
/* In a handler: the answer is not what the handler leaves behind, but what http_answer gives, from
 * any thread, also before the handler returns. The request waits without a thread until then; who
 * began must answer, once, and soon when the server stops. */
struct http_wait;
struct http_wait *http_wait_begin(const struct http_request *r);
void http_answer(struct http_wait *w, struct http_response *take_response);
bool http_stopping(const struct http_request *r); /* a long wait should end */

/* The answer: a JSON object {"error": text}, or any text. */
void http_fail(struct http_response *response, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Status by kind (CONFIG 409, DATA 422, RETRY 503, FATAL 500) and {"error", "hint", "kind"}. */
void http_fail_err(struct http_response *response, const struct err *e);
void http_text(struct http_response *response, const char *content_type, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
