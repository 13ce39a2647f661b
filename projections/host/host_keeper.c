/* host_keeper.c - the thread that keeps a view: its jobs (host_job.c), versions whose time is over,
 * tables that change at the source, and what a shadow is to be compared for. */
#include "projections/host/host_priv.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

static int due(struct host *h)
{
	int64_t before = clock_now_us() - h->options.settings->project_keep_applied_ms * 1000;
	int version = 0;

	pthread_mutex_lock(&h->lock);
	host_forget_outside(h);
	for (size_t i = 0; i < h->version_count; i++) {
		const struct version *v = &h->versions[i];

		if (v->state == STORE_SUPERSEDED && v->superseded_us <= before && !v->removing &&
		    v->version != h->outside)
			version = v->version;
	}
	pthread_mutex_unlock(&h->lock);
	return version;
}

static void let_go(struct host *h)
{
	int version = due(h);
	struct err e = ERR_INIT;

	if (version == 0)
		return;
	if (host_drop_version(h, version, &e) < 0)
		log_err(LOG_LEVEL_WARNING, "view", h->name, &e);
	else
		log_info("view", "%s: version %d removed: project.keep_applied is over", h->name,
			 version);
}

/* The job's version is built, or gone: the next replay may have its share. */
static void give_memory_back(struct host *h)
{
	struct version *v;

	pthread_mutex_lock(&h->lock);
	v = host_find(h, h->job_version);
	if (v != NULL)
		host_give_memory(h, v);
	pthread_mutex_unlock(&h->lock);
}

void *host_keeper(void *context)
{
	struct host *h = context;

	while (host_wait_ms(h, 200)) {
		bool pending;

		pthread_mutex_lock(&h->lock);
		pending = h->pending;
		h->pending = false;
		pthread_mutex_unlock(&h->lock);
		if (pending) {
			host_run_job(h);
			give_memory_back(h);
			mem_trim();
			host_follow_source(h);
			continue;
		}
		let_go(h);
		host_remove_again(h);
		host_shadow_look(h);
		if (h->waiting)
			host_try_first(h);
		else
			host_follow_source(h);
	}
	return NULL;
}
