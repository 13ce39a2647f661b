/* store_db.c - SQLite behind a narrow face: open, prepare, bind, step, and errors that carry the
 * decision.
 *
 * Every connection is opened for one thread (NOMUTEX), waits up to BUSY_MS for a lock, takes "text"
 * in double quotes as a name and never as a string (a mistyped column must not turn into a
 * constant), and does not trust functions in the schema. Files are in WAL mode: readers never wait
 * for the writer.
 *
 * Kinds of errors: a lock that stays busy heals (RETRY), and so does a full disk, once somebody
 * makes room (RETRY with EXIT_FATAL: sql_no_room); a value that the schema refuses is the record's
 * fault (DATA); a statement that doesn't prepare is the user's (CONFIG); a broken file or a failing
 * device is the machine's (FATAL), with the file's name. SQLite rolls a transaction back by itself
 * after some of the last kind: sql_in_transaction() tells. */
#include "core/sql/store_db.h"

#include "core/base/mem.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

#define BUSY_MS 10000
#define OWN_PREFIX "millrace_"

struct sql_db {
	sqlite3 *handle;
	char *path;
};

struct sql_statement {
	sqlite3_stmt *handle;
	struct sql_db *db;
};

/* A quota, a limit of file sizes. (A full device SQLite knows itself.) sqlite3_system_errno() has
 * nothing to say of a failed write; errno of the call that failed is still there. */
static bool is_no_room(int system_errno)
{
	return system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG;
}

static int no_room(const struct sql_db *db, const char *what, struct err *e)
{
	err_retry(e, "%s: %s: no room on the disk", db->path, what);
	err_exit(e, EXIT_FATAL);
	return err_hint(e, "Make room; nothing of the unfinished transaction was kept.");
}

bool sql_no_room(enum err_kind kind, int exit_code)
{
	return kind == ERR_RETRY && exit_code == EXIT_FATAL;
}

static int fail(const struct sql_db *db, const char *what, struct err *e)
{
	int last = errno, rc = sqlite3_extended_errcode(db->handle);
	const char *message = sqlite3_errmsg(db->handle);

	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_INTERRUPT:
		return err_retry(e, "%s: %s: %s", db->path, what, message);
	case SQLITE_FULL:
		return no_room(db, what, e);
	case SQLITE_IOERR:
		if (is_no_room(last))
			return no_room(db, what, e);
		return err_fatal(e, "%s: %s: %s (SQLite code %d)", db->path, what, message, rc);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_fatal(e, "%s: %s: damaged, or not an SQLite file: %s", db->path, what,
				 message);
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return err_config(e, "%s: %s: %s", db->path, what, message);
	case SQLITE_NOMEM:
		return err_fatal(e, "%s: %s: out of memory", db->path, what);
	default: /* constraint, type, size: what was given does not fit */
		return err_data(e, "%s: %s", what, message);
	}
}

static int open_flags(enum sql_open mode)
{
	switch (mode) {
	case SQL_OPEN_READ:
		return SQLITE_OPEN_READONLY;
	case SQL_OPEN_WRITE:
		return SQLITE_OPEN_READWRITE;
	case SQL_OPEN_CREATE:
		return SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	case SQL_OPEN_MEMORY:
		return SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY;
	}
	return SQLITE_OPEN_READONLY;
}

int sql_open_db(const char *path, enum sql_open mode, struct sql_db **ret_db, struct err *e)
{
	struct sql_db *db = xcalloc(1, sizeof(*db));
	bool file = mode == SQL_OPEN_WRITE || mode == SQL_OPEN_CREATE;

	db->path = xstrdup(mode == SQL_OPEN_MEMORY || path == NULL ? ":memory:" : path);
	if (sqlite3_open_v2(db->path, &db->handle, open_flags(mode) | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK) {
		if (db->handle == NULL)
			err_fatal(e, "%s: out of memory", db->path);
		else
			(void)fail(db, "open", e);
		sql_close(db);
		return -1;
	}
	sqlite3_busy_timeout(db->handle, BUSY_MS);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	if (sql_run(db, "PRAGMA foreign_keys = on", e) < 0 ||
	    (file && sql_run(db, "PRAGMA journal_mode = wal", e) < 0)) {
		sql_close(db);
		return -1;
	}
	*ret_db = db;
	return 0;
}

void sql_close(struct sql_db *db)
{
	if (db == NULL)
		return;
	/* _v2: a statement that outlives its connection keeps it as a zombie instead of leaking the
	 * file's locks */
	sqlite3_close_v2(db->handle);
	free(db->path);
	free(db);
}

void sql_interrupt(struct sql_db *db)
{
	sqlite3_interrupt(db->handle);
}

bool sql_in_transaction(const struct sql_db *db)
{
	return sqlite3_get_autocommit(db->handle) == 0;
}

int sql_sync(struct sql_db *db, struct err *e)
{
	sqlite3_file *file = NULL;
	int rc = sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);

	if (rc != SQLITE_OK || file == NULL || file->pMethods == NULL)
		return err_fatal(e, "%s: sync: not a file (SQLite code %d)", db->path, rc);
	rc = file->pMethods->xSync(file, SQLITE_SYNC_FULL);
	return rc == SQLITE_OK ? 0 : err_fatal(e, "%s: sync: SQLite code %d", db->path, rc);
}

