/* db_position.c - what to ask which server for its position.
 *
 * @@GLOBAL is spelled out: on MySQL 5.6 and 5.7 the session has a gtid_executed of its own, which
 * is empty. */
#include "core/mysql/db_position.h"

#include <stdlib.h>

#define STATUS_RENAMED 80200

int db_get_set(struct db *db, const char *sql, struct gtid_set *set, struct err *e)
{
	char *text = NULL;
	int rc;

	if (db_get_text(db, sql, &text, e) < 0)
		return -1;
	rc = gtid_set_parse(slice_str(text != NULL ? text : ""), set, e);
	free(text);
	return rc;
}

int db_has_gtids(struct db *db, bool *ret_has, struct err *e)
{
	char *mode = NULL;

	*ret_has = true;
	if (db_is_mariadb(db))
		return 0;
	if (db_get_text(db, "SELECT @@GLOBAL.gtid_mode", &mode, e) < 0)
		return -1;
	*ret_has = mode != NULL && strcmp(mode, "ON") == 0;
	free(mode);
	return 0;
}

int db_binlog_end(struct db *db, struct gtid_set *set, struct err *e)
{
	bool renamed = !db_is_mariadb(db) && db_server_number(db) >= STATUS_RENAMED;
	struct db_result *result = NULL;
	const struct slice *row;
	struct buf place = BUF_INIT;
	int rc;

	if (db_query(db, renamed ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS", &result, e) < 0)
		return -1;
	rc = db_next(result, &row, e);
	if (rc == 1) {
		buf_add_format(&place, "%.*s:%.*s", (int)row[0].size, (const char *)row[0].data,
			       (int)row[1].size, (const char *)row[1].data);
		rc = gtid_set_parse(buf_slice(&place), set, e);
	} else if (rc == 0) {
		rc = err_config(e, "source %s has no binlog (is log_bin off?)", db_where(db));
	}
	db_result_free(result);
	buf_done(&place);
	return rc;
}

int db_position(struct db *db, struct gtid_set *set, struct err *e)
{
	bool has = false;

	if (db_is_mariadb(db))
		return db_get_set(db, "SELECT @@GLOBAL.gtid_binlog_pos", set, e);
	if (db_has_gtids(db, &has, e) < 0)
		return -1;
	return has ? db_get_set(db, "SELECT @@GLOBAL.gtid_executed", set, e)
		   : db_binlog_end(db, set, e);
}
