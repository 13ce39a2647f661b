/* parked.c - records that could not be applied, as items of the bookkeeping:
 *
 *   v2/parked/TOPIC/PARTITION/OFFSET        the record, its value up to 256 kB
 *   v2/parked/TOPIC/PARTITION/OFFSET#1 ...  the rest of a larger one
 *
 * The first item goes into the transaction that carries the position, the rest is written before
 * it: pieces without a first item are nobody's, and are written over when the record comes again.
 *
 * A record whose request was refused has changed nothing: the service carries out a transaction
 * whole or not at all. So there is nothing to take back but what still waits to be sent. */
#include "projections/store/dynamo/dynamo_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/quote.h"

#include <inttypes.h>
#include <stdlib.h>

#define PARKED_PIECES_MAX 4096 /* of 256 kB: 1 GB, the largest project.record_max */
#define KEY_MAX (64 * 1024)

static char *parked_label(const char *version, const struct store_parked *r, size_t piece)
{
	return piece == 0 ? xasprintf("%s/parked/%s/%d/%" PRId64, version, r->topic, r->partition,
				      r->offset)
			  : xasprintf("%s/parked/%s/%d/%" PRId64 "#%zu", version, r->topic,
				      r->partition, r->offset, piece);
}

static void add_bytes(struct buf *out, const char *name, struct slice bytes)
{
	quote_json_key(out, name);
	buf_add_str(out, "{\"B\":\"");
	dynamo_base64_write(bytes, out);
	buf_add_str(out, "\"}");
}

static void begin_put(const struct store_dynamo *s, const char *label, struct buf *out)
{
	buf_add_format(out, ",{\"Put\":{\"TableName\":\"%s\",\"Item\":{\"item\":{\"S\":\"%s\"}",
		       s->book, label);
}

static struct slice piece_of(struct slice value, size_t piece)
{
	size_t at = piece * STORE_DYNAMO_CHUNK;

	return slice_of(value.data + at, value.size - at < STORE_DYNAMO_CHUNK ? value.size - at
									      : STORE_DYNAMO_CHUNK);
}

static int put_pieces(struct store_version *v, const struct store_parked *r, size_t pieces,
		      struct err *e)
{
	struct buf action = BUF_INIT;
	int rc = 0;

	for (size_t i = 1; i < pieces && rc == 0; i++) {
		char *label = parked_label(store_dynamo_version_label(v), r, i);

		buf_reset(&action);
		begin_put(store_dynamo_version_store(v), label, &action);
		add_bytes(&action, "value", piece_of(r->value, i));
		buf_add_str(&action, "}}}");
		rc = store_dynamo_now(v, &action, e);
		free(label);
	}
	buf_done(&action);
	return rc;
}

int store_dynamo_park(struct store_version *v, const struct store_parked *r, struct err *e)
{
	size_t pieces = r->value.size == 0 ? 1 : (r->value.size - 1) / STORE_DYNAMO_CHUNK + 1;
	char *label = parked_label(store_dynamo_version_label(v), r, 0);
	struct buf action = BUF_INIT;
	int rc;

	begin_put(store_dynamo_version_store(v), label, &action);
	store_dynamo_add_text(&action, "topic", slice_str(r->topic));
	store_dynamo_add_int(&action, "partition", r->partition);
	store_dynamo_add_int(&action, "offset", r->offset);
	store_dynamo_add_int(&action, "seq", r->seq);
	store_dynamo_add_int(&action, "schema_id", r->schema_id);
	store_dynamo_add_int(&action, "at_us", r->at_us);
	store_dynamo_add_int(&action, "order", clock_now_us());
	store_dynamo_add_int(&action, "behind", r->behind);
	store_dynamo_add_text(&action, "reason", slice_str(r->reason));
	store_dynamo_add_int(&action, "pieces", (int64_t)pieces);
	if (r->key.data != NULL)
		add_bytes(&action, "key", r->key);
	add_bytes(&action, "value", r->value.size > 0 ? piece_of(r->value, 0) : slice_of("", 0));
	buf_add_str(&action, "}}}");
	if (pieces > PARKED_PIECES_MAX || r->key.size > KEY_MAX)
		rc = err_fatal(e, "%s partition %d offset %" PRId64 ": too large to be parked",
			       r->topic, r->partition, r->offset);
	else
		rc = put_pieces(v, r, pieces, e) < 0 ? -1 : store_dynamo_also(v, label, &action, e);
	buf_done(&action);
	free(label);
	return rc;
}

