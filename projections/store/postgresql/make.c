/* make.c - making a version, removing it, and what is written about it.
 *
 * A version is made in one transaction, and dropped in one: whoever is killed within leaves all of
 * it or nothing. Whoever removes ends the version's writer first, wherever it runs, so that nobody
 * keeps locks on what goes. A version that somebody else has removed meanwhile is gone, and that is
 * what was wanted. */
#include "projections/store/postgresql/postgresql_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define VERSION_MAX 1000000
#define REMOVE_TRIES 50
#define REMOVE_LOCK "200ms"

/* ---- removing -------------------------------------------------------------------------------- */

/* Whoever has it open for writing, also one that was stopped or whose machine is gone. */
static int end_writer(struct pg *pg, const char *schema, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	/* materialized: else the server may end sessions before it has looked which */
	buf_add_str(&sql, "WITH old AS MATERIALIZED (SELECT a.pid FROM pg_stat_activity a JOIN ");
	pg_quote_name(schema, &sql);
	buf_add_str(&sql, ".millrace_epoch m ON m.backend = a.pid AND m.started = "
			  "a.backend_start::text WHERE a.pid <> pg_backend_pid() AND a.usename = "
			  "current_user) SELECT pg_terminate_backend(pid, 5000) FROM old");
	rc = pg_run(pg, buf_cstr(&sql), e);
	buf_done(&sql);
	return rc;
}

static int remove_once(struct pg_store *f, struct pg *pg, const char *schema, int version,
		       struct err *e)
{
	struct buf sql = BUF_INIT;
	int live, rc = pg_run(pg, "BEGIN; SET LOCAL lock_timeout = '" REMOVE_LOCK "'", e);

	if (rc == 0)
		rc = store_postgresql_ours(f, pg, schema, version, e);
	if (rc == 0)
		rc = store_postgresql_public(f, pg, &live, e);
	if (rc == 0 && version != STORE_SCRATCH && live == version)
		rc = err_config(e, "view %s: version %d is live", f->view, version);
	buf_add_str(&sql, "DROP SCHEMA ");
	pg_quote_name(schema, &sql);
	buf_add_str(&sql, " CASCADE");
	if (rc == 0)
		rc = pg_run(pg, buf_cstr(&sql), e);
	if (version != STORE_SCRATCH)
		FAULT(view_remove_schema);
	if (rc == 0)
		rc = pg_run(pg, "COMMIT", e);
	buf_done(&sql);
	if (rc < 0)
		store_postgresql_undo_all(pg);
	return rc;
}

/* Somebody may read the version by its own name: waited for, but not so that others queue. */
static int remove_with(struct pg_store *f, struct pg *pg, int version, struct err *e)
{
	char *schema = store_postgresql_schema(f, version);
	bool there;
	int rc = store_postgresql_owned(f, pg, schema, &there, e);

	if (rc == 0 && there)
		rc = end_writer(pg, schema, e);
	for (int i = 0; rc == 0 && there; i++) {
		if (version != STORE_SCRATCH)
			FAULT(view_remove);
		rc = remove_once(f, pg, schema, version, e);
		if (version != STORE_SCRATCH)
			FAULT(view_removed);
		if (rc == 0 || strcmp(pg_state(pg), "55P03") != 0 || i == REMOVE_TRIES)
			break;
		err_clear(e);
		usleep(100000);
		rc = 0;
	}
	if (rc < 0 && store_postgresql_gone(pg)) {
		err_clear(e); /* another process was faster */
		rc = 0;
	}
	if (rc == 0)
		store_postgresql_set_epoch(f, version, 0);
	free(schema);
	return rc;
}

int store_postgresql_remove(struct store *s, int version, struct err *e)
{
	struct pg_store *f = pg_store_of(s);
	struct pg *pg;
	int rc;

	if (store_postgresql_connect(f, NULL, &pg, e) < 0)
		return -1;
	rc = remove_with(f, pg, version, e);
	pg_close(pg);
	return rc < 0 ? err_wrap(e, "view %s, version %d: remove", f->view, version) : 0;
}

