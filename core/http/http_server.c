/* http_server.c - libmicrohttpd with a route table and a doorkeeper.
 *
 * The doorkeeper answers before a body is read: method, Host (against DNS rebinding), token
 * (compared in constant time), the header that a cross-site form cannot send, route. What passes
 * is collected up to HTTP_BODY_MAX and handed to the handler; its answer is made whole first, so
 * a handler never sees a slow client. While it runs, in a thread that it gets or waits
 * for, the connection is suspended, and the one thread of the sockets goes on with the others; so
 * it is while an answer is waited for that comes later. The listening socket is our own, so that
 * "in use" and "not allowed" have their real names, and what was bound decides whether it is
 * loopback, not how it is spelt. There are no files behind this server: what is not in the route
 * table does not exist. */
#include "core/http/http_priv.h"

#include "core/base/address.h"
#include "core/base/clock.h"
#include "core/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define IDLE_SECONDS 30
#define HEADER_BYTES_MAX (32 * 1024)
#define STACK_BYTES (1024 * 1024)
#define STOP_WAIT_US 2000000

struct http_server {
	struct MHD_Daemon *daemon;
	struct http_route *routes;
	size_t route_count;
	char *token; /* NULL: none needed */
	char address[ADDRESS_HOST_MAX + 16];
	atomic_bool stopping;
	atomic_int running; /* requests begun and not yet answered */
	pthread_mutex_t lock;
	int handlers; /* threads; under lock */
	struct http_request *waiting, **last; /* for one of them; under lock */
	atomic_int suspended; /* connections that a handler, or a wait, will resume */
};

struct http_wait {
	struct http_request *request;
	pthread_mutex_t lock;
	bool returned, answered; /* the handler; whoever answers */
};

