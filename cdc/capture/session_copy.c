/* session_copy.c - where the loop and the first copy meet: chunks become source transactions, and
 * the stream rests where a table without a key needs it to, for its first copy or a comparison. */
#include "cdc/capture/session_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/notify.h"
#include "core/base/stop.h"

#define ORDER_CHECK 1024 /* rows between looks at the clock */
#define HOLD_WAIT_US 2000

static int deliver_copied(void *context, const struct change *change, struct err *e)
{
	struct session *s = context;

	if (change->order % ORDER_CHECK == 0) {
		notify_watchdog();
		report_turn(s->report);
		if (copy_is_whole(s->copy) &&
		    commit_batch_must_cut(&s->batch, clock_monotonic_us()))
			return copy_too_long(s->copy, e);
	}
	FAULT(chunk_row);
	return publisher_change(s->publisher, change, &s->seq, e);
}

static int deliver_chunk(struct session *s, struct err *e)
{
	int64_t commit_us = s->commit_us != 0 ? s->commit_us : clock_now_us();
	bool whole = copy_is_whole(s->copy);
	const char *ended = NULL;
	int rc;

	if (whole && s->batch.begun_us != 0 && session_commit(s, e) < 0)
		return -1;
	if (session_apart(s, e) < 0)
		return -1;
	delivery_chunk(s->delivery, true);
	rc = copy_emit(s->copy, commit_us, deliver_copied, s, &ended, e);
	delivery_chunk(s->delivery, false);
	if (rc < 0)
		return -1;
	if (s->seq > s->part_seq)
		commit_batch_add(&s->batch, copy_chunk_name(s->copy), s->seq - s->part_seq,
				 commit_us);
	else
		commit_batch_move(&s->batch);
	s->part_seq = s->seq;
	if (ended != NULL) {
		commit_batch_copied(&s->batch, ended);
		log_info("copy", "%s is copied%s", ended,
			 copy_all_done(s->copy) ? "; all tables are" : "");
	}
	return whole ? session_commit(s, e) : session_apart(s, e);
}

int session_copy(struct session *s, const struct copy_place *place, struct err *e)
{
	int rc;

	if (copy_all_done(s->copy) || s->open_gtid[0] != '\0')
		return 0;
	rc = copy_step(s->copy, place, e);
	return rc > 0 ? deliver_chunk(s, e) : rc;
}

/* Where the group that begins stands. */
static struct copy_place group_place(struct session *s)
{
	return (struct copy_place){ &s->gtid_set, group_file(s->group),
				    group_file_position(s->group), s->seq, &s->unsettled };
}

static bool holds(struct session *s, const struct copy_place *place)
{
	return copy_holds(s->copy, place->file, place->position) || reconcile_holds(s->reconcile);
}

static int hold(struct session *s, const struct copy_place *place, struct err *e)
{
	int rc;

	if (stop_requested())
		return err_retry(e, "stopping");
	rc = copy_all_done(s->copy) ? 0 : session_copy(s, place, e);
	if (rc == 0 && reconcile_holds(s->reconcile))
		rc = session_reconcile(s, place, e);
	notify_watchdog();
	session_progress(s, false);
	return rc;
}

int session_copy_hold(struct session *s, struct err *e)
{
	struct copy_place place = group_place(s);

	if (s->open_gtid[0] != '\0')
		return 0;
	while (holds(s, &place)) {
		if (hold(s, &place, e) < 0)
			return -1;
		if (holds(s, &place))
			clock_sleep_us(HOLD_WAIT_US);
	}
	reconcile_pass(s->reconcile, &place);
	return 0;
}
