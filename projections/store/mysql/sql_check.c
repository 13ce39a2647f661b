/* sql_check.c - what a view's statements may not do, found by their words.
 *
 * A handler changes rows, and nothing else: DDL would commit half of a source transaction, USE and
 * SET would change the session under the store's feet. Names of tables are looked at where a table
 * is meant: behind INTO, UPDATE, FROM, JOIN and the like; "other.t" there is another database.
 * Behind a comma of such a list, too. FROM inside EXTRACT() and its kind means something else.
 *
 * The rights of the store's account are the second fence: they need not reach beyond the view's
 * own databases. */
#include "projections/store/mysql/sql_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <strings.h>

#define DEPTH_MAX 200
#define OWN_PREFIX "millrace_"

static const char not_here[] =
	"A handler changes rows of the view's tables: INSERT, REPLACE, UPDATE, DELETE. It may not "
	"control transactions, make tables, set anything, or use tables named " OWN_PREFIX "*.";
static const char not_in_tables[] =
	"tables.sql makes tables and indexes: CREATE TABLE, CREATE INDEX, ALTER TABLE; it may fill "
	"them, too. It may not use tables named " OWN_PREFIX "*.";

static int refuse(const char *origin, const struct mydb_token *at, const char *hint,
		  const char *what, struct err *e)
{
	err_config(e, "%s:%d: %s", origin, at->line, what);
	return hint != NULL ? err_hint(e, "%s", hint) : -1;
}

static bool is_one_of(const struct mydb_tokens *t, size_t i, const char *const *words)
{
	for (; *words != NULL; words++)
		if (mydb_token_is(t, i, *words))
			return true;
	return false;
}

/* ---- the first words ------------------------------------------------------------------------- */

static int check_handler(const char *origin, const struct mydb_tokens *t, struct err *e)
{
	static const char *const changes[] = { "INSERT", "REPLACE", "UPDATE", "DELETE", NULL };
	static const char *const reads[] = { "SELECT", "VALUES", "TABLE", "SHOW", "DO", NULL };
	bool changing = is_one_of(t, 0, changes);

	for (size_t i = 1; i < t->count && mydb_token_is(t, 0, "WITH"); i++)
		changing |= t->items[i].depth == 0 && is_one_of(t, i, changes);
	if (changing)
		return 0;
	if (is_one_of(t, 0, reads) || mydb_token_is(t, 0, "WITH"))
		return refuse(origin, &t->items[0],
			      "A handler changes rows: INSERT, UPDATE or DELETE.",
			      "a statement only reads", e);
	return refuse(origin, &t->items[0], not_here, "not allowed here", e);
}

