/* script_kafka.c - producer, consumer and admin by a script: brokers in memory, with transactions
 * as Kafka has them. See script.h.
 *
 * A record is appended at once and belongs to its transaction; it can be read when that is
 * committed. A partition is read up to the first record whose transaction is still open. Opening a
 * transactional_id again aborts what an older holder left open and fences that one. */
#include "core/base/mem.h"
#include "core/kafka/admin.h"
#include "core/kafka/consumer.h"
#include "core/kafka/producer.h"
#include "test/script/script.h"
#include "test/script/script_fault.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define TOPICS_MAX 64
#define PARTITIONS_MAX 8
#define POLL_MAX 100 /* records that one poll returns */

enum outcome { OPEN, COMMITTED, ABORTED };

struct record {
	struct buf key, value;
	bool has_key, has_value;
	enum outcome outcome;
	int64_t producer; /* whose transaction it belongs to */
};

struct partition {
	struct record *records;
	size_t count, capacity;
};

struct topic {
	char *name;
	enum topic_keep keep;
	int32_t count;
	struct partition partitions[PARTITIONS_MAX];
};

struct holder {
	char *transactional_id;
	int64_t producer; /* the one that opened it last */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct topic topics[TOPICS_MAX];
static size_t topic_count;
static struct holder holders[TOPICS_MAX];
static size_t holder_count;
static int64_t producers;
static void (*on_commit)(void);
static struct script_record *shown;

static struct topic *find(const char *name)
{
	for (size_t i = 0; i < topic_count; i++)
		if (strcmp(topics[i].name, name) == 0)
			return &topics[i];
	return NULL;
}

static void end_records(int64_t producer, enum outcome outcome)
{
	for (size_t t = 0; t < topic_count; t++)
		for (int32_t p = 0; p < topics[t].count; p++)
			for (size_t i = topics[t].partitions[p].count; i-- > 0;) {
				struct record *r = &topics[t].partitions[p].records[i];

				if (r->outcome == OPEN && r->producer == producer)
					r->outcome = outcome;
			}
}

void script_brokers_reset(void)
{
	pthread_mutex_lock(&lock);
	for (size_t t = 0; t < topic_count; t++) {
		for (int32_t p = 0; p < topics[t].count; p++) {
			struct partition *part = &topics[t].partitions[p];

			for (size_t i = 0; i < part->count; i++) {
				buf_done(&part->records[i].key);
				buf_done(&part->records[i].value);
			}
			free(part->records);
		}
		free(topics[t].name);
	}
	for (size_t i = 0; i < holder_count; i++)
		free(holders[i].transactional_id);
	memset(topics, 0, sizeof(topics));
	topic_count = holder_count = 0;
	free(shown);
	shown = NULL;
	pthread_mutex_unlock(&lock);
}

void script_on_commit(void (*committed)(void))
{
	on_commit = committed;
}

const char *script_topic(size_t i, int32_t *ret_partitions)
{
	if (i >= topic_count)
		return NULL;
	*ret_partitions = topics[i].count;
	return topics[i].name;
}

static struct slice part_of(const struct buf *b, bool has)
{
	static const uint8_t nothing[1];

