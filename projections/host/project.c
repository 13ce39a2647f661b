/* project.c - the projection daemon: opens views, looks after them, says how they are, stops them.
 *
 * The views do their work in threads of their own (worker.c, host_keeper.c); this loop only writes
 * status and metrics, answers systemd, and sees whether there is anything left to do. */
#include "projections/host/project.h"

#include "core/base/backoff.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/notify.h"
#include "core/base/stop.h"
#include "core/http/daemon_http.h"
#include "projections/host/project_wait.h"
#include "projections/host/verify_keeper.h"
#include "projections/host/view_status.h"

#include <stdio.h>
#include <stdlib.h>

#define LOOK_MS 250
#define STATUS_US 2000000
#define SAY_US 2000000
#define SAY_LOOK_US 5000

static int open_registry(const struct settings *settings, struct registry **ret_registry,
			 struct err *e)
{
	struct backoff backoff = BACKOFF_INIT;

	while (registry_open(settings, true, ret_registry, e) < 0) {
		if (e->kind != ERR_RETRY)
			return -1;
		log_err(LOG_LEVEL_WARNING, "project", "waiting for Kafka", e);
		notify_status("waiting for Kafka");
		if (stop_wait_ms(backoff_next_ms(&backoff)))
			return -1;
	}
	err_clear(e);
	return 0;
}

/* A verb that works on a view while no daemon does, or a daemon that is just ending. */
#define OWNER_WAIT_MS 30000

/* ---- views ----------------------------------------------------------------------------------- */

static int open_one(struct project *p, const char *name, size_t views, struct feed_source source,
		    struct err *e)
{
	struct host_options options = { .settings = p->settings,
					.name = name,
					.source = source,
					.views = views,
					.pool = &p->pool,
					.wait_ms = OWNER_WAIT_MS };
	struct host *h;

	if (store_of(p->settings, name, &options.store, e) < 0 || host_open(&options, &h, e) < 0)
		return -1;
	p->hosts = xrealloc(p->hosts, (p->host_count + 1) * sizeof(struct host *));
	p->hosts[p->host_count++] = h;
	return 0;
}

/* All mistakes of all views are reported, each by its own line; *e is the first. */
static int open_views(struct project *p, char *const *names, size_t count, bool named,
		      struct feed_source source, struct err *e)
{
	size_t failed = 0;

	for (size_t i = 0; i < count; i++) {
		struct err one = ERR_INIT;

		if (open_one(p, names[i], count, source, &one) == 0)
			continue;
		if (failed++ == 0)
			*e = one;
		else
			log_err(LOG_LEVEL_ERROR, "project", names[i], &one);
	}
	if (failed == 0)
		return 0;
	if (named || p->host_count == 0)
		return -1;
	log_err(LOG_LEVEL_ERROR, "project", "a view is not served", e);
	err_clear(e);
	return 0;
}

/* ---- health ---------------------------------------------------------------------------------- */

static bool is_ready(void *context, struct buf *ret_why)
{
	const struct project *p = context;
	bool ready = true;

	for (size_t i = 0; i < p->host_count; i++) {
		struct host_status *s = xmalloc(sizeof(*s));
		const char *message, *state;

		host_status(p->hosts[i], s);
		state = view_status_state(s, &message);
		if (strcmp(state, "live") != 0) {
			buf_add_format(ret_why, "%s%s is %s%s%s", ready ? "" : "\n",
				       host_name(p->hosts[i]), state,
				       message[0] != '\0' ? ": " : "", message);
			ready = false;
		}
		free(s);
	}
	return ready;
}

/* A job may still repair it: a replay of a failed live version, also one that is about to begin. */
static bool may_mend(const struct host_status *s)
{
	for (size_t v = 0; v < s->version_count; v++) {
		if (s->versions[v].version == s->live && s->versions[v].worker.outgrown)
			return true;
	}
	return s->job != HOST_NO_JOB && s->phase != HOST_DONE && s->phase != HOST_FAILED &&
	       s->phase != HOST_READY;
}

