/* commit_lists.h - the lists of incomplete tables in commit records, said once.
 *
 * The first record of a session holds `copying` and `reconciling` whole. A later one does so only
 * when a table entered; else it says `unchanged`, and names what left: in `copied` and
 * `reconciled`. So a group commit costs nothing for tables that it does not concern. */
#ifndef CDC_DELIVERY_COMMIT_LISTS_H
#define CDC_DELIVERY_COMMIT_LISTS_H

#include "core/avro/records.h"

struct commit_list {
	char **items;
	size_t count;
};

struct commit_lists { /* zero: nothing was said in this session */
	bool told;
	struct commit_list copying, reconciling; /* as the reader knows them */
	struct record_texts now_copying, now_reconciling, reconciled;
};

void commit_lists_done(struct commit_lists *l);
/* c has copying, reconciling and copied as they are now: leaves out what the reader knows.
 * Both lists keep their order from one record to the next. */
void commit_lists_fill(struct commit_lists *l, struct commit_record *c);
/* The record is committed; the lists given to commit_lists_fill() must still be there. */
void commit_lists_committed(struct commit_lists *l);

#endif
