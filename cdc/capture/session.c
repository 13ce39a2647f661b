/* session.c - the loop: packets into groups, groups into changes, changes into records, records
 * into group commits.
 *
 *   between two source transactions: a stop asked for? a chunk ready? a group commit due?
 *   then the next packet:            scan it; when it ends a group, deliver the group
 *
 * A group is delivered out of the ring, where its packets stay until then. One that fills the ring
 * is read twice (cdc/change/group.h): once for its end, then again from the same position; what is
 * open is committed first, so that it gets Kafka transactions of its own. Those are the only source
 * transactions that can be cut in two.
 *
 * The ring running empty ends a group commit at once on a quiet source. Right after another commit
 * the loop waits a few milliseconds for more first: a busy source whose reader is just not faster
 * than we are would otherwise get many small commits. */
#include "cdc/capture/session_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/notify.h"
#include "core/base/stop.h"

#include <stdio.h>

#define WAIT_MS_MAX 100 /* a stop is noticed within this time */
#define BUSY_US 50000   /* a commit so short ago means that the source is busy */
#define BUSY_WAIT_MS 4
#define RELEASE_BYTES 65536
#define TURN_PACKETS 256 /* packets between two looks at what time demands */

/* ---- rows ----------------------------------------------------------------------------------- */

/* What was delivered in part is the first that comes. Asked when its end is known: by place, that
 * is when its name is. */
static int check_open(struct session *s, struct err *e)
{
	const struct group_info *info = group_info(s->group);

	if (s->open_gtid[0] == '\0' || strcmp(s->open_gtid, info->gtid_text) == 0)
		return 0;
	return err_data(e,
			"the position says that transaction %s was delivered in part, but the "
			"source goes on with %s",
			s->open_gtid, info->gtid_text);
}

static int group_end(struct session *s, struct err *e)
{
	const struct group_info *info = group_info(s->group);

	if (group_add_to(s->group, &s->gtid_set, e) < 0)
		return -1;
	if (info->shapes_changed && session_read_hints(s, e) < 0)
		return -1;
	/* the rest of a group that was cut is named even if it is empty: readers wait for its end
	 */
	if (s->seq > s->part_seq || s->open_gtid[0] != '\0')
		commit_batch_add(&s->batch, info->gtid_text, s->seq - s->part_seq, info->commit_us);
	else
		commit_batch_move(&s->batch);
	s->part_seq = s->seq;
	s->order = 0;
	s->open_gtid[0] = '\0';
	s->open_changes = 0;
	s->commit_us = info->commit_us;
	s->transactions_total++;
	s->bytes_total += group_take_bytes(s->group);
	(void)snprintf(s->file, sizeof(s->file), "%s", group_file(s->group)); /* same size */
	s->file_position = group_file_position(s->group);
	s->file_created = s->mysql ? group_file_created(s->group) : 0;
	group_reset(s->group);
	return 0;
}

/* Its outcome is known now, its packets are gone. */
static int read_again(struct session *s, struct err *e)
{
	(void)group_take_bytes(s->group); /* they will be counted when they are delivered */
	log_info("capture", "transaction %s is larger than the ring: it is read again",
		 group_info(s->group)->gtid_text);
	if ((s->batch.begun_us != 0 || s->batch.position_moved) && session_commit(s, e) < 0)
		return -1;
	group_again(s->group);
	return session_stream(s, e);
}

/* ---- packets -------------------------------------------------------------------------------- */

static void release(struct session *s)
{
	ring_release(stream_ring(s->stream), s->cursor);
	s->released = s->cursor;
}

static int deliver_group(struct session *s, struct err *e)
{
	const struct group_info *info = group_info(s->group);

	switch (info->xa) {
	case GROUP_XA_NONE:
		return info->rows ? session_deliver_rows(s, s->group, e) : 0;
	case GROUP_XA_PREPARE:
		if (BUG(xa_prepare))
			return info->rows ? session_deliver_rows(s, s->group, e) : 0;
		return session_xa_prepare(s, e);
	case GROUP_XA_COMMIT:
		return BUG(xa_prepare) ? 0 : session_xa_commit(s, e);
	case GROUP_XA_ROLLBACK:
		session_xa_rollback(s);
		return 0;
	}
	return 0;
}

static int complete(struct session *s, struct err *e)
{
	const struct group_info *info = group_info(s->group);

	if (!group_is_again(s->group) && check_open(s, e) < 0)
		return -1;
	if (info->rows && group_let_go_was_called(s->group) && info->xa != GROUP_XA_PREPARE)
		return read_again(s, e);
	if (deliver_group(s, e) < 0)
		return -1;
	if (group_end(s, e) < 0)
		return -1;
	release(s);
	return 0;
}

static int take_packet(struct session *s, struct slice packet, struct err *e)
{
	bool was_open = group_open(s->group);

	if (group_scan(s->group, packet, e) < 0)
		return -1;
	if (group_complete(s->group))
		return complete(s, e);
	if (!group_open(s->group)) { /* between groups */
		release(s);
		return 0;
	}
	if (!was_open && session_copy_hold(s, e) < 0)
		return -1;
	if (group_is_again(s->group) && session_deliver_rows(s, s->group, e) < 0)
		return -1;
	if ((group_is_again(s->group) || group_let_go_was_called(s->group)) &&
	    s->cursor - s->released >= RELEASE_BYTES)
		release(s);
	return 0;
}

/* The ring is full: a group that is kept in it has to be let go. */
static void make_room(struct session *s)
{
	if (group_open(s->group) && !group_is_again(s->group))
		group_let_go(s->group);
	release(s);
}

