/* verb_view.c - `millrace view test DIR`: a view's own cases, offline. */
#include "cli/verb.h"

#include "core/base/term.h"
#include "projections/store/store_case.h"

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

/* In the view's own store, whose server must be there; for SQLite in memory. */
static int run_cases(const struct settings *settings, struct view *view,
		     struct view_case_counts *ret_counts, struct err *e)
{
	struct view_case_memory *memory = NULL;
	struct store_case *in_store = NULL;
	const struct store_ops *ops;
	struct view_case_place place;
	struct store *store = NULL;
	int rc = store_named(view->store, &ops, e);

	if (rc == 0 && (ops == &store_sqlite || view->kind != VIEW_SQL)) {
		memory = view_case_memory_new(&place);
	} else if (rc == 0) {
		rc = ops->open(settings, view->name, &store, e) < 0 ? -1
								     : store_try(store, view, e);
		in_store = rc == 0 ? store_case_new(store, &place) : NULL;
	}
	if (rc == 0)
		rc = view_case_run(view, &place, report, NULL, ret_counts, e);
	view_case_memory_free(memory);
	store_case_free(in_store);
	if (store != NULL)
		ops->close(store);
	return rc;
}

static int test(const struct settings *settings, const char *dir)
{
	struct view_case_counts counts = { 0 };
	struct err e = ERR_INIT;
	struct view *view;
	int rc;

	if (view_read(dir, &view, &e) < 0)
		return verb_fail(&e);
	rc = run_cases(settings, view, &counts, &e);
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

	if (rest < 0)
		return EXIT_USAGE;
	if (rest != 2 || strcmp(argv[0], "test") != 0)
		return verb_usage_error(&verb_view, "write: view test DIR");
	return test(settings, argv[1]);
}

const struct verb verb_view = {
	.name = "view",
	.summary = "run a view's own test cases, offline",
	.usage =
		"test DIR\n\n"
		"DIR is a view folder; each case in DIR/cases/*.jsonl is run against the view's "
		"handlers: in memory for SQLite, else in a scratch version in the view's store (-c FILE says "
		"where that is).\n"
		"Exit code 0: all passed; 1: some failed.\n",
	.run = run,
	.needs = VERB_NEEDS_NOTHING,
};
