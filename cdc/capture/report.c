/* report.c - the status record and the lag.
 *
 * Three stages: what the source has (head), what the reader has read, what is delivered.
 * Transactions and bytes count from the beginning of this capture, so that stages can be
 * subtracted. Head is asked once a second on a connection of its own to the server that is read
 * (the first of source.host that answers may be another one): its transactions are the
 * processed ones plus the distance between the GTID positions, its bytes the processed ones plus
 * what lies behind the processed place in the binlog files. Its time is when the head was first
 * seen where it is, by the source's clock, so a source that rests has no lag however old its last
 * transaction is. */
#include "cdc/capture/report.h"

#include "cdc/delivery/delivery.h"
#include "core/avro/write.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/base/notify.h"
#include "core/kafka/producer.h"
#include "core/mysql/db.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define WRITE_EVERY_US 2000000
#define ASK_EVERY_US 1000000
#define NO_SERVER SIZE_MAX
#define REPORT_SETTLE_US 250000 /* longer than the pipeline takes between two reports */

struct metrics {
	struct metric *rows, *transactions, *bytes, *commits, *commit_seconds, *seq, *up, *leads;
	struct metric *lag_transactions[2], *lag_bytes[2], *lag_seconds[2]; /* read, delivered */
	struct metric *copy_rows, *copying, *copy_rate, *copy_left, *copy_paused;
};

struct head {
	bool known;
	struct gtid_set gtid_set;
	int64_t bytes, now_us, moved_us;
};

struct report {
	const struct settings *settings;
	char *http, *topic;
	int64_t started_us;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	_Atomic int64_t turned_us;
	struct metrics metrics;

	/* under the lock */
	bool stopping, state_changed, can_write;
	bool leading, finished;          /* finished: nothing is written any more */
	uint64_t states, states_written; /* changes of state, and which of them is on the topic */
	int32_t schema_id;
	char *state, *message;
	size_t server; /* of source.host; NO_SERVER until one is read */
	int64_t seq;
	struct gtid_set gtid_set;
	char *file;
	uint64_t position;
	struct status_stage processed;
	struct status_stage read, delivered;
	struct status_copy *copies; /* names owned */
	size_t copy_count;
	int64_t parked, parked_bytes;

	/* the thread's own */
	struct db *db;
	size_t db_server; /* of source.host, where db leads to */
	struct producer *producer;
	struct producer_topic *status;
	char standby_key[300];
	bool standby_written, ending;
	struct head head;
	struct buf value, gtid_text;
};

/* ---- metrics -------------------------------------------------------------------------------- */

static void make_metrics(struct metrics *m)
{
	static const double bounds[] = {
		0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10
	};
	static const char *const stages[2] = { "read", "delivered" };

	m->rows = metric_counter("millrace_capture_changes_total", "Row changes delivered.", NULL);
	m->transactions = metric_counter("millrace_capture_transactions_total",
					 "Source transactions delivered.", NULL);
	m->bytes = metric_counter("millrace_capture_binlog_bytes_total", "Binlog bytes delivered.",
				  NULL);
	m->commits = metric_counter("millrace_capture_commits_total", "Group commits.", NULL);
	m->commit_seconds = metric_histogram("millrace_capture_commit_seconds",
					     "Time that a group commit's end took.", bounds,
					     sizeof(bounds) / sizeof(bounds[0]), NULL);
	m->seq = metric_gauge("millrace_capture_seq", "Last seq delivered.", NULL);
	m->up = metric_gauge("millrace_capture_up", "1 while changes can flow.", NULL);
	m->leads = metric_gauge("millrace_capture_leads",
				"1 while this instance leads, 0 while it stands by.", NULL);
	m->copy_rows = metric_gauge("millrace_capture_copied_rows",
				    "Rows delivered by first copies.", NULL);
	m->copy_rate = metric_gauge("millrace_capture_copy_rows_per_second",
				    "Rows a second of the copies under way.", NULL);
	m->copy_left = metric_gauge("millrace_capture_copy_rows_left",
				    "Rows that copies have yet to read, by the source's estimate.",
				    NULL);
	m->copy_paused = metric_gauge("millrace_capture_copy_paused",
				      "1 while copies wait for the source's load to fall.", NULL);
	m->copying = metric_gauge("millrace_capture_copying_tables",
				  "Tables whose first copy has not ended.", NULL);
	for (size_t i = 0; i < 2; i++) {
		m->lag_transactions[i] = metric_gauge(
			"millrace_capture_lag_transactions",
			"Source transactions behind the source's head.", "stage", stages[i], NULL);
		m->lag_bytes[i] = metric_gauge("millrace_capture_lag_bytes",
					       "Binlog bytes behind the source's head.", "stage",
					       stages[i], NULL);
		m->lag_seconds[i] =
			metric_gauge("millrace_capture_lag_seconds",
				     "Seconds behind the source's head, by the source's clock.",
				     "stage", stages[i], NULL);
	}
}

