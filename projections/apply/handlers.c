/* handlers.c - compiles handlers against the schemas of records, and applies records.
 *
 *   (topic, schema id) -> plan -> [insert | update | delete] or one event action -> statements ->
 * bind list
 *
 * A bind list is an array of pointers into the plan's array of leaf values: decode_run fills the
 * values in place, so binding a parameter is following a pointer. Row topics are recognised by the
 * envelope's fields (op, source.db, source.table); which table it is stands in the record, and is
 * constant for a schema.
 *
 * A table that was emptied at once is a record `t` with the same seq in every partition of its
 * topic: the first one runs the handler, the others are passed over. A view that deletes rows but
 * has no handler for `t` would keep rows that are gone, and stops instead. One that keeps what was
 * deleted keeps it here too.
 *
 * An update whose image lacks a column that the handler reads is refused: absent is not NULL, and
 * writing NULL would be a guess. */
#include "projections/apply/handlers.h"

#include "core/avro/decode.h"
#include "core/base/mem.h"
#include "core/base/settings.h"

#include <stdio.h>
#include <stdlib.h>

enum row_action { ROW_INSERT, ROW_UPDATE, ROW_DELETE, ROW_TRUNCATE };
#define ROW_ACTIONS 4

struct statement {
	struct target_statement *handle;
	const struct value **bind; /* one per parameter, into values of the plan */
	int count;
};

struct action {
	const struct view_handler *handler;
	struct statement *statements;
	size_t count;
};

struct plan {
	size_t topic;
	int32_t schema_id;
	struct decode_plan *decode;
	struct value *values;  /* one per leaf */
	int op, absent, exact; /* leaves of a row envelope, or -1 */
	struct action event;
	struct action row[ROW_ACTIONS]; /* by op */
	int64_t truncated_seq;          /* of the last record `t` that was run */
	int seq;                        /* leaf */
	bool is_row, handled;
};

struct handlers {
	struct handlers_options options;
	struct plan **plans;
	size_t plan_count;
	struct plan *last; /* records come in runs of one schema */
	struct buf scratch;
	char **ignored;
	size_t ignored_count;
	struct handlers_counts counts;
};

/* ---- which leaf a parameter means ------------------------------------------------------------ */

/* The image that plain parameters mean; NULL: a handler without one. */
static const char *image_of(enum view_on on)
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

/* One parameter against one leaf path; '.' of nested records is '_' in a parameter. */
static bool path_is(const char *path, const char *prefix, const char *name)
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
		if (path_is(decode_leaf_path(d, i), prefix, name))
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
	const char *image = image_of(on);
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

static int line_of_parameter(const char *text, const char *name)
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
	const char *image = image_of(h->on), *near;

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
		   line_of_parameter(h->file->text, name), name,
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

static void action_done(struct action *a, struct target *target)
{
	for (size_t i = 0; i < a->count; i++) {
		target->ops->finalize(a->statements[i].handle);
		free(a->statements[i].bind);
	}
	free(a->statements);
	*a = (struct action){ 0 };
}

/* Prepares every statement of a handler file; bind lists are made, but empty. */
static int action_prepare(const struct view *view, struct target *target,
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
	if (action_prepare(view, target, h, a, e) < 0)
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

static const struct view_handler *find_handler(const struct view *view, enum view_on on,
					       const char *name)
{
	for (size_t i = 0; i < view->handler_count; i++) {
		const struct view_handler *h = &view->handlers[i];

		if (h->on == on && strcmp(h->name, name) == 0)
			return h;
	}
	return NULL;
}

/* An event's handler: by full name first, then by the name without namespace. */
static const struct view_handler *find_event(const struct view *view, const char *full)
{
	const struct view_handler *h = find_handler(view, VIEW_ON_EVENT, full);
	const char *dot = strrchr(full, '.');

	return h != NULL || dot == NULL ? h : find_handler(view, VIEW_ON_EVENT, dot + 1);
}

static void plan_free(struct plan *plan, struct target *target)
{
	if (plan == NULL)
		return;
	action_done(&plan->event, target);
	for (size_t i = 0; i < ROW_ACTIONS; i++)
		action_done(&plan->row[i], target);
	decode_plan_free(plan->decode);
	free(plan->values);
	free(plan);
}

static int plan_new(const struct schema *schema, struct plan **ret_plan, struct err *e)
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
	plan->is_row = plan->op >= 0 && decode_leaf_find(plan->decode, "source.db") >= 0 &&
		       decode_leaf_find(plan->decode, "source.table") >= 0;
	*ret_plan = plan;
	return 0;
}

