/* verb.h - one verb of the command line, and the table of all of them (cli/main.c).
 *
 * main has taken out -c FILE and --section.key=value, set up logging and read the settings; what
 * is left after the verb's name is argv[0 .. argc-1]. run returns an exit code of
 * core/base/err.h. A verb prints its answer to stdout, everything else to stderr. */
#ifndef CLI_VERB_H
#define CLI_VERB_H

#include "core/base/settings.h"

enum verb_needs {
	VERB_NEEDS_NAME,     /* settings without mistakes, and millrace.name */
	VERB_NEEDS_SETTINGS, /* settings without mistakes; the name may be missing */
	VERB_NEEDS_NOTHING,  /* works without configuration: settings are the defaults */
};

struct verb {
	const char *name, *summary;
	const char *usage; /* "VIEW [--no-swap]\n\n  --no-swap   leave the new version ready\n": all
			      behind "millrace NAME " */
	int (*run)(const struct settings *settings, int argc, char **argv);
	enum verb_needs needs;
	const char *bare; /* an option that makes it VERB_NEEDS_NOTHING ("--sample"), or NULL */
};

extern const struct verb *const verbs[]; /* NULL at the end */

/* Options of a verb: --name sets *flag, --name=text or `--name text` sets *text. */
struct verb_option {
	const char *name; /* "--json" */
	bool *flag;
	const char **text;
};

/* Takes the options out of argv, leaves the other arguments at its front. Returns how many of
 * those there are, or -1 after a line on stderr (unknown option with the nearest known one,
 * missing value): then return EXIT_USAGE. "--" ends the options. */
int verb_options(const struct verb *verb, int argc, char **argv, const struct verb_option *options,
		 size_t option_count);
/* Prints "millrace NAME: text" and how to get help to stderr. Returns EXIT_USAGE. */
int verb_usage_error(const struct verb *verb, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Prints the error (message and hint) to stderr as "millrace: ...". Returns its exit code. */
int verb_fail(const struct err *e);

/* Where the running capture daemon serves its API, by the status topic; malloced. ERR_RETRY: there
 * is none. (verb_snapshot.c) */
int verb_capture_address(const struct settings *settings, char **ret_address, struct err *e);
/* http_client_ask() there. It may have ended since: the error says what to do. */
struct http_call;
struct http_answer;
int verb_capture_ask(const struct http_call *call, struct http_answer *ret_answer, struct err *e);

/* verb_<name>.c, one each */
extern const struct verb verb_check, verb_config, verb_decode, verb_lag, verb_parked, verb_project,
	verb_replay, verb_run, verb_snapshot, verb_tail, verb_verify, verb_view;

#endif
