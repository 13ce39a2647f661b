/* verb_view.c - `millrace view test DIR`: a view's own cases, offline. */
#include "cli/verb.h"

#include "core/base/term.h"
#include "projections/apply/view_case.h"

#include <string.h>

static void report(void *context, const struct view_case_result *r)
{
	(void)context;
	printf("%s%-4s%s %s:%d %s\n", term(stdout, r->ok ? TERM_GREEN : TERM_RED),
	       r->ok ? "ok" : "FAIL", term(stdout, TERM_PLAIN), r->file, r->line, r->name);
	for (const char *at = r->text; !r->ok && *at != '\0';) {
		size_t size = strcspn(at, "\n");

		printf("       %.*s\n", (int)size, at);
		at += size + (at[size] == '\n');
	}
}

static int test(const char *dir)
{
	struct view_case_counts counts = { 0 };
	struct err e = ERR_INIT;
	struct view *view;
	int rc;

	if (view_read(dir, &view, &e) < 0)
		return verb_fail(&e);
	rc = view_case_run(view, report, NULL, &counts, &e);
	view_free(view);
	if (rc < 0)
		return verb_fail(&e);
	printf("%zu passed, %zu failed\n", counts.passed, counts.failed);
	if (counts.passed + counts.failed == 0) {
		err_config(&e, "%s/cases holds no case", dir);
		err_hint(&e, "Write cases/NAME.jsonl; the README shows how.");
		return verb_fail(&e);
	}
	return counts.failed == 0 ? EXIT_OK : EXIT_DIFFERS;
}

static int run(const struct settings *settings, int argc, char **argv)
{
	int rest = verb_options(&verb_view, argc, argv, NULL, 0);

	(void)settings;
	if (rest < 0)
		return EXIT_USAGE;
	if (rest != 2 || strcmp(argv[0], "test") != 0)
		return verb_usage_error(&verb_view, "write: view test DIR");
	return test(argv[1]);
}

const struct verb verb_view = {
	.name = "view",
	.summary = "run a view's own test cases, offline",
	.usage =
		"test DIR\n\n"
		"DIR is a view folder; each case in DIR/cases/*.jsonl is run against the view's "
		"handlers in memory.\n"
		"Exit code 0: all passed; 1: some failed.\n",
	.run = run,
	.needs = VERB_NEEDS_NOTHING,
};
