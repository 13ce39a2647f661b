/* source_check.c - the settings and rights that capture needs, as a table, and what mends each.
 *
 * Everything is asked with the capture's own account. Rights are not read from SHOW GRANTS alone
 * (roles, wildcards): what can be tried is tried. Nothing is changed on the server. */
#include "cdc/capture/source_check.h"

#include "core/base/buf.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* What is tested begins with these. */
#define LEAST_MARIADB 100100
#define LEAST_MYSQL 50600
#define MYSQL_XA_RIGHT 80000 /* XA RECOVER asks for one since then */
#define MYSQL_REPLICA_RENAMED 80022

enum engine { ANY, MARIADB, MYSQL };

struct wanted {
	const char *variable, *value;
	bool fatal;
	const char *mend;
	enum engine engine;
};

static const struct wanted wanted_settings[] = {
	{ "log_bin", "1", true, "log_bin in the server's configuration file, and a restart", ANY },
	{ "binlog_format", "ROW", true,
	  "SET GLOBAL binlog_format = 'ROW' (sessions that are open keep theirs), and in the "
	  "configuration file",
	  ANY },
	{ "binlog_row_image", "FULL", true,
	  "SET GLOBAL binlog_row_image = 'FULL', and in the configuration file", ANY },
	{ "gtid_strict_mode", "1", false,
	  "SET GLOBAL gtid_strict_mode = ON: the order of GTIDs is then guaranteed", MARIADB },
	{ "gtid_mode", "ON", false,
	  "gtid_mode = ON, by the steps of its manual: without GTIDs it is read by file and offset, "
	  "which no other server can go on from",
	  MYSQL },
	{ "binlog_checksum", "CRC32", false,
	  "SET GLOBAL binlog_checksum = 'CRC32': damage in transit is then noticed", ANY },
};

struct list {
	struct source_finding *items;
	size_t count;
};

static void add(struct list *l, bool fatal, const char *mend, char *take_what)
{
	l->items = xrealloc(l->items, (l->count + 1) * sizeof(*l->items));
	l->items[l->count++] = (struct source_finding){ fatal, take_what, xstrdup(mend) };
}

static bool check_version(struct db *db, struct list *l)
{
	bool mariadb = db_is_mariadb(db);

	if (db_server_number(db) >= (mariadb ? LEAST_MARIADB : LEAST_MYSQL))
		return true;
	add(l, true, "Read from a replica of it that is MySQL 5.6 or MariaDB 10.1, or later.",
	    xasprintf("%s %s is older than what is supported: MySQL 5.6 and MariaDB 10.1",
		      mariadb ? "MariaDB" : "MySQL", db_server_version(db)));
	return false;
}

/* NULL: there is no such variable. */
static int ask_variable(struct db *db, const char *name, char **ret_value, struct err *e)
{
	char *sql = xasprintf("SHOW GLOBAL VARIABLES LIKE '%s'", name);
	struct db_result *result = NULL;
	const struct slice *row;
	int rc = db_query(db, sql, &result, e);

	*ret_value = NULL;
	if (rc == 0)
		rc = db_next(result, &row, e);
	if (rc == 1)
		*ret_value = xstrndup((const char *)row[1].data, row[1].size);
	db_result_free(result);
	free(sql);
	return rc < 0 ? -1 : 0;
}

int source_names_columns(struct db *db, bool *ret_names, struct err *e)
{
	char *value = NULL;

	if (ask_variable(db, "binlog_row_metadata", &value, e) < 0)
		return -1;
	*ret_names = value != NULL && strcasecmp(value, "FULL") == 0;
	free(value);
	return 0;
}

#define CATALOG_MODE                                                                         \
	"columns are read from information_schema (catalog mode): behind a statement on a "  \
	"table that the binlog does not hold, or several while capture stood still, it may " \
	"have to stop"

