/* parked.h - records that can't be delivered as they are: kept whole on <name>.parked (DESIGN 4.6,
 * 4.8).
 *
 * A record that is larger than its topic allows is cut into pieces of at most 1 MB (Parked records,
 * schemas/parked.avsc; key "<id>/<piece>"), in the same Kafka transaction as what stands in its
 * place. What is parked is also in an index on <name>.position (key "<name>/parked/<id>"), which is
 * read at start: published events leave nothing in their topic, so later ones with the same key
 * must wait behind them. */
#ifndef CDC_DELIVERY_PARKED_H
#define CDC_DELIVERY_PARKED_H

#include "cdc/publish/publisher.h"
#include "core/avro/records.h"
#include "core/kafka/producer.h"
#include "core/registry/registry.h"

#define PARKED_PIECE_MAX (1024 * 1024 - 4096) /* data; with its frame at most 1 MB */
#define PARKED_KEY_MAX 65536
#define PARKED_BLOCKED_MAX 100000 /* keys of published events that wait */

struct parked;

struct parked_options {
	const struct settings *settings;
	struct producer *producer;
	struct producer_topic *topic, *index; /* <name>.parked, <name>.position */
	int32_t schema_id;
	int64_t piece_max; /* what the topic takes, at most PARKED_PIECE_MAX */
};

struct parked *parked_new(const struct parked_options *options);
void parked_free(struct parked *p); /* NULL is fine */
/* An entry of the index, as it was read at start. */
void parked_know(struct parked *p, const struct parked_record *entry);
/* Parks a record; *ret_where gets "<topic>:<partition>:<offset>" of its first piece. Waits until
 * that piece is acknowledged. ERR_DATA: its key alone is too large. */
int parked_put(struct parked *p, const struct publish_parked *record, struct buf *ret_where,
	       struct err *e);
/* A published event with this key (with its wire header) has to wait. */
bool parked_blocks(const struct parked *p, const char *topic, struct slice key);
/* Takes a record out of the index; with `pieces` they go, too: tombstones. In a transaction. */
int parked_remove(struct parked *p, const struct parked_record *entry, bool pieces, struct err *e);
void parked_counts(const struct parked *p, int64_t *ret_records, int64_t *ret_bytes);

/* Key of the index's entry ("<name>/parked/<id>"), and whether a key is one; appends. */
void parked_index_key(const char *name, const char *id, struct buf *out);
bool parked_is_index_key(const char *name, struct slice key);

/* The whole record of an index entry: its value with the wire header. ERR_DATA: pieces are missing.
 */
int parked_whole(const struct settings *settings, struct registry *registry,
		 const struct parked_record *entry, struct buf *ret_value, struct err *e);
/* The entry with that id, or NULL. */
const struct parked_record *parked_find(const struct parked_record *entries, size_t count,
					const char *id);
void parked_sort(struct parked_record *entries, size_t count); /* by seq */

#endif
