/* query_text.c - the text of a SELECT, as far as Millrace must read it: names, parameters, and the
 * words that stand for what can't be kept up.
 *
 * The store reads it whole and says what is wrong with it; here a scan of its words is enough. It
 * errs on the side of refusing: a column called "limit" must be quoted. */
#include "projections/apply/query.h"

#include "core/base/mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* Behind the closing quote; two of them stand for one. */
static const char *skip_quoted(const char *p, const char *end)
{
	char quote = *p++;

	for (; p < end; p++) {
		if (*p == '\\' && quote == '\'' && p + 1 < end && p[1] == '\'')
			p++; /* MySQL's; elsewhere a string ends here, and the store will say so */
		else if (*p == quote && (p + 1 == end || p[1] != quote))
			return p + 1;
		else if (*p == quote)
			p++;
	}
	return end;
}

static const char *skip_space(const char *p, const char *end)
{
	if (end - p >= 2 && p[0] == '-' && p[1] == '-') {
		while (p < end && *p != '\n')
			p++;
	} else if (end - p >= 2 && p[0] == '/' && p[1] == '*') {
		const char *close = memmem(p + 2, (size_t)(end - p - 2), "*/", 2);

		p = close != NULL ? close + 2 : end;
	} else {
		while (p < end && isspace((unsigned char)*p))
			p++;
	}
	return p;
}

struct query_token query_next(const char **at, const char *end)
{
	const char *p = *at, *after;
	struct query_token t = { QUERY_OTHER, p, 1 };

	if (p >= end)
		return (struct query_token){ QUERY_END, p, 0 };
	after = skip_space(p, end);
	if (after > p) {
		t.kind = QUERY_SPACE;
	} else if (*p == '\'') {
		t.kind = QUERY_STRING;
		after = skip_quoted(p, end);
	} else if (*p == '"' || *p == '`') {
		t.kind = QUERY_WORD;
		after = skip_quoted(p, end);
	} else if (is_name(*p)) {
		t.kind = QUERY_WORD;
		for (after = p; after < end && is_name(*after); after++)
			continue;
	} else if (*p == ':' && end - p >= 2 && p[1] == ':') {
		after = p + 2; /* PostgreSQL's cast */
	} else if (*p == ':' && end - p >= 2 && is_name(p[1])) {
		t.kind = QUERY_PARAMETER;
		for (after = p + 1; after < end && is_name(*after); after++)
			continue;
	} else {
		after = p + 1;
	}
	t.size = (size_t)(after - p);
	*at = after;
	return t;
}

void query_word(struct query_token t, struct buf *out)
{
	bool quoted = t.size >= 2 && (t.start[0] == '"' || t.start[0] == '`');

	buf_reset(out);
	if (!quoted)
		buf_add(out, t.start, t.size);
	for (size_t i = 1; quoted && i + 1 < t.size; i++) {
		buf_add_u8(out, (uint8_t)t.start[i]);
		if (t.start[i] == t.start[0])
			i++;
	}
	(void)buf_cstr(out);
}

bool query_word_is(struct query_token t, const char *word)
{
	return t.kind == QUERY_WORD && t.size == strlen(word) &&
	       strncasecmp(t.start, word, t.size) == 0;
}

static bool named(struct query_token t, const char *name)
{
	struct buf word = BUF_INIT;
	bool same;

	if (t.kind != QUERY_WORD)
		return false;
	query_word(t, &word);
	same = strcasecmp(buf_cstr(&word), name) == 0;
	buf_done(&word);
	return same;
}

size_t query_mentions(const char *text, const struct mirror_table *t)
{
	const char *at = text, *end = text + strlen(text);
	struct query_token token, before = { QUERY_END, text, 0 };
	size_t count = 0;
	bool alias = false; /* the next word may be the name that the table goes by here */

	while ((token = query_next(&at, end)).kind != QUERY_END) {
		bool qualifies = at < end && *at == '.'; /* TABLE.column */
		/* DB.TABLE, or TABLE that is no column's qualifier */
		bool mention = named(token, t->table) && !alias &&
			       (!qualifies || (before.size == 1 && *before.start == '.'));

		count += mention;
		if (token.kind == QUERY_SPACE)
			continue;
		alias = mention || (alias && query_word_is(token, "as"));
		before = token;
	}
	return count;
}

/* ---- the store's names ----------------------------------------------------------------------- */

