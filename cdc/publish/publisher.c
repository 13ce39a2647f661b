/* publisher.c - one change in, its records out: the row record, and each published event that the
 * change makes.
 *
 * A plan per shape is found by pointer, so an unchanged table costs one hash look-up per change.
 * Compiling a plan registers schemas and creates topics through the sink, all before the first
 * record of that shape is sent. Buffers are reused; nothing is allocated per row. */
#include "cdc/publish/publisher.h"

#include "cdc/catalog/catalog.h"
#include "cdc/publish/event_bind.h"
#include "cdc/publish/event_files.h"
#include "cdc/publish/row_plan.h"
#include "cdc/publish/touched.h"
#include "core/avro/row_schema.h"
#include "core/avro/write.h"
#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/kafka/producer.h"

#include <stdlib.h>
#include <uthash.h>

#define WIRE_HEADER_SIZE 5
/* The envelope's ts_ms is the time of processing: one clock read serves a run of changes. */
#define CHANGES_PER_CLOCK_READ 64

struct topic {
	struct publish_topic *handle;
	int32_t partitions;
	int64_t record_max;
	uint32_t *slots; /* per partition, for touched_add */
	UT_hash_handle hh;
	char name[];
};

struct event_plan {
	struct event_bind *bind;
	struct topic *topic;
	int32_t key_id, value_id;
};

struct plan {
	struct shape *shape; /* the hash key: the pointer */
	struct row_plan *rows;
	struct topic *topic;
	int32_t key_id, value_id; /* key_id is unused for tables without a key */
	struct event_plan *events;
	size_t event_count;
	UT_hash_handle hh;
};

struct publisher {
	const struct settings *settings;
	struct publish_sink sink;
	struct event_files files;
	const char **event_tables; /* "db.table" of each event */
	struct topic *topics;
	struct plan *plans;
	struct plan *last; /* the plan used last: most changes come in runs */
	struct touched touched;
	struct buf key, value, where;
	int64_t events; /* since the last commit */
	bool inexact;   /* so are these: plans have some to count */
	struct metric *events_total;
	int64_t now_ms;
	unsigned until_clock_read;
};

static bool captures(const char *db, const char *table, void *context)
{
	return catalog_captures(context, slice_str(db), slice_str(table));
}

/* Millrace's own topics, and those of rows, are no place for events: their readers would meet
 * records they don't know. */
static int check_topics(const struct publisher *p, struct err *e)
{
	size_t n = strlen(p->settings->name);

	for (size_t i = 0; i < p->files.count; i++) {
		const struct event_schema *event = p->files.events[i];
		const char *rest = strncmp(event->topic, p->settings->name, n) == 0 &&
						   event->topic[n] == '.'
					   ? event->topic + n + 1
					   : "";

		if (strcmp(rest, "commits") == 0 || strcmp(rest, "position") == 0 ||
		    strcmp(rest, "status") == 0 || strcmp(rest, "parked") == 0 ||
		    strcmp(event->topic, p->settings->kafka_schemas_topic) == 0 ||
		    strchr(rest, '.') != NULL) {
			err_config(e, "%s: topic %s belongs to Millrace itself", event->file,
				   event->topic);
			return err_hint(e, "Choose another name, for instance %s.events.",
					p->settings->name);
		}
	}
	return 0;
}

static void name_event_tables(struct publisher *p)
{
	p->event_tables = xcalloc(p->files.count, sizeof(*p->event_tables));
	for (size_t i = 0; i < p->files.count; i++)
		p->event_tables[i] =
			xasprintf("%s.%s", p->files.events[i]->db, p->files.events[i]->table);
}

int publisher_new(const struct settings *settings, const struct publish_sink *sink,
		  struct publisher **ret_publisher, struct err *e)
{
	struct publisher *p = xcalloc(1, sizeof(*p));
	struct catalog *catalog = catalog_new(settings);
	int rc;

