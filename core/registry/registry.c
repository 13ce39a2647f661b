/* registry.c - schemas in a Kafka topic: read on demand, written by one writer at a time.
 *
 * Promises: an id is given out once, for one schema; a registered schema is in the topic,
 * committed, before its id is returned. Reading needs no right to write and disturbs no writer.
 *
 * Reading: a refresh assigns the topic's partition from the next offset unread to its last stable
 * offset, reads, and lets go, so that an idle registry fetches nothing.
 *
 * Writing, with any number of processes: whoever wants to write opens a producer with the topic's
 * transactional.id, which fences every earlier one. Then nobody else can commit until it is fenced
 * itself; so what it reads to the end is all there is, and the id that it assigns is free. The
 * record goes in a transaction: either it commits while this process is still the writer, or it
 * fails as fenced, and all is done again after a random pause. The producer stays open for what
 * else comes; as long as it isn't fenced, nothing was written by others.
 *
 * Refused: a topic with several partitions, one that deletes by age, text that is not JSON in UTF-8
 * or over 1 MB. */
#include "core/registry/registry.h"
#include "core/registry/registry_priv.h"
#include "core/base/backoff.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/kafka/admin.h"
#include "core/kafka/consumer.h"
#include "core/kafka/producer.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>

#define FETCH_BYTES_MAX (1024 * 1024)
#define TEXT_MAX (1024 * 1024)
#define SUBJECT_MAX 1024
#define POLL_MS 1000
#define KNOWN_US_MAX 5000000
#define KNOWN_WAIT_US 50000
#define TURNS_MS_MAX 120000 /* longest time spent in taking turns with other writers */

struct registry {
	pthread_mutex_t lock;
	const struct settings *settings;
	char *topic, *transactional_id;
	struct registry_store store;
	struct consumer *consumer;
	int64_t next;            /* offset to read next */
	bool created;            /* we have seen to it that the topic is there */
	struct producer *writer; /* open while this process is the writer, as far as it knows */
};

/* ---- opening
 * -----------------------------------------------------------------------------------------------
 */

static int check_topic(const struct settings *settings, bool create, struct err *e)
{
	const char *topic = settings->kafka_schemas_topic;
	struct topic_info info;
	struct admin *admin;
	int32_t partitions = 0;
	int rc = -1;

	if (!create)
		return 0;
	if (admin_open(settings, &admin, e) < 0)
		return -1;
	if (admin_ensure_topic(admin, topic, TOPIC_COMPACTED, 1, true, &partitions, e) < 0 ||
	    admin_topic(admin, topic, &info, e) < 0)
		goto out;
	if (partitions != 1) {
		err_config(e, "schemas topic %s has %d partitions instead of 1", topic,
			   (int)partitions);
		err_hint(e, "Name another topic as kafka.schemas_topic.");
		goto out;
	}
	if (strstr(info.cleanup_policy, "compact") == NULL)
		log_warning(
			"registry",
			"schemas topic %s is not compacted (cleanup.policy=%s): nothing is lost, but other "
			"registries insist on it",
			topic, info.cleanup_policy);
	rc = 0;
out:
	admin_close(admin);
	return rc;
}

static int read_on(struct registry *r, struct err *e)
{
	const struct consumer_partition from = { r->topic, 0, r->next };
	const struct consumer_message *messages;
	size_t count;

	if (consumer_assign(r->consumer, &from, 1, e) < 0)
		return -1;
	while (!consumer_at_end(r->consumer)) {
		if (consumer_poll(r->consumer, POLL_MS, &messages, &count, e) < 0)
			return -1;
		for (size_t i = 0; i < count; i++)
			registry_store_apply(&r->store, messages[i].key, messages[i].value,
					     messages[i].offset);
		r->next = consumer_next(r->consumer, 0);
	}
	r->next = consumer_next(r->consumer, 0);
	return consumer_assign(r->consumer, NULL, 0, e);
}

/* A topic made a moment ago is not known to every broker: one that is asked too early says that
 * there is none. */
