/* check_views.c - view folders as `millrace check` sees them: their own files (view_read does
 * all of it), then, where schemas are registered for the inputs, whether the handlers'
 * parameters exist in them and which event types nobody handles. Without Kafka the second half
 * is left out: check_kafka has said why. */
#include "cli/check.h"

#include "core/avro/schema.h"
#include "core/base/mem.h"
#include "core/registry/registry.h"
#include "projections/apply/handlers.h"
#include "projections/apply/query.h"
#include "projections/apply/target_dynamo.h"
#include "projections/store/store.h"
#include "projections/store/dynamo/store_dynamo.h"

#include <stdlib.h>
#include <string.h>

#define AREA "view"

struct against {
	const struct view *view;
	struct target *target;
	struct findings *f;
	size_t schemas;
	bool failed;
};

/* The view's input that the subject "<topic>-value" or "<topic>-<record>" belongs to, or NULL. */
static const char *input_of(const struct view *v, const char *subject)
{
	for (size_t i = 0; i < v->input_count; i++) {
		size_t n = strlen(v->inputs[i]);

		if (strncmp(subject, v->inputs[i], n) == 0 && subject[n] == '-' &&
		    strcmp(subject + n, "-key") != 0)
			return v->inputs[i];
	}
	return NULL;
}

static bool has_handler(const struct view *v, const char *record)
{
	const char *dot = strrchr(record, '.');

	for (size_t i = 0; i < v->handler_count; i++)
		if (v->handlers[i].on == VIEW_ON_EVENT &&
		    (strcmp(v->handlers[i].name, record) == 0 ||
		     (dot != NULL && strcmp(v->handlers[i].name, dot + 1) == 0)))
			return true;
	return false;
}

/* A published event begins with meta, a row envelope with source. */
static bool is_event(const struct schema *schema)
{
	return schema->type == SCHEMA_RECORD && schema->count > 0 &&
	       strcmp(schema->fields[0].name, "meta") == 0;
}

static void check_schema(const struct registry_schema *registered, void *context)
{
	struct against *a = context;
	struct schema *schema;
	struct err e = ERR_INIT;

	if (input_of(a->view, registered->subject) == NULL)
		return;
	a->schemas++;
	if (schema_parse(slice_str(registered->text), &schema, &e) < 0) {
		finding_err(a->f, FINDING_WARNING, AREA, &e);
		return;
	}
	if (is_event(schema) && !has_handler(a->view, schema->name)) {
		finding_add(a->f, FINDING_WARNING, AREA, NULL,
			    "%s: %s has no handler in on/: its records are ignored", a->view->name,
			    schema->name);
	} else if (handlers_check_schema(a->view, a->target, schema, &e) < 0) {
		a->failed = true;
		err_wrap(&e, "%s", a->view->name);
		finding_err(a->f, FINDING_FAIL, AREA, &e);
	}
	schema_free(schema);
}

/* Asks all schemas, on a target where the handlers can be prepared. */
static void check_schemas(const struct view *v, struct target *target, struct registry *registry,
			  struct findings *f)
{
	struct against a = { .view = v, .target = target, .f = f };

	registry_each(registry, check_schema, &a);
	if (a.schemas == 0)
		finding_add(f, FINDING_WARNING, AREA,
			    "They are registered when `millrace run` first writes to the inputs.",
			    "%s: no schema is registered for its inputs yet", v->name);
	else if (!a.failed)
		finding_add(f, FINDING_OK, AREA, NULL,
			    "%s: its handlers fit what is registered for its inputs (%zu)", v->name,
			    a.schemas);
}

static void check_templates(const struct view *v, struct registry *registry, struct findings *f)
{
	struct dynamo_tables *tables;
	struct target_dynamo target;
	struct err e = ERR_INIT;

	if (view_dynamo_tables(v, &tables, &e) < 0) {
		finding_err(f, FINDING_FAIL, AREA, &e);
		return;
	}
	target_dynamo_init(&target, tables);
	check_schemas(v, &target.target, registry, f);
	dynamo_tables_free(tables);
}

