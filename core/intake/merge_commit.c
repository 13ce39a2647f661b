/*
 * merge_commit.c - making a merge, and taking the next commit record in hand.
 *
 * A commit record is decoded only when its turn comes; until then it waits as bytes. Its lists are
 * checked before anything is changed. The first one after a resume may be partly handed over: the
 * position says how many records of each partition, and up to which seq.
 */
#include "core/intake/merge_priv.h"

#include "core/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

#define CHUNK_BYTES (32 * 1024)

/* ---- topics --------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct topic *const *)a)->name, (*(struct topic *const *)b)->name);
}

static int name_against(const void *name, const void *topic)
{
	return strcmp(name, (*(struct topic *const *)topic)->name);
}

static struct topic *find_topic(struct merge *m, const char *name)
{
	struct topic **found;

	if (m->last_topic != NULL && strcmp(m->last_topic->name, name) == 0)
		return m->last_topic;
	found = bsearch(name, m->by_name, m->topic_count, sizeof(*m->by_name), name_against);
	if (found == NULL)
		return NULL;
	m->last_topic = *found;
	return *found;
}

static size_t part_of(const struct topic *t, int32_t partition)
{
	return t->part_of != NULL ? t->part_of[partition] : t->first + (size_t)partition;
}

static void name_parts(struct merge *m)
{
	for (size_t i = 0, k = 0; i < m->topic_count; i++) {
		for (int32_t n = 0; n < m->topics[i].partitions; n++, k++) {
			m->parts[k].topic = m->topics[i].name;
			m->parts[k].topic_index = i;
			m->parts[k].number = n;
			m->parts[k].added_offset = -1;
		}
	}
}

static void add_topics(struct merge *m, const struct merge_options *options)
{
	m->topic_count = options->topic_count;
	m->topics = xcalloc(m->topic_count + 1, sizeof(*m->topics));
	m->by_name = xcalloc(m->topic_count + 1, sizeof(*m->by_name));
	for (size_t i = 0; i < m->topic_count; i++) {
		m->topics[i] = (struct topic){ xstrdup(options->topics[i].name), i, m->part_count,
					       options->topics[i].partitions, NULL };
		m->by_name[i] = &m->topics[i];
		m->part_count += (size_t)options->topics[i].partitions;
	}
	qsort(m->by_name, m->topic_count, sizeof(*m->by_name), by_name);
	if (options->only != NULL)
		m->part_count = options->only_count;
	m->parts = xcalloc(m->part_count + 1, sizeof(*m->parts));
	m->touched = xcalloc(m->part_count + 1, sizeof(*m->touched));
	m->marked = xcalloc(m->part_count + 1, sizeof(*m->marked));
	m->heap = xcalloc(m->part_count + 1, sizeof(*m->heap));
	if (options->only == NULL)
		name_parts(m);
}

static int resume(struct merge *m, const struct intake_position *from, struct err *e)
{
	m->done_seq = from->seq;
	for (size_t i = 0; i < from->partition_count; i++) {
		const struct intake_partition *at = &from->partitions[i];
		const struct topic *topic = find_topic(m, at->topic);
		struct part *p;

		if (topic == NULL || at->partition < 0 || at->partition >= topic->partitions)
			return err_data(e, "position: %s-%d is not among the partitions to read",
					at->topic, at->partition);
		p = &m->parts[topic->first + (size_t)at->partition];
		p->next_offset = at->offset;
		p->added_offset = at->offset - 1;
		p->taken = at->taken;
	}
	return 0;
}

/* ---- some partitions only ------------------------------------------------------------------- */

static bool is_before(const struct intake_position *a, const struct intake_position *b)
{
	return a->seq != b->seq ? a->seq < b->seq : a->commits_offset < b->commits_offset;
}

static int share_resume(struct part *p, const struct intake_position *from, struct err *e)
{
	const struct intake_partition *at = &from->partitions[0];

	if (from->partition_count != 1 || strcmp(at->topic, p->topic) != 0 ||
	    at->partition != p->number)
		return err_data(e, "position of %s-%d: it is of another partition", p->topic,
				p->number);
	intake_position_copy(from, &p->from);
	p->next_offset = at->offset;
	p->added_offset = at->offset - 1;
	p->taken = at->taken;
	p->from_commit = from->commits_offset;
	return 0;
}

