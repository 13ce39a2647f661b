/* event_schema.c - reads the .avsc file of a published event and makes the text that is registered
 * for it.
 *
 * It checks everything that can be known without the table: JSON, legal Avro (schema.c), the
 * `millrace` binding, key fields. All mistakes of a file are collected before it fails, so that a
 * person mends them in one go. What needs the table (columns, types) is checked by the publisher
 * when the shape is known. */
#include "core/avro/event_schema.h"

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/base/settings.h"

#include <jansson.h>
#include <stdlib.h>

static const char *const when_names[] = { "enters", "leaves", "changes", "always" };
static const char *const binding_keys[] = { "owner", "topic", "key", "from", "when", "where" };

struct reading {
	struct event_schema *event;
	json_t *root, *binding;
	struct buf mistakes;
};

const char *event_when_name(enum event_when when)
{
	return when_names[when];
}

static void mistake(struct reading *r, const char *what, const char *which, const char *hint)
{
	buf_add_format(&r->mistakes, "%s%s: %s%s%s", r->mistakes.size != 0 ? "\n" : "",
		       r->event->file, what, which != NULL ? " " : "", which != NULL ? which : "");
	if (hint != NULL)
		buf_add_format(&r->mistakes, "\n  HINT: %s", hint);
}

/* A text member of the binding; empty and missing count the same. Returns a copy, or NULL. */
static char *binding_text(struct reading *r, const char *key, bool required, const char *hint)
{
	const json_t *v = json_object_get(r->binding, key);

	if (json_is_string(v) && json_string_length(v) > 0)
		return xstrdup(json_string_value(v));
	if (v != NULL && !json_is_string(v))
		mistake(r, "this member of \"millrace\" must be text:", key, hint);
	else if (required)
		mistake(r, "\"millrace\" lacks", key, hint);
	return NULL;
}

static void read_from(struct reading *r)
{
	char *from = binding_text(r, "from", true, "Write \"from\": \"<database>.<table>\".");
	const char *dot = from != NULL ? strchr(from, '.') : NULL;

	if (from != NULL && (dot == NULL || dot == from || dot[1] == '\0')) {
		mistake(r, "\"from\" is no table:", from,
			"Write \"from\": \"<database>.<table>\".");
	} else if (from != NULL) {
		r->event->db = xstrndup(from, (size_t)(dot - from));
		r->event->table = xstrdup(dot + 1);
	}
	free(from);
}

static void read_when(struct reading *r)
{
	static const char hint[] = "One of enters, leaves, changes, always.";
	char *when = binding_text(r, "when", true, hint);
	bool found = when == NULL;

	for (size_t i = 0; when != NULL && i < 4; i++) {
		if (strcmp(when, when_names[i]) == 0) {
			r->event->when = (enum event_when)i;
			found = true;
		}
	}
	if (!found)
		mistake(r, "unknown \"when\":", when, hint);
	free(when);
}

static struct event_field *find_field(struct event_schema *event, const char *name)
{
	for (size_t i = 0; i < event->field_count; i++) {
		if (strcmp(event->fields[i].name, name) == 0)
			return &event->fields[i];
	}
	return NULL;
}

static void read_key(struct reading *r)
{
	static const char hint[] =
		"Write \"key\": [\"<field>\", ...]; the key decides the partition, so the order of events.";
	const json_t *key = json_object_get(r->binding, "key");
	size_t n = json_array_size(key);

	if (!json_is_array(key) || n == 0 || n > EVENT_FIELDS_MAX) {
		mistake(r, "\"millrace\" lacks", "key", hint);
		return;
	}
	r->event->key = xcalloc(n, sizeof(*r->event->key));
	for (size_t i = 0; i < n; i++) {
		const char *name = json_string_value(json_array_get(key, i));
		struct event_field *field = name != NULL ? find_field(r->event, name) : NULL;

		if (field == NULL) {
			mistake(r, "key names no field:", name != NULL ? name : "(not text)", hint);
			continue;
		}
		if (field->nullable)
			mistake(r, "a key field can't be null:", name,
				"Give it a type without null.");
		field->is_key = true;
		r->event->key[r->event->key_count++] = xstrdup(name);
	}
}

