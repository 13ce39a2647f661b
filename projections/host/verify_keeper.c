/* verify_keeper.c - the thread that verifies views by the clock.
 *
 * A view is due `verify_every` after its last verification ended, or was tried. How often is read
 * from the folder's view.conf, not from the live version's: it is no part of the definition. A view
 * that is behind is let catch up first: it would be held all the while. */
#include "projections/host/verify_keeper.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "projections/verify/verify.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define ROUND_US 500000
#define CONF_US 10000000 /* view.conf is read again */
#define FIRST_US 5000000 /* behind the daemon's start */
#define ADVANCE_MS 30000
#define NICENESS 10
#define JOIN_US 200000

struct watched {
	struct host *host;
	int64_t every_us, read_us; /* 0: never; when that was read */
	int64_t due_us;
	char *complaint; /* the last reason why it couldn't be verified, logged once */
	struct metric *failures;
};

struct verify_keeper {
	const struct settings *settings;
	struct watched *views;
	size_t count;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop;
	struct host *holds; /* the view that is verified just now */
};

static bool stopping(struct verify_keeper *k)
{
	bool stop;

	pthread_mutex_lock(&k->lock);
	stop = k->stop;
	pthread_mutex_unlock(&k->lock);
	return stop;
}

/* ---- one view -------------------------------------------------------------------------------- */

struct one {
	struct verify_keeper *keeper;
	struct host *host;
	int version;
};

static int hold(void *context, char **ret_gtid_set, struct err *e)
{
	struct one *o = context;
	int version;

	if (stopping(o->keeper))
		return err_retry(e, "stopped");
	return host_hold(o->host, o->version, &version, ret_gtid_set, e);
}

static int advance(void *context, const char *gtid_set, struct err *e)
{
	struct one *o = context;

	return host_advance(o->host, gtid_set, ADVANCE_MS, e);
}

static void release(void *context)
{
	struct one *o = context;

	host_release(o->host);
}

static bool progress(void *context, const char *table, int64_t rows)
{
	const struct one *o = context;

	(void)table;
	(void)rows;
	return !stopping(o->keeper);
}

static void take_result(struct watched *w, const struct verify_result *r)
{
	const struct compare *c = r->compare;
	int64_t differences = compare_differences(c), missing = 0, extra = 0, changed = 0;

	for (size_t i = 0; i < c->table_count; i++) {
		extra += c->tables[i].counts[COMPARE_ONLY_LEFT];
		missing += c->tables[i].counts[COMPARE_ONLY_RIGHT];
		changed += c->tables[i].counts[COMPARE_CHANGED];
	}
	host_set_verified(w->host, r->gtid_set, compare_rows(c), differences);
	if (differences > 0)
		log_warning("verify",
			    "%s: version %d differs from the source at GTID %s: %" PRId64
			    " of %" PRId64 " rows (%" PRId64 " missing, %" PRId64 " extra, %" PRId64
			    " changed); `millrace verify %s` shows which",
			    host_name(w->host), r->version, r->gtid_set, differences,
			    compare_rows(c), missing, extra, changed, host_name(w->host));
	else
		log_debug("verify", "%s: version %d at GTID %s: %" PRId64 " rows, no differences",
			  host_name(w->host), r->version, r->gtid_set, compare_rows(c));
}

/* The version may be gone by now, after a swap: then the next time finds the other. */
static int verify_one(struct verify_keeper *k, struct watched *w, int version, struct err *e)
{
	struct one one = { k, w->host, version };
	struct verify_options options = {
		.settings = k->settings,
		.control = { hold, advance, release, &one },
		.rate = k->settings->project_verify_rate,
		.progress = progress,
		.context = &one,
	};
	struct verify_result result = { 0 };
	struct view *view = NULL;
	const struct store_ops *ops;
	int rc = -1;

	if (store_of(k->settings, host_name(w->host), &ops, e) < 0 ||
	    ops->open(k->settings, host_name(w->host), &options.store, e) < 0)
		return -1;
	if (verify_find(options.store, host_name(w->host), version, NULL, &options.version, &view,
			e) == 0) {
		options.view = view;
		rc = verify_run(&options, &result, e);
	}
	if (rc == 0)
		take_result(w, &result);
	verify_result_done(&result);
	view_free(view);
	ops->close(options.store);
	return rc;
}

/* 0: nothing keeps it from being verified; the live version. */
static int can_verify(struct host *h, int *ret_version, struct err *e)
{
	struct host_status *s = xmalloc(sizeof(*s));
	int rc = err_retry(e, "it has no live version yet");

	host_status(h, s);
	for (size_t i = 0; i < s->version_count; i++) {
		const struct host_version *v = &s->versions[i];

		if (v->version != s->live || s->live == 0)
			continue;
		*ret_version = v->version;
		if (v->worker.copying)
			err_retry(e, "the first copy of its tables goes on");
		else if (!v->running || !v->worker.caught_up)
			err_retry(e, "it is behind");
		else
			rc = 0;
	}
	if (rc == 0)
		err_clear(e);
	free(s);
	return rc;
}

