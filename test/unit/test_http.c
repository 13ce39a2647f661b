/* Server and client over real sockets: routes, the doorkeeper, limits, errors that travel; and
 * the state behind /api/status. */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/http/http_client.h"
#include "core/http/http_server.h"
#include "core/http/status_state.h"
#include "test/unit/unit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct http_server *server;

static void hello(void *context, const struct http_request *request, struct http_response *response)
{
	(void)request;
	http_text(response, "text/plain", "hello %s", (const char *)context);
}

static void echo(void *context, const struct http_request *request, struct http_response *response)
{
	const char *query = http_query(request, "q"), *name = http_field(request, "name"),
		   *n = http_field(request, "n");

	(void)context;
	http_text(response, "text/plain", "%s|%s|%s|%s|%zu", http_parameter(request, "view"),
		  query != NULL ? query : "-", name != NULL ? name : "-", n != NULL ? n : "-",
		  http_body(request).size);
}

static void fails(void *context, const struct http_request *request, struct http_response *response)
{
	struct err e = ERR_INIT;

	(void)context;
	(void)request;
	err_config(&e, "view \"x\" is copying");
	err_hint(&e, "Wait.");
	err_exit(&e, EXIT_PURGED);
	http_fail_err(response, &e);
}

static void waits(void *context, const struct http_request *request, struct http_response *response)
{
	(void)response;
	atomic_store((atomic_bool *)context, true);
	while (!http_stopping(request))
		clock_sleep_us(1000);
}

static atomic_bool waiting;

/* Waits whose answers come later, from another thread. */
#define LATER 100
static struct http_wait *later[LATER];
static atomic_int later_count;

static void begin_later(void *context, const struct http_request *request,
			struct http_response *response)
{
	(void)context;
	(void)response;
	later[atomic_fetch_add(&later_count, 1)] = http_wait_begin(request);
}

/* As many as may run stand at the gate until it is opened. */
static atomic_int inside, most_inside;
static atomic_bool gate_is_open;

static void gate(void *context, const struct http_request *request, struct http_response *response)
{
	int count = atomic_fetch_add(&inside, 1) + 1;

	(void)context;
	(void)request;
	if (count > atomic_load(&most_inside))
		atomic_store(&most_inside, count);
	while (!atomic_load(&gate_is_open))
		clock_sleep_us(1000);
	http_text(response, "text/plain", "now");
	atomic_fetch_sub(&inside, 1);
}

static void start(const char *token)
{
	const struct http_route routes[] = {
		{ "GET", "/", hello, (void *)"page", true, true },
		{ "GET", "/secret", hello, (void *)"secret", false, true },
		{ "POST", "/api/views/:view/hold", echo, NULL, false, true },
		{ "GET", "/api/views/:view", echo, NULL, false, true },
		{ "GET", "/fails", fails, NULL, false, true },
		{ "GET", "/later", begin_later, NULL, false, false },
		{ "GET", "/gate", gate, NULL, false, false },
		{ "GET", "/waits", waits, &waiting, false, false },
	};
	const struct http_server_options options = { "127.0.0.1:0", token, routes,
						     sizeof(routes) / sizeof(routes[0]) };
	struct err e = ERR_INIT;

	if (http_server_start(&options, &server, &e) < 0)
		ck_abort_msg("%s", e.msg);
}

/* Sends raw bytes, returns the whole answer. */
static char *raw(const char *request, size_t size)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const char *port = strrchr(http_server_address(server), ':') + 1;
	struct timeval limit = { .tv_sec = 3 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *answer = xcalloc(1, 65536);
	size_t at = 0;
	ssize_t n;

	a.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)!send(fd, request, size, MSG_NOSIGNAL); /* it may be refused half-way */
	shutdown(fd, SHUT_WR);
	while (at < 65535 && (n = recv(fd, answer + at, 65535 - at, 0)) > 0)
		at += (size_t)n;
	close(fd);
	return answer;
}

static int status_of(const char *request)
{
	char *answer = raw(request, strlen(request));
	int status = strncmp(answer, "HTTP/1.1 ", 9) == 0 ? (int)strtol(answer + 9, NULL, 10) : 0;

	free(answer);
	return status;
}