/* ---- making ---------------------------------------------------------------------------------- */

static const char own_tables[] =
	"CREATE TABLE millrace_view (one boolean PRIMARY KEY DEFAULT true CHECK (one), capture text "
	"NOT NULL, view text NOT NULL, version integer NOT NULL, state text NOT NULL, definition "
	"text NOT NULL, owner text, made_us bigint NOT NULL, built_us bigint NOT NULL DEFAULT 0, "
	"superseded_us bigint NOT NULL DEFAULT 0, built boolean NOT NULL DEFAULT false, built_xid "
	"bigint NOT NULL DEFAULT 0, swap boolean NOT NULL);"
	"CREATE TABLE millrace_position (one boolean PRIMARY KEY DEFAULT true CHECK (one), seq "
	"bigint NOT NULL, gtid_set text NOT NULL, commit_us bigint NOT NULL, position text);"
	"CREATE TABLE millrace_definition (path text PRIMARY KEY, content text NOT NULL);"
	"CREATE TABLE millrace_epoch (one boolean PRIMARY KEY DEFAULT true CHECK (one), epoch "
	"bigint NOT NULL, backend integer, started text);"
	"CREATE TABLE millrace_parked (topic text NOT NULL, partition integer NOT NULL, \"offset\" "
	"bigint NOT NULL, seq bigint NOT NULL, schema_id integer NOT NULL, key bytea, value bytea "
	"NOT NULL, at_us bigint NOT NULL, behind boolean NOT NULL, reason text NOT NULL, number "
	"bigint GENERATED ALWAYS AS IDENTITY, UNIQUE (topic, partition, \"offset\"));"
	"INSERT INTO millrace_position (seq, gtid_set, commit_us) VALUES (0, '', 0);"
	"INSERT INTO millrace_epoch (epoch) VALUES (0);";

static int write_bookkeeping(const struct pg_store *f, struct pg *pg, const struct view *view,
			     int version, bool swap, struct err *e)
{
	char number[16], now[24];
	const char *row[] = { f->settings->name,      view->name,  number,
			      view->fingerprint,      view->owner, now,
			      swap ? "true" : "false" };

	(void)snprintf(number, sizeof(number), "%d", version);
	(void)snprintf(now, sizeof(now), "%" PRId64, clock_now_us());
	if (pg_run(pg, own_tables, e) < 0 ||
	    pg_ask(pg,
		   "INSERT INTO millrace_view (capture, view, version, state, definition, owner, "
		   "made_us, swap) VALUES ($1, $2, $3, 'building', $4, $5, $6, $7)",
		   row, 7, NULL, e) < 0)
		return -1;
	for (size_t i = 0; i < view->files.count; i++) {
		const char *file[] = { view->files.items[i].name, view->files.items[i].text };

		if (pg_ask(pg, "INSERT INTO millrace_definition VALUES ($1, $2)", file, 2, NULL,
			   e) < 0)
			return -1;
	}
	return 0;
}

/* What processes that died left of their tries. */
static int remove_tries(const struct pg_store *f, struct pg *pg, struct err *e)
{
	char *prefix = xasprintf("%s_try_", f->view);
	const char *values[] = { prefix };
	struct pg_result *r;
	int rc = pg_ask(pg, "SELECT nspname FROM pg_namespace WHERE left(nspname, length($1)) = $1",
			values, 1, &r, e);

	free(prefix);
	if (rc < 0)
		return -1;
	for (size_t i = 0; i < pg_rows(r) && rc == 0; i++) {
		struct buf sql = BUF_INIT;
		struct err ignored = ERR_INIT;
		int64_t old = 0;
		char *hour = xasprintf("%" PRId64, clock_now_us() - INT64_C(3600000000));
		const char *limit[] = { hour, f->settings->name };

		buf_add_str(&sql, "SELECT count(*) FROM ");
		pg_quote_name(pg_text(r, i, 0), &sql);
		buf_add_str(&sql, ".millrace_view WHERE made_us < $1 AND capture = $2");
		if (pg_get_int(pg, buf_cstr(&sql), limit, 2, &old, &ignored) == 0 && old == 1) {
			buf_reset(&sql);
			buf_add_str(&sql, "DROP SCHEMA ");
			pg_quote_name(pg_text(r, i, 0), &sql);
			buf_add_str(&sql, " CASCADE");
			(void)pg_run(pg, buf_cstr(&sql), &ignored); /* the next build tries again */
		}
		buf_done(&sql);
		free(hour);
	}
	pg_result_free(r);
	return rc;
}

