/* run.c - handlers' statements on their way to the server.
 *
 * A statement is written with its values into a buffer; nothing waits. When half a megabyte has
 * come together it is sent, and the next is written while the server works on it: one packet of
 * many statements, one round trip, no wait. commit() puts the position and COMMIT behind the last
 * of them.
 *
 * INSERT and REPLACE of one row each become one of many rows (sql_merge.c), which costs the server
 * a fraction; or, while a version is built, LOAD DATA (load.h), which costs it still less. Rows
 * wait for more of their statement in a `run`, one for each table. A statement that is no such
 * INSERT ends the run of its table, or all of them where it touches more than one; rows of one
 * table are never put before or behind one another. Rows of different tables may be, where no
 * foreign key and no trigger connects them: nobody can see it, for it is one transaction. */
#include "projections/store/mysql/run.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <strings.h>

#define LOAD_ROWS_MIN 100 /* fewer are not worth a round trip of their own */
#define OUT_KEPT 4194304  /* a buffer larger than that is for one huge row, and doesn't stay */

/* ---- a batch --------------------------------------------------------------------------------- */

static int too_large(const struct target_mysql *t, struct err *e)
{
	err_config(e, "a statement of %zu bytes, and the server takes %zu (max_allowed_packet)",
		   t->out.size, t->packet_max);
	return err_hint(e, "SET GLOBAL max_allowed_packet = 1073741824 on the store.");
}

static int send_out(struct target_mysql *t, struct err *e)
{
	int rc = 0;

	if (t->out.size == 0)
		return 0;
	t->out.size--; /* the last ';' */
	if (t->out.size > t->packet_max)
		rc = too_large(t, e);
	if (rc == 0)
		rc = run_take(t, e); /* what the server worked on meanwhile */
	if (rc == 0)
		rc = db_store_send(t->db, buf_slice(&t->out), e);
	buf_reset(&t->out);
	if (t->out.capacity > OUT_KEPT)
		buf_done(&t->out);
	return rc;
}

/* It doesn't take rows from a file any more: the transaction goes on. */
static bool loads_refused(const struct target_mysql *t)
{
	unsigned number = db_error_number(t->db);

	return number == 1148 || number == 3948 || number == 4166;
}

/* Not all rows went in as they stand: the statement itself tells why, or has other rules. */
static int insert_instead(struct target_mysql *t, struct mydb_run *run, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	err_clear(e);
	run->load->load_off = true;
	buf_add_str(&sql, "ROLLBACK TO SAVEPOINT millrace_load;");
	mydb_load_as_insert(run->sql, db_store_load_rows(t->db), &sql);
	rc = db_store_send(t->db, buf_slice(&sql), e);
	if (rc == 0)
		rc = db_store_take(t->db, e);
	buf_done(&sql);
	return rc;
}

int run_take(struct target_mysql *t, struct err *e)
{
	struct mydb_run run = t->loading;
	uint64_t records;
	int rc = db_store_take(t->db, e);

	t->loading.sql = NULL;
	if (run.sql == NULL || (rc < 0 && !loads_refused(t)))
		return rc;
	if (rc == 0 && db_store_load_was_plain(t->db, &records) && records == run.rows)
		return 0;
	return insert_instead(t, &run, e);
}

/* ---- runs ------------------------------------------------------------------------------------ */

static int send_load(struct target_mysql *t, struct mydb_run *run, struct err *e)
{
	buf_add_str(&t->out, "SAVEPOINT millrace_load;");
	if (send_out(t, e) < 0 || run_take(t, e) < 0 ||
	    db_store_send_load(t->db, mydb_load_sql(run->load->load), &run->text, e) < 0)
		return -1;
	t->loading = (struct mydb_run){ .sql = run->sql, .load = run->load, .rows = run->rows };
	return 0;
}

static void end_run(struct target_mysql *t, struct mydb_run *run)
{
	if (run->rows == 0) {
		; /* its first row had to go another way */
	} else if (run->load == NULL) {
		buf_add_slice(&t->out, buf_slice(&run->text));
		buf_add_str(&t->out, run->sql->suffix);
		buf_add_u8(&t->out, ';');
	} else if (run->rows < LOAD_ROWS_MIN || run->load->load_off) {
		mydb_load_as_insert(run->sql, buf_slice(&run->text), &t->out);
		buf_add_u8(&t->out, ';');
	} else if (!t->failed) {
		t->failed = send_load(t, run, &t->err) < 0;
	}
	buf_reset(&run->text);
	run->sql = NULL;
}

static void end_runs(struct target_mysql *t)
{
	for (size_t i = 0; i < t->run_count; i++)
		if (t->runs[i].sql != NULL)
			end_run(t, &t->runs[i]);
	t->run_count = 0;
}

