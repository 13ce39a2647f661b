/* inflate.c - one compressed part of an event.
 *
 * Layout: a byte 0x80 | algorithm << 4 | n, the inflated size in n bytes (1..4) big-endian, then
 * the stream. Algorithm 0, the only one there is, is zlib. The size is checked against the limit
 * and against what zlib can reach from so few bytes before anything is allocated, and afterwards
 * against what came out. */
#include "cdc/binlog/inflate.h"

#include "cdc/binlog/event.h"

#include <zlib.h>

/* Deflate cannot shrink better than about 1032 : 1 (zlib manual, "Maximum Expansion Factor"). */
#define DEFLATE_RATIO_MAX 1032u

int inflate_part(struct slice packed, struct buf *out, struct err *e)
{
	struct rd in = rd_from(packed);
	uint8_t head = rd_u8(&in), n = head & 0x0f;
	uint64_t size;
	struct slice stream;
	uLongf got;

	if (!rd_ok(&in) || (head & 0x80) == 0 || n < 1 || n > 4)
		return err_data(e, "compressed part without a valid header");
	if ((head & 0x70) != 0)
		return err_data(e, "compressed by unknown algorithm %u", (head & 0x70u) >> 4);
	size = rd_be(&in, n);
	stream = rd_rest(&in);
	if (!rd_ok(&in))
		return err_data(e, "compressed part cut short");
	if (size > EVENT_INFLATED_MAX || size > (uint64_t)stream.size * DEFLATE_RATIO_MAX)
		return err_data(e, "compressed part of %zu bytes claims to hold %llu bytes",
				stream.size, (unsigned long long)size);
	buf_reset(out);
	got = (uLongf)size;
	if (uncompress(buf_reserve(out, size + 1), &got, stream.data, (uLong)stream.size) != Z_OK ||
	    got != size)
		return err_data(e, "compressed part is damaged");
	out->size = size;
	return 0;
}