	p->settings = settings;
	p->sink = *sink;
	p->events_total = metric_counter("millrace_capture_events_total",
					 "Published events delivered.", NULL);
	rc = event_files_read(settings->capture_events_dir, captures, catalog, &p->files, e);
	catalog_free(catalog);
	if (rc == 0)
		rc = check_topics(p, e);
	if (rc < 0) {
		publisher_free(p);
		return -1;
	}
	name_event_tables(p);
	*ret_publisher = p;
	return 0;
}

static void plan_free(struct plan *plan)
{
	for (size_t i = 0; i < plan->event_count; i++)
		event_bind_free(plan->events[i].bind);
	free(plan->events);
	row_plan_free(plan->rows);
	shape_unref(plan->shape);
	free(plan);
}

static void drop_plan(struct publisher *p, struct plan *plan)
{
	if (p->last == plan)
		p->last = NULL;
	HASH_DEL(p->plans, plan);
	plan_free(plan);
}

void publisher_free(struct publisher *p)
{
	struct plan *plan, *next_plan;
	struct topic *topic, *next_topic;

	if (p == NULL)
		return;
	HASH_ITER(hh, p->plans, plan, next_plan)
	drop_plan(p, plan);
	touched_done(&p->touched);
	HASH_ITER(hh, p->topics, topic, next_topic)
	{
		HASH_DEL(p->topics, topic);
		free(topic->slots);
		free(topic);
	}
	for (size_t i = 0; p->event_tables != NULL && i < p->files.count; i++)
		free((char *)(uintptr_t)p->event_tables[i]);
	free(p->event_tables);
	event_files_done(&p->files);
	buf_done(&p->key);
	buf_done(&p->value);
	buf_done(&p->where);
	free(p);
}

/* ---- compiling a plan ---- */

static int find_topic(struct publisher *p, const char *name, struct topic **ret_topic,
		      struct err *e)
{
	size_t size = strlen(name);
	struct topic *topic = NULL;
	struct publish_topic *handle;
	int32_t partitions;

	HASH_FIND_STR(p->topics, name, topic);
	if (topic == NULL) {
		if (p->sink.topic(p->sink.context, name, &handle, &partitions, e) < 0)
			return err_wrap(e, "topic %s", name);
		topic = xcalloc(1, sizeof(*topic) + size + 1);
		memcpy(topic->name, name, size);
		topic->handle = handle;
		topic->partitions = partitions;
		topic->record_max = p->sink.record_max != NULL
					    ? p->sink.record_max(p->sink.context, handle)
					    : INT64_MAX;
		topic->slots = xcalloc((size_t)partitions, sizeof(*topic->slots));
		HASH_ADD_KEYPTR(hh, p->topics, topic->name, size, topic);
	}
	*ret_topic = topic;
	return 0;
}

static int register_as(struct publisher *p, const char *topic, const char *suffix, const char *text,
		       int32_t *ret_id, struct err *e)
{
	char *subject = xasprintf("%s-%s", topic, suffix);
	int rc = p->sink.schema(p->sink.context, subject, text, ret_id, e);

	if (rc < 0)
		err_wrap(e, "schema of subject %s", subject);
	free(subject);
	return rc;
}

char *publisher_row_topic(const struct publisher *p, const struct shape *shape)
{
	struct buf name = BUF_INIT;

	buf_add_format(&name, "%s.", p->settings->name);
	schema_escape_name(shape->db, &name);
	buf_add_str(&name, ".");
	schema_escape_name(shape->table, &name);
	return buf_cstr(&name); /* the caller takes the memory */
}

static int compile_rows(struct publisher *p, struct plan *plan, struct err *e)
{
	char *name = publisher_row_topic(p, plan->shape);
	struct buf text = BUF_INIT;
	int rc = -1;

	plan->rows = row_plan_new(p->settings->name, plan->shape);
	if (find_topic(p, name, &plan->topic, e) < 0 ||
	    row_schema_envelope(p->settings->name, plan->shape, &text, e) < 0 ||
	    register_as(p, name, "value", buf_cstr(&text), &plan->value_id, e) < 0)
		goto out;
	buf_reset(&text);
	if (plan->shape->key_count != 0 &&
	    (row_schema_key(p->settings->name, plan->shape, &text, e) < 0 ||
	     register_as(p, name, "key", buf_cstr(&text), &plan->key_id, e) < 0))
		goto out;
	rc = 0;
out:
	buf_done(&text);
	free(name);
	return rc;
}

