/* delivery.c - the Kafka side of capture: topics, group commits, commit and position records.
 *
 * exactly-once: everything that becomes visible together goes through one transactional producer,
 * in one thread. The position is the last record of a transaction: it can never name what was not
 * delivered. Between a commit and the next transaction lie 3 ms, taken out of the time to encode,
 * not added to it.
 *
 * at-least-once: the same records without a transaction, each step acknowledged before the next:
 *
 *   records, and the position as "next"     void until its commit record is there
 *   commit record                           from here on the group commit counts
 *   position
 *
 * A start that finds a commit record with its "next" behind it makes that the position. What the
 * partitions hold beyond the position is read back (delivery_tail.c) and not sent again.
 *
 * The brokers' limit for a batch is the topic's. A topic whose limit is below the batches that the
 * producer makes lets the session begin anew with smaller ones: the size is the producer's, for all
 * topics. */
#include "cdc/delivery/delivery_priv.h"

#include "cdc/delivery/position.h"
#include "cdc/delivery/scan.h"
#include "core/avro/write.h"
#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH_MIN 16384

static int64_t batch_max = PRODUCER_BATCH_MAX; /* outlives a session; one thread */

char *delivery_topic_name(const struct settings *settings, const char *kind)
{
	return xasprintf("%s.%s", settings->name, kind);
}

static int begin(struct delivery *d, struct err *e)
{
	int64_t wait = d->committed_us + DELIVERY_GAP_US - clock_monotonic_us();

	if (d->open)
		return 0;
	if (d->exactly_once) {
		if (wait > 0)
			clock_sleep_us(wait);
		if (producer_begin(d->producer, e) < 0)
			return -1;
	}
	d->open = true;
	if (d->begun != NULL)
		d->begun(d->begun_context);
	return 0;
}

/* ---- topics --------------------------------------------------------------------------------- */

/* Largest record that the topic takes. *max: its max.message.bytes where that is known, else 0. */
static int read_limit(struct delivery *d, const char *topic, int64_t *max, struct err *e)
{
	int64_t limit = *max;

	if (limit == 0 && admin_message_max(d->admin, topic, &limit, e) < 0)
		return -1;
	if (limit < BATCH_MIN + PRODUCER_RECORD_FRAME) {
		err_config(e, "topic %s takes no more than %" PRId64 " bytes at once", topic,
			   limit);
		return err_hint(e, "Set its max.message.bytes to 1048576 or more.");
	}
	limit -= PRODUCER_RECORD_FRAME;
	if (limit < producer_batch_max(d->producer)) {
		batch_max = limit;
		return err_retry(e,
				 "topic %s takes batches of %" PRId64
				 " bytes: beginning anew with smaller ones",
				 topic, limit);
	}
	*max = limit < producer_record_max(d->producer) ? limit : producer_record_max(d->producer);
	return 0;
}

/* A redo must put each record where it was put before. */
static int32_t partitions_used(struct delivery *d, const char *name, int32_t partitions)
{
	int32_t stored = d->stored != NULL ? position_partitions(d->stored, name) : 0;

	if (stored <= 0 || stored >= partitions)
		return partitions;
	log_warning("capture",
		    "topic %s has %d partitions now: the source transaction in hand is delivered "
		    "to the first %d",
		    name, partitions, stored);
	d->kept = true;
	return stored;
}

const char *delivery_redo(const struct delivery *d)
{
	return d->stored;
}

bool delivery_redone(const struct delivery *d, int64_t seq)
{
	return seq >= d->kept_seq;
}

bool delivery_may_grow(const struct delivery *d, int64_t seq)
{
	return d->kept && delivery_redone(d, seq);
}

