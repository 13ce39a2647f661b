/* sql.c - cuts a script into statements and a statement into words.
 *
 * MySQL manual, "Lexical structure": strings in ' or ", a quote in them doubled or behind a
 * backslash; names in `; comments from "-- " (with a blank behind it), from #, and between the
 * signs of C, where those that the server would execute are refused. */
#include "projections/store/mysql/sql_priv.h"

#include "core/base/mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

struct reader {
	const char *at, *script, *origin;
	int line;
	struct mydb_sql *sql;
	struct mydb_tokens tokens;
	int depth;
};

void mydb_sql_free(struct mydb_sql *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->count; i++)
		free(s->parameters[i].name);
	free(s->parameters);
	free(s->table);
	free(s->suffix);
	mydb_rows_free(s->rows);
	buf_done(&s->text);
	free(s);
}

/* ---- words ----------------------------------------------------------------------------------- */

bool mydb_token_is(const struct mydb_tokens *t, size_t i, const char *word)
{
	const struct mydb_token *token = &t->items[i];

	return i < t->count && token->kind == TOKEN_WORD && token->size == strlen(word) &&
	       strncasecmp((const char *)t->sql->text.data + token->at, word, token->size) == 0;
}

bool mydb_token_sign(const struct mydb_tokens *t, size_t i, char sign)
{
	return i < t->count && t->items[i].kind == TOKEN_SIGN &&
	       (char)t->sql->text.data[t->items[i].at] == sign;
}

bool mydb_token_name(const struct mydb_tokens *t, size_t i)
{
	return i < t->count && (t->items[i].kind == TOKEN_WORD || t->items[i].kind == TOKEN_NAME);
}

