/* store.c - versions of a view as schemas of a database, and a schema of views as the
 * public name.
 *
 *   VIEW_v1, VIEW_v2 ...  a version: the user's tables and millrace_view, millrace_position,
 *                         millrace_definition, millrace_epoch, millrace_parked
 *   VIEW                  the public name: a view for each table of the version that is live, and
 *                         millrace_public, which says which one that is
 *                         (postgresql/public.c)
 *   VIEW_try_...          a scratch version: a definition that is tried
 *
 * DDL is transactional here: a version appears with all its tables and bookkeeping or not at all,
 * and goes live in the one transaction that changes the public views and all states. So a crash
 * between two statements leaves what was there before, and there is nothing to repair.
 *
 * Each call makes a connection of its own and drops it again, but for a version that is open for
 * writing and for snapshots: so all of them can be called from any thread, and none can be broken
 * by one that failed before. Versions say which capture (millrace.name) made them; those of another
 * one are refused by name, never touched. */
#include "projections/store/postgresql/postgresql_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/gtid.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/postgresql/pg_script.h"

#define VIEW_NAME_MAX 40 /* leaves room for _try_ and what follows it */
#define VERSION_MAX 1000000
#define REMOVE_TRIES 50
#define REMOVE_LOCK "200ms"

/* ---- names and connections ------------------------------------------------------------------- */

