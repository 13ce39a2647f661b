/* db_store_error.c - errors of sessions that write: which heal, which are a record's fault, which
 * need a person; and messages without values.
 *
 * "Duplicate entry 'x' for key 'PRIMARY'": what stands in quotes may be data, but for the name at
 * the end, behind " for key " or " for column ". Messages of the numbers in `plain` hold names
 * only. Of all others everything from the first quote on is withheld, up to such an end. A
 * statement that is only prepared has no values in it: of that the server's word is given. */
#include "core/mysql/db_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>

/* Beside those of db_error.c. */
static const struct db_sorted store_only[] = {
	{ 1047, ERR_RETRY, DB_HINT_NONE },      /* Galera: not ready */
	{ 1180, ERR_RETRY, DB_HINT_NONE },      /* error during COMMIT */
	{ 1206, ERR_RETRY, DB_HINT_NONE },      /* too many locks */
	{ 1290, ERR_RETRY, DB_HINT_READ_ONLY }, /* --read-only, or another option */
	{ 1792, ERR_RETRY, DB_HINT_READ_ONLY }, /* transaction read only */
	{ 1836, ERR_RETRY, DB_HINT_READ_ONLY }, /* read only mode */
	{ 3100, ERR_RETRY, DB_HINT_NONE },      /* group replication refuses */
	{ 3101, ERR_RETRY, DB_HINT_NONE },      /* group replication: rolled back */
	{ 3169, ERR_RETRY, DB_HINT_NONE },      /* MySQL: session was killed */
	{ 1370, ERR_CONFIG, DB_HINT_GRANT },    /* no right on a routine */
	{ 3118, ERR_CONFIG, DB_HINT_LOGIN },    /* account is locked */
	{ 1049, ERR_CONFIG, DB_HINT_DATABASE }, /* no such database */
	{ 1153, ERR_CONFIG, DB_HINT_PACKET },   /* packet larger than max_allowed_packet */
	{ 2020, ERR_CONFIG, DB_HINT_PACKET },   /* the same, seen by the client */
	{ 3159, ERR_CONFIG, DB_HINT_TLS },      /* require_secure_transport */
	{ 4004, ERR_CONFIG, DB_HINT_TLS },      /* MariaDB's number for it */
	{ 1048, ERR_DATA, DB_HINT_NONE },       /* column cannot be null */
	{ 1264, ERR_DATA, DB_HINT_NONE },       /* out of range */
	{ 1265, ERR_DATA, DB_HINT_NONE },       /* data truncated for column */
	{ 1292, ERR_DATA, DB_HINT_NONE },       /* incorrect date, or number in an expression */
	{ 1364, ERR_DATA, DB_HINT_NONE },       /* no default value */
	{ 1366, ERR_DATA, DB_HINT_NONE },       /* incorrect value for column */
	{ 1367, ERR_DATA, DB_HINT_NONE },       /* illegal value found during parsing */
	{ 1406, ERR_DATA, DB_HINT_NONE },       /* too long for column */
	{ 1411, ERR_DATA, DB_HINT_NONE },       /* incorrect value for a function */
	{ 1416, ERR_DATA, DB_HINT_NONE },       /* no geometry */
	{ 1441, ERR_DATA, DB_HINT_NONE },       /* date overflow */
	{ 1525, ERR_DATA, DB_HINT_NONE },       /* incorrect value */
	{ 1690, ERR_DATA, DB_HINT_NONE },       /* out of range in an expression */
	{ 3140, ERR_DATA, DB_HINT_NONE },       /* invalid JSON */
	{ 3819, ERR_DATA, DB_HINT_NONE },       /* check constraint, MySQL */
	{ 4025, ERR_DATA, DB_HINT_NONE },       /* check constraint, MariaDB */
};

/* Messages that hold names only. */
static const unsigned plain[] = { 1005, 1008, 1040, 1044, 1045, 1046, 1048, 1049, 1050, 1051, 1053,
				  1054, 1060, 1061, 1068, 1071, 1072, 1075, 1091, 1102, 1103, 1109,
				  1113, 1115, 1117, 1118, 1129, 1130, 1136, 1142, 1143, 1146, 1153,
				  1170, 1205, 1213, 1215, 1227, 1235, 1264, 1273, 1286, 1290, 1305,
				  1317, 1364, 1406, 1412, 1451, 1452, 1553, 1698, 1786, 1813, 1836,
				  1846, 1927, 1969, 3159, 3750, 3819, 4025 };

static bool is_plain(unsigned number)
{
	if (number >= 2000 && number < 3000)
		return true; /* the client's own: no statement was looked at */
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (plain[i] == number)
			return true;
	return false;
}

/* The end that the server itself put behind the value, for these numbers: the last one counts. */
static const char *name_behind(unsigned number, const char *text)
{
	const char *part = number == 1062 || number == 1586   ? " for key "
			   : number == 1366 || number == 1265 ? " for column "
							      : NULL;
	const char *last = "";

	if (part == NULL)
		return last;
	for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
		last = at;
	return last;
}

