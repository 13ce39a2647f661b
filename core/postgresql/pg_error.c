/* pg_error.c - which of the server's errors heal by themselves, and what a person should do about
 * the others.
 *
 * One table of SQLSTATEs and classes (PostgreSQL manual, appendix A), the longest prefix wins. What
 * the server says is repeated only where it can't hold row data: it is left out whenever values
 * were at work, and in the classes that are about values; DETAIL, HINT and CONTEXT never are
 * shown. */
#include "core/postgresql/pg_priv.h"

#include <stdio.h>

enum hint { HINT_NONE, HINT_GRANT, HINT_POOLER, HINT_STANDBY, HINT_ROOM, HINT_SLOTS };

struct sorted {
	const char *state; /* or its beginning */
	enum err_kind kind;
	enum hint hint;
	const char *name;
};

static const struct sorted table[] = {
	{ "08", ERR_RETRY, HINT_NONE, "connection" },
	{ "0A", ERR_CONFIG, HINT_NONE, "not supported" },
	{ "21", ERR_DATA, HINT_NONE, "more than one row" },
	{ "22001", ERR_DATA, HINT_NONE, "a text is too long for its column" },
	{ "22003", ERR_DATA, HINT_NONE, "a number is out of range" },
	{ "22007", ERR_DATA, HINT_NONE, "not a date or time" },
	{ "22008", ERR_DATA, HINT_NONE, "a date or time is out of range" },
	{ "22012", ERR_DATA, HINT_NONE, "division by zero" },
	{ "22021", ERR_DATA, HINT_NONE, "bytes that are no text" },
	{ "22P02", ERR_DATA, HINT_NONE, "a text that its type can't read" },
	{ "22P03", ERR_DATA, HINT_NONE, "bytes that its type can't read" },
	{ "22", ERR_DATA, HINT_NONE, "a value is refused" },
	{ "23502", ERR_DATA, HINT_NONE, "NULL where none may be" },
	{ "23503", ERR_DATA, HINT_NONE, "a foreign key is violated" },
	{ "23505", ERR_DATA, HINT_NONE, "a key is there already" },
	{ "23514", ERR_DATA, HINT_NONE, "a check is violated" },
	{ "23", ERR_DATA, HINT_NONE, "a constraint is violated" },
	{ "25006", ERR_RETRY, HINT_STANDBY, "read only" },
	{ "25P02", ERR_RETRY, HINT_NONE, "the transaction has failed" },
	{ "25P03", ERR_RETRY, HINT_NONE, "idle for too long" },
	{ "26", ERR_CONFIG, HINT_POOLER, "unknown statement" },
	{ "28", ERR_CONFIG, HINT_NONE, "login" },
	{ "40", ERR_RETRY, HINT_NONE, "rolled back" },
	{ "42501", ERR_CONFIG, HINT_GRANT, "a privilege is missing" },
	{ "42", ERR_CONFIG, HINT_NONE, "definition" },
	{ "44", ERR_DATA, HINT_NONE, "a check is violated" },
	{ "53100", ERR_RETRY, HINT_ROOM, "no room on the disk" },
	{ "53300", ERR_RETRY, HINT_SLOTS, "too many connections" },
	{ "53", ERR_RETRY, HINT_NONE, "short of resources" },
	{ "54", ERR_DATA, HINT_NONE, "a limit of the server" },
	{ "55", ERR_RETRY, HINT_NONE, "in use" },
	{ "57", ERR_RETRY, HINT_NONE, "stopped" },
	{ "58", ERR_FATAL, HINT_NONE, "input or output" },
	{ "P0", ERR_DATA, HINT_NONE, "refused by a function" },
	{ "XX", ERR_FATAL, HINT_NONE, "inside of the server" },
	{ "3D", ERR_CONFIG, HINT_NONE, "database" },
	{ "3F", ERR_CONFIG, HINT_NONE, "schema" },
	{ "2B", ERR_CONFIG, HINT_NONE, "something depends on it" },
};

static const struct sorted *sort(const char *state)
{
	const struct sorted *found = NULL;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t size = strlen(table[i].state);

		if (strncmp(state, table[i].state, size) == 0 &&
		    (found == NULL || size > strlen(found->state)))
			found = &table[i];
	}
	return found;
}

