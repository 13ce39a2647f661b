/* script.h - a source and brokers that are scripts, for tests of a whole capture session without a
 * server.
 *
 * Tests named test_sweep* are linked with this folder before the library (Makefile): script_db.c in
 * place of core/mysql/db*, script_kafka.c in place of core/kafka/producer, consumer and admin,
 * script_clock.c in place of core/base/clock and stop. The linker takes the first definition it
 * meets, so each of these files must define every function of the headers it stands for: one that
 * was added there and not here shows as "multiple definition" when the test is linked. */
#ifndef TEST_SCRIPT_SCRIPT_H
#define TEST_SCRIPT_SCRIPT_H

#include "core/base/buf.h"
#include "core/base/settings.h"
#include "core/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- a binlog ------------------------------------------------------------------------------- */

struct script_event {
	size_t at, size;
	uint64_t gtid; /* sequence number of the group it belongs to; 0: none */
};

struct script_binlog {
	struct buf bytes;
	struct script_event *events;
	size_t count, capacity;
	uint64_t gtid; /* of the group that is being written */
	uint32_t log_pos;
	struct buf table_map; /* body of the recorded one */
};

/* Begins with the FORMAT_DESCRIPTION of a recorded file, and keeps the first TABLE_MAP of
 * `table` (its table has two INT columns) for script_rows(). */
void script_binlog_init(struct script_binlog *b, const char *path, const char *table);
void script_binlog_done(struct script_binlog *b);
void script_event(struct script_binlog *b, uint8_t type, const void *body, size_t size);
void script_gtid(struct script_binlog *b, uint64_t sequence, uint8_t flags);
void script_query(struct script_binlog *b, const char *text);
void script_xid(struct script_binlog *b);
/* A TABLE_MAP and a rows event: type 23 insert, 24 update, 25 delete, of the rows (first_id + i,
 * number). An update changes `before` to `number`. */
void script_rows(struct script_binlog *b, uint8_t type, int32_t first_id, int32_t rows,
		 int32_t before, int32_t number);
/* Checksum and size field of the event made right again. */
void script_seal(uint8_t *event, size_t size);
struct slice script_packet(const struct script_binlog *b, size_t i);

/* ---- the source ----------------------------------------------------------------------------- */

struct script_answer {
	const char *part; /* of the statement's text */
	const char *rows; /* lines; cells end with a tab, \N is NULL; "": no row */
};

/* Statements are answered by the first answer whose part they contain; db_run takes anything.
 * Packets are those of `binlog` behind the position that is asked for; at their end the stream
 * waits to be interrupted. Both must live on. */
void script_source(const struct script_binlog *binlog, const struct script_answer *answers,
		   size_t count);

/* A stop is asked for when the stream has been at its end for so long. 0: never. */
void script_patience(int64_t ms);

/* ---- the brokers ---------------------------------------------------------------------------- */

struct script_record {
	struct slice key, value; /* of memory of its own */
	int64_t offset;
};

void script_brokers_reset(void); /* no topics */
/* Called behind each transaction that was committed, by the thread that did. NULL: nobody. */
void script_on_commit(void (*committed)(void));
/* Called at the beginning of each producer_send and at its end, by the thread that sends. NULL:
 * nobody. */
void script_on_send(void (*sent)(const char *topic, bool done));
/* Names of topics, in the order they were made. NULL behind the last. */
const char *script_topic(size_t i, int32_t *ret_partitions);
/* Committed records of a partition, in order; valid until the next call that changes it. */
const struct script_record *script_committed(const char *topic, int32_t partition,
					     size_t *ret_count);

/* ---- a capture of one table ------------------------------------------------------------------ */

#define SCRIPT_BIG_ROWS 2500 /* in its one big transaction, which is read twice and cut */

extern char script_doing[200]; /* for messages: what the test is at */

/* Settings, answers and a history of golden.a; returns the history, which may be changed. `big`:
 * with the big transaction. */
extern const char *script_delivery, *script_bootstrap; /* of the next setup */
#define SCRIPT_MORE 8
extern struct settings_flag script_more[SCRIPT_MORE]; /* settings beside ours, up to a NULL */
struct script_binlog *script_run_setup(bool big);
void script_run_teardown(void);
struct err;
/* One life of the capture. 0: it came to the end of the history. */
int script_live(struct err *e);
bool script_is_final(void); /* the last transaction of the history stands in the position */
/* Every committed record of the data topics, byte for byte. */
void script_take_data(struct buf *out);
/* Commit records follow each other and count what is there. Returns the last seq. */
int64_t script_check_commits(void);

/* ---- the rest ------------------------------------------------------------------------------- */

void script_stop_take_back(void);

#endif
