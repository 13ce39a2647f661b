/*
 * bench_wire.c - how fast the binlog comes over the wire when nobody looks into it: the limit of
 * all reading.
 *
 *   bench_wire HOST PORT USER PASSWORD_FILE FROM_GTID TO_GTID
 *
 * Reads as Millrace does (core/mysql/db.h, checksums kept), counts events and bytes, and ends with
 * the transaction TO_GTID. Prints one JSON object; the clock runs from the first event.
 */
#include "core/base/clock.h"
#include "core/base/rd.h"
#include "core/mysql/db.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define EVENT_HEADER 19
#define EVENT_QUERY 2
#define EVENT_XID 16
#define EVENT_GTID 162

static void must(int rc, const struct err *e)
{
	if (rc == 0)
		return;
	fprintf(stderr, "bench_wire: %s\n", e->msg);
	exit(EXIT_FAILURE);
}

static uint64_t little_endian(const uint8_t *p, int bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* Does the transaction end here, `DOMAIN-SERVER-last`? Sees every event; remembers the number of
 * the last GTID. */
static bool is_last(struct slice event, uint64_t last)
{
	static uint64_t number;

	if (event.size < EVENT_HEADER + 8)
		return false;
	if (event.data[4] == EVENT_GTID)
		number = little_endian(event.data + EVENT_HEADER, 8);
	return number >= last && (event.data[4] == EVENT_XID || event.data[4] == EVENT_QUERY);
}

static void read_all(struct db *db, uint64_t last)
{
	int64_t from = 0, events = 0, bytes = 0;
	struct err e = ERR_INIT;
	struct rusage usage;
	struct slice event;
	double seconds;

	do {
		must(db_dump_next(db, &event, &e), &e);
		if (from == 0)
			from = clock_monotonic_us();
		events++;
		bytes += (int64_t)event.size;
	} while (!is_last(event, last));
	seconds = (double)(clock_monotonic_us() - from) / 1e6;
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"events\": %" PRId64 ", \"bytes\": %" PRId64
	       ", \"seconds\": %.3f, \"cpu\": %.3f}\n",
	       events, bytes, seconds,
	       (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

int main(int argc, char **argv)
{
	struct db_dump_options options = { .server_id = 4299, .heartbeat_ms = 10000 };
	struct err e = ERR_INIT;
	struct settings *settings;
	const char *last;
	struct db *db;

	if (argc != 7 || (last = strrchr(argv[6], '-')) == NULL) {
		fputs("usage: bench_wire HOST PORT USER PASSWORD_FILE FROM_GTID TO_GTID\n", stderr);
		return 2;
	}
	const struct settings_flag flags[] = { { "source.host", argv[1] },
					       { "source.port", argv[2] },
					       { "source.user", argv[3] },
					       { "source.password_file", argv[4] } };

	must(settings_read(NULL, flags, sizeof(flags) / sizeof(flags[0]), &settings, &e), &e);
	options.gtid = argv[5];
	must(db_open(settings, DB_TEXT_BINARY, &db, &e), &e);
	must(db_dump(db, &options, &e), &e);
	read_all(db, strtoull(last + 1, NULL, 10));
	db_close(db);
	settings_free(settings);
	return EXIT_SUCCESS;
}