static int sink_topic(void *context, const char *name, struct publish_topic **ret_topic,
		      int32_t *ret_partitions, struct err *e)
{
	struct delivery *d = context;
	const struct settings *s = d->settings;
	struct delivery_topic *t;
	const struct ensured *ensured;
	int32_t partitions;
	int64_t max = 0;

	HASH_FIND_STR(d->ensured, name, ensured);
	if (ensured != NULL) {
		partitions = ensured->partitions;
		max = ensured->message_max;
	} else if (admin_ensure_topic(d->admin, name, TOPIC_HISTORY, (int32_t)s->kafka_partitions,
				      s->capture_history, &partitions, e) < 0) {
		return -1;
	}
	if (read_limit(d, name, &max, e) < 0)
		return -1;
	partitions = partitions_used(d, name, partitions);
	t = xcalloc(1, sizeof(*t));
	t->topic = producer_topic(d->producer, name);
	t->name = producer_topic_name(t->topic);
	t->partitions = partitions;
	t->record_max = max;
	t->next = d->data;
	d->data = t;
	delivery_tails_of(d, t);
	buf_add_format(&d->topics, "topic %s partitions=%d\n", name, partitions);
	*ret_topic = (struct publish_topic *)t;
	*ret_partitions = partitions;
	return 0;
}

int delivery_topics(struct delivery *d, const char *const *names, size_t count, struct err *e)
{
	const struct settings *s = d->settings;
	int32_t *partitions = xcalloc(count + 1, sizeof(*partitions));
	int64_t *limits = xcalloc(count + 1, sizeof(*limits));
	int rc = admin_ensure_topics(d->admin, names, count, TOPIC_HISTORY,
				     (int32_t)s->kafka_partitions, s->capture_history, partitions,
				     limits, e);

	for (size_t i = 0; i < count && rc == 0; i++) {
		struct ensured *t;

		HASH_FIND_STR(d->ensured, names[i], t);
		if (t != NULL)
			continue;
		t = xcalloc(1, sizeof(*t));
		t->name = xstrdup(names[i]);
		t->partitions = partitions[i];
		t->message_max = limits[i];
		HASH_ADD_KEYPTR(hh, d->ensured, t->name, strlen(t->name), t);
	}
	free(limits);
	free(partitions);
	return rc;
}

void delivery_topics_done(struct delivery *d)
{
	struct ensured *t, *next;

	HASH_ITER(hh, d->ensured, t, next)
	{
		HASH_DEL(d->ensured, t);
		free(t->name);
		free(t);
	}
}

static int log_record(struct delivery *d, const char *topic, int32_t partition, struct slice key,
		      struct slice value, struct err *e)
{
	const struct chunk_record record = { topic, partition, key, value };

	if (d->log == NULL && chunk_log_new(d->settings, &d->log, e) < 0)
		return -1;
	return chunk_log_add(d->log, &record, e);
}

static int sink_send(void *context, struct publish_topic *topic, int32_t partition,
		     struct slice key, struct slice value, struct err *e)
{
	struct delivery_topic *t = (struct delivery_topic *)topic;
	struct delivery *d = context;

	if (!d->open && begin(d, e) < 0)
		return -1;
	if (t->tails != NULL && delivery_is_there(t, partition, value))
		return 0;
	if (d->chunk)
		return log_record(d, t->name, partition, key, value, e);
	return producer_send(d->producer, t->topic, partition, key, value, e);
}

static int sink_schema(void *context, const char *subject, const char *text, int32_t *ret_id,
		       struct err *e)
{
	return registry_register(((struct delivery *)context)->registry, subject, text, ret_id, e);
}

static int64_t sink_record_max(void *context, const struct publish_topic *topic)
{
	(void)context;
	return ((const struct delivery_topic *)topic)->record_max;
}

static int sink_park(void *context, const struct publish_parked *record, struct buf *ret_where,
		     struct err *e)
{
	const struct delivery_topic *t = (const struct delivery_topic *)record->topic;
	const struct tail *tail = t->tails != NULL ? t->tails[record->partition] : NULL;
	struct delivery *d = context;

	if (!d->open && begin(d, e) < 0)
		return -1;
	/* its stand-in is there, and says where the pieces are: they must stay */
	if (record->stand_in && tail != NULL && record->seq <= tail->seq)
		return 0;
	return parked_put(d->parked, record, ret_where, e);
}

static bool sink_blocks(void *context, const struct publish_topic *topic, struct slice key)
{
	return parked_blocks(((struct delivery *)context)->parked,
			     ((const struct delivery_topic *)topic)->name, key);
}

