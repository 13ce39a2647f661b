/* host_pair.c - the new and the live version at one position, and what differs between them there.
 *
 * Both are held between two source transactions; the one that is behind is sent to where the other
 * stands. Snapshots of both are opened, both go on, and the diff reads the snapshots in peace. A
 * live version that has failed can't be moved: then they are compared where they stand, and the
 * diff says so. */
#include "projections/host/host_priv.h"

#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/quote.h"

#include <stdlib.h>

#define HOLD_TIMEOUT_MS 30000
#define HOLD_LIMIT_MS 60000
#define ADVANCE_TIMEOUT_MS 60000
#define RETRY_MS 500

struct worker *host_worker_of(struct host *h, int version)
{
	const struct version *v;
	struct worker *w;

	pthread_mutex_lock(&h->lock);
	v = version != 0 ? host_find(h, version) : NULL;
	w = v != NULL ? v->worker : NULL;
	pthread_mutex_unlock(&h->lock);
	return w;
}

static bool has_failed(struct worker *w)
{
	struct worker_status s;

	if (w == NULL)
		return true;
	worker_status(w, &s);
	return s.state == WORKER_FAILED || s.state == WORKER_STOPPED;
}

void host_release_both(const struct host_pair *p)
{
	worker_release(p->new);
	if (p->live != NULL)
		worker_release(p->live);
}

static int level(const struct host_pair *p, struct err *e)
{
	struct worker_status new, live;

	worker_status(p->new, &new);
	worker_status(p->live, &live);
	if (new.seq < live.seq && worker_advance_seq(p->new, live.seq, ADVANCE_TIMEOUT_MS, e) < 0)
		return -1;
	if (live.seq < new.seq && worker_advance_seq(p->live, new.seq, ADVANCE_TIMEOUT_MS, e) < 0)
		return -1;
	worker_status(p->new, &new);
	worker_status(p->live, &live);
	if (new.seq != live.seq)
		return err_retry(e, "the versions stand at seq %lld and %lld", (long long)new.seq,
				 (long long)live.seq);
	return 0;
}

static int hold_once(const struct host_pair *p, struct err *e)
{
	if (worker_hold(p->new, HOLD_TIMEOUT_MS, HOLD_LIMIT_MS, e) < 0)
		return -1;
	if (p->live == NULL)
		return 0;
	if (worker_hold(p->live, HOLD_TIMEOUT_MS, HOLD_LIMIT_MS, e) < 0) {
		worker_release(p->new);
		return -1;
	}
	if (level(p, e) < 0) {
		host_release_both(p);
		return -1;
	}
	return 0;
}

int host_hold_both(struct host *h, int version, int live, struct host_pair *ret_pair,
		   struct err *e)
{
	for (;;) {
		struct host_pair p = { .new = host_worker_of(h, version),
				       .live = host_worker_of(h, live) };

		if (live != 0 && has_failed(p.live)) {
			p.live = NULL;
			p.apart = true;
		}
		if (p.new == NULL)
			return err_config(e, "version %d is not applied any more", version);
		if (host_await_caught_up(h, p.new, e) < 0)
			return -1;
		pthread_mutex_lock(&h->lock);
		host_forget_outside(h); /* whose late release would end this hold */
		pthread_mutex_unlock(&h->lock);
		if (hold_once(&p, e) == 0) {
			*ret_pair = p;
			return 0;
		}
		if (e->kind != ERR_RETRY && !(p.live != NULL && has_failed(p.live)))
			return -1;
		log_debug("view", "%s: %s", h->name, e->msg);
		if (host_pause(h, RETRY_MS, e) < 0)
			return -1;
	}
}

/* ---- diff ------------------------------------------------------------------------------------ */

/* The comparison keeps to the share of the build. */
static void pause_a_little(struct host *h)
{
	int64_t due_us = worker_pace_due_us(&h->pace);

	if (due_us >= 1000)
		(void)host_wait_ms(h, due_us / 1000); /* whoever stops us is seen by go_on */
}

