/* parked.h - a record that was too large for its topic, put together from its pieces on
 * <name>.parked (schemas/parked.avsc; where it is referred to: core/avro/row_schema.h).
 *
 * The pieces lie behind each other on one partition and belong to one Kafka transaction, so who can
 * read the stand-in can read them all. What isn't there, or isn't what the stand-in promised, is
 * ERR_DATA: a view can't do without it. */
#ifndef CORE_INTAKE_PARKED_H
#define CORE_INTAKE_PARKED_H

#include "core/avro/records.h"
#include "core/base/settings.h"

struct parked_reference {
	char topic[256];
	int32_t partition;
	int64_t offset;
};

/* "<topic>:<partition>:<offset>". */
int parked_reference_read(struct slice text, struct parked_reference *ret_reference, struct err *e);

/* Pure: pieces in, the record's value out. */
struct parked_parts {
	int64_t seq; /* of the stand-in */
	int64_t size_max;
	struct buf value; /* with its wire header; the caller's when whole */
	char *id;
	int32_t pieces, next;
	int64_t size;
};

void parked_begin(struct parked_parts *parts, int64_t seq, int64_t size_max);
void parked_done(struct parked_parts *parts);
/* 1: the record is whole; 0: more pieces must come. ERR_DATA: not the next piece of this record;
 * larger than size_max. */
int parked_add(struct parked_parts *parts, const struct parked_record *piece, struct err *e);

/* Reads them all. `reader` knows the schema of pieces; size_max: of a whole record, in bytes.
 * ERR_RETRY: brokers away. */
int parked_fetch(const struct settings *settings, struct records_reader *reader,
		 struct slice reference, int64_t seq, int64_t size_max, struct buf *ret_value,
		 struct err *e);

#endif
