/* host_version.c - the versions of a host: finding, making, starting and removing them.
 *
 * A version that is to be removed leaves at once for everybody who asks; its file, schema or
 * database may be held a little longer by a reader. It stays on the list, unseen, until the store
 * has let it go: its number is not given again meanwhile, and never afterwards (host_notes.c). */
#include "projections/host/host_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define MEMORY_LEAST (4 * 1024 * 1024)
#define REMOVE_AGAIN_US 5000000

struct version *host_find(struct host *h, int version)
{
	for (size_t i = 0; i < h->version_count; i++) {
		if (h->versions[i].version == version && !h->versions[i].removing)
			return &h->versions[i];
	}
	return NULL;
}

struct version *host_find_state(struct host *h, enum store_state state)
{
	struct version *found = NULL;

	for (size_t i = 0; i < h->version_count; i++) {
		struct version *v = &h->versions[i];

		if (v->state == state && !v->removing &&
		    (found == NULL || v->superseded_us >= found->superseded_us))
			found = v;
	}
	return found;
}

int host_live(struct host *h)
{
	const struct version *v = host_find_state(h, STORE_LIVE);

	return v != NULL ? v->version : 0;
}

size_t host_count(struct host *h, enum store_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < h->version_count; i++)
		count += h->versions[i].state == state && !h->versions[i].removing;
	return count;
}

int host_next_number(struct host *h)
{
	for (size_t i = 0; i < h->version_count; i++) {
		if (h->versions[i].version > h->last_number)
			h->last_number = h->versions[i].version;
	}
	return ++h->last_number;
}

/* ---- starting -------------------------------------------------------------------------------- */

static int64_t take_memory(struct host_pool *pool)
{
	int64_t taken;

	pthread_mutex_lock(&pool->lock);
	taken = pool->left / 2 > MEMORY_LEAST ? pool->left / 2 : MEMORY_LEAST;
	pool->left -= taken;
	pthread_mutex_unlock(&pool->lock);
	return taken;
}

void host_give_memory(struct host *h, struct version *v)
{
	if (v->memory == 0)
		return;
	pthread_mutex_lock(&h->options.pool->lock);
	h->options.pool->left += v->memory;
	pthread_mutex_unlock(&h->options.pool->lock);
	v->memory = 0;
}

/* project.memory is for all views. Half of it is for replays beside the live versions, which mostly
 * have nothing to catch up with: each takes half of what the others left. The other half is shared
 * by the live ones. First builds run side by side. */
static int64_t worker_memory(struct host *h, struct version *v)
{
	int64_t memory = h->options.settings->project_memory, views, share;
	bool beside;

	pthread_mutex_lock(&h->lock);
	beside = v->state == STORE_BUILDING && host_live(h) != 0;
	pthread_mutex_unlock(&h->lock);
	if (beside && h->options.pool != NULL)
		return v->memory = take_memory(h->options.pool);
	views = h->options.views > 1 ? (int64_t)h->options.views : 1;
	share = memory / 2 / (beside ? 1 : views);
	return share > MEMORY_LEAST ? share : MEMORY_LEAST;
}

int host_start_worker(struct host *h, struct version *v, struct err *e)
{
	char *group = xasprintf("%s.view.%s.v%d", h->options.settings->name, h->name, v->version);
	const struct host_note *note;
	struct worker_options o = {
		.store = h->store,
		.view = v->view,
		.version = v->version,
		.source = h->options.source,
		.memory = worker_memory(h, v),
		.group = group,
		.parked_max = h->options.settings->project_parked_max,
		.settings = h->options.settings,
		.workers = v->view->workers > 0 ? v->view->workers
						: (int)h->options.settings->project_workers,
		.leads = !h->follows,
	};
	int rc;

	pthread_mutex_lock(&h->lock);
	note = host_note_of(h, v->version); /* stays until the version is removed */
	pthread_mutex_unlock(&h->lock);
	if (note != NULL) {
		o.until = host_note_ends(note) ? &note->until : NULL;
		o.share = note->share;
	}
	rc = worker_start(&o, &v->worker, e);
	free(group);
	return rc;
}

