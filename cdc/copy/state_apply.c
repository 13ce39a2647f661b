/* state_apply.c - the topic into the file (its tables: state_file.c).
 *
 * key: as of change/key.h, so that the order of the file is the order of chunks. Keys that the
 * server calls equal (other letters, one row) may stand in two partitions: the later seq counts.
 * body: the datums of the envelope's after, absent and exact, each with its size before it, in the
 * writer's schema: a row is turned back only when it is compared, into the shape that the table has
 * then. Of a row that is parked the whole record is fetched; where it was dropped, or is
 * larger than we take, the row stays unknown.
 *
 * A transaction of the file ends every APPLY_RECORDS records; a crash repeats what came after, as
 * the offsets are part of the transaction. */
#include "cdc/copy/state_priv.h"

#include "cdc/change/key.h"
#include "core/avro/decode.h"
#include "core/avro/write.h"
#include "core/base/clock.h"
#include "core/base/mem.h"

#include <stdlib.h>

#define APPLY_RECORDS 5000
#define QUEUE_BYTES (2 * 1024 * 1024)
#define POLL_MS 50
#define AGAIN_US 5000

/* ---- records -------------------------------------------------------------------------------- */

void state_forget_schemas(struct state *s)
{
	struct state_schema *one, *next;

	HASH_ITER(hh, s->schemas, one, next)
	{
		HASH_DEL(s->schemas, one);
		row_back_free(one->back);
		free(one);
	}
}

int state_schema(struct state *s, int32_t id, struct row_back **ret_back, struct err *e)
{
	struct registry_schema text;
	struct state_schema *one;

	HASH_FIND_INT(s->schemas, &id, one);
	if (one == NULL) {
		if (registry_by_id(s->registry, id, &text, e) < 0)
			return -1;
		one = xcalloc(1, sizeof(*one));
		one->id = id;
		if (row_back_new(slice_str(text.text), s->shape, &one->back, e) < 0) {
			free(one);
			return -1;
		}
		HASH_ADD_INT(s->schemas, id, one);
	}
	*ret_back = one->back;
	return 0;
}

static struct slice behind_header(struct slice wire)
{
	return slice_of(wire.data + DECODE_WIRE_HEADER, wire.size - DECODE_WIRE_HEADER);
}

static int put(struct state *s, int32_t partition, int32_t schema,
	       const struct row_back_record *record, struct err *e)
{
	buf_reset(&s->body);
	write_slice(&s->body, record->after);
	write_slice(&s->body, record->absent);
	write_slice(&s->body, record->exact);
	if (state_bind_bytes(s->put, 1, buf_slice(&s->key), e) < 0 ||
	    state_bind_int(s->put, 2, partition, e) < 0 ||
	    state_bind_int(s->put, 3, schema, e) < 0 ||
	    state_bind_bytes(s->put, 4, buf_slice(&s->body), e) < 0 ||
	    state_bind_int(s->put, 5, record->seq, e) < 0)
		return -1;
	return state_run(s->put, e);
}

/* Of a stand-in the row is not known yet, only its key: that is kept in its place, with the key's
 * schema below zero, and behind it where the whole record is (state_parked.c). */
static int put_unknown(struct state *s, const struct consumer_message *message,
		       const struct row_back_record *stand_in, struct err *e)
{
	struct row_back_record record = { .op = 'r',
					  .seq = stand_in->seq,
					  .exact = stand_in->parked_at };
	int32_t id;

	if (message->key.data == NULL || decode_wire_id(message->key, &id, e) < 0)
		return err_data(e, "a stand-in without a key");
	record.after = behind_header(message->key);
	return put(s, message->partition, -id, &record, e);
}

/* The row's key: of the record's own key where that has all its columns, else of an image. */
static int make_key(struct state *s, const struct consumer_message *message,
		    struct row_back *values, const struct row_back_record *record, struct err *e)
{
	enum row_back_image image = record->has_after ? ROW_BACK_AFTER : ROW_BACK_BEFORE;
	struct row_back *back;
	bool whole = false;
	int32_t id;

	buf_reset(&s->key);
	if (message->key.data != NULL &&
	    (decode_wire_id(message->key, &id, e) < 0 || state_schema(s, id, &back, e) < 0 ||
	     row_back_key(back, behind_header(message->key), &s->bytes, s->cells, &whole, e) < 0))
		return -1;
	if (!whole && row_back_cells(values, record, image, &s->bytes, s->cells, e) < 0)
		return -1;
	return key_from_cells(s->shape, s->cells, collator_weigher(s->collator), &s->key, e);
}

/* Of a stand-in the values are not known. */
static int link_images(struct state *s, struct row_back *back, const struct row_back_record *record,
		       struct err *e)
{
	if (record->op == 'd')
		return 0;
	memset(s->cells, 0, s->shape->column_count * sizeof(*s->cells)); /* absent */
	if (!record->parked &&
	    row_back_cells(back, record, ROW_BACK_AFTER, &s->bytes, s->cells, e) < 0)
		return -1;
	return state_link_row(s, buf_slice(&s->key), s->cells, e);
}

