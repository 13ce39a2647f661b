/* write.h - bytes of Avro data: the primitives (core/value/write.h), and what stands before a datum
 * on the wire. */
#ifndef CORE_AVRO_WRITE_H
#define CORE_AVRO_WRITE_H

#include "core/value/write.h"

/* Confluent wire format: 0x00, schema id big-endian, then the datum. */
static inline void write_wire_header(struct buf *b, int32_t schema_id)
{
	uint32_t id = (uint32_t)schema_id;
	uint8_t header[5] = { 0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
			      (uint8_t)id };

	buf_add(b, header, sizeof(header));
}

#endif
