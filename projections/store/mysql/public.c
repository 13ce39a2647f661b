/* public.c - the public database: a view for each table of the live version, all of them moved by
 * one RENAME TABLE.
 *
 *   `VIEW`.`t`           SELECT t.a, t.b FROM `!millrace` g, `~t` t WHERE g.id = 1: readers name it
 *   `VIEW`.`!millrace`   the gate: a table of one row (gate.c)
 *   `VIEW`.`~t`          SELECT a, b FROM `VIEW_v2`.`t`: what is moved
 *   `VIEW`.`+t`, `-t`    the views that are moved next, and those before
 *
 * Readers see no error, nothing empty and no mixture, and wait for a twentieth of a second at most.
 *
 * A transaction that took its snapshot before the version's build had ended (its first read was
 * elsewhere in the server) would see a half-built version: millrace_gate of the version has two
 * rows until then, which makes a subquery an error for it; it begins again.
 *
 * Views run with their definer's rights: readers need SELECT on the public database alone.
 *
 * MySQL 8 and MariaDB 10.6 rename all or nothing, whatever breaks off. Older servers may die in
 * the middle: the mending at the next start finds a name that is missing or reads another version
 * and swaps again. */
#include "projections/store/mysql/swap.h"

#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

static int count_like(const struct mydb_store *m, struct db *db, const char *condition,
		      int64_t *ret_count, struct err *e)
{
	char *name = mydb_literal(m->view);
	int rc = mydb_get_int(db, ret_count, e,
			      "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = "
			      "%s AND TABLE_NAME %s",
			      name, condition);

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

static int check_owner(const struct mydb_store *m, struct db *db, struct err *e)
{
	char *public = mydb_quoted(m->view), *owner = NULL, *sql;
	int rc;

	sql = xasprintf("SELECT millrace FROM %s.`" MYDB_GATE "`", public);
	rc = db_get_text(db, sql, &owner, e);
	if (rc == 0 && owner != NULL && strcmp(owner, m->owner) != 0)
		rc = refuse_public(m, owner, e);
	free(sql);
	free(owner);
	free(public);
	return rc;
}

/* The names were on their way when an old server died: the version that was to be live, or was. */
static int lost_version(const struct mydb_store *m, struct db *db, int *ret_version, struct err *e)
{
	struct store_info *infos = NULL;
	int64_t left = 0;
	size_t count = 0;
	int rc = count_like(m, db, "LIKE '-%'", &left, e);

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
	char *public = mydb_quoted(m->view);
	int64_t gate = 0, moved = 0, version = 0;
	int rc = -1;

	*ret_version = 0;
	if (count_like(m, db, "= '" MYDB_GATE "'", &gate, e) < 0 ||
	    count_like(m, db, "= '~millrace_view'", &moved, e) < 0 ||
	    (gate > 0 && check_owner(m, db, e) < 0))
		goto out;
	if (moved == 0) {
		rc = lost_version(m, db, ret_version, e);
		goto out;
	}
	rc = mydb_get_int(db, &version, e, "SELECT version FROM %s.`~millrace_view`", public);
	if (rc < 0)
		err_wrap(e, "the public database %s", m->view);
	*ret_version = (int)version;
out:
	free(public);
	return rc;
}

/* ---- parts of a swap ------------------------------------------------------------------------- */

int mydb_find_gate(struct mydb_swap *w, bool *ret_there, struct err *e)
{
	int64_t gate = 0, away = 0;
	int rc = 0;

	if (count_like(w->store, w->db, "= '" MYDB_GATE "'", &gate, e) < 0 ||
	    count_like(w->store, w->db, "= '" MYDB_GATE_AWAY "'", &away, e) < 0)
		return -1;
	if (away > 0 && gate == 0)
		rc = mydb_run(w->db, e,
			      "RENAME TABLE %s.`" MYDB_GATE_AWAY "` TO %s.`" MYDB_GATE "`",
			      w->public, w->public);
	*ret_there = gate + away > 0;
	return rc == 0 && *ret_there ? check_owner(w->store, w->db, e) : rc;
}

/* Refuses a database in which there is something already. */
static int make_gate(struct mydb_swap *w, struct err *e)
{
	int64_t tables = 0;

	if (count_like(w->store, w->db, "IS NOT NULL", &tables, e) < 0)
		return -1;
	if (tables > 0)
		return refuse_public(w->store, NULL, e);
	if (mydb_run(w->db, e, "CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8mb4",
		     w->public) < 0)
		return -1;
	return mydb_run(w->db, e,
			"CREATE TABLE IF NOT EXISTS %s.`" MYDB_GATE
			"` (id TINYINT PRIMARY KEY, millrace VARCHAR(100) NOT NULL) ENGINE = "
			"InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
			w->public);
}

/* The database and the gate; refuses what somebody else has made. */
static int ensure_public(struct mydb_swap *w, struct err *e)
{
	char *owner = mydb_literal(w->store->owner);
	bool there = false;
	int rc = mydb_find_gate(w, &there, e);

	/* where it is there no DDL may ask for it: that locks it, and with it the views */
	if (rc == 0 && !there)
		rc = make_gate(w, e);
	if (rc == 0)
		rc = mydb_run(w->db, e, "INSERT IGNORE INTO %s.`" MYDB_GATE "` VALUES (1, %s)",
			      w->public, owner);
	if (rc == 0)
		rc = check_owner(w->store, w->db, e);
	free(owner);
	return rc;
}

/* ---- the whole ------------------------------------------------------------------------------- */

void mydb_swap_done(struct mydb_swap *w)
{
	view_names_free(w->tables, w->table_count);
	view_names_free(w->there, w->there_count);
	db_close(w->db);
	db_close(w->other);
	db_close(w->holder);
	free(w->public);
	free(w->from);
}

int mydb_swap_begin(struct mydb_store *m, int version, struct mydb_swap *w, struct err *e)
{
	char *database = mydb_database(m, version);

	*w = (struct mydb_swap){ .store = m, .version = version };
	w->public = mydb_quoted(m->view);
	w->from = mydb_quoted(database);
	free(database);
	return mydb_connect(m, NULL, &w->db, e) < 0 || mydb_connect(m, NULL, &w->other, e) < 0 ||
			       mydb_connect(m, NULL, &w->holder, e) < 0
		       ? -1
		       : mydb_run(w->db, e, "SET lock_wait_timeout = 2");
}

static int move_names(struct mydb_swap *w, struct err *e)
{
	if (ensure_public(w, e) < 0 || mydb_names_sweep(w, e) < 0 || mydb_names_find(w, e) < 0)
		return -1;
	for (size_t i = 0; i < w->table_count; i++)
		if (mydb_names_next(w, w->tables[i], e) < 0)
			return -1;
	FAULT(view_naming);
	return mydb_gate_rename(w, e);
}

/* All others that say they are live are told that they aren't. */
static int supersede(struct mydb_swap *w, struct err *e)
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
	struct mydb_swap w;
	int rc = mydb_swap_begin(m, version, &w, e) < 0 ? -1
							: mydb_info(m, w.db, version, &info, e);

	if (rc == 0 || (rc == 1 && !info.built))
		rc = err_config(e, "view %s: version %d is not built", m->view, version);
	/* `swap` stays on until the name has moved: so a crash between the two is told from one
	 * behind them */
	if (rc == 1)
		rc = mydb_set_state(w.db, database, STORE_LIVE, true, e) < 0 ? -1
									     : move_names(&w, e);
	FAULT(view_named);
	/* From here on the version is live: readers see it. What fails now must not undo that; the
	 * next start mends it. */
	if (rc == 0 && (mydb_names_follow(&w, &after) < 0 ||
			mydb_set_state(w.db, database, STORE_LIVE, false, &after) < 0 ||
			supersede(&w, &after) < 0 || mydb_names_sweep(&w, &after) < 0))
		log_err(LOG_LEVEL_WARNING, "view", m->view, &after);
	mydb_swap_done(&w);
	free(database);
	return rc;
}