bool sql_collates_binary(struct sql_db *db, const char *table, const char *column)
{
	const char *collation = NULL;

	return sqlite3_table_column_metadata(db->handle, NULL, table, column, NULL, &collation,
					     NULL, NULL, NULL) == SQLITE_OK &&
	       collation != NULL && sqlite3_stricmp(collation, "BINARY") == 0;
}

static bool own_table(const char *name)
{
	return name != NULL && sqlite3_strnicmp(name, OWN_PREFIX, (int)strlen(OWN_PREFIX)) == 0;
}

static int guard(void *context, int action, const char *a, const char *b, const char *database,
		 const char *trigger)
{
	(void)context;
	(void)database;
	(void)trigger;
	switch (action) {
	case SQLITE_TRANSACTION:
	case SQLITE_SAVEPOINT:
	case SQLITE_ATTACH:
	case SQLITE_DETACH:
	case SQLITE_PRAGMA:
		return SQLITE_DENY;
	case SQLITE_CREATE_INDEX:
	case SQLITE_CREATE_TRIGGER:
	case SQLITE_DROP_INDEX:
	case SQLITE_DROP_TRIGGER:
		return own_table(a) || own_table(b) ? SQLITE_DENY : SQLITE_OK;
	case SQLITE_INSERT:
	case SQLITE_UPDATE:
	case SQLITE_DELETE:
	case SQLITE_READ:
	case SQLITE_CREATE_TABLE:
	case SQLITE_CREATE_VIEW:
	case SQLITE_DROP_TABLE:
	case SQLITE_DROP_VIEW:
		return own_table(a) ? SQLITE_DENY : SQLITE_OK;
	case SQLITE_ALTER_TABLE:
		return own_table(b) ? SQLITE_DENY : SQLITE_OK;
	default:
		return SQLITE_OK;
	}
}

void sql_guard(struct sql_db *db, bool on)
{
	sqlite3_set_authorizer(db->handle, on ? guard : NULL, NULL);
}

static int line_of(const char *script, const char *at)
{
	int line = 1;

	for (const char *p = script; p < at; p++)
		line += *p == '\n';
	return line;
}

/* Blanks and comments in front of a statement, so that its first line is the one people mean. */
static const char *skip_blank(const char *p)
{
	for (;;) {
		while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r' || *p == ';')
			p++;
		if (p[0] == '-' && p[1] == '-') {
			while (*p != '\0' && *p != '\n')
				p++;
		} else if (p[0] == '/' && p[1] == '*') {
			const char *end = strstr(p + 2, "*/");

			p = end != NULL ? end + 2 : p + strlen(p);
		} else {
			return p;
		}
	}
}

static int prepare_failed(struct sql_db *db, const char *origin, const char *script,
			  const char *text, struct err *e)
{
	int rc = sqlite3_errcode(db->handle);
	int offset = sqlite3_error_offset(db->handle);
	const char *at = offset >= 0 ? text + offset : skip_blank(text);

	if (rc == SQLITE_AUTH) {
		err_config(e, "%s:%d: not allowed here", origin, line_of(script, at));
		return err_hint(
			e,
			"A view's SQL may not control transactions, attach files, set pragmas or "
			"use tables named " OWN_PREFIX "*.");
	}
	if (rc == SQLITE_ERROR)
		return err_config(e, "%s:%d: %s", origin, line_of(script, at),
				  sqlite3_errmsg(db->handle));
	(void)fail(db, "prepare", e);
	return err_wrap(e, "%s:%d", origin, line_of(script, at));
}