/* Containers give all their processes the same few ids, but not the same host's name. */
static uint32_t here(const struct pg_store *f)
{
	char host[256] = "";
	uint32_t hash = 2166136261u;

	(void)gethostname(host, sizeof(host) - 1);
	for (const char *c = host; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * 16777619u;
	for (const char *c = f->settings->name; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * 16777619u;
	return hash;
}

char *store_postgresql_schema(const struct pg_store *f, int version)
{
	if (version == STORE_SCRATCH)
		return xasprintf("%s_try_%08x_%ld", f->view, here(f), (long)getpid());
	return xasprintf("%s_v%d", f->view, version);
}

static char *place(const struct store *s, int version)
{
	const struct pg_store *f = (const struct pg_store *)s;
	char *schema = store_postgresql_schema(f, version);
	char *text = xasprintf("postgresql %s:%" PRId64 "/%s, schema %s",
			       f->settings->postgresql_host, f->settings->postgresql_port,
			       f->settings->postgresql_database, schema);

	free(schema);
	return text;
}

int store_postgresql_connect(const struct pg_store *f, const char *schema, struct pg **ret_pg,
			     struct err *e)
{
	struct buf sql = BUF_INIT;
	struct pg *pg;
	int rc;

	if (pg_open(f->settings, &pg, e) < 0)
		return -1;
	buf_add_str(&sql, "SET search_path = ");
	pg_quote_name(schema != NULL ? schema : "pg_catalog", &sql);
	rc = pg_run(pg, buf_cstr(&sql), e);
	buf_done(&sql);
	if (rc < 0)
		pg_close(pg);
	else
		*ret_pg = pg;
	return rc;
}

void store_postgresql_undo_all(struct pg *pg)
{
	struct err ignored = ERR_INIT;

	if (!pg_is_lost(pg) && pg_in_transaction(pg)) {
		(void)pg_drain(pg, NULL, &ignored);     /* what failed is known already */
		(void)pg_run(pg, "ROLLBACK", &ignored); /* else it ends with the connection */
	}
}

int store_postgresql_script(struct pg *pg, const char *origin, const char *text, struct err *e)
{
	const char *at = text;

	for (;;) {
		struct pg_script s;
		const char *from = at;
		bool end;
		int rc;

		if (pg_script_read(origin, text, at, PG_SCRIPT_TABLES, &s, e) < 0)
			return -1;
		at = s.tail;
		end = s.token_count == 0;
		rc = end ? 0 : pg_run_at(pg, origin, text, from, s.sql, e);
		pg_script_done(&s);
		if (rc < 0 || end)
			return rc;
	}
}

/* ---- epochs ---------------------------------------------------------------------------------- */

int64_t store_postgresql_epoch(struct pg_store *f, int version)
{
	int64_t epoch = 0;

	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->taken_count; i++)
		if (f->taken[i].version == version)
			epoch = f->taken[i].epoch;
	pthread_mutex_unlock(&f->lock);
	return epoch;
}

void store_postgresql_set_epoch(struct pg_store *f, int version, int64_t epoch)
{
	size_t i = 0;

	pthread_mutex_lock(&f->lock);
	while (i < f->taken_count && f->taken[i].version != version)
		i++;
	if (i == f->taken_count) {
		f->taken = xrealloc(f->taken, (i + 1) * sizeof(*f->taken));
		f->taken[f->taken_count++].version = version;
	}
	f->taken[i].epoch = epoch;
	pthread_mutex_unlock(&f->lock);
}

int store_postgresql_fenced(const char *where, struct err *e)
{
	err_fatal(e, "%s: another process writes this version", where);
	err_exit(e, EXIT_FENCED);
	return err_hint(e, "Two processes worked on one view; this one stops. Check that only one "
			   "daemon of this millrace.name runs it.");
}

int store_postgresql_ours(struct pg_store *f, struct pg *pg, const char *schema, int version,
			  struct err *e)
{
	int64_t mine = store_postgresql_epoch(f, version), epoch;
	struct buf sql = BUF_INIT;
	int rc;

	if (mine == 0)
		return 0;
	buf_add_str(&sql, "SELECT epoch FROM ");
	pg_quote_name(schema, &sql);
	buf_add_str(&sql, ".millrace_epoch FOR SHARE");
	rc = pg_get_int(pg, buf_cstr(&sql), NULL, 0, &epoch, e);
	buf_done(&sql);
	return rc < 0 || epoch == mine ? rc : store_postgresql_fenced(schema, e);
}

/* ---- the place ------------------------------------------------------------------------------- */

static void close_store(struct store *s)
{
	struct pg_store *f = pg_store_of(s);

	if (s == NULL)
		return;
	pthread_mutex_destroy(&f->lock);
	free(f->taken);
	free(f->view);
	free(f);
}

static int check_name(const char *view, struct err *e)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	if (view[0] == '\0' || view[0] == '.' || strspn(view, plain) != strlen(view)) {
		err_config(e, "not a name for a view: '%s'", view);
		return err_hint(e, "Give the name of a folder in project.views, not a path.");
	}
	if (strlen(view) > VIEW_NAME_MAX) {
		err_config(e, "view %s: its name is too long for PostgreSQL", view);
		return err_hint(e,
				"At most %d characters: the names of its schemas are made of it.",
				VIEW_NAME_MAX);
	}
	if (strncmp(view, "pg_", 3) == 0 || strcmp(view, "public") == 0 ||
	    strcmp(view, "information_schema") == 0) {
		err_config(e, "view %s: PostgreSQL has a schema of that name", view);
		return err_hint(e, "Give the view another name.");
	}
	return 0;
}

static int open_store(const struct settings *settings, const char *view, struct store **ret_store,
		      struct err *e)
{
	struct pg_store *f;

	if (check_name(view, e) < 0)
		return -1;
	f = xcalloc(1, sizeof(*f));
	f->store.ops = &store_postgresql;
	f->settings = settings;
	f->view = xstrdup(view);
	pthread_mutex_init(&f->lock, NULL);
	*ret_store = &f->store;
	return 0;
}

/* ---- what is there --------------------------------------------------------------------------- */

static int refuse_foreign(const char *schema, const char *capture, const char *mine, struct err *e)
{
	err_config(e, "schema %s was made by the capture '%s', and this one is '%s'", schema,
		   capture, mine);
	return err_hint(e, "Give the view another name, or postgresql.database a database of its "
			   "own.");
}

