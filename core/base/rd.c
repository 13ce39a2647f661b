/* rd.c - the length-encoded reads of rd.h; everything else there is inline. */
#include "core/base/rd.h"

uint64_t rd_lenenc(struct rd *r)
{
	uint8_t first = rd_u8(r);

	if (first < 0xfb)
		return first;
	if (first == 0xfc)
		return rd_u16(r);
	if (first == 0xfd)
		return rd_u24(r);
	if (first == 0xfe)
		return rd_u64(r);
	rd_fail(r);
	return 0;
}

struct slice rd_lenenc_bytes(struct rd *r)
{
	uint64_t n = rd_lenenc(r);

	if (n > rd_left(r)) {
		rd_fail(r);
		return slice_of("", 0);
	}
	return rd_bytes(r, (size_t)n);
}
