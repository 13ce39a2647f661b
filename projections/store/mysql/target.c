/* target.c - handlers' statements: prepared here, and run.c sends them. */
#include "projections/store/mysql/run.h"

#include "core/base/mem.h"

#include <stdlib.h>

#define HELD_MAX 524288
#define PACKET_SPARE 1024

static struct target_mysql *target_of(struct target *t)
{
	return (struct target_mysql *)t;
}

static int target_mysql_flush(struct target *target, struct err *e)
{
	struct target_mysql *t = target_of(target);

	return target_mysql_send(t, e) < 0 ? -1 : run_take(t, e);
}

static int target_mysql_execute(struct target_statement *statement,
				const struct value *const *values, struct err *e)
{
	struct target_mysql *t = statement->target;

	run_add(t, statement, values);
	return t->held > t->held_max ? target_mysql_send(t, e) : 0;
}

/* ---- preparing ------------------------------------------------------------------------------- */

static void target_mysql_finalize(struct target_statement *s)
{
	if (s == NULL)
		return;
	run_forget(s->target, s);
	mydb_load_free(s->load);
	mydb_sql_free(s->sql);
	free(s);
}

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
	if (t->loads && mydb_load_learn(t->db, s, &statement->load, e) < 0) {
		target_mysql_finalize(statement);
		return -1;
	}
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

int target_mysql_allow_loads(struct target_mysql *t, struct err *e)
{
	int64_t on = 0;

	if (mydb_get_int(t->db, &on, e, "SELECT @@local_infile") < 0)
		return -1;
	t->loads = on != 0 && t->apart;
	return 0;
}

void target_mysql_done(struct target_mysql *t)
{
	for (size_t i = 0; i < MYSQL_RUNS_MAX; i++)
		buf_done(&t->runs[i].text);
	buf_done(&t->out);
}
