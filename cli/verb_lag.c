/* verb_lag.c - `millrace lag`: where everybody is, from the status topic.
 *
 * Three lags, never one: source head minus read, read minus delivered, delivered minus applied
 * per view; in transactions, bytes and seconds by the source's own clock. The topic is read once
 * to its end; --watch follows it and redraws every second. A process whose last status is too
 * old is shown as silent, with its numbers as of then. */
#include "cli/verb.h"

#include "cli/view_access.h"
#include "core/base/clock.h"
#include "core/base/progress.h"
#include "core/base/stop.h"
#include "core/base/table.h"
#include "core/base/term.h"
#include "core/http/status_feed.h"

#include <jansson.h>

static int64_t number(const json_t *object, const char *name)
{
	return (int64_t)json_number_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));

	return s != NULL ? s : "";
}

static bool is_capture(const json_t *process)
{
	return strcmp(text(process, "key"), "capture") == 0;
}

/* ---- the lags ------------------------------------------------------------------------------- */

static void number_cell(struct table *t, int64_t n)
{
	struct buf out = BUF_INIT;

	progress_number(&out, n);
	table_cell(t, "%s", buf_cstr(&out));
	buf_done(&out);
}

static void add_lag(struct table *t, const char *from, const char *to, const json_t *lag,
		    bool silent)
{
	struct buf out = BUF_INIT;

	table_cell(t, "%s -> %s", from, to);
	if (!json_is_object(lag)) {
		table_cell(t, "not known");
		table_cell(t, "%s", "");
		table_cell(t, "%s", "");
		table_cell(t, "%s", silent ? "silent" : "");
		return;
	}
	number_cell(t, number(lag, "transactions"));
	progress_bytes(&out, number(lag, "bytes"));
	table_cell(t, "%s", buf_cstr(&out));
	buf_reset(&out);
	progress_duration(&out, number(lag, "us"));
	table_cell(t, "%s", buf_cstr(&out));
	table_cell(t, "%s", silent ? "silent" : "");
	if (silent)
		table_colour(t, TERM_RED);
	buf_done(&out);
}

static void print_lags(const json_t *processes, FILE *out)
{
	struct table *t = table_new();
	const json_t *p;
	size_t i;

	table_column(t, "lag", TABLE_LEFT);
	table_column(t, "transactions", TABLE_RIGHT);
	table_column(t, "bytes", TABLE_RIGHT);
	table_column(t, "time", TABLE_RIGHT);
	table_column(t, "", TABLE_LEFT);
	json_array_foreach(processes, i, p)
	{
		const json_t *lag = json_object_get(p, "lag");
		bool silent = json_is_true(json_object_get(p, "silent"));

		if (is_capture(p)) {
			add_lag(t, "source", "read", json_object_get(lag, "read"), silent);
			add_lag(t, "read", "Kafka", json_object_get(lag, "delivered"), silent);
		} else {
			add_lag(t, "Kafka", text(p, "name"), json_object_get(lag, "applied"),
				silent);
		}
	}
	table_print(t, out, 0);
	table_free(t);
}

/* ---- the processes -------------------------------------------------------------------------- */

static const char *colour_of(const char *state, bool silent)
{
	if (silent || strcmp(state, "failed") == 0)
		return TERM_RED;
	if (strcmp(state, "live") == 0 || strcmp(state, "streaming") == 0)
		return TERM_GREEN;
	return strcmp(state, "retrying") == 0 || strcmp(state, "stopped") == 0 ? TERM_YELLOW : NULL;
}

static void add_process(struct table *t, const json_t *p)
{
	bool silent = json_is_true(json_object_get(p, "silent"));
	char since[CLOCK_TEXT_SIZE];

	clock_text(number(p, "at_us"), since);
	table_cell(t, "%s%s", is_capture(p) ? "" : "view ",
		   is_capture(p) ? "capture" : text(p, "name"));
	if (silent)
		table_cell(t, "silent since %s (was %s)", since, text(p, "state"));
	else
		table_cell(t, "%s", text(p, "state"));
	table_colour(t, colour_of(text(p, "state"), silent));
	number_cell(t, number(p, "seq"));
	table_cell(t, "%s", text(p, "gtid_set"));
	table_cell(t, "%s", text(p, "message"));
}