	return slice_of(has ? (b->data != NULL ? b->data : nothing) : NULL, b->size);
}

const struct script_record *script_committed(const char *name, int32_t number, size_t *ret_count)
{
	struct topic *t;
	struct partition *p;
	size_t count = 0;

	pthread_mutex_lock(&lock);
	t = find(name);
	p = t != NULL && number < t->count ? &t->partitions[number] : NULL;
	free(shown);
	shown = xcalloc((p != NULL ? p->count : 0) + 1, sizeof(*shown));
	for (size_t i = 0; p != NULL && i < p->count; i++) {
		const struct record *r = &p->records[i];

		if (r->outcome == COMMITTED)
			shown[count++] = (struct script_record){ part_of(&r->key, r->has_key),
								 part_of(&r->value, r->has_value),
								 (int64_t)i };
	}
	*ret_count = count;
	pthread_mutex_unlock(&lock);
	return shown;
}

/* ---- admin ----------------------------------------------------------------------------------- */

struct admin {
	bool counted;
};

int admin_open(const struct settings *settings, struct admin **ret_admin, struct err *e)
{
	bool counted = script_fault_counts();

	(void)settings;
	if (script_fault_before(SCRIPT_ADMIN_OPEN, counted, e) < 0)
		return -1;
	*ret_admin = xcalloc(1, sizeof(**ret_admin));
	(*ret_admin)->counted = counted;
	return 0;
}

void admin_close(struct admin *a)
{
	free(a);
}

int admin_ping(struct admin *a, int *ret_brokers, struct err *e)
{
	(void)a, (void)e;
	*ret_brokers = 1;
	return 0;
}

int admin_topic(struct admin *a, const char *topic, struct topic_info *ret_info, struct err *e)
{
	const struct topic *t;

	if (script_fault_before(SCRIPT_ADMIN_TOPIC, a->counted, e) < 0)
		return -1;
	pthread_mutex_lock(&lock);
	t = find(topic);
	*ret_info = (struct topic_info){ .exists = t != NULL };
	if (t != NULL) {
		*ret_info = (struct topic_info){ true, t->count, 1,        "delete",
						 -1,   -1,       16777216, 1 << 30 };
		if (t->keep == TOPIC_COMPACTED)
			snprintf(ret_info->cleanup_policy, sizeof(ret_info->cleanup_policy),
				 "compact");
	}
	pthread_mutex_unlock(&lock);
	return 0;
}

int admin_partitions(struct admin *a, const char *topic, bool *ret_exists, int32_t *ret_partitions,
		     struct err *e)
{
	struct topic_info info;

	if (admin_topic(a, topic, &info, e) < 0)
		return -1;
	*ret_exists = info.exists;
	*ret_partitions = info.partitions;
	return 0;
}

int admin_ensure_topic(struct admin *a, const char *topic, enum topic_keep keep, int32_t partitions,
		       bool strict, int32_t *ret_partitions, struct err *e)
{
	struct topic *t;

	(void)strict;
	if (script_fault_before(SCRIPT_ADMIN_ENSURE, a->counted, e) < 0)
		return -1;
	pthread_mutex_lock(&lock);
	t = find(topic);
	if (t == NULL && topic_count < TOPICS_MAX) {
		t = &topics[topic_count++];
		*t = (struct topic){ .name = xstrdup(topic),
				     .keep = keep,
				     .count = partitions < PARTITIONS_MAX ? partitions
									  : PARTITIONS_MAX };
	}
	*ret_partitions = t != NULL ? t->count : 0;
	pthread_mutex_unlock(&lock);
	return script_fault_after(SCRIPT_ADMIN_ENSURE, a->counted, e);
}

int admin_ensure_topics(struct admin *a, const char *const *names, size_t count,
			enum topic_keep keep, int32_t partitions, bool strict,
			int32_t *ret_partitions, int64_t *ret_message_max, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		ret_message_max[i] = 16777216;
		if (admin_ensure_topic(a, names[i], keep, partitions, strict, &ret_partitions[i],
				       e) < 0)
			return -1;
	}
	return 0;
}

int admin_watermarks(struct admin *a, const char *topic, int32_t partition, int64_t *ret_low,
		     int64_t *ret_high, struct err *e)
{
	const struct topic *t;

	if (script_fault_before(SCRIPT_ADMIN_MARKS, a->counted, e) < 0)
		return -1;
	pthread_mutex_lock(&lock);
	t = find(topic);
	*ret_low = 0;
	*ret_high = t != NULL ? (int64_t)t->partitions[partition].count : 0;
	pthread_mutex_unlock(&lock);
	return t != NULL ? 0 : err_config(e, "there is no topic %s", topic);
}

int admin_message_max(struct admin *a, const char *topic, int64_t *ret_bytes, struct err *e)
{
	struct topic_info info;

	if (admin_topic(a, topic, &info, e) < 0)
		return -1;
	*ret_bytes = info.message_bytes_max;
	return 0;
}

/* Records have no time: what is there at all is new. */
int admin_offsets_at(struct admin *a, int64_t ms, struct admin_offset *offsets, size_t count,
		     struct err *e)
{
	(void)ms;
	for (size_t i = 0; i < count; i++) {
		int64_t low, high;

		if (admin_watermarks(a, offsets[i].topic, offsets[i].partition, &low, &high, e) < 0)
			return -1;
		offsets[i].offset = high > 0 ? 0 : -1;
	}
	return 0;
}

