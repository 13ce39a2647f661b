/* public.c - the public name: a schema of views that all lead to one version, and
 * its change for readers that never stop.
 *
 * A swap is one transaction: the views are replaced, the states of both versions written, the row
 * of millrace_public changed. What readers may be doing meanwhile:
 *
 *   - A reader inside a transaction that has read a view keeps a lock on it until its transaction
 *     ends. The swap needs all of the views for itself, so it comes before or behind such a
 *     transaction, never in between: no transaction sees two versions.
 *   - Whoever comes while the swap waits for such a lock would queue behind it. So it waits
 *     PUBLIC_LOCK_MS at most, gives up what it has, and tries again.
 *   - A transaction with an old snapshot (REPEATABLE READ) that hasn't read the view yet would be
 *     led to a version whose rows are newer than its snapshot: to empty tables. So the swap waits
 *     until no snapshot is left that is older than the end of the version's build.
 *   - A prepared statement is planned anew by the server when the view under it changes; it fails
 *     only if the columns that it asks for are gone or have another type.
 *
 * A view whose columns stay is replaced in place, with new ones behind: what depends on it and who
 * may read it stays. Otherwise it is dropped and made, and its grants are given again; something of
 * the user's that depends on it is a reason to refuse. */
#include "projections/store/postgresql/postgresql_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"
#include "core/base/stop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int store_postgresql_public(const struct pg_store *f, struct pg *pg, int *ret_version,
			    struct err *e)
{
	const char *values[] = { f->view };
	struct buf sql = BUF_INIT;
	int64_t there = 0, version = 0;
	int rc = pg_get_int(pg,
			    "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = "
			    "c.relnamespace WHERE n.nspname = $1 AND c.relname = "
			    "'millrace_public' AND c.relkind = 'r'",
			    values, 1, &there, e);

	if (rc == 0 && there == 1) {
		buf_add_str(&sql, "SELECT version FROM ");
		pg_quote_name(f->view, &sql);
		buf_add_str(&sql, ".millrace_public");
		rc = pg_get_int(pg, buf_cstr(&sql), NULL, 0, &version, e);
		buf_done(&sql);
	}
	*ret_version = (int)version;
	return rc;
}

/* ---- the place of the views ------------------------------------------------------------------ */

/* A schema that an operator made beforehand, with its grants, is taken when it is empty. */
static int make_place(const struct pg_store *f, struct pg *pg, struct err *e)
{
	const char *values[] = { f->view };
	struct buf sql = BUF_INIT;
	struct pg_result *r;
	bool there, ours, empty;
	int rc;

	if (pg_ask(pg,
		   "SELECT count(c.oid), count(*) FILTER (WHERE c.relname = 'millrace_public') FROM "
		   "pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid WHERE n.nspname = "
		   "$1 GROUP BY n.oid",
		   values, 1, &r, e) < 0)
		return -1;
	there = pg_rows(r) > 0;
	empty = !there || pg_int(r, 0, 0) == 0;
	ours = there && pg_int(r, 0, 1) > 0;
	pg_result_free(r);
	if (ours)
		return 0;
	if (!empty) {
		err_config(e, "schema %s holds something that Millrace didn't make", f->view);
		return err_hint(e,
				"The public name of view %s is a schema of that name: rename "
				"the one that is there, or the view.",
				f->view);
	}
	if (!there) {
		buf_add_str(&sql, "CREATE SCHEMA ");
		pg_quote_name(f->view, &sql);
		buf_add_str(&sql, "; ");
	}
	buf_add_str(&sql, "CREATE TABLE ");
	pg_quote_name(f->view, &sql);
	buf_add_str(&sql, ".millrace_public (one boolean PRIMARY KEY DEFAULT true CHECK (one), "
			  "capture text NOT NULL, version integer NOT NULL, since_us bigint NOT "
			  "NULL)");
	rc = pg_run(pg, buf_cstr(&sql), e);
	buf_done(&sql);
	return rc;
}

int store_postgresql_capture(const struct pg_store *f, struct pg *pg, char **ret_capture,
			     struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	buf_add_str(&sql, "SELECT capture FROM ");
	pg_quote_name(f->view, &sql);
	buf_add_str(&sql, ".millrace_public");
	rc = pg_get_text(pg, buf_cstr(&sql), NULL, 0, ret_capture, e);
	buf_done(&sql);
	return rc;
}