static int compile_event(const struct view *view, struct target *target, const char *name,
			 struct plan *plan, struct err *e)
{
	const struct view_handler *h = find_event(view, name);

	plan->handled = h != NULL;
	return h != NULL ? action_compile(view, target, h, plan, &plan->event, e) : 0;
}

static int compile_row(const struct view *view, struct target *target, const char *table,
		       struct plan *plan, struct err *e)
{
	static const enum view_on ons[ROW_ACTIONS] = { [ROW_INSERT] = VIEW_ON_INSERT,
						       [ROW_UPDATE] = VIEW_ON_UPDATE,
						       [ROW_DELETE] = VIEW_ON_DELETE,
						       [ROW_TRUNCATE] = VIEW_ON_TRUNCATE };

	for (size_t i = 0; i < ROW_ACTIONS; i++) {
		const struct view_handler *h = find_handler(view, ons[i], table);

		if (h != NULL && action_compile(view, target, h, plan, &plan->row[i], e) < 0)
			return -1;
		plan->handled = plan->handled || h != NULL;
	}
	return 0;
}

/* "db.table" of the row that was just decoded. */
static char *row_table(const struct plan *plan)
{
	const struct value *db = &plan->values[decode_leaf_find(plan->decode, "source.db")];
	const struct value *table = &plan->values[decode_leaf_find(plan->decode, "source.table")];

	return xasprintf("%.*s.%.*s", (int)db->bytes.size, (const char *)db->bytes.data,
			 (int)table->bytes.size, (const char *)table->bytes.data);
}

static void note_ignored(struct handlers *h, const char *name)
{
	for (size_t i = 0; i < h->ignored_count; i++) {
		if (strcmp(h->ignored[i], name) == 0)
			return;
	}
	h->ignored = xrealloc(h->ignored, (h->ignored_count + 1) * sizeof(*h->ignored));
	h->ignored[h->ignored_count++] = xstrdup(name);
}

static int compile(struct handlers *h, const struct handlers_record *record, struct plan **ret_plan,
		   struct err *e)
{
	const struct handlers_options *o = &h->options;
	struct schema *schema = NULL;
	struct plan *plan = NULL;
	const char *text;
	char *name = NULL;
	int rc = -1;

	if (o->schema(o->context, record->schema_id, &text, e) < 0 ||
	    schema_parse(slice_str(text), &schema, e) < 0 || plan_new(schema, &plan, e) < 0)
		goto out;
	plan->topic = record->topic;
	plan->schema_id = record->schema_id;
	if (plan->is_row) {
		if (decode_run(plan->decode, record->value, &h->scratch, plan->values, e) < 0)
			goto out;
		name = row_table(plan);
		rc = compile_row(o->view, o->target, name, plan, e);
	} else {
		name = xstrdup(schema->name != NULL ? schema->name : "(no record)");
		rc = compile_event(o->view, o->target, name, plan, e);
	}
	if (rc < 0)
		goto out;
	if (!plan->handled)
		note_ignored(h, name);
	*ret_plan = plan;
	plan = NULL;
out:
	plan_free(plan, o->target);
	schema_free(schema);
	free(name);
	return rc;
}

static int plan_for(struct handlers *h, const struct handlers_record *record,
		    struct plan **ret_plan, struct err *e)
{
	struct plan *plan = NULL;

