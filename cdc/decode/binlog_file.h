/* binlog_file.h - a binlog file (or stdin), event by event.
 *
 * A file is the bytes fe 62 69 6e and events behind each other to its end. What is in memory is a
 * window of a few hundred kB, or the one event that is larger. Errors name file and offset:
 * "binlog.000003:1234: ..."; ERR_DATA: not a binlog file, cut short, encrypted (with what to do);
 * ERR_CONFIG: it can't be opened; ERR_FATAL: it can't be read. */
#ifndef CDC_DECODE_BINLOG_FILE_H
#define CDC_DECODE_BINLOG_FILE_H

#include "core/base/err.h"
#include "core/base/slice.h"

#define BINLOG_FILE_MAGIC_SIZE 4

struct binlog_file;

/* path "-": stdin, which is called so in errors, too. */
int binlog_file_open(const char *path, struct binlog_file **ret_file, struct err *e);
void binlog_file_close(struct binlog_file *f); /* NULL is fine */
/* The name without its folders. */
const char *binlog_file_name(const struct binlog_file *f);
/* Bytes; 0: not known (a pipe). */
uint64_t binlog_file_size(const struct binlog_file *f);

/* The next event, whole, valid until the next call: 1; 0 at the end; -1. Checksums are not looked
 * at. */
int binlog_file_next(struct binlog_file *f, struct slice *ret_packet, struct err *e);
/* Where the event given last begins; behind the last one, where the file ends. */
uint64_t binlog_file_at(const struct binlog_file *f);
/* The next event is the one at `offset`, which must not lie behind us. What lies between is not
 * read as events, so that damage there does no harm. */
int binlog_file_skip_to(struct binlog_file *f, uint64_t offset, struct err *e);

#endif
