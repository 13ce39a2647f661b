/* target.c - handlers' statements on their way to the server.
 *
 * execute() writes the statement with its values into a buffer; nothing waits. When half a megabyte
 * has come together it is sent, and the next is written while the server works on it: one packet
 * of many statements, one round trip, no wait. commit() puts the position and COMMIT behind the
 * last of them.
 *
 * INSERT and REPLACE of one row each become one of many rows (mysql/sql_merge.c), which costs the
 * server a fraction. Rows wait for more of their statement in a `run`, one for each table. A
 * statement that is no such INSERT ends the run of its table, or all of them where it touches more
 * than one; rows of one table are never put before or behind one another. Rows of different tables
 * may be, where no foreign key and no trigger connects them: nobody can see it, for it is one
 * transaction. */
#include "projections/store/mysql/mysql_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <strings.h>

#define HELD_MAX 524288
#define PACKET_SPARE 1024

struct target_statement {
	struct target_mysql *target;
	struct mydb_sql *sql;
};

static struct target_mysql *target_of(struct target *t)
{
	return (struct target_mysql *)t;
}

/* ---- writing --------------------------------------------------------------------------------- */

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

static void end_run(struct target_mysql *t, struct mydb_run *run)
{
	buf_add_slice(&t->out, buf_slice(&run->text));
	buf_add_str(&t->out, run->sql->suffix);
	buf_add_u8(&t->out, ';');
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

static void add_row(struct target_mysql *t, const struct mydb_sql *s,
		    const struct value *const *values)
{
	struct mydb_run *run = run_of(t, s->table);
	size_t before;

	if (run != NULL && !same_statement(run->sql, s)) {
		end_run(t, run);
		run = NULL;
	}
	if (run == NULL) {
		if (!t->apart || t->run_count == MYSQL_RUNS_MAX)
			end_runs(t);
		run = &t->runs[t->run_count++];
		run->sql = s;
		buf_add(&run->text, s->text.data, s->tuple_begin);
	} else {
		buf_add_u8(&run->text, ',');
	}
	before = run->text.size;
	write_part(s, values, s->tuple_begin, s->tuple_end, &run->text);
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
	buf_reset(&t->out);
}

static int too_large(const struct target_mysql *t, struct err *e)
{
	err_config(e, "a statement of %zu bytes, and the server takes %zu (max_allowed_packet)",
		   t->out.size, t->packet_max);
	return err_hint(e, "SET GLOBAL max_allowed_packet = 1073741824 on the store.");
}

int target_mysql_send(struct target_mysql *t, struct err *e)
{
	int rc = 0;

	end_runs(t);
	if (t->out.size == 0)
		return 0;
	t->out.size--; /* the last ';' */
	if (t->out.size > t->packet_max)
		rc = too_large(t, e);
	if (rc == 0)
		rc = db_store_take(t->db, e); /* what the server worked on meanwhile */
	if (rc == 0)
		rc = db_store_send(t->db, buf_slice(&t->out), e);
	target_mysql_drop(t);
	if (t->out.capacity > 8 * HELD_MAX)
		buf_done(&t->out); /* one huge row shall not stay */
	return rc;
}

static int target_mysql_flush(struct target *target, struct err *e)
{
	struct target_mysql *t = target_of(target);

	return target_mysql_send(t, e) < 0 ? -1 : db_store_take(t->db, e);
}

static int target_mysql_execute(struct target_statement *statement,
				const struct value *const *values, struct err *e)
{
	struct target_mysql *t = statement->target;
	const struct mydb_sql *s = statement->sql;

	if (s->merges)
		add_row(t, s, values);
	else
		add_statement(t, s, values);
	return t->held > t->held_max ? target_mysql_send(t, e) : 0;
}

/* ---- preparing ------------------------------------------------------------------------------- */

static int target_mysql_prepare(struct target *target, const char *origin, const char *script,
				const char *text, const char **ret_tail,
				struct target_statement **ret_statement, struct err *e)
{
	struct target_mysql *t = target_of(target);
	struct target_statement *statement;
	struct mydb_sql *s = NULL;
	int line;

	if (mydb_sql_next(MYDB_SQL_HANDLER, origin, script, text, ret_tail, &s, e) < 0)
		return -1;
	*ret_statement = NULL;
	if (s == NULL)
		return 0;
	line = s->line;
	if (target_mysql_flush(target, e) < 0) {
		mydb_sql_free(s);
		return -1;
	}
	if (db_store_try(t->db, buf_slice(&s->text), e) < 0) {
		mydb_sql_free(s);
		return err_wrap(e, "%s:%d", origin, line);
	}
	statement = xcalloc(1, sizeof(*statement));
	statement->target = t;
	statement->sql = s;
	*ret_statement = statement;
	return 0;
}

static int target_mysql_parameter_count(const struct target_statement *s)
{
	return (int)s->sql->count;
}

static const char *target_mysql_parameter_name(const struct target_statement *s, int i)
{
	return s->sql->parameters[i - 1].name;
}

static void target_mysql_finalize(struct target_statement *s)
{
	if (s == NULL)
		return;
	end_runs(s->target); /* one of them may be of this statement */
	mydb_sql_free(s->sql);
	free(s);
}

/* As one packet: the connection takes many statements in one. */
static int target_mysql_script(struct target *target, const char *text, struct err *e)
{
	struct target_mysql *t = (struct target_mysql *)target;
	size_t size = strlen(text);
	char *sql;
	int rc;

	while (size > 0 && strchr(" \n;", text[size - 1]) != NULL)
		size--;
	if (size == 0)
		return 0;
	rc = target_mysql_flush(target, e);
	if (rc < 0)
		return -1;
	sql = xstrndup(text, size);
	target_mysql_add(t, sql);
	free(sql);
	return target_mysql_flush(target, e);
}

static int target_mysql_number(struct target *target, const char *sql, int64_t *ret_number,
			       struct err *e)
{
	if (target_mysql_flush(target, e) < 0)
		return -1;
	return mydb_get_int(target_of(target)->db, ret_number, e, "%s", sql);
}

static const struct target_ops target_mysql_ops = {
	.prepare = target_mysql_prepare,
	.parameter_count = target_mysql_parameter_count,
	.parameter_name = target_mysql_parameter_name,
	.execute = target_mysql_execute,
	.script = target_mysql_script,
	.number = target_mysql_number,
	.flush = target_mysql_flush,
	.finalize = target_mysql_finalize,
};

int target_mysql_open(struct target_mysql *t, struct db *db, struct err *e)
{
	int64_t packet = 0, connected = 0;

	t->target.ops = &target_mysql_ops;
	t->db = db;
	if (mydb_get_int(db, &packet, e, "SELECT @@max_allowed_packet") < 0 ||
	    mydb_get_int(db, &connected, e,
			 "SELECT (SELECT COUNT(*) FROM information_schema.TABLE_CONSTRAINTS WHERE "
			 "TABLE_SCHEMA = DATABASE() AND CONSTRAINT_TYPE = 'FOREIGN KEY') + (SELECT "
			 "COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = "
			 "DATABASE())") < 0)
		return -1;
	t->apart = connected == 0;
	t->packet_max = packet > PACKET_SPARE ? (size_t)packet - PACKET_SPARE : PACKET_SPARE;
	t->held_max = t->packet_max / 4 < HELD_MAX ? t->packet_max / 4 : HELD_MAX;
	return 0;
}

void target_mysql_done(struct target_mysql *t)
{
	for (size_t i = 0; i < MYSQL_RUNS_MAX; i++)
		buf_done(&t->runs[i].text);
	buf_done(&t->out);
}
