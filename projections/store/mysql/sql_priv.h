/* sql_priv.h - between the files that read a view's SQL: words of a statement. */
#ifndef PROJECTIONS_STORE_MYSQL_SQL_PRIV_H
#define PROJECTIONS_STORE_MYSQL_SQL_PRIV_H

#include "projections/store/mysql/sql.h"

enum mydb_token_kind { TOKEN_WORD, TOKEN_NAME, TOKEN_STRING, TOKEN_PARAMETER, TOKEN_SIGN };

struct mydb_token {
	enum mydb_token_kind kind;
	size_t at, size; /* in the statement's text; of a NAME without its backticks */
	int line;
	int depth; /* of parentheses around it; of the two signs themselves: the outer one */
	size_t parameter;
};

struct mydb_tokens {
	struct mydb_token *items;
	size_t count;
	const struct mydb_sql *sql;
};

/* The word (in any case), never a quoted name. */
bool mydb_token_is(const struct mydb_tokens *t, size_t i, const char *word);
bool mydb_token_sign(const struct mydb_tokens *t, size_t i, char sign);
bool mydb_token_name(const struct mydb_tokens *t, size_t i);  /* a word or a quoted name */
char *mydb_token_text(const struct mydb_tokens *t, size_t i); /* malloced */

/* The tokens [from, to) between commas at `place` of the list whose sign ( is at `open`; false: it
 * has fewer. */
bool mydb_token_item(const struct mydb_tokens *t, size_t open, size_t place, size_t *ret_from,
		     size_t *ret_to);

/* What is not allowed in a view; sets s->table. */
int mydb_sql_check(enum mydb_sql_use use, const char *origin, struct mydb_sql *s,
		   const struct mydb_tokens *t, struct err *e);
/* Sets what says that rows can be added to it. */
void mydb_sql_find_merge(struct mydb_sql *s, const struct mydb_tokens *t);
/* Of such a one: sets s->rows. columns and tuple: where their ( stands, columns 0: none are named;
 * behind: where the tuple has ended. */
void mydb_sql_find_rows(struct mydb_sql *s, const struct mydb_tokens *t, size_t columns,
			size_t tuple, size_t behind);
void mydb_rows_free(struct mydb_rows *r); /* NULL is fine */

#endif
