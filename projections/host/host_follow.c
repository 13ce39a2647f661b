/* host_follow.c - a process that follows another one (order = partition).
 *
 * The process with the lease leads: it builds, replays, swaps and removes versions. The others look
 * into the store a few times a second and apply their part of every version that is there: its
 * members join the version's consumer group, and the brokers share out the partitions. What the
 * leader decides they see in the store; what it wants them to wait for, in the version's barrier.
 *
 * When the lease is free, one of them takes it, and leads from then on: it opens the versions as a
 * process does that starts. */
#include "projections/host/host_priv.h"

#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdlib.h>

#define LOOK_MS 500

bool host_follows(struct host *h)
{
	bool follows;

	pthread_mutex_lock(&h->lock);
	follows = h->follows || h->taking_over;
	pthread_mutex_unlock(&h->lock);
	return follows;
}

int host_refuse_follower(struct host *h, struct err *e)
{
	struct lease_owner owner = { 0 };

	if (!host_follows(h))
		return 0;
	if (h->taking_over)
		return err_retry(e, "view %s: this process is just taking over", h->name);
	(void)lease_find(h->options.settings->state_dir, h->name, &owner);
	err_config(e, "view %s is led by process %ld%s%s", h->name, (long)owner.pid,
		   owner.http[0] != '\0' ? ", http " : "", owner.http);
	return err_hint(e, "This process applies its part of it. Ask that one.");
}

static bool can_follow(const struct host *h)
{
	struct err ignored = ERR_INIT;
	struct view *view;
	bool can;

	if (h->options.store->shares == NULL || view_read(h->dir, &view, &ignored) < 0)
		return false;
	can = view->order == VIEW_ORDER_PARTITION;
	view_free(view);
	return can;
}

int host_take_lease(struct host *h, struct err *e)
{
	bool can = can_follow(h);
	int64_t wait_ms = can ? 0 : h->options.wait_ms;

	if (lease_take(h->options.settings->state_dir, h->name, wait_ms, &h->lease, e) == 0)
		return 0;
	if (!can || h->lease != NULL || e->kind != ERR_CONFIG)
		return -1;
	log_info("view", "%s: %s; this process follows", h->name, e->msg);
	err_clear(e);
	h->follows = true;
	return 0;
}

/* ---- what the leader has made ---------------------------------------------------------------- */

static bool is_applied(const struct store_info *info)
{
	return info->state != STORE_FAILED && info->state != STORE_AS_OF && !info->stale;
}

static int take_up(struct host *h, const struct store_info *info, struct err *e)
{
	struct view *view;

	if (host_stored_view(h, info->version, &view, e) < 0)
		return -1;
	log_info("view", "%s: follows version %d", h->name, info->version);
	return host_add_version(h, info, view, view->order == VIEW_ORDER_PARTITION, e);
}

/* True: it is as it was, but for its state. */
static bool still_there(struct host *h, const struct store_info *info)
{
	struct version *v;
	bool same;

	pthread_mutex_lock(&h->lock);
	v = host_find(h, info->version);
	same = v != NULL && v->info.made_us == info->made_us && is_applied(info);
	if (same) {
		v->state = info->state;
		v->superseded_us = info->superseded_us;
	}
	pthread_mutex_unlock(&h->lock);
	return same;
}

static const struct store_info *info_of(const struct store_info *infos, size_t count, int version)
{
	for (size_t i = 0; i < count; i++)
		if (infos[i].version == version)
			return &infos[i];
	return NULL;
}

/* The versions that are gone, or not what they were. */
static void forget_gone(struct host *h, const struct store_info *infos, size_t count)
{
	for (size_t i = h->version_count; i > 0; i--) { /* changed by this thread only */
		int version = h->versions[i - 1].version;
		const struct store_info *info = info_of(infos, count, version);

		if (info == NULL || !still_there(h, info))
			host_forget_version(h, version);
	}
}

static int follow(struct host *h, struct err *e)
{
	struct store_info *infos = NULL;
	size_t count = 0;
	int rc = h->store->ops->list(h->store, &infos, &count, e);

	if (rc == 0)
		forget_gone(h, infos, count);
	for (size_t i = 0; i < count && rc == 0; i++)
		if (is_applied(&infos[i]) && !still_there(h, &infos[i]))
			rc = take_up(h, &infos[i], e);
	free(infos);
	return rc;
}

/* ---- leading --------------------------------------------------------------------------------- */

static void forget_all(struct host *h)
{
	while (h->version_count > 0)
		host_forget_version(h, h->versions[0].version);
}

static void set_lease(struct host *h, struct lease *lease)
{
	pthread_mutex_lock(&h->lock);
	h->lease = lease;
	h->follows = lease == NULL;
	pthread_mutex_unlock(&h->lock);
}

/* Until it is over, whoever asks is told of no versions rather than of some of them. */
static void set_taking_over(struct host *h, bool taking_over)
{
	pthread_mutex_lock(&h->lock);
	h->taking_over = taking_over;
	pthread_mutex_unlock(&h->lock);
}

/* True: this process leads now. */
static bool lead(struct host *h)
{
	const struct host_options *o = &h->options;
	struct err e = ERR_INIT;
	struct lease *lease = NULL;

	if (lease_take(o->settings->state_dir, h->name, 0, &lease, &e) < 0)
		return false;
	log_info("view", "%s: nobody leads any more: this process does", h->name);
	set_taking_over(h, true);
	forget_all(h);
	set_lease(h, lease);
	if ((h->http == NULL || lease_set_http(lease, h->http, &e) == 0) &&
	    store_note(o->settings, h->name, o->store, &e) == 0 && host_open_versions(h, &e) == 0) {
		set_taking_over(h, false);
		return true;
	}
	log_err(LOG_LEVEL_WARNING, "view", "can't lead", &e);
	forget_all(h);
	set_lease(h, NULL);
	set_taking_over(h, false);
	lease_free(lease);
	return false;
}

void *host_follower(void *context)
{
	struct host *h = context;

	while (host_wait_ms(h, LOOK_MS)) {
		struct err e = ERR_INIT;

		if (lead(h))
			return host_keeper(h);
		if (follow(h, &e) < 0)
			log_err(LOG_LEVEL_DEBUG, "view", h->name, &e);
	}
	return NULL;
}
