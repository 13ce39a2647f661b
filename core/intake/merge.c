/*
 * merge.c - puts the records of many partitions back into the source's order.
 *
 * One commit record is in hand at a time. It names the partitions it touched, with the number of
 * records and the last seq. Those that still owe records take part: a heap holds the seq at the
 * head of each one's queue; one whose queue is empty blocks, because its next seq isn't known. The
 * least seq goes out next; when it lies behind the source transaction's last seq, that transaction
 * is complete.
 *
 *   commit record: [ transaction, transaction, ... ]      partition 0: 4 7 9 ...
 *                  [ partition 0: 3 records, last 9 ]     partition 3: 5 (empty: blocks)
 *
 * A commit record that is `open` ends within a source transaction: its last one gets no end here
 * but in a later record, and the position stays at the commit record where it began.
 *
 * Checked: commit records follow each other without a gap in seq; their transactions fill them; a
 * partition gives exactly the records it is said to, none of another commit record, the last with
 * the last seq; offsets rise and seqs never fall. A record that is missing shows when the
 * partition's next one belongs to a later commit record: source transactions before that point may
 * have gone out, the commit record's end has not.
 */
#include "core/intake/merge.h"

#include "core/intake/merge_priv.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

#define LARGE_BYTES 65536 /* a value that may be left where it is */

static int fail_at(const struct part *p, int64_t offset, struct err *e)
{
	return err_wrap(e, "%s-%d-%" PRId64, p->topic, p->number, offset);
}

/* ---- the heap: least seq first, then least partition ---------------------------------------- */

static bool before(struct head a, struct head b)
{
	if (BUG(merge_partition) && a.part != b.part)
		return a.part < b.part;
	return a.seq != b.seq ? a.seq < b.seq : a.part < b.part;
}

static void sift_down(struct merge *m, struct head h)
{
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= m->heap_count)
			break;
		if (child + 1 < m->heap_count && before(m->heap[child + 1], m->heap[child]))
			child++;
		if (!before(m->heap[child], h))
			break;
		m->heap[at] = m->heap[child];
		at = child;
	}
	m->heap[at] = h;
}

