/* verb_replay.c - `millrace replay VIEW`: rebuild beside the live version, show the diff, swap; or
 * roll back.
 *
 * The daemon that owns the view does the work, and goes on with it if this command is interrupted.
 * Without a daemon the same code runs here; interrupted, it stands where it stood, and the next
 * replay or the daemon takes it up again. */
#include "cli/verb.h"

#include "cli/view_access.h"
#include "core/base/clock.h"
#include "core/base/progress.h"
#include "core/base/stop.h"
#include "core/base/term.h"

#define POLL_MS 150
#define AWAY_US 30000000 /* how long the daemon may be away (a restart) */

struct asked {
	bool no_swap, rollback, swap, force, json, nice;
	const char *view, *as_of;
	int64_t version; /* that is to be built, or to go live */
};

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static int64_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const json_t *version_of(const json_t *state, int64_t version)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(state, "versions"), i, one)
	{
		if (number(one, "version") == version)
			return one;
	}
	return NULL;
}

/* The partition that has the most left, of those that were there when the build began. */
static void note_slowest(struct progress *p, const json_t *version)
{
	const json_t *slowest = json_object_get(version, "slowest");
	struct buf note = BUF_INIT;

	if (json_is_object(slowest)) {
		buf_add_format(&note, "slowest %s-%lld: ", text(slowest, "topic"),
			       (long long)number(slowest, "partition"));
		progress_number(&note, number(slowest, "total") - number(slowest, "done"));
		buf_add_str(&note, " left");
	}
	progress_note(p, buf_cstr(&note));
	buf_done(&note);
}

/* Events are counted while the version is built; the phases behind it show the time they take. */
static void draw(struct progress *p, const json_t *state, const char **shown_phase)
{
	static const char *const labels[][2] = {
		{ "building", "building" },
		{ "finishing", "writing indexes" },
		{ "diffing", "comparing" },
		{ "swapping", "swapping" },
	};
	const json_t *job = json_object_get(state, "job"),
		     *v = version_of(state, number(job, "version"));
	const char *phase = text(job, "phase"), *label = NULL;
	int64_t records = v != NULL ? number(v, "records") : 0;

	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		if (strcmp(phase, labels[i][0]) == 0)
			label = labels[i][1];
	note_slowest(p, label == labels[0][1] ? v : NULL); /* before a phase's last state */
	if (*shown_phase == labels[0][1] && label != labels[0][1] && records > 0)
		progress_update_rate(p, records, records,
				     json_real_value(json_object_get(v, "rate")));
	if (label != NULL && label != *shown_phase) {
		progress_label(p, label);
		*shown_phase = label;
	}
	if (label == labels[0][1] && records > 0)
		progress_update_rate(p, records, number(v, "records_total"),
				     json_real_value(json_object_get(v, "rate")));
	else if (label != NULL)
		progress_update(p, -1, 0);
}

static bool is_over(const json_t *state, const struct asked *asked)
{
	const char *phase = text(json_object_get(state, "job"), "phase");

	return strcmp(phase, "done") == 0 || strcmp(phase, "failed") == 0 ||
	       strcmp(phase, "idle") == 0 ||
	       (strcmp(phase, "ready") == 0 &&
		(asked->no_swap || asked->swap ||
		 text(json_object_get(state, "job"), "note")[0] != '\0'));
}

/* Looks until the job is over. 0: *ret_state is the last; 1: interrupted; -1: error. */
static int watch(struct view_access *a, const struct asked *asked, json_t **ret_state,
		 struct err *e)
{
	struct progress *p = progress_new(stderr, "replay", "events");
	int64_t seen_us = clock_monotonic_us();
	const char *shown_phase = NULL;
	json_t *state = NULL;
	int rc = 1;

	while (!stop_requested()) {
		json_decref(state);
		state = NULL;
		if (view_access_get(a, &state, e) == 0) {
			seen_us = clock_monotonic_us();
			draw(p, state, &shown_phase);
			if (is_over(state, asked)) {
				rc = 0;
				break;
			}
		} else if (e->kind != ERR_RETRY || clock_monotonic_us() - seen_us > AWAY_US) {
			rc = -1;
			break;
		}
		stop_wait_ms(POLL_MS);
	}
	progress_free(p);
	if (rc == 0)
		*ret_state = state;
	else
		json_decref(state);
	return rc;
}