static void complain(struct watched *w, const struct err *e)
{
	if (w->complaint == NULL || strcmp(w->complaint, e->msg) != 0)
		log_err(LOG_LEVEL_WARNING, "verify", host_name(w->host), e);
	free(w->complaint);
	w->complaint = xstrdup(e->msg);
}

static void do_view(struct verify_keeper *k, struct watched *w)
{
	struct err e = ERR_INIT;
	int version = 0;

	if (can_verify(w->host, &version, &e) < 0)
		return; /* looked at again in the next round */
	pthread_mutex_lock(&k->lock);
	k->holds = w->host;
	pthread_mutex_unlock(&k->lock);
	if (verify_one(k, w, version, &e) == 0) {
		free(w->complaint);
		w->complaint = NULL;
	} else if (!stopping(k)) {
		metric_add(w->failures, 1);
		complain(w, &e);
	}
	pthread_mutex_lock(&k->lock);
	k->holds = NULL;
	pthread_mutex_unlock(&k->lock);
	w->due_us = clock_monotonic_us() + w->every_us;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void read_conf(struct verify_keeper *k, struct watched *w, int64_t now)
{
	int64_t every_ms = k->settings->project_verify_every_ms, every_us;
	char *dir;

	if (w->read_us != 0 && now - w->read_us < CONF_US)
		return;
	dir = xasprintf("%s/%s", k->settings->project_views_dir, host_name(w->host));
	view_verify_every(dir, &every_ms);
	free(dir);
	every_us = every_ms * 1000;
	if (every_us != w->every_us && w->read_us != 0)
		w->due_us = now + every_us;
	w->every_us = every_us;
	w->read_us = now;
}

/* False: stopping. */
static bool rest(struct verify_keeper *k)
{
	struct timespec until = clock_timespec(clock_monotonic_us() + ROUND_US);
	bool stop;

	pthread_mutex_lock(&k->lock);
	if (!k->stop)
		(void)pthread_cond_timedwait(&k->changed, &k->lock, &until);
	stop = k->stop;
	pthread_mutex_unlock(&k->lock);
	return !stop;
}

static void *keep(void *context)
{
	struct verify_keeper *k = context;
	int64_t began = clock_monotonic_us();

	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS); /* of this thread, on Linux */
	for (size_t i = 0; i < k->count; i++)
		k->views[i].due_us = began + FIRST_US;
	while (rest(k)) {
		for (size_t i = 0; i < k->count && !stopping(k); i++) {
			struct watched *w = &k->views[i];
			int64_t now = clock_monotonic_us();

			read_conf(k, w, now);
			if (w->every_us > 0 && now >= w->due_us)
				do_view(k, w);
		}
	}
	return NULL;
}

int verify_keeper_start(const struct settings *settings, struct host *const *hosts, size_t count,
			struct verify_keeper **ret_keeper, struct err *e)
{
	struct verify_keeper *k = xcalloc(1, sizeof(*k));

	k->settings = settings;
	k->views = xcalloc(count + 1, sizeof(*k->views));
	k->count = count;
	for (size_t i = 0; i < count; i++) {
		k->views[i].host = hosts[i];
		k->views[i].failures = metric_counter(
			"millrace_view_verify_failures_total",
			"Verifications by the clock that could not be made.", "view",
			host_name(hosts[i]), NULL);
	}
	pthread_mutex_init(&k->lock, NULL);
	clock_condition(&k->changed);
	if (pthread_create(&k->thread, NULL, keep, k) != 0) {
		pthread_cond_destroy(&k->changed);
		pthread_mutex_destroy(&k->lock);
		free(k->views);
		free(k);
		return err_fatal(e, "can't start a thread");
	}
	*ret_keeper = k;
	return 0;
}

/* It may wait for a view to get somewhere: letting that go ends the wait. */
static void end_waits(struct verify_keeper *k)
{
	pthread_mutex_lock(&k->lock);
	if (k->holds != NULL)
		host_release(k->holds);
	pthread_mutex_unlock(&k->lock);
}

void verify_keeper_stop(struct verify_keeper *k)
{
	struct timespec until;

	if (k == NULL)
		return;
	pthread_mutex_lock(&k->lock);
	k->stop = true;
	pthread_cond_signal(&k->changed);
	pthread_mutex_unlock(&k->lock);
	do {
		end_waits(k);
		until = clock_timespec(clock_now_us() + JOIN_US);
	} while (pthread_timedjoin_np(k->thread, NULL, &until) != 0);
	pthread_cond_destroy(&k->changed);
	pthread_mutex_destroy(&k->lock);
	for (size_t i = 0; i < k->count; i++)
		free(k->views[i].complaint);
	free(k->views);
	free(k);
}
