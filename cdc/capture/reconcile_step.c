/* reconcile_step.c - which step of a reconciling copy comes next. */
#include "cdc/capture/reconcile_priv.h"

void reconcile_give_up(struct reconcile *r)
{
	r->active = NULL;
}

int reconcile_change(struct reconcile *r, const struct group_row *row, struct err *e)
{
	(void)r;
	(void)row;
	(void)e;
	return 0;
}

void reconcile_emptied(struct reconcile *r, const char *db, const char *table)
{
	(void)r;
	(void)db;
	(void)table;
}

void reconcile_committed(struct reconcile *r, const struct publish_touched *touched, size_t count)
{
	(void)r;
	(void)touched;
	(void)count;
}

int reconcile_step(struct reconcile *r, const struct copy_place *place, bool uncommitted,
		   enum reconcile_answer *ret_answer, struct err *e)
{
	(void)r;
	(void)place;
	(void)uncommitted;
	(void)e;
	*ret_answer = RECONCILE_NOTHING;
	return 0;
}

const char *reconcile_chunk_name(const struct reconcile *r)
{
	return r->chunk_name;
}

int reconcile_emit(struct reconcile *r, int64_t commit_us,
		   int (*deliver)(void *context, const struct change *change, struct err *e),
		   void *context, const char **ret_ended, struct err *e)
{
	(void)r;
	(void)commit_us;
	(void)deliver;
	(void)context;
	(void)e;
	*ret_ended = NULL;
	return 0;
}

int reconcile_wait_ms(const struct reconcile *r)
{
	(void)r;
	return -1;
}
