/* host_gone.c - a view whose folder is gone: what its store and the state folder still hold of it
 * is removed. The lease is taken first, so that no process serves it meanwhile. */
#include "projections/host/host_priv.h"

#include "core/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int remove_versions(struct store *s, struct err *e)
{
	struct store_info *infos;
	size_t count;
	int rc = s->ops->list(s, &infos, &count, e);

	if (rc < 0)
		return -1;
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = s->ops->remove(s, infos[i].version, e);
	free(infos);
	return rc;
}

/* STATE + before + VIEW + after: a file, or an empty folder. */
static int remove_file(const struct settings *settings, const char *before, const char *view,
		       const char *after, struct err *e)
{
	char *path = xasprintf("%s%s%s%s", settings->state_dir, before, view, after);
	int rc = 0;

	if (unlink(path) < 0 && errno != ENOENT && rmdir(path) < 0 && errno != ENOENT &&
	    errno != ENOTEMPTY)
		rc = err_fatal(e, "%s: %s", path, strerror(errno));
	free(path);
	return rc;
}

int host_drop_all(const struct settings *settings, const char *view, struct err *e)
{
	const struct store_ops *ops;
	struct lease *lease = NULL;
	struct store *s = NULL;
	char *state = xasprintf("%s/views/%s", settings->state_dir, view);
	bool there = access(state, F_OK) == 0;
	int rc = -1;

	free(state);
	if (!there) {
		err_config(e, "there is nothing of a view %s here", view);
		return err_hint(e, "`millrace view list` names those that there are.");
	}
	if (lease_take(settings->state_dir, view, 0, &lease, e) < 0 ||
	    store_of(settings, view, &ops, e) < 0 || ops->open(settings, view, &s, e) < 0)
		goto out;
	/* the name first: it leads to a whole version, or to none */
	if (remove_file(settings, "/", view, ".db", e) == 0 &&
	    (s->ops->unpublish == NULL || s->ops->unpublish(s, e) == 0) &&
	    remove_versions(s, e) == 0 &&
	    remove_file(settings, "/views/", view, "/notes", e) == 0 &&
	    remove_file(settings, "/views/", view, "/store", e) == 0)
		rc = 0;
out:
	if (s != NULL)
		s->ops->close(s);
	lease_free(lease);
	if (rc == 0)
		rc = remove_file(settings, "/views/", view, "/lease", e);
	if (rc == 0)
		rc = remove_file(settings, "/views/", view, "", e);
	return rc;
}
