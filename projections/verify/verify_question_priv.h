/* verify_question_priv.h - between verify_question.c and verify_answer.c. */
#ifndef PROJECTIONS_VERIFY_VERIFY_QUESTION_PRIV_H
#define PROJECTIONS_VERIFY_VERIFY_QUESTION_PRIV_H

#include "projections/verify/verify_question.h"

/* The SELECT of a piece, appended, without its time limit. */
void question_text(const struct question *q, const struct question_place *from, int64_t rows,
		   struct buf *sql);

/* The key of the row before, to see that keys rise. */
struct last_key {
	struct value *values;
	struct buf bytes;
	bool has;
};
/* Of the row before against this one: <0 as it should be, 0 the same key, >0 wrong; -1 before the
 * first. */
int last_key_compare(const struct last_key *k, const struct question *q, const struct value *row);
void last_key_keep(struct last_key *k, const struct question *q, const struct value *row);
void last_key_done(struct last_key *k);

#endif
