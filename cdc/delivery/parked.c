/* parked.c - writes what is parked, and knows which keys wait.
 *
 * Pieces are cut out of the record's own buffer, one after the other; the producer's queue bounds
 * how many are in memory a second time. The first piece is sent alone and awaited, because its
 * offset is what stand-in and index say; parking is rare.
 *
 * In memory are only figures and the keys of events that wait: a record is found again through its
 * index entry. */
#include "cdc/delivery/parked.h"

#include "core/avro/write.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/intake/parked.h"

#include <inttypes.h>
#include <stdlib.h>
#include <uthash.h>

#define WIRE_HEADER_SIZE 5

struct blocked {
	size_t count; /* records parked with this key */
	UT_hash_handle hh;
	char key[]; /* topic, NUL, key datum */
};

struct parked {
	struct parked_options options;
	char *topic_name;
	struct blocked *blocked;
	size_t blocked_count;
	int64_t records, bytes;
	struct metric *records_now, *bytes_now;
	struct buf key, value, text;
};

static void show(const struct parked *p)
{
	metric_set(p->records_now, (double)p->records);
	metric_set(p->bytes_now, (double)p->bytes);
}

struct parked *parked_new(const struct parked_options *options)
{
	struct parked *p = xcalloc(1, sizeof(*p));

	p->options = *options;
	p->topic_name = xasprintf("%s.parked", options->settings->name);
	p->records_now = metric_gauge("millrace_capture_parked_records",
				      "Records that are parked (millrace parked list).", NULL);
	p->bytes_now = metric_gauge("millrace_capture_parked_bytes", "Their bytes.", NULL);
	show(p);
	return p;
}

void parked_free(struct parked *p)
{
	struct blocked *b, *next;

	if (p == NULL)
		return;
	HASH_ITER(hh, p->blocked, b, next)
	{
		HASH_DEL(p->blocked, b);
		free(b);
	}
	buf_done(&p->key);
	buf_done(&p->value);
	buf_done(&p->text);
	free(p->topic_name);
	free(p);
}

void parked_index_key(const char *name, const char *id, struct buf *out)
{
	buf_add_format(out, "%s/parked/%s", name, id);
}

bool parked_is_index_key(const char *name, struct slice key)
{
	static const char middle[] = "/parked/";
	size_t n = strlen(name);

	return key.size > n + sizeof(middle) - 1 && memcmp(key.data, name, n) == 0 &&
	       memcmp(key.data + n, middle, sizeof(middle) - 1) == 0;
}

/* ---- keys that wait ------------------------------------------------------------------------- */

/* Without the wire header: a new version of the key's schema is the same key. */
static void blocked_key(const char *topic, struct slice key, struct buf *out)
{
	buf_reset(out);
	buf_add(out, topic, strlen(topic) + 1);
	if (key.size > WIRE_HEADER_SIZE)
		buf_add(out, key.data + WIRE_HEADER_SIZE, key.size - WIRE_HEADER_SIZE);
}

static struct blocked *find_blocked(const struct parked *p, const char *topic, struct slice key)
{
	struct buf text = BUF_INIT;
	struct blocked *b;

	blocked_key(topic, key, &text);
	HASH_FIND(hh, p->blocked, text.data, text.size, b);
	buf_done(&text);
	return b;
}

static void block(struct parked *p, const char *topic, struct slice key)
{
	struct blocked *b = find_blocked(p, topic, key);

	if (b == NULL) {
		blocked_key(topic, key, &p->text);
		b = xmalloc(sizeof(*b) + p->text.size);
		b->count = 0;
		memcpy(b->key, p->text.data, p->text.size);
		HASH_ADD(hh, p->blocked, key, p->text.size, b);
		p->blocked_count++;
	}
	b->count++;
}

static void unblock(struct parked *p, const char *topic, struct slice key)
{
	struct blocked *b = find_blocked(p, topic, key);

	if (b == NULL || --b->count > 0)
		return;
	HASH_DEL(p->blocked, b);
	free(b);
	p->blocked_count--;
}

bool parked_blocks(const struct parked *p, const char *topic, struct slice key)
{
	return p->blocked_count > 0 && find_blocked(p, topic, key) != NULL;
}

void parked_know(struct parked *p, const struct parked_record *entry)
{
	p->records++;
	p->bytes += entry->size;
	show(p);
	if (!entry->stand_in)
		block(p, entry->topic, entry->key);
}

