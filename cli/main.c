/* main.c - the command line: `millrace [-c FILE] VERB [ARGUMENTS] [--section.key=value ...]`.
 *
 * Finds the verb, takes out what belongs to the configuration, reads and checks it, sets up the
 * log, and runs the verb, which decides the exit code (core/base/err.h). The configuration file
 * is the one of -c, else of $MILLRACE_CONFIG, else ./millrace.conf or
 * /etc/millrace/millrace.conf if there is one, else none: environment and flags can say
 * everything. */
#include "cli/verb.h"

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/term.h"

#include <stdarg.h>
#include <string.h>

const struct verb *const verbs[] = {
	&verb_run,   &verb_project, &verb_replay, &verb_verify,   &verb_view,
	&verb_lag,   &verb_tail,    &verb_parked, &verb_snapshot, &verb_decode,
	&verb_check, &verb_config,  NULL,
};

struct command {
	const char *file;
	const struct verb *verb;
	struct settings_flag *flags;
	size_t flag_count;
	char **rest; /* arguments of the verb */
	int rest_count;
	bool help, version;
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; verbs[i] != NULL; i++)
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	return NULL;
}

static int unknown_verb(const char *name)
{
	const char *names[64], *near;
	size_t n = 0;

	for (; verbs[n] != NULL && n < 64; n++)
		names[n] = verbs[n]->name;
	near = settings_nearest(name, names, n);
	fprintf(stderr, "millrace: there is no verb '%s'%s%s%s\n", name,
		near != NULL ? "; did you mean " : "", near != NULL ? near : "",
		near != NULL ? "?" : "");
	fputs("HINT: `millrace help` lists them.\n", stderr);
	return EXIT_USAGE;
}

static void print_help(FILE *out)
{
	fprintf(out,
		"millrace %s - a MySQL or MariaDB binlog as typed Avro events on Kafka, and views that can be rebuilt\n\n",
		MILLRACE_VERSION);
	fputs("usage: millrace [-c FILE] VERB [ARGUMENTS] [--section.key=value ...]\n\n", out);
	for (size_t i = 0; verbs[i] != NULL; i++)
		fprintf(out, "  %s%-9s%s %s\n", term(out, TERM_BOLD), verbs[i]->name,
			term(out, TERM_PLAIN), verbs[i]->summary);
	fputs("\n"
	      "  -c FILE              configuration (default: $MILLRACE_CONFIG, ./millrace.conf,\n"
	      "                       /etc/millrace/millrace.conf)\n"
	      "  --section.key=value  one setting, stronger than the environment (MILLRACE_SECTION_KEY) and the file\n"
	      "  --version            print the version\n\n"
	      "`millrace help VERB` explains a verb, `millrace config --sample` every setting.\n"
	      "Exit codes: 0 done, 1 differs, 2 usage, 3 configuration, 4 data, 5 unreachable, 6 fatal, 7 fenced, 8 purged\n",
	      out);
}

static int print_verb_help(const struct verb *verb)
{
	printf("millrace %s - %s\n\nusage: millrace [-c FILE] %s %s%s", verb->name, verb->summary,
	       verb->name, verb->usage, strchr(verb->usage, '\n') != NULL ? "" : "\n");
	return EXIT_OK;
}

static int help(int argc, char **argv)
{
	const struct verb *verb;

	if (argc == 0) {
		print_help(stdout);
		return EXIT_OK;
	}
	verb = find_verb(argv[0]);
	return verb != NULL ? print_verb_help(verb) : unknown_verb(argv[0]);
}

/* "--source.host=x": a dot before any '='. */
static bool is_setting(const char *argument)
{
	size_t size = strcspn(argument, "=");

	return strncmp(argument, "--", 2) == 0 && memchr(argument, '.', size) != NULL;
}

static void take_setting(struct command *c, char *argument)
{
	char *equals = strchr(argument, '=');

	if (equals != NULL)
		*equals = '\0';
	c->flags[c->flag_count++] =
		(struct settings_flag){ argument + 2, equals != NULL ? equals + 1 : NULL };
}

/* Sorts the arguments. Behind "--" everything is the verb's. Returns an exit code, or -1 to go
 * on.
 */
