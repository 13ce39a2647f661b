/* store.c - which stores there are, which of them holds a view, and a definition tried in it.
 *
 * A view's versions stay where they were made: the note STATE/views/VIEW/store names their store,
 * whatever view.conf says today. Without it a view that was moved by an edit would be built again
 * elsewhere, and its live version forgotten. */
#include "projections/store/store.h"

#include "core/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NAME_MAX_BYTES 64

static const struct store_ops *const stores[] = { &store_sqlite, &store_postgresql, &store_mariadb,
						  &store_mysql, &store_dynamo };

static const char *const state_names[] = {
	[STORE_BUILDING] = "building",     [STORE_READY] = "ready",   [STORE_LIVE] = "live",
	[STORE_SUPERSEDED] = "superseded", [STORE_FAILED] = "failed", [STORE_AS_OF] = "as-of",
};

const char *store_state_name(enum store_state state)
{
	return state_names[state];
}

int store_check_name(const char *view, size_t longest, struct err *e)
{
	if (view[0] != '\0' && view[0] != '.' && strlen(view) <= longest && view_is_plain(view))
		return 0;
	err_config(e, "not a name for a view: '%s'", view);
	return err_hint(e, "Give the name of a folder in project.views, not a path.");
}

static int compare_infos(const void *a, const void *b)
{
	const struct store_info *x = a, *y = b;

	return (x->version > y->version) - (x->version < y->version);
}

void store_sort_infos(struct store_info *infos, size_t count)
{
	if (count > 0)
		qsort(infos, count, sizeof(*infos), compare_infos);
}

bool store_tell_parked(struct store_parked record, struct slice topic, struct slice reason,
		       bool (*each)(void *context, const struct store_parked *record),
		       void *context)
{
	char *topic_text = xstrndup((const char *)topic.data, topic.size);
	char *reason_text = xstrndup((const char *)reason.data, reason.size);
	bool go_on;

	record.topic = topic_text;
	record.reason = reason_text;
	go_on = each(context, &record);
	free(topic_text);
	free(reason_text);
	return go_on;
}

/* NULL is no data; what is empty has some. */
static struct slice bytes_of(const struct value *v)
{
	if (v->kind == VALUE_NULL)
		return (struct slice){ 0 };
	return v->bytes.data != NULL ? v->bytes : slice_of("", 0);
}

bool store_tell_parked_values(const struct value values[10],
			      bool (*each)(void *context, const struct store_parked *record),
			      void *context)
{
	struct store_parked record = {
		.seq = values[3].i,
		.partition = (int32_t)values[1].i,
		.offset = values[2].i,
		.schema_id = (int32_t)values[4].i,
		.key = bytes_of(&values[5]),
		.value = bytes_of(&values[6]),
		.at_us = values[7].i,
		.behind = values[8].i != 0,
	};

	return store_tell_parked(record, values[0].bytes, values[9].bytes, each, context);
}

enum store_state store_state_of(struct slice name)
{
	for (int i = STORE_BUILDING; i <= STORE_AS_OF; i++) {
		if (slice_is(name, state_names[i]))
			return (enum store_state)i;
	}
	return STORE_FAILED;
}

int store_named(const char *name, const struct store_ops **ret_ops, struct err *e)
{
	struct buf known = BUF_INIT;

	for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
		if (strcmp(stores[i]->name, name) == 0) {
			*ret_ops = stores[i];
			buf_done(&known);
			return 0;
		}
		buf_add_format(&known, "%s%s", i > 0 ? ", " : "", stores[i]->name);
	}
	err_config(e, "store = %s: this build has no such store", name);
	err_hint(e, "It has: %s.", buf_cstr(&known));
	buf_done(&known);
	return -1;
}

/* ---- the note -------------------------------------------------------------------------------- */

static char *note_path(const struct settings *settings, const char *view)
{
	return xasprintf("%s/views/%s/store", settings->state_dir, view);
}

/* 1: there is one; 0: none. */
static int read_note(const struct settings *settings, const char *view, char *ret_name,
		     struct err *e)
{
	char *path = note_path(settings, view);
	FILE *f = fopen(path, "re");
	int rc = 0;

