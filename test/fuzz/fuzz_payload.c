/* fuzz_payload.c - compressed transactions of MySQL (cdc/binlog/payload.c). Input: a byte, then the
 * body as it is; or, with the byte's last bit set, the events inside, which are packed here: a
 * changed byte of what is packed would seldom get past zstd. */
#include "test/fuzz/fuzz.h"

#include "cdc/binlog/payload.h"
#include "test/lib/mysql_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event ev = { .header = { .type = EVENT_TRANSACTION_PAYLOAD, .log_pos = 77 } }, inner;
	struct payload *p = payload_new();
	struct buf body = BUF_INIT;
	struct err e = ERR_INIT;
	struct slice rest;
	uint64_t choice, sum = 0;
	int rc = -1;

	fuzz_input = rd_of(data, size);
	choice = fuzz_pick(256);
	rest = rd_rest(&fuzz_input);
	if ((choice & 1) != 0)
		writer_payload_body(&body, rest, (choice & 2) != 0);
	else
		buf_add_slice(&body, rest);
	buf_trim(&body); /* to the byte */
	ev.body = buf_slice(&body);
	if (payload_open(p, &ev, &e) == 0) {
		while ((rc = payload_next(p, &inner, &e)) == 1) {
			fuzz_check(inner.header.log_pos == 77, "log_pos");
			fuzz_check(inner.header.size >= EVENT_HEADER_SIZE, "size");
			sum += inner.header.size;
			for (size_t i = 0; i < inner.body.size; i++) /* all of it can be read */
				sum += inner.body.data[i] & 0;
		}
		if (rc == 0 && payload_size(p) != 0)
			fuzz_check(payload_size(p) == sum, "%llu of %llu bytes",
				   (unsigned long long)sum, (unsigned long long)payload_size(p));
	}
	if (rc < 0)
		fuzz_check_error(&e, ERR_DATA);
	payload_free(p);
	buf_done(&body);
	return 0;
}
