/* version.c - one version file, opened by the thread that writes it.
 *
 * A commit is one SQLite transaction: rows, then `UPDATE millrace_position ... WHERE epoch = mine`.
 * Opening a version counts its epoch up; so a writer that slept through a take-over finds its
 * update touching no row, rolls back and stops.
 *
 * While a version is built nothing waits for the disk (synchronous = OFF; killing the process loses
 * nothing, because the kernel has the pages; a power cut may, and `boot` in millrace_view tells).
 * finish() makes the secondary indexes, copies the WAL into the file, and syncs file and folder:
 * from then on synchronous = NORMAL, which keeps the file whole through a power cut (rows and
 * position may then step back together by some commits, and are applied again). */
#include "projections/store/sqlite/sqlite_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#include <stdlib.h>

void store_sqlite_version_close(struct store_version *v)
{
	if (v == NULL)
		return;
	if (v->db != NULL && sql_in_transaction(v->db))
		store_sqlite_rollback(v);
	sql_finalize(v->begin);
	sql_finalize(v->commit);
	sql_finalize(v->rollback);
	sql_finalize(v->mark);
	sql_close(v->db);
	free(v->path);
	free(v->dir);
	free(v);
}

static int configure(struct store_version *v, struct err *e)
{
	/* cache in kB; the WAL goes into the file every 16 MB, and keeps at most 64 MB between */
	return sql_run(v->db,
		       v->built ? "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8000"
				: "PRAGMA synchronous = OFF; PRAGMA cache_size = -24000",
		       e) < 0 ||
			       sql_run(v->db,
				       "PRAGMA wal_autocheckpoint = 4000; PRAGMA "
				       "journal_size_limit = 67108864",
				       e) < 0
		       ? -1
		       : 0;
}

static int prepare(struct store_version *v, struct err *e)
{
	static const char mark[] =
		"UPDATE millrace_position SET seq = ?1, gtid_set = ?2, commit_us = ?3, position = "
		"?4 "
		"WHERE (SELECT epoch FROM millrace_epoch) = ?5";

	return sql_prepare(v->db, v->path, "BEGIN IMMEDIATE", NULL, &v->begin, e) < 0 ||
			       sql_prepare(v->db, v->path, "COMMIT", NULL, &v->commit, e) < 0 ||
			       sql_prepare(v->db, v->path, "ROLLBACK", NULL, &v->rollback, e) < 0 ||
			       sql_prepare(v->db, v->path, mark, NULL, &v->mark, e) < 0
		       ? -1
		       : 0;
}

int store_sqlite_version_open(struct store *s, int version, struct store_version **ret_version,
			      struct err *e)
{
	struct store_version *v = xcalloc(1, sizeof(*v));
	int64_t built = 0;

	v->path = store_sqlite_path(store_files_of(s), version);
	v->dir = xstrdup(store_files_of(s)->dir);
	if (sql_open_db(v->path, SQL_OPEN_WRITE, &v->db, e) < 0 ||
	    sql_get_int(v->db, "SELECT built FROM millrace_view", &built, e) < 0)
		goto fail;
	v->built = built != 0;
	if (configure(v, e) < 0 ||
	    sql_run(v->db, "UPDATE millrace_epoch SET epoch = epoch + 1", e) < 0 ||
	    sql_get_int(v->db, "SELECT epoch FROM millrace_epoch", &v->epoch, e) < 0 ||
	    prepare(v, e) < 0)
		goto fail;
	target_sqlite_init(&v->target, v->db);
	*ret_version = v;
	return 0;
fail:
	store_sqlite_version_close(v);
	return -1;
}

struct target *store_sqlite_target(struct store_version *v)
{
	return &v->target.target;
}

int store_sqlite_position(struct store_version *v, char **ret_text, struct err *e)
{
	return sql_get_text(v->db, "SELECT position FROM millrace_position", ret_text, e);
}

static int run(struct sql_statement *s, struct err *e)
{
	int rc = sql_step(s, e);

	sql_reset(s);
	return rc;
}

int store_sqlite_begin(struct store_version *v, struct err *e)
{
	v->saved = false;
	return run(v->begin, e);
}

void store_sqlite_rollback(struct store_version *v)
{
	struct err ignored = ERR_INIT;

	if (sql_in_transaction(v->db))
		(void)run(v->rollback, &ignored); /* a transaction that can't be rolled back ends
						     with the connection */
}

static int fenced(const struct store_version *v, struct err *e)
{
	err_fatal(e, "%s: another process writes this version", v->path);
	err_exit(e, EXIT_FENCED);
	return err_hint(
		e,
		"Two processes worked on one view; this one stops. Check that only one uses this "
		"state folder.");
}

int store_sqlite_commit(struct store_version *v, const struct store_mark *mark, struct err *e)
{
	struct value row[] = {
		{ .kind = VALUE_INT, .i = mark->seq },
		{ .kind = VALUE_TEXT, .bytes = slice_str(mark->gtid_set) },
		{ .kind = VALUE_INT, .i = mark->commit_us },
		{ .kind = VALUE_TEXT, .bytes = mark->position },
		{ .kind = VALUE_INT, .i = v->epoch },
	};
	int rc = 0;

	if (BUG(view_position) && (run(v->commit, e) < 0 || run(v->begin, e) < 0))
		return -1;
	FAULT(view_rows);
	if (!sql_in_transaction(v->db)) /* SQLite rolled it back: the position must not go alone */
		return err_retry(e, "%s: the rows of the transaction are gone", v->path);
	for (int i = 0; i < 5 && rc == 0; i++)
		rc = sql_bind(v->mark, i + 1, &row[i], e);
	if (rc == 0)
		rc = run(v->mark, e);
	if (rc == 0 && sql_changes(v->db) != 1)
		rc = fenced(v, e);
	FAULT(view_position);
	if (rc == 0)
		rc = run(v->commit, e);
	FAULT(view_committed);
	if (rc < 0)
		store_sqlite_rollback(v);
	return rc;
}

static int make_indexes(struct store_version *v, const char *sql, struct err *e)
{
	struct value now = { .kind = VALUE_INT, .i = clock_now_us() };
	int rc;

	if (store_sqlite_begin(v, e) < 0)
		return -1;
	sql_guard(v->db, true);
	rc = sql_script(v->db, "tables.sql", sql, e);
	sql_guard(v->db, false);
	if (rc == 0)
		rc = store_sqlite_change(v->db, "UPDATE millrace_view SET built = 1, built_us = ?1",
					 &now, 1, e);
	if (rc == 0)
		rc = run(v->commit, e);
	if (rc < 0)
		store_sqlite_rollback(v);
	return rc;
}

/* `built` must not be on disk before what it promises: all rows first, then the indexes with the
 * mark. */
int store_sqlite_finish(struct store_version *v, const char *after_build_sql, struct err *e)
{
	if (v->built)
		return 0;
	if (sql_run(v->db, "PRAGMA wal_checkpoint(TRUNCATE)", e) < 0 ||
	    sql_sync(v->db, e) < 0 ||
	    sql_run(v->db, "PRAGMA synchronous = FULL", e) < 0 ||
	    make_indexes(v, after_build_sql, e) < 0 ||
	    sql_run(v->db, "PRAGMA wal_checkpoint(TRUNCATE)", e) < 0 ||
	    sql_sync(v->db, e) < 0 || store_sqlite_sync(v->dir, e) < 0)
		return err_wrap(e, "end of the build");
	v->built = true;
	return configure(v, e);
}
