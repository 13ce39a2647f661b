/* handlers_plan.c - joins a view's statements with the schema that records were written with: which
 * leaf each parameter means.
 *
 * A bind list is an array of pointers into the plan's array of leaf values: decode_run fills the
 * values in place, so binding a parameter is following a pointer. A parameter that the schema
 * doesn't have is ERR_CONFIG with file and line, and the nearest name. */
#include "projections/apply/handlers_priv.h"

#include "core/base/mem.h"
#include "core/base/settings.h"

#include <stdlib.h>

/* ---- which leaf a parameter means ------------------------------------------------------------ */

const char *handlers_image(enum view_on on)
{
	switch (on) {
	case VIEW_ON_EVENT:
		return "";
	case VIEW_ON_INSERT:
	case VIEW_ON_UPDATE:
		return "after.";
	case VIEW_ON_DELETE:
		return "before.";
	case VIEW_ON_TRUNCATE:
		return NULL;
	}
	return NULL;
}

bool handlers_path_is(const char *path, const char *prefix, const char *name)
{
	size_t size = strlen(prefix);

	if (strncmp(path, prefix, size) != 0)
		return false;
	for (path += size; *path != '\0' && *name != '\0'; path++, name++) {
		if (*path != *name && !(*path == '.' && *name == '_'))
			return false;
	}
	return *path == '\0' && *name == '\0';
}

static int find_leaf(const struct decode_plan *d, const char *prefix, const char *name)
{
	for (size_t i = 0; i < decode_leaf_count(d); i++) {
		if (handlers_path_is(decode_leaf_path(d, i), prefix, name))
			return (int)i;
	}
	return -1;
}

static int parameter_leaf(const struct decode_plan *d, enum view_on on, const char *name)
{
	static const struct {
		const char *name, *event, *row;
	} always[] = {
		{ "seq", "meta.seq", "source.seq" },
		{ "gtid", "meta.gtid", "source.gtid" },
		{ "at", "meta.at", "source.ts_us" },
	};
	const char *image = handlers_image(on);
	const char *plain = strncmp(name, "value_", 6) == 0 ? name + 6 : name;
	int leaf = -1;

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
		if (strcmp(name, always[i].name) == 0)
			return decode_leaf_find(d, on == VIEW_ON_EVENT ? always[i].event
								       : always[i].row);
	}
	if (image == NULL)
		return -1;
	leaf = find_leaf(d, image, name);
	if (leaf < 0 && plain != name)
		leaf = find_leaf(d, image, plain);
	if (leaf < 0 && on != VIEW_ON_EVENT && strncmp(name, "before_", 7) == 0)
		leaf = find_leaf(d, "before.", name + 7);
	return leaf;
}

