/* verb_view_list.c - `millrace view list`, `show` and `drop`: views, their versions, and letting
 * one go.
 *
 * list reads the status topic, so it knows the views of every process. show and drop ask the
 * process that owns the view, or do it here when none does. */
#include "cli/verb_view.h"

#include "cli/view_access.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/progress.h"
#include "core/base/table.h"
#include "core/base/term.h"
#include "core/http/status_feed.h"

#include <string.h>

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static int64_t number(const json_t *o, const char *key)
{
	return (int64_t)json_number_value(json_object_get(o, key));
}

static int print_json(json_t *take)
{
	json_dumpf(take, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(take);
	return EXIT_OK;
}

/* ---- list ------------------------------------------------------------------------------------ */

static int64_t live_of(const json_t *view)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(view, "versions"), i, v)
	{
		if (strcmp(text(v, "state"), "live") == 0)
			return number(v, "version");
	}
	return 0;
}

static void lag_cell(struct table *t, const json_t *view)
{
	const json_t *lag = json_object_get(json_object_get(view, "lag"), "applied");
	struct buf out = BUF_INIT;

	if (json_is_object(lag)) {
		progress_number(&out, number(lag, "transactions"));
		buf_add_str(&out, ", ");
		progress_duration(&out, number(lag, "us"));
	}
	table_cell(t, "%s", out.size > 0 ? buf_cstr(&out) : "not known");
	buf_done(&out);
}

static void verified_cell(struct table *t, const json_t *view, int64_t now_us)
{
	const json_t *v = json_object_get(view, "verified");
	struct buf out = BUF_INIT;

	if (json_is_object(v)) {
		progress_duration(&out, now_us - number(v, "at_us"));
		buf_add_format(&out, " ago, %lld differ", (long long)number(v, "differences"));
	}
	table_cell(t, "%s", out.size > 0 ? buf_cstr(&out) : "never");
	buf_done(&out);
}

static void add_view(struct table *t, const json_t *view, int64_t now_us)
{
	bool silent = json_is_true(json_object_get(view, "silent"));
	int64_t live = live_of(view);

	table_cell(t, "%s", text(view, "name"));
	table_cell(t, "%s", text(view, "store"));
	table_cell(t, "%s", text(view, "view_kind"));
	if (live != 0)
		table_cell(t, "%lld", (long long)live);
	else
		table_cell(t, "%s", "");
	table_cell(t, "%s", silent ? "silent" : text(view, "state"));
	lag_cell(t, view);
	verified_cell(t, view, now_us);
	table_cell(t, "%lld", (long long)number(view, "parked"));
	table_cell(t, "%s", text(view, "owner"));
	table_cell(t, "%s", text(view, "http"));
}

