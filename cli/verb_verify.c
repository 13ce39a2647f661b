/* verb_verify.c - `millrace verify VIEW`: the view against the same question asked of the source,
 * at one GTID. */
#include "cli/verb.h"

#include "cli/view_access.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/progress.h"
#include "core/base/stop.h"
#include "core/base/term.h"

#include <stdlib.h>

struct asked {
	bool json;
	const char *view, *source, *version_text, *rate_text;
	int64_t version, rate; /* 0: the live one; as fast as it goes */
};

static bool draw(void *context, const char *table, int64_t rows)
{
	(void)table;
	progress_update(context, rows, 0);
	return !stop_requested();
}

/* Of the version that was verified: the tables it reads that may differ from the source, and since
 * when. NULL: none, or it is not known any more. */
static json_t *find_reconciling(struct view_access *a, int version)
{
	json_t *state = NULL, *one, *found = NULL;
	struct err ignored = ERR_INIT;
	size_t i;

	if (view_access_get(a, &state, &ignored) < 0)
		return NULL;
	json_array_foreach(json_object_get(state, "versions"), i, one)
	{
		if (json_integer_value(json_object_get(one, "version")) == version &&
		    json_object_get(one, "reconciling") != NULL)
			found = json_pack("{sOsO}", "tables", json_object_get(one, "reconciling"),
					  "since_us", json_object_get(one, "reconciling_since_us"));
	}
	json_decref(state);
	return found;
}

static void print_reconciling(const json_t *reconciling)
{
	char since[CLOCK_TEXT_SIZE];

	if (reconciling == NULL)
		return;
	clock_text(json_integer_value(json_object_get(reconciling, "since_us")), since);
	printf("%sreconciling%s since %s: differences in %s are expected until it has ended "
	       "(`millrace lag`)\n",
	       term(stdout, TERM_YELLOW), term(stdout, TERM_PLAIN), since,
	       json_string_value(json_object_get(reconciling, "tables")));
}

static void print_json(const struct asked *asked, const struct verify_result *r,
		       json_t *reconciling)
{
	struct buf text = BUF_INIT;
	json_t *json;

	verify_json(asked->view, r, &text);
	json = json_loadb((const char *)text.data, text.size, 0, NULL);
	if (reconciling != NULL)
		json_object_set(json, "reconciling", reconciling);
	json_dumpf(json, stdout, JSON_COMPACT);
	printf("\n");
	json_decref(json);
	buf_done(&text);
}

/* "3 missing, 1 changed; 2 were late" */
static void print_kinds(const json_t *result)
{
	static const char *const kinds[] = { "missing", "extra", "changed" };
	long long late = json_integer_value(json_object_get(result, "late"));
	const char *before = "  ";

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		long long count = json_integer_value(json_object_get(result, kinds[i]));

		if (count == 0)
			continue;
		printf("%s%lld %s", before, count, kinds[i]);
		before = ", ";
	}
	if (late > 0)
		printf("%s%lld late: the same at a later GTID", before, late);
	if (late > 0 || before[0] == ',')
		printf("\n");
}

/* One GTID, or those of its first piece and its last. */
static void print_summary(const struct asked *asked, const struct verify_result *r)
{
	int64_t differences = compare_differences(r->compare), rows = compare_rows(r->compare);
	bool several = strcmp(r->first_gtid_set, r->gtid_set) != 0;
	struct buf text = BUF_INIT, rate = BUF_INIT;

	progress_number(&text, rows);
	progress_number(&rate,
			r->took_us > 0 ? (int64_t)((double)rows * 1e6 / (double)r->took_us) : 0);
	printf("%s%s%s version %d at GTID %s%s%s: %s rows, %lld difference%s (%.1f s, %s rows/s)\n",
	       term(stdout, differences == 0 ? TERM_GREEN : TERM_RED), asked->view,
	       term(stdout, TERM_PLAIN), r->version, several ? r->first_gtid_set : r->gtid_set,
	       several ? " to " : "", several ? r->gtid_set : "", buf_cstr(&text),
	       (long long)differences, differences == 1 ? "" : "s", (double)r->took_us / 1e6,
	       buf_cstr(&rate));
	buf_done(&text);
	buf_done(&rate);
}

