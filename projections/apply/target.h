/* target.h - what handlers need of a place that holds rows: prepare a statement once, execute it
 * for each record.
 *
 * Stores give one (projections/store), and so does a bare SQLite connection: the check of a view
 * and its test cases run in memory. One thread. */
#ifndef PROJECTIONS_APPLY_TARGET_H
#define PROJECTIONS_APPLY_TARGET_H

#include "core/sql/store_db.h"

struct target;
struct target_statement;

struct target_ops {
	/* The statement at `text`, inside `script` (for lines), of file `origin`. *ret_statement is
	 * NULL when only blanks are left. ERR_CONFIG with file and line when it doesn't prepare, or
	 * can't change anything. */
	int (*prepare)(struct target *t, const char *origin, const char *script, const char *text,
		       const char **ret_tail, struct target_statement **ret_statement,
		       struct err *e);
	int (*parameter_count)(const struct target_statement *s);
	const char *(*parameter_name)(const struct target_statement *s,
				      int i); /* from 1; without ':'; NULL: nameless */
	/* values[i - 1] is parameter i's. Rows that the statement returns are dropped. ERR_DATA:
	 * the schema refuses the values.
	 *
	 * A target across a network may hold statements back and send many at once; the values are
	 * copied then. The outcome is as if each had run at its call: order is kept wherever it can
	 * be seen. What fails is said by the call that finds it: a later execute, flush, or the
	 * store's commit. Whoever must know which record it was flushes behind each. */
	int (*execute)(struct target_statement *s, const struct value *const *values,
		       struct err *e);
	/* Runs statements of Millrace's own, at once and behind what was held back; they may make
	 * temporary tables, which last as long as the target. */
	int (*script)(struct target *t, const char *text, struct err *e);
	/* The whole number that a SELECT of Millrace's own gives, behind what was held back. NULL
	 * where query_one_by_one() never asks for it. */
	int (*number)(struct target *t, const char *sql, int64_t *ret_number, struct err *e);
	/* What was held back has run when this returns 0. */
	int (*flush)(struct target *t, struct err *e);
	void (*finalize)(struct target_statement *s);
};

struct target {
	const struct target_ops *ops;
};

struct target_sqlite {
	struct target target; /* first: a target is the address of this */
	struct sql_db *db;    /* not owned */
};

void target_sqlite_init(struct target_sqlite *t, struct sql_db *db);

#endif