static void begin_pace(struct host *h, int version)
{
	const struct host_note *note;

	pthread_mutex_lock(&h->lock);
	note = host_note_of(h, version);
	worker_pace_begin(&h->pace, note != NULL ? note->share : 0);
	pthread_mutex_unlock(&h->lock);
}

static bool go_on(void *context, int64_t rows)
{
	struct host *h = context;
	bool stop;

	(void)rows;
	pthread_mutex_lock(&h->lock);
	stop = h->stop || h->cancel;
	pthread_mutex_unlock(&h->lock);
	pause_a_little(h);
	return !stop;
}

struct standing {
	struct host *host;
	const struct host_pair *pair;
};

/* Each is sent on to where it stands, and stands from now on. */
static int still_stand(void *context, struct err *e)
{
	const struct standing *s = context;
	struct worker *both[] = { s->pair->new, s->pair->live };

	if (!go_on(s->host, 0))
		return err_retry(e, "stopped");
	for (size_t i = 0; i < 2 && both[i] != NULL; i++) {
		struct worker_status status;

		worker_status(both[i], &status);
		if (worker_advance_seq(both[i], status.seq, ADVANCE_TIMEOUT_MS, e) < 0)
			return -1;
	}
	return 0;
}

int host_snapshots(struct host *h, int version, int live, struct store_snapshot **ret_old,
		   struct store_snapshot **ret_new, bool *ret_apart, struct err *e)
{
	struct host_pair p;
	struct standing standing = { h, &p };
	const struct store_still still = { still_stand, &standing };
	int rc;

	if (host_hold_both(h, version, live, &p, e) < 0)
		return -1;
	rc = store_snapshot(h->store, live, &still, ret_old, e);
	if (rc == 0)
		rc = store_snapshot(h->store, version, &still, ret_new, e);
	if (rc == 0 && (!worker_is_held(p.new) || (p.live != NULL && !worker_is_held(p.live))))
		rc = err_retry(e, "the hold was lost");
	host_release_both(&p);
	*ret_apart = p.apart;
	return rc;
}

static void keep_diff(struct host *h, const struct compare *c, const struct store_snapshot *new,
		      bool apart)
{
	struct store_info info;
	struct buf text = BUF_INIT;

	h->store->ops->snapshot_info(new, &info);
	buf_add_format(&text,
		       "{\"old_version\":%d,\"new_version\":%d,\"seq\":%lld,\"same_position\":%s",
		       h->job_from, h->job_version, (long long)info.seq, apart ? "false" : "true");
	quote_json_key(&text, "gtid_set");
	quote_json(&text, slice_str(info.gtid_set));
	quote_json_key(&text, "compare");
	compare_json(c, &text);
	buf_add_u8(&text, '}');
	pthread_mutex_lock(&h->lock);
	free(h->diff);
	h->diff = xstrdup(buf_cstr(&text));
	h->diff_rows = compare_rows(c);
	h->differences = compare_differences(c);
	pthread_mutex_unlock(&h->lock);
	buf_done(&text);
}

int host_diff(struct host *h, int version, int live, struct err *e)
{
	const struct store_ops *ops = h->store->ops;
	struct store_snapshot *old = NULL, *new = NULL;
	struct compare *c = NULL;
	const struct view *view;
	bool apart = false;
	int rc;

	pthread_mutex_lock(&h->lock);
	view = host_find(h, version)->view;
	pthread_mutex_unlock(&h->lock);
	rc = host_snapshots(h, version, live, &old, &new, &apart, e);
	FAULT(view_diffing);
	begin_pace(h, version);
	if (rc == 0)
		rc = compare_snapshots(ops, view, old, new, go_on, h, &c, e);
	if (rc == 0)
		keep_diff(h, c, new, apart);
	compare_free(c);
	ops->snapshot_close(old);
	ops->snapshot_close(new);
	return rc;
}
