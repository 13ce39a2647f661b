/* dynamo_template.c - reads a handler's JSON. What can be known without a record is checked here:
 * tables, attributes, whole keys, constants of the right type, and that nothing is relative.
 *
 * Relative values are refused because a store transaction may be applied a second time: a change
 * that is larger than one of DynamoDB's transactions is several, and after a crash between them
 * all of it comes again. An absolute value is then written twice; a sum would be counted twice. */
#include "core/dynamo/dynamo_template.h"

#include "core/base/mem.h"
#include "core/base/settings.h"
#include "core/dynamo/dynamo_json.h"

#include <ctype.h>
#include <stdlib.h>

static const char *const verbs[] = {
	[DYNAMO_PUT] = "put",
	[DYNAMO_UPDATE] = "update",
	[DYNAMO_DELETE] = "delete",
	[DYNAMO_CLEAR] = "clear",
};

/* What people who know DynamoDB will try. */
static const char *const relatives[] = {
	"add",        "ADD",      "increment", "append", "UpdateExpression", "ConditionExpression",
	"expression", "condition"
};

struct reader {
	const char *file;
	size_t number; /* of the operation, from 1 */
	const struct dynamo_tables *tables;
	struct dynamo_template *t;
	struct err *e;
};

static int wrong(const struct reader *r, const char *what, const char *name)
{
	return err_config(r->e, "%s: operation %zu: %s%.100s", r->file, r->number, what, name);
}

static int relative(const struct reader *r, const char *what)
{
	wrong(r, what, ": relative updates are refused");
	return err_hint(r->e, "After a crash a transaction may be applied again, and what is added "
			      "would be added twice. Put absolute values; keep counts in a view of "
			      "another store, or in the service that reads the items.");
}

/* ---- values ---------------------------------------------------------------------------------- */

static bool is_name(const char *text)
{
	return *text != '\0' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
		       strlen(text);
}

/* "n + :by", "if_not_exists(n, :zero)": an expression, where a value belongs. */
static bool looks_relative(const char *text)
{
	static const char *const functions[] = { "if_not_exists", "list_append" };

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (strncmp(text, functions[i], strlen(functions[i])) == 0)
			return true;
	}
	for (const char *p = strchr(text, ':'); p != NULL; p = strchr(p + 1, ':')) {
		const char *before = p;

		while (before > text && isspace((unsigned char)before[-1]))
			before--;
		if (before > text && strchr("+-*(,", before[-1]) != NULL &&
		    (isalpha((unsigned char)p[1]) || p[1] == '_'))
			return true;
	}
	return false;
}

static int add_parameter(struct dynamo_template *t, const char *name)
{
	for (size_t i = 0; i < t->parameter_count; i++) {
		if (strcmp(t->parameters[i], name) == 0)
			return (int)i;
	}
	t->parameters = xrealloc(t->parameters, (t->parameter_count + 1) * sizeof(char *));
	t->parameters[t->parameter_count] = xstrdup(name);
	return (int)t->parameter_count++;
}

static int read_text(const struct reader *r, const json_t *value, struct dynamo_operand *o)
{
	const char *text = json_string_value(value);
	size_t size = json_string_length(value);

	if (strlen(text) != size)
		return wrong(r, "a text that holds a zero character", "");
	if (text[0] == ':' && text[1] != ':') {
		if (!is_name(text + 1)) {
			if (looks_relative(text) || strpbrk(text, "+-*") != NULL)
				return relative(r, text);
			wrong(r, "not a parameter: ", text);
			return err_hint(r->e, "A parameter is \":name\"; write \"::\" for a text "
					      "that begins with ':'.");
		}
		o->kind = OPERAND_PARAMETER;
		o->parameter = add_parameter(r->t, text + 1);
		return 0;
	}
	if (looks_relative(text))
		return relative(r, text);
	text += text[0] == ':';
	o->constant = (struct value){ .kind = VALUE_TEXT, .bytes = slice_str(xstrdup(text)) };
	return 0;
}

