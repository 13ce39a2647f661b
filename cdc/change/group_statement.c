/* group_statement.c - statements in the binlog that concern captured tables.
 *
 * With binlog_format=ROW every row change comes as a row event, except those that a statement makes
 * as a whole: TRUNCATE and DROP empty a table without naming a row, RENAME moves it, CREATE OR
 * REPLACE begins it anew, and a session that has switched to STATEMENT writes DML as text. They
 * cannot be delivered as row changes, and skipping them would make consumers wrong silently:
 * capture stops and says so. So does an ALTER that renames the table or takes rows away with a
 * partition. Any other ALTER may change rows too; the next table map brings the new shape, and the
 * operator gets a line. Everything else cannot touch captured rows. */
#include "cdc/change/group_priv.h"

#include "cdc/binlog/statement.h"

/* A pattern "db.*" or "db.table" of this database. */
static bool captures_database(const struct settings *settings, const char *db)
{
	size_t size = strlen(db);

	for (size_t i = 0; i < settings->capture_tables.count; i++) {
		const char *item = settings->capture_tables.items[i];

		if (strncmp(item, db, size) == 0 && item[size] == '.')
			return true;
	}
	return false;
}

static const struct statement_table *captured_target(const struct group *g,
						     const struct statement *s)
{
	for (size_t i = 0; i < s->table_count; i++) {
		const struct statement_table *t = &s->tables[i];

		if (s->kind == STATEMENT_DROP_DATABASE) {
			if (captures_database(g->settings, t->db))
				return t;
		} else if (t->target &&
			   catalog_captures(g->catalog, slice_str(t->db), slice_str(t->table))) {
			return t;
		}
	}
	return NULL;
}

static int refuse(const struct group *g, const struct statement *s, const struct statement_table *t,
		  struct err *e)
{
	err_data(
		e,
		"transaction %s holds %s of %s%s%s, which changes captured rows without row events",
		g->info.gtid_text, statement_kind_name(s->kind), t->db,
		t->table[0] != '\0' ? "." : "", t->table);
	if (s->kind == STATEMENT_DML)
		return err_hint(e, "Every session of the source must write with binlog_format=ROW. "
				   "To begin anew, give "
				   "millrace.name another value.");
	return err_hint(
		e,
		"Take the table out of capture.tables, or begin anew with another millrace.name.");
}

static void note_alter(struct group *g, const struct statement_table *t)
{
	buf_reset(&g->notice);
	buf_add_format(&g->notice,
		       "%s: ALTER of %s.%s: if it changed values of existing rows, the binlog does "
		       "not show it",
		       g->info.gtid_text, t->db, t->table);
	g->info.notice = buf_cstr(&g->notice);
}

static int judge(struct group *g, const struct statement *s, struct err *e)
{
	const struct statement_table *t = captured_target(g, s);

	if (t == NULL || s->temporary)
		return 0;
	switch (s->kind) {
	case STATEMENT_ALTER_TABLE:
		if (s->moves_rows)
			return refuse(g, s, t, e);
		g->info.shapes_changed = true;
		note_alter(g, t);
		return 0;
	case STATEMENT_CREATE_TABLE:
		g->info.shapes_changed = true;
		return s->or_replace ? refuse(g, s, t, e) : 0;
	case STATEMENT_DROP_TABLE:
	case STATEMENT_RENAME_TABLE:
	case STATEMENT_TRUNCATE:
	case STATEMENT_DROP_DATABASE:
	case STATEMENT_DML:
		return refuse(g, s, t, e);
	case STATEMENT_BEGIN:
	case STATEMENT_COMMIT:
	case STATEMENT_ROLLBACK:
	case STATEMENT_SAVEPOINT:
	case STATEMENT_ROLLBACK_TO:
	case STATEMENT_RELEASE:
	case STATEMENT_XA_COMMIT:
	case STATEMENT_XA_ROLLBACK:
	case STATEMENT_XA_OTHER:
	case STATEMENT_DDL_OTHER:
	case STATEMENT_OTHER:
		return 0;
	}
	return 0;
}

int group_statement(struct group *g, const struct event_query *query, struct err *e)
{
	struct statement s = STATEMENT_INIT;
	int rc;

	if (query->error_code != 0 && query->text.size == 0)
		return 0;
	if (statement_read(query->text, query->db, &s, e) < 0)
		return err_wrap(e, "transaction %s", g->info.gtid_text);
	rc = judge(g, &s, e);
	statement_done(&s);
	return rc;
}
