/* script_feed.h - a feed that plays a history made up by a test: whole source transactions of two
 * event types, on the topic "items".
 *
 * The history can grow while feeds read it. script_value() is the truth: what a view of it must
 * hold at a seq. */
#pragma once

#include "projections/work/feed.h"

#include <pthread.h>

#define SCRIPT_IDS 50     /* ids are 0 .. SCRIPT_IDS-1 */
#define SCRIPT_MAX 200000 /* records */

struct script_record {
	int64_t seq;
	int32_t id;
	int64_t value; /* -1: ItemGone */
};

struct script {
	pthread_mutex_t lock;
	struct script_record *records; /* seq - 1 is the index */
	int64_t *ends;                 /* last seq of each source transaction */
	int64_t count, transactions;
	int64_t gtid_step; /* between GTIDs of two source transactions; 0: 1 */
	int fail_every; /* 0: never; else each so manieth next gives ERR_RETRY */
	int fails;
	bool keys;                 /* each record's key is its id; else they have none */
	_Atomic bool copying;      /* tables are being copied */
	_Atomic bool reconciling;  /* a table may differ from the source */
	_Atomic bool begins_late;  /* the log no longer starts at zero */
	int64_t poison_seq;        /* this record's value is cut short; 0: none */
};

void script_init(struct script *s);
void script_done(struct script *s);
/* Adds a source transaction of 1 .. most random records (unit.h's random numbers of the caller,
 * given as numbers). */
void script_add(struct script *s, size_t records, uint64_t (*random64)(void));
/* The beginning of one: its end does not come. */
void script_add_open(struct script *s, size_t records, uint64_t (*random64)(void));
int64_t script_seq(struct script *s);
/* Value of each id at seq; -1: none. */
void script_state(struct script *s, int64_t seq, int64_t *ret_values);

extern const struct feed_ops script_feed_ops; /* context: struct script */
