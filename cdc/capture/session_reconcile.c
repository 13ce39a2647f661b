/* session_reconcile.c - where the loop, the first copy and the reconciling copy meet. */
#include "cdc/capture/session_priv.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <stdlib.h>

static bool is_copying(void *context, const char *db, const char *table)
{
	struct session *s = context;

	return copy_is_copying(s->copy, db, table);
}

static int64_t rows_estimate(void *context, const char *db, const char *table)
{
	struct session *s = context;

	return copy_rows_estimate(s->copy, db, table);
}

int session_reconcile_open(struct session *s, const struct position_record *position, struct err *e)
{
	struct reconcile_options options = { .settings = s->settings,
					     .registry = s->registry,
					     .publisher = s->publisher,
					     .copying = is_copying,
					     .rows_estimate = rows_estimate,
					     .context = s };

	if (reconcile_new(&options, &s->reconcile, e) < 0)
		return -1;
	if (position != NULL)
		reconcile_resume(s->reconcile, position->copies, position->copy_count);
	return 0;
}

static int deliver(void *context, const struct change *change, struct err *e)
{
	struct session *s = context;

	if (change->order % 1024 == 0)
		report_turn(s->report);
	/* what the server changed by itself in a child was a parent's change for the next level */
	if (cascade_change(s->cascade, change, false, s->reconcile, e) < 0)
		return -1;
	return publisher_change(s->publisher, change, &s->seq, e);
}

static int deliver_differences(struct session *s, struct err *e)
{
	int64_t commit_us = s->commit_us != 0 ? s->commit_us : clock_now_us();
	const char *ended = NULL;

	if (session_apart(s, e) < 0 ||
	    reconcile_emit(s->reconcile, commit_us, deliver, s, &ended, e) < 0)
		return -1;
	if (s->seq > s->part_seq)
		commit_batch_add(&s->batch, reconcile_chunk_name(s->reconcile),
				 s->seq - s->part_seq, commit_us);
	else
		commit_batch_move(&s->batch);
	s->part_seq = s->seq;
	if (ended != NULL) /* readers wait for its name to leave `reconciling` */
		return session_commit(s, e);
	return session_apart(s, e);
}

int session_reconcile(struct session *s, const struct copy_place *place, struct err *e)
{
	enum reconcile_answer answer;

	if (reconcile_step(s->reconcile, place, s->batch.begun_us != 0, &answer, e) < 0)
		return -1;
	switch (answer) {
	case RECONCILE_NOTHING:
		return 0;
	case RECONCILE_COMMIT: /* and the window at once: a busy source has the next records ready
				*/
		if (session_commit(s, e) < 0)
			return -1;
		return reconcile_step(s->reconcile, place, false, &answer, e);
	case RECONCILE_READY:
		return deliver_differences(s, e);
	}
	return 0;
}

static bool is_among(const struct position_copy *copies, size_t count,
		     const struct position_copy *one)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(copies[i].db, one->db) == 0 && strcmp(copies[i].table, one->table) == 0)
			return true;
	return false;
}

const struct position_copy *session_copies(struct session *s, size_t *ret_count)
{
	size_t first, second;
	const struct position_copy *wants = reconcile_positions(s->reconcile, &second);
	struct position_copy *copies =
		copy_positions(s->copy, second + s->more_count, &first);

	if (second > 0)
		memcpy(copies + first, wants, second * sizeof(*wants));
	for (size_t i = 0; i < s->more_count; i++) {
		if (!is_among(copies, first, &s->more[i])) /* it has not come back */
			copies[first + second++] = s->more[i];
	}
	*ret_count = first + second;
	return copies;
}

const struct status_copy *session_copy_status(struct session *s, size_t *ret_count)
{
	size_t first, second;
	const struct status_copy *wants = reconcile_status(s->reconcile, &second);
	struct status_copy *copies = copy_status(s->copy, second, &first);

	if (second > 0)
		memcpy(copies + first, wants, second * sizeof(*wants));
	*ret_count = first + second;
	return copies;
}
