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

#include "cdc/capture/report_metrics.h"
#include "cdc/capture/source_head.h"
#include "cdc/delivery/delivery.h"
#include "core/avro/write.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/notify.h"
#include "core/kafka/producer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define WRITE_EVERY_US 2000000
#define ASK_EVERY_US 1000000
#define NO_SERVER SIZE_MAX
#define COPIES_MAX 100 /* in the record, which is written all the time */
#define REPORT_SETTLE_US 250000 /* longer than the pipeline takes between two reports */

struct report {
	const struct settings *settings;
	char *http, *topic;
	int64_t started_us;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	_Atomic int64_t turned_us;
	struct report_metrics metrics;

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
	int64_t copies_total, copies_done;
	size_t copy_count;
	int64_t parked, parked_bytes;

	/* the thread's own */
	struct producer *producer;
	struct producer_topic *status;
	char standby_key[300];
	bool standby_written, ending;
	struct source_head head;
	int64_t head_bytes; /* since this capture began */
	struct buf value, gtid_text;
};

static void ask_head(struct report *r)
{
	uint64_t position;
	int64_t processed;
	size_t server;
	char *file;

	pthread_mutex_lock(&r->lock);
	server = r->server;
	file = xstrdup(r->file);
	position = r->position;
	processed = r->processed.bytes;
	pthread_mutex_unlock(&r->lock);
	if (server != NO_SERVER)
		source_head_ask(&r->head, server, file, position);
	r->head_bytes = processed + r->head.behind;
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
		r->head_bytes, distance == 0 ? r->processed.us : r->head.moved_us
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
		.copies_total = r->leading ? r->copies_total : 0,
		.copies_done = r->leading ? r->copies_done : 0,
		.parked = r->leading ? r->parked : 0,
		.parked_bytes = r->leading ? r->parked_bytes : 0,
	};
	buf_reset(&r->value);
	write_wire_header(&r->value, r->schema_id);
	records_write_status(&s, &r->value);
	if (has_head) {
		report_metrics_lag(&r->metrics, REPORT_LAG_READ, &head, &r->read);
		report_metrics_lag(&r->metrics, REPORT_LAG_DELIVERED, &head, &r->delivered);
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
	struct timespec t = clock_timespec(until_us);
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
	report_metrics_make(&r->metrics);
	r->head.settings = settings;
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
	source_head_done(&r->head);
	free_copies(r);
	gtid_set_done(&r->gtid_set);
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

static void keep_copy(struct report *r, const struct status_copy *copy)
{
	struct status_copy *mine = &r->copies[r->copy_count++];

	*mine = *copy;
	mine->table = xstrdup(copy->table);
	mine->why = xstrdup(copy->why != NULL ? copy->why : "");
}

/* Of many tables, those that are being copied, then those whose turn is to come. */
static void keep_copies(struct report *r, const struct report_progress *progress)
{
	size_t count = progress->copy_count;

	free_copies(r);
	r->copy_count = 0;
	r->copies = xcalloc((count < COPIES_MAX ? count : COPIES_MAX) + 1, sizeof(*r->copies));
	for (size_t i = 0; i < count && count <= COPIES_MAX; i++)
		keep_copy(r, &progress->copies[i]);
	for (int running = 1; running >= 0 && count > COPIES_MAX; running--)
		for (size_t i = 0; i < count && r->copy_count < COPIES_MAX; i++) {
			const struct status_copy *copy = &progress->copies[i];

			if (!copy->done && (copy->rate > 0) == (running == 1))
				keep_copy(r, copy);
		}
}

static void take_copies(struct report *r, const struct report_progress *progress)
{
	keep_copies(r, progress);
	r->copies_total = (int64_t)progress->copy_count;
	r->copies_done = 0;
	for (size_t i = 0; i < progress->copy_count; i++)
		r->copies_done += progress->copies[i].done;
	report_metrics_copies(&r->metrics, progress->copies, progress->copy_count);
}

void report_commit(struct report *r, int64_t changes, int64_t transactions, int64_t bytes,
		   int64_t took_us)
{
	report_metrics_commit(&r->metrics, changes, transactions, bytes, took_us);
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