static void read_field(struct reading *r, size_t i, const json_t *declared)
{
	struct event_field *field = &r->event->fields[i];
	struct schema *type = r->event->schema->fields[i].schema;
	const json_t *expression = json_object_get(declared, "millrace");

	field->name = xstrdup(r->event->schema->fields[i].name);
	field->type = type;
	if (type->type == SCHEMA_UNION) {
		bool null_first = type->count == 2 && type->branches[0]->type == SCHEMA_NULL;
		bool null_second = type->count == 2 && type->branches[1]->type == SCHEMA_NULL;

		if (null_first == null_second)
			mistake(r, "a field may be a type or [\"null\", type]:", field->name, NULL);
		field->nullable = true;
		field->null_second = null_second;
		if (type->count == 2)
			field->type = type->branches[null_second ? 0 : 1];
	}
	if (expression != NULL &&
	    (!json_is_string(expression) || json_string_length(expression) == 0))
		mistake(r, "a field's \"millrace\" must be a column or an SQL expression:",
			field->name, NULL);
	field->expression =
		xstrdup(json_is_string(expression) ? json_string_value(expression) : field->name);
	if (strcmp(field->name, "meta") == 0)
		mistake(r, "the field name is taken:", "meta",
			"Millrace puts seq, gtid and time there.");
}

static void read_fields(struct reading *r)
{
	struct event_schema *event = r->event;
	const json_t *fields = json_object_get(r->root, "fields");

	if (event->schema->count > EVENT_FIELDS_MAX) {
		mistake(r, "too many fields", NULL, NULL);
		return;
	}
	event->field_count = event->schema->count;
	event->fields = xcalloc(event->field_count, sizeof(*event->fields));
	for (size_t i = 0; i < event->field_count; i++)
		read_field(r, i, json_array_get(fields, i));
}

static void read_binding(struct reading *r)
{
	const char *key;
	json_t *value;

	json_object_foreach(r->binding, key, value)
	{
		bool known = false;

		for (size_t i = 0; i < sizeof(binding_keys) / sizeof(*binding_keys); i++)
			known = known || strcmp(key, binding_keys[i]) == 0;
		if (!known) {
			const char *nearest = settings_nearest(key, binding_keys, 6);
			char *hint = nearest != NULL ? xasprintf("Did you mean \"%s\"?", nearest)
						     : NULL;

			mistake(r, "unknown member of \"millrace\":", key, hint);
			free(hint);
		}
	}
	r->event->owner =
		binding_text(r, "owner", true, "Name the team that answers for this event.");
	r->event->topic = binding_text(r, "topic", true, "Name the topic that consumers read.");
	r->event->where = binding_text(r, "where", false, NULL);
	read_from(r);
	read_when(r);
	read_key(r);
}

/* The declared text with `meta` as its first field. */
static char *registered_text(const struct reading *r)
{
	json_t *copy = json_deep_copy(r->root);
	json_t *meta = json_pack(
		"{s:s, s:{s:s, s:s, s:[{s:s,s:s},{s:s,s:s},{s:s,s:{s:s,s:s}},{s:s,s:[s,s],s:n}]}}",
		"name", "meta", "type", "type", "record", "name", "Meta", "fields", "name", "seq",
		"type", "long", "name", "gtid", "type", "string", "name", "at", "type", "type",
		"long", "logicalType", "timestamp-micros", "name", "traceparent", "type", "null",
		"string", "default");
	char *dumped, *text;

	if (copy == NULL || meta == NULL ||
	    json_array_insert_new(json_object_get(copy, "fields"), 0, meta) != 0)
		abort(); /* only out of memory or a wrong format string can do that */
	dumped = json_dumps(copy, JSON_COMPACT);
	text = xstrdup(dumped);
	free(dumped);
	json_decref(copy);
	return text;
}