static int check_capture(const struct pg_store *f, struct pg *pg, struct err *e)
{
	char *capture = NULL;
	int rc = store_postgresql_capture(f, pg, &capture, e);

	if (rc == 0 && capture != NULL && strcmp(capture, f->settings->name) != 0) {
		rc = err_config(e, "schema %s is the public name of the capture '%s'", f->view,
				capture);
		err_hint(e, "Give the view another name, or postgresql.database a database of its "
			    "own.");
	}
	free(capture);
	return rc;
}

/* ---- snapshots that are too old -------------------------------------------------------------- */

/* The xmin of a session's snapshot is below what it can't see yet. 64 bits of it: the age tells. */
static int await_snapshots(struct pg *pg, const char *schema, struct err *e)
{
	struct buf sql = BUF_INIT;
	struct pg_result *r;
	int rc;

	buf_add_str(&sql, "SELECT a.pid, a.usename, a.application_name FROM pg_stat_activity a, ");
	pg_quote_name(schema, &sql);
	buf_add_str(&sql,
		    ".millrace_view v WHERE a.datname = current_database() AND a.pid <> "
		    "pg_backend_pid() AND a.backend_type = 'client backend' AND a.backend_xmin IS "
		    "NOT NULL AND pg_snapshot_xmax(pg_current_snapshot())::text::bigint - "
		    "age(a.backend_xmin) < v.built_xid LIMIT 1");
	rc = pg_ask(pg, buf_cstr(&sql), NULL, 0, &r, e);
	buf_done(&sql);
	if (rc < 0)
		return -1;
	if (pg_rows(r) > 0) {
		rc = err_retry(
			e,
			"a transaction of process %s (%s, %s) is older than the new version: "
			"it would find its tables empty",
			pg_text(r, 0, 0), pg_text(r, 0, 1) != NULL ? pg_text(r, 0, 1) : "?",
			pg_text(r, 0, 2) != NULL ? pg_text(r, 0, 2) : "?");
		err_hint(e, "It is waited for. To end it: SELECT pg_terminate_backend(%s);",
			 pg_text(r, 0, 0));
	}
	pg_result_free(r);
	return rc;
}

/* ---- the views ------------------------------------------------------------------------------- */

/* name, can it be replaced in place, is it there, is it in the new version */
static const char plan_sql[] =
	"WITH cols AS (SELECT n.nspname, c.relname, c.relkind, a.attname, a.atttypid, a.atttypmod, "
	"a.attcollation, row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum) AS at FROM "
	"pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON "
	"a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped WHERE (n.nspname = $1 AND "
	"c.relkind = 'v') OR (n.nspname = $2 AND c.relkind IN ('r', 'p', 'v') AND NOT "
	"c.relispartition AND (c.relname NOT LIKE 'millrace\\_%' OR c.relname IN ('millrace_view', "
	"'millrace_position')))), old AS (SELECT * FROM cols WHERE nspname = $1), new AS (SELECT * "
	"FROM cols WHERE nspname = $2) SELECT coalesce(o.relname, w.relname), NOT EXISTS (SELECT 1 "
	"FROM old o1 LEFT JOIN new n1 ON n1.relname = o1.relname AND n1.at = o1.at WHERE o1.relname "
	"= o.relname AND (n1.at IS NULL OR n1.attname <> o1.attname OR n1.atttypid <> o1.atttypid OR "
	"n1.atttypmod <> o1.atttypmod OR n1.attcollation <> o1.attcollation)), o.relname IS NOT "
	"NULL, w.relname IS NOT NULL FROM (SELECT DISTINCT relname FROM old) o FULL JOIN (SELECT "
	"DISTINCT relname FROM new) w ON w.relname = o.relname ORDER BY 1";

/* Who may do what with a view that is about to be dropped, as statements that say it again. */
static int keep_grants(const struct pg_store *f, struct pg *pg, const char *name, struct buf *out,
		       struct err *e)
{
	const char *values[] = { f->view, name };
	struct pg_result *r;

