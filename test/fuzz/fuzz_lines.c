/* fuzz_lines.c - a binlog file as JSON lines (cdc/catalog/event_json.c, millrace decode): every
 * line is JSON, and of an event that is refused there is none. */
#include "test/fuzz/packets.h"

#include "cdc/catalog/event_json.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	return fuzz_packets_mutate(data, size, max_size, seed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_json *j = event_json_new();
	struct fuzz_packets p;
	struct buf line = BUF_INIT;
	struct slice packet;
	struct err e = ERR_INIT;

	fuzz_packets_begin(&p, slice_of(data, size));
	while (fuzz_packets_next(&p, &packet)) {
		buf_reset(&line);
		if (event_json_add(j, 4, packet, &line, &e) < 0) {
			fuzz_check(line.size == 0, "refused, but %zu bytes", line.size);
			fuzz_check_error(&e, ERR_DATA);
			break;
		}
		fuzz_check(line.size > 0 && line.data[line.size - 1] == '\n', "no line");
		fuzz_check_json(buf_slice(&line));
	}
	fuzz_packets_done(&p);
	event_json_free(j);
	buf_done(&line);
	return 0;
}
