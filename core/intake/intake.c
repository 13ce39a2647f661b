/*
 * intake.c - feeds the merge from Kafka, no more than the memory allows.
 *
 * The consumer is asked only when the merge can't go on, and then hands over all it has: so records
 * wait in the library's queue, which is bounded, and a queue here fills only while another
 * partition is behind. A partition over its share is paused, and resumed below a quarter of it. No
 * deadlock: the partition that the merge waits for has an empty queue, so it is resumed before the
 * consumer is asked. A commit record that arrives is handed over at once; nothing waits for a
 * clock.
 *
 * A large record that is over the budget of all queues is kept without its value. When its turn
 * comes, it is read again, by itself: so as many partitions as there are may hold a large record
 * each, and only one of them is in memory. (Which one is next is only known when all have come.)
 *
 * A commit record is visible only when its records are. Where one of them doesn't come within
 * kafka.timeout although the brokers answer, the partition has no leader, or the log has lost its
 * end: ERR_RETRY, with the place.
 */
#include "core/intake/intake_priv.h"

#include "core/avro/decode.h"
#include "core/base/clock.h"

#include <inttypes.h>
#include <stdio.h>

#define ITEMS_PER_CLOCK 4096
#define AGAIN_BYTES (1024 * 1024)
#define WAIT_MS 100 /* at most, so that the tail is looked at */

static int pause_feed(struct intake *in, size_t i, bool paused, struct err *e)
{
	struct feed *f = &in->feeds[i];

	if (f->paused == paused)
		return 0;
	if (consumer_pause(in->consumer, i, paused, e) < 0)
		return -1;
	f->paused = paused;
	in->paused_count = paused ? in->paused_count + 1 : in->paused_count - 1;
	return 0;
}

static size_t bytes_of(const struct intake *in, size_t i)
{
	return merge_bytes(in->merge, i == 0 ? MERGE_COMMITS : i - 1);
}

