/* store_case.h - test cases of a view run in its own store: in a scratch version, made anew for
 * each case and removed behind it. */
#ifndef PROJECTIONS_STORE_STORE_CASE_H
#define PROJECTIONS_STORE_STORE_CASE_H

#include "projections/apply/view_case.h"
#include "projections/store/store.h"

struct store_case;

/* s outlives it. The place's context is what is returned. */
struct store_case *store_case_new(struct store *s, struct view_case_place *ret_place);
void store_case_free(struct store_case *c); /* NULL is fine */

#endif