/* At `at`, behind a word: ".TABLE" of that database? Its end, or NULL. */
static const char *table_behind(const struct mirror_table *t, const char *at, const char *end)
{
	struct query_token token;

	if (at == end || *at != '.')
		return NULL;
	at++;
	token = query_next(&at, end);
	return named(token, t->table) ? at : NULL;
}

void query_rewrite(const struct view *v, const char *text, struct buf *out)
{
	const struct dialect *d = dialect_of(v->store);
	const char *at = text, *end = text + strlen(text);
	struct query_token token, before = { QUERY_END, text, 0 };

	while ((token = query_next(&at, end)).kind != QUERY_END) {
		const char *behind = NULL;

		for (size_t i = 0; i < v->mirror_count && behind == NULL; i++) {
			const struct mirror_table *t = &v->mirrors[i];

			if (!named(token, t->db) || (before.size == 1 && *before.start == '.'))
				continue;
			behind = table_behind(t, at, end);
			if (behind != NULL)
				dialect_name(d, t->name, out);
		}
		if (behind != NULL)
			at = behind;
		else
			buf_add(out, token.start, token.size);
		before = token;
	}
	(void)buf_cstr(out);
}

/* ---- refusals -------------------------------------------------------------------------------- */

#define OF_TIME "its answer changes with time, and not only with the tables"
#define OF_CHANCE "its answer differs each time it is asked"
#define OF_SESSION "its answer depends on the session that asks"
#define OF_OTHERS                                                                                 \
	"which rows it keeps depends on all other rows: one change may touch rows that no keys/ " \
	"file names"
#define OF_ORDER \
	"its numbers depend on the rows around: one change may touch rows that no keys/ file names"

static const struct {
	const char *word;
	bool call; /* only before a '(' */
	const char *why;
} refused[] = {
	{ "random", true, OF_CHANCE },
	{ "randomblob", true, OF_CHANCE },
	{ "rand", true, OF_CHANCE },
	{ "random_bytes", true, OF_CHANCE },
	{ "uuid", true, OF_CHANCE },
	{ "uuid_short", true, OF_CHANCE },
	{ "sys_guid", true, OF_CHANCE },
	{ "gen_random_uuid", true, OF_CHANCE },
	{ "nextval", true, OF_CHANCE },
	{ "tablesample", false, OF_CHANCE },
	{ "now", true, OF_TIME },
	{ "sysdate", true, OF_TIME },
	{ "curdate", true, OF_TIME },
	{ "curtime", true, OF_TIME },
	{ "utc_date", false, OF_TIME },
	{ "utc_time", false, OF_TIME },
	{ "utc_timestamp", false, OF_TIME },
	{ "current_date", false, OF_TIME },
	{ "current_time", false, OF_TIME },
	{ "current_timestamp", false, OF_TIME },
	{ "localtime", false, OF_TIME },
	{ "localtimestamp", false, OF_TIME },
	{ "unix_timestamp", true, OF_TIME },
	{ "clock_timestamp", true, OF_TIME },
	{ "statement_timestamp", true, OF_TIME },
	{ "transaction_timestamp", true, OF_TIME },
	{ "timeofday", true, OF_TIME },
	{ "unixepoch", true, OF_TIME },
	{ "last_insert_rowid", true, OF_SESSION },
	{ "last_insert_id", true, OF_SESSION },
	{ "changes", true, OF_SESSION },
	{ "total_changes", true, OF_SESSION },
	{ "connection_id", true, OF_SESSION },
	{ "found_rows", true, OF_SESSION },
	{ "row_count", true, OF_SESSION },
	{ "current_user", false, OF_SESSION },
	{ "session_user", false, OF_SESSION },
	{ "system_user", true, OF_SESSION },
	{ "user", true, OF_SESSION },
	{ "current_role", false, OF_SESSION },
	{ "current_schema", false, OF_SESSION },
	{ "database", true, OF_SESSION },
	{ "schema", true, OF_SESSION },
	{ "pg_backend_pid", true, OF_SESSION },
	{ "limit", false, OF_OTHERS },
	{ "offset", false, OF_OTHERS },
	{ "rownum", true, OF_ORDER },
	{ "fetch", false, OF_OTHERS },
	{ "over", true, OF_ORDER },
	{ "recursive", false,
	  "it follows rows from one to the next: which rows of the view a change touches can't be "
	  "asked" },
};

static bool call_follows(const char *at, const char *end)
{
	struct query_token t;

	while ((t = query_next(&at, end)).kind == QUERY_SPACE)
		continue;
	return t.kind == QUERY_OTHER && *t.start == '(';
}

