/*
 * schema.c - schema text into a tree.
 *
 * jansson reads the JSON; one function per kind of schema turns it into a node. Named types are
 * noted once their definition is complete, so a type can only refer to what stands before it:
 * a type that contains itself is refused, and the tree has no cycles. A reference shares the node
 * and counts it, which is what schema_free() undoes.
 *
 * Refused, with the field in which it stands: text over SCHEMA_TEXT_MAX, nesting over
 * SCHEMA_DEPTH_MAX, names that Avro doesn't allow, a name defined twice, unknown types, empty
 * unions, unions in unions, a union with two branches that can't be told apart. Properties that
 * aren't of Avro (doc, aliases, millrace, mysql) are passed over. A logical type that doesn't suit
 * its type is passed over, too: the specification says so.
 */
#include "core/avro/schema.h"

#include "core/base/buf.h"
#include "core/base/mem.h"

#include <jansson.h>
#include <stdlib.h>

struct parsing {
	struct schema **named; /* complete definitions, not counted as references */
	size_t named_count;
	int depth;
};

static const char *const primitives[] = {
	[SCHEMA_NULL] = "null",   [SCHEMA_BOOLEAN] = "boolean", [SCHEMA_INT] = "int",
	[SCHEMA_LONG] = "long",   [SCHEMA_FLOAT] = "float",     [SCHEMA_DOUBLE] = "double",
	[SCHEMA_BYTES] = "bytes", [SCHEMA_STRING] = "string",
};
#define PRIMITIVES (sizeof(primitives) / sizeof(*primitives))

static int parse(struct parsing *p, const json_t *j, const char *space, struct schema **ret_schema,
		 struct err *e);

