/* dump.c - walks over files and gives each wanted event to what prints it.
 *
 * An event that isn't wanted is read all the same: table maps and transactions hang on it. Only
 * what lies before a place is passed over unread, but for the head of its file.
 *
 * A reader that goes away (`| head`) ends it without a mistake of ours. */
#include "cdc/decode/dump.h"

#include "cdc/decode/binlog_file.h"
#include "cdc/decode/event_json.h"
#include "cdc/decode/lines.h"
#include "core/base/mem.h"
#include "core/base/progress.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

struct dump {
	struct dump_opts *opts;
	struct walk *walk;
	struct event_json *events;
	struct lines *lines;
	struct stats *stats;
	struct buf out;
	struct progress *progress;
	uint64_t total, done; /* bytes of all files; of those before this one */
};

static int flush(void *context, struct buf *out, struct err *e)
{
	struct dump *d = context;

	if (out->size > 0 && fwrite(out->data, 1, out->size, d->opts->out) != out->size)
		return err_fatal(e, "cannot write: %s", strerror(errno));
	buf_reset(out);
	if (out->capacity > 16u << 20) /* a large row must not keep its room */
		buf_done(out);
	return 0;
}

/* Of --table: with --events, what concerns no table is about transactions, and shown. */
static bool is_of_other_table(const struct walk_event *ev)
{
	return ev->table != NULL && ev->table->shape == NULL;
}

static int take(void *context, struct walk *w, const struct walk_event *ev, struct err *e)
{
	struct dump *d = context;
	bool wanted;

	if (range_wants(&d->opts->range, walk_file_name(w), ev, &wanted, e) < 0)
		return -1;
	if (!wanted)
		return 0;
	switch (d->opts->what) {
	case DUMP_CHANGES:
		return lines_add(d->lines, w, ev, &d->out, flush, d, e);
	case DUMP_EVENTS:
		if (is_of_other_table(ev))
			return 0;
		if (event_json_add(d->events, w, ev, &d->out, e) < 0)
			return -1;
		return d->out.size < 65536 ? 0 : flush(d, &d->out, e);
	case DUMP_STATS:
		return stats_add(d->stats, w, ev, e);
	}
	return 0;
}

static void show_progress(struct dump *d, const struct binlog_file *f)
{
	if (d->progress != NULL)
		progress_update(d->progress, (int64_t)(d->done + binlog_file_at(f)),
				(int64_t)d->total);
}

/* The head of the file says how to read it: FORMAT_DESCRIPTION comes first. */
static int read_head(struct dump *d, struct binlog_file *f, uint64_t begin, struct err *e)
{
	struct slice packet;
	int rc = binlog_file_next(f, &packet, e);

	if (rc <= 0)
		return rc;
	if (walk_packet(d->walk, binlog_file_at(f), packet, take, d, e) < 0)
		return -1;
	if (begin <= BINLOG_FILE_MAGIC_SIZE)
		return 0;
	return binlog_file_skip_to(f, begin, e);
}

static int read_events(struct dump *d, struct binlog_file *f, uint64_t begin, struct err *e)
{
	const char *name = binlog_file_name(f);
	struct slice packet;
	int rc;

	walk_file(d->walk, name);
	if (read_head(d, f, begin, e) < 0)
		return -1;
	while ((rc = binlog_file_next(f, &packet, e)) == 1) {
		uint64_t at = binlog_file_at(f);

		if (range_is_over(&d->opts->range, name, at))
			return 0;
		if (walk_packet(d->walk, at, packet, take, d, e) < 0)
			return -1;
		show_progress(d, f);
	}
	return rc < 0 ? -1 : walk_end(d->walk, binlog_file_at(f), e);
}

static int dump_file(struct dump *d, const char *path, struct err *e)
{
	const struct range *range = &d->opts->range;
	struct binlog_file *f;
	uint64_t begin;
	int rc = 0;

	if (binlog_file_open(path, &f, e) < 0)
		return -1;
	begin = range_begin(range, binlog_file_name(f));
	if (begin != UINT64_MAX && !range_is_over(range, binlog_file_name(f), 0)) {
		if (d->stats != NULL)
			stats_file(d->stats);
		rc = read_events(d, f, begin, e);
	}
	d->done += binlog_file_size(f);
	binlog_file_close(f);
	return rc;
}

static void count_bytes(struct dump *d)
{
	struct stat st;

	for (size_t i = 0; i < d->opts->file_count; i++)
		if (stat(d->opts->files[i], &st) == 0 && S_ISREG(st.st_mode))
			d->total += (uint64_t)st.st_size;
}

int dump_files(struct dump_opts *opts, struct stats *stats, struct err *e)
{
	struct dump d = { .opts = opts, .stats = stats };
	struct err late = ERR_INIT;
	int rc = 0;

	d.walk = walk_new(opts->tables, opts->table_count);
	d.events = event_json_new();
	d.lines = lines_new(opts->table_count == 0);
	if (opts->progress != NULL)
		d.progress = progress_new(opts->progress, "decode", "bytes");
	count_bytes(&d);
	opts->range.first_file = range_file_name(opts->files[0]);
	opts->range.last_file = range_file_name(opts->files[opts->file_count - 1]);
	for (size_t i = 0; i < opts->file_count && rc == 0; i++)
		rc = dump_file(&d, opts->files[i], e);
	progress_free(d.progress);
	if (opts->what != DUMP_STATS && flush(&d, &d.out, rc == 0 ? e : &late) < 0)
		rc = -1;
	buf_done(&d.out);
	lines_free(d.lines);
	event_json_free(d.events);
	walk_free(d.walk);
	return rc;
}