/* Malloced. */
static char *without_values(unsigned number, const char *text)
{
	const char *quote = strchr(text, '\'');

	if (is_plain(number) || quote == NULL)
		return xstrdup(text);
	return xasprintf("%.*s'...' (value withheld)%s", (int)(quote - text), text,
			 name_behind(number, quote));
}

static void add_hint(const struct db *db, enum db_hint hint, struct err *e)
{
	const char *role = db->role;

	switch (hint) {
	case DB_HINT_NONE:
	case DB_HINT_SPACE: /* no_room() says it */
		break;
	case DB_HINT_AWAY:
		err_hint(e, "Check that the server runs and that %s.host and %s.port name it.",
			 role, role);
		break;
	case DB_HINT_LOGIN:
		err_hint(e,
			 "Check %s.user and %s.password_file; on the store: SHOW GRANTS FOR "
			 "'%s'@'%%'.",
			 role, role, db->user);
		break;
	case DB_HINT_GRANT:
	case DB_HINT_GRANT_GLOBAL:
		err_hint(e, "On the store: %s", db->grants);
		break;
	case DB_HINT_HOST:
		err_hint(e, "The store refuses this host: the account's host part, or FLUSH HOSTS "
			    "there.");
		break;
	case DB_HINT_TLS:
		err_hint(e,
			 "Check %s.tls and %s.tls_ca, and what the server asks for "
			 "(require_secure_transport).",
			 role, role);
		break;
	case DB_HINT_READ_ONLY:
		err_hint(e, "The server takes no writes (read_only): name the primary in %s.host.",
			 role);
		break;
	case DB_HINT_PACKET:
		err_hint(e, "SET GLOBAL max_allowed_packet = 1073741824 on the store.");
		break;
	case DB_HINT_DATABASE:
		err_hint(e, "Was a version's database dropped by hand?");
		break;
	}
}

/* 1021 and 1114 say so; others pass the system's error number on (28: ENOSPC, 122: EDQUOT). */
static bool is_no_room(unsigned number, const char *text)
{
	switch (number) {
	case 1021:
	case 1114:
		return true;
	case 3:    /* error writing file (errno: 28 ...) */
	case 1026: /* the same of the server */
	case 1030: /* got error 28 from storage engine */
	case 1180: /* during COMMIT */
	case 1005: /* can't create table */
	case 1006: /* can't create database */
	case 1025: /* error on rename */
		return strstr(text, "rror 28") != NULL || strstr(text, "rrno: 28") != NULL ||
		       strstr(text, "rror: 28") != NULL || strstr(text, "rror 122") != NULL ||
		       strstr(text, "rrno: 122") != NULL || strstr(text, "rror: 122") != NULL;
	default:
		return false;
	}
}

static int no_room(const struct db *db, struct err *e)
{
	err_retry(e, "%s %s: no room on the server's disk", db->role, db->where);
	err_exit(e, EXIT_FATAL);
	return err_hint(e, "Make room; nothing of the unfinished transaction was kept.");
}

/* SQLSTATE class 22: data exception; 23: integrity constraint. */
static bool is_data(const char *state)
{
	return strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0;
}

static int sort_number(const struct db *db, unsigned number, const char *state, const char *text,
		       const char *doing, struct err *e)
{
	enum err_kind kind = number >= 2000 && number < 3000 ? ERR_FATAL
			     : is_data(state)                ? ERR_DATA
							     : ERR_CONFIG;
	const struct db_sorted *s = db_error_known(number);

	if (s == NULL)
		s = db_error_in(store_only, sizeof(store_only) / sizeof(store_only[0]), number);
	if (s != NULL)
		kind = s->kind;
	if (kind == ERR_DATA)
		err_data(e, "%s (%u)", text, number);
	else
		err_fatal(e, "cannot %s %s %s: %s (%u)", doing, db->role, db->where, text, number);
	e->kind = kind;
	add_hint(db, s != NULL ? s->hint : DB_HINT_NONE, e);
	return -1;
}

int db_error_sort_store(const struct db *db, unsigned number, const char *state, const char *text,
			const char *doing, struct err *e)
{
	char *shown;
	int rc;

	if (is_no_room(number, text))
		return no_room(db, e);
	shown = without_values(number, text[0] != '\0' ? text : "no reason given");
	rc = sort_number(db, number, state, shown, doing, e);
	free(shown);
	return rc;
}

int db_store_failed(const struct db *db, const char *doing, struct err *e)
{
	return db_error_sort_store(db, mysql_errno(db->mysql), mysql_sqlstate(db->mysql),
				   mysql_error(db->mysql), doing, e);
}

int db_store_try_failed(const struct db *db, unsigned number, const char *state, const char *text,
			struct err *e)
{
	(void)sort_number(db, number, state, text, "prepare a statement on", e);
	if ((e->kind == ERR_CONFIG && number != 1142 && number != 1143 && number != 1044) ||
	    e->kind == ERR_DATA)
		err_config(e, "%s (%u)", text, number); /* the statement's own fault */
	return -1;
}
