/* script_feed.c - see script_feed.h. Records are encoded as capture would (Avro, meta first), so
 * the handlers take their ordinary path; a position's commits_offset counts source transactions. */
#include "test/lib/script_feed.h"

#include "core/avro/write.h"
#include "core/base/clock.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define META \
	"{\"name\": \"meta\", \"type\": {\"type\": \"record\", \"name\": \"Meta\", \"fields\": [" \
	"{\"name\": \"seq\", \"type\": \"long\"}, {\"name\": \"gtid\", \"type\": \"string\"}, " \
	"{\"name\": \"at\", \"type\": {\"type\": \"long\", " \
	"\"logicalType\": \"timestamp-micros\"}}, " \
	"{\"name\": \"traceparent\", \"type\": [\"null\", \"string\"], \"default\": null}]}}"

static const char *const schemas[] = {
	"{\"type\": \"record\", \"namespace\": \"shop\", \"name\": \"ItemPut\", \"fields\": [" META
	", {\"name\": \"id\", \"type\": \"long\"}, {\"name\": \"value\", \"type\": \"long\"}]}",
	"{\"type\": \"record\", \"namespace\": \"shop\", \"name\": \"ItemGone\", \"fields\": [" META
	", {\"name\": \"id\", \"type\": \"long\"}]}",
};

struct script_feed {
	struct script *script;
	struct intake_position position;
	int64_t at; /* records handed over */
	int64_t records, nexts;
	struct buf value, key;
	char gtid[40], next_gtid[40];
};

void script_init(struct script *s)
{
	*s = (struct script){ 0 };
	pthread_mutex_init(&s->lock, NULL);
	s->records = xcalloc(SCRIPT_MAX, sizeof(*s->records));
	s->ends = xcalloc(SCRIPT_MAX + 1, sizeof(*s->ends));
}

void script_done(struct script *s)
{
	free(s->records);
	free(s->ends);
	pthread_mutex_destroy(&s->lock);
}

static void add_records(struct script *s, size_t records, uint64_t (*random64)(void))
{
	for (size_t i = 0; i < records && s->count < SCRIPT_MAX; i++) {
		struct script_record *r = &s->records[s->count++];

		r->seq = s->count;
		r->id = (int32_t)(random64() % SCRIPT_IDS);
		r->value = random64() % 4 == 0 ? -1 : (int64_t)(random64() % 1000);
	}
}

void script_add(struct script *s, size_t records, uint64_t (*random64)(void))
{
	pthread_mutex_lock(&s->lock);
	add_records(s, records, random64);
	s->ends[s->transactions++] = s->count;
	pthread_mutex_unlock(&s->lock);
}

void script_add_open(struct script *s, size_t records, uint64_t (*random64)(void))
{
	pthread_mutex_lock(&s->lock);
	add_records(s, records, random64);
	pthread_mutex_unlock(&s->lock);
}

int64_t script_seq(struct script *s)
{
	int64_t seq;

	pthread_mutex_lock(&s->lock);
	seq = s->count;
	pthread_mutex_unlock(&s->lock);
	return seq;
}

void script_state(struct script *s, int64_t seq, int64_t *ret_values)
{
	for (int i = 0; i < SCRIPT_IDS; i++)
		ret_values[i] = -1;
	for (int64_t i = 0; i < seq; i++)
		ret_values[s->records[i].id] = s->records[i].value;
}

/* ---- feed ------------------------------------------------------------------------------------ */

static int script_open(void *context, const struct intake_options *options, void **ret_feed,
		       struct err *e)
{
	struct script *s = context;
	struct script_feed *f;

	if (s->begins_late && options->from == NULL)
		return err_data(e, "items partition 0 begins at offset 5: its history is gone");
	f = xcalloc(1, sizeof(*f));
	f->script = s;
	if (options->from != NULL)
		intake_position_copy(options->from, &f->position);
	else
		f->position.gtid_set = xstrdup("");
	f->at = f->position.seq;
	*ret_feed = f;
	return 0;
}

static void script_close(void *feed)
{
	struct script_feed *f = feed;

	intake_position_done(&f->position);
	buf_done(&f->value);
	buf_done(&f->key);
	free(f);
}

static int64_t sequence(const struct script_feed *f, int64_t transaction)
{
	return transaction * (f->script->gtid_step > 0 ? f->script->gtid_step : 1);
}

static void encode(struct script_feed *f, const struct script_record *r)
{
	buf_reset(&f->value);
	write_long(&f->value, r->seq);
	write_str(&f->value, f->gtid);
	write_long(&f->value, r->seq * 1000);
	write_long(&f->value, 0);
	write_long(&f->value, r->id);
	buf_reset(&f->key);
	write_long(&f->key, r->id);
	if (r->value >= 0)
		write_long(&f->value, r->value);
	if (r->seq == f->script->poison_seq)
		f->value.size -= 1;
}