static void add_hint(const struct pg *p, enum hint hint, struct err *e)
{
	switch (hint) {
	case HINT_NONE:
		break;
	case HINT_GRANT:
		err_hint(e,
			 "GRANT CREATE, CONNECT, TEMPORARY ON DATABASE \"%s\" TO \"%s\"; (what "
			 "Millrace makes there it owns).",
			 p->database, p->user);
		break;
	case HINT_POOLER:
		err_hint(e, "Connect to the server itself, or to a pooler that pools sessions.");
		break;
	case HINT_STANDBY:
		err_hint(e, "This server is a standby, or was set to read only: "
			    "postgresql.host may name several, the one that can be written is "
			    "taken.");
		break;
	case HINT_ROOM:
		err_hint(e, "Make room on the server's disk; nothing of the unfinished transaction "
			    "was kept.");
		break;
	case HINT_SLOTS:
		err_hint(e, "Raise max_connections, or end sessions that nobody needs.");
		break;
	}
}

static void add_object(const PGresult *r, int field, const char *word, char *text, size_t size)
{
	const char *name = PQresultErrorField(r, field);
	size_t used = strlen(text);

	if (name != NULL)
		(void)snprintf(text + used, size - used, ", %s %s", word, name);
}

/* What may be told: names of things, never a value. */
static void describe(const PGresult *r, const struct sorted *s, bool rows, char *text, size_t size)
{
	const char *primary = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	bool hidden = s->kind == ERR_DATA || (rows && s->kind == ERR_CONFIG);

	(void)snprintf(text, size, "%s", hidden || primary == NULL ? s->name : primary);
	if (!hidden)
		return;
	add_object(r, PG_DIAG_TABLE_NAME, "table", text, size);
	add_object(r, PG_DIAG_COLUMN_NAME, "column", text, size);
	add_object(r, PG_DIAG_DATATYPE_NAME, "type", text, size);
	add_object(r, PG_DIAG_CONSTRAINT_NAME, "constraint", text, size);
}

static int lost(struct pg *p, struct err *e)
{
	const char *said = PQerrorMessage(p->conn);

	(void)snprintf(p->state, sizeof(p->state), "08006");
	return err_retry(e, "%s: the connection is lost: %.*s", p->where, (int)strcspn(said, "\n"),
			 said);
}

int pg_failed(struct pg *p, const PGresult *result, bool rows, struct err *e)
{
	static const struct sorted unknown = { "", ERR_FATAL, HINT_NONE, "error" };
	const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	const struct sorted *s;
	char text[512];

	if (state == NULL)
		return lost(p, e);
	(void)snprintf(p->state, sizeof(p->state), "%s", state);
	s = sort(state);
	if (s == NULL)
		s = &unknown;
	describe(result, s, rows, text, sizeof(text));
	switch (s->kind) {
	case ERR_RETRY:
		err_retry(e, "%s: %s (%s)", p->where, text, state);
		break;
	case ERR_DATA:
		err_data(e, "%s: %s (%s)", p->where, text, state);
		break;
	case ERR_CONFIG:
		err_config(e, "%s: %s (%s)", p->where, text, state);
		break;
	case ERR_FATAL:
	case ERR_NONE:
		err_fatal(e, "%s: %s (%s)", p->where, text, state);
		break;
	}
	if (s->hint == HINT_ROOM)
		err_exit(e, EXIT_FATAL);
	add_hint(p, s->hint, e);
	return -1;
}

/* libpq tells no SQLSTATE of a login that fails, only the text. One in another language counts as
 * something that may heal. */
int pg_connect_failed(const struct pg *p, struct err *e)
{
	static const char *const wrong[] = {
		"authentication failed", "no password supplied", "role \"",
		"no pg_hba.conf entry",  "permission denied",    "certificate",
		"does not support SSL",  "password file"
	};
	const char *said = PQerrorMessage(p->conn), *fatal = strstr(said, "FATAL:  ");
	int size;

	said = fatal != NULL ? fatal + 8 : said;
	size = (int)strcspn(said, "\n");
	if (strstr(said, "database \"") != NULL && strstr(said, "does not exist") != NULL) {
		err_config(e, "%s: %.*s", p->where, size, said);
		return err_hint(e, "CREATE DATABASE \"%s\" OWNER \"%s\";", p->database, p->user);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (strstr(said, wrong[i]) == NULL)
			continue;
		err_config(e, "%s: %.*s", p->where, size, said);
		return err_hint(e, "Check postgresql.user, postgresql.password_file and "
				   "postgresql.tls; on the server pg_hba.conf.");
	}
	err_retry(e, "%s: %.*s", p->where, size, said);
	return err_hint(e, "Check that the server runs and that postgresql.host and "
			   "postgresql.port name it.");
}
