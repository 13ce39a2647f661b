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

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/gtid.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION_MAX 1000000
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

/* The kernel's id of this run of the machine (random(4)). */
static void read_boot(char *ret_boot, size_t size)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	ret_boot[0] = '\0';
	if (f == NULL)
		return;
	if (fgets(ret_boot, (int)size, f) != NULL)
		ret_boot[strcspn(ret_boot, "\n")] = '\0';
	fclose(f);
}

bool store_sqlite_stale(const char *boot)
{
	char now[64];

	read_boot(now, sizeof(now));
	return strcmp(boot, now) != 0;
}

int store_sqlite_change(struct sql_db *db, const char *sql, const struct value *values, int count,
			struct err *e)
{
	struct sql_statement *s;
	int rc = 0;

	if (sql_prepare(db, "store", sql, NULL, &s, e) < 0)
		return -1;
	for (int i = 0; i < count && rc == 0; i++)
		rc = sql_bind(s, i + 1, &values[i], e);
	if (rc == 0)
		rc = sql_step(s, e);
	sql_finalize(s);
	return rc < 0 ? -1 : 0;
}

static struct value text_value(const char *text)
{
	return (struct value){ .kind = VALUE_TEXT, .bytes = slice_str(text) };
}

static struct value int_value(int64_t i)
{
	return (struct value){ .kind = VALUE_INT, .i = i };
}

/* ---- the place ------------------------------------------------------------------------------- */

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

/* The version that the public name leads to; 0: none. */
static int live_version(const struct store_files *f, int *ret_version, struct err *e)
{
	char target[4096], *end;
	ssize_t n = readlink(f->public_path, target, sizeof(target) - 1);
	const char *base;
	long version;

	*ret_version = 0;
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0) {
		err_config(e, "%s: %s", f->public_path,
			   errno == EINVAL ? "not a symlink" : strerror(errno));
		return err_hint(
			e,
			"This is the public name of view %s; move what stands there out of the "
			"way.",
			f->view);
	}
	target[n] = '\0';
	base = strrchr(target, '/');
	base = base != NULL ? base + 1 : target;
	version = base[0] == 'v' ? strtol(base + 1, &end, 10) : 0;
	if (version < 1 || version > VERSION_MAX || strcmp(end, ".db") != 0)
		return err_config(e, "%s leads to %s, which is no version of the view",
				  f->public_path, target);
	*ret_version = (int)version;
	return 0;
}

int store_sqlite_info(struct sql_db *db, struct store_info *ret_info, struct err *e)
{
	struct sql_statement *s;
	struct value v[11];
	char boot[64];
	int rc;

	if (sql_prepare(
		    db, "store",
		    "SELECT version, state, definition, made_us, superseded_us, built, swap, "
		    "boot, seq, "
		    "commit_us, gtid_set FROM millrace_view, millrace_position",
		    NULL, &s, e) < 0)
		return -1;
	rc = sql_step(s, e);
	if (rc == 1) {
		for (int i = 0; i < 11; i++)
			sql_column(s, i, &v[i]);
		*ret_info = (struct store_info){
			.version = (int)v[0].i,
			.state = store_state_of(v[1].bytes),
			.made_us = v[3].i,
			.superseded_us = v[4].i,
			.built = v[5].i != 0,
			.swap = v[6].i != 0,
			.seq = v[8].i,
			.commit_us = v[9].i,
		};
		snprintf(ret_info->fingerprint, sizeof(ret_info->fingerprint), "%.*s",
			 (int)v[2].bytes.size, (const char *)v[2].bytes.data);
		gtid_text_cut(v[10].bytes, ret_info->gtid_set, sizeof(ret_info->gtid_set));
		snprintf(boot, sizeof(boot), "%.*s", (int)v[7].bytes.size,
			 (const char *)v[7].bytes.data);
		ret_info->stale = !ret_info->built && store_sqlite_stale(boot);
	}
	sql_finalize(s);
	return rc < 0 ? -1 : rc == 1 ? 0 : err_data(e, "no bookkeeping in the file");
}

/* 1: read; 0: the file was never completely made; -1: error. */
static int read_info(const struct store_files *f, int version, struct store_info *ret_info,
		     struct err *e)
{
	char *path = store_sqlite_path(f, version);
	struct sql_db *db = NULL;
	int64_t tables = 0;
	int rc = -1;

	if (sql_open_db(path, SQL_OPEN_READ, &db, e) == 0 &&
	    sql_get_int(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'millrace_view'",
			&tables, e) == 0) {
		if (tables == 0)
			rc = 0;
		else
			rc = store_sqlite_info(db, ret_info, e) < 0 ? -1 : 1;
	}
	sql_close(db);
	free(path);
	return rc;
}

