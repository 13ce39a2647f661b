/* statement.c - kind and tables of a statement.
 *
 * The first words decide the kind; then one pass over the tokens collects names. A name is expected
 * behind the words that can stand before a table (TABLE, FROM, JOIN, INTO, UPDATE, ON of an index,
 * LIKE, REFERENCES, RENAME ... TO) and, in lists, behind commas. Where SQL is ambiguous for a
 * tokenizer (TRIM(x FROM y), a comma inside an ON condition) the name is taken: a caller that stops
 * at a captured table then asks a person once too often, never once too seldom.
 *
 * Which names may be changed: the first one (CREATE, ALTER, INSERT), all of them (DROP, RENAME,
 * TRUNCATE, DELETE), those before SET (UPDATE). Function calls inside a statement may change any
 * table: nothing in the text says so. */
#include "cdc/binlog/statement_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <strings.h>

enum targets { TARGETS_NONE, TARGETS_FIRST, TARGETS_ALL, TARGETS_BEFORE_SET };

/* ---- which kind ---- */

static enum statement_kind kind_of_rollback(struct tokens *t, struct slice *ret_name)
{
	(void)token_take(t, "WORK");
	if (!token_take(t, "TO"))
		return STATEMENT_ROLLBACK;
	(void)token_take(t, "SAVEPOINT");
	*ret_name = token_next(t).text;
	return STATEMENT_ROLLBACK_TO;
}

static enum statement_kind kind_of_xa(struct tokens *t)
{
	if (token_take(t, "START") || token_take(t, "BEGIN"))
		return STATEMENT_BEGIN;
	if (token_take(t, "COMMIT"))
		return STATEMENT_XA_COMMIT;
	if (token_take(t, "ROLLBACK"))
		return STATEMENT_XA_ROLLBACK;
	return STATEMENT_XA_OTHER;
}

/* The kinds that shape a group; OTHER for the rest. */
static enum statement_kind kind_of_group(struct tokens *t, struct slice *ret_name)
{
	if (token_take(t, "BEGIN"))
		return token_take(t, "NOT") ? STATEMENT_OTHER : STATEMENT_BEGIN;
	if (token_take(t, "COMMIT"))
		return STATEMENT_COMMIT;
	if (token_take(t, "ROLLBACK"))
		return kind_of_rollback(t, ret_name);
	if (token_take(t, "SAVEPOINT")) {
		*ret_name = token_next(t).text;
		return STATEMENT_SAVEPOINT;
	}
	if (token_take(t, "RELEASE")) {
		(void)token_take(t, "SAVEPOINT");
		*ret_name = token_next(t).text;
		return STATEMENT_RELEASE;
	}
	if (token_take(t, "START"))
		return token_take(t, "TRANSACTION") ? STATEMENT_BEGIN : STATEMENT_OTHER;
	if (token_take(t, "XA"))
		return kind_of_xa(t);
	return STATEMENT_OTHER;
}

/* Steps over words that may stand between CREATE, ALTER or DROP and the kind of object. DEFINER and
 * ALGORITHM lead to views and routines only, so stopping there is right. */
static void skip_modifiers(struct tokens *t, struct statement *s)
{
	for (;;) {
		if (token_take(t, "OR")) {
			s->or_replace = token_take(t, "REPLACE") || s->or_replace;
			continue;
		}
		if (token_take(t, "TEMPORARY")) {
			s->temporary = true;
			continue;
		}
		if (token_take(t, "IGNORE")) {
			s->ignore = true;
			continue;
		}
		if (!token_take(t, "ONLINE") && !token_take(t, "OFFLINE") &&
		    !token_take(t, "UNIQUE") && !token_take(t, "FULLTEXT") &&
		    !token_take(t, "SPATIAL"))
			return;
	}
}

static enum statement_kind kind_of_object(struct tokens *t, struct statement *s,
					  enum statement_kind if_table)
{
	struct token what;

