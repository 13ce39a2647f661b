/* host.c - opening a view: lease, versions, workers; and what others may ask. The jobs are in
 * host_job.c.
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
#include "core/base/gtid.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OUTSIDE_TIMEOUT_MS 20000
#define OUTSIDE_LIMIT_MS 20000 /* of standing: a caller that was killed costs no more */

static const char *const job_names[] = {
	[HOST_NO_JOB] = "none", [HOST_BUILD] = "build",       [HOST_REPLAY] = "replay",
	[HOST_SWAP] = "swap",   [HOST_ROLLBACK] = "rollback", [HOST_AS_OF] = "as-of",
};

static const char *const phase_names[] = {
	[HOST_IDLE] = "idle",       [HOST_BUILDING] = "building", [HOST_FINISHING] = "finishing",
	[HOST_DIFFING] = "diffing", [HOST_READY] = "ready",       [HOST_SWAPPING] = "swapping",
	[HOST_DONE] = "done",       [HOST_FAILED] = "failed",
};

const char *host_job_name(enum host_job job)
{
	return job_names[job];
}

const char *host_phase_name(enum host_phase phase)
{
	return phase_names[phase];
}

const char *host_name(const struct host *h)
{
	return h->name;
}

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
	pthread_condattr_t monotonic;

	h->options = *options;
	h->name = xstrdup(options->name);
	h->options.name = h->name;
	h->dir = xasprintf("%s/%s", options->settings->project_views_dir, options->name);
	h->differences = -1;
	h->shadow.differences = -1;
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&h->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
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

/* ---- status ---------------------------------------------------------------------------------- */

static void version_status(struct host *h, const struct version *v, struct host_version *ret)
{
	const struct host_note *note = host_note_of(h, v->version);

	*ret = (struct host_version){ .version = v->version,
				      .state = v->state,
				      .superseded_us = v->superseded_us };
	snprintf(ret->fingerprint, sizeof(ret->fingerprint), "%s", v->info.fingerprint);
	ret->running = v->worker != NULL;
	ret->made_us = v->info.made_us;
	ret->share = note != NULL ? note->share : 0;
	if (note != NULL && note->until.gtid_set != NULL)
		gtid_text_cut(slice_str(note->until.gtid_set), ret->as_of, sizeof(ret->as_of));
	else if (note != NULL && note->until.commit_us != 0)
		clock_text(note->until.commit_us, ret->as_of);
	if (v->worker != NULL) {
		worker_status(v->worker, &ret->worker);
		/* from here on: a new version is still to be begun for it */
		ret->worker.outgrown = ret->worker.outgrown && !v->outgrown;
		return;
	}
	ret->worker.seq = v->info.seq;
	ret->worker.commit_us = v->info.commit_us;
	gtid_text_cut(slice_str(v->info.gtid_set), ret->worker.gtid_set,
		      sizeof(ret->worker.gtid_set));
}

void host_status(struct host *h, struct host_status *ret_status)
{
	struct host_status *s = ret_status;

	*s = (struct host_status){ 0 };
	pthread_mutex_lock(&h->lock);
	s->job = h->job;
	s->phase = h->phase;
	s->job_version = h->job_version;
	s->job_from = h->job_from;
	s->job_err = h->job_err;
	s->job_started_us = h->job_started_us;
	s->job_ended_us = h->job_ended_us;
	s->live = host_live(h);
	for (size_t i = 0; i < h->version_count; i++) {
		if (!h->versions[i].removing)
			version_status(h, &h->versions[i], &s->versions[s->version_count++]);
	}
	s->shadow = h->shadow;
	snprintf(s->note, sizeof(s->note), "%s", h->note);
	s->verified = h->verified;
	s->verified_us = h->verified_us;
	s->verified_rows = h->verified_rows;
	s->verified_differences = h->verified_differences;
	snprintf(s->verified_gtid_set, sizeof(s->verified_gtid_set), "%s", h->verified_gtid_set);
	s->diff_rows = h->diff_rows;
	s->differences = h->differences;
	pthread_mutex_unlock(&h->lock);
}

void host_describe(struct host *h, char **ret_owner, char ***ret_inputs, size_t *ret_count)
{
	const struct version *v;

	*ret_owner = NULL;
	*ret_inputs = NULL;
	*ret_count = 0;
	pthread_mutex_lock(&h->lock);
	v = host_find_state(h, STORE_LIVE);
	if (v == NULL && h->version_count > 0)
		v = &h->versions[h->version_count - 1];
	if (v != NULL && v->view != NULL) {
		*ret_owner = xstrdup(v->view->owner != NULL ? v->view->owner : "");
		for (size_t i = 0; i < v->view->input_count; i++) {
			*ret_inputs = xrealloc(*ret_inputs, (i + 1) * sizeof(char *));
			(*ret_inputs)[(*ret_count)++] = xstrdup(v->view->inputs[i]);
		}
	}
	pthread_mutex_unlock(&h->lock);
	if (*ret_owner == NULL)
		*ret_owner = xstrdup("");
}

