/* pg_cursor.c - rows of a SELECT in binary form, with bounded memory: a cursor on the server, read
 * FETCH_ROWS at a time. The next piece is asked for before this one is handed out, so that the
 * server works while the caller does. Closing early costs the piece under way. */
#include "core/postgresql/pg_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>

#define FETCH_ROWS 2000
#define TEXT_OF(x) TEXT(x)
#define TEXT(x) #x

struct pg_cursor {
	struct pg *pg;
	PGresult *piece;
	struct value *values;
	uint32_t *types;
	int columns, row, rows;
	bool asked, ended;
};

static int ask(struct pg_cursor *c, struct err *e)
{
	struct pg *p = c->pg;

	if (PQsendQueryParams(p->conn, "FETCH " TEXT_OF(FETCH_ROWS) " FROM millrace_rows", 0, NULL,
			      NULL, NULL, NULL, 1) == 0)
		return pg_failed(p, NULL, false, e);
	c->asked = true;
	return pg_push(p, e);
}

/* The piece that was asked for. */
static int take(struct pg_cursor *c, struct err *e)
{
	struct pg *p = c->pg;
	PGresult *result, *piece = NULL;
	int rc = 0;

	c->asked = false;
	while ((result = pg_await(p)) != NULL) {
		if (PQresultStatus(result) == PGRES_TUPLES_OK && piece == NULL) {
			piece = result;
			continue;
		}
		if (rc == 0)
			rc = pg_failed(p, result, true, e);
		PQclear(result);
		if (pg_is_lost(p))
			break;
	}
	if (rc == 0 && piece == NULL)
		rc = pg_failed(p, NULL, true, e);
	if (rc < 0) {
		PQclear(piece);
		c->ended = true;
		return -1;
	}
	PQclear(c->piece);
	c->piece = piece;
	c->row = 0;
	c->rows = PQntuples(piece);
	c->ended = c->rows < FETCH_ROWS;
	return c->ended ? 0 : ask(c, e);
}

static void learn_columns(struct pg_cursor *c)
{
	c->columns = PQnfields(c->piece);
	c->values = xcalloc((size_t)c->columns + 1, sizeof(*c->values));
	c->types = xcalloc((size_t)c->columns + 1, sizeof(*c->types));
	for (int i = 0; i < c->columns; i++)
		c->types[i] = PQftype(c->piece, i);
}

int pg_cursor_open(struct pg *p, const char *sql, struct pg_cursor **ret_cursor, struct err *e)
{
	struct pg_cursor *c;
	struct buf declare = BUF_INIT;
	int rc;

	if (p->cursor)
		return err_fatal(e, "a second cursor on one connection");
	buf_add_str(&declare, "DECLARE millrace_rows NO SCROLL CURSOR FOR ");
	buf_add_str(&declare, sql);
	rc = pg_run(p, buf_cstr(&declare), e);
	buf_done(&declare);
	if (rc < 0)
		return -1;
	c = xcalloc(1, sizeof(*c));
	c->pg = p;
	p->cursor = true;
	if (ask(c, e) < 0 || take(c, e) < 0) {
		pg_cursor_close(c);
		return -1;
	}
	learn_columns(c);
	*ret_cursor = c;
	return 0;
}

int pg_cursor_next(struct pg_cursor *c, const struct value **ret_values, struct err *e)
{
	if (c->row == c->rows) {
		if (!c->asked)
			return 0;
		if (take(c, e) < 0)
			return -1;
		if (c->rows == 0)
			return 0;
	}
	for (int i = 0; i < c->columns; i++) {
		struct slice bytes = PQgetisnull(c->piece, c->row, i)
					     ? slice_of(NULL, 0)
					     : slice_of(PQgetvalue(c->piece, c->row, i),
							(size_t)PQgetlength(c->piece, c->row, i));

		pg_decode(c->types[i], bytes, &c->values[i]);
	}
	c->row++;
	*ret_values = c->values;
	return 1;
}

void pg_cursor_close(struct pg_cursor *c)
{
	struct err ignored = ERR_INIT;
	PGresult *result;

	if (c == NULL)
		return;
	while (c->asked && !pg_is_lost(c->pg) && (result = pg_await(c->pg)) != NULL)
		PQclear(result);
	c->pg->cursor = false;
	if (!pg_is_lost(c->pg))
		(void)pg_run(c->pg, "CLOSE millrace_rows",
			     &ignored); /* else it ends with its transaction */
	PQclear(c->piece);
	free(c->values);
	free(c->types);
	free(c);
}