static void set_lag(struct report *r, size_t i, const struct status_stage *head,
		    const struct status_stage *stage)
{
	int64_t transactions = head->transactions - stage->transactions,
		bytes = head->bytes - stage->bytes;
	int64_t us = transactions > 0 && stage->us != 0 ? head->us - stage->us : 0;

	metric_set(r->metrics.lag_transactions[i], transactions > 0 ? (double)transactions : 0);
	metric_set(r->metrics.lag_bytes[i], bytes > 0 ? (double)bytes : 0);
	metric_set(r->metrics.lag_seconds[i], us > 0 ? (double)us / 1e6 : 0);
}

void report_commit(struct report *r, int64_t changes, int64_t transactions, int64_t bytes,
		   int64_t took_us)
{
	metric_add(r->metrics.rows, changes);
	metric_add(r->metrics.transactions, transactions);
	metric_add(r->metrics.bytes, bytes);
	metric_add(r->metrics.commits, 1);
	metric_observe(r->metrics.commit_seconds, (double)took_us / 1e6);
}

/* ---- the source's head ---------------------------------------------------------------------- */

static int64_t to_number(struct slice text)
{
	char digits[24];

	if (text.data == NULL || text.size >= sizeof(digits))
		return 0;
	memcpy(digits, text.data, text.size);
	digits[text.size] = '\0';
	return strtoll(digits, NULL, 10);
}

static int ask_position(struct report *r, struct gtid_set *ret_set, int64_t *ret_now_us,
			struct err *e)
{
	struct db_result *result = NULL;
	const struct slice *row;
	int rc;

	if (db_query(r->db,
		     "SELECT @@GLOBAL.gtid_binlog_pos, CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS "
		     "SIGNED)",
		     &result, e) < 0)
		return -1;
	rc = db_next(result, &row, e);
	if (rc == 1) {
		*ret_now_us = to_number(row[1]);
		rc = gtid_set_parse(row[0], ret_set, e);
	}
	db_result_free(result);
	return rc;
}

/* Bytes behind file:position. */
static int ask_bytes(struct report *r, const char *file, uint64_t position, int64_t *ret_bytes,
		     struct err *e)
{
	struct db_result *result = NULL;
	const struct slice *row;
	bool seen = false;
	int64_t bytes = 0;
	int rc;

	if (db_query(r->db, "SHOW BINARY LOGS", &result, e) < 0)
		return -1;
	while ((rc = db_next(result, &row, e)) == 1) {
		int64_t size = to_number(row[1]);

		if (slice_is(row[0], file)) {
			seen = true;
			bytes = size > (int64_t)position ? size - (int64_t)position : 0;
		} else if (seen) {
			bytes += size;
		}
	}
	db_result_free(result);
	if (rc == 0)
		*ret_bytes = bytes;
	return rc;
}

static void disconnect(struct report *r)
{
	if (r->db != NULL)
		db_close(r->db);
	r->db = NULL;
	r->head.known = false;
}

static int connect_to(struct report *r, size_t server, struct err *e)
{
	struct settings one = *r->settings;

	if (r->db != NULL && r->db_server == server)
		return 0;
	disconnect(r);
	one.source_hosts.items = &r->settings->source_hosts.items[server];
	one.source_hosts.count = 1;
	r->db_server = server;
	return db_open(&one, DB_TEXT_UTF8, &r->db, e);
}

static void ask_head(struct report *r)
{
	struct gtid_set set = GTID_SET_INIT;
	struct err e = ERR_INIT;
	uint64_t position;
	int64_t now_us = 0, processed, behind = 0;
	size_t server;
	char *file;

	pthread_mutex_lock(&r->lock);
	server = r->server;
	file = xstrdup(r->file);
	position = r->position;
	processed = r->processed.bytes;
	pthread_mutex_unlock(&r->lock);
	if (server == NO_SERVER)
		goto out;
	if (connect_to(r, server, &e) < 0 || ask_position(r, &set, &now_us, &e) < 0 ||
	    ask_bytes(r, file, position, &behind, &e) < 0) {
		disconnect(r);
		goto out;
	}
	if (!r->head.known || !gtid_set_equal(&set, &r->head.gtid_set))
		r->head.moved_us = now_us;
	gtid_set_copy(&r->head.gtid_set, &set);
	r->head.now_us = now_us;
	r->head.bytes = processed + behind;
	r->head.known = true;
out:
	gtid_set_done(&set);
	free(file);
}

