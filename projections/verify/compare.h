/* compare.h - two tables against each other, in key order: what only one side has, what differs,
 * with samples.
 *
 * The same for a diff (old version, new version) and a verification (view, source). Rows come from
 * two ordered readers and are merged, so memory does not depend on the number of rows. */
#ifndef PROJECTIONS_VERIFY_COMPARE_H
#define PROJECTIONS_VERIFY_COMPARE_H

#include "projections/apply/row_copy.h"
#include "projections/store/store.h"

#define COMPARE_SAMPLES_MAX 10
#define COMPARE_DIFFERING_MAX 10000

/* Rows in normal form, in ascending order of their keys (normal_compare). next returns 1 and a row,
 * 0 at the end, -1 on error. goes_on (may be NULL) is asked of the right one at its end: is there
 * more behind it, in the next piece? Rows of the left that come later are left to that one then. */
struct compare_reader {
	int (*next)(void *context, const struct value **ret_values, struct err *e);
	void *context;
	bool (*goes_on)(void *context);
};

enum compare_kind { COMPARE_ONLY_LEFT, COMPARE_ONLY_RIGHT, COMPARE_CHANGED };

struct compare_sample {
	struct row_copy left, right; /* the side that lacks the row has no values */
};

struct compare_table {
	char *name;
	char **columns; /* compared columns, in order */
	size_t column_count;
	enum normal_class *classes; /* by column */
	size_t *key;                /* their numbers */
	size_t key_count;
	char *note; /* columns that only one side has, or NULL */
	int64_t left_rows, right_rows;
	int64_t counts[3];       /* by compare_kind */
	int64_t *column_changes; /* by column: changed rows in which it differs */
	int64_t late; /* rows that differed, and didn't any more at a later position */
	/* Hashes of the keys of rows that differ, as long as there are at most
	 * COMPARE_DIFFERING_MAX. */
	uint64_t *differing;
	size_t differing_count;
	struct compare_sample samples[3][COMPARE_SAMPLES_MAX];
};

struct compare {
	const char *left, *right; /* names of the sides: "old", "new"; static text */
	struct compare_table *tables;
	size_t table_count;
};

struct compare *compare_new(const char *left, const char *right);
void compare_free(struct compare *c); /* NULL is fine */
/* Adds a table; columns must hold the key columns (ERR_CONFIG otherwise). classes: of the columns;
 * NULL: SQLite's. note is taken, may be NULL. Texts are copied. The result is valid until the next
 * call. */
int compare_add(struct compare *c, const char *name, char *const *columns,
		const enum normal_class *classes, size_t column_count, char *const *key,
		size_t key_count, char *take_note, struct compare_table **ret_table, struct err *e);
/* A table of the same columns and key without any rows, for a piece; compare_merge() adds it to the
 * whole, and leaves it empty again. */
void compare_piece(const struct compare_table *t, struct compare_table *ret_piece);
void compare_merge(struct compare_table *t, struct compare_table *piece);
void compare_clear(struct compare_table *t); /* as if nothing had been compared yet */
void compare_piece_done(struct compare_table *piece);
int64_t compare_table_differences(const struct compare_table *t);
/* progress (may be NULL) is called every some thousand rows; it returns false to stop (ERR_RETRY).
 */
int compare_run(struct compare_table *t, const struct compare_reader *left,
		const struct compare_reader *right, bool (*progress)(void *context, int64_t rows),
		void *context, struct err *e);
int64_t compare_differences(const struct compare *c);
int64_t compare_rows(const struct compare *c); /* rows looked at, the larger side of each table */
/* {"left":"old","right":"new","rows":N,"differences":N,"tables":[{"table":...,"key":[...],
 *  "columns":[...],"note":...,"left_rows":N,"right_rows":N,"only_left":N,"only_right":N,
 *  "changed":N,"late":N,"changed_columns":{"name":N},"samples":{"only_left":[{"id":"1"}],
 *  "only_right":[],"changed":[{"key":{"id":"1"},"columns":{"name":["'a'","'b'"]}}]}}]}
 * Values are as value_text writes them. */
void compare_json(const struct compare *c, struct buf *out);

/* All tables of two versions; columns that both have. The key is the definition's of `view` (the
 * new one). */
int compare_snapshots(const struct store_ops *ops, const struct view *view,
		      struct store_snapshot *old, struct store_snapshot *new,
		      bool (*progress)(void *context, int64_t rows), void *context,
		      struct compare **ret_compare, struct err *e);

#endif
