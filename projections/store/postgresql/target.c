/* target.c - handlers' statements on a PostgreSQL connection.
 *
 * Handlers (on/x.sql) are guarded; what Millrace writes for mirrors and queries is not.
 *
 * `:name` becomes $1, $2 ...; the server tells each parameter's type, and values are encoded for
 * it. An execution is queued, never waited for: a commit or flush tells how it went. Plain writes
 * are gathered instead (postgresql/bulk.h); before any other statement runs, what was gathered is
 * queued, so that it sees what it would have seen. */
#include "projections/store/postgresql/target.h"

#include "core/base/mem.h"
#include "core/postgresql/pg_script.h"
#include "projections/store/postgresql/bulk.h"

#include <stdlib.h>

struct target_statement {
	struct target_postgresql *target;
	struct pg_statement *one;
	struct bulk_shape *shape; /* NULL: it isn't plain */
	char **names;
	int name_count;
};

static void target_pg_finalize(struct target_statement *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < s->name_count; i++)
		free(s->names[i]);
	free(s->names);
	pg_finalize(s->one);
	free(s);
}

static int target_pg_prepare(struct target *target, const char *origin, const char *script,
			     const char *text, const char **ret_tail,
			     struct target_statement **ret_statement, struct err *e)
{
	struct target_postgresql *t = (struct target_postgresql *)target;
	struct target_statement *s;
	bool handler = strncmp(origin, "on/", 3) == 0;
	struct pg_script read;
	int rc;

	if (pg_script_read(origin, script, text, handler ? PG_SCRIPT_HANDLER : PG_SCRIPT_OWN, &read,
			   e) < 0)
		return -1;
	*ret_statement = NULL;
	if (ret_tail != NULL)
		*ret_tail = read.tail;
	if (read.token_count == 0) {
		pg_script_done(&read);
		return 0;
	}
	if (t->bulk == NULL)
		t->bulk = bulk_new(t->pg);
	s = xcalloc(1, sizeof(*s));
	s->target = t;
	rc = target_postgresql_queue(t, e);
	if (rc == 0)
		rc = pg_prepare(t->pg, origin, script, text, read.sql, &s->one, e);
	if (rc == 0 && handler)
		rc = pg_plan(s->one, origin, script, text, e);
	if (rc == 0)
		rc = bulk_learn(t->bulk, origin, &read, s->one, &s->shape, e);
	s->names = read.names;
	s->name_count = read.name_count;
	read.names = NULL;
	read.name_count = 0;
	pg_script_done(&read);
	if (rc < 0)
		target_pg_finalize(s);
	else
		*ret_statement = s;
	return rc;
}

static int target_pg_parameter_count(const struct target_statement *s)
{
	return s->name_count;
}

static const char *target_pg_parameter_name(const struct target_statement *s, int i)
{
	return i >= 1 && i <= s->name_count ? s->names[i - 1] : NULL;
}

static int target_pg_execute(struct target_statement *s, const struct value *const *values,
			     struct err *e)
{
	if (s->shape != NULL) {
		int rc = bulk_add(s->shape, values, e);

		if (rc != 0)
			return rc < 0 ? -1 : 0;
	}
	if (target_postgresql_queue(s->target, e) < 0)
		return -1;
	return pg_send(s->one, values, e);
}

static int target_pg_flush(struct target *target, struct err *e)
{
	struct target_postgresql *t = (struct target_postgresql *)target;

	return target_postgresql_queue(t, e) < 0 ? -1 : pg_drain(t->pg, NULL, e);
}

/* Millrace's own statements, behind what was held back. */
static int target_pg_script(struct target *target, const char *text, struct err *e)
{
	struct target_postgresql *t = (struct target_postgresql *)target;

	return target_postgresql_queue(t, e) < 0 ? -1 : pg_run(t->pg, text, e);
}

static const struct target_ops target_pg_ops = {
	.prepare = target_pg_prepare,
	.parameter_count = target_pg_parameter_count,
	.parameter_name = target_pg_parameter_name,
	.execute = target_pg_execute,
	.flush = target_pg_flush,
	.finalize = target_pg_finalize,
	.script = target_pg_script,
};

void target_postgresql_init(struct target_postgresql *t, struct pg *pg)
{
	*t = (struct target_postgresql){ .target = { .ops = &target_pg_ops }, .pg = pg };
}

void target_postgresql_done(struct target_postgresql *t)
{
	bulk_free(t->bulk);
	t->bulk = NULL;
}

int target_postgresql_queue(struct target_postgresql *t, struct err *e)
{
	return t->bulk != NULL ? bulk_queue(t->bulk, e) : 0;
}

void target_postgresql_forget(struct target_postgresql *t)
{
	if (t->bulk != NULL)
		bulk_forget(t->bulk);
}