static int sort_arguments(struct command *c, int argc, char **argv)
{
	bool plain = false;

	for (int i = 1; i < argc; i++) {
		bool first = c->rest_count == 0;

		plain = plain || strcmp(argv[i], "--") == 0;
		if (plain)
			c->rest[c->rest_count++] = argv[i];
		else if (strcmp(argv[i], "-c") == 0 && i + 1 < argc)
			c->file = argv[++i];
		else if (strcmp(argv[i], "-c") == 0)
			return fputs("millrace: -c needs a file\n", stderr), EXIT_USAGE;
		else if (is_setting(argv[i]))
			take_setting(c, argv[i]);
		else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			c->help = true;
		else if (first && strcmp(argv[i], "--version") == 0)
			c->version = true;
		else if (first && argv[i][0] == '-')
			return fprintf(stderr, "millrace: %s is not an option (`millrace help`)\n",
				       argv[i]),
			       EXIT_USAGE;
		else
			c->rest[c->rest_count++] = argv[i];
	}
	return -1;
}

static const char *find_file(const struct command *c)
{
	const char *named = getenv("MILLRACE_CONFIG");

	if (c->file != NULL)
		return c->file;
	if (named != NULL && *named != '\0')
		return named;
	if (access("millrace.conf", F_OK) == 0)
		return "millrace.conf";
	return access("/etc/millrace/millrace.conf", F_OK) == 0 ? "/etc/millrace/millrace.conf"
								: NULL;
}

/* A command answers on its own lines; what libraries and parts of it log meanwhile is for daemons,
 * unless log.level asks for it. */
static void set_up_log(const struct settings *s, const struct verb *verb)
{
	bool daemon = verb == &verb_run || verb == &verb_project;
	static const char *const levels[] = { "debug", "info", "warning", "error" };
	enum log_level level = LOG_LEVEL_INFO;

	for (size_t i = 0; i < 4; i++)
		if (strcmp(s->log_level, levels[i]) == 0)
			level = (enum log_level)i;
	if (!daemon && level == LOG_LEVEL_INFO)
		level = LOG_LEVEL_ERROR;
	log_setup(level, strcmp(s->log_format, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT);
}

static bool needs_nothing(const struct command *c)
{
	for (int i = 1; i < c->rest_count && c->verb->bare != NULL; i++)
		if (strcmp(c->rest[i], c->verb->bare) == 0)
			return true;
	return c->verb->needs == VERB_NEEDS_NOTHING;
}

/* Reads the settings that the verb needs. Prints all mistakes and returns an exit code, or -1 to
 * go on. */
static int read_settings(const struct command *c, struct settings **ret_settings)
{
	static const char *const name[] = { "millrace.name", NULL };
	bool needed = !needs_nothing(c);
	struct buf mistakes = BUF_INIT;
	struct err e = ERR_INIT;
	size_t count = settings_read_all(needed ? find_file(c) : c->file, c->flags, c->flag_count,
					 ret_settings, &mistakes);

	if (count != 0) {
		fprintf(stderr, "%smillrace: %zu mistake%s in the configuration\n",
			buf_cstr(&mistakes), count, count == 1 ? "" : "s");
		buf_done(&mistakes);
		return EXIT_CONFIG;
	}
	buf_done(&mistakes);
	if (c->verb->needs == VERB_NEEDS_NAME && settings_require(*ret_settings, name, &e) < 0) {
		settings_free(*ret_settings);
		return verb_fail(&e);
	}
	return -1;
}

static int run_verb(struct command *c)
{
	struct settings *settings = NULL;
	int code = read_settings(c, &settings);

	if (code >= 0)
		return code;
	set_up_log(settings, c->verb);
	code = c->verb->run(settings, c->rest_count - 1, c->rest + 1);
	settings_free(settings);
	return code;
}

static int run_command(struct command *c)
{
	if (c->version) {
		printf("millrace %s\n", MILLRACE_VERSION);
		return EXIT_OK;
	}
	if (c->rest_count == 0) {
		print_help(c->help ? stdout : stderr);
		return c->help ? EXIT_OK : EXIT_USAGE;
	}
	if (strcmp(c->rest[0], "help") == 0)
		return help(c->rest_count - 1, c->rest + 1);
	c->verb = find_verb(c->rest[0]);
	if (c->verb == NULL)
		return unknown_verb(c->rest[0]);
	return c->help ? print_verb_help(c->verb) : run_verb(c);
}

int main(int argc, char **argv)
{
	struct command c = { .flags = xcalloc((size_t)argc, sizeof(*c.flags)),
			     .rest = xcalloc((size_t)argc + 1, sizeof(*c.rest)) };
	int code;

	mem_init();
	code = sort_arguments(&c, argc, argv);

	if (code < 0)
		code = run_command(&c);
	if (fflush(stdout) != 0 && code == EXIT_OK) {
		perror("millrace: writing the answer");
		code = EXIT_FATAL;
	}
	free(c.flags);
	free(c.rest);
	return code;
}
