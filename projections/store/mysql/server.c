/* server.c - which server a store is, and that it is not the source.
 *
 * Millrace never writes to its source. So before a store is used at all, it is compared with each
 * server of source.host: MySQL by server_uuid; MariaDB, which has none, by host name, port, data
 * folder, server id and the second in which it was started. A source that can't be reached is
 * another server, unless the settings name the same address. One that refuses the login may be the
 * same: that is an error. What was compared once isn't compared again in this process. */
#include "projections/store/mysql/mysql_priv.h"

#include "core/base/address.h"
#include "core/base/mem.h"

#include <stdlib.h>
#include <strings.h>

#define START_SECONDS 3 /* by which two answers about the same start may differ */

void mydb_login(const struct mydb_store *m, struct db_login *ret_login)
{
	const struct settings *s = m->settings;

	if (strcmp(m->role, "mariadb") == 0)
		*ret_login = (struct db_login){ .role = m->role,
						.host = s->mariadb_host,
						.socket = s->mariadb_socket,
						.port = (uint16_t)s->mariadb_port,
						.user = s->mariadb_user,
						.password = s->mariadb_password,
						.tls = s->mariadb_tls,
						.tls_ca = s->mariadb_tls_ca,
						.connect_ms = s->mariadb_connect_timeout_ms,
						.read_ms = s->mariadb_read_timeout_ms,
						.grants = m->grants };
	else
		*ret_login = (struct db_login){ .role = m->role,
						.host = s->mysql_host,
						.socket = s->mysql_socket,
						.port = (uint16_t)s->mysql_port,
						.user = s->mysql_user,
						.password = s->mysql_password,
						.tls = s->mysql_tls,
						.tls_ca = s->mysql_tls_ca,
						.connect_ms = s->mysql_connect_timeout_ms,
						.read_ms = s->mysql_read_timeout_ms,
						.grants = m->grants };
}

static int refuse_kind(const struct mydb_store *m, const struct db *db, struct err *e)
{
	bool mariadb = db_is_mariadb(db);

	if (mariadb == (strcmp(m->role, "mariadb") == 0))
		return 0;
	err_config(e, "%s %s is a %s server (%s)", m->role, db_where(db),
		   mariadb ? "MariaDB" : "MySQL", db_server_version(db));
	return err_hint(e, "Write store = %s in view.conf, and its address into section [%s].",
			mariadb ? "mariadb" : "mysql", mariadb ? "mariadb" : "mysql");
}

int mydb_connect(const struct mydb_store *m, const char *database, struct db **ret_db,
		 struct err *e)
{
	struct db_login login;
	struct db *db;

	mydb_login(m, &login);
	if (db_store_open(&login, database, &db, e) < 0)
		return -1;
	if (refuse_kind(m, db, e) < 0) {
		db_close(db);
		return -1;
	}
	*ret_db = db;
	return 0;
}

/* ---- is it the source? ----------------------------------------------------------------------- */

struct identity {
	char *text; /* what must be equal */
	int64_t started;
};

static int read_identity(struct db *db, struct identity *ret, struct err *e)
{
	struct db_result *r = NULL;
	const struct slice *row;
	int rc = -1;

	*ret = (struct identity){ 0 };
	if (!db_is_mariadb(db))
		return db_get_text(db, "SELECT @@GLOBAL.server_uuid", &ret->text, e);
	if (db_get_text(db,
			"SELECT CONCAT_WS('|', @@hostname, @@port, @@datadir, @@GLOBAL.server_id)",
			&ret->text, e) < 0 ||
	    db_query(db, "SHOW GLOBAL STATUS LIKE 'Uptime'", &r, e) < 0)
		goto out;
	rc = db_next(r, &row, e);
	if (rc == 1 && db_column_count(r) > 1 && row[1].data != NULL) {
		char *up = xstrndup((const char *)row[1].data, row[1].size), *now = NULL;

		db_result_free(r);
		r = NULL;
		rc = db_get_text(db, "SELECT UNIX_TIMESTAMP()", &now, e);
		if (rc == 0 && now != NULL)
			ret->started = strtoll(now, NULL, 10) - strtoll(up, NULL, 10);
		free(up);
		free(now);
	}
out:
	db_result_free(r);
	if (rc < 0)
		free(ret->text);
	return rc < 0 ? -1 : 0;
}

static int refuse(const struct mydb_store *m, const char *source, struct err *e)
{
	err_config(e, "%s %s is the source (%s): Millrace never writes there", m->role,
		   strcmp(m->role, "mariadb") == 0 ? m->settings->mariadb_host
						   : m->settings->mysql_host,
		   source);
	return err_hint(e, "Name another server in section [%s], or give the view another store.",
			m->role);
}

static bool same_address(const struct mydb_store *m, const char *source)
{
	struct err ignored = ERR_INIT;
	struct address a;
	struct db_login login;
	bool local;

	mydb_login(m, &login);
	local = login.socket != NULL && login.socket[0] != '\0';
	return !local &&
	       address_read_default(source, (uint16_t)m->settings->source_port, &a, &ignored) ==
		       0 &&
	       a.port == login.port &&
	       (strcasecmp(a.host, login.host) == 0 ||
		(address_is_loopback(a.host) && address_is_loopback(login.host)));
}

/* *ret_compared stays true where both were asked. */
static int refuse_server(const struct mydb_store *m, size_t i, const struct identity *own,
			 bool mariadb, bool *ret_compared, struct err *e)
{
	const char *name = m->settings->source_hosts.items[i];
	struct identity other;
	struct db *source;
	int rc;

	if (same_address(m, name))
		return refuse(m, name, e);
	if (db_open_source(m->settings, i, DB_TEXT_UTF8, &source, e) < 0) {
		if (e->kind != ERR_RETRY)
			return err_wrap(e, "%s: is it the source?", m->role);
		err_clear(e);
		*ret_compared = false;
		return 0;
	}
	if (db_is_mariadb(source) != mariadb) {
		db_close(source);
		return 0;
	}
	rc = read_identity(source, &other, e);
	db_close(source);
	if (rc < 0)
		return -1;
	if (own->text != NULL && other.text != NULL && strcmp(own->text, other.text) == 0 &&
	    llabs(own->started - other.started) <= START_SECONDS)
		rc = refuse(m, name, e);
	free(other.text);
	return rc;
}

int mydb_refuse_source(const struct mydb_store *m, struct db *db, struct err *e)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static char *known[2]; /* where each kind was found to be another server */
	char **mine = &known[strcmp(m->role, "mysql") == 0];
	struct identity own = { 0 };
	bool compared = true;
	int rc = 0;

	pthread_mutex_lock(&lock);
	if (*mine != NULL && strcmp(*mine, db_where(db)) == 0)
		goto out;
	rc = read_identity(db, &own, e);
	for (size_t i = 0; i < m->settings->source_hosts.count && rc == 0; i++)
		rc = refuse_server(m, i, &own, db_is_mariadb(db), &compared, e);
	if (rc == 0 && compared) {
		free(*mine);
		*mine = xstrdup(db_where(db));
	}
	free(own.text);
out:
	pthread_mutex_unlock(&lock);
	return rc;
}
