/* fence.c - every write is a transaction of DynamoDB's whose first action moves a *fence* item on:
 *
 *   SET n = :next IF epoch = mine AND n = :n      then up to 98 items, then perhaps the position
 *
 * Opening a version counts the epoch of its fences up. So a request of a writer that was replaced -
 * stopped, put to sleep, its packets delayed - fails as a whole, however late it comes; and so does
 * a request of our own that was given up and sent again, because the first of the two to arrive
 * moved n. Items need no seq of their own, and no gravestones that would carry one. When the
 * condition is false, the fence is read: with our epoch and the next n it is our request, carried
 * out before its answer got lost. */
#include "projections/store/dynamo/version_priv.h"

#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

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
int fence_ask(struct store_version *v, int slot, const char *operation, const struct buf *body,
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
	rc = fence_ask(v, lane, "GetItem", &body, &answer, e);
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
int fence_raise(struct store_version *v, struct err *e)
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
		rc = fence_ask(v, 0, "TransactWriteItems", &body, &answer, e);
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

int fence_finish(struct store_version *v, int i, struct err *e)
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
int fence_send(struct store_version *v, int i, const char *more, struct err *e)
{
	struct lane *l = &v->lanes[i];

	if (fence_finish(v, i, e) < 0)
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
int fence_join(struct store_version *v, struct batch *from, struct err *e)
{
	struct lane *l = &v->lanes[0];

	if (!batch_takes_all(&l->waiting, from) && fence_send(v, 0, "", e) < 0)
		return -1;
	for (size_t i = 0; i < from->count; i++)
		batch_add(&l->waiting, from, &from->changes[i]);
	batch_reset(from);
	return 0;
}

int fence_drain(struct store_version *v, struct err *e)
{
	if (v->open.count > 0 && fence_join(v, &v->open, e) < 0)
		return -1;
	for (int i = 0; i < STORE_DYNAMO_LANES; i++) {
		if (v->lanes[i].waiting.count > 0 && fence_send(v, i, "", e) < 0)
			return -1;
	}
	for (int i = 0; i < STORE_DYNAMO_LANES; i++) {
		if (fence_finish(v, i, e) < 0)
			return -1;
	}
	return 0;
}
