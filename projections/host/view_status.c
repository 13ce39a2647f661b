/* view_status.c - status records of views. */
#include "projections/host/view_status.h"

#include "projections/host/view_metrics.h"
#include "projections/host/view_shares.h"

#include "core/avro/records.h"
#include "core/avro/write.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/kafka/producer.h"

#include <stdio.h>
#include <stdlib.h>

#define FLUSH_US 1000000
#define REOPEN_US 5000000 /* between tries to reach the brokers */

struct shown {
	char *name;
	char *state; /* as last written: state and message and versions' states */
	int64_t written_us;
	struct view_metrics metrics;
	struct view_shares_shown shares;
};

struct view_status {
	const struct settings *settings;
	struct registry *registry;
	struct producer *producer;
	struct producer_topic *topic;
	int32_t schema_id;
	int64_t started_us, tried_us;
	bool complained;
	struct shown *views;
	size_t count;
	struct buf value;
};

struct view_status *view_status_new(const struct settings *settings, struct registry *registry)
{
	struct view_status *v = xcalloc(1, sizeof(*v));

	v->settings = settings;
	v->registry = registry;
	v->started_us = clock_now_us();
	return v;
}

bool view_status_is_out(struct view_status *v)
{
	if (v->producer == NULL)
		return true;
	producer_poll(v->producer, 0);
	return producer_pending(v->producer) == 0;
}

static void flush(struct view_status *v)
{
	int64_t until = clock_monotonic_us() + FLUSH_US;

	while (!view_status_is_out(v) && clock_monotonic_us() < until)
		producer_poll(v->producer, 20);
}

void view_status_free(struct view_status *v)
{
	if (v == NULL)
		return;
	flush(v);
	if (v->producer != NULL)
		producer_close(v->producer);
	for (size_t i = 0; i < v->count; i++) {
		free(v->views[i].name);
		free(v->views[i].state);
		view_shares_shown_done(&v->views[i].shares);
	}
	free(v->views);
	buf_done(&v->value);
	free(v);
}

static struct shown *shown_of(struct view_status *v, const char *name)
{
	struct shown *s;

	for (size_t i = 0; i < v->count; i++) {
		if (strcmp(v->views[i].name, name) == 0)
			return &v->views[i];
	}
	v->views = xrealloc(v->views, (v->count + 1) * sizeof(*v->views));
	s = &v->views[v->count++];
	*s = (struct shown){ .name = xstrdup(name), .state = xstrdup("") };
	view_metrics_open(&s->metrics, name);
	return s;
}

/* ---- the record ------------------------------------------------------------------------------ */

const char *view_status_state(const struct host_status *s, const char **ret_message)
{
	const struct host_version *v = view_metrics_main(s);

	*ret_message = "";
	if (s->live == 0 && s->phase == HOST_FAILED) {
		*ret_message = s->job_err.msg;
		return "failed";
	}
	if (v == NULL)
		return "building";
	*ret_message = v->worker.message;
	if (v->worker.state == WORKER_FAILED)
		return "failed";
	if (v->worker.state == WORKER_RETRYING)
		return "retrying";
	if (s->live != 0 && s->phase == HOST_FAILED)
		*ret_message = s->job_err.msg;
	if ((*ret_message)[0] == '\0')
		*ret_message = v->worker.notice;
	return s->live != 0 ? "live" : v->worker.copying ? "copying" : "building";
}

static const char *version_state(const struct host_status *s, const struct host_version *v)
{
	if (v->version == s->job_version &&
	    (s->phase == HOST_DIFFING || s->phase == HOST_FINISHING))
		return "diffing";
	return v->worker.state == WORKER_FAILED ? "failed" : store_state_name(v->state);
}

#define SLOWEST_SIZE 280

/* "" once there is nothing to wait for. */
static const char *slowest_name(const struct host_version *v, char *text, size_t size)
{
	const struct intake_slowest *p = &v->worker.slowest;

	text[0] = '\0';
	if (!v->worker.caught_up && p->topic[0] != '\0')
		snprintf(text, size, "%s-%d", p->topic, p->partition);
	return text;
}

static void fill_versions(const struct host_status *s, struct status_version *versions,
			  char *differs, size_t size, char (*slowest)[SLOWEST_SIZE],
			  struct view_shares *shares)
{
	for (size_t i = 0; i < s->version_count; i++) {
		const struct host_version *v = &s->versions[i];
		const char *message = v->worker.message;

		if (v->version == s->job_version && s->phase == HOST_FAILED) {
			message = s->job_err.msg;
		} else if (v->version == s->job_version && s->differences >= 0 &&
			   message[0] == '\0') {
			snprintf(differs, size, "%lld of %lld rows differ from version %d",
				 (long long)s->differences, (long long)s->diff_rows, s->job_from);
			message = differs;
		}
		versions[i] = (struct status_version){
			.version = v->version,
			.state = version_state(s, v),
			.seq = v->worker.seq,
			.gtid_set = v->worker.gtid_set,
			.records = v->worker.records,
			.records_total = v->worker.records_total,
			.rate = v->worker.rate,
			.definition = v->fingerprint,
			.message = message,
			.left_us = worker_left_us(&v->worker),
			.slowest = slowest_name(v, slowest[i], sizeof(slowest[i])),
			.slowest_left = v->worker.slowest.total - v->worker.slowest.done,
			.parked = v->worker.parked,
			.differing = -1,
			.as_of = v->as_of,
			.share = (int32_t)v->share,
		};
		view_shares_fill(shares, i, &versions[i]);
		if (s->shadow.version == v->version && s->shadow.compared_us != 0) {
			versions[i].differing = s->shadow.differences;
			versions[i].compared_us = s->shadow.compared_us;
			versions[i].differs_since_us = s->shadow.since_us;
		}
	}
}