static void end_transaction(struct script_feed *f, struct intake_item *item)
{
	f->position.commits_offset++;
	f->position.seq = f->at;
	f->position.commit_us = f->at * 1000;
	f->position.transactions_total = f->position.commits_offset;
	free(f->position.gtid_set);
	f->position.gtid_set =
		xasprintf("0-1-%lld", (long long)sequence(f, f->position.commits_offset));
	*item = (struct intake_item){ .kind = INTAKE_TRANSACTION,
				      .gtid = f->position.gtid_set,
				      .commit_us = f->position.commit_us,
				      .commit_end = true };
}

static int script_next(void *feed, int timeout_ms, struct intake_item *ret_item, struct err *e)
{
	struct script_feed *f = feed;
	struct script *s = f->script;
	int rc = 0;
	bool idle = false;

	pthread_mutex_lock(&s->lock);
	f->nexts++;
	if (s->fail_every > 0 && f->nexts % s->fail_every == 0) {
		s->fails++;
		rc = err_retry(e, "brokers are away");
	} else if (f->at == s->count && f->position.commits_offset == s->transactions) {
		idle = true;
	} else if (f->position.commits_offset < s->transactions &&
		   f->at == s->ends[f->position.commits_offset]) {
		end_transaction(f, ret_item);
	} else {
		const struct script_record *r = &s->records[f->at++];

		snprintf(f->gtid, sizeof(f->gtid), "0-1-%lld",
			 (long long)sequence(f, f->position.commits_offset + 1));
		encode(f, r);
		f->records++;
		*ret_item = (struct intake_item){ .kind = INTAKE_RECORD,
						  .topic = 0,
						  .offset = r->seq - 1,
						  .seq = r->seq,
						  .schema_id = r->value < 0 ? 2 : 1,
						  .key = s->keys ? buf_slice(&f->key)
								 : (struct slice){ 0 },
						  .value = buf_slice(&f->value) };
	}
	pthread_mutex_unlock(&s->lock);
	if (idle) {
		*ret_item = (struct intake_item){ .kind = INTAKE_IDLE };
		clock_sleep_us(timeout_ms > 5 ? 5000 : timeout_ms * 1000);
	}
	return rc;
}

static const struct intake_position *script_position(const void *feed)
{
	return &((const struct script_feed *)feed)->position;
}

static const char *script_next_gtid(void *feed)
{
	struct script_feed *f = feed;
	bool arrived;

	pthread_mutex_lock(&f->script->lock);
	arrived = f->position.commits_offset < f->script->transactions;
	pthread_mutex_unlock(&f->script->lock);
	snprintf(f->next_gtid, sizeof(f->next_gtid), "0-1-%lld",
		 (long long)sequence(f, f->position.commits_offset + 1));
	return arrived ? f->next_gtid : NULL;
}

static int64_t script_next_commit_us(void *feed)
{
	struct script_feed *f = feed;
	int64_t us = 0;

	pthread_mutex_lock(&f->script->lock);
	if (f->position.commits_offset < f->script->transactions)
		us = f->script->ends[f->position.commits_offset] * 1000;
	pthread_mutex_unlock(&f->script->lock);
	return us;
}

static void script_slowest(const void *feed, struct intake_slowest *ret_slowest)
{
	const struct script_feed *f = feed;

	*ret_slowest = (struct intake_slowest){ .topic = "items", .done = f->at };
	ret_slowest->total = script_seq(f->script);
}

static void script_delivered(const void *feed, struct intake_end *ret_end)
{
	const struct script_feed *f = feed;

	pthread_mutex_lock(&f->script->lock);
	*ret_end = (struct intake_end){ .seen = true,
					.seq = f->script->count,
					.transactions_total = f->script->transactions,
					.commits_behind = f->script->transactions -
							  f->position.commits_offset };
	pthread_mutex_unlock(&f->script->lock);
}

static const char *const *script_copying(const void *feed)
{
	static const char *const none[] = { NULL }, *const one[] = { "shop.item", NULL };

	return ((const struct script_feed *)feed)->script->copying ? one : none;
}

static int64_t script_records(const void *feed)
{
	return ((const struct script_feed *)feed)->records;
}

static int64_t script_records_total(const void *feed)
{
	return script_seq(((const struct script_feed *)feed)->script);
}

static void script_commit_offsets(void *feed)
{
	(void)feed;
}

static int script_schema(void *context, int32_t id, const char **ret_text, struct err *e)
{
	(void)context;
	if (id < 1 || id > 2)
		return err_data(e, "no schema %d", id);
	*ret_text = schemas[id - 1];
	return 0;
}

static const struct intake_reconciling *script_reconciling(void *feed, size_t *ret_count)
{
	static char name[] = "shop.item";
	static const struct intake_reconciling one = { name, 1700000000000000 };

	*ret_count = ((struct script_feed *)feed)->script->reconciling ? 1 : 0;
	return &one;
}

const struct feed_ops script_feed_ops = {
	.open = script_open,
	.close = script_close,
	.next = script_next,
	.position = script_position,
	.next_gtid = script_next_gtid,
	.next_commit_us = script_next_commit_us,
	.slowest = script_slowest,
	.delivered = script_delivered,
	.copying = script_copying,
	.reconciling = script_reconciling,
	.records = script_records,
	.records_total = script_records_total,
	.commit_offsets = script_commit_offsets,
	.schema = script_schema,
};