/* ---- somebody outside holds a version -------------------------------------------------------- */

/* Under lock: the worker to be used outside it, kept by outside_busy. */
static struct worker *outside_worker(struct host *h, struct err *e)
{
	struct version *v = h->outside != 0 ? host_find(h, h->outside) : NULL;

	if (h->outside_busy) {
		err_retry(e, "view %s: another call is running", h->name);
		return NULL;
	}
	if (v == NULL || v->worker == NULL) {
		err_retry(e, "view %s is not held", h->name);
		return NULL;
	}
	h->outside_busy = true;
	return v->worker;
}

static void outside_end(struct host *h, bool keep)
{
	pthread_mutex_lock(&h->lock);
	h->outside_busy = false;
	h->outside_held = keep;
	if (!keep)
		h->outside = 0;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
}

static int outside_begin(struct host *h, int version, struct worker **ret_worker, int *ret_version,
			 struct err *e)
{
	struct version *v;
	int rc = 0;

	if (host_refuse_follower(h, e) < 0)
		return -1;
	pthread_mutex_lock(&h->lock);
	if (version == 0)
		version = host_live(h);
	v = host_find(h, version);
	host_forget_outside(h);
	if (version == 0)
		rc = err_config(e, "view %s has no live version yet", h->name);
	else if (v == NULL || v->worker == NULL)
		rc = err_config(e, "view %s has no version %d that is applied", h->name, version);
	else if (h->outside != 0 || h->outside_busy)
		rc = err_retry(e, "view %s is held for somebody else", h->name);
	if (rc == 0) {
		h->outside = version;
		h->outside_busy = true;
		h->outside_held = false;
		*ret_worker = v->worker;
		*ret_version = version;
	}
	pthread_mutex_unlock(&h->lock);
	return rc;
}

int host_hold(struct host *h, int version, int *ret_version, char **ret_gtid_set, struct err *e)
{
	struct worker_status status;
	struct worker *w = NULL;
	char *gtid_set = NULL;
	int rc;

	if (outside_begin(h, version, &w, &version, e) < 0)
		return -1;
	rc = worker_hold(w, OUTSIDE_TIMEOUT_MS, OUTSIDE_LIMIT_MS, e);
	if (rc == 0) {
		worker_status(w, &status);
		if (status.copying) {
			worker_release(w);
			rc = err_config(
				e, "view %s is incomplete: the first copy of its tables goes on",
				h->name);
			err_hint(e, "`millrace lag` shows how far it is.");
		}
	}
	if (rc == 0 && (gtid_set = worker_gtid_set(w)) == NULL) {
		worker_release(w);
		rc = err_retry(e, "view %s was let go again", h->name);
	}
	if (rc == 0) {
		*ret_version = version;
		*ret_gtid_set = gtid_set;
	}
	outside_end(h, rc == 0);
	return rc;
}

int host_advance(struct host *h, const char *gtid_set, int64_t timeout_ms, struct err *e)
{
	struct worker *w;
	int rc;

	pthread_mutex_lock(&h->lock);
	w = outside_worker(h, e);
	pthread_mutex_unlock(&h->lock);
	if (w == NULL)
		return -1;
	rc = worker_advance_gtid(w, gtid_set, timeout_ms, e);
	outside_end(h, true);
	return rc;
}

void host_release(struct host *h)
{
	struct version *v;

	pthread_mutex_lock(&h->lock);
	/* before it is granted, the worker may be held for somebody else */
	v = h->outside != 0 && h->outside_held ? host_find(h, h->outside) : NULL;
	if (v != NULL && v->worker != NULL)
		worker_release(v->worker);
	if (!h->outside_busy)
		h->outside = 0;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
}

int host_refuse_wait(struct host *h, struct err *e)
{
	return host_refuse_follower(h, e);
}

void host_applied(struct host *h, struct host_applied *ret_applied)
{
	struct host_applied *a = ret_applied;
	struct worker_status s = { .state = WORKER_STOPPED };
	const struct version *live;

	*a = (struct host_applied){ .state = WORKER_STOPPED };
	pthread_mutex_lock(&h->lock);
	live = host_find_state(h, STORE_LIVE);
	if (live != NULL && live->worker != NULL) {
		worker_status(live->worker, &s);
		a->gtid_set = worker_applied_gtid(live->worker);
	}
	a->version = live != NULL ? live->version : 0;
	pthread_mutex_unlock(&h->lock);
	a->seq = s.seq;
	a->commit_us = s.commit_us;
	a->copying = s.copying;
	a->state = s.state;
	snprintf(a->message, sizeof(a->message), "%s", s.message);
}

void host_set_verified(struct host *h, const char *gtid_set, int64_t rows, int64_t differences)
{
	pthread_mutex_lock(&h->lock);
	h->verified = true;
	h->verified_us = clock_now_us();
	h->verified_rows = rows;
	h->verified_differences = differences;
	gtid_text_cut(slice_str(gtid_set), h->verified_gtid_set, sizeof(h->verified_gtid_set));
	pthread_mutex_unlock(&h->lock);
}