static char *key_schema_text(const struct reading *r)
{
	const struct event_schema *event = r->event;
	json_t *fields = json_array();
	json_t *record;
	struct buf space = BUF_INIT;
	char *dumped, *text;

	schema_escape_name(event->topic, &space);
	for (size_t k = 0; k < event->key_count; k++) {
		for (size_t i = 0; i < event->field_count; i++) {
			const json_t *declared =
				json_array_get(json_object_get(r->root, "fields"), i);

			if (strcmp(event->fields[i].name, event->key[k]) == 0)
				json_array_append_new(fields,
						      json_pack("{s:s, s:O}", "name", event->key[k],
								"type",
								json_object_get(declared, "type")));
		}
	}
	record = json_pack("{s:s, s:s, s:s, s:o}", "type", "record", "namespace", buf_cstr(&space),
			   "name", "Key", "fields", fields);
	if (record == NULL)
		abort();
	dumped = json_dumps(record, JSON_COMPACT);
	text = xstrdup(dumped);
	free(dumped);
	json_decref(record);
	buf_done(&space);
	return text;
}

/* What is made of a legal event can be illegal: a name that is taken, a type that is defined in
 * another field than the one that repeats it. */
static int check_made(const struct event_schema *event, const char *text, const char *hint,
		      struct err *e)
{
	struct schema *made;

	if (schema_parse(slice_str(text), &made, e) < 0) {
		e->kind = ERR_CONFIG;
		err_wrap(e, "%s: what is registered for it", event->file);
		return err_hint(e, "%s", hint);
	}
	schema_free(made);
	return 0;
}

static int read_event(struct reading *r, struct slice text, struct err *e)
{
	struct event_schema *event = r->event;
	json_error_t at;

	r->root = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &at);
	if (r->root == NULL)
		return err_config(e, "%s:%d: not JSON: %s", event->file, at.line, at.text);
	if (schema_parse(text, &event->schema, e) < 0) {
		e->kind = ERR_CONFIG;
		return err_wrap(e, "%s", event->file);
	}
	if (event->schema->type != SCHEMA_RECORD)
		return err_config(e, "%s: a published event is a record", event->file);
	r->binding = json_object_get(r->root, "millrace");
	if (!json_is_object(r->binding)) {
		err_config(e, "%s: the \"millrace\" property is missing", event->file);
		return err_hint(e,
				"It binds the event to a table: "
				"{\"owner\", \"topic\", \"key\", \"from\", \"when\", \"where\"}.");
	}
	event->full_name = xstrdup(event->schema->name);
	event->name = xstrdup(strrchr(event->full_name, '.') != NULL
				      ? strrchr(event->full_name, '.') + 1
				      : event->full_name);
	read_fields(r);
	read_binding(r);
	if (r->mistakes.size != 0)
		return err_config(e, "%s", buf_cstr(&r->mistakes));
	event->registered = registered_text(r);
	event->key_text = key_schema_text(r);
	if (check_made(event, event->registered,
		       "Millrace puts a record Meta into the event's namespace: use another name.",
		       e) < 0)
		return -1;
	return check_made(event, event->key_text,
			  "A key field defines its type itself: it is repeated in the key's schema.",
			  e);
}

int event_schema_read(const char *file, struct slice text, struct event_schema **ret_event,
		      struct err *e)
{
	struct reading r = { .event = xcalloc(1, sizeof(struct event_schema)) };
	int rc;

	r.event->file = xstrdup(file);
	rc = read_event(&r, text, e);
	json_decref(r.root);
	buf_done(&r.mistakes);
	if (rc < 0) {
		event_schema_free(r.event);
		return -1;
	}
	*ret_event = r.event;
	return 0;
}

void event_schema_free(struct event_schema *event)
{
	if (event == NULL)
		return;
	for (size_t i = 0; i < event->field_count; i++) {
		free(event->fields[i].name);
		free(event->fields[i].expression);
	}
	for (size_t i = 0; i < event->key_count; i++)
		free(event->key[i]);
	free(event->fields);
	free(event->key);
	free(event->file);
	free(event->name);
	free(event->full_name);
	free(event->owner);
	free(event->topic);
	free(event->db);
	free(event->table);
	free(event->where);
	free(event->registered);
	free(event->key_text);
	schema_free(event->schema);
	free(event);
}

char *event_schema_table(struct slice registered)
{
	json_t *root = json_loadb((const char *)registered.data, registered.size, 0, NULL);
	const char *from = json_string_value(
		json_object_get(json_object_get(root, "millrace"), "from"));
	char *table = from != NULL ? xstrdup(from) : NULL;

	json_decref(root);
	return table;
}