static void print_diff(const json_t *state, const char *view)
{
	const json_t *diff = json_object_get(state, "diff"),
		     *compare = json_object_get(diff, "compare");
	char old[40], new[40];

	if (diff == NULL)
		return;
	snprintf(old, sizeof(old), "v%lld", (long long)number(diff, "old_version"));
	snprintf(new, sizeof(new), "v%lld", (long long)number(diff, "new_version"));
	printf("%s: %s against %s at GTID %s (seq %lld)\n", view, old, new, text(diff, "gtid_set"),
	       (long long)number(diff, "seq"));
	if (json_is_false(json_object_get(diff, "same_position")))
		printf("  %s has failed and stands elsewhere: part of what differs is only later\n",
		       old);
	printf("\n");
	view_print_compare(compare, old, new);
	printf("\n");
}

/* Both versions were made from the same records: no reason to hold a swap back, but to say so. */
static void warn_reconciling(const json_t *version)
{
	char since[CLOCK_TEXT_SIZE];

	if (text(version, "reconciling")[0] == '\0')
		return;
	clock_text(number(version, "reconciling_since_us"), since);
	printf("%sreconciling%s since %s: the view may differ from the source in %s until it has "
	       "ended\n",
	       term(stdout, TERM_YELLOW), term(stdout, TERM_PLAIN), since,
	       text(version, "reconciling"));
}

/* A daemon that was restarted forgets a swap that was only asked for; what is live decides. */
static bool is_lost(const json_t *state, const struct asked *asked)
{
	const char *phase = text(json_object_get(state, "job"), "phase");

	if (asked->as_of != NULL)
		return strcmp(text(version_of(state, asked->version), "state"), "as-of") != 0;
	if (strcmp(phase, "ready") != 0)
		return number(state, "live") != asked->version;
	return version_of(state, asked->version) == NULL ||
	       (asked->swap && text(json_object_get(state, "job"), "note")[0] == '\0');
}

static int print_lost(const json_t *state, const struct asked *asked)
{
	fprintf(stderr,
		"millrace: version %lld of %s was not made live: whoever worked on it ended "
		"before it was done\n  HINT: Version %lld is live. Ask again.\n",
		(long long)asked->version, asked->view, (long long)number(state, "live"));
	return EXIT_UNREACHABLE;
}

static int print_as_of(const json_t *version, const struct asked *asked)
{
	printf("version %lld shows %s as of %s (seq %lld, GTID %s)\n",
	       (long long)asked->version, asked->view, asked->as_of,
	       (long long)number(version, "seq"), text(version, "gtid_set"));
	printf("read it at %s; it stays as it is until `millrace view drop %s %lld`\n",
	       text(version, "place"), asked->view, (long long)asked->version);
	return EXIT_OK;
}

static int print_end(const json_t *state, const struct asked *asked)
{
	const json_t *job = json_object_get(state, "job"),
		     *v = version_of(state, number(job, "version"));
	const char *phase = text(job, "phase");
	double seconds = (double)(number(job, "ended_us") - number(job, "started_us")) / 1e6;
	struct buf records = BUF_INIT;

	if (strcmp(phase, "failed") == 0) {
		fprintf(stderr, "millrace: %s of %s failed: %s\n", text(job, "kind"), asked->view,
			text(job, "error"));
		fprintf(stderr, "The live version is untouched.\n");
		return number(job, "exit_code") != 0 ? (int)number(job, "exit_code") : EXIT_FATAL;
	}
	if (is_lost(state, asked))
		return print_lost(state, asked);
	if (asked->as_of != NULL)
		return print_as_of(version_of(state, asked->version), asked);
	if (!asked->rollback && !asked->swap)
		print_diff(state, asked->view);
	progress_number(&records, v != NULL ? number(v, "records") : 0);
	if (!asked->rollback && !asked->swap && v != NULL)
		printf("rebuilt from %s events in %.1f s (%.0f events/s)\n", buf_cstr(&records),
		       seconds, seconds > 0 ? (double)number(v, "records") / seconds : 0);
	buf_done(&records);
	warn_reconciling(v);
	if (strcmp(phase, "ready") == 0)
		printf("version %lld is ready; `millrace replay %s --swap` makes it live\n",
		       (long long)number(job, "version"), asked->view);
	if (text(job, "note")[0] != '\0') {
		fprintf(stderr, "millrace: %s\n", text(job, "note"));
		return EXIT_CONFIG;
	}
	if (strcmp(phase, "ready") != 0)
		printf("%sversion %lld of %s is live%s", term(stdout, TERM_GREEN),
		       (long long)number(state, "live"), asked->view, term(stdout, TERM_PLAIN));
	if (strcmp(phase, "done") == 0 && number(job, "from") != 0)
		printf("; version %lld stays applied for a while: `millrace replay %s --rollback` "
		       "goes back",
		       (long long)number(job, "from"), asked->view);
	if (strcmp(phase, "ready") != 0)
		printf("\n");
	return EXIT_OK;
}