/* One of our own topics: one partition; its schema; its handle. */
static int own_topic(struct delivery *d, const char *kind, enum topic_keep keep,
		     enum record_kind record, struct producer_topic **ret_topic, int32_t *ret_id,
		     struct err *e)
{
	char *name = delivery_topic_name(d->settings, kind), *subject = xasprintf("%s-value", name);
	int32_t partitions;
	int64_t max = 0;
	int rc = -1;

	if (admin_ensure_topic(d->admin, name, keep, 1, d->settings->capture_history, &partitions,
			       e) < 0 ||
	    read_limit(d, name, &max, e) < 0)
		goto out;
	if (partitions != 1) {
		err_config(e, "topic %s has %d partitions, it must have one", name, partitions);
		err_hint(e, "It was not made by Millrace: give millrace.name another value.");
		goto out;
	}
	if (registry_register(d->registry, subject, records_schema_text(record), ret_id, e) < 0)
		goto out;
	if (ret_topic != NULL)
		*ret_topic = producer_topic(d->producer, name);
	if (record == RECORD_PARKED)
		d->parked_max = max;
	rc = 0;
out:
	free(subject);
	free(name);
	return rc;
}

/* ---- opening and closing -------------------------------------------------------------------- */

static int open_producer(struct delivery *d, bool transactional, struct producer **ret_producer,
			 struct err *e)
{
	const struct settings *s = d->settings;
	struct producer_options options = {
		.transactional_id = transactional ? s->name : NULL,
		.queue_bytes_max = s->capture_memory / 4 < 4 * 1024 * 1024 ? 4 * 1024 * 1024
									   : s->capture_memory / 4,
		.linger_ms = 5,
		.batch_bytes_max = batch_max,
		.gapless = !transactional,
	};
	char *fenceless = NULL;
	int rc;

	if (BUG(fence))
		options.transactional_id = fenceless = xasprintf("%s.%d", s->name, (int)getpid());
	rc = producer_open(s, &options, ret_producer, e);
	free(fenceless);
	return rc;
}

/* at-least-once writes without transactions, but an instance before it may have left one open, at
 * whose begin all readers would wait. */
static int end_transactions(struct delivery *d, struct err *e)
{
	struct producer *p = NULL;

	if (open_producer(d, true, &p, e) < 0) {
		if (e->kind != ERR_CONFIG)
			return -1;
		log_debug("capture", "%s", e->msg); /* may not use transactions: there was none */
		err_clear(e);
	}
	producer_close(p);
	return 0;
}

static void open_parked(struct delivery *d)
{
	int64_t room = d->parked_max - PARKED_KEY_MAX - 4096;
	struct parked_options options = {
		.settings = d->settings,
		.producer = d->producer,
		.topic = d->parked_topic,
		.index = d->position,
		.schema_id = d->parked_id,
		.piece_max = room < PARKED_PIECE_MAX ? room : PARKED_PIECE_MAX,
	};

	if (options.piece_max < BATCH_MIN / 2)
		options.piece_max = BATCH_MIN / 2; /* records with large keys may be refused */
	d->parked = parked_new(&options);
}

int delivery_open(const struct settings *settings, struct admin *admin, struct registry *registry,
		  struct delivery **ret_delivery, struct err *e)
{
	struct delivery *d = xcalloc(1, sizeof(*d));

	d->settings = settings;
	d->admin = admin;
	d->registry = registry;
	d->exactly_once = strcmp(settings->capture_delivery, "at-least-once") != 0;
	d->sink = (struct publish_sink){ d,           sink_topic,      sink_send,
					 sink_schema, sink_record_max, sink_park,
					 sink_blocks };
	if ((!d->exactly_once && end_transactions(d, e) < 0) ||
	    open_producer(d, d->exactly_once, &d->producer, e) < 0 ||
	    own_topic(d, "commits", TOPIC_HISTORY, RECORD_COMMIT, &d->commits, &d->commits_id, e) <
		    0 ||
	    own_topic(d, "position", TOPIC_COMPACTED, RECORD_POSITION, &d->position,
		      &d->position_id, e) < 0 ||
	    own_topic(d, "parked", TOPIC_COMPACTED, RECORD_PARKED, &d->parked_topic, &d->parked_id,
		      e) < 0) {
		delivery_close(d);
		return -1;
	}
	open_parked(d);
	*ret_delivery = d;
	return 0;
}