static int check_names(struct db *db, struct list *l, struct err *e)
{
	char *value = NULL;

	if (ask_variable(db, "binlog_row_metadata", &value, e) < 0)
		return -1;
	if (value == NULL)
		add(l, false,
		    "MySQL 8.0 or MariaDB 10.5, or later, with binlog_row_metadata = FULL",
		    xasprintf("%s cannot name columns in its binlog: " CATALOG_MODE,
			      db_server_version(db)));
	else if (strcasecmp(value, "FULL") != 0)
		add(l, false,
		    "SET GLOBAL binlog_row_metadata = 'FULL', and in the configuration file",
		    xasprintf("binlog_row_metadata is %s, not FULL: " CATALOG_MODE, value));
	free(value);
	return 0;
}

static bool concerns(const struct wanted *w, struct db *db)
{
	return w->engine == ANY || (w->engine == MARIADB) == db_is_mariadb(db);
}

static int check_setting(struct db *db, const struct wanted *w, struct list *l, struct err *e)
{
	char *sql = xasprintf("SELECT @@GLOBAL.%s", w->variable), *value = NULL;
	int rc = db_get_text(db, sql, &value, e);

	free(sql);
	if (rc == 0 && (value == NULL || strcasecmp(value, w->value) != 0))
		add(l, w->fatal, w->mend,
		    xasprintf("%s is %s, not %s", w->variable, value != NULL ? value : "NULL",
			      strcmp(w->value, "1") == 0 ? "ON" : w->value));
	free(value);
	return rc;
}

/* Does it get transactions from a primary: "replicates", "replicated" (once), "logs" (into its own
 * binlog) or "alone"? */
static int ask_role(struct db *db, char **ret_role, struct err *e)
{
	if (db_is_mariadb(db))
		return db_get_text(
			db,
			"SELECT CASE WHEN @@GLOBAL.log_slave_updates THEN 'logs' WHEN (SELECT "
			"VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = "
			"'Slaves_running') > 0 THEN 'replicates' WHEN @@GLOBAL.gtid_slave_pos <> '' "
			"THEN 'replicated' ELSE 'alone' END",
			ret_role, e);
	return db_get_text(db,
			   db_server_number(db) >= MYSQL_REPLICA_RENAMED
				   ? "SELECT IF(@@GLOBAL.log_replica_updates, 'logs', 'replicated')"
				   : "SELECT IF(@@GLOBAL.log_slave_updates, 'logs', 'replicated')",
			   ret_role, e);
}

/* What it gets from its primary must stand in its own binlog: nothing else is read. */
static int check_replica(struct db *db, struct list *l, struct err *e)
{
	char *role = NULL;

	if (ask_role(db, &role, e) < 0)
		return -1;
	if (role != NULL && strncmp(role, "replicate", 9) == 0) {
		bool replicates = strcmp(role, "replicates") == 0;

		add(l, replicates,
		    "log_slave_updates in the server's configuration file, and a restart",
		    xasprintf("it %s with log_slave_updates = OFF: what it gets from its primary "
			      "is not in its binlog",
			      replicates          ? "is a replica"
			      : db_is_mariadb(db) ? "was a replica, or is a stopped one,"
						  : "may be a replica"));
	}
	free(role);
	return 0;
}

static int check_server_id(const struct settings *settings, struct db *db, struct list *l,
			   struct err *e)
{
	char *value = NULL;

	if (db_get_text(db, "SELECT @@GLOBAL.server_id", &value, e) < 0)
		return -1;
	if (value != NULL && strtoll(value, NULL, 10) == settings->source_server_id)
		add(l, true, "another source.server_id, one that no replica uses",
		    xasprintf("source.server_id %" PRId64 " is the source's own",
			      settings->source_server_id));
	free(value);
	return 0;
}

/* True in *ret_ok when the account may run it; other failures are failures. */
static int try_statement(struct db *db, const char *sql, bool *ret_ok, struct err *e)
{
	struct err failure = ERR_INIT;

	*ret_ok = db_run(db, sql, &failure) == 0;
	if (*ret_ok || failure.kind == ERR_CONFIG)
		return 0;
	*e = failure;
	return -1;
}

/* REPLICATION SLAVE cannot be tried without asking for the stream: look for it in the account's
 * grants. */