static int print_result(const struct asked *asked, const struct verify_result *r,
			json_t *reconciling)
{
	struct buf text = BUF_INIT;
	json_t *json;

	if (asked->json) {
		print_json(asked, r, reconciling);
	} else {
		print_summary(asked, r);
		verify_json(asked->view, r, &text);
		json = json_loadb((const char *)text.data, text.size, 0, NULL);
		print_kinds(json);
		view_print_compare(json_object_get(json, "compare"), "view", "source");
		json_decref(json);
		print_reconciling(reconciling);
	}
	buf_done(&text);
	return compare_differences(r->compare) == 0 ? EXIT_OK : EXIT_DIFFERS;
}

static int ask(struct view_access *a, const struct settings *settings, struct store *store,
	       int version, const struct view *view, int64_t rate, struct verify_result *ret_result,
	       struct err *e)
{
	struct progress *p = progress_new(stderr, "asking the source", "rows");
	struct verify_options options = {
		.settings = settings,
		.store = store,
		.version = version,
		.view = view,
		.rate = rate,
		.progress = draw,
		.context = p,
	};
	int rc;

	view_access_control(a, version, &options.control);
	rc = verify_run(&options, ret_result, e);
	progress_clear(p);
	progress_free(p);
	return rc;
}

static int verify(const struct settings *settings, const struct asked *asked)
{
	struct verify_result result = { 0 };
	struct view_access *a = NULL;
	const struct store_ops *ops;
	struct store *store = NULL;
	struct view *view = NULL;
	json_t *reconciling;
	struct err e = ERR_INIT;
	int version, code;

	if (store_of(settings, asked->view, &ops, &e) < 0 ||
	    ops->open(settings, asked->view, &store, &e) < 0 ||
	    verify_find(store, asked->view, (int)asked->version, asked->source, &version, &view,
			&e) < 0 ||
	    view_access_open(settings, asked->view, &a, &e) < 0 ||
	    ask(a, settings, store, version, view, asked->rate, &result, &e) < 0) {
		code = verb_fail(&e);
	} else {
		reconciling = find_reconciling(a, version);
		code = print_result(asked, &result, reconciling);
		json_decref(reconciling);
		if (asked->version == 0 && asked->source == NULL)
			view_access_verified(a, result.gtid_set, compare_rows(result.compare),
					     compare_differences(result.compare));
	}
	verify_result_done(&result);
	view_free(view);
	if (store != NULL)
		store->ops->close(store);
	view_access_close(a);
	return code;
}

/* 1 .. most; NULL: leaves it alone. False: something else. */
static bool read_number(const char *text, int64_t most, int64_t *ret_number)
{
	long long n;
	char *end;

	if (text == NULL)
		return true;
	n = strtoll(text, &end, 10);
	*ret_number = n;
	return n >= 1 && n <= most && *end == '\0';
}

static int run(const struct settings *settings, int argc, char **argv)
{
	struct asked asked = { 0 };
	const struct verb_option options[] = {
		{ "--json", &asked.json, NULL },
		{ "--source", NULL, &asked.source },
		{ "--version", NULL, &asked.version_text },
		{ "--rate", NULL, &asked.rate_text },
	};
	int rest = verb_options(&verb_verify, argc, argv, options,
				sizeof(options) / sizeof(options[0]));

	if (rest < 0)
		return EXIT_USAGE;
	if (rest != 1)
		return verb_usage_error(&verb_verify,
					rest == 0 ? "which view?" : "one view at a time");
	if (!read_number(asked.version_text, 1000000, &asked.version))
		return verb_usage_error(&verb_verify, "--version needs a number, not '%s'",
					asked.version_text);
	if (!read_number(asked.rate_text, 100000000, &asked.rate))
		return verb_usage_error(&verb_verify, "--rate needs rows a second, not '%s'",
					asked.rate_text);
	asked.view = argv[0];
	stop_install();
	return verify(settings, &asked);
}

const struct verb verb_verify = {
	.name = "verify",
	.summary = "compare a view with the same question asked of the source, at one GTID",
	.usage =
		"VIEW [--source FILE] [--version N] [--rate N] [--json]\n\n"
		"  --source FILE   another question than the one the version was built with (as "
		"source.sql)\n"
		"  --version N     another version than the live one\n"
		"  --rate N        so many rows a second at most; the source is asked for a piece, then left alone\n"
		"  --json          print the result as JSON\n\n"
		"Exit code 0: no difference; 1: it differs, with samples. Tables that are being reconciled are "
		"named:\ndifferences in them are expected.\n",
	.run = run,
	.needs = VERB_NEEDS_NAME,
};
