/* statement_alter.c - may an ALTER TABLE change rows that exist?
 *
 * Row events say nothing of what an ALTER does. For a reader of the topics a row is unchanged when
 * each column has the value it had: so dropping a column changes nothing, and neither does adding
 * one that is NULL in every row (readers see null where a record lacks it). Renaming a column does:
 * the value goes to another name. What has an answer here (MariaDB knowledge base, "ALTER TABLE"):
 *
 *   nothing     ADD COLUMN that may be NULL and has no other default; DROP COLUMN; indexes, foreign
 *               keys, checks; ALTER COLUMN (defaults); COMMENT, AUTO_INCREMENT and other options;
 *               ENGINE among those that keep rows; FORCE, ORDER BY, ENABLE and DISABLE KEYS;
 *               partitioning that keeps every row; RENAME of the table (told by roles)
 *   may change  ADD COLUMN otherwise; MODIFY, CHANGE, RENAME COLUMN, CONVERT; primary keys;
 *               DROP, TRUNCATE, EXCHANGE, CONVERT, REPAIR of partitions; tablespaces; system
 *               versioning; IGNORE; other engines
 *
 * and whatever is not understood may change rows too. */
#include "cdc/binlog/statement_priv.h"

#define NOT_UNDERSTOOD "an ALTER TABLE that is not understood"

static bool at_end(const struct tokens *t)
{
	return token_peek(t).kind == TOKEN_END;
}

static bool is_any(struct token t, const char *const *words)
{
	for (; *words != NULL; words++)
		if (token_is(t, *words))
			return true;
	return false;
}

/* Behind the opening bracket, to behind the closing one. */
static void skip_brackets(struct tokens *t)
{
	for (int depth = 1; depth > 0 && !at_end(t);) {
		struct token token = token_next(t);

		depth += token_is_mark(token, '(') - token_is_mark(token, ')');
	}
}

/* The next comma, end, or bracket that closes what was opened before; not taken. */
static bool spec_ends(const struct tokens *t)
{
	struct token next = token_peek(t);

	return next.kind == TOKEN_END || token_is_mark(next, ',') || token_is_mark(next, ')');
}

static struct token next_of_spec(struct tokens *t)
{
	struct token token = token_next(t);

	if (token_is_mark(token, '('))
		skip_brackets(t);
	return token;
}

static void skip_spec(struct tokens *t)
{
	while (!spec_ends(t))
		(void)next_of_spec(t);
}

/* To the end of the spec; is this word in it, outside of brackets? */
static bool spec_has(struct tokens *t, const char *word)
{
	bool found = false;

	while (!spec_ends(t))
		found = token_is(next_of_spec(t), word) || found;
	return found;
}

/* ---- ADD ------------------------------------------------------------------------------------ */

/* A column's definition behind its name. */
static const char *new_column(struct tokens *t)
{
	static const char *const fills[] = {
		"AUTO_INCREMENT", "AS", "GENERATED", "SERIAL", "ON", "ROW", "NOT", NULL
	};
	bool timestamp = token_is(token_peek(t), "TIMESTAMP"), null = false;
	struct token before, token = { .kind = TOKEN_END };
	const char *why = NULL;

	while (!spec_ends(t)) {
		before = token;
		token = next_of_spec(t);
		if (token_is(token, "AFTER") || token_is(token, "COMMENT"))
			(void)token_next(t);
		else if (token_is(token, "DEFAULT") && !token_take(t, "NULL"))
			why = "ADD COLUMN with a default";
		else if (token_is(token, "PRIMARY") ||
			 (token_is(token, "KEY") && !token_is(before, "UNIQUE")))
			why = "ADD COLUMN with a primary key";
		else if (is_any(token, fills))
			why = "ADD COLUMN that is not NULL in existing rows";
		else if (token_is(token, "NULL"))
			null = true;
	}
	/* the first TIMESTAMP of a table may have a default that nobody wrote */
	return why == NULL && timestamp && !null ? "ADD COLUMN with a default" : why;
}

/* An index, key or check behind ADD [CONSTRAINT ...]: only primary keys matter. */
static bool is_constraint(const struct tokens *t)
{
	static const char *const words[] = { "INDEX",   "KEY",     "FULLTEXT",   "SPATIAL",
					     "UNIQUE",  "FOREIGN", "CONSTRAINT", "CHECK",
					     "PRIMARY", NULL };

	return is_any(token_peek(t), words);
}

