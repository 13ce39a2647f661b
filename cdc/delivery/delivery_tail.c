/* delivery_tail.c - what the topics hold beside and beyond the position.
 *
 * Position and last commit record must agree: they are written together. One that lacks the other's
 * group commit was taken from somewhere else, or a topic lost its end, and going on would repeat or
 * miss changes.
 *
 * at-least-once leaves records behind that no commit record speaks of. Each partition is read from
 * the time of the last commit record on (a batched look-up finds the few that hold anything so
 * new), to its last (seq, schema id). The redo makes the same records in the same order, so all up
 * to that one are there. Not so a chunk: its rows may have changed since. Such records were alone
 * in their group commit, and are kept in a file (chunk_log.h): the rest is sent from there. Where
 * there is no such file (another host has taken over), they get a commit record of their own, and
 * the copy begins anew. */
#include "cdc/delivery/delivery_priv.h"

#include "cdc/delivery/position.h"
#include "cdc/delivery/scan.h"
#include "core/avro/decode.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/notify.h"
#include "core/base/rd.h"
#include "core/avro/read.h"

#include <inttypes.h>
#include <stdlib.h>

#define SLACK_MS 10000 /* by which brokers' and our clock may differ */
#define QUEUE_BYTES (4 * 1024 * 1024)

/* ---- tails ---------------------------------------------------------------------------------- */

void delivery_tails_free(struct delivery *d)
{
	struct tail *t, *next;

	HASH_ITER(hh, d->tails, t, next)
	{
		HASH_DEL(d->tails, t);
		free(t);
	}
}

static struct tail *tail_of(struct delivery *d, const char *topic, int32_t partition)
{
	char key[300];
	struct tail *t;
	size_t at;

	/* topic names have at most 249 characters */
	(void)snprintf(key, sizeof(key), "%d/%s", (int)partition, topic);
	HASH_FIND_STR(d->tails, key, t);
	if (t != NULL)
		return t;
	at = strcspn(key, "/") + 1;
	t = xcalloc(1, sizeof(*t) + strlen(key) + 1);
	memcpy(t->key, key, strlen(key));
	t->topic = t->key + at;
	t->partition = partition;
	HASH_ADD_STR(d->tails, key, t);
	return t;
}

void delivery_tails_of(struct delivery *d, struct delivery_topic *topic)
{
	struct tail *t;

	for (t = d->tails; t != NULL; t = t->hh.next) {
		if (strcmp(t->topic, topic->name) != 0 || t->partition >= topic->partitions)
			continue;
		if (topic->tails == NULL)
			topic->tails = xcalloc((size_t)topic->partitions, sizeof(*topic->tails));
		topic->tails[t->partition] = t;
	}
}

/* Asked in the order of the partition. */
static bool tail_has(struct tail *tail, struct slice value)
{
	struct err e = ERR_INIT;
	int64_t seq;
	int32_t id;

	if (tail->passed || decode_seq(value, &seq, &e) < 0 || decode_wire_id(value, &id, &e) < 0)
		return false;
	tail->passed = seq > tail->seq || (seq == tail->seq && id == tail->schema_id);
	return seq <= tail->seq;
}

bool delivery_is_there(struct delivery_topic *topic, int32_t partition, struct slice value)
{
	struct tail *tail = topic->tails[partition];
	bool there = tail != NULL && tail_has(tail, value);

	if (tail != NULL && tail->passed)
		topic->tails[partition] = NULL;
	return there;
}

/* ---- reading them --------------------------------------------------------------------------- */

struct reading {
	struct delivery *d;
	int64_t seq; /* of the position */
	int64_t last_seq;
	char again[256]; /* transaction of records that can't be made again; "" */
};

static bool is_made_anew(const char *transaction)
{
	return strncmp(transaction, "snapshot:", 9) == 0 ||
	       strncmp(transaction, "reconcile:", 10) == 0 ||
	       strncmp(transaction, "parked:", 7) == 0;
}

/* Rows and events alike: seq first, then the source transaction. */
static void read_transaction(struct slice value, char *ret_text, size_t size)
{
	struct rd in =
		rd_from(slice_of(value.data + DECODE_WIRE_HEADER, value.size - DECODE_WIRE_HEADER));
	struct slice text;

	(void)read_long(&in);
	text = read_bytes(&in);
	(void)snprintf(ret_text, size, "%.*s", rd_ok(&in) ? (int)text.size : 0,
		       rd_ok(&in) ? (const char *)text.data : ""); /* a longer one is cut */
}

