/* token.c - a tokenizer for the SQL that servers write into QUERY events.
 *
 * What it knows (MariaDB knowledge base, "Lexical structure"): blanks; comments of the three forms,
 * `-- ` needing a blank behind it; versioned comments, introduced by an exclamation mark (or M and
 * one) and an optional version number, whose content is read as text because the server executed
 * it; strings with doubled quotes and backslashes; names in back quotes or double quotes. Words are
 * letters, digits, _, $, @ and every byte from 0x80 on, so that names in any ASCII-compatible
 * character set stay whole. */
#include "cdc/binlog/token.h"

#include <strings.h>

struct tokens tokens_of(struct slice text)
{
	return (struct tokens){ text, 0, false };
}

/* The byte n places ahead, 0 beyond the end. */
static uint8_t ahead(const struct tokens *t, size_t n)
{
	return n < t->text.size - t->at ? t->text.data[t->at + n] : 0;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(uint8_t c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       c == '$' || c == '@' || c >= 0x80;
}

static void skip_line(struct tokens *t)
{
	while (t->at < t->text.size && t->text.data[t->at] != '\n')
		t->at++;
}

static void skip_comment(struct tokens *t)
{
	for (t->at += 2; t->at < t->text.size; t->at++)
		if (ahead(t, 0) == '*' && ahead(t, 1) == '/') {
			t->at += 2;
			return;
		}
}

/* Steps into a versioned comment; its end mark is stepped over when it comes. */
static bool enter_versioned(struct tokens *t)
{
	size_t n = ahead(t, 2) == 'M' && ahead(t, 3) == '!' ? 4 : ahead(t, 2) == '!' ? 3 : 0;

	if (n == 0)
		return false;
	t->at += n;
	while (is_digit(ahead(t, 0)))
		t->at++;
	t->versioned = true;
	return true;
}

static void skip_blanks(struct tokens *t)
{
	while (t->at < t->text.size) {
		uint8_t c = ahead(t, 0), next = ahead(t, 1);

		if (is_blank(c)) {
			t->at++;
		} else if (c == '#' || (c == '-' && next == '-' &&
					(is_blank(ahead(t, 2)) || t->text.size - t->at == 2))) {
			skip_line(t);
		} else if (c == '/' && next == '*') {
			if (!enter_versioned(t))
				skip_comment(t);
		} else if (t->versioned && c == '*' && next == '/') {
			t->at += 2;
			t->versioned = false;
		} else {
			return;
		}
	}
}

/* Up to and including the closing quote; an unclosed one takes the rest. */
static void take_quoted(struct tokens *t, uint8_t quote)
{
	for (t->at++; t->at < t->text.size; t->at++) {
		if (quote != '`' && t->text.data[t->at] == '\\' && t->at + 1 < t->text.size) {
			t->at++;
		} else if (t->text.data[t->at] == quote) {
			t->at++;
			if (ahead(t, 0) != quote)
				return;
		}
	}
}

struct token token_next(struct tokens *t)
{
	struct token token = { .kind = TOKEN_END };
	size_t from;
	uint8_t c;

	skip_blanks(t);
	from = t->at;
	token.text = slice_of("", 0);
	if (from == t->text.size)
		return token;
	c = ahead(t, 0);
	if (c == '\'') {
		token.kind = TOKEN_STRING;
		take_quoted(t, c);
	} else if (c == '`' || c == '"') {
		token.kind = TOKEN_QUOTED;
		take_quoted(t, c);
	} else if (is_word(c)) {
		token.kind = TOKEN_WORD;
		while (t->at < t->text.size && is_word(t->text.data[t->at]))
			t->at++;
	} else {
		token.kind = TOKEN_MARK;
		t->at++;
	}
	token.text = slice_of(t->text.data + from, t->at - from);
	return token;
}

struct token token_peek(const struct tokens *t)
{
	struct tokens copy = *t;

	return token_next(&copy);
}

bool token_is(struct token t, const char *word)
{
	size_t n = strlen(word);

	return t.kind == TOKEN_WORD && t.text.size == n &&
	       strncasecmp((const char *)t.text.data, word, n) == 0;
}

bool token_is_mark(struct token t, char mark)
{
	return t.kind == TOKEN_MARK && t.text.data[0] == (uint8_t)mark;
}

bool token_take(struct tokens *t, const char *word)
{
	if (!token_is(token_peek(t), word))
		return false;
	(void)token_next(t);
	return true;
}