/* True when no view can go on; *e is the first one's reason. */
static bool all_failed(const struct project *p, struct err *e)
{
	struct host_status *s = xmalloc(sizeof(*s));
	size_t failed = 0;

	for (size_t i = p->host_count; i > 0; i--) {
		const char *message;

		host_status(p->hosts[i - 1], s);
		if (strcmp(view_status_state(s, &message), "failed") != 0 || may_mend(s))
			break;
		failed++;
		*e = s->job_err;
		for (size_t v = 0; v < s->version_count; v++) {
			if (s->versions[v].version != s->live || s->live == 0)
				continue;
			e->kind = s->versions[v].worker.kind;
			e->exit_code = s->versions[v].worker.exit_code;
			snprintf(e->msg, sizeof(e->msg), "%s", s->versions[v].worker.message);
		}
		err_wrap(e, "view %s", host_name(p->hosts[i - 1]));
	}
	free(s);
	if (failed != p->host_count)
		err_clear(e);
	return failed == p->host_count;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static bool is_said(struct project *p)
{
	bool said;

	pthread_mutex_lock(&p->lock);
	said = p->status == NULL || view_status_is_out(p->status);
	pthread_mutex_unlock(&p->lock);
	return said;
}

/* Waits without the lock: brokers that are away must not hold up the loop and its watchdog. */
void project_say(struct project *p, struct host *h)
{
	int64_t until = clock_monotonic_us() + SAY_US;

	if (host_follows(h))
		return;
	pthread_mutex_lock(&p->lock);
	if (p->status != NULL)
		view_status_write(p->status, h, p->http, STATUS_US, false);
	pthread_mutex_unlock(&p->lock);
	while (!is_said(p) && clock_monotonic_us() < until)
		clock_sleep_us(SAY_LOOK_US);
}

static void say(struct project *p, bool stopping)
{
	size_t live = 0;

	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->host_count; i++) {
		struct host_status *s = xmalloc(sizeof(*s));

		if (!host_follows(p->hosts[i])) /* whoever leads says it */
			view_status_write(p->status, p->hosts[i], p->http, STATUS_US, stopping);
		host_status(p->hosts[i], s);
		live += s->live != 0;
		free(s);
	}
	if (stopping) { /* the last word: no request may say more */
		view_status_free(p->status);
		p->status = NULL;
	}
	pthread_mutex_unlock(&p->lock);
	notify_status("%zu of %zu views live", live, p->host_count);
}

static int serve(struct project *p, struct err *e)
{
	notify_ready();
	while (!stop_wait_ms(LOOK_MS)) {
		notify_watchdog();
		say(p, false);
		if (all_failed(p, e))
			return -1;
	}
	notify_stopping();
	say(p, true);
	return 0;
}

static int start(struct project *p, struct registry *registry, struct err *e)
{
	struct daemon_http_options options = {
		.default_listen = "127.0.0.1:7412",
		.ready = is_ready,
		.context = p,
	};
	struct verify_keeper *verifier = NULL;
	struct daemon_http *http = NULL;
	int rc = -1;

	pthread_mutex_init(&p->lock, NULL);
	if (project_wait_start(&p->wait, e) < 0)
		goto out;
	options.routes = project_routes(p, &options.route_count);
	if (daemon_http_start(p->settings, &options, &http, e) < 0)
		goto out;
	pthread_mutex_lock(&p->lock);
	p->status = view_status_new(p->settings, registry);
	p->http = daemon_http_address(http);
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < p->host_count; i++) {
		if (host_set_http(p->hosts[i], daemon_http_address(http), e) < 0)
			goto out;
	}
	log_info("project", "%zu views, http %s", p->host_count, daemon_http_address(http));
	if (verify_keeper_start(p->settings, p->hosts, p->host_count, &verifier, e) < 0)
		goto out;
	rc = serve(p, e);
out:
	verify_keeper_stop(verifier);
	project_wait_stop(p->wait);
	daemon_http_stop(http);
	project_wait_free(p->wait);
	view_status_free(p->status);
	pthread_mutex_destroy(&p->lock);
	return rc;
}

static int run_views(struct project *p, char *const *names, size_t count, bool named, struct err *e)
{
	struct feed_intake intake = { .settings = p->settings };
	struct feed_source source = { &feed_intake_ops, &intake };
	int rc = open_registry(p->settings, &intake.registry, e);

	if (rc < 0)
		return stop_requested() ? 0 : -1;
	pthread_mutex_init(&p->pool.lock, NULL);
	p->pool.left = p->settings->project_memory / 2;
	rc = open_views(p, names, count, named, source, e);
	if (rc == 0)
		rc = start(p, intake.registry, e);
	for (size_t i = 0; i < p->host_count; i++)
		host_ask_stop(p->hosts[i]);
	for (size_t i = 0; i < p->host_count; i++)
		host_close(p->hosts[i]);
	pthread_mutex_destroy(&p->pool.lock);
	free(p->hosts);
	registry_close(intake.registry);
	return rc;
}

int project_run(const struct settings *settings, char *const *names, size_t count, struct err *e)
{
	struct project p = { .settings = settings };
	char **all = NULL;
	size_t all_count = 0;
	int rc;

	if (count > 0)
		return run_views(&p, names, count, true, e);
	if (view_list(settings->project_views_dir, &all, &all_count, e) < 0)
		return -1;
	if (all_count == 0) {
		err_config(e, "%s: no view folder (none holds a view.conf)",
			   settings->project_views_dir);
		rc = err_hint(e, "Set project.views to the folder that holds the view folders.");
	} else {
		rc = run_views(&p, all, all_count, false, e);
	}
	view_names_free(all, all_count);
	return rc;
}