	if (pg_ask(pg,
		   "SELECT format('GRANT %s ON %I.%I TO %s%s', x.privilege_type, $1::text, $2::text, CASE "
		   "x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) "
		   "END, CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) FROM "
		   "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) "
		   "x WHERE n.nspname = $1 AND c.relname = $2 AND x.grantee <> c.relowner UNION ALL "
		   "SELECT format('GRANT %s (%I) ON %I.%I TO %s', x.privilege_type, a.attname, $1::text, "
		   "$2::text, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE "
		   "quote_ident(pg_get_userbyid(x.grantee)) END) FROM pg_class c JOIN pg_namespace n "
		   "ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid, "
		   "aclexplode(a.attacl) x WHERE n.nspname = $1 AND c.relname = $2 AND "
		   "EXISTS (SELECT 1 FROM pg_attribute b WHERE b.attrelid = to_regclass(format("
		   "'%I', $2::text)) AND b.attname = a.attname)",
		   values, 2, &r, e) < 0)
		return -1;
	for (size_t i = 0; i < pg_rows(r); i++)
		buf_add_format(out, "; %s", pg_text(r, i, 0));
	pg_result_free(r);
	return 0;
}

static void add_name(const char *schema, const char *name, struct buf *sql)
{
	pg_quote_name(schema, sql);
	buf_add_u8(sql, '.');
	pg_quote_name(name, sql);
}

/* All drops first: they take every lock there is to take, before anything is changed. */
int store_postgresql_public_script(const struct pg_store *f, struct pg *pg, const char *schema,
				   struct buf *sql, struct err *e)
{
	const char *values[] = { f->view, schema };
	struct buf makes = BUF_INIT;
	struct pg_result *r;
	size_t drops = 0;
	int rc = pg_ask(pg, plan_sql, values, 2, &r, e);

	if (rc < 0)
		return -1;
	for (size_t i = 0; i < pg_rows(r) && rc == 0; i++) {
		const char *name = pg_text(r, i, 0);
		bool same = pg_text(r, i, 1)[0] == 't', old = pg_text(r, i, 2)[0] == 't',
		     new = pg_text(r, i, 3)[0] == 't';

		if (old && (!new || !same)) {
			buf_add_str(sql, drops++ == 0 ? "DROP VIEW " : ", ");
			add_name(f->view, name, sql);
		}
		if (!new)
			continue;
		buf_add_str(&makes, old && same ? "; CREATE OR REPLACE VIEW " : "; CREATE VIEW ");
		add_name(f->view, name, &makes);
		buf_add_str(&makes, " AS SELECT * FROM ");
		add_name(schema, name, &makes);
		if (old && !same)
			rc = keep_grants(f, pg, name, &makes, e);
	}
	if (drops == 0)
		buf_add_str(sql, "SELECT 1");
	buf_add_slice(sql, buf_slice(&makes));
	buf_done(&makes);
	pg_result_free(r);
	return rc;
}

/* ---- the swap -------------------------------------------------------------------------------- */

static int write_states(struct pg_store *f, struct pg *pg, const char *schema, int version, int old,
			struct err *e)
{
	struct buf sql = BUF_INIT;
	char *before = store_postgresql_schema(f, old);
	int64_t now = clock_now_us();
	int rc;

	pg_quote_name(f->view, &sql);
	buf_add_format(&sql, ".millrace_public (capture, version, since_us) VALUES ('%s', %d, ",
		       f->settings->name, version);
	buf_add_format(&sql,
		       "%" PRId64 ") ON CONFLICT (one) DO UPDATE SET version = excluded.version, "
		       "since_us = excluded.since_us; UPDATE ",
		       now);
	pg_quote_name(schema, &sql);
	buf_add_str(&sql, ".millrace_view SET state = 'live', swap = false, superseded_us = 0");
	if (old != 0 && old != version) {
		buf_add_str(&sql, "; UPDATE ");
		pg_quote_name(before, &sql);
		buf_add_format(&sql,
			       ".millrace_view SET state = 'superseded', swap = false, "
			       "superseded_us = %" PRId64,
			       now);
	}
	{
		char *whole = xasprintf("INSERT INTO %s", buf_cstr(&sql));

		rc = pg_run(pg, whole, e);
		free(whole);
	}
	buf_done(&sql);
	free(before);
	return rc;
}

