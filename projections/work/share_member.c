/* share_member.c - a member's life: what it is assigned, taking it, and what it does when something
 * fails.
 *
 *   join -> [ assigned -> take shares -> open feed -> apply (share_apply.c) ... assigned anew ] ->
 * leave
 *
 * An error of the store (a deadlock, a lock timeout, a failover) is got over without opening the
 * feed anew: the shares are taken again, which also tells where they stand, and the feed is set
 * back to there. When even that fails, or the feed has failed, everything is opened anew, after a
 * while.
 *
 * A member that lost a share to another one waits until the brokers say what it has now; it only
 * takes the same again when they still say nothing after STALE_MS. Else two members that both
 * believe to have a share would take it from each other for ever.
 *
 * What doesn't heal (a record that can't be applied) stops the member, not the others. It keeps its
 * partitions, so that the others don't fall over the same record, and says why in their rows. */
#include "projections/work/share_member_priv.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/kafka/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define IDLE_MS 200
#define STALE_MS 15000
#define FAILED_MS 10000
#define PATIENCE_US 60000000

static void set_state(struct share_member *m, enum worker_state state, const struct err *e)
{
	pthread_mutex_lock(&m->lock);
	m->status.state = state;
	m->status.kind = e != NULL ? e->kind : ERR_NONE;
	m->status.exit_code = e != NULL ? err_exit_code(e) : 0;
	m->status.shares = m->count;
	snprintf(m->status.message, sizeof(m->status.message), "%s", e != NULL ? e->msg : "");
	pthread_mutex_unlock(&m->lock);
}

/* ---- what it has ----------------------------------------------------------------------------- */

static void drop_taken(struct share_member *m)
{
	share_list_free(m->taken, m->count);
	for (size_t i = 0; m->at != NULL && i < m->count; i++)
		intake_position_done(&m->at[i]);
	m->taken = NULL;
	free(m->at);
	m->at = NULL;
}

static void drop_shares(struct share_member *m)
{
	drop_taken(m);
	for (size_t i = 0; i < m->count; i++)
		buf_done(&m->texts[i]);
	free(m->texts);
	free(m->names);
	free(m->marks);
	free(m->only);
	m->texts = NULL;
	m->names = NULL;
	m->marks = NULL;
	m->only = NULL;
	m->count = 0;
}

static void close_feed(struct share_member *m)
{
	share_park_forget(m);
	handlers_free(m->handlers);
	m->handlers = NULL;
	if (m->link != NULL)
		share_rollback(m->link);
	m->open = false;
	if (m->feed != NULL)
		share_feed(m)->close(m->feed);
	m->feed = NULL;
}

static void close_all(struct share_member *m)
{
	close_feed(m);
	drop_shares(m);
	share_close(m->link);
	m->link = NULL;
}

static size_t topic_index(const struct share_member *m, const char *topic)
{
	size_t i = 0;

	while (i < m->options->view->input_count && m->options->view->inputs[i] != topic)
		i++;
	return i;
}

static void hold_shares(struct share_member *m, const struct assigned_partition *parts,
			size_t count)
{
	m->names = xcalloc(count + 1, sizeof(*m->names));
	m->marks = xcalloc(count + 1, sizeof(*m->marks));
	m->only = xcalloc(count + 1, sizeof(*m->only));
	m->texts = xcalloc(count + 1, sizeof(*m->texts));
	m->count = count;
	for (size_t i = 0; i < count; i++) {
		m->names[i] = (struct share_name){ parts[i].topic, parts[i].partition };
		m->marks[i].name = m->names[i];
		m->texts[i] = (struct buf)BUF_INIT;
	}
}

/* Raises the epochs; m->only tells where the feed goes on. */
static int take(struct share_member *m, struct err *e)
{
	drop_taken(m);
	if (share_take(m->link, m->names, m->count, &m->taken, e) < 0)
		return -1;
	m->at = xcalloc(m->count + 1, sizeof(*m->at));
	for (size_t i = 0; i < m->count; i++) {
		const struct share *s = &m->taken[i];

		m->marks[i].epoch = s->epoch;
		m->only[i] = (struct intake_share){ topic_index(m, m->names[i].topic),
						    m->names[i].partition, NULL };
		if (s->position == NULL)
			continue;
		if (intake_position_read(slice_str(s->position), &m->at[i], e) < 0)
			return err_wrap(e, "stored position of %s-%d", s->topic, s->partition);
		m->only[i].from = &m->at[i];
	}
	return 0;
}

/* ---- the store ------------------------------------------------------------------------------- */

