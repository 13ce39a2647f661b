/* chunk_between.h - did anything happen to a table between the two marks of a snapshot? (MySQL) */
#ifndef CDC_SOURCE_CHUNK_BETWEEN_H
#define CDC_SOURCE_CHUNK_BETWEEN_H

#include "cdc/source/chunk.h"

/* Reads the binlog on a connection of its own. low: what had been executed before the snapshot;
 * high: the binlog's end behind it, a place. *ret_touched: a transaction that is not in `low` and
 * stands before `high` may have changed the table of the request, so that nobody can tell whether
 * the snapshot has it. Errors: ERR_RETRY when the connection is lost, ERR_DATA. */
int chunk_between(const struct settings *settings, const struct chunk_request *request,
		  const struct gtid_set *low, const struct gtid_set *high, bool *ret_touched,
		  struct err *e);

#endif
