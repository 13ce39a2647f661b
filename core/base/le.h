/* le.h - numbers in little-endian bytes, as MySQL's protocol and files have them. */
#ifndef CORE_BASE_LE_H
#define CORE_BASE_LE_H

#include "core/base/buf.h"

/* The lowest `bytes` bytes of v, the lowest first. */
static inline void le_add(struct buf *b, uint64_t v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		buf_add_u8(b, (uint8_t)(v >> 8 * i));
}

#endif