static int version_of_name(const char *name)
{
	char *end;
	long n;

	if (name[0] != 'v' || name[1] < '1' || name[1] > '9')
		return 0;
	n = strtol(name + 1, &end, 10);
	return strcmp(end, ".db") == 0 && n <= VERSION_MAX ? (int)n : 0;
}

/* What SQLite keeps beside a version's file goes with it; a crash between leaves it alone, and
 * nobody would ever remove it. Only when its file is gone: it comes first, and goes first. */
static void sweep(const struct store_files *f, const char *name)
{
	const char *ending = strstr(name, ".db-");
	char *beside = NULL, *file = NULL;

	if (name[0] != 'v' || ending == NULL)
		return;
	beside = xasprintf("%s/%s", f->dir, name);
	file = xasprintf("%s/%.*s.db", f->dir, (int)(ending - name), name);
	if (access(file, F_OK) < 0 && errno == ENOENT)
		(void)unlink(beside); /* the next look tries again */
	free(beside);
	free(file);
}

static bool is_gone(const struct store_files *f, int version)
{
	char *path = store_sqlite_path(f, version);
	bool gone = access(path, F_OK) < 0 && errno == ENOENT;

	free(path);
	return gone;
}

/* As read_info. A version that can't be read any more must not keep the live one from being served:
 * it counts as failed, and the next replay removes it. One that was removed since the folder was
 * read is no version. */
static int read_listed(const struct store_files *f, int version, int live,
		       struct store_info *ret_info, struct err *e)
{
	int rc = read_info(f, version, ret_info, e);

	if (rc < 0 && is_gone(f, version)) {
		err_clear(e);
		return 0;
	}
	if (rc >= 0 || e->kind != ERR_FATAL)
		return rc;
	if (version == live)
		return err_hint(e, "Move the file out of the way and start again: the view is "
				   "built anew from offset zero.");
	err_clear(e);
	*ret_info = (struct store_info){ .version = version, .state = STORE_FAILED };
	return 1;
}

static int list(struct store *s, struct store_info **ret_infos, size_t *ret_count, struct err *e)
{
	const struct store_files *f = store_files_of(s);
	struct store_info *infos = NULL;
	size_t count = 0;
	const struct dirent *entry;
	DIR *folder;
	int live, rc = 0;

	if (live_version(f, &live, e) < 0)
		return -1;
	folder = opendir(f->dir);
	if (folder == NULL)
		return err_config(e, "%s: %s", f->dir, strerror(errno));
	while (rc >= 0 && (entry = readdir(folder)) != NULL) {
		int version = version_of_name(entry->d_name);
		struct store_info info;

		sweep(f, entry->d_name);
		if (version == 0 || (rc = read_listed(f, version, live, &info, e)) != 1)
			continue;
		info.version = version;
		if (version == live && info.built)
			info.state = STORE_LIVE;
		else if (info.state == STORE_LIVE) /* a crash on either side of the rename */
			info.state = !info.built ? STORE_BUILDING
				     : info.swap ? STORE_READY
						 : STORE_SUPERSEDED;
		infos = xrealloc(infos, (count + 1) * sizeof(*infos));
		infos[count++] = info;
	}
	closedir(folder);
	if (rc < 0) {
		free(infos);
		return err_wrap(e, "view %s", f->view);
	}
	store_sort_infos(infos, count);
	*ret_infos = infos;
	*ret_count = count;
	return 0;
}

/* ---- making and removing --------------------------------------------------------------------- */

/* The file first: what is beside it means nothing without it. */
static int remove_file(const char *path, struct err *e)
{
	static const char *const endings[] = { "", "-wal", "-shm", "-journal" };
	int rc = 0;

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]) && rc == 0; i++) {
		char *file = xasprintf("%s%s", path, endings[i]);

		if (unlink(file) < 0 && errno != ENOENT)
			rc = err_fatal(e, "%s: %s", file, strerror(errno));
		free(file);
		FAULT(view_dropped);
	}
	return rc;
}

static int remove_version(struct store *s, int version, struct err *e)
{
	char *path = store_sqlite_path(store_files_of(s), version);
	int rc = remove_file(path, e);

	free(path);
	return rc;
}

