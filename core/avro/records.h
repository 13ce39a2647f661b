/* records.h - the records that Millrace writes about itself: commit, position, status, parked
 * (schemas/<kind>.avsc), as structs.
 *
 * Written with the schema that is built into the binary. Read by the schema they were written with,
 * field by field by name: fields we don't know are skipped, fields the writer didn't know are zero,
 * NULL or empty. So an older and a newer Millrace can read each other.
 *
 * Who writes a record points its members at memory of its own. A record that was read owns all it
 * points to: release it with records_done_<kind>. Strings are never NULL where the schema says
 * string (a NULL is written as ""). */
#ifndef CORE_AVRO_RECORDS_H
#define CORE_AVRO_RECORDS_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"

enum record_kind { RECORD_COMMIT, RECORD_POSITION, RECORD_STATUS, RECORD_PARKED };
#define RECORD_KINDS 4

#define RECORDS_ITEMS_MAX (1024 * 1024) /* items of one array */

struct records_memory; /* what a record that was read owns */

struct record_texts {
	const char **items;
	size_t count;
};

struct commit_transaction {
	const char *gtid;
	int64_t changes;   /* number of seq in this group commit */
	int64_t commit_us; /* absolute (the schema's commit_us_delta is made and undone here) */
};

struct commit_touched {
	const char *topic;
	int32_t partition;
	int64_t records, last_seq;
};

struct commit_record {
	int64_t seq, first_seq; /* first_seq == seq + 1 when it holds no change */
	bool open;
	int64_t at_us;
	int64_t bytes_total, transactions_total;
	const char *gtid_set;
	struct commit_transaction *transactions;
	size_t transaction_count;
	struct commit_touched *partitions;
	size_t partition_count;
	struct record_texts held, copied, copying;
	struct record_texts reconciling; /* db.table: may differ until its reconciling copy ends */
	/* copying and reconciling are empty, and as in the record before, without those in copied
	 * and reconciled */
	bool unchanged;
	struct record_texts reconciled;
	struct records_memory *memory;
};

struct position_copy {
	const char *db, *table;
	bool done;
	int64_t chunks, rows;
	struct record_texts last_key; /* SQL literals */
	const char *kind;             /* "first" or "reconcile" */
	int64_t id;                   /* of a reconciling copy, rising; 0: the first copy */
	const char *why, *where;      /* "" where there is nothing to say */
	bool paused;
	struct record_texts
		keys; /* of a foreign key: its columns, their types, values; none: all */
	int64_t shape; /* schema id of the row schema in force; 0: not known */
};

struct position_prepared {    /* an XA transaction between XA PREPARE and its end */
	const char *xid;      /* format:hex:hex */
	const char *gtid;     /* of the prepare */
	const char *gtid_set; /* position right before it: where it is read again from */
	const char *file;
	int64_t file_position;
};

struct position_record {
	int64_t seq;
	const char *gtid_set, *source;
	int64_t commit_us, bytes_total, transactions_total;
	const char *open_gtid; /* NULL: none */
	int64_t open_changes;
	struct position_copy *copies;
	size_t copy_count;
	const char *fingerprint;
	const char *file; /* file and position are the truth where gtid_set is ""; else "" */
	int64_t file_position, file_created;
	struct position_prepared *prepared;
	size_t prepared_count;
	struct records_memory *memory;
};

struct status_stage {
	int64_t transactions, bytes, us;
};

struct status_copy {
	const char *table; /* db.table */
	int64_t rows, rows_estimate;
	double rate;
	bool done;
	const char *kind; /* "first" or "reconcile" */
	int64_t id;
	const char *why;
	bool paused;
};

struct status_share {
	const char *topic;
	int32_t partition;
	int64_t offset, seq, lag_us; /* next to be applied; behind what is delivered */
	const char *member, *trouble; /* who has it; why it can't go on; "" */
};

