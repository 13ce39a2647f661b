/*
 * bench_pipeline.c - all of capture but Kafka: reader thread, ring, scan, decode, encode; the
 * records are thrown away.
 *
 *   bench_pipeline HOST PORT USER PASSWORD_FILE FROM_GTID ROWS [EVENTS_FOLDER]
 *
 * Captures bench.t10 until ROWS rows have come. What capture reaches lies between this and the
 * producer's ceiling; the difference to this one is what delivery costs. Prints one JSON object;
 * the clock runs from the first row.
 */
#include "cdc/change/group.h"
#include "cdc/publish/publisher.h"
#include "cdc/source/stream.h"
#include "core/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define RING_BYTES (8 * 1024 * 1024)
#define WAIT_MS 10000

struct state {
	struct group *group;
	struct publisher *publisher;
	struct ring *ring;
	int64_t seq, wanted, began_us;
};

static void die(const char *why)
{
	fprintf(stderr, "bench_pipeline: %s\n", why);
	exit(EXIT_FAILURE);
}

static void must(int rc, const struct err *e)
{
	if (rc < 0)
		die(e->msg);
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
	uint64_t *bytes = context;

	(void)topic;
	(void)partition;
	(void)e;
	*bytes += key.size + value.size;
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

/* ---- the loop ---- */

static void publish_group(struct state *s)
{
	struct err e = ERR_INIT;
	struct group_row row;
	int more;

	if (group_info(s->group)->rows) {
		if (s->began_us == 0)
			s->began_us = clock_monotonic_us();
		while ((more = group_next(s->group, &row, &e)) == 1)
			must(publisher_change(s->publisher, &row.change, &s->seq, &e), &e);
		must(more, &e);
	}
	group_reset(s->group);
}

static void read_rows(struct state *s)
{
	uint64_t cursor = ring_begin(s->ring);
	struct err e = ERR_INIT;
	struct slice packet;

	while (s->seq < s->wanted) {
		if (ring_read(s->ring, &cursor, WAIT_MS, &packet) != RING_EVENT)
			die("the binlog ended, or a transaction is larger than the ring");
		must(group_scan(s->group, packet, &e), &e);
		if (group_complete(s->group)) {
			publish_group(s);
			publisher_commit(s->publisher);
		}
		if (!group_open(s->group))
			ring_release(s->ring, cursor);
	}
}

static void report(const struct state *s, uint64_t bytes)
{
	double seconds = (double)(clock_monotonic_us() - s->began_us) / 1e6, cpu;
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	printf("{\"rows\": %" PRId64 ", \"bytes\": %" PRIu64
	       ", \"seconds\": %.3f, \"rate\": %.0f, \"cpu\": %.2f,"
	       " \"cpu_us\": %.3f}\n",
	       s->seq, bytes, seconds, (double)s->seq / seconds, cpu, cpu * 1e6 / (double)s->seq);
}

int main(int argc, char **argv)
{
	uint64_t bytes = 0;
	const struct publish_sink sink = { &bytes, sink_topic, sink_send, sink_schema,
					   NULL,   NULL,       NULL };
	struct err e = ERR_INIT;
	struct settings *settings;
	struct catalog *catalog;
	struct stream *stream;
	struct state s = { .seq = 0 };

	if (argc < 7 || argc > 8 || (s.wanted = strtoll(argv[6], NULL, 10)) <= 0) {
		fputs("usage: bench_pipeline HOST PORT USER PASSWORD_FILE FROM_GTID ROWS"
		      " [EVENTS_FOLDER]\n",
		      stderr);
		return 2;
	}
	const struct settings_flag flags[] = {
		{ "source.host", argv[1] },        { "source.port", argv[2] },
		{ "source.user", argv[3] },        { "source.password_file", argv[4] },
		{ "source.server_id", "4298" },    { "millrace.name", "bench" },
		{ "capture.tables", "bench.t10" }, { "capture.events", argc > 7 ? argv[7] : "" },
	};

	must(settings_read(NULL, flags, sizeof(flags) / sizeof(flags[0]) - (argc == 7), &settings,
			   &e),
	     &e);
	must(publisher_new(settings, &sink, &s.publisher, &e), &e);
	catalog = catalog_new(settings);
	s.group = group_new(settings, catalog);
	must(stream_open(settings, argv[5], RING_BYTES, &stream, &e), &e);
	s.ring = stream_ring(stream);
	read_rows(&s);
	report(&s, bytes);
	stream_close(stream);
	group_free(s.group);
	catalog_free(catalog);
	publisher_free(s.publisher);
	settings_free(settings);
	return EXIT_SUCCESS;
}
