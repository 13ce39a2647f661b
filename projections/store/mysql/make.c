/* make.c - making a version: its database, bookkeeping and tables.
 *
 * What a broken attempt left of that number goes first (remove.c). DDL commits by itself: `whole`
 * in millrace_view is set when all is there, and what lacks it counts as not there. */
#include "projections/store/mysql/mysql_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#include <stdlib.h>

#define SCRATCH_OLD_US 3600000000LL

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

int mydb_run_tables(struct db *db, const char *script, struct err *e)
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

			if (mydb_look_at(m, db, names[i], &ignored) == 1 &&
			    mydb_get_int(db, &made, &ignored,
					 "SELECT made_us FROM %s.millrace_view", name) == 0 &&
			    made > 0 && made < clock_now_us() - SCRATCH_OLD_US)
				(void)mydb_drop_patiently(m, names[i], 1, &ignored);
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
		rc = mydb_look_at(m, db, database, e);
	if (rc == 1) {
		mydb_no_longer_leaving(m, version);
		(void)mydb_run(db, &(struct err)ERR_INIT, "UPDATE %s.millrace_view SET whole = 0",
			       quoted);
		rc = mydb_drop_patiently(m, database, MYDB_DROP_TRIES, e);
	}
	if (rc == 0)
		rc = mydb_run(db, e, "CREATE DATABASE %s CHARACTER SET utf8mb4 COLLATE %s", quoted,
			      binary_collation(db));
	if (rc == 0)
		rc = mydb_connect(m, database, &tables, e);
	FAULT(view_creating);
	if (rc == 0 && (make_bookkeeping(m, tables, view, version, swap, e) < 0 ||
			store_definition(tables, view, e) < 0 ||
			mydb_run_tables(tables, view->create_sql, e) < 0 ||
			refuse_engines(tables, database, e) < 0 ||
			mydb_run(tables, e, "UPDATE millrace_view SET whole = 1") < 0)) {
		rc = -1;
		/* what is half-made counts as not there anyway */
		(void)mydb_drop(db, tables, database, &(struct err)ERR_INIT);
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
