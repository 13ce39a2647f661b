/* status_feed.c - a consumer of the status topic's one partition, and the state it builds up.
 *
 * The thread reads from the beginning (the topic is compacted, and what isn't compacted yet is
 * history worth having), then follows. Whatever fails - no topic yet, brokers away, a schema
 * that isn't registered - becomes the note that page and verbs show, and is tried again with
 * backoff; what was known stays. A record that can't be read is noted and skipped: the next
 * status of that process replaces it anyway. Schema texts are fetched from the registry when an
 * id is new, and kept; the registry isn't kept open, because a daemon has one of its own and the
 * texts of ten thousand tables are not needed here. */
#include "core/http/status_feed.h"

#include "core/avro/records.h"
#include "core/base/backoff.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/http/status_state.h"
#include "core/kafka/consumer.h"
#include "core/registry/registry.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define QUEUE_BYTES (1024 * 1024)
#define KEY_MAX 300
#define SCHEMAS_MAX 16
#define POLL_MS 250
#define IDLE_US 200000

struct known_schema {
	int32_t id;
	char *text;
};

/* What reading needs, apart from the consumer. */
struct decoder {
	const struct settings *settings;
	struct records_reader *reader;
	struct known_schema schemas[SCHEMAS_MAX];
	size_t schema_count;
};

struct status_feed {
	const struct settings *settings;
	pthread_t thread;
	atomic_bool stopping;
	pthread_mutex_t lock; /* of what is below */
	pthread_cond_t changed;
	struct status_state *state;
	bool whole;
};

/* ---- decoding ------------------------------------------------------------------------------- */

static int look_up(void *context, int32_t id, const char **ret_text, struct err *e)
{
	struct decoder *d = context;
	struct registry_schema schema;
	struct registry *registry;
	int rc;

	for (size_t i = 0; i < d->schema_count; i++)
		if (d->schemas[i].id == id) {
			*ret_text = d->schemas[i].text;
			return 0;
		}
	if (d->schema_count == SCHEMAS_MAX)
		return err_data(e, "status topic: written with more than %d schemas", SCHEMAS_MAX);
	if (registry_open(d->settings, false, &registry, e) < 0)
		return -1;
	rc = registry_by_id(registry, id, &schema, e);
	if (rc == 0) {
		d->schemas[d->schema_count] = (struct known_schema){ id, xstrdup(schema.text) };
		*ret_text = d->schemas[d->schema_count++].text;
	}
	registry_close(registry);
	return rc;
}

static void decoder_init(struct decoder *d, const struct settings *settings)
{
	*d = (struct decoder){ .settings = settings };
	d->reader = records_reader_new(look_up, d);
}

static void decoder_done(struct decoder *d)
{
	records_reader_free(d->reader);
	for (size_t i = 0; i < d->schema_count; i++)
		free(d->schemas[i].text);
}

/* The JSON text of a message; empty for a tombstone. */
static int decode(struct decoder *d, const struct consumer_message *message, struct buf *ret_json,
		  struct err *e)
{
	struct status_record record;

	buf_reset(ret_json);
	if (message->value.data == NULL)
		return 0;
	if (records_read_status(d->reader, message->value, &record, e) < 0)
		return -1;
	records_json_status(&record, ret_json);
	records_done_status(&record);
	return 0;
}

/* Takes one message into the state (locked by the caller if need be). */
static int take(struct decoder *d, struct status_state *state, pthread_mutex_t *lock,
		const struct consumer_message *message, struct buf *json, struct err *e)
{
	char key[KEY_MAX];
	int rc;

	if (message->key.size == 0 || message->key.size >= sizeof(key))
		return err_data(e, "status topic: a key of %zu bytes at offset %lld",
				message->key.size, (long long)message->offset);
	memcpy(key, message->key.data, message->key.size);
	key[message->key.size] = '\0';
	if (decode(d, message, json, e) < 0)
		return err_wrap(e, "status of %s", key);
	if (lock != NULL)
		pthread_mutex_lock(lock);
	rc = status_state_take(state, key, buf_slice(json), e);
	if (lock != NULL)
		pthread_mutex_unlock(lock);
	return rc;
}

static int open_topic(const struct settings *settings, const char *topic,
		      struct consumer **ret_consumer, struct err *e)
{
	const struct consumer_options options = { .queue_bytes_max = QUEUE_BYTES,
						  .stop_at_end = true };
	const struct consumer_partition partition = { topic, 0, CONSUMER_BEGIN };
	struct consumer *c;

	if (consumer_open(settings, &options, &c, e) < 0)
		return -1;
	if (consumer_assign(c, &partition, 1, e) < 0) {
		consumer_close(c);
		return -1;
	}
	*ret_consumer = c;
	return 0;
}

/* ---- following ------------------------------------------------------------------------------ */

static void note(struct status_feed *feed, const struct err *e)
{
	const char *end = e != NULL ? strchr(e->msg, '\n') : NULL;
	char *text = e == NULL     ? xstrdup("")
		     : end != NULL ? xstrndup(e->msg, (size_t)(end - e->msg))
				   : xstrdup(e->msg);

	pthread_mutex_lock(&feed->lock);
	status_state_note(feed->state, text);
	pthread_mutex_unlock(&feed->lock);
	free(text);
}

