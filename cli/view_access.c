/* view_access.c - finds the owner of a view by its lease, and talks to it over HTTP; or is the
 * owner for as long as the verb runs. Both give the same JSON, so that what a verb shows doesn't
 * depend on who did the work. */
#include "cli/view_access.h"

#include "core/base/backoff.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/quote.h"
#include "core/base/stop.h"
#include "core/http/http_client.h"
#include "core/registry/registry.h"
#include "projections/host/host.h"
#include "projections/store/lease.h"

#include <stdlib.h>

#define ADVANCE_MS 120000
#define CALL_MS 180000
#define LIVE_WAIT_US 60000000
#define OWNER_WAIT_MS 20000 /* for a daemon that has just started to serve its pages */
#define LOOK_MS 100

struct view_access {
	const struct settings *settings;
	char *view;
	struct lease_owner owner; /* remote */
	bool remote;
	struct feed_intake intake; /* here */
	struct host *host;
	int version; /* of the control */
};

/* ---- remote ---------------------------------------------------------------------------------- */

static int call(struct view_access *a, const char *method, const char *what, const char *body,
		json_t **ret_json, struct err *e)
{
	struct http_answer answer = { 0 };
	struct buf path = BUF_INIT;
	struct http_call c = { .method = method,
			       .address = a->owner.http,
			       .token = a->settings->http_token,
			       .body = body,
			       .timeout_ms = CALL_MS };
	json_error_t wrong;
	int rc;

	buf_add_str(&path, "/api/views/");
	http_client_encode(&path, a->view);
	buf_add_str(&path, what);
	c.path = buf_cstr(&path);
	rc = http_client_ask(&c, &answer, e);
	if (rc == 0 && ret_json != NULL) {
		*ret_json = json_loadb((const char *)answer.body.data, answer.body.size, 0, &wrong);
		if (*ret_json == NULL)
			rc = err_data(e, "%s answers with something that is not JSON: %s",
				      a->owner.http, wrong.text);
	}
	if (rc == 0 || answer.body.data != NULL)
		http_client_done(&answer);
	buf_done(&path);
	return rc;
}

static int remote_hold(void *context, char **ret_gtid_set, struct err *e)
{
	struct view_access *a = context;
	char *what = xasprintf("/hold?version=%d", a->version);
	json_t *json = NULL;
	int rc = call(a, "POST", what, NULL, &json, e);

	free(what);
	if (rc < 0)
		return -1;
	*ret_gtid_set = xstrdup(json_string_value(json_object_get(json, "gtid_set")) != NULL
					? json_string_value(json_object_get(json, "gtid_set"))
					: "");
	json_decref(json);
	return 0;
}

static int remote_advance(void *context, const char *gtid_set, struct err *e)
{
	struct view_access *a = context;
	struct buf what = BUF_INIT;
	int rc;

	buf_add_str(&what, "/advance?gtid=");
	http_client_encode(&what, gtid_set);
	buf_add_format(&what, "&timeout_ms=%d", ADVANCE_MS);
	rc = call(a, "POST", buf_cstr(&what), NULL, NULL, e);
	buf_done(&what);
	return rc;
}

static void remote_release(void *context)
{
	struct err ignored = ERR_INIT;

	(void)call(context, "POST", "/release", NULL, NULL,
		   &ignored); /* its limit releases it, if this doesn't */
}

/* ---- here ------------------------------------------------------------------------------------ */

static int local_hold(void *context, char **ret_gtid_set, struct err *e)
{
	struct view_access *a = context;
	int version;

	return host_hold(a->host, a->version, &version, ret_gtid_set, e);
}

static int local_advance(void *context, const char *gtid_set, struct err *e)
{
	struct view_access *a = context;

	return host_advance(a->host, gtid_set, ADVANCE_MS, e);
}

static void local_release(void *context)
{
	struct view_access *a = context;

	host_release(a->host);
}

static int open_here(struct view_access *a, struct err *e)
{
	struct host_options options = {
		.settings = a->settings,
		.name = a->view,
		.source = { &feed_intake_ops, &a->intake },
	};

	a->intake.settings = a->settings;
	return registry_open(a->settings, false, &a->intake.registry, e) < 0 ||
			       store_of(a->settings, a->view, &options.store, e) < 0 ||
			       host_open(&options, &a->host, e) < 0
		       ? -1
		       : 0;
}

/* ---- both ------------------------------------------------------------------------------------ */

/* A daemon takes the view first and serves its pages a moment later. */
static bool find_owner(struct view_access *a)
{
	int64_t until = clock_monotonic_us() + OWNER_WAIT_MS * 1000;

	while (lease_find(a->settings->state_dir, a->view, &a->owner))
		if (a->owner.http[0] != '\0' || clock_monotonic_us() >= until ||
		    stop_wait_ms(LOOK_MS))
			return true;
	return false;
}

int view_access_open(const struct settings *settings, const char *view,
		     struct view_access **ret_access, struct err *e)
{
	struct view_access *a = xcalloc(1, sizeof(*a));
	int rc = 0;

	a->settings = settings;
	a->view = xstrdup(view);
	a->remote = find_owner(a);
	if (!a->remote && open_here(a, e) < 0) {
		a->remote = find_owner(a); /* a daemon may have been faster */
		rc = a->remote ? 0 : -1;
	}
	if (a->remote)
		err_clear(e);
	if (a->remote && a->owner.http[0] == '\0') {
		rc = err_retry(e, "view %s belongs to process %ld, which has no HTTP address", view,
			       (long)a->owner.pid);
		err_hint(e, "Set http.listen for the daemon.");
	}
	if (rc < 0)
		view_access_close(a);
	else
		*ret_access = a;
	return rc;
}

