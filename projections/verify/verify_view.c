/* verify_view.c - which version is verified, and what it is asked. */
#include "projections/verify/verify.h"

#include <stdlib.h>

static int find_live(struct store *store, const char *name, int *ret_version, struct err *e)
{
	struct store_info *infos = NULL;
	size_t count = 0;
	int rc = store->ops->list(store, &infos, &count, e);

	*ret_version = 0;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (infos[i].state == STORE_LIVE)
			*ret_version = infos[i].version;
	}
	free(infos);
	if (rc == 0 && *ret_version == 0) {
		rc = err_config(e, "view %s has no live version", name);
		err_hint(e, "`millrace project` builds it.");
	}
	return rc;
}

static int read_source(struct view *view, const char *file, struct err *e)
{
	char *text = NULL;
	int rc = view_read_file(file, &text, e);

	if (rc == 0)
		rc = view_set_source(view, file, text, e);
	free(text);
	return rc;
}

int verify_find(struct store *store, const char *name, int version, const char *source_file,
		int *ret_version, struct view **ret_view, struct err *e)
{
	struct view_files files = { 0 };
	struct view *view;
	int rc;

	*ret_version = version;
	if ((version == 0 && find_live(store, name, ret_version, e) < 0) ||
	    store->ops->definition(store, *ret_version, &files, e) < 0 ||
	    view_from_files(name, name, &files, &view, e) < 0)
		return -1;
	rc = view->learned ? 0 : store->ops->learn(store, *ret_version, false, view, e);
	if (rc == 0 && source_file != NULL)
		rc = read_source(view, source_file, e);
	if (rc < 0)
		view_free(view);
	else
		*ret_view = view;
	return rc;
}