static int refresh(struct registry *r, struct err *e)
{
	int64_t until = clock_monotonic_us() + (r->created ? KNOWN_US_MAX : 0);

	while (read_on(r, e) < 0) {
		if (e->kind != ERR_RETRY || clock_monotonic_us() >= until)
			return err_wrap(e, "schemas topic");
		*e = (struct err)ERR_INIT;
		clock_sleep_us(KNOWN_WAIT_US);
	}
	return 0;
}

int registry_open(const struct settings *settings, bool create, struct registry **ret_registry,
		  struct err *e)
{
	const struct consumer_options options = { .queue_bytes_max = FETCH_BYTES_MAX,
						  .stop_at_end = true };
	struct registry *r;

	if (check_topic(settings, create, e) < 0)
		return -1;
	r = xcalloc(1, sizeof(*r));
	pthread_mutex_init(&r->lock, NULL);
	r->settings = settings;
	r->topic = xstrdup(settings->kafka_schemas_topic);
	r->transactional_id = xasprintf("millrace-registry-%s", r->topic);
	r->next = CONSUMER_BEGIN;
	r->created = create;
	if (consumer_open(settings, &options, &r->consumer, e) < 0 || refresh(r, e) < 0) {
		registry_close(r);
		return -1;
	}
	*ret_registry = r;
	return 0;
}

void registry_close(struct registry *r)
{
	if (r == NULL)
		return;
	producer_close(r->writer);
	consumer_close(r->consumer);
	registry_store_done(&r->store);
	pthread_mutex_destroy(&r->lock);
	free(r->topic);
	free(r->transactional_id);
	free(r);
}

