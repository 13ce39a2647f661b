/* position.h - where capture stands: read from the position topic at start, and compared with the
 * configuration. */
#ifndef CDC_CAPTURE_POSITION_H
#define CDC_CAPTURE_POSITION_H

#include "core/avro/records.h"
#include "core/base/settings.h"
#include "core/kafka/admin.h"
#include "core/registry/registry.h"

/* The last position of this capture's name, committed transactions only. *ret_found false: there is
 * none. Else to be released with records_done_position(). The topic must exist. */
int position_read(const struct settings *settings, struct registry *registry, bool *ret_found,
		  struct position_record *ret_position, struct err *e);

/* Without a position: ERR_CONFIG when there are data topics of this name, or `topics` (published
 * events), that hold records, unless capture.adopt. *ret_seq: last seq by the commits topic, 0 when
 * it is empty. */
int position_adopt(const struct settings *settings, struct admin *admin, struct registry *registry,
		   const char *const *topics, size_t topic_count, int64_t *ret_seq, struct err *e);

/* A fingerprint is lines of text, in any order. Lines "table ..." and "topic ..." may be added; any
 * other difference is ERR_CONFIG and named. */
int position_compare(const char *stored, const char *now, struct err *e);

#endif