/* A row for each partition of each input, whoever is going to have it: barriers count them. */
static int ensure(struct share_member *m, struct err *e)
{
	const struct view *view = m->options->view;
	struct share_name *names = NULL;
	struct admin *admin;
	size_t count = 0;
	int rc = 0;

	if (admin_open(m->options->settings, &admin, e) < 0)
		return -1;
	for (size_t i = 0; i < view->input_count && rc == 0; i++) {
		int32_t partitions = 0;

		rc = intake_count_partitions(admin, view->inputs[i], &partitions, e);
		names = xrealloc(names, (count + (size_t)partitions + 1) * sizeof(*names));
		for (int32_t n = 0; n < partitions; n++)
			names[count++] = (struct share_name){ view->inputs[i], n };
	}
	admin_close(admin);
	if (rc == 0)
		rc = share_ensure(m->link, names, count, e);
	free(names);
	return rc;
}

static int open_store(struct share_member *m, struct err *e)
{
	if (m->link != NULL)
		return 0;
	if (share_open(m->options->store, m->options->version, m->name, &m->link, e) < 0)
		return -1;
	return ensure(m, e);
}

/* ---- the feed -------------------------------------------------------------------------------- */

static int read_schema(void *context, int32_t id, const char **ret_text, struct err *e)
{
	struct share_member *m = context;

	return share_feed(m)->schema(m->options->source.context, id, ret_text, e);
}

static int read_parked(void *context, struct slice reference, int64_t seq, struct buf *ret_value,
		       struct err *e)
{
	struct share_member *m = context;

	return share_feed(m)->parked(m->options->source.context, reference, seq, ret_value, e);
}

static void make_handlers(struct share_member *m)
{
	struct handlers_options h = { .view = m->options->view,
				      .target = share_target(m->link),
				      .schema = read_schema,
				      .parked = read_parked,
				      .truncate = share_apply_truncate,
				      .context = m };

	handlers_free(m->handlers);
	m->handlers = handlers_new(&h);
}

static int open_feed(struct share_member *m, struct err *e)
{
	const struct worker_options *w = m->options;
	struct intake_options o = {
		.topics = (const char *const *)w->view->inputs,
		.topic_count = w->view->input_count,
		.only = m->only,
		.only_count = m->count,
		.memory = w->memory / (w->workers > 1 ? w->workers : 1),
	};

	if (share_feed(m)->open(w->source.context, &o, &m->feed, e) < 0)
		return -1;
	make_handlers(m);
	share_apply_begin(m);
	return 0;
}

/* The store has failed, the feed has not: goes on from what is committed. */
static int set_back(struct share_member *m, struct err *e)
{
	handlers_free(m->handlers); /* its statements, and what it remembers */
	m->handlers = NULL;
	share_rollback(m->link);
	if (take(m, e) < 0 || share_feed(m)->rewind(m->feed, m->only, e) < 0)
		return -1;
	make_handlers(m);
	share_apply_begin(m);
	return 0;
}

/* ---- one assignment -------------------------------------------------------------------------- */

static bool pause_ms(struct share_member *m, int64_t ms, struct err *e)
{
	int64_t until = clock_monotonic_us() + ms * 1000;

	while (!atomic_load(&m->stop) && clock_monotonic_us() < until) {
		int64_t left = (until - clock_monotonic_us()) / 1000 + 1;
		int rc = assignment_wait(m->assignment, m->generation,
					 (int)(left < IDLE_MS ? left : IDLE_MS), e);

		if (rc != 0)
			return rc > 0;
	}
	return true;
}

/* Takes what it is assigned. *ret_some: that is something. */
static int begin_work(struct share_member *m, bool *ret_some, struct err *e)
{
	struct assigned_partition *parts;
	size_t count;
	int rc = 0;

	close_feed(m);
	drop_shares(m);
	m->generation = assignment_get(m->assignment, &parts, &count);
	assignment_settled(m->assignment, m->generation);
	*ret_some = count > 0;
	if (count > 0) {
		hold_shares(m, parts, count);
		rc = open_store(m, e) < 0 || take(m, e) < 0 || open_feed(m, e) < 0 ? -1 : 0;
	}
	free(parts);
	if (rc == 0)
		set_state(m, WORKER_RUNNING, NULL);
	return rc;
}

/* What to do about an error of the loop. 0: it goes on; -1: not here. */
static int get_over(struct share_member *m, struct err *e)
{
	struct err first = *e;

	if (share_lost(e)) {
		log_err(LOG_LEVEL_INFO, m->area, "waiting for the brokers", e);
		close_feed(m);
		set_state(m, WORKER_RETRYING, e);
		(void)pause_ms(m, STALE_MS, e);
		m->generation = -1; /* begin_work asks again */
		return 0;
	}
	if (e->kind == ERR_DATA && !m->failed) {
		m->careful = true; /* which record is it? */
		m->careful_seq = share_feed(m)->position(m->feed)->seq;
		m->store_failed = true;
	} else if (e->kind != ERR_RETRY) {
		return -1;
	}
	m->bulk = m->bulk > 1 ? m->bulk / 2 : 1;
	if (!m->store_failed)
		return -1;
	if (first.kind == ERR_RETRY) {
		log_err(LOG_LEVEL_INFO, m->area, "from the last commit", &first);
		(void)pause_ms(m, backoff_next_ms(&m->backoff), e);
	}
	return set_back(m, e);
}

