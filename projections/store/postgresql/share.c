/* share.c - what several members that write one version need of PostgreSQL
 * (share.h): a version opened without taking its epoch, statements inside its transaction, a commit
 * without a mark. */
#include "projections/store/postgresql/postgresql_priv.h"

#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define IDLE "SET idle_in_transaction_session_timeout = '10s'"

static int open_shared(struct store *s, int version, struct store_version **ret_version,
		       struct err *e)
{
	struct store_version *v;

	if (store_postgresql_version_share(s, version, &v, e) < 0)
		return -1;
	if (pg_run(v->pg, IDLE, e) < 0) {
		store_postgresql_version_close(v);
		return -1;
	}
	*ret_version = v;
	return 0;
}

static void take_rows(const struct pg_result *r, size_t columns, struct share_rows *ret_rows)
{
	*ret_rows = (struct share_rows){ .columns = columns, .rows = pg_rows(r) };
	ret_rows->cells = xcalloc(columns * ret_rows->rows + 1, sizeof(*ret_rows->cells));
	for (size_t i = 0; i < ret_rows->rows; i++)
		for (size_t j = 0; j < columns; j++) {
			const char *text = pg_text(r, i, (int)j);

			ret_rows->cells[i * columns + j] = text != NULL ? xstrdup(text) : NULL;
		}
}

static int run_shared(struct store_version *v, const char *sql, struct share_rows *ret_rows,
		      int64_t *ret_affected, struct err *e)
{
	struct pg_result *r;

	if (target_postgresql_queue(&v->target, e) < 0 || pg_ask(v->pg, sql, NULL, 0, &r, e) < 0)
		return -1;
	if (ret_rows != NULL)
		take_rows(r, pg_columns(r), ret_rows);
	if (ret_affected != NULL)
		*ret_affected = pg_changed(r);
	pg_result_free(r);
	return 0;
}

static int commit_shared(struct store_version *v, struct err *e)
{
	if (target_postgresql_queue(&v->target, e) == 0 && pg_queue(v->pg, "COMMIT", e) == 0 &&
	    pg_drain(v->pg, NULL, e) == 0)
		return 0;
	store_postgresql_rollback(v);
	return -1;
}

static int mark_shared(struct store_version *v, const struct store_mark *mark, struct err *e)
{
	char *position = xstrndup((const char *)mark->position.data, mark->position.size);
	char seq[24], commit_us[24];
	const char *values[] = { seq, mark->gtid_set, commit_us,
				 mark->position.size > 0 ? position : NULL };
	int rc;

	(void)snprintf(seq, sizeof(seq), "%" PRId64, mark->seq);
	(void)snprintf(commit_us, sizeof(commit_us), "%" PRId64, mark->commit_us);
	rc = pg_ask(v->pg,
		    "UPDATE millrace_position SET seq = $1, gtid_set = $2, commit_us = $3, position "
		    "= $4",
		    values, 4, NULL, e);
	free(position);
	return rc;
}

const struct share_store store_postgresql_shares = {
	.dialect = SHARE_POSTGRESQL,
	.open = open_shared,
	.run = run_shared,
	.commit = commit_shared,
	.mark = mark_shared,
};
