/* host_json.c - a host's state as one JSON object, for the API and the verbs. */
#include "projections/host/host_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/quote.h"

#include <stdlib.h>

static void add_text(struct buf *out, const char *key, const char *text)
{
	quote_json_key(out, key);
	quote_json(out, slice_str(text));
}

static void add_int(struct buf *out, const char *key, int64_t value)
{
	quote_json_key(out, key);
	buf_add_format(out, "%lld", (long long)value);
}

static void add_bool(struct buf *out, const char *key, bool value)
{
	quote_json_key(out, key);
	buf_add_str(out, value ? "true" : "false");
}

static void add_job(const struct host_status *s, struct buf *out)
{
	quote_json_key(out, "job");
	buf_add_u8(out, '{');
	add_text(out, "kind", host_job_name(s->job));
	add_text(out, "phase", host_phase_name(s->phase));
	add_int(out, "version", s->job_version);
	add_int(out, "from", s->job_from);
	add_int(out, "started_us", s->job_started_us);
	add_int(out, "ended_us", s->job_ended_us);
	if (s->phase == HOST_FAILED) {
		add_text(out, "error", s->job_err.msg);
		add_int(out, "exit_code", err_exit_code(&s->job_err));
	}
	if (s->note[0] != '\0')
		add_text(out, "note", s->note);
	buf_add_u8(out, '}');
}

/* Only of a version that waits and was compared. */
static void add_shadow(const struct host_shadow *s, struct buf *out)
{
	if (s->version == 0)
		return;
	quote_json_key(out, "shadow");
	buf_add_u8(out, '{');
	add_int(out, "version", s->version);
	add_int(out, "rows", s->rows);
	add_int(out, "differences", s->differences);
	add_int(out, "compared_us", s->compared_us);
	add_int(out, "since_us", s->since_us);
	add_text(out, "gtid_set", s->gtid_set);
	buf_add_u8(out, '}');
}

const char *host_store(const struct host *h)
{
	return h->store->ops->name;
}

void host_shares(struct host *h, int version, struct worker_share **ret_shares, size_t *ret_count)
{
	const struct version *v;

	*ret_shares = NULL;
	*ret_count = 0;
	pthread_mutex_lock(&h->lock);
	v = host_find(h, version);
	if (v != NULL && v->worker != NULL)
		worker_shares(v->worker, ret_shares, ret_count);
	pthread_mutex_unlock(&h->lock);
}

static const char *kind_name(enum view_kind kind)
{
	switch (kind) {
	case VIEW_SQL:
		return "sql";
	case VIEW_MIRROR:
		return "mirror";
	case VIEW_QUERY:
		return "query";
	}
	return "";
}

const char *host_kind(struct host *h)
{
	const char *kind = "";

	pthread_mutex_lock(&h->lock);
	for (size_t i = 0; i < h->version_count; i++) {
		if (h->versions[i].view != NULL)
			kind = kind_name(h->versions[i].view->kind);
	}
	pthread_mutex_unlock(&h->lock);
	return kind;
}

static void add_description(struct host *h, struct buf *out)
{
	const struct version *v;

	pthread_mutex_lock(&h->lock);
	v = host_find_state(h, STORE_LIVE);
	for (size_t i = 0; i < h->version_count && (v == NULL || v->view == NULL); i++)
		v = &h->versions[i];
	if (v != NULL && v->view != NULL) {
		add_text(out, "kind", kind_name(v->view->kind));
		add_text(out, "owner", v->view->owner != NULL ? v->view->owner : "");
		add_text(out, "doc", v->view->doc != NULL ? v->view->doc : "");
		quote_json_key(out, "inputs");
		buf_add_u8(out, '[');
		for (size_t i = 0; i < v->view->input_count; i++) {
			if (i > 0)
				buf_add_u8(out, ',');
			quote_json(out, slice_str(v->view->inputs[i]));
		}
		buf_add_u8(out, ']');
	}
	pthread_mutex_unlock(&h->lock);
}

/* Where a reader finds it, and what it takes there. */
static void add_place(struct host *h, int version, bool sizes, struct buf *out)
{
	const struct store_ops *ops = h->store->ops;
	char *place = ops->place(h->store, version);
	int64_t used = -1, left = -1;
	struct err ignored = ERR_INIT; /* a size that can't be told is left out */

	add_text(out, "place", place);
	free(place);
	if (sizes && ops->room != NULL &&
	    ops->room(h->store, version, &used, &left, &ignored) == 0 && used >= 0)
		add_int(out, "bytes", used);
}

static void add_slowest(const struct intake_slowest *s, struct buf *out)
{
	quote_json_key(out, "slowest");
	buf_add_u8(out, '{');
	add_text(out, "topic", s->topic);
	add_int(out, "partition", s->partition);
	add_int(out, "done", s->done);
	add_int(out, "total", s->total);
	buf_add_u8(out, '}');
}

