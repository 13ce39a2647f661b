/* db.c - connect and query.
 *
 * Every session is alike, whatever the server's defaults are: UTC, no sql_mode that would change a
 * SELECT, statements in utf8mb4, results in utf8mb4 or as stored, transactions read only. Millrace
 * has no business writing to its source, and a session that cannot write makes sure of it.
 *
 * Results are streamed row by row (mysql_use_result): memory does not grow with them. The price is
 * that a result must be read to its end or freed before the next statement: db_query refuses a
 * second one. */
#include "core/mysql/db_priv.h"

#include "core/base/address.h"
#include "core/base/buf.h"
#include "core/base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define WRITE_TIMEOUT_S 30

struct db_result {
	struct db *db;
	MYSQL_RES *result;
	size_t column_count;
	struct slice *row;
	bool ended;
};

static void start_library(void)
{
	mysql_server_init(0, NULL, NULL);
}

static unsigned seconds(int64_t ms)
{
	return (unsigned)((ms + 999) / 1000);
}

static void set_tls(MYSQL *mysql, const struct db_login *login)
{
	my_bool on = strcmp(login->tls, "off") != 0;
	my_bool verify = strcmp(login->tls, "verify") == 0;

	mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &on);
	mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
	if (verify)
		mysql_options(mysql, MYSQL_OPT_SSL_CA, login->tls_ca);
}

/* The library goes on in the clear with a server that has no TLS, unless it shall verify it. */
static int check_tls(const struct db *db, const struct db_login *login, struct err *e)
{
	if (strcmp(login->tls, "off") == 0 || mysql_get_ssl_cipher(db->mysql) != NULL)
		return 0;
	err_config(e, "%s %s has no TLS, and %s.tls = %s asks for it", db->role, db->where,
		   db->role, login->tls);
	return err_hint(e,
			"Give the server a certificate, or set %s.tls = off where nobody else "
			"can listen.",
			db->role);
}

static void set_options(MYSQL *mysql, const struct db_login *login)
{
	unsigned connect_s = seconds(login->connect_ms);
	unsigned read_s = seconds(login->read_ms), write_s = WRITE_TIMEOUT_S;
	unsigned loads = login->grants != NULL; /* else no server gets a file */

	mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
	mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &read_s);
	mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &write_s);
	mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &loads);
	mysql_options(mysql, MYSQL_READ_DEFAULT_GROUP, NULL);
	set_tls(mysql, login);
	mysql_options4(mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "millrace");
}

static int set_up_session(struct db *db, enum db_text text, struct err *e)
{
	static const char *const statements[] = {
		"SET NAMES utf8mb4",
		"SET time_zone = '+00:00', sql_mode = '', autocommit = 1, net_write_timeout = 600, sql_select_limit = DEFAULT",
		"SET SESSION TRANSACTION READ ONLY",
	};

	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
		if (db_run(db, statements[i], e) < 0)
			return -1;
	return text == DB_TEXT_BINARY ? db_run(db, "SET character_set_results = NULL", e) : 0;
}

int db_connect(const struct db_login *login, struct db **ret_db, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	bool local = login->socket != NULL && login->socket[0] != '\0';
	struct db *db = xcalloc(1, sizeof(*db));

	pthread_once(&once, start_library);
	db->host = xstrdup(login->host);
	db->user = xstrdup(login->user);
	db->role = xstrdup(login->role);
	db->grants = login->grants != NULL ? xstrdup(login->grants) : NULL;
	db->where = local ? xstrdup(login->socket)
			  : xasprintf("%s:%u", db->host, (unsigned)login->port);
	db->mysql = mysql_init(NULL);
	if (db->mysql == NULL)
		abort(); /* it only allocates */
	set_options(db->mysql, login);
	if (login->grants != NULL)
		db_load_allow(db);
	if (!local && login->grants != NULL) { /* "localhost" would mean some socket */
		unsigned tcp = MYSQL_PROTOCOL_TCP;

		mysql_options(db->mysql, MYSQL_OPT_PROTOCOL, &tcp);
	}
	if (mysql_real_connect(db->mysql, local ? "localhost" : db->host, db->user,
			       login->password, NULL, local ? 0 : login->port,
			       local ? login->socket : NULL,
			       login->grants != NULL ? CLIENT_FOUND_ROWS : 0) == NULL) {
		db_failed(db, "connect to", e);
		db_close(db);
		return -1;
	}
	if (check_tls(db, login, e) < 0) {
		db_close(db);
		return -1;
	}
	db->socket = mysql_get_socket(db->mysql);
	*ret_db = db;
	return 0;
}

