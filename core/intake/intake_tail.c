/*
 * intake_tail.c - how far the delivered side is, also while the intake is far behind.
 *
 * A consumer of its own reads the commits topic from shortly before its end. What it costs is a
 * look every TAIL_INTERVAL and, when there is something new, one commit record decoded: the last.
 */
#include "core/intake/intake_priv.h"

#define TAIL_INTERVAL_US 200000
#define TAIL_OFFSETS 16 /* before the end: a commit record takes two with its end mark */
#define TAIL_BYTES (1024 * 1024)
#define UNREAD_UNKNOWN TAIL_OFFSETS

int intake_tail_open(struct intake *in, const struct settings *settings, int64_t from,
		     struct err *e)
{
	struct consumer_options options = { .queue_bytes_max = TAIL_BYTES, .stop_at_end = true };
	int64_t least = in->assigned[0].offset;
	struct consumer_partition at = { in->commits, 0, from - TAIL_OFFSETS };

	if (at.offset < least) /* nothing before it is news */
		at.offset = least;
	in->tail.from = at.offset;
	in->tail.offset = -1;
	if (consumer_open(settings, &options, &in->tail.consumer, e) < 0)
		return -1;
	return consumer_assign(in->tail.consumer, &at, 1, e);
}

void intake_tail_close(struct tail *tail)
{
	consumer_close(tail->consumer);
}

/* The last of what arrived. */
static int take(struct intake *in, const struct consumer_message *m, struct err *e)
{
	struct tail *tail = &in->tail;
	struct commit_record c;

	if (records_read_commit(in->reader, m->value, &c, e) < 0)
		return err_wrap(e, "%s-0-%lld", m->topic, (long long)m->offset);
	tail->offset = m->offset;
	tail->end.seq = c.seq;
	tail->end.bytes_total = c.bytes_total;
	tail->end.transactions_total = c.transactions_total;
	if (c.transaction_count > 0)
		tail->end.commit_us = c.transactions[c.transaction_count - 1].commit_us;
	records_done_commit(&c);
	return 0;
}

int intake_tail_read(struct intake *in, int64_t now_us, struct err *e)
{
	const struct consumer_message *messages;
	size_t count;

	if (now_us - in->tail.read_us < TAIL_INTERVAL_US)
		return 0;
	in->tail.read_us = now_us;
	do {
		if (consumer_poll(in->tail.consumer, 0, &messages, &count, e) < 0)
			return -1;
		if (count > 0 && take(in, &messages[count - 1], e) < 0)
			return -1;
	} while (count > 0);
	return 0;
}

void intake_delivered(const struct intake *in, struct intake_end *ret_end)
{
	const struct intake_position *p = merge_position(in->merge);
	struct intake_end end = in->tail.end;
	/* a commit record and its end mark: two; until the tail has seen one, what lay before it */
	int64_t last = in->tail.offset >= 0 ? in->tail.offset : in->tail.from - 1,
		unread = last + 1 - in->feeds[0].next;

	/* nothing is known yet, or capture has not said yet what it is going to copy: whoever asks
	 * whether all was read must not take that for a yes */
	if (in->tail.offset < 0 && unread < UNREAD_UNKNOWN &&
	    (!consumer_at_end(in->tail.consumer) || p->commits_offset == 0))
		unread = UNREAD_UNKNOWN;
	if (in->tail.offset < 0 || end.seq <= p->seq) { /* the intake saw it first */
		end.seq = p->seq;
		end.commit_us = p->commit_us;
		if (end.bytes_total < p->bytes_total)
			end.bytes_total = p->bytes_total;
		if (end.transactions_total < p->transactions_total)
			end.transactions_total = p->transactions_total;
	}
	end.commits_behind = (int64_t)merge_commits_queued(in->merge) +
			     (unread > 0 ? (unread + 1) / 2 : 0);
	end.seen = in->tail.offset >= 0;
	*ret_end = end;
}
