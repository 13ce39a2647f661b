/* finding.c - the list of finding.h. The worst exit code is the highest one: unreachable (5)
 * says more than a setting (3), because nothing behind it could be looked at. */
#include "cli/finding.h"

#include "core/base/mem.h"
#include "core/base/term.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#define TEXT_COLUMN 19

struct finding {
	enum finding_level level;
	char *area, *text, *hint;
};

struct findings {
	struct finding *items;
	size_t count;
	int exit_code;
};

static const char *const level_names[] = { "ok", "warning", "fail" };

struct findings *findings_new(void)
{
	return xcalloc(1, sizeof(struct findings));
}

void findings_free(struct findings *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->count; i++) {
		free(f->items[i].area);
		free(f->items[i].text);
		free(f->items[i].hint);
	}
	free(f->items);
	free(f);
}

static void append(struct findings *f, enum finding_level level, const char *area, const char *hint,
		   char *take_text, int exit_code)
{
	f->items = xrealloc(f->items, (f->count + 1) * sizeof(*f->items));
	f->items[f->count++] = (struct finding){ level, xstrdup(area), take_text,
						 hint != NULL ? xstrdup(hint) : NULL };
	if (level == FINDING_FAIL && exit_code > f->exit_code)
		f->exit_code = exit_code;
}

void finding_add(struct findings *f, enum finding_level level, const char *area, const char *hint,
		 const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = xstrdup("?");
	va_end(args);
	append(f, level, area, hint, text, EXIT_CONFIG);
}

void finding_err(struct findings *f, enum finding_level level, const char *area,
		 const struct err *e)
{
	static const char mark[] = "\nHINT: ";
	const char *hint = strstr(e->msg, mark);

	append(f, level, area, hint != NULL ? hint + sizeof(mark) - 1 : NULL,
	       xstrndup(e->msg, hint != NULL ? (size_t)(hint - e->msg) : strlen(e->msg)),
	       err_exit_code(e));
}

int findings_exit_code(const struct findings *f)
{
	return f->exit_code;
}

/* The text; its further lines stand below its first. */
static void print_lines(const char *text)
{
	for (; *text != '\0'; text++) {
		fputc(*text, stdout);
		if (*text == '\n')
			printf("%*s", TEXT_COLUMN, "");
	}
	fputc('\n', stdout);
}

void findings_print(const struct findings *f)
{
	static const char *const colours[] = { TERM_GREEN, TERM_YELLOW, TERM_RED };
	size_t counts[3] = { 0 };

	for (size_t i = 0; i < f->count; i++) {
		const struct finding *item = &f->items[i];

		counts[item->level]++;
		printf("%s%-8s%s %-9s ", term(stdout, colours[item->level]),
		       level_names[item->level], term(stdout, TERM_PLAIN), item->area);
		print_lines(item->text);
		if (item->hint != NULL) {
			printf("%*sHINT: ", TEXT_COLUMN, "");
			print_lines(item->hint);
		}
	}
	printf("\n%zu ok, %zu %s, %zu failed\n", counts[FINDING_OK], counts[FINDING_WARNING],
	       counts[FINDING_WARNING] == 1 ? "warning" : "warnings", counts[FINDING_FAIL]);
}

void findings_print_json(const struct findings *f)
{
	json_t *array = json_array();

	for (size_t i = 0; i < f->count; i++) {
		const struct finding *item = &f->items[i];

		json_array_append_new(array, json_pack("{s:s,s:s,s:s,s:s?}", "level",
						       level_names[item->level], "area", item->area,
						       "text", item->text, "hint", item->hint));
	}
	array = json_pack("{s:o,s:i}", "findings", array, "exit_code", f->exit_code);
	json_dumpf(array, stdout, JSON_INDENT(2));
	fputc('\n', stdout);
	json_decref(array);
}