int handlers_line_of(const char *text, const char *name)
{
	size_t size = strlen(name);
	int line = 1;

	for (const char *p = text; *p != '\0'; p++) {
		line += *p == '\n';
		if (*p == ':' && strncmp(p + 1, name, size) == 0 &&
		    strspn(p + 1 + size,
			   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == 0)
			return line;
	}
	return 1;
}

static int unknown_parameter(const struct view *view, const struct view_handler *h,
			     const struct decode_plan *d, const char *name, struct err *e)
{
	size_t leaves = decode_leaf_count(d), count = 0;
	const char **known = xcalloc(leaves + 3, sizeof(*known));
	const char *image = handlers_image(h->on), *near;

	for (size_t i = 0; image != NULL && i < leaves; i++) {
		const char *path = decode_leaf_path(d, i);

		if (strncmp(path, image, strlen(image)) == 0 && strncmp(path, "meta.", 5) != 0)
			known[count++] = path + strlen(image);
	}
	known[count++] = "seq";
	known[count++] = "gtid";
	known[count++] = "at";
	near = settings_nearest(name, known, count);
	err_config(e, "%s/%s:%d: :%s is not a %s of %s", view->place, h->file->name,
		   handlers_line_of(h->file->text, name), name,
		   h->on == VIEW_ON_EVENT ? "field" : "column", h->name);
	if (image == NULL)
		err_hint(e, "A table that was emptied gives no row: only :seq, :gtid and :at are "
			    "known.");
	else if (near != NULL)
		err_hint(e, "Did you mean :%s?", near);
	free(known);
	return -1;
}

/* ---- compiling ------------------------------------------------------------------------------- */

void handlers_action_done(struct action *a, struct target *target)
{
	for (size_t i = 0; i < a->count; i++) {
		target->ops->finalize(a->statements[i].handle);
		free(a->statements[i].bind);
	}
	free(a->statements);
	*a = (struct action){ 0 };
}

int handlers_action_prepare(const struct view *view, struct target *target,
			    const struct view_handler *h, struct action *a, struct err *e)
{
	const char *at = h->file->text;

	a->handler = h;
	for (;;) {
		struct target_statement *handle = NULL;
		struct statement *s;

		if (target->ops->prepare(target, h->file->name, h->file->text, at, &at, &handle,
					 e) < 0)
			return err_wrap(e, "view %s", view->name);
		if (handle == NULL)
			return 0;
		a->statements = xrealloc(a->statements, (a->count + 1) * sizeof(*a->statements));
		s = &a->statements[a->count++];
		s->handle = handle;
		s->count = target->ops->parameter_count(handle);
		s->bind = xcalloc((size_t)s->count + 1, sizeof(*s->bind));
	}
}

static int action_compile(const struct view *view, struct target *target,
			  const struct view_handler *h, const struct plan *plan, struct action *a,
			  struct err *e)
{
	if (handlers_action_prepare(view, target, h, a, e) < 0)
		return -1;
	for (size_t i = 0; i < a->count; i++) {
		struct statement *s = &a->statements[i];

		for (int p = 1; p <= s->count; p++) {
			const char *name = target->ops->parameter_name(s->handle, p);
			int leaf = name != NULL ? parameter_leaf(plan->decode, h->on, name) : -1;

			if (leaf < 0)
				return unknown_parameter(view, h, plan->decode,
							 name != NULL ? name : "?", e);
			s->bind[p - 1] = &plan->values[leaf];
		}
	}
	return 0;
}

const struct view_handler *handlers_find(const struct view *view, enum view_on on, const char *name)
{
	for (size_t i = 0; i < view->handler_count; i++) {
		const struct view_handler *h = &view->handlers[i];

		if (h->on == on && strcmp(h->name, name) == 0)
			return h;
	}
	return NULL;
}

const struct view_handler *handlers_find_event(const struct view *view, const char *full)
{
	const struct view_handler *h = handlers_find(view, VIEW_ON_EVENT, full);
	const char *dot = strrchr(full, '.');

	return h != NULL || dot == NULL ? h : handlers_find(view, VIEW_ON_EVENT, dot + 1);
}

void handlers_plan_free(struct plan *plan, struct target *target)
{
	if (plan == NULL)
		return;
	handlers_action_done(&plan->event, target);
	for (size_t i = 0; i < ROW_ACTIONS; i++)
		handlers_action_done(&plan->row[i], target);
	decode_plan_free(plan->decode);
	free(plan->values);
	free(plan);
}

int handlers_plan_new(const struct schema *schema, struct plan **ret_plan, struct err *e)
{
	struct plan *plan = xcalloc(1, sizeof(*plan));

	if (decode_plan_new(schema, &plan->decode, e) < 0) {
		free(plan);
		return -1;
	}
	plan->values = xcalloc(decode_leaf_count(plan->decode) + 1, sizeof(*plan->values));
	plan->op = decode_leaf_find(plan->decode, "op");
	plan->seq = decode_leaf_find(plan->decode, "source.seq");
	plan->absent = decode_leaf_find(plan->decode, "absent");
	plan->exact = decode_leaf_find(plan->decode, "exact");
	plan->parked = decode_leaf_find(plan->decode, "parked");
	plan->is_row = plan->op >= 0 && decode_leaf_find(plan->decode, "source.db") >= 0 &&
		       decode_leaf_find(plan->decode, "source.table") >= 0;
	*ret_plan = plan;
	return 0;
}

int handlers_compile_event(const struct view *view, struct target *target, const char *name,
			   struct plan *plan, struct err *e)
{
	const struct view_handler *h = handlers_find_event(view, name);

	plan->handled = h != NULL;
	return h != NULL ? action_compile(view, target, h, plan, &plan->event, e) : 0;
}

int handlers_compile_row(const struct view *view, struct target *target, const char *table,
			 struct plan *plan, struct err *e)
{
	static const enum view_on ons[ROW_ACTIONS] = { [ROW_INSERT] = VIEW_ON_INSERT,
						       [ROW_UPDATE] = VIEW_ON_UPDATE,
						       [ROW_DELETE] = VIEW_ON_DELETE,
						       [ROW_TRUNCATE] = VIEW_ON_TRUNCATE };

	for (size_t i = 0; i < ROW_ACTIONS; i++) {
		const struct view_handler *h = handlers_find(view, ons[i], table);

		if (h != NULL && action_compile(view, target, h, plan, &plan->row[i], e) < 0)
			return -1;
		plan->handled = plan->handled || h != NULL;
	}
	return 0;
}

/* ---- before any record ----------------------------------------------------------------------- */

/* Does the envelope `full` ("NAME.DB.TABLE.Envelope", each part escaped) belong to `table`
 * ("db.table", as in a handler's name)? A database's name may hold a '.': each is tried. */
static bool envelope_is_of(const char *full, const char *table)
{
	bool found = false;

	for (const char *dot = strchr(table, '.'); dot != NULL && !found;
	     dot = strchr(dot + 1, '.')) {
		char *db = xstrndup(table, (size_t)(dot - table));
		struct buf end = BUF_INIT;
		size_t size = strlen(full);

		buf_add_u8(&end, '.');
		schema_escape_name(db, &end);
		buf_add_u8(&end, '.');
		schema_escape_name(dot + 1, &end);
		buf_add_str(&end, ".Envelope");
		found = size > end.size && memcmp(full + size - end.size, end.data, end.size) == 0;
		buf_done(&end);
		free(db);
	}
	return found;
}

static int check_row_schema(const struct view *view, struct target *target, const char *name,
			    struct plan *plan, struct err *e)
{
	for (size_t i = 0; i < view->handler_count; i++) {
		const struct view_handler *h = &view->handlers[i];

		if (h->on != VIEW_ON_EVENT && envelope_is_of(name, h->name))
			return handlers_compile_row(view, target, h->name, plan, e);
	}
	return 0;
}

int handlers_check_schema(const struct view *view, struct target *target,
			  const struct schema *schema, struct err *e)
{
	struct plan *plan;
	int rc;

	if (handlers_plan_new(schema, &plan, e) < 0)
		return -1;
	rc = (plan->is_row ? check_row_schema : handlers_compile_event)(
		view, target, schema->name != NULL ? schema->name : "", plan, e);
	handlers_plan_free(plan, target);
	return rc;
}
