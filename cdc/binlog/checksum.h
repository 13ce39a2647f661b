/* checksum.h - the CRC32 of events (IEEE 802.3, as zlib's), several times as fast where the
 * processor multiplies without carries: every byte of the binlog goes through it. Pure. */
#ifndef CDC_BINLOG_CHECKSUM_H
#define CDC_BINLOG_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* crc: of what stands before; 0 at first. */
uint32_t checksum_crc32(uint32_t crc, const void *data, size_t size);

#endif
