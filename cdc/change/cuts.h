/* cuts.h - which row events of a group were taken back by ROLLBACK TO SAVEPOINT. Pure.
 *
 * Row events are numbered from 0 in the order in which they stand in the group. A savepoint
 * remembers the number that comes next; rolling back to it cuts everything from there on. */
#ifndef CDC_CHANGE_CUTS_H
#define CDC_CHANGE_CUTS_H

#include "core/base/err.h"
#include "core/base/slice.h"

#define CUTS_SAVEPOINTS_MAX \
	100000 /* names alive at once in one group, and cut ranges of one group */
#define CUTS_NAME_MAX 1024

struct cut {
	uint64_t from, to; /* row events from .. to-1 are gone */
};

struct savepoint {
	char *name; /* without quotes, lower case: names compare without regard to case */
	uint64_t number;
};

struct cuts {
	struct cut *items; /* rising, not touching each other */
	size_t count, capacity;
	struct savepoint *savepoints;
	size_t savepoint_count, savepoint_capacity;
};

void cuts_done(struct cuts *c);
void cuts_reset(struct cuts *c);
/* name: as written, quotes included. A savepoint of the same name is replaced, as the server does.
 */
int cuts_savepoint(struct cuts *c, struct slice name, uint64_t next_number, struct err *e);
/* ERR_DATA when there is no such savepoint: the group cannot be understood. */
int cuts_rollback_to(struct cuts *c, struct slice name, uint64_t next_number, struct err *e);
/* Forgets the savepoint and those set after it; the rows stay. Unknown names are fine. */
void cuts_release(struct cuts *c, struct slice name);
/* *at: a cursor for asking with rising numbers, 0 at first. */
bool cuts_has(const struct cuts *c, uint64_t number, size_t *at);

#endif