	skip_modifiers(t, s);
	what = token_peek(t);
	if (token_is(what, "TABLE") || token_is(what, "TABLES"))
		return if_table;
	if (token_is(what, "INDEX"))
		return STATEMENT_ALTER_TABLE;
	if (if_table == STATEMENT_DROP_TABLE &&
	    (token_is(what, "DATABASE") || token_is(what, "SCHEMA")))
		return STATEMENT_DROP_DATABASE;
	return STATEMENT_DDL_OTHER;
}

static bool take_any(struct tokens *t, const char *const *words)
{
	for (; *words != NULL; words++)
		if (token_take(t, *words))
			return true;
	return false;
}

/* SET STATEMENT variable = value, ... FOR statement */
static void skip_set_statement(struct tokens *t)
{
	struct tokens ahead = *t;
	struct token token;

	if (!token_take(&ahead, "SET") || !token_take(&ahead, "STATEMENT"))
		return;
	do
		token = token_next(&ahead);
	while (token.kind != TOKEN_END && !token_is(token, "FOR"));
	if (token.kind != TOKEN_END)
		*t = ahead;
}

/* Statements that change no row, whatever they name. */
static bool is_harmless(struct tokens *t)
{
	static const char *const words[] = {
		"SET",    "FLUSH",  "ANALYZE", "CHECK",   "CHECKSUM",   "LOCK",
		"UNLOCK", "SHOW",   "USE",     "EXPLAIN",  "KILL",    "RESET",      "PURGE",
		"CACHE",  "BACKUP", "DESC",    "DESCRIBE", "PREPARE", "DEALLOCATE", "SHUTDOWN",
		"CHANGE", "START",  "STOP",    "SIGNAL",   "HELP",    NULL
	};

	return token_peek(t).kind == TOKEN_END || take_any(t, words);
}

static enum statement_kind kind_of(struct tokens *t, struct statement *s, struct slice *ret_name)
{
	static const char *const dml[] = { "INSERT", "REPLACE", "UPDATE", "DELETE", "LOAD", "WITH",
					   "SELECT", "DO",      "CALL",   "VALUES", NULL };
	static const char *const accounts[] = { "GRANT", "REVOKE", "INSTALL", "UNINSTALL", NULL };
	struct tokens start;
	enum statement_kind kind;

	skip_set_statement(t);
	start = *t;
	kind = kind_of_group(t, ret_name);
	if (kind != STATEMENT_OTHER)
		return kind;
	*t = start;
	while (token_is_mark(token_peek(t), '('))
		(void)token_next(t);
	if (token_take(t, "CREATE"))
		return kind_of_object(t, s, STATEMENT_CREATE_TABLE);
	if (token_take(t, "ALTER"))
		return kind_of_object(t, s, STATEMENT_ALTER_TABLE);
	if (token_take(t, "DROP"))
		return kind_of_object(t, s, STATEMENT_DROP_TABLE);
	if (token_take(t, "RENAME"))
		return kind_of_object(t, s, STATEMENT_RENAME_TABLE);
	if (token_take(t, "TRUNCATE"))
		return STATEMENT_TRUNCATE;
	if (token_take(t, "REPAIR")) {
		s->ignore = true; /* rows that can't be read are dropped */
		return STATEMENT_ALTER_TABLE;
	}
	if (token_take(t, "OPTIMIZE"))
		return STATEMENT_OPTIMIZE;
	if (take_any(t, accounts))
		return STATEMENT_DDL_OTHER;
	start = *t;
	if (take_any(t, dml)) {
		*t = start; /* the verb decides how names are collected */
		return STATEMENT_DML;
	}
	s->unreadable = !is_harmless(t);
	return STATEMENT_OTHER;
}

/* ---- which tables ---- */

struct collector {
	struct tokens *t;
	struct statement *s;
	struct slice default_db;
	enum targets targets;
	bool seen_set;            /* UPDATE: what follows is only read */
	bool expect;              /* the next name is a table */
	bool list;                /* and so is one behind a comma */
	bool deletes;             /* DELETE: USING names tables */
	bool indexes;             /* CREATE or DROP INDEX: ON names the table */
	enum statement_role role; /* of the next table */
};

