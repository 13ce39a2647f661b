/* store_mysql_public.c - the public database: a view for each table of the live version, all of
 * them moved by one RENAME TABLE.
 *
 *   `VIEW`.`t`           SELECT a, b FROM `VIEW_v2`.`t` WHERE (SELECT version FROM `!millrace`) > 0
 *   `VIEW`.`!millrace`   SELECT version FROM `VIEW_v2`.`millrace_gate`: which version is live
 *   `VIEW`.`!n0` ...     the views of the version that goes live next; `!o0` ... those before
 *
 * Readers wait for nobody and see nothing in between. RENAME TABLE takes exclusive locks on all the
 * names, one after the other by their bytes; a reader in a transaction has shared ones until its
 * end. Were they taken while others are waited for, a reader that holds a later name and asks for
 * an earlier one would be the deadlock's victim (the servers let DDL win). So all views read
 * `!millrace`, which sorts first: who reads any of them holds it, and RENAME waits for it while it
 * holds nothing yet. A reader whose very first statement meets the swap has nothing to lose; the
 * server takes its locks again by itself. And RENAME waits a twentieth of a second only, then lets
 * everybody who waits behind it pass, and is tried again.
 *
 * A transaction that took its snapshot before the version's build had ended (a CONSISTENT SNAPSHOT,
 * or a first read elsewhere in the server) would see a half-built version through the new views.
 * Until a build ends millrace_gate has two rows, which makes the views' subquery an error for it:
 * it begins its transaction again.
 *
 * Views run with their definer's rights: readers need SELECT on the public database alone.
 *
 * MySQL 8 and MariaDB 10.6 rename all or nothing, whatever breaks off. Older servers may die in
 * the middle: the mending at the next start finds a name that is missing or reads another version
 * and swaps again. */
#include "projections/store/store_mysql_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

#define SWAP_WAIT_MS 50
#define SWAP_PAUSE_MS 20 /* and more from try to try */
#define SWAP_PAUSE_MS_MAX 300
#define SWAP_US_MAX 20000000

/* A swap at work. */
struct swap {
	struct mydb_store *store;
	struct db *db, *other;
	int version;
	char *public, *from; /* quoted names: the public database, the version's */
	char **tables;       /* that are to be public: the version's own, then two of Millrace's */
	size_t table_count;
	char **there; /* views that are public now, without the gate */
	size_t there_count;
};

static int gate_exists(const struct mydb_store *m, struct db *db, bool *ret_exists, struct err *e)
{
	char *name = mydb_literal(m->view);
	int64_t count = 0;
	int rc = mydb_get_int(db, &count, e,
			      "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA "
			      "= %s AND TABLE_NAME = '" MYSQL_GATE "'",
			      name);

	*ret_exists = count > 0;
	free(name);
	return rc;
}

static int refuse_public(const struct mydb_store *m, const char *owner, struct err *e)
{
	if (owner != NULL)
		err_config(e, "database %s on %s belongs to another Millrace: millrace.name = %s",
			   m->view, m->role, owner);
	else
		err_config(e,
			   "database %s on %s is there already, and holds what Millrace didn't "
			   "make",
			   m->view, m->role);
	return err_hint(e, "It would be the public name of view %s: give the view another name.",
			m->view);
}

static int gate_version(const struct mydb_store *m, struct db *db, int64_t *ret_version,
			struct err *e)
{
	char *public = mydb_quoted(m->view), *owner = NULL, *sql;
	int rc;

	sql = xasprintf("SELECT millrace FROM %s.`" MYSQL_GATE "`", public);
	rc = db_get_text(db, sql, &owner, e);
	free(sql);
	if (rc == 0 && owner != NULL && strcmp(owner, m->owner) != 0)
		rc = refuse_public(m, owner, e);
	if (rc == 0)
		rc = mydb_get_int(db, ret_version, e, "SELECT version FROM %s.`" MYSQL_GATE "`",
				  public);
	free(owner);
	free(public);
	return rc;
}

/* The gate was on its way when an old server died: the version that was to be live, or was. */
static int lost_gate(const struct mydb_store *m, struct db *db, int *ret_version, struct err *e)
{
	char *name = mydb_literal(m->view);
	struct store_info *infos = NULL;
	int64_t left = 0;
	size_t count = 0;
	int rc = mydb_get_int(db, &left, e,
			      "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA "
			      "= %s AND TABLE_NAME LIKE '!o%%'",
			      name);

	free(name);
	if (rc < 0 || left == 0)
		return rc;
	rc = mydb_infos((struct mydb_store *)(uintptr_t)m, db, &infos, &count, e);
	for (size_t i = 0; i < count && rc == 0; i++)
		if (infos[i].built && infos[i].state == STORE_LIVE &&
		    (*ret_version == 0 || infos[i].swap))
			*ret_version = infos[i].version;
	free(infos);
	return rc;
}