static struct mydb_run *run_of(struct target_mysql *t, const char *table)
{
	for (size_t i = 0; i < t->run_count; i++)
		if (t->runs[i].sql != NULL && strcasecmp(t->runs[i].sql->table, table) == 0)
			return &t->runs[i];
	return NULL;
}

static bool same_statement(const struct mydb_sql *a, const struct mydb_sql *b)
{
	return a == b || (a->tuple_begin == b->tuple_begin &&
			  memcmp(a->text.data, b->text.data, a->tuple_begin) == 0 &&
			  strcmp(a->suffix, b->suffix) == 0);
}

static struct mydb_run *run_for(struct target_mysql *t, struct target_statement *s, bool load)
{
	struct mydb_run *run = run_of(t, s->sql->table);

	if (run != NULL &&
	    (!same_statement(run->sql, s->sql) || (run->load != NULL) != load)) {
		end_run(t, run);
		run = NULL;
	}
	if (run != NULL)
		return run;
	if (!t->apart || t->run_count == MYSQL_RUNS_MAX)
		end_runs(t);
	run = &t->runs[t->run_count++];
	run->sql = s->sql;
	run->load = load ? s : NULL;
	run->rows = 0;
	if (!load)
		buf_add(&run->text, s->sql->text.data, s->sql->tuple_begin);
	return run;
}

/* ---- statements ------------------------------------------------------------------------------ */

/* text[from, to) with the values of the parameters in it. */
static void write_part(const struct mydb_sql *s, const struct value *const *values, size_t from,
		       size_t to, struct buf *out)
{
	for (size_t i = 0; i < s->count; i++) {
		size_t at = s->parameters[i].at;

		if (at < from)
			continue;
		if (at >= to)
			break;
		buf_add(out, s->text.data + from, at - from);
		db_store_literal(values[i], out);
		from = at + 1;
	}
	buf_add(out, s->text.data + from, to - from);
}

/* False: it is none for LOAD DATA. */
static bool add_loaded(struct target_mysql *t, struct target_statement *s,
		       const struct value *const *values)
{
	struct mydb_run *run = run_for(t, s, true);
	size_t before = run->text.size;

	if (!mydb_load_row(s->load, values, &run->text)) {
		s->load_off = true;
		return false;
	}
	run->rows++;
	t->held += run->text.size - before;
	return true;
}

static void add_literals(struct target_mysql *t, struct target_statement *s,
			 const struct value *const *values)
{
	const struct mydb_sql *sql = s->sql;
	struct mydb_run *run = run_for(t, s, false);
	size_t before = run->text.size;

	if (run->rows++ > 0)
		buf_add_u8(&run->text, ',');
	write_part(sql, values, sql->tuple_begin, sql->tuple_end, &run->text);
	t->held += run->text.size - before;
}

static void add_statement(struct target_mysql *t, const struct mydb_sql *s,
			  const struct value *const *values)
{
	struct mydb_run *run;
	size_t before;

	if (s->table == NULL || !t->apart)
		end_runs(t);
	else if ((run = run_of(t, s->table)) != NULL)
		end_run(t, run);
	before = t->out.size;
	write_part(s, values, 0, s->text.size, &t->out);
	buf_add_u8(&t->out, ';');
	t->held += t->out.size - before;
}

void run_add(struct target_mysql *t, struct target_statement *s, const struct value *const *values)
{
	if (!s->sql->merges)
		add_statement(t, s->sql, values);
	else if (s->load == NULL || s->load_off || !add_loaded(t, s, values))
		add_literals(t, s, values);
}

void target_mysql_add(struct target_mysql *t, const char *sql)
{
	end_runs(t);
	buf_add_str(&t->out, sql);
	buf_add_u8(&t->out, ';');
}

/* ---- sending --------------------------------------------------------------------------------- */

void target_mysql_drop(struct target_mysql *t)
{
	for (size_t i = 0; i < MYSQL_RUNS_MAX; i++) {
		buf_reset(&t->runs[i].text);
		t->runs[i].sql = NULL;
	}
	t->run_count = 0;
	t->held = 0;
	t->failed = false;
	buf_reset(&t->out);
}

void target_mysql_abandon(struct target_mysql *t)
{
	struct err ignored = ERR_INIT;

	target_mysql_drop(t);
	if (t->db != NULL) /* it was opened */
		(void)db_store_take(t->db, &ignored);
	t->loading.sql = NULL;
}

int target_mysql_send(struct target_mysql *t, struct err *e)
{
	int rc;

	end_runs(t);
	if (t->failed)
		*e = t->err;
	rc = t->failed ? -1 : send_out(t, e);
	target_mysql_drop(t);
	return rc;
}

void run_forget(struct target_mysql *t, const struct target_statement *s)
{
	end_runs(t); /* one of them may be of this statement */
	if (t->loading.sql == s->sql && !t->failed)
		t->failed = run_take(t, &t->err) < 0;
	t->loading.sql = NULL;
}