int host_add_version(struct host *h, const struct store_info *info, struct view *take_view,
		     bool run, struct err *e)
{
	struct version v = {
		.version = info->version,
		.state = info->state,
		.superseded_us = info->superseded_us,
		.info = *info,
		.view = take_view,
	};

	if (h->version_count == HOST_VERSIONS_MAX) {
		view_free(take_view);
		err_config(e, "view %s has more than %d versions", h->name, HOST_VERSIONS_MAX);
		return err_hint(e, "`millrace view drop %s VERSION` removes one.", h->name);
	}
	if (run && host_start_worker(h, &v, e) < 0) {
		host_give_memory(h, &v);
		view_free(take_view);
		return -1;
	}
	pthread_mutex_lock(&h->lock);
	h->versions[h->version_count++] = v;
	pthread_mutex_unlock(&h->lock);
	return 0;
}

int host_create_version(struct host *h, int number, struct view *take_view, bool swap,
			struct err *e)
{
	struct store_info info = { .version = number, .state = STORE_BUILDING, .swap = swap };

	if (h->store->ops->create(h->store, take_view, number, swap, e) < 0) {
		view_free(take_view);
		return -1;
	}
	FAULT(view_created);
	info.made_us = clock_now_us();
	snprintf(info.fingerprint, sizeof(info.fingerprint), "%s", take_view->fingerprint);
	log_info("view", "%s: building version %d from offset zero", h->name, number);
	return host_add_version(h, &info, take_view, true, e);
}

/* ---- removing -------------------------------------------------------------------------------- */

void host_forget_version(struct host *h, int version)
{
	struct version gone = { 0 };

	pthread_mutex_lock(&h->lock);
	host_end_outside(h, version);
	for (size_t i = 0; i < h->version_count; i++) {
		struct version *v = &h->versions[i];

		if (v->version != version)
			continue;
		gone = *v;
		h->version_count--;
		memmove(v, v + 1, (h->version_count - i) * sizeof(*v));
		break;
	}
	pthread_mutex_unlock(&h->lock);
	worker_stop(gone.worker);
	if (gone.version != 0)
		host_give_memory(h, &gone);
	view_free(gone.view);
}

static void forget(struct host *h, int version)
{
	pthread_mutex_lock(&h->lock);
	for (size_t i = 0; i < h->version_count; i++) {
		struct version *v = &h->versions[i];

		if (v->version != version || !v->removing)
			continue;
		h->version_count--;
		memmove(v, v + 1, (h->version_count - i) * sizeof(*v));
		break;
	}
	pthread_mutex_unlock(&h->lock);
	host_note_forget(h, version);
}

/* Under lock: gone for everybody who asks. */
static bool hide(struct host *h, int version, struct version *ret_was)
{
	struct version *v;

	host_end_outside(h, version);
	v = host_find(h, version);
	if (v == NULL)
		return false;
	*ret_was = *v;
	v->removing = true;
	v->state = STORE_FAILED;
	v->remove_again_us = clock_monotonic_us() + REMOVE_AGAIN_US;
	v->worker = NULL;
	v->view = NULL;
	v->memory = 0;
	return true;
}

int host_drop_version(struct host *h, int version, struct err *e)
{
	struct version was;
	bool found;

	pthread_mutex_lock(&h->lock);
	found = hide(h, version, &was);
	pthread_mutex_unlock(&h->lock);
	if (!found)
		return 0; /* somebody else does it */
	worker_stop(was.worker);
	host_give_memory(h, &was);
	view_free(was.view);
	FAULT(view_dropping);
	if (h->store->ops->remove(h->store, version, e) < 0)
		return -1; /* host_remove_again */
	forget(h, version);
	return 0;
}

void host_remove_again(struct host *h)
{
	int64_t now = clock_monotonic_us();
	struct err e = ERR_INIT;
	int version = 0;

	pthread_mutex_lock(&h->lock);
	for (size_t i = 0; i < h->version_count && version == 0; i++) {
		struct version *v = &h->versions[i];

		if (!v->removing || v->remove_again_us > now)
			continue;
		version = v->version;
		v->remove_again_us = now + REMOVE_AGAIN_US;
	}
	pthread_mutex_unlock(&h->lock);
	if (version == 0)
		return;
	if (h->store->ops->remove(h->store, version, &e) == 0)
		forget(h, version);
	else
		log_err(LOG_LEVEL_WARNING, "view", h->name, &e);
}

void host_end_outside(struct host *h, int version)
{
	while (h->outside == version && h->outside_busy)
		pthread_cond_wait(&h->changed, &h->lock);
	if (h->outside == version)
		h->outside = 0;
}

void host_forget_outside(struct host *h)
{
	const struct version *held = h->outside != 0 ? host_find(h, h->outside) : NULL;

	if (!h->outside_busy &&
	    (held == NULL || held->worker == NULL || !worker_is_held(held->worker)))
		h->outside = 0;
}
