/* view_check.c - the SQL of a view, tried on an empty SQLite database in memory: the tables are
 * made, their columns and keys learned, and every statement of every handler is prepared. So a
 * mistyped column is found when the view is read, with file and line, and not when the first record
 * of that type arrives.
 *
 * Parameters are checked later, against the schema of a record (handlers.c): no schema is known
 * here. */
#include "projections/apply/target.h"
#include "projections/apply/view_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>

static bool has_column(const struct view_table *t, const char *name)
{
	for (size_t i = 0; i < t->column_count; i++) {
		if (strcmp(t->columns[i], name) == 0)
			return true;
	}
	return false;
}

/* Columns in their order; where view.conf gives no key, the primary key. */
static int learn_columns(struct sql_db *db, struct view_table *t, struct err *e)
{
	struct value name = { .kind = VALUE_TEXT, .bytes = slice_str(t->name) };
	struct sql_statement *s;
	int rc;

	if (sql_prepare(
		    db, "tables.sql",
		    "SELECT name, 0, type FROM pragma_table_info(?1) UNION ALL SELECT * FROM "
		    "(SELECT name, pk, type FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk)",
		    NULL, &s, e) < 0)
		return -1;
	rc = sql_bind(s, 1, &name, e);
	while (rc == 0 && (rc = sql_step(s, e)) == 1) {
		struct value column, key, type;
		char *text, *type_text;

		rc = 0;
		sql_column(s, 0, &column);
		sql_column(s, 1, &key);
		sql_column(s, 2, &type);
		text = xstrndup((const char *)column.bytes.data, column.bytes.size);
		type_text = xstrndup((const char *)type.bytes.data, type.bytes.size);
		if (key.i == 0)
			view_learn_column(t, text, type_text);
		else
			view_learn_key(t, text);
		free(type_text);
		free(text);
	}
	sql_finalize(s);
	return rc;
}

static int learn_tables(struct sql_db *db, struct view *v, struct err *e)
{
	struct sql_statement *s;
	int rc;

	if (sql_prepare(db, "tables.sql",
			"SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE "
			"'sqlite\\_%' ESCAPE '\\' ORDER BY rowid",
			NULL, &s, e) < 0)
		return -1;
	while ((rc = sql_step(s, e)) == 1) {
		struct value name;
		char *text;

		sql_column(s, 0, &name);
		text = xstrndup((const char *)name.bytes.data, name.bytes.size);
		rc = learn_columns(db, view_learn_table(v, text), e);
		free(text);
		if (rc < 0)
			break;
	}
	sql_finalize(s);
	return rc;
}

void view_check_keys(struct view *v, struct view_mistakes *m)
{
	size_t made = 0;

	for (size_t i = 0; i < v->table_count; i++) {
		const struct view_table *t = &v->tables[i];

		if (t->column_count == 0) {
			view_mistake(m, "view.conf", t->key_line,
				     "Keys are of tables that tables.sql creates.",
				     "no table %s in the view", t->name);
			continue;
		}
		made++;
		if (t->key_count == 0)
			view_mistake(m, "view.conf", 0,
				     "Give it a PRIMARY KEY, or write key.TABLE = COLUMN, COLUMN",
				     "table %s has no key: its rows can't be compared", t->name);
		for (size_t k = 0; k < t->key_count; k++) {
			if (!has_column(t, t->key[k]))
				view_mistake(m, "view.conf", t->key_line, NULL,
					     "table %s has no column %s", t->name, t->key[k]);
		}
	}
	if (made == 0)
		view_mistake(m, "tables.sql", 0, "Add a CREATE TABLE.", "makes no table");
}

static void check_handler(struct target *target, const struct view_handler *h,
			  struct view_mistakes *m)
{
	const char *at = h->file->text;
	size_t statements = 0;

	for (;;) {
		struct target_statement *s = NULL;
		struct err e = ERR_INIT;
		int nameless = 0;

		if (target->ops->prepare(target, h->file->name, h->file->text, at, &at, &s, &e) <
		    0) {
			view_mistake_err(m, &e);
			return;
		}
		if (s == NULL)
			break;
		statements++;
		for (int i = 1; i <= target->ops->parameter_count(s); i++)
			nameless += target->ops->parameter_name(s, i) == NULL;
		target->ops->finalize(s);
		if (nameless > 0)
			view_mistake(m, h->file->name, 0, "Name each: :group_id",
				     "a parameter without a name");
	}
	if (statements == 0)
		view_mistake(m, h->file->name, 0, "Delete the file if the event changes nothing.",
			     "holds no statement");
}

static int run_guarded(struct sql_db *db, const char *text, struct err *e)
{
	int rc;

	sql_guard(db, true);
	rc = sql_script(db, "tables.sql", text, e);
	sql_guard(db, false);
	return rc;
}

void view_check_handlers(struct view *v, struct target *target, struct view_mistakes *m)
{
	for (size_t i = 0; i < v->handler_count; i++)
		check_handler(target, &v->handlers[i], m);
}

bool view_check(struct view *v, struct view_mistakes *m)
{
	struct target_sqlite target;
	struct err e = ERR_INIT;
	struct sql_db *db;

	if (sql_open_db(NULL, SQL_OPEN_MEMORY, &db, &e) < 0) {
		view_mistake_err(m, &e);
		return false;
	}
	/* without tables every handler would fail too, and hide the one mistake that matters */
	if (run_guarded(db, v->create_sql, &e) < 0 || learn_tables(db, v, &e) < 0) {
		view_mistake_err(m, &e);
		sql_close(db);
		return false;
	}
	target_sqlite_init(&target, db);
	view_hide_mirrors(v);
	view_check_keys(v, m);
	view_check_handlers(v, &target.target, m);
	if (run_guarded(db, v->after_build_sql, &e) < 0)
		view_mistake_err(m, &e);
	sql_close(db);
	return true;
}