static int compile_event(struct publisher *p, struct plan *plan, const struct event_schema *event,
			 struct err *e)
{
	struct event_plan *compiled;

	plan->events = xrealloc(plan->events, (plan->event_count + 1) * sizeof(*plan->events));
	compiled = &plan->events[plan->event_count];
	*compiled = (struct event_plan){ .bind = NULL };
	if (event_bind_new(event, plan->shape, &compiled->bind, e) < 0)
		return -1;
	plan->event_count++;
	if (find_topic(p, event->topic, &compiled->topic, e) < 0 ||
	    register_as(p, event->topic, "key", event->key_text, &compiled->key_id, e) < 0)
		return -1;
	return register_as(p, event->topic, event->full_name, event->registered,
			   &compiled->value_id, e);
}

static int compile_events_of(struct publisher *p, struct plan *plan, bool leaves, struct err *e)
{
	for (size_t i = 0; i < p->files.count; i++) {
		const struct event_schema *event = p->files.events[i];

		if ((event->when == EVENT_LEAVES) == leaves &&
		    strcmp(event->db, plan->shape->db) == 0 &&
		    strcmp(event->table, plan->shape->table) == 0 &&
		    compile_event(p, plan, event, e) < 0)
			return -1;
	}
	return 0;
}

/* Not those of a table whose columns nobody knows any more: it is only told that its rows are gone.
 * Leaves first: a row that moves to another event key leaves the old one before it enters the new
 * one. */
static int compile_events(struct publisher *p, struct plan *plan, struct err *e)
{
	if (plan->shape->column_count == 0)
		return 0;
	if (compile_events_of(p, plan, true, e) < 0)
		return -1;
	return compile_events_of(p, plan, false, e);
}

static struct plan *plan_of_table(const struct publisher *p, const char *db, const char *table)
{
	struct plan *plan, *next;

	HASH_ITER(hh, p->plans, plan, next)
	{
		if (strcmp(plan->shape->db, db) == 0 && strcmp(plan->shape->table, table) == 0)
			return plan;
	}
	return NULL;
}

struct shape *publisher_shape(const struct publisher *p, const char *db, const char *table)
{
	const struct plan *plan = plan_of_table(p, db, table);

	return plan != NULL ? plan->shape : NULL;
}

/* An equal shape, made anew: by a copy beside the stream, or by a server that was restarted. */
static void move_plan(struct publisher *p, struct plan *plan, struct shape *shape)
{
	HASH_DEL(p->plans, plan);
	shape_unref(plan->shape);
	plan->shape = shape_ref(shape);
	HASH_ADD_PTR(p->plans, shape, plan);
}

static int compile(struct publisher *p, struct shape *shape, struct plan **ret_plan, struct err *e)
{
	struct plan *plan = xcalloc(1, sizeof(*plan));

	plan->shape = shape_ref(shape);
	if (compile_rows(p, plan, e) < 0 || compile_events(p, plan, e) < 0) {
		plan_free(plan);
		return err_wrap(e, "table %s.%s", shape->db, shape->table);
	}
	HASH_ADD_PTR(p->plans, shape, plan);
	*ret_plan = plan;
	return 0;
}

/* A table has one plan. */
static int find_plan(struct publisher *p, struct shape *shape, struct plan **ret_plan,
		     struct err *e)
{
	struct plan *plan = p->last, *older;

	if (plan == NULL || plan->shape != shape)
		HASH_FIND_PTR(p->plans, &shape, plan);
	if (plan == NULL) {
		older = plan_of_table(p, shape->db, shape->table);
		if (older != NULL && shape_equal(older->shape, shape)) {
			plan = older;
			move_plan(p, plan, shape);
		} else {
			if (compile(p, shape, &plan, e) < 0)
				return -1;
			if (older != NULL)
				drop_plan(p, older);
		}
	}
	p->last = plan;
	*ret_plan = plan;
	return 0;
}