int store_postgresql_owned(const struct pg_store *f, struct pg *pg, const char *schema,
			   bool *ret_there, struct err *e)
{
	struct pg_result *r;
	struct buf sql = BUF_INIT;
	char *capture = NULL;
	bool there, ours;
	int rc;

	*ret_there = false;
	if (pg_ask(pg,
		   "SELECT c.oid FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = "
		   "n.oid AND c.relname = 'millrace_view' AND c.relkind = 'r' WHERE n.nspname = $1",
		   &schema, 1, &r, e) < 0)
		return -1;
	there = pg_rows(r) > 0;
	ours = there && pg_text(r, 0, 0) != NULL;
	pg_result_free(r);
	if (!there)
		return 0;
	if (!ours) {
		err_config(e, "schema %s is there already, and Millrace didn't make it", schema);
		return err_hint(e, "Give the view another name, or rename that schema.");
	}
	buf_add_str(&sql, "SELECT capture FROM ");
	pg_quote_name(schema, &sql);
	buf_add_str(&sql, ".millrace_view");
	rc = pg_get_text(pg, buf_cstr(&sql), NULL, 0, &capture, e);
	buf_done(&sql);
	if (rc == 0 && (capture == NULL || strcmp(capture, f->settings->name) != 0))
		rc = refuse_foreign(schema, capture != NULL ? capture : "", f->settings->name, e);
	*ret_there = rc == 0;
	free(capture);
	return rc;
}

const char store_postgresql_info_columns[] =
	"v.version, v.state, v.definition, v.made_us, v.superseded_us, v.built, v.swap, p.seq, "
	"p.commit_us, p.gtid_set, v.capture";

int store_postgresql_info(const struct pg_result *r, size_t row, struct store_info *ret_info)
{
	const char *gtid_set = pg_text(r, row, 9);

	*ret_info = (struct store_info){
		.version = (int)pg_int(r, row, 0),
		.state = store_state_of(pg_slice(r, row, 1)),
		.made_us = pg_int(r, row, 3),
		.superseded_us = pg_int(r, row, 4),
		.built = pg_text(r, row, 5) != NULL && pg_text(r, row, 5)[0] == 't',
		.swap = pg_text(r, row, 6) != NULL && pg_text(r, row, 6)[0] == 't',
		.seq = pg_int(r, row, 7),
		.commit_us = pg_int(r, row, 8),
	};
	(void)snprintf(ret_info->fingerprint, sizeof(ret_info->fingerprint), "%s",
		       pg_text(r, row, 2) != NULL ? pg_text(r, row, 2) : "");
	gtid_text_cut(slice_str(gtid_set != NULL ? gtid_set : ""), ret_info->gtid_set,
		      sizeof(ret_info->gtid_set));
	return 0;
}

/* A question about all versions at once, "" when there are none. */
static int question(const struct pg_store *f, struct pg *pg, struct buf *sql, struct err *e)
{
	char *prefix = xasprintf("%s_v", f->view);
	const char *values[] = { prefix };
	struct pg_result *r;
	int rc = pg_ask(pg,
			"SELECT n.nspname FROM pg_namespace n JOIN pg_class c ON c.relnamespace = "
			"n.oid AND c.relname = 'millrace_view' AND c.relkind = 'r' WHERE "
			"left(n.nspname, length($1)) = $1 AND substr(n.nspname, length($1) + 1) ~ "
			"'^[1-9][0-9]{0,6}$'",
			values, 1, &r, e);

	free(prefix);
	if (rc < 0)
		return -1;
	for (size_t i = 0; i < pg_rows(r); i++) {
		buf_add_format(sql, "%sSELECT %s FROM ", i > 0 ? " UNION ALL " : "",
			       store_postgresql_info_columns);
		pg_quote_name(pg_text(r, i, 0), sql);
		buf_add_str(sql, ".millrace_view v, ");
		pg_quote_name(pg_text(r, i, 0), sql);
		buf_add_str(sql, ".millrace_position p");
	}
	if (pg_rows(r) > 0)
		buf_add_str(sql, " ORDER BY 1");
	pg_result_free(r);
	return 0;
}