/* With the lock held. */
static bool head_stage(struct report *r, struct status_stage *ret_head)
{
	uint64_t distance;

	if (!r->head.known)
		return false;
	distance = gtid_set_distance(&r->gtid_set, &r->head.gtid_set);
	*ret_head = (struct status_stage){
		r->processed.transactions + (int64_t)(distance < INT32_MAX ? distance : INT32_MAX),
		r->head.bytes, distance == 0 ? r->processed.us : r->head.moved_us
	};
	if (ret_head->bytes < r->read.bytes)
		ret_head->bytes = r->read.bytes; /* the reader has passed the head that was asked a
						    moment ago */
	if (ret_head->transactions < r->read.transactions)
		ret_head->transactions = r->read.transactions;
	return true;
}

/* ---- the record ----------------------------------------------------------------------------- */

/* False: there is nothing to write, or nowhere. */
static bool make_record(struct report *r, bool *ret_leading, uint64_t *ret_state)
{
	struct status_stage head;
	bool has_head, write;
	struct status_record s;

	pthread_mutex_lock(&r->lock);
	write = r->can_write && !r->finished;
	*ret_leading = r->leading;
	*ret_state = r->states;
	has_head = r->leading && head_stage(r, &head);
	buf_reset(&r->gtid_text);
	gtid_set_text(&r->gtid_set, &r->gtid_text);
	s = (struct status_record){
		.seq = r->seq,
		.kind = r->leading ? "capture" : "standby",
		.name = r->settings->name,
		.state = r->state,
		.message = r->message,
		.at_us = clock_now_us(),
		.started_us = r->started_us,
		.http = r->http,
		.gtid_set = buf_cstr(&r->gtid_text),
		.commit_us = r->delivered.us,
		.source_now_us = has_head ? r->head.now_us : 0,
		.head = has_head ? &head : NULL,
		.read = r->leading ? &r->read : NULL,
		.delivered = r->leading ? &r->delivered : NULL,
		.copies = r->copies,
		.copy_count = r->leading ? r->copy_count : 0,
		.parked = r->leading ? r->parked : 0,
		.parked_bytes = r->leading ? r->parked_bytes : 0,
	};
	buf_reset(&r->value);
	write_wire_header(&r->value, r->schema_id);
	records_write_status(&s, &r->value);
	if (has_head) {
		set_lag(r, 0, &head, &r->read);
		set_lag(r, 1, &head, &r->delivered);
	}
	pthread_mutex_unlock(&r->lock);
	return write;
}

/* One key per instance that stands by; the leader's is "capture", whoever it is. */
static void make_standby_key(struct report *r)
{
	char host[128] = "";
	const char *port;

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	pthread_mutex_lock(&r->lock);
	port = strrchr(r->http, ':');
	(void)snprintf(r->standby_key, sizeof(r->standby_key), "standby:%s%s", host,
		       port != NULL && strlen(port) < 10 ? port : ""); /* 300 hold both */
	pthread_mutex_unlock(&r->lock);
}

static int send_record(struct report *r, bool leading, struct err *e)
{
	if (leading || r->ending) {
		if (r->standby_written &&
		    producer_send(r->producer, r->status, 0, slice_str(r->standby_key),
				  slice_of(NULL, 0), e) < 0)
			return -1;
		r->standby_written = false;
	}
	if (leading)
		return producer_send(r->producer, r->status, 0, slice_str("capture"),
				     buf_slice(&r->value), e);
	if (r->ending)
		return 0;
	if (r->standby_key[0] == '\0')
		make_standby_key(r);
	r->standby_written = true;
	return producer_send(r->producer, r->status, 0, slice_str(r->standby_key),
			     buf_slice(&r->value), e);
}

