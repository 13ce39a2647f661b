/* dynamo_tables.c - reads tables.json. */
#include "core/dynamo/dynamo_tables.h"

#include "core/base/mem.h"
#include "core/base/settings.h"
#include "core/dynamo/dynamo_json.h"

#include <stdlib.h>

int dynamo_json_read(const char *file, const char *text, json_t **ret_root, struct err *e)
{
	json_error_t where;

	*ret_root = json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
	if (*ret_root != NULL)
		return 0;
	err_config(e, "%s:%d: %s", file, where.line > 0 ? where.line : 1, where.text);
	return err_hint(e, "The file is JSON.");
}

static bool plain_name(const char *name)
{
	return name[0] != '\0' && strlen(name) <= DYNAMO_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
		       strlen(name);
}

static int check_keys(const char *file, const char *name, const json_t *object, struct err *e)
{
	static const char *const known[] = { "key", "attributes", "indexes" };
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const char *near = settings_nearest(key, known, 3);

		if (strcmp(key, "key") == 0 || strcmp(key, "attributes") == 0 ||
		    strcmp(key, "indexes") == 0)
			continue;
		err_config(e, "%s: table %s: '%.60s' is not known", file, name, key);
		return near != NULL ? err_hint(e, "Did you mean '%s'?", near)
				    : err_hint(e, "A table has key, attributes and indexes.");
	}
	return 0;
}

static int read_attributes(const char *file, struct dynamo_table *t, const json_t *object,
			   struct err *e)
{
	size_t count = json_object_size(object);
	const char *name;
	json_t *value;

	if (!json_is_object(object) || count == 0 || count > DYNAMO_ATTRIBUTES_MAX) {
		err_config(e, "%s: table %s: no attributes, or more than %d", file, t->name,
			   DYNAMO_ATTRIBUTES_MAX);
		return err_hint(e, "Write \"attributes\": { \"NAME\": \"string\", ... }");
	}
	t->attributes = xcalloc(count, sizeof(*t->attributes));
	t->types = xcalloc(count, sizeof(*t->types));
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		const char *type = json_string_value(value);
		int found = -1;

		for (int i = DYNAMO_STRING; i <= DYNAMO_BINARY && type != NULL; i++)
			if (strcmp(type, dynamo_type_name((enum dynamo_type)i)) == 0)
				found = i;
		if (found < 0 || name[0] == '\0' || strlen(name) > DYNAMO_NAME_MAX) {
			err_config(e, "%s: table %s: attribute %.100s: %s", file, t->name, name,
				   found < 0 ? "its type is not known" : "its name is too long");
			return err_hint(e, "A type is \"string\", \"number\" or \"binary\".");
		}
		t->types[t->attribute_count] = (enum dynamo_type)found;
		t->attributes[t->attribute_count++] = xstrdup(name);
	}
	return 0;
}

/* `what`: "its key", "index NAME". */
static int read_key(const char *file, const struct dynamo_table *t, const char *what,
		    const json_t *list, struct dynamo_key *key, struct err *e)
{
	key->count = json_array_size(list);
	if (key->count < 1 || key->count > DYNAMO_KEY_MAX) {
		err_config(e, "%s: table %s: %s: it takes one or two attributes", file, t->name,
			   what);
		return err_hint(e, "Write [\"PARTITION KEY\"] or [\"PARTITION KEY\", \"SORT "
				   "KEY\"].");
	}
	for (size_t i = 0; i < key->count; i++) {
		const char *name = json_string_value(json_array_get(list, i));
		int at = name != NULL ? dynamo_attribute_find(t, name) : -1;

		if (at < 0)
			return err_config(e, "%s: table %s: %s: %.100s is none of its attributes",
					  file, t->name, what, name != NULL ? name : "(no text)");
		key->attributes[i] = (size_t)at;
	}
	if (key->count == 2 && key->attributes[0] == key->attributes[1])
		return err_config(e, "%s: table %s: %s: the same attribute twice", file, t->name,
				  what);
	return 0;
}

static int read_indexes(const char *file, struct dynamo_table *t, const json_t *object,
			struct err *e)
{
	const char *name;
	json_t *list;