static int read_list(const struct pg_store *f, struct pg *pg, struct store_info **ret_infos,
		     size_t *ret_count, struct err *e)
{
	struct buf sql = BUF_INIT;
	struct store_info *infos;
	struct pg_result *r = NULL;
	int live = 0, rc = question(f, pg, &sql, e);

	if (rc == 0)
		rc = store_postgresql_public(f, pg, &live, e);
	if (rc == 0 && sql.size > 0)
		rc = pg_ask(pg, buf_cstr(&sql), NULL, 0, &r, e);
	buf_done(&sql);
	*ret_infos = NULL;
	*ret_count = 0;
	if (rc < 0 || r == NULL)
		return rc;
	infos = xcalloc(pg_rows(r) + 1, sizeof(*infos));
	for (size_t i = 0; i < pg_rows(r) && rc == 0; i++) {
		const char *capture = pg_text(r, i, 10);

		rc = store_postgresql_info(r, i, &infos[i]);
		/* the public name was taken away by hand: it is led there again */
		if (infos[i].state == STORE_LIVE && infos[i].version != live) {
			infos[i].state = STORE_READY;
			infos[i].swap = true;
		}
		if (rc == 0 && strcmp(capture, f->settings->name) != 0) {
			char *schema = store_postgresql_schema(f, infos[i].version);

			rc = refuse_foreign(schema, capture, f->settings->name, e);
			free(schema);
		}
	}
	*ret_count = pg_rows(r);
	pg_result_free(r);
	if (rc < 0)
		free(infos);
	else
		*ret_infos = infos;
	return rc;
}

static int list(struct store *s, struct store_info **ret_infos, size_t *ret_count, struct err *e)
{
	struct pg_store *f = pg_store_of(s);
	struct pg *pg;
	int rc;

	if (store_postgresql_connect(f, NULL, &pg, e) < 0)
		return -1;
	rc = read_list(f, pg, ret_infos, ret_count, e);
	if (rc < 0 && (strcmp(pg_state(pg), "42P01") == 0 || strcmp(pg_state(pg), "3F000") == 0)) {
		err_clear(e); /* a version was dropped meanwhile */
		rc = read_list(f, pg, ret_infos, ret_count, e);
	}
	pg_close(pg);
	return rc < 0 ? err_wrap(e, "view %s", f->view) : 0;
}

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
	buf_add_str(&sql, " CASCADE; COMMIT");
	if (rc == 0)
		rc = pg_run(pg, buf_cstr(&sql), e);
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
		FAULT(view_remove);
		rc = remove_once(f, pg, schema, version, e);
		if (rc == 0 || strcmp(pg_state(pg), "55P03") != 0 || i == REMOVE_TRIES)
			break;
		err_clear(e);
		usleep(100000);
		rc = 0;
	}
	if (rc == 0)
		store_postgresql_set_epoch(f, version, 0);
	free(schema);
	return rc;
}

static int remove_version(struct store *s, int version, struct err *e)
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

static int create(struct store *s, const struct view *view, int version, bool swap, struct err *e)
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

static int definition(struct store *s, int version, struct view_files *ret_files, struct err *e)
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

static int set_state(struct store *s, int version, enum store_state state, bool swap, struct err *e)
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

const struct store_ops store_postgresql = {
	.name = "postgresql",
	.open = open_store,
	.close = close_store,
	.list = list,
	.create = create,
	.definition = definition,
	.set_state = set_state,
	.remove = remove_version,
	.publish = store_postgresql_publish,
	.place = place,
	.amend = store_postgresql_amend,
	.learn = store_postgresql_learn,
	.version_open = store_postgresql_version_open,
	.version_close = store_postgresql_version_close,
	.target = store_postgresql_target,
	.position = store_postgresql_position,
	.begin = store_postgresql_begin,
	.commit = store_postgresql_commit,
	.rollback = store_postgresql_rollback,
	.finish = store_postgresql_finish,
	.snapshot = store_postgresql_snapshot,
	.snapshot_close = store_postgresql_snapshot_close,
	.snapshot_info = store_postgresql_snapshot_info,
	.columns = store_postgresql_columns,
	.rows = store_postgresql_rows,
	.next = store_postgresql_next,
	.rows_close = store_postgresql_rows_close,
	.row_count = store_postgresql_row_count,
	.shares = &store_postgresql_shares,
	.park = store_postgresql_park,
	.unpark = store_postgresql_unpark,
	.parked = store_postgresql_parked,
	.savepoint = store_postgresql_savepoint,
	.undo = store_postgresql_undo,
	.room = store_postgresql_room,
};
