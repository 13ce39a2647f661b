/* public.c - a version's state, the public name, and columns that a version gets in place. */
#include "projections/store/sqlite/sqlite_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

int store_sqlite_set_state(struct store *s, int version, enum store_state state, bool swap,
			   struct err *e)
{
	char *path = store_sqlite_path(store_files_of(s), version);
	struct sql_db *db = NULL;
	struct value row[] = {
		store_sqlite_text(store_state_name(state)),
		store_sqlite_int(swap),
		store_sqlite_int(state == STORE_SUPERSEDED ? clock_now_us() : 0),
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

int store_sqlite_publish(struct store *s, int version, struct err *e)
{
	const struct store_files *f = store_files_of(s);
	struct err after = ERR_INIT;
	struct store_info info;
	int old, rc;

	if (store_sqlite_live(f, &old, e) < 0)
		return -1;
	rc = store_sqlite_read_info(f, version, &info, e);
	if (rc < 0)
		return -1;
	if (rc == 0 || !info.built)
		return err_config(e, "view %s: version %d is not built", f->view, version);
	/* `swap` stays on until the name has moved: so a crash between the two is told from one
	 * behind them */
	if (store_sqlite_set_state(s, version, STORE_LIVE, true, e) < 0 ||
	    move_name(f, version, e) < 0)
		return -1;
	FAULT(view_named);
	/* From here on the version is live: readers see it. What fails now (a full disk, a file
	 * taken away) must not undo that; the next open mends it. */
	if (store_sqlite_sync(f->state_dir, &after) < 0 ||
	    store_sqlite_set_state(s, version, STORE_LIVE, false, &after) < 0)
		log_err(LOG_LEVEL_WARNING, "view", f->view, &after);
	/* the old row says so to readers that stayed */
	if (old != 0 && old != version &&
	    store_sqlite_set_state(s, old, STORE_SUPERSEDED, false, &after) < 0)
		log_err(LOG_LEVEL_WARNING, "view", f->view, &after);
	return 0;
}

static int amend_in(struct sql_db *db, const char *sql, const char *file, const char *text,
		    struct err *e)
{
	struct value row[] = { store_sqlite_text(file), store_sqlite_text(text) };

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
int store_sqlite_amend(struct store *s, int version, const char *sql, const char *file,
		       const char *text, struct err *e)
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