int sql_prepare_at(struct sql_db *db, const char *origin, const char *script, const char *text,
		   const char **ret_tail, struct sql_statement **ret_statement, struct err *e)
{
	sqlite3_stmt *handle = NULL;
	const char *tail = NULL;
	struct sql_statement *s = NULL;

	if (sqlite3_prepare_v3(db->handle, text, -1, SQLITE_PREPARE_PERSISTENT, &handle, &tail) !=
	    SQLITE_OK)
		return prepare_failed(db, origin, script, text, e);
	if (handle != NULL) {
		s = xcalloc(1, sizeof(*s));
		s->handle = handle;
		s->db = db;
	}
	if (ret_tail != NULL)
		*ret_tail = tail;
	*ret_statement = s;
	return 0;
}

int sql_prepare(struct sql_db *db, const char *origin, const char *text, const char **ret_tail,
		struct sql_statement **ret_statement, struct err *e)
{
	return sql_prepare_at(db, origin, text, text, ret_tail, ret_statement, e);
}

void sql_finalize(struct sql_statement *s)
{
	if (s == NULL)
		return;
	sqlite3_finalize(s->handle);
	free(s);
}

bool sql_is_read_only(const struct sql_statement *s)
{
	return sqlite3_stmt_readonly(s->handle) != 0;
}

int sql_script(struct sql_db *db, const char *origin, const char *text, struct err *e)
{
	const char *at = text;

	while (*skip_blank(at) != '\0') {
		struct sql_statement *s;
		const char *tail;
		int rc;

		if (sql_prepare_at(db, origin, text, at, &tail, &s, e) < 0)
			return -1;
		if (s == NULL)
			break;
		while ((rc = sql_step(s, e)) == 1)
			continue;
		sql_finalize(s);
		if (rc < 0)
			return err_wrap(e, "%s:%d", origin, line_of(text, skip_blank(at)));
		at = tail;
	}
	return 0;
}

int sql_run(struct sql_db *db, const char *sql, struct err *e)
{
	if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		return fail(db, sql, e);
	return 0;
}

int sql_parameter_count(const struct sql_statement *s)
{
	return sqlite3_bind_parameter_count(s->handle);
}

const char *sql_parameter_name(const struct sql_statement *s, int i)
{
	const char *name = sqlite3_bind_parameter_name(s->handle, i);

	return name != NULL && name[0] != '?' ? name + 1 : NULL;
}

int sql_bind(struct sql_statement *s, int i, const struct value *v, struct err *e)
{
	/* a NULL pointer would bind NULL; empty text and empty bytes are values */
	const void *bytes = v->bytes.data != NULL ? (const void *)v->bytes.data : "";
	int rc = SQLITE_ERROR;

	switch ((enum value_kind)v->kind) {
	case VALUE_ABSENT:
	case VALUE_NULL:
		rc = sqlite3_bind_null(s->handle, i);
		break;
	case VALUE_INT:
		rc = sqlite3_bind_int64(s->handle, i, v->i);
		break;
	case VALUE_DOUBLE:
		rc = sqlite3_bind_double(s->handle, i, v->d);
		break;
	case VALUE_TEXT:
		rc = sqlite3_bind_text64(s->handle, i, bytes, v->bytes.size, SQLITE_STATIC,
					 SQLITE_UTF8);
		break;
	case VALUE_BYTES:
		rc = sqlite3_bind_blob64(s->handle, i, bytes, v->bytes.size, SQLITE_STATIC);
		break;
	}
	return rc == SQLITE_OK ? 0 : fail(s->db, "bind", e);
}

int sql_step(struct sql_statement *s, struct err *e)
{
	int rc = sqlite3_step(s->handle);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	(void)fail(s->db, "statement", e);
	sqlite3_reset(s->handle);
	return -1;
}

void sql_reset(struct sql_statement *s)
{
	sqlite3_reset(
		s->handle); /* repeats the error of the last step, which its caller has seen */
}

int sql_column_count(const struct sql_statement *s)
{
	return sqlite3_column_count(s->handle);
}

const char *sql_column_name(const struct sql_statement *s, int column)
{
	return sqlite3_column_name(s->handle, column);
}

bool sql_column_origin(const struct sql_statement *s, int column, const char **ret_table,
		       const char **ret_column)
{
	*ret_table = sqlite3_column_table_name(s->handle, column);
	*ret_column = sqlite3_column_origin_name(s->handle, column);
	return *ret_table != NULL && *ret_column != NULL;
}

