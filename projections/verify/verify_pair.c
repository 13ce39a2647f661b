/* verify_pair.c - a snapshot of the source and one of the view, both at one GTID.
 *
 * The view is held where it stands, the source's snapshot is taken, and the view is sent on to
 * where that is. It moves on as soon as its own snapshot is there; but in a store that has none, it
 * stands until the pair is closed. */
#include "projections/verify/verify_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "projections/verify/verify_snapshot.h"

#include <stdlib.h>

#define HOLD_US 10000000 /* somebody else may hold the view for a moment */
#define WAIT_US 50000    /* between looks at whether to stop */

bool verify_go_on(struct verification *r, int64_t more)
{
	return r->o->progress == NULL ||
	       r->o->progress(r->o->context, r->table != NULL ? r->table->name : "",
			      r->rows + more);
}

int verify_rest(struct verification *r, int64_t us, struct err *e)
{
	int64_t until = clock_monotonic_us() + us, left;

	while ((left = until - clock_monotonic_us()) > 0) {
		if (!verify_go_on(r, 0))
			return err_retry(e, "stopped");
		clock_sleep_us(left < WAIT_US ? left : WAIT_US);
	}
	return 0;
}

void verify_pair_close(struct verification *r)
{
	struct err ignored = ERR_INIT;

	if (r->snapshot == NULL)
		return;
	(void)db_run(r->db, "ROLLBACK", &ignored); /* lets go of the tables, or it is gone anyway */
	r->o->store->ops->snapshot_close(r->snapshot);
	r->snapshot = NULL;
	if (r->held)
		r->o->control.release(r->o->control.context);
	r->held = false;
}

bool verify_pair_is_old(const struct verification *r)
{
	return clock_monotonic_us() - r->opened_us >=
	       (r->held ? VERIFY_PAIR_HELD_US : VERIFY_PAIR_US);
}

static int hold(struct verification *r, char **ret_gtid_set, struct err *e)
{
	const struct verify_control *control = &r->o->control;
	int64_t until = clock_monotonic_us() + HOLD_US;

	while (control->hold(control->context, ret_gtid_set, e) < 0) {
		if (e->kind != ERR_RETRY || clock_monotonic_us() >= until)
			return -1;
		err_clear(e);
		if (verify_rest(r, WAIT_US, e) < 0)
			return -1;
	}
	return 0;
}

struct standing {
	struct verification *run;
	const char *gtid_set;
};

/* Sent on to where it stands, the version stands from now on. */
static int still_stands(void *context, struct err *e)
{
	const struct standing *s = context;
	const struct verify_control *control = &s->run->o->control;

	if (!verify_go_on(s->run, 0))
		return err_retry(e, "stopped");
	return control->advance(control->context, s->gtid_set, e);
}

/* Both at one position; the view moves on when this returns. */
static int take_pair(struct verification *r, char **ret_gtid_set, struct err *e)
{
	const struct verify_control *control = &r->o->control;
	const struct store_ops *ops = r->o->store->ops;
	char *held_at = NULL, *gtid_set = NULL;
	int rc = -1;

	if (hold(r, &held_at, e) < 0)
		return -1;
	if (verify_snapshot(r->o->settings, r->db, held_at, &gtid_set, e) == 0 &&
	    control->advance(control->context, gtid_set, e) == 0)
		rc = store_snapshot(
			r->o->store, r->o->version,
			&(struct store_still){ still_stands, &(struct standing){ r, gtid_set } },
			&r->snapshot, e);
	/* still held: else the snapshot may be of a later position */
	if (rc == 0 && control->advance(control->context, gtid_set, e) < 0) {
		ops->snapshot_close(r->snapshot);
		r->snapshot = NULL;
		rc = -1;
	}
	r->held = rc == 0 && ops->moving;
	if (!r->held)
		control->release(control->context);
	free(held_at);
	if (rc < 0)
		free(gtid_set);
	else
		*ret_gtid_set = gtid_set;
	return rc;
}

int verify_pair_open(struct verification *r, struct err *e)
{
	struct verify_result *result = r->result;
	struct store_info info;
	char *gtid_set;

	if (r->snapshot != NULL && !verify_pair_is_old(r))
		return 0;
	verify_pair_close(r);
	if (take_pair(r, &gtid_set, e) < 0)
		return -1;
	r->opened_us = clock_monotonic_us();
	r->o->store->ops->snapshot_info(r->snapshot, &info);
	result->seq = info.seq;
	result->snapshots++;
	if (result->first_gtid_set == NULL)
		result->first_gtid_set = xstrdup(gtid_set);
	free(result->gtid_set);
	result->gtid_set = gtid_set;
	return 0;
}