int publisher_prepare(struct publisher *p, struct shape *shape, struct err *e)
{
	struct plan *plan;

	return find_plan(p, shape, &plan, e);
}

/* ---- sending ---- */

/* What a record was made from. */
struct origin {
	const struct plan *plan;
	const struct row_meta *meta;
	unsigned number; /* 0: the row record */
};

/* p->key holds wire header and key datum (or nothing: null key), p->value wire header and datum. */
static int send_to(struct publisher *p, struct topic *topic, int32_t partition, struct slice key,
		   struct slice value, int64_t seq, struct err *e)
{
	if (p->sink.send(p->sink.context, topic->handle, partition, key, value, e) < 0)
		return err_wrap(e, "topic %s partition %d", topic->name, (int)partition);
	touched_add(&p->touched, &topic->slots[partition], topic->name, partition, seq,
		    key.size + value.size);
	return 0;
}

/* The record is kept elsewhere. A row's topic gets a stand-in, so that key order and counts stay
 * true; an event has none, and later ones with its key have to wait. */
static int park(struct publisher *p, struct topic *topic, int32_t partition, struct slice key,
		const struct origin *o, const char *reason, struct err *e)
{
	const char op[2] = { (char)o->meta->op, '\0' };
	bool is_row = o->number == 0;
	struct publish_parked record = { .topic = topic->handle,
					 .topic_name = topic->name,
					 .partition = partition,
					 .key = key,
					 .value = buf_slice(&p->value),
					 .seq = o->meta->seq,
					 .number = o->number,
					 .op = is_row ? op : "",
					 .stand_in = is_row,
					 .transaction = o->meta->transaction,
					 .commit_us = o->meta->commit_us,
					 .reason = reason };

	buf_reset(&p->where);
	if (p->sink.park(p->sink.context, &record, &p->where, e) < 0)
		return err_wrap(e, "parking for topic %s", topic->name);
	p->touched.bytes += (int64_t)p->value.size;
	buf_done(&p->value); /* as large as the record: given back */
	if (!is_row)
		return 0;
	write_wire_header(&p->value, o->plan->value_id);
	row_plan_stand_in(o->plan->rows, o->meta, buf_cstr(&p->where), &p->value);
	if ((int64_t)(key.size + p->value.size) > topic->record_max)
		return err_data(e, "topic %s takes %lld bytes: not even a stand-in", topic->name,
				(long long)topic->record_max);
	return send_to(p, topic, partition, key, buf_slice(&p->value), o->meta->seq, e);
}

/* why: it is parked, and why; NULL: only if it must be. */
static int send_record(struct publisher *p, struct topic *topic, const struct origin *o,
		       const char *why, struct err *e)
{
	struct slice key = buf_slice(&p->key);
	int32_t partition = 0;
	char reason[160];

	if (key.size > 0)
		partition = producer_partition(
			slice_of(key.data + WIRE_HEADER_SIZE, key.size - WIRE_HEADER_SIZE),
			topic->partitions);
	else
		key = slice_of(NULL, 0);
	if ((int64_t)(key.size + p->value.size) > topic->record_max) {
		(void)snprintf(reason, sizeof(reason), /* numbers only: fits */
			       "%zu bytes are more than its topic takes (%lld)",
			       key.size + p->value.size, (long long)topic->record_max);
		return park(p, topic, partition, key, o, reason, e);
	}
	if (o->number != 0 && p->sink.blocks != NULL &&
	    p->sink.blocks(p->sink.context, topic->handle, key))
		return park(p, topic, partition, key, o,
			    "an earlier event with the same key is parked", e);
	if (why != NULL)
		return park(p, topic, partition, key, o, why, e);
	return send_to(p, topic, partition, key, buf_slice(&p->value), o->meta->seq, e);
}

static struct row_meta meta_of(const struct publisher *p, const struct change *change, int64_t seq)
{
	return (struct row_meta){ .op = change->op,
				  .seq = seq,
				  .commit_us = change->commit_us,
				  .now_ms = p->now_ms,
				  .order = change->order,
				  .transaction = change->transaction };
}