static const char own_tables[] =
	"CREATE TABLE millrace_view (one INTEGER PRIMARY KEY CHECK (one = 1), view TEXT NOT NULL, "
	"version INTEGER "
	"NOT NULL, state TEXT NOT NULL, definition TEXT NOT NULL, owner TEXT, made_us INTEGER NOT "
	"NULL, built_us INTEGER "
	"NOT NULL DEFAULT 0, superseded_us INTEGER NOT NULL DEFAULT 0, built INTEGER NOT NULL "
	"DEFAULT 0, swap INTEGER NOT "
	"NULL, boot TEXT NOT NULL);"
	"CREATE TABLE millrace_position (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT "
	"NULL, gtid_set TEXT NOT "
	"NULL, commit_us INTEGER NOT NULL, position TEXT);"
	"CREATE TABLE millrace_definition (path TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT "
	"ROWID;"
	"CREATE TABLE millrace_epoch (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT "
	"NULL);"
	"INSERT INTO millrace_position VALUES (1, 0, '', 0, NULL);"
	"INSERT INTO millrace_epoch VALUES (1, 0);";

static int write_bookkeeping(struct sql_db *db, const struct view *view, int version, bool swap,
			     struct err *e)
{
	char boot[64];
	struct value row[] = {
		text_value(view->name),
		int_value(version),
		text_value(view->fingerprint),
		text_value(view->owner != NULL ? view->owner : ""),
		int_value(clock_now_us()),
		int_value(swap),
		text_value(boot),
	};

	read_boot(boot, sizeof(boot));
	row[6] = text_value(boot);
	if (sql_script(db, "store", own_tables, e) < 0 ||
	    store_sqlite_change(
		    db,
		    "INSERT INTO millrace_view (one, view, version, state, definition, owner, "
		    "made_us, swap, "
		    "boot) VALUES (1, ?1, ?2, 'building', ?3, ?4, ?5, ?6, ?7)",
		    row, 7, e) < 0)
		return -1;
	for (size_t i = 0; i < view->files.count; i++) {
		struct value file[] = { text_value(view->files.items[i].name),
					text_value(view->files.items[i].text) };

		if (store_sqlite_change(db, "INSERT INTO millrace_definition VALUES (?1, ?2)", file,
					2, e) < 0)
			return -1;
	}
	return 0;
}

/* A public name that leads to a file which was taken away must not lead to its half-built
 * successor. */
static int hide(const struct store_files *f, int version, struct err *e)
{
	int live;

	if (live_version(f, &live, e) < 0)
		return -1;
	if (live == version && unlink(f->public_path) < 0 && errno != ENOENT)
		return err_fatal(e, "%s: %s", f->public_path, strerror(errno));
	return 0;
}

/* The file with its bookkeeping and the view's tables, and nothing of it in a WAL. */
static int make_file(const char *path, const struct view *view, int version, bool swap,
		     struct err *e)
{
	struct sql_db *db = NULL;
	int rc = -1;

	if (sql_open_db(path, SQL_OPEN_CREATE, &db, e) < 0 ||
	    sql_run(db, "BEGIN IMMEDIATE", e) < 0 ||
	    write_bookkeeping(db, view, version, swap, e) < 0)
		goto out;
	sql_guard(db, true);
	rc = sql_script(db, "tables.sql", view->create_sql, e);
	sql_guard(db, false);
	FAULT(view_creating);
	if (rc == 0)
		rc = sql_run(db, "COMMIT", e);
	if (rc == 0)
		rc = sql_run(db, "PRAGMA wal_checkpoint(TRUNCATE)", e);
out:
	sql_close(db);
	return rc;
}

static int create(struct store *s, const struct view *view, int version, bool swap, struct err *e)
{
	const struct store_files *f = store_files_of(s);
	char *making = xasprintf("%s/making.db", f->dir);
	char *path = store_sqlite_path(f, version);
	struct err ignored = ERR_INIT;
	int rc = -1;

	if (hide(f, version, e) == 0 && remove_version(s, version, e) == 0 &&
	    remove_file(making, e) == 0)
		rc = make_file(making, view, version, swap, e);
	if (rc == 0 && rename(making, path) < 0)
		rc = err_fatal(e, "%s: %s", path, strerror(errno));
	if (rc == 0)
		rc = store_sqlite_sync(f->dir, e);
	if (rc < 0) {
		(void)remove_file(making, &ignored); /* the next create would, too */
		(void)remove_version(s, version, &ignored);
		err_wrap(e, "view %s, version %d", f->view, version);
	}
	free(path);
	free(making);
	return rc;
}

