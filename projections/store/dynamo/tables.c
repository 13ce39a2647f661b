/* tables.c - tables of the service. They are made and removed by it in its own time, and are waited
 * for. */
#include "projections/store/dynamo/dynamo_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/quote.h"

#include <stdlib.h>

#define TABLE_WAIT_US 300000000
#define POLL_FIRST_US 20000
#define POLL_LONGEST_US 1000000

enum table_state { TABLE_MISSING, TABLE_ACTIVE, TABLE_CHANGING };

static int table_state(struct store_dynamo *s, const char *name, enum table_state *ret_state,
		       struct err *e)
{
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	struct slice status;
	int rc;

	buf_add_format(&body, "{\"TableName\":\"%s\"}", name);
	rc = store_dynamo_ask(s, "DescribeTable", &body, &answer, e);
	status = dynamo_text(dynamo_get(dynamo_get(answer.root, "Table"), "TableStatus"));
	*ret_state = slice_is(status, "ACTIVE") ? TABLE_ACTIVE : TABLE_CHANGING;
	if (rc < 0 && answer.outcome == DYNAMO_MISSING) {
		err_clear(e);
		*ret_state = TABLE_MISSING;
		rc = 0;
	}
	dynamo_answer_done(&answer);
	buf_done(&body);
	return rc;
}

static int await_table(struct store_dynamo *s, const char *name, enum table_state wanted,
		       struct err *e)
{
	int64_t until = clock_monotonic_us() + TABLE_WAIT_US, wait = POLL_FIRST_US;
	enum table_state state;

	for (;;) {
		if (table_state(s, name, &state, e) < 0)
			return -1;
		if (state == wanted)
			return 0;
		if (clock_monotonic_us() > until)
			return err_retry(e, "DynamoDB: table %s is not %s after %d s", name,
					 wanted == TABLE_ACTIVE ? "made" : "removed",
					 TABLE_WAIT_US / 1000000);
		clock_sleep_us(wait);
		wait = wait * 2 < POLL_LONGEST_US ? wait * 2 : POLL_LONGEST_US;
	}
}

int store_dynamo_await_table(struct store_dynamo *s, const char *name, struct err *e)
{
	return await_table(s, name, TABLE_ACTIVE, e);
}

/* ---- one table ------------------------------------------------------------------------------- */

static void add_schema(struct buf *out, char *const *attributes, const struct dynamo_key *key)
{
	buf_add_str(out, "\"KeySchema\":[");
	for (size_t i = 0; i < key->count; i++) {
		buf_add_format(out, "%s{\"KeyType\":\"%s\"", i > 0 ? "," : "",
			       i == 0 ? "HASH" : "RANGE");
		quote_json_key(out, "AttributeName");
		quote_json(out, slice_str(attributes[key->attributes[i]]));
		buf_add_u8(out, '}');
	}
	buf_add_u8(out, ']');
}

static bool in_a_key(const struct dynamo_table *t, size_t attribute)
{
	bool found = dynamo_key_has(t, attribute);

	for (size_t i = 0; i < t->index_count; i++) {
		for (size_t k = 0; k < t->indexes[i].key.count; k++)
			found |= t->indexes[i].key.attributes[k] == attribute;
	}
	return found;
}

static void write_table(const struct dynamo_table *t, const char *name, struct buf *out)
{
	size_t n = 0;

	buf_add_format(out, "{\"TableName\":\"%s\",\"BillingMode\":\"PAY_PER_REQUEST\",", name);
	add_schema(out, t->attributes, &t->key);
	buf_add_str(out, ",\"AttributeDefinitions\":[");
	for (size_t i = 0; i < t->attribute_count; i++) {
		if (!in_a_key(t, i))
			continue;
		buf_add_format(out, "%s{\"AttributeType\":\"%s\"", n++ > 0 ? "," : "",
			       dynamo_type_letter(t->types[i]));
		quote_json_key(out, "AttributeName");
		quote_json(out, slice_str(t->attributes[i]));
		buf_add_u8(out, '}');
	}
	buf_add_u8(out, ']');
	for (size_t i = 0; i < t->index_count; i++) {
		buf_add_format(out, "%s{\"IndexName\":\"%s\",",
			       i == 0 ? ",\"GlobalSecondaryIndexes\":[" : ",", t->indexes[i].name);
		add_schema(out, t->attributes, &t->indexes[i].key);
		buf_add_str(out, ",\"Projection\":{\"ProjectionType\":\"ALL\"}}");
	}
	buf_add_str(out, t->index_count > 0 ? "]}" : "}");
}

/* Asks for the table; a request whose answer was lost finds it being made. */
int store_dynamo_make_table(struct store_dynamo *s, const struct dynamo_table *t, const char *name,
			    bool may_exist, struct err *e)
{
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	enum table_state state = TABLE_MISSING;
	int rc = 0;

	write_table(t, name, &body);
	if (!may_exist && (rc = table_state(s, name, &state, e)) == 0 && state != TABLE_MISSING) {
		rc = err_config(e, "DynamoDB: there is a table %s already", name);
		err_hint(e, "Millrace did not make it, or its bookkeeping was lost: remove it, or "
			    "set dynamodb.prefix.");
	}
	if (rc == 0) {
		rc = store_dynamo_ask(s, "CreateTable", &body, &answer, e);
		if (rc < 0 && answer.outcome == DYNAMO_IN_USE) {
			err_clear(e);
			rc = 0;
		}
		dynamo_answer_done(&answer);
	}
	buf_done(&body);
	return rc;
}

int store_dynamo_make_book(struct store_dynamo *s, struct err *e)
{
	char *attribute = (char *)(uintptr_t) "item";
	enum dynamo_type type = DYNAMO_STRING;
	struct dynamo_table t = {
		.attributes = &attribute,
		.types = &type,
		.attribute_count = 1,
		.key = { .attributes = { 0 }, .count = 1 },
	};
	enum table_state state;

	if (table_state(s, s->book, &state, e) < 0)
		return -1;
	if (state == TABLE_ACTIVE)
		return 0;
	return store_dynamo_make_table(s, &t, s->book, true, e) < 0
		       ? -1
		       : await_table(s, s->book, TABLE_ACTIVE, e);
}

int store_dynamo_remove_table(struct store_dynamo *s, const char *name, struct err *e)
{
	int64_t until = clock_monotonic_us() + TABLE_WAIT_US;
	enum dynamo_outcome outcome;
	struct buf body = BUF_INIT;
	int rc;

	buf_add_format(&body, "{\"TableName\":\"%s\"}", name);
	for (;;) {
		struct dynamo_answer answer;

		rc = store_dynamo_ask(s, "DeleteTable", &body, &answer, e);
		outcome = answer.outcome;
		dynamo_answer_done(&answer);
		/* one that is being made can't be removed yet; one being removed is in use too */
		if (rc == 0 || outcome != DYNAMO_IN_USE || clock_monotonic_us() > until)
			break;
		err_clear(e);
		clock_sleep_us(POLL_LONGEST_US / 4);
	}
	buf_done(&body);
	if (rc < 0 && outcome == DYNAMO_MISSING) {
		err_clear(e);
		return 0;
	}
	return rc < 0 ? -1 : await_table(s, name, TABLE_MISSING, e);
}
