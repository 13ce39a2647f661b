/* fuzz_lines.c - a binlog file as `millrace decode` reads it (cdc/decode): every line is JSON, and
 * of an event that is refused there is none. */
#include "test/fuzz/packets.h"

#include "cdc/decode/event_json.h"
#include "cdc/decode/lines.h"
#include "cdc/decode/stats.h"

#include <string.h>

struct printed {
	struct event_json *events;
	struct lines *lines;
	struct stats *stats;
	struct buf out;
};

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	return fuzz_packets_mutate(data, size, max_size, seed);
}

/* All of it is lines of JSON. */
static int check_lines(void *context, struct buf *out, struct err *e)
{
	size_t from = 0;

	(void)context, (void)e;
	while (from < out->size) {
		const uint8_t *line = out->data + from, *end = memchr(line, '\n', out->size - from);

		fuzz_check(end != NULL, "a line without an end");
		fuzz_check_json(slice_of(line, (size_t)(end - line)));
		from += (size_t)(end - line) + 1;
	}
	buf_reset(out);
	return 0;
}

static int take(void *context, struct walk *w, const struct walk_event *ev, struct err *e)
{
	struct printed *p = context;

	if (event_json_add(p->events, w, ev, &p->out, e) < 0) {
		fuzz_check(p->out.size == 0, "refused, but %zu bytes", p->out.size);
		return -1;
	}
	(void)check_lines(NULL, &p->out, e);
	if (lines_add(p->lines, w, ev, &p->out, check_lines, NULL, e) < 0)
		return -1;
	(void)check_lines(NULL, &p->out, e);
	return stats_add(p->stats, w, ev, e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct printed out = { event_json_new(), lines_new(size % 2 == 0), stats_new(), BUF_INIT };
	struct walk *w = walk_new(NULL, 0);
	struct fuzz_packets p;
	struct slice packet;
	struct err e = ERR_INIT;
	uint64_t at = 4;
	int rc = 0;

	walk_file(w, "binlog.000003");
	stats_file(out.stats);
	fuzz_packets_begin(&p, slice_of(data, size));
	while (rc == 0 && fuzz_packets_next(&p, &packet)) {
		rc = walk_packet(w, at, packet, take, &out, &e);
		at += packet.size;
	}
	if (rc == 0)
		rc = walk_end(w, at, &e);
	if (rc < 0)
		fuzz_check_error(&e, ERR_DATA);
	buf_reset(&out.out);
	stats_json(out.stats, &out.out);
	fuzz_check_json(buf_slice(&out.out));
	fuzz_packets_done(&p);
	walk_free(w);
	event_json_free(out.events);
	lines_free(out.lines);
	stats_free(out.stats);
	buf_done(&out.out);
	return 0;
}
