/* public.c - states of versions, and the public item.
 *
 * Publishing is one transaction: the public item, the new version's state and the old one's change
 * together, or none does; so nothing has to be repaired after a crash. */
#include "projections/store/dynamo/dynamo_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* An update of a version's item, as a transaction's action takes it, or without the outer braces as
 * a request of its own. */
static void write_state(const struct store_dynamo *s, const char *label, enum store_state state,
			bool swap, const char *condition, struct buf *out)
{
	buf_add_format(out, "\"TableName\":\"%s\",", s->book);
	store_dynamo_key(out, label, "");
	buf_add_format(out,
		       ",\"UpdateExpression\":\"SET #state = :state, #swap = :swap, "
		       "superseded_us = :when\",\"ConditionExpression\":\"%s\","
		       "\"ExpressionAttributeNames\":{\"#state\":\"state\",\"#swap\":\"swap\","
		       "\"#whole\":\"whole\"%s},\"ExpressionAttributeValues\":{",
		       condition,
		       strstr(condition, "#built") != NULL ? ",\"#built\":\"built\"" : "");
	store_dynamo_add_text(out, ":state", slice_str(store_state_name(state)));
	store_dynamo_add_int(out, ":swap", swap);
	store_dynamo_add_int(out, ":when", state == STORE_SUPERSEDED ? clock_now_us() : 0);
	store_dynamo_add_int(out, ":one", 1);
	buf_add_u8(out, '}');
}

int store_dynamo_set_state(struct store *store, int version, enum store_state state, bool swap,
			   struct err *e)
{
	struct store_dynamo *s = store_dynamo_of(store);
	char *label = store_dynamo_label(version);
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	int rc;

	buf_add_u8(&body, '{');
	write_state(s, label, state, swap, "#whole = :one", &body);
	buf_add_u8(&body, '}');
	rc = store_dynamo_ask(s, "UpdateItem", &body, &answer, e);
	if (rc < 0 && answer.outcome == DYNAMO_CONDITION)
		rc = err_config(e, "view %s has no version %d", s->view, version);
	dynamo_answer_done(&answer);
	buf_done(&body);
	free(label);
	return rc;
}

/* The public item: version, and what its tables are called. */
static int write_public(struct store_dynamo *s, int version, int old, struct buf *out,
			struct err *e)
{
	char *label = store_dynamo_label(version);
	struct dynamo_tables *tables;

	if (store_dynamo_tables(s, version, &tables, e) < 0) {
		free(label);
		return -1;
	}
	buf_add_format(out, "{\"Put\":{\"TableName\":\"%s\",\"Item\":{\"item\":{\"S\":\"public\"}",
		       s->book);
	store_dynamo_add_int(out, "version", version);
	store_dynamo_add_int(out, "since_us", clock_now_us());
	buf_add_str(out, ",\"tables\":{\"M\":{");
	for (size_t i = 0; i < tables->count; i++) {
		char *name = store_dynamo_table(s, label, tables->items[i].name);

		store_dynamo_add_text(out, tables->items[i].name, slice_str(name));
		free(name);
	}
	buf_add_str(out, "}}},\"ConditionExpression\":\"");
	buf_add_str(out, old == 0 ? "attribute_not_exists(#v)\"" : "#v = :old\"");
	buf_add_str(out, ",\"ExpressionAttributeNames\":{\"#v\":\"version\"}");
	if (old != 0)
		buf_add_format(out, ",\"ExpressionAttributeValues\":{\":old\":{\"N\":\"%d\"}}",
			       old);
	buf_add_str(out, "}}");
	dynamo_tables_free(tables);
	free(label);
	return 0;
}

static int live_version(struct store_dynamo *s, int *ret_version, struct err *e)
{
	const struct dynamo_node *item;
	struct dynamo_answer answer;
	int rc = store_dynamo_get(s, "public", "", &answer, &item, e);

	*ret_version = rc == 0 ? (int)dynamo_int(item, "version") : 0;
	dynamo_answer_done(&answer);
	return rc;
}

static int has_version(struct store_dynamo *s, int version, bool *ret_there, struct err *e)
{
	char *label = store_dynamo_label(version);
	const struct dynamo_node *item;
	struct dynamo_answer answer;
	int rc = store_dynamo_get(s, label, "", &answer, &item, e);

	*ret_there = dynamo_int(item, "whole") != 0;
	dynamo_answer_done(&answer);
	free(label);
	return rc;
}

static int write_publish(struct store_dynamo *s, int version, int old, struct buf *body,
			 struct err *e)
{
	char *label = store_dynamo_label(version), *old_label = store_dynamo_label(old);
	bool there = false;
	int rc = 0;

	if (old != 0 && old != version)
		rc = has_version(s, old, &there, e);
	buf_add_str(body, "{\"TransactItems\":[");
	if (rc == 0)
		rc = write_public(s, version, old, body, e);
	buf_add_str(body, ",{\"Update\":{");
	write_state(s, label, STORE_LIVE, false, "#whole = :one AND #built = :one", body);
	buf_add_str(body, "}}");
	if (there) {
		buf_add_str(body, ",{\"Update\":{");
		write_state(s, old_label, STORE_SUPERSEDED, false, "#whole = :one", body);
		buf_add_str(body, "}}");
	}
	buf_add_str(body, "]}");
	free(label);
	free(old_label);
	return rc;
}

/* A request whose answer was lost is sent again, and finds itself carried out. */
int store_dynamo_publish(struct store *store, int version, struct err *e)
{
	struct store_dynamo *s = store_dynamo_of(store);
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	int old = 0, now = 0, rc;

	if (live_version(s, &old, e) < 0)
		return -1;
	rc = write_publish(s, version, old, &body, e);
	if (rc == 0) {
		FAULT(view_naming);
		rc = store_dynamo_ask(s, "TransactWriteItems", &body, &answer, e);
		FAULT(view_named);
		if (rc < 0 && answer.outcome == DYNAMO_CONDITION) {
			struct err other = ERR_INIT;

			rc = live_version(s, &now, &other) == 0 && now == version && old != version
				     ? 0
				     : err_config(e,
						  "view %s: version %d is not built, or another"
						  " swap came first",
						  s->view, version);
		}
		dynamo_answer_done(&answer);
	}
	buf_done(&body);
	return rc;
}