	for (size_t i = 0; i < h->plan_count && plan == NULL; i++) {
		if (h->plans[i]->schema_id == record->schema_id &&
		    h->plans[i]->topic == record->topic)
			plan = h->plans[i];
	}
	if (plan == NULL) {
		if (compile(h, record, &plan, e) < 0)
			return -1;
		h->plans = xrealloc(h->plans, (h->plan_count + 1) * sizeof(struct plan *));
		h->plans[h->plan_count++] = plan;
	}
	*ret_plan = plan;
	return 0;
}

/* ---- applying -------------------------------------------------------------------------------- */

static int execute(const struct action *a, struct target *target, struct err *e)
{
	for (size_t i = 0; i < a->count; i++) {
		struct statement *s = &a->statements[i];

		if (target->ops->execute(s->handle, s->bind, e) < 0)
			return err_wrap(e, "%s", a->handler->file->name);
	}
	return 0;
}

/* True when `name` is one of the words of a comma-joined list. */
static bool list_holds(struct slice list, const char *name)
{
	size_t size = strlen(name);
	const char *at = (const char *)list.data, *end = at + list.size;

	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t word = (size_t)((comma != NULL ? comma : end) - at);

		if (word == size && memcmp(at, name, size) == 0)
			return true;
		at += word + 1;
	}
	return false;
}

/* A column that the image lacks must not be bound. Rare: only binlog_row_image = MINIMAL or NOBLOB
 * makes such rows. */
static int refuse_absent(const struct plan *plan, const struct action *a, struct slice absent,
			 struct err *e)
{
	for (size_t i = 0; i < a->count; i++) {
		for (int p = 0; p < a->statements[i].count; p++) {
			size_t leaf = (size_t)(a->statements[i].bind[p] - plan->values);
			const char *path = decode_leaf_path(plan->decode, leaf),
				   *dot = strchr(path, '.');

			if (strncmp(path, "after.", 6) != 0 && strncmp(path, "before.", 7) != 0)
				continue;
			if (plan->values[leaf].kind != VALUE_NULL || !list_holds(absent, dot + 1))
				continue;
			err_data(e, "%s: the row image lacks column %s", a->handler->file->name,
				 dot + 1);
			return err_hint(
				e, "Set binlog_row_image = FULL in the sessions that write to %s.",
				a->handler->name);
		}
	}
	return 0;
}

static int refuse_truncate(const struct handlers *h, const struct plan *plan, struct err *e)
{
	const char *table = plan->row[ROW_DELETE].handler->name;

	err_data(e,
		 "table %s was emptied at once (TRUNCATE or DROP), and the view has no handler "
		 "for that: it would keep rows that are gone",
		 table);
	return err_hint(e,
			"Add on/%s.truncate.sql, for instance DELETE FROM ...; then run `millrace "
			"replay %s`.",
			table, h->options.view->name);
}

static int apply_truncate(struct handlers *h, struct plan *plan, struct err *e)
{
	const struct action *a = &plan->row[ROW_TRUNCATE];
	int64_t seq = plan->seq >= 0 ? plan->values[plan->seq].i : 0;

	if (seq != 0 && seq == plan->truncated_seq)
		return 0;
	if (a->handler == NULL && plan->row[ROW_DELETE].handler != NULL)
		return refuse_truncate(h, plan, e);
	plan->truncated_seq = seq;
	if (a->handler == NULL) {
		h->counts.ignored++;
		return 0;
	}
	h->counts.applied++;
	return execute(a, h->options.target, e);
}

static int apply_row(struct handlers *h, struct plan *plan, struct err *e)
{
	const struct value *op = &plan->values[plan->op];
	const struct action *a;

	if (op->kind != VALUE_TEXT || op->bytes.size != 1)
		return err_data(e, "row record without an operation");
	switch (op->bytes.data[0]) {
	case 'c':
	case 'r':
		a = &plan->row[ROW_INSERT];
		break;
	case 'u':
		a = &plan->row[ROW_UPDATE];
		break;
	case 'd':
		a = &plan->row[ROW_DELETE];
		break;
	case 't':
		return apply_truncate(h, plan, e);
	default:
		return err_data(e, "row record with operation '%c', which a view can't apply",
				op->bytes.data[0]);
	}
	if (a->handler == NULL) {
		h->counts.ignored++;
		return 0;
	}
	if (plan->exact >= 0 && plan->values[plan->exact].kind == VALUE_TEXT)
		h->counts.inexact++;
	if (plan->absent >= 0 && plan->values[plan->absent].kind == VALUE_TEXT &&
	    refuse_absent(plan, a, plan->values[plan->absent].bytes, e) < 0)
		return -1;
	h->counts.applied++;
	return execute(a, h->options.target, e);
}