/* *ret_least: the position furthest back, where the merge begins; NULL: the beginning. */
static int add_shares(struct merge *m, const struct merge_options *options,
		      const struct intake_position **ret_least, struct err *e)
{
	const struct intake_position *least = options->only[0].from;

	m->shares = true;
	for (size_t i = 0; i < m->topic_count; i++) {
		struct topic *t = &m->topics[i];

		t->part_of = xcalloc((size_t)t->partitions + 1, sizeof(*t->part_of));
		for (int32_t n = 0; n < t->partitions; n++)
			t->part_of[n] = NOT_WANTED;
	}
	for (size_t i = 0; i < options->only_count; i++) {
		const struct intake_share *s = &options->only[i];
		struct topic *t = &m->topics[s->topic];

		if (s->partition < 0 || s->partition >= t->partitions)
			return err_data(e, "%s-%d is not among the partitions to read", t->name,
					s->partition);
		t->part_of[s->partition] = i;
		m->parts[i].topic = t->name;
		m->parts[i].topic_index = s->topic;
		m->parts[i].number = s->partition;
		m->parts[i].added_offset = -1;
		if (s->from != NULL && share_resume(&m->parts[i], s->from, e) < 0)
			return -1;
		if (s->from == NULL || (least != NULL && is_before(s->from, least)))
			least = s->from;
	}
	m->done_seq = least != NULL ? least->seq : 0;
	*ret_least = least;
	return 0;
}

void merge_share_position(const struct merge *m, size_t i, struct intake_position *ret_position)
{
	const struct intake_position *p = merge_position(m);
	const struct part *part = &m->parts[i];

	if (part->from.partition_count > 0 && is_before(p, &part->from)) {
		*ret_position = part->from;
		return;
	}
	*ret_position = *p;
	ret_position->partitions = &p->partitions[i];
	ret_position->partition_count = 1;
}

int merge_new(const struct merge_options *options, struct merge **ret_merge, struct err *e)
{
	const struct intake_position *from = options->from;
	struct merge *m = xcalloc(1, sizeof(*m));

	m->commits = xstrdup(options->commits);
	m->reader = options->reader;
	m->pool.chunk_size = options->chunk_bytes != 0 ? options->chunk_bytes : CHUNK_BYTES;
	m->pool.free_max = 64;
	m->bytes_max = options->bytes_max != 0 ? options->bytes_max : SIZE_MAX;
	add_topics(m, options);
	if (options->only != NULL ? add_shares(m, options, &from, e) < 0
				  : from != NULL && resume(m, from, e) < 0) {
		merge_free(m);
		return -1;
	}
	m->begun = from == NULL;
	m->standing = merge_standing_new(m, from);
	*ret_merge = m;
	return 0;
}

void merge_free(struct merge *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->part_count; i++) {
		queue_done(&m->parts[i].queue);
		intake_position_done(&m->parts[i].from);
	}
	for (size_t i = 0; i < m->topic_count; i++) {
		free(m->topics[i].name);
		free(m->topics[i].part_of);
	}
	queue_done(&m->queue);
	queue_pool_done(&m->pool);
	records_done_commit(&m->commit);
	gtid_set_done(&m->commit_gtids);
	merge_standing_free(m->standing);
	buf_done(&m->open_gtid);
	buf_done(&m->gtid);
	free(m->commits);
	free(m->topics);
	free(m->by_name);
	free(m->parts);
	free(m->touched);
	free(m->marked);
	free(m->heap);
	free(m);
}

size_t merge_partition_count(const struct merge *m)
{
	return m->part_count;
}

size_t merge_partition(const struct merge *m, size_t topic, int32_t partition)
{
	return part_of(&m->topics[topic], partition);
}

size_t merge_partition_place(const struct merge *m, size_t partition, int32_t *ret_number)
{
	*ret_number = m->parts[partition].number;
	return m->parts[partition].topic_index;
}

int64_t merge_next_offset(const struct merge *m, size_t partition)
{
	return m->parts[partition].next_offset;
}

size_t merge_commits_queued(const struct merge *m)
{
	return m->commits_queued + m->have;
}

int64_t merge_records(const struct merge *m)
{
	return m->records;
}

/* ---- commit records ------------------------------------------------------------------------- */

static int check_transactions(const struct merge *m, const struct commit_record *c, struct err *e)
{
	int64_t left = c->seq - c->first_seq + 1;

	for (size_t i = 0; i < c->transaction_count; i++) {
		int64_t n = c->transactions[i].changes;

		/* only the rest of an open one may be empty */
		if (n < 0 || n > left || (n == 0 && (i > 0 || (m->begun && !m->open))))
			return err_data(e,
					"source transaction %s with %" PRId64 " changes of %" PRId64
					" left",
					c->transactions[i].gtid, n, left);
		left -= n;
	}
	if (left != 0)
		return err_data(e, "%" PRId64 " changes of no source transaction", left);
	if (c->open && c->transaction_count == 0)
		return err_data(e, "open without a source transaction");
	if (m->open && (c->transaction_count == 0 ||
			!slice_is(buf_slice(&m->open_gtid), c->transactions[0].gtid)))
		return err_data(e,
				"it doesn't go on with the source transaction that was left open");
	return 0;
}

static int check_commit(const struct merge *m, const struct commit_record *c, struct err *e)
{
	if (c->first_seq < 1 || c->seq < c->first_seq - 1 || c->seq > INT64_MAX - 1)
		return err_data(e, "seq %" PRId64 " to %" PRId64 " is no range", c->first_seq,
				c->seq);
	if (m->begun ? c->first_seq != m->done_seq + 1
		     : c->first_seq > m->done_seq + 1 || c->seq < m->done_seq)
		return err_data(e,
				"it begins at seq %" PRId64 ", but everything up to %" PRId64
				" was there before",
				c->first_seq, m->done_seq);
	return check_transactions(m, c, e);
}