char *mydb_token_text(const struct mydb_tokens *t, size_t i)
{
	return xstrndup((const char *)t->sql->text.data + t->items[i].at, t->items[i].size);
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static void step(struct reader *r)
{
	r->line += *r->at == '\n';
	r->at++;
}

static int refuse(const struct reader *r, int line, const char *what, struct err *e)
{
	return err_config(e, "%s:%d: %s", r->origin, line, what);
}

static struct mydb_token *add_token(struct reader *r, enum mydb_token_kind kind)
{
	struct mydb_tokens *t = &r->tokens;

	t->items = xrealloc(t->items, (t->count + 1) * sizeof(*t->items));
	t->items[t->count] = (struct mydb_token){
		.kind = kind, .at = r->sql->text.size, .line = r->line, .depth = r->depth
	};
	return &t->items[t->count++];
}

/* 1: there was one. */
static int skip_comment(struct reader *r, struct err *e)
{
	const char *p = r->at;
	int line = r->line;

	if (p[0] == '#' ||
	    (p[0] == '-' && p[1] == '-' && (p[2] == '\0' || isspace((unsigned char)p[2])))) {
		while (*r->at != '\0' && *r->at != '\n')
			step(r);
		return 1;
	}
	if (p[0] != '/' || p[1] != '*')
		return 0;
	if (p[2] == '!' || (p[2] == 'M' && p[3] == '!')) {
		refuse(r, line, "a comment that servers execute", e);
		return err_hint(e, "Write it without the comment's signs.");
	}
	step(r);
	step(r);
	while (*r->at != '\0' && !(r->at[0] == '*' && r->at[1] == '/'))
		step(r);
	if (*r->at == '\0')
		return refuse(r, line, "the comment has no end", e);
	step(r);
	step(r);
	return 1;
}

static void copy(struct reader *r)
{
	buf_add_u8(&r->sql->text, (uint8_t)*r->at);
	step(r);
}

static int read_quoted(struct reader *r, struct err *e)
{
	char quote = *r->at;
	int line = r->line;
	struct mydb_token *t = add_token(r, quote == '`' ? TOKEN_NAME : TOKEN_STRING);
	size_t begin = r->sql->text.size;

	copy(r);
	for (;;) {
		if (*r->at == '\0')
			return refuse(r, line,
				      quote == '`' ? "the name has no closing `"
						   : "the string has no end",
				      e);
		if (*r->at == '\\' && quote != '`' && r->at[1] != '\0') {
			copy(r);
			copy(r);
		} else if (*r->at != quote) {
			copy(r);
		} else if (r->at[1] == quote) {
			copy(r);
			copy(r);
		} else {
			break;
		}
	}
	copy(r);
	t->at = begin + (quote == '`');
	t->size = r->sql->text.size - t->at - (quote == '`');
	return 0;
}

static void read_parameter(struct reader *r)
{
	struct mydb_sql *s = r->sql;
	struct mydb_token *t = add_token(r, TOKEN_PARAMETER);
	bool named = *r->at == ':';
	size_t size = 0;

	t->size = 1;
	t->parameter = s->count;
	s->parameters = xrealloc(s->parameters, (s->count + 1) * sizeof(*s->parameters));
	r->at++;
	while (named && is_word(r->at[size]))
		size++;
	s->parameters[s->count++] = (struct mydb_parameter){
		.name = named ? xstrndup(r->at, size) : NULL,
		.at = s->text.size,
	};
	r->at += size;
	buf_add_u8(&s->text, '?');
}

static void read_plain(struct reader *r)
{
	struct mydb_token *t;

	if (is_word(*r->at)) {
		t = add_token(r, TOKEN_WORD);
		while (is_word(*r->at))
			copy(r);
		t->size = r->sql->text.size - t->at;
		return;
	}
	if (*r->at == ')')
		r->depth--;
	t = add_token(r, TOKEN_SIGN);
	t->size = 1;
	if (*r->at == '(')
		r->depth++;
	copy(r);
}

/* Up to ';' or the end. */
static int read_statement(struct reader *r, struct err *e)
{
	while (*r->at != '\0' && *r->at != ';') {
		int comment = skip_comment(r, e), rc = 0;

		if (comment < 0)
			return -1;
		if (comment == 1) {
			buf_add_u8(&r->sql->text, ' ');
			continue;
		}
		if (*r->at == '\0')
			break;
		if (*r->at == '\'' || *r->at == '"' || *r->at == '`')
			rc = read_quoted(r, e);
		else if (*r->at == '?' ||
			 (*r->at == ':' && is_word(r->at[1]) && !isdigit((unsigned char)r->at[1])))
			read_parameter(r);
		else if (isspace((unsigned char)*r->at))
			copy(r);
		else
			read_plain(r);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int line_at(const char *script, const char *text)
{
	int line = 1;

	for (const char *p = script; p < text; p++)
		line += *p == '\n';
	return line;
}

int mydb_sql_next(enum mydb_sql_use use, const char *origin, const char *script, const char *text,
		  const char **ret_tail, struct mydb_sql **ret_sql, struct err *e)
{
	struct reader r = { .at = text, .script = script, .origin = origin };
	int rc;

	r.line = line_at(script, text);
	r.sql = xcalloc(1, sizeof(*r.sql));
	r.tokens.sql = r.sql;
	do { /* empty statements are none */
		r.at += *r.at == ';';
		buf_reset(&r.sql->text);
		rc = read_statement(&r, e);
	} while (rc == 0 && r.tokens.count == 0 && *r.at == ';');
	if (rc == 0 && r.tokens.count > 0) {
		r.sql->line = r.tokens.items[0].line;
		rc = mydb_sql_check(use, origin, r.sql, &r.tokens, e);
		if (rc == 0 && use == MYDB_SQL_HANDLER)
			mydb_sql_find_merge(r.sql, &r.tokens);
	}
	if (rc < 0 || r.tokens.count == 0) {
		mydb_sql_free(r.sql);
		r.sql = NULL;
	}
	free(r.tokens.items);
	if (rc < 0)
		return -1;
	if (ret_tail != NULL)
		*ret_tail = r.at + (*r.at == ';');
	*ret_sql = r.sql;
	return 0;
}
