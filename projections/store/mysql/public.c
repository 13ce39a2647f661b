/* public.c - the public database: a view for each table of the live version, all of
 * them moved by one RENAME TABLE.
 *
 *   `VIEW`.`t`           SELECT t.a, t.b FROM `!millrace` g, `~t` t WHERE g.id = 1: what readers
 * name `VIEW`.`!millrace`   the gate: a table of one row `VIEW`.`~t`          SELECT a, b FROM
 * `VIEW_v2`.`t`: what is moved `VIEW`.`+t`, `-t`    the views that are moved next, and those before
 *
 * Readers see no error, nothing empty and no mixture, and wait for a twentieth of a second at most.
 * RENAME TABLE takes exclusive locks on all its names, one after the other by their bytes; a reader
 * has a shared lock on what it has read, until its transaction ends. Had RENAME the names that
 * readers use, it would hold some while it waits for others: a reader in a transaction would be the
 * deadlock's victim (the servers let DDL win); and a statement that may take its locks again goes
 * on with the definition of a view that it has read already, beside the new ones of others: a
 * mixture. So
 *   - every view reads the gate first, before what is moved. RENAME has the gate among its names
 *     (there and back), which sorts before all others: it waits for the gate while it holds
 *     nothing, and when it has it, nobody reads what is behind it;
 *   - who comes then waits at the gate, and holds only a view that isn't moved, and of which
 *     nothing behind the gate has been looked at yet.
 * RENAME itself must not be broken off (MySQL 8 then shows for a moment what it takes back). So
 * another connection takes the gate first (LOCK TABLES), for which it waits 50 ms only; then it
 * lets all pass who wait behind it, and tries again. When it has the gate, RENAME is put next in
 * the row for it, and the gate is let go: RENAME gets it before all who have come meanwhile.
 *
 * Views whose columns change are replaced one by one behind the swap; until then columns that the
 * new version lacks are NULL. A transaction that took its snapshot before the version's build had
 * ended (its first read was elsewhere in the server) would see a half-built version: millrace_gate
 * of the version has two rows until then, which makes a subquery an error for it; it begins again.
 *
 * Views run with their definer's rights: readers need SELECT on the public database alone.
 *
 * MySQL 8 and MariaDB 10.6 rename all or nothing, whatever breaks off. Older servers may die in
 * the middle: the mending at the next start finds a name that is missing or reads another version
 * and swaps again. */
#include "projections/store/mysql/mysql_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SWAP_WAIT_MS 50
#define SWAP_PAUSE_MS 10 /* and more from try to try */
#define SWAP_PAUSE_MS_MAX 300
#define SWAP_US_MAX 20000000
#define QUEUED_MS 50

/* A swap at work. */
struct swap {
	struct mydb_store *store;
	struct db *db, *other, *holder;
	int version;
	char *public, *from; /* quoted names: the public database, the version's */
	char **tables;       /* that are to be public: the version's own, then two of Millrace's */
	size_t table_count;
	char **there; /* behind the gate now */
	size_t there_count;
};

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

/* The database and the gate; refuses what somebody else has made. */
static int ensure_public(struct swap *w, struct err *e)
{
	const struct mydb_store *m = w->store;
	char *owner = mydb_literal(m->owner);
	int64_t tables = 0, gate = 0, away = 0;
	int rc = -1;

	if (count_like(m, w->db, "IS NOT NULL", &tables, e) < 0 ||
	    count_like(m, w->db, "= '" MYDB_GATE "'", &gate, e) < 0 ||
	    count_like(m, w->db, "= '" MYDB_GATE_AWAY "'", &away, e) < 0)
		goto out;
	if (tables > 0 && gate == 0 && away == 0)
		rc = refuse_public(m, NULL, e);
	else if (away > 0 && gate == 0)
		rc = mydb_run(w->db, e,
			      "RENAME TABLE %s.`" MYDB_GATE_AWAY "` TO %s.`" MYDB_GATE "`",
			      w->public, w->public);
	else if (gate == 0)
		rc = mydb_run(w->db, e, "CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8mb4",
			      w->public);
	else
		rc = 0;
	/* where it is there no DDL may ask for it: that locks it, and with it the views */
	if (rc == 0 && gate == 0 && away == 0)
		rc = mydb_run(w->db, e,
			      "CREATE TABLE IF NOT EXISTS %s.`" MYDB_GATE
			      "` (id TINYINT PRIMARY KEY, millrace VARCHAR(100) NOT NULL) ENGINE = "
			      "InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
			      w->public);
	if (rc == 0)
		rc = mydb_run(w->db, e, "INSERT IGNORE INTO %s.`" MYDB_GATE "` VALUES (1, %s)",
			      w->public, owner);
	if (rc == 0)
		rc = check_owner(m, w->db, e);
out:
	free(owner);
	return rc;
}