static int read_operand(const struct reader *r, const struct dynamo_table *table, size_t attribute,
			const json_t *value, struct dynamo_operand *o)
{
	struct buf ignored = BUF_INIT;
	struct err e = ERR_INIT;
	size_t size;
	int rc = 0;

	if (o->kind != OPERAND_NONE)
		return wrong(r, "twice: ", table->attributes[attribute]);
	o->kind = OPERAND_CONSTANT;
	if (json_is_string(value))
		rc = read_text(r, value, o);
	else if (json_is_integer(value))
		o->constant = (struct value){ .kind = VALUE_INT, .i = json_integer_value(value) };
	else if (json_is_real(value))
		o->constant = (struct value){ .kind = VALUE_DOUBLE, .d = json_real_value(value) };
	else if (json_is_null(value))
		o->constant = (struct value){ .kind = VALUE_NULL };
	else
		rc = wrong(r, "neither text nor number nor null: ", table->attributes[attribute]);
	if (rc == 0 && o->kind == OPERAND_CONSTANT && o->constant.kind != VALUE_NULL &&
	    dynamo_value_write(&ignored, table->types[attribute], &o->constant, &size, &e) < 0) {
		wrong(r, table->attributes[attribute], ": ");
		rc = err_wrap(r->e, "%s", e.msg);
	}
	buf_done(&ignored);
	return rc;
}

static int unknown_attribute(const struct reader *r, const struct dynamo_table *table,
			     const char *name)
{
	const char *near = settings_nearest(name, (const char *const *)table->attributes,
					    table->attribute_count);

	err_config(r->e, "%s: operation %zu: table %s has no attribute %.100s", r->file, r->number,
		   table->name, name);
	return near != NULL ? err_hint(r->e, "Did you mean %s?", near)
			    : err_hint(r->e, "tables.json lists its attributes.");
}

/* An object of attributes and values. keys: only the key's may stand in it; else, with !both, only
 * others. */
static int read_values(const struct reader *r, struct dynamo_operation *op, const json_t *object,
		       bool keys, bool both)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		int at = dynamo_attribute_find(op->table, name);

		if (at < 0)
			return unknown_attribute(r, op->table, name);
		if (!both && dynamo_key_has(op->table, (size_t)at) != keys)
			return wrong(r,
				     keys ? "not of the key: "
					  : "of the key, which an update can't change: ",
				     name);
		if (read_operand(r, op->table, (size_t)at, value, &op->operands[at]) < 0)
			return -1;
	}
	return 0;
}

static int whole_key(const struct reader *r, const struct dynamo_operation *op)
{
	for (size_t i = 0; i < op->table->key.count; i++) {
		size_t at = op->table->key.attributes[i];
		const struct dynamo_operand *o = &op->operands[at];

		if (o->kind == OPERAND_NONE ||
		    (o->kind == OPERAND_CONSTANT && o->constant.kind == VALUE_NULL)) {
			wrong(r, "the key lacks ", op->table->attributes[at]);
			return err_hint(r->e, "An operation is about one item: it names its whole "
					      "key.");
		}
	}
	return 0;
}

/* ---- conditions ------------------------------------------------------------------------------ */

static int read_constant(const struct reader *r, const json_t *value, struct value *ret)
{
	if (json_is_string(value))
		*ret = (struct value){ .kind = VALUE_TEXT,
				       .bytes = slice_str(xstrdup(json_string_value(value))) };
	else if (json_is_integer(value))
		*ret = (struct value){ .kind = VALUE_INT, .i = json_integer_value(value) };
	else if (json_is_real(value))
		*ret = (struct value){ .kind = VALUE_DOUBLE, .d = json_real_value(value) };
	else if (json_is_null(value))
		*ret = (struct value){ .kind = VALUE_NULL };
	else
		return wrong(r, "a condition compares with text, numbers or null", "");
	return 0;
}

