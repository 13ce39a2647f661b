/* delivery.c - the Kafka side of capture: topics, transactions, commit and position records.
 *
 * Everything that becomes visible together goes through one transactional producer, in one thread.
 * The position is the last record of a transaction: it can never name what was not delivered.
 * Between a commit and the next transaction lie 3 ms, taken out of the time to encode, not added to
 * it. */
#include "cdc/capture/delivery.h"

#include "core/avro/write.h"
#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"
#include "core/kafka/producer.h"

#include <stdlib.h>
#include <uthash.h>
#include <unistd.h>

struct delivery {
	const struct settings *settings;
	struct admin *admin;
	struct registry *registry;
	struct producer *producer;
	struct publish_sink sink;
	struct producer_topic *commits, *position;
	int32_t commits_id, position_id;
	bool open;
	int64_t committed_us;
	void (*begun)(void *context);
	void *begun_context;
	struct buf value;
	struct commit_touched *touched;
	size_t touched_capacity;
	struct buf topics; /* lines of the fingerprint */
	struct delivery_topic *ensured; /* by delivery_topics */
};

struct delivery_topic {
	UT_hash_handle hh;
	char *name;
	int32_t partitions;
};

char *delivery_topic_name(const struct settings *settings, const char *kind)
{
	return xasprintf("%s.%s", settings->name, kind);
}

static int begin(struct delivery *d, struct err *e)
{
	int64_t wait = d->committed_us + DELIVERY_GAP_US - clock_monotonic_us();

	if (d->open)
		return 0;
	if (wait > 0)
		clock_sleep_us(wait);
	if (producer_begin(d->producer, e) < 0)
		return -1;
	d->open = true;
	if (d->begun != NULL)
		d->begun(d->begun_context);
	return 0;
}

static int sink_topic(void *context, const char *name, struct publish_topic **ret_topic,
		      int32_t *ret_partitions, struct err *e)
{
	struct delivery *d = context;
	const struct settings *s = d->settings;
	const struct delivery_topic *ensured;

	HASH_FIND_STR(d->ensured, name, ensured);
	if (ensured != NULL)
		*ret_partitions = ensured->partitions;
	else if (admin_ensure_topic(d->admin, name, TOPIC_HISTORY, (int32_t)s->kafka_partitions,
				    s->capture_history, ret_partitions, e) < 0)
		return -1;
	buf_add_format(&d->topics, "topic %s partitions=%d\n", name, *ret_partitions);
	*ret_topic = (struct publish_topic *)producer_topic(d->producer, name);
	return 0;
}

int delivery_topics(struct delivery *d, const char *const *names, size_t count, struct err *e)
{
	const struct settings *s = d->settings;
	int32_t *partitions = xcalloc(count + 1, sizeof(*partitions));
	int rc = admin_ensure_topics(d->admin, names, count, TOPIC_HISTORY,
				     (int32_t)s->kafka_partitions, s->capture_history, partitions,
				     e);

	for (size_t i = 0; i < count && rc == 0; i++) {
		struct delivery_topic *t;

		HASH_FIND_STR(d->ensured, names[i], t);
		if (t != NULL)
			continue;
		t = xcalloc(1, sizeof(*t));
		t->name = xstrdup(names[i]);
		t->partitions = partitions[i];
		HASH_ADD_KEYPTR(hh, d->ensured, t->name, strlen(t->name), t);
	}
	free(partitions);
	return rc;
}

void delivery_topics_done(struct delivery *d)
{
	struct delivery_topic *t, *next;

	HASH_ITER(hh, d->ensured, t, next)
	{
		HASH_DEL(d->ensured, t);
		free(t->name);
		free(t);
	}
}

static int sink_send(void *context, struct publish_topic *topic, int32_t partition,
		     struct slice key, struct slice value, struct err *e)
{
	struct delivery *d = context;

	if (!d->open && begin(d, e) < 0)
		return -1;
	return producer_send(d->producer, (struct producer_topic *)topic, partition, key, value, e);
}