START_TEST(test_routes)
{
	start(NULL);
	ck_assert_int_eq(status_of("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 200);
	ck_assert_int_eq(status_of("HEAD / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n"), 200);
	ck_assert_int_eq(status_of("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"), 404);
	ck_assert_int_eq(status_of("GET /secret/ HTTP/1.1\r\nHost: localhost\r\n\r\n"), 404);
	ck_assert_int_eq(status_of("GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n"),
			 404);
	ck_assert_int_eq(status_of("POST / HTTP/1.1\r\nHost: localhost\r\nX-Millrace: 1\r\n\r\n"),
			 405);
	ck_assert_int_eq(status_of("GET /api/views/a/hold HTTP/1.1\r\nHost: localhost\r\n\r\n"),
			 405);
	ck_assert_int_eq(status_of("PUT / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 405);
	ck_assert_int_eq(status_of("OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 405);
	ck_assert_int_eq(status_of("DELETE /secret HTTP/1.1\r\nHost: localhost\r\n\r\n"), 405);
	static const char request[] = "GET / HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n";
	char *answer = raw(request, sizeof(request) - 1);
	ck_assert_ptr_nonnull(strstr(answer, "hello page"));
	ck_assert_ptr_nonnull(strstr(answer, "nosniff"));
	ck_assert_ptr_nonnull(strstr(answer, "Content-Security-Policy: default-src 'none'"));
	free(answer);
	http_server_stop(server);
}
END_TEST

START_TEST(test_cross_site)
{
	start(NULL);
	ck_assert_int_eq(status_of("GET /secret HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 403);
	ck_assert_int_eq(
		status_of("GET /secret HTTP/1.1\r\nHost: localhost.evil.example:7411\r\n\r\n"),
		403);
	ck_assert_int_eq(status_of("GET /secret HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n"),
			 403);
	ck_assert_int_eq(
		status_of(
			"POST /api/views/a/hold HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"),
		403);
	ck_assert_int_eq(
		status_of(
			"POST /api/views/a/hold HTTP/1.1\r\nHost: localhost\r\nX-Millrace: 1\r\nContent-Length: 0\r\n\r\n"),
		200);
	http_server_stop(server);
}
END_TEST

START_TEST(test_token)
{
	start("open sesame");
	ck_assert_int_eq(status_of("GET / HTTP/1.1\r\nHost: any.example\r\n\r\n"), 200);
	ck_assert_int_eq(status_of("GET /secret HTTP/1.1\r\nHost: a\r\n\r\n"), 401);
	ck_assert_int_eq(status_of("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"), 401);
	ck_assert_int_eq(
		status_of(
			"GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer open sesam\r\n\r\n"),
		401);
	ck_assert_int_eq(
		status_of(
			"GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer open sesame!\r\n\r\n"),
		401);
	ck_assert_int_eq(
		status_of("GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \r\n\r\n"),
		401);
	ck_assert_int_eq(
		status_of(
			"GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer open sesameopen sesame\r\n\r\n"),
		401);
	ck_assert_int_eq(
		status_of(
			"GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: Basic open sesame\r\n\r\n"),
		401);
	ck_assert_int_eq(
		status_of(
			"GET /secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer open sesame\r\n\r\n"),
		200);
	ck_assert_int_eq(
		status_of(
			"POST /api/views/a/hold HTTP/1.1\r\nHost: a\r\nX-Millrace: 1\r\nContent-Length: 0\r\n\r\n"),
		401);
	ck_assert_int_eq(
		status_of(
			"POST /api/views/a/hold HTTP/1.1\r\nHost: a\r\nAuthorization: bearer open sesame\r\nContent-Length: 0\r\n\r\n"),
		200);
	http_server_stop(server);
}
END_TEST

static struct http_answer call(const char *method, const char *path, const char *body,
			       const char *token)
{
	const struct http_call c = { method, http_server_address(server), path, token, body, 5000 };
	struct http_answer answer = { 0 };
	struct err e = ERR_INIT;

	if (http_client_call(&c, &answer, &e) < 0)
		ck_abort_msg("%s", e.msg);
	return answer;
}

static void expect(struct http_answer answer, int status, const char *text)
{
	ck_assert_int_eq(answer.status, status);
	if (text != NULL && strstr((const char *)answer.body.data, text) == NULL)
		ck_abort_msg("missing: %s in: %s", text, (const char *)answer.body.data);
	http_client_done(&answer);
}

START_TEST(test_request_parts)
{
	struct buf path = BUF_INIT;

	start(NULL);
	expect(call("POST", "/api/views/group_members/hold?q=a%20b",
		    "{\"name\":\"x\",\"n\":12,\"deep\":{}}", NULL),
	       200, "group_members|a b|x|12|29");
	expect(call("GET", "/api/views/v", NULL, NULL), 200, "v|-|-|-|0");
	buf_add_str(&path, "/api/views/");
	http_client_encode(&path, "\xc3\xa4 &?%");
	expect(call("GET", buf_cstr(&path), NULL, NULL), 200, "\xc3\xa4 &?%|-");
	expect(call("GET", "/api/views/", NULL, NULL), 404, "error");
	expect(call("POST", "/api/views/v/hold", "[1]", NULL), 400, "not a JSON object");
	expect(call("POST", "/api/views/v/hold", "{\"a\":1,\"a\":2}", NULL), 400, NULL);
	expect(call("POST", "/api/views/v/hold", "{", NULL), 400, NULL);
	buf_done(&path);
	http_server_stop(server);
}
END_TEST

START_TEST(test_limits)
{
	char *body = xmalloc(HTTP_BODY_MAX + 2), *deep = xmalloc(200002);

	start(NULL);
	memset(body, ' ', HTTP_BODY_MAX + 1);
	body[0] = '{';
	body[HTTP_BODY_MAX - 1] = '}';
	body[HTTP_BODY_MAX] = '\0';
	expect(call("POST", "/api/views/v/hold", body, NULL), 200, NULL);
	body[HTTP_BODY_MAX - 1] = ' ';
	body[HTTP_BODY_MAX] = '}';
	body[HTTP_BODY_MAX + 1] = '\0';
	expect(call("POST", "/api/views/v/hold", body, NULL), 413, NULL);
	memset(deep, '[', 200000);
	memcpy(deep, "{\"a\":", 5);
	deep[200000] = '\0';
	expect(call("POST", "/api/views/v/hold", deep, NULL), 400, NULL);
	http_server_stop(server);
	free(body);
	free(deep);
}
END_TEST

/* Whatever comes in, the server answers the next request. */
START_TEST(test_garbage)
{
	static const char good[] =
		"POST /api/views/v/hold?q=1 HTTP/1.1\r\nHost: localhost\r\nX-Millrace: 1\r\nContent-Length: 12\r\n\r\n{\"name\":\"x\"}";
	char bytes[sizeof(good)];

	unit_seed();
	start(NULL);
	for (size_t cut = 0; cut < sizeof(good) - 1; cut += 3)
		free(raw(good, cut));
	for (int i = 0; i < 60; i++) {
		memcpy(bytes, good, sizeof(good));
		for (int flips = 0; flips < 4; flips++)
			bytes[unit_random_below(sizeof(good) - 1)] = (char)unit_random_below(256);
		free(raw(bytes, sizeof(good) - 1));
	}
	expect(call("GET", "/", NULL, NULL), 200, "hello page");
	http_server_stop(server);
}
END_TEST

START_TEST(test_errors_travel)
{
	const struct http_call c = { "GET", NULL, "/fails", NULL, NULL, 5000 };
	struct http_call ask = c;
	struct http_answer answer;
	struct err e = ERR_INIT;

	start(NULL);
	ask.address = http_server_address(server);
	ck_assert_int_eq(http_client_ask(&ask, &answer, &e), -1);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_int_eq(err_exit_code(&e), EXIT_PURGED);
	ck_assert_ptr_nonnull(strstr(e.msg, "view \"x\" is copying\nHINT: Wait."));
	ask.path = "/nothing";
	err_clear(&e);
	ck_assert_int_eq(http_client_ask(&ask, &answer, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.msg, "there is nothing at this path"));
	http_server_stop(server);
}
END_TEST

START_TEST(test_client_alone)
{
	struct http_call c = { "GET", "127.0.0.1:1", "/", NULL, NULL, 2000 };
	struct http_answer answer;
	struct err e = ERR_INIT;

	ck_assert_int_eq(http_client_call(&c, &answer, &e), -1);
	ck_assert_int_eq(e.kind, ERR_RETRY);
	ck_assert_int_eq(err_exit_code(&e), EXIT_UNREACHABLE);
	c.address = "file:///etc";
	ck_assert_int_eq(http_client_call(&c, &answer, &e), -1);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
}
END_TEST

START_TEST(test_listening)
{
	static const char *const bad[] = { "0.0.0.0:0", "[::]:0",          "nonsense",
					   "127.0.0.1", "127.0.0.1:99999", "no.such.host.invalid:1",
					   "" };
	struct http_server_options options = { .routes = NULL };
	struct http_server *other;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		options.listen = bad[i];
		ck_assert_int_eq(http_server_start(&options, &other, &e), -1);
		ck_assert_int_eq(e.kind, ERR_CONFIG);
		ck_assert_ptr_nonnull(strstr(e.msg, "http.listen"));
	}
	start(NULL);
	options.listen = http_server_address(server);
	ck_assert_int_eq(http_server_start(&options, &other, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.msg, "in use"));
	http_server_stop(server);
	options = (struct http_server_options){ .listen = "0.0.0.0:0", .token = "t" };
	ck_assert_int_eq(http_server_start(&options, &other, &e), 0);
	http_server_stop(other);
	http_server_stop(NULL);
}
END_TEST

static void *ask_waits(void *context)
{
	(void)context;
	http_client_done(&(struct http_answer){ .body = call("GET", "/waits", NULL, NULL).body });
	return NULL;
}

START_TEST(test_stop_ends_waiting_handlers)
{
	pthread_t thread;

	start(NULL);
	ck_assert_int_eq(pthread_create(&thread, NULL, ask_waits, NULL), 0);
	while (!atomic_load(&waiting))
		clock_sleep_us(1000);
	expect(call("GET", "/", NULL, NULL), 200, "hello page"); /* others are answered meanwhile */
	http_server_stop(server);
	pthread_join(thread, NULL);
}
END_TEST

/* ---- status_state --------------------------------------------------------------------------- */

static void take(struct status_state *s, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void take(struct status_state *s, const char *key, const char *format, ...)
{
	struct err e = ERR_INIT;
	va_list args;
	char *text;

	va_start(args, format);
	ck_assert_int_ge(vasprintf(&text, format, args), 0);
	va_end(args);
	if (status_state_take(s, key, slice_str(text), &e) < 0)
		ck_abort_msg("%s", e.msg);
	free(text);
}

static void has(const struct status_state *s, int64_t now, int64_t since, const char *wanted)
{
	struct buf out = BUF_INIT;

	status_state_write(s, now, since, &out);
	if (strstr(buf_cstr(&out), wanted) == NULL)
		ck_abort_msg("missing: %s\nin: %s", wanted, buf_cstr(&out));
	buf_done(&out);
}

#define STAGE(t, b, u) "{\"transactions\":" #t ",\"bytes\":" #b ",\"us\":" #u "}"

START_TEST(test_lags)
{
	struct status_state *s = status_state_new("shop");

	take(s, "view:v", "{\"at_us\":1000,\"seq\":5,\"state\":\"live\",\"applied\":%s}",
	     STAGE(7, 70, 400));
	has(s, 2000, 0, "\"lag\":{\"applied\":null}");
	take(s, "capture",
	     "{\"at_us\":1000,\"seq\":9,\"state\":\"streaming\",\"head\":%s,\"read\":%s,\"delivered\":%s}",
	     STAGE(20, 200, 900), STAGE(15, 150, 600), STAGE(15, 150, 600));
	has(s, 2000, 0,
	    "\"lag\":{\"read\":{\"transactions\":5,\"bytes\":50,\"us\":300},\"delivered\":{\"transactions\":0,\"bytes\":0,\"us\":0}}");
	has(s, 2000, 0, "\"lag\":{\"applied\":{\"transactions\":8,\"bytes\":80,\"us\":200}}");
	take(s, "view:v",
	     "{\"at_us\":1000,\"seq\":5,\"state\":\"live\",\"delivered\":%s,\"applied\":%s}",
	     STAGE(9, 90, 450), STAGE(9, 90, 400));
	has(s, 2000, 0,
	    "\"lag\":{\"applied\":{\"transactions\":0,\"bytes\":0,\"us\":0}}"); /* nothing waits: no
										   seconds either */
	take(s, "view:v", "{\"at_us\":1000,\"delivered\":%s,\"applied\":%s}", STAGE(9, 90, 300),
	     STAGE(12, 99, 400));
	has(s, 2000, 0,
	    "\"lag\":{\"applied\":{\"transactions\":0,\"bytes\":0,\"us\":0}}"); /* ahead of what
										   capture last
										   said: not
										   negative */
	take(s, "view:v", "{\"at_us\":1000,\"delivered\":%s,\"applied\":%s}", STAGE(9, 90, 300),
	     STAGE(0, 0, 0));
	has(s, 2000, 0,
	    "\"lag\":{\"applied\":{\"transactions\":9,\"bytes\":90,\"us\":0}}"); /* nothing applied
										    yet: not since
										    1970 */
	status_state_free(s);
}
END_TEST

START_TEST(test_silence)
{
	struct status_state *s = status_state_new("shop");

	take(s, "capture", "{\"at_us\":1000000,\"state\":\"streaming\"}");
	has(s, 16000000, 0, "\"age_us\":15000000,\"silent\":false");
	has(s, 16000001, 0, "\"age_us\":15000001,\"silent\":true");
	has(s, 0, 0, "\"age_us\":0,\"silent\":false"); /* its clock is ahead of ours */
	take(s, "capture", "{\"at_us\":1000000,\"state\":\"stopped\"}");
	has(s, 99000000, 0, "\"silent\":false");
	take(s, "capture", "{\"at_us\":90000000,\"delivered\":%s}", STAGE(20, 200, 900));
	take(s, "view:v", "{\"at_us\":90000000,\"delivered\":%s,\"applied\":%s}", STAGE(9, 90, 450),
	     STAGE(9, 90, 400));
	has(s, 90000000, 0, "\"lag\":{\"applied\":{\"transactions\":0");
	has(s, 120000000, 0,
	    "\"lag\":{\"applied\":{\"transactions\":11,\"bytes\":110,\"us\":500}}");
	take(s, "view:v", "%s", "");
	take(s, "capture", "%s", "");
	has(s, 0, 0, "\"processes\":[]");
	take(s, "view:never", "%s", "");
	status_state_free(s);
}
END_TEST

START_TEST(test_history)
{
	struct status_state *s = status_state_new("shop");

	for (int64_t i = 0; i < STATUS_POINTS + 5; i++) {
		take(s, "view:v", "{\"at_us\":%lld,\"seq\":%lld}", (long long)(i * STATUS_POINT_US),
		     (long long)i);
		take(s, "view:v", "{\"at_us\":%lld,\"seq\":%lld}",
		     (long long)(i * STATUS_POINT_US + 1000),
		     (long long)i); /* too close: no point */
	}
	has(s, 0, -1, "\"history\":{\"view:v\":[[7500000,5,null,null,null],[9000000,6,");
	has(s, 0, INT64_C(603) * STATUS_POINT_US,
	    "\"history\":{\"view:v\":[[906000000,604,null,null,null]]}");
	has(s, 0, INT64_MAX, "\"history\":{\"view:v\":[]}");
	status_state_free(s);
}
END_TEST

START_TEST(test_bad_statuses)
{
	static const char *const bad[] = { "x", "[]", "{", "\"text\"", "12" };
	struct status_state *s = status_state_new("na\"me");
	struct err e = ERR_INIT;
	char *longest = xmalloc(STATUS_TEXT_MAX + 2), key[32];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(status_state_take(s, "capture", slice_str(bad[i]), &e), -1);
	memset(longest, ' ', STATUS_TEXT_MAX + 1);
	ck_assert_int_eq(
		status_state_take(s, "capture", slice_of(longest, STATUS_TEXT_MAX + 1), &e), -1);
	take(s, "capture", "{\"at_us\":\"text\",\"head\":5,\"read\":[],\"seq\":null,\"state\":7}");
	has(s, 5, 0, "\"name\":\"na\\\"me\"");
	for (int i = 0; i < STATUS_PROCESSES_MAX - 1; i++) {
		snprintf(key, sizeof(key), "view:%d", i);
		take(s, key, "{}");
	}
	ck_assert_int_eq(status_state_take(s, "view:more", slice_str("{}"), &e), -1);
	ck_assert_int_eq(status_state_take(s, "view:5", slice_str("{}"), &e), 0);
	status_state_free(s);
	free(longest);
}
END_TEST

struct asked {
	const char *path;
	atomic_int *got;
};

static void *ask_later(void *context)
{
	const struct asked *asked = context;
	struct http_call c = { .method = "GET", .address = http_server_address(server),
			       .path = asked->path, .timeout_ms = 60000 };
	struct http_answer answer = { 0 };
	struct err e = ERR_INIT;

	ck_assert_msg(http_client_ask(&c, &answer, &e) == 0, "%s", e.msg);
	atomic_fetch_add(asked->got, strstr(buf_cstr(&answer.body), "now") != NULL);
	http_client_done(&answer);
	return NULL;
}

static size_t thread_count(void)
{
	char line[200];
	size_t count = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "Threads:", 8) == 0)
			count = strtoul(line + 8, NULL, 10);
	}
	fclose(f);
	return count;
}

/* A hundred requests wait at once, more than handlers may run, and no thread waits with them; the
 * pages are served meanwhile. */
START_TEST(test_answers_that_come_later)
{
	static atomic_int got;
	struct asked asked = { "/later", &got };
	pthread_t askers[LATER];
	size_t threads;

	start(NULL);
	threads = thread_count();
	for (int i = 0; i < LATER; i++) {
		pthread_create(&askers[i], NULL, ask_later, &asked);
		while (atomic_load(&later_count) == i)
			clock_sleep_us(500);
	}
	for (int i = 0; i < 2000 && thread_count() > threads + LATER; i++)
		clock_sleep_us(1000); /* the last handler's thread ends */
	ck_assert_uint_le(thread_count(), threads + LATER);
	ck_assert_int_eq(status_of("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 200);
	for (int i = 0; i < LATER; i++) {
		struct http_response response = { .status = 200, .content_type = "text/plain" };

		buf_add_str(&response.body, "now");
		http_answer(later[i], &response);
	}
	for (int i = 0; i < LATER; i++)
		pthread_join(askers[i], NULL);
	ck_assert_int_eq(atomic_load(&got), LATER);
	http_server_stop(server);
}
END_TEST

/* Nobody is sent away when more are asked for at once than handlers may run. */
START_TEST(test_those_who_come_wait_for_a_thread)
{
	static atomic_int got;
	struct asked asked = { "/gate", &got };
	pthread_t askers[LATER];

	start(NULL);
	for (int i = 0; i < LATER; i++)
		pthread_create(&askers[i], NULL, ask_later, &asked);
	for (int i = 0; i < 10000 && atomic_load(&inside) < HTTP_HANDLERS_MAX; i++)
		clock_sleep_us(1000);
	clock_sleep_us(50000);
	ck_assert_int_eq(atomic_load(&inside), HTTP_HANDLERS_MAX);
	atomic_store(&gate_is_open, true);
	for (int i = 0; i < LATER; i++)
		pthread_join(askers[i], NULL);
	ck_assert_int_eq(atomic_load(&got), LATER);
	ck_assert_int_eq(atomic_load(&most_inside), HTTP_HANDLERS_MAX);
	http_server_stop(server);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http");

	unit_test(s, test_routes);
	unit_test(s, test_cross_site);
	unit_test(s, test_token);
	unit_test(s, test_request_parts);
	unit_test_slow(s, test_limits, 20);
	unit_test_slow(s, test_garbage, 60);
	unit_test(s, test_errors_travel);
	unit_test(s, test_client_alone);
	unit_test_slow(s, test_listening, 20);
	unit_test_slow(s, test_stop_ends_waiting_handlers, 20);
	unit_test(s, test_lags);
	unit_test(s, test_silence);
	unit_test(s, test_history);
	unit_test(s, test_bad_statuses);
	unit_test_slow(s, test_answers_that_come_later, 60);
	unit_test_slow(s, test_those_who_come_wait_for_a_thread, 60);
	return unit_run(s);
}
