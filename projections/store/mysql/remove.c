/* remove.c - a version goes, beside those who still read it.
 *
 * A database that is there already is looked at before anything in it is touched: only what says in
 * its millrace_view that it is this Millrace's and this view's, or what was plainly left by a
 * broken attempt (nothing but millrace_ tables), is taken.
 *
 * The version is marked first, so that it counts as not there from then on; then its tables go,
 * then the database. A reader in an open transaction keeps its tables: asking for them waits a
 * fifth of a second at most, because everybody else who reads would wait behind it. It is tried
 * again by a thread until it works or the store is closed. What a kill left of a removal is taken
 * by that thread, too, once a process owns the view again. */
#include "projections/store/mysql/mysql_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdlib.h>

#define DROP_WAIT_MS 200
#define LEAVER_US 5000000

/* ---- the databases --------------------------------------------------------------------------- */

/* Names joined: `db`.`a`, `db`.`b` */
static char *join(const char *database, char *const *names, size_t count)
{
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < count; i++) {
		buf_add_str(&text, i > 0 ? ", " : "");
		db_store_name(database, &text);
		buf_add_u8(&text, '.');
		db_store_name(names[i], &text);
	}
	return buf_cstr(&text);
}

int mydb_drop(struct db *db, struct db *other, const char *database, struct err *e)
{
	char *quoted = mydb_quoted(database), *sql = NULL, *joined;
	char **names = NULL;
	size_t count = 0;
	int rc = mydb_run(db, e, "SET foreign_key_checks = 0") < 0
			 ? -1
			 : mydb_tables(db, database, &names, &count, e);

	if (rc == 0 && count > 0) {
		joined = join(database, names, count);
		sql = xasprintf("DROP TABLE IF EXISTS %s", joined);
		rc = db_store_run_within(db, other, sql, DROP_WAIT_MS, e);
		free(joined);
		free(sql);
		FAULT(view_dropped);
	}
	if (rc == 0) {
		sql = xasprintf("DROP DATABASE IF EXISTS %s", quoted);
		rc = db_store_run_within(db, other, sql, DROP_WAIT_MS, e);
		free(sql);
	}
	view_names_free(names, count);
	free(quoted);
	return rc;
}

int mydb_drop_patiently(const struct mydb_store *m, const char *database, int tries, struct err *e)
{
	struct db *db = NULL, *other = NULL;
	int rc = mydb_connect(m, NULL, &db, e) < 0 || mydb_connect(m, NULL, &other, e) < 0 ? -1 : 1;

	for (int i = 0; i < tries && rc == 1; i++) {
		if (i > 0)
			clock_sleep_us(DROP_WAIT_MS * 1000);
		err_clear(e);
		rc = mydb_drop(db, other, database, e) == 0  ? 0
		     : e->kind == ERR_RETRY && i + 1 < tries ? 1
							     : -1;
	}
	db_close(db);
	db_close(other);
	return rc;
}