static void write_record(struct report *r)
{
	struct producer_options options = { .queue_bytes_max = 1024 * 1024, .linger_ms = 0 };
	struct err e = ERR_INIT;
	uint64_t state;
	bool leading;

	if (!make_record(r, &leading, &state))
		return;
	if (r->producer == NULL) {
		if (producer_open(r->settings, &options, &r->producer, &e) < 0)
			return;
		r->status = producer_topic(r->producer, r->topic);
	}
	producer_poll(r->producer, 0);
	if (producer_pending(r->producer) > 10)
		return; /* the brokers don't answer; the pipeline says so */
	if (send_record(r, leading, &e) < 0 || producer_error(r->producer, &e) < 0) {
		producer_close(r->producer);
		r->producer = NULL;
		return;
	}
	pthread_mutex_lock(&r->lock);
	r->states_written = state;
	pthread_mutex_unlock(&r->lock);
}

enum wake { WAKE_TIME, WAKE_CHANGED, WAKE_STOP };

static enum wake rest(struct report *r, int64_t until_us)
{
	struct timespec t = { until_us / 1000000, (long)(until_us % 1000000) * 1000 };
	enum wake why;

	pthread_mutex_lock(&r->lock);
	while (!r->stopping && !r->state_changed)
		if (pthread_cond_timedwait(&r->changed, &r->lock, &t) == ETIMEDOUT)
			break;
	why = r->stopping ? WAKE_STOP : r->state_changed ? WAKE_CHANGED : WAKE_TIME;
	r->state_changed = false;
	pthread_mutex_unlock(&r->lock);
	return why;
}

static bool leads(struct report *r)
{
	bool leading;

	pthread_mutex_lock(&r->lock);
	leading = r->leading;
	pthread_mutex_unlock(&r->lock);
	return leading;
}

static void *reporter(void *context)
{
	struct report *r = context;
	int64_t write_us = 0, now;
	enum wake why;

	while ((why = rest(r, clock_monotonic_us() + ASK_EVERY_US)) != WAKE_STOP) {
		now = clock_monotonic_us();
		if (now - report_turned_us(r) < REPORT_STUCK_US)
			notify_watchdog();
		if (why == WAKE_TIME && leads(r)) {
			ask_head(r);
			/* where we are is looked at after the head, never before: else a busy
			 * source would seem ahead by what it wrote between the two looks */
			if (rest(r, clock_monotonic_us() + REPORT_SETTLE_US) == WAKE_STOP)
				break;
			now = clock_monotonic_us();
		}
		if (why == WAKE_TIME && now < write_us)
			continue;
		write_record(r);
		write_us = now + WRITE_EVERY_US - ASK_EVERY_US / 2;
	}
	r->ending = true;
	write_record(r);
	for (int i = 0; i < 20 && r->producer != NULL && producer_pending(r->producer) > 0; i++)
		producer_poll(r->producer, 50);
	return NULL;
}

/* ---- from the pipeline ---------------------------------------------------------------------- */

int report_new(const struct settings *settings, struct report **ret_report, struct err *e)
{
	struct report *r = xcalloc(1, sizeof(*r));
	pthread_condattr_t attributes;

	r->settings = settings;
	r->http = xstrdup("");
	r->topic = delivery_topic_name(settings, "status");
	r->started_us = clock_now_us();
	r->server = NO_SERVER;
	r->state = xstrdup("starting");
	r->message = xstrdup("");
	r->file = xstrdup("");
	make_metrics(&r->metrics);
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	report_turn(r);
	if (pthread_create(&r->thread, NULL, reporter, r) != 0)
		return err_fatal(e, "no thread could be made to report the status");
	*ret_report = r;
	return 0;
}

static void free_copies(struct report *r)
{
	for (size_t i = 0; i < r->copy_count; i++) {
		free((char *)(uintptr_t)r->copies[i].table);
		free((char *)(uintptr_t)r->copies[i].why);
	}
	free(r->copies);
}

void report_free(struct report *r)
{
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	producer_close(r->producer);
	if (r->db != NULL)
		db_close(r->db);
	free_copies(r);
	gtid_set_done(&r->gtid_set);
	gtid_set_done(&r->head.gtid_set);
	buf_done(&r->value);
	buf_done(&r->gtid_text);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r->http);
	free(r->topic);
	free(r->state);
	free(r->message);
	free(r->file);
	free(r);
}

void report_can_write(struct report *r, int32_t schema_id)
{
	pthread_mutex_lock(&r->lock);
	r->schema_id = schema_id;
	r->can_write = true;
	pthread_mutex_unlock(&r->lock);
}

