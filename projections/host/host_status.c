/* host_status.c - what others are told of a view: its versions and its job, whose it is, how far
 * readers of the public name can see. All of it is copied under the lock. */
#include "projections/host/host_priv.h"

#include "core/base/clock.h"
#include "core/base/gtid.h"
#include "core/base/mem.h"

#include <stdio.h>

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
