/* worker_park.c - a worker's records that can't be applied (parking.h): what it parks live, and
 * what others ask it to try again, between two source transactions. */
#include "projections/work/parking.h"
#include "projections/work/worker_priv.h"

static const struct store_ops *store(const struct worker *w)
{
	return w->options.store->ops;
}

bool worker_parks(const struct worker *w)
{
	return w->built && w->options.parked_max > 0 && store(w)->park != NULL;
}

static void publish(struct worker *w)
{
	int64_t parked, behind;

	parking_count(w->parking, &parked, &behind);
	pthread_mutex_lock(&w->lock);
	w->status.parked = parked;
	w->status.parked_behind = behind;
	pthread_mutex_unlock(&w->lock);
}

static int apply_whole(void *context, const struct handlers_record *record, struct err *e)
{
	struct worker *w = context;
	bool failed = kind_apply(w->kind, record, e) < 0 || kind_settle(w->kind, e) < 0 ||
		      worker_flush(w, e) < 0;

	return failed ? -1 : 0;
}

int worker_park_open(struct worker *w, struct err *e)
{
	struct parking_place place = {
		.store = w->options.store,
		.view = w->options.view,
		.version = w->options.version,
		.writer = w->version,
		.apply = apply_whole,
		.context = w,
		.max = w->options.parked_max,
	};

	worker_park_close(w);
	w->parking = parking_new(&place);
	if (parking_read(w->parking, e) < 0)
		return -1;
	publish(w);
	return 0;
}

void worker_park_close(struct worker *w)
{
	parking_free(w->parking);
	w->parking = NULL;
}

static int empties(struct worker *w, const struct intake_item *item, struct err *e)
{
	struct handlers_record record = { item->topic, item->schema_id, item->value };
	int rc = kind_empties(w->kind, &record, e);

	if (rc < 0 && e->kind == ERR_DATA && kind_wants(w->kind) == KIND_NOTHING) {
		err_clear(e); /* not to be read: it waits like any other */
		rc = 0;
	}
	return rc;
}

int worker_waits(struct worker *w, const struct intake_item *item, struct err *e)
{
	int rc;

	if (!parking_waits(w->parking, item))
		return 0;
	if (item->key.data != NULL)
		return 1;
	rc = empties(w, item, e);
	return rc < 0 ? -1 : !rc;
}

int worker_emptied(void *context, size_t topic, int64_t seq, struct err *e)
{
	struct worker *w = context;

	w->emptying = true;
	if (parking_emptied(w->parking, topic, seq, e) < 0)
		return -1;
	publish(w);
	return 1;
}

int worker_emptied_failed(const struct worker *w, struct err *e)
{
	return err_hint(e,
			"The table could not be emptied in the view, so nothing that follows can "
			"be applied. Mend the view's handler on/....truncate.sql, then run "
			"`millrace replay %s`.",
			w->options.view->name);
}

int worker_park(struct worker *w, const struct intake_item *item, const char *why, struct err *e)
{
	if (parking_add(w->parking, item, why, e) < 0)
		return -1;
	publish(w);
	return 0;
}

/* ---- trying again ---------------------------------------------------------------------------- */

static int act_and_commit(struct worker *w, int64_t *applied, struct err *e)
{
	if (worker_begin(w, e) < 0)
		return -1;
	if (parking_act(w->parking, w->act, applied, e) == 0)
		return worker_commit(w, e);
	store(w)->rollback(w->version);
	w->open = false;
	return -1;
}

/* What was wrong with the question is the asker's; what is wrong with the store is ours, too. */
int worker_act(struct worker *w, struct err *e)
{
	struct err why = ERR_INIT;
	int64_t applied = 0;
	int rc, own = 0;

	pthread_mutex_lock(&w->lock);
	w->acting = w->want_act; /* from here on the asker waits for the end */
	pthread_mutex_unlock(&w->lock);
	if (!w->acting)
		return 0;
	rc = act_and_commit(w, &applied, &why);
	if (rc < 0 && why.kind != ERR_CONFIG) {
		*e = why;
		own = -1;
	} else if (worker_park_open(w, e) < 0) {
		own = -1;
	}
	pthread_mutex_lock(&w->lock);
	w->want_act = w->acting = false;
	w->act_rc = rc;
	w->act_err = why;
	w->act_applied = applied;
	w->act_left = w->status.parked;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	return own;
}
