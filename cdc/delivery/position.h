/* position.h - may capture go on from where it stands? What the topics hold and what the
 * configuration says is compared with the position. */
#ifndef CDC_DELIVERY_POSITION_H
#define CDC_DELIVERY_POSITION_H

#include "core/avro/records.h"
#include "core/base/buf.h"
#include "core/base/settings.h"
#include "core/kafka/admin.h"
#include "core/registry/registry.h"

/* The last record on the commits topic; *ret_found false: there is none, *ret_commit is as it was.
 * To be released with records_done_commit(). */
int position_last_commit(const struct settings *settings, struct admin *admin,
			 struct registry *registry, bool *ret_found,
			 struct commit_record *ret_commit, struct err *e);

/* Without a position: ERR_CONFIG when there are data topics of this name, or `topics` (published
 * events), that hold records, unless capture.adopt. *ret_seq: last seq by the commits topic, 0 when
 * it is empty. */
int position_adopt(const struct settings *settings, struct admin *admin, struct registry *registry,
		   const char *const *topics, size_t topic_count, int64_t *ret_seq, struct err *e);

/* A table that the position does not know begins from nothing: ERR_CONFIG when its topic holds
 * records nevertheless (of a time when it was captured before), unless capture.adopt. */
int position_new_table(const struct settings *settings, struct admin *admin, const char *topic,
		       struct err *e);

/* Partitions of the topic by a fingerprint; 0: it does not name it. */
int32_t position_partitions(const char *fingerprint, const char *topic);

/* A fingerprint is lines of text, in any order: "table <pattern>", "event <name> <binding>", "topic
 * <name> partitions=<n>". Tables and events may come and go, each with its topics, and topics may
 * get more partitions; what the operator should know of it is added to `notes`, a line each. A
 * changed binding, fewer partitions, or a line of any other kind that differs, is ERR_CONFIG and
 * named. */
int position_compare(const char *stored, const char *now, struct buf *notes, struct err *e);

#endif
