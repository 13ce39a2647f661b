/* version.c - a version of a view in DynamoDB, opened by the thread that writes it.
 *
 * Every write is a transaction of DynamoDB's whose first action moves a *fence* item on:
 *
 *   SET n = :next IF epoch = mine AND n = :n      then up to 98 items, then perhaps the position
 *
 * Opening a version counts the epoch of its fences up. So a request of a writer that was replaced -
 * stopped, put to sleep, its packets delayed - fails as a whole, however late it comes; and so does
 * a request of our own that was given up and sent again, because the first of the two to arrive
 * moved n. Items need no seq of their own, and no gravestones that would carry one. When the
 * condition is false, the fence is read: with our epoch and the next n it is our request, carried
 * out before its answer got lost.
 *
 * Live there is one fence, 0: transactions follow each other. Between two source transactions
 * (border()) the changes of the last one join those that wait to be sent, if all of them fit;
 * otherwise those that wait are sent first. So a source transaction that changes up to 98 items is
 * carried out as a whole; a larger one is cut. The last transaction carries the position: what a
 * crash leaves half done is applied again, and leads to the same items, because templates have
 * absolute values only.
 *
 * While a version is built, nobody reads it: items are spread by their key over all fences, each
 * with a request in flight; an item stays with its fence, so its changes keep their order. The
 * position is written when all of them have been answered.
 *
 * What was sent can't be rolled back: rollback forgets what is waiting, and the rest is applied
 * again. */
#include "projections/store/dynamo/dynamo_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"
#include "core/base/quote.h"

#include <stdlib.h>

#define POSITION_MAX (380 * 1024) /* an item holds 400 kB */
#define CLEAR_PAGE 1000           /* items */
#define ALSO_MAX 20               /* actions that go with one position */

struct lane {
	struct batch waiting; /* to be sent */
	struct buf body;      /* in flight */
	int64_t n;            /* of the fence, as of the last answer */
	bool in_flight;
};

struct store_version {
	struct store_dynamo *store;
	struct dynamo *client;
	char *label;
	struct dynamo_tables *tables;
	char **names; /* of the tables in the service */
	int64_t epoch;
	bool built;
	bool unsure; /* a request was given up: what the fences are is not known */
	struct lane lanes[STORE_DYNAMO_LANES];
	struct batch open; /* live: the source transaction that is being applied */
	struct batch one;  /* the operation that is being applied */
	struct buf also;   /* actions that go with the position */
	size_t also_count;
	struct target_dynamo target;
};

/* ---- fences ---------------------------------------------------------------------------------- */

static int fenced(const struct store_version *v, struct err *e)
{
	err_fatal(e, "DynamoDB: view %s, %s: another process writes this version", v->store->view,
		  v->label);
	err_exit(e, EXIT_FENCED);
	return err_hint(e, "Two processes worked on one view; this one stops. Check that only one "
			   "uses this millrace.name and dynamodb.prefix.");
}

/* A request of its own in slot `slot`, which is free. */
static int ask(struct store_version *v, int slot, const char *operation, const struct buf *body,
	       struct dynamo_answer *ret_answer, struct err *e)
{
	dynamo_begin(v->client, slot, operation, buf_slice(body));
	return dynamo_finish(v->client, slot, ret_answer, e);
}

static int read_fence(struct store_version *v, int lane, int64_t *ret_epoch, int64_t *ret_n,
		      struct err *e)
{
	char *after = xasprintf("/fence/%d", lane);
	const struct dynamo_node *item;
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	int rc;

	buf_add_format(&body, "{\"TableName\":\"%s\",\"ConsistentRead\":true,", v->store->book);
	store_dynamo_key(&body, v->label, after);
	buf_add_u8(&body, '}');
	rc = ask(v, lane, "GetItem", &body, &answer, e);
	item = rc == 0 ? dynamo_get(answer.root, "Item") : NULL;
	if (rc == 0 && item == NULL)
		rc = err_fatal(e, "DynamoDB: view %s, %s is gone", v->store->view, v->label);
	*ret_epoch = dynamo_int(item, "epoch");
	*ret_n = dynamo_int(item, "n");
	dynamo_answer_done(&answer);
	buf_done(&body);
	free(after);
	return rc;
}