int db_open_source(const struct settings *settings, size_t i, enum db_text text,
		   struct db **ret_db, struct err *e)
{
	struct db_login login = { .role = "source",
				  .user = settings->source_user,
				  .password = settings->source_password,
				  .tls = settings->source_tls,
				  .tls_ca = settings->source_tls_ca,
				  .connect_ms = settings->source_connect_timeout_ms,
				  .read_ms = settings->source_read_timeout_ms };
	struct address address;
	struct db *db;

	if (address_read_default(settings->source_hosts.items[i], (uint16_t)settings->source_port,
				 &address, e) < 0)
		return -1;
	login.host = address.host;
	login.port = address.port;
	if (db_connect(&login, &db, e) < 0)
		return -1;
	if (set_up_session(db, text, e) < 0) {
		db_close(db);
		return -1;
	}
	*ret_db = db;
	return 0;
}

/* What one server of several said: of all, the kind that may heal counts. */
static void add_failure(const struct err *one, struct err *all, struct buf *text)
{
	if (all->kind == ERR_NONE || one->kind == ERR_RETRY)
		*all = *one;
	buf_add_format(text, "%s%.*s", text->size > 0 ? "; " : "",
		       (int)strcspn(one->msg, "\n"), one->msg);
}

int db_open(const struct settings *settings, enum db_text text, struct db **ret_db, struct err *e)
{
	const struct text_list *servers = &settings->source_hosts;
	struct err all = ERR_INIT;
	struct buf said = BUF_INIT;

	for (size_t i = 0; i < servers->count; i++) {
		struct err one = ERR_INIT;

		if (db_open_source(settings, i, text, ret_db, &one) == 0) {
			buf_done(&said);
			return 0;
		}
		add_failure(&one, &all, &said);
	}
	if (servers->count > 1)
		(void)snprintf(all.msg, sizeof(all.msg), "none of source.host can be reached: %s",
			       buf_cstr(&said)); /* cut, if need be */
	buf_done(&said);
	*e = all;
	return -1;
}

const char *db_where(const struct db *db)
{
	return db->where;
}

void db_close(struct db *db)
{
	if (db == NULL)
		return;
	db_load_free(db);
	mysql_close(db->mysql);
	free(db->host);
	free(db->user);
	free(db->where);
	free(db->role);
	free(db->grants);
	free(db);
}

static int send(struct db *db, const char *sql, struct err *e)
{
	if (db->result_open)
		return err_fatal(e, "a statement on a connection whose last result is still open");
	if (mysql_real_query(db->mysql, sql, strlen(sql)) != 0)
		return db_failed(db, "query", e);
	return 0;
}

int db_run(struct db *db, const char *sql, struct err *e)
{
	MYSQL_RES *result;

	if (send(db, sql, e) < 0)
		return -1;
	result = mysql_use_result(db->mysql);
	if (result != NULL)
		mysql_free_result(result); /* reads and drops what is left */
	return mysql_errno(db->mysql) != 0 ? db_failed(db, "query", e) : 0;
}

int db_query(struct db *db, const char *sql, struct db_result **ret_result, struct err *e)
{
	struct db_result *r;
	MYSQL_RES *result;

	if (send(db, sql, e) < 0)
		return -1;
	result = mysql_use_result(db->mysql);
	if (result == NULL && mysql_errno(db->mysql) != 0)
		return db_failed(db, "query", e);
	if (result == NULL)
		return err_config(e, "a statement without a result where rows are needed");
	r = xcalloc(1, sizeof(*r));
	r->db = db;
	r->result = result;
	r->column_count = mysql_num_fields(result);
	r->row = xcalloc(r->column_count, sizeof(r->row[0]));
	db->result_open = true;
	*ret_result = r;
	return 0;
}

int db_next(struct db_result *r, const struct slice **ret_row, struct err *e)
{
	MYSQL_ROW row;
	unsigned long *sizes;

	if (r->ended)
		return 0;
	row = mysql_fetch_row(r->result);
	if (row == NULL) {
		r->ended = true;
		return mysql_errno(r->db->mysql) != 0 ? db_failed(r->db, "read from", e) : 0;
	}
	sizes = mysql_fetch_lengths(r->result);
	for (size_t i = 0; i < r->column_count; i++)
		r->row[i] = slice_of(row[i], row[i] == NULL ? 0 : sizes[i]);
	*ret_row = r->row;
	return 1;
}

size_t db_column_count(const struct db_result *r)
{
	return r->column_count;
}