/* Readers of any partition must know: the same record goes to all of them. */
static int send_truncate(struct publisher *p, struct plan *plan, const struct change *change,
			 int64_t *seq, struct err *e)
{
	const struct row_meta meta = meta_of(p, change, *seq + 1);

	buf_reset(&p->key);
	buf_reset(&p->value);
	write_wire_header(&p->value, plan->value_id);
	(void)row_plan_envelope(plan->rows, &meta, NULL, NULL, &p->value, NULL);
	for (int32_t i = 0; i < plan->topic->partitions; i++)
		if (send_to(p, plan->topic, i, slice_of(NULL, 0), buf_slice(&p->value), *seq + 1,
			    e) < 0)
			return -1;
	*seq += 1;
	return 0;
}

/* A row with values that their Avro type can't hold: capture.on_inexact decides. */
static int send_inexact(struct publisher *p, struct topic *topic, const struct origin *o,
			const struct column *column, struct err *e)
{
	const char *policy = p->settings->capture_on_inexact;
	char type[64], *why;
	int rc;

	p->inexact = true;
	if (strcmp(policy, "carry") == 0)
		return send_record(p, topic, o, NULL, e);
	(void)column_type_text(column, type, sizeof(type));
	if (strcmp(policy, "stop") == 0) {
		err_data(e, "column %s (%s) has a value that its Avro type cannot hold",
			 column->name, type);
		return err_hint(
			e,
			"capture.on_inexact is stop. With carry the field is null and the envelope's exact map has the text; with park the record waits in the parked topic.");
	}
	why = xasprintf("column %s (%s) has a value that its Avro type cannot hold", column->name,
			type);
	rc = send_record(p, topic, o, why, e);
	free(why);
	return rc;
}

static int send_row(struct publisher *p, struct plan *plan, const struct change *change,
		    int64_t seq, struct err *e)
{
	const struct row_meta meta = meta_of(p, change, seq);
	const struct origin origin = { plan, &meta, 0 };
	const struct column *column;

	buf_reset(&p->key);
	buf_reset(&p->value);
	if (plan->shape->key_count != 0) {
		write_wire_header(&p->key, plan->key_id);
		if (row_plan_key(plan->rows, change->after != NULL ? change->after : change->before,
				 &p->key, e) < 0)
			return -1;
	}
	write_wire_header(&p->value, plan->value_id);
	if (row_plan_envelope(plan->rows, &meta, change->before, change->after, &p->value,
			      &column) > 0)
		return send_inexact(p, plan->topic, &origin, column, e);
	return send_record(p, plan->topic, &origin, NULL, e);
}

static int send_event(struct publisher *p, struct plan *plan, size_t number,
		      const struct change *change, int64_t seq, struct err *e)
{
	const struct row_meta meta = meta_of(p, change, seq);
	const struct origin origin = { plan, &meta, (unsigned)number + 1 };
	struct event_plan *event = &plan->events[number];
	enum event_image image;
	const struct cell *row;

	if (event_bind_decide(event->bind, change->before, change->after, &image, e) < 0)
		return -1;
	if (image == EVENT_FROM_NONE)
		return 0;
	row = image == EVENT_FROM_BEFORE ? change->before : change->after;
	buf_reset(&p->key);
	buf_reset(&p->value);
	write_wire_header(&p->key, event->key_id);
	write_wire_header(&p->value, event->value_id);
	write_long(&p->value, seq);
	write_str(&p->value, change->transaction);
	write_long(&p->value, change->commit_us);
	write_long(&p->value, 0); /* traceparent: null */
	if (event_bind_key(event->bind, row, &p->key, e) < 0 ||
	    event_bind_fields(event->bind, row, &p->value, e) < 0)
		return -1;
	p->events++;
	return send_record(p, event->topic, &origin, NULL, e);
}

static int send_change(struct publisher *p, struct plan *plan, const struct change *change,
		       int64_t seq, struct err *e)
{
	if (send_row(p, plan, change, seq, e) < 0)
		return -1;
	for (size_t i = 0; i < plan->event_count; i++) {
		if (send_event(p, plan, i, change, seq, e) < 0)
			return -1;
	}
	return 0;
}

