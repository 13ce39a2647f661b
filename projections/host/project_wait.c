/* project_wait.c - those who wait for a view to have applied a GTID.
 *
 * One thread, awake only while somebody waits: every few milliseconds it asks each view once how
 * far it is, and holds all GTID sets that are waited for against that. A view that was swapped
 * meanwhile is asked by its public name: the version that is live then counts. */
#include "projections/host/project_wait.h"

#include "core/base/clock.h"
#include "core/base/gtid.h"
#include "core/base/mem.h"
#include "core/base/quote.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#define LOOK_US 4000

struct waiter {
	struct waiter *next;
	struct http_wait *request;
	struct host *host;
	struct gtid_set want;
	int64_t until_us;
	char *text;
};

struct project_wait {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct waiter *waiters;
	bool stop;
};

static void add_state(const struct host *h, const struct host_applied *a, struct buf *out)
{
	quote_json_key(out, "view");
	quote_json(out, slice_str(host_name(h)));
	buf_add_format(out, ",\"version\":%d,\"seq\":%lld,\"commit_us\":%lld", a->version,
		       (long long)a->seq, (long long)a->commit_us);
	quote_json_key(out, "gtid_set");
	quote_json(out, slice_str(a->gtid_set != NULL ? a->gtid_set : ""));
}

static void say(const struct host *h, const struct host_applied *a, int status, const char *error,
		struct http_response *response)
{
	struct buf *out = &response->body;

	response->status = status;
	response->content_type = "application/json";
	buf_reset(out);
	buf_add_u8(out, '{');
	if (error != NULL) {
		quote_json_key(out, "error");
		quote_json(out, slice_str(error));
	}
	add_state(h, a, out);
	buf_add_str(out, "}\n");
}

/* Reasons not to wait for it. */
static bool is_refused(const struct host *h, const struct host_applied *a,
		       struct http_response *response)
{
	if (a->state == WORKER_FAILED)
		say(h, a, 503, a->message, response);
	else if (a->version == 0)
		say(h, a, 409, "the view is incomplete: its first build goes on", response);
	else if (a->copying)
		say(h, a, 409, "the view is incomplete: the first copy of its tables goes on",
		    response);
	else
		return false;
	return true;
}

/* True: it has its answer. */
static bool judge(const struct waiter *w, const struct host_applied *a, const struct gtid_set *at,
		  bool stop, int64_t now, struct http_response *response)
{
	if (a->gtid_set != NULL && !a->copying && gtid_set_contains_set(at, &w->want)) {
		say(w->host, a, 200, NULL, response);
		return true;
	}
	if (is_refused(w->host, a, response))
		return true;
	if (stop)
		say(w->host, a, 503, "the daemon is ending", response);
	else if (now >= w->until_us)
		say(w->host, a, 504, "the view has not applied it within the timeout", response);
	return stop || now >= w->until_us;
}

static void free_waiter(struct waiter *w)
{
	gtid_set_done(&w->want);
	free(w->text);
	free(w);
}

/* Under lock: everybody who waits for this host. */
static void look(struct project_wait *p, struct host *h)
{
	struct host_applied a;
	struct gtid_set at = GTID_SET_INIT;
	struct err ignored = ERR_INIT; /* of our own text */
	int64_t now = clock_monotonic_us();

	host_applied(h, &a);
	if (a.gtid_set != NULL)
		(void)gtid_set_parse(slice_str(a.gtid_set), &at, &ignored);
	for (struct waiter **link = &p->waiters; *link != NULL;) {
		struct http_response response = { 0 };
		struct waiter *w = *link;

		if (w->host != h || !judge(w, &a, &at, p->stop, now, &response)) {
			link = &w->next;
			continue;
		}
		*link = w->next;
		http_answer(w->request, &response);
		free_waiter(w);
	}
	gtid_set_done(&at);
	free(a.gtid_set);
}

/* Under lock: each host once. */
static void look_all(struct project_wait *p)
{
	struct host *seen[64];
	size_t count = 0;

	for (struct waiter *w = p->waiters; w != NULL && count < 64; w = w->next) {
		size_t i = 0;

		while (i < count && seen[i] != w->host)
			i++;
		if (i == count)
			seen[count++] = w->host;
	}
	for (size_t i = 0; i < count; i++)
		look(p, seen[i]);
}

static void *run(void *context)
{
	struct project_wait *p = context;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		if (p->waiters == NULL) {
			pthread_cond_wait(&p->changed, &p->lock);
			continue;
		}
		look_all(p);
		pthread_mutex_unlock(&p->lock);
		clock_sleep_us(LOOK_US);
		pthread_mutex_lock(&p->lock);
	}
	while (p->waiters != NULL)
		look_all(p);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

int project_wait_start(struct project_wait **ret_wait, struct err *e)
{
	struct project_wait *p = xcalloc(1, sizeof(*p));

	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	if (pthread_create(&p->thread, NULL, run, p) != 0) {
		free(p);
		return err_fatal(e, "can't start a thread");
	}
	*ret_wait = p;
	return 0;
}

void project_wait_stop(struct project_wait *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
}

void project_wait_free(struct project_wait *p)
{
	if (p == NULL)
		return;
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->changed);
	free(p);
}

/* "10", "0.5", "10s", "500ms" -> milliseconds; -1: none of them. */
static int64_t read_timeout(const char *text)
{
	char *end;
	double n;

	if (text == NULL)
		return PROJECT_WAIT_MS_DEFAULT;
	n = strtod(text, &end);
	if (end == text || !isfinite(n) || n < 0)
		return -1;
	if (strcmp(end, "ms") != 0)
		n *= 1000;
	if (strcmp(end, "ms") != 0 && strcmp(end, "s") != 0 && *end != '\0')
		return -1;
	return n > PROJECT_WAIT_MS_MAX ? -1 : (int64_t)n;
}

void project_wait_for(struct project_wait *p, struct host *h, const struct http_request *request,
		      struct http_response *response)
{
	int64_t timeout_ms = read_timeout(http_query(request, "timeout"));
	const char *gtid = http_query(request, "gtid");
	struct waiter *w = xcalloc(1, sizeof(*w));
	struct host_applied a;
	struct err e = ERR_INIT;

	host_applied(h, &a);
	if (timeout_ms < 0) {
		http_fail(response, 400, "timeout is a number of seconds, at most %d",
			  PROJECT_WAIT_MS_MAX / 1000);
	} else if (gtid == NULL || gtid_set_parse(slice_str(gtid), &w->want, &e) < 0 ||
		   gtid_set_is_empty(&w->want)) {
		http_fail(response, 400, "gtid: %s",
			  e.msg[0] != '\0' ? e.msg : "a GTID or a GTID set is needed");
	} else if (!is_refused(h, &a, response)) {
		w->host = h;
		w->until_us = clock_monotonic_us() + timeout_ms * 1000;
		pthread_mutex_lock(&p->lock);
		if (!p->stop) {
			w->request = http_wait_begin(request);
			w->next = p->waiters;
			p->waiters = w;
			w = NULL;
			pthread_cond_signal(&p->changed);
		}
		pthread_mutex_unlock(&p->lock);
		if (w != NULL)
			http_fail(response, 503, "the daemon is ending");
	}
	free(a.gtid_set);
	if (w != NULL)
		free_waiter(w);
}