static int read_condition(const struct reader *r, struct dynamo_operation *op, const char *name,
			  const json_t *value)
{
	struct dynamo_condition *c = &op->conditions[op->condition_count];
	size_t count = json_is_array(value) ? json_array_size(value) : 1;

	if (name[0] != ':' || !is_name(name + 1)) {
		wrong(r, "a condition on ", name);
		return err_hint(r->e, "Conditions are on the record's fields, \":name\"; what is "
				      "stored can't be asked.");
	}
	c->parameter = add_parameter(r->t, name + 1);
	c->values = xcalloc(count + 1, sizeof(*c->values));
	op->condition_count++;
	for (; c->count < count; c->count++) {
		if (read_constant(r, json_is_array(value) ? json_array_get(value, c->count) : value,
				  &c->values[c->count]) < 0)
			return -1;
	}
	return 0;
}

static int read_conditions(const struct reader *r, const json_t *operation,
			   struct dynamo_operation *op)
{
	const json_t *when = json_object_get(operation, "when"),
		     *unless = json_object_get(operation, "unless");
	const json_t *object = when != NULL ? when : unless;
	const char *name;
	json_t *value;

	if (object == NULL)
		return 0;
	if ((when != NULL && unless != NULL) || !json_is_object(object))
		return wrong(r, "write either \"when\" or \"unless\": { \":name\": ... }", "");
	op->unless = when == NULL;
	op->conditions = xcalloc(json_object_size(object) + 1, sizeof(*op->conditions));
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		if (read_condition(r, op, name, value) < 0)
			return -1;
	}
	return 0;
}

bool dynamo_applies(const struct dynamo_operation *op, const struct value *const *values)
{
	bool all = true;

	for (size_t i = 0; i < op->condition_count && all; i++) {
		const struct dynamo_condition *c = &op->conditions[i];
		const struct value *v = values[c->parameter];
		bool any = false;

		for (size_t k = 0; k < c->count && !any; k++)
			any = v->kind == VALUE_ABSENT ? c->values[k].kind == VALUE_NULL
						      : value_equal(v, &c->values[k]);
		all = any;
	}
	return op->condition_count == 0 || all != op->unless;
}

/* ---- operations ------------------------------------------------------------------------------ */

static int read_remove(const struct reader *r, struct dynamo_operation *op, const json_t *list)
{
	if (list != NULL && !json_is_array(list))
		return wrong(r, "remove is not a list of attributes", "");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));
		int at = name != NULL ? dynamo_attribute_find(op->table, name) : -1;

		if (at < 0)
			return unknown_attribute(r, op->table, name != NULL ? name : "(no text)");
		if (dynamo_key_has(op->table, (size_t)at))
			return wrong(r, "of the key, which an update can't change: ", name);
		if (op->operands[at].kind != OPERAND_NONE)
			return wrong(r, "twice: ", name);
		op->operands[at].kind = OPERAND_CONSTANT;
		op->operands[at].constant = (struct value){ .kind = VALUE_NULL };
	}
	return 0;
}

static int object_of(const struct reader *r, const json_t *operation, const char *part,
		     const json_t **ret_object)
{
	*ret_object = json_object_get(operation, part);
	if (json_is_object(*ret_object))
		return 0;
	wrong(r, "it lacks ", part);
	return err_hint(r->e, "Write \"%s\": { \"ATTRIBUTE\": \":parameter\", ... }", part);
}

static int read_parts(const struct reader *r, const json_t *operation, struct dynamo_operation *op)
{
	const json_t *object, *set = json_object_get(operation, "set"),
			      *gone = json_object_get(operation, "remove");

	switch (op->kind) {
	case DYNAMO_PUT:
		return object_of(r, operation, "item", &object) < 0 ||
				       read_values(r, op, object, false, true) < 0
			       ? -1
			       : whole_key(r, op);
	case DYNAMO_UPDATE:
		if (object_of(r, operation, "key", &object) < 0 ||
		    read_values(r, op, object, true, false) < 0 || whole_key(r, op) < 0 ||
		    read_values(r, op, set, false, false) < 0)
			return -1;
		if (json_object_size(set) + json_array_size(gone) == 0)
			return wrong(r, "an update that sets and removes nothing", "");
		return read_remove(r, op, gone);
	case DYNAMO_DELETE:
		return object_of(r, operation, "key", &object) < 0 ||
				       read_values(r, op, object, true, false) < 0
			       ? -1
			       : whole_key(r, op);
	case DYNAMO_CLEAR:
		return 0;
	}
	return 0;
}

