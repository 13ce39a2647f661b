/* store.c - versions of a view as databases of a MariaDB or MySQL server, and a public
 * database of views.
 *
 *   VIEW_v1, VIEW_v2 ...   a version: the user's tables and millrace_view, millrace_position,
 *                          millrace_definition, millrace_epoch, millrace_gate, millrace_parked
 *   VIEW                   the public name: one view for each table of the live version
 *
 * One implementation for both servers; the store's name says which of them is expected. Whatever is
 * asked for rarely takes a connection of its own for the call; a version that is written and a
 * snapshot keep theirs.
 *
 * DDL commits by itself, so a version can't be made in one transaction: `whole` in millrace_view
 * is set last, and what lacks it counts as not there. Rows, position and epoch are in InnoDB
 * tables and change in one transaction (mysql/version.c). What is live is what the public
 * views read (mysql/public.c); the `state` in millrace_view follows. */
#include "projections/store/mysql/mysql_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NAME_MAX_SIZE 52 /* 64 characters of a database's name, less "_v1000000" or "_try..." */

/* ---- statements ------------------------------------------------------------------------------ */

static char *format_text(const char *format, va_list arguments)
{
	char *text = NULL;

	if (vasprintf(&text, format, arguments) < 0)
		abort(); /* out of memory */
	return text;
}

int mydb_run(struct db *db, struct err *e, const char *format, ...)
{
	va_list arguments;
	char *sql;
	int rc;

	va_start(arguments, format);
	sql = format_text(format, arguments);
	va_end(arguments);
	rc = db_run(db, sql, e);
	free(sql);
	return rc;
}

int mydb_get_int(struct db *db, int64_t *ret_value, struct err *e, const char *format, ...)
{
	va_list arguments;
	char *sql, *text = NULL;
	int rc;

	va_start(arguments, format);
	sql = format_text(format, arguments);
	va_end(arguments);
	rc = db_get_text(db, sql, &text, e);
	free(sql);
	if (rc == 0)
		*ret_value = text != NULL ? strtoll(text, NULL, 10) : 0;
	free(text);
	return rc;
}

int mydb_get_names(struct db *db, char ***ret_names, size_t *ret_count, struct err *e,
		   const char *format, ...)
{
	struct db_result *r;
	const struct slice *row;
	va_list arguments;
	char *sql, **names = NULL;
	size_t count = 0;
	int rc;

	va_start(arguments, format);
	sql = format_text(format, arguments);
	va_end(arguments);
	rc = db_query(db, sql, &r, e);
	free(sql);
	if (rc < 0)
		return -1;
	while ((rc = db_next(r, &row, e)) == 1) {
		names = xrealloc(names, (count + 1) * sizeof(*names));
		names[count++] = xstrndup((const char *)row[0].data, row[0].size);
	}
	db_result_free(r);
	if (rc < 0) {
		view_names_free(names, count);
		return -1;
	}
	*ret_names = names;
	*ret_count = count;
	return 0;
}

char *mydb_quoted(const char *name)
{
	struct buf text = BUF_INIT;

	db_store_name(name, &text);
	return buf_cstr(&text); /* the buffer's memory is the caller's now */
}

char *mydb_literal(const char *text)
{
	struct buf quoted = BUF_INIT;

	db_quote(slice_str(text), &quoted);
	return buf_cstr(&quoted);
}

bool mydb_is_exact(struct slice collation)
{
	static const char *const exact[] = { "", "utf8mb4_nopad_bin", "utf8mb4_0900_bin",
					     "utf8mb3_nopad_bin" };

	for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++)
		if (slice_is(collation, exact[i]))
			return true;
	return false;
}

/* ---- the place ------------------------------------------------------------------------------- */

char *mydb_database(const struct mydb_store *m, int version)
{
	return version == STORE_SCRATCH ? xasprintf("%s_try%ld", m->view, (long)getpid())
					: xasprintf("%s_v%d", m->view, version);
}

static char *place(const struct store *s, int version)
{
	return mydb_database((const struct mydb_store *)s, version);
}

static void close_store(struct store *s)
{
	struct mydb_store *m = mydb_store_of(s);

	if (s == NULL)
		return;
	mydb_leaver_stop(m);
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
	free(m->view);
	free(m->owner);
	free(m->grants);
	free(m->opened);
	free(m->leaving);
	free(m);
}

static int check_name(const char *view, struct err *e)
{
	if (store_check_name(view, SIZE_MAX, e) < 0)
		return -1;
	if (strlen(view) <= NAME_MAX_SIZE)
		return 0;
	err_config(e, "view %s: its name is too long for the names of its databases", view);
	return err_hint(e, "At most %d characters.", NAME_MAX_SIZE);
}

/* What to type where a right is missing: names with '_' must be escaped in it. */
static char *write_grants(const char *view, const char *user)
{
	struct buf name = BUF_INIT;
	char *text;

	for (const char *p = view; *p != '\0'; p++) {
		if (*p == '_' || *p == '%')
			buf_add_u8(&name, '\\');
		buf_add_u8(&name, (uint8_t)*p);
	}
	text = xasprintf("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, "
			 "REFERENCES, LOCK TABLES, CREATE TEMPORARY TABLES, CREATE VIEW, SHOW VIEW "
			 "ON `%s`.* TO '%s'@'%%'; the same ON "
			 "`%s\\_%%`.*",
			 buf_cstr(&name), user, buf_cstr(&name));
	buf_done(&name);
	return text;
}