static char *unquoted(struct slice name)
{
	char *out = xstrndup((const char *)name.data, name.size), quote = out[0];
	size_t n = 0;

	if (name.size == 0 || (quote != '`' && quote != '"'))
		return out;
	for (size_t i = 1; i < name.size; i++) {
		if (out[i] == quote) {
			if (i + 1 >= name.size || out[i + 1] != quote)
				break;
			i++;
		}
		out[n++] = out[i];
	}
	out[n] = '\0';
	return out;
}

static bool is_target(const struct collector *c)
{
	switch (c->targets) {
	case TARGETS_NONE:
		return false;
	case TARGETS_FIRST:
		return c->s->table_count == 0;
	case TARGETS_ALL:
		return true;
	case TARGETS_BEFORE_SET:
		return !c->seen_set;
	}
	return true;
}

static int add_table(struct collector *c, struct slice db, struct slice table, bool target,
		     struct err *e)
{
	struct statement *s = c->s;

	if (s->table_count == STATEMENT_TABLES_MAX)
		return err_data(e, "a statement that names more than %d tables",
				STATEMENT_TABLES_MAX);
	if (s->table_count == s->table_capacity) {
		s->table_capacity = s->table_capacity == 0 ? 4 : s->table_capacity * 2;
		s->tables = xrealloc(s->tables, s->table_capacity * sizeof(s->tables[0]));
	}
	s->tables[s->table_count++] =
		(struct statement_table){ unquoted(db), unquoted(table), target, c->role };
	c->role = STATEMENT_NAMED;
	return 0;
}

/* `first` was read: it, or first.second, is a table. `.name` alone means the default database. */
static int take_table(struct collector *c, struct token first, struct err *e)
{
	struct slice db = c->default_db, table = first.text;
	bool target = is_target(c);

	if (token_is_mark(token_peek(c->t), '.')) {
		struct tokens back = *c->t;
		struct token second;

		(void)token_next(c->t);
		second = token_next(c->t);
		if (second.kind == TOKEN_WORD || second.kind == TOKEN_QUOTED) {
			/* DELETE t.* FROM: handled by the mark below; `db`.`table` here */
			db = first.text;
			table = second.text;
		} else if (!token_is_mark(second, '*')) {
			*c->t = back;
		}
	}
	return add_table(c, db, table, target, e);
}

/* Words that may stand between the word that announces a table and its name. */
static bool is_filler(struct token t)
{
	static const char *const words[] = { "IF",           "NOT",           "EXISTS",  "IGNORE",
					     "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK",
					     "INTO",         "TABLE",         "TABLES",  "ONLY",
					     "LATERAL",      "FROM",          NULL };

	for (size_t i = 0; words[i] != NULL; i++)
		if (token_is(t, words[i]))
			return true;
	return false;
}

/* A table goes from the name before to the next one. */
static void renames(struct collector *c)
{
	size_t from = c->s->kind == STATEMENT_RENAME_TABLE ? c->s->table_count - 1 : 0;

	if (c->s->table_count == 0)
		return;
	c->s->tables[from].role = STATEMENT_LEFT;
	c->role = STATEMENT_FILLED;
}

/* Sets what is expected behind keyword `t`. */
static void announce(struct collector *c, struct token t)
{
	enum statement_kind kind = c->s->kind;
	bool many = kind == STATEMENT_DROP_TABLE || kind == STATEMENT_RENAME_TABLE;
	bool verb = kind == STATEMENT_DML &&
		    (token_is(t, "UPDATE") || token_is(t, "DELETE")); /* else ON DELETE ... */

	if (verb || token_is(t, "FROM") || token_is(t, "JOIN") || token_is(t, "STRAIGHT_JOIN") ||
	    (c->deletes && token_is(t, "USING"))) {
		c->expect = c->list = true;
	} else if (token_is(t, "INTO") || token_is(t, "REFERENCES") || token_is(t, "INSERT") ||
		   token_is(t, "REPLACE")) {
		c->expect = true;
		c->list = false;
	} else if (token_is(t, "TABLE") || token_is(t, "TABLES")) {
		c->expect = true;
		c->list = many;
	} else if ((kind == STATEMENT_CREATE_TABLE && token_is(t, "LIKE")) ||
		   (c->indexes && token_is(t, "ON"))) {
		c->expect = true;
	} else if (token_is(t, "TO") && kind == STATEMENT_RENAME_TABLE) {
		c->expect = true;
		c->list = many;
		renames(c);
	} else if (token_is(t, "SET") || token_is(t, "WHERE") || token_is(t, "VALUES") ||
		   token_is(t, "SELECT") || token_is(t, "GROUP") || token_is(t, "ORDER") ||
		   token_is(t, "LIMIT")) {
		c->seen_set = c->seen_set || token_is(t, "SET");
		c->expect = c->list = false;
	} else if (token_is(t, "OUTFILE") || token_is(t, "DUMPFILE")) {
		c->expect = false;
	}
}