int admin_list(struct admin *a, const char *prefix, char ***ret_names, size_t *ret_count,
	       struct err *e)
{
	size_t count = 0;

	if (script_fault_before(SCRIPT_ADMIN_LIST, a->counted, e) < 0)
		return -1;
	pthread_mutex_lock(&lock);
	*ret_names = xcalloc(topic_count + 1, sizeof(**ret_names));
	for (size_t i = 0; i < topic_count; i++)
		if (strncmp(topics[i].name, prefix, strlen(prefix)) == 0)
			(*ret_names)[count++] = xstrdup(topics[i].name);
	*ret_count = count;
	pthread_mutex_unlock(&lock);
	return 0;
}

/* ---- consumer -------------------------------------------------------------------------------- */

struct reading {
	struct consumer_partition at;
	struct partition *partition;
	int64_t next, end;
};

struct consumer {
	bool counted;
	struct reading *readings;
	size_t count;
	struct consumer_message messages[POLL_MAX];
};

int consumer_open(const struct settings *settings, const struct consumer_options *options,
		  struct consumer **ret_consumer, struct err *e)
{
	bool counted = script_fault_counts();

	(void)settings, (void)options;
	if (script_fault_before(SCRIPT_CONSUMER_OPEN, counted, e) < 0)
		return -1;
	*ret_consumer = xcalloc(1, sizeof(**ret_consumer));
	(*ret_consumer)->counted = counted;
	return 0;
}

void consumer_close(struct consumer *c)
{
	if (c != NULL)
		free(c->readings);
	free(c);
}

/* With the lock held. */
static bool assign_one(struct reading *r)
{
	struct topic *t = find(r->at.topic);

	if (t == NULL || r->at.partition >= t->count)
		return false;
	r->partition = &t->partitions[r->at.partition];
	for (r->end = 0; r->end < (int64_t)r->partition->count &&
			 r->partition->records[r->end].outcome != OPEN;)
		r->end++;
	r->next = r->at.offset == CONSUMER_BEGIN ? 0
		  : r->at.offset == CONSUMER_END ? r->end
						 : r->at.offset;
	return true;
}

int consumer_assign(struct consumer *c, const struct consumer_partition *partitions, size_t count,
		    struct err *e)
{
	const char *missing = NULL;

	if (script_fault_before(SCRIPT_CONSUMER_ASSIGN, c->counted, e) < 0)
		return -1;
	c->readings = xrealloc(c->readings, (count + 1) * sizeof(*c->readings));
	c->count = count;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count; i++) {
		c->readings[i] = (struct reading){ .at = partitions[i] };
		if (!assign_one(&c->readings[i]))
			missing = partitions[i].topic;
	}
	pthread_mutex_unlock(&lock);
	return missing == NULL ? 0 : err_config(e, "there is no topic %s", missing);
}

static size_t take_messages(struct consumer *c, size_t index, size_t count)
{
	struct reading *r = &c->readings[index];

	for (; r->next < r->end && count < POLL_MAX; r->next++) {
		const struct record *record = &r->partition->records[r->next];

		if (record->outcome == COMMITTED)
			c->messages[count++] = (struct consumer_message){
				.topic = r->at.topic,
				.index = index,
				.partition = r->at.partition,
				.offset = r->next,
				.key = part_of(&record->key, record->has_key),
				.value = part_of(&record->value, record->has_value),
			};
	}
	return count;
}

int consumer_poll(struct consumer *c, int timeout_ms, const struct consumer_message **ret_messages,
		  size_t *ret_count, struct err *e)
{
	size_t count = 0;

	(void)timeout_ms;
	if (script_fault_before(SCRIPT_CONSUMER_POLL, c->counted, e) < 0)
		return -1;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < c->count; i++)
		count = take_messages(c, i, count);
	pthread_mutex_unlock(&lock);
	*ret_messages = c->messages;
	*ret_count = count;
	return 0;
}

