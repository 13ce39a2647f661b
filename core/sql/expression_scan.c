/*
 * expression_scan.c - a look at an expression's text before SQLite sees it.
 *
 * SQLite parses; this only walks over strings, names and brackets to find what would be understood
 * differently from the source, or would reach out of the brackets that the expression is put into.
 */
#include "core/sql/expression_priv.h"

#include "core/value/temporal.h"

#include <ctype.h>

static bool reads_as_date(struct slice text)
{
	struct temporal t;

	return temporal_parse(COLUMN_DATE, text, &t) ||
	       temporal_parse(COLUMN_DATETIME2, text, &t) || temporal_parse(COLUMN_TIME2, text, &t);
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* True when what stands before `at` is "days(" or "micros(". */
static bool inside_conversion(const char *text, size_t at)
{
	size_t end, begin;

	while (at > 0 && isspace((unsigned char)text[at - 1]))
		at--;
	if (at == 0 || text[at - 1] != '(')
		return false;
	at--;
	while (at > 0 && isspace((unsigned char)text[at - 1]))
		at--;
	end = at;
	for (begin = end; begin > 0 && is_word(text[begin - 1]);)
		begin--;
	return (end - begin == 4 && strncasecmp(text + begin, "days", 4) == 0) ||
	       (end - begin == 6 && strncasecmp(text + begin, "micros", 6) == 0);
}

/* From an opening quote to behind its closing one (doubled quotes stand for themselves). 0: it
 * never closes. */
static size_t quoted_end(const char *text, size_t at)
{
	char close = text[at] == '[' ? ']' : text[at];

	for (size_t i = at + 1; text[i] != '\0'; i++) {
		if (text[i] != close)
			continue;
		if (text[i + 1] != close || close == ']')
			return i + 1;
		i++;
	}
	return 0;
}

static int scan_string(const char *text, size_t begin, size_t end, struct scan *scan, struct err *e)
{
	struct slice content = slice_of(text + begin + 1, end - begin - 2);

	if (begin > 0 && (text[begin - 1] == 'x' || text[begin - 1] == 'X') &&
	    (begin < 2 || !is_word(text[begin - 2])))
		return 0;
	for (size_t i = 0; i < content.size; i++) {
		if (content.data[i] == '\\') {
			err_config(
				e,
				"a backslash in a string means itself here but not in the source");
			return err_hint(
				e,
				"Write concat('...', char(92), '...') for a backslash, '' for a quote.");
		}
		scan->foreign_literal = scan->foreign_literal || content.data[i] >= 0x80;
	}
	scan->text_literal = true;
	if (reads_as_date(content) && !inside_conversion(text, begin))
		scan->date_literal = true;
	return 0;
}

/* One character outside of quotes. */
static int scan_plain(const char *text, size_t at, int *depth, struct err *e)
{
	char c = text[at], next = text[at + 1];

	*depth += (c == '(') - (c == ')');
	if (*depth < 0)
		return err_config(e, "a bracket is closed that was not opened");
	if (c == ';')
		return err_config(e, "an expression has no ';'");
	if ((c == '-' && next == '-') || (c == '/' && next == '*'))
		return err_config(e, "an expression has no comments");
	if (c == '|' && next == '|') {
		err_config(e, "'||' means OR in the source and concatenation in SQLite");
		return err_hint(e, "Write OR, or concat(a, b).");
	}
	if (c == '/') {
		err_config(e, "'/' divides integers differently in the source and in SQLite");
		return err_hint(e, "Multiply instead, e.g. cents * 0.01.");
	}
	return 0;
}

int expression_scan(const char *text, struct scan *ret_scan, struct err *e)
{
	struct scan scan = { 0 };
	int depth = 0;

	for (size_t i = 0; text[i] != '\0';) {
		size_t end;

		if (strchr("'\"`[", text[i]) == NULL) {
			if (scan_plain(text, i++, &depth, e) < 0)
				return -1;
			continue;
		}
		end = quoted_end(text, i);
		if (end == 0)
			return err_config(e, "the quote %c is opened but not closed", text[i]);
		if (text[i] == '\'' && scan_string(text, i, end, &scan, e) < 0)
			return -1;
		i = end;
	}
	if (depth != 0)
		return err_config(e, "a bracket is opened but not closed");
	*ret_scan = scan;
	return 0;
}