int mydb_live(const struct mydb_store *m, struct db *db, int *ret_version, struct err *e)
{
	int64_t version = 0;
	bool exists = false;

	*ret_version = 0;
	if (gate_exists(m, db, &exists, e) < 0)
		return -1;
	if (!exists)
		return lost_gate(m, db, ret_version, e);
	if (gate_version(m, db, &version, e) < 0)
		return err_wrap(e, "the public database %s", m->view);
	*ret_version = (int)version;
	return 0;
}

/* ---- parts of a swap ------------------------------------------------------------------------- */

static int make_gate(struct swap *w, const char *name, int version, struct err *e)
{
	char *owner = mydb_literal(w->store->owner), *gate = mydb_quoted(name);
	int rc;

	if (version == 0)
		rc = mydb_run(w->db, e, "CREATE VIEW %s.%s AS SELECT 0 AS version, %s AS millrace",
			      w->public, gate, owner);
	else
		rc = mydb_run(w->db, e,
			      "CREATE VIEW %s.%s AS SELECT version, %s AS millrace FROM "
			      "%s.millrace_gate",
			      w->public, gate, owner, w->from);
	free(gate);
	free(owner);
	return rc;
}

/* The database and a gate; refuses what somebody else has made. */
static int ensure_public(struct swap *w, struct err *e)
{
	const struct mydb_store *m = w->store;
	char *name = mydb_literal(m->view);
	int64_t there = 0, tables = 0, version = 0;
	bool gate = false;
	int rc = -1;

	if (mydb_get_int(w->db, &there, e,
			 "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s",
			 name) < 0 ||
	    mydb_get_int(w->db, &tables, e,
			 "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s "
			 "AND (TABLE_TYPE <> 'VIEW' OR (TABLE_NAME NOT LIKE '!%%' AND NOT EXISTS "
			 "(SELECT 1 FROM information_schema.TABLES g WHERE g.TABLE_SCHEMA = %s AND "
			 "g.TABLE_NAME LIKE '!%%')))",
			 name, name) < 0 ||
	    gate_exists(m, w->db, &gate, e) < 0)
		goto out;
	if (tables > 0)
		rc = refuse_public(m, NULL, e);
	else if (there == 0)
		rc = mydb_run(w->db, e, "CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8mb4",
			      w->public);
	else
		rc = 0;
	if (rc == 0)
		rc = gate ? gate_version(m, w->db, &version, e) : make_gate(w, MYSQL_GATE, 0, e);
out:
	free(name);
	return rc;
}

/* Views that are not for readers: of a swap that was broken off, or of the one before. */
static int sweep(struct swap *w, struct err *e)
{
	char *name = mydb_literal(w->store->view), **left = NULL;
	size_t count = 0;
	int rc = mydb_get_names(w->db, &left, &count, e,
				"SELECT TABLE_NAME FROM information_schema.TABLES WHERE "
				"TABLE_SCHEMA = %s AND (TABLE_NAME LIKE '!n%%' OR TABLE_NAME LIKE "
				"'!o%%')",
				name);

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = mydb_run(w->db, e, "DROP VIEW IF EXISTS %s.`%s`", w->public, left[i]);
	view_names_free(left, count);
	free(name);
	return rc;
}

static int find_names(struct swap *w, struct err *e)
{
	static const char *const own[] = { "millrace_position", "millrace_view" };
	char *database = mydb_database(w->store, w->version), *name = mydb_literal(w->store->view);
	int rc = mydb_tables(w->db, database, &w->tables, &w->table_count, e);

	if (rc == 0) {
		w->tables = xrealloc(w->tables, (w->table_count + 2) * sizeof(char *));
		for (size_t i = 0; i < 2; i++)
			w->tables[w->table_count++] = xstrdup(own[i]);
		rc = mydb_get_names(w->db, &w->there, &w->there_count, e,
				    "SELECT TABLE_NAME FROM information_schema.TABLES WHERE "
				    "TABLE_SCHEMA = %s AND TABLE_NAME NOT LIKE '!%%'",
				    name);
	}
	free(database);
	free(name);
	return rc;
}

