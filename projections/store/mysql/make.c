/* make.c - making, removing and learning a version.
 *
 * A database that is there already is looked at before anything in it is touched: only what says in
 * its millrace_view that it is this Millrace's and this view's, or what was plainly left by a
 * broken attempt (nothing but millrace_ tables), is taken.
 *
 * Removing: the version is marked first, so that it counts as not there from then on; then its
 * tables go, then the database. A reader in an open transaction keeps its tables: asking for them
 * waits a fifth of a second at most, because everybody else who reads would wait behind it. It is
 * tried again by a thread until it works or the store is closed; what is left then is taken by the
 * next version of that number. */
#include "projections/store/mysql/mysql_priv.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define DROP_WAIT_MS 200
#define DROP_TRIES 5
#define LEAVER_S 5
#define SCRATCH_OLD_US 3600000000LL

/* ---- removing -------------------------------------------------------------------------------- */

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

static int drop(struct db *db, struct db *other, const char *database, struct err *e)
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

/* With some patience for readers. ERR_RETRY: somebody still reads. */
static int drop_patiently(const struct mydb_store *m, const char *database, int tries,
			  struct err *e)
{
	struct db *db = NULL, *other = NULL;
	int rc = mydb_connect(m, NULL, &db, e) < 0 || mydb_connect(m, NULL, &other, e) < 0 ? -1 : 1;

