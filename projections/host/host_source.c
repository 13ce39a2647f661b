/* host_source.c - what becomes of a view when a table that it mirrors changes at the source.
 *
 * New columns were added by the worker; here the definition that others look at follows. A table
 * that has become another one ends the live version's worker: a new version is built from the
 * definition that the live one was built with, over the tables as they are now. What lies in the
 * view's folder by now is the user's to replay. */
#include "projections/host/host_priv.h"

#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdlib.h>

/* ---- columns that came ----------------------------------------------------------------------- */

/* The version whose definition is behind its worker's tables; 0: none. */
static int amended_version(struct host *h, int *ret_amended)
{
	int version = 0;

	pthread_mutex_lock(&h->lock);
	for (size_t i = 0; i < h->version_count && version == 0; i++) {
		struct worker_status s;

		if (h->versions[i].worker == NULL)
			continue;
		worker_status(h->versions[i].worker, &s);
		*ret_amended = s.amended;
		if (s.amended != h->versions[i].amended)
			version = h->versions[i].version;
	}
	pthread_mutex_unlock(&h->lock);
	return version;
}

static void take_definition(struct host *h, int version, int amended)
{
	struct err e = ERR_INIT;
	struct view *view = NULL;
	struct version *v;

	if (store_view(h->store, h->name, version, &view, &e) < 0) {
		log_err(LOG_LEVEL_WARNING, "view", h->name, &e);
		return; /* asked again at the next look */
	}
	pthread_mutex_lock(&h->lock);
	v = host_find(h, version);
	if (v != NULL) {
		h->retired = xrealloc(h->retired, (h->retired_count + 1) * sizeof(struct view *));
		h->retired[h->retired_count++] = v->view;
		v->view = view;
		v->amended = amended;
	}
	pthread_mutex_unlock(&h->lock);
}

/* ---- tables that became other ones ----------------------------------------------------------- */

/* The table's shape, as the record says that outgrew the version. */
struct outgrown {
	char *file, *text;
	int64_t seq;
};

/* The live version when it has been outgrown and nothing is done about it yet; 0: no. */
static int outgrown_version(struct host *h, struct outgrown *ret_outgrown)
{
	struct version *v;
	struct worker_status s;
	int version = 0;

	pthread_mutex_lock(&h->lock);
	v = host_find_state(h, STORE_LIVE);
	if (v != NULL && v->worker != NULL && !v->outgrown && !h->stop && !h->pending) {
		worker_status(v->worker, &s);
		if (s.outgrown) {
			version = v->version;
			worker_outgrown(v->worker, &ret_outgrown->file, &ret_outgrown->text,
					&ret_outgrown->seq);
		}
	}
	pthread_mutex_unlock(&h->lock);
	return version;
}

static void replace_file(struct view_files *files, const char *name, const char *text)
{
	for (size_t i = 0; i < files->count; i++) {
		if (strcmp(files->items[i].name, name) != 0)
			continue;
		free(files->items[i].text);
		files->items[i].text = xstrdup(text);
		return;
	}
	view_files_add(files, name, xstrdup(text));
}

/* Not what is registered last: a table that is again what it was once has no new schema. */
static void replace_shape(struct view_files *files, const struct outgrown *o)
{
	size_t stem = strlen(o->file) - strlen("avsc");
	char *name = xasprintf("%.*sseq", (int)stem, o->file),
	     *seq = xasprintf("%lld", (long long)o->seq);

	replace_file(files, o->file, o->text);
	replace_file(files, name, seq);
	free(name);
	free(seq);
}

/* The live version's own definition, over the tables as they are now. */
static int read_anew(struct host *h, int version, const struct outgrown *o, struct view **ret_view,
		     struct err *e)
{
	struct view_files files = { 0 };
	char *place;
	int rc;

	if (h->store->ops->definition(h->store, version, &files, e) < 0)
		return -1;
	replace_shape(&files, o);
	place = xasprintf("%s (version %d)", h->name, version);
	rc = view_from_files(h->name, place, &files, ret_view, e);
	free(place);
	if (rc == 0 && store_try(h->store, *ret_view, e) < 0) {
		view_free(*ret_view);
		rc = -1;
	}
	return rc;
}

static void rebuild(struct host *h, int version, const struct outgrown *o)
{
	struct err e = ERR_INIT;
	struct view *view;
	int rc = read_anew(h, version, o, &view, &e);
	struct version *v;

	if (rc == 0)
		rc = host_replay_view(h, view, &(struct host_replay_options){ .force = true }, &e);
	pthread_mutex_lock(&h->lock);
	v = host_find(h, version);
	if (v != NULL)
		v->outgrown = true; /* once: what fails now is for a person */
	pthread_mutex_unlock(&h->lock);
	if (rc == 0) {
		log_warning("view",
			    "%s: a table of version %d has become another one: building a new "
			    "version",
			    h->name, version);
		return;
	}
	log_err(LOG_LEVEL_ERROR, "view", h->name, &e);
}

void host_follow_source(struct host *h)
{
	int amended = 0, version = amended_version(h, &amended);
	struct outgrown o = { 0 };

	if (version != 0)
		take_definition(h, version, amended);
	version = outgrown_version(h, &o);
	if (version != 0)
		rebuild(h, version, &o);
	free(o.file);
	free(o.text);
}