static int begin(struct view_access *a, const struct settings *settings, struct asked *asked,
		 struct err *e)
{
	struct host_replay_options o = { .no_swap = asked->no_swap,
					 .force = asked->force,
					 .share = asked->nice ? settings->project_nice_share : 0,
					 .as_of = asked->as_of };
	json_t *state = NULL;
	int rc;

	if (asked->rollback)
		rc = view_access_rollback(a, asked->force, &state, e);
	else if (asked->swap)
		rc = view_access_swap(a, asked->force, &state, e);
	else
		rc = view_access_replay(a, &o, &state, e);
	if (rc == 0)
		asked->version = number(json_object_get(state, "job"), "version");
	json_decref(state);
	return rc;
}

static int replay(const struct settings *settings, struct asked *asked)
{
	struct view_access *a = NULL;
	struct err e = ERR_INIT;
	json_t *state = NULL;
	int rc = -1, code;

	if (view_access_open(settings, asked->view, &a, &e) == 0 &&
	    begin(a, settings, asked, &e) == 0)
		rc = watch(a, asked, &state, &e);
	if (rc < 0) {
		code = verb_fail(&e);
	} else if (rc == 1) {
		fprintf(stderr, "millrace: interrupted; %s\n",
			view_access_is_remote(a)
				? "the daemon goes on with it"
				: "the next replay or the daemon takes it up where it stands");
		code = EXIT_UNREACHABLE;
	} else if (asked->json) {
		json_dumpf(state, stdout, JSON_INDENT(2));
		printf("\n");
		code = strcmp(text(json_object_get(state, "job"), "phase"), "failed") == 0
			       ? (int)number(json_object_get(state, "job"), "exit_code")
		       : is_lost(state, asked) ? EXIT_UNREACHABLE
		       : text(json_object_get(state, "job"), "note")[0] != '\0' ? EXIT_CONFIG
										: EXIT_OK;
	} else {
		code = print_end(state, asked);
	}
	json_decref(state);
	view_access_close(a);
	return code;
}

static int run(const struct settings *settings, int argc, char **argv)
{
	struct asked asked = { 0 };
	const struct verb_option options[] = {
		{ "--no-swap", &asked.no_swap, NULL }, { "--rollback", &asked.rollback, NULL },
		{ "--swap", &asked.swap, NULL },       { "--force", &asked.force, NULL },
		{ "--json", &asked.json, NULL },       { "--nice", &asked.nice, NULL },
		{ "--as-of", NULL, &asked.as_of },
	};
	int rest = verb_options(&verb_replay, argc, argv, options,
				sizeof(options) / sizeof(options[0]));

	if (rest < 0)
		return EXIT_USAGE;
	if (rest != 1)
		return verb_usage_error(&verb_replay,
					rest == 0 ? "which view?" : "one view at a time");
	if (asked.no_swap + asked.rollback + asked.swap + (asked.as_of != NULL) > 1)
		return verb_usage_error(
			&verb_replay,
			"--no-swap, --swap, --rollback and --as-of exclude each other");
	asked.view = argv[0];
	stop_install();
	return replay(settings, &asked);
}

const struct verb verb_replay = {
	.name = "replay",
	.summary = "rebuild a view beside the live one, show the diff, swap; or roll back",
	.usage = "VIEW [--no-swap | --swap | --rollback | --as-of WHEN] [--nice] [--force] "
		 "[--json]\n\n"
		 "  --no-swap    leave the new version ready beside the live one; both are kept "
		 "applied, and compared now and then\n"
		 "  --swap       make the version that is ready the live one\n"
		 "  --rollback   go back to the version before, as long as it is still applied\n"
		 "  --as-of      build the view as it was: a GTID or GTID set of the source, or a "
		 "time in UTC\n"
		 "               (\"2026-11-21 06:00:00\"); it is not swapped in, and stays as it is\n"
		 "  --nice       take project.nice_share percent of one core at most\n"
		 "  --force      rebuild although the definition has not changed or there may be no "
		 "room;\n"
		 "               swap although records of the version are parked\n"
		 "  --json       print the outcome as JSON\n\n"
		 "The view is read from its folder as it is now and built from offset zero, while "
		 "the live version goes on.\n"
		 "Both are compared at one position, then the public name moves between two source "
		 "transactions.\n",
	.run = run,
	.needs = VERB_NEEDS_NAME,
};
