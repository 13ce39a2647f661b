/* verb_parked_view.c - `millrace parked --view VIEW`: what a view could not apply.
 *
 * list and show read the view's store; retry and drop are done by the process that owns the view,
 * in the order of the records. */
#include "cli/verb_view.h"

#include "cli/view_access.h"
#include "core/avro/decode.h"
#include "core/avro/schema.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/progress.h"
#include "core/base/table.h"
#include "core/registry/registry.h"

#include <stdlib.h>

struct looking {
	const char *id;  /* show: this one */
	struct table *t; /* list as text */
	json_t *all;     /* list as JSON */
	struct registry *registry;
	bool found;
	struct err *e;
	int rc;
};

static char *id_of(const struct store_parked *p)
{
	return xasprintf("%s:%d:%lld", p->topic, (int)p->partition, (long long)p->offset);
}

static void add_row(struct table *t, const struct store_parked *p, const char *id)
{
	struct buf size = BUF_INIT;
	char at[CLOCK_TEXT_SIZE];

	progress_bytes(&size, (int64_t)p->value.size);
	table_cell(t, "%s", id);
	table_cell(t, "%lld", (long long)p->seq);
	table_cell(t, "%s", buf_cstr(&size));
	table_cell(t, "%s", clock_text(p->at_us, at));
	table_cell(t, "%s", p->behind ? "behind" : "");
	table_cell(t, "%.*s", (int)strcspn(p->reason, "\n"), p->reason);
	buf_done(&size);
}

static bool list_one(void *context, const struct store_parked *p)
{
	struct looking *l = context;
	char *id = id_of(p);

	if (l->t != NULL)
		add_row(l->t, p, id);
	else
		json_array_append_new(
			l->all, json_pack("{s:s,s:I,s:s,s:i,s:I,s:i,s:I,s:I,s:b,s:s}", "id", id,
					  "seq", (json_int_t)p->seq, "topic", p->topic, "partition",
					  (int)p->partition, "offset", (json_int_t)p->offset,
					  "schema_id", (int)p->schema_id, "size",
					  (json_int_t)p->value.size, "at_us", (json_int_t)p->at_us,
					  "behind", (int)p->behind, "reason", p->reason));
	free(id);
	return true;
}

/* The whole record, as its schema says. */
static int print_record(struct looking *l, const struct store_parked *p, struct err *e)
{
	struct registry_schema found;
	struct schema *schema = NULL;
	struct buf out = BUF_INIT;
	int rc = -1;

	fprintf(stderr, "%s (seq %lld)%s: %s\n", l->id, (long long)p->seq,
		p->behind ? " behind another one" : "", p->reason);
	if (registry_by_id(l->registry, p->schema_id, &found, e) == 0 &&
	    schema_parse(slice_str(found.text), &schema, e) == 0)
		rc = decode_json(schema, p->value, &out, e);
	if (rc == 0)
		printf("%s\n", buf_cstr(&out));
	else
		err_wrap(e, "%s", l->id);
	schema_free(schema);
	buf_done(&out);
	return rc;
}

static bool show_one(void *context, const struct store_parked *p)
{
	struct looking *l = context;
	char *id = id_of(p);

	l->found = strcmp(id, l->id) == 0;
	if (l->found)
		l->rc = print_record(l, p, l->e);
	free(id);
	return !l->found;
}

static int live_version(struct store *s, const char *view, int *ret_version, struct err *e)
{
	struct store_info *infos;
	size_t count;

	if (s->ops->list(s, &infos, &count, e) < 0)
		return -1;
	*ret_version = 0;
	for (size_t i = 0; i < count; i++) {
		if (infos[i].state == STORE_LIVE)
			*ret_version = infos[i].version;
	}
	free(infos);
	return *ret_version != 0 ? 0 : err_config(e, "view %s has no live version", view);
}

