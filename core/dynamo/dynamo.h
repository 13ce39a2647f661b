/* dynamo.h - requests to DynamoDB's API (JSON 1.0, signed by SigV4), several in flight.
 *
 * One thread uses a client. What may heal - a throttled request, a conflict of two transactions, a
 * server error, a lost connection - is tried again with growing, jittered waits, until
 * dynamodb.timeout is over; then it is ERR_RETRY. A request that timed out may have been carried
 * out, or still be: whoever sends one that must not run twice gives it a condition.
 *
 * The service's own words about requests that carry items are withheld, because they may hold
 * values: errors name the operation and the kind of refusal only. */
#ifndef CORE_DYNAMO_DYNAMO_H
#define CORE_DYNAMO_DYNAMO_H

#include "core/base/buf.h"
#include "core/base/settings.h"
#include "core/value/value.h"

#define DYNAMO_SLOTS 8                       /* requests in flight */
#define DYNAMO_ANSWER_MAX (32 * 1024 * 1024) /* a page of a scan is 1 MB before it is JSON */
#define DYNAMO_REQUEST_MAX (3 * 1024 * 1024) /* of a transaction: the service takes 4 MB */
#define DYNAMO_ITEM_MAX (400 * 1024)         /* the service's own limit, names counted in */
#define DYNAMO_ACTIONS_MAX 100               /* in one transaction */
#define DYNAMO_TABLE_NAME_MAX 255

struct dynamo;
struct dynamo_node; /* a value inside an answer; valid as long as the answer */

enum dynamo_outcome {
	DYNAMO_OK,
	DYNAMO_CONDITION, /* a condition was false: nothing was written */
	DYNAMO_MISSING,   /* no such table */
	DYNAMO_IN_USE,    /* a table that is there already, or being made or removed */
	DYNAMO_REFUSED,   /* the values, or the request, aren't what the service takes */
	DYNAMO_FAILED,    /* anything else */
};

struct dynamo_answer {
	enum dynamo_outcome outcome;
	/* Of a transaction: which action (from 0) the outcome is about; -1: not known. */
	int action;
	struct dynamo_node *root; /* NULL: there is none */
};

/* Endpoint, region and credentials as configured, or from the environment. ERR_CONFIG: something
 * is missing; nothing is sent yet. */
int dynamo_new(const struct settings *settings, struct dynamo **ret_dynamo, struct err *e);
void dynamo_free(struct dynamo *d); /* NULL is fine; what is in flight is given up */
/* The endpoint, to be shown. */
const char *dynamo_endpoint(const struct dynamo *d);

/* One request and its answer. On error *ret_answer holds the outcome, so that the caller can take
 * one it expects; free it either way. */
int dynamo_call(struct dynamo *d, const char *operation, struct slice body,
		struct dynamo_answer *ret_answer, struct err *e);
/* The same in two halves: `slot` (below DYNAMO_SLOTS) must be free, `body` must stay until
 * dynamo_finish. */
void dynamo_begin(struct dynamo *d, int slot, const char *operation, struct slice body);
bool dynamo_is_busy(const struct dynamo *d, int slot); /* begun and not finished */
int dynamo_finish(struct dynamo *d, int slot, struct dynamo_answer *ret_answer, struct err *e);
/* Gives up what is in flight; whether it will be carried out is not known. */
void dynamo_abandon(struct dynamo *d);
void dynamo_answer_done(struct dynamo_answer *a);

/* ---- reading answers: each takes NULL, and gives nothing then ---- */
const struct dynamo_node *dynamo_get(const struct dynamo_node *n, const char *name);
const struct dynamo_node *dynamo_at(const struct dynamo_node *n, size_t i);
size_t dynamo_count(const struct dynamo_node *n);
struct slice dynamo_text(const struct dynamo_node *n); /* data NULL: no text */
/* The attribute `name` of an item. Text and bytes lie in the answer or in `scratch`, which is
 * appended to (take one at a time, or reserve). Numbers are TEXT, as the service prints them;
 * what is not there, and types that Millrace does not write, are NULL. */
int dynamo_attribute(const struct dynamo_node *item, const char *name, struct buf *scratch,
		     struct value *ret_value, struct err *e);
int64_t dynamo_int(const struct dynamo_node *item, const char *name);  /* 0 when it is no integer */
char *dynamo_string(const struct dynamo_node *item, const char *name); /* malloced; NULL: none */
/* As JSON, appended: to be sent back (LastEvaluatedKey). */
void dynamo_print(const struct dynamo_node *n, struct buf *out);

/* ---- for tests and fuzzing: an answer as it came ---- */
int dynamo_answer_read(const char *operation, long status, struct slice body,
		       struct dynamo_answer *ret_answer, bool *ret_again, struct err *e);

#endif