bool schema_name_legal(struct slice part)
{
	for (size_t i = 0; i < part.size; i++) {
		uint8_t c = part.data[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		if (!letter && !(i > 0 && c >= '0' && c <= '9'))
			return false;
	}
	return part.size > 0;
}

/* Parts between dots. */
static bool full_name_legal(const char *name)
{
	for (;;) {
		size_t n = strcspn(name, ".");

		if (!schema_name_legal(slice_of(name, n)))
			return false;
		if (name[n] == '\0')
			return true;
		name += n + 1;
	}
}

static struct schema *node_new(enum schema_type type)
{
	struct schema *s = xcalloc(1, sizeof(*s));

	s->type = type;
	s->references = 1;
	return s;
}

void schema_free(struct schema *root)
{
	if (root == NULL || __atomic_sub_fetch(&root->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; root->fields != NULL && i < root->count; i++) {
		free(root->fields[i].name);
		schema_free(root->fields[i].schema);
	}
	for (size_t i = 0; root->branches != NULL && i < root->count; i++)
		schema_free(root->branches[i]);
	for (size_t i = 0; root->symbols != NULL && i < root->count; i++)
		free(root->symbols[i]);
	free(root->fields);
	free(root->branches);
	free(root->symbols);
	schema_free(root->items);
	free(root->name);
	free(root->logical);
	free(root);
}

struct schema *schema_ref(struct schema *node)
{
	__atomic_add_fetch(&node->references, 1, __ATOMIC_RELAXED);
	return node;
}

static struct schema *find_named(const struct parsing *p, const char *full_name)
{
	for (size_t i = 0; i < p->named_count; i++) {
		if (strcmp(p->named[i]->name, full_name) == 0)
			return p->named[i];
	}
	return NULL;
}

/* A name without a dot belongs to the namespace around it. Caller frees. */
static char *qualified(const char *name, const char *space)
{
	if (strchr(name, '.') != NULL || space == NULL || space[0] == '\0')
		return xstrdup(name);
	return xasprintf("%s.%s", space, name);
}

static int primitive_of(const char *name)
{
	for (size_t i = 0; i < PRIMITIVES; i++) {
		if (strcmp(primitives[i], name) == 0)
			return (int)i;
	}
	return -1;
}

static int parse_reference(struct parsing *p, const char *name, const char *space,
			   struct schema **ret_schema, struct err *e)
{
	int primitive = primitive_of(name);
	struct schema *found;
	char *full;

	if (primitive >= 0) {
		*ret_schema = node_new((enum schema_type)primitive);
		return 0;
	}
	full = qualified(name, space);
	found = find_named(p, full);
	free(full);
	if (found == NULL) {
		err_data(e, "unknown type \"%.200s\"", name);
		return err_hint(
			e,
			"A named type must be defined before it is used, and not contain itself.");
	}
	*ret_schema = schema_ref(found);
	return 0;
}

static const char *branch_kind(const struct schema *s)
{
	static const char *const kinds[] = {
		[SCHEMA_ARRAY] = "array", [SCHEMA_MAP] = "map", [SCHEMA_UNION] = "union"
	};

	if (s->name != NULL)
		return s->name;
	return (size_t)s->type < PRIMITIVES ? primitives[s->type] : kinds[s->type];
}

static int parse_branch(struct parsing *p, const json_t *j, const char *space, struct schema *s,
			struct err *e)
{
	struct schema *branch;

	if (parse(p, j, space, &branch, e) < 0)
		return -1;
	s->branches[s->count++] = branch;
	if (branch->type == SCHEMA_UNION)
		return err_data(e, "a union inside a union");
	for (size_t i = 0; i + 1 < s->count; i++) {
		if (strcmp(branch_kind(branch), branch_kind(s->branches[i])) == 0)
			return err_data(e, "a union with \"%s\" twice", branch_kind(branch));
	}
	return 0;
}

static int parse_union(struct parsing *p, const json_t *j, const char *space,
		       struct schema **ret_schema, struct err *e)
{
	size_t n = json_array_size(j);
	struct schema *s;

	if (n == 0)
		return err_data(e, "a union of nothing");
	if (n > 64)
		return err_data(e, "a union of %zu types; 64 at most", n);
	s = node_new(SCHEMA_UNION);
	s->branches = xcalloc(n, sizeof(*s->branches));
	for (size_t i = 0; i < n; i++) {
		if (parse_branch(p, json_array_get(j, i), space, s, e) < 0) {
			schema_free(s);
			return -1;
		}
	}
	*ret_schema = s;
	return 0;
}

static int parse_fields(struct parsing *p, const json_t *j, const char *space, struct schema *s,
			struct err *e)
{
	const json_t *list = json_object_get(j, "fields");
	size_t n = json_array_size(list);

	if (!json_is_array(list))
		return err_data(e, "record %s has no \"fields\"", s->name);
	if (n > SCHEMA_FIELDS_MAX)
		return err_data(e, "record %s has %zu fields; %d at most", s->name, n,
				SCHEMA_FIELDS_MAX);
	s->fields = xcalloc(n > 0 ? n : 1, sizeof(*s->fields));
	for (size_t i = 0; i < n; i++) {
		const json_t *f = json_array_get(list, i);
		const char *name = json_string_value(json_object_get(f, "name"));
		const json_t *type = json_object_get(f, "type");
		struct schema *schema;

		if (name == NULL || !schema_name_legal(slice_str(name)))
			return err_data(e, "record %s: field %zu has no legal name", s->name,
					i + 1);
		for (size_t k = 0; k < i; k++) {
			if (strcmp(s->fields[k].name, name) == 0)
				return err_data(e, "record %s: field %s twice", s->name, name);
		}
		if (type == NULL)
			return err_data(e, "field %s has no \"type\"", name);
		if (parse(p, type, space, &schema, e) < 0)
			return err_wrap(e, "field %.200s", name);
		s->fields[i].name = xstrdup(name);
		s->fields[i].schema = schema;
		s->fields[i].has_default = json_object_get(f, "default") != NULL;
		s->count++;
	}
	return 0;
}

static int parse_symbols(const json_t *j, struct schema *s, struct err *e)
{
	const json_t *list = json_object_get(j, "symbols");
	size_t n = json_array_size(list);

	if (!json_is_array(list) || n == 0)
		return err_data(e, "enum %s has no \"symbols\"", s->name);
	s->symbols = xcalloc(n, sizeof(*s->symbols));
	for (size_t i = 0; i < n; i++) {
		const char *symbol = json_string_value(json_array_get(list, i));

		if (symbol == NULL || !schema_name_legal(slice_str(symbol)))
			return err_data(e, "enum %s: symbol %zu is not a legal name", s->name,
					i + 1);
		s->symbols[s->count++] = xstrdup(symbol);
	}
	return 0;
}

static int parse_size(const json_t *j, struct schema *s, struct err *e)
{
	const json_t *size = json_object_get(j, "size");
	json_int_t n = json_integer_value(size);

	if (!json_is_integer(size) || n < 0 || n > SCHEMA_FIXED_MAX)
		return err_data(e, "fixed %s: \"size\" must be 0 to %d", s->name, SCHEMA_FIXED_MAX);
	s->count = (size_t)n;
	return 0;
}

/* The full name into s->name; *ret_space is the namespace of what stands inside (caller frees). */
static int parse_name(const struct parsing *p, const json_t *j, const char *space, struct schema *s,
		      char **ret_space, struct err *e)
{
	const char *name = json_string_value(json_object_get(j, "name"));
	const json_t *own = json_object_get(j, "namespace");
	const char *dot;

	if (own != NULL && !json_is_string(own))
		return err_data(e, "\"namespace\" must be text");
	if (name == NULL)
		return err_data(e, "a record, enum or fixed without \"name\"");
	s->name = qualified(name, own != NULL ? json_string_value(own) : space);
	if (!full_name_legal(s->name) || primitive_of(s->name) >= 0) {
		err_data(e, "\"%.200s\" is not a legal name", s->name);
		return err_hint(
			e, "Letters, digits and _ only, not a digit first; parts joined by dots.");
	}
	if (find_named(p, s->name) != NULL)
		return err_data(e, "\"%.200s\" is defined twice", s->name);
	dot = strrchr(s->name, '.');
	*ret_space = dot != NULL ? xstrndup(s->name, (size_t)(dot - s->name)) : xstrdup("");
	return 0;
}

static int parse_named(struct parsing *p, const json_t *j, const char *space, enum schema_type type,
		       struct schema **ret_schema, struct err *e)
{
	struct schema *s = node_new(type);
	char *inner = NULL;
	int rc = parse_name(p, j, space, s, &inner, e);

	if (rc == 0 && type == SCHEMA_RECORD)
		rc = parse_fields(p, j, inner, s, e);
	else if (rc == 0 && type == SCHEMA_ENUM)
		rc = parse_symbols(j, s, e);
	else if (rc == 0)
		rc = parse_size(j, s, e);
	free(inner);
	if (rc == 0 && find_named(p, s->name) != NULL) /* by something inside it */
		rc = err_data(e, "\"%.200s\" is defined twice", s->name);
	if (rc < 0) {
		schema_free(s);
		return -1;
	}
	if (p->named_count >= SCHEMA_NAMED_MAX) {
		schema_free(s);
		return err_data(e, "more than %d named types", SCHEMA_NAMED_MAX);
	}
	p->named = xrealloc(p->named, (p->named_count + 1) * sizeof(*p->named));
	p->named[p->named_count++] = s;
	*ret_schema = s;
	return 0;
}

static int parse_container(struct parsing *p, const json_t *j, const char *space,
			   enum schema_type type, struct schema **ret_schema, struct err *e)
{
	const char *key = type == SCHEMA_ARRAY ? "items" : "values";
	const json_t *element = json_object_get(j, key);
	struct schema *items, *s;

	if (element == NULL)
		return err_data(e, "%s without \"%s\"", type == SCHEMA_ARRAY ? "array" : "map",
				key);
	if (parse(p, element, space, &items, e) < 0)
		return -1;
	s = node_new(type);
	s->items = items;
	*ret_schema = s;
	return 0;
}

static int number_of(const json_t *j, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(j, key));

	return n >= 0 && n <= SCHEMA_SCALE_MAX ? (int)n : -1;
}

/* "logicalType" of a node that this object itself defines. */
static void read_logical(const json_t *j, struct schema *s)
{
	const char *logical = json_string_value(json_object_get(j, "logicalType"));

	if (logical == NULL)
		return;
	if (strcmp(logical, "decimal") == 0) {
		s->precision = number_of(j, "precision");
		s->scale = number_of(j, "scale");
		if ((s->type != SCHEMA_BYTES && s->type != SCHEMA_FIXED) || s->precision < 1 ||
		    s->scale < 0 || s->scale > s->precision) {
			s->precision = s->scale = 0;
			return;
		}
	}
	s->logical = xstrdup(logical);
}

static int parse_object(struct parsing *p, const json_t *j, const char *space,
			struct schema **ret_schema, struct err *e)
{
	const json_t *type = json_object_get(j, "type");
	const char *name = json_string_value(type);
	struct schema *s = NULL;
	int rc;

	if (type == NULL)
		return err_data(e, "a schema object without \"type\"");
	if (name == NULL)
		return parse(p, type, space, ret_schema, e);
	if (strcmp(name, "record") == 0 || strcmp(name, "error") == 0)
		rc = parse_named(p, j, space, SCHEMA_RECORD, &s, e);
	else if (strcmp(name, "enum") == 0)
		rc = parse_named(p, j, space, SCHEMA_ENUM, &s, e);
	else if (strcmp(name, "fixed") == 0)
		rc = parse_named(p, j, space, SCHEMA_FIXED, &s, e);
	else if (strcmp(name, "array") == 0)
		rc = parse_container(p, j, space, SCHEMA_ARRAY, &s, e);
	else if (strcmp(name, "map") == 0)
		rc = parse_container(p, j, space, SCHEMA_MAP, &s, e);
	else
		rc = parse_reference(p, name, space, &s, e);
	if (rc < 0)
		return -1;
	if (s->references == 1) /* its own node, not another place's */
		read_logical(j, s);
	*ret_schema = s;
	return 0;
}

static int parse(struct parsing *p, const json_t *j, const char *space, struct schema **ret_schema,
		 struct err *e)
{
	int rc;

	if (p->depth >= SCHEMA_DEPTH_MAX)
		return err_data(e, "nested deeper than %d", SCHEMA_DEPTH_MAX);
	p->depth++;
	if (json_is_string(j))
		rc = parse_reference(p, json_string_value(j), space, ret_schema, e);
	else if (json_is_array(j))
		rc = parse_union(p, j, space, ret_schema, e);
	else if (json_is_object(j))
		rc = parse_object(p, j, space, ret_schema, e);
	else
		rc = err_data(e, "a schema is a name, an object or a list of types");
	p->depth--;
	return rc;
}

int schema_parse(struct slice text, struct schema **ret_schema, struct err *e)
{
	struct parsing p = { 0 };
	json_error_t at;
	json_t *j;
	int rc;

	if (text.size > SCHEMA_TEXT_MAX)
		return err_data(e, "schema: %zu bytes; %d at most", text.size, SCHEMA_TEXT_MAX);
	j = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
		       &at);
	if (j == NULL)
		return err_data(e, "schema: line %d: not JSON: %s", at.line, at.text);
	rc = parse(&p, j, NULL, ret_schema, e);
	if (rc < 0)
		err_wrap(e, "schema");
	free(p.named);
	json_decref(j);
	return rc;
}