static int print_list(struct looking *l, bool json, struct store *s, int version, struct err *e)
{
	static const char *const titles[] = { "id", "seq", "size", "parked", "", "why" };
	int rc;

	if (json)
		l->all = json_array();
	else
		l->t = table_new();
	for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]) && l->t != NULL; i++)
		table_column(l->t, titles[i], i == 1 || i == 2 ? TABLE_RIGHT : TABLE_LEFT);
	rc = s->ops->parked(s, version, list_one, l, e);
	if (rc == 0 && json) {
		json_dumpf(l->all, stdout, JSON_INDENT(2));
		printf("\n");
	} else if (rc == 0) {
		table_print(l->t, stdout, 0);
	}
	json_decref(l->all);
	table_free(l->t);
	return rc;
}

static int look(const struct settings *settings, const char *view, int version, const char *id,
		bool json, struct err *e)
{
	struct looking l = { .id = id, .e = e };
	const struct store_ops *ops;
	struct store *s = NULL;
	int rc = -1;

	if (store_of(settings, view, &ops, e) < 0 || ops->open(settings, view, &s, e) < 0)
		return -1;
	if (ops->park == NULL)
		err_config(e, "store %s parks no records", ops->name);
	else if (version != 0 || live_version(s, view, &version, e) == 0)
		rc = 0;
	if (rc == 0 && id == NULL) {
		rc = print_list(&l, json, s, version, e);
	} else if (rc == 0) {
		rc = registry_open(settings, false, &l.registry, e);
		if (rc == 0)
			rc = ops->parked(s, version, show_one, &l, e);
		if (rc == 0)
			rc = l.found ? l.rc
				     : err_config(e, "no record %s is parked in version %d", id,
						  version);
	}
	registry_close(l.registry);
	ops->close(s);
	return rc;
}

/* "topic:partition:offset"; the topic's own name may hold no ':'. */
static int read_id(char *id, struct worker_parked_ask *ask, struct err *e)
{
	char *offset = strrchr(id, ':'), *partition, *end = NULL;

	if (offset != NULL) {
		*offset++ = '\0';
		partition = strrchr(id, ':');
		if (partition != NULL) {
			*partition++ = '\0';
			ask->topic = id;
			ask->partition = (int32_t)strtol(partition, NULL, 10);
			ask->offset = strtoll(offset, &end, 10);
		}
	}
	return end != NULL && *end == '\0'
		       ? 0
		       : err_config(e, "not the id of a parked record: TOPIC:PARTITION:OFFSET");
}

static int act(const struct settings *settings, const char *view, int version, const char *id,
	       bool drop, bool json, struct err *e)
{
	struct worker_parked_ask ask = { .drop = drop };
	char *copy = id != NULL ? xstrdup(id) : NULL;
	struct view_access *a = NULL;
	json_t *result = NULL;
	int rc = id != NULL ? read_id(copy, &ask, e) : 0;

	if (rc == 0)
		rc = view_access_open(settings, view, &a, e);
	if (rc == 0)
		rc = view_access_parked(a, version, &ask, &result, e);
	if (rc == 0 && json)
		json_dumpf(result, stdout, JSON_INDENT(2));
	else if (rc == 0)
		printf("%lld %s; %lld still parked",
		       (long long)json_integer_value(json_object_get(result, "applied")),
		       drop ? "dropped or applied" : "applied",
		       (long long)json_integer_value(json_object_get(result, "left")));
	if (rc == 0)
		printf("\n");
	json_decref(result);
	view_access_close(a);
	free(copy);
	return rc;
}

int verb_parked_view(const struct settings *settings, const char *what, const char *view,
		     const char *version, const char *id, bool json)
{
	int number = version != NULL ? (int)strtol(version, NULL, 10) : 0, rc;
	bool drop = strcmp(what, "drop") == 0;
	struct err e = ERR_INIT;

	if (drop || strcmp(what, "retry") == 0)
		rc = act(settings, view, number, id, drop, json, &e);
	else
		rc = look(settings, view, number, id, json, &e);
	return rc < 0 ? verb_fail(&e) : EXIT_OK;
}
