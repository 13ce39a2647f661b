/* db_error.c - which of the client's and server's errors heal by themselves, and what a person
 * should do about the others.
 *
 * One table of numbers (MariaDB knowledge base, "MariaDB Error Codes"; 2000 to 2999 are the
 * client's own). A number that isn't in it needs a person when the server sent it, and is fatal
 * when the client library made it up. The statement is not repeated: it may hold row data. */
#include "core/mysql/db_priv.h"

#include <stdlib.h>

/* Those that mean the same wherever the server stands: db_store_error.c begins with them, too. */
static const struct db_sorted both[] = {
	{ 1040, ERR_RETRY, DB_HINT_NONE },          /* too many connections */
	{ 1053, ERR_RETRY, DB_HINT_NONE },          /* shutdown in progress */
	{ 1079, ERR_RETRY, DB_HINT_NONE },          /* shutdown complete */
	{ 1158, ERR_RETRY, DB_HINT_NONE },          /* network read error */
	{ 1159, ERR_RETRY, DB_HINT_NONE },          /* network read timeout */
	{ 1160, ERR_RETRY, DB_HINT_NONE },          /* network write error */
	{ 1161, ERR_RETRY, DB_HINT_NONE },          /* network write timeout */
	{ 1203, ERR_RETRY, DB_HINT_NONE },          /* too many connections of this user */
	{ 1205, ERR_RETRY, DB_HINT_NONE },          /* lock wait timeout */
	{ 1213, ERR_RETRY, DB_HINT_NONE },          /* deadlock */
	{ 1226, ERR_RETRY, DB_HINT_NONE },          /* resource limit of the account */
	{ 1317, ERR_RETRY, DB_HINT_NONE },          /* query killed */
	{ 1412, ERR_RETRY, DB_HINT_NONE },          /* table definition changed under a snapshot */
	{ 1927, ERR_RETRY, DB_HINT_NONE },          /* connection killed */
	{ 1969, ERR_RETRY, DB_HINT_NONE },          /* max_statement_time exceeded */
	{ 3024, ERR_RETRY, DB_HINT_NONE },          /* MySQL: max_execution_time exceeded */
	{ 1044, ERR_CONFIG, DB_HINT_GRANT },        /* no access to the database */
	{ 1142, ERR_CONFIG, DB_HINT_GRANT },        /* no right on the table */
	{ 1143, ERR_CONFIG, DB_HINT_GRANT },        /* no right on the column */
	{ 1227, ERR_CONFIG, DB_HINT_GRANT_GLOBAL }, /* a privilege is missing */
	{ 1045, ERR_CONFIG, DB_HINT_LOGIN },        /* wrong password */
	{ 1698, ERR_CONFIG, DB_HINT_LOGIN },        /* wrong password, none given */
	{ 1129, ERR_CONFIG, DB_HINT_HOST },         /* host blocked */
	{ 1130, ERR_CONFIG, DB_HINT_HOST },         /* host not allowed */
	{ 2002, ERR_RETRY, DB_HINT_AWAY },          /* cannot connect */
	{ 2003, ERR_RETRY, DB_HINT_AWAY },          /* cannot connect over TCP */
	{ 2005, ERR_RETRY, DB_HINT_AWAY },          /* unknown host: name servers fail too */
	{ 2006, ERR_RETRY, DB_HINT_NONE },          /* gone away */
	{ 2012, ERR_RETRY, DB_HINT_NONE },          /* error in the handshake */
	{ 2013, ERR_RETRY, DB_HINT_NONE },          /* lost, or silent beyond the read timeout */
	{ 2026, ERR_RETRY, DB_HINT_TLS },           /* TLS failed */
	{ 2027, ERR_RETRY, DB_HINT_NONE },          /* malformed packet */
	{ 2055, ERR_RETRY, DB_HINT_NONE },          /* lost, with the system's reason */
	{ 2058, ERR_CONFIG, DB_HINT_LOGIN },        /* authentication plugin */
	{ 2059, ERR_CONFIG, DB_HINT_LOGIN },
};

static const struct db_sorted source_only[] = {
	{ 1021, ERR_RETRY, DB_HINT_SPACE }, /* disk full */
};

const struct db_sorted *db_error_in(const struct db_sorted *table, size_t count, unsigned number)
{
	for (size_t i = 0; i < count; i++)
		if (table[i].number == number)
			return &table[i];
	return NULL;
}

const struct db_sorted *db_error_known(unsigned number)
{
	return db_error_in(both, sizeof(both) / sizeof(both[0]), number);
}

