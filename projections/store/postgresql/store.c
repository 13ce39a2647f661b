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

#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/postgresql/pg_script.h"

#define VIEW_NAME_MAX 40 /* leaves room for _try_ and what follows it */

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

bool store_postgresql_gone(const struct pg *pg)
{
	return strcmp(pg_state(pg), "42P01") == 0 || strcmp(pg_state(pg), "3F000") == 0;
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
	if (store_check_name(view, SIZE_MAX, e) < 0)
		return -1;
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

const struct store_ops store_postgresql = {
	.name = "postgresql",
	.open = open_store,
	.close = close_store,
	.list = store_postgresql_list,
	.create = store_postgresql_create,
	.definition = store_postgresql_definition,
	.set_state = store_postgresql_set_state,
	.remove = store_postgresql_remove,
	.publish = store_postgresql_publish,
	.unpublish = store_postgresql_unpublish,
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