	if (f == NULL && errno != ENOENT && errno != ENOTDIR)
		rc = err_config(e, "%s: %s", path, strerror(errno));
	if (f != NULL && fgets(ret_name, NAME_MAX_BYTES, f) != NULL) {
		ret_name[strcspn(ret_name, "\n")] = '\0';
		rc = 1;
	}
	if (f != NULL)
		fclose(f);
	free(path);
	return rc;
}

/* Versions of a release that knew SQLite only have no note. */
static bool has_file(const struct settings *settings, const char *view)
{
	char *path = xasprintf("%s/%s.db", settings->state_dir, view);
	bool there = faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;

	free(path);
	return there;
}

int store_of(const struct settings *settings, const char *view, const struct store_ops **ret_ops,
	     struct err *e)
{
	char noted[NAME_MAX_BYTES], *dir, *name;
	int rc = read_note(settings, view, noted, e);

	if (rc < 0)
		return -1;
	if (rc == 1)
		return store_named(noted, ret_ops, e);
	if (has_file(settings, view))
		return store_named("sqlite", ret_ops, e);
	dir = xasprintf("%s/%s", settings->project_views_dir, view);
	name = view_store_name(dir);
	rc = store_named(name, ret_ops, e);
	if (rc < 0)
		err_wrap(e, "%s/view.conf", dir);
	free(name);
	free(dir);
	return rc;
}

static int refuse(const char *view, const char *noted, const char *wanted, struct err *e)
{
	err_config(e, "view %s lives in %s, but its folder says store = %s", view, noted, wanted);
	return err_hint(e, "Versions stay in their store. Give the view that is to live in %s "
			   "another name.",
			wanted);
}

int store_note(const struct settings *settings, const char *view, const struct store_ops *ops,
	       struct err *e)
{
	char noted[NAME_MAX_BYTES], *path;
	int rc = read_note(settings, view, noted, e);
	FILE *f;

	if (rc == 1)
		return strcmp(noted, ops->name) == 0 ? 0 : refuse(view, noted, ops->name, e);
	if (rc < 0)
		return -1;
	path = note_path(settings, view);
	f = fopen(path, "we");
	if (f == NULL || fprintf(f, "%s\n", ops->name) < 0 || fflush(f) != 0 ||
	    fsync(fileno(f)) < 0)
		rc = err_fatal(e, "%s: %s", path, strerror(errno));
	if (f != NULL)
		fclose(f);
	free(path);
	return rc;
}

/* ---- a version as it is ---------------------------------------------------------------------- */

int store_snapshot(struct store *s, int version, const struct store_still *still,
		   struct store_snapshot **ret_snapshot, struct err *e)
{
	return s->ops->snapshot_slow != NULL
		       ? s->ops->snapshot_slow(s, version, still, ret_snapshot, e)
		       : s->ops->snapshot(s, version, ret_snapshot, e);
}

int store_info_of(struct store *s, int version, struct store_info *ret_info, struct err *e)
{
	struct store_info *infos;
	size_t count;
	bool found = false;

	if (s->ops->list(s, &infos, &count, e) < 0)
		return -1;
	for (size_t i = 0; i < count && !found; i++) {
		found = infos[i].version == version;
		if (found)
			*ret_info = infos[i];
	}
	free(infos);
	return found ? 0 : err_config(e, "there is no version %d", version);
}

/* ---- what a version was built with ----------------------------------------------------------- */

int store_view(struct store *s, const char *name, int version, struct view **ret_view,
	       struct err *e)
{
	char *place = xasprintf("%s (version %d)", name, version);
	struct view_files files = { 0 };
	int rc = s->ops->definition(s, version, &files, e);

	if (rc == 0)
		rc = view_from_files(name, place, &files, ret_view, e);
	if (rc == 0 && !(*ret_view)->learned) {
		rc = s->ops->learn(s, version, false, *ret_view, e);
		if (rc < 0)
			view_free(*ret_view);
	}
	free(place);
	return rc;
}

/* ---- trying ---------------------------------------------------------------------------------- */

int store_try(struct store *s, struct view *v, struct err *e)
{
	struct err ignored = ERR_INIT;
	int rc;

	if (v->learned || s->ops->learn == NULL)
		return 0;
	if (s->ops->create(s, v, STORE_SCRATCH, false, e) < 0)
		return -1;
	rc = s->ops->learn(s, STORE_SCRATCH, true, v, e);
	/* the next try removes what this one may leave */
	(void)s->ops->remove(s, STORE_SCRATCH, &ignored);
	return rc;
}
