/* store.c - versions of a view as SQLite files, and a symlink as the public name.
 *
 *   STATE/views/VIEW/v1.db, v2.db ...   a version: the user's tables and millrace_view,
 * millrace_position, millrace_definition, millrace_epoch (one row each but the definition);
 * millrace_parked once a record had to be parked (sqlite/parked.c)
 *   STATE/VIEW.db -> views/VIEW/v2.db   the public name
 *
 * What is live is where the symlink leads: rename(2) replaces it at once, and the folder is synced
 * after it. The `state` in millrace_view follows: the new version says live before the name moves,
 * the old one superseded after it. A crash between is repaired by the next open, from the symlink.
 * A reader that keeps its connection stays on the old file and sees `superseded` there.
 *
 * A version is made as making.db and gets its name when it has all its bookkeeping: others list the
 * folder meanwhile, and a read-only connection that meets the rollback journal of a file's first
 * page is refused (SQLITE_READONLY_ROLLBACK). While a version is built nothing is synced
 * (sqlite/version.c); `boot` names the kernel's run in which that happened, because after a power
 * cut such a file can't be trusted: it is `stale`, and built again. */
#include "projections/store/sqlite/sqlite_priv.h"

#include "core/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_SIZE 200 /* of a view */

char *store_sqlite_path(const struct store_files *f, int version)
{
	return xasprintf("%s/v%d.db", f->dir, version);
}

static char *place(const struct store *s, int version)
{
	return store_sqlite_path((const struct store_files *)s, version);
}

int store_sqlite_sync(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0 || fsync(fd) < 0)
		rc = err_fatal(e, "%s: sync: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

static void close_store(struct store *s)
{
	struct store_files *f = store_files_of(s);

	if (s == NULL)
		return;
	free(f->state_dir);
	free(f->view);
	free(f->dir);
	free(f->public_path);
	free(f);
}

static int open_store(const struct settings *settings, const char *view, struct store **ret_store,
		      struct err *e)
{
	const char *state_dir = settings->state_dir;
	struct store_files *f;
	char *views;
	int rc = 0;

	if (store_check_name(view, NAME_MAX_SIZE, e) < 0)
		return -1;
	f = xcalloc(1, sizeof(*f));
	views = xasprintf("%s/views", state_dir);
	f->store.ops = &store_sqlite;
	f->state_dir = xstrdup(state_dir);
	f->view = xstrdup(view);
	f->dir = xasprintf("%s/views/%s", state_dir, view);
	f->public_path = xasprintf("%s/%s.db", state_dir, view);
	if ((mkdir(state_dir, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(views, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(f->dir, 0755) < 0 && errno != EEXIST))
		rc = err_config(e, "%s: %s", f->dir, strerror(errno));
	free(views);
	if (rc < 0)
		close_store(&f->store);
	else
		*ret_store = &f->store;
	return rc;
}

const struct store_ops store_sqlite = {
	.name = "sqlite",
	.open = open_store,
	.close = close_store,
	.list = store_sqlite_list,
	.create = store_sqlite_create,
	.definition = store_sqlite_definition,
	.set_state = store_sqlite_set_state,
	.remove = store_sqlite_remove,
	.publish = store_sqlite_publish,
	.place = place,
	.amend = store_sqlite_amend,
	.version_open = store_sqlite_version_open,
	.version_close = store_sqlite_version_close,
	.target = store_sqlite_target,
	.position = store_sqlite_position,
	.begin = store_sqlite_begin,
	.commit = store_sqlite_commit,
	.rollback = store_sqlite_rollback,
	.finish = store_sqlite_finish,
	.snapshot = store_sqlite_snapshot,
	.snapshot_close = store_sqlite_snapshot_close,
	.snapshot_info = store_sqlite_snapshot_info,
	.columns = store_sqlite_columns,
	.rows = store_sqlite_rows,
	.next = store_sqlite_next,
	.rows_close = store_sqlite_rows_close,
	.row_count = store_sqlite_row_count,
	.park = store_sqlite_park,
	.unpark = store_sqlite_unpark,
	.parked = store_sqlite_parked,
	.savepoint = store_sqlite_savepoint,
	.undo = store_sqlite_undo,
	.room = store_sqlite_room,
};
