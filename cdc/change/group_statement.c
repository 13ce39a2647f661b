/* group_statement.c - statements in the binlog that concern captured tables.
 *
 * With binlog_format=ROW every row change comes as a row event, except those that a statement makes
 * as a whole. What it does becomes an effect of the group:
 *
 *   empties    TRUNCATE, DROP TABLE, DROP DATABASE, CREATE OR REPLACE; RENAME away from a name that
 *              the same statement doesn't fill again
 *   rewrites   ALTER that may change rows (cdc/binlog/statement_alter.c); RENAME that brings
 * another table to a captured name, as online schema change tools do; DML written as text; what
 *              names a captured table and can't be read
 *   creates    CREATE TABLE
 *   keeps      ALTER otherwise; OPTIMIZE; CREATE TABLE IF NOT EXISTS; RENAME and back
 *
 * Temporary tables don't count, as far as the binlog tells them: a statement with the flag that it
 * depends on its session may mean one, so it never empties the table that has its name. RENAME of a
 * temporary table isn't flagged (seen on 10.11): such an effect is `unsure`. */
#include "cdc/change/group_priv.h"

#include "cdc/binlog/statement.h"
#include "cdc/change/shaping.h"
#include "core/base/mem.h"

#include <stdlib.h>

#define FLAG_THREAD_SPECIFIC 0x04 /* the statement used a temporary table, or may have */

struct judging {
	struct group *group;
	const struct statement *s;
	bool thread_specific;
};

void group_effects_reset(struct group *g)
{
	for (size_t i = 0; i < g->info.effect_count; i++) {
		free((char *)(uintptr_t)g->effects[i].effect.db);
		free((char *)(uintptr_t)g->effects[i].effect.table);
	}
	g->info.effect_count = 0;
}

static struct group_effect *add_effect(struct group *g, enum group_effect_kind kind, const char *db,
				       const char *table, const char *why)
{
	struct group_statement_effect *new;

	if (g->info.effect_count == g->effect_capacity) {
		g->effect_capacity = g->effect_capacity * 2 + 4;
		g->effects = xrealloc(g->effects, g->effect_capacity * sizeof(*g->effects));
	}
	new = &g->effects[g->info.effect_count++];
	*new = (struct group_statement_effect){
		.effect = { .kind = kind, .db = xstrdup(db), .table = xstrdup(table), .why = why },
		.number = g->numbers,
	};
	return &new->effect;
}

/* Many statements of one transaction do the same to the same table: once is enough, as long as no
 * other effect came between. */
static void rewrites(struct group *g, const char *db, const char *table, const char *why)
{
	if (g->info.effect_count > 0) {
		const struct group_effect *last = &g->effects[g->info.effect_count - 1].effect;

		if (last->kind == GROUP_REWRITES && strcmp(last->db, db) == 0 &&
		    strcmp(last->table, table) == 0)
			return;
	}
	(void)add_effect(g, GROUP_REWRITES, db, table, why);
}

void group_unknown_rows(struct group *g, const char *db, const char *table)
{
	if (g->pass != GROUP_AGAIN)
		rewrites(g, db, table, "rows whose columns can't be known (catalog mode)");
}

static bool captured(const struct group *g, const struct statement_table *t)
{
	return t->target && catalog_captures(g->catalog, slice_str(t->db), slice_str(t->table));
}

static void all_captured(const struct judging *j, enum group_effect_kind kind, const char *why)
{
	for (size_t i = 0; i < j->s->table_count; i++) {
		const struct statement_table *t = &j->s->tables[i];

		if (!captured(j->group, t))
			continue;
		if (kind == GROUP_REWRITES)
			rewrites(j->group, t->db, t->table, why);
		else
			(void)add_effect(j->group, kind, t->db, t->table, why);
	}
}

/* ---- RENAME --------------------------------------------------------------------------------- */

static bool same_table(const struct statement_table *a, const struct statement_table *b)
{
	return strcmp(a->db, b->db) == 0 && strcmp(a->table, b->table) == 0;
}

/* Which name of before the statement has its table under name `t` after it; NULL: none. The renames
 * happen from left to right, so the way back goes from right to left. */
static const struct statement_table *origin(const struct statement *s,
					    const struct statement_table *t)
{
	for (size_t i = s->table_count; i >= 2; i--) {
		const struct statement_table *filled = &s->tables[i - 1], *left = &s->tables[i - 2];

		if (filled->role != STATEMENT_FILLED || left->role != STATEMENT_LEFT)
			continue;
		if (same_table(t, filled))
			t = left;
		else if (same_table(t, left))
			return NULL;
	}
	return t;
}

static bool named_before(const struct statement *s, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (same_table(&s->tables[k], &s->tables[i]))
			return true;
	return false;
}

