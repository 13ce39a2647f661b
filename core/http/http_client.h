/* http_client.h - one request to another Millrace process (or a registry), over libcurl.
 *
 * Follows no redirects, uses no proxy for loopback, takes at most HTTP_ANSWER_MAX bytes.
 * Thread-safe. */
#ifndef CORE_HTTP_HTTP_CLIENT_H
#define CORE_HTTP_HTTP_CLIENT_H

#include "core/base/buf.h"
#include "core/base/err.h"

#define HTTP_ANSWER_MAX (16 * 1024 * 1024)

struct http_call {
	const char *method;  /* "GET" or "POST" */
	const char *address; /* host:port, or a URL without path ("https://registry.example") */
	const char *path;    /* "/api/views/x/replay?y=1", already encoded (http_client_encode) */
	const char *token;   /* bearer token, NULL or "": none */
	const char *body;    /* JSON text of a POST, NULL: empty */
	int64_t timeout_ms;  /* of the whole call; 0: 30 s */
};

struct http_answer {
	int status;
	struct buf body; /* NUL-terminated behind its size */
};

/* 0 when an answer came, whatever its status. ERR_RETRY (EXIT_UNREACHABLE): refused, timed out,
 * cut. ERR_DATA: answer too large. Free with http_client_done(). */
int http_client_call(const struct http_call *call, struct http_answer *ret_answer, struct err *e);
/* The same, and every status but 2xx is an error too: the kind that the other process named in
 * its answer, with its message and hint. */
int http_client_ask(const struct http_call *call, struct http_answer *ret_answer, struct err *e);
void http_client_done(struct http_answer *answer);
/* Appends text percent-encoded, as one part of a path or query. */
void http_client_encode(struct buf *out, const char *text);

#endif