int registry_refresh(struct registry *r, struct err *e)
{
	int rc;

	pthread_mutex_lock(&r->lock);
	rc = refresh(r, e);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

/* ---- registering
 * ------------------------------------------------------------------------------------------- */

/* Becomes the writer, unless it is: everything that any other writer has committed is read
 * afterwards. */
static int take_turn(struct registry *r, struct err *e)
{
	const struct producer_options options = {
		.transactional_id = r->transactional_id,
		.queue_bytes_max = 4 * TEXT_MAX,
	};

	if (r->writer != NULL)
		return 0;
	if (producer_open(r->settings, &options, &r->writer, e) < 0)
		return -1;
	return refresh(r, e);
}

static int write_version(struct registry *r, const struct registry_schema *schema, struct err *e)
{
	struct buf key = BUF_INIT, value = BUF_INIT;
	int rc = -1;

	registry_record(schema, &key, &value);
	if (producer_begin(r->writer, e) == 0 &&
	    producer_send(r->writer, producer_topic(r->writer, r->topic), 0, buf_slice(&key),
			  buf_slice(&value), e) == 0 &&
	    producer_commit(r->writer, e) == 0) {
		registry_store_apply(&r->store, buf_slice(&key), buf_slice(&value), r->next);
		rc = 0;
	}
	buf_done(&key);
	buf_done(&value);
	return rc;
}

/* One try as the writer. After a failure it is no longer known whether we are, so the producer
 * goes. */
static int try_register(struct registry *r, const char *subject, const char *text, int32_t *ret_id,
			struct err *e)
{
	struct registry_schema schema = { .subject = subject, .text = text };
	const struct registry_entry *entry;

	if (take_turn(r, e) < 0)
		goto failed;
	entry = registry_store_find(&r->store, subject, text);
	if (entry != NULL) {
		*ret_id = entry->schema.id;
		return 0;
	}
	registry_store_next(&r->store, subject, text, &schema.id, &schema.version);
	if (schema.id == INT32_MAX || schema.version == INT32_MAX)
		return err_data(e, "schema ids or versions are used up");
	if (write_version(r, &schema, e) < 0)
		goto failed;
	*ret_id = schema.id;
	return 0;
failed:
	producer_close(r->writer);
	r->writer = NULL;
	return -1;
}

static int check_text(const char *subject, const char *text, struct err *e)
{
	json_error_t why;
	json_t *parsed;

	if (subject[0] == '\0' || strlen(subject) > SUBJECT_MAX)
		return err_data(e, "a subject has 1 to %d bytes, not %zu", SUBJECT_MAX,
				strlen(subject));
	if (strlen(text) > TEXT_MAX)
		return err_data(e, "subject %s: a schema of %zu bytes is over the limit of %d",
				subject, strlen(text), TEXT_MAX);
	parsed = json_string(subject);
	if (parsed == NULL)
		return err_data(e, "a subject that is not UTF-8");
	json_decref(parsed);
	parsed = json_loads(text, JSON_DECODE_ANY, &why);
	if (parsed == NULL)
		return err_data(e, "subject %s: schema is not JSON: line %d: %s", subject, why.line,
				why.text);
	json_decref(parsed);
	return 0;
}

static int try_all(struct registry *r, const struct registry_wanted *items, size_t count,
		   struct err *e);

/* What is to be registered: many, or (ret_id) one. */
struct turn {
	const struct registry_wanted *items;
	size_t count;
	int32_t *ret_id;
};

static int take_turn_for(struct registry *r, const struct turn *t, struct err *e)
{
	return t->ret_id != NULL
		       ? try_register(r, t->items[0].subject, t->items[0].text, t->ret_id, e)
		       : try_all(r, t->items, t->count, e);
}

static int take_turns(struct registry *r, const struct turn *turn, struct err *e)
{
	struct backoff backoff = { .first_ms = 20, .longest_ms = 1000 };
	int64_t until = clock_monotonic_us() + TURNS_MS_MAX * 1000LL;
	int64_t retry_until = clock_monotonic_us() + r->settings->kafka_timeout_ms * 1000;

	while (take_turn_for(r, turn, e) < 0) {
		bool fenced = e->exit_code == EXIT_FENCED;
		int64_t now = clock_monotonic_us();

		if ((!fenced && e->kind != ERR_RETRY) || now > (fenced ? until : retry_until)) {
			if (fenced)
				err_retry(e, "other processes keep writing to it");
			return err_wrap(e, "schemas topic %s, subject %s", r->topic,
					turn->items[0].subject);
		}
		log_debug("registry", "again: %s", e->msg);
		clock_sleep_us(backoff_next_ms(&backoff) * 1000);
	}
	return 0;
}

int registry_register(struct registry *r, const char *subject, const char *text, int32_t *ret_id,
		      struct err *e)
{
	const struct registry_wanted item = { subject, text };
	const struct turn turn = { .items = &item, .count = 1, .ret_id = ret_id };
	const struct registry_entry *entry;
	int rc = 0;

	if (check_text(subject, text, e) < 0)
		return -1;
	pthread_mutex_lock(&r->lock);
	entry = registry_store_find(&r->store, subject, text);
	if (entry != NULL)
		*ret_id = entry->schema.id;
	else
		rc = take_turns(r, &turn, e);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

/* ---- many at once --------------------------------------------------------------------------- */

#define BATCH_RECORDS 200
#define BATCH_BYTES (2 * TEXT_MAX)

struct batch {
	struct buf keys[BATCH_RECORDS], values[BATCH_RECORDS];
	const char *texts[BATCH_RECORDS];
	size_t count, bytes;
	int32_t id_next;
};

static void batch_reset(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		buf_done(&b->keys[i]);
		buf_done(&b->values[i]);
	}
	b->count = b->bytes = 0;
	b->id_next = 0;
}

/* What is in hand becomes registered: one transaction. */
static int batch_write(struct registry *r, struct batch *b, struct err *e)
{
	struct producer_topic *topic = producer_topic(r->writer, r->topic);
	int rc = b->count > 0 ? producer_begin(r->writer, e) : 0;

	for (size_t i = 0; i < b->count && rc == 0; i++)
		rc = producer_send(r->writer, topic, 0, buf_slice(&b->keys[i]),
				   buf_slice(&b->values[i]), e);
	if (rc == 0 && b->count > 0)
		rc = producer_commit(r->writer, e);
	for (size_t i = 0; i < b->count && rc == 0; i++)
		registry_store_apply(&r->store, buf_slice(&b->keys[i]), buf_slice(&b->values[i]),
				     r->next);
	batch_reset(b);
	return rc;
}

static bool batch_holds(const struct batch *b, const char *text)
{
	for (size_t i = 0; i < b->count; i++)
		if (strcmp(b->texts[i], text) == 0)
			return true;
	return false;
}

static int batch_add(struct registry *r, struct batch *b, const struct registry_wanted *item,
		     struct err *e)
{
	struct registry_schema schema = { .subject = item->subject, .text = item->text };
	bool known;

	if (registry_store_find(&r->store, item->subject, item->text) != NULL)
		return 0;
	/* equal texts share an id: the first must be there before the second asks for it */
	if ((b->count == BATCH_RECORDS || b->bytes > BATCH_BYTES || batch_holds(b, item->text)) &&
	    batch_write(r, b, e) < 0)
		return -1;
	registry_store_next(&r->store, item->subject, item->text, &schema.id, &schema.version);
	known = schema.id <= r->store.id_max;
	if (!known && b->id_next > schema.id)
		schema.id = b->id_next;
	if (schema.id == INT32_MAX || schema.version == INT32_MAX)
		return err_data(e, "schema ids or versions are used up");
	if (!known)
		b->id_next = schema.id + 1;
	b->texts[b->count] = item->text;
	registry_record(&schema, &b->keys[b->count], &b->values[b->count]);
	b->bytes += b->values[b->count++].size;
	return 0;
}

/* As try_register. What was written before a failure is found again by the next try. */
static int try_all(struct registry *r, const struct registry_wanted *items, size_t count,
		   struct err *e)
{
	struct batch *b = xcalloc(1, sizeof(*b));
	int rc = take_turn(r, e);

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = batch_add(r, b, &items[i], e);
	if (rc == 0)
		rc = batch_write(r, b, e);
	if (rc < 0) {
		producer_close(r->writer);
		r->writer = NULL;
	}
	batch_reset(b);
	free(b);
	return rc;
}

static bool any_missing(const struct registry *r, const struct registry_wanted *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (registry_store_find(&r->store, items[i].subject, items[i].text) == NULL)
			return true;
	return false;
}

int registry_register_all(struct registry *r, const struct registry_wanted *items, size_t count,
			  struct err *e)
{
	const struct turn turn = { .items = items, .count = count };
	int rc = 0;

	for (size_t i = 0; i < count; i++)
		if (check_text(items[i].subject, items[i].text, e) < 0)
			return -1;
	pthread_mutex_lock(&r->lock);
	if (any_missing(r, items, count))
		rc = take_turns(r, &turn, e);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

/* ---- asking
 * ------------------------------------------------------------------------------------------------
 */

int registry_by_id(struct registry *r, int32_t id, struct registry_schema *ret_schema,
		   struct err *e)
{
	const struct registry_entry *entry;
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	entry = registry_store_by_id(&r->store, id);
	if (entry == NULL && (rc = refresh(r, e)) == 0)
		entry = registry_store_by_id(&r->store, id);
	if (rc == 0 && entry == NULL)
		rc = err_data(e, "schema id %d is not in topic %s", (int)id, r->topic);
	else if (rc == 0 && !entry->avro)
		rc = err_data(e, "schema id %d (subject %s) is not an Avro schema", (int)id,
			      entry->schema.subject);
	else if (rc == 0)
		*ret_schema = registry_store_open(&r->store, entry);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

int registry_latest(struct registry *r, const char *subject, struct registry_schema *ret_schema,
		    struct err *e)
{
	const struct registry_entry *entry;

	(void)e; /* answered from memory: cannot fail */
	pthread_mutex_lock(&r->lock);
	entry = registry_store_latest(&r->store, subject);
	if (entry != NULL)
		*ret_schema = registry_store_open(&r->store, entry);
	pthread_mutex_unlock(&r->lock);
	return entry != NULL;
}

void registry_each(struct registry *r,
		   void (*each)(const struct registry_schema *schema, void *context), void *context)
{
	struct buf room = BUF_INIT;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->store.count; i++) {
		const struct registry_entry *entry = r->store.entries[i];
		struct registry_schema schema;

		if (entry->deleted || !entry->avro)
			continue;
		schema = registry_store_look(&r->store, entry, &room);
		each(&schema, context);
	}
	pthread_mutex_unlock(&r->lock);
	buf_done(&room);
}
