/* spool.h - rows waiting in a file: what an exact snapshot of a table without a key has read, until
 * the stream stands where it was taken.
 *
 * The file lies in millrace.state without a name, so that it is gone whatever ends the process.
 * First written, then read. */
#ifndef CDC_SOURCE_SPOOL_H
#define CDC_SOURCE_SPOOL_H

#include "core/base/buf.h"
#include "core/base/err.h"

struct spool;

int spool_new(const char *folder, struct spool **ret_spool, struct err *e);
void spool_free(struct spool *s); /* NULL is fine */
/* ERR_RETRY when the disk is full. */
int spool_add(struct spool *s, struct slice image, struct err *e);
int64_t spool_rows(const struct spool *s);
/* Ends writing: spool_next() gives the first row next. */
int spool_rewind(struct spool *s, struct err *e);
/* 1: a row, valid until the next call; 0: no more; -1. */
int spool_next(struct spool *s, struct slice *ret_image, struct err *e);

#endif
