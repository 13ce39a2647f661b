/* verb_decode.c - `millrace decode`: binlog files as JSON lines, or counted.
 *
 * Reads files only: no server, no Kafka, no configuration. What it prints is what the same decoders
 * give to capture. */
#include "cli/verb.h"

#include "cdc/decode/dump.h"
#include "core/base/mem.h"

#include <signal.h>
#include <stdlib.h>

struct decode_options {
	const char *from, *to, *table;
	bool events, stats, json;
};

/* "db.table,db.*" to a list. Exit code, or -1 to go on. */
static int split_tables(const char *text, char ***ret_items, size_t *ret_count)
{
	char **items = NULL;
	size_t count = 0;

	while (*text != '\0') {
		size_t size = strcspn(text, ",");
		char *one = xstrndup(text, size), *dot = strchr(one, '.');

		items = xrealloc(items, (count + 1) * sizeof(*items));
		items[count++] = one;
		*ret_items = items;
		*ret_count = count;
		if (dot == NULL || dot == one || dot[1] == '\0' ||
		    (strchr(one, '*') != NULL && (strcmp(dot, ".*") != 0 || one[0] == '*')))
			return verb_usage_error(&verb_decode,
						"--table: '%s' is neither db.table nor db.*", one);
		text += size + (text[size] == ',');
	}
	return -1;
}

static int print_stats(const struct stats *stats, bool json)
{
	struct buf out = BUF_INIT;

	if (!json) {
		stats_print(stats, stdout);
		return EXIT_OK;
	}
	stats_json(stats, &out);
	(void)fwrite(out.data, 1, out.size, stdout); /* main looks at the end of stdout */
	buf_done(&out);
	return EXIT_OK;
}

static int decode(struct dump_opts *opts, bool json)
{
	struct stats *stats = opts->what == DUMP_STATS ? stats_new() : NULL;
	struct err e = ERR_INIT;
	int code;

	/* `| head` is no mistake: the signal ends us as it ends other tools */
	(void)signal(SIGPIPE, SIG_DFL);
	if (isatty(STDERR_FILENO) && (stats != NULL || !isatty(STDOUT_FILENO)))
		opts->progress = stderr;
	if (dump_files(opts, stats, &e) < 0) {
		(void)fflush(stdout); /* what was decoded stands before the mistake */
		code = verb_fail(&e);
	} else {
		code = stats != NULL ? print_stats(stats, json) : EXIT_OK;
	}
	stats_free(stats);
	return code;
}

static int parse_end(const char *option, const char *text, const struct dump_opts *opts,
		     struct range_end *end)
{
	struct err e = ERR_INIT;

	if (text == NULL || range_end_parse(text, opts->files, opts->file_count, end, &e) == 0)
		return -1;
	err_wrap(&e, "%s", option);
	return verb_fail(&e);
}

static int run(const struct settings *settings, int argc, char **argv)
{
	struct decode_options o = { .from = NULL };
	const struct verb_option options[] = {
		{ "--from", NULL, &o.from },   { "--to", NULL, &o.to },
		{ "--table", NULL, &o.table }, { "--events", &o.events, NULL },
		{ "--stats", &o.stats, NULL }, { "--json", &o.json, NULL },
	};
	struct dump_opts opts = { .files = argv, .out = stdout };
	char **tables = NULL;
	int code = -1, count = verb_options(&verb_decode, argc, argv, options,
					    sizeof(options) / sizeof(options[0]));

	(void)settings; /* VERB_NEEDS_NOTHING */
	if (count < 0)
		return EXIT_USAGE;
	if (count == 0)
		return verb_usage_error(&verb_decode, "which file?");
	if (o.events && o.stats)
		return verb_usage_error(&verb_decode, "--events or --stats, not both");
	if (o.json && !o.stats)
		return verb_usage_error(&verb_decode, "--json is for --stats; lines are JSON");
	opts.file_count = (size_t)count;
	opts.what = o.stats ? DUMP_STATS : o.events ? DUMP_EVENTS : DUMP_CHANGES;
	if (o.table != NULL)
		code = split_tables(o.table, &tables, &opts.table_count);
	opts.tables = tables;
	if (code < 0)
		code = parse_end("--from", o.from, &opts, &opts.range.from);
	if (code < 0)
		code = parse_end("--to", o.to, &opts, &opts.range.to);
	if (code < 0)
		code = decode(&opts, o.json);
	range_done(&opts.range);
	for (size_t i = 0; i < opts.table_count; i++)
		free(tables[i]);
	free(tables);
	return code;
}

const struct verb verb_decode = {
	.name = "decode",
	.summary = "print binlog files as JSON lines, or count what is in them",
	.usage =
		"FILE... [--events | --stats [--json]] [--from POSITION] [--to POSITION]\n"
		"                       [--table DB.TABLE,...]\n\n"
		"  FILE       binlog files of any supported server, in their order; -: stdin\n"
		"  --events   a line for every event of the binlog, not only for changes\n"
		"  --stats    counts: events by type, rows by table, transactions, GTIDs, times\n"
		"  --json     --stats as one JSON object\n"
		"  --from     leave out what this position contains\n"
		"  --to       leave out what this position does not contain\n"
		"  --table    rows of these tables only: db.table, or db.* for a database\n\n"
		"A POSITION is a set of GTIDs (0-1-5,1-2-7 or uuid:1-5), a place in the binlog\n"
		"(binlog.000003:1234), an offset (1234: --from in the first file, --to in the last),\n"
		"or a time in UTC (2026-11-21T22:46:44Z, transactions before it).\n\n"
		"  millrace decode binlog.000003 | jq -c 'select(.op == \"d\")'\n"
		"  millrace decode --stats /var/lib/mysql/binlog.0*\n"
		"  millrace decode --table shop.orders --from 2026-11-21T22:00:00 binlog.000003\n",
	.run = run,
	.needs = VERB_NEEDS_NOTHING,
};