/* Views that are not for readers: of a swap that was broken off, or of the one before. */
static int sweep(struct swap *w, struct err *e)
{
	char *name = mydb_literal(w->store->view), **left = NULL;
	size_t count = 0;
	int rc = mydb_get_names(w->db, &left, &count, e,
				"SELECT TABLE_NAME FROM information_schema.TABLES WHERE "
				"TABLE_SCHEMA = %s AND (TABLE_NAME LIKE '+%%' OR TABLE_NAME LIKE "
				"'-%%')",
				name);

	for (size_t i = 0; i < count && rc == 0; i++) {
		char *quoted = mydb_quoted(left[i]);

		rc = mydb_run(w->db, e, "DROP VIEW IF EXISTS %s.%s", w->public, quoted);
		free(quoted);
	}
	view_names_free(left, count);
	free(name);
	return rc;
}

/* What the version has, and the views behind the gate (without their '~'). */
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
				    "SELECT SUBSTRING(TABLE_NAME, 2) FROM "
				    "information_schema.TABLES WHERE TABLE_SCHEMA = %s AND "
				    "TABLE_NAME LIKE '~%%'",
				    name);
	}
	free(database);
	free(name);
	return rc;
}

static bool is_among(char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int columns_of(struct swap *w, const char *database, const char *table, char ***ret_names,
		      size_t *ret_count, struct err *e)
{
	char *d = mydb_literal(database), *t = mydb_literal(table);
	int rc = mydb_get_names(w->db, ret_names, ret_count, e,
				"SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE "
				"TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
				d, t);

	free(t);
	free(d);
	return rc;
}

/* `+t`: the version's columns, and NULL for those that only the public view has today. */
static int make_next(struct swap *w, const char *table, struct err *e)
{
	char *database = mydb_database(w->store, w->version), *quoted = mydb_quoted(table);
	char *hidden = xasprintf("+%s", table), *next = mydb_quoted(hidden);
	char **columns = NULL, **before = NULL;
	struct buf list = BUF_INIT;
	size_t count = 0, before_count = 0;
	int rc = columns_of(w, database, table, &columns, &count, e);

	if (rc == 0)
		rc = columns_of(w, w->store->view, table, &before, &before_count, e);
	for (size_t k = 0; k < count; k++) {
		buf_add_str(&list, k > 0 ? ", " : "");
		db_store_name(columns[k], &list);
	}
	for (size_t k = 0; k < before_count; k++) {
		if (is_among(columns, count, before[k]))
			continue;
		buf_add_str(&list, ", NULL AS ");
		db_store_name(before[k], &list);
	}
	if (rc == 0)
		rc = mydb_run(
			w->db, e,
			"CREATE SQL SECURITY DEFINER VIEW %s.%s AS SELECT %s FROM %s.%s WHERE "
			"(SELECT version FROM %s.millrace_gate) > 0",
			w->public, next, buf_cstr(&list), w->from, quoted, w->from);
	view_names_free(columns, count);
	view_names_free(before, before_count);
	buf_done(&list);
	free(next);
	free(hidden);
	free(quoted);
	free(database);
	return rc;
}

static void add_rename(struct buf *sql, const struct swap *w, char from, const char *from_name,
		       char to, const char *to_name)
{
	char *a = xasprintf("%c%s", from, from_name), *b = xasprintf("%c%s", to, to_name);

	buf_add_format(sql, "%s%s.", sql->size > 0 ? ", " : "RENAME TABLE ", w->public);
	db_store_name(a, sql);
	buf_add_format(sql, " TO %s.", w->public);
	db_store_name(b, sql);
	free(a);
	free(b);
}

static void write_rename(const struct swap *w, struct buf *sql)
{
	add_rename(sql, w, MYDB_GATE[0], &MYDB_GATE[1], MYDB_GATE_AWAY[0], &MYDB_GATE_AWAY[1]);
	for (size_t i = 0; i < w->there_count; i++)
		add_rename(sql, w, '~', w->there[i], '-', w->there[i]);
	for (size_t i = 0; i < w->table_count; i++)
		add_rename(sql, w, '+', w->tables[i], '~', w->tables[i]);
	add_rename(sql, w, MYDB_GATE_AWAY[0], &MYDB_GATE_AWAY[1], MYDB_GATE[0], &MYDB_GATE[1]);
}

/* The mistake that BUG(view_swap) stands for: one name after the other. */
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

/* One DDL statement on one name that must not make readers wait: again and again, a moment each. */
static int run_patiently(struct swap *w, const char *sql, struct err *e)
{
	int64_t until = clock_monotonic_us() + SWAP_US_MAX;
	int rc;

	for (;;) {
		rc = db_store_run_within(w->db, w->other, sql, SWAP_WAIT_MS, e);
		if (rc == 0 || e->kind != ERR_RETRY || clock_monotonic_us() > until ||
		    db_error_number(w->db) >= 2000)
			return rc;
		err_clear(e);
		clock_sleep_us(SWAP_WAIT_MS * 1000);
	}
}

/* Does the statement that was sent wait for the gate? */
static int is_queued(struct swap *w, bool *ret_queued, struct err *e)
{
	uint64_t id = db_connection_id(w->db);
	struct db_result *r;
	const struct slice *row;
	int rc;

	*ret_queued = false;
	if (db_query(w->other, "SHOW PROCESSLIST", &r, e) < 0)
		return -1;
	while ((rc = db_next(r, &row, e)) == 1) {
		char number[24], state[80];

		if (db_column_count(r) < 7 || row[0].data == NULL || row[6].data == NULL)
			continue;
		snprintf(number, sizeof(number), "%.*s", (int)row[0].size,
			 (const char *)row[0].data);
		snprintf(state, sizeof(state), "%.*s", (int)row[6].size, (const char *)row[6].data);
		*ret_queued |= strtoull(number, NULL, 10) == id &&
			       strstr(state, "metadata lock") != NULL;
	}
	db_result_free(r);
	return rc;
}

/* A KILL that came too late for LOCK TABLES may hit this. */
static int unlock(struct swap *w, struct err *e)
{
	int rc = -1;

	for (int i = 0; i < 3 && rc < 0; i++) {
		err_clear(e);
		rc = db_run(w->holder, "UNLOCK TABLES", e);
	}
	if (rc == 0)
		return 0;
	db_close(w->holder); /* its locks go with it */
	w->holder = NULL;
	return mydb_connect(w->store, NULL, &w->holder, e);
}

/* The gate is `holder`'s: nobody reads what is behind it. RENAME is put next in the row, before all
 * who have come meanwhile; then the gate is let go. */
static int rename_behind(struct swap *w, struct slice sql, struct err *e)
{
	struct err unlocked = ERR_INIT;
	bool queued = false;
	int rc = db_store_send(w->db, sql, e);

	for (int i = 0; i < QUEUED_MS && rc == 0 && !queued; i++) {
		clock_sleep_us(1000);
		rc = is_queued(w, &queued, e);
	}
	FAULT(view_swap_gate);
	if (unlock(w, &unlocked) < 0 && rc == 0) {
		*e = unlocked;
		rc = -1;
	}
	if (db_store_is_sent(w->db) && db_store_take(w->db, rc == 0 ? e : &unlocked) < 0)
		rc = -1;
	return rc;
}

static int rename_all(struct swap *w, struct err *e)
{
	int64_t until = clock_monotonic_us() + SWAP_US_MAX;
	char *lock = xasprintf("LOCK TABLES %s.`" MYDB_GATE "` WRITE", w->public);
	int pause = SWAP_PAUSE_MS, tries = 0, rc;
	struct buf sql = BUF_INIT;

	write_rename(w, &sql);
	for (;;) {
		tries++;
		err_clear(e);
		if (BUG(view_swap)) {
			rc = rename_in_steps(w, buf_cstr(&sql), e);
			break;
		}
		rc = db_store_run_within(w->holder, w->other, lock, SWAP_WAIT_MS, e);
		if (rc == 0)
			rc = rename_behind(w, buf_slice(&sql), e);
		if (rc == 0 || e->kind != ERR_RETRY || clock_monotonic_us() > until ||
		    db_error_number(w->holder) >= 2000 || db_error_number(w->db) >= 2000)
			break; /* from 2000 on: the connection is gone */
		clock_sleep_us(pause * 1000);
		pause = pause * 3 / 2 < SWAP_PAUSE_MS_MAX ? pause * 3 / 2 : SWAP_PAUSE_MS_MAX;
	}
	if (rc < 0 && e->kind == ERR_RETRY)
		err_wrap(
			e,
			"%d tries to move the public name; somebody reads it in a long transaction",
			tries);
	buf_done(&sql);
	free(lock);
	return rc;
}

/* What readers name: made where it is missing, replaced where the columns are others. */
static int ensure_view(struct swap *w, const char *table, struct err *e)
{
	char *database = mydb_database(w->store, w->version), *quoted = mydb_quoted(table);
	char *hidden = xasprintf("~%s", table), *moved = mydb_quoted(hidden), **columns = NULL,
	     **now = NULL;
	struct buf sql = BUF_INIT;
	size_t count = 0, now_count = 0;
	bool same;
	int rc = columns_of(w, database, table, &columns, &count, e);

	if (rc == 0)
		rc = columns_of(w, w->store->view, table, &now, &now_count, e);
	same = rc == 0 && count == now_count;
	for (size_t k = 0; k < count && same; k++)
		same = strcmp(columns[k], now[k]) == 0;
	buf_add_format(&sql, "CREATE OR REPLACE SQL SECURITY DEFINER VIEW %s.%s AS SELECT ",
		       w->public, quoted);
	for (size_t k = 0; k < count; k++) {
		buf_add_str(&sql, k > 0 ? ", t." : "t.");
		db_store_name(columns[k], &sql);
	}
	buf_add_format(&sql, " FROM %s.`" MYDB_GATE "` AS g, %s.%s AS t WHERE g.id = 1", w->public,
		       w->public, moved);
	if (rc == 0 && !same)
		rc = run_patiently(w, buf_cstr(&sql), e);
	view_names_free(columns, count);
	view_names_free(now, now_count);
	buf_done(&sql);
	free(moved);
	free(hidden);
	free(quoted);
	free(database);
	return rc;
}

/* Behind the swap: names that are new, have other columns, or are gone. */
static int follow(struct swap *w, struct err *e)
{
	char *name = mydb_literal(w->store->view), **names = NULL;
	size_t count = 0;
	int rc = 0;

	for (size_t i = 0; i < w->table_count && rc == 0; i++)
		rc = ensure_view(w, w->tables[i], e);
	if (rc == 0)
		rc = mydb_get_names(w->db, &names, &count, e,
				    "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE "
				    "TABLE_SCHEMA = %s AND LEFT(TABLE_NAME, 1) NOT IN ('!', '~', "
				    "'+', '-')",
				    name);
	for (size_t i = 0; i < count && rc == 0; i++) {
		char *quoted = mydb_quoted(names[i]), *sql;

		sql = xasprintf("DROP VIEW IF EXISTS %s.%s", w->public, quoted);
		if (!is_among(w->tables, w->table_count, names[i]))
			rc = run_patiently(w, sql, e);
		free(sql);
		free(quoted);
	}
	view_names_free(names, count);
	free(name);
	return rc;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void swap_done(struct swap *w)
{
	view_names_free(w->tables, w->table_count);
	view_names_free(w->there, w->there_count);
	db_close(w->db);
	db_close(w->other);
	db_close(w->holder);
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
	return mydb_connect(m, NULL, &w->db, e) < 0 || mydb_connect(m, NULL, &w->other, e) < 0 ||
			       mydb_connect(m, NULL, &w->holder, e) < 0
		       ? -1
		       : mydb_run(w->db, e, "SET lock_wait_timeout = 2");
}

static int move_names(struct swap *w, struct err *e)
{
	if (ensure_public(w, e) < 0 || sweep(w, e) < 0 || find_names(w, e) < 0)
		return -1;
	for (size_t i = 0; i < w->table_count; i++)
		if (make_next(w, w->tables[i], e) < 0)
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
	if (rc == 0 && (follow(&w, &after) < 0 ||
			mydb_set_state(w.db, database, STORE_LIVE, false, &after) < 0 ||
			supersede(&w, &after) < 0 || sweep(&w, &after) < 0))
		log_err(LOG_LEVEL_WARNING, "view", m->view, &after);
	swap_done(&w);
	free(database);
	return rc;
}

/* *ret_whole: each table of the version is behind the gate, and nothing else is. */
static int is_whole(struct swap *w, bool *ret_whole, struct err *e)
{
	char *name = mydb_literal(w->store->view), *reads = NULL;
	struct buf pattern = BUF_INIT;
	int64_t views = 0, gate = 0;
	int rc = -1;

	buf_add_format(&pattern, "%s.", w->from);
	reads = mydb_literal(buf_cstr(&pattern));
	if (find_names(w, e) < 0 ||
	    count_like(w->store, w->db, "= '" MYDB_GATE "'", &gate, e) < 0 ||
	    mydb_get_int(w->db, &views, e,
			 "SELECT COUNT(*) FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s "
			 "AND TABLE_NAME LIKE '~%%' AND INSTR(VIEW_DEFINITION, %s) > 0",
			 name, reads) < 0)
		goto out;
	*ret_whole = gate > 0 && views == (int64_t)w->table_count &&
		     w->there_count == w->table_count;
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
		rc = follow(&w, e) < 0 ? -1 : sweep(&w, e);
	if (rc == 0 && whole)
		rc = supersede(&w, e);
	swap_done(&w);
	if (rc < 0 || whole)
		return rc;
	log_info("view", "%s: the public name is not whole: moving it to version %d again", m->view,
		 live);
	return store_mysql_publish(&m->store, live, e);
}