static bool is_announcing(struct token t)
{
	return token_is(t, "SELECT") || token_is(t, "SET") || token_is(t, "OUTFILE") ||
	       token_is(t, "DUMPFILE");
}

/* RENAME TO name, RENAME AS name, RENAME = name, RENAME name: of the table itself. */
static bool is_rename(const struct collector *c, struct token word)
{
	struct token next = token_peek(c->t);

	return c->s->kind == STATEMENT_ALTER_TABLE && !c->indexes && token_is(word, "RENAME") &&
	       !token_is(next, "COLUMN") && !token_is(next, "INDEX") && !token_is(next, "KEY");
}

static void expect_new_name(struct collector *c)
{
	struct token next = token_peek(c->t);

	if (token_is(next, "TO") || token_is(next, "AS") || token_is_mark(next, '='))
		(void)token_next(c->t);
	c->expect = true;
	renames(c);
}

static int collect(struct collector *c, struct err *e)
{
	for (;;) {
		struct token t = token_next(c->t);

		if (t.kind == TOKEN_END)
			return 0;
		if (t.kind == TOKEN_MARK) {
			if (t.text.data[0] == ',' && c->list)
				c->expect = true;
			continue;
		}
		if (t.kind == TOKEN_STRING)
			continue;
		if (c->s->kind == STATEMENT_CREATE_TABLE && token_is(t, "SELECT"))
			c->s->as_select = true;
		if (!c->expect && is_rename(c, t)) {
			expect_new_name(c);
			continue;
		}
		if (c->expect && is_filler(t)) {
			if (c->s->kind == STATEMENT_CREATE_TABLE && token_is(t, "EXISTS"))
				c->s->if_not_exists = true;
			continue;
		}
		if (c->expect && !is_announcing(t)) {
			c->expect = false;
			if (take_table(c, t, e) < 0)
				return -1;
			continue;
		}
		if (t.kind == TOKEN_WORD)
			announce(c, t);
	}
}

/* Every name, as a table of the default database and, with a dot, of another one. */
static int collect_names(struct collector *c, struct err *e)
{
	for (;;) {
		struct token t = token_next(c->t);

		if (t.kind == TOKEN_END)
			return 0;
		if (t.kind != TOKEN_WORD && t.kind != TOKEN_QUOTED)
			continue;
		if (c->s->table_count == STATEMENT_TABLES_MAX) {
			c->s->any_table = true;
			return 0;
		}
		if (take_table(c, t, e) < 0)
			return -1;
	}
}

/* DROP DATABASE [IF EXISTS] name */
static int collect_database(struct collector *c, struct err *e)
{
	struct token name;

	(void)token_next(c->t);
	do
		name = token_next(c->t);
	while (is_filler(name));
	if (name.kind == TOKEN_END)
		return 0;
	return add_table(c, name.text, slice_of("", 0), true, e);
}

static enum targets dml_targets(struct tokens t)
{
	struct token verb = token_next(&t);

	if (token_is(verb, "INSERT") || token_is(verb, "REPLACE") || token_is(verb, "LOAD"))
		return TARGETS_FIRST;
	if (token_is(verb, "UPDATE"))
		return TARGETS_BEFORE_SET;
	if (token_is(verb, "DELETE") || token_is(verb, "WITH"))
		return TARGETS_ALL;
	return TARGETS_NONE;
}

