/* version.c - one version's database, opened by the thread that writes it.
 *
 * A commit is one transaction: rows, then the position, which is written by
 *
 *   UPDATE millrace_position SET ..., epoch = IF((SELECT epoch FROM millrace_epoch ... LOCK IN
 *   SHARE MODE) = mine, mine, NULL)
 *
 * where NULL is refused, and COMMIT goes to the server in the same packet behind it. So a writer
 * whose epoch is over commits nothing, and no writer can be stopped between looking at the epoch
 * and committing: the server does both.
 *
 * Opening raises the epoch. Each writer holds a named lock (GET_LOCK) as long as its connection
 * lives: whoever opens ends the connection of the one before (KILL), and with it the row locks of a
 * process that was stopped in the middle. When that process wakes, it finds its connection gone,
 * and at its next opening an epoch that is higher than what it raised it to: it is fenced.
 *
 * The end of a build: secondary indexes. Each statement behind "-- after build" is DDL and commits
 * by itself, so how many are done is kept in millrace_view, and which one has begun. One that had
 * begun when the process died may have ended on the server: then its index is there, and "duplicate
 * key name" means done. */
#include "projections/store/mysql/mysql_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#include <stdlib.h>

#define TAKE_OVER_US 30000000

/* ---- opening --------------------------------------------------------------------------------- */

static struct mydb_opened *opened_before(struct mydb_store *m, int version)
{
	for (size_t i = 0; i < m->opened_count; i++)
		if (m->opened[i].version == version)
			return &m->opened[i];
	return NULL;
}

static int64_t remembered(struct mydb_store *m, int version, int64_t made_us)
{
	const struct mydb_opened *o;
	int64_t epoch;

	pthread_mutex_lock(&m->lock);
	o = opened_before(m, version);
	epoch = o != NULL && o->made_us == made_us ? o->epoch : 0;
	pthread_mutex_unlock(&m->lock);
	return epoch;
}

static void remember(struct mydb_store *m, int version, int64_t made_us, int64_t epoch)
{
	struct mydb_opened *o;

	pthread_mutex_lock(&m->lock);
	o = opened_before(m, version);
	if (o == NULL) {
		m->opened = xrealloc(m->opened, (m->opened_count + 1) * sizeof(*m->opened));
		o = &m->opened[m->opened_count++];
	}
	*o = (struct mydb_opened){ .version = version, .made_us = made_us, .epoch = epoch };
	pthread_mutex_unlock(&m->lock);
}

static int fenced(const struct store_version *v, struct err *e)
{
	err_fatal(e, "%s: another process writes this version", v->place);
	err_exit(e, EXIT_FENCED);
	return err_hint(e, "Two processes worked on one view; this one stops. Check that only one "
			   "Millrace of this name uses the server.");
}

/* The lock that says whose connection writes; the one before is ended. */
static int take_over(struct store_version *v, struct err *e)
{
	char *database = mydb_literal(v->database), *lock;
	int64_t until = clock_monotonic_us() + TAKE_OVER_US, got = 0, other = 0;
	int rc = 0;

	lock = xasprintf("CONCAT('millrace:', LEFT(SHA2(%s, 256), 40))", database);
	while (rc == 0 && got != 1) {
		rc = mydb_get_int(v->db, &other, e, "SELECT COALESCE(IS_USED_LOCK(%s), 0)", lock);
		if (rc == 0 && other != 0 && (uint64_t)other != db_connection_id(v->db))
			(void)mydb_run(v->db, &(struct err)ERR_INIT, "KILL %lld",
				       (long long)other); /* else GET_LOCK waits for it */
		if (rc == 0)
			rc = mydb_get_int(v->db, &got, e, "SELECT COALESCE(GET_LOCK(%s, 1), 0)",
					  lock);
		if (rc == 0 && got != 1 && clock_monotonic_us() > until)
			rc = err_retry(e, "%s: connection %lld still writes this version", v->place,
				       (long long)other);
	}
	free(lock);
	free(database);
	return rc;
}

