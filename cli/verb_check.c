/* verb_check.c - `millrace check [run|project]`: would it work? Connects to everything, changes
 * nothing, says what to fix.
 *
 * The configuration itself was read before the verb runs (main.c prints all its mistakes).
 * Without an argument everything that is configured is looked at: capture when capture.tables is
 * set, views when their folder exists. */
#include "cli/check.h"
#include "cli/verb.h"

#include <string.h>
#include <sys/stat.h>

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void check(const struct settings *settings, bool capture, bool views, struct findings *f)
{
	static const char *const needed[] = { "capture.tables", NULL };
	struct check_topics topics = { NULL, 0 };
	struct err e = ERR_INIT;

	finding_add(f, FINDING_OK, "settings", NULL, "%s: no mistakes",
		    settings->file != NULL ? settings->file : "no file, environment and flags");
	if (capture && settings_require(settings, needed, &e) < 0)
		finding_err(f, FINDING_FAIL, "settings", &e);
	else if (capture)
		check_source(settings, &topics, f);
	check_kafka(settings, &topics, f);
	check_topics_done(&topics);
	if (views)
		check_views(settings, f);
}

static int run(const struct settings *settings, int argc, char **argv)
{
	bool json = false, verbose = false, both;
	const struct verb_option options[] = { { "--json", &json, NULL },
					       { "-v", &verbose, NULL } };
	int rest = verb_options(&verb_check, argc, argv, options, 2), code;
	struct findings *f;

	if (rest < 0)
		return EXIT_USAGE;
	if (rest > 1 ||
	    (rest == 1 && strcmp(argv[0], "run") != 0 && strcmp(argv[0], "project") != 0))
		return verb_usage_error(&verb_check, "'%s' is neither run nor project",
					argv[rest - 1]);
	both = rest == 0;
	f = findings_new();
	check(settings, both ? settings->capture_tables.count != 0 : strcmp(argv[0], "run") == 0,
	      both ? is_folder(settings->project_views_dir) : strcmp(argv[0], "project") == 0, f);
	if (json)
		findings_print_json(f);
	else
		findings_print(f);
	if (verbose && !json) {
		fputc('\n', stdout);
		settings_print(settings, stdout);
	}
	code = findings_exit_code(f);
	findings_free(f);
	return code;
}

const struct verb verb_check = {
	.name = "check",
	.summary =
		"look at configuration, source, Kafka and views; change nothing; say what to fix",
	.usage =
		"[run|project] [-v] [--json]\n\n"
		"  run       only what `millrace run` needs\n"
		"  project   only what `millrace project` needs\n"
		"  -v        print the effective configuration too\n"
		"  --json    the findings as JSON\n\n"
		"The exit code is the worst that was found: 0, 3 (configuration), 4 (data), 5 (unreachable).\n",
	.run = run,
};