static void print_views(const json_t *views, int64_t now_us)
{
	static const char *const titles[] = { "view", "store",    "kind",   "live",  "state",
					      "lag",  "verified", "parked", "owner", "served at" };
	struct table *t = table_new();
	const json_t *view;
	size_t i;

	for (i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
		table_column(t, titles[i], i == 3 || i == 7 ? TABLE_RIGHT : TABLE_LEFT);
	json_array_foreach(views, i, view) add_view(t, view, now_us);
	table_print(t, stdout, 0);
	table_free(t);
}

int verb_view_list(const struct settings *settings, bool json)
{
	struct buf status = BUF_INIT;
	struct err e = ERR_INIT;
	json_t *root, *views = json_array(), *p;
	size_t i;

	if (status_feed_read(settings, &status, &e) < 0) {
		json_decref(views);
		return verb_fail(&e);
	}
	root = json_loadb((const char *)status.data, status.size, 0, NULL);
	json_array_foreach(json_object_get(root, "processes"), i, p)
	{
		if (strcmp(text(p, "kind"), "view") == 0)
			json_array_append(views, p);
	}
	if (json)
		(void)print_json(json_incref(views));
	else if (json_array_size(views) == 0)
		printf("No view has reported yet: start `millrace project`.\n");
	else
		print_views(views, number(root, "now_us"));
	json_decref(views);
	json_decref(root);
	buf_done(&status);
	return EXIT_OK;
}

/* ---- show ------------------------------------------------------------------------------------ */

static void add_version(struct table *t, const json_t *v)
{
	struct buf size = BUF_INIT;
	char made[CLOCK_TEXT_SIZE];
	bool as_of = text(v, "as_of")[0] != '\0';

	if (json_object_get(v, "bytes") != NULL)
		progress_bytes(&size, number(v, "bytes"));
	table_cell(t, "%lld", (long long)number(v, "version"));
	table_cell(t, "%s%s%s", text(v, "state"), as_of ? " " : "", text(v, "as_of"));
	table_cell(t, "%s", text(v, "worker"));
	table_cell(t, "%lld", (long long)number(v, "seq"));
	table_cell(t, "%s", size.size > 0 ? buf_cstr(&size) : "");
	table_cell(t, "%lld", (long long)number(v, "parked"));
	table_cell(t, "%.10s", text(v, "definition"));
	table_cell(t, "%s",
		   number(v, "made_us") != 0 ? clock_text(number(v, "made_us"), made) : "");
	table_cell(t, "%s", text(v, "place"));
	buf_done(&size);
}

static void print_job(const json_t *job)
{
	if (strcmp(text(job, "kind"), "none") == 0 || text(job, "kind")[0] == '\0')
		return;
	printf("job: %s of version %lld: %s%s%s%s%s\n", text(job, "kind"),
	       (long long)number(job, "version"), text(job, "phase"),
	       text(job, "error")[0] != '\0' ? ": " : "", text(job, "error"),
	       text(job, "note")[0] != '\0' ? ": " : "", text(job, "note"));
}

static void print_shadow(const json_t *shadow)
{
	char at[CLOCK_TEXT_SIZE];

	if (json_is_object(shadow))
		printf("version %lld waits: %lld of %lld rows differ from the live one (%s)\n",
		       (long long)number(shadow, "version"),
		       (long long)number(shadow, "differences"), (long long)number(shadow, "rows"),
		       clock_text(number(shadow, "compared_us"), at));
}

static void print_state(const json_t *state)
{
	static const char *const titles[] = { "version", "state",      "worker", "seq",  "size",
					      "parked",  "definition", "made",   "place" };
	const json_t *inputs = json_object_get(state, "inputs"), *one;
	struct table *t = table_new();
	size_t i;

	printf("%s%s%s  %s, %s%s%s\n", term(stdout, TERM_BOLD), text(state, "view"),
	       term(stdout, TERM_PLAIN), text(state, "store"), text(state, "kind"),
	       text(state, "owner")[0] != '\0' ? ", owned by " : "", text(state, "owner"));
	if (text(state, "doc")[0] != '\0')
		printf("%s\n", text(state, "doc"));
	json_array_foreach(inputs, i, one) printf("reads %s\n", json_string_value(one));
	print_job(json_object_get(state, "job"));
	print_shadow(json_object_get(state, "shadow"));
	printf("\n");
	for (i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
		table_column(t, titles[i], i == 0 || (i >= 3 && i <= 5) ? TABLE_RIGHT : TABLE_LEFT);
	json_array_foreach(json_object_get(state, "versions"), i, one) add_version(t, one);
	table_print(t, stdout, 0);
	table_free(t);
	json_array_foreach(json_object_get(state, "versions"), i, one)
	{
		if (json_array_size(json_object_get(one, "shares")) > 0)
			printf("\nmembers of version %lld\n", (long long)number(one, "version"));
		view_print_shares(one, 2, stdout);
	}
}

int verb_view_show(const struct settings *settings, const char *view, bool json)
{
	struct view_access *a = NULL;
	struct err e = ERR_INIT;
	json_t *state = NULL;
	int rc = -1;

	if (view_access_open(settings, view, &a, &e) == 0)
		rc = view_access_get_sizes(a, &state, &e);
	view_access_close(a);
	if (rc < 0)
		return verb_fail(&e);
	if (json)
		return print_json(state);
	print_state(state);
	json_decref(state);
	return EXIT_OK;
}

/* ---- drop ------------------------------------------------------------------------------------ */

/* A view whose folder is gone: all that its store and the state folder hold of it. */
static int drop_all(const struct settings *settings, const char *view, struct err *e)
{
	char *dir = xasprintf("%s/%s/view.conf", settings->project_views_dir, view);
	int rc = -1;

	if (verb_view_there(dir)) {
		err_config(e, "view %s is not gone: there is %s", view, dir);
		err_hint(e, "Drop versions one by one, or move its folder away first.");
	} else {
		rc = host_drop_all(settings, view, e);
	}
	free(dir);
	return rc;
}

int verb_view_drop(const struct settings *settings, const char *view, const char *version)
{
	struct view_access *a = NULL;
	struct err e = ERR_INIT;
	char *end = NULL;
	long n = version != NULL ? strtol(version, &end, 10) : 0;
	int rc = -1;

	if (version == NULL) {
		rc = drop_all(settings, view, &e);
	} else if (*end != '\0' || n < 1 || n > 1000000) {
		err_config(&e, "not a version: '%s'", version);
		err_hint(&e, "`millrace view show %s` lists them.", view);
	} else if (view_access_open(settings, view, &a, &e) == 0) {
		rc = view_access_drop(a, (int)n, &e);
	}
	view_access_close(a);
	if (rc < 0)
		return verb_fail(&e);
	if (version != NULL)
		printf("version %ld of %s is gone\n", n, view);
	else
		printf("view %s is gone\n", view);
	return EXIT_OK;
}