/* One partition that takes part. */
static int involve(struct merge *m, const struct commit_record *c, const struct commit_touched *t,
		   const struct topic *topic, struct err *e)
{
	const struct queue_frame *front;
	struct part *p;

	if (t->partition < 0)
		return err_data(e, "%s has no partition %d", t->topic, t->partition);
	if (t->partition >= topic->partitions) {
		err_retry(e, "%s has a new partition, %d", t->topic, t->partition);
		return -1; /* opening anew finds it */
	}
	if (part_of(topic, t->partition) == NOT_WANTED)
		return 0;
	p = &m->parts[part_of(topic, t->partition)];
	if (m->shares && queue_front(&m->queue)->offset < p->from_commit)
		return 0; /* it is further on */
	if (p->owed > 0)
		return err_data(e, "%s-%d stands twice in it", t->topic, t->partition);
	if (t->records < p->taken || t->last_seq < c->first_seq || t->last_seq > c->seq)
		return err_data(e, "%s-%d with %" PRId64 " records up to seq %" PRId64 " can't be",
				t->topic, t->partition, t->records, t->last_seq);
	if (m->touched_count == m->part_count)
		return err_data(e, "%s-%d stands twice in it", t->topic, t->partition);
	m->touched[m->touched_count++] = (size_t)(p - m->parts);
	p->owed = t->records - p->taken;
	p->last_seq = t->last_seq;
	front = queue_front(&p->queue);
	if (p->owed > 0 && front != NULL)
		merge_push(m, (struct head){ front->seq, (uint32_t)(p - m->parts) });
	else if (p->owed > 0)
		m->blocked++;
	return 0;
}

static int involve_all(struct merge *m, const struct commit_record *c, struct err *e)
{
	m->touched_count = 0;
	m->heap_count = 0;
	m->blocked = 0;
	for (size_t i = 0; i < c->partition_count; i++) {
		const struct commit_touched *t = &c->partitions[i];
		const struct topic *topic = t->records > 0 ? find_topic(m, t->topic) : NULL;

		if (topic != NULL && involve(m, c, t, topic, e) < 0)
			return -1;
	}
	for (size_t i = 0; !m->begun && i < m->part_count; i++) {
		const struct part *p = &m->parts[i];
		bool involved = p->from_commit > queue_front(&m->queue)->offset;

		for (size_t k = 0; p->taken > 0 && k < m->touched_count; k++)
			involved = involved || m->touched[k] == i;
		if (p->taken > 0 && !involved)
			return err_data(
				e, "the position speaks of its records in %s-%d, where it has none",
				p->topic, p->number);
	}
	return 0;
}

static void begin(struct merge *m)
{
	const struct commit_record *c = &m->commit;

	m->at = 0;
	m->begin_seq = c->first_seq;
	m->end_seq = c->first_seq - 1 + (c->transaction_count > 0 ? c->transactions[0].changes : 0);
	while (!m->begun && m->end_seq <= m->done_seq && m->at + 1 < c->transaction_count) {
		m->begin_seq = m->end_seq + 1;
		m->end_seq += c->transactions[++m->at].changes;
	}
	m->open = false;
	m->have = true;
}

/* The schema gate holds a topic: what belongs into it is kept elsewhere until somebody decides. Who
 * reads it stands before the first group commit that lacks some of it; others go on. */
static int check_held(struct merge *m, const struct commit_record *c, struct err *e)
{
	for (size_t i = 0; i < c->held.count; i++) {
		if (find_topic(m, c->held.items[i]) == NULL)
			continue;
		err_retry(e, "%s is held by the schema gate from seq %" PRId64 " on",
			  c->held.items[i], c->first_seq);
		return err_hint(e, "`millrace run` says which schema its readers could not read. "
				   "This reader goes on when the topic is released.");
	}
	return 0;
}

int merge_load(struct merge *m, struct err *e)
{
	const struct queue_frame *f = queue_front(&m->queue);
	struct commit_record c;

	if (f == NULL)
		return 0;
	if (records_read_commit(m->reader, queue_value(f), &c, e) < 0)
		return err_wrap(e, "%s-0-%" PRId64, m->commits, f->offset);
	if (check_held(m, &c, e) < 0 || check_commit(m, &c, e) < 0 ||
	    gtid_set_parse(slice_str(c.gtid_set), &m->commit_gtids, e) < 0 ||
	    involve_all(m, &c, e) < 0) {
		records_done_commit(&c);
		return err_wrap(e, "commit record %s-0-%" PRId64, m->commits, f->offset);
	}
	records_done_commit(&m->commit);
	m->commit = c;
	m->offset = f->offset;
	queue_take(&m->queue);
	queue_settle(&m->queue, &m->pool);
	m->commits_queued--;
	begin(m);
	return 1;
}