static void set_whole(struct status_feed *feed)
{
	pthread_mutex_lock(&feed->lock);
	feed->whole = true;
	pthread_cond_broadcast(&feed->changed);
	pthread_mutex_unlock(&feed->lock);
}

/* Reads until asked to stop (0) or until something fails (-1). */
static int follow(struct status_feed *feed, struct consumer *c, struct decoder *d,
		  struct backoff *backoff, struct err *e)
{
	const struct consumer_message *messages;
	struct buf json = BUF_INIT;
	struct err bad = ERR_INIT;
	size_t count;
	int rc = 0;

	while (rc == 0 && !atomic_load(&feed->stopping)) {
		rc = consumer_poll(c, POLL_MS, &messages, &count, e);
		for (size_t i = 0; rc == 0 && i < count; i++) {
			bool was_bad = bad.kind != ERR_NONE;

			err_clear(&bad);
			if (take(d, feed->state, &feed->lock, &messages[i], &json, &bad) < 0 ||
			    was_bad)
				note(feed, bad.kind != ERR_NONE ? &bad : NULL);
		}
		if (rc == 0)
			backoff_reset(backoff);
		if (rc == 0 && consumer_at_end(c)) {
			set_whole(feed);
			if (count == 0) /* behind the end of stop_at_end a poll no longer waits */
				clock_sleep_us(IDLE_US);
		}
	}
	buf_done(&json);
	return rc;
}

static void pause_ms(struct status_feed *feed, int64_t ms)
{
	for (; ms > 0 && !atomic_load(&feed->stopping); ms -= 50)
		clock_sleep_us(50000);
}

static void *run(void *context)
{
	struct status_feed *feed = context;
	char *topic = xasprintf("%s.status", feed->settings->name);
	struct backoff backoff = { .first_ms = 500, .longest_ms = 5000 };
	struct decoder decoder;

	decoder_init(&decoder, feed->settings);
	while (!atomic_load(&feed->stopping)) {
		struct err e = ERR_INIT;
		struct consumer *c;

		if (open_topic(feed->settings, topic, &c, &e) == 0) {
			note(feed, NULL);
			(void)follow(feed, c, &decoder, &backoff, &e); /* what failed is in e */
			consumer_close(c);
		}
		if (e.kind != ERR_NONE) {
			note(feed, &e);
			pause_ms(feed, backoff_next_ms(&backoff));
		}
	}
	decoder_done(&decoder);
	free(topic);
	return NULL;
}

struct status_feed *status_feed_start(const struct settings *settings)
{
	struct status_feed *feed = xcalloc(1, sizeof(*feed));
	pthread_condattr_t attributes;

	feed->settings = settings;
	feed->state = status_state_new(settings->name);
	status_state_note(feed->state, "reading the status topic");
	pthread_mutex_init(&feed->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&feed->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	if (pthread_create(&feed->thread, NULL, run, feed) != 0)
		abort(); /* no thread at start-up: nothing would work */
	return feed;
}

void status_feed_stop(struct status_feed *feed)
{
	if (feed == NULL)
		return;
	atomic_store(&feed->stopping, true);
	pthread_join(feed->thread, NULL);
	status_state_free(feed->state);
	pthread_cond_destroy(&feed->changed);
	pthread_mutex_destroy(&feed->lock);
	free(feed);
}

void status_feed_write(struct status_feed *feed, int64_t since_us, struct buf *out)
{
	pthread_mutex_lock(&feed->lock);
	status_state_write(feed->state, clock_now_us(), since_us, out);
	pthread_mutex_unlock(&feed->lock);
}

bool status_feed_wait(struct status_feed *feed, int64_t timeout_ms)
{
	struct timespec end = clock_timespec(clock_monotonic_us() + timeout_ms * 1000);
	bool whole;

	pthread_mutex_lock(&feed->lock);
	while (!feed->whole && pthread_cond_timedwait(&feed->changed, &feed->lock, &end) == 0)
		;
	whole = feed->whole;
	pthread_mutex_unlock(&feed->lock);
	return whole;
}

/* ---- once ----------------------------------------------------------------------------------- */

static int read_to_end(struct consumer *c, struct decoder *d, struct status_state *state,
		       struct err *e)
{
	const struct consumer_message *messages;
	struct buf json = BUF_INIT;
	size_t count;
	int rc = 0;

	while (rc == 0 && !consumer_at_end(c)) {
		rc = consumer_poll(c, POLL_MS, &messages, &count, e);
		for (size_t i = 0; rc == 0 && i < count; i++)
			rc = take(d, state, NULL, &messages[i], &json, e);
	}
	buf_done(&json);
	return rc;
}

int status_feed_read(const struct settings *settings, struct buf *out, struct err *e)
{
	char *topic = xasprintf("%s.status", settings->name);
	struct status_state *state = status_state_new(settings->name);
	struct decoder decoder;
	struct consumer *c;
	int rc = -1;

	decoder_init(&decoder, settings);
	if (open_topic(settings, topic, &c, e) == 0) {
		rc = read_to_end(c, &decoder, state, e);
		consumer_close(c);
	}
	if (rc == 0)
		status_state_write(state, clock_now_us(), 0, out);
	decoder_done(&decoder);
	status_state_free(state);
	free(topic);
	return rc;
}
