/* position_store.h - how the position lies in its topic, so that a group commit costs the same with
 * one table as with ten thousand.
 *
 *   key                              value (schemas/position.avsc, parked.avsc)
 *   <name>                           the position, without copies and fingerprint
 *   <name>/fingerprint               a position with nothing but its fingerprint
 *   <name>/copy/<kind>/<id>/<table>  a position with one copy; a tombstone when it is no more
 *   <name>/parked/<id>               what is parked (parked.h)
 *   <name>/next                      at-least-once: the position that counts once its commit record
 *                                    is there; its copies are those that changed
 *
 * All are written in one Kafka transaction (in at-least-once the first one last), each only when it
 * changed. A position of older versions holds its copies and fingerprint itself; so it is read, and
 * written anew in parts. */
#ifndef CDC_DELIVERY_POSITION_STORE_H
#define CDC_DELIVERY_POSITION_STORE_H

#include "core/avro/records.h"
#include "core/base/settings.h"
#include "core/kafka/producer.h"
#include "core/registry/registry.h"

struct position_part; /* a record of its own, by its key */

struct position_stored {
	bool found;
	struct position_record position; /* put together again; valid until _done */
	struct parked_record *parked;
	size_t parked_count;
	/* what position points to */
	struct position_record main;
	struct position_part *parts;
	struct position_copy *copies;
};

/* Committed records only. The topic must exist. */
int position_read(const struct settings *settings, struct registry *registry,
		  struct position_stored *ret_stored, struct err *e);
void position_stored_done(struct position_stored *stored);

struct position_writer;
typedef int (*position_send_fn)(void *context, struct slice key, struct slice value, struct err *e);

/* stored: what the topic holds, so that it is not written again. exactly_once: a "next" that is
 * left over goes with the first write. */
struct position_writer *position_writer_new(const char *name, int32_t schema_id,
					    const struct position_stored *stored,
					    bool exactly_once);
void position_writer_free(struct position_writer *w); /* NULL is fine */
/* Sends what changed since the last call, the main record at the end. */
int position_write(struct position_writer *w, const struct position_record *record,
		   position_send_fn send, void *context, struct err *e);

/* at-least-once: what the next position_write will say, under <name>/next: the main record with the
 * copies that changed. */
int position_write_next(struct position_writer *w, const struct position_record *record,
			position_send_fn send, void *context, struct err *e);
/* at-least-once: makes stored->position what its "next" says. false: there is none behind it. */
bool position_has_next(const struct position_stored *stored, const struct commit_record *last);
void position_take_next(struct position_stored *stored);
bool position_was_in_steps(const struct position_stored *stored); /* there is a "next" at all */

#endif