const char *db_column_name(const struct db_result *r, size_t column)
{
	return mysql_fetch_field_direct(r->result, (unsigned)column)->name;
}

struct value_source_type db_column_type(const struct db_result *r, size_t column)
{
	const MYSQL_FIELD *f = mysql_fetch_field_direct(r->result, (unsigned)column);

	return (struct value_source_type){
		.type = (uint8_t)f->type,
		.is_unsigned = (f->flags & UNSIGNED_FLAG) != 0,
		.is_binary = f->charsetnr == COLLATION_BINARY,
		.decimals = (uint8_t)f->decimals,
		.bits = f->type == MYSQL_TYPE_BIT ? (uint16_t)f->length : 0,
	};
}

void db_result_free(struct db_result *r)
{
	if (r == NULL)
		return;
	mysql_free_result(r->result);
	r->db->result_open = false;
	free(r->row);
	free(r);
}

int db_get_text(struct db *db, const char *sql, char **ret_text, struct err *e)
{
	struct db_result *r;
	const struct slice *row;
	char *text = NULL;
	int rc;

	if (db_query(db, sql, &r, e) < 0)
		return -1;
	rc = db_next(r, &row, e);
	if (rc == 1 && row[0].data != NULL)
		text = xstrndup((const char *)row[0].data, row[0].size);
	db_result_free(r);
	if (rc < 0)
		return -1;
	*ret_text = text;
	return 0;
}

static int take_rows(struct db *db, size_t statement, db_row_fn row, void *context, struct err *e)
{
	MYSQL_RES *result = mysql_use_result(db->mysql);
	struct db_result r = { .db = db, .result = result };
	const struct slice *cells;
	int rc = 0;

	if (result == NULL)
		return mysql_errno(db->mysql) != 0 ? db_failed(db, "query", e) : 0;
	r.column_count = mysql_num_fields(result);
	r.row = xcalloc(r.column_count, sizeof(r.row[0]));
	while (rc == 0 && (rc = db_next(&r, &cells, e)) == 1)
		rc = row(context, statement, cells, r.column_count, e);
	mysql_free_result(result); /* reads and drops what is left */
	free(r.row);
	return rc;
}

/* What is left of the batch is read and dropped: else the connection is of no more use. */
static void drop_rest(struct db *db)
{
	while (mysql_more_results(db->mysql) && mysql_next_result(db->mysql) == 0) {
		MYSQL_RES *result = mysql_use_result(db->mysql);

		if (result != NULL)
			mysql_free_result(result);
	}
}

int db_query_batch(struct db *db, const char *statements, db_row_fn row, void *context,
		   size_t *ret_done, struct err *e)
{
	size_t done = 0;
	int rc = 0;

	*ret_done = 0;
	if (mysql_set_server_option(db->mysql, MYSQL_OPTION_MULTI_STATEMENTS_ON) != 0)
		return db_failed(db, "query", e);
	if (send(db, statements, e) < 0)
		rc = -1;
	while (rc == 0 && (rc = take_rows(db, done, row, context, e)) == 0) {
		*ret_done = ++done;
		if (!mysql_more_results(db->mysql))
			break;
		if (mysql_next_result(db->mysql) > 0)
			rc = db_failed(db, "query", e);
	}
	drop_rest(db);
	if (mysql_set_server_option(db->mysql, MYSQL_OPTION_MULTI_STATEMENTS_OFF) != 0 && rc == 0)
		rc = db_failed(db, "query", e);
	return rc;
}

unsigned db_error_number(const struct db *db)
{
	return mysql_errno(db->mysql);
}

bool db_is_mariadb(const struct db *db)
{
	return mariadb_connection(db->mysql) != 0;
}

uint64_t db_connection_id(const struct db *db)
{
	return mysql_thread_id(db->mysql);
}

const char *db_server_version(const struct db *db)
{
	return mysql_get_server_info(db->mysql);
}

unsigned db_server_number(const struct db *db)
{
	return (unsigned)mysql_get_server_version(db->mysql);
}

/* No session has NO_BACKSLASH_ESCAPES in its sql_mode, so backslash escapes are on. */
void db_quote(struct slice text, struct buf *sql)
{
	buf_add_u8(sql, '\'');
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];

		if (c == '\0') {
			buf_add_str(sql, "\\0");
			continue;
		}
		if (c == '\'' || c == '\\')
			buf_add_u8(sql, '\\');
		buf_add_u8(sql, c);
	}
	buf_add_u8(sql, '\'');
}
