/* fuzz_compressed.c - compressed events of MariaDB (cdc/binlog/inflate.c, query.c, rows.c). Input:
 * a byte, then a body; with the byte's last bit set its second part is deflated here, as the server
 * does it, and must come back. */
#include "test/fuzz/fuzz.h"

#include "cdc/binlog/event.h"
#include "cdc/binlog/inflate.h"
#include "cdc/binlog/rows.h"

#include <zlib.h>

static const uint8_t types[] = { EVENT_QUERY_COMPRESSED,
				 EVENT_WRITE_ROWS_COMPRESSED_V1,
				 EVENT_UPDATE_ROWS_COMPRESSED,
				 EVENT_DELETE_ROWS_COMPRESSED,
				 EVENT_QUERY,
				 EVENT_WRITE_ROWS };

/* Algorithm 0 and four bytes of size, big-endian; the stream. */
static void deflate_part(struct slice plain, struct buf *out)
{
	uLongf size = compressBound((uLong)plain.size);
	static const uint8_t head = 0x80 | 4;

	buf_add_u8(out, head);
	for (int i = 3; i >= 0; i--)
		buf_add_u8(out, (uint8_t)(plain.size >> 8 * i));
	fuzz_check(compress(buf_reserve(out, size), &size, plain.data, (uLong)plain.size) == Z_OK,
		   "zlib");
	out->size += size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_format format = EVENT_FORMAT_INIT;
	struct event ev = { .header = { .log_pos = 77 } };
	struct buf body = BUF_INIT, scratch = BUF_INIT;
	struct event_query query;
	struct rows rows;
	struct err e = ERR_INIT;
	struct slice plain;
	uint64_t choice;
	size_t at;
	int rc;

	fuzz_input = rd_of(data, size);
	choice = fuzz_pick(256);
	ev.header.type = types[choice / 2 % 6];
	if (choice & 1) {
		struct slice part;

		buf_add_slice(&body, fuzz_part());
		plain = rd_rest(&fuzz_input);
		at = body.size;
		deflate_part(plain, &body);
		part = slice_of(body.data + at, body.size - at);
		rc = inflate_part(part, &scratch, &e);
		fuzz_check(rc == 0, "%s", e.msg);
		fuzz_check_same(buf_slice(&scratch), plain);
	} else {
		buf_add_slice(&body, rd_rest(&fuzz_input));
	}
	buf_trim(&body); /* to the byte */
	ev.body = buf_slice(&body);
	if (ev.header.type == EVENT_QUERY || ev.header.type == EVENT_QUERY_COMPRESSED)
		rc = event_query_read(&ev, &scratch, &query, &e);
	else
		rc = rows_read(&ev, &format, &scratch, &rows, &e);
	if (rc < 0)
		fuzz_check_error(&e, ERR_DATA);
	buf_done(&body);
	buf_done(&scratch);
	return 0;
}