	for (int i = 0; i < tries && rc == 1; i++) {
		if (i > 0)
			clock_sleep_us(DROP_WAIT_MS * 1000);
		err_clear(e);
		rc = drop(db, other, database, e) == 0       ? 0
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
		if (drop_patiently(m, database, 1, &e) == 0)
			log_info("view", "%s: version %d removed, now that nobody reads it",
				 m->view, version);
		free(database);
		pthread_mutex_lock(&m->lock);
		/* to the end of the row, or out of it */
		memmove(m->leaving, m->leaving + 1, (m->leaving_count - 1) * sizeof(int));
		m->leaving[m->leaving_count - 1] = version;
		m->leaving_count -= e.kind == ERR_NONE;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += LEAVER_S;
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

static void no_longer_leaving(struct mydb_store *m, int version)
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

/* 1: it is there and ours to remove; 0: not there. */
static int look_at(const struct mydb_store *m, struct db *db, const char *database, struct err *e)
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
	int rc = mydb_connect(m, NULL, &db, e) < 0 ? -1 : look_at(m, db, database, e);

	if (rc == 1) {
		/* half-made databases have nothing to mark */
		(void)mydb_run(db, &ignored, "UPDATE %s.millrace_view SET whole = 0", quoted);
		rc = drop_patiently(m, database, DROP_TRIES, e);
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

/* ---- making ---------------------------------------------------------------------------------- */

/* Text is compared and sorted by its bytes unless tables.sql says otherwise, so that two keys that
 * the source keeps apart stay apart. Blanks at the end count where the server can have it so. */
static const char *binary_collation(const struct db *db)
{
	if (db_is_mariadb(db))
		return db_server_number(db) >= 100202 ? "utf8mb4_nopad_bin" : "utf8mb4_bin";
	return db_server_number(db) >= 80017 ? "utf8mb4_0900_bin" : "utf8mb4_bin";
}

static int make_bookkeeping(const struct mydb_store *m, struct db *db, const struct view *view,
			    int version, bool swap, struct err *e)
{
#define OWN ") ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT = DYNAMIC"
	static const char *const tables[] = {
		"CREATE TABLE millrace_view (id TINYINT PRIMARY KEY, version INT NOT NULL, state "
		"VARCHAR(20) NOT NULL, swap TINYINT NOT NULL, definition VARCHAR(40) NOT NULL, "
		"millrace VARCHAR(100) NOT NULL, view_name VARCHAR(64) NOT NULL, made_us BIGINT NOT "
		"NULL, superseded_us BIGINT NOT NULL, built_us BIGINT NOT NULL, built TINYINT NOT "
		"NULL, whole TINYINT NOT NULL, finished INT NOT NULL, finishing INT NOT NULL" OWN,
		"CREATE TABLE millrace_position (id TINYINT PRIMARY KEY, seq BIGINT NOT NULL, "
		"gtid_set LONGTEXT NOT NULL, commit_us BIGINT NOT NULL, position LONGTEXT, epoch "
		"BIGINT NOT NULL" OWN,
		"CREATE TABLE millrace_epoch (id TINYINT PRIMARY KEY, epoch BIGINT NOT NULL" OWN,
		"CREATE TABLE millrace_definition (n INT PRIMARY KEY, path VARCHAR(700) NOT NULL, "
		"content LONGTEXT NOT NULL" OWN,
		"CREATE TABLE millrace_gate (version INT PRIMARY KEY" OWN,
		"CREATE TABLE millrace_parked (topic VARCHAR(249) NOT NULL, part INT NOT NULL, "
		"at_offset BIGINT NOT NULL, n BIGINT NOT NULL AUTO_INCREMENT, seq BIGINT NOT NULL, "
		"schema_id INT NOT NULL, record_key LONGBLOB, value LONGBLOB NOT NULL, at_us BIGINT "
		"NOT NULL, behind TINYINT NOT NULL, reason LONGTEXT NOT NULL, PRIMARY KEY (topic, "
		"part, at_offset), UNIQUE KEY (n)" OWN,
		"INSERT INTO millrace_position VALUES (1, 0, '', 0, NULL, 0)",
		"INSERT INTO millrace_epoch VALUES (1, 0)",
	};
	char *owner = mydb_literal(m->owner), *name = mydb_literal(m->view);
	int rc = 0;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && rc == 0; i++)
		rc = db_run(db, tables[i], e);
	/* two rows until the build has ended: mysql/public.c */
	if (rc == 0)
		rc = mydb_run(db, e, "INSERT INTO millrace_gate VALUES (0), (%d)",
			      version == STORE_SCRATCH ? -1 : version);
	if (rc == 0)
		rc = mydb_run(db, e,
			      "INSERT INTO millrace_view VALUES (1, %d, 'building', %d, '%s', %s, "
			      "%s, %lld, 0, 0, 0, 0, 0, 0)",
			      version, swap, view->fingerprint, owner, name,
			      (long long)clock_now_us());
	free(owner);
	free(name);
	return rc;
}

static int store_definition(struct db *db, const struct view *view, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < view->files.count && rc == 0; i++) {
		char *path = mydb_literal(view->files.items[i].name);
		char *text = mydb_literal(view->files.items[i].text);

		rc = mydb_run(db, e, "INSERT INTO millrace_definition VALUES (%zu, %s, %s)", i,
			      path, text);
		free(path);
		free(text);
	}
	return rc;
}

/* What the server says of a statement of tables.sql is a mistake in that file, unless it heals or
 * is a matter of rights. */
static int run_tables(struct db *db, const char *script, struct err *e)
{
	const char *at = script;

	for (;;) {
		struct mydb_sql *s = NULL;
		int rc;

		if (mydb_sql_next(MYDB_SQL_TABLES, "tables.sql", script, at, &at, &s, e) < 0)
			return -1;
		if (s == NULL)
			return 0;
		rc = db_store_run_long(db, buf_cstr(&s->text), NULL, NULL, e);
		if (rc < 0) {
			if (e->kind == ERR_DATA)
				e->kind = ERR_CONFIG;
			err_wrap(e, "tables.sql:%d", s->line);
		}
		mydb_sql_free(s);
		if (rc < 0)
			return -1;
	}
}

static int refuse_engines(struct db *db, const char *database, struct err *e)
{
	char *name = mydb_literal(database), **tables = NULL;
	size_t count = 0;
	int rc =
		mydb_get_names(db, &tables, &count, e,
			       "SELECT CONCAT(TABLE_NAME, ' is in ', COALESCE(ENGINE, TABLE_TYPE)) "
			       "FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND "
			       "COALESCE(ENGINE, '') <> 'InnoDB'",
			       name);

	if (rc == 0 && count == 0) {
		rc = mydb_get_names(db, &tables, &count, e,
				    "SELECT TABLE_NAME FROM information_schema.TABLES WHERE "
				    "TABLE_SCHEMA = %s AND (CHAR_LENGTH(TABLE_NAME) > 63 OR "
				    "LEFT(TABLE_NAME, 1) IN ('!', '~', '+', '-'))",
				    name);
		if (rc == 0 && count > 0)
			rc = err_config(e,
					"tables.sql: table %s can't be made public: its name is "
					"longer than 63 characters, or begins with ! ~ + or -",
					tables[0]);
	} else if (rc == 0) {
		rc = err_config(e, "tables.sql: table %s", tables[0]);
		err_hint(e, "Only InnoDB keeps rows and position in one transaction: leave ENGINE "
			    "out.");
	}
	view_names_free(tables, count);
	free(name);
	return rc;
}

/* Scratch versions of processes that were killed. */
static void sweep_scratch(struct mydb_store *m, struct db *db)
{
	char *prefix = xasprintf("%s_try", m->view), *quoted = mydb_literal(prefix), **names;
	struct err ignored = ERR_INIT;
	size_t count = 0;

	if (mydb_get_names(db, &names, &count, &ignored,
			   "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE "
			   "LEFT(SCHEMA_NAME, CHAR_LENGTH(%s)) = %s",
			   quoted, quoted) == 0) {
		for (size_t i = 0; i < count; i++) {
			char *name = mydb_quoted(names[i]);
			int64_t made = 0;

			if (look_at(m, db, names[i], &ignored) == 1 &&
			    mydb_get_int(db, &made, &ignored,
					 "SELECT made_us FROM %s.millrace_view", name) == 0 &&
			    made > 0 && made < clock_now_us() - SCRATCH_OLD_US)
				(void)drop_patiently(m, names[i], 1, &ignored);
			free(name);
		}
		view_names_free(names, count);
	}
	free(quoted);
	free(prefix);
}

static int make(struct mydb_store *m, const struct view *view, int version, bool swap,
		const char *database, struct err *e)
{
	char *quoted = mydb_quoted(database);
	struct db *db = NULL, *tables = NULL;
	int rc = mydb_connect(m, NULL, &db, e);

	if (rc == 0 && version == STORE_SCRATCH)
		sweep_scratch(m, db);
	if (rc == 0)
		rc = look_at(m, db, database, e);
	if (rc == 1) {
		no_longer_leaving(m, version);
		(void)mydb_run(db, &(struct err)ERR_INIT, "UPDATE %s.millrace_view SET whole = 0",
			       quoted);
		rc = drop_patiently(m, database, DROP_TRIES, e);
	}
	if (rc == 0)
		rc = mydb_run(db, e, "CREATE DATABASE %s CHARACTER SET utf8mb4 COLLATE %s", quoted,
			      binary_collation(db));
	if (rc == 0)
		rc = mydb_connect(m, database, &tables, e);
	if (rc == 0 &&
	    (make_bookkeeping(m, tables, view, version, swap, e) < 0 ||
	     store_definition(tables, view, e) < 0 || run_tables(tables, view->create_sql, e) < 0 ||
	     refuse_engines(tables, database, e) < 0 ||
	     mydb_run(tables, e, "UPDATE millrace_view SET whole = 1") < 0)) {
		rc = -1;
		/* what is half-made counts as not there anyway */
		(void)drop(db, tables, database, &(struct err)ERR_INIT);
	}
	db_close(tables);
	db_close(db);
	free(quoted);
	return rc;
}

int store_mysql_create(struct store *s, const struct view *view, int version, bool swap,
		       struct err *e)
{
	struct mydb_store *m = mydb_store_of(s);
	char *database = mydb_database(m, version);
	int rc = make(m, view, version, swap, database, e);