static int raise_epoch(struct store_version *v, int version, struct err *e)
{
	int64_t mine, now = 0, made = 0;

	if (mydb_get_int(v->db, &made, e, "SELECT made_us FROM millrace_view") < 0 ||
	    mydb_get_int(v->db, &now, e, "SELECT epoch FROM millrace_epoch") < 0)
		return -1;
	mine = remembered(v->store, version, made);
	if (mine != 0 && now > mine)
		return fenced(v, e);
	if (take_over(v, e) < 0 ||
	    mydb_run(v->db, e, "UPDATE millrace_epoch SET epoch = epoch + 1") < 0 ||
	    mydb_get_int(v->db, &v->epoch, e, "SELECT epoch FROM millrace_epoch") < 0)
		return -1;
	if (mine != 0 && v->epoch != mine + 1)
		return fenced(v, e);
	remember(v->store, version, made, v->epoch);
	return 0;
}

int mydb_version_open(struct store *s, int version, bool shared,
		      struct store_version **ret_version, struct err *e)
{
	struct store_version *v = xcalloc(1, sizeof(*v));
	int64_t built = 0;

	v->store = mydb_store_of(s);
	v->shared = shared;
	v->database = mydb_database(v->store, version);
	v->place = xasprintf("%s database %s", v->store->role, v->database);
	if (mydb_connect(v->store, v->database, &v->db, e) < 0 ||
	    mydb_get_int(v->db, &built, e, "SELECT built FROM millrace_view") < 0 ||
	    mydb_get_int(v->db, &v->finished, e, "SELECT finished FROM millrace_view") < 0 ||
	    mydb_get_int(v->db, &v->finishing, e, "SELECT finishing FROM millrace_view") < 0 ||
	    (!shared && raise_epoch(v, version, e) < 0) ||
	    target_mysql_open(&v->target, v->db, e) < 0 ||
	    (built == 0 && target_mysql_allow_loads(&v->target, e) < 0)) {
		store_mysql_version_close(v);
		return -1;
	}
	v->built = built != 0;
	*ret_version = v;
	return 0;
}

int store_mysql_version_open(struct store *s, int version, struct store_version **ret_version,
			     struct err *e)
{
	return mydb_version_open(s, version, false, ret_version, e);
}

void store_mysql_version_close(struct store_version *v)
{
	if (v == NULL)
		return;
	if (v->db != NULL)
		store_mysql_rollback(v);
	target_mysql_done(&v->target);
	db_close(v->db);
	free(v->database);
	free(v->place);
	free(v);
}

struct target *store_mysql_target(struct store_version *v)
{
	return &v->target.target;
}

int store_mysql_position(struct store_version *v, char **ret_text, struct err *e)
{
	return db_get_text(v->db, "SELECT position FROM millrace_position", ret_text, e);
}

/* ---- transactions ---------------------------------------------------------------------------- */

int store_mysql_begin(struct store_version *v, struct err *e)
{
	(void)e; /* goes with the first statements */
	target_mysql_add(&v->target, "START TRANSACTION");
	v->open = true;
	return 0;
}

void store_mysql_rollback(struct store_version *v)
{
	struct err ignored = ERR_INIT;

	target_mysql_abandon(&v->target);
	if (v->open)
		(void)db_run(v->db, "ROLLBACK", &ignored); /* a transaction that can't be rolled
							      back ends with the connection */
	v->open = false;
}

void mydb_version_mark(const struct store_version *v, const struct store_mark *mark,
		       struct buf *sql)
{
	buf_add_format(sql,
		       "UPDATE millrace_position SET seq = %lld, commit_us = %lld, gtid_set = ",
		       (long long)mark->seq, (long long)mark->commit_us);
	db_quote(slice_str(mark->gtid_set), sql);
	buf_add_str(sql, ", position = ");
	db_quote(mark->position, sql);
	if (v->shared)
		return;
	buf_add_format(sql,
		       ", epoch = IF((SELECT epoch FROM millrace_epoch WHERE id = 1 LOCK IN SHARE "
		       "MODE) = %lld, %lld, NULL) WHERE id = 1",
		       (long long)v->epoch, (long long)v->epoch);
}

/* Why a commit failed: is our epoch over? A connection that is gone says nothing. */
static int sort_failure(struct store_version *v, struct err *e)
{
	struct err ignored = ERR_INIT;
	int64_t now = 0;

	store_mysql_rollback(v);
	if (!v->shared && e->kind != ERR_RETRY &&
	    mydb_get_int(v->db, &now, &ignored, "SELECT epoch FROM millrace_epoch") == 0 &&
	    now != v->epoch)
		return fenced(v, e);
	return -1;
}