static int make(const struct pg_store *f, struct pg *pg, const char *schema,
		const struct view *view, int version, bool swap, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	buf_add_str(&sql, "BEGIN; CREATE SCHEMA ");
	pg_quote_name(schema, &sql);
	buf_add_str(&sql, "; SET LOCAL search_path = ");
	pg_quote_name(schema, &sql);
	rc = pg_run(pg, buf_cstr(&sql), e);
	buf_done(&sql);
	if (rc < 0 || write_bookkeeping(f, pg, view, version, swap, e) < 0)
		return -1;
	FAULT(view_create);
	if (store_postgresql_script(pg, "tables.sql", view->create_sql, e) < 0)
		return version == STORE_SCRATCH ? err_wrap(e, "%s", view->place) : -1;
	return pg_run(pg, "COMMIT", e);
}

int store_postgresql_create(struct store *s, const struct view *view, int version, bool swap,
			    struct err *e)
{
	struct pg_store *f = pg_store_of(s);
	char *schema = store_postgresql_schema(f, version);
	struct pg *pg = NULL;
	int rc = -1;

	if (version > VERSION_MAX)
		err_config(e, "more than %d versions", VERSION_MAX);
	else if (store_postgresql_connect(f, NULL, &pg, e) == 0 &&
		 (version == STORE_SCRATCH || remove_tries(f, pg, e) == 0) &&
		 remove_with(f, pg, version, e) == 0)
		rc = make(f, pg, schema, view, version, swap, e);
	pg_close(pg);
	if (rc < 0 && version != STORE_SCRATCH)
		err_wrap(e, "view %s, version %d", f->view, version);
	free(schema);
	return rc;
}

int store_postgresql_definition(struct store *s, int version, struct view_files *ret_files,
				struct err *e)
{
	struct pg_store *f = pg_store_of(s);
	char *schema = store_postgresql_schema(f, version);
	struct view_files files = { 0 };
	struct pg_result *r = NULL;
	struct pg *pg = NULL;
	int rc = -1;

	if (store_postgresql_connect(f, schema, &pg, e) == 0)
		rc = pg_ask(pg, "SELECT path, content FROM millrace_definition", NULL, 0, &r, e);
	for (size_t i = 0; rc == 0 && i < pg_rows(r); i++)
		view_files_add(&files, pg_text(r, i, 0), xstrdup(pg_text(r, i, 1)));
	pg_result_free(r);
	pg_close(pg);
	free(schema);
	if (rc == 0)
		*ret_files = files;
	return rc < 0 ? err_wrap(e, "view %s, version %d", f->view, version) : 0;
}

int store_postgresql_set_state(struct store *s, int version, enum store_state state, bool swap,
			       struct err *e)
{
	struct pg_store *f = pg_store_of(s);
	char *schema = store_postgresql_schema(f, version), now[24];
	const char *values[] = { store_state_name(state), swap ? "true" : "false", now };
	struct pg *pg = NULL;
	int rc = -1;

	(void)snprintf(now, sizeof(now), "%" PRId64,
		       state == STORE_SUPERSEDED ? clock_now_us() : 0);
	if (store_postgresql_connect(f, schema, &pg, e) == 0 && pg_run(pg, "BEGIN", e) == 0 &&
	    store_postgresql_ours(f, pg, schema, version, e) == 0 &&
	    pg_ask(pg, "UPDATE millrace_view SET state = $1, swap = $2, superseded_us = $3", values,
		   3, NULL, e) == 0)
		rc = pg_run(pg, "COMMIT", e);
	pg_close(pg);
	free(schema);
	return rc < 0 ? err_wrap(e, "view %s, version %d", f->view, version) : 0;
}