static const char *new_element(struct tokens *t)
{
	struct token name;

	if (is_constraint(t))
		return spec_has(t, "PRIMARY") ? "ADD PRIMARY KEY" : NULL;
	name = token_next(t);
	if ((token_is(name, "PERIOD") && token_is(token_peek(t), "FOR")) ||
	    (token_is(name, "SYSTEM") && token_is(token_peek(t), "VERSIONING"))) {
		skip_spec(t);
		return "ADD SYSTEM VERSIONING";
	}
	return new_column(t);
}

static const char *add(struct tokens *t)
{
	const char *why = NULL, *one;
	bool column = token_take(t, "COLUMN");

	if (!column && token_is(token_peek(t), "PARTITION")) {
		t->at = t->text.size; /* the rest of the statement defines it */
		return NULL;
	}
	if (token_take(t, "IF")) {
		(void)token_take(t, "NOT");
		(void)token_take(t, "EXISTS");
	}
	if (!token_is_mark(token_peek(t), '('))
		return new_element(t);
	do {
		(void)token_next(t); /* ( or , */
		one = new_element(t);
		why = why != NULL ? why : one;
	} while (token_is_mark(token_peek(t), ','));
	(void)token_next(t); /* ) */
	return why;
}

/* ---- the other parts ------------------------------------------------------------------------ */

static const char *drop(struct tokens *t)
{
	struct token what = token_next(t), name;

	if (token_is(what, "PRIMARY"))
		return "DROP PRIMARY KEY";
	if (token_is(what, "PARTITION"))
		return "DROP PARTITION";
	if (token_is(what, "SYSTEM") && token_is(token_peek(t), "VERSIONING"))
		return "DROP SYSTEM VERSIONING";
	if (token_is(what, "PERIOD") && token_is(token_peek(t), "FOR"))
		return NOT_UNDERSTOOD;
	if (token_is(what, "CONSTRAINT") || token_is(what, "INDEX") || token_is(what, "KEY")) {
		if (token_take(t, "IF"))
			(void)token_take(t, "EXISTS");
		name = token_next(t);
		if (token_is(name, "PRIMARY") || slice_is(name.text, "`PRIMARY`") ||
		    slice_is(name.text, "`primary`"))
			return "DROP PRIMARY KEY";
	}
	skip_spec(t);
	return NULL;
}

static const char *rename_part(struct tokens *t)
{
	bool column = token_take(t, "COLUMN");

	skip_spec(t);
	return column ? "RENAME COLUMN" : NULL;
}

/* Defaults of columns, visibility of indexes. */
static const char *alter_part(struct tokens *t)
{
	if (token_take(t, "INDEX") || token_take(t, "KEY")) {
		skip_spec(t);
		return NULL;
	}
	(void)token_take(t, "COLUMN");
	(void)token_next(t);
	if (!token_take(t, "SET") && !token_take(t, "DROP"))
		return NOT_UNDERSTOOD;
	if (!token_is(token_peek(t), "DEFAULT"))
		return NOT_UNDERSTOOD;
	skip_spec(t);
	return NULL;
}

static const char *engine(struct tokens *t)
{
	static const char *const keeping[] = {
		"INNODB", "MYISAM", "ARIA", "ROCKSDB", "TOKUDB", NULL
	};
	struct token name;

	if (token_is_mark(token_peek(t), '='))
		(void)token_next(t);
	name = token_next(t);
	for (const char *const *word = keeping; *word != NULL; word++) {
		struct slice text = name.text; /* ENGINE='InnoDB' is fine too */

		if (name.kind != TOKEN_WORD && text.size >= 2)
			text = slice_of(text.data + 1, text.size - 2);
		if (token_is((struct token){ TOKEN_WORD, text }, *word))
			return NULL;
	}
	return "ENGINE";
}