static void judge_rename(const struct judging *j)
{
	for (size_t i = 0; i < j->s->table_count; i++) {
		const struct statement_table *t = &j->s->tables[i], *from;

		if (!captured(j->group, t) || named_before(j->s, i))
			continue;
		from = origin(j->s, t);
		if (from == NULL)
			add_effect(j->group, GROUP_EMPTIES, t->db, t->table, "RENAME away")
				->unsure = true;
		else if (!same_table(from, t))
			rewrites(j->group, t->db, t->table, "RENAME of another table");
		else
			(void)add_effect(j->group, GROUP_KEEPS, t->db, t->table, "RENAME and back");
	}
}

/* ---- which statement ------------------------------------------------------------------------ */

/* The new name, or NULL. */
static const struct statement_table *filled_by(const struct statement *s)
{
	for (size_t i = 0; i < s->table_count; i++)
		if (s->tables[i].role == STATEMENT_FILLED)
			return &s->tables[i];
	return NULL;
}

static void judge_alter(const struct judging *j)
{
	const struct statement_table *filled = filled_by(j->s);

	if (j->s->rewrites != NULL)
		all_captured(j, GROUP_REWRITES, j->s->rewrites);
	else if (filled == NULL)
		all_captured(j, GROUP_KEEPS, "ALTER TABLE");
	if (filled != NULL) {
		struct statement_table pair[2] = { j->s->tables[0], *filled };
		struct statement two = { .tables = pair, .table_count = 2 };
		struct judging rename = { j->group, &two, j->thread_specific };

		judge_rename(&rename);
	}
}

static void judge_create(const struct judging *j)
{
	const struct statement_table *t = j->s->tables;

	if (j->s->table_count == 0 || !captured(j->group, t))
		return;
	if (j->s->or_replace)
		(void)add_effect(j->group, GROUP_EMPTIES, t->db, t->table,
				 "CREATE OR REPLACE TABLE");
	(void)add_effect(j->group, j->s->if_not_exists ? GROUP_KEEPS : GROUP_CREATES, t->db,
			 t->table, "CREATE TABLE");
	if (j->s->as_select && group_is_alone(j->group))
		rewrites(j->group, t->db, t->table,
			 "CREATE TABLE ... SELECT, written as a statement");
}

static void judge_dml(const struct judging *j)
{
	const char *why = "DML that is written as a statement (binlog_format)";

	if (j->s->any_table || j->s->table_count == 0)
		rewrites(j->group, "", "", why);
	else
		all_captured(j, GROUP_REWRITES, why);
}

static void judge_truncate(const struct judging *j)
{
	all_captured(j, j->thread_specific ? GROUP_REWRITES : GROUP_EMPTIES, "TRUNCATE");
}

static void judge(const struct judging *j)
{
	switch (j->s->kind) {
	case STATEMENT_ALTER_TABLE:
		judge_alter(j);
		return;
	case STATEMENT_CREATE_TABLE:
		judge_create(j);
		return;
	case STATEMENT_DROP_TABLE:
		all_captured(j, GROUP_EMPTIES, "DROP TABLE");
		return;
	case STATEMENT_DROP_DATABASE:
		if (j->s->table_count > 0)
			(void)add_effect(j->group, GROUP_EMPTIES, j->s->tables[0].db, "",
					 "DROP DATABASE");
		return;
	case STATEMENT_RENAME_TABLE:
		judge_rename(j);
		return;
	case STATEMENT_TRUNCATE:
		judge_truncate(j);
		return;
	case STATEMENT_OPTIMIZE:
		all_captured(j, GROUP_KEEPS, "OPTIMIZE TABLE");
		return;
	case STATEMENT_DML:
		judge_dml(j);
		return;
	case STATEMENT_OTHER:
		if (j->s->unreadable && j->s->any_table)
			rewrites(j->group, "", "", "a statement that is not understood");
		else if (j->s->unreadable)
			all_captured(j, GROUP_REWRITES, "a statement that is not understood");
		return;
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
		return;
	}
}

/* A table that the catalog tracks may look different from here on. */
static void shape(void *context, const char *db, const char *table)
{
	struct group *g = context;

	catalog_met(g->catalog, db, table, gtid_file_ordinal(g->file, g->file_position));
	if (table[0] == '\0' || catalog_captures(g->catalog, slice_str(db), slice_str(table)))
		g->info.shapes_changed = true;
}

int group_statement(struct group *g, const struct event *ev, const struct event_query *query,
		    struct err *e)
{
	struct statement s = STATEMENT_INIT;
	struct judging j = { g, &s, (ev->header.flags & FLAG_THREAD_SPECIFIC) != 0 };

	if (query->error_code != 0 && query->text.size == 0)
		return 0;
	if (statement_read(query->text, query->db, &s, e) < 0)
		return err_wrap(e, "transaction %s", g->info.gtid_text);
	if (!s.temporary) {
		judge(&j);
		shaping_each(&s, shape, g);
	}
	statement_done(&s);
	return 0;
}