static int take(struct reading *r, const struct consumer_message *m, struct err *e)
{
	char transaction[256];
	struct tail *tail;
	int64_t seq;
	int32_t id;

	if (m->value.data == NULL)
		return 0;
	if (decode_wire_id(m->value, &id, e) < 0 || decode_seq(m->value, &seq, e) < 0)
		return err_wrap(e, "topic %s, partition %d, offset %" PRId64, m->topic,
				(int)m->partition, m->offset);
	if (seq <= r->seq)
		return 0;
	tail = tail_of(r->d, m->topic, m->partition);
	tail->seq = seq;
	tail->schema_id = id;
	tail->records++;
	if (seq > r->last_seq)
		r->last_seq = seq;
	read_transaction(m->value, transaction, sizeof(transaction));
	if (is_made_anew(transaction))
		memcpy(r->again, transaction, sizeof(r->again));
	return 0;
}

static int read_tails(struct reading *r, const struct consumer_partition *partitions, size_t count,
		      struct err *e)
{
	struct consumer_options options = { .queue_bytes_max = QUEUE_BYTES,
					    .partitions = (int64_t)count,
					    .stop_at_end = true };
	struct consumer *consumer = NULL;
	int rc;

	if (consumer_open(r->d->settings, &options, &consumer, e) < 0)
		return -1;
	rc = consumer_assign(consumer, partitions, count, e);
	while (rc == 0 && !consumer_at_end(consumer)) {
		const struct consumer_message *messages;
		size_t got = 0;

		notify_watchdog();
		rc = consumer_poll(consumer, 1000, &messages, &got, e);
		for (size_t i = 0; i < got && rc == 0; i++)
			rc = take(r, &messages[i], e);
	}
	consumer_close(consumer);
	return rc;
}

/* ---- which partitions ----------------------------------------------------------------------- */

struct places {
	char **names; /* of topics; partitions point to them */
	size_t name_count;
	struct admin_offset *items;
	size_t count;
};

static void places_done(struct places *p)
{
	for (size_t i = 0; i < p->name_count; i++)
		free(p->names[i]);
	free(p->names);
	free(p->items);
}

/* The topics of the fingerprint: "topic <name> partitions=<n>". */
static void add_places(struct places *p, const char *fingerprint)
{
	for (const char *line = fingerprint; *line != '\0';) {
		size_t n = strcspn(line, "\n");
		char name[256];
		int partitions;

		if (n < 400 && sscanf(line, "topic %255s partitions=%d", name, &partitions) == 2 &&
		    partitions > 0) {
			p->names = xrealloc(p->names, (p->name_count + 1) * sizeof(*p->names));
			p->names[p->name_count++] = xstrdup(name);
			p->items = xrealloc(p->items,
					    (p->count + (size_t)partitions) * sizeof(*p->items));
			for (int32_t i = 0; i < partitions; i++)
				p->items[p->count++] =
					(struct admin_offset){ p->names[p->name_count - 1], i, -1 };
		}
		line += n + (line[n] != '\0');
	}
}

static int gone(const char *name, const char *what, struct err *e)
{
	err_config(e, "topic %s %s since it was written to", name, what);
	return err_hint(
		e, "What was delivered to it is lost. Restore it, or begin anew with another "
		   "millrace.name (or, for an event's topic, another event), or, if nothing of "
		   "it is missed, set capture.adopt = on to go on without it.");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A data topic that was deleted must not be made anew in silence. */
static int check_there(struct delivery *d, const struct places *p, struct err *e)
{
	const char *missing = NULL;
	char **names = NULL;
	size_t count = 0;

	if (d->settings->capture_adopt)
		return 0;
	if (admin_list(d->admin, "", &names, &count, e) < 0)
		return -1;
	qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 0; i < p->name_count && missing == NULL; i++)
		if (bsearch(&p->names[i], names, count, sizeof(*names), by_name) == NULL)
			missing = p->names[i];
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return missing == NULL ? 0 : gone(missing, "was deleted", e);
}

