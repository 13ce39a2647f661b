/* view_new_columns.c - which columns a table has, for `millrace view new`: of its registered
 * schema, or as --columns and --key say. */
#include "cli/view_new.h"

#include "core/avro/schema.h"
#include "core/base/mem.h"
#include "core/registry/registry.h"

#include <stdlib.h>

struct new_column *view_new_find(const struct new_folder *f, const char *name)
{
	for (size_t i = 0; i < f->count; i++) {
		if (strcmp(f->columns[i].name, name) == 0)
			return &f->columns[i];
	}
	return NULL;
}

static struct new_column *add(struct new_folder *f, const char *name, size_t size,
			      enum new_form form)
{
	f->columns = xrealloc(f->columns, (f->count + 1) * sizeof(*f->columns));
	f->columns[f->count] = (struct new_column){ .name = xstrndup(name, size), .form = form };
	return &f->columns[f->count++];
}

/* The schema of what isn't null. */
static const struct schema *value_schema(const struct schema *s)
{
	for (size_t i = 0; s->type == SCHEMA_UNION && i < s->count; i++) {
		if (s->branches[i]->type != SCHEMA_NULL)
			return s->branches[i];
	}
	return s;
}

static enum new_form form_of(const struct schema *s)
{
	if (s->logical != NULL && strcmp(s->logical, "decimal") == 0)
		return FORM_DECIMAL;
	if (s->type == SCHEMA_INT || s->type == SCHEMA_LONG || s->type == SCHEMA_BOOLEAN)
		return FORM_NUMBER;
	if (s->type == SCHEMA_FLOAT || s->type == SCHEMA_DOUBLE)
		return FORM_REAL;
	return s->type == SCHEMA_BYTES ? FORM_BYTES : FORM_TEXT;
}

struct new_column *view_new_add(struct new_folder *f, const char *name, const struct schema *schema)
{
	const struct schema *s = value_schema(schema);
	struct new_column *c;

	if (s->type == SCHEMA_RECORD)
		return NULL;
	c = add(f, name, strlen(name), form_of(s));
	c->precision = s->precision;
	c->scale = s->scale;
	return c;
}

/* The record inside a field that is one, or null. */
static const struct schema *record_in(const struct schema *root, const char *field)
{
	const struct schema *s = root;

	for (size_t i = 0; field != NULL && i < root->count; i++) {
		if (strcmp(root->fields[i].name, field) == 0)
			s = root->fields[i].schema;
	}
	for (size_t i = 0; s->type == SCHEMA_UNION && i < s->count; i++) {
		if (s->branches[i]->type == SCHEMA_RECORD)
			return s->branches[i];
	}
	return s->type == SCHEMA_RECORD && (field == NULL || s != root) ? s : NULL;
}

/* 1: read; 0: nothing is registered. */
static int read_subject(struct registry *r, const char *topic, const char *ending,
			struct schema **ret_schema, struct err *e)
{
	char *subject = xasprintf("%s-%s", topic, ending);
	struct registry_schema found;
	int rc = registry_latest(r, subject, &found, e);

	if (rc == 1)
		rc = schema_parse(slice_str(found.text), ret_schema, e) < 0 ? -1 : 1;
	free(subject);
	return rc;
}

static int read_registered(struct new_folder *f, const struct settings *settings, struct err *e)
{
	struct schema *row = NULL, *key = NULL;
	struct registry *r = NULL;
	const struct schema *after;
	int rc = registry_open(settings, false, &r, e);

	if (rc == 0)
		rc = read_subject(r, f->topic, "value", &row, e);
	after = rc == 1 ? record_in(row, "after") : NULL;
	for (size_t i = 0; after != NULL && i < after->count; i++)
		(void)view_new_add(f, after->fields[i].name, after->fields[i].schema);
	if (after != NULL && (rc = read_subject(r, f->topic, "key", &key, e)) == 1) {
		const struct schema *k = record_in(key, NULL);

		for (size_t i = 0; k != NULL && i < k->count; i++) {
			struct new_column *c = view_new_find(f, k->fields[i].name);

			if (c != NULL)
				c->key = true;
		}
	}
	schema_free(row);
	schema_free(key);
	registry_close(r);
	return rc < 0 ? -1 : 0;
}

static void read_list(const char *list, struct new_folder *f, bool key)
{
	while (list != NULL && *list != '\0') {
		size_t size = strcspn(list, ",");
		char *name = xstrndup(list, size);
		struct new_column *c = view_new_find(f, name);

		if (c == NULL)
			c = add(f, list, size, key ? FORM_NUMBER : FORM_TEXT);
		c->key |= key;
		free(name);
		list += size + (list[size] == ',');
	}
}

int view_new_columns(struct new_folder *f, const struct settings *settings, struct err *e)
{
	bool has_key = false;

	if (f->asked->columns != NULL)
		read_list(f->asked->columns, f, false);
	else if (read_registered(f, settings, e) < 0)
		return -1;
	if (f->count == 0) {
		err_config(e, "no schema is registered for %s", f->topic);
		return err_hint(e,
				"Start `millrace run` with %s in capture.tables, or name its "
				"columns: --columns A,B,C --key A.",
				f->asked->table);
	}
	if (f->asked->key != NULL) {
		for (size_t i = 0; i < f->count; i++)
			f->columns[i].key = false;
		read_list(f->asked->key, f, true);
	}
	for (size_t i = 0; i < f->count; i++)
		has_key |= f->columns[i].key;
	if (!has_key) {
		err_config(e, "table %s has no key", f->asked->table);
		return err_hint(e, "Say which columns tell its rows apart: --key A,B.");
	}
	return 0;
}
