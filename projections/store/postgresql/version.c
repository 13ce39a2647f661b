/* version.c - one version's schema, opened by the thread that writes it.
 *
 * A commit is one transaction, sent as one piece: rows, then the position `FROM` the epoch's row,
 * which is locked and must still hold our epoch, then COMMIT. Opening a version counts its epoch
 * up under the same lock. So either the commit comes first, and who opens reads the new position;
 * or the epoch does, and the commit fails: the statement that finds no row ends in an error that
 * nothing else can raise (width_bucket without buckets), and the server leaves out the COMMIT
 * behind it.
 *
 * A writer that was stopped may hold row locks in a transaction that doesn't end: who opens the
 * version ends its session first, found by the backend that the epoch's row names. The other one
 * finds its connection lost when it wakes, and would open anew: but its store remembers the epoch
 * it took, finds another, and stops for good (EXIT_FENCED).
 *
 * While a version is built no commit waits for the disk (synchronous_commit = off: a server that
 * dies takes back the last commits, rows and position together). finish() makes the secondary
 * indexes and commits for good; from then on the server's own setting holds. */
#include "projections/store/postgresql/postgresql_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char mark_sql[] =
	"WITH mine AS MATERIALIZED (SELECT epoch FROM millrace_epoch WHERE epoch = $5 FOR SHARE), "
	"moved AS (UPDATE millrace_position SET seq = $1, gtid_set = $2, commit_us = $3, position "
	"= $4 FROM mine RETURNING 1) SELECT width_bucket(1, 0, 2, count(*)::integer) FROM moved";
#define STATE_FENCED "2201G" /* what width_bucket says of no buckets */

void store_postgresql_version_close(struct store_version *v)
{
	if (v == NULL)
		return;
	if (v->pg != NULL)
		store_postgresql_undo_all(v->pg);
	target_postgresql_done(&v->target);
	pg_finalize(v->mark);
	pg_close(v->pg);
	free(v->schema);
	free(v);
}

/* The session of the writer before, whatever it is doing. Waits until its locks are gone. */
static int end_writer(struct store_version *v, struct err *e)
{
	/* materialized: else the server may end sessions before it has looked which */
	static const char ends[] =
		"WITH old AS MATERIALIZED (SELECT a.pid FROM pg_stat_activity a JOIN "
		"millrace_epoch m ON m.backend = a.pid AND m.started = a.backend_start::text WHERE "
		"a.pid <> pg_backend_pid() AND a.usename = current_user) SELECT "
		"count(pg_terminate_backend(pid, 5000)) FROM old";
	int64_t ended;

	return pg_get_int(v->pg, ends, NULL, 0, &ended, e);
}

static int take_epoch(struct store_version *v, struct err *e)
{
	int64_t mine = store_postgresql_epoch(v->store, v->version), epoch;
	struct pg_result *r = NULL;
	char text[24];
	const char *values[] = { text };
	int rc;

	if (pg_get_int(v->pg, "SELECT epoch FROM millrace_epoch", NULL, 0, &epoch, e) < 0)
		return -1;
	if (mine != 0 && epoch != mine)
		return store_postgresql_fenced(v->schema, e);
	if (end_writer(v, e) < 0)
		return -1;
	(void)snprintf(text, sizeof(text), "%" PRId64, epoch);
	rc = pg_ask(v->pg,
		    "UPDATE millrace_epoch SET epoch = epoch + 1, backend = pg_backend_pid(), "
		    "started = (SELECT backend_start::text FROM pg_stat_activity WHERE pid = "
		    "pg_backend_pid()) WHERE epoch = $1 RETURNING epoch",
		    values, 1, &r, e);
	if (rc == 0 && pg_rows(r) != 1)
		rc = err_retry(e, "%s: another process opens this version", v->schema);
	if (rc == 0) {
		v->epoch = pg_int(r, 0, 0);
		store_postgresql_set_epoch(v->store, v->version, v->epoch);
	}
	pg_result_free(r);
	return rc;
}

