/* delivery_priv.h - shared by delivery.c (topics, group commits) and delivery_tail.c (what the
 * topics hold beyond the position). */
#ifndef CDC_DELIVERY_DELIVERY_PRIV_H
#define CDC_DELIVERY_DELIVERY_PRIV_H

#include "cdc/delivery/chunk_log.h"
#include "cdc/delivery/delivery.h"
#include "cdc/delivery/parked.h"
#include "core/kafka/producer.h"

#include <uthash.h>

/* at-least-once: what a partition holds beyond the position; it is not sent again. */
struct tail {
	UT_hash_handle hh;
	int32_t partition;
	int64_t seq, records; /* of the last record; how many there are */
	int32_t schema_id;    /* of the last record: which of the records with its seq it is */
	bool passed;          /* that record was come to: none that follows is there */
	const char *topic;    /* in key */
	char key[];           /* "<partition>/<topic>" */
};

struct delivery_topic {
	struct delivery_topic *next;
	struct producer_topic *topic;
	const char *name; /* the producer's */
	int32_t partitions;
	int64_t record_max;
	struct tail **tails; /* of each partition, NULL where it has none; NULL: no partition has */
};

struct ensured { /* by delivery_topics */
	UT_hash_handle hh;
	char *name;
	int32_t partitions;
	int64_t message_max; /* 0: not known */
};

struct delivery {
	const struct settings *settings;
	struct admin *admin;
	struct registry *registry;
	struct producer *producer;
	struct publish_sink sink;
	struct producer_topic *commits, *position, *parked_topic;
	int32_t commits_id, position_id, parked_id;
	int64_t parked_max; /* largest piece */
	struct parked *parked;
	struct position_writer *writer;
	struct delivery_topic *data;
	struct tail *tails;
	struct chunk_log *log; /* at-least-once, a chunk that is not sent yet; else NULL */
	struct ensured *ensured;
	bool exactly_once, open, chunk; /* chunk: what comes goes into the log */
	int64_t committed_us;
	void (*begun)(void *context);
	void *begun_context;
	struct buf key, value;
	struct commit_touched *touched;
	size_t touched_capacity;
	struct buf topics; /* lines of the fingerprint */
	char *stored;      /* fingerprint whose counts of partitions are kept, or NULL */
	int64_t kept_seq;  /* up to there at least */
	bool kept;         /* a topic has more than are used */
};

/* Writes the position alone, for a commit record that is there. */
int delivery_position(struct delivery *d, const struct position_record *position, struct err *e);
/* The topic's own, to be asked for each record. */
void delivery_tails_of(struct delivery *d, struct delivery_topic *topic);
/* Is this record there already? Forgets the tail behind its last record. */
bool delivery_is_there(struct delivery_topic *topic, int32_t partition, struct slice value);
void delivery_tails_free(struct delivery *d);

#endif