/* The partitions that the last commit record touched held records then. */
static int check_touched(struct delivery *d, const struct commit_record *last, struct err *e)
{
	for (size_t i = 0; i < last->partition_count && !d->settings->capture_adopt; i++) {
		const struct commit_touched *t = &last->partitions[i];
		int64_t low, high;

		if (admin_watermarks(d->admin, t->topic, t->partition, &low, &high, e) < 0)
			return -1;
		if (high < t->records)
			return gone(t->topic, "has lost its records", e);
	}
	return 0;
}

static int find_places(struct delivery *d, const struct places *p, int64_t ms,
		       struct consumer_partition **ret_partitions, size_t *ret_count, struct err *e)
{
	struct consumer_partition *found;
	size_t count = 0;

	if (admin_offsets_at(d->admin, ms, p->items, p->count, e) < 0)
		return -1;
	found = xcalloc(p->count + 1, sizeof(*found));
	for (size_t i = 0; i < p->count; i++)
		if (p->items[i].offset >= 0)
			found[count++] = (struct consumer_partition){ p->items[i].topic,
								      p->items[i].partition,
								      p->items[i].offset };
	*ret_partitions = found;
	*ret_count = count;
	return 0;
}

static int find_tails(struct reading *r, const struct places *p, int64_t at_us, struct err *e)
{
	struct consumer_partition *partitions;
	int64_t ms = at_us / 1000 - SLACK_MS;
	size_t count;
	int rc = 0;

	if (find_places(r->d, p, ms > 0 ? ms : 0, &partitions, &count, e) < 0)
		return -1;
	if (count > 0)
		rc = read_tails(r, partitions, count, e);
	free(partitions);
	return rc;
}

/* ---- a chunk that was kept ------------------------------------------------------------------ */

static int send_one(struct delivery *d, const struct chunk_record *r, struct err *e)
{
	struct producer_topic *topic = strcmp(r->topic, CHUNK_LOG_COMMIT) == 0     ? d->commits
				       : strcmp(r->topic, CHUNK_LOG_POSITION) == 0 ? d->position
										   : NULL;

	if (topic == NULL && tail_has(tail_of(d, r->topic, r->partition), r->value))
		return 0;
	if (topic == NULL)
		topic = producer_topic(d->producer, r->topic);
	else if (topic == d->commits && producer_flush(d->producer, e) < 0)
		return -1;
	return producer_send(d->producer, topic, r->partition, r->key, r->value, e);
}

/* 1: its group commit is there now, but for the position; 0: it isn't kept. */
static int complete_chunk(struct delivery *d, const struct reading *r, struct err *e)
{
	struct chunk_record record;
	struct chunk_log *log = NULL;
	int rc = d->exactly_once ? 0 : chunk_log_open(d->settings, &log, e);

	if (log == NULL || !chunk_log_is_of(log, r->again, r->seq)) {
		chunk_log_free(log);
		return rc;
	}
	while ((rc = chunk_log_next(log, &record, e)) > 0) {
		notify_watchdog();
		if (send_one(d, &record, e) < 0)
			break;
	}
	chunk_log_free(log);
	if (rc != 0 || producer_flush(d->producer, e) < 0)
		return -1;
	return 1;
}

/* ---- records that can't be made again ------------------------------------------------------- */

/* What came of this chunk would come again, and not be taken back where rows were deleted
 * meanwhile. A first copy that has chunks, and no key that it has come to, begins anew with an op t
 * (cdc/copy/copy.c). */
static void begin_copy_anew(struct position_record *position, const char *transaction)
{
	for (size_t i = 0; i < position->copy_count; i++) {
		struct position_copy *c = &position->copies[i];
		char *name;

		if (c->done || strcmp(c->kind, "first") != 0)
			continue;
		name = xasprintf("snapshot:%s.%s:%" PRId64, c->db, c->table, c->chunks + 1);
		if (strcmp(name, transaction) == 0) {
			c->chunks++;
			c->last_key = (struct record_texts){ NULL, 0 };
		}
		free(name);
	}
}