static int has_stream_right(struct db *db, bool *ret_has, struct err *e)
{
	struct db_result *result = NULL;
	const struct slice *row;
	int rc;

	*ret_has = false;
	if (db_query(db, "SHOW GRANTS", &result, e) < 0)
		return -1;
	while ((rc = db_next(result, &row, e)) == 1) {
		char *text = xstrndup((const char *)row[0].data, row[0].size);

		if (strstr(text, "ON *.*") != NULL && (strstr(text, "REPLICATION SLAVE") != NULL ||
						       strstr(text, "ALL PRIVILEGES") != NULL))
			*ret_has = true;
		if (strncmp(text, "GRANT `", 7) == 0 && strstr(text, " ON ") == NULL)
			*ret_has = true; /* a role: what it holds is shown only when asked for; the
					    stream will tell */
		free(text);
	}
	db_result_free(result);
	return rc;
}

/* The right to ask how far the binlog has come. */
static const char *monitor_right(struct db *db)
{
	return db_is_mariadb(db) ? "BINLOG MONITOR" : "REPLICATION CLIENT";
}

static int check_rights(const struct settings *settings, struct db *db, struct list *l,
			struct err *e)
{
	bool asks_xa = !db_is_mariadb(db) && db_server_number(db) >= MYSQL_XA_RIGHT;
	char *mend = xasprintf("GRANT REPLICATION SLAVE, %s%s ON *.* TO '%s'@'%%'",
			       monitor_right(db), asks_xa ? ", XA_RECOVER_ADMIN" : "",
			       settings->source_user);
	bool has = false, may = false, may_xa = true;
	int rc = has_stream_right(db, &has, e);

	if (rc == 0)
		rc = try_statement(db, "SHOW BINARY LOGS", &may, e);
	if (rc == 0 && asks_xa)
		rc = try_statement(db, "XA RECOVER", &may_xa, e);
	if (rc == 0 && !has)
		add(l, true, mend,
		    xasprintf("the account %s may not read the binlog (REPLICATION SLAVE)",
			      settings->source_user));
	if (rc == 0 && !may)
		add(l, true, mend,
		    xasprintf("the account %s may not ask for the binlog's position (%s)",
			      settings->source_user, monitor_right(db)));
	if (rc == 0 && !may_xa)
		add(l, true, mend,
		    xasprintf("the account %s may not ask which XA transactions are prepared "
			      "(XA_RECOVER_ADMIN)",
			      settings->source_user));
	free(mend);
	return rc;
}

int source_check(const struct settings *settings, struct db *db,
		 struct source_finding **ret_findings, size_t *ret_count, struct err *e)
{
	struct list l = { NULL, 0 };
	int rc = 0;

	if (check_version(db, &l)) {
		for (size_t i = 0;
		     i < sizeof(wanted_settings) / sizeof(wanted_settings[0]) && rc == 0; i++)
			if (concerns(&wanted_settings[i], db))
				rc = check_setting(db, &wanted_settings[i], &l, e);
		if (rc == 0)
			rc = check_names(db, &l, e);
		if (rc == 0)
			rc = check_server_id(settings, db, &l, e);
		if (rc == 0)
			rc = check_replica(db, &l, e);
		if (rc == 0)
			rc = check_rights(settings, db, &l, e);
	}
	if (rc < 0) {
		source_findings_free(l.items, l.count);
		return err_wrap(e, "the source could not be checked");
	}
	*ret_findings = l.items;
	*ret_count = l.count;
	return 0;
}

void source_findings_free(struct source_finding *findings, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(findings[i].what);
		free(findings[i].mend);
	}
	free(findings);
}

int source_findings_refuse(const struct source_finding *findings, size_t count, struct err *e)
{
	struct buf what = BUF_INIT, mend = BUF_INIT;

	for (size_t i = 0; i < count; i++) {
		if (!findings[i].fatal)
			continue;
		buf_add_format(&what, "%s%s", what.size > 0 ? "; " : "", findings[i].what);
		buf_add_format(&mend, "%s%s", mend.size > 0 ? "; " : "", findings[i].mend);
	}
	if (what.size > 0) {
		err_config(e, "the source cannot be captured: %.900s", buf_cstr(&what));
		err_hint(e, "On the source: %.900s", buf_cstr(&mend));
	}
	buf_done(&mend);
	if (what.size == 0)
		return 0;
	buf_done(&what);
	return -1;
}
