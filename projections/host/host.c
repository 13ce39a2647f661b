/* host.c - opening and closing a view: lease, versions, workers. The jobs are in host_job.c, what
 * others may ask in host_ask.c, what they are told in host_status.c.
 *
 * What is there when a host opens decides what it does; there is no other memory of a job:
 *   nothing                   read the folder, build version 1
 *   a version that is building, no live one     go on building it, then make it live
 *   building or ready beside a live one         go on with the replay: diff (again), and swap if
 * that was the wish only failed ones                            build again: a restart is the
 * operator's retry
 *   building, with a note of its end            a view as it was: go on with that */
#include "projections/host/host_priv.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int host_set_http(struct host *h, const char *address, struct err *e)
{
	int rc;

	pthread_mutex_lock(&h->lock);
	free(h->http);
	h->http = xstrdup(address);
	rc = h->lease != NULL ? lease_set_http(h->lease, address, e) : 0;
	pthread_mutex_unlock(&h->lock);
	return rc;
}

/* ---- opening --------------------------------------------------------------------------------- */

int host_stored_view(struct host *h, int version, struct view **ret_view, struct err *e)
{
	return store_view(h->store, h->name, version, ret_view, e);
}

static int latest(void *context, const char *topic, const char **ret_text, struct err *e)
{
	const struct host *h = context;
	const struct feed_source *source = &h->options.source;

	if (source->ops->latest == NULL)
		return err_config(e, "this feed knows no schemas of tables");
	return source->ops->latest(source->context, topic, ret_text, e);
}

int host_shape(struct host *h, struct view *view, struct err *e)
{
	return view_shape(view, latest, h, e);
}

int host_read_view(struct host *h, struct view **ret_view, struct err *e)
{
	struct view *view;

	if (view_read(h->dir, &view, e) < 0)
		return -1;
	if (strcmp(view->store, h->store->ops->name) != 0) {
		err_config(e, "%s/view.conf: store = %s, but the view lives in %s", h->dir,
			   view->store, h->store->ops->name);
		err_hint(e, "Versions stay in their store. Give the view that is to live in %s "
			    "another name.",
			 view->store);
	} else if (host_shape(h, view, e) == 0 && store_try(h->store, view, e) == 0) {
		*ret_view = view;
		return 0;
	}
	view_free(view);
	return -1;
}

/* A version found in the store: run it, or list it only. A build that can't be trusted begins
 * again. */
static int take_up(struct host *h, struct store_info *info, struct err *e)
{
	struct view *view = NULL;

	if (info->state == STORE_FAILED || info->state == STORE_AS_OF)
		return host_add_version(h, info, NULL, false, e);
	if (host_stored_view(h, info->version, &view, e) < 0)
		return -1;
	if (info->stale) {
		log_warning(
			"view",
			"%s: version %d was being built when the machine went down: building it "
			"again",
			h->name, info->version);
		return host_create_version(h, info->version, view, info->swap, e);
	}
	return host_add_version(h, info, view, true, e);
}

/* The bookkeeping in the files follows the public name, which is the truth (a crash may have come
 * between). */
static int repair_states(struct host *h, const struct store_info *infos, size_t count,
			 struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		if (infos[i].state == STORE_LIVE ||
		    (infos[i].state == STORE_SUPERSEDED && infos[i].superseded_us == 0)) {
			if (h->store->ops->set_state(h->store, infos[i].version, infos[i].state,
						     false, e) < 0)
				return -1;
		}
	}
	return 0;
}

static int first_build(struct host *h, struct err *e)
{
	struct view *view;
	int number;

	if (host_read_view(h, &view, e) < 0)
		return -1;
	/* only failed ones can be there; the keeper doesn't run yet, nor does anybody else */
	for (size_t i = 0; i < h->version_count;) {
		if (h->versions[i].removing) {
			i++;
			continue;
		}
		if (host_drop_version(h, h->versions[i].version, e) < 0) {
			view_free(view);
			return -1;
		}
	}
	number = host_next_number(h);
	if (host_note_make(h, number, 0, &(struct worker_until){ 0 }, e) < 0) {
		view_free(view);
		return -1;
	}
	if (host_create_version(h, number, view, true, e) < 0)
		return -1;
	host_begin_job(h, HOST_BUILD, number);
	return 0;
}

/* What the tables look like may not be known yet: then the keeper asks again. */
static int begin_first(struct host *h, struct err *e)
{
	int rc = first_build(h, e);

	h->waiting = rc < 0 && e->kind == ERR_RETRY;
	if (!h->waiting)
		return rc;
	log_err(LOG_LEVEL_INFO, "view", h->name, e);
	err_clear(e);
	return 0;
}

void host_try_first(struct host *h)
{
	struct err e = ERR_INIT;
	int rc = first_build(h, &e);

	h->waiting = rc < 0 && e.kind == ERR_RETRY;
	if (rc == 0 || h->waiting)
		return;
	pthread_mutex_lock(&h->lock);
	h->job = HOST_BUILD;
	h->phase = HOST_FAILED;
	h->job_err = e;
	pthread_mutex_unlock(&h->lock);
	log_err(LOG_LEVEL_ERROR, "view", h->name, &e);
}

static int resume(struct host *h, struct err *e)
{
	const struct version *v = host_find_state(h, STORE_BUILDING);
	bool live = host_live(h) != 0;

	if (v == NULL)
		v = host_find_state(h, STORE_READY);
	if (v == NULL)
		return live ? 0 : begin_first(h, e);
	if (v->state == STORE_BUILDING && host_ends(h, v->version)) {
		host_begin_job(h, HOST_AS_OF, v->version);
		return 0;
	}
	h->no_swap = live && !v->info.swap;
	host_begin_job(h, live ? HOST_REPLAY : HOST_BUILD, v->version);
	return 0;
}

