/* view_new_topic.c - `millrace view new NAME --topic TOPIC`: a view of the events that a file in
 * capture.events publishes to that topic.
 *
 * It has a row for each key: `enters`, `changes` and `always` put the event's fields into it,
 * `leaves` takes it away. The question to the source comes from the event that enters: its fields'
 * expressions, its table and its `where`. */
#include "cli/view_new.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <string.h>

static bool is_of(const struct new_folder *f, const struct event_schema *event)
{
	return strcmp(event->topic, f->asked->topic) == 0;
}

static bool puts_row(const struct new_folder *f, const struct event_schema *event)
{
	return is_of(f, event) && event->when != EVENT_LEAVES;
}

static void add_fields(struct new_folder *f, const struct event_schema *event)
{
	for (size_t i = 0; i < event->field_count; i++) {
		const struct event_field *field = &event->fields[i];
		struct new_column *c;

		if (view_new_find(f, field->name) != NULL)
			continue;
		c = view_new_add(f, field->name, field->type);
		if (c != NULL)
			c->key = field->is_key;
	}
}

/* Files are read without their tables: whether those are captured is seen when capture starts. */
static bool any_table(const char *db, const char *table, void *context)
{
	(void)db;
	(void)table;
	(void)context;
	return true;
}

int view_new_topic_columns(struct new_folder *f, const struct settings *settings, struct err *e)
{
	const char *dir = settings->capture_events_dir;

	if (event_files_read(dir, any_table, NULL, &f->events, e) < 0)
		return -1;
	for (size_t i = 0; i < f->events.count; i++) {
		const struct event_schema *event = f->events.events[i];

		if (is_of(f, event) && event->when == EVENT_ENTERS && f->enters == NULL)
			f->enters = event;
	}
	if (f->enters != NULL)
		add_fields(f, f->enters);
	for (size_t i = 0; i < f->events.count && f->enters == NULL; i++) {
		if (puts_row(f, f->events.events[i]))
			add_fields(f, f->events.events[i]);
	}
	if (f->count > 0)
		return 0;
	err_config(e, "no event in %s is published to topic %s", dir != NULL ? dir : "(no folder)",
		   f->asked->topic);
	return err_hint(e, "Set capture.events to the folder with the events' *.avsc files; each "
			   "names its \"topic\".");
}

/* What of the view's columns the event brings. Its columns are the folder's own. */
static struct new_folder part_of(const struct new_folder *f, const struct event_schema *event)
{
	struct new_folder part = *f;

	part.columns = xcalloc(f->count + 1, sizeof(*part.columns));
	part.count = 0;
	for (size_t i = 0; i < event->field_count; i++) {
		const struct new_column *c = view_new_find(f, event->fields[i].name);

		if (c != NULL)
			part.columns[part.count++] = *c;
	}
	return part;
}

int view_new_topic_check(const struct new_folder *f, struct err *e)
{
	for (size_t i = 0; i < f->events.count; i++) {
		const struct event_schema *event = f->events.events[i];
		struct new_folder part;

		if (!puts_row(f, event))
			continue;
		part = part_of(f, event);
		free(part.columns);
		if (part.count == f->count)
			continue;
		err_config(e,
			   "event %s lacks some of the item's attributes, and would put it "
			   "without them",
			   event->name);
		return err_hint(e, "Keep the view in another store.");
	}
	return 0;
}

int view_new_topic_handlers(const struct new_folder *f, bool json, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < f->events.count && rc == 0; i++) {
		const struct event_schema *event = f->events.events[i];
		struct buf text = BUF_INIT;
		struct new_folder part;
		char *name;

		if (!is_of(f, event))
			continue;
		part = part_of(f, event);
		if (event->when == EVENT_LEAVES)
			(json ? view_new_delete_json : view_new_delete_sql)(&part, false, &text);
		else
			(json ? view_new_put_json : view_new_put_sql)(&part, &text);
		name = xasprintf("on/%s%s", event->name, json ? ".json" : ".sql");
		rc = view_new_write(f, name, &text, e);
		free(name);
		free(part.columns);
	}
	return rc;
}

/* Is there an event of when this field changes in a row that stays? */
static bool change_is_told(const struct new_folder *f, const char *field)
{
	for (size_t i = 0; i < f->events.count; i++) {
		const struct event_schema *event = f->events.events[i];

		if (!is_of(f, event) || event->when != EVENT_CHANGES)
			continue;
		for (size_t k = 0; k < event->field_count; k++)
			if (strcmp(event->fields[k].name, field) == 0)
				return true;
	}
	return false;
}

/* What `verify` will find, because no event says it. */
static void note_untold(const struct new_folder *f, struct buf *out)
{
	bool any = false;

	for (size_t i = 0; i < f->count; i++) {
		if (f->columns[i].key || change_is_told(f, f->columns[i].name))
			continue;
		buf_add_format(out, "%s%s", any ? ", " : "-- No event says when these change: ",
			       f->columns[i].name);
		any = true;
	}
	if (any)
		buf_add_str(out,
			    ".\n-- Where the source changes one, `verify` tells; an event with "
			    "\"when\": \"changes\" would.\n");
}

bool view_new_topic_source(const struct new_folder *f, struct buf *out)
{
	const struct event_schema *event = f->enters;

	if (event == NULL)
		return false;
	note_untold(f, out);
	buf_add_format(out, "-- table: %s\nSELECT ", f->table);
	for (size_t i = 0, n = 0; i < event->field_count; i++) {
		const struct event_field *field = &event->fields[i];

		if (view_new_find(f, field->name) == NULL)
			continue;
		buf_add_format(out, "%s%s", n++ > 0 ? ", " : "", field->expression);
		if (strcmp(field->expression, field->name) != 0)
			buf_add_format(out, " AS %s", field->name);
	}
	buf_add_format(out, "\nFROM %s.%s\n", event->db, event->table);
	if (event->where != NULL)
		buf_add_format(out, "WHERE %s\n", event->where);
	return true;
}

void view_new_topic_cases(const struct new_folder *f, struct buf *out)
{
	const struct event_schema *put = NULL, *leaves = NULL;

	for (size_t i = 0; i < f->events.count; i++) {
		const struct event_schema *event = f->events.events[i];

		if (puts_row(f, event) && (put == NULL || event == f->enters))
			put = event;
		if (is_of(f, event) && event->when == EVENT_LEAVES && leaves == NULL)
			leaves = event;
	}
	buf_add_format(out, "{\"case\": \"a row comes%s\"}\n{\"event\": \"%s\", \"value\": ",
		       leaves != NULL ? " and goes" : "", put->name);
	view_new_sample(f, false, out);
	buf_add_format(out, "}\n{\"expect\": \"%s\", \"rows\": [", f->table);
	view_new_sample(f, true, out);
	buf_add_str(out, "]}\n");
	if (leaves == NULL)
		return;
	buf_add_format(out, "{\"event\": \"%s\", \"value\": ", leaves->name);
	view_new_sample(f, true, out);
	buf_add_format(out, "}\n{\"expect\": \"%s\", \"rows\": []}\n", f->table);
}
