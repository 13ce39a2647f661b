/* worker_until.c - a view as it was: is the moment reached that a version is built up to?
 *
 * A GTID, or a set of them: the first place in the source's order that contains it. The position
 * alone doesn't always tell. Between two commit records it lacks transactions that were not
 * captured, so the asked one may never show; but what comes next is known, and is beyond it when
 * its own number is higher (numbers rise within a domain, or a server's UUID). A set over several
 * domains is reached when each of them is, whatever the others did meanwhile.
 *
 * A time: the last source transaction before the first one that was committed later. */
#include "projections/work/worker_priv.h"

#include <stdlib.h>

static const struct feed_ops *feed(const struct worker *w)
{
	return w->options.source.ops;
}

/* MySQL: a number that isn't in the target, of a server that is: all below it lie behind us. */
static void pass(struct worker *w, const char *next)
{
	struct gtid_set one = GTID_SET_INIT;
	struct err ignored = ERR_INIT; /* a feed that names no id: nothing is passed */

	if (gtid_set_parse(slice_str(next), &one, &ignored) == 0 && one.ranges.count == 1 &&
	    one.ranges.items[0].first > 1) {
		one.ranges.items[0].last = one.ranges.items[0].first - 1;
		one.ranges.items[0].first = 1;
		(void)gtid_set_union(&w->until_passed, &one, &ignored);
	}
	gtid_set_done(&one);
}

/* Position, the next transaction, and what was passed, together. */
static bool contained(struct worker *w, const char *next)
{
	const struct intake_position *p = feed(w)->position(w->feed);
	struct gtid_set at = GTID_SET_INIT;
	struct err ignored = ERR_INIT;
	bool reached = false;

	if (gtid_set_parse(slice_str(p->gtid_set != NULL ? p->gtid_set : ""), &at, &ignored) == 0) {
		if (next != NULL)
			(void)gtid_set_add(&at, slice_str(next), &ignored);
		if (!gtid_set_is_empty(&w->until_passed))
			(void)gtid_set_union(&at, &w->until_passed, &ignored);
		reached = gtid_set_contains_set(&at, &w->until_gtid);
	}
	gtid_set_done(&at);
	return reached;
}

static bool gtid_is_reached(struct worker *w)
{
	const char *next = feed(w)->next_gtid(w->feed);

	if (next != NULL && !gtid_is_id(slice_str(next)))
		next = NULL; /* a chunk of a first copy */
	if (next != NULL && gtid_set_has(&w->until_gtid, slice_str(next)))
		return false; /* it is wanted itself */
	if (next != NULL && gtid_set_is_mysql(&w->until_gtid))
		pass(w, next);
	return contained(w, next);
}

bool worker_until_reached(struct worker *w)
{
	const struct worker_until *u = w->options.until;
	int64_t next_us;

	if (u == NULL || w->status.reached)
		return u != NULL;
	if (u->gtid_set != NULL)
		return gtid_is_reached(w);
	next_us = feed(w)->next_commit_us(w->feed);
	return next_us > u->commit_us;
}

int worker_until_open(struct worker *w, struct err *e)
{
	const struct worker_until *u = w->options.until;

	gtid_set_done(&w->until_passed);
	return u == NULL || u->gtid_set == NULL
		       ? 0
		       : gtid_set_parse(slice_str(u->gtid_set), &w->until_gtid, e);
}

void worker_rest(struct worker *w)
{
	w->status.reached = true;
	w->status.state = WORKER_HELD;
	pthread_cond_broadcast(&w->changed);
	while (!w->stop && !w->want_finish)
		pthread_cond_wait(&w->changed, &w->lock);
	w->status.state = WORKER_RUNNING;
}