static void print_processes(const json_t *processes, FILE *out)
{
	struct table *t = table_new();
	const json_t *p;
	size_t i;

	table_column(t, "process", TABLE_LEFT);
	table_column(t, "state", TABLE_LEFT);
	table_column(t, "row changes", TABLE_RIGHT);
	table_column(t, "position", TABLE_LEFT);
	table_column(t, "", TABLE_LEFT);
	json_array_foreach(processes, i, p) add_process(t, p);
	table_print(t, out, 0);
	table_free(t);
}

/* ---- copies, versions, verification ---------------------------------------------------------- */

static void print_line(FILE *out, const char *label, const char *unit, const json_t *item,
		       const char *done, const char *total)
{
	struct buf line = BUF_INIT;

	progress_line(&line, label, unit, number(item, done), number(item, total),
		      json_number_value(json_object_get(item, "rate")), 160, false);
	fprintf(out, "  %s\n", buf_cstr(&line));
	buf_done(&line);
}

static void print_copies(const json_t *capture, FILE *out)
{
	const json_t *copies = json_object_get(capture, "copies"), *copy;
	int64_t total = number(capture, "copies_total"),
		left = total - number(capture, "copies_done");
	const char *paused = "";
	size_t i, shown = 0;

	json_array_foreach(copies, i, copy) if (json_is_true(json_object_get(copy, "paused")))
		paused = text(copy, "why");
	if (left <= 0)
		return;
	fprintf(out, "\nfirst copy: %lld of %lld tables done\n", (long long)(total - left),
		(long long)total);
	json_array_foreach(copies, i, copy)
	{
		if (json_is_true(json_object_get(copy, "done")))
			continue;
		print_line(out, text(copy, "table"), "rows", copy, "rows", "rows_estimate");
		shown++;
	}
	if ((int64_t)shown < left)
		fprintf(out, "  and %lld more\n", (long long)left - (long long)shown);
	if (paused[0] != '\0')
		fprintf(out, "  paused: %s\n", paused);
}

static void print_parked(const json_t *capture, FILE *out)
{
	int64_t parked = number(capture, "parked");
	struct buf words = BUF_INIT;

	if (parked == 0)
		return;
	progress_number(&words, parked);
	buf_add_str(&words, parked == 1 ? " record is parked, " : " records are parked, ");
	progress_bytes(&words, number(capture, "parked_bytes"));
	fprintf(out, "\n%s%s%s (millrace parked list)\n", term(out, TERM_YELLOW), buf_cstr(&words),
		term(out, TERM_PLAIN));
	buf_done(&words);
}

static void print_capture(const json_t *capture, FILE *out)
{
	print_copies(capture, out);
	print_parked(capture, out);
}

static void print_extra(const json_t *version, FILE *out)
{
	int64_t differing = number(version, "differing"), parked = number(version, "parked");
	char at[CLOCK_TEXT_SIZE];

	if (*text(version, "slowest") != '\0')
		fprintf(out, "    slowest %s: %lld left\n", text(version, "slowest"),
			(long long)number(version, "slowest_left"));
	if (number(version, "compared_us") != 0 && differing >= 0)
		fprintf(out, "    %lld rows differ from the live version (compared %s)\n",
			(long long)differing, clock_text(number(version, "compared_us"), at));
	if (differing > 0)
		fprintf(out, "    since %s\n",
			clock_text(number(version, "differs_since_us"), at));
	if (parked > 0)
		fprintf(out, "    %s%lld records are parked%s (millrace parked list --view)\n",
			term(out, TERM_YELLOW), (long long)parked, term(out, TERM_PLAIN));
	view_print_members(version, 4, out);
}

static void print_version(const json_t *version, FILE *out)
{
	int number_of = (int)number(version, "version");
	char label[64];

	if (strcmp(text(version, "state"), "building") == 0) {
		snprintf(label, sizeof(label), "version %d building", number_of);
		print_line(out, label, "records", version, "records", "records_total");
		print_extra(version, out);
		return;
	}
	fprintf(out, "  version %d %s%s%s at %s%s%s\n", number_of, text(version, "state"),
		*text(version, "as_of") != '\0' ? " " : "", text(version, "as_of"),
		text(version, "gtid_set"), *text(version, "message") != '\0' ? ": " : "",
		text(version, "message"));
	print_extra(version, out);
}

