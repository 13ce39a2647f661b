/* clear.c - a table is emptied: its keys are scanned page by page, and deleted like any other
 * items, behind the fence. There is no request that empties a table; removing it and making it anew
 * would take it away from readers. */
#include "projections/store/dynamo/version_priv.h"

#include "core/base/mem.h"
#include "core/base/quote.h"

#include <stdlib.h>

#define CLEAR_PAGE 1000 /* items */

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
		rc = version_add(v, &op, values, e);
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
	rc = fence_ask(v, 0, "Scan", &body, &answer, e);
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
		rc = fence_drain(v, e); /* slot 0 is needed for the next page */
	return rc;
}

/* Every item that is there, or on its way. */
int version_clear(struct store_version *v, const struct dynamo_table *t, struct err *e)
{
	struct buf page = BUF_INIT;
	int rc = fence_drain(v, e);

	while (rc == 0) {
		rc = clear_page(v, t, &page, e);
		if (page.size == 0)
			break;
	}
	buf_done(&page);
	return rc;
}