void report_http(struct report *r, const char *address)
{
	pthread_mutex_lock(&r->lock);
	free(r->http);
	r->http = xstrdup(address);
	pthread_mutex_unlock(&r->lock);
}

void report_state(struct report *r, const char *state, const char *message)
{
	pthread_mutex_lock(&r->lock);
	if (strcmp(r->state, state) != 0 || message != NULL) {
		free(r->state);
		free(r->message);
		r->state = xstrdup(state);
		r->message = xstrdup(message != NULL ? message : "");
		r->state_changed = true;
		r->states++;
		metric_set(r->metrics.up,
			   strcmp(state, "copying") == 0 || strcmp(state, "streaming") == 0);
		notify_status("%s%s%s", state, message != NULL ? ": " : "",
			      message != NULL ? message : "");
		pthread_cond_signal(&r->changed);
	}
	pthread_mutex_unlock(&r->lock);
}

void report_lead(struct report *r, bool leading)
{
	pthread_mutex_lock(&r->lock);
	r->leading = leading;
	pthread_mutex_unlock(&r->lock);
	metric_set(r->metrics.leads, leading);
}

void report_finish(struct report *r)
{
	bool written = false;

	for (int i = 0; i < 50 && !written; i++) {
		pthread_mutex_lock(&r->lock);
		written = !r->leading || !r->can_write || r->states_written == r->states;
		pthread_mutex_unlock(&r->lock);
		if (!written)
			clock_sleep_us(20000);
	}
	pthread_mutex_lock(&r->lock);
	r->finished = r->leading;
	pthread_mutex_unlock(&r->lock);
}

static void take_copies(struct report *r, const struct report_progress *progress)
{
	int64_t rows = 0, copying = 0, left = 0;
	bool paused = false;
	double rate = 0;

	free_copies(r);
	r->copies = xcalloc(progress->copy_count + 1, sizeof(*r->copies));
	r->copy_count = progress->copy_count;
	for (size_t i = 0; i < progress->copy_count; i++) {
		r->copies[i] = progress->copies[i];
		r->copies[i].table = xstrdup(progress->copies[i].table);
		r->copies[i].why =
			xstrdup(progress->copies[i].why != NULL ? progress->copies[i].why : "");
		rows += progress->copies[i].rows;
		copying += !progress->copies[i].done;
		if (progress->copies[i].done)
			continue;
		paused = paused || progress->copies[i].paused;
		rate += progress->copies[i].rate;
		if (progress->copies[i].rows_estimate > progress->copies[i].rows)
			left += progress->copies[i].rows_estimate - progress->copies[i].rows;
	}
	metric_set(r->metrics.copy_rate, rate);
	metric_set(r->metrics.copy_left, (double)left);
	metric_set(r->metrics.copy_paused, paused ? 1 : 0);
	metric_set(r->metrics.copy_rows, (double)rows);
	metric_set(r->metrics.copying, (double)copying);
}

void report_progress(struct report *r, const struct report_progress *progress)
{
	pthread_mutex_lock(&r->lock);
	r->server = progress->server;
	r->seq = progress->seq;
	gtid_set_copy(&r->gtid_set, progress->gtid_set);
	if (strcmp(r->file, progress->file) != 0) {
		free(r->file);
		r->file = xstrdup(progress->file);
	}
	r->position = progress->position;
	r->processed = progress->processed;
	r->read = progress->read;
	r->delivered = progress->delivered;
	r->parked = progress->parked;
	r->parked_bytes = progress->parked_bytes;
	take_copies(r, progress);
	pthread_mutex_unlock(&r->lock);
	metric_set(r->metrics.seq, (double)progress->seq);
}

bool report_is_ready(struct report *r)
{
	bool ready;

	pthread_mutex_lock(&r->lock);
	ready = strcmp(r->state, "copying") == 0 || strcmp(r->state, "streaming") == 0;
	pthread_mutex_unlock(&r->lock);
	return ready;
}

bool report_is_standby(struct report *r)
{
	bool standby;

	pthread_mutex_lock(&r->lock);
	standby = strcmp(r->state, "standby") == 0;
	pthread_mutex_unlock(&r->lock);
	return standby;
}

void report_turn(struct report *r)
{
	atomic_store_explicit(&r->turned_us, clock_monotonic_us(), memory_order_relaxed);
}

int64_t report_turned_us(struct report *r)
{
	return atomic_load_explicit(&r->turned_us, memory_order_relaxed);
}