static void add_hint(const struct db *db, enum db_hint hint, struct err *e)
{
	switch (hint) {
	case DB_HINT_NONE:
		break;
	case DB_HINT_AWAY:
		err_hint(e, "Check that the server runs and that source.host and source.port "
			    "name it.");
		break;
	case DB_HINT_LOGIN:
		err_hint(
			e,
			"Check source.user and source.password_file; on the source: SHOW GRANTS FOR '%s'@'%%'.",
			db->user);
		break;
	case DB_HINT_GRANT:
		err_hint(e, "GRANT SELECT ON *.* TO '%s'@'%%' (or on the captured databases only).",
			 db->user);
		break;
	case DB_HINT_GRANT_GLOBAL:
		err_hint(e, "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO '%s'@'%%'.",
			 db->user);
		break;
	case DB_HINT_HOST:
		err_hint(
			e,
			"The source refuses this host: the account's host part, or FLUSH HOSTS on the source.");
		break;
	case DB_HINT_SPACE:
		err_hint(e, "The source's disk is full.");
		break;
	case DB_HINT_TLS:
		err_hint(e, "Check source.tls and source.tls_ca, and what the server asks for "
			    "(require_secure_transport).");
		break;
	case DB_HINT_READ_ONLY:
	case DB_HINT_PACKET:
	case DB_HINT_DATABASE:
		break; /* of stores only */
	}
}

static bool says(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

/* 4052: the server hands our stream to whoever registered last with our server id. Trying again
 * would take it back, and so on without end: the later one wins, as it does on the broker. */
static int sort_taken_over(const struct db *db, const char *text, struct err *e)
{
	err_fatal(e, "source %s: another replica connected with our server id: %s", db->where,
		  text);
	err_hint(
		e,
		"A second instance of this capture took over, or source.server_id is used by another replica.");
	return err_exit(e, EXIT_FENCED);
}

static int offer_copy(struct err *e)
{
	err_hint(e, "Nothing was skipped. To go on, with every captured table compared and what "
		    "differs delivered: millrace run --source.lost=reconcile, once.");
	return err_exit(e, EXIT_PURGED);
}

/* 1236 is all that a binlog dump can fail with; only its text tells what it was. */
static int sort_dump_error(const struct db *db, const char *text, struct err *e)
{
	if (says(text, "purged") || says(text, "Could not find first log file") ||
	    says(text, "Could not find GTID state")) {
		err_config(e, "source %s no longer has the binlog that our position needs: %s",
			   db->where, text);
		return offer_copy(e);
	}
	if (says(text, "more GTIDs than") || says(text, "position > file size") ||
	    says(text, "diverged") || says(text, "not in the master's binlog") ||
	    says(text, "binlog hole")) {
		err_config(e, "source %s does not know our position: %s", db->where, text);
		return offer_copy(e);
	}
	if (says(text, "max_allowed_packet")) {
		err_config(e, "source %s cannot send an event: %s", db->where, text);
		return err_hint(e, "SET GLOBAL max_allowed_packet=1073741824 on the source.");
	}
	if (says(text, "same server"))
		return sort_taken_over(db, text, e);
	if (says(text, "AUTO_POSITION")) { /* MySQL's word for a stream by GTIDs */
		err_config(e, "source %s cannot be read by GTID: %s", db->where, text);
		return err_hint(e,
				"SET GLOBAL gtid_mode = ON on the source, if it was switched off; "
				"to read it by file and offset, give millrace.name another "
				"value.");
	}
	if (says(text, "Binary log is not open")) {
		err_config(e, "source %s has no binlog", db->where);
		return err_hint(
			e,
			"Start it with --log-bin, --binlog-format=ROW and --binlog-row-metadata=FULL.");
	}
	if (says(text, "bogus data") || says(text, "checksum") || says(text, "truncated"))
		return err_data(e, "source %s cannot read its binlog: %s", db->where, text);
	return err_config(e, "source %s ended the binlog stream: %s", db->where, text);
}

int db_error_sort(const struct db *db, unsigned number, const char *text, const char *doing,
		  struct err *e)
{
	const struct db_sorted *s = db_error_known(number);
	enum db_hint hint;

	if (number == 1236)
		return sort_dump_error(db, text, e);
	if (number == 4052)
		return sort_taken_over(db, text, e);
	if (s == NULL)
		s = db_error_in(source_only, sizeof(source_only) / sizeof(source_only[0]), number);
	err_config(e, "cannot %s source %s: %s (%u)", doing, db->where, text, number);
	if (s == NULL) {
		if (number >= 2000 && number < 3000)
			e->kind = ERR_FATAL;
		return -1;
	}
	e->kind = s->kind;
	/* once logged in, "access denied" is about a privilege */
	hint = s->hint == DB_HINT_LOGIN && db->socket != 0 ? DB_HINT_GRANT_GLOBAL : s->hint;
	add_hint(db, hint, e);
	return -1;
}

int db_failed(const struct db *db, const char *doing, struct err *e)
{
	const char *text = mysql_error(db->mysql);

	if (db->grants != NULL)
		return db_store_failed(db, doing, e);
	return db_error_sort(db, mysql_errno(db->mysql), text[0] != '\0' ? text : "no reason given",
			     doing, e);
}
