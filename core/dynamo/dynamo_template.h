/* dynamo_template.h - a handler of a view that lives in DynamoDB: what one record does to items.
 *
 *   [ { "put": "members", "item": { "group_id": ":group_id", "member_id": ":id", "kind": "m" } },
 *     { "update": "members", "key": { "group_id": ":group_id", "member_id": ":id" },
 *       "set": { "name": ":name" }, "remove": ["nick"] },
 *     { "delete": "members", "key": { "group_id": ":group_id", "member_id": ":id" } },
 *     { "clear": "members" } ]
 *
 * Each may have "when" or "unless": conditions on the record alone, { ":status": "active" } or
 * { ":status": ["active", "new"], ":banned_at": null }; all of them must hold.
 *
 * One operation may stand without the list. ":name" is a parameter, "::text" the text ":text", any
 * other text or number is itself, null is no value. put replaces the whole item; what it does not
 * name, and what is NULL, the item has not. update changes the named attributes of one item and
 * makes it when it isn't there; a NULL removes the attribute. clear deletes every item (for
 * .truncate.json). Values are absolute: whatever would compute from what is stored is refused. */
#ifndef CORE_DYNAMO_DYNAMO_TEMPLATE_H
#define CORE_DYNAMO_DYNAMO_TEMPLATE_H

#include "core/dynamo/dynamo_tables.h"

#define DYNAMO_OPERATIONS_MAX 50 /* in one handler */

enum dynamo_kind { DYNAMO_PUT, DYNAMO_UPDATE, DYNAMO_DELETE, DYNAMO_CLEAR };

struct dynamo_operand {
	enum { OPERAND_NONE, OPERAND_PARAMETER, OPERAND_CONSTANT } kind;
	int parameter;         /* from 0 */
	struct value constant; /* NULL: removes the attribute */
};

struct dynamo_condition {
	int parameter;
	struct value *values; /* one of them */
	size_t count;
};

struct dynamo_operation {
	enum dynamo_kind kind;
	bool unless; /* the conditions are turned around, as a whole */
	struct dynamo_condition *conditions;
	size_t condition_count;
	const struct dynamo_table *table;
	struct dynamo_operand *operands; /* one for each attribute of the table */
};

struct dynamo_template {
	struct dynamo_operation *operations;
	size_t count;
	char **parameters; /* names, without ':' */
	size_t parameter_count;
};

/* `tables` must outlive the template. ERR_CONFIG: "file: operation N: what". */
int dynamo_template_read(const char *file, const char *text, const struct dynamo_tables *tables,
			 struct dynamo_template **ret_template, struct err *e);
/* Do the operation's conditions hold for the record? values[i] is parameter i's. */
bool dynamo_applies(const struct dynamo_operation *op, const struct value *const *values);
void dynamo_template_free(struct dynamo_template *t); /* NULL is fine */

#endif