static int wait_ms(struct session *s)
{
	int64_t now = clock_monotonic_us(), due = commit_batch_wait_us(&s->batch, now);
	int wait = copy_wait_ms(s->copy), other = reconcile_wait_ms(s->reconcile);

	if (other >= 0 && (wait < 0 || other < wait))
		wait = other;

	if (wait < 0 || wait > WAIT_MS_MAX)
		wait = WAIT_MS_MAX;
	if (s->seq > s->part_seq) /* inside a group: nothing is due before its next packet */
		return WAIT_MS_MAX;
	if (s->batch.begun_us != 0) { /* we wait for more to come before we commit */
		int64_t left_us = s->batch.begun_us + BUSY_WAIT_MS * 1000 - now;

		return now - s->batch.committed_us < BUSY_US && left_us > 0
			       ? (int)(left_us / 1000) + 1
			       : 0;
	}
	return due >= 0 && due / 1000 < wait ? (int)(due / 1000) + 1 : wait;
}

/* Nothing to read: commit what is in hand, once it is sure that nothing more comes. */
static int idle(struct session *s, struct slice *ret_packet, enum ring_state *ret_state,
		struct err *e)
{
	notify_watchdog();
	session_progress(s, false);
	if (leader_check(s->leader, e) < 0)
		return -1;
	*ret_state = ring_read(stream_ring(s->stream), &s->cursor, wait_ms(s), ret_packet);
	if (*ret_state != RING_EMPTY)
		return 0;
	if (s->seq > s->part_seq) { /* inside a group that is being delivered: it can only be cut */
		if (commit_batch_must_cut(&s->batch, clock_monotonic_us()))
			return session_cut(s, e);
	} else if (commit_batch_due(&s->batch, clock_monotonic_us(), publisher_bytes(s->publisher),
				    true)) {
		return session_commit(s, e);
	}
	return delivery_check(s->delivery, e);
}

static int next_packet(struct session *s, struct err *e)
{
	enum ring_state state;
	struct slice packet;

	state = ring_read(stream_ring(s->stream), &s->cursor, 0, &packet);
	if (state == RING_EMPTY && idle(s, &packet, &state, e) < 0)
		return -1;
	switch (state) {
	case RING_EVENT:
		return take_packet(s, packet, e);
	case RING_FULL:
		make_room(s);
		return 0;
	case RING_END:
		return stream_failure(s->stream, e);
	case RING_EMPTY:
		return 0;
	}
	return 0;
}

/* ---- between two source transactions -------------------------------------------------------- */

/* Begins anew, with the partitions, or the tables, that there are. */
static int begin_anew(struct session *s, const char *why, struct err *e)
{
	if (s->batch.begun_us != 0 && session_commit(s, e) < 0)
		return -1;
	return err_retry(e, "%s: beginning anew with them", why);
}

static int at_border(struct session *s, struct err *e)
{
	struct copy_place place = { &s->gtid_set, s->file, s->file_position, s->seq,
				    &s->unsettled };
	int rc;

	if (s->mysql) { /* a chunk's point is the end of the files, where no group need end */
		place.file = group_file(s->group);
		place.position = group_file_position(s->group);
	}

	if (s->open_gtid[0] == '\0' && delivery_may_grow(s->delivery, s->seq))
		return begin_anew(s, "topics have more partitions", e);
	if (s->open_gtid[0] == '\0' && session_redo_ends(s))
		return begin_anew(s, "capture.tables names other tables", e);
	rc = session_settle(s, e);
	if (rc == 0)
		rc = session_copy(s, &place, e);
	if (rc == 0 && s->open_gtid[0] == '\0')
		rc = session_reconcile(s, &place, e);
	if (rc == 0 && s->commands != NULL)
		rc = session_commands(s, e);
	if (rc < 0)
		return -1;
	if (s->batch.begun_us != 0 &&
	    commit_batch_due(&s->batch, clock_monotonic_us(), publisher_bytes(s->publisher), false))
		return session_commit(s, e);
	return 0;
}

/* What is complete becomes visible; of a group that is being delivered, the part that is. */
static int stop(struct session *s, struct err *e)
{
	notify_stopping();
	if (group_is_again(s->group) && s->seq > s->part_seq)
		return session_cut(s, e);
	if (s->batch.begun_us == 0 && !s->batch.position_moved)
		return 0;
	return session_commit(s, e);
}

/* A source that keeps the ring filled never lets idle() have its turn. What it does must be done
 * all the same: within a long group, and where nothing is captured for a long while. */
static int turn(struct session *s, struct err *e)
{
	int64_t now;

	if (++s->packets % TURN_PACKETS != 0)
		return 0;
	now = clock_monotonic_us();
	notify_watchdog();
	session_progress(s, false);
	if (leader_check(s->leader, e) < 0)
		return -1;
	if (s->seq > s->part_seq)
		return commit_batch_must_cut(&s->batch, now) ? session_cut(s, e) : 0;
	if (commit_batch_due(&s->batch, now, publisher_bytes(s->publisher), false))
		return session_commit(s, e);
	return 0;
}

int session_run(struct session *s, struct err *e)
{
	while (!stop_requested()) {
		if (turn(s, e) < 0)
			return -1;
		if (!group_open(s->group) && !group_is_again(s->group) && at_border(s, e) < 0)
			return -1;
		if (next_packet(s, e) < 0)
			return -1;
	}
	return stop(s, e);
}