void delivery_close(struct delivery *d)
{
	struct delivery_topic *t;

	if (d == NULL)
		return;
	producer_close(d->producer);
	delivery_topics_done(d);
	position_writer_free(d->writer);
	parked_free(d->parked);
	while ((t = d->data) != NULL) {
		d->data = t->next;
		free(t->tails);
		free(t);
	}
	delivery_tails_free(d);
	chunk_log_free(d->log);
	buf_done(&d->key);
	buf_done(&d->value);
	buf_done(&d->topics);
	free(d->stored);
	free(d->touched);
	free(d);
}

const struct publish_sink *delivery_sink(struct delivery *d)
{
	return &d->sink;
}

struct parked *delivery_parked(struct delivery *d)
{
	return d->parked;
}

bool delivery_exactly_once(const struct delivery *d)
{
	return d->exactly_once;
}

void delivery_fingerprint(const struct delivery *d, struct buf *out)
{
	buf_add_slice(out, buf_slice(&d->topics));
}

int delivery_status_topic(struct delivery *d, int32_t *ret_schema_id, struct err *e)
{
	return own_topic(d, "status", TOPIC_COMPACTED, RECORD_STATUS, NULL, ret_schema_id, e);
}

int delivery_find_status(const struct settings *settings, int32_t *ret_schema_id, struct err *e)
{
	char *topic = delivery_topic_name(settings, "status");
	char *subject = xasprintf("%s-value", topic);
	struct registry_schema schema;
	struct registry *registry = NULL;
	int rc = registry_open(settings, false, &registry, e);

	if (rc == 0)
		rc = registry_latest(registry, subject, &schema, e);
	if (rc > 0 && strcmp(schema.text, records_schema_text(RECORD_STATUS)) != 0)
		rc = 0; /* written by another Millrace: ours will be known when it leads */
	if (rc > 0)
		*ret_schema_id = schema.id;
	registry_close(registry);
	free(subject);
	free(topic);
	return rc;
}

void delivery_on_begin(struct delivery *d, void (*begun)(void *context), void *context)
{
	d->begun = begun;
	d->begun_context = context;
}

int delivery_begin(struct delivery *d, struct err *e)
{
	return begin(d, e);
}

void delivery_chunk(struct delivery *d, bool begins)
{
	d->chunk = begins && !d->exactly_once;
}

int delivery_record_max(struct delivery *d, const char *topic, int64_t *ret_max, struct err *e)
{
	int64_t max = 0;

	if (read_limit(d, topic, &max, e) < 0)
		return -1;
	for (struct delivery_topic *t = d->data; t != NULL; t = t->next)
		if (strcmp(t->name, topic) == 0)
			t->record_max = max;
	*ret_max = max;
	return 0;
}

/* ---- group commits -------------------------------------------------------------------------- */

/* The mistake that BUG(position) stands for: the broker has the position before the records. */
static int position_ahead(struct delivery *d, const struct position_record *position, struct err *e)
{
	struct producer_options options = { .queue_bytes_max = 1024 * 1024 };
	char *name = delivery_topic_name(d->settings, "position");
	struct producer *plain = NULL;
	int rc = producer_open(d->settings, &options, &plain, e);

	buf_reset(&d->value);
	write_wire_header(&d->value, d->position_id);
	records_write_position(position, &d->value);
	if (rc == 0)
		rc = producer_send(plain, producer_topic(plain, name), 0,
				   slice_str(d->settings->name), buf_slice(&d->value), e);
	if (rc == 0)
		rc = producer_flush(plain, e);
	producer_close(plain);
	free(name);
	return rc;
}

static void add_touched(struct delivery *d, const struct publish_touched *touched, size_t count,
			struct commit_record *commit)
{
	if (count > d->touched_capacity) {
		d->touched_capacity = count;
		d->touched = xrealloc(d->touched, count * sizeof(*d->touched));
	}
	for (size_t i = 0; i < count; i++)
		d->touched[i] = (struct commit_touched){ touched[i].topic, touched[i].partition,
							 touched[i].records, touched[i].last_seq };
	commit->partitions = d->touched;
	commit->partition_count = count;
}

