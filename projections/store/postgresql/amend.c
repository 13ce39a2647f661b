/* amend.c - columns added to a version in place (kind mirror): its table, its definition and, where
 * it is live, the public views change in one transaction, with the patience of a swap (public.c).
 */
#include "projections/store/postgresql/postgresql_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/stop.h"

#include <stdlib.h>

static int amend_once(struct pg_store *f, struct pg *pg, const char *schema, int version,
		      const char *sql, const char *file, const char *text, struct err *e)
{
	const char *values[] = { file, text };
	struct buf views = BUF_INIT;
	int live = 0, rc = -1;

	if (pg_run(pg, "BEGIN; SET LOCAL lock_timeout = " PUBLIC_LOCK_MS, e) == 0 &&
	    store_postgresql_ours(f, pg, schema, version, e) == 0 &&
	    store_postgresql_script(pg, file, sql, e) == 0 &&
	    pg_ask(pg, "UPDATE millrace_definition SET content = $2 WHERE path = $1", values, 2,
		   NULL, e) == 0 &&
	    store_postgresql_public(f, pg, &live, e) == 0)
		rc = live == version ? store_postgresql_public_script(f, pg, schema, &views, e) : 0;
	if (rc == 0 && live == version)
		rc = pg_run(pg, buf_cstr(&views), e);
	if (rc == 0)
		rc = pg_run(pg, "COMMIT", e);
	buf_done(&views);
	if (rc < 0)
		store_postgresql_undo_all(pg);
	return rc;
}

/* Table, definition and public views in one transaction, with the patience of a swap. */
int store_postgresql_amend(struct store *s, int version, const char *sql, const char *file,
			   const char *text, struct err *e)
{
	struct pg_store *f = pg_store_of(s);
	char *schema = store_postgresql_schema(f, version);
	int64_t until = clock_monotonic_us() + PUBLIC_TRY_FOR_US;
	struct pg *pg = NULL;
	int rc = store_postgresql_connect(f, schema, &pg, e);

	for (bool again = rc == 0; again;) {
		rc = amend_once(f, pg, schema, version, sql, file, text, e);
		again = rc < 0 && e->kind == ERR_RETRY && !pg_is_lost(pg) &&
			clock_monotonic_us() < until && !stop_wait_ms(PUBLIC_BETWEEN_MS);
		if (again)
			err_clear(e);
	}
	pg_close(pg);
	free(schema);
	return rc < 0 ? err_wrap(e, "view %s, version %d: new columns", f->view, version) : 0;
}
