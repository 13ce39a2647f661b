/* host_outside.c - a version held for somebody outside: verify, which reads it while it stands, and
 * sends it on to the GTID of the source's answer.
 *
 * One hold at a time. While a call on the worker runs (outside_busy) nobody stops that worker. A
 * holder that was killed costs OUTSIDE_LIMIT_MS: the worker goes on by itself then, and
 * host_forget_outside() sees that the hold is over. */
#include "projections/host/host_priv.h"

#define OUTSIDE_TIMEOUT_MS 20000
#define OUTSIDE_LIMIT_MS 20000

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