/* Old versions whose time is over, or that are too many, aren't taken up at all: the keeper removes
 * them. */
static bool is_left_over(const struct host *h, const struct store_info *infos, size_t count,
			 size_t i)
{
	int64_t keep_us = h->options.settings->project_keep_applied_ms * 1000;
	size_t newer = 0;

	if (infos[i].state != STORE_SUPERSEDED && infos[i].state != STORE_FAILED)
		return false;
	if (infos[i].state == STORE_SUPERSEDED &&
	    infos[i].superseded_us <= clock_now_us() - keep_us)
		return true;
	for (size_t n = 0; n < count; n++)
		newer += n != i && infos[n].version > infos[i].version;
	return newer >= HOST_VERSIONS_KEPT;
}

static void leave_over(struct host *h, const struct store_info *info)
{
	if (info->version > h->last_number)
		h->last_number = info->version;
	if (h->version_count == HOST_VERSIONS_MAX)
		return; /* the next start comes to it */
	h->versions[h->version_count++] = (struct version){
		.version = info->version, .state = STORE_FAILED, .info = *info, .removing = true
	};
}

/* The version that was being made last isn't listed: a crash may have left half of it, and its
 * number is not given again. */
static void sweep_half_made(struct host *h, const struct store_info *infos, size_t count)
{
	struct err e = ERR_INIT;

	for (size_t i = 0; i < count; i++)
		if (infos[i].version == h->last_number)
			return;
	if (h->last_number > 0 && h->store->ops->remove(h->store, h->last_number, &e) < 0)
		log_err(LOG_LEVEL_WARNING, "view", h->name, &e);
}

int host_open_versions(struct host *h, struct err *e)
{
	struct store_info *infos = NULL;
	size_t count = 0;
	int rc = host_notes_read(h, e);

	if (rc == 0)
		rc = h->store->ops->list(h->store, &infos, &count, e);
	if (rc == 0) {
		sweep_half_made(h, infos, count);
		rc = repair_states(h, infos, count, e);
	}
	for (size_t i = 0; i < count && rc == 0; i++) {
		if (infos[i].state == STORE_SUPERSEDED && infos[i].superseded_us == 0)
			infos[i].superseded_us = clock_now_us();
		if (!is_left_over(h, infos, count, i))
			rc = take_up(h, &infos[i], e);
	}
	for (size_t i = 0; i < count && rc == 0; i++) {
		if (is_left_over(h, infos, count, i))
			leave_over(h, &infos[i]);
	}
	free(infos);
	return rc == 0 ? resume(h, e) : -1;
}

/* A view without any state must at least be readable: a mistyped name shall leave nothing behind.
 */
static int check_new(const struct host *h, struct err *e)
{
	char *state = xasprintf("%s/views/%s", h->options.settings->state_dir, h->name);
	bool known = access(state, F_OK) == 0;
	struct view *view = NULL;
	int rc = known ? 0 : view_read(h->dir, &view, e);

	view_free(view);
	free(state);
	return rc;
}

int host_open(const struct host_options *options, struct host **ret_host, struct err *e)
{
	struct host *h = xcalloc(1, sizeof(*h));

	h->options = *options;
	h->name = xstrdup(options->name);
	h->options.name = h->name;
	h->dir = xasprintf("%s/%s", options->settings->project_views_dir, options->name);
	h->differences = -1;
	h->shadow.differences = -1;
	pthread_mutex_init(&h->lock, NULL);
	clock_condition(&h->changed);
	if (check_new(h, e) < 0 ||
	    host_take_lease(h, e) < 0 ||
	    /* a store that can't be used at all is not noted: view.conf may be wrong */
	    options->store->open(options->settings, h->name, &h->store, e) < 0 ||
	    (!h->follows && store_note(options->settings, h->name, options->store, e) < 0) ||
	    (!h->follows && host_open_versions(h, e) < 0))
		goto fail;
	if (pthread_create(&h->keeper, NULL, h->follows ? host_follower : host_keeper, h) != 0) {
		err_fatal(e, "can't start a thread");
		goto fail;
	}
	h->keeper_runs = true;
	*ret_host = h;
	return 0;
fail:
	host_close(h);
	return -1;
}

void host_ask_stop(struct host *h)
{
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_broadcast(&h->changed);
	/* whoever waits for a worker to stand, or to come somewhere, is told at once */
	for (size_t i = 0; i < h->version_count; i++) {
		if (h->versions[i].worker != NULL)
			worker_ask_stop(h->versions[i].worker);
	}
	pthread_mutex_unlock(&h->lock);
}

void host_close(struct host *h)
{
	if (h == NULL)
		return;
	host_ask_stop(h);
	if (h->keeper_runs)
		pthread_join(h->keeper, NULL);
	pthread_mutex_lock(&h->lock);
	while (h->outside_busy)
		pthread_cond_wait(&h->changed, &h->lock);
	pthread_mutex_unlock(&h->lock);
	for (size_t i = 0; i < h->version_count; i++) {
		worker_stop(h->versions[i].worker);
		host_give_memory(h, &h->versions[i]);
		view_free(h->versions[i].view);
	}
	host_notes_done(h);
	if (h->store != NULL)
		h->store->ops->close(h->store);
	lease_free(h->lease);
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->changed);
	for (size_t i = 0; i < h->retired_count; i++)
		view_free(h->retired[i]);
	free(h->retired);
	free(h->diff);
	free(h->http);
	free(h->name);
	free(h->dir);
	free(h);
}
