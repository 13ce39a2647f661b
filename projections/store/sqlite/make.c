/* make.c - files of versions are made, and removed. */
#include "projections/store/sqlite/sqlite_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

int store_sqlite_remove(struct store *s, int version, struct err *e)
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
		store_sqlite_text(view->name),
		store_sqlite_int(version),
		store_sqlite_text(view->fingerprint),
		store_sqlite_text(view->owner != NULL ? view->owner : ""),
		store_sqlite_int(clock_now_us()),
		store_sqlite_int(swap),
		store_sqlite_text(boot),
	};

	store_sqlite_boot(boot, sizeof(boot));
	row[6] = store_sqlite_text(boot);
	if (sql_script(db, "store", own_tables, e) < 0 ||
	    store_sqlite_change(
		    db,
		    "INSERT INTO millrace_view (one, view, version, state, definition, owner, "
		    "made_us, swap, "
		    "boot) VALUES (1, ?1, ?2, 'building', ?3, ?4, ?5, ?6, ?7)",
		    row, 7, e) < 0)
		return -1;
	for (size_t i = 0; i < view->files.count; i++) {
		struct value file[] = { store_sqlite_text(view->files.items[i].name),
					store_sqlite_text(view->files.items[i].text) };

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

	if (store_sqlite_live(f, &live, e) < 0)
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

int store_sqlite_create(struct store *s, const struct view *view, int version, bool swap,
			struct err *e)
{
	const struct store_files *f = store_files_of(s);
	char *making = xasprintf("%s/making.db", f->dir);
	char *path = store_sqlite_path(f, version);
	struct err ignored = ERR_INIT;
	int rc = -1;

	if (hide(f, version, e) == 0 && store_sqlite_remove(s, version, e) == 0 &&
	    remove_file(making, e) == 0)
		rc = make_file(making, view, version, swap, e);
	if (rc == 0 && rename(making, path) < 0)
		rc = err_fatal(e, "%s: %s", path, strerror(errno));
	if (rc == 0)
		rc = store_sqlite_sync(f->dir, e);
	if (rc < 0) {
		(void)remove_file(making, &ignored); /* the next create would, too */
		(void)store_sqlite_remove(s, version, &ignored);
		err_wrap(e, "view %s, version %d", f->view, version);
	}
	free(path);
	free(making);
	return rc;
}

int store_sqlite_definition(struct store *s, int version, struct view_files *ret_files,
			    struct err *e)
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