static void print_verified(const json_t *verified, int64_t now_us, FILE *out)
{
	int64_t differences = number(verified, "differences");
	struct buf words = BUF_INIT;

	if (!json_is_object(verified))
		return;
	buf_add_format(&words, "verified at GTID %s, ", text(verified, "gtid_set"));
	progress_duration(&words, now_us - number(verified, "at_us"));
	buf_add_str(&words, " ago: ");
	progress_number(&words, number(verified, "rows"));
	buf_add_str(&words, " rows, ");
	progress_number(&words, differences);
	buf_add_str(&words, differences == 1 ? " difference" : " differences");
	fprintf(out, "  %s%s%s\n", differences != 0 ? term(out, TERM_RED) : "", buf_cstr(&words),
		differences != 0 ? term(out, TERM_PLAIN) : "");
	buf_done(&words);
}

static void print_view(const json_t *view, int64_t now_us, FILE *out)
{
	const json_t *version;
	size_t i;

	fprintf(out, "\nview %s\n", text(view, "name"));
	json_array_foreach(json_object_get(view, "versions"), i, version)
		print_version(version, out);
	print_verified(json_object_get(view, "verified"), now_us, out);
}

static void print_text(const json_t *root, FILE *out)
{
	const json_t *processes = json_object_get(root, "processes"), *p;
	int64_t now_us = number(root, "now_us");
	char now[CLOCK_TEXT_SIZE];
	size_t i;

	clock_text(now_us, now);
	fprintf(out, "%s%s%s at %s\n", term(out, TERM_BOLD), text(root, "name"),
		term(out, TERM_PLAIN), now);
	if (*text(root, "note") != '\0')
		fprintf(out, "%s%s%s\n", term(out, TERM_YELLOW), text(root, "note"),
			term(out, TERM_PLAIN));
	fputc('\n', out);
	if (json_array_size(processes) == 0) {
		fputs("No process has reported yet: start `millrace run`.\n", out);
		return;
	}
	print_lags(processes, out);
	fputc('\n', out);
	print_processes(processes, out);
	json_array_foreach(processes, i, p) if (is_capture(p)) print_capture(p, out);
	else print_view(p, now_us, out);
}

/* ---- the verb ------------------------------------------------------------------------------- */

static int show(struct buf *status, bool json, bool compact)
{
	json_t *root = json_loadb((const char *)status->data, status->size, 0, NULL);

	if (root == NULL)
		return EXIT_FATAL; /* our own JSON: cannot be */
	if (json) {
		json_object_del(root, "history"); /* the page's curves */
		json_dumpf(root, stdout, compact ? JSON_COMPACT : JSON_INDENT(2));
		fputc('\n', stdout);
	} else {
		print_text(root, stdout);
	}
	fflush(stdout);
	json_decref(root);
	return EXIT_OK;
}

static int watch(const struct settings *settings, bool json)
{
	struct status_feed *feed;
	struct buf status = BUF_INIT;
	bool redraw = !json && term_is(stdout), first = true;

	stop_install();
	feed = status_feed_start(settings);
	(void)status_feed_wait(feed,
			       settings->kafka_timeout_ms); /* not whole yet: the note says why */
	do {
		buf_reset(&status);
		status_feed_write(feed, INT64_MAX, &status);
		fputs(redraw ? "\033[H\033[J" : !json && !first ? "\n" : "", stdout);
		(void)show(&status, json, true); /* its own JSON */
		first = false;
	} while (!stop_wait_ms(1000) && ferror(stdout) == 0);
	status_feed_stop(feed);
	buf_done(&status);
	return EXIT_OK;
}

static int run(const struct settings *settings, int argc, char **argv)
{
	bool json = false, watching = false;
	const struct verb_option options[] = { { "--json", &json, NULL },
					       { "--watch", &watching, NULL } };
	int rest = verb_options(&verb_lag, argc, argv, options, 2), code;
	struct buf status = BUF_INIT;
	struct err e = ERR_INIT;

	if (rest < 0)
		return EXIT_USAGE;
	if (rest > 0)
		return verb_usage_error(&verb_lag, "'%s' is one argument too many", argv[0]);
	if (status_feed_read(settings, &status, &e) < 0)
		return verb_fail(&e);
	code = watching ? watch(settings, json) : show(&status, json, false);
	buf_done(&status);
	return code;
}

const struct verb verb_lag = {
	.name = "lag",
	.summary = "where everybody is: source head, read, delivered, applied",
	.usage =
		"[--watch] [--json]\n\n"
		"  --watch   follow, and draw anew every second (Ctrl-C ends it)\n"
		"  --json    the same as JSON; with --watch one line a second\n\n"
		"Seconds are by the source's own clock: commit time of the last transaction ahead minus that of the\n"
		"last one behind, 0 when nothing waits.\n",
	.run = run,
};
