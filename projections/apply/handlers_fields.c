/* handlers_fields.c - handlers run with values by name instead of an encoded record: what a view's
 * own test cases do. */
#include "projections/apply/handlers_priv.h"

#include <string.h>

static const struct value *field_for(enum view_on on, const char *name,
				     const struct handlers_field *fields, size_t count)
{
	const char *image = handlers_image(on) != NULL ? handlers_image(on) : "no image.";
	const char *prefixes[] = { "meta.", image, image, "before." };
	const char *names[] = { name, name, strncmp(name, "value_", 6) == 0 ? name + 6 : name,
				strncmp(name, "before_", 7) == 0 && on != VIEW_ON_EVENT ? name + 7
											: name };
	bool always = strcmp(name, "seq") == 0 || strcmp(name, "gtid") == 0 ||
		      strcmp(name, "at") == 0;
	bool before = on != VIEW_ON_EVENT && on != VIEW_ON_TRUNCATE &&
		      strncmp(name, "before_", 7) == 0;

	for (size_t k = always ? 0 : 1; k < (always ? 1u : before ? 4u : 3u); k++) {
		for (size_t i = 0; i < count; i++) {
			if (handlers_path_is(fields[i].name, prefixes[k], names[k]))
				return &fields[i].value;
		}
	}
	return NULL;
}

int handlers_run_fields(const struct view *view, struct target *target, enum view_on on,
			const char *name, const struct handlers_field *fields, size_t count,
			bool *ret_found, struct err *e)
{
	const struct view_handler *handler = on == VIEW_ON_EVENT ? handlers_find_event(view, name)
								 : handlers_find(view, on, name);
	struct action a = { 0 };
	int rc = -1;

	*ret_found = handler != NULL;
	if (handler == NULL)
		return 0;
	if (handlers_action_prepare(view, target, handler, &a, e) < 0)
		goto out;
	for (size_t i = 0; i < a.count; i++) {
		struct statement *s = &a.statements[i];

		for (int p = 1; p <= s->count; p++) {
			const char *parameter = target->ops->parameter_name(s->handle, p);

			s->bind[p - 1] = parameter != NULL ? field_for(on, parameter, fields, count)
							   : NULL;
			if (s->bind[p - 1] == NULL) {
				err_data(e, "%s:%d: no value for :%s", handler->file->name,
					 handlers_line_of(handler->file->text,
							  parameter != NULL ? parameter : "?"),
					 parameter != NULL ? parameter : "?");
				goto out;
			}
		}
	}
	rc = handlers_execute(&a, target, e);
out:
	handlers_action_done(&a, target);
	return rc;
}
