/* gate.c - the public names are moved while nobody looks at what is behind them.
 *
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
 *
 * RENAME itself must not be broken off (MySQL 8 then shows for a moment what it takes back). So
 * another connection takes the gate first (LOCK TABLES), for which it waits 50 ms only; then it
 * lets all pass who wait behind it, and tries again. When it has the gate, RENAME is put next in
 * the row for it, and the gate is let go: RENAME gets it before all who have come meanwhile. */
#include "projections/store/mysql/swap.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define SWAP_PAUSE_MS 10 /* and more from try to try */
#define SWAP_PAUSE_MS_MAX 300
#define SWAP_US_MAX 20000000
#define QUEUED_MS 50

/* From 2000 on errors are the client's own: the connection is gone. */
static bool lost(const struct mydb_swap *w)
{
	return w->holder == NULL || db_error_number(w->holder) >= 2000 ||
	       db_error_number(w->db) >= 2000;
}

static void add_rename(struct buf *sql, const struct mydb_swap *w, char from, const char *from_name,
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

static void write_rename(const struct mydb_swap *w, struct buf *sql)
{
	add_rename(sql, w, MYDB_GATE[0], &MYDB_GATE[1], MYDB_GATE_AWAY[0], &MYDB_GATE_AWAY[1]);
	for (size_t i = 0; i < w->there_count; i++)
		add_rename(sql, w, '~', w->there[i], '-', w->there[i]);
	for (size_t i = 0; i < w->table_count; i++)
		add_rename(sql, w, '+', w->tables[i], '~', w->tables[i]);
	add_rename(sql, w, MYDB_GATE_AWAY[0], &MYDB_GATE_AWAY[1], MYDB_GATE[0], &MYDB_GATE[1]);
}

/* The mistake that BUG(view_swap) stands for: one name after the other. */
static int rename_in_steps(struct mydb_swap *w, const char *sql, struct err *e)
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

int mydb_gate_run(struct mydb_swap *w, const char *sql, int wait_ms, struct err *e)
{
	int64_t until = clock_monotonic_us() + SWAP_US_MAX;
	int rc;

	for (;;) {
		rc = db_store_run_within(w->db, w->other, sql, wait_ms, e);
		if (rc == 0 || e->kind != ERR_RETRY || clock_monotonic_us() > until || lost(w))
			return rc;
		err_clear(e);
		clock_sleep_us(MYDB_GATE_MS * 1000);
	}
}

/* Does the statement that was sent wait for the gate? */
static int is_queued(struct mydb_swap *w, bool *ret_queued, struct err *e)
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
static int unlock(struct mydb_swap *w, struct err *e)
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
static int rename_behind(struct mydb_swap *w, const char *sql, struct err *e)
{
	struct err unlocked = ERR_INIT;
	bool queued = false;
	int rc = db_store_send(w->db, slice_str(sql), e);

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

typedef int gate_work(struct mydb_swap *w, const char *sql, struct err *e);

/* Takes the gate for `work`, which lets it go; again and again, until readers leave a moment. */
static int take_gate(struct mydb_swap *w, gate_work *work, const char *sql, struct err *e)
{
	int64_t until = clock_monotonic_us() + SWAP_US_MAX;
	char *lock = xasprintf("LOCK TABLES %s.`" MYDB_GATE "` WRITE", w->public);
	int pause = SWAP_PAUSE_MS, tries = 0, rc;

	for (;;) {
		tries++;
		err_clear(e);
		rc = db_store_run_within(w->holder, w->other, lock, MYDB_GATE_MS, e);
		if (rc == 0)
			rc = work(w, sql, e);
		if (rc == 0 || e->kind != ERR_RETRY || clock_monotonic_us() > until || lost(w))
			break;
		clock_sleep_us(pause * 1000);
		pause = pause * 3 / 2 < SWAP_PAUSE_MS_MAX ? pause * 3 / 2 : SWAP_PAUSE_MS_MAX;
	}
	if (rc < 0 && e->kind == ERR_RETRY)
		err_wrap(
			e,
			"%d tries to move the public name; somebody reads it in a long transaction",
			tries);
	free(lock);
	return rc;
}

int mydb_gate_rename(struct mydb_swap *w, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	write_rename(w, &sql);
	rc = BUG(view_swap) ? rename_in_steps(w, buf_cstr(&sql), e)
			    : take_gate(w, rename_behind, buf_cstr(&sql), e);
	buf_done(&sql);
	return rc;
}

static int run_behind(struct mydb_swap *w, const char *sql, struct err *e)
{
	struct err unlocked = ERR_INIT;
	int rc = db_store_run_within(w->db, w->other, sql, MYDB_ALTER_MS, e);

	if (unlock(w, &unlocked) < 0 && rc == 0) {
		*e = unlocked;
		rc = -1;
	}
	return rc;
}

int mydb_gate_hold(struct mydb_swap *w, const char *sql, struct err *e)
{
	return take_gate(w, run_behind, sql, e);
}
