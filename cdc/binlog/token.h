/* token.h - SQL text cut into tokens. For statement*.c only. Never allocates, never fails: text
 * that cannot be read ends it. */
#ifndef CDC_BINLOG_TOKEN_H
#define CDC_BINLOG_TOKEN_H

#include "core/base/slice.h"

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,   /* keyword or plain identifier, numbers too */
	TOKEN_QUOTED, /* `name` or "name", quotes included */
	TOKEN_STRING, /* '...' */
	TOKEN_MARK,   /* a single other character */
};

struct token {
	enum token_kind kind;
	struct slice text;
};

struct tokens {
	struct slice text;
	size_t at;
	bool versioned; /* inside a versioned comment, whose content counts */
};

struct tokens tokens_of(struct slice text);
struct token token_next(struct tokens *t);
struct token token_peek(const struct tokens *t);
/* True for a WORD token equal to `word` (upper case), whatever its case. */
bool token_is(struct token t, const char *word);
bool token_is_mark(struct token t, char mark);
/* Steps over the next token if it is that word. */
bool token_take(struct tokens *t, const char *word);

#endif