struct status_version {
	int32_t version;
	const char *state;
	int64_t seq;
	const char *gtid_set;
	int64_t records, records_total;
	double rate;
	const char *definition;
	const char *message; /* why it failed, or what the diff says; "" */
	int64_t left_us;     /* of its build; -1: not known, or built */
	const char *slowest; /* topic-partition with the most left; "" */
	int64_t slowest_left;
	int64_t parked;    /* records that it could not apply */
	int64_t differing; /* rows that differ from the live version; -1: not compared */
	int64_t compared_us, differs_since_us;
	const char *as_of; /* GTID set or time that it is built up to; "" */
	int32_t share;     /* percent of a core that its build takes at most; 0: any */
	struct status_share *shares; /* order = partition */
	size_t share_count;
};

struct status_verified {
	int64_t at_us;
	const char *gtid_set;
	int64_t rows, differences;
};

struct status_record {
	int64_t seq;
	const char *kind, *name, *state, *message;
	int64_t at_us, started_us;
	const char *http, *gtid_set;
	int64_t commit_us, source_now_us;
	struct status_stage *head, *read, *delivered,
		*applied; /* NULL: not known to this process */
	struct status_copy *copies;
	size_t copy_count;
	struct status_version *versions;
	size_t version_count;
	struct status_verified *verified; /* NULL: never */
	struct record_texts inputs;
	const char *owner;
	int64_t parked, parked_bytes; /* records on <name>.parked, or of the live version */
	int64_t copies_total, copies_done;
	const char *store, *view_kind; /* of a view */
	struct records_memory *memory;
};

struct parked_record { /* a piece, or (with offset, without data) the index's entry */
	int64_t seq;
	const char *id; /* "<seq>.<n>" */
	int32_t piece, pieces;
	const char *topic;
	int32_t partition;
	struct slice key; /* data NULL: none */
	int64_t size;
	const char *op; /* "": a published event */
	bool stand_in;
	const char *transaction;
	int64_t commit_us, at_us;
	const char *reason;
	int64_t offset; /* of piece 0, in the index; else -1 */
	struct slice data;
	struct records_memory *memory;
};

/* The schema text that is registered (as <topic>-value), built into the binary. */
const char *records_schema_text(enum record_kind kind);

/* Append the datum; the wire header is the caller's (write_wire_header of write.h). */
void records_write_commit(const struct commit_record *r, struct buf *out);
void records_write_position(const struct position_record *r, struct buf *out);
void records_write_status(const struct status_record *r, struct buf *out);
void records_write_parked(const struct parked_record *r, struct buf *out);

/* Where a reader gets the text of a schema id: registry_by_id, behind a function so that core/avro
 * needs no registry. The text must live as long as the call. */
typedef int (*records_lookup_fn)(void *context, int32_t id, const char **ret_text, struct err *e);
struct records_reader;
/* lookup NULL: every id counts as the built-in schema (tests). One thread. */
struct records_reader *records_reader_new(records_lookup_fn lookup, void *context);
void records_reader_free(struct records_reader *reader); /* NULL is fine; records read live on */

/* From a record's value with its wire header. ERR_DATA: cut short, left over, absurd, not such a
 * record. */
int records_read_commit(struct records_reader *reader, struct slice wire,
			struct commit_record *ret_record, struct err *e);
int records_read_position(struct records_reader *reader, struct slice wire,
			  struct position_record *ret_record, struct err *e);
int records_read_status(struct records_reader *reader, struct slice wire,
			struct status_record *ret_record, struct err *e);
int records_read_parked(struct records_reader *reader, struct slice wire,
			struct parked_record *ret_record, struct err *e);

void records_done_commit(struct commit_record *r); /* releases; the struct is zero afterwards */
void records_done_position(struct position_record *r);
void records_done_status(struct status_record *r);
void records_done_parked(struct parked_record *r);

/* As one JSON object, members named as in the schema (commit_us instead of its delta). Appends. */
void records_json_commit(const struct commit_record *r, struct buf *out);
void records_json_position(const struct position_record *r, struct buf *out);
void records_json_status(const struct status_record *r, struct buf *out);
void records_json_parked(const struct parked_record *r, struct buf *out);

#endif