static int collect_tables(struct collector *c, struct err *e)
{
	switch (c->s->kind) {
	case STATEMENT_DROP_DATABASE:
		return collect_database(c, e);
	case STATEMENT_CREATE_TABLE:
		c->targets = TARGETS_FIRST;
		return collect(c, e);
	case STATEMENT_ALTER_TABLE:
		c->indexes = token_is(token_peek(c->t), "INDEX");
		c->targets = TARGETS_ALL;
		c->s->rewrites = statement_alter(*c->t, c->s->ignore);
		return collect(c, e);
	case STATEMENT_TRUNCATE:
		c->expect = true;
		c->targets = TARGETS_ALL;
		return collect(c, e);
	case STATEMENT_DROP_TABLE:
	case STATEMENT_RENAME_TABLE:
		c->targets = TARGETS_ALL;
		return collect(c, e);
	case STATEMENT_OPTIMIZE:
		c->targets = TARGETS_ALL;
		return collect_names(c, e);
	case STATEMENT_DML:
		c->targets = dml_targets(*c->t);
		c->deletes = token_is(token_peek(c->t), "DELETE");
		c->s->any_table = statement_calls(*c->t);
		return collect(c, e);
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
		break;
	case STATEMENT_OTHER:
		c->targets = TARGETS_ALL;
		return c->s->unreadable ? collect_names(c, e) : 0;
	}
	return 0;
}

/* ---- the three entries ---- */

enum statement_kind statement_peek(struct slice text, struct slice *ret_name)
{
	struct tokens t = tokens_of(text);

	*ret_name = slice_of("", 0);
	return kind_of_group(&t, ret_name);
}

int statement_read(struct slice text, struct slice default_db, struct statement *ret_statement,
		   struct err *e)
{
	struct tokens t = tokens_of(text);
	struct statement s = STATEMENT_INIT;
	struct slice name = slice_of("", 0);
	struct collector c = { .t = &t, .s = &s, .default_db = default_db };

	s.kind = kind_of(&t, &s, &name);
	if (name.size > 0)
		s.name = unquoted(name);
	if (collect_tables(&c, e) < 0) {
		statement_done(&s);
		return -1;
	}
	*ret_statement = s;
	return 0;
}

bool statement_same_name(struct slice a, struct slice b)
{
	char *x = unquoted(a), *y = unquoted(b);
	bool same = strcasecmp(x, y) == 0;

	free(x);
	free(y);
	return same;
}

void statement_done(struct statement *s)
{
	for (size_t i = 0; i < s->table_count; i++) {
		free(s->tables[i].db);
		free(s->tables[i].table);
	}
	free(s->tables);
	free(s->name);
	*s = (struct statement)STATEMENT_INIT;
}

const char *statement_kind_name(enum statement_kind kind)
{
	static const char *const names[] = {
		[STATEMENT_BEGIN] = "BEGIN",
		[STATEMENT_COMMIT] = "COMMIT",
		[STATEMENT_ROLLBACK] = "ROLLBACK",
		[STATEMENT_SAVEPOINT] = "SAVEPOINT",
		[STATEMENT_ROLLBACK_TO] = "ROLLBACK TO SAVEPOINT",
		[STATEMENT_RELEASE] = "RELEASE SAVEPOINT",
		[STATEMENT_XA_COMMIT] = "XA COMMIT",
		[STATEMENT_XA_ROLLBACK] = "XA ROLLBACK",
		[STATEMENT_XA_OTHER] = "XA",
		[STATEMENT_CREATE_TABLE] = "CREATE TABLE",
		[STATEMENT_ALTER_TABLE] = "ALTER TABLE",
		[STATEMENT_DROP_TABLE] = "DROP TABLE",
		[STATEMENT_RENAME_TABLE] = "RENAME TABLE",
		[STATEMENT_TRUNCATE] = "TRUNCATE TABLE",
		[STATEMENT_OPTIMIZE] = "OPTIMIZE TABLE",
		[STATEMENT_DROP_DATABASE] = "DROP DATABASE",
		[STATEMENT_DDL_OTHER] = "DDL",
		[STATEMENT_DML] = "DML",
		[STATEMENT_OTHER] = "OTHER",
	};

	return names[kind];
}