static int open_it(struct store_version *v, struct err *e)
{
	char *built = NULL;
	bool there;
	int rc;

	if (store_postgresql_connect(v->store, v->schema, &v->pg, e) < 0 ||
	    store_postgresql_owned(v->store, v->pg, v->schema, &there, e) < 0)
		return -1;
	if (!there)
		return err_config(e, "there is no schema %s", v->schema);
	if (pg_get_text(v->pg, "SELECT built FROM millrace_view", NULL, 0, &built, e) < 0)
		return -1;
	v->built = built != NULL && built[0] == 't';
	free(built);
	rc = v->built ? 0 : pg_run(v->pg, "SET synchronous_commit = off", e);
	if (rc == 0 && !v->shared)
		rc = take_epoch(v, e);
	if (rc == 0)
		rc = pg_prepare(v->pg, "commit", mark_sql, mark_sql, mark_sql, &v->mark, e);
	return rc;
}

static int open_as(struct store *s, int version, bool shared, struct store_version **ret_version,
		   struct err *e)
{
	struct store_version *v = xcalloc(1, sizeof(*v));

	v->store = pg_store_of(s);
	v->version = version;
	v->shared = shared;
	v->schema = store_postgresql_schema(v->store, version);
	target_postgresql_init(&v->target, NULL);
	if (open_it(v, e) < 0) {
		err_wrap(e, "view %s, version %d", v->store->view, version);
		store_postgresql_version_close(v);
		return -1;
	}
	v->target.pg = v->pg;
	*ret_version = v;
	return 0;
}

int store_postgresql_version_open(struct store *s, int version, struct store_version **ret_version,
				  struct err *e)
{
	return open_as(s, version, false, ret_version, e);
}

int store_postgresql_version_share(struct store *s, int version, struct store_version **ret_version,
				   struct err *e)
{
	return open_as(s, version, true, ret_version, e);
}

struct target *store_postgresql_target(struct store_version *v)
{
	return &v->target.target;
}

int store_postgresql_position(struct store_version *v, char **ret_text, struct err *e)
{
	return pg_get_text(v->pg, "SELECT position FROM millrace_position", NULL, 0, ret_text, e);
}

int store_postgresql_begin(struct store_version *v, struct err *e)
{
	v->saved = false;
	return pg_queue(v->pg, "BEGIN", e);
}

void store_postgresql_rollback(struct store_version *v)
{
	target_postgresql_forget(&v->target);
	store_postgresql_undo_all(v->pg);
}

/* ---- commit ---------------------------------------------------------------------------------- */

static int queue_mark(struct store_version *v, const struct store_mark *mark, struct err *e)
{
	struct value row[] = {
		{ .kind = VALUE_INT, .i = mark->seq },
		{ .kind = VALUE_TEXT, .bytes = slice_str(mark->gtid_set) },
		{ .kind = VALUE_INT, .i = mark->commit_us },
		{ .kind = VALUE_TEXT, .bytes = mark->position },
		{ .kind = VALUE_INT, .i = v->epoch },
	};
	const struct value *values[] = { &row[0], &row[1], &row[2], &row[3], &row[4] };

	return pg_send(v->mark, values, e);
}

#ifdef MILLRACE_FAULTS
/* One after the other, so that the tests can stop the process in between. */
static int commit_in_steps(struct store_version *v, const struct store_mark *mark, struct err *e)
{
	if (pg_drain(v->pg, NULL, e) < 0)
		return -1;
	FAULT(view_rows);
	if (BUG(view_position) && pg_run(v->pg, "COMMIT; BEGIN", e) < 0)
		return -1;
	if (queue_mark(v, mark, e) < 0 || pg_drain(v->pg, NULL, e) < 0)
		return -1;
	FAULT(view_position);
	return pg_run(v->pg, "COMMIT", e);
}
#endif

