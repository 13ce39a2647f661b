/* state_priv.h - what state.c (thread, rows), state_file.c (the file), state_apply.c (records into
 * it), state_parked.c (rows that are parked) and state_count.c (tables without a key) share. */
#ifndef CDC_COPY_STATE_PRIV_H
#define CDC_COPY_STATE_PRIV_H

#include "cdc/change/key.h"
#include "cdc/copy/state.h"
#include "cdc/publish/row_back.h"
#include "cdc/source/collator.h"
#include "cdc/source/spool.h"
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

struct state_link {
	int64_t id;
	char *names;
	uint16_t columns[KEY_PARTS_MAX];
	size_t count;
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
	struct sql_statement *count, *zero, *differ, *see;
	struct sql_statement *link, *unlink, *follow;
	struct state_link *links;
	size_t link_count;
	char *wanted_link;
	struct buf link_value;
	bool counted;        /* the table has no key: images are counted */
	struct spool *spool; /* a snapshot to be counted behind the next catch-up; owned */
	struct state_partition *partitions;
	size_t partition_count;
	struct consumer *consumer;
	struct state_schema *schemas;
	struct collator *collator; /* of the thread */
	struct buf key, body, bytes;
	struct cell *cells;
	int64_t fetched_seq; /* stand-ins up to it that are left can't be had */
	/* state_differ() */
	struct buf image;
	int64_t image_count;
	bool image_there, at_end;
	bool converted; /* state_converted() */
};

/* One record of the topic into the file. */
int state_apply(struct state *s, const struct consumer_message *message, struct err *e);
/* Reads until everything wanted is there. */
int state_read_topic(struct state *s, struct err *e);
int state_schema(struct state *s, int32_t id, struct row_back **ret_back, struct err *e);
void state_forget_schemas(struct state *s);
/* `value` with its wire header: that of the message, or the whole one of a stand-in. */
int state_apply_value(struct state *s, const struct consumer_message *message, struct slice value,
		      bool whole, struct err *e);

/* ---- state_parked.c ---- */
/* 1: the whole record of a stand-in, with its wire header; 0: it can't be had. */
int state_fetch(struct state *s, struct slice reference, int64_t seq, struct buf *ret_value,
		struct err *e);
/* Puts the whole ones where stand-ins are the last records of their keys. */
int state_fetch_rows(struct state *s, struct err *e);

/* ---- state_count.c ---- */
int state_count_record(struct state *s, const struct consumer_message *message,
		       struct row_back *back, const struct row_back_record *record, struct err *e);
int state_count_cells(struct state *s, int32_t partition, const struct cell *cells, int64_t n,
		      struct err *e);
int state_count_spool(struct state *s, struct err *e);

/* ---- state_link.c ---- */
int state_read_links(struct state *s, struct err *e);
void state_forget_links(struct state *s);
int state_make_link(struct state *s, struct err *e);
int state_link_row(struct state *s, struct slice key, const struct cell *cells, struct err *e);
int state_unlink_row(struct state *s, struct slice key, const struct cell *cells, struct err *e);

/* ---- state_file.c ---- */
int state_bind_text(struct sql_statement *q, int i, const char *text, struct err *e);
int state_bind_int(struct sql_statement *q, int i, int64_t number, struct err *e);
int state_bind_bytes(struct sql_statement *q, int i, struct slice bytes, struct err *e);
/* Steps to the end of a statement that gives no rows, and resets it. */
int state_run(struct sql_statement *q, struct err *e);
void state_room_for(struct state *s, size_t partition);
/* Opens the file, begun anew if it does not fit. */
int state_open_file(struct state *s, struct err *e);
void state_close_file(struct state *s);
int state_delete_file(struct state *s, struct err *e);

#endif
