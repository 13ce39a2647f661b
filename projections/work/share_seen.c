/* share_seen.c - what a version's shares say, added up to a worker's status.
 *
 * What the version has reached is in the shares' rows, wherever their members run. The version
 * stands where its furthest-behind share does. */
#include "projections/work/share_worker_priv.h"

#include "core/base/clock.h"
#include "core/base/gtid.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define SILENT_US 20000000 /* a share of which nothing was heard for so long is not caught up */

/* By seq, then by the commit record: what wasn't captured has no seq. */
static bool is_behind(const struct share *a, const struct share *b)
{
	return a->seq != b->seq ? a->seq < b->seq : a->said_us < b->said_us;
}

int share_see(struct share_link *l, struct share_seen *ret_seen, struct err *e)
{
	struct share_seen s = { 0 };

	if (share_list(l, &s.shares, &s.count, e) < 0)
		return -1;
	if (share_count_parked(l, &s.parked, &s.behind, e) < 0) {
		share_list_free(s.shares, s.count);
		return -1;
	}
	*ret_seen = s;
	return 0;
}

void share_seen_done(struct share_seen *s)
{
	share_list_free(s->shares, s->count);
	*s = (struct share_seen){ 0 };
}

void share_add_up(const struct share_seen *seen, struct share_total *t)
{
	const struct share *shares = seen->shares;
	size_t count = seen->count;
	int64_t heard_us = 0;

	*t = (struct share_total){ .count = count,
				   .parked = seen->parked,
				   .parked_behind = seen->behind,
				   .caught_up = count > 0 };
	for (size_t i = 0; i < count; i++)
		heard_us = shares[i].said_us > heard_us ? shares[i].said_us : heard_us;
	for (size_t i = 0; i < count; i++) {
		const struct share *s = &shares[i];

		if (t->least == NULL || is_behind(s, t->least))
			t->least = s;
		t->most_seq = s->seq > t->most_seq ? s->seq : t->most_seq;
		t->number = i == 0 || t->number == s->barrier ? s->barrier : 0;
		if (s->delivered_seq >= t->delivered_seq) {
			t->delivered_seq = s->delivered_seq;
			t->delivered_us = s->delivered_us;
		}
		t->left += s->left;
		t->caught_up = t->caught_up && s->caught_up && heard_us - s->said_us < SILENT_US;
		if (s->trouble[0] != '\0' && t->trouble == NULL)
			t->trouble = s;
	}
	t->seq = t->least != NULL ? t->least->seq : 0;
}

static int64_t offset_of(const struct share *s)
{
	struct err ignored = ERR_INIT;
	struct intake_position p;
	int64_t offset = 0;

	if (s->position == NULL || intake_position_read(slice_str(s->position), &p, &ignored) < 0)
		return 0;
	if (p.partition_count == 1)
		offset = p.partitions[0].offset;
	intake_position_done(&p);
	return offset;
}

static int64_t lag_us(const struct share *s, const struct share_total *t)
{
	int64_t us = t->delivered_us - s->commit_us;

	return s->seq >= t->delivered_seq || s->commit_us == 0 || us < 0 ? 0 : us;
}

/* For people. *ret_records: offsets behind which all is applied, added up: records, as in
 * intake_records_total(). */
static struct worker_share *list(const struct share_seen *seen, const struct share_total *t,
				 int64_t *ret_records)
{
	struct worker_share *shares = xcalloc(seen->count + 1, sizeof(*shares));

	*ret_records = 0;
	for (size_t i = 0; i < seen->count; i++) {
		const struct share *s = &seen->shares[i];

		shares[i] = (struct worker_share){ .topic = xstrdup(s->topic),
						   .partition = s->partition,
						   .offset = offset_of(s),
						   .seq = s->seq,
						   .lag_us = lag_us(s, t),
						   .caught_up = s->caught_up,
						   .member = xstrdup(s->member),
						   .trouble = xstrdup(s->trouble) };
		*ret_records += shares[i].offset;
	}
	return shares;
}

/* ---- status ---------------------------------------------------------------------------------- */

/* Under lock. What this process's own members say: the first that is in trouble. */
static void add_members(struct share_worker *w, struct worker_status *s)
{
	int64_t ignored = 0, inexact = 0, commits = 0;

	for (int i = 0; i < w->member_count; i++) {
		struct share_member_status m;

		share_member_status(w->members[i], &m);
		ignored += m.ignored;
		inexact += m.inexact;
		commits += m.commits;
		if (m.reconciling[0] != '\0' && s->reconciling[0] == '\0') {
			snprintf(s->reconciling, sizeof(s->reconciling), "%s", m.reconciling);
			snprintf(s->notice, sizeof(s->notice), "%s", m.notice);
			s->reconciling_since_us = m.reconciling_since_us;
		}
		if ((m.state != WORKER_RETRYING && m.state != WORKER_FAILED) ||
		    (s->state == WORKER_FAILED && s->message[0] != '\0'))
			continue;
		s->state = m.state;
		s->kind = m.kind;
		s->exit_code = m.exit_code;
		snprintf(s->message, sizeof(s->message), "%s", m.message);
	}
	s->ignored = ignored;
	s->inexact = inexact;
	s->commits = commits;
}