	if (object == NULL)
		return 0;
	if (!json_is_object(object) || json_object_size(object) > DYNAMO_INDEXES_MAX)
		return err_config(e, "%s: table %s: indexes: not an object, or more than %d", file,
				  t->name, DYNAMO_INDEXES_MAX);
	t->indexes = xcalloc(json_object_size(object) + 1, sizeof(*t->indexes));
	json_object_foreach((json_t *)(uintptr_t)object, name, list)
	{
		struct dynamo_index *index = &t->indexes[t->index_count];
		char *what;
		int rc;

		if (!plain_name(name) || strlen(name) < 3)
			return err_config(e, "%s: table %s: '%.100s' is not a name for an index",
					  file, t->name, name);
		index->name = xstrdup(name);
		t->index_count++;
		what = xasprintf("index %s", name);
		rc = read_key(file, t, what, list, &index->key, e);
		free(what);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int read_table(const char *file, const char *name, const json_t *object,
		      struct dynamo_table *t, struct err *e)
{
	t->name = xstrdup(name);
	if (!plain_name(name) || strcmp(name, "millrace") == 0) {
		err_config(e, "%s: '%.100s' is not a name for a table", file, name);
		return err_hint(e, "Letters, digits, - and _, at most %d; 'millrace' is taken.",
				DYNAMO_NAME_MAX);
	}
	if (!json_is_object(object))
		return err_config(e, "%s: table %s: not an object", file, name);
	if (check_keys(file, name, object, e) < 0 ||
	    read_attributes(file, t, json_object_get(object, "attributes"), e) < 0 ||
	    read_key(file, t, "its key", json_object_get(object, "key"), &t->key, e) < 0)
		return -1;
	return read_indexes(file, t, json_object_get(object, "indexes"), e);
}

int dynamo_tables_read(const char *file, const char *text, struct dynamo_tables **ret_tables,
		       struct err *e)
{
	struct dynamo_tables *t;
	const char *name;
	json_t *root, *value;
	int rc = 0;

	if (dynamo_json_read(file, text, &root, e) < 0)
		return -1;
	t = xcalloc(1, sizeof(*t));
	if (!json_is_object(root) || json_object_size(root) == 0 ||
	    json_object_size(root) > DYNAMO_TABLES_MAX) {
		rc = err_config(e, "%s: no table, or more than %d", file, DYNAMO_TABLES_MAX);
		err_hint(e, "Write { \"NAME\": { \"key\": [...], \"attributes\": {...} } }");
	} else {
		t->items = xcalloc(json_object_size(root), sizeof(*t->items));
		json_object_foreach(root, name, value)
		{
			if (rc == 0)
				rc = read_table(file, name, value, &t->items[t->count++], e);
		}
	}
	json_decref(root);
	if (rc < 0)
		dynamo_tables_free(t);
	else
		*ret_tables = t;
	return rc;
}

void dynamo_tables_free(struct dynamo_tables *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->count; i++) {
		struct dynamo_table *one = &t->items[i];

		for (size_t k = 0; k < one->attribute_count; k++)
			free(one->attributes[k]);
		for (size_t k = 0; k < one->index_count; k++)
			free(one->indexes[k].name);
		free(one->attributes);
		free(one->types);
		free(one->indexes);
		free(one->name);
	}
	free(t->items);
	free(t);
}

const struct dynamo_table *dynamo_table_find(const struct dynamo_tables *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++) {
		if (strcmp(t->items[i].name, name) == 0)
			return &t->items[i];
	}
	return NULL;
}

int dynamo_attribute_find(const struct dynamo_table *t, const char *name)
{
	for (size_t i = 0; i < t->attribute_count; i++) {
		if (strcmp(t->attributes[i], name) == 0)
			return (int)i;
	}
	return -1;
}

bool dynamo_key_has(const struct dynamo_table *t, size_t attribute)
{
	for (size_t i = 0; i < t->key.count; i++) {
		if (t->key.attributes[i] == attribute)
			return true;
	}
	return false;
}
