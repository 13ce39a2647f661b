/* pg_script.c - takes a script apart as the server's own lexer does (PostgreSQL manual, "Lexical
 * Structure"), as far as it takes to find ends of statements and parameters.
 *
 * What a statement may do is decided by its tokens: the first word says what kind it is, any name
 * that begins with millrace_ is refused wherever it stands. This guards against mistakes, not
 * against malice: whoever writes a view may run code in its database. The server refuses a second
 * statement in one call, so a lexer that were wrong could not let one slip through. */
#include "core/postgresql/pg_script.h"

#include "core/base/mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#define TOKENS_MAX 100000

struct reader {
	const char *origin, *script, *at;
	struct pg_script *out;
	struct buf sql;
};

static int line_of(const struct reader *r, const char *at)
{
	int line = 1;

	for (const char *c = r->script; c < at; c++)
		line += *c == '\n';
	return line;
}

static bool begins_name(char c)
{
	return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool in_name(char c)
{
	return begins_name(c) || isdigit((unsigned char)c) || c == '$';
}

static void add_token(struct reader *r, enum pg_token_kind kind, const char *text, size_t size)
{
	struct pg_script *s = r->out;
	struct pg_token *t;

	if (s->token_count == TOKENS_MAX)
		return;
	if ((s->token_count & (s->token_count + 1)) == 0 || s->token_count == 0)
		s->tokens = xrealloc(s->tokens, (s->token_count * 2 + 1) * sizeof(*s->tokens));
	t = &s->tokens[s->token_count++];
	*t = (struct pg_token){ .kind = kind, .text = xstrndup(text, size) };
	for (char *c = t->text; kind == PG_TOKEN_WORD && *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
}

/* Copies up to `end` and goes there. */
static void pass(struct reader *r, const char *end)
{
	buf_add(&r->sql, r->at, (size_t)(end - r->at));
	r->at = end;
}

static int unended(const struct reader *r, const char *what, struct err *e)
{
	return err_config(e, "%s:%d: %s that never ends", r->origin, line_of(r, r->at), what);
}

static int comment(struct reader *r, struct err *e)
{
	const char *c = r->at;
	int depth = 0;

	if (c[1] == '-') {
		pass(r, c + strcspn(c, "\n"));
		return 0;
	}
	do {
		if (c[0] == '/' && c[1] == '*') {
			depth++;
			c += 2;
		} else if (c[0] == '*' && c[1] == '/') {
			depth--;
			c += 2;
		} else if (*c++ == '\0') {
			return unended(r, "a comment", e);
		}
	} while (depth > 0);
	pass(r, c);
	return 0;
}

/* From its first quote on; `escapes`: E'..' */
static int string(struct reader *r, bool escapes, struct err *e)
{
	const char *c = r->at + 1;

	for (;; c++) {
		if (*c == '\0')
			return unended(r, "a string", e);
		if (escapes && *c == '\\' && c[1] != '\0')
			c++;
		else if (*c == '\'' && c[1] == '\'')
			c++;
		else if (*c == '\'')
			break;
	}
	add_token(r, PG_TOKEN_LITERAL, r->at, (size_t)(c + 1 - r->at));
	pass(r, c + 1);
	return 0;
}

static int quoted_name(struct reader *r, struct err *e)
{
	struct buf name = BUF_INIT;
	const char *c = r->at + 1;

	for (;; c++) {
		if (*c == '\0') {
			buf_done(&name);
			return unended(r, "a quoted name", e);
		}
		if (*c == '"' && c[1] != '"')
			break;
		c += *c == '"';
		buf_add_u8(&name, (uint8_t)*c);
	}
	add_token(r, PG_TOKEN_QUOTED, buf_cstr(&name), name.size);
	buf_done(&name);
	pass(r, c + 1);
	return 0;
}

/* $tag$...$tag$; 0: it is no such string. */
static int dollar(struct reader *r, struct err *e)
{
	const char *c = r->at + 1, *end;
	char *tag;

	if (begins_name(*c))
		while (in_name(*c) && *c != '$')
			c++;
	if (*c != '$')
		return 0;
	tag = xstrndup(r->at, (size_t)(c + 1 - r->at));
	end = strstr(c + 1, tag);
	if (end == NULL) {
		free(tag);
		return unended(r, "a string", e);
	}
	end += strlen(tag);
	free(tag);
	add_token(r, PG_TOKEN_LITERAL, r->at, (size_t)(end - r->at));
	pass(r, end);
	return 1;
}

static void parameter(struct reader *r)
{
	struct pg_script *s = r->out;
	const char *name = r->at + 1, *end = name;
	int number = 0;
	char *text;

	while (begins_name(*end) || isdigit((unsigned char)*end))
		end++;
	text = xstrndup(name, (size_t)(end - name));
	while (number < s->name_count && strcmp(s->names[number], text) != 0)
		number++;
	if (number == s->name_count) {
		s->names = xrealloc(s->names, ((size_t)number + 1) * sizeof(*s->names));
		s->names[s->name_count++] = xstrdup(text);
	}
	free(text);
	add_token(r, PG_TOKEN_PARAMETER, name, (size_t)(end - name));
	s->tokens[s->token_count - 1].number = number + 1;
	buf_add_format(&r->sql, "$%d", number + 1);
	r->at = end;
}

static int word(struct reader *r, struct err *e)
{
	const char *c = r->at;

	while (in_name(*c))
		c++;
	if (c == r->at + 1 && *c == '\'' && strchr("eExXbBnN", *r->at) != NULL) {
		bool escapes = (*r->at | 0x20) == 'e';

		pass(r, c);
		return string(r, escapes, e);
	}
	add_token(r, PG_TOKEN_WORD, r->at, (size_t)(c - r->at));
	pass(r, c);
	return 0;
}

static void number(struct reader *r)
{
	const char *c = r->at;

	while (isalnum((unsigned char)*c) || *c == '.' || *c == '_')
		c++;
	add_token(r, PG_TOKEN_LITERAL, r->at, (size_t)(c - r->at));
	pass(r, c);
}

static void symbol(struct reader *r, size_t size)
{
	add_token(r, PG_TOKEN_SYMBOL, r->at, size);
	pass(r, r->at + size);
}

/* One token, or a run of blanks. 1: the statement goes on; 0: it has ended. */
static int step(struct reader *r, struct err *e)
{
	const char *c = r->at;
	int rc = 0;

	if (*c == '\0')
		return 0;
	if (*c == ';') {
		r->at++;
		return 0;
	}
	if (isspace((unsigned char)*c))
		pass(r, c + strspn(c, " \t\r\n\f\v"));
	else if ((c[0] == '-' && c[1] == '-') || (c[0] == '/' && c[1] == '*'))
		rc = comment(r, e);
	else if (*c == '\'')
		rc = string(r, false, e);
	else if (*c == '"')
		rc = quoted_name(r, e);
	else if (*c == '$' && (rc = dollar(r, e)) == 0)
		symbol(r, 1);
	else if (*c == '$')
		;
	else if (begins_name(*c))
		rc = word(r, e);
	else if (isdigit((unsigned char)*c))
		number(r);
	else if (c[0] == ':' && (c[1] == ':' || c[1] == '='))
		symbol(r, 2);
	else if (c[0] == ':' && begins_name(c[1]))
		parameter(r);
	else
		symbol(r, 1);
	return rc < 0 ? -1 : 1;
}

/* ---- what it may do -------------------------------------------------------------------------- */

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

static int refuse(const struct reader *r, const char *at, const char *what, const char *hint,
		  struct err *e)
{
	err_config(e, "%s:%d: %s", r->origin, line_of(r, at), what);
	return err_hint(e, "%s", hint);
}

static int guard_names(const struct reader *r, const char *at, struct err *e)
{
	const struct pg_script *s = r->out;

	for (size_t i = 0; i < s->token_count; i++) {
		const struct pg_token *t = &s->tokens[i];

		if (t->kind != PG_TOKEN_WORD && t->kind != PG_TOKEN_QUOTED)
			continue;
		/* millrace_exact is a column of mirrored tables: no table's name, so harmless */
		if (strncasecmp(t->text, "millrace_", 9) == 0 &&
		    strcmp(t->text, "millrace_exact") != 0)
			return refuse(r, at, "names that begin with millrace_ are Millrace's own",
				      "Give it another name.", e);
		if (strcmp(t->text, "set_config") == 0 || strcmp(t->text, "pg_sleep") == 0)
			return refuse(r, at, "a function that a view may not use",
				      "Leave it out: the session belongs to Millrace.", e);
	}
	return 0;
}

static int guard(const struct reader *r, const char *at, enum pg_script_use use, struct err *e)
{
	static const char *const own[] = {
		"abort",   "begin",   "call",       "checkpoint", "close",     "cluster",
		"commit",  "copy",    "deallocate", "declare",    "discard",   "do",
		"end",     "execute", "explain",    "fetch",      "listen",    "load",
		"lock",    "move",    "notify",     "prepare",    "reassign",  "refresh",
		"reindex", "release", "reset",      "rollback",   "savepoint", "set",
		"show",    "start",   "truncate",   "unlisten",   "vacuum",    NULL
	};
	static const char *const writes[] = { "insert", "update", "delete", "merge", "with", NULL };
	const struct pg_script *s = r->out;
	const char *first = s->tokens[0].text;

	if (s->tokens[0].kind != PG_TOKEN_WORD)
		return refuse(r, at, "not a statement", "A statement begins with a keyword.", e);
	if (use == PG_SCRIPT_HANDLER && strcmp(first, "truncate") == 0)
		return refuse(r, at, "TRUNCATE empties a table under its readers",
			      "Write DELETE FROM.", e);
	if (is_one_of(first, own))
		return refuse(r, at, "a statement that a view may not use",
			      "Transactions and the session belong to Millrace.", e);
	if (use == PG_SCRIPT_HANDLER && strcmp(first, "select") == 0)
		return refuse(r, at, "a statement only reads",
			      "A handler changes rows: INSERT, UPDATE or DELETE.", e);
	if (use == PG_SCRIPT_HANDLER && !is_one_of(first, writes))
		return refuse(r, at, "a handler changes rows, and nothing else",
			      "INSERT, UPDATE, DELETE and MERGE may stand here.", e);
	if (use == PG_SCRIPT_TABLES && s->name_count > 0)
		return refuse(r, at, "a parameter where no record is", "Leave out the ':'.", e);
	return guard_names(r, at, e);
}

int pg_script_read(const char *origin, const char *script, const char *at, enum pg_script_use use,
		   struct pg_script *ret_script, struct err *e)
{
	struct reader r = { .origin = origin, .script = script, .at = at, .out = ret_script };
	int rc;

	*ret_script = (struct pg_script){ 0 };
	do {
		rc = step(&r, e);
		/* an empty statement, as between ";;" */
		if (rc == 0 && ret_script->token_count == 0 && r.at[0] != '\0' && r.at[-1] == ';')
			rc = 1;
	} while (rc == 1);
	ret_script->tail = r.at;
	if (rc == 0 && ret_script->token_count == TOKENS_MAX)
		rc = err_config(e, "%s:%d: a statement of more than %d words", origin,
				line_of(&r, at), TOKENS_MAX);
	if (rc == 0 && ret_script->token_count > 0 && use != PG_SCRIPT_OWN)
		rc = guard(&r, at + strspn(at, " \t\r\n"), use, e);
	ret_script->sql = xstrdup(buf_cstr(&r.sql));
	buf_done(&r.sql);
	if (rc < 0)
		pg_script_done(ret_script);
	return rc;
}

void pg_script_done(struct pg_script *s)
{
	for (int i = 0; i < s->name_count; i++)
		free(s->names[i]);
	for (size_t i = 0; i < s->token_count; i++)
		free(s->tokens[i].text);
	free(s->names);
	free(s->tokens);
	free(s->sql);
	*s = (struct pg_script){ 0 };
}
