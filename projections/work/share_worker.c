/* share_worker.c - the members of one version, seen as one worker.
 *
 * What the version has reached is in the shares' rows, wherever their members run: a watching
 * thread reads them a few times a second and adds them up. The version stands where its
 * furthest-behind share does. The process that leads also writes that into the version's own
 * bookkeeping, for those who ask the store (a list of versions, a snapshot).
 *
 * Holding is a barrier in two steps: all members stand wherever they are; then all go on to where
 * the furthest of them stands, which is the end of a source transaction, so all of them come to it
 * exactly. It holds when every share's row says so with the barrier's number; members that come and
 * go in between see the barrier before they apply anything.
 *
 * One connection is for the watcher, one for holding: who holds waits for long. */
#include "projections/work/share_worker.h"

#include "core/base/backoff.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/gtid.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/quote.h"
#include "projections/store/share.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define WATCH_MS 200
#define MARK_US 1000000
#define AWAIT_US 20000
#define SILENT_US 20000000 /* a share of which nothing was heard for so long is not caught up */
#define FINISH_LIMIT_MS 600000

struct share_worker {
	struct worker_options options;
	char *group;
	struct share_member *members[VIEW_WORKERS_MAX];
	int member_count;
	pthread_t watcher;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct worker_status status;
	char *gtid_set;    /* whole; NULL: not known */
	struct buf shares; /* as JSON */
	bool stop, held, holding;
	int64_t held_number, held_seq;

	pthread_mutex_t report_lock; /* reading the shares and reporting them is one step */
	pthread_mutex_t control_lock; /* of what follows; taken before lock */
	struct share_link *control;
	int64_t limit_us;

	/* the watcher's own */
	struct share_link *watch;
	int64_t marked_us, rate_us, rate_records;
};

/* ---- what the shares say --------------------------------------------------------------------- */

struct total {
	size_t count;
	int64_t seq, most_seq; /* of the furthest behind, of the furthest ahead */
	int64_t number;        /* of the barrier at which all stand; 0: not all, or at none */
	int64_t delivered_seq, delivered_us, left, records;
	bool caught_up;
	const struct share *least;   /* furthest behind; NULL: none has begun */
	const struct share *trouble; /* that can't go on, or NULL */
};

/* By seq, then by the commit record: what wasn't captured has no seq. */
static bool is_behind(const struct share *a, const struct share *b)
{
	return a->seq != b->seq ? a->seq < b->seq : a->said_us < b->said_us;
}

