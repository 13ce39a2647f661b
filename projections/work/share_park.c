/* share_park.c - a member's records that can't be applied (parking.h), and trying them again.
 *
 * A member knows which keys of its own partitions wait; it parks in the transaction that commits
 * its rows and positions, so whoever takes a partition finds there what was parked.
 *
 * Trying again is the leader's: under a barrier, in a transaction of its own, over all partitions.
 * What a member knows is stale then. It reads it anew before it goes on: when it begins, when it
 * has stood at a barrier, after a TRUNCATE. Before it reads it waits for the leader's transaction,
 * which may still be under way when the barrier's time is over. */
#include "projections/work/parking.h"
#include "projections/work/share_member_priv.h"

#include "core/base/clock.h"

#define OTHERS_US 1000000 /* between two looks at how many the other members parked */

static const struct store_ops *store(const struct share_member *m)
{
	return m->options->store->ops;
}

bool share_parks(const struct share_member *m)
{
	return m->built && m->options->parked_max > 0 && store(m)->park != NULL;
}

static bool is_mine(void *context, const char *topic, int32_t partition)
{
	const struct share_member *m = context;

	for (size_t i = 0; i < m->count; i++)
		if (m->names[i].partition == partition && strcmp(m->names[i].topic, topic) == 0)
			return true;
	return false;
}

static int read_waiting(struct share_member *m, struct err *e)
{
	const struct parking_place place = {
		.store = m->options->store,
		.view = m->options->view,
		.version = m->options->version,
		.writer = share_version(m->link),
		.is_mine = is_mine,
		.context = m,
		.max = m->options->parked_max,
	};
	int64_t all, behind, own;

	share_park_forget(m);
	if (share_count_parked(m->link, &all, &behind, e) < 0)
		return -1;
	m->parking = parking_new(&place);
	if (all == 0)
		return 0;
	if (parking_read(m->parking, e) < 0)
		return -1;
	parking_count(m->parking, &own, &behind);
	parking_set_others(m->parking, all > own ? all - own : 0);
	return 0;
}

void share_park_forget(struct share_member *m)
{
	parking_free(m->parking);
	m->parking = NULL;
	m->others_us = 0;
}

int share_park_look(struct share_member *m, struct err *e)
{
	int rc;

	if (m->parking != NULL || !share_parks(m))
		return 1;
	m->store_failed = true;
	if (share_await_alone(m->link, &m->barrier, e) < 0)
		return -1;
	m->barrier_us = clock_monotonic_us();
	if (m->barrier.left_us > 0 && m->barrier.number == m->stands)
		rc = 0;
	else
		rc = read_waiting(m, e) < 0 ? -1 : 1;
	m->store_failed = rc < 0;
	return rc;
}

int share_waits(struct share_member *m, const struct intake_item *item, struct err *e)
{
	struct handlers_record record = { item->topic, item->schema_id, item->value };
	int rc;

	if (m->parking == NULL || !parking_waits(m->parking, item))
		return 0;
	if (item->key.data != NULL)
		return 1;
	rc = handlers_empties(m->handlers, &record, e);
	if (rc < 0 && e->kind == ERR_DATA) {
		err_clear(e); /* not to be read: it waits like any other */
		return 1;
	}
	return rc < 0 ? -1 : !rc;
}

static int count_others(struct share_member *m, struct err *e)
{
	int64_t now = clock_monotonic_us(), all, own, behind;

	if (m->others_us != 0 && now - m->others_us < OTHERS_US)
		return 0;
	if (share_count_parked(m->link, &all, &behind, e) < 0)
		return -1;
	parking_count(m->parking, &own, &behind);
	parking_set_others(m->parking, all > own ? all - own : 0);
	m->others_us = now;
	return 0;
}

int share_park(struct share_member *m, const struct intake_item *item, const char *why,
	       struct err *e)
{
	if (count_others(m, e) == 0 && parking_add(m->parking, item, why, e) == 0)
		return 0;
	m->store_failed = e->kind == ERR_RETRY;
	m->failed = e->kind == ERR_DATA; /* no more of them: nothing else helps */
	return -1;
}

/* ---- trying again, by the leader ------------------------------------------------------------- */

struct trying {
	const struct worker_options *options;
	struct share_link *link;
	struct handlers *handlers;
};

static int read_schema(void *context, int32_t id, const char **ret_text, struct err *e)
{
	const struct feed_source *s = &((struct trying *)context)->options->source;

	return s->ops->schema(s->context, id, ret_text, e);
}

static int read_parked(void *context, struct slice reference, int64_t seq, struct buf *ret_value,
		       struct err *e)
{
	const struct feed_source *s = &((struct trying *)context)->options->source;

	return s->ops->parked(s->context, reference, seq, ret_value, e);
}

static int apply_whole(void *context, const struct handlers_record *record, struct err *e)
{
	struct trying *t = context;
	struct target *target = share_target(t->link);

	return handlers_apply(t->handlers, record, e) < 0 ? -1 : target->ops->flush(target, e);
}

int share_park_act(const struct worker_options *options, struct share_link *link, int64_t number,
		   const struct worker_parked_ask *ask, int64_t *ret_applied, struct err *e)
{
	struct trying t = { .options = options, .link = link };
	const struct handlers_options h = { .view = options->view,
					    .target = share_target(link),
					    .schema = read_schema,
					    .parked = read_parked,
					    .context = &t };
	const struct parking_place place = { .store = options->store,
					     .view = options->view,
					     .version = options->version,
					     .writer = share_version(link),
					     .apply = apply_whole,
					     .context = &t,
					     .max = options->parked_max };
	struct parking *parking;
	int rc;

	if (share_begin_alone(link, number, e) < 0)
		return -1;
	t.handlers = handlers_new(&h);
	parking = parking_new(&place);
	rc = parking_act(parking, ask, ret_applied, e);
	if (rc == 0)
		rc = share_commit_alone(link, e);
	else
		share_rollback(link);
	parking_free(parking);
	handlers_free(t.handlers);
	return rc;
}