/* *ret_all: `~table` shows all columns that the version's table has. */
static int shows_all(struct mydb_swap *w, const char *table, bool *ret_all, struct err *e)
{
	char *database = mydb_database(w->store, w->version), *hidden = xasprintf("~%s", table);
	char **columns = NULL, **shown = NULL;
	size_t count = 0, shown_count = 0;
	int rc = mydb_columns(w, database, table, &columns, &count, e) < 0 ||
				 mydb_columns(w, w->store->view, hidden, &shown, &shown_count, e) <
					 0
			 ? -1
			 : 0;

	*ret_all = true;
	for (size_t i = 0; i < count && *ret_all; i++)
		*ret_all = mydb_is_among(shown, shown_count, columns[i]);
	view_names_free(columns, count);
	view_names_free(shown, shown_count);
	free(hidden);
	free(database);
	return rc;
}

/* *ret_whole: each table of the version is behind the gate with all its columns, and nothing else
 * is. */
static int is_whole(struct mydb_swap *w, bool *ret_whole, struct err *e)
{
	char *name = mydb_literal(w->store->view), *reads = NULL;
	struct buf pattern = BUF_INIT;
	int64_t views = 0, gate = 0;
	int rc = -1;

	buf_add_format(&pattern, "%s.", w->from);
	reads = mydb_literal(buf_cstr(&pattern));
	if (mydb_names_find(w, e) < 0 ||
	    count_like(w->store, w->db, "= '" MYDB_GATE "'", &gate, e) < 0 ||
	    mydb_get_int(w->db, &views, e,
			 "SELECT COUNT(*) FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s "
			 "AND TABLE_NAME LIKE '~%%' AND INSTR(VIEW_DEFINITION, %s) > 0",
			 name, reads) < 0)
		goto out;
	*ret_whole = gate > 0 && views == (int64_t)w->table_count &&
		     w->there_count == w->table_count;
	for (size_t i = 0; i < w->table_count && *ret_whole; i++)
		*ret_whole = mydb_is_among(w->there, w->there_count, w->tables[i]);
	rc = 0;
	for (size_t i = 0; i < w->table_count && *ret_whole && rc == 0; i++)
		rc = shows_all(w, w->tables[i], ret_whole, e);
out:
	buf_done(&pattern);
	free(reads);
	free(name);
	return rc;
}

/* What is not whole stays as it is. */
static int mend_whole(struct mydb_store *m, int live, bool *ret_whole, struct err *e)
{
	struct mydb_swap w;
	int rc = mydb_swap_begin(m, live, &w, e) < 0 ? -1 : is_whole(&w, ret_whole, e);

	if (rc == 0 && *ret_whole)
		rc = mydb_names_follow(&w, e) < 0 || mydb_names_sweep(&w, e) < 0 ||
				     supersede(&w, e) < 0
			     ? -1
			     : 0;
	mydb_swap_done(&w);
	return rc;
}

int mydb_mend(struct mydb_store *m, int live, struct err *e)
{
	bool whole = false;

	if (mend_whole(m, live, &whole, e) < 0)
		return -1;
	if (whole)
		return 0;
	log_info("view", "%s: the public name is not whole: moving it to version %d again", m->view,
		 live);
	return store_mysql_publish(&m->store, live, e) < 0 ? -1 : mend_whole(m, live, &whole, e);
}