void view_access_close(struct view_access *a)
{
	if (a == NULL)
		return;
	host_close(a->host);
	registry_close(a->intake.registry);
	free(a->view);
	free(a);
}

bool view_access_is_remote(const struct view_access *a)
{
	return a->remote;
}

static int get(struct view_access *a, bool sizes, json_t **ret_state, struct err *e)
{
	struct buf out = BUF_INIT;
	json_error_t wrong;

	if (a->remote)
		return call(a, "GET", sizes ? "?sizes=1" : "", NULL, ret_state, e);
	host_json(a->host, sizes, &out);
	*ret_state = json_loadb((const char *)out.data, out.size, 0, &wrong);
	buf_done(&out);
	return *ret_state != NULL ? 0 : err_fatal(e, "own state is not JSON: %s", wrong.text);
}

int view_access_get(struct view_access *a, json_t **ret_state, struct err *e)
{
	return get(a, false, ret_state, e);
}

int view_access_get_sizes(struct view_access *a, json_t **ret_state, struct err *e)
{
	return get(a, true, ret_state, e);
}

/* A first build, or what was interrupted, has begun with the host. */
static bool has_begun(struct view_access *a, const struct host_replay_options *options)
{
	struct host_status *s = xmalloc(sizeof(*s));
	bool begun;

	host_status(a->host, s);
	begun = s->live == 0 || (s->job == (options->as_of != NULL ? HOST_AS_OF : HOST_REPLAY) &&
				 s->phase == HOST_BUILDING);
	free(s);
	return begun;
}

static void add_member(struct buf *body, const char *key, const char *value, bool text)
{
	quote_json_key(body, key);
	if (text)
		quote_json(body, slice_str(value));
	else
		buf_add_str(body, value);
}

int view_access_replay(struct view_access *a, const struct host_replay_options *o,
		       json_t **ret_state, struct err *e)
{
	struct buf body = BUF_INIT;
	char share[24];
	int rc;

	if (!a->remote)
		return (has_begun(a, o) || host_replay(a->host, o, e) == 0) &&
				       get(a, false, ret_state, e) == 0
			       ? 0
			       : -1;
	snprintf(share, sizeof(share), "%lld", (long long)o->share);
	buf_add_u8(&body, '{');
	add_member(&body, "no_swap", o->no_swap ? "true" : "false", false);
	add_member(&body, "force", o->force ? "true" : "false", false);
	add_member(&body, "share", share, false);
	if (o->as_of != NULL)
		add_member(&body, "as_of", o->as_of, true);
	buf_add_u8(&body, '}');
	rc = call(a, "POST", "/replay", buf_cstr(&body), ret_state, e);
	buf_done(&body);
	return rc;
}

static int swap(struct view_access *a, bool back, bool force, json_t **ret_state, struct err *e)
{
	if (a->remote)
		return call(a, "POST", back ? "/rollback" : "/swap",
			    force ? "{\"force\": true}" : NULL, ret_state, e);
	if ((back ? host_rollback(a->host, force, e) : host_swap(a->host, force, e)) < 0)
		return -1;
	return get(a, false, ret_state, e);
}

int view_access_swap(struct view_access *a, bool force, json_t **ret_state, struct err *e)
{
	return swap(a, false, force, ret_state, e);
}

int view_access_rollback(struct view_access *a, bool force, json_t **ret_state, struct err *e)
{
	return swap(a, true, force, ret_state, e);
}

int view_access_drop(struct view_access *a, int version, struct err *e)
{
	char *what;
	int rc;

	if (!a->remote)
		return host_drop(a->host, version, e);
	what = xasprintf("/drop?version=%d", version);
	rc = call(a, "POST", what, NULL, NULL, e);
	free(what);
	return rc;
}

int view_access_parked(struct view_access *a, int version, const struct worker_parked_ask *ask,
		       json_t **ret_result, struct err *e)
{
	int64_t applied = 0, left = 0;
	struct buf body = BUF_INIT;
	int rc;

	if (!a->remote) {
		rc = host_parked_act(a->host, version, ask, &applied, &left, e);
		if (rc == 0)
			*ret_result = json_pack("{s:I,s:I}", "applied", (json_int_t)applied, "left",
						(json_int_t)left);
		return rc;
	}
	buf_add_u8(&body, '{');
	add_member(&body, "drop", ask->drop ? "true" : "false", false);
	buf_add_format(&body, ",\"version\":%d", version);
	if (ask->topic != NULL) {
		add_member(&body, "topic", ask->topic, true);
		buf_add_format(&body, ",\"partition\":%d,\"offset\":%lld", (int)ask->partition,
			       (long long)ask->offset);
	}
	buf_add_u8(&body, '}');
	rc = call(a, "POST", "/parked", buf_cstr(&body), ret_result, e);
	buf_done(&body);
	return rc;
}

void view_access_control(struct view_access *a, int version, struct verify_control *ret_control)
{
	a->version = version;
	if (a->remote)
		*ret_control =
			(struct verify_control){ remote_hold, remote_advance, remote_release, a };
	else
		*ret_control =
			(struct verify_control){ local_hold, local_advance, local_release, a };
}

void view_access_verified(struct view_access *a, const char *gtid_set, int64_t rows,
			  int64_t differences)
{
	struct err ignored = ERR_INIT;
	struct buf body = BUF_INIT;

	if (!a->remote)
		return;
	buf_add_u8(&body, '{');
	quote_json_key(&body, "gtid_set");
	quote_json(&body, slice_str(gtid_set));
	buf_add_format(&body, ",\"rows\":%lld,\"differences\":%lld}", (long long)rows,
		       (long long)differences);
	(void)call(a, "POST", "/verified", buf_cstr(&body), NULL,
		   &ignored); /* only for the page: the answer stands */
	buf_done(&body);
}
