/* verify_priv.h - between verify.c (tables and their pieces), verify_pair.c (two snapshots at one
 * GTID) and verify_piece.c (a merge of two streams). */
#ifndef PROJECTIONS_VERIFY_VERIFY_PRIV_H
#define PROJECTIONS_VERIFY_VERIFY_PRIV_H

#include "projections/apply/row_copy.h"
#include "projections/verify/verify.h"
#include "projections/verify/verify_question_priv.h"

struct verification {
	const struct verify_options *o;
	struct verify_result *result;
	struct db *db;
	struct db_watch *watch;
	struct normal_source *normal;
	struct store_snapshot *snapshot; /* NULL: no pair is open */
	bool held;                       /* still, while it is read (a store that moves) */
	int64_t opened_us, rows;
	const struct view_table *table;
};

/* Where a piece begins, and how many rows it has at most (0: all). */
struct verify_piece {
	struct question_place place;
	struct row_copy after; /* the same for the store */
	int64_t size;
};

struct verify_look {
	struct question *question;
	struct compare_table *found; /* emptied, filled */
	/* out */
	struct verify_piece next; /* place and after; place.count 0: that was the last one */
	int64_t rows, took_us;
	bool again, gave_way;
};

/* ---- two snapshots at one GTID (verify_pair.c) ---- */
/* For so long a pair is used for another piece; of a store that stands meanwhile it is less. */
#define VERIFY_PAIR_US 2000000
#define VERIFY_PAIR_HELD_US 500000

/* Opens a pair, or goes on with the one that is open. */
int verify_pair_open(struct verification *r, struct err *e);
void verify_pair_close(struct verification *r);
bool verify_pair_is_old(const struct verification *r);
/* Says how far it is; false: to stop. */
bool verify_go_on(struct verification *r, int64_t more);
int verify_rest(struct verification *r, int64_t us, struct err *e);

/* ---- a piece (verify_piece.c) ---- */
#define VERIFY_PIECE_LEAST 1000 /* rows; but where it ends by itself */

void verify_piece_done(struct verify_piece *p);
/* Compares it, again if the read was made to give way; p->size may become smaller. */
int verify_look(struct verification *r, struct verify_look *l, struct verify_piece *p,
		struct err *e);
/* What differs only because one side was behind by a moment doesn't at a later GTID. A difference
 * counts when two looks, one after the other, have found it; the others are l->found->late. */
int verify_look_again(struct verification *r, struct verify_look *l, struct verify_piece *p,
		      struct err *e);

#endif
