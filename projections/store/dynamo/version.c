/* version.c - a version of a view in DynamoDB, opened by the thread that writes it. Every write
 * goes behind the version's fence (fence.c).
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
#include "projections/store/dynamo/version_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#include <stdlib.h>

#define POSITION_MAX (380 * 1024) /* an item holds 400 kB */
#define ALSO_MAX 20               /* actions that go with one position */

/* ---- applying -------------------------------------------------------------------------------- */

static int add_building(struct store_version *v, const struct change *c, struct err *e)
{
	int i = (int)(c->hash % STORE_DYNAMO_LANES);
	struct lane *l = &v->lanes[i];

	if (!batch_takes(&l->waiting, &v->one, c) && fence_send(v, i, "", e) < 0)
		return -1;
	batch_add(&l->waiting, &v->one, c);
	return 0;
}

/* A source transaction that is too large for one transaction is cut here. */
static int add_live(struct store_version *v, const struct change *c, struct err *e)
{
	if (!batch_takes(&v->open, &v->one, c) && fence_join(v, &v->open, e) < 0)
		return -1;
	batch_add(&v->open, &v->one, c);
	return 0;
}

int version_add(struct store_version *v, const struct dynamo_operation *op,
		const struct value *const *values, struct err *e)
{
	if (batch_set(&v->one, op, values, e) < 0)
		return -1;
	return v->built ? add_live(v, &v->one.changes[0], e)
			: add_building(v, &v->one.changes[0], e);
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
		if (op->kind == DYNAMO_CLEAR ? version_clear(v, op->table, e) < 0
					     : version_add(v, op, values, e) < 0)
			return -1;
	}
	return 0;
}

static int flush(void *context, struct err *e)
{
	struct store_version *v = context;

	return usable(v, e) < 0 ? -1 : fence_drain(v, e);
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
	    fence_raise(v, e) < 0) {
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
	return v->open.count > 0 ? fence_join(v, &v->open, e) : 0;
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

	if (usable(v, e) < 0 || fence_drain(v, e) < 0)
		return -1;
	buf_add_slice(&text, buf_slice(action));
	rc = fence_send(v, 0, buf_cstr(&text), e) < 0 ? -1 : fence_finish(v, 0, e);
	buf_done(&text);
	return rc;
}

/* A transaction of the service may touch an item once. */
static bool also_has(const struct store_version *v, const char *item)
{
	char *key = xasprintf("\"item\":{\"S\":\"%s\"}", item);
	bool has = memmem(v->also.data, v->also.size, key, strlen(key)) != NULL;

	free(key);
	return has;
}

/* Many of them in one store transaction are rare: the first ones go ahead of the position then,
 * and are written once more if it does not follow. */
int store_dynamo_also(struct store_version *v, const char *item, const struct buf *action,
		      struct err *e)
{
	if (v->also_count > 0 &&
	    (v->also_count == ALSO_MAX || v->also.size + action->size > DYNAMO_REQUEST_MAX / 2 ||
	     also_has(v, item))) {
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
	return v->lanes[0].waiting.count > 0 ? fence_send(v, 0, "", e) : 0;
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
		rc = v->built ? store_dynamo_border(v, e) : fence_drain(v, e);
	if (rc == 0 && v->also_count > 0)
		rc = make_room(v, e);
	buf_add_slice(&position, buf_slice(&v->also));
	if (rc == 0)
		rc = write_position(v, mark, &position, e);
	FAULT(view_position);
	if (rc == 0)
		rc = fence_send(v, 0, buf_cstr(&position), e);
	if (rc == 0)
		rc = fence_finish(v, 0, e);
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
	rc = usable(v, e) < 0 || fence_drain(v, e) < 0 ||
			     fence_send(v, 0, buf_cstr(&more), e) < 0 || fence_finish(v, 0, e) < 0
		     ? -1
		     : 0;
	buf_done(&more);
	v->built = rc == 0;
	return rc < 0 ? err_wrap(e, "end of the build") : 0;
}