/* n < 0: whatever it is. */
static void write_fence(const struct store_version *v, int lane, int64_t epoch, int64_t n,
			int64_t next_epoch, int64_t next_n, struct buf *out)
{
	char after[32];

	snprintf(after, sizeof(after), "/fence/%d", lane);
	buf_add_format(out, "{\"Update\":{\"TableName\":\"%s\",", v->store->book);
	store_dynamo_key(out, v->label, after);
	buf_add_format(out,
		       ",\"UpdateExpression\":\"SET #e = :f, #n = :o\",\"ConditionExpression\":"
		       "\"#e = :e%s\",\"ExpressionAttributeNames\":{\"#e\":\"epoch\","
		       "\"#n\":\"n\"},\"ExpressionAttributeValues\":{",
		       n >= 0 ? " AND #n = :n" : "");
	store_dynamo_add_int(out, ":e", epoch);
	if (n >= 0)
		store_dynamo_add_int(out, ":n", n);
	store_dynamo_add_int(out, ":f", next_epoch);
	store_dynamo_add_int(out, ":o", next_n);
	buf_add_str(out, "}}}");
}

/* Counts the epoch of all fences up, at once. They have the same one, always. */
static int raise_fences(struct store_version *v, struct err *e)
{
	struct buf body = BUF_INIT;
	int rc;

	for (;;) {
		struct dynamo_answer answer;
		enum dynamo_outcome outcome;
		int64_t epoch, n;

		rc = read_fence(v, 0, &epoch, &n, e);
		if (rc < 0)
			break;
		buf_reset(&body);
		buf_add_str(&body, "{\"TransactItems\":[");
		for (int i = 0; i < STORE_DYNAMO_LANES; i++) {
			buf_add_str(&body, i > 0 ? "," : "");
			write_fence(v, i, epoch, -1, epoch + 1, 0, &body);
		}
		buf_add_str(&body, "]}");
		rc = ask(v, 0, "TransactWriteItems", &body, &answer, e);
		outcome = answer.outcome;
		dynamo_answer_done(&answer);
		v->epoch = epoch + 1;
		/* somebody else opened it just now; or it was us, and the answer got lost: then a
		 * second time does no harm */
		if (rc == 0 || outcome != DYNAMO_CONDITION)
			break;
		err_clear(e);
	}
	buf_done(&body);
	return rc;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* The condition of lane `i` was false. */
static int resolve(struct store_version *v, int i, struct err *e)
{
	int64_t epoch, n;

	err_clear(e);
	if (read_fence(v, i, &epoch, &n, e) < 0)
		return -1;
	if (epoch != v->epoch || n != v->lanes[i].n + 1)
		return fenced(v, e);
	return 0; /* it was carried out, and the answer got lost */
}

static int finish_lane(struct store_version *v, int i, struct err *e)
{
	struct lane *l = &v->lanes[i];
	struct dynamo_answer answer;
	enum dynamo_outcome outcome;
	int rc;

	if (!l->in_flight)
		return 0;
	rc = dynamo_finish(v->client, i, &answer, e);
	outcome = answer.outcome;
	dynamo_answer_done(&answer);
	l->in_flight = false;
	if (rc < 0 && outcome == DYNAMO_CONDITION)
		rc = resolve(v, i, e);
	else if (rc < 0 && outcome == DYNAMO_MISSING)
		rc = err_fatal(e, "DynamoDB: view %s, %s: a table of it is gone", v->store->view,
			       v->label);
	if (rc == 0)
		l->n++;
	else if (outcome != DYNAMO_REFUSED) /* which is known to have done nothing */
		v->unsure = true;
	return rc;
}

/* What waits in lane `i`, and one action more ("" for none), as a transaction. */
static int send_lane(struct store_version *v, int i, const char *more, struct err *e)
{
	struct lane *l = &v->lanes[i];

	if (finish_lane(v, i, e) < 0)
		return -1;
	buf_reset(&l->body);
	buf_add_str(&l->body, "{\"TransactItems\":[");
	write_fence(v, i, v->epoch, l->n, v->epoch, l->n + 1, &l->body);
	batch_write(&l->waiting, v->tables, v->names, &l->body);
	buf_add_str(&l->body, more);
	buf_add_str(&l->body, "]}");
	batch_reset(&l->waiting);
	l->in_flight = true;
	dynamo_begin(v->client, i, "TransactWriteItems", buf_slice(&l->body));
	return 0;
}

/* The changes of `from` join those that wait for fence 0; what doesn't fit waits alone. */
static int join(struct store_version *v, struct batch *from, struct err *e)
{
	struct lane *l = &v->lanes[0];

	if (!batch_takes_all(&l->waiting, from) && send_lane(v, 0, "", e) < 0)
		return -1;
	for (size_t i = 0; i < from->count; i++)
		batch_add(&l->waiting, from, &from->changes[i]);
	batch_reset(from);
	return 0;
}

static int drain(struct store_version *v, struct err *e)
{
	if (v->open.count > 0 && join(v, &v->open, e) < 0)
		return -1;
	for (int i = 0; i < STORE_DYNAMO_LANES; i++) {
		if (v->lanes[i].waiting.count > 0 && send_lane(v, i, "", e) < 0)
			return -1;
	}
	for (int i = 0; i < STORE_DYNAMO_LANES; i++) {
		if (finish_lane(v, i, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- applying -------------------------------------------------------------------------------- */

static int add_building(struct store_version *v, const struct change *c, struct err *e)
{
	int i = (int)(c->hash % STORE_DYNAMO_LANES);
	struct lane *l = &v->lanes[i];

	if (!batch_takes(&l->waiting, &v->one, c) && send_lane(v, i, "", e) < 0)
		return -1;
	batch_add(&l->waiting, &v->one, c);
	return 0;
}

/* A source transaction that is too large for one transaction is cut here. */
static int add_live(struct store_version *v, const struct change *c, struct err *e)
{
	if (!batch_takes(&v->open, &v->one, c) && join(v, &v->open, e) < 0)
		return -1;
	batch_add(&v->open, &v->one, c);
	return 0;
}

static int add(struct store_version *v, const struct dynamo_operation *op,
	       const struct value *const *values, struct err *e)
{
	if (batch_set(&v->one, op, values, e) < 0)
		return -1;
	return v->built ? add_live(v, &v->one.changes[0], e)
			: add_building(v, &v->one.changes[0], e);
}

/* ---- clearing a table ------------------------------------------------------------------------ */

/* A key as it came from a scan, as the operand values of a delete. */
static int add_delete(struct store_version *v, const struct dynamo_table *t,
		      const struct dynamo_node *item, struct err *e)
{
	struct value keys[2] = { { .kind = VALUE_NULL }, { .kind = VALUE_NULL } };
	const struct value *values[2] = { &keys[0], &keys[1] };
	struct dynamo_operation op = { .kind = DYNAMO_DELETE, .table = t };
	struct buf scratch = BUF_INIT;
	int rc = 0;

	op.operands = xcalloc(t->attribute_count, sizeof(*op.operands));
	/* a key has 2048 bytes at most: what is read first stays where it is */
	(void)buf_reserve(&scratch, 8192);
	for (size_t i = 0; i < t->key.count && rc == 0; i++) {
		struct dynamo_operand *o = &op.operands[t->key.attributes[i]];

		*o = (struct dynamo_operand){ .kind = OPERAND_PARAMETER, .parameter = (int)i };
		rc = dynamo_attribute(item, t->attributes[t->key.attributes[i]], &scratch, &keys[i],
				      e);
	}
	if (rc == 0)
		rc = add(v, &op, values, e);
	free(op.operands);
	buf_done(&scratch);
	return rc;
}

static int clear_page(struct store_version *v, const struct dynamo_table *t, struct buf *page,
		      struct err *e)
{
	const struct dynamo_node *items, *last;
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	int rc;

	buf_add_format(&body,
		       "{\"TableName\":\"%s\",\"ConsistentRead\":true,\"Limit\":%d%s,"
		       "\"ProjectionExpression\":\"#0%s\",\"ExpressionAttributeNames\":{",
		       v->names[t - v->tables->items], CLEAR_PAGE, buf_cstr(page),
		       t->key.count > 1 ? ",#1" : "");
	for (size_t i = 0; i < t->key.count; i++) {
		buf_add_format(&body, "%s\"#%zu\":", i > 0 ? "," : "", i);
		quote_json(&body, slice_str(t->attributes[t->key.attributes[i]]));
	}
	buf_add_str(&body, "}}");
	rc = ask(v, 0, "Scan", &body, &answer, e);
	buf_done(&body);
	buf_reset(page);
	items = dynamo_get(answer.root, "Items");
	last = dynamo_get(answer.root, "LastEvaluatedKey");
	for (size_t i = 0; i < dynamo_count(items) && rc == 0; i++)
		rc = add_delete(v, t, dynamo_at(items, i), e);
	if (rc == 0 && last != NULL) {
		buf_add_str(page, ",\"ExclusiveStartKey\":");
		dynamo_print(last, page);
	}
	dynamo_answer_done(&answer);
	if (rc == 0)
		rc = drain(v, e); /* slot 0 is needed for the next page */
	return rc;
}

/* Every item that is there, or on its way. */
static int clear(struct store_version *v, const struct dynamo_table *t, struct err *e)
{
	struct buf page = BUF_INIT;
	int rc = drain(v, e);

	while (rc == 0) {
		rc = clear_page(v, t, &page, e);
		if (page.size == 0)
			break;
	}
	buf_done(&page);
	return rc;
}

/* ---- the target ------------------------------------------------------------------------------ */

static int usable(const struct store_version *v, struct err *e)
{
	return !v->unsure ? 0
			  : err_retry(e, "DynamoDB: view %s, %s: a request was given up",
				      v->store->view, v->label);
}

static int execute(void *context, const struct dynamo_template *t,
		   const struct value *const *values, struct err *e)
{
	struct store_version *v = context;

	if (usable(v, e) < 0)
		return -1;
	/* first all of it, so that a record is applied whole or not at all */
	for (size_t i = 0; i < t->count && t->count > 1; i++) {
		if (t->operations[i].kind != DYNAMO_CLEAR &&
		    dynamo_applies(&t->operations[i], values) &&
		    batch_set(&v->one, &t->operations[i], values, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < t->count; i++) {
		const struct dynamo_operation *op = &t->operations[i];

		if (!dynamo_applies(op, values))
			continue;
		if (op->kind == DYNAMO_CLEAR ? clear(v, op->table, e) < 0
					     : add(v, op, values, e) < 0)
			return -1;
	}
	return 0;
}

static int flush(void *context, struct err *e)
{
	struct store_version *v = context;

	return usable(v, e) < 0 ? -1 : drain(v, e);
}

struct target *store_dynamo_target(struct store_version *v)
{
	return &v->target.target;
}

/* ---- opening --------------------------------------------------------------------------------- */

void store_dynamo_version_close(struct store_version *v)
{
	if (v == NULL)
		return;
	dynamo_free(v->client);
	for (int i = 0; i < STORE_DYNAMO_LANES; i++) {
		batch_done(&v->lanes[i].waiting);
		buf_done(&v->lanes[i].body);
	}
	batch_done(&v->open);
	batch_done(&v->one);
	buf_done(&v->also);
	for (size_t i = 0; v->names != NULL && i < v->tables->count; i++)
		free(v->names[i]);
	free(v->names);
	dynamo_tables_free(v->tables);
	free(v->label);
	free(v);
}

static int read_version(struct store_version *v, int version, struct err *e)
{
	const struct dynamo_node *item;
	struct dynamo_answer answer;
	int rc = store_dynamo_get(v->store, v->label, "", &answer, &item, e);

	if (rc == 0 && dynamo_int(item, "whole") == 0)
		rc = err_config(e, "view %s has no version %d", v->store->view, version);
	v->built = dynamo_int(item, "built") != 0;
	dynamo_answer_done(&answer);
	return rc < 0 ? -1 : store_dynamo_tables(v->store, version, &v->tables, e);
}

int store_dynamo_version_open(struct store *s, int version, struct store_version **ret_version,
			      struct err *e)
{
	struct store_version *v = xcalloc(1, sizeof(*v));

	v->store = store_dynamo_of(s);
	v->label = store_dynamo_label(version);
	if (read_version(v, version, e) < 0 || dynamo_new(v->store->settings, &v->client, e) < 0 ||
	    raise_fences(v, e) < 0) {
		store_dynamo_version_close(v);
		return -1;
	}
	v->names = xcalloc(v->tables->count, sizeof(*v->names));
	for (size_t i = 0; i < v->tables->count; i++)
		v->names[i] = store_dynamo_table(v->store, v->label, v->tables->items[i].name);
	target_dynamo_init(&v->target, v->tables);
	v->target.execute = execute;
	v->target.flush = flush;
	v->target.context = v;
	*ret_version = v;
	return 0;
}

int store_dynamo_position(struct store_version *v, char **ret_text, struct err *e)
{
	const struct dynamo_node *item;
	struct dynamo_answer answer;
	int rc = store_dynamo_get(v->store, v->label, "/position", &answer, &item, e);

	*ret_text = dynamo_string(item, "position");
	dynamo_answer_done(&answer);
	return rc;
}

/* ---- store transactions ---------------------------------------------------------------------- */

int store_dynamo_begin(struct store_version *v, struct err *e)
{
	return usable(v, e);
}

static void forget(struct store_version *v)
{
	for (int i = 0; i < STORE_DYNAMO_LANES; i++) {
		struct lane *l = &v->lanes[i];

		v->unsure |= l->in_flight;
		l->in_flight = false;
		batch_reset(&l->waiting);
	}
	batch_reset(&v->open);
	buf_reset(&v->also);
	v->also_count = 0;
	dynamo_abandon(v->client);
}

void store_dynamo_rollback(struct store_version *v)
{
	forget(v);
}

int store_dynamo_border(struct store_version *v, struct err *e)
{
	return v->open.count > 0 ? join(v, &v->open, e) : 0;
}

/* ---- with the position, or at once ----------------------------------------------------------- */

const char *store_dynamo_version_label(const struct store_version *v)
{
	return v->label;
}

struct store_dynamo *store_dynamo_version_store(const struct store_version *v)
{
	return v->store;
}

int store_dynamo_now(struct store_version *v, const struct buf *action, struct err *e)
{
	struct buf text = BUF_INIT;
	int rc;

	if (usable(v, e) < 0 || drain(v, e) < 0)
		return -1;
	buf_add_slice(&text, buf_slice(action));
	rc = send_lane(v, 0, buf_cstr(&text), e) < 0 ? -1 : finish_lane(v, 0, e);
	buf_done(&text);
	return rc;
}

/* Many of them in one store transaction are rare: the first ones go ahead of the position then,
 * and are written once more if it does not follow. */
int store_dynamo_also(struct store_version *v, const struct buf *action, struct err *e)
{
	if (v->also_count > 0 &&
	    (v->also_count == ALSO_MAX || v->also.size + action->size > DYNAMO_REQUEST_MAX / 2)) {
		if (store_dynamo_now(v, &v->also, e) < 0)
			return -1;
		buf_reset(&v->also);
		v->also_count = 0;
	}
	buf_add_slice(&v->also, buf_slice(action));
	v->also_count++;
	return 0;
}

/* Beside the actions that go with the position nothing else does. */
static int make_room(struct store_version *v, struct err *e)
{
	return v->lanes[0].waiting.count > 0 ? send_lane(v, 0, "", e) : 0;
}

int store_dynamo_savepoint(struct store_version *v, struct err *e)
{
	return usable(v, e);
}

int store_dynamo_undo(struct store_version *v, struct err *e)
{
	for (int i = 0; i < STORE_DYNAMO_LANES; i++)
		batch_reset(&v->lanes[i].waiting);
	batch_reset(&v->open);
	return usable(v, e);
}

static int write_position(const struct store_version *v, const struct store_mark *mark,
			  struct buf *out, struct err *e)
{
	size_t start = out->size;

	buf_add_format(out,
		       ",{\"Put\":{\"TableName\":\"%s\",\"Item\":{\"item\":{\"S\":\""
		       "%s/position\"}",
		       v->store->book, v->label);
	store_dynamo_add_int(out, "seq", mark->seq);
	store_dynamo_add_int(out, "commit_us", mark->commit_us);
	store_dynamo_add_text(out, "gtid_set", slice_str(mark->gtid_set));
	store_dynamo_add_text(out, "position", mark->position);
	buf_add_str(out, "}}}");
	if (out->size - start > POSITION_MAX)
		return err_fatal(e, "the position is larger than %d kB, which DynamoDB can't keep",
				 POSITION_MAX / 1024);
	return 0;
}

int store_dynamo_commit(struct store_version *v, const struct store_mark *mark, struct err *e)
{
	struct buf position = BUF_INIT;
	int rc = usable(v, e);

	FAULT(view_rows);
	/* those of a build first, all answered; live ones may go with the position */
	if (rc == 0)
		rc = v->built ? store_dynamo_border(v, e) : drain(v, e);
	if (rc == 0 && v->also_count > 0)
		rc = make_room(v, e);
	buf_add_slice(&position, buf_slice(&v->also));
	if (rc == 0)
		rc = write_position(v, mark, &position, e);
	FAULT(view_position);
	if (rc == 0)
		rc = send_lane(v, 0, buf_cstr(&position), e);
	if (rc == 0)
		rc = finish_lane(v, 0, e);
	FAULT(view_committed);
	buf_done(&position);
	buf_reset(&v->also);
	v->also_count = 0;
	if (rc < 0)
		forget(v);
	return rc;
}

/* The last of the build is answered before `built` is said, by the fence of the writer that saw it.
 * There is nothing else to do: indexes grow with their table. */
int store_dynamo_finish(struct store_version *v, const char *after_build_sql, struct err *e)
{
	struct buf more = BUF_INIT;
	int rc;

	(void)after_build_sql;
	if (v->built)
		return 0;
	buf_add_format(&more, ",{\"Update\":{\"TableName\":\"%s\",", v->store->book);
	store_dynamo_key(&more, v->label, "");
	buf_add_str(&more, ",\"UpdateExpression\":\"SET #b = :one, built_us = :now\","
			   "\"ExpressionAttributeNames\":{\"#b\":\"built\"},"
			   "\"ExpressionAttributeValues\":{");
	store_dynamo_add_int(&more, ":one", 1);
	store_dynamo_add_int(&more, ":now", clock_now_us());
	buf_add_str(&more, "}}}");
	rc = usable(v, e) < 0 || drain(v, e) < 0 || send_lane(v, 0, buf_cstr(&more), e) < 0 ||
			     finish_lane(v, 0, e) < 0
		     ? -1
		     : 0;
	buf_done(&more);
	v->built = rc == 0;
	return rc < 0 ? err_wrap(e, "end of the build") : 0;
}
