/* chunk_log.h - at-least-once: the records of one chunk of a copy, in a file, until they are
 * delivered (delivery.c).
 *
 * A source transaction can be made again from the binlog, record for record. A chunk can't: its
 * rows may have changed since. So before the first of its records is sent, all of them are in
 * <millrace.state>/<name>.chunk, with the records that end their group commit. After a crash the
 * rest is sent from there. The file has its name only when it is whole; its end says what it is of,
 * and a sum. Another chunk replaces it. */
#ifndef CDC_DELIVERY_CHUNK_LOG_H
#define CDC_DELIVERY_CHUNK_LOG_H

#include "core/base/err.h"
#include "core/base/settings.h"
#include "core/base/slice.h"

struct chunk_log;

/* In the place of a topic, behind the records of data topics: what ends the group commit. */
#define CHUNK_LOG_POSITION "/next"
#define CHUNK_LOG_COMMIT "/commit"

struct chunk_record {
	const char *topic;
	int32_t partition;
	struct slice key; /* data NULL: none */
	struct slice value;
};

/* Begins a new one. ERR_RETRY, here and in what follows: the folder cannot be written to. */
int chunk_log_new(const struct settings *settings, struct chunk_log **ret_log, struct err *e);
int chunk_log_add(struct chunk_log *log, const struct chunk_record *record, struct err *e);
int64_t chunk_log_count(const struct chunk_log *log);
/* It is whole, on the disk, and has its name; reading begins with the first record. transaction:
 * the chunk's name; seq: of the group commit before it. */
int chunk_log_end(struct chunk_log *log, const char *transaction, int64_t seq, struct err *e);
/* What a crash has left. *ret_log NULL: there is none, or one that is damaged. */
int chunk_log_open(const struct settings *settings, struct chunk_log **ret_log, struct err *e);
bool chunk_log_is_of(const struct chunk_log *log, const char *transaction, int64_t seq);
/* 1: the next record, valid until the next call; 0: that was all; -1. */
int chunk_log_next(struct chunk_log *log, struct chunk_record *ret_record, struct err *e);
/* Closes it; a file that was not ended is gone. NULL is fine. */
void chunk_log_free(struct chunk_log *log);

#endif