static int check_words(const struct reader *r, const json_t *operation, enum dynamo_kind kind)
{
	static const char *const parts[][3] = {
		[DYNAMO_PUT] = { "item" },
		[DYNAMO_UPDATE] = { "key", "set", "remove" },
		[DYNAMO_DELETE] = { "key" },
		[DYNAMO_CLEAR] = { NULL },
	};
	const char *word;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)operation, word, value)
	{
		bool known = strcmp(word, verbs[kind]) == 0 || strcmp(word, "when") == 0 ||
			     strcmp(word, "unless") == 0;

		for (size_t i = 0; i < 3; i++)
			known = known ||
				(parts[kind][i] != NULL && strcmp(word, parts[kind][i]) == 0);
		for (size_t i = 0; i < sizeof(relatives) / sizeof(relatives[0]) && !known; i++) {
			if (strcmp(word, relatives[i]) == 0)
				return relative(r, word);
		}
		if (!known)
			return wrong(r, "not a part of it: ", word);
	}
	return 0;
}

static int read_operation(const struct reader *r, const json_t *operation)
{
	struct dynamo_operation *op = &r->t->operations[r->t->count];
	const json_t *named = NULL;
	size_t verb = 0;

	for (; verb < sizeof(verbs) / sizeof(verbs[0]); verb++) {
		named = json_object_get(operation, verbs[verb]);
		if (named != NULL)
			break;
	}
	if (!json_is_string(named)) {
		wrong(r, "it doesn't say what to do", "");
		return err_hint(r->e, "Begin it with \"put\", \"update\", \"delete\" or \"clear\" "
				      "and a table's name.");
	}
	op->kind = (enum dynamo_kind)verb;
	op->table = dynamo_table_find(r->tables, json_string_value(named));
	if (op->table == NULL)
		return wrong(r, "no table in tables.json: ", json_string_value(named));
	op->operands = xcalloc(op->table->attribute_count, sizeof(*op->operands));
	r->t->count++;
	return check_words(r, operation, op->kind) < 0 || read_conditions(r, operation, op) < 0
		       ? -1
		       : read_parts(r, operation, op);
}

int dynamo_template_read(const char *file, const char *text, const struct dynamo_tables *tables,
			 struct dynamo_template **ret_template, struct err *e)
{
	struct reader r = { .file = file, .tables = tables, .e = e };
	size_t count;
	json_t *root;
	int rc = 0;

	if (dynamo_json_read(file, text, &root, e) < 0)
		return -1;
	count = json_is_array(root) ? json_array_size(root) : 1;
	r.t = xcalloc(1, sizeof(*r.t));
	r.t->operations = xcalloc(count + 1, sizeof(*r.t->operations));
	if (count > DYNAMO_OPERATIONS_MAX)
		rc = err_config(e, "%s: more than %d operations", file, DYNAMO_OPERATIONS_MAX);
	for (size_t i = 0; i < count && rc == 0; i++) {
		r.number = i + 1;
		rc = read_operation(&r, json_is_array(root) ? json_array_get(root, i) : root);
	}
	json_decref(root);
	if (rc < 0)
		dynamo_template_free(r.t);
	else
		*ret_template = r.t;
	return rc;
}

static void constant_done(struct value *v)
{
	if (v->kind == VALUE_TEXT)
		free((void *)(uintptr_t)v->bytes.data);
}

static void operation_done(struct dynamo_operation *op)
{
	for (size_t i = 0; i < op->table->attribute_count; i++)
		constant_done(&op->operands[i].constant);
	for (size_t i = 0; i < op->condition_count; i++) {
		for (size_t k = 0; k < op->conditions[i].count; k++)
			constant_done(&op->conditions[i].values[k]);
		free(op->conditions[i].values);
	}
	free(op->conditions);
	free(op->operands);
}

void dynamo_template_free(struct dynamo_template *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->count; i++)
		operation_done(&t->operations[i]);
	for (size_t i = 0; i < t->parameter_count; i++)
		free(t->parameters[i]);
	free(t->parameters);
	free(t->operations);
	free(t);
}