static int check_tables(const char *origin, const struct mydb_tokens *t, struct err *e)
{
	static const char *const fills[] = { "INSERT", "REPLACE", "UPDATE", "DELETE", NULL };
	static const char *const kinds[] = { "UNIQUE", "FULLTEXT", "SPATIAL", NULL };
	bool create = mydb_token_is(t, 0, "CREATE");
	size_t second = create && is_one_of(t, 1, kinds) ? 2 : 1;

	if (is_one_of(t, 0, fills))
		return 0;
	if (create && (mydb_token_is(t, 1, "TABLE") || mydb_token_is(t, second, "INDEX")))
		return 0;
	if ((mydb_token_is(t, 0, "ALTER") || mydb_token_is(t, 0, "ANALYZE")) &&
	    mydb_token_is(t, 1, "TABLE"))
		return 0;
	return refuse(origin, &t->items[0], not_in_tables, "not allowed here", e);
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_own(const struct mydb_tokens *t, size_t i)
{
	const struct mydb_token *token = &t->items[i];

	return mydb_token_name(t, i) && token->size >= sizeof(OWN_PREFIX) - 1 &&
	       strncasecmp((const char *)t->sql->text.data + token->at, OWN_PREFIX,
			   sizeof(OWN_PREFIX) - 1) == 0;
}

struct look {
	enum mydb_sql_use use;
	bool expect; /* the next name is a table */
	bool list;   /* and so is one behind a comma */
	int list_depth;
	bool odd[DEPTH_MAX]; /* inside a function that has a FROM of its own */
	size_t tables;
	bool reads_more; /* SELECT, JOIN: more than the one table */
};

static bool table_follows(const struct look *l, const struct mydb_tokens *t, size_t i)
{
	static const char *const always[] = { "INTO",  "JOIN",       "STRAIGHT_JOIN",
					      "TABLE", "REFERENCES", NULL };
	static const char *const first[] = { "INSERT", "REPLACE", "DELETE", NULL };
	static const char *const in_tables[] = { "ON", "LIKE", "TO", "RENAME", NULL };
	int depth = t->items[i].depth;

	if (is_one_of(t, i, always) || (i == 0 && is_one_of(t, i, first)))
		return true;
	if (mydb_token_is(t, i, "UPDATE")) /* not of ON DUPLICATE KEY UPDATE, FOR UPDATE */
		return i == 0 ||
		       (!mydb_token_is(t, i - 1, "KEY") && !mydb_token_is(t, i - 1, "FOR") &&
			!mydb_token_is(t, i - 1, "ON"));
	if (mydb_token_is(t, i, "FROM"))
		return depth >= DEPTH_MAX || !l->odd[depth];
	if (mydb_token_is(t, i, "USING"))
		return !mydb_token_sign(t, i + 1, '(');
	/* CREATE INDEX i ON t, CREATE TABLE a LIKE b; behind a SELECT they join and compare */
	return l->use == MYDB_SQL_TABLES && !l->reads_more && is_one_of(t, i, in_tables);
}

static bool begins_list(const struct mydb_tokens *t, size_t i)
{
	static const char *const words[] = { "FROM",  "UPDATE", "JOIN", "STRAIGHT_JOIN",
					     "USING", "DELETE", NULL };

	return is_one_of(t, i, words);
}

static bool ends_list(const struct mydb_tokens *t, size_t i)
{
	static const char *const words[] = { "SET",    "WHERE",  "VALUES", "VALUE",
					     "GROUP",  "ORDER",  "LIMIT",  "HAVING",
					     "SELECT", "WINDOW", NULL };

	return is_one_of(t, i, words);
}

static bool is_modifier(const struct mydb_tokens *t, size_t i)
{
	static const char *const words[] = { "IGNORE",  "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED",
					     "QUICK",   "IF",           "NOT",           "EXISTS",
					     "LATERAL", "INTO",         "FROM",          "DELETE",
					     NULL };

	return is_one_of(t, i, words);
}

static void note_parenthesis(struct look *l, const struct mydb_tokens *t, size_t i)
{
	static const char *const odd[] = { "EXTRACT", "TRIM", "SUBSTRING", "SUBSTR", "MID", NULL };
	int inside = t->items[i].depth + 1;

	if (inside < DEPTH_MAX)
		l->odd[inside] = i > 0 && is_one_of(t, i - 1, odd);
}

static int check_name(struct look *l, const char *origin, struct mydb_sql *s,
		      const struct mydb_tokens *t, size_t i, struct err *e)
{
	l->expect = false;
	if (mydb_token_sign(t, i + 1, '.') && mydb_token_name(t, i + 2) &&
	    !(l->use == MYDB_SQL_HANDLER && mydb_token_is(t, 0, "DELETE") && i == 1))
		return refuse(origin, &t->items[i],
			      "Name tables plainly: which version they are of is the connection's "
			      "business.",
			      "names a database", e);
	l->tables++;
	free(s->table);
	s->table = mydb_token_text(t, i);
	return 0;
}

static int look_at(struct look *l, const char *origin, struct mydb_sql *s,
		   const struct mydb_tokens *t, size_t i, struct err *e)
{
	static const char *const more[] = { "SELECT", "JOIN", "STRAIGHT_JOIN", "WITH", NULL };
	static const char *const locks[] = { "GET_LOCK", "RELEASE_LOCK", "RELEASE_ALL_LOCKS",
					     "OUTFILE",  "DUMPFILE",     NULL };
	const struct mydb_token *token = &t->items[i];

	if (is_own(t, i) || (l->use == MYDB_SQL_HANDLER && is_one_of(t, i, locks)))
		return refuse(origin, token, l->use == MYDB_SQL_HANDLER ? not_here : not_in_tables,
			      "not allowed here", e);
	l->reads_more |= is_one_of(t, i, more);
	if (mydb_token_sign(t, i, '('))
		note_parenthesis(l, t, i);
	if (l->expect && mydb_token_sign(t, i, '(')) /* FROM (a, b) */
		l->list_depth = token->depth + 1;
	if (l->list && mydb_token_sign(t, i, ',') && token->depth == l->list_depth)
		l->expect = true;
	if (ends_list(t, i))
		l->expect = l->list = false;
	if (table_follows(l, t, i)) {
		l->expect = true;
		l->list = begins_list(t, i);
		l->list_depth = token->depth;
		return 0;
	}
	if (l->expect && mydb_token_name(t, i) && !is_modifier(t, i))
		return check_name(l, origin, s, t, i, e);
	return 0;
}

int mydb_sql_check(enum mydb_sql_use use, const char *origin, struct mydb_sql *s,
		   const struct mydb_tokens *t, struct err *e)
{
	struct look l = { .use = use };

	if ((use == MYDB_SQL_HANDLER ? check_handler : check_tables)(origin, t, e) < 0)
		return -1;
	for (size_t i = 0; i < t->count; i++)
		if (look_at(&l, origin, s, t, i, e) < 0)
			return -1;
	if (l.tables != 1 || l.reads_more) {
		free(s->table);
		s->table = NULL;
	}
	return 0;
}