int handlers_apply(struct handlers *h, const struct handlers_record *record, struct err *e)
{
	struct plan *plan = h->last;

	if (record->value.data == NULL)
		return 0;
	if (plan == NULL || plan->schema_id != record->schema_id || plan->topic != record->topic) {
		if (plan_for(h, record, &plan, e) < 0)
			return -1;
		h->last = plan;
	}
	if (!plan->handled) {
		h->counts.ignored++;
		return 0;
	}
	if (decode_run(plan->decode, record->value, &h->scratch, plan->values, e) < 0)
		return -1;
	if (plan->is_row)
		return apply_row(h, plan, e);
	h->counts.applied++;
	return execute(&plan->event, h->options.target, e);
}

struct handlers *handlers_new(const struct handlers_options *options)
{
	struct handlers *h = xcalloc(1, sizeof(*h));

	h->options = *options;
	return h;
}

void handlers_free(struct handlers *h)
{
	if (h == NULL)
		return;
	for (size_t i = 0; i < h->plan_count; i++)
		plan_free(h->plans[i], h->options.target);
	free(h->plans);
	view_names_free(h->ignored, h->ignored_count);
	buf_done(&h->scratch);
	free(h);
}

void handlers_count(const struct handlers *h, struct handlers_counts *ret_counts)
{
	*ret_counts = h->counts;
}

const char *const *handlers_ignored(const struct handlers *h, size_t *ret_count)
{
	*ret_count = h->ignored_count;
	return (const char *const *)h->ignored;
}

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
			return compile_row(view, target, h->name, plan, e);
	}
	return 0;
}

int handlers_check_schema(const struct view *view, struct target *target,
			  const struct schema *schema, struct err *e)
{
	struct plan *plan;
	int rc;

	if (plan_new(schema, &plan, e) < 0)
		return -1;
	rc = (plan->is_row ? check_row_schema : compile_event)(
		view, target, schema->name != NULL ? schema->name : "", plan, e);
	plan_free(plan, target);
	return rc;
}

/* ---- values by name -------------------------------------------------------------------------- */

static const struct value *field_for(enum view_on on, const char *name,
				     const struct handlers_field *fields, size_t count)
{
	const char *image = image_of(on) != NULL ? image_of(on) : "no image.";
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
			if (path_is(fields[i].name, prefixes[k], names[k]))
				return &fields[i].value;
		}
	}
	return NULL;
}

int handlers_run_fields(const struct view *view, struct target *target, enum view_on on,
			const char *name, const struct handlers_field *fields, size_t count,
			bool *ret_found, struct err *e)
{
	const struct view_handler *handler = on == VIEW_ON_EVENT ? find_event(view, name)
								 : find_handler(view, on, name);
	struct action a = { 0 };
	int rc = -1;

	*ret_found = handler != NULL;
	if (handler == NULL)
		return 0;
	if (action_prepare(view, target, handler, &a, e) < 0)
		goto out;
	for (size_t i = 0; i < a.count; i++) {
		struct statement *s = &a.statements[i];

		for (int p = 1; p <= s->count; p++) {
			const char *parameter = target->ops->parameter_name(s->handle, p);

			s->bind[p - 1] = parameter != NULL ? field_for(on, parameter, fields, count)
							   : NULL;
			if (s->bind[p - 1] == NULL) {
				err_data(e, "%s:%d: no value for :%s", handler->file->name,
					 line_of_parameter(handler->file->text,
							   parameter != NULL ? parameter : "?"),
					 parameter != NULL ? parameter : "?");
				goto out;
			}
		}
	}
	rc = execute(&a, target, e);
out:
	action_done(&a, target);
	return rc;
}