/* Options stand one behind the other, with or without commas between them. */
static const char *options(struct tokens *t)
{
	static const char *const twice[] = { "CHARACTER", "DATA", "INDEX", NULL };
	static const char *const words[] = { "CHARSET",
					     "COLLATE",
					     "COMMENT",
					     "AUTO_INCREMENT",
					     "ROW_FORMAT",
					     "AVG_ROW_LENGTH",
					     "CHECKSUM",
					     "TABLE_CHECKSUM",
					     "CONNECTION",
					     "DELAY_KEY_WRITE",
					     "ENCRYPTED",
					     "ENCRYPTION_KEY_ID",
					     "IETF_QUOTES",
					     "INSERT_METHOD",
					     "KEY_BLOCK_SIZE",
					     "MAX_ROWS",
					     "MIN_ROWS",
					     "PACK_KEYS",
					     "PAGE_CHECKSUM",
					     "PAGE_COMPRESSED",
					     "PAGE_COMPRESSION_LEVEL",
					     "PASSWORD",
					     "STATS_AUTO_RECALC",
					     "STATS_PERSISTENT",
					     "STATS_SAMPLE_PAGES",
					     "TRANSACTIONAL",
					     "TABLESPACE",
					     "ALGORITHM",
					     "LOCK",
					     NULL };

	while (!spec_ends(t)) {
		struct token word = token_next(t);

		if (token_is(word, "ENGINE") || token_is(word, "TYPE")) {
			if (engine(t) != NULL)
				return "ENGINE";
			continue;
		}
		if (token_is(word, "DEFAULT"))
			word = token_next(t);
		if (is_any(word, twice))
			(void)token_next(t);
		else if (!is_any(word, words))
			return NOT_UNDERSTOOD;
		if (token_is_mark(token_peek(t), '='))
			(void)token_next(t);
		(void)token_next(t);
	}
	return NULL;
}

/* Words behind which the statement ends, and every row stays. */
static bool keeps_rows(struct tokens *t)
{
	static const char *const partitions[] = { "REBUILD",    "OPTIMIZE", "ANALYZE", "CHECK",
						  "REORGANIZE", "COALESCE", NULL };
	struct tokens ahead = *t;
	struct token word = token_next(&ahead);

	if (token_is(word, "ORDER") || token_is(word, "PARTITION"))
		return true;
	if (token_is(word, "REMOVE"))
		return token_is(token_peek(&ahead), "PARTITIONING");
	return is_any(word, partitions) && token_is(token_peek(&ahead), "PARTITION");
}

static const char *spec(struct tokens *t)
{
	if (token_take(t, "ADD"))
		return add(t);
	if (token_take(t, "DROP"))
		return drop(t);
	if (token_take(t, "RENAME"))
		return rename_part(t);
	if (token_take(t, "ALTER"))
		return alter_part(t);
	if (token_take(t, "MODIFY"))
		return "MODIFY COLUMN";
	if (token_take(t, "CHANGE"))
		return "CHANGE COLUMN";
	if (token_take(t, "CONVERT"))
		return "CONVERT";
	if (token_take(t, "TRUNCATE"))
		return "TRUNCATE PARTITION";
	if (token_take(t, "EXCHANGE"))
		return "EXCHANGE PARTITION";
	if (token_take(t, "DISCARD") || token_take(t, "IMPORT"))
		return "IMPORT or DISCARD TABLESPACE";
	if (token_take(t, "REPAIR"))
		return "REPAIR PARTITION";
	if (token_take(t, "FORCE"))
		return NULL;
	if (token_take(t, "ENABLE") || token_take(t, "DISABLE"))
		return token_take(t, "KEYS") ? NULL : NOT_UNDERSTOOD;
	return options(t);
}

/* [IF EXISTS] name, with the database or without; WAIT n, NOWAIT. */
static void skip_name(struct tokens *t)
{
	if (token_take(t, "IF"))
		(void)token_take(t, "EXISTS");
	if (token_is_mark(token_peek(t), '.'))
		(void)token_next(t);
	(void)token_next(t);
	if (token_is_mark(token_peek(t), '.')) {
		(void)token_next(t);
		(void)token_next(t);
	}
	if (token_take(t, "WAIT"))
		(void)token_next(t);
	(void)token_take(t, "NOWAIT");
}

const char *statement_alter(struct tokens t, bool ignore)
{
	const char *why;

	if (ignore)
		return "ALTER IGNORE, or REPAIR";
	if (token_take(&t, "INDEX")) {
		(void)token_take(&t, "IF");
		(void)token_take(&t, "EXISTS");
		return slice_is(token_next(&t).text, "`PRIMARY`") ? "DROP PRIMARY KEY" : NULL;
	}
	(void)token_take(&t, "TABLE");
	skip_name(&t);
	for (;;) {
		if (at_end(&t) || keeps_rows(&t))
			return NULL;
		why = spec(&t);
		if (why != NULL)
			return why;
		if (at_end(&t))
			return NULL;
		if (!token_is_mark(token_peek(&t), ',')) /* ADD COLUMN ... PARTITION BY ... */
			return keeps_rows(&t) ? NULL : NOT_UNDERSTOOD;
		(void)token_next(&t);
	}
}