#ifdef MILLRACE_FAULTS
/* One after the other, so that the tests can stop the process in between. */
static int commit_in_steps(struct store_version *v, const char *mark, struct err *e)
{
	struct target *t = &v->target.target;

	if (t->ops->flush(t, e) < 0)
		return -1;
	FAULT(view_rows);
	if (BUG(view_position) && db_run(v->db, "COMMIT", e) < 0)
		return -1;
	if (db_run(v->db, mark, e) < 0)
		return -1;
	FAULT(view_position);
	return db_run(v->db, "COMMIT", e);
}
#endif

int store_mysql_commit(struct store_version *v, const struct store_mark *mark, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	mydb_version_mark(v, mark, &sql);
#ifdef MILLRACE_FAULTS
	rc = commit_in_steps(v, buf_cstr(&sql), e);
#else
	target_mysql_add(&v->target, buf_cstr(&sql));
	target_mysql_add(&v->target, "COMMIT");
	rc = v->target.target.ops->flush(&v->target.target, e);
#endif
	buf_done(&sql);
	FAULT(view_committed);
	if (rc < 0)
		return sort_failure(v, e);
	v->open = false;
	return 0;
}

int store_mysql_savepoint(struct store_version *v, struct err *e)
{
	/* START TRANSACTION may still wait to be sent, and outside of it there is none */
	target_mysql_add(&v->target, "SAVEPOINT millrace");
	return v->target.target.ops->flush(&v->target.target, e);
}

int store_mysql_undo(struct store_version *v, struct err *e)
{
	target_mysql_drop(&v->target);
	return db_run(v->db, "ROLLBACK TO SAVEPOINT millrace", e);
}

/* ---- the end of a build ---------------------------------------------------------------------- */

/* What a statement says whose work was done by an earlier try: index, column, table, constraint
 * are there; there is one primary key only. */
static bool is_there_already(unsigned number)
{
	static const unsigned numbers[] = { 1050, 1060, 1061, 1068, 1826, 1005, 1022, 121 };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (numbers[i] == number)
			return true;
	return false;
}

static int finish_statement(struct store_version *v, struct mydb_sql *s, int64_t number,
			    struct err *e)
{
	bool again = v->finishing == number + 1;

	if (mydb_run(v->db, e, "UPDATE millrace_view SET finishing = %lld", (long long)number + 1) <
	    0)
		return -1;
	FAULT(view_index);
	if (db_store_run_long(v->db, buf_cstr(&s->text), NULL, NULL, e) < 0) {
		if (!again || !is_there_already(db_error_number(v->db))) {
			if (e->kind == ERR_DATA) /* no record's fault alone: a UNIQUE index */
				e->kind = ERR_CONFIG;
			return err_wrap(e, "tables.sql:%d", s->line);
		}
		err_clear(e);
	}
	v->finished = number + 1;
	return mydb_run(v->db, e, "UPDATE millrace_view SET finished = %lld",
			(long long)v->finished);
}

int store_mysql_finish(struct store_version *v, const char *after_build_sql, struct err *e)
{
	const char *at = after_build_sql;
	int rc = 0;

	if (v->built)
		return 0;
	for (int64_t number = 0;; number++) {
		struct mydb_sql *s = NULL;

		if (mydb_sql_next(MYDB_SQL_TABLES, "tables.sql", after_build_sql, at, &at, &s, e) <
		    0)
			return err_wrap(e, "end of the build");
		if (s == NULL)
			break;
		if (number >= v->finished)
			rc = finish_statement(v, s, number, e);
		mydb_sql_free(s);
		if (rc < 0)
			return err_wrap(e, "end of the build");
	}
	/* the second goes through the gate: whoever sees one of them sees both */
	if (mydb_run(v->db, e, "START TRANSACTION") < 0 ||
	    mydb_run(v->db, e, "DELETE FROM millrace_gate WHERE version = 0") < 0 ||
	    mydb_run(v->db, e, "UPDATE millrace_view SET built = 1, built_us = %lld",
		     (long long)clock_now_us()) < 0 ||
	    mydb_run(v->db, e, "COMMIT") < 0)
		return err_wrap(e, "end of the build");
	v->built = true;
	v->target.loads = false;
	return 0;
}
