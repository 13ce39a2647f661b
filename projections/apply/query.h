/* query.h - views of kind query: one SELECT for each of the view's tables, over mirrored tables.
 *
 *   query.sql        the SELECTs, each after a line "-- table: NAME". A table of the source is
 *                    written as there, DB.TABLE or TABLE, so that the same text verifies the view
 *   keys/TABLE.sql   a SELECT of the view's key (key.NAME of view.conf, in its order) with :column
 *                    of one row of TABLE: which rows of the view that row counts for. keys/
 *                    DB.TABLE.sql is the same. Of a view with several tables one SELECT for each
 *                    that reads TABLE, after lines "-- table: NAME"
 *
 * How it is kept up. Before a mirrored row is changed, its keys are asked, with the row as it is;
 * behind the change again, with the row as it has become. What they answer is gathered in a
 * temporary table of the store, "touched NAME". Before the store transaction ends, the view's rows
 * of those keys are deleted and computed again.
 *
 * A row whose key has a NULL is none of the view's.
 *
 * That is right when this holds: a row of a table counts only for the view's rows that its keys
 * name, in the state in which they are asked. A SELECT for which it can't hold, or whose answer
 * doesn't depend on the tables alone, is refused (query_refuse).
 *
 * keys/TABLE.sql may be left out where it is certain: the SELECT names TABLE once, has no WITH, and
 * its key columns are TABLE's own. SQLite tells where a column comes from; in other stores the file
 * is needed. */
#ifndef PROJECTIONS_APPLY_QUERY_H
#define PROJECTIONS_APPLY_QUERY_H

#include "projections/apply/mirror.h"

struct view_query {
	char *table;  /* of the view */
	char *source; /* as written */
	char *text;   /* the same with the store's names; lines are kept */
	int line;     /* of its first word in query.sql */
	char **key;
	size_t key_count;
	char **types;   /* of the key columns, as declared in the store; SQLite only, else NULL */
	char **keys;    /* per mirror: keys/TABLE.sql, for the store, "" where the key's columns are
			   the table's own; NULL: the table isn't read */
	char **indexes; /* per mirror: columns of an index that this needs, or NULL */
};

void view_query_done(struct view_query *q, size_t mirrors);

/* ---- text (query_text.c) ---- */
enum query_kind { QUERY_SPACE, QUERY_WORD, QUERY_STRING, QUERY_PARAMETER, QUERY_OTHER, QUERY_END };

struct query_token {
	enum query_kind kind;
	const char *start;
	size_t size;
};

/* Words are names, quoted or not, and numbers; comments are space. */
struct query_token query_next(const char **at, const char *end);
/* A word without its quotes, in out (emptied first). */
void query_word(struct query_token t, struct buf *out);
bool query_word_is(struct query_token t, const char *word); /* unquoted, in any case */
/* How often the table is named. */
size_t query_mentions(const char *text, const struct mirror_table *t);
/* The text with DB.TABLE of mirrored tables as the store calls them. Appends. */
void query_rewrite(const struct view *v, const char *text, struct buf *out);
/* Why this SELECT can't be kept up, static text, and where in it; NULL: nothing against it. */
const char *query_refuse(const char *text, const char **ret_at);

/* SELECTs after lines "-- table: NAME"; before the first such line, or without any: table NULL. */
struct query_block {
	char *table;
	char *text; /* without the ';' behind it */
	int line;   /* where the text begins */
};
void query_blocks(const char *text, struct query_block **ret_blocks, size_t *ret_count);
void query_blocks_free(struct query_block *blocks, size_t count);

/* ---- reading (query.c) ---- */
struct view_mistakes;
void query_parse(struct view *v, struct view_mistakes *m); /* query.sql; the mirrors are known */
/* keys/ of one table. s: its SELECT, where it is prepared; else NULL. */
struct sql_statement;
void query_find_keys(struct view *v, struct view_query *q, struct sql_statement *s,
		     struct view_mistakes *m);

/* ---- the view's tables (query_create.c) ---- */
/* keys/, and CREATE TABLE of the view's tables, appended. For SQLite `out` holds those of the
 * mirrored tables already. */
void query_create_sqlite(struct view *v, struct view_mistakes *m, struct buf *out);
void query_create_other(struct view *v, struct view_mistakes *m, struct buf *out);

/* ---- statements; all append ---- */
void query_create_sql(const struct view *v, const struct view_query *q, struct buf *out);
/* All of the table, computed anew. */
void query_fill_sql(const struct view *v, const struct view_query *q, struct buf *out);
/* The same question asked of the source. */
void query_source_sql(const struct view_query *q, struct buf *out);
/* Once for a connection: where touched keys are gathered. */
void query_open_sql(const struct view *v, const struct view_query *q, struct buf *out);
/* Gathers the keys that the mirrored row with a key (:p...) counts for; nothing is appended where
 * the query doesn't read the table. */
void query_touch_sql(const struct view *v, const struct view_query *q, size_t mirror,
		     struct buf *out);
/* Computes the touched keys again, and forgets them. */
void query_settle_sql(const struct view *v, const struct view_query *q, struct buf *out);
/* Must few keys be computed one by one, because the store would compute all of the view to find
 * them together? How many were touched, and the statements for so many: as query_settle_sql. */
#define QUERY_ONE_BY_ONE_MAX 1000 /* more are worth reading everything once */
bool query_one_by_one(const struct view *v, const struct view_query *q);
void query_touched_sql(const struct view *v, const struct view_query *q, struct buf *out);
void query_settle_each_sql(const struct view *v, const struct view_query *q, int64_t touched,
			   struct buf *out);
/* Forgets them only. */
void query_forget_sql(const struct view *v, const struct view_query *q, struct buf *out);
/* One key's rows, with parameters for the key: what `check` asks the store to explain. */
void query_one_key_sql(const struct view *v, const struct view_query *q, struct buf *out);

/* ---- plans (query_plan.c): which tables are read whole for one row that changes. SQLite only; for
 * other stores, and before the view is learned, nothing is said. ---- */
typedef void (*query_slow_fn)(void *context, const char *file, struct slice name);
int query_slow(const struct view *v, query_slow_fn each, void *context, struct err *e);

#endif
