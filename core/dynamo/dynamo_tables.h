/* dynamo_tables.h - tables.json: the tables of a view that lives in DynamoDB.
 *
 *   { "members": { "key": ["group_id", "member_id"],
 *                  "attributes": { "group_id": "number", "member_id": "number", "name": "string" },
 *                  "indexes": { "by_member": ["member_id", "group_id"] } } }
 *
 * key: the partition key, and a sort key if there is one. attributes: string, number or binary,
 * each. indexes (may be left out): global secondary indexes that hold all attributes. */
#ifndef CORE_DYNAMO_DYNAMO_TABLES_H
#define CORE_DYNAMO_DYNAMO_TABLES_H

#include "core/dynamo/dynamo_value.h"

#define DYNAMO_TABLES_MAX 50
#define DYNAMO_ATTRIBUTES_MAX 200
#define DYNAMO_KEY_MAX 2      /* attributes */
#define DYNAMO_INDEXES_MAX 20 /* the service's own limit */
#define DYNAMO_NAME_MAX 100   /* of a table or index, in the view; of an attribute */

struct dynamo_key {
	size_t attributes[DYNAMO_KEY_MAX]; /* numbers; partition key first */
	size_t count;
};

struct dynamo_index {
	char *name;
	struct dynamo_key key;
};

struct dynamo_table {
	char *name;
	char **attributes;
	enum dynamo_type *types;
	size_t attribute_count;
	struct dynamo_key key;
	struct dynamo_index *indexes;
	size_t index_count;
};

struct dynamo_tables {
	struct dynamo_table *items;
	size_t count;
};

/* ERR_CONFIG: "file:line: what" for text that is no JSON, else "file: table NAME: what". */
int dynamo_tables_read(const char *file, const char *text, struct dynamo_tables **ret_tables,
		       struct err *e);
void dynamo_tables_free(struct dynamo_tables *t); /* NULL is fine */
const struct dynamo_table *dynamo_table_find(const struct dynamo_tables *t, const char *name);
/* Its number; -1: there is none. */
int dynamo_attribute_find(const struct dynamo_table *t, const char *name);
bool dynamo_key_has(const struct dynamo_table *t, size_t attribute);

#endif