static void add_share(const struct worker_share *s, struct buf *out)
{
	buf_add_u8(out, '{');
	add_text(out, "topic", s->topic);
	add_int(out, "partition", s->partition);
	add_int(out, "offset", s->offset);
	add_int(out, "seq", s->seq);
	add_int(out, "lag_us", s->lag_us);
	add_bool(out, "caught_up", s->caught_up);
	add_text(out, "member", s->member);
	add_text(out, "trouble", s->trouble);
	buf_add_u8(out, '}');
}

/* order = partition: what each partition has reached, and who has it. */
static void add_shares(struct host *h, int version, struct buf *out)
{
	struct worker_share *shares;
	size_t count;

	host_shares(h, version, &shares, &count);
	if (count > 0) {
		quote_json_key(out, "shares");
		buf_add_u8(out, '[');
		for (size_t i = 0; i < count; i++) {
			if (i > 0)
				buf_add_u8(out, ',');
			add_share(&shares[i], out);
		}
		buf_add_u8(out, ']');
	}
	worker_shares_free(shares, count);
}

static void add_version(struct host *h, const struct host_version *v, bool sizes, struct buf *out)
{
	const struct worker_status *w = &v->worker;

	buf_add_u8(out, '{');
	add_int(out, "version", v->version);
	add_text(out, "state", store_state_name(v->state));
	add_text(out, "definition", v->fingerprint);
	add_bool(out, "applied", v->running);
	add_text(out, "worker", v->running ? worker_state_name(w->state) : "stopped");
	add_int(out, "seq", w->seq);
	add_text(out, "gtid_set", w->gtid_set);
	add_int(out, "commit_us", w->commit_us);
	add_int(out, "records", w->records);
	add_int(out, "records_total", w->records_total);
	quote_json_key(out, "rate");
	buf_add_format(out, "%.1f", w->rate);
	add_int(out, "left_us", worker_left_us(w));
	if (!w->caught_up && w->slowest.topic[0] != '\0')
		add_slowest(&w->slowest, out);
	add_int(out, "parked", w->parked);
	add_int(out, "parked_behind", w->parked_behind);
	add_int(out, "made_us", v->made_us);
	add_place(h, v->version, sizes, out);
	if (v->share > 0)
		add_int(out, "share", v->share);
	if (v->as_of[0] != '\0')
		add_text(out, "as_of", v->as_of);
	add_int(out, "commits_behind", w->delivered.commits_behind);
	add_int(out, "ignored", w->ignored);
	add_int(out, "inexact", w->inexact);
	add_bool(out, "caught_up", w->caught_up);
	add_bool(out, "copying", w->copying);
	if (w->reconciling[0] != '\0') {
		add_text(out, "reconciling", w->reconciling);
		add_int(out, "reconciling_since_us", w->reconciling_since_us);
	}
	add_bool(out, "built", w->built);
	add_shares(h, v->version, out);
	if (v->superseded_us != 0)
		add_int(out, "superseded_us", v->superseded_us);
	if (w->message[0] != '\0')
		add_text(out, "message", w->message);
	buf_add_u8(out, '}');
}

void host_json(struct host *h, bool sizes, struct buf *out)
{
	struct host_status *s = xmalloc(sizeof(*s));

	host_status(h, s);
	buf_add_u8(out, '{');
	add_text(out, "view", h->name);
	add_int(out, "live", s->live);
	add_bool(out, "leads", !host_follows(h));
	add_int(out, "at_us", clock_now_us());
	add_text(out, "store", h->store->ops->name);
	add_description(h, out);
	add_job(s, out);
	add_shadow(&s->shadow, out);
	quote_json_key(out, "versions");
	buf_add_u8(out, '[');
	for (size_t i = 0; i < s->version_count; i++) {
		if (i > 0)
			buf_add_u8(out, ',');
		add_version(h, &s->versions[i], sizes, out);
	}
	buf_add_u8(out, ']');
	pthread_mutex_lock(&h->lock);
	if (h->diff != NULL) {
		quote_json_key(out, "diff");
		buf_add_str(out, h->diff);
	}
	pthread_mutex_unlock(&h->lock);
	if (s->verified) {
		quote_json_key(out, "verified");
		buf_add_u8(out, '{');
		add_int(out, "at_us", s->verified_us);
		add_text(out, "gtid_set", s->verified_gtid_set);
		add_int(out, "rows", s->verified_rows);
		add_int(out, "differences", s->verified_differences);
		buf_add_u8(out, '}');
	}
	buf_add_u8(out, '}');
	free(s);
}