static int work(struct share_member *m, struct err *e)
{
	enum share_end end = SHARE_REASSIGNED;
	bool some;

	for (;;) {
		if (begin_work(m, &some, e) < 0)
			return -1;
		while (some && m->feed != NULL && share_apply(m, &end, e) < 0)
			if (get_over(m, e) < 0)
				return -1;
		if (atomic_load(&m->stop))
			return 0;
		if (!some && assignment_wait(m->assignment, m->generation, IDLE_MS, e) < 0)
			return -1;
		if (atomic_load(&m->stop))
			return 0;
	}
}

/* ---- its life -------------------------------------------------------------------------------- */

/* A mistake in the inputs counts as one only after a while: capture may just begin. */
static bool is_patient(int64_t started_us, const struct err *e)
{
	return e->kind == ERR_CONFIG && clock_monotonic_us() - started_us < PATIENCE_US;
}

static int join(struct share_member *m, struct err *e)
{
	const struct worker_options *w = m->options;

	if (m->assignment != NULL)
		return 0;
	m->generation = -1;
	return assignment_open(w->settings, w->group, (const char *const *)w->view->inputs,
			       w->view->input_count, &m->assignment, e);
}

/* Keeps its partitions until what it has changes. */
static void stay_failed(struct share_member *m, const struct err *e)
{
	struct err ignored = ERR_INIT;
	int rc = 0;

	log_err(LOG_LEVEL_ERROR, m->area, "stopped", e);
	set_state(m, WORKER_FAILED, e);
	close_feed(m);
	if (m->link != NULL && m->count > 0)
		(void)share_say(m->link, m->marks, m->count, 0, e->msg, &ignored);
	while (!atomic_load(&m->stop) && m->assignment != NULL && rc == 0)
		rc = assignment_wait(m->assignment, m->generation, IDLE_MS, &ignored);
	for (int i = 0; i < FAILED_MS / IDLE_MS && rc < 0 && !atomic_load(&m->stop); i++)
		clock_sleep_us(IDLE_MS * 1000); /* it can't be a member: not at once again */
	if (rc < 0) {
		assignment_close(m->assignment);
		m->assignment = NULL;
	}
	m->failed = m->careful = false;
}

static void *run(void *context)
{
	struct share_member *m = context;
	int64_t started_us = clock_monotonic_us();

	while (!atomic_load(&m->stop)) {
		struct err e = ERR_INIT;

		if (join(m, &e) == 0 && work(m, &e) == 0)
			break;
		if (e.kind != ERR_RETRY && !is_patient(started_us, &e)) {
			stay_failed(m, &e);
			close_all(m);
			continue;
		}
		close_all(m);
		log_err(m->backoff.tries > 1 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, m->area,
			"trying again soon", &e);
		set_state(m, WORKER_RETRYING, &e);
		for (int64_t until = clock_monotonic_us() + backoff_next_ms(&m->backoff) * 1000;
		     !atomic_load(&m->stop) && clock_monotonic_us() < until;)
			clock_sleep_us(20000);
		if (m->assignment != NULL && assignment_wait(m->assignment, -1, 0, &e) < 0) {
			assignment_close(m->assignment);
			m->assignment = NULL;
		}
	}
	close_all(m);
	assignment_close(m->assignment);
	m->assignment = NULL;
	set_state(m, WORKER_STOPPED, NULL);
	return NULL;
}

int share_member_start(const struct worker_options *options, int number,
		       struct share_member **ret_member, struct err *e)
{
	struct share_member *m = xcalloc(1, sizeof(*m));
	char host[64] = "";

	m->options = options;
	m->bulk = WORKER_BULK_RECORDS;
	worker_pace_begin(&m->pace, options->share / (options->workers > 1 ? options->workers : 1));
	m->backoff = (struct backoff)BACKOFF_INIT;
	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	snprintf(m->name, sizeof(m->name), "%s, process %ld, worker %d", host, (long)getpid(),
		 number);
	snprintf(m->area, sizeof(m->area), "view:%s:v%d:%d", options->view->name, options->version,
		 number);
	pthread_mutex_init(&m->lock, NULL);
	if (pthread_create(&m->thread, NULL, run, m) != 0) {
		pthread_mutex_destroy(&m->lock);
		free(m);
		return err_fatal(e, "can't start a thread");
	}
	*ret_member = m;
	return 0;
}

void share_member_ask_to_stop(struct share_member *m)
{
	atomic_store(&m->stop, true);
}

void share_member_stop(struct share_member *m)
{
	if (m == NULL)
		return;
	share_member_ask_to_stop(m);
	pthread_join(m->thread, NULL);
	pthread_mutex_destroy(&m->lock);
	free(m->marked_gtid);
	free(m);
}

void share_member_status(struct share_member *m, struct share_member_status *ret_status)
{
	pthread_mutex_lock(&m->lock);
	*ret_status = m->status;
	pthread_mutex_unlock(&m->lock);
}
