/* unpublish.c - the public name is taken away, because the view is gone: its views, and the schema
 * where nothing else is in it. Readers that are inside a transaction are waited for as in a swap.
 */
#include "projections/store/postgresql/postgresql_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/stop.h"

#include <stdlib.h>

/* Those that a swap made: others in that schema are the user's. */
static const char views_sql[] =
	"SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "
	"n.nspname = $1 AND c.relkind = 'v' AND (c.relname IN ('millrace_view', "
	"'millrace_position') OR EXISTS (SELECT 1 FROM pg_class d JOIN pg_namespace m ON m.oid = "
	"d.relnamespace WHERE m.nspname = $2 AND d.relname = c.relname)) ORDER BY 1";
/* A schema that an operator made stays, and one that holds something of the user's. */
static const char empty_sql[] =
	"SELECT count(*) FROM pg_namespace n WHERE n.nspname = $1 AND n.nspowner = (SELECT oid FROM "
	"pg_roles WHERE rolname = current_user) AND NOT EXISTS (SELECT 1 FROM pg_class c WHERE "
	"c.relnamespace = n.oid) AND NOT EXISTS (SELECT 1 FROM pg_proc p WHERE p.pronamespace = "
	"n.oid) AND NOT EXISTS (SELECT 1 FROM pg_type t WHERE t.typnamespace = n.oid)";

static int check_capture(const struct pg_store *f, struct pg *pg, struct err *e)
{
	char *capture = NULL;
	int rc = store_postgresql_capture(f, pg, &capture, e);

	if (rc == 0 && (capture == NULL || strcmp(capture, f->settings->name) != 0))
		rc = err_config(e, "schema %s is the public name of another capture", f->view);
	free(capture);
	return rc;
}

static int drop_views(const struct pg_store *f, struct pg *pg, int live, struct err *e)
{
	char *schema = store_postgresql_schema(f, live);
	const char *values[] = { f->view, schema };
	struct buf sql = BUF_INIT;
	struct pg_result *r = NULL;
	int rc = pg_ask(pg, views_sql, values, 2, &r, e);

	for (size_t i = 0; rc == 0 && i < pg_rows(r); i++) {
		buf_add_str(&sql, i == 0 ? "DROP VIEW " : ", ");
		pg_quote_name(f->view, &sql);
		buf_add_u8(&sql, '.');
		pg_quote_name(pg_text(r, i, 0), &sql);
	}
	buf_add_str(&sql, sql.size > 0 ? "; DROP TABLE " : "DROP TABLE ");
	pg_quote_name(f->view, &sql);
	buf_add_str(&sql, ".millrace_public");
	if (rc == 0)
		rc = pg_run(pg, buf_cstr(&sql), e);
	if (rc < 0 && strcmp(pg_state(pg), "2BP01") == 0)
		err_hint(e, "Something of yours depends on a view of schema %s: drop it first.",
			 f->view);
	buf_done(&sql);
	pg_result_free(r);
	free(schema);
	return rc;
}

static int drop_schema(const struct pg_store *f, struct pg *pg, struct err *e)
{
	const char *values[] = { f->view };
	struct buf sql = BUF_INIT;
	int64_t empty = 0;
	int rc = pg_get_int(pg, empty_sql, values, 1, &empty, e);

	buf_add_str(&sql, "DROP SCHEMA ");
	pg_quote_name(f->view, &sql);
	if (rc == 0 && empty == 1)
		rc = pg_run(pg, buf_cstr(&sql), e);
	buf_done(&sql);
	return rc;
}

static int unpublish_once(const struct pg_store *f, struct pg *pg, struct err *e)
{
	int live = 0, rc = pg_run(pg, "BEGIN; SET LOCAL lock_timeout = " PUBLIC_LOCK_MS, e);

	if (rc == 0)
		rc = store_postgresql_public(f, pg, &live, e);
	if (rc == 0 && live != 0 &&
	    (check_capture(f, pg, e) < 0 || drop_views(f, pg, live, e) < 0 ||
	     drop_schema(f, pg, e) < 0))
		rc = -1;
	if (rc == 0)
		rc = pg_run(pg, "COMMIT", e);
	if (rc < 0)
		store_postgresql_undo_all(pg);
	return rc;
}

int store_postgresql_unpublish(struct store *s, struct err *e)
{
	struct pg_store *f = pg_store_of(s);
	int64_t until = clock_monotonic_us() + PUBLIC_TRY_FOR_US;
	struct pg *pg;
	int rc;

	if (store_postgresql_connect(f, NULL, &pg, e) < 0)
		return -1;
	while ((rc = unpublish_once(f, pg, e)) < 0) {
		if (e->kind != ERR_RETRY || pg_is_lost(pg) || clock_monotonic_us() > until ||
		    stop_wait_ms(PUBLIC_BETWEEN_MS))
			break;
		err_clear(e);
	}
	pg_close(pg);
	return rc < 0 ? err_wrap(e, "view %s: the public name", f->view) : 0;
}
