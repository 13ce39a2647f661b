/* db_error.c - which of the client's and server's errors heal by themselves, and what a person
 * should do about the others.
 *
 * One table of numbers (MariaDB knowledge base, "MariaDB Error Codes"; 2000 to 2999 are the
 * client's own). A number that isn't in it needs a person when the server sent it, and is fatal
 * when the client library made it up. The statement is not repeated: it may hold row data. */
#include "core/mysql/db_priv.h"

#include <stdlib.h>

enum hint {
	HINT_NONE,
	HINT_AWAY,
	HINT_LOGIN,
	HINT_GRANT_READ,
	HINT_GRANT_STREAM,
	HINT_HOST,
	HINT_SPACE
};

struct sorted {
	unsigned number;
	enum err_kind kind;
	enum hint hint;
};

static const struct sorted table[] = {
	{ 1040, ERR_RETRY, HINT_NONE },        /* too many connections */
	{ 1053, ERR_RETRY, HINT_NONE },        /* shutdown in progress */
	{ 1079, ERR_RETRY, HINT_NONE },        /* shutdown complete */
	{ 1158, ERR_RETRY, HINT_NONE },        /* network read error */
	{ 1159, ERR_RETRY, HINT_NONE },        /* network read timeout */
	{ 1160, ERR_RETRY, HINT_NONE },        /* network write error */
	{ 1161, ERR_RETRY, HINT_NONE },        /* network write timeout */
	{ 1203, ERR_RETRY, HINT_NONE },        /* too many connections of this user */
	{ 1205, ERR_RETRY, HINT_NONE },        /* lock wait timeout */
	{ 1213, ERR_RETRY, HINT_NONE },        /* deadlock */
	{ 1317, ERR_RETRY, HINT_NONE },        /* query killed */
	{ 1412, ERR_RETRY, HINT_NONE },        /* table definition changed under an open snapshot */
	{ 1927, ERR_RETRY, HINT_NONE },        /* connection killed */
	{ 1969, ERR_RETRY, HINT_NONE },        /* max_statement_time exceeded */
	{ 3024, ERR_RETRY, HINT_NONE },        /* MySQL: max_execution_time exceeded */
	{ 1226, ERR_RETRY, HINT_NONE },        /* resource limit of the account */
	{ 1044, ERR_CONFIG, HINT_GRANT_READ }, /* no access to the database */
	{ 1045, ERR_CONFIG, HINT_LOGIN },      /* wrong password */
	{ 1698, ERR_CONFIG, HINT_LOGIN },      /* wrong password, none given */
	{ 1130, ERR_CONFIG, HINT_HOST },       /* host not allowed */
	{ 1129, ERR_CONFIG, HINT_HOST },       /* host blocked */
	{ 1142, ERR_CONFIG, HINT_GRANT_READ }, /* no right on the table */
	{ 1143, ERR_CONFIG, HINT_GRANT_READ }, /* no right on the column */
	{ 1227, ERR_CONFIG, HINT_GRANT_STREAM }, /* a global privilege is missing */
	{ 1021, ERR_RETRY, HINT_SPACE },         /* disk full */
	{ 2002, ERR_RETRY, HINT_AWAY },          /* cannot connect */
	{ 2003, ERR_RETRY, HINT_AWAY },          /* cannot connect over TCP */
	{ 2005, ERR_RETRY, HINT_AWAY },          /* unknown host: name servers fail too */
	{ 2006, ERR_RETRY, HINT_NONE },          /* gone away */
	{ 2012, ERR_RETRY, HINT_NONE },          /* error in the handshake */
	{ 2013, ERR_RETRY, HINT_NONE },          /* lost, or silent beyond the read timeout */
	{ 2026, ERR_RETRY, HINT_NONE },          /* TLS failed */
	{ 2027, ERR_RETRY, HINT_NONE },          /* malformed packet */
	{ 2055, ERR_RETRY, HINT_NONE },          /* lost, with the system's reason */
	{ 2058, ERR_CONFIG, HINT_LOGIN },        /* authentication plugin */
	{ 2059, ERR_CONFIG, HINT_LOGIN },
};

static void add_hint(const struct db *db, enum hint hint, struct err *e)
{
	switch (hint) {
	case HINT_NONE:
		break;
	case HINT_AWAY:
		err_hint(e, "Check that the server runs and that source.host and source.port "
			    "name it.");
		break;
	case HINT_LOGIN:
		err_hint(
			e,
			"Check source.user and source.password_file; on the source: SHOW GRANTS FOR '%s'@'%%'.",
			db->user);
		break;
	case HINT_GRANT_READ:
		err_hint(e, "GRANT SELECT ON *.* TO '%s'@'%%' (or on the captured databases only).",
			 db->user);
		break;
	case HINT_GRANT_STREAM:
		err_hint(e, "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO '%s'@'%%'.",
			 db->user);
		break;
	case HINT_HOST:
		err_hint(
			e,
			"The source refuses this host: the account's host part, or FLUSH HOSTS on the source.");
		break;
	case HINT_SPACE:
		err_hint(e, "The source's disk is full.");
		break;
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
	if (number == 1236)
		return sort_dump_error(db, text, e);
	if (number == 4052)
		return sort_taken_over(db, text, e);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].number != number)
			continue;
		if (table[i].kind == ERR_RETRY)
			err_retry(e, "cannot %s source %s: %s (%u)", doing, db->where, text,
				  number);
		else
			err_config(e, "cannot %s source %s: %s (%u)", doing, db->where, text,
				   number);
		/* once logged in, "access denied" is about a privilege */
		add_hint(db,
			 table[i].hint == HINT_LOGIN && db->socket != 0 ? HINT_GRANT_STREAM
									: table[i].hint,
			 e);
		return -1;
	}
	if (number >= 2000 && number < 3000)
		return err_fatal(e, "cannot %s source %s: %s (%u)", doing, db->where, text, number);
	return err_config(e, "cannot %s source %s: %s (%u)", doing, db->where, text, number);
}

int db_failed(const struct db *db, const char *doing, struct err *e)
{
	const char *text = mysql_error(db->mysql);

	if (db->grants != NULL)
		return db_store_failed(db, doing, e);
	return db_error_sort(db, mysql_errno(db->mysql), text[0] != '\0' ? text : "no reason given",
			     doing, e);
}
