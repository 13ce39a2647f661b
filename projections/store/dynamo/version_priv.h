/* version_priv.h - a version that is written: between fence.c, clear.c and version.c. */
#ifndef PROJECTIONS_STORE_DYNAMO_VERSION_PRIV_H
#define PROJECTIONS_STORE_DYNAMO_VERSION_PRIV_H

#include "projections/store/dynamo/dynamo_priv.h"

struct lane {
	struct batch waiting; /* to be sent */
	struct buf body;      /* in flight */
	int64_t n;            /* of the fence, as of the last answer */
	bool in_flight;
};

struct store_version {
	struct store_dynamo *store;
	struct dynamo *client;
	char *label;
	struct dynamo_tables *tables;
	char **names; /* of the tables in the service */
	int64_t epoch;
	bool built;
	bool unsure; /* a request was given up: what the fences are is not known */
	struct lane lanes[STORE_DYNAMO_LANES];
	struct batch open; /* live: the source transaction that is being applied */
	struct batch one;  /* the operation that is being applied */
	struct buf also;   /* actions that go with the position */
	size_t also_count;
	struct target_dynamo target;
};

/* ---- behind the fence (fence.c) ---- */
/* Counts the epoch of all fences up: whoever wrote before writes nothing any more. */
int fence_raise(struct store_version *v, struct err *e);
/* A request of its own, no write, in slot `slot`, which is free. */
int fence_ask(struct store_version *v, int slot, const char *operation, const struct buf *body,
	      struct dynamo_answer *ret_answer, struct err *e);
/* What waits in lane `i`, and more actions ("" for none, else each behind its comma), as a
 * transaction; the one before it has been answered then. */
int fence_send(struct store_version *v, int i, const char *more, struct err *e);
/* Waits for the answer of what is in flight. ERR_FATAL, EXIT_FENCED: another process writes. */
int fence_finish(struct store_version *v, int i, struct err *e);
/* The changes of `from` join those that wait for fence 0; what doesn't fit waits alone. */
int fence_join(struct store_version *v, struct batch *from, struct err *e);
/* All that waits is sent, and answered. */
int fence_drain(struct store_version *v, struct err *e);

/* ---- changes (version.c, clear.c) ---- */
int version_add(struct store_version *v, const struct dynamo_operation *op,
		const struct value *const *values, struct err *e);
/* Every item of the table that is there, or on its way. */
int version_clear(struct store_version *v, const struct dynamo_table *t, struct err *e);

#endif