static int definition(struct store *s, int version, struct view_files *ret_files, struct err *e)
{
	char *path = store_sqlite_path(store_files_of(s), version);
	struct view_files files = { 0 };
	struct sql_statement *q = NULL;
	struct sql_db *db = NULL;
	int rc = -1;

	if (sql_open_db(path, SQL_OPEN_READ, &db, e) < 0 ||
	    sql_prepare(db, path, "SELECT path, content FROM millrace_definition", NULL, &q, e) < 0)
		goto out;
	while ((rc = sql_step(q, e)) == 1) {
		struct value name, text;
		char *file;

		sql_column(q, 0, &name);
		sql_column(q, 1, &text);
		file = xstrndup((const char *)name.bytes.data, name.bytes.size);
		view_files_add(&files, file,
			       xstrndup((const char *)text.bytes.data, text.bytes.size));
		free(file);
	}
out:
	sql_finalize(q);
	sql_close(db);
	free(path);
	if (rc < 0)
		view_files_done(&files);
	else
		*ret_files = files;
	return rc;
}

/* ---- states and the public name -------------------------------------------------------------- */

static int set_state(struct store *s, int version, enum store_state state, bool swap, struct err *e)
{
	char *path = store_sqlite_path(store_files_of(s), version);
	struct sql_db *db = NULL;
	struct value row[] = {
		text_value(store_state_name(state)),
		int_value(swap),
		int_value(state == STORE_SUPERSEDED ? clock_now_us() : 0),
	};
	int rc = -1;

	if (sql_open_db(path, SQL_OPEN_WRITE, &db, e) == 0)
		rc = store_sqlite_change(
			db, "UPDATE millrace_view SET state = ?1, swap = ?2, superseded_us = ?3",
			row, 3, e);
	sql_close(db);
	free(path);
	return rc;
}

static int move_name(const struct store_files *f, int version, struct err *e)
{
	char *target = xasprintf("views/%s/v%d.db", f->view, version);
	char *temporary = xasprintf("%s/.%s.db.new", f->state_dir, f->view);
	int rc = 0;

	if (BUG(view_swap))
		(void)unlink(f->public_path);
	FAULT(view_naming);
	if (unlink(temporary) < 0 && errno != ENOENT)
		rc = err_fatal(e, "%s: %s", temporary, strerror(errno));
	else if (symlink(target, temporary) < 0 || rename(temporary, f->public_path) < 0)
		rc = err_fatal(e, "%s: %s", f->public_path, strerror(errno));
	free(target);
	free(temporary);
	return rc;
}

static int publish(struct store *s, int version, struct err *e)
{
	const struct store_files *f = store_files_of(s);
	struct err after = ERR_INIT;
	struct store_info info;
	int old, rc;

	if (live_version(f, &old, e) < 0)
		return -1;
	rc = read_info(f, version, &info, e);
	if (rc < 0)
		return -1;
	if (rc == 0 || !info.built)
		return err_config(e, "view %s: version %d is not built", f->view, version);
	/* `swap` stays on until the name has moved: so a crash between the two is told from one
	 * behind them */
	if (set_state(s, version, STORE_LIVE, true, e) < 0 || move_name(f, version, e) < 0)
		return -1;
	FAULT(view_named);
	/* From here on the version is live: readers see it. What fails now (a full disk, a file
	 * taken away) must not undo that; the next open mends it. */
	if (store_sqlite_sync(f->state_dir, &after) < 0 ||
	    set_state(s, version, STORE_LIVE, false, &after) < 0)
		log_err(LOG_LEVEL_WARNING, "view", f->view, &after);
	/* the old row says so to readers that stayed */
	if (old != 0 && old != version && set_state(s, old, STORE_SUPERSEDED, false, &after) < 0)
		log_err(LOG_LEVEL_WARNING, "view", f->view, &after);
	return 0;
}

static int amend_in(struct sql_db *db, const char *sql, const char *file, const char *text,
		    struct err *e)
{
	struct value row[] = { text_value(file), text_value(text) };

	return sql_run(db, "BEGIN IMMEDIATE", e) < 0 || sql_script(db, file, sql, e) < 0 ||
			       store_sqlite_change(db,
						   "UPDATE millrace_definition SET content = ?2 "
						   "WHERE path = ?1",
						   row, 2, e) < 0 ||
			       sql_run(db, "COMMIT", e) < 0
		       ? -1
		       : 0;
}

/* Readers of the file see the new columns with their next statement. */
static int amend(struct store *s, int version, const char *sql, const char *file, const char *text,
		 struct err *e)
{
	char *path = store_sqlite_path(store_files_of(s), version);
	struct sql_db *db = NULL;
	int rc = sql_open_db(path, SQL_OPEN_WRITE, &db, e);

	if (rc == 0)
		rc = amend_in(db, sql, file, text, e);
	sql_close(db);
	free(path);
	return rc;
}

const struct store_ops store_sqlite = {
	.name = "sqlite",
	.open = open_store,
	.close = close_store,
	.list = list,
	.create = create,
	.definition = definition,
	.set_state = set_state,
	.remove = remove_version,
	.publish = publish,
	.place = place,
	.amend = amend,
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