static int send_position(void *context, struct slice key, struct slice value, struct err *e)
{
	struct delivery *d = context;

	return producer_send(d->producer, d->position, 0, key, value, e);
}

static struct slice encode_commit(struct delivery *d, const struct commit_record *commit)
{
	buf_reset(&d->value);
	write_wire_header(&d->value, d->commits_id);
	records_write_commit(commit, &d->value);
	return buf_slice(&d->value);
}

static int send_commit(struct delivery *d, const struct commit_record *commit, struct err *e)
{
	return producer_send(d->producer, d->commits, 0, slice_of(NULL, 0),
			     encode_commit(d, commit), e);
}

static int commit_transaction(struct delivery *d, const struct commit_record *commit,
			      const struct position_record *position, struct err *e)
{
	if (send_commit(d, commit, e) < 0)
		return -1;
	FAULT(commit_record);
	if (position_write(d->writer, position, send_position, d, e) < 0)
		return -1;
	FAULT(position_record);
	return producer_commit(d->producer, e);
}

static int log_position(void *context, struct slice key, struct slice value, struct err *e)
{
	return log_record(context, CHUNK_LOG_POSITION, 0, key, value, e);
}

/* Position and commit record have their own steps. */
static int send_log(struct delivery *d, struct err *e)
{
	struct chunk_record r;
	int rc;

	while ((rc = chunk_log_next(d->log, &r, e)) > 0 && r.topic[0] != '/') {
		FAULT(chunk_sent);
		if (producer_send(d->producer, producer_topic(d->producer, r.topic), r.partition,
				  r.key, r.value, e) < 0)
			return -1;
	}
	return rc < 0 ? -1 : 0;
}

static int send_chunk(struct delivery *d, const struct commit_record *commit,
		      const struct position_record *position, struct err *e)
{
	int rc = position_write_next(d->writer, position, log_position, d, e);

	if (rc == 0)
		rc = log_record(d, CHUNK_LOG_COMMIT, 0, slice_of(NULL, 0),
				encode_commit(d, commit), e);
	if (rc == 0)
		rc = chunk_log_end(d->log, commit->transactions[0].gtid, commit->first_seq - 1, e);
	if (rc == 0)
		rc = send_log(d, e);
	chunk_log_free(d->log);
	d->log = NULL;
	return rc;
}

/* Each step is acknowledged before the next. */
static int commit_in_steps(struct delivery *d, const struct commit_record *commit,
			   const struct position_record *position, struct err *e)
{
	if ((d->log != NULL && send_chunk(d, commit, position, e) < 0) ||
	    position_write_next(d->writer, position, send_position, d, e) < 0 ||
	    producer_flush(d->producer, e) < 0)
		return -1;
	FAULT(next_record);
	if (send_commit(d, commit, e) < 0 || producer_flush(d->producer, e) < 0)
		return -1;
	FAULT(commit_record);
	if (position_write(d->writer, position, send_position, d, e) < 0 ||
	    producer_flush(d->producer, e) < 0)
		return -1;
	FAULT(position_record);
	return 0;
}

int delivery_position(struct delivery *d, const struct position_record *position, struct err *e)
{
	if (d->exactly_once && producer_begin(d->producer, e) < 0)
		return -1;
	if (position_write(d->writer, position, send_position, d, e) < 0)
		return -1;
	return d->exactly_once ? producer_commit(d->producer, e) : producer_flush(d->producer, e);
}

int delivery_commit(struct delivery *d, struct commit_record *commit,
		    const struct position_record *position, const struct publish_touched *touched,
		    size_t touched_count, struct err *e)
{
	if (!d->open && begin(d, e) < 0)
		return -1;
	if (BUG(position) && position_ahead(d, position, e) < 0)
		return -1;
	add_touched(d, touched, touched_count, commit);
	if ((d->exactly_once ? commit_transaction(d, commit, position, e)
			     : commit_in_steps(d, commit, position, e)) < 0)
		return -1;
	d->open = false;
	d->committed_us = clock_monotonic_us();
	return 0;
}

int delivery_check(struct delivery *d, struct err *e)
{
	return producer_error(d->producer, e);
}
