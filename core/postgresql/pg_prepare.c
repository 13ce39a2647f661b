/* pg_prepare.c - statements that are prepared once. */
#include "core/base/mem.h"
#include "core/postgresql/pg_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int learn_parameters(struct pg *p, struct pg_statement *s, struct err *e)
{
	PGresult *r = NULL;
	size_t count;

	if (PQsendDescribePrepared(p->conn, s->name) == 0)
		return pg_failed(p, NULL, false, e);
	if (pg_collect(p, &r, e) < 0)
		return -1;
	s->count = PQnparams(r);
	count = (size_t)s->count + 1;
	s->types = xcalloc(count, sizeof(*s->types));
	s->values = xcalloc(count, sizeof(*s->values));
	s->lengths = xcalloc(count, sizeof(*s->lengths));
	s->formats = xcalloc(count, sizeof(*s->formats));
	s->offsets = xcalloc(count, sizeof(*s->offsets));
	for (int i = 0; i < s->count; i++)
		s->types[i] = PQparamtype(r, i);
	PQclear(r);
	return 0;
}

/* Statements that nobody uses any more; they can't be given back while something is queued. */
static int deallocate(struct pg *p, struct err *e)
{
	int rc;

	if (p->gone.size == 0)
		return 0;
	rc = pg_run(p, buf_cstr(&p->gone), e);
	buf_reset(&p->gone);
	return rc;
}

static const char *keep_origin(struct pg *p, const char *origin)
{
	for (size_t i = 0; i < p->origin_count; i++)
		if (strcmp(p->origins[i], origin) == 0)
			return p->origins[i];
	p->origins = xrealloc(p->origins, (p->origin_count + 1) * sizeof(*p->origins));
	p->origins[p->origin_count] = xstrdup(origin);
	return p->origins[p->origin_count++];
}

int pg_prepare(struct pg *p, const char *origin, const char *script, const char *at,
	       const char *sql, struct pg_statement **ret_statement, struct err *e)
{
	struct pg_statement *s;
	PGresult *result;
	int rc = 0;

	if (pg_settle(p, e) < 0 || (!pg_in_transaction(p) && deallocate(p, e) < 0))
		return -1;
	s = xcalloc(1, sizeof(*s));
	s->pg = p;
	s->origin = keep_origin(p, origin);
	(void)snprintf(s->name, sizeof(s->name), "m%u", ++p->statements);
	if (PQsendPrepare(p->conn, s->name, sql, 0, NULL) == 0 || pg_push(p, e) < 0)
		rc = pg_failed(p, NULL, false, e);
	while (rc == 0 && (result = pg_await(p)) != NULL) {
		if (!pg_is_good(result))
			rc = pg_script_failed(p, origin, script, at, sql, result, e);
		PQclear(result);
	}
	if (rc < 0) {
		while (!pg_is_lost(p) && (result = pg_await(p)) != NULL)
			PQclear(result);
	} else {
		rc = learn_parameters(p, s, e);
	}
	if (rc < 0) {
		s->name[0] = '\0';
		pg_finalize(s);
		return -1;
	}
	*ret_statement = s;
	return 0;
}

int pg_plan(struct pg_statement *s, const char *origin, const char *script, const char *at,
	    struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	buf_add_format(&sql, "EXPLAIN EXECUTE %s", s->name);
	for (int i = 0; i < s->count; i++)
		buf_add_str(&sql, i == 0 ? " (NULL" : ", NULL");
	buf_add_str(&sql, s->count > 0 ? ")" : "");
	rc = pg_run_at(s->pg, origin, script, at + strspn(at, " \t\r\n"), buf_cstr(&sql), e);
	buf_done(&sql);
	return rc;
}

int pg_parameter_count(const struct pg_statement *s)
{
	return s->count;
}

uint32_t pg_parameter_type(const struct pg_statement *s, int i)
{
	return s->types[i];
}

void pg_finalize(struct pg_statement *s)
{
	if (s == NULL)
		return;
	if (s->name[0] != '\0')
		buf_add_format(&s->pg->gone, "DEALLOCATE %s; ", s->name);
	free(s->types);
	free(s->values);
	free(s->lengths);
	free(s->formats);
	free(s->offsets);
	buf_done(&s->bytes);
	free(s);
}
