/* session_commit.c - one group commit: commit record, position record, and the figures that go with
 * it. */
#include "cdc/capture/session_priv.h"

#include "cdc/delivery/parked.h"
#include "core/base/clock.h"
#include "core/base/fault.h"

#define REPORT_EVERY_US 200000

static void fill_position(struct session *s, struct position_record *p)
{
	*p = (struct position_record){
		.seq = s->seq,
		.gtid_set = (const char *)s->gtid_text.data,
		.source = s->source,
		.commit_us = s->commit_us,
		.bytes_total = s->bytes_total,
		.transactions_total = s->transactions_total,
		.open_gtid = s->open_gtid[0] != '\0' ? s->open_gtid : NULL,
		.open_changes = s->open_changes,
		.fingerprint = buf_cstr(&s->fingerprint),
		.file = s->file,
		.file_position = (int64_t)s->file_position,
		.file_created = s->file_created,
		.prepared = s->prepared,
		.prepared_count = s->prepared_count,
	};
	/* written, not changed: the record's struct serves readers too */
	p->copies = (struct position_copy *)(uintptr_t)session_copies(s, &p->copy_count);
}

static void fill_commit(struct session *s, struct commit_record *c)
{
	*c = (struct commit_record){
		.open = s->open_gtid[0] != '\0',
		.at_us = clock_now_us(),
		.bytes_total = s->bytes_total,
		.transactions_total = s->transactions_total,
		.gtid_set = (const char *)s->gtid_text.data,
		.copying = copy_copying(s->copy),
		.reconciling = reconcile_reconciling(s->reconcile),
	};
	commit_batch_fill(&s->batch, s->seq, c);
	commit_lists_fill(&s->lists, c);
}

int session_commit(struct session *s, struct err *e)
{
	int64_t begun = clock_monotonic_us(), seq_before = s->batch.seq_before;
	const struct publish_touched *touched;
	struct position_record position;
	struct commit_record commit;
	size_t count;

	if (leader_check(s->leader, e) < 0)
		return -1;
	buf_reset(&s->gtid_text);
	gtid_set_text(&s->gtid_set, &s->gtid_text);
	(void)buf_cstr(&s->gtid_text); /* adds the NUL */
	fill_position(s, &position);
	if (session_shapes_keep(s, position.copies, position.copy_count, e) < 0)
		return -1;
	fill_commit(s, &commit);
	touched = publisher_touched(s->publisher, &count);
	FAULT(produced);
	if (delivery_commit(s->delivery, &commit, &position, touched, count, e) < 0)
		return err_wrap(e, "group commit up to seq %lld", (long long)s->seq);
	FAULT(committed);
	commit_lists_committed(&s->lists);
	reconcile_committed(s->reconcile, touched, count);
	publisher_commit(s->publisher);
	commit_batch_clear(&s->batch, s->seq, clock_monotonic_us());
	report_commit(s->report, s->seq - seq_before,
		      s->transactions_total - s->committed_transactions,
		      s->bytes_total - s->committed_bytes, clock_monotonic_us() - begun);
	s->committed_transactions = s->transactions_total;
	s->committed_bytes = s->bytes_total;
	session_progress(s, false);
	return 0;
}

int session_apart(struct session *s, struct err *e)
{
	if (delivery_exactly_once(s->delivery) || s->batch.begun_us == 0)
		return 0;
	return session_commit(s, e);
}

void session_progress(struct session *s, bool now)
{
	int64_t now_us = clock_monotonic_us();
	struct stream_counts counts = { 0, 0, 0 };
	struct report_progress p;

	report_turn(s->report);
	if (!now && now_us - s->reported_us < REPORT_EVERY_US)
		return;
	s->reported_us = now_us;
	if (s->stream != NULL)
		stream_counts(s->stream, &counts);
	p = (struct report_progress){
		.server = s->server,
		.seq = s->batch.seq_before,
		.gtid_set = &s->gtid_set,
		.file = s->file,
		.position = s->file_position,
		.processed = { s->transactions_total, s->bytes_total, s->commit_us },
		.read = { s->read_base_transactions + counts.transactions,
			  s->read_base_bytes + counts.bytes,
			  counts.commit_us != 0 ? counts.commit_us : s->commit_us },
		.delivered = { s->committed_transactions, s->committed_bytes, s->commit_us },
	};
	if (s->batch.begun_us == 0) /* what moved the position since had nothing to deliver */
		p.delivered = (struct status_stage){ s->transactions_total, s->bytes_total,
						     s->commit_us };
	p.copies = session_copy_status(s, &p.copy_count);
	parked_counts(delivery_parked(s->delivery), &p.parked, &p.parked_bytes);
	report_progress(s->report, &p);
	report_state(s->report, copy_all_done(s->copy) ? "streaming" : "copying", NULL);
}

const char *session_place(struct session *s)
{
	buf_reset(&s->gtid_text);
	gtid_set_text(&s->gtid_set, &s->gtid_text);
	return buf_cstr(&s->gtid_text);
}