/* In a scratch version of the view's own store. */
static void check_in_store(const struct settings *settings, const struct view *v,
			   struct registry *registry, struct findings *f)
{
	struct store_version *version = NULL;
	const struct store_ops *ops;
	struct store *store = NULL;
	struct err e = ERR_INIT, ignored = ERR_INIT;

	if (store_named(v->store, &ops, &e) == 0 && ops->open(settings, v->name, &store, &e) == 0 &&
	    ops->create(store, v, STORE_SCRATCH, false, &e) == 0 &&
	    ops->version_open(store, STORE_SCRATCH, &version, &e) == 0)
		check_schemas(v, ops->target(version), registry, f);
	else
		finding_err(f, FINDING_FAIL, AREA, &e);
	if (version != NULL)
		ops->version_close(version);
	if (store != NULL) {
		(void)ops->remove(store, STORE_SCRATCH, &ignored); /* the next try does it */
		ops->close(store);
	}
}

static void check_handlers(const struct settings *settings, const struct view *v,
			   struct registry *registry, struct findings *f)
{
	struct target_sqlite target;
	struct err e = ERR_INIT;
	struct sql_db *db;

	if (strcmp(v->store, "dynamodb") == 0) {
		check_templates(v, registry, f);
		return;
	}
	if (strcmp(v->store, "sqlite") != 0) {
		check_in_store(settings, v, registry, f);
		return;
	}
	if (sql_open_db(":memory:", SQL_OPEN_MEMORY, &db, &e) < 0 ||
	    sql_script(db, "tables.sql", v->create_sql, &e) < 0) {
		finding_err(f, FINDING_FAIL, AREA, &e);
		return;
	}
	target_sqlite_init(&target, db);
	check_schemas(v, &target.target, registry, f);
	sql_close(db);
}

static bool handles(const struct view *v, enum view_on on, const char *table)
{
	for (size_t i = 0; i < v->handler_count; i++)
		if (v->handlers[i].on == on && strcmp(v->handlers[i].name, table) == 0)
			return true;
	return false;
}

/* A view that deletes rows must know what to do when all of them go at once. */
static void check_truncate(const struct view *v, struct findings *f)
{
	for (size_t i = 0; i < v->handler_count; i++) {
		const char *table = v->handlers[i].name;
		char *hint;

		if (v->handlers[i].on != VIEW_ON_DELETE || handles(v, VIEW_ON_TRUNCATE, table))
			continue;
		hint = strcmp(v->store, "dynamodb") == 0
			       ? xasprintf("Add on/%s.truncate.json: { \"clear\": \"TABLE\" }",
					   table)
			       : xasprintf("Add on/%s.truncate.sql, for instance DELETE FROM ...;",
					   table);
		finding_add(f, FINDING_WARNING, AREA, hint,
			    "%s: a TRUNCATE or DROP of %s will stop the view: it has no handler "
			    "for it",
			    v->name, table);
		free(hint);
	}
}

static void check_dynamo(const struct settings *settings, const struct view *v, struct findings *f)
{
	struct err e = ERR_INIT;
	char *endpoint;

	if (store_dynamo_probe(settings, v->name, &endpoint, &e) < 0)
		finding_err(f, FINDING_FAIL, "dynamodb", &e);
	else
		finding_add(f, FINDING_OK, "dynamodb", NULL, "%s: %s takes our requests", v->name,
			    endpoint);
	free(endpoint);
}

/* ---- kinds that mirror tables ---- */

static int latest(void *context, const char *topic, const char **ret_text, struct err *e)
{
	char *subject = xasprintf("%s-value", topic);
	struct registry_schema found;
	int rc = registry_latest(context, subject, &found, e);

	if (rc == 1)
		*ret_text = found.text;
	free(subject);
	return rc;
}

struct slow {
	const struct view *view;
	struct findings *f;
};