	free(database);
	if (rc == 0 || version == STORE_SCRATCH)
		return rc;
	return err_wrap(e, "view %s, version %d", m->view, version);
}

/* ---- learning -------------------------------------------------------------------------------- */

static bool is_spatial(const char *type)
{
	static const char *const types[] = { "geometry",           "point",
					     "linestring",         "polygon",
					     "multipoint",         "multilinestring",
					     "multipolygon",       "geomcollection",
					     "geometrycollection", NULL };

	for (const char *const *t = types; *t != NULL; t++)
		if (strcasecmp(*t, type) == 0)
			return true;
	return false;
}

/* MariaDB's JSON is text with a check. */
static int is_json(struct db *db, const char *database, const char *table, const char *column,
		   bool *ret_json, struct err *e)
{
	char *d = mydb_literal(database), *t = mydb_literal(table), *c = mydb_literal(column);
	int64_t count = 0;
	int rc = 0;

	if (db_is_mariadb(db) && db_server_number(db) >= 100300)
		rc = mydb_get_int(db, &count, e,
				  "SELECT COUNT(*) FROM information_schema.CHECK_CONSTRAINTS WHERE "
				  "CONSTRAINT_SCHEMA = %s AND TABLE_NAME = %s AND CONSTRAINT_NAME "
				  "= %s AND CHECK_CLAUSE LIKE 'json_valid(%%'",
				  d, t, c);
	*ret_json = count > 0;
	free(d);
	free(t);
	free(c);
	return rc;
}

static int learn_columns(struct db *db, const char *database, struct view_table *t, struct err *e)
{
	char *d = mydb_literal(database), *name = mydb_literal(t->name);
	char **columns = NULL, **types = NULL, **keys = NULL;
	size_t count = 0, type_count = 0, key_count = 0;
	int rc = -1;

#define OF_TABLE "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"
	if (mydb_get_names(db, &columns, &count, e,
			   "SELECT COLUMN_NAME FROM information_schema.COLUMNS " OF_TABLE, d,
			   name) < 0 ||
	    mydb_get_names(db, &types, &type_count, e,
			   "SELECT COLUMN_TYPE FROM information_schema.COLUMNS " OF_TABLE, d,
			   name) < 0 ||
	    mydb_get_names(db, &keys, &key_count, e,
			   "SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE "
			   "TABLE_SCHEMA = %s AND TABLE_NAME = %s AND INDEX_NAME = 'PRIMARY' ORDER "
			   "BY SEQ_IN_INDEX",
			   d, name) < 0)
		goto out;
	rc = 0;
	for (size_t i = 0; i < count && i < type_count && rc == 0; i++) {
		bool json = false;

		if (strcasecmp(types[i], "longtext") == 0)
			rc = is_json(db, database, t->name, columns[i], &json, e);
		view_learn_column(t, columns[i],
				  json                   ? "json"
				  : is_spatial(types[i]) ? "geometry"
							 : types[i]);
	}
	for (size_t i = 0; i < key_count; i++)
		view_learn_key(t, keys[i]);
out:
	view_names_free(columns, count);
	view_names_free(types, type_count);
	view_names_free(keys, key_count);
	free(d);
	free(name);
	return rc;
}

int store_mysql_learn(struct store *s, int version, bool try, struct view *v, struct err *e)
{
	struct mydb_store *m = mydb_store_of(s);
	char *database = mydb_database(m, version), **tables = NULL;
	struct target_mysql target = { 0 };
	struct db *db = NULL;
	size_t count = 0;
	int rc = mydb_connect(m, database, &db, e) < 0
			 ? -1
			 : mydb_tables(db, database, &tables, &count, e);

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = learn_columns(db, database, view_learn_table(v, tables[i]), e);
	if (rc == 0 && try)
		rc = run_tables(db, v->after_build_sql, e);
	if (rc == 0)
		rc = target_mysql_open(&target, db, e);
	if (rc == 0)
		rc = view_learn_end(v, try ? &target.target : NULL, e);
	target_mysql_done(&target);
	view_names_free(tables, count);
	db_close(db);
	free(database);
	return rc;
}