static int send_key_change(struct publisher *p, struct plan *plan, const struct change *change,
			   int64_t *seq, struct err *e)
{
	struct change gone = *change, come = *change;

	gone.op = CHANGE_DELETE;
	gone.after = NULL;
	come.op = CHANGE_CREATE;
	come.before = NULL;
	if (send_change(p, plan, &gone, *seq + 1, e) < 0 ||
	    send_change(p, plan, &come, *seq + (BUG(shared_seq) ? 1 : 2), e) < 0)
		return -1;
	*seq += BUG(shared_seq) ? 1 : 2;
	return 0;
}

static int send_numbered(struct publisher *p, struct plan *plan, const struct change *change,
			 int64_t *seq, struct err *e)
{
	bool both = change->before != NULL && change->after != NULL;

	if (change->op == CHANGE_TRUNCATE)
		return send_truncate(p, plan, change, seq, e);
	if (both && plan->shape->key_count != 0 &&
	    !row_plan_same_key(plan->rows, change->before, change->after))
		return send_key_change(p, plan, change, seq, e);
	if (send_change(p, plan, change, *seq + 1, e) < 0)
		return -1;
	*seq += 1;
	return 0;
}

int publisher_change(struct publisher *p, const struct change *change, int64_t *seq, struct err *e)
{
	struct plan *plan;

	if (p->until_clock_read-- == 0) {
		p->now_ms = clock_now_us() / 1000;
		p->until_clock_read = CHANGES_PER_CLOCK_READ;
	}
	if (find_plan(p, change->shape, &plan, e) < 0)
		return -1;
	if (send_numbered(p, plan, change, seq, e) < 0)
		return err_wrap(e, "table %s.%s, transaction %s", change->shape->db,
				change->shape->table, change->transaction);
	return 0;
}

int publisher_resend(struct publisher *p, const char *topic, int32_t partition, struct slice key,
		     struct slice value, int64_t seq, struct err *e)
{
	struct topic *t;

	if (find_topic(p, topic, &t, e) < 0)
		return -1;
	if (partition < 0 || partition >= t->partitions)
		return err_data(e, "topic %s has no partition %d", topic, (int)partition);
	if (p->sink.record_max != NULL) /* it may have been raised */
		t->record_max = p->sink.record_max(p->sink.context, t->handle);
	return send_to(p, t, partition, key, value, seq, e);
}

const struct publish_touched *publisher_touched(const struct publisher *p, size_t *ret_count)
{
	*ret_count = p->touched.count;
	return p->touched.items;
}

int64_t publisher_bytes(const struct publisher *p)
{
	return p->touched.bytes;
}

void publisher_commit(struct publisher *p)
{
	metric_add(p->events_total, p->events);
	for (struct plan *plan = p->inexact ? p->plans : NULL; plan != NULL; plan = plan->hh.next)
		row_plan_commit(plan->rows);
	touched_clear(&p->touched);
	p->events = 0;
	p->inexact = false;
	p->until_clock_read = 0;
}

void publisher_fingerprint(const struct publisher *p, struct buf *out)
{
	for (size_t i = 0; i < p->files.count; i++) {
		const struct event_schema *event = p->files.events[i];

		buf_add_format(out, "event %s topic=%s from=%s.%s when=%s key=", event->full_name,
			       event->topic, event->db, event->table, event_when_name(event->when));
		for (size_t k = 0; k < event->key_count; k++)
			buf_add_format(out, "%s%s", k != 0 ? "," : "", event->key[k]);
		buf_add_format(out, " where=%s\n", event->where != NULL ? event->where : "");
	}
}

const char *const *publisher_event_tables(const struct publisher *p, size_t *ret_count)
{
	*ret_count = p->files.count;
	return p->event_tables;
}

bool publisher_has_events(const struct publisher *p, const char *db, const char *table)
{
	for (size_t i = 0; i < p->files.count; i++)
		if (strcmp(p->files.events[i]->db, db) == 0 &&
		    strcmp(p->files.events[i]->table, table) == 0)
			return true;
	return false;
}

const char *publisher_event_topic(const struct publisher *p, size_t event)
{
	return p->files.events[event]->topic;
}
