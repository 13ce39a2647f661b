/* handlers.h - a view's statements, compiled: one plan for each schema that records were written
 * with.
 *
 * A plan joins the decode plan of the writer's schema (core/avro/decode.h) with the handler's
 * statements: which leaf goes to which parameter is settled once. Applying a record then is:
 * decode, look up pointers, execute. Nothing is allocated for a record once plans and buffers are
 * warm.
 *
 * A row record that was too large for its topic is a stand-in there; the whole one is asked for and
 * applied in its place.
 *
 * Parameters: see view.h. :seq, :gtid and :at always are of the source transaction's record; a
 * field or column that is itself called so is :value_seq, :value_gtid, :value_at. */
#ifndef PROJECTIONS_APPLY_HANDLERS_H
#define PROJECTIONS_APPLY_HANDLERS_H

#include "core/avro/schema.h"
#include "projections/apply/target.h"
#include "projections/apply/view.h"

struct handlers;

/* Text of the schema with this id, owned by whoever answers; -1 with an error. */
typedef int (*handlers_schema_fn)(void *context, int32_t schema_id, const char **ret_text,
				  struct err *e);

/* The whole record that a stand-in refers to, with its wire header: fills *ret_value, which is
 * empty. */
typedef int (*handlers_parked_fn)(void *context, struct slice reference, int64_t seq,
				  struct buf *ret_value, struct err *e);

/* A table was emptied at `seq`, and what the view does about it comes next: its handler, or
 * the mirrored table is cleared. 1: go on; 0: it has been done already (by another member,
 * order = partition), pass over; -1. Not called where the view does nothing about it. */
typedef int (*handlers_truncate_fn)(void *context, size_t topic, int64_t seq, struct err *e);

struct handlers_options {
	const struct view *view; /* must outlive the handlers */
	struct target *target;   /* statements live in it: free the handlers first */
	handlers_schema_fn schema;
	view_schema_fn latest;     /* NULL: not known */
	handlers_parked_fn parked; /* NULL: a stand-in is ERR_DATA */
	handlers_truncate_fn truncate; /* NULL: always go on */
	void *context;
};

struct handlers_record {
	size_t topic; /* index into the view's inputs */
	int32_t schema_id;
	struct slice value; /* without the wire header; data NULL: a tombstone, which is skipped */
};

struct handlers_counts {
	int64_t applied; /* records that a handler took */
	int64_t ignored; /* records of types without handler */
	int64_t inexact; /* records whose row held a value that its type can't express (envelope's
			    `exact`) */
};

struct handlers *handlers_new(const struct handlers_options *options);
void handlers_free(struct handlers *h); /* NULL is fine */
/* Applies one record inside the transaction that the caller has open on the target. ERR_CONFIG: a
 * handler names a parameter that the schema doesn't have. ERR_DATA: the record can't be decoded,
 * lacks a column that the handler reads, or is refused by the tables. */
int handlers_apply(struct handlers *h, const struct handlers_record *record, struct err *e);
/* The record says that its table was emptied at once (op t): 1 or 0. -1: it can't be read. */
int handlers_empties(struct handlers *h, const struct handlers_record *record, struct err *e);
void handlers_count(const struct handlers *h, struct handlers_counts *ret_counts);
/* Record types seen without a handler, in order of appearance; owned by h. */
const char *const *handlers_ignored(const struct handlers *h, size_t *ret_count);

/* The parameters that the handler for `schema` uses exist in it (what `check` asks, before any
 * record). */
int handlers_check_schema(const struct view *view, struct target *target,
			  const struct schema *schema, struct err *e);

/* ---- values by name instead of an encoded record: test cases ---- */
struct handlers_field {
	const char *name; /* leaf path: "group_id", "after.name", "meta.seq" */
	struct value value;
};
/* Runs the handlers of an event (or row operation) with these fields. *ret_found: there is a
 * handler. A parameter without a field is ERR_DATA. */
int handlers_run_fields(const struct view *view, struct target *target, enum view_on on,
			const char *name, const struct handlers_field *fields, size_t count,
			bool *ret_found, struct err *e);

#endif
