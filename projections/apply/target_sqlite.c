/* target_sqlite.c - an SQLite connection as the place that handlers write to. Statements are
 * prepared under the guard of core/sql, so that a handler can't end the store's transaction or
 * touch its bookkeeping. */
#include "projections/apply/target.h"

/* A target_statement is the sql_statement itself: there is nothing to add. */
static struct sql_statement *sql_of(const struct target_statement *s)
{
	return (struct sql_statement *)(uintptr_t)s;
}

static int target_sqlite_prepare(struct target *t, const char *origin, const char *script,
				 const char *text, const char **ret_tail,
				 struct target_statement **ret_statement, struct err *e)
{
	struct sql_db *db = ((struct target_sqlite *)t)->db;
	struct sql_statement *s = NULL;
	int rc;

	sql_guard(db, true);
	rc = sql_prepare_at(db, origin, script, text, ret_tail, &s, e);
	sql_guard(db, false);
	if (rc < 0)
		return -1;
	if (s != NULL && sql_is_read_only(s)) {
		sql_finalize(s);
		err_config(e, "%s: a statement only reads", origin);
		return err_hint(e, "A handler changes rows: INSERT, UPDATE or DELETE.");
	}
	*ret_statement = (struct target_statement *)s;
	return 0;
}

static int target_sqlite_parameter_count(const struct target_statement *s)
{
	return sql_parameter_count(sql_of(s));
}

static const char *target_sqlite_parameter_name(const struct target_statement *s, int i)
{
	return sql_parameter_name(sql_of(s), i);
}

static int target_sqlite_execute(struct target_statement *statement,
				 const struct value *const *values, struct err *e)
{
	struct sql_statement *s = sql_of(statement);
	int count = sql_parameter_count(s);
	int rc;

	for (int i = 1; i <= count; i++) {
		if (sql_bind(s, i, values[i - 1], e) < 0)
			return -1;
	}
	while ((rc = sql_step(s, e)) == 1)
		continue;
	sql_reset(s);
	return rc;
}

static int target_sqlite_script(struct target *t, const char *text, struct err *e)
{
	return sql_script(((struct target_sqlite *)t)->db, "millrace", text, e);
}

/* Nothing is ever held back. */
static int target_sqlite_flush(struct target *t, struct err *e)
{
	(void)t;
	(void)e;
	return 0;
}

static void target_sqlite_finalize(struct target_statement *s)
{
	sql_finalize(sql_of(s));
}

static const struct target_ops target_sqlite_ops = {
	.prepare = target_sqlite_prepare,
	.parameter_count = target_sqlite_parameter_count,
	.parameter_name = target_sqlite_parameter_name,
	.execute = target_sqlite_execute,
	.script = target_sqlite_script,
	.flush = target_sqlite_flush,
	.finalize = target_sqlite_finalize,
};

void target_sqlite_init(struct target_sqlite *t, struct sql_db *db)
{
	t->target.ops = &target_sqlite_ops;
	t->db = db;
}
