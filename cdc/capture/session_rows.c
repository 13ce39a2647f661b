/* session_rows.c - what a group holds becomes records, row by row; a source transaction that takes
 * too long for one Kafka transaction is cut.
 *
 * The rows come from the group in hand, or, at XA COMMIT, from the group that was prepared; they
 * are delivered under the name and time of the one in hand either way. */
#include "cdc/capture/session_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/notify.h"

#include <inttypes.h>
#include <stdio.h>

#define ORDER_CHECK 1024 /* changes between looks at the clock inside a group */

int session_cut(struct session *s, struct err *e)
{
	const struct group_info *info = group_info(s->group);

	if (s->seq ==
	    s->part_seq) /* of this group nothing is delivered yet: no part to leave open */
		return session_commit(s, e);
	commit_batch_add(&s->batch, info->gtid_text, s->seq - s->part_seq, info->commit_us);
	(void)snprintf(s->open_gtid, sizeof(s->open_gtid), "%s", info->gtid_text); /* same size */
	s->open_changes = s->order;
	s->part_seq = s->seq;
	log_info("capture", "transaction %s is cut behind change %lld", info->gtid_text,
		 (long long)s->order);
	return session_commit(s, e);
}

/* It was read whole, and its record is built beside it. */
static void say_large(const struct session *s, const struct group_row *row)
{
	const struct change *c = &row->change;
	size_t size = row->before_image.size + row->after_image.size;

	if ((int64_t)size > s->settings->capture_memory)
		log_warning("capture",
			    "%s.%s, transaction %s: a row of %zu bytes is larger than "
			    "capture.memory (%" PRId64 "): it takes up to twice its size beside it",
			    c->shape->db, c->shape->table, c->transaction, size,
			    s->settings->capture_memory);
}

static int deliver_row(struct session *s, struct group_row *row, struct err *e)
{
	int rc;

	say_large(s, row);
	if (cascade_change(s->cascade, &row->change, row->unchecked_keys, s->reconcile, e) < 0 ||
	    reconcile_change(s->reconcile, row, e) < 0)
		return -1;
	rc = copy_change(s->copy, row, e);
	if (rc == COPY_UNKNOWN)
		rc = session_meet_row(s, &row->change, e) < 0 ? -1 : copy_change(s->copy, row, e);
	if (rc < 0 || (rc > 0 && publisher_change(s->publisher, &row->change, &s->seq, e) < 0))
		return err_wrap(e, "transaction %s", row->change.transaction);
	FAULT(change);
	return 0;
}

static int deliver_next(struct session *s, struct group_row *row, int gives, struct err *e)
{
	const struct group_info *info = group_info(s->group);
	bool effect = gives == GROUP_GIVES_EFFECT;

	if (!effect && row->watched) /* in a part delivered before, too: a want more is harmless */
		return cascade_change(s->cascade, &row->change, row->unchecked_keys, s->reconcile,
				      e);
	s->order = effect ? row->effect.order : row->change.order;
	if (s->open_gtid[0] != '\0' && s->order <= s->open_changes)
		return 0;
	if (effect)
		return session_effect(s, &row->effect, e);
	row->change.transaction = info->gtid_text;
	row->change.commit_us = info->commit_us;
	return deliver_row(s, row, e);
}

int session_deliver_rows(struct session *s, struct group *from, struct err *e)
{
	struct group_row row;
	int gives;

	while ((gives = group_next(from, &row, e)) > GROUP_GIVES_NOTHING) {
		row.prepared = from != s->group;
		if (deliver_next(s, &row, gives, e) < 0)
			return -1;
		if (s->order % ORDER_CHECK != 0)
			continue;
		notify_watchdog();
		report_turn(s->report);
		if (leader_check(s->leader, e) < 0)
			return -1;
		if (commit_batch_must_cut(&s->batch, clock_monotonic_us()) && session_cut(s, e) < 0)
			return -1;
	}
	return gives;
}
