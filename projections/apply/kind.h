/* kind.h - what becomes of a record in a view, by the view's kind.
 *
 *   sql      the view's own handlers run (handlers.h)
 *   mirror   the row is put into, or taken out of, the table of its own name
 *   query    the same, and the rows of the view that it counts for are noted; before a store
 *            transaction ends they are computed again (query.h)
 *
 * Readers see the states between store transactions, and no others: so a view of kind query is
 * settled once for each of them, however many source transactions it holds. While a version is
 * built nothing is noted at all; the end of the build computes everything (store's finish).
 *
 * One thread: the version's writer. */
#ifndef PROJECTIONS_APPLY_KIND_H
#define PROJECTIONS_APPLY_KIND_H

#include "projections/apply/handlers.h"

struct kind;

struct kind_options {
	struct handlers_options handlers;
	bool built; /* the version's build has ended */
};

/* What a record asks of the version before it can be applied. */
enum kind_wants {
	KIND_NOTHING,
	KIND_COLUMNS, /* its table has columns that the version's hasn't: kind_shape() */
	KIND_VERSION  /* its table has become another one: only a new version can hold it */
};

/* Prepares what can be prepared before any record. ERR_CONFIG. */
int kind_open(const struct kind_options *options, struct kind **ret_kind, struct err *e);
void kind_close(struct kind *k); /* NULL is fine; before the target goes */
/* Applies one record inside the open store transaction (errors: handlers_apply). When kind_wants()
 * says so, the error is no fault of the record: the transaction is rolled back, what is wanted is
 * done, and reading begins again at the stored position. */
int kind_apply(struct kind *k, const struct handlers_record *record, struct err *e);
/* handlers_empties() of any kind; kind_wants() as behind kind_apply(). */
int kind_empties(struct kind *k, const struct handlers_record *record, struct err *e);
enum kind_wants kind_wants(const struct kind *k);
/* What the table is like by now: the file of the definition that then describes it, and the seq of
 * the record that says so. sql, for KIND_COLUMNS: statements that add the columns. Owned by k. */
struct kind_shape {
	const char *sql, *file, *text;
	int64_t seq;
};
void kind_shape(const struct kind *k, struct kind_shape *ret_shape);
/* Before the store transaction is committed. ERR_DATA: the view's tables refuse a row that was
 * computed. */
int kind_settle(struct kind *k, struct err *e);
/* The build has ended, between two store transactions. kind_wants() may be KIND_VERSION without an
 * error: a table became another one while it lasted. */
int kind_built(struct kind *k, struct err *e);
void kind_count(const struct kind *k, struct handlers_counts *ret_counts);
/* handlers_ignored() */
const char *const *kind_ignored(const struct kind *k, size_t *ret_count);

/* handlers_run_fields() of any kind: values by name. Nothing is settled. */
int kind_run_fields(struct kind *k, enum view_on on, const char *name,
		    const struct handlers_field *fields, size_t count, bool *ret_found,
		    struct err *e);

#endif