static void *leave(void *context)
{
	struct mydb_store *m = context;
	struct timespec until;

	pthread_mutex_lock(&m->lock);
	while (!m->stop && m->leaving_count > 0) {
		int version = m->leaving[0];
		char *database = mydb_database(m, version);
		struct err e = ERR_INIT;

		pthread_mutex_unlock(&m->lock);
		if (mydb_drop_patiently(m, database, 1, &e) == 0)
			log_info("view", "%s: version %d removed, now that nobody reads it",
				 m->view, version);
		free(database);
		pthread_mutex_lock(&m->lock);
		/* to the end of the row, or out of it */
		memmove(m->leaving, m->leaving + 1, (m->leaving_count - 1) * sizeof(int));
		m->leaving[m->leaving_count - 1] = version;
		m->leaving_count -= e.kind == ERR_NONE;
		until = clock_timespec(clock_now_us() + LEAVER_US);
		if (!m->stop && m->leaving_count > 0)
			pthread_cond_timedwait(&m->changed, &m->lock, &until);
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

static void leave_later(struct mydb_store *m, int version)
{
	pthread_mutex_lock(&m->lock);
	if (m->leaver_runs && m->leaving_count == 0) { /* it has ended, or is about to */
		pthread_mutex_unlock(&m->lock);
		pthread_join(m->leaver, NULL);
		pthread_mutex_lock(&m->lock);
		m->leaver_runs = false;
	}
	m->leaving = xrealloc(m->leaving, (m->leaving_count + 1) * sizeof(int));
	m->leaving[m->leaving_count++] = version;
	if (!m->leaver_runs)
		m->leaver_runs = pthread_create(&m->leaver, NULL, leave, m) == 0;
	pthread_mutex_unlock(&m->lock);
}

void mydb_leaver_stop(struct mydb_store *m)
{
	pthread_mutex_lock(&m->lock);
	m->stop = true;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
	if (m->leaver_runs)
		pthread_join(m->leaver, NULL);
	m->leaver_runs = false;
}

void mydb_no_longer_leaving(struct mydb_store *m, int version)
{
	size_t kept = 0;

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->leaving_count; i++)
		if (m->leaving[i] != version)
			m->leaving[kept++] = m->leaving[i];
	m->leaving_count = kept;
	pthread_mutex_unlock(&m->lock);
}

/* ---- whose database is it? ------------------------------------------------------------------- */

static int refuse_foreign(const struct mydb_store *m, const char *database, struct err *e)
{
	err_config(e, "database %s on %s is there already, and holds what Millrace didn't make",
		   database, m->role);
	return err_hint(e, "Give the view another name; or rename or drop that database.");
}

int mydb_look_at(const struct mydb_store *m, struct db *db, const char *database, struct err *e)
{
	char *name = mydb_literal(database), *quoted = mydb_quoted(database), *owner = NULL,
	     *view = NULL;
	int64_t there = 0, others = 0, own = 0;
	int rc = -1;

	if (mydb_get_int(db, &there, e,
			 "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s",
			 name) < 0 ||
	    mydb_get_int(db, &others, e,
			 "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s "
			 "AND TABLE_NAME NOT LIKE 'millrace\\_%%'",
			 name) < 0 ||
	    mydb_get_int(db, &own, e,
			 "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s "
			 "AND TABLE_NAME = 'millrace_view'",
			 name) < 0)
		goto out;
	rc = there > 0;
	if (there > 0 && own > 0) {
		char *sql = xasprintf("SELECT millrace FROM %s.millrace_view", quoted);

		rc = db_get_text(db, sql, &owner, e) < 0 ? -1 : 1;
		free(sql);
		sql = xasprintf("SELECT view_name FROM %s.millrace_view", quoted);
		if (rc == 1)
			rc = db_get_text(db, sql, &view, e) < 0 ? -1 : 1;
		free(sql);
	}
	if (rc == 1 && owner == NULL && others > 0)
		rc = refuse_foreign(m, database, e);
	if (rc == 1 && owner != NULL &&
	    (strcmp(owner, m->owner) != 0 || view == NULL || strcmp(view, m->view) != 0)) {
		rc = err_config(
			e,
			"database %s on %s belongs to another Millrace: millrace.name = %s, "
			"view %s",
			database, m->role, owner, view != NULL ? view : "?");
		err_hint(e, "Give the view another name, or use another server.");
	}
out:
	free(owner);
	free(view);
	free(quoted);
	free(name);
	return rc;
}

int store_mysql_remove(struct store *s, int version, struct err *e)
{
	struct mydb_store *m = mydb_store_of(s);
	char *database = mydb_database(m, version), *quoted = mydb_quoted(database);
	struct err ignored = ERR_INIT;
	struct db *db = NULL;
	int rc = mydb_connect(m, NULL, &db, e) < 0 ? -1 : mydb_look_at(m, db, database, e);

	if (rc == 1) {
		/* half-made databases have nothing to mark */
		(void)mydb_run(db, &ignored, "UPDATE %s.millrace_view SET whole = 0", quoted);
		rc = mydb_drop_patiently(m, database, MYDB_DROP_TRIES, e);
	}
	if (rc < 0 && e->kind == ERR_RETRY && db != NULL && version != STORE_SCRATCH) {
		leave_later(m, version);
		err_clear(e);
		rc = 0;
	}
	db_close(db);
	free(quoted);
	free(database);
	return rc < 0 ? err_wrap(e, "view %s, version %d", m->view, version) : 0;
}

/* A database that says itself that it isn't whole; all others are left alone. */
static bool is_left(struct mydb_store *m, struct db *db, int version)
{
	char *database = mydb_database(m, version), *quoted = mydb_quoted(database);
	struct err ignored = ERR_INIT;
	int64_t left = 0;

	if (mydb_look_at(m, db, database, &ignored) != 1 ||
	    mydb_get_int(db, &left, &ignored,
			 "SELECT COUNT(*) FROM %s.millrace_view WHERE whole = 0", quoted) < 0)
		left = 0;
	free(quoted);
	free(database);
	return left > 0;
}

int mydb_remove_left(struct mydb_store *m, struct db *db, struct err *e)
{
	size_t count = 0;
	int *numbers = NULL, rc = mydb_numbers(m, db, &numbers, &count, e);

	for (size_t i = 0; i < count && rc == 0; i++)
		if (is_left(m, db, numbers[i]))
			leave_later(m, numbers[i]);
	free(numbers);
	return rc;
}
