/* share.c - what several members that write one version need of MariaDB and MySQL (share.h): a
 * version opened without taking its epoch, statements inside its transaction, a commit without a
 * mark. */
#include "projections/store/mysql/mysql_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>

/* A member that stands still in a transaction loses it: MariaDB has a limit for that; MySQL only
 * one for connections that say nothing at all. */
#define MEMBER_IDLE_S 15

static int share_mysql_open(struct store *s, int version, struct store_version **ret_version,
			    struct err *e)
{
	struct store_version *v;

	if (mydb_version_open(s, version, true, &v, e) < 0)
		return -1;
	if (mydb_run(v->db, e, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED") < 0 ||
	    mydb_run(v->db, e, "SET SESSION %s = %d",
		     db_is_mariadb(v->db) && db_server_number(v->db) >= 100300
			     ? "idle_transaction_timeout"
			     : "wait_timeout",
		     MEMBER_IDLE_S) < 0) {
		store_mysql_version_close(v);
		return -1;
	}
	*ret_version = v;
	return 0;
}

static int share_mysql_rows(struct store_version *v, const char *sql, struct share_rows *ret_rows,
			    struct err *e)
{
	struct db_result *r;
	const struct slice *row;
	int rc;

	*ret_rows = (struct share_rows){ 0 };
	if (db_query(v->db, sql, &r, e) < 0)
		return -1;
	ret_rows->columns = db_column_count(r);
	while ((rc = db_next(r, &row, e)) == 1) {
		size_t at = ret_rows->rows++ * ret_rows->columns;

		ret_rows->cells =
			xrealloc(ret_rows->cells, (at + ret_rows->columns) * sizeof(char *));
		for (size_t i = 0; i < ret_rows->columns; i++)
			ret_rows->cells[at + i] =
				row[i].data != NULL
					? xstrndup((const char *)row[i].data, row[i].size)
					: NULL;
	}
	db_result_free(r);
	for (size_t i = 0; rc < 0 && i < ret_rows->rows * ret_rows->columns; i++)
		free(ret_rows->cells[i]);
	if (rc < 0)
		free(ret_rows->cells);
	return rc;
}

static int share_mysql_run(struct store_version *v, const char *sql, struct share_rows *ret_rows,
			   int64_t *ret_affected, struct err *e)
{
	struct target *t = &v->target.target;
	int rc = t->ops->flush(t, e);

	if (rc == 0)
		rc = ret_rows != NULL ? share_mysql_rows(v, sql, ret_rows, e)
				      : db_run(v->db, sql, e);
	if (rc == 0 && ret_affected != NULL)
		*ret_affected = ret_rows != NULL ? (int64_t)ret_rows->rows
						 : (int64_t)db_store_affected(v->db);
	return rc;
}

static int share_mysql_commit(struct store_version *v, struct err *e)
{
	int rc;

	target_mysql_add(&v->target, "COMMIT");
	rc = v->target.target.ops->flush(&v->target.target, e);
	if (rc < 0)
		store_mysql_rollback(v);
	v->open = false;
	return rc;
}

static int share_mysql_mark(struct store_version *v, const struct store_mark *mark, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	mydb_version_mark(v, mark, &sql);
	rc = db_run(v->db, buf_cstr(&sql), e);
	buf_done(&sql);
	return rc;
}

const struct share_store store_mysql_shares = {
	.dialect = SHARE_MYSQL,
	.open = share_mysql_open,
	.run = share_mysql_run,
	.commit = share_mysql_commit,
	.mark = share_mysql_mark,
};
