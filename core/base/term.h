/* term.h - what a stream can show: colours only on a terminal, and never when NO_COLOR is set
 * (no-color.org) or TERM is dumb. */
#ifndef CORE_BASE_TERM_H
#define CORE_BASE_TERM_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TERM_RED "\033[31m"
#define TERM_GREEN "\033[32m"
#define TERM_YELLOW "\033[33m"
#define TERM_BOLD "\033[1m"
#define TERM_DIM "\033[2m"
#define TERM_PLAIN "\033[0m"

static inline bool term_is(FILE *out)
{
	return isatty(fileno(out)) == 1;
}

static inline bool term_colours(FILE *out)
{
	const char *no = getenv("NO_COLOR"), *kind = getenv("TERM");

	return term_is(out) && (no == NULL || *no == '\0') &&
	       (kind == NULL || strcmp(kind, "dumb") != 0);
}

/* The escape sequence, or nothing where colours are unwanted: fprintf(out, "%sok%s", term(out,
 * TERM_GREEN), ...). */
static inline const char *term(FILE *out, const char *sequence)
{
	return term_colours(out) ? sequence : "";
}

static inline size_t term_width(FILE *out)
{
	struct winsize size;

	return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

#endif