/* SQLite's functions of time, asked for no time: it is the present one then. */
static bool asks_for_now(struct query_token t, const char *at, const char *end)
{
	static const char *const words[] = { "date", "time", "datetime", "julianday" };
	struct query_token behind;
	bool is = false;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		is |= query_word_is(t, words[i]);
	if (!is || !call_follows(at, end))
		return false;
	while (query_next(&at, end).kind == QUERY_SPACE)
		continue;
	while ((behind = query_next(&at, end)).kind == QUERY_SPACE)
		continue;
	return behind.kind == QUERY_OTHER && *behind.start == ')';
}

static const char *refuse_token(struct query_token t, const char *at, const char *end)
{
	if (t.kind == QUERY_OTHER && *t.start == '@' && at < end && (is_name(*at) || *at == '@'))
		return OF_SESSION; /* a variable of MySQL's; a space tells PostgreSQL's operator */
	if (asks_for_now(t, at, end))
		return OF_TIME;
	if (t.kind == QUERY_PARAMETER || (t.kind == QUERY_OTHER && *t.start == '?'))
		return "it has a parameter";
	if (t.kind == QUERY_OTHER && *t.start == ';')
		return "it has more than one statement";
	if (t.kind == QUERY_STRING && t.size == 5 && strncasecmp(t.start, "'now'", 5) == 0)
		return OF_TIME;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (query_word_is(t, refused[i].word) &&
		    (!refused[i].call || call_follows(at, end)))
			return refused[i].why;
	}
	/* OVER name of a WINDOW clause */
	return query_word_is(t, "window") ? OF_ORDER : NULL;
}

const char *query_refuse(const char *text, const char **ret_at)
{
	const char *at = text, *end = text + strlen(text), *why = NULL;
	struct query_token token, before = { QUERY_END, text, 0 };

	while (why == NULL && (token = query_next(&at, end)).kind != QUERY_END) {
		bool column = before.size == 1 && *before.start == '.';

		why = column ? NULL : refuse_token(token, at, end);
		*ret_at = token.start;
		if (token.kind != QUERY_SPACE)
			before = token;
	}
	return why;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void trim(const char **start, const char **end)
{
	while (*start < *end && isspace((unsigned char)**start))
		(*start)++;
	while (*end > *start && isspace((unsigned char)(*end)[-1]))
		(*end)--;
}

/* "-- table: NAME" -> NAME, malloced, or NULL. */
static char *table_line(const char *start, const char *end)
{
	static const char mark[] = "table:";

	trim(&start, &end);
	if (end - start < 2 || start[0] != '-' || start[1] != '-')
		return NULL;
	start += 2;
	trim(&start, &end);
	if ((size_t)(end - start) < sizeof(mark) - 1 ||
	    strncasecmp(start, mark, sizeof(mark) - 1) != 0)
		return NULL;
	start += sizeof(mark) - 1;
	trim(&start, &end);
	return xstrndup(start, (size_t)(end - start));
}

/* Nothing but comments and blanks is no block. */
static bool is_empty(const char *start, const char *end)
{
	struct query_token t;

	while ((t = query_next(&start, end)).kind == QUERY_SPACE)
		continue;
	return t.kind == QUERY_END;
}

static void add_block(const char *text, char *take_table, const char *start, const char *end,
		      struct query_block **blocks, size_t *count)
{
	struct query_block b = { .table = take_table, .line = 1 };

	if (take_table == NULL && is_empty(start, end))
		return;
	trim(&start, &end);
	while (end > start && end[-1] == ';') {
		end--;
		trim(&start, &end);
	}
	for (const char *p = text; p < start; p++)
		b.line += *p == '\n';
	b.text = xstrndup(start, (size_t)(end - start));
	*blocks = xrealloc(*blocks, (*count + 1) * sizeof(**blocks));
	(*blocks)[(*count)++] = b;
}

void query_blocks(const char *text, struct query_block **ret_blocks, size_t *ret_count)
{
	const char *start = text, *at = text;
	char *table = NULL;

	*ret_blocks = NULL;
	*ret_count = 0;
	while (*at != '\0') {
		size_t size = strcspn(at, "\n");
		char *next = table_line(at, at + size);

		if (next != NULL) {
			add_block(text, table, start, at, ret_blocks, ret_count);
			table = next;
			start = at + size;
		}
		at += size + (at[size] == '\n');
	}
	add_block(text, table, start, at, ret_blocks, ret_count);
}

void query_blocks_free(struct query_block *blocks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(blocks[i].table);
		free(blocks[i].text);
	}
	free(blocks);
}
