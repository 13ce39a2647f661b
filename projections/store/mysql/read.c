/* read.c - a version as it is at one moment: a consistent snapshot of InnoDB sees what
 * was committed when it began, while the writer goes on. mysql/rows.c reads tables in it. */
#include "projections/store/mysql/mysql_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>

void store_mysql_snapshot_close(struct store_snapshot *n)
{
	if (n == NULL)
		return;
	db_close(n->db);
	free(n->database);
	free(n);
}

int store_mysql_snapshot(struct store *s, int version, struct store_snapshot **ret_snapshot,
			 struct err *e)
{
	struct mydb_store *m = mydb_store_of(s);
	struct store_snapshot *n = xcalloc(1, sizeof(*n));
	int rc;

	n->database = mydb_database(m, version);
	rc = mydb_connect(m, n->database, &n->db, e);
	if (rc == 0)
		rc = mydb_run(n->db, e, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
	if (rc == 0)
		rc = mydb_info(m, n->db, version, &n->info, e) < 0 ? -1 : 0;
	if (rc == 0 && n->info.version != version)
		rc = err_config(e, "%s database %s holds no whole version", m->role, n->database);
	if (rc < 0)
		store_mysql_snapshot_close(n);
	else
		*ret_snapshot = n;
	return rc;
}

void store_mysql_snapshot_info(const struct store_snapshot *n, struct store_info *ret_info)
{
	*ret_info = n->info;
}

int store_mysql_columns(struct store_snapshot *n, const char *table, char ***ret_names,
			size_t *ret_count, struct err *e)
{
	char *d = mydb_literal(n->database), *t = mydb_literal(table);
	int rc = mydb_get_names(n->db, ret_names, ret_count, e,
				"SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE "
				"TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
				d, t);

	free(d);
	free(t);
	return rc;
}

int store_mysql_row_count(struct store_snapshot *n, const char *table, int64_t *ret_count,
			  struct err *e)
{
	char *quoted = mydb_quoted(table);
	int rc = mydb_get_int(n->db, ret_count, e, "SELECT COUNT(*) FROM %s", quoted);

	free(quoted);
	return rc;
}