static int require_address(const struct mydb_store *m, struct err *e)
{
	struct db_login login;

	mydb_login(m, &login);
	if (login.host[0] != '\0' || login.socket[0] != '\0')
		return 0;
	err_config(e, "view %s: store = %s, but %s.host is missing", m->view, m->role, m->role);
	return err_hint(e, "Name the server that the view is to live in: [%s] host = ...", m->role);
}

/* Where the server makes all names small, VIEW_v1 would not be found again. */
static int check_case(const struct mydb_store *m, struct db *db, struct err *e)
{
	int64_t lower = 0;

	if (mydb_get_int(db, &lower, e, "SELECT @@lower_case_table_names") < 0)
		return -1;
	if (lower == 0 || strpbrk(m->view, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL)
		return 0;
	err_config(e,
		   "view %s: %s has lower_case_table_names = %lld, so capitals in names get lost",
		   m->view, m->role, (long long)lower);
	return err_hint(e, "Give the view's folder a name in small letters.");
}

static int open_store(const struct store_ops *ops, const struct settings *settings,
		      const char *view, struct store **ret_store, struct err *e)
{
	bool mariadb = ops == &store_mariadb;
	struct mydb_store *m;
	struct db *db = NULL;
	int rc;

	if (check_name(view, e) < 0)
		return -1;
	m = xcalloc(1, sizeof(*m));
	m->store.ops = ops;
	m->settings = settings;
	m->role = ops->name;
	m->view = xstrdup(view);
	m->owner = xstrdup(settings->name != NULL ? settings->name : "");
	m->grants = write_grants(view, mariadb ? settings->mariadb_user : settings->mysql_user);
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->changed, NULL);
	rc = require_address(m, e) < 0 || mydb_connect(m, NULL, &db, e) < 0 ||
			     mydb_refuse_source(m, db, e) < 0 || check_case(m, db, e) < 0
		     ? -1
		     : 0;
	db_close(db);
	if (rc < 0)
		close_store(&m->store);
	else
		*ret_store = &m->store;
	return rc;
}

static int open_mariadb(const struct settings *settings, const char *view, struct store **ret_store,
			struct err *e)
{
	return open_store(&store_mariadb, settings, view, ret_store, e);
}

static int open_mysql(const struct settings *settings, const char *view, struct store **ret_store,
		      struct err *e)
{
	return open_store(&store_mysql, settings, view, ret_store, e);
}

/* ---- states ---------------------------------------------------------------------------------- */

int mydb_set_state(struct db *db, const char *database, enum store_state state, bool swap,
		   struct err *e)
{
	char *quoted = mydb_quoted(database);
	int rc = mydb_run(db, e,
			  "UPDATE %s.millrace_view SET state = '%s', swap = %d, superseded_us = "
			  "%lld",
			  quoted, store_state_name(state), swap,
			  state == STORE_SUPERSEDED ? (long long)clock_now_us() : 0LL);

	free(quoted);
	return rc;
}

static int set_state(struct store *s, int version, enum store_state state, bool swap, struct err *e)
{
	struct mydb_store *m = mydb_store_of(s);
	char *database = mydb_database(m, version);
	struct db *db = NULL;
	int live = 0;
	int rc = mydb_connect(m, NULL, &db, e);

	if (rc == 0)
		rc = mydb_set_state(db, database, state, swap, e);
	if (rc == 0 && state == STORE_LIVE)
		rc = mydb_live(m, db, &live, e);
	/* said at the start of whoever owns the view, of what was found to be live */
	if (rc == 0 && state == STORE_LIVE && live == version)
		rc = mydb_mend(m, live, e) < 0 ? -1 : mydb_remove_left(m, db, e);
	db_close(db);
	free(database);
	return rc;
}

#define STORE_MYSQL_OPS                                                                           \
	.close = close_store, .list = store_mysql_list, .create = store_mysql_create,             \
	.definition = store_mysql_definition, .set_state = set_state,                             \
	.remove = store_mysql_remove, .publish = store_mysql_publish,                             \
	.unpublish = store_mysql_unpublish, .place = place, .amend = store_mysql_amend,           \
	.learn = store_mysql_learn, .version_open = store_mysql_version_open,                     \
	.version_close = store_mysql_version_close, .target = store_mysql_target,                 \
	.position = store_mysql_position, .begin = store_mysql_begin,                             \
	.commit = store_mysql_commit, .rollback = store_mysql_rollback,                           \
	.finish = store_mysql_finish, .snapshot = store_mysql_snapshot,                           \
	.snapshot_close = store_mysql_snapshot_close, .snapshot_info = store_mysql_snapshot_info, \
	.columns = store_mysql_columns, .rows = store_mysql_rows, .next = store_mysql_next,       \
	.rows_close = store_mysql_rows_close, .row_count = store_mysql_row_count,                 \
	.shares = &store_mysql_shares, .park = store_mysql_park, .unpark = store_mysql_unpark,    \
	.parked = store_mysql_parked, .savepoint = store_mysql_savepoint,                         \
	.undo = store_mysql_undo, .room = store_mysql_room

const struct store_ops store_mariadb = { .name = "mariadb", .open = open_mariadb, STORE_MYSQL_OPS };
const struct store_ops store_mysql = { .name = "mysql", .open = open_mysql, STORE_MYSQL_OPS };