/* The mistake that BUG(view_swap) stands for: one public view after the other. */
static int swap_in_steps(struct pg *pg, const char *sql, struct err *e)
{
	char *all = xstrdup(sql), *at = all, *next;
	int rc = 0;

	for (; at != NULL && rc == 0; at = next) {
		next = strstr(at, "; ");
		if (next != NULL) {
			*next = '\0';
			next += 2;
		}
		rc = pg_run(pg, at, e) < 0 || pg_run(pg, "COMMIT; BEGIN", e) < 0 ? -1 : 0;
		clock_sleep_us(2000);
	}
	free(all);
	return rc;
}

static int swap(struct pg_store *f, struct pg *pg, const char *schema, int version, struct err *e)
{
	struct buf sql = BUF_INIT;
	int old, rc = -1;

	if (await_snapshots(pg, schema, e) < 0)
		return -1;
	if (pg_run(pg, "BEGIN; SET LOCAL lock_timeout = " PUBLIC_LOCK_MS, e) == 0 &&
	    make_place(f, pg, e) == 0 && check_capture(f, pg, e) == 0 &&
	    store_postgresql_ours(f, pg, schema, version, e) == 0 &&
	    store_postgresql_public(f, pg, &old, e) == 0)
		rc = store_postgresql_public_script(f, pg, schema, &sql, e);
	FAULT(view_swap);
	if (rc == 0)
		rc = BUG(view_swap) ? swap_in_steps(pg, buf_cstr(&sql), e)
				    : pg_run(pg, buf_cstr(&sql), e);
	buf_done(&sql);
	FAULT(view_swap_views);
	if (rc == 0)
		rc = write_states(f, pg, schema, version, old, e);
	if (rc == 0)
		rc = pg_run(pg, "COMMIT", e);
	FAULT(view_swapped);
	if (rc < 0 && strcmp(pg_state(pg), "2BP01") == 0)
		err_hint(e,
			 "Something of yours depends on a view of schema %s whose columns "
			 "change: drop it first, and make it again.",
			 f->view);
	if (rc < 0)
		store_postgresql_undo_all(pg);
	return rc;
}

static int is_built(struct pg *pg, const struct pg_store *f, int version, struct err *e)
{
	char *built = NULL;
	bool yes;

	if (pg_get_text(pg, "SELECT built FROM millrace_view", NULL, 0, &built, e) < 0)
		return -1;
	yes = built != NULL && built[0] == 't';
	free(built);
	return yes ? 0 : err_config(e, "view %s: version %d is not built", f->view, version);
}

/* A lock that readers hold, or a snapshot of theirs, is waited for a little. */
static int swap_in_time(struct pg_store *f, struct pg *pg, const char *schema, int version,
			struct err *e)
{
	int64_t until = clock_monotonic_us() + PUBLIC_TRY_FOR_US;
	int rc;

	while ((rc = swap(f, pg, schema, version, e)) < 0) {
		if (e->kind != ERR_RETRY || pg_is_lost(pg) || clock_monotonic_us() > until ||
		    stop_wait_ms(PUBLIC_BETWEEN_MS))
			break;
		err_clear(e);
	}
	if (rc < 0 && strcmp(pg_state(pg), "55P03") == 0 && e->kind == ERR_RETRY)
		err_hint(e, "Transactions that have read the view stay open. Which: SELECT pid, "
			    "query FROM pg_stat_activity WHERE state LIKE 'idle in%%';");
	return rc;
}

int store_postgresql_publish(struct store *s, int version, struct err *e)
{
	struct pg_store *f = pg_store_of(s);
	char *schema = store_postgresql_schema(f, version);
	struct pg *pg = NULL;
	bool there;
	int rc = store_postgresql_connect(f, schema, &pg, e);

	if (rc == 0)
		rc = store_postgresql_owned(f, pg, schema, &there, e);
	if (rc == 0 && !there)
		rc = err_config(e, "there is no schema %s", schema);
	if (rc == 0)
		rc = is_built(pg, f, version, e);
	if (rc == 0)
		rc = swap_in_time(f, pg, schema, version, e);
	pg_close(pg);
	free(schema);
	return rc < 0 ? err_wrap(e, "view %s, version %d: swap", f->view, version) : 0;
}