int64_t consumer_next(const struct consumer *c, size_t index)
{
	return c->readings[index].next;
}

bool consumer_at_end(const struct consumer *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->readings[i].next < c->readings[i].end)
			return false;
	return true;
}

int consumer_pause(struct consumer *c, size_t index, bool paused, struct err *e)
{
	(void)c, (void)index, (void)paused, (void)e;
	return 0;
}

void consumer_commit(struct consumer *c, const struct consumer_partition *partitions, size_t count)
{
	(void)c, (void)partitions, (void)count;
}

/* ---- producer -------------------------------------------------------------------------------- */

struct producer_topic {
	struct producer_topic *next;
	char *name;
};

struct producer {
	bool counted, transactional, open, fenced;
	int64_t id;
	struct holder *holder;
	struct producer_topic *topics;
	struct err later; /* a delivery that failed */
};

/* With the lock held. */
static void take_id(struct producer *p, const char *transactional_id)
{
	for (size_t i = 0; i < holder_count; i++)
		if (strcmp(holders[i].transactional_id, transactional_id) == 0)
			p->holder = &holders[i];
	if (p->holder == NULL) {
		p->holder = &holders[holder_count++];
		p->holder->transactional_id = xstrdup(transactional_id);
	}
	end_records(p->holder->producer, ABORTED);
	p->holder->producer = p->id;
}

int producer_open(const struct settings *settings, const struct producer_options *options,
		  struct producer **ret_producer, struct err *e)
{
	bool counted = script_fault_counts();
	struct producer *p;

	(void)settings;
	if (script_fault_before(SCRIPT_PRODUCER_OPEN, counted, e) < 0)
		return -1;
	p = xcalloc(1, sizeof(*p));
	p->counted = counted;
	pthread_mutex_lock(&lock);
	p->id = ++producers;
	p->transactional = options->transactional_id != NULL;
	if (p->transactional)
		take_id(p, options->transactional_id);
	pthread_mutex_unlock(&lock);
	if (script_fault_after(SCRIPT_PRODUCER_OPEN, counted, e) < 0) {
		free(p);
		return -1;
	}
	*ret_producer = p;
	return 0;
}

void producer_close(struct producer *p)
{
	struct producer_topic *t;
	struct err ignored = ERR_INIT;

	if (p == NULL)
		return;
	if (!script_fault_dead()) /* after a crash the next instance aborts it */
		(void)producer_abort(p, &ignored);
	while ((t = p->topics) != NULL) {
		p->topics = t->next;
		free(t->name);
		free(t);
	}
	free(p);
}

struct producer_topic *producer_topic(struct producer *p, const char *topic)
{
	struct producer_topic *t = xcalloc(1, sizeof(*t));

	t->name = xstrdup(topic);
	t->next = p->topics;
	p->topics = t;
	return t;
}

const char *producer_topic_name(const struct producer_topic *topic)
{
	return topic->name;
}

static int check_fence(struct producer *p, struct err *e)
{
	if (!p->transactional || p->holder->producer == p->id)
		return 0;
	err_fatal(e, "another instance with the same name has taken over");
	return err_exit(e, EXIT_FENCED);
}

static void append(struct producer *p, struct partition *part, struct slice key, struct slice value)
{
	struct record *r;

	if (part->count == part->capacity) {
		part->capacity = part->capacity * 2 + 64;
		part->records = xrealloc(part->records, part->capacity * sizeof(*part->records));
	}
	r = &part->records[part->count++];
	*r = (struct record){ .has_key = key.data != NULL,
			      .has_value = value.data != NULL,
			      .outcome = p->transactional ? OPEN : COMMITTED,
			      .producer = p->id };
	buf_add_slice(&r->key, key);
	buf_add_slice(&r->value, value);
}

static void (*on_send)(const char *topic, bool done);

void script_on_send(void (*sent)(const char *topic, bool done))
{
	on_send = sent;
}

static int put(struct producer *p, struct producer_topic *topic, int32_t partition,
	       struct slice key, struct slice value, struct err *e)
{
	struct topic *t;