void parked_counts(const struct parked *p, int64_t *ret_records, int64_t *ret_bytes)
{
	*ret_records = p->records;
	*ret_bytes = p->bytes;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void encode(struct parked *p, const struct parked_record *record)
{
	buf_reset(&p->value);
	write_wire_header(&p->value, p->options.schema_id);
	records_write_parked(record, &p->value);
}

static struct slice piece_key(struct parked *p, const char *id, int32_t piece)
{
	buf_reset(&p->key);
	buf_add_format(&p->key, "%s/%06d", id, (int)piece);
	return buf_slice(&p->key);
}

static struct slice index_key(struct parked *p, const char *id)
{
	buf_reset(&p->key);
	parked_index_key(p->options.settings->name, id, &p->key);
	return buf_slice(&p->key);
}

static int put_pieces(struct parked *p, struct parked_record *record, struct slice value,
		      int64_t *ret_offset, struct err *e)
{
	size_t max = (size_t)p->options.piece_max;

	for (int32_t i = 0; i < record->pieces; i++) {
		size_t from = (size_t)i * max, left = value.size - from;
		struct producer *producer = p->options.producer;
		struct slice key = piece_key(p, record->id, i);

		record->piece = i;
		record->data = slice_of(value.data + from, left < max ? left : max);
		encode(p, record);
		if (i == 0 ? producer_send_offset(producer, p->options.topic, 0, key,
						  buf_slice(&p->value), ret_offset, e) < 0
			   : producer_send(producer, p->options.topic, 0, key, buf_slice(&p->value),
					   e) < 0)
			return err_wrap(e, "topic %s", p->topic_name);
		record->key = slice_of(NULL, 0); /* the first piece says it */
	}
	return 0;
}

static int put_index(struct parked *p, struct parked_record *record, struct slice key,
		     int64_t offset, struct err *e)
{
	record->piece = 0;
	record->offset = offset;
	record->key = key;
	record->data = slice_of("", 0);
	encode(p, record);
	return producer_send(p->options.producer, p->options.index, 0, index_key(p, record->id),
			     buf_slice(&p->value), e);
}

static int check(const struct parked *p, const struct publish_parked *r, struct err *e)
{
	if (r->key.size > PARKED_KEY_MAX) {
		err_data(e,
			 "topic %s: a record of %zu bytes is larger than the topic takes, and with "
			 "a key of %zu bytes it can't be parked",
			 r->topic_name, r->key.size + r->value.size, r->key.size);
		return err_hint(e, "Raise the topic's max.message.bytes, or choose another key.");
	}
	if (!r->stand_in && p->blocked_count >= PARKED_BLOCKED_MAX) {
		err_data(e, "the events of %zu keys are parked: no more can wait",
			 p->blocked_count);
		return err_hint(e, "Raise the topics' max.message.bytes and run "
				   "`millrace parked retry`.");
	}
	return 0;
}

int parked_put(struct parked *p, const struct publish_parked *r, struct buf *ret_where,
	       struct err *e)
{
	int64_t max = p->options.piece_max, pieces = ((int64_t)r->value.size + max - 1) / max;
	struct buf id = BUF_INIT;
	int64_t offset = -1;
	int rc = -1;

	if (check(p, r, e) < 0)
		return -1;
	buf_add_format(&id, "%" PRId64 ".%u", r->seq, r->number);
	struct parked_record record = {
		.seq = r->seq,
		.id = buf_cstr(&id),
		.pieces = (int32_t)pieces,
		.topic = r->topic_name,
		.partition = r->partition,
		.key = r->key,
		.size = (int64_t)r->value.size,
		.op = r->op,
		.stand_in = r->stand_in,
		.transaction = r->transaction,
		.commit_us = r->commit_us,
		.at_us = clock_now_us(),
		.reason = r->reason,
		.offset = -1,
	};
	if (put_pieces(p, &record, r->value, &offset, e) == 0 &&
	    put_index(p, &record, r->key, offset, e) == 0) {
		buf_add_format(ret_where, "%s:0:%" PRId64, p->topic_name, offset);
		parked_know(p, &record);
		log_warning("parked", "%s of topic %s, partition %d, transaction %s: %s", record.id,
			    r->topic_name, (int)r->partition, r->transaction, r->reason);
		rc = 0;
	}
	if (p->value.capacity > 2 * PARKED_PIECE_MAX)
		buf_done(&p->value);
	buf_done(&id);
	return rc;
}

int parked_remove(struct parked *p, const struct parked_record *entry, bool pieces, struct err *e)
{
	struct slice nothing = slice_of(NULL, 0);

	if (producer_send(p->options.producer, p->options.index, 0, index_key(p, entry->id),
			  nothing, e) < 0)
		return -1;
	for (int32_t i = 0; pieces && i < entry->pieces; i++)
		if (producer_send(p->options.producer, p->options.topic, 0,
				  piece_key(p, entry->id, i), nothing, e) < 0)
			return -1;
	p->records--;
	p->bytes -= entry->size;
	show(p);
	if (!entry->stand_in)
		unblock(p, entry->topic, entry->key);
	return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

static int lookup(void *context, int32_t id, const char **ret_text, struct err *e)
{
	struct registry_schema schema;

	if (registry_by_id(context, id, &schema, e) < 0)
		return -1;
	*ret_text = schema.text;
	return 0;
}

int parked_whole(const struct settings *settings, struct registry *registry,
		 const struct parked_record *entry, struct buf *ret_value, struct err *e)
{
	struct records_reader *reader = records_reader_new(lookup, registry);
	char *where = xasprintf("%s.parked:0:%" PRId64, settings->name, entry->offset);
	int rc = parked_fetch(settings, reader, slice_str(where), entry->seq, entry->size,
			      ret_value, e);

	free(where);
	records_reader_free(reader);
	return rc < 0 ? err_wrap(e, "parked record %s", entry->id) : 0;
}

const struct parked_record *parked_find(const struct parked_record *entries, size_t count,
					const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(entries[i].id, id) == 0)
			return &entries[i];
	return NULL;
}

static int by_seq(const void *a, const void *b)
{
	const struct parked_record *x = a, *y = b;

	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return strcmp(x->id, y->id);
}

void parked_sort(struct parked_record *entries, size_t count)
{
	if (count > 1)
		qsort(entries, count, sizeof(*entries), by_seq);
}