static void say_slow(void *context, const char *file, struct slice name)
{
	struct slow *s = context;

	finding_add(s->f, FINDING_WARNING, AREA,
		    "Add an index on what the SELECT looks it up by to indexes.sql.",
		    "%s/%s: for each changed row all of %.*s is read", s->view->name, file,
		    (int)name.size, (const char *)name.data);
}

/* Its server is there, lets us in, and takes the view's SQL. */
static bool check_store(const struct settings *settings, struct view *v, struct findings *f)
{
	struct err e = ERR_INIT;
	const struct store_ops *ops;
	struct store *store = NULL;
	char *place;
	int rc = store_named(v->store, &ops, &e);

	if (rc == 0 && ops->learn == NULL)
		return true;
	if (rc == 0)
		rc = ops->open(settings, v->name, &store, &e);
	if (rc == 0)
		rc = store_try(store, v, &e);
	if (rc < 0) {
		err_wrap(&e, "%s", v->name);
		finding_err(f, FINDING_FAIL, AREA, &e);
	} else {
		place = ops->place(store, 1);
		finding_add(f, FINDING_OK, AREA, NULL,
			    "%s: its SQL was tried where it will live: %s", v->name, place);
		free(place);
	}
	if (store != NULL)
		ops->close(store);
	return rc == 0;
}

static void check_mirrors(const struct settings *settings, struct view *v,
			  struct registry *registry, struct findings *f)
{
	struct slow slow = { v, f };
	struct err e = ERR_INIT;

	if (registry == NULL)
		return; /* check_kafka has said why */
	if (view_shape(v, latest, registry, &e) < 0 || query_slow(v, say_slow, &slow, &e) < 0)
		finding_err(f, e.kind == ERR_RETRY ? FINDING_WARNING : FINDING_FAIL, AREA, &e);
	else if (check_store(settings, v, f))
		finding_add(f, FINDING_OK, AREA, NULL, "%s: %zu table%s mirrored, %zu kept",
			    v->name, v->mirror_count, v->mirror_count == 1 ? "" : "s",
			    v->table_count);
}

static void check_view(const struct settings *settings, const char *name,
		       struct registry *registry, struct findings *f)
{
	char *path = xasprintf("%s/%s", settings->project_views_dir, name);
	struct err e = ERR_INIT;
	struct view *v;

	if (view_read(path, &v, &e) < 0) {
		finding_err(f, FINDING_FAIL, AREA, &e);
		free(path);
		return;
	}
	if (v->kind != VIEW_SQL) {
		check_mirrors(settings, v, registry, f);
	} else if (check_store(settings, v, f)) {
		finding_add(f, FINDING_OK, AREA, NULL,
			    "%s: %zu table%s, %zu handler%s, %zu input%s", name, v->table_count,
			    v->table_count == 1 ? "" : "s", v->handler_count,
			    v->handler_count == 1 ? "" : "s", v->input_count,
			    v->input_count == 1 ? "" : "s");
		check_truncate(v, f);
		if (strcmp(v->store, "dynamodb") == 0)
			check_dynamo(settings, v, f);
		if (registry != NULL)
			check_handlers(settings, v, registry, f);
	}
	view_free(v);
	free(path);
}

void check_views(const struct settings *settings, struct findings *f)
{
	const char *folder = settings->project_views_dir;
	struct registry *registry = NULL;
	struct err e = ERR_INIT;
	char **names = NULL;
	size_t count = 0;

	if (view_list(folder, &names, &count, &e) < 0) {
		finding_err(f, FINDING_FAIL, AREA, &e);
		return;
	}
	if (count == 0)
		finding_add(
			f, FINDING_WARNING, AREA,
			"A view is a folder with a view.conf; project.views says where they are.",
			"there is no view in %s", folder);
	if (findings_exit_code(f) != EXIT_UNREACHABLE &&
	    registry_open(settings, false, &registry, &e) < 0)
		registry = NULL; /* check_kafka has said so */
	for (size_t i = 0; i < count; i++)
		check_view(settings, names[i], registry, f);
	if (registry != NULL)
		registry_close(registry);
	view_names_free(names, count);
}
