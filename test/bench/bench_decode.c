/*
 * bench_decode.c - decode and encode alone: a binlog file to Avro records, no server and no sink.
 *
 *   bench_decode FILE TABLE [ROUNDS]
 *
 * The way that capture goes, on one thread: events out of the file, checksums, the scan for the end
 * of each transaction, rows into cells, cells into Avro with envelope and key; the records are
 * thrown away. Beside it, in the same run, what must be done with these bytes in any case: the file
 * read and copied, and its CRC32. Each is done ROUNDS times (5) in turn; the median counts. CPU is
 * user and system time of the process, so that what else the machine does matters less. Prints one
 * JSON object.
 */
#include "cdc/change/group.h"
#include "cdc/decode/binlog_file.h"
#include "cdc/publish/publisher.h"
#include "core/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <zlib.h>

#define ROUNDS_MAX 99

struct work {
	const char *path;
	struct settings *settings;
	uint64_t rows, bytes, record_bytes;
	uLong crc; /* so that nobody leaves it out */
};

static void must(int rc, const struct err *e)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "bench_decode: %s\n", e->msg);
	exit(EXIT_FAILURE);
}

/* ---- a sink that takes everything ---- */

static int sink_topic(void *context, const char *name, struct publish_topic **ret_topic,
		      int32_t *ret_partitions, struct err *e)
{
	(void)name;
	(void)e;
	*ret_topic = context;
	*ret_partitions = 1;
	return 0;
}

static int sink_send(void *context, struct publish_topic *topic, int32_t partition,
		     struct slice key, struct slice value, struct err *e)
{
	struct work *w = context;

	(void)topic;
	(void)partition;
	(void)e;
	w->record_bytes += key.size + value.size;
	return 0;
}

static int sink_schema(void *context, const char *subject, const char *text, int32_t *ret_id,
		       struct err *e)
{
	(void)context;
	(void)subject;
	(void)text;
	(void)e;
	*ret_id = 1;
	return 0;
}

/* ---- what is measured ---- */

static void publish_group(struct group *g, struct publisher *p, int64_t *seq)
{
	struct err e = ERR_INIT;
	struct group_row row;
	int gives;

	while ((gives = group_next(g, &row, &e)) != GROUP_GIVES_NOTHING) {
		must(gives, &e);
		if (gives == GROUP_GIVES_ROW)
			must(publisher_change(p, &row.change, seq, &e), &e);
	}
	publisher_commit(p);
	group_reset(g);
}

/* The packets of a transaction stay where they are until it is published: in `kept`, which stands
 * for the ring of capture, and has room for it from the beginning. */
static void decode(struct work *w)
{
	const struct publish_sink sink = {
		w, sink_topic, sink_send, sink_schema, NULL, NULL, NULL
	};
	struct catalog *catalog = catalog_new(w->settings);
	struct group *group = group_new(w->settings, catalog);
	struct buf kept = BUF_INIT;
	struct publisher *publisher;
	struct binlog_file *file;
	struct err e = ERR_INIT;
	struct slice packet;
	int64_t seq = 0;
	int rc;

	must(publisher_new(w->settings, &sink, &publisher, &e), &e);
	must(binlog_file_open(w->path, &file, &e), &e);
	buf_grow(&kept, 8 << 20);
	while ((rc = binlog_file_next(file, &packet, &e)) == 1) {
		if (kept.capacity - kept.size < packet.size) {
			fputs("bench_decode: a transaction above 8 MB\n", stderr);
			exit(EXIT_FAILURE);
		}
		buf_add_slice(&kept, packet);
		packet.data = kept.data + kept.size - packet.size;
		must(group_scan(group, packet, &e), &e);
		if (group_complete(group))
			publish_group(group, publisher, &seq);
		if (!group_open(group))
			buf_reset(&kept);
	}
	must(rc, &e);
	w->rows = (uint64_t)seq;
	w->bytes = binlog_file_at(file);
	binlog_file_close(file);
	buf_done(&kept);
	group_free(group);
	catalog_free(catalog);
	publisher_free(publisher);
}

/* The file, 64 kB at a time. */
static void read_file(struct work *w, bool sum)
{
	FILE *in = fopen(w->path, "rb");
	static uint8_t bytes[65536];
	size_t n;

	if (in == NULL) {
		perror(w->path);
		exit(EXIT_FAILURE);
	}
	while ((n = fread(bytes, 1, sizeof(bytes), in)) > 0)
		if (sum)
			w->crc = crc32_z(w->crc, bytes, n);
	fclose(in);
}

static void copy(struct work *w)
{
	read_file(w, false);
}

static void checksum(struct work *w)
{
	read_file(w, true);
}

/* ---- the clock ---- */

struct times {
	double cpu[ROUNDS_MAX], wall[ROUNDS_MAX];
};

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void measure(struct work *w, void (*what)(struct work *w), struct times *t, int round)
{
	double cpu = cpu_seconds();
	int64_t began = clock_monotonic_us();

	what(w);
	t->cpu[round] = cpu_seconds() - cpu;
	t->wall[round] = (double)(clock_monotonic_us() - began) / 1e6;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), by_size);
	return values[count / 2];
}

static void report(struct work *w, struct times *t, int rounds)
{
	double cpu = median(t[0].cpu, rounds), wall = median(t[0].wall, rounds);
	double read = median(t[1].cpu, rounds), crc = median(t[2].cpu, rounds);
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("{\"rows\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"record_bytes\": %" PRIu64
	       ", \"rounds\": %d, \"rate\": %.0f, \"wall_rate\": %.0f, \"bytes_s\": %.0f,"
	       " \"cpu_us\": %.4f, \"read_us\": %.4f, \"crc_us\": %.4f, \"to_crc\": %.2f,"
	       " \"rss_mb\": %.1f}\n",
	       w->rows, w->bytes, w->record_bytes / (uint64_t)rounds, rounds, (double)w->rows / cpu,
	       (double)w->rows / wall, (double)w->bytes / cpu, cpu * 1e6 / (double)w->rows,
	       read * 1e6 / (double)w->rows, crc * 1e6 / (double)w->rows, cpu / crc,
	       (double)usage.ru_maxrss / 1024);
}

int main(int argc, char **argv)
{
	static void (*const what[])(struct work * w) = { decode, copy, checksum };
	int rounds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 5;
	static struct times times[3];
	struct work w = { .path = argc > 1 ? argv[1] : NULL };
	struct err e = ERR_INIT;

	if (argc < 3 || argc > 4 || rounds < 1 || rounds > ROUNDS_MAX) {
		fputs("usage: bench_decode FILE TABLE [ROUNDS]\n", stderr);
		return 2;
	}
	const struct settings_flag flags[] = { { "millrace.name", "bench" },
					       { "capture.tables", argv[2] } };

	must(settings_read(NULL, flags, 2, &w.settings, &e), &e);
	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < 3; i++)
			measure(&w, what[i], &times[i], round);
	if (w.rows == 0) {
		fprintf(stderr, "bench_decode: no rows of %s in %s\n", argv[2], argv[1]);
		return EXIT_FAILURE;
	}
	report(&w, times, rounds);
	settings_free(w.settings);
	return EXIT_SUCCESS;
}