static int resume_drained(struct intake *in, struct err *e)
{
	for (size_t i = 0; in->paused_count > 0 && i < in->feed_count; i++) {
		if (in->feeds[i].paused && bytes_of(in, i) <= in->feeds[i].bytes_max / 4 &&
		    pause_feed(in, i, false, e) < 0)
			return -1;
	}
	return 0;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int take_message(struct intake *in, const struct consumer_message *m, struct err *e)
{
	struct feed *f = &in->feeds[m->index];

	if (m->index == 0) {
		if (merge_add_commit(in->merge, m->offset, m->value, e) < 0)
			return -1;
	} else {
		if (merge_add(in->merge, m->index - 1, m->offset, m->key, m->value, e) < 0)
			return -1;
		/* offsets without a record, as far as they were counted at open */
		in->total -= least(m->offset, f->end_at_open) - least(f->next, f->end_at_open);
	}
	f->next = m->offset + 1;
	if (!f->paused && bytes_of(in, m->index) > f->bytes_max)
		return pause_feed(in, m->index, true, e);
	return 0;
}

static int take_messages(struct intake *in, int timeout_ms, size_t *ret_count, struct err *e)
{
	const struct consumer_message *messages;
	size_t count;

	if (resume_drained(in, e) < 0 ||
	    consumer_poll(in->consumer, timeout_ms, &messages, &count, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (take_message(in, &messages[i], e) < 0)
			return -1;
	}
	consumer_release(in->consumer); /* all were copied, or left where they are */
	*ret_count = count;
	return 0;
}

/* A record that the commit record in hand speaks of must come. */
static int check_waiting(struct intake *in, int64_t now_us, struct err *e)
{
	if (merge_waits_for(in->merge, MERGE_COMMITS)) {
		in->waiting_us = 0;
		return 0;
	}
	if (in->waiting_us == 0)
		in->waiting_us = now_us;
	if (now_us - in->waiting_us < in->timeout_us)
		return 0;
	for (size_t i = 1; i < in->feed_count; i++) {
		if (!merge_waits_for(in->merge, i - 1))
			continue;
		err_retry(e,
			  "%s-%d: a commit record speaks of records from offset %" PRId64
			  " on, which didn't come within %" PRId64 " s",
			  in->assigned[i].topic, in->assigned[i].partition, in->feeds[i].next,
			  in->timeout_us / 1000000);
		return err_hint(
			e,
			"Is the partition's leader up? If it has lost records, views must be rebuilt.");
	}
	return 0;
}

/* The merge has nothing: waits for more. *ret_over: the time is over and nothing came. */
static int wait_for_more(struct intake *in, int64_t deadline_us, bool *ret_over, struct err *e)
{
	int64_t now = clock_monotonic_us(), left_ms = (deadline_us - now + 999) / 1000;
	size_t count;

	*ret_over = false;
	if (left_ms > WAIT_MS)
		left_ms = WAIT_MS;
	if (take_messages(in, left_ms > 0 ? (int)left_ms : 0, &count, e) < 0)
		return -1;
	if (count > 0) {
		in->waiting_us = 0;
		return 0;
	}
	now = clock_monotonic_us();
	if (intake_tail_read(in, now, e) < 0 || check_waiting(in, now, e) < 0)
		return -1;
	*ret_over = now >= deadline_us;
	return 0;
}

/* ---- records that were not kept -------------------------------------------------------------- */

static int begin_again(struct intake *in, const struct intake_item *item, struct err *e)
{
	struct consumer_options options = { .queue_bytes_max = AGAIN_BYTES };
	struct consumer_partition at = { in->topics[item->topic], item->partition, item->offset };

	if (in->again == NULL && consumer_open(in->settings, &options, &in->again, e) < 0)
		return -1;
	in->again_busy = true;
	return consumer_assign(in->again, &at, 1, e);
}

static int check_again(const struct intake_item *item, const struct consumer_message *m,
		       struct err *e)
{
	if (m->offset != item->offset || m->value.size != item->away + DECODE_WIRE_HEADER)
		return err_data(e,
				"%s-%d-%" PRId64 ": %zu bytes at offset %" PRId64
				", it had %u when it was read before",
				m->topic, m->partition, item->offset, m->value.size, m->offset,
				item->away + DECODE_WIRE_HEADER);
	return 0;
}

static int read_again(struct intake *in, struct intake_item *item, struct err *e)
{
	int64_t until = clock_monotonic_us() + in->timeout_us;
	const struct consumer_message *messages;
	size_t count = 0;

	if (begin_again(in, item, e) < 0)
		return -1;
	while (count == 0) {
		if (consumer_poll(in->again, WAIT_MS, &messages, &count, e) < 0)
			return -1;
		if (count == 0 && clock_monotonic_us() > until)
			return err_retry(e,
					 "%s-%d-%" PRId64 ": it didn't come within %" PRId64 " s",
					 in->topics[item->topic], item->partition, item->offset,
					 in->timeout_us / 1000000);
	}
	if (check_again(item, &messages[0], e) < 0)
		return -1;
	item->value = slice_of(messages[0].value.data + DECODE_WIRE_HEADER, item->away);
	return consumer_pause(in->again, 0, true, e); /* nothing behind it is wanted */
}

/* What was read again for the item before is done with. */
static int end_again(struct intake *in, struct err *e)
{
	if (!in->again_busy)
		return 0;
	in->again_busy = false;
	return consumer_assign(in->again, NULL, 0, e);
}

int intake_next(struct intake *in, int timeout_ms, struct intake_item *ret_item, struct err *e)
{
	int64_t deadline_us = 0;
	bool over = false;

	if (end_again(in, e) < 0)
		return err_wrap(e, "intake");
	if (in->until_tail-- == 0) {
		in->until_tail = ITEMS_PER_CLOCK;
		if (intake_tail_read(in, clock_monotonic_us(), e) < 0)
			return err_wrap(e, "intake");
	}
	for (;;) {
		int rc = merge_next(in->merge, ret_item, e);

		if (rc > 0 && ret_item->kind == INTAKE_RECORD && ret_item->away > 0)
			return read_again(in, ret_item, e) < 0 ? err_wrap(e, "intake") : 0;
		if (rc > 0)
			return 0;
		if (deadline_us == 0)
			deadline_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
		if (rc < 0 || (!over && wait_for_more(in, deadline_us, &over, e) < 0))
			return err_wrap(e, "intake");
		if (over) {
			*ret_item = (struct intake_item){ .kind = INTAKE_IDLE };
			return 0;
		}
	}
}

int intake_wait(struct intake *in, int timeout_ms, struct err *e)
{
	int64_t deadline_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
	bool over = false;

	while (!merge_has_commit(in->merge) && !over)
		if (wait_for_more(in, deadline_us, &over, e) < 0)
			return err_wrap(e, "intake");
	return merge_has_commit(in->merge) ? 1 : 0;
}

void intake_share_position(const struct intake *in, size_t i, struct intake_position *ret_position)
{
	merge_share_position(in->merge, i, ret_position);
}

const struct intake_position *intake_position(const struct intake *in)
{
	return merge_position(in->merge);
}

const char *intake_next_gtid(struct intake *in)
{
	return merge_next_gtid(in->merge);
}

int64_t intake_next_commit_us(struct intake *in)
{
	return merge_next_commit_us(in->merge);
}

void intake_slowest(const struct intake *in, struct intake_slowest *ret_slowest)
{
	const struct intake_position *p = merge_position(in->merge);
	int64_t most = 0;

	*ret_slowest = (struct intake_slowest){ 0 };
	for (size_t i = 0; i < p->partition_count && i + 1 < in->feed_count; i++) {
		int64_t end = in->feeds[1 + i].end_at_open, at = p->partitions[i].offset;

		if (end - at <= most)
			continue;
		most = end - at;
		snprintf(ret_slowest->topic, sizeof(ret_slowest->topic), "%s",
			 p->partitions[i].topic);
		ret_slowest->partition = p->partitions[i].partition;
		ret_slowest->done = at;
		ret_slowest->total = end;
	}
}

const char *const *intake_copying(const struct intake *in)
{
	static const char *const none[] = { NULL };
	char **copying = merge_position(in->merge)->copying;

	return copying != NULL ? (const char *const *)copying : none;
}

int64_t intake_records(const struct intake *in)
{
	return merge_records(in->merge);
}

int64_t intake_records_total(const struct intake *in)
{
	int64_t done = merge_records(in->merge);

	return in->total > done ? in->total : done;
}

void intake_commit_offsets(struct intake *in)
{
	const struct intake_position *p = merge_position(in->merge);

	if (in->group == NULL)
		return;
	for (size_t i = 0; i < p->partition_count; i++)
		in->assigned[1 + i].offset = p->partitions[i].offset;
	in->assigned[0].offset = p->commits_offset;
	consumer_commit(in->consumer, in->assigned, in->feed_count);
}
