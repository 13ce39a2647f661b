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

#define VERSION_LEAST 10005 /* 10.5: binlog_row_metadata */

struct wanted {
	const char *variable, *value;
	bool fatal;
	const char *mend;
};

static const struct wanted wanted_settings[] = {
	{ "log_bin", "1", true, "log_bin in the server's configuration file, and a restart" },
	{ "binlog_format", "ROW", true,
	  "SET GLOBAL binlog_format = 'ROW' (sessions that are open keep theirs), and in the "
	  "configuration file" },
	{ "binlog_row_image", "FULL", true,
	  "SET GLOBAL binlog_row_image = 'FULL', and in the configuration file" },
	{ "binlog_row_metadata", "FULL", true,
	  "SET GLOBAL binlog_row_metadata = 'FULL', and in the configuration file" },
	{ "gtid_strict_mode", "1", false,
	  "SET GLOBAL gtid_strict_mode = ON: the order of GTIDs is then guaranteed" },
	{ "binlog_checksum", "CRC32", false,
	  "SET GLOBAL binlog_checksum = 'CRC32': damage in transit is then noticed" },
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

static int version_number(const char *version)
{
	int major = 0, minor = 0;

	if (sscanf(version, "%4d.%4d", &major, &minor) !=
	    2) /* bounded; text from the server's greeting */
		return 0;
	return major * 1000 + minor;
}

static bool check_version(struct db *db, struct list *l)
{
	const char *version = db_server_version(db);

	if (db_is_mariadb(db) && version_number(version) >= VERSION_LEAST)
		return true;
	add(l, true, "Use such a server, or wait for the release that supports this one.",
	    xasprintf("the source is another server (%s %s); supported now: MariaDB 10.5 or later",
		      db_is_mariadb(db) ? "MariaDB" : "MySQL", version));
	return false;
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

/* What it gets from its primary must stand in its own binlog: nothing else is read. */
static int check_replica(struct db *db, struct list *l, struct err *e)
{
	static const char sql[] =
		"SELECT CASE WHEN @@GLOBAL.log_slave_updates THEN 'logs' WHEN (SELECT "
		"VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = "
		"'Slaves_running') > 0 THEN 'replicates' WHEN @@GLOBAL.gtid_slave_pos <> '' THEN "
		"'replicated' ELSE 'alone' END";
	char *role = NULL;

	if (db_get_text(db, sql, &role, e) < 0)
		return -1;
	if (role != NULL && strncmp(role, "replicate", 9) == 0) {
		bool replicates = strcmp(role, "replicates") == 0;

		add(l, replicates,
		    "log_slave_updates in the server's configuration file, and a restart",
		    xasprintf("it %s with log_slave_updates = OFF: what it gets from its primary "
			      "is not in its binlog",
			      replicates ? "is a replica" : "was a replica, or is a stopped one,"));
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

static int check_rights(const struct settings *settings, struct db *db, struct list *l,
			struct err *e)
{
	char *mend = xasprintf("GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO '%s'@'%%'",
			       settings->source_user);
	bool has = false, may = false;
	int rc = has_stream_right(db, &has, e);

	if (rc == 0)
		rc = try_statement(db, "SHOW MASTER STATUS", &may, e);
	if (rc == 0 && !has)
		add(l, true, mend,
		    xasprintf("the account %s may not read the binlog (REPLICATION SLAVE)",
			      settings->source_user));
	if (rc == 0 && !may)
		add(l, true, mend,
		    xasprintf(
			    "the account %s may not ask for the binlog's position (BINLOG MONITOR)",
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
			rc = check_setting(db, &wanted_settings[i], &l, e);
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