static int send_commit(struct store_version *v, const struct store_mark *mark, struct err *e)
{
	if (target_postgresql_queue(&v->target, e) < 0)
		return -1;
#ifdef MILLRACE_FAULTS
	return commit_in_steps(v, mark, e);
#else
	if (queue_mark(v, mark, e) < 0 || pg_queue(v->pg, "COMMIT", e) < 0)
		return -1;
	return pg_drain(v->pg, NULL, e);
#endif
}

int store_postgresql_commit(struct store_version *v, const struct store_mark *mark, struct err *e)
{
	int rc = send_commit(v, mark, e);

	FAULT(view_committed);
	if (rc == 0)
		return 0;
	if (strcmp(pg_state(v->pg), STATE_FENCED) == 0 && !pg_is_lost(v->pg)) {
		err_clear(e);
		store_postgresql_fenced(v->schema, e);
	}
	store_postgresql_rollback(v);
	return -1;
}

/* ---- the end of a build ---------------------------------------------------------------------- */

/* built_xid: whoever has a snapshot from before this transaction may not be led here. */
static int finish(struct store_version *v, const char *sql, struct err *e)
{
	char now[24];
	const char *values[] = { now };

	(void)snprintf(now, sizeof(now), "%" PRId64, clock_now_us());
	if (pg_run(v->pg, "SET synchronous_commit = on; BEGIN", e) < 0 ||
	    (!v->shared && store_postgresql_ours(v->store, v->pg, v->schema, v->version, e) < 0) ||
	    store_postgresql_script(v->pg, "tables.sql", sql, e) < 0)
		return -1;
	FAULT(view_finish);
	if (pg_ask(v->pg,
		   "UPDATE millrace_view SET built = true, built_us = $1, built_xid = "
		   "pg_current_xact_id()::text::bigint",
		   values, 1, NULL, e) < 0)
		return -1;
	return pg_run(v->pg, "COMMIT", e);
}

/* So that the first readers after a swap get good plans; a failure costs only that. */
static void analyze(struct store_version *v)
{
	struct err ignored = ERR_INIT;
	struct buf sql = BUF_INIT;
	struct pg_result *r;

	if (pg_ask(v->pg,
		   "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
		   "WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname NOT LIKE 'millrace\\_%'",
		   &(const char *){ v->schema }, 1, &r, &ignored) < 0)
		return;
	for (size_t i = 0; i < pg_rows(r); i++) {
		buf_reset(&sql);
		buf_add_str(&sql, "ANALYZE ");
		pg_quote_name(pg_text(r, i, 0), &sql);
		(void)pg_run(v->pg, buf_cstr(&sql), &ignored);
	}
	buf_done(&sql);
	pg_result_free(r);
}

int store_postgresql_finish(struct store_version *v, const char *after_build_sql, struct err *e)
{
	if (v->built)
		return 0;
	if (finish(v, after_build_sql, e) < 0) {
		store_postgresql_rollback(v);
		return err_wrap(e, "end of the build");
	}
	v->built = true;
	analyze(v);
	return pg_run(v->pg, "RESET synchronous_commit", e);
}

/* ---- one record taken back ------------------------------------------------------------------- */

int store_postgresql_savepoint(struct store_version *v, struct err *e)
{
	/* the one before is let go: else each would keep a subtransaction */
	static const char sql[] = "SAVEPOINT millrace_record";

	if (v->saved && pg_queue(v->pg, "RELEASE SAVEPOINT millrace_record", e) < 0)
		return -1;
	v->saved = true;
	return pg_queue(v->pg, sql, e);
}

int store_postgresql_undo(struct store_version *v, struct err *e)
{
	target_postgresql_forget(&v->target);
	if (pg_queue(v->pg, "ROLLBACK TO SAVEPOINT millrace_record", e) < 0)
		return -1;
	return pg_drain(v->pg, NULL, e);
}