	if (script_fault_before(SCRIPT_PRODUCER_SEND, p->counted, e) < 0 || check_fence(p, e) < 0)
		return -1;
	if (p->transactional && !p->open)
		return err_fatal(e, "a record outside of a transaction");
	if (p->later.kind != ERR_NONE) /* no gap: nothing arrives behind what failed */
		return 0;
	if (script_fault_before(SCRIPT_PRODUCER_LATER, p->counted, &p->later) < 0)
		return 0;
	pthread_mutex_lock(&lock);
	t = find(topic->name);
	if (t != NULL && partition < t->count)
		append(p, &t->partitions[partition], key, value);
	pthread_mutex_unlock(&lock);
	if (t == NULL)
		return err_config(e, "there is no topic %s", topic->name);
	return script_fault_after(SCRIPT_PRODUCER_SEND, p->counted, e);
}

int producer_send(struct producer *p, struct producer_topic *topic, int32_t partition,
		  struct slice key, struct slice value, struct err *e)
{
	int rc;

	if (on_send != NULL)
		on_send(topic->name, false);
	rc = put(p, topic, partition, key, value, e);
	if (on_send != NULL)
		on_send(topic->name, true);
	return rc;
}

int producer_send_offset(struct producer *p, struct producer_topic *topic, int32_t partition,
			 struct slice key, struct slice value, int64_t *ret_offset, struct err *e)
{
	struct topic *t;

	if (producer_send(p, topic, partition, key, value, e) < 0 || producer_flush(p, e) < 0)
		return -1;
	pthread_mutex_lock(&lock);
	t = find(topic->name);
	*ret_offset = (int64_t)t->partitions[partition].count - 1;
	pthread_mutex_unlock(&lock);
	return 0;
}

int64_t producer_record_max(const struct producer *p)
{
	(void)p;
	return 16777216 - PRODUCER_RECORD_FRAME;
}

int64_t producer_batch_max(const struct producer *p)
{
	(void)p;
	return PRODUCER_BATCH_MAX;
}

int64_t producer_pending(const struct producer *p)
{
	(void)p;
	return 0;
}

int64_t producer_pending_bytes(const struct producer *p)
{
	(void)p;
	return 0;
}

int64_t producer_transaction_ms(const struct producer *p)
{
	(void)p;
	return 0; /* a transaction is cut as soon as it can be */
}

void producer_poll(struct producer *p, int timeout_ms)
{
	(void)p, (void)timeout_ms;
}

int producer_error(struct producer *p, struct err *e)
{
	if (p->later.kind == ERR_NONE)
		return 0;
	*e = p->later;
	return -1;
}

int producer_flush(struct producer *p, struct err *e)
{
	if (script_fault_before(SCRIPT_PRODUCER_FLUSH, p->counted, e) < 0 ||
	    producer_error(p, e) < 0)
		return -1;
	if (p->counted && !p->transactional && on_commit != NULL)
		on_commit();
	return script_fault_after(SCRIPT_PRODUCER_FLUSH, p->counted, e);
}

int producer_begin(struct producer *p, struct err *e)
{
	if (script_fault_before(SCRIPT_PRODUCER_BEGIN, p->counted, e) < 0 || check_fence(p, e) < 0)
		return -1;
	if (p->open)
		return err_fatal(e, "a transaction inside a transaction");
	p->open = true;
	return script_fault_after(SCRIPT_PRODUCER_BEGIN, p->counted, e);
}

int producer_commit(struct producer *p, struct err *e)
{
	if (script_fault_before(SCRIPT_PRODUCER_COMMIT, p->counted, e) < 0 ||
	    check_fence(p, e) < 0 || producer_error(p, e) < 0)
		return -1;
	if (!p->open)
		return err_fatal(e, "a commit without a transaction");
	pthread_mutex_lock(&lock);
	end_records(p->id, COMMITTED);
	pthread_mutex_unlock(&lock);
	p->open = false;
	if (p->counted && on_commit != NULL)
		on_commit();
	return script_fault_after(SCRIPT_PRODUCER_COMMIT, p->counted, e);
}

int producer_abort(struct producer *p, struct err *e)
{
	(void)e;
	if (!p->open)
		return 0;
	pthread_mutex_lock(&lock);
	end_records(p->id, ABORTED);
	pthread_mutex_unlock(&lock);
	p->open = false;
	return 0;
}