int state_apply_value(struct state *s, const struct consumer_message *message, struct slice value,
		      bool whole, struct err *e)
{
	struct row_back_record record;
	struct row_back *back;
	int32_t id;

	if (decode_wire_id(value, &id, e) < 0 || state_schema(s, id, &back, e) < 0 ||
	    row_back_read(back, behind_header(value), &record, e) < 0)
		return -1;
	s->partitions[message->partition].seq = record.seq;
	if (record.op == 't')
		return state_bind_int(s->empty, 1, message->partition, e) < 0
			       ? -1
			       : state_run(s->empty, e);
	if (record.parked && whole)
		return err_data(e, "a parked record that is itself a stand-in");
	if (s->counted)
		return state_count_record(s, message, back, &record, e);
	if (make_key(s, message, back, &record, e) < 0)
		return -1;
	if (s->link_count > 0 && link_images(s, back, &record, e) < 0)
		return -1;
	if (record.op != 'd' && record.parked)
		return put_unknown(s, message, &record, e);
	if (record.op != 'd')
		return put(s, message->partition, id, &record, e);
	if (state_bind_bytes(s->drop, 1, buf_slice(&s->key), e) < 0 ||
	    state_bind_int(s->drop, 2, record.seq, e) < 0 ||
	    state_bind_int(s->drop, 3, message->partition, e) < 0)
		return -1;
	if (state_run(s->drop, e) < 0)
		return -1;
	if (s->link_count == 0 || sql_changes(s->db) == 0 || !record.has_before)
		return 0;
	if (row_back_cells(back, &record, ROW_BACK_BEFORE, &s->bytes, s->cells, e) < 0)
		return -1;
	return state_unlink_row(s, buf_slice(&s->key), s->cells, e);
}

int state_apply(struct state *s, const struct consumer_message *message, struct err *e)
{
	struct state_partition *p;
	int64_t seq = 0;

	state_room_for(s, (size_t)message->partition);
	p = &s->partitions[message->partition];
	if (message->value.data != NULL && decode_seq(message->value, &seq, e) < 0)
		goto failed;
	p->beyond = p->beyond || seq > s->seq_max;
	if (p->beyond) /* and so is all that follows: seq rises */
		return 0;
	p->next = message->offset + 1;
	if (message->value.data == NULL) /* a tombstone says what the delete before it has said */
		return 0;
	if (state_apply_value(s, message, message->value, false, e) == 0)
		return 0;
failed:
	return err_wrap(e, "topic %s partition %d offset %lld", message->topic,
			(int)message->partition, (long long)message->offset);
}

/* ---- the topic ------------------------------------------------------------------------------ */

static int save_offsets(struct state *s, struct err *e)
{
	for (size_t p = 0; p < s->partition_count; p++) {
		if (state_bind_int(s->offset, 1, (int64_t)p, e) < 0 ||
		    state_bind_int(s->offset, 2, s->partitions[p].next, e) < 0 ||
		    state_bind_int(s->offset, 3, s->partitions[p].seq, e) < 0 ||
		    state_run(s->offset, e) < 0)
			return -1;
	}
	return sql_run(s->db, "COMMIT", e);
}

static int apply_all(struct state *s, const struct consumer_message *messages, size_t count,
		     struct err *e)
{
	if (count == 0)
		return 0;
	if (!sql_in_transaction(s->db) && sql_run(s->db, "BEGIN", e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (state_apply(s, &messages[i], e) < 0)
			return -1;
	s->done += (int64_t)count;
	return 0;
}

/* Offsets behind transaction markers and aborted records, too: else they would be read again. */
static void take_positions(struct state *s)
{
	for (size_t p = 0; p < s->partition_count; p++) {
		int64_t next = consumer_next(s->consumer, p);

		if (next > s->partitions[p].next && !s->partitions[p].beyond)
			s->partitions[p].next = next;
	}
}

/* From where each partition stands to its end as of now. */
static int read_to_end(struct state *s, struct err *e)
{
	struct consumer_partition *from = xcalloc(s->partition_count + 1, sizeof(*from));
	const struct consumer_message *messages;
	size_t count, unsaved = 0;
	int rc;

	for (size_t p = 0; p < s->partition_count; p++)
		from[p] =
			(struct consumer_partition){ s->topic, (int32_t)p, s->partitions[p].next };
	rc = consumer_assign(s->consumer, from, s->partition_count, e);
	while (rc == 0 && !s->stopping && !consumer_at_end(s->consumer)) {
		rc = consumer_poll(s->consumer, POLL_MS, &messages, &count, e);
		if (rc == 0)
			rc = apply_all(s, messages, count, e);
		unsaved += count;
		if (rc == 0 && unsaved >= APPLY_RECORDS) {
			rc = save_offsets(s, e);
			unsaved = 0;
		}
	}
	if (rc == 0) {
		take_positions(s);
		if (!sql_in_transaction(s->db))
			rc = sql_run(s->db, "BEGIN", e);
	}
	if (rc == 0)
		rc = save_offsets(s, e);
	free(from);
	return rc < 0 ? -1 : 0;
}

static bool is_there(const struct state *s)
{
	for (size_t p = 0; p < s->partition_count; p++)
		if (!s->partitions[p].beyond && s->partitions[p].seq < s->partitions[p].wanted)
			return false;
	return true;
}

/* A commit is acknowledged a moment before all its partitions show it. */
int state_read_topic(struct state *s, struct err *e)
{
	struct consumer_options options = { .queue_bytes_max = QUEUE_BYTES,
					    .partitions = (int64_t)s->partition_count,
					    .stop_at_end = true };
	int64_t give_up = clock_monotonic_us() + s->settings->kafka_timeout_ms * 1000;

	if (s->consumer == NULL && consumer_open(s->settings, &options, &s->consumer, e) < 0)
		return -1;
	for (;;) {
		if (read_to_end(s, e) < 0)
			return -1;
		if (s->stopping)
			return err_retry(e, "stopping");
		/* within a session a key has one partition: no older records follow */
		if (is_there(s))
			return sql_run(s->db, "DELETE FROM rows WHERE schema = 0", e) < 0
				       ? -1
				       : state_fetch_rows(s, e);
		if (clock_monotonic_us() > give_up)
			return err_retry(e, "topic %s does not show what was committed to it",
					 s->topic);
		clock_sleep_us(AGAIN_US);
	}
}
