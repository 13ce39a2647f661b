/* verb_view.c - `millrace view`: test runs a view's own cases; list, show and drop are in
 * verb_view_list.c, new in verb_view_new.c. */
#include "cli/verb_view.h"

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
	static const char *const name[] = { "millrace.name", NULL };
	struct err e = ERR_INIT;
	struct view_new new = { 0 };
	bool json = false, all = false;
	const struct verb_option options[] = {
		{ "--json", &json, NULL },       { "--all", &all, NULL },
		{ "--table", NULL, &new.table }, { "--kind", NULL, &new.kind },
		{ "--store", NULL, &new.store }, { "--columns", NULL, &new.columns },
		{ "--key", NULL, &new.key },     { "--topic", NULL, &new.topic },
	};
	int rest =
		verb_options(&verb_view, argc, argv, options, sizeof(options) / sizeof(options[0]));
	const char *what = rest > 0 ? argv[0] : "list";

	if (rest < 0)
		return EXIT_USAGE;
	if (strcmp(what, "test") == 0 && rest == 2)
		return test(settings, argv[1]);
	if (settings_require(settings, name, &e) < 0)
		return verb_fail(&e);
	if (strcmp(what, "list") == 0 && rest <= 1)
		return verb_view_list(settings, json);
	if (strcmp(what, "show") == 0 && rest == 2)
		return verb_view_show(settings, argv[1], json);
	if (strcmp(what, "drop") == 0 && rest == (all ? 2 : 3))
		return verb_view_drop(settings, argv[1], all ? NULL : argv[2]);
	if (strcmp(what, "new") == 0 && rest == 2 && (new.table == NULL) != (new.topic == NULL)) {
		new.name = argv[1];
		return verb_view_new(settings, &new);
	}
	return verb_usage_error(&verb_view, "write: view list, show VIEW, drop VIEW VERSION, "
					    "new NAME --table DB.TABLE, new NAME --topic TOPIC, "
					    "or test DIR");
}

const struct verb verb_view = {
	.name = "view",
	.summary = "list, show, begin and test views; drop a version",
	.usage =
		"list [--json]\n"
		"       millrace view show VIEW [--json]\n"
		"       millrace view drop VIEW VERSION | --all\n"
		"       millrace view new NAME --table DB.TABLE [--kind sql|mirror|query] [--store STORE]\n"
		"                         [--columns A,B,C] [--key A]\n"
		"       millrace view new NAME --topic TOPIC [--store STORE]\n"
		"       millrace view test DIR\n\n"
		"  list   all views that any process serves: store, kind, live version, lag, verified\n"
		"  show   its versions, with sizes, definitions, parked records and the place to read "
		"them\n"
		"  drop   remove a version that is not live, whatever it is doing; --all: of a view "
		"whose folder is gone\n"
		"  new    a folder in project.views that works: a view of one captured table, with "
		"handlers\n"
		"         (item templates for DynamoDB) and source.sql, or query.sql and keys/; and a case;\n"
		"         columns as registered, or --columns and --key; or of the events of one "
		"topic, as the\n"
		"         files in capture.events say\n"
		"  test   run a view's own cases\n\n"
		"DIR is a view folder; each case in DIR/cases/*.jsonl is run against the view's "
		"handlers: in memory for SQLite, else in a scratch version in the view's store (-c FILE says "
		"where that is).\n"
		"Exit code 0: all passed; 1: some failed.\n",
	.run = run,
	.needs = VERB_NEEDS_SETTINGS,
	.bare = "test",
};