/* Pieces stay, until the version is removed: without a first item they are nobody's. */
int store_dynamo_unpark(struct store_version *v, const struct store_parked *r, struct err *e)
{
	char *label = parked_label(store_dynamo_version_label(v), r, 0);
	struct buf action = BUF_INIT;
	int rc;

	buf_add_format(&action, ",{\"Delete\":{\"TableName\":\"%s\",",
		       store_dynamo_version_store(v)->book);
	store_dynamo_key(&action, label, "");
	buf_add_str(&action, "}}");
	rc = store_dynamo_also(v, label, &action, e);
	buf_done(&action);
	free(label);
	return rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct entry {
	char *label;
	int64_t seq, order;
};

struct entries {
	struct entry *items;
	size_t count;
};

static int note(void *context, const struct dynamo_node *item, struct err *e)
{
	struct entries *all = context;
	char *label = dynamo_string(item, "item");

	(void)e;
	if (label == NULL || strchr(label, '#') != NULL) {
		free(label);
		return 0;
	}
	all->items = xrealloc(all->items, (all->count + 1) * sizeof(*all->items));
	all->items[all->count++] = (struct entry){ .label = label,
						   .seq = dynamo_int(item, "seq"),
						   .order = dynamo_int(item, "order") };
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->seq != y->seq)
		return (x->seq > y->seq) - (x->seq < y->seq);
	return (x->order > y->order) - (x->order < y->order);
}

static int read_pieces(struct store_dynamo *s, const char *label, int64_t pieces, struct buf *value,
		       struct err *e)
{
	int rc = 0;

	for (int64_t i = 1; i < pieces && i < PARKED_PIECES_MAX && rc == 0; i++) {
		char *after = xasprintf("#%" PRId64, i);
		const struct dynamo_node *item;
		struct dynamo_answer answer;
		struct value v;

		rc = store_dynamo_get(s, label, after, &answer, &item, e);
		if (rc == 0 && item == NULL)
			rc = err_data(e, "a parked record lacks a piece");
		if (rc == 0)
			rc = dynamo_attribute(item, "value", value, &v, e);
		dynamo_answer_done(&answer);
		free(after);
	}
	return rc;
}

/* Of a version that is being removed, pieces may go before the first item does. */
static bool is_whole(struct store_dynamo *s, int version)
{
	char *label = store_dynamo_label(version);
	const struct dynamo_node *item;
	struct dynamo_answer answer;
	struct err ignored = ERR_INIT;
	bool whole = store_dynamo_get(s, label, "", &answer, &item, &ignored) == 0 &&
		     item != NULL && dynamo_int(item, "removing") == 0;

	dynamo_answer_done(&answer);
	free(label);
	return whole;
}

/* 1: go on; 0: `each` has had enough. */
static int hand_over(struct store_dynamo *s, const char *label,
		     bool (*each)(void *context, const struct store_parked *record), void *context,
		     struct err *e)
{
	struct buf key = BUF_INIT, value = BUF_INIT;
	struct store_parked r = { 0 };
	const struct dynamo_node *item;
	struct dynamo_answer answer;
	char *topic = NULL, *reason = NULL;
	struct value v;
	int rc = store_dynamo_get(s, label, "", &answer, &item, e);

	if (rc == 0 && item != NULL && dynamo_attribute(item, "key", &key, &v, e) == 0) {
		r.key = v.kind == VALUE_BYTES ? v.bytes : (struct slice){ 0 };
		rc = dynamo_attribute(item, "value", &value, &v, e);
		if (rc == 0)
			rc = read_pieces(s, label, dynamo_int(item, "pieces"), &value, e);
		topic = dynamo_string(item, "topic");
		reason = dynamo_string(item, "reason");
		r.seq = dynamo_int(item, "seq");
		r.topic = topic != NULL ? topic : "";
		r.reason = reason != NULL ? reason : "";
		r.partition = (int32_t)dynamo_int(item, "partition");
		r.offset = dynamo_int(item, "offset");
		r.schema_id = (int32_t)dynamo_int(item, "schema_id");
		r.at_us = dynamo_int(item, "at_us");
		r.behind = dynamo_int(item, "behind") != 0;
		r.value = value.size > 0 ? buf_slice(&value) : slice_of("", 0);
		if (rc == 0)
			rc = each(context, &r) ? 1 : 0;
	} else if (rc == 0) {
		rc = item == NULL ? 1 : -1; /* unparked meanwhile */
	}
	dynamo_answer_done(&answer);
	buf_done(&key);
	buf_done(&value);
	free(topic);
	free(reason);
	return rc;
}

int store_dynamo_parked(struct store *store, int version,
			bool (*each)(void *context, const struct store_parked *record),
			void *context, struct err *e)
{
	static const char *const names[] = { "item", "seq", "order", NULL };
	struct store_dynamo *s = store_dynamo_of(store);
	char *label = store_dynamo_label(version);
	char *prefix = xasprintf("%s/parked/", label);
	struct entries all = { 0 };
	int rc = store_dynamo_each(s, prefix, names, note, &all, e);
	int go_on = 1;

	if (all.count > 0)
		qsort(all.items, all.count, sizeof(*all.items), compare_entries);
	for (size_t i = 0; i < all.count && rc == 0 && go_on == 1; i++) {
		go_on = hand_over(s, all.items[i].label, each, context, e);
		rc = go_on < 0 ? -1 : 0;
		if (rc < 0 && e->kind == ERR_DATA && !is_whole(s, version)) {
			err_clear(e);
			rc = 0; /* and no more of it: go_on is -1 */
		}
	}
	for (size_t i = 0; i < all.count; i++)
		free(all.items[i].label);
	free(all.items);
	free(prefix);
	free(label);
	return rc;
}