static int commit_orphans(struct delivery *d, const struct reading *r,
			  struct position_record *position, struct err *e)
{
	struct commit_transaction transaction = { r->again, r->last_seq - position->seq,
						  position->commit_us };
	size_t count = HASH_COUNT(d->tails), i = 0;
	struct publish_touched *touched = xcalloc(count + 1, sizeof(*touched));
	struct commit_record commit = {
		.seq = r->last_seq,
		.first_seq = position->seq + 1,
		.at_us = clock_now_us(),
		.bytes_total = position->bytes_total,
		.transactions_total = position->transactions_total,
		.gtid_set = position->gtid_set,
		.transactions = &transaction,
		.transaction_count = 1,
		.unchanged = true,
	};
	int rc;

	for (const struct tail *t = d->tails; t != NULL; t = t->hh.next)
		touched[i++] =
			(struct publish_touched){ t->topic, t->partition, t->records, t->seq };
	log_warning("capture",
		    "%s was delivered in part, and is not kept here: what it is of comes again "
		    "behind seq %" PRId64,
		    r->again, r->last_seq);
	position->seq = r->last_seq;
	begin_copy_anew(position, r->again);
	rc = delivery_commit(d, &commit, position, touched, count, e);
	free(touched);
	delivery_tails_free(d);
	return rc;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int disagree(const struct delivery *d, const struct position_record *position,
		    const struct commit_record *last, struct err *e)
{
	if (last->seq > position->seq)
		err_config(e,
			   "topic %s.position says seq %" PRId64
			   ", but %s.commits goes on to %" PRId64
			   ": the position is older than what was delivered",
			   d->settings->name, position->seq, d->settings->name, last->seq);
	else
		err_config(e,
			   "topic %s.commits ends at seq %" PRId64 ", but %s.position says %" PRId64
			   ": commit records were lost",
			   d->settings->name, last->seq, d->settings->name, position->seq);
	return err_hint(e, "Restore both topics as they were, or begin anew with another "
			   "millrace.name (and new topics for the events).");
}

static int deliver_again(struct delivery *d, const struct reading *r,
			 struct position_record *position, struct err *e)
{
	int rc = complete_chunk(d, r, e);

	if (rc == 0)
		return commit_orphans(d, r, position, e);
	return rc < 0 ? -1 : err_retry(e, "%s is delivered: beginning anew behind it", r->again);
}

static int resume_tails(struct delivery *d, struct position_stored *stored,
			const struct commit_record *last, struct err *e)
{
	struct reading r = { .d = d, .seq = stored->position.seq };
	struct places places = { NULL, 0, NULL, 0 };
	int rc;

	add_places(&places, stored->position.fingerprint);
	rc = check_there(d, &places, e);
	if (rc == 0)
		rc = check_touched(d, last, e);
	if (rc == 0 && (!d->exactly_once || position_was_in_steps(stored)))
		rc = find_tails(&r, &places, last->at_us, e);
	if (rc == 0 && r.again[0] != '\0')
		rc = deliver_again(d, &r, &stored->position, e);
	else if (rc == 0 && HASH_COUNT(d->tails) > 0)
		log_info("capture", "records up to seq %" PRId64 " are there beyond the position",
			 r.last_seq);
	places_done(&places);
	if (stored->position.open_gtid != NULL || HASH_COUNT(d->tails) > 0)
		d->stored = xstrdup(stored->position.fingerprint);
	d->kept_seq = r.last_seq;
	return rc;
}

static int resume(struct delivery *d, struct position_stored *stored,
		  const struct commit_record *last, struct err *e)
{
	bool completed = position_has_next(stored, last);

	if (completed)
		position_take_next(stored);
	d->writer = position_writer_new(d->settings->name, d->position_id, stored, d->exactly_once);
	for (size_t i = 0; i < stored->parked_count; i++)
		parked_know(d->parked, &stored->parked[i]);
	if (completed && delivery_position(d, &stored->position, e) < 0)
		return -1;
	if (!stored->found)
		return 0;
	if (last->seq != stored->position.seq)
		return disagree(d, &stored->position, last, e);
	return resume_tails(d, stored, last, e);
}

int delivery_resume(struct delivery *d, struct position_stored *stored, struct err *e)
{
	struct commit_record last = { .gtid_set = "" };
	bool found = false;
	int rc;

	if (position_last_commit(d->settings, d->admin, d->registry, &found, &last, e) < 0)
		return -1;
	rc = resume(d, stored, &last, e);
	if (found)
		records_done_commit(&last);
	return rc;
}
