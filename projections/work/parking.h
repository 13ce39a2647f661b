/* parking.h - the records that a version keeps aside because they can't be applied (worker.h):
 * which keys wait, keeping one more, trying them again.
 *
 * For the thread that writes the version: a worker, or with order = partition a member, whose
 * partitions are some of all. Keys of different partitions never meet, so each member needs to know
 * only those of its own. */
#ifndef PROJECTIONS_WORK_PARKING_H
#define PROJECTIONS_WORK_PARKING_H

#include "projections/apply/handlers.h"
#include "projections/work/worker.h"

struct parking;

struct parking_place {
	struct store *store;
	const struct view *view; /* all of it outlives the parking */
	int version;
	struct store_version *writer; /* whose transactions keep them */
	/* Only records of these partitions; NULL: of all. */
	bool (*is_mine)(void *context, const char *topic, int32_t partition);
	/* Applies a record so that all it does has run. ERR_DATA: it can't be applied. */
	int (*apply)(void *context, const struct handlers_record *record, struct err *e);
	void *context;
	int64_t max; /* records that the version may keep */
};

/* As if none were parked: before anything is asked of it, parking_read(). */
struct parking *parking_new(const struct parking_place *place);
void parking_free(struct parking *p); /* NULL is fine */
/* Reads which keys wait, as of the last commit. A store that keeps none: no key does. */
int parking_read(struct parking *p, struct err *e);
void parking_count(const struct parking *p, int64_t *ret_parked, int64_t *ret_behind);
/* Records that others keep for the same version: they count for `max`. */
void parking_set_others(struct parking *p, int64_t others);
/* One with its key is parked already. Not to be asked for records that say that their table was
 * emptied: they have no key, and wait for nobody. */
bool parking_waits(struct parking *p, const struct intake_item *item);
/* Inside the store transaction. why NULL: it is behind another one. ERR_DATA: too many are parked
 * already. */
int parking_add(struct parking *p, const struct intake_item *item, const char *why, struct err *e);
/* Inside the store transaction: the table of that topic was emptied at `seq`; what is parked of it,
 * by this parking, is dropped. */
int parking_emptied(struct parking *p, size_t topic, int64_t seq, struct err *e);
/* Inside a store transaction that holds nothing yet: does what is asked (worker_parked_act), key by
 * key in the order of their records. *ret_applied: how many are parked no longer. On error the
 * transaction is to be rolled back. Afterwards, either way, the parking is to be read anew. */
int parking_act(struct parking *p, const struct worker_parked_ask *ask, int64_t *ret_applied,
		struct err *e);

#endif