static void set_rate(struct share_worker *w, struct worker_status *s)
{
	int64_t now = clock_monotonic_us();
	double rate;

	if (now - w->rate_us < 900000)
		return;
	rate = (double)(s->records - w->rate_records) * 1e6 / (double)(now - w->rate_us);
	if (w->rate_us != 0 && rate >= 0)
		s->rate = s->rate == 0 ? rate : s->rate * 0.6 + rate * 0.4;
	if (s->rate < 0.05)
		s->rate = 0;
	w->rate_us = now;
	w->rate_records = s->records;
}

/* Under lock: the position of the share furthest behind. */
static void set_position(struct share_worker *w, const struct intake_position *p)
{
	struct worker_status *s = &w->status;
	const char *gtid_set = p->gtid_set != NULL ? p->gtid_set : "";

	s->seq = p->seq;
	s->commit_us = p->commit_us;
	s->bytes_total = p->bytes_total;
	s->transactions_total = p->transactions_total;
	s->copying = p->copying != NULL && p->copying[0] != NULL;
	gtid_text_cut(slice_str(gtid_set), s->gtid_set, sizeof(s->gtid_set));
	free(w->gtid_set);
	w->gtid_set = xstrdup(gtid_set);
}

static void set_status(struct share_worker *w, const struct share_total *t,
		       const struct intake_position *p)
{
	struct worker_status *s = &w->status;

	pthread_mutex_lock(&w->lock);
	s->state = w->held ? WORKER_HELD : WORKER_RUNNING;
	s->kind = ERR_NONE;
	s->exit_code = 0;
	s->message[0] = s->reconciling[0] = s->notice[0] = '\0';
	s->reconciling_since_us = 0;
	if (t->trouble != NULL) {
		s->state = WORKER_FAILED;
		s->kind = ERR_DATA;
		s->exit_code = EXIT_DATA;
		snprintf(s->message, sizeof(s->message), "%s (%s)", t->trouble->trouble,
			 t->trouble->member);
	}
	add_members(w, s);
	if (p != NULL)
		set_position(w, p);
	s->delivered = (struct intake_end){ .seq = t->delivered_seq,
					    .commit_us = t->delivered_us,
					    .commits_behind = t->caught_up ? 0 : 2,
					    .bytes_total = s->bytes_total,
					    .transactions_total = s->transactions_total,
					    .seen = true };
	s->caught_up = t->caught_up;
	s->records = t->records;
	s->records_total = t->records + t->left;
	s->parked = t->parked;
	s->parked_behind = t->parked_behind;
	set_rate(w, s);
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

int share_mark_least(struct share_link *l, const struct share *least, struct err *e)
{
	struct intake_position p;
	struct store_mark mark;
	int rc;

	if (least == NULL || least->position == NULL)
		return 0;
	if (intake_position_read(slice_str(least->position), &p, e) < 0)
		return -1;
	mark = (struct store_mark){ .position = slice_str(least->position),
				    .seq = p.seq,
				    .commit_us = p.commit_us,
				    .gtid_set = p.gtid_set != NULL ? p.gtid_set : "" };
	rc = share_mark_version(l, &mark, e);
	intake_position_done(&p);
	return rc;
}

void share_report(struct share_worker *w, const struct share_seen *seen)
{
	struct intake_position p;
	struct err ignored = ERR_INIT;
	struct worker_share *shares;
	struct share_total t;
	bool known;

	share_add_up(seen, &t);
	shares = list(seen, &t, &t.records);
	pthread_mutex_lock(&w->lock);
	worker_shares_free(w->shares, w->share_count);
	w->shares = shares;
	w->share_count = seen->count;
	pthread_mutex_unlock(&w->lock);
	known = t.least != NULL && t.least->position != NULL &&
		intake_position_read(slice_str(t.least->position), &p, &ignored) == 0;
	set_status(w, &t, known ? &p : NULL);
	if (known)
		intake_position_done(&p);
}

/* ---- asked by others ------------------------------------------------------------------------- */

void share_worker_status(struct share_worker *w, struct worker_status *ret_status)
{
	pthread_mutex_lock(&w->lock);
	*ret_status = w->status;
	pthread_mutex_unlock(&w->lock);
}

char *share_worker_gtid_set(struct share_worker *w)
{
	char *text;

	pthread_mutex_lock(&w->lock);
	text = w->gtid_set != NULL ? xstrdup(w->gtid_set) : NULL;
	pthread_mutex_unlock(&w->lock);
	return text;
}

void share_worker_shares(struct share_worker *w, struct worker_share **ret_shares,
			 size_t *ret_count)
{
	pthread_mutex_lock(&w->lock);
	*ret_count = w->share_count;
	*ret_shares = xcalloc(w->share_count + 1, sizeof(**ret_shares));
	for (size_t i = 0; i < w->share_count; i++) {
		(*ret_shares)[i] = w->shares[i];
		(*ret_shares)[i].topic = xstrdup(w->shares[i].topic);
		(*ret_shares)[i].member = xstrdup(w->shares[i].member);
		(*ret_shares)[i].trouble = xstrdup(w->shares[i].trouble);
	}
	pthread_mutex_unlock(&w->lock);
}

void worker_shares_free(struct worker_share *shares, size_t count)
{
	for (size_t i = 0; shares != NULL && i < count; i++) {
		free(shares[i].topic);
		free(shares[i].member);
		free(shares[i].trouble);
	}
	free(shares);
}
