/* view_dynamo.c - a view that lives in DynamoDB, checked as it is read: tables.json says all that
 * there is to learn, and templates are read without the service, so no version has to be made to
 * try them. */
#include "projections/apply/target_dynamo.h"
#include "projections/apply/view_priv.h"

/* The words for the classes of normal.h. */
static const char *const classes[] = {
	[DYNAMO_STRING] = "text",
	[DYNAMO_NUMBER] = "number",
	[DYNAMO_BINARY] = "bytes",
};

static void learn_table(struct view *v, const struct dynamo_table *from)
{
	struct view_table *t = view_learn_table(v, from->name);

	for (size_t i = 0; i < from->attribute_count; i++)
		view_learn_column(t, from->attributes[i], classes[from->types[i]]);
	for (size_t i = 0; i < from->key.count; i++)
		view_learn_key(t, from->attributes[from->key.attributes[i]]);
}

/* Items are found by the table's key: another one can't be compared by. */
static void refuse_keys(const struct view *v, struct view_mistakes *m)
{
	for (size_t i = 0; i < v->table_count; i++) {
		if (v->tables[i].key_line > 0)
			view_mistake(m, "view.conf", v->tables[i].key_line,
				     "tables.json says what the key is.",
				     "key.%s: the key of a table in DynamoDB is its own",
				     v->tables[i].name);
	}
}

static void refuse_sql(const struct view *v, struct view_mistakes *m)
{
	for (size_t i = 0; i < v->handler_count; i++) {
		const char *name = v->handlers[i].file->name;

		if (strcmp(name + strlen(name) - 4, ".sql") == 0)
			view_mistake(m, name, 0, "Write the handler as an item template, .json.",
				     "DynamoDB knows no SQL");
	}
}

int view_dynamo_tables(const struct view *v, struct dynamo_tables **ret_tables, struct err *e)
{
	const struct view_file *file = view_file(v, "tables.json");

	if (file != NULL)
		return dynamo_tables_read("tables.json", file->text, ret_tables, e);
	err_config(e, "tables.json: missing");
	return err_hint(e, "It says which tables the view has.");
}

bool view_learn_dynamo(struct view *v, struct view_mistakes *m)
{
	size_t before = m->count;
	struct dynamo_tables *tables;
	struct target_dynamo target;
	struct err e = ERR_INIT;

	if (v->kind != VIEW_SQL)
		view_mistake(m, "view.conf", 0,
			     "Write handlers, on/*.json, or choose another store.",
			     "DynamoDB takes handlers only: it can neither run a query nor tell a "
			     "table's key and types from its rows");
	refuse_keys(v, m);
	refuse_sql(v, m);
	if (m->count > before)
		return false;
	if (view_dynamo_tables(v, &tables, &e) < 0) {
		view_mistake_err(m, &e);
		return false;
	}
	for (size_t i = 0; i < tables->count; i++)
		learn_table(v, &tables->items[i]);
	target_dynamo_init(&target, tables);
	view_check_handlers(v, &target.target, m);
	dynamo_tables_free(tables);
	return m->count == before;
}