void merge_push(struct merge *m, struct head h)
{
	size_t at = m->heap_count++;

	while (at > 0 && before(h, m->heap[(at - 1) / 2])) {
		m->heap[at] = m->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	m->heap[at] = h;
}

static void heap_pop(struct merge *m)
{
	m->heap_count--;
	if (m->heap_count > 0)
		sift_down(m, m->heap[m->heap_count]);
}

/* ---- what arrives --------------------------------------------------------------------------- */

static int check_added(struct merge *m, struct part *p, int64_t offset, int64_t seq, struct err *e)
{
	if (offset <= p->added_offset) {
		err_data(e, "an offset that doesn't rise (the one before: %" PRId64 ")",
			 p->added_offset);
		return fail_at(p, offset, e);
	}
	if (seq < p->added_seq) {
		err_data(e, "seq falls from %" PRId64 " to %" PRId64, p->added_seq, seq);
		return fail_at(p, offset, e);
	}
	if (seq <= m->done_seq) {
		err_data(e,
			 "a record with seq %" PRId64 " that no commit record up to seq %" PRId64
			 " speaks of",
			 seq, m->done_seq);
		return fail_at(p, offset, e);
	}
	return 0;
}

static int add(struct merge *m, size_t partition, int64_t offset, struct slice key,
	       struct slice value, struct err *e)
{
	struct part *p = &m->parts[partition];
	struct queue_frame f = { .offset = offset };
	bool was_empty = p->queue.bytes == 0;

	if (value.data == NULL)
		return 0;
	if (key.size >= QUEUE_RECORD_MAX || value.size >= QUEUE_RECORD_MAX) {
		err_data(e, "a record of %zu bytes", value.size);
		return fail_at(p, offset, e);
	}
	if (decode_wire_id(value, &f.schema_id, e) < 0 || decode_seq(value, &f.seq, e) < 0)
		return fail_at(p, offset, e);
	if (check_added(m, p, offset, f.seq, e) < 0)
		return -1;
	value = slice_of(value.data + DECODE_WIRE_HEADER, value.size - DECODE_WIRE_HEADER);
	if (value.size >= LARGE_BYTES && m->bytes + value.size > m->bytes_max) {
		f.away = (uint32_t)value.size;
		value.size = 0;
	}
	m->bytes -= p->queue.bytes;
	queue_add(&p->queue, &m->pool, f, key, value);
	m->bytes += p->queue.bytes;
	p->added_offset = offset;
	p->added_seq = f.seq;
	if (was_empty && p->owed > 0) {
		m->blocked--;
		merge_push(m, (struct head){ f.seq, (uint32_t)partition });
	}
	return 0;
}

int merge_add(struct merge *m, size_t partition, int64_t offset, struct slice key,
	      struct slice value, struct err *e)
{
	if (m->failure.kind != ERR_NONE) {
		*e = m->failure;
		return -1;
	}
	if (add(m, partition, offset, key, value, e) == 0)
		return 0;
	m->failure = *e;
	return -1;
}

int merge_add_commit(struct merge *m, int64_t offset, struct slice value, struct err *e)
{
	if (value.data == NULL || value.size >= QUEUE_RECORD_MAX)
		return err_data(e, "%s-0-%" PRId64 ": not a commit record", m->commits, offset);
	queue_add(&m->queue, &m->pool, (struct queue_frame){ .offset = offset }, slice_of(NULL, 0),
		  value);
	m->commits_queued++;
	return 0;
}

/* ---- handing over --------------------------------------------------------------------------- */

static bool last_transaction(const struct merge *m)
{
	return m->at + 1 >= m->commit.transaction_count;
}

static int take_record(struct merge *m, struct intake_item *item, struct err *e)
{
	struct head top = m->heap[0];
	struct part *p = &m->parts[top.part];
	const struct queue_frame *f = queue_front(&p->queue), *next;

	if (f->seq < m->begin_seq) {
		err_data(e,
			 "seq %" PRId64 " belongs to no commit record; the one at offset %" PRId64
			 " goes on at seq %" PRId64,
			 f->seq, m->offset, m->begin_seq);
		return fail_at(p, f->offset, e);
	}
	p->owed--;
	if (p->owed == 0 ? f->seq != p->last_seq : f->seq > p->last_seq) {
		err_data(e,
			 "seq %" PRId64 " with %" PRId64
			 " records to come; the commit record at offset %" PRId64
			 " says that seq %" PRId64 " is the last",
			 f->seq, p->owed, m->offset, p->last_seq);
		return fail_at(p, f->offset, e);
	}
	*item = (struct intake_item){
		.kind = INTAKE_RECORD,
		.topic = p->topic_index,
		.partition = p->number,
		.offset = f->offset,
		.seq = f->seq,
		.schema_id = f->schema_id,
		.key = queue_key(f),
		.value = queue_value(f),
		.away = f->away,
	};
	m->bytes -= f->size;
	queue_take(&p->queue);
	m->taken_from = p;
	p->next_offset = f->offset + 1;
	p->taken++;
	merge_mark(m, p);
	m->records++;
	next = p->owed > 0 ? queue_front(&p->queue) : NULL;
	if (next != NULL) {
		sift_down(m, (struct head){ next->seq, top.part });
		return 0;
	}
	m->blocked += p->owed > 0;
	heap_pop(m);
	return 0;
}

/* No partition may hold a record of this commit record any more. */
static int finish_commit(struct merge *m, struct err *e)
{
	for (size_t i = 0; i < m->part_count; i++) {
		const struct queue_frame *f = queue_front(&m->parts[i].queue);

		if (f == NULL || f->seq > m->commit.seq)
			continue;
		err_data(e,
			 "seq %" PRId64 " is one more than the commit record at offset %" PRId64
			 " speaks of",
			 f->seq, m->offset);
		return fail_at(&m->parts[i], f->offset, e);
	}
	for (size_t i = 0; i < m->touched_count; i++) {
		struct part *p = &m->parts[m->touched[i]];

		p->taken = 0;
		merge_mark(m, p);
	}
	m->touched_count = 0;
	m->done_seq = m->commit.seq;
	m->have = false;
	m->begun = true;
	return 0;
}

/* The source transaction at m->at is complete, or the commit record holds none. */
static int end_transaction(struct merge *m, struct intake_item *item, struct err *e)
{
	const struct commit_transaction *t =
		m->commit.transaction_count > 0 ? &m->commit.transactions[m->at] : NULL;
	bool last = last_transaction(m);

	if (last && finish_commit(m, e) < 0)
		return -1;
	buf_reset(&m->gtid);
	if (t != NULL)
		buf_add_str(&m->gtid, t->gtid);
	merge_stand(m, t, last);
	*item = (struct intake_item){
		.kind = INTAKE_TRANSACTION,
		.gtid = t != NULL ? buf_cstr(&m->gtid) : NULL,
		.commit_us = m->standing->position.commit_us,
		.commit_end = last,
	};
	m->begin_seq = m->end_seq + 1;
	m->at++;
	if (!last)
		m->end_seq += m->commit.transactions[m->at].changes;
	return 0;
}

/* An open commit record is through: what it began goes on in the next one. */
static int leave_open(struct merge *m, struct err *e)
{
	buf_reset(&m->open_gtid);
	buf_add_str(&m->open_gtid, m->commit.transactions[m->at].gtid);
	m->open = true;
	return finish_commit(m, e);
}

/* The least seq belongs to a later commit record, but the one in hand is still owed some. */
static int fail_missing(struct merge *m, struct err *e)
{
	const struct part *p = &m->parts[m->heap[0].part];

	err_data(e,
		 "%" PRId64 " records are missing before this one, of those that the commit "
		 "record at offset %" PRId64 " speaks of",
		 p->owed, m->offset);
	return fail_at(p, queue_front(&p->queue)->offset, e);
}

static int step(struct merge *m, struct intake_item *item, struct err *e)
{
	for (;;) {
		bool more;
		int rc;

		if (!m->have) {
			rc = merge_load(m, e);
			if (rc <= 0)
				return rc;
		}
		if (m->blocked > 0)
			return 0;
		more = m->heap_count > 0;
		if (more && m->heap[0].seq > m->commit.seq)
			return fail_missing(m, e);
		if (more && (BUG(merge_partition) || m->heap[0].seq <= m->end_seq))
			return take_record(m, item, e) < 0 ? -1 : 1;
		if (!(m->commit.open && last_transaction(m)))
			return end_transaction(m, item, e) < 0 ? -1 : 1;
		if (leave_open(m, e) < 0)
			return -1;
	}
}

int merge_next(struct merge *m, struct intake_item *ret_item, struct err *e)
{
	struct intake_item item;
	int rc;

	if (m->failure.kind != ERR_NONE) {
		*e = m->failure;
		return -1;
	}
	if (m->taken_from != NULL) {
		queue_settle(&m->taken_from->queue, &m->pool);
		m->taken_from = NULL;
	}
	rc = step(m, &item, e);
	if (rc < 0)
		m->failure = *e;
	if (rc > 0)
		*ret_item = item;
	return rc;
}

bool merge_waits_for(const struct merge *m, size_t partition)
{
	if (partition == MERGE_COMMITS)
		return !m->have;
	return m->have && m->parts[partition].owed > 0 && m->parts[partition].queue.bytes == 0;
}

size_t merge_bytes(const struct merge *m, size_t partition)
{
	return partition == MERGE_COMMITS ? m->queue.bytes : m->parts[partition].queue.bytes;
}

bool merge_has_commit(struct merge *m)
{
	return m->failure.kind != ERR_NONE || m->have || merge_load(m, &m->failure) != 0;
}

static const struct commit_transaction *next_transaction(struct merge *m)
{
	if (m->failure.kind != ERR_NONE)
		return NULL;
	if (!m->have && merge_load(m, &m->failure) <= 0)
		return NULL; /* what is wrong comes from merge_next */
	return m->at < m->commit.transaction_count ? &m->commit.transactions[m->at] : NULL;
}

const char *merge_next_gtid(struct merge *m)
{
	const struct commit_transaction *next = next_transaction(m);

	return next != NULL ? next->gtid : NULL;
}

int64_t merge_next_commit_us(struct merge *m)
{
	const struct commit_transaction *next = next_transaction(m);

	return next != NULL ? next->commit_us : 0;
}