static enum MHD_Result reply(struct MHD_Connection *connection, struct http_response *response)
{
	static const char *const headers[][2] = {
		{ "X-Content-Type-Options", "nosniff" },
		{ "Cache-Control", "no-store" },
		{ "Referrer-Policy", "no-referrer" },
		{ "Content-Security-Policy",
		  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
		  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'" },
	};
	struct MHD_Response *r = MHD_create_response_from_buffer(
		response->body.size, response->body.data, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	buf_done(&response->body);
	if (r == NULL)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", response->content_type);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		MHD_add_response_header(r, headers[i][0], headers[i][1]);
	if (response->status == 401)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
	if (response->status == 405)
		MHD_add_response_header(r, "Allow", "GET, HEAD, POST");
	result = MHD_queue_response(connection, (unsigned)response->status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, int status, const char *why)
{
	struct http_response response = { .status = status };

	http_fail(&response, status, "%s", why);
	return reply(connection, &response);
}

/* ---- the doorkeeper
 * -------------------------------------------------------------------------------------------- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* Takes the same time wherever the two differ. */
static bool equal_secret(const char *given, const char *secret)
{
	size_t n = strlen(given), m = strlen(secret);
	volatile unsigned char differs = n != m;

	for (size_t i = 0; i < n; i++)
		differs = (unsigned char)(differs | (given[i] ^ secret[i % m]));
	return differs == 0;
}

static bool has_token(const struct http_server *s, struct MHD_Connection *connection)
{
	static const char scheme[] = "Bearer ";
	const char *given = header(connection, "Authorization");

	return s->token != NULL && given != NULL &&
	       strncasecmp(given, scheme, sizeof(scheme) - 1) == 0 &&
	       equal_secret(given + sizeof(scheme) - 1, s->token);
}

/* An address or localhost: a name could be another site's, rebound to 127.0.0.1. */
static bool good_host(struct MHD_Connection *connection)
{
	const char *given = header(connection, "Host");
	char host[ADDRESS_HOST_MAX];
	struct in6_addr ignored;
	size_t size;

	if (given == NULL)
		return true;
	if (*given == '[')
		return true; /* only an address stands in brackets */
	size = strcspn(given, ":");
	if (size >= sizeof(host))
		return false;
	memcpy(host, given, size);
	host[size] = '\0';
	return strcasecmp(host, "localhost") == 0 || inet_pton(AF_INET, host, &ignored) == 1;
}

static const struct http_route *find_route(const struct http_server *s, struct http_request *r,
					   const char *method, bool *ret_path_known)
{
	*ret_path_known = false;
	for (size_t i = 0; i < s->route_count; i++)
		if (http_request_match(r, s->routes[i].path, r->path)) {
			if (strcmp(s->routes[i].method, method) == 0)
				return &s->routes[i];
			*ret_path_known = true;
			http_request_drop_parameters(r);
		}
	return NULL;
}

/* Finds the route and decides whether this client may use it. Returns 0, or a status and why. */
static int admit(const struct http_server *s, struct http_request *r, const char *method,
		 const char **ret_why)
{
	bool post = strcmp(method, "POST") == 0, known, trusted;

	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	*ret_why = "only GET and POST are answered here";
	if (!post && strcmp(method, "GET") != 0)
		return 405;
	*ret_why = "the Host header must be an address or localhost";
	if (s->token == NULL && !good_host(r->connection))
		return 403;
	r->route = find_route(s, r, method, &known);
	trusted = has_token(s, r->connection);
	*ret_why = "a bearer token is needed (Authorization: Bearer ..., see http.token_file)";
	if (s->token != NULL && !trusted && !(r->route != NULL && r->route->open))
		return 401;
	*ret_why = known ? "this path does not take that method" : "there is nothing at this path";
	if (r->route == NULL)
		return known ? 405 : 404;
	*ret_why = "a POST needs the header X-Millrace: 1";
	if (post && !trusted && header(r->connection, "X-Millrace") == NULL)
		return 403;
	return 0;
}

/* ---- libmicrohttpd's callbacks
 * ---------------------------------------------------------------------------------- */

static enum MHD_Result begin(struct http_server *s, struct MHD_Connection *connection,
			     const char *path, const char *method, void **state)
{
	struct http_request *r = xcalloc(1, sizeof(*r));
	const char *why;
	int status;

	r->connection = connection;
	r->server = s;
	r->path = path;
	r->stopping = &s->stopping;
	*state = r;
	atomic_fetch_add(&s->running, 1);
	status = admit(s, r, method, &why);
	return status != 0 ? refuse(connection, status, why) : MHD_YES;
}

static void resume(struct http_request *r)
{
	struct http_server *s = r->server;

	r->answered = true;
	MHD_resume_connection(r->connection); /* from here on the request belongs to the sockets */
	atomic_fetch_sub(&s->suspended, 1);
}

struct http_wait *http_wait_begin(const struct http_request *r)
{
	struct http_wait *w = xcalloc(1, sizeof(*w));

	w->request = (struct http_request *)(uintptr_t)r;
	pthread_mutex_init(&w->lock, NULL);
	w->request->wait = w;
	return w;
}

/* The second of the two, handler and answer, lets the connection go on. */
static void end_wait(struct http_wait *w, bool *own, const bool *other)
{
	bool last;

	pthread_mutex_lock(&w->lock);
	*own = true;
	last = *other;
	pthread_mutex_unlock(&w->lock);
	if (!last)
		return;
	resume(w->request);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void http_answer(struct http_wait *w, struct http_response *take_response)
{
	buf_done(&w->request->response.body);
	w->request->response = *take_response;
	*take_response = (struct http_response){ 0 };
	end_wait(w, &w->answered, &w->returned);
}

static void run_handler(struct http_request *r)
{
	struct http_response response = { .status = 200, .content_type = "application/json" };

	r->route->handle(r->route->context, r, &response);
	if (r->wait != NULL) {
		buf_done(&response.body);
		end_wait(r->wait, &r->wait->returned, &r->wait->answered);
	} else {
		r->response = response;
		resume(r);
	}
}

/* The one that has waited longest; NULL: the thread is over. */
static struct http_request *next_waiting(struct http_server *s)
{
	struct http_request *r;

	pthread_mutex_lock(&s->lock);
	r = s->waiting;
	if (r == NULL)
		s->handlers--;
	else
		s->waiting = r->next;
	if (s->waiting == NULL)
		s->last = &s->waiting;
	pthread_mutex_unlock(&s->lock);
	return r;
}

static void *run_handlers(void *context)
{
	struct http_request *r = context;
	struct http_server *s = r->server;

	for (; r != NULL; r = next_waiting(s))
		run_handler(r);
	return NULL;
}

/* True: there are threads enough, and one of them will come to it. */
static bool has_to_wait(struct http_request *r)
{
	struct http_server *s = r->server;
	bool wait;

	pthread_mutex_lock(&s->lock);
	wait = s->handlers >= HTTP_HANDLERS_MAX;
	if (wait) {
		*s->last = r;
		s->last = &r->next;
	} else {
		s->handlers++;
	}
	pthread_mutex_unlock(&s->lock);
	return wait;
}

static bool start_handler(struct http_request *r)
{
	struct http_server *s = r->server;
	pthread_attr_t attributes;
	pthread_t thread;
	int rc;

	if (has_to_wait(r))
		return true;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	rc = pthread_create(&thread, &attributes, run_handlers, r);
	pthread_attr_destroy(&attributes);
	if (rc == 0)
		return true;
	pthread_mutex_lock(&s->lock);
	s->handlers--;
	pthread_mutex_unlock(&s->lock);
	return false;
}

static enum MHD_Result finish(struct http_request *r)
{
	struct http_server *s = r->server;

	if (r->answered)
		return reply(r->connection, &r->response);
	if (r->too_large)
		return refuse(r->connection, 413, "the body is longer than 1 MB");
	if (!http_request_read_fields(r))
		return refuse(r->connection, 400, "the body is not a JSON object");
	if (r->route->quick) {
		struct http_response response = { .status = 200,
						  .content_type = "application/json" };

		r->route->handle(r->route->context, r, &response);
		return reply(r->connection, &response);
	}
	atomic_fetch_add(&s->suspended, 1);
	MHD_suspend_connection(r->connection);
	if (start_handler(r))
		return MHD_YES;
	r->response = (struct http_response){ .status = 503 };
	http_fail(&r->response, 503, "no thread for the request");
	resume(r);
	return MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
				  const char *path, const char *method, const char *version,
				  const char *upload, size_t *upload_size, void **state)
{
	struct http_request *r = *state;

	(void)version; /* 1.0 and 1.1 are the same to us */
	if (r == NULL)
		return begin(context, connection, path, method, state);
	if (*upload_size == 0)
		return finish(r);
	if (r->body.size + *upload_size > HTTP_BODY_MAX)
		r->too_large = true;
	else
		buf_add(&r->body, upload, *upload_size);
	*upload_size = 0;
	return MHD_YES;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode code)
{
	struct http_server *s = context;

	(void)connection;
	(void)code;
	if (*state != NULL)
		atomic_fetch_sub(&s->running, 1);
	http_request_free(*state);
	*state = NULL;
}

/* ---- starting and stopping
 * -------------------------------------------------------------------------------------- */

static bool is_loopback(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >>
			       24 ==
		       127;
	return a->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

static int bind_socket(const struct addrinfo *info, const char *listen_at, struct err *e)
{
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return err_fatal(e, "http.listen: no socket: %m");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
			 sizeof(on)); /* without it a restart waits, no more */
	if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, 64) < 0) {
		bool in_use = errno == EADDRINUSE;

		err_config(e, "http.listen: cannot listen on %s: %m", listen_at);
		if (in_use)
			err_hint(
				e,
				"Another process listens there; choose another port with http.listen, or off.");
		close(fd);
		return -1;
	}
	return fd;
}

/* The address as it was really bound, for people and for the status topic. */
static void name_socket(struct http_server *s, int fd, const struct address *wanted)
{
	struct sockaddr_storage bound;
	socklen_t size = sizeof(bound);
	uint16_t port = wanted->port;

	if (getsockname(fd, (struct sockaddr *)&bound, &size) == 0)
		port = ntohs(
			bound.ss_family == AF_INET6
				? ((const struct sockaddr_in6 *)(const void *)&bound)->sin6_port
				: ((const struct sockaddr_in *)(const void *)&bound)->sin_port);
	snprintf(s->address, sizeof(s->address),
		 strchr(wanted->host, ':') != NULL ? "[%s]:%u" : "%s:%u", wanted->host,
		 (unsigned)port);
}

static int open_socket(struct http_server *s, const char *listen_at, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE },
			*found = NULL;
	struct address address;
	char port[8];
	int rc, fd = -1;

	if (address_read(listen_at, &address, e) < 0)
		return err_wrap(e, "http.listen");
	snprintf(port, sizeof(port), "%u", (unsigned)address.port);
	rc = getaddrinfo(address.host, port, &hints, &found);
	if (rc != 0)
		return err_config(e, "http.listen: host %s: %s", address.host, gai_strerror(rc));
	if (s->token == NULL && !is_loopback(found->ai_addr)) {
		err_config(
			e,
			"http.listen: %s can be reached from other machines and there is no token",
			listen_at);
		err_hint(e, "Set http.token_file, or listen on 127.0.0.1.");
	} else {
		fd = bind_socket(found, listen_at, e);
	}
	freeaddrinfo(found);
	if (fd >= 0)
		name_socket(s, fd, &address);
	return fd;
}

int http_server_start(const struct http_server_options *options, struct http_server **ret_server,
		      struct err *e)
{
	struct http_server *s = xcalloc(1, sizeof(*s));
	int fd;