static int sink_schema(void *context, const char *subject, const char *text, int32_t *ret_id,
		       struct err *e)
{
	return registry_register(((struct delivery *)context)->registry, subject, text, ret_id, e);
}

/* One of our own topics: one partition; its schema; its handle. */
static int own_topic(struct delivery *d, const char *kind, enum topic_keep keep,
		     enum record_kind record, struct producer_topic **ret_topic, int32_t *ret_id,
		     struct err *e)
{
	char *name = delivery_topic_name(d->settings, kind), *subject = xasprintf("%s-value", name);
	int32_t partitions;
	int rc = -1;

	if (admin_ensure_topic(d->admin, name, keep, 1, d->settings->capture_history, &partitions,
			       e) < 0)
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
	rc = 0;
out:
	free(subject);
	free(name);
	return rc;
}

int delivery_open(const struct settings *settings, struct admin *admin, struct registry *registry,
		  struct delivery **ret_delivery, struct err *e)
{
	struct producer_options options = {
		.transactional_id = settings->name,
		.queue_bytes_max = settings->capture_memory / 4 < 4 * 1024 * 1024
					   ? 4 * 1024 * 1024
					   : settings->capture_memory / 4,
		.linger_ms = 5,
	};
	struct delivery *d = xcalloc(1, sizeof(*d));
	char *fenceless = NULL;

	if (BUG(fence))
		options.transactional_id = fenceless =
			xasprintf("%s.%d", settings->name, (int)getpid());
	d->settings = settings;
	d->admin = admin;
	d->registry = registry;
	d->sink = (struct publish_sink){ d, sink_topic, sink_send, sink_schema };
	if (producer_open(settings, &options, &d->producer, e) < 0 ||
	    own_topic(d, "commits", TOPIC_HISTORY, RECORD_COMMIT, &d->commits, &d->commits_id, e) <
		    0 ||
	    own_topic(d, "position", TOPIC_COMPACTED, RECORD_POSITION, &d->position,
		      &d->position_id, e) < 0) {
		free(fenceless);
		delivery_close(d);
		return -1;
	}
	free(fenceless);
	*ret_delivery = d;
	return 0;
}

void delivery_close(struct delivery *d)
{
	if (d == NULL)
		return;
	producer_close(d->producer);
	delivery_topics_done(d);
	buf_done(&d->value);
	buf_done(&d->topics);
	free(d->touched);
	free(d);
}

const struct publish_sink *delivery_sink(struct delivery *d)
{
	return &d->sink;
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

/* The mistake that BUG(position) stands for: the broker has the position before the records. */
static int position_ahead(struct delivery *d, const struct position_record *position,
			  struct err *e)
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

int delivery_commit(struct delivery *d, struct commit_record *commit,
		    const struct position_record *position, const struct publish_touched *touched,
		    size_t touched_count, struct err *e)
{
	if (!d->open && begin(d, e) < 0)
		return -1;
	if (BUG(position) && position_ahead(d, position, e) < 0)
		return -1;
	add_touched(d, touched, touched_count, commit);
	buf_reset(&d->value);
	write_wire_header(&d->value, d->commits_id);
	records_write_commit(commit, &d->value);
	if (producer_send(d->producer, d->commits, 0, slice_of(NULL, 0), buf_slice(&d->value), e) <
	    0)
		return -1;
	FAULT(commit_record);
	buf_reset(&d->value);
	write_wire_header(&d->value, d->position_id);
	records_write_position(position, &d->value);
	if (producer_send(d->producer, d->position, 0, slice_str(d->settings->name),
			  buf_slice(&d->value), e) < 0)
		return -1;
	FAULT(position_record);
	if (producer_commit(d->producer, e) < 0)
		return -1;
	d->open = false;
	d->committed_us = clock_monotonic_us();
	return 0;
}

int delivery_check(struct delivery *d, struct err *e)
{
	return producer_error(d->producer, e);
}
