/* lineage.c - moves the shape in force along with the stream.
 *
 * A statement that the stream comes to is, as a rule, either the next one found, or one behind all
 * that was read ahead. One that is neither was hidden from the reading ahead; then what is in force
 * behind it is not known. */
#include "cdc/catalog/lineage.h"

#include "core/base/mem.h"

#include <stdlib.h>

static void set(struct shape **at, struct shape *shape)
{
	struct shape *old = *at;

	*at = shape != NULL ? shape_ref(shape) : NULL;
	shape_unref(old);
}

void lineage_done(struct lineage *l)
{
	for (size_t i = 0; i < l->ahead_count; i++)
		shape_unref(l->ahead[i].shape);
	free(l->ahead);
	shape_unref(l->here.shape);
	shape_unref(l->doubt);
	*l = (struct lineage){ .ahead = NULL };
}

static void set_here(struct lineage *l, struct shape *shape)
{
	if (l->here.shape == shape)
		return;
	set(&l->here.shape, shape);
	l->here.id = 0;
}

void lineage_was(struct lineage *l, struct shape *shape)
{
	set(&l->doubt, NULL);
	set_here(l, shape);
}

void lineage_found(struct lineage *l, uint64_t at)
{
	if (at <= l->here.from)
		return;
	l->ahead = xrealloc(l->ahead, (l->ahead_count + 1) * sizeof(*l->ahead));
	l->ahead[l->ahead_count++] = (struct lineage_span){ .from = at };
}

static void drop_first(struct lineage *l)
{
	shape_unref(l->here.shape);
	l->here = l->ahead[0];
	l->ahead_count--;
	memmove(l->ahead, l->ahead + 1, l->ahead_count * sizeof(*l->ahead));
}

void lineage_met(struct lineage *l, uint64_t at)
{
	set(&l->doubt, NULL);
	l->told = false;
	while (l->ahead_count > 0 && l->ahead[0].from <= at)
		drop_first(l);
	if (l->here.from == at)
		return;
	l->here.from = at;
	set_here(l, NULL);
}

void lineage_told(struct lineage *l, struct shape *shape)
{
	l->told = true;
	if (l->ahead_count > 0) {
		set(&l->ahead[l->ahead_count - 1].shape, shape);
		return;
	}
	if (shape == NULL) /* gone without a statement: what was in force may be so yet */
		return;
	if (l->here.shape != NULL && shape_equal(l->here.shape, shape))
		return;
	set(&l->doubt, l->here.shape);
	set_here(l, shape);
}

void lineage_take_doubt(struct lineage *l)
{
	set_here(l, l->doubt);
	set(&l->doubt, NULL);
}

bool lineage_wants(const struct lineage *l)
{
	return l->here.shape == NULL && l->ahead_count == 0;
}
