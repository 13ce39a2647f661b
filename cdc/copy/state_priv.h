/* state_priv.h - what state.c (thread, rows) and state_apply.c (records into the file) share. */
#ifndef CDC_COPY_STATE_PRIV_H
#define CDC_COPY_STATE_PRIV_H

#include "cdc/copy/state.h"
#include "cdc/publish/row_back.h"
#include "cdc/source/collator.h"
#include "core/kafka/consumer.h"
#include "core/sql/store_db.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>

/* A writer schema of values or keys, against the present shape. */
struct state_schema {
	int32_t id;
	struct row_back *back;
	UT_hash_handle hh;
};

struct state_partition {
	int64_t next, seq; /* offset to be read next; seq of the last record */
	int64_t wanted;    /* seq that the catch-up must reach */
	bool beyond;       /* the limit is reached: next stays */
};

enum state_job { STATE_RESTS, STATE_ASKED, STATE_DONE, STATE_FAILED };

struct state {
	const struct settings *settings;
	struct registry *registry;
	char *topic, *path;
	struct shape *shape;

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	atomic_bool stopping;
	enum state_job job;
	struct err failure;
	_Atomic int64_t done, total;
	int64_t seq_max; /* state_limit() */

	/* the thread's while it works, the owner's while it rests */
	struct sql_db *db;
	struct sql_statement *put, *drop, *empty, *offset, *find, *range;
	struct state_partition *partitions;
	size_t partition_count;
	struct consumer *consumer;
	struct state_schema *schemas;
	struct collator *collator; /* of the thread */
	struct buf key, body, bytes;
	struct cell *cells;
};

/* One record of the topic into the file. */
int state_apply(struct state *s, const struct consumer_message *message, struct err *e);
/* Reads until everything wanted is there. */
int state_read_topic(struct state *s, struct err *e);
int state_schema(struct state *s, int32_t id, struct row_back **ret_back, struct err *e);
void state_forget_schemas(struct state *s);
/* Opens the file, begun anew if it does not fit. */
int state_open_file(struct state *s, struct err *e);
void state_close_file(struct state *s);
int state_delete_file(struct state *s, struct err *e);

#endif