static int make_view(struct swap *w, size_t i, struct err *e)
{
	char *database = mydb_database(w->store, w->version), *d = mydb_literal(database);
	char *table = mydb_quoted(w->tables[i]), *t = mydb_literal(w->tables[i]);
	char **columns = NULL;
	struct buf names = BUF_INIT;
	size_t count = 0;
	int rc = mydb_get_names(w->db, &columns, &count, e,
				"SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE "
				"TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
				d, t);

	for (size_t k = 0; k < count; k++) {
		buf_add_str(&names, k > 0 ? ", " : "");
		db_store_name(columns[k], &names);
	}
	if (rc == 0)
		rc = mydb_run(w->db, e,
			      "CREATE SQL SECURITY DEFINER VIEW %s.`!n%zu` AS SELECT %s FROM %s.%s "
			      "WHERE (SELECT version FROM %s.`" MYSQL_GATE "`) > 0",
			      w->public, i + 1, buf_cstr(&names), w->from, table, w->public);
	view_names_free(columns, count);
	buf_done(&names);
	free(table);
	free(t);
	free(d);
	free(database);
	return rc;
}

static bool is_among(char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void add_rename(struct buf *sql, const struct swap *w, const char *from, const char *to)
{
	buf_add_format(sql, "%s%s.", sql->size > 0 ? ", " : "RENAME TABLE ", w->public);
	db_store_name(from, sql);
	buf_add_format(sql, " TO %s.", w->public);
	db_store_name(to, sql);
}

static void write_rename(const struct swap *w, struct buf *sql)
{
	char hidden[40];

	add_rename(sql, w, MYSQL_GATE, "!o0");
	add_rename(sql, w, "!n0", MYSQL_GATE);
	for (size_t i = 0; i < w->table_count; i++) {
		snprintf(hidden, sizeof(hidden), "!o%zu", i + 1);
		if (is_among(w->there, w->there_count, w->tables[i]))
			add_rename(sql, w, w->tables[i], hidden);
		snprintf(hidden, sizeof(hidden), "!n%zu", i + 1);
		add_rename(sql, w, hidden, w->tables[i]);
	}
	/* tables that the new version hasn't */
	for (size_t i = 0; i < w->there_count; i++) {
		snprintf(hidden, sizeof(hidden), "!o%zu", w->table_count + i + 1);
		if (!is_among(w->tables, w->table_count, w->there[i]))
			add_rename(sql, w, w->there[i], hidden);
	}
}

/* The mistake that BUG(swap_steps) stands for: one name after the other. */
static int rename_in_steps(struct swap *w, const char *sql, struct err *e)
{
	char *all = xstrdup(sql), *at = all + sizeof("RENAME TABLE ") - 1, *next;
	int rc = 0;

	for (; at != NULL && rc == 0; at = next) {
		next = strstr(at, ", ");
		if (next != NULL) {
			*next = '\0';
			next += 2;
		}
		rc = mydb_run(w->db, e, "RENAME TABLE %s", at);
		clock_sleep_us(2000);
	}
	free(all);
	return rc;
}

static int rename_all(struct swap *w, struct err *e)
{
	int64_t until = clock_monotonic_us() + SWAP_US_MAX;
	int pause = SWAP_PAUSE_MS, tries = 0, rc;
	struct buf sql = BUF_INIT;

	write_rename(w, &sql);
	for (;;) {
		tries++;
		rc = BUG(swap_steps) ? rename_in_steps(w, buf_cstr(&sql), e)
				     : db_store_run_within(w->db, w->other, buf_cstr(&sql),
							   SWAP_WAIT_MS, e);
		if (rc == 0 || e->kind != ERR_RETRY || clock_monotonic_us() > until ||
		    db_error_number(w->db) >= 2000) /* the connection is gone */
			break;
		err_clear(e);
		clock_sleep_us(pause * 1000);
		pause = pause * 3 / 2 < SWAP_PAUSE_MS_MAX ? pause * 3 / 2 : SWAP_PAUSE_MS_MAX;
	}
	buf_done(&sql);
	if (rc < 0 && e->kind == ERR_RETRY)
		err_wrap(e,
			 "%d tries to move the public name; somebody reads it in a long "
			 "transaction",
			 tries);
	return rc;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void swap_done(struct swap *w)
{
	view_names_free(w->tables, w->table_count);
	view_names_free(w->there, w->there_count);
	db_close(w->db);
	db_close(w->other);
	free(w->public);
	free(w->from);
}

static int swap_begin(struct mydb_store *m, int version, struct swap *w, struct err *e)
{
	char *database = mydb_database(m, version);

	*w = (struct swap){ .store = m, .version = version };
	w->public = mydb_quoted(m->view);
	w->from = mydb_quoted(database);
	free(database);
	return mydb_connect(m, NULL, &w->db, e) < 0 ? -1 : mydb_connect(m, NULL, &w->other, e);
}

static int move_names(struct swap *w, struct err *e)
{
	if (ensure_public(w, e) < 0 || sweep(w, e) < 0 || find_names(w, e) < 0 ||
	    make_gate(w, "!n0", w->version, e) < 0)
		return -1;
	for (size_t i = 0; i < w->table_count; i++)
		if (make_view(w, i, e) < 0)
			return -1;
	FAULT(view_swap_views);
	return rename_all(w, e);
}

/* All others that say they are live are told that they aren't. */
static int supersede(struct swap *w, struct err *e)
{
	struct store_info *infos = NULL;
	size_t count = 0;
	int rc = mydb_infos(w->store, w->db, &infos, &count, e);

	for (size_t i = 0; i < count && rc == 0; i++) {
		char *database = mydb_database(w->store, infos[i].version);

		if (infos[i].version != w->version && infos[i].state == STORE_LIVE)
			rc = mydb_set_state(w->db, database, STORE_SUPERSEDED, false, e);
		free(database);
	}
	free(infos);
	return rc;
}

int store_mysql_publish(struct store *s, int version, struct err *e)
{
	struct mydb_store *m = mydb_store_of(s);
	char *database = mydb_database(m, version);
	struct err after = ERR_INIT;
	struct store_info info;
	struct swap w;
	int rc = swap_begin(m, version, &w, e) < 0 ? -1 : mydb_info(m, w.db, version, &info, e);

	if (rc == 0 || (rc == 1 && !info.built))
		rc = err_config(e, "view %s: version %d is not built", m->view, version);
	/* `swap` stays on until the name has moved: so a crash between the two is told from one
	 * behind them */
	if (rc == 1)
		rc = mydb_set_state(w.db, database, STORE_LIVE, true, e) < 0 ? -1
									     : move_names(&w, e);
	FAULT(view_swapped);
	/* From here on the version is live: readers see it. What fails now must not undo that; the
	 * next start mends it. */
	if (rc == 0 && (mydb_set_state(w.db, database, STORE_LIVE, false, &after) < 0 ||
			supersede(&w, &after) < 0 || sweep(&w, &after) < 0))
		log_err(LOG_LEVEL_WARNING, "view", m->view, &after);
	swap_done(&w);
	free(database);
	return rc;
}

/* *ret_whole: each table of the version has its public view, which reads it, and there is no
 * other. */
static int is_whole(struct swap *w, bool *ret_whole, struct err *e)
{
	char *name = mydb_literal(w->store->view), *reads = NULL;
	struct buf pattern = BUF_INIT;
	int64_t views = 0;
	bool gate = false;
	int rc = -1;

	buf_add_format(&pattern, "%s.", w->from);
	reads = mydb_literal(buf_cstr(&pattern));
	if (find_names(w, e) < 0 || gate_exists(w->store, w->db, &gate, e) < 0 ||
	    mydb_get_int(w->db, &views, e,
			 "SELECT COUNT(*) FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s "
			 "AND TABLE_NAME NOT LIKE '!%%' AND INSTR(VIEW_DEFINITION, %s) > 0",
			 name, reads) < 0)
		goto out;
	*ret_whole = gate && views == (int64_t)w->table_count && w->there_count == w->table_count;
	for (size_t i = 0; i < w->table_count && *ret_whole; i++)
		*ret_whole = is_among(w->there, w->there_count, w->tables[i]);
	rc = 0;
out:
	buf_done(&pattern);
	free(reads);
	free(name);
	return rc;
}

int mydb_mend(struct mydb_store *m, struct db *db, int live, struct err *e)
{
	struct swap w;
	bool whole = false;
	int rc = swap_begin(m, live, &w, e) < 0 ? -1 : is_whole(&w, &whole, e);

	(void)db;
	if (rc == 0 && whole)
		rc = sweep(&w, e);
	if (rc == 0 && whole)
		rc = supersede(&w, e);
	swap_done(&w);
	if (rc < 0 || whole)
		return rc;
	log_info("view", "%s: the public name is not whole: moving it to version %d again", m->view,
		 live);
	return store_mysql_publish(&m->store, live, e);
}