int sql_step_row(struct sql_statement *s, struct value *values, size_t count, struct err *e)
{
	int rc = sql_step(s, e);

	for (size_t i = 0; i < count && rc == 1; i++)
		sql_column(s, (int)i, &values[i]);
	return rc;
}

void sql_column(const struct sql_statement *s, int column, struct value *ret_value)
{
	struct value v = { .kind = VALUE_NULL };

	switch (sqlite3_column_type(s->handle, column)) {
	case SQLITE_INTEGER:
		v.kind = VALUE_INT;
		v.i = sqlite3_column_int64(s->handle, column);
		break;
	case SQLITE_FLOAT:
		v.kind = VALUE_DOUBLE;
		v.d = sqlite3_column_double(s->handle, column);
		break;
	case SQLITE_TEXT:
		v.kind = VALUE_TEXT;
		v.bytes.data = sqlite3_column_text(s->handle, column);
		v.bytes.size = (size_t)sqlite3_column_bytes(s->handle, column);
		break;
	case SQLITE_BLOB:
		v.kind = VALUE_BYTES;
		v.bytes.data = sqlite3_column_blob(s->handle, column);
		v.bytes.size = (size_t)sqlite3_column_bytes(s->handle, column);
		break;
	default:
		break;
	}
	*ret_value = v;
}

int64_t sql_changes(struct sql_db *db)
{
	return sqlite3_changes64(db->handle);
}

/* First column of the first row; *ret_found false when there is no row. The statement stays open
 * for its text. */
static int first_row(struct sql_db *db, const char *sql, struct sql_statement **ret_statement,
		     bool *ret_found, struct err *e)
{
	struct sql_statement *s = NULL;
	int rc;

	if (sql_prepare(db, "query", sql, NULL, &s, e) < 0)
		return -1;
	if (s == NULL)
		return err_fatal(e, "empty query");
	rc = sql_step(s, e);
	if (rc < 0) {
		sql_finalize(s);
		return -1;
	}
	*ret_found = rc == 1;
	*ret_statement = s;
	return 0;
}

int sql_get_int(struct sql_db *db, const char *sql, int64_t *ret_value, struct err *e)
{
	struct sql_statement *s;
	bool found;

	if (first_row(db, sql, &s, &found, e) < 0)
		return -1;
	if (found)
		*ret_value = sqlite3_column_int64(s->handle, 0);
	sql_finalize(s);
	return found ? 0 : err_data(e, "%s: no row for: %s", db->path, sql);
}

int sql_get_text(struct sql_db *db, const char *sql, char **ret_text, struct err *e)
{
	struct sql_statement *s;
	const unsigned char *text;
	bool found;

	if (first_row(db, sql, &s, &found, e) < 0)
		return -1;
	text = found ? sqlite3_column_text(s->handle, 0) : NULL;
	*ret_text = text != NULL ? xstrdup((const char *)text) : NULL;
	sql_finalize(s);
	return 0;
}

void sql_quote_name(const char *name, struct buf *out)
{
	buf_add_u8(out, '"');
	for (const char *p = name; *p != '\0'; p++) {
		if (*p == '"')
			buf_add_u8(out, '"');
		buf_add_u8(out, (uint8_t)*p);
	}
	buf_add_u8(out, '"');
}

int sql_column_names(struct sql_db *db, const char *table, char ***ret_names, size_t *ret_count,
		     struct err *e)
{
	struct value name = { .kind = VALUE_TEXT, .bytes = slice_str(table) }, column;
	struct sql_statement *s;
	char **names = NULL;
	size_t count = 0;
	int rc;

	if (sql_prepare(db, "columns", "SELECT name FROM pragma_table_info(?1)", NULL, &s, e) < 0)
		return -1;
	rc = sql_bind(s, 1, &name, e);
	while (rc == 0 && (rc = sql_step_row(s, &column, 1, e)) == 1) {
		names = xrealloc(names, (count + 1) * sizeof(*names));
		names[count++] = xstrndup((const char *)column.bytes.data, column.bytes.size);
		rc = 0;
	}
	sql_finalize(s);
	if (rc < 0) {
		while (count > 0)
			free(names[--count]);
		free(names);
		return -1;
	}
	*ret_names = names;
	*ret_count = count;
	return 0;
}

int sql_row_count(struct sql_db *db, const char *table, int64_t *ret_count, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	buf_add_str(&sql, "SELECT count(*) FROM ");
	sql_quote_name(table, &sql);
	rc = sql_get_int(db, buf_cstr(&sql), ret_count, e);
	buf_done(&sql);
	return rc;
}