static void add_up(const struct share *shares, size_t count, struct total *t)
{
	int64_t heard_us = 0;

	*t = (struct total){ .count = count, .caught_up = count > 0 };
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

static void write_json(const struct share *s, int64_t offset, struct buf *out)
{
	buf_add_str(out, out->size > 1 ? ",{\"topic\":" : "{\"topic\":");
	quote_json(out, slice_str(s->topic));
	buf_add_format(out,
		       ",\"partition\":%d,\"offset\":%lld,\"seq\":%lld,\"caught_up\":%s,"
		       "\"member\":",
		       s->partition, (long long)offset, (long long)s->seq,
		       s->caught_up ? "true" : "false");
	quote_json(out, slice_str(s->member));
	buf_add_str(out, ",\"trouble\":");
	quote_json(out, slice_str(s->trouble));
	buf_add_u8(out, '}');
}

/* Records that stand behind the shares' positions: offsets, as in intake_records_total(). */
static int64_t count_records(const struct share *shares, size_t count, struct buf *json)
{
	struct err ignored = ERR_INIT;
	int64_t records = 0;

	buf_add_u8(json, '[');
	for (size_t i = 0; i < count; i++) {
		struct intake_position p;
		int64_t offset = 0;

		if (shares[i].position != NULL &&
		    intake_position_read(slice_str(shares[i].position), &p, &ignored) == 0) {
			if (p.partition_count == 1)
				offset = p.partitions[0].offset;
			intake_position_done(&p);
		}
		records += offset;
		write_json(&shares[i], offset, json);
	}
	buf_add_u8(json, ']');
	return records;
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

static void set_status(struct share_worker *w, const struct total *t,
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
	set_rate(w, s);
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* What readers of the store are told. */
static int mark_version(struct share_link *l, const struct share *least, struct err *e)
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

/* ---- the watcher ----------------------------------------------------------------------------- */

static void report(struct share_worker *w, const struct share *shares, size_t count)
{
	struct intake_position p;
	struct err ignored = ERR_INIT;
	struct buf json = BUF_INIT;
	struct total t;
	bool known;

	add_up(shares, count, &t);
	t.records = count_records(shares, count, &json);
	pthread_mutex_lock(&w->lock);
	buf_done(&w->shares);
	w->shares = json;
	pthread_mutex_unlock(&w->lock);
	known = t.least != NULL && t.least->position != NULL &&
		intake_position_read(slice_str(t.least->position), &p, &ignored) == 0;
	set_status(w, &t, known ? &p : NULL);
	if (known)
		intake_position_done(&p);
}

static int look(struct share_worker *w, struct err *e)
{
	int64_t now = clock_monotonic_us();
	struct share *shares;
	struct total t;
	size_t count;
	int rc = 0;

	if (w->watch == NULL) {
		if (share_open(w->options.store, w->options.version, "watcher", &w->watch, e) < 0 ||
		    share_ensure(w->watch, NULL, 0, e) < 0)
			return -1;
	}
	pthread_mutex_lock(&w->report_lock);
	rc = share_list(w->watch, &shares, &count, e);
	if (rc == 0)
		report(w, shares, count);
	pthread_mutex_unlock(&w->report_lock);
	if (rc < 0)
		return -1;
	if (w->options.leads && now - w->marked_us > MARK_US) {
		add_up(shares, count, &t);
		rc = mark_version(w->watch, t.least, e);
		w->marked_us = now;
	}
	share_list_free(shares, count);
	return rc;
}

static void say_failing(struct share_worker *w, const struct err *e)
{
	pthread_mutex_lock(&w->lock);
	w->status.state = e->kind == ERR_RETRY ? WORKER_RETRYING : WORKER_FAILED;
	w->status.kind = e->kind;
	w->status.exit_code = err_exit_code(e);
	snprintf(w->status.message, sizeof(w->status.message), "%s", e->msg);
	free(w->gtid_set);
	w->gtid_set = NULL;
	pthread_mutex_unlock(&w->lock);
}

static bool wait_ms(struct share_worker *w, int64_t ms)
{
	int64_t until = clock_monotonic_us() + ms * 1000;
	struct timespec t = { .tv_sec = (time_t)(until / 1000000),
			      .tv_nsec = (long)(until % 1000000) * 1000 };
	bool stop;

	pthread_mutex_lock(&w->lock);
	while (!w->stop && clock_monotonic_us() < until)
		pthread_cond_timedwait(&w->changed, &w->lock, &t);
	stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	return !stop;
}

static void *watch(void *context)
{
	struct share_worker *w = context;
	struct backoff backoff = BACKOFF_INIT;

	while (wait_ms(w, WATCH_MS)) {
		struct err e = ERR_INIT;

		if (look(w, &e) == 0) {
			backoff_reset(&backoff);
			continue;
		}
		say_failing(w, &e);
		share_close(w->watch);
		w->watch = NULL;
		log_err(LOG_LEVEL_DEBUG, "view", "shares", &e);
		if (!wait_ms(w, backoff_next_ms(&backoff)))
			break;
	}
	share_close(w->watch);
	w->watch = NULL;
	return NULL;
}

/* ---- holding --------------------------------------------------------------------------------- */

/* Under control_lock. A connection that was idle for long may be gone. */
static int open_control(struct share_worker *w, struct err *e)
{
	struct share_barrier ignored;
	struct err gone = ERR_INIT;

	if (w->control != NULL && share_barrier(w->control, &ignored, &gone) == 0)
		return 0;
	share_close(w->control);
	w->control = NULL;
	if (share_open(w->options.store, w->options.version, "leader", &w->control, e) < 0)
		return -1;
	return share_ensure(w->control, NULL, 0, e);
}

static void close_control(struct share_worker *w)
{
	share_close(w->control);
	w->control = NULL;
}

static void set_held(struct share_worker *w, bool held, int64_t number, int64_t seq)
{
	pthread_mutex_lock(&w->lock);
	w->held = held;
	w->held_number = number;
	w->held_seq = seq;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* One look: 1 when all shares stand at `number`. *ret_seq: the furthest. */
static int all_stand_now(struct share_worker *w, int64_t number, int64_t *ret_seq, bool *ret_level,
			 struct err *e)
{
	struct share_barrier b;
	struct share *shares;
	struct total t;
	size_t count;
	int rc = 0;

	if (share_barrier(w->control, &b, e) < 0 || share_list(w->control, &shares, &count, e) < 0)
		return -1;
	add_up(shares, count, &t);
	*ret_seq = t.most_seq;
	*ret_level = t.seq == t.most_seq;
	if (b.number != number || b.left_us <= 0)
		rc = err_retry(e, "version %d was let go again: its limit passed",
			       w->options.version);
	else if (t.trouble != NULL)
		rc = err_data(e, "version %d has failed: %s", w->options.version,
			      t.trouble->trouble);
	else if (count > 0 && t.number == number) {
		report(w, shares, count);
		rc = mark_version(w->control, t.least, e) < 0 ? -1 : 1;
	}
	share_list_free(shares, count);
	return rc;
}

static int all_stand(struct share_worker *w, int64_t number, int64_t *ret_seq, bool *ret_level,
		     struct err *e)
{
	int rc;

	pthread_mutex_lock(&w->report_lock);
	rc = all_stand_now(w, number, ret_seq, ret_level, e);
	pthread_mutex_unlock(&w->report_lock);
	return rc;
}

static bool is_stopping(struct share_worker *w)
{
	bool stop;

	pthread_mutex_lock(&w->lock);
	stop = w->stop || !w->holding;
	pthread_mutex_unlock(&w->lock);
	return stop;
}

static int await_all(struct share_worker *w, int64_t number, int64_t until_us, int64_t *ret_seq,
		     bool *ret_level, struct err *e)
{
	for (;;) {
		int rc = all_stand(w, number, ret_seq, ret_level, e);

		if (rc != 0)
			return rc < 0 ? -1 : 0;
		if (is_stopping(w))
			return err_retry(e, "version %d is stopped", w->options.version);
		if (clock_monotonic_us() >= until_us)
			return err_retry(e, "the members of version %d did not all stand in time",
					 w->options.version);
		clock_sleep_us(AWAIT_US);
	}
}

/* Raises it, waits, and levels what doesn't stand at one seq. */
static int stand_at(struct share_worker *w, int64_t seq, const char *gtid_set, int64_t timeout_ms,
		    struct err *e)
{
	int64_t until = clock_monotonic_us() + timeout_ms * 1000, number, most;
	bool level;

	for (;;) {
		if (share_raise(w->control, seq, gtid_set, w->limit_us, &number, e) < 0 ||
		    await_all(w, number, until, &most, &level, e) < 0)
			return -1;
		if (level && (seq >= 0 || gtid_set[0] != '\0'))
			break;
		seq = most;
		gtid_set = "";
	}
	set_held(w, true, number, most);
	return 0;
}

/* The next call opens the connection anew: what failed may have been it. */
static int fail_control(struct share_worker *w)
{
	struct err ignored = ERR_INIT;

	if (w->control != NULL)
		(void)share_lower(w->control, &ignored);
	close_control(w);
	set_held(w, false, 0, 0);
	return -1;
}

int share_worker_hold(struct share_worker *w, int64_t timeout_ms, int64_t limit_ms, struct err *e)
{
	bool busy;
	int rc;

	pthread_mutex_lock(&w->lock);
	busy = w->holding;
	w->holding = true;
	pthread_mutex_unlock(&w->lock);
	if (busy)
		return err_retry(e, "version %d is held already", w->options.version);
	pthread_mutex_lock(&w->control_lock);
	w->limit_us = (limit_ms + timeout_ms) * 1000;
	rc = open_control(w, e);
	if (rc == 0)
		rc = stand_at(w, -1, "", timeout_ms, e);
	if (rc < 0)
		fail_control(w);
	pthread_mutex_unlock(&w->control_lock);
	if (rc < 0) {
		pthread_mutex_lock(&w->lock);
		w->holding = false;
		pthread_mutex_unlock(&w->lock);
	}
	return rc;
}

static int advance(struct share_worker *w, int64_t seq, const char *gtid_set, int64_t timeout_ms,
		   struct err *e)
{
	struct err ignored = ERR_INIT;
	int64_t held_seq;
	bool held;
	int rc = 0;

	pthread_mutex_lock(&w->control_lock);
	pthread_mutex_lock(&w->lock);
	held = w->held;
	held_seq = w->held_seq;
	pthread_mutex_unlock(&w->lock);
	if (!held || w->control == NULL)
		rc = err_retry(e, "version %d is not held", w->options.version);
	else if (gtid_set[0] != '\0' || seq > held_seq)
		rc = stand_at(w, seq, gtid_set, timeout_ms, e);
	/* on error it stands where it is: the caller still holds it */
	if (rc < 0 && held && w->control != NULL && stand_at(w, -1, "", timeout_ms, &ignored) < 0)
		fail_control(w);
	pthread_mutex_unlock(&w->control_lock);
	return rc;
}

int share_worker_advance_seq(struct share_worker *w, int64_t seq, int64_t timeout_ms, struct err *e)
{
	if (advance(w, seq, "", timeout_ms, e) < 0)
		return err_wrap(e, "advance to seq %lld", (long long)seq);
	return 0;
}

int share_worker_advance_gtid(struct share_worker *w, const char *gtid_set, int64_t timeout_ms,
			      struct err *e)
{
	struct gtid_set set = GTID_SET_INIT;
	int rc = gtid_set_parse(slice_str(gtid_set), &set, e);

	gtid_set_done(&set);
	if (rc < 0)
		return -1;
	if (gtid_set[0] != '\0' && advance(w, -1, gtid_set, timeout_ms, e) < 0)
		return err_wrap(e, "advance to %s", gtid_set);
	return 0;
}

void share_worker_release(struct share_worker *w)
{
	struct err e = ERR_INIT;

	pthread_mutex_lock(&w->lock);
	w->holding = false; /* ends a wait, too */
	pthread_mutex_unlock(&w->lock);
	pthread_mutex_lock(&w->control_lock);
	set_held(w, false, 0, 0);
	if (w->control != NULL && share_lower(w->control, &e) < 0)
		close_control(w); /* its limit lets it go */
	pthread_mutex_unlock(&w->control_lock);
}

bool share_worker_is_held(struct share_worker *w)
{
	int64_t number, seq, most;
	struct err e = ERR_INIT;
	bool held, level;

	pthread_mutex_lock(&w->control_lock);
	pthread_mutex_lock(&w->lock);
	held = w->held && w->holding;
	number = w->held_number;
	seq = w->held_seq;
	pthread_mutex_unlock(&w->lock);
	if (held && (w->control == NULL || all_stand(w, number, &most, &level, &e) < 1 || !level ||
		     most != seq)) {
		held = false;
		fail_control(w);
	}
	pthread_mutex_unlock(&w->control_lock);
	return held;
}

char *share_worker_gtid_set(struct share_worker *w)
{
	char *text;

	pthread_mutex_lock(&w->lock);
	text = w->gtid_set != NULL ? xstrdup(w->gtid_set) : NULL;
	pthread_mutex_unlock(&w->lock);
	return text;
}

void share_worker_json(struct share_worker *w, struct buf *out)
{
	pthread_mutex_lock(&w->lock);
	buf_add_str(out, w->shares.size > 0 ? buf_cstr(&w->shares) : "[]");
	pthread_mutex_unlock(&w->lock);
}

int share_worker_finish_build(struct share_worker *w, struct err *e)
{
	const struct store_ops *ops = w->options.store->ops;
	int rc;

	if (share_worker_hold(w, FINISH_LIMIT_MS / 10, FINISH_LIMIT_MS, e) < 0)
		return -1;
	pthread_mutex_lock(&w->control_lock);
	rc = w->control == NULL ? err_retry(e, "version %d was let go", w->options.version) : 0;
	if (rc == 0)
		rc = ops->finish(share_version(w->control), w->options.view->after_build_sql, e);
	if (rc == 0)
		rc = share_set_built(w->control, e);
	pthread_mutex_unlock(&w->control_lock);
	share_worker_release(w);
	if (rc == 0) {
		pthread_mutex_lock(&w->lock);
		w->status.built = true;
		pthread_mutex_unlock(&w->lock);
	}
	return rc;
}

void share_worker_status(struct share_worker *w, struct worker_status *ret_status)
{
	pthread_mutex_lock(&w->lock);
	*ret_status = w->status;
	pthread_mutex_unlock(&w->lock);
}

/* ---- starting and stopping ------------------------------------------------------------------- */

static int read_info(struct share_worker *w, struct err *e)
{
	struct store_snapshot *snapshot;
	struct store_info info;

	if (w->options.store->ops->snapshot(w->options.store, w->options.version, &snapshot, e) < 0)
		return -1;
	w->options.store->ops->snapshot_info(snapshot, &info);
	w->options.store->ops->snapshot_close(snapshot);
	w->status.built = info.built;
	w->status.seq = info.seq;
	w->status.commit_us = info.commit_us;
	gtid_text_cut(slice_str(info.gtid_set), w->status.gtid_set, sizeof(w->status.gtid_set));
	return 0;
}

/* What a leader before this one left up. */
static int lower_left_over(struct share_worker *w, struct err *e)
{
	int rc;

	pthread_mutex_lock(&w->control_lock);
	rc = open_control(w, e);
	if (rc == 0)
		rc = share_lower(w->control, e);
	if (rc == 0 && w->status.built)
		rc = share_set_built(w->control, e);
	pthread_mutex_unlock(&w->control_lock);
	return rc;
}

static void init_locks(struct share_worker *w)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&w->lock, NULL);
	pthread_mutex_init(&w->report_lock, NULL);
	pthread_mutex_init(&w->control_lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static void free_worker(struct share_worker *w)
{
	for (int i = 0; i < w->member_count; i++)
		share_member_ask_to_stop(w->members[i]);
	for (int i = 0; i < w->member_count; i++)
		share_member_stop(w->members[i]);
	close_control(w);
	pthread_mutex_destroy(&w->lock);
	pthread_mutex_destroy(&w->report_lock);
	pthread_mutex_destroy(&w->control_lock);
	pthread_cond_destroy(&w->changed);
	buf_done(&w->shares);
	free(w->gtid_set);
	free(w->group);
	free(w);
}

int share_worker_start(const struct worker_options *options, struct share_worker **ret_worker,
		       struct err *e)
{
	struct share_worker *w = xcalloc(1, sizeof(*w));
	int rc;

	w->options = *options;
	w->group = xstrdup(options->group);
	w->options.group = w->group;
	init_locks(w);
	rc = read_info(w, e);
	if (rc == 0 && options->leads)
		rc = lower_left_over(w, e);
	for (int i = 0; i < options->workers && i < VIEW_WORKERS_MAX && rc == 0; i++) {
		rc = share_member_start(&w->options, i + 1, &w->members[i], e);
		w->member_count += rc == 0;
	}
	if (rc == 0 && pthread_create(&w->watcher, NULL, watch, w) != 0)
		rc = err_fatal(e, "can't start a thread");
	if (rc < 0) {
		free_worker(w);
		return -1;
	}
	*ret_worker = w;
	return 0;
}

void share_worker_ask_stop(struct share_worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	for (int i = 0; i < w->member_count; i++)
		share_member_ask_to_stop(w->members[i]);
}

void share_worker_stop(struct share_worker *w)
{
	if (w == NULL)
		return;
	share_worker_ask_stop(w);
	pthread_join(w->watcher, NULL);
	free_worker(w);
}
