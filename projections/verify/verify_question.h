/* verify_question.h - the question that a table of a view is compared by, and its answer in pieces:
 * rows in normal form, in the order of normal.h.
 *
 * The question stays as it is written; a piece is asked for around it: SELECT columns FROM
 * (question) WHERE key behind the last one ORDER BY key LIMIT n.
 *
 * In a mirror whose store has strict types a value that its column can't hold stands in
 * MIRROR_EXACT, and the column is NULL (projections/apply/mirror.h). The answer is made so, too. */
#ifndef PROJECTIONS_VERIFY_VERIFY_QUESTION_H
#define PROJECTIONS_VERIFY_VERIFY_QUESTION_H

#include "core/mysql/db.h"
#include "core/mysql/db_watch.h"
#include "projections/apply/mirror.h"
#include "projections/store/normal_source.h"

struct question {
	const struct view_table *table;
	enum normal_class *classes; /* by column */
	size_t *key;                /* numbers of the key's columns */
	char **expressions;         /* by column: how its value is asked for */
	char **order;               /* by key column: what it is ordered by; NULL: can't be */
	bool *hex;                  /* by key column: its bytes are compared */
	bool ordered;               /* the source can order the answer as normal.h does */
	/* It finds the beginning of a piece by an index, and stops at its end; without this each
	 * piece costs as much as the whole answer. */
	bool ranged;
	char *limit; /* what stands before a SELECT: its time limit, or "" */
	/* MIRROR_EXACT's number; NO_EXACT: the table has none. Then by column: what it is at the
	 * source, NULL for columns of the view's own. */
	size_t exact;
	const struct mirror_column **mirrored;
};

#define NO_EXACT SIZE_MAX

/* Tries the question: ERR_CONFIG when the source refuses it, or its columns aren't the table's. t
 * is one of v's tables; both outlive the question. */
int question_open(const struct settings *settings, struct db *db, const struct view *v,
		  const struct view_table *t, struct question **ret_question, struct err *e);
void question_close(struct question *q); /* NULL is fine */

/* Where a piece begins: the last key of the one before, as the source printed it. */
struct question_place {
	char **literals; /* by key column, SQL; NULL: SQL's NULL */
	size_t count;
};
void question_place_done(struct question_place *p);

struct answer;

/* Asks for the rows behind `from` (NULL: from the beginning), at most `rows` of them (0: all), in
 * the transaction that is open on db. While it is read, it is watched, and gives way. An answer
 * that the source doesn't order is sorted here, in a temporary file. */
int answer_open(struct question *q, struct db *db, struct db_watch *watch, struct normal_source *n,
		const struct question_place *from, int64_t rows, struct answer **ret_answer,
		struct err *e);
/* 1 and a row, valid until the next call; 0 at the end. ERR_CONFIG: a key comes twice. */
int answer_next(void *answer, const struct value **ret_values, struct err *e);
/* The error that the last call gave is no mistake: somebody waits for a table, the time was over, a
 * table was altered, or the source has another order than was thought (`ordered` is false then).
 * Roll back, and ask again. */
bool answer_again(const struct answer *a);
int64_t answer_rows(const struct answer *a);
/* All rows that were asked for came: there may be more behind the last. */
bool answer_goes_on(const struct answer *a);
/* The last row's key. */
void answer_place(const struct answer *a, struct question_place *ret_place);
const struct value *answer_key(const struct answer *a); /* the same in normal form */
/* Drops what is left unread. true: it was made to give way. */
bool answer_close(struct answer *a); /* NULL is fine */

#endif