	pthread_mutex_init(&s->lock, NULL);
	s->last = &s->waiting;
	s->token = options->token != NULL && *options->token != '\0' ? xstrdup(options->token)
								     : NULL;
	s->routes = xcalloc(options->route_count, sizeof(*s->routes));
	if (options->route_count != 0)
		memcpy(s->routes, options->routes, options->route_count * sizeof(*s->routes));
	s->route_count = options->route_count;
	fd = open_socket(s, options->listen, e);
	if (fd < 0) {
		http_server_stop(s);
		return -1;
	}
	s->daemon =
		MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC |
					 MHD_ALLOW_SUSPEND_RESUME,
				 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd,
				 MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
				 MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
				 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
				 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES_MAX,
				 MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES, MHD_OPTION_END);
	if (s->daemon == NULL) {
		err_fatal(e, "http: the server did not start: %m");
		close(fd);
		http_server_stop(s);
		return -1;
	}
	*ret_server = s;
	return 0;
}

const char *http_server_address(const struct http_server *s)
{
	return s->address;
}

static bool has_handlers(struct http_server *s)
{
	bool has;

	pthread_mutex_lock(&s->lock);
	has = s->handlers > 0;
	pthread_mutex_unlock(&s->lock);
	return has;
}

/* No new connections; those who wait for an answer get it, if it comes soon; then everything is
 * cut. */
static void stop_daemon(struct http_server *s)
{
	int64_t end;
	int fd = MHD_quiesce_daemon(s->daemon);

	if (fd >= 0)
		close(fd);
	/* the library can't be stopped while a connection is suspended */
	while (has_handlers(s) || atomic_load(&s->suspended) > 0)
		clock_sleep_us(1000);
	end = clock_monotonic_us() + STOP_WAIT_US;
	while (atomic_load(&s->running) > 0 && clock_monotonic_us() < end)
		clock_sleep_us(2000);
	MHD_stop_daemon(s->daemon);
}

void http_server_stop(struct http_server *s)
{
	if (s == NULL)
		return;
	atomic_store(&s->stopping, true);
	if (s->daemon != NULL)
		stop_daemon(s);
	if (s->token != NULL)
		explicit_bzero(s->token, strlen(s->token));
	pthread_mutex_destroy(&s->lock);
	free(s->token);
	free(s->routes);
	free(s);
}