static void make_record(struct view_status *v, struct host *h, const struct host_status *s,
			struct view_shares *shares, const char *http, const char *state,
			const char *message)
{
	const struct host_version *main = view_metrics_main(s);
	struct status_version versions[HOST_VERSIONS_MAX];
	struct status_stage delivered = { 0 }, applied = { 0 };
	struct status_verified verified = { s->verified_us, s->verified_gtid_set, s->verified_rows,
					    s->verified_differences };
	char differs[128], **inputs, *owner, slowest[HOST_VERSIONS_MAX][SLOWEST_SIZE];
	size_t input_count;
	struct status_record r;

	host_describe(h, &owner, &inputs, &input_count);
	fill_versions(s, versions, differs, sizeof(differs), slowest, shares);
	if (main != NULL) {
		delivered = (struct status_stage){ main->worker.delivered.transactions_total,
						   main->worker.delivered.bytes_total,
						   main->worker.delivered.commit_us };
		applied = (struct status_stage){ main->worker.transactions_total,
						 main->worker.bytes_total, main->worker.commit_us };
	}
	r = (struct status_record){
		.seq = main != NULL ? main->worker.seq : 0,
		.kind = "view",
		.name = host_name(h),
		.state = state,
		.message = message,
		.at_us = clock_now_us(),
		.started_us = v->started_us,
		.http = http,
		.gtid_set = main != NULL ? main->worker.gtid_set : "",
		.commit_us = main != NULL ? main->worker.commit_us : 0,
		.delivered = main != NULL ? &delivered : NULL,
		.applied = main != NULL ? &applied : NULL,
		.versions = versions,
		.version_count = s->version_count,
		.verified = s->verified ? &verified : NULL,
		.inputs = { (const char **)inputs, input_count },
		.owner = owner,
		.parked = main != NULL ? main->worker.parked : 0,
		.store = host_store(h),
		.view_kind = host_kind(h),
	};
	buf_reset(&v->value);
	write_wire_header(&v->value, v->schema_id);
	records_write_status(&r, &v->value);
	view_names_free(inputs, input_count);
	free(owner);
}

static int connect_to_kafka(struct view_status *v, struct err *e)
{
	struct producer_options options = { .queue_bytes_max = 4 * 1024 * 1024, .linger_ms = 0 };
	char *topic = xasprintf("%s.status", v->settings->name),
	     *subject = xasprintf("%s-value", topic);
	int rc = registry_register(v->registry, subject, records_schema_text(RECORD_STATUS),
				   &v->schema_id, e);

	if (rc == 0)
		rc = producer_open(v->settings, &options, &v->producer, e);
	if (rc == 0)
		v->topic = producer_topic(v->producer, topic);
	free(topic);
	free(subject);
	return rc;
}

static void failed(struct view_status *v, const struct err *e)
{
	if (!v->complained)
		log_err(LOG_LEVEL_WARNING, "status",
			"status records can't be written; trying again", e);
	v->complained = true;
	if (v->producer != NULL)
		producer_close(v->producer);
	v->producer = NULL;
}

static int send_record(struct view_status *v, const char *name, struct err *e)
{
	char *key = xasprintf("view:%s", name);
	int rc = producer_send(v->producer, v->topic, 0, slice_str(key), buf_slice(&v->value), e);

	free(key);
	if (rc == 0) {
		producer_poll(v->producer, 0);
		rc = producer_error(v->producer, e);
	}
	return rc;
}

/* What makes a record due at once. */
static char *summary(const struct host_status *s, const char *state, const char *message)
{
	struct buf text = BUF_INIT;
	char *copy;

	buf_add_format(&text, "%s %s %d %d %d %lld %lld", state, message, s->live, (int)s->job,
		       (int)s->phase, (long long)s->verified_us, (long long)s->differences);
	for (size_t i = 0; i < s->version_count; i++)
		buf_add_format(&text, " %d:%s:%d", s->versions[i].version,
			       version_state(s, &s->versions[i]), s->versions[i].worker.parked > 0);
	copy = xstrdup(buf_cstr(&text));
	buf_done(&text);
	return copy;
}

void view_status_write(struct view_status *v, struct host *h, const char *http, int64_t every_us,
		       bool stopping)
{
	struct host_status *s = xmalloc(sizeof(*s));
	int64_t now = clock_monotonic_us();
	struct view_shares shares;
	struct err e = ERR_INIT;
	struct shown *shown;
	const char *state, *message;
	char *now_is;

	host_status(h, s);
	view_shares_read(h, s, &shares);
	shown = shown_of(v, host_name(h));
	state = view_status_state(s, &message);
	view_metrics_update(&shown->metrics, shown->name, s, state);
	if (view_metrics_main(s) != NULL)
		view_shares_metrics(&shown->shares, shown->name, &shares,
				    (size_t)(view_metrics_main(s) - s->versions));
	if (stopping)
		state = "stopped";
	now_is = summary(s, state, message);
	if (strcmp(now_is, shown->state) == 0 && now - shown->written_us < every_us)
		goto out;
	if (v->producer == NULL && now - v->tried_us < REOPEN_US && v->tried_us != 0)
		goto out;
	v->tried_us = now;
	if (v->producer == NULL && connect_to_kafka(v, &e) < 0) {
		failed(v, &e);
		goto out;
	}
	make_record(v, h, s, &shares, http, state, message);
	if (send_record(v, host_name(h), &e) < 0) {
		failed(v, &e);
		goto out;
	}
	v->complained = false;
	shown->written_us = now;
	free(shown->state);
	shown->state = now_is;
	now_is = NULL;
out:
	free(now_is);
	view_shares_done(&shares);
	free(s);
}
