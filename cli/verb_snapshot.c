/* verb_snapshot.c - `millrace snapshot TABLE...`: copy or reconcile tables while streaming, asked
 * of the capture daemon.
 *
 * The daemon is found by the status topic, where it says at which address it serves. It does the
 * work, and goes on with it if this command is interrupted. */
#include "cli/verb.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/progress.h"
#include "core/base/quote.h"
#include "core/base/stop.h"
#include "core/http/http_client.h"
#include "core/http/status_feed.h"

#include <jansson.h>
#include <stdlib.h>

#define POLL_MS 200
#define AWAY_US 60000000 /* how long the daemon may be away (a restart) */

struct asked {
	bool pause, resume, stop, detach, json;
	const char *where;
	char **tables;
	int table_count;
	/* the daemon */
	const char *token;
	char *address;
	json_t *copies; /* what it answered: [{"table", "id", "kind"}] */
};

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static int64_t number(const json_t *o, const char *key)
{
	return (int64_t)json_number_value(json_object_get(o, key));
}

/* ---- the daemon ----------------------------------------------------------------------------- */

int verb_capture_address(const struct settings *settings, char **ret_address, struct err *e)
{
	struct buf status = BUF_INIT;
	const json_t *p, *found = NULL;
	json_t *root;
	size_t i;
	int rc = -1;

	if (status_feed_read(settings, &status, e) < 0)
		goto out;
	root = json_loadb((const char *)status.data, status.size, 0, NULL);
	json_array_foreach(json_object_get(root, "processes"), i, p)
	{
		if (strcmp(text(p, "key"), "capture") == 0)
			found = p;
	}
	if (found == NULL || json_is_true(json_object_get(found, "silent")) ||
	    strcmp(text(found, "state"), "stopped") == 0 ||
	    strcmp(text(found, "state"), "failed") == 0) {
		err_retry(e, "no capture daemon of %s is running", settings->name);
		err_hint(e, "Start it with `millrace run`: it does the work.");
	} else if (text(found, "http")[0] == '\0') {
		err_config(e, "the capture daemon of %s serves no API", settings->name);
		err_hint(e, "It was started with http.listen = off.");
	} else {
		*ret_address = xstrdup(text(found, "http"));
		rc = 0;
	}
	json_decref(root);
out:
	buf_done(&status);
	return rc;
}

int verb_capture_ask(const struct http_call *call, struct http_answer *ret_answer, struct err *e)
{
	if (http_client_ask(call, ret_answer, e) == 0)
		return 0;
	if (e->kind == ERR_RETRY && strstr(e->msg, "HINT: ") == NULL)
		err_hint(e, "Has it ended? `millrace lag` shows it; `millrace run` starts it.");
	return -1;
}

static int call(const struct asked *asked, const char *method, const char *body, json_t **ret_json,
		struct err *e)
{
	struct http_call c = { .method = method,
			       .address = asked->address,
			       .path = "/api/copies",
			       .token = asked->token,
			       .body = body,
			       .timeout_ms = 60000 };
	struct http_answer answer;

	if (verb_capture_ask(&c, &answer, e) < 0)
		return -1;
	*ret_json = json_loadb((const char *)answer.body.data, answer.body.size, 0, NULL);
	http_client_done(&answer);
	return *ret_json != NULL ? 0 : err_data(e, "the daemon's answer is no JSON");
}

static int send(struct asked *asked, struct err *e)
{
	struct buf body = BUF_INIT, tables = BUF_INIT;
	json_t *answer = NULL;
	int rc;

	for (int i = 0; i < asked->table_count; i++)
		buf_add_format(&tables, "%s%s", i > 0 ? "," : "", asked->tables[i]);
	buf_add_str(&body, "{\"action\":");
	quote_json(&body, slice_str(asked->pause    ? "pause"
				    : asked->resume ? "resume"
				    : asked->stop   ? "stop"
						    : "copy"));
	buf_add_str(&body, ",\"tables\":");
	quote_json(&body, buf_slice(&tables));
	if (asked->where != NULL) {
		buf_add_str(&body, ",\"where\":");
		quote_json(&body, slice_str(asked->where));
	}
	buf_add_u8(&body, '}');
	rc = call(asked, "POST", buf_cstr(&body), &answer, e);
	if (rc == 0)
		asked->copies = json_incref(json_object_get(answer, "copies"));
	json_decref(answer);
	buf_done(&body);
	buf_done(&tables);
	return rc;
}

/* ---- until it is done ----------------------------------------------------------------------- */

/* Its present state in the daemon's list, or NULL. */
static const json_t *find_copy(const json_t *list, const json_t *copy)
{
	bool first = strcmp(text(copy, "kind"), "first") == 0;
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(list, first ? "first" : "reconciling"), i, one)
	{
		if (strcmp(text(one, "table"), text(copy, "table")) == 0 &&
		    (first || number(one, "id") == number(copy, "id")))
			return one;
	}
	return NULL;
}

static bool is_done(const json_t *one, const json_t *copy)
{
	if (strcmp(text(copy, "kind"), "first") == 0)
		return json_is_true(json_object_get(one, "done"));
	return strcmp(text(one, "state"), "done") == 0;
}

static void print_end(const json_t *one, const json_t *copy)
{
	struct buf rows = BUF_INIT;

	progress_number(&rows, number(one, "rows"));
	if (strcmp(text(copy, "kind"), "first") == 0)
		printf("%s: copied, %s rows\n", text(copy, "table"), buf_cstr(&rows));
	else
		printf("%s: %s rows compared, %lld created, %lld updated, %lld deleted\n",
		       text(copy, "table"), buf_cstr(&rows), (long long)number(one, "created"),
		       (long long)number(one, "updated"), (long long)number(one, "deleted"));
	if (number(one, "unknown") > 0)
		printf("%s: %lld rows could not be compared: what was delivered of them is parked "
		       "or unreadable\n",
		       text(copy, "table"), (long long)number(one, "unknown"));
	buf_done(&rows);
}

static void draw(struct progress *p, const json_t *one, char **shown)
{
	bool reading = strcmp(text(one, "state"), "reading") == 0,
	     waiting = strcmp(text(one, "state"), "waiting") == 0;
	struct buf label = BUF_INIT;

	buf_add_format(&label, "%s: %s", text(one, "table"),
		       reading   ? "reading what was delivered"
		       : waiting ? "waiting"
				 : "comparing");
	if (*shown == NULL || strcmp(*shown, buf_cstr(&label)) != 0) {
		free(*shown);
		*shown = xstrdup(buf_cstr(&label));
		progress_label(p, *shown);
	}
	if (reading)
		progress_update(p, number(one, "records"), number(one, "records_total"));
	else if (waiting)
		progress_update(p, -1, 0);
	else
		progress_update(p, number(one, "rows"),
				number(one, "rows_estimate") > number(one, "rows")
					? number(one, "rows_estimate")
					: number(one, "rows"));
	buf_done(&label);
}

/* 1: all are done; 0: not yet; -1: one will not be. */
static int look(const json_t *list, const json_t *copies, struct progress *p, char **shown,
		struct err *e)
{
	const json_t *copy, *one;
	size_t i;

	json_array_foreach(copies, i, copy)
	{
		one = find_copy(list, copy);
		if (one == NULL) {
			err_retry(e, "the copy of %s is not known to the daemon any more",
				  text(copy, "table"));
			return err_hint(e, "It was stopped, or ended while the daemon restarted: "
					   "its log says which.");
		}
		if (is_done(one, copy))
			continue;
		if (strcmp(text(one, "state"), "paused") == 0) {
			err_retry(e, "the copy of %s is paused%s%s", text(copy, "table"),
				  text(one, "failure")[0] != '\0' ? ": " : "",
				  text(one, "failure"));
			return err_hint(e, "`millrace snapshot --resume %s` goes on with it.",
					text(copy, "table"));
		}
		draw(p, one, shown);
		return 0;
	}
	return 1;
}

/* 1: interrupted. */
static int watch(const struct asked *asked, json_t **ret_list, struct err *e)
{
	struct progress *p = progress_new(stderr, "snapshot", "rows");
	int64_t seen_us = clock_monotonic_us();
	json_t *list = NULL;
	char *shown = NULL;
	int done = 0;

	while (done == 0 && !stop_requested()) {
		json_decref(list);
		list = NULL;
		if (call(asked, "GET", NULL, &list, e) == 0) {
			seen_us = clock_monotonic_us();
			done = look(list, asked->copies, p, &shown, e);
		} else if (e->kind != ERR_RETRY || clock_monotonic_us() - seen_us > AWAY_US) {
			done = -1;
		}
		if (done == 0)
			stop_wait_ms(POLL_MS);
	}
	progress_free(p);
	free(shown);
	if (done == 1)
		*ret_list = list;
	else
		json_decref(list);
	return done == 1 ? 0 : done < 0 ? -1 : 1;
}

static void print_all(const json_t *list, const struct asked *asked)
{
	json_t *out = json_array();
	const json_t *copy, *one;
	size_t i;

	json_array_foreach(asked->copies, i, copy)
	{
		one = find_copy(list, copy);
		if (asked->json)
			json_array_append(out, (json_t *)(uintptr_t)one); /* counts only */
		else
			print_end(one, copy);
	}
	if (asked->json) {
		json_dumpf(out, stdout, JSON_INDENT(2));
		printf("\n");
	}
	json_decref(out);
}

static int follow(const struct asked *asked)
{
	struct err e = ERR_INIT;
	json_t *list = NULL;
	int rc = watch(asked, &list, &e);

	if (rc < 0)
		return verb_fail(&e);
	if (rc == 1) {
		fprintf(stderr, "millrace: interrupted; the daemon goes on with it\n");
		return EXIT_UNREACHABLE;
	}
	print_all(list, asked);
	json_decref(list);
	return EXIT_OK;
}

/* What was asked for at once: nothing to wait for. */
static void print_changed(const struct asked *asked)
{
	const json_t *copy;
	size_t i;

	if (asked->json) {
		json_dumpf(asked->copies, stdout, JSON_INDENT(2));
		printf("\n");
		return;
	}
	json_array_foreach(asked->copies, i, copy)
	{
		printf("%s: %s\n", text(copy, "table"),
		       asked->pause    ? "paused"
		       : asked->resume ? "goes on"
		       : asked->stop   ? "stopped"
				       : "queued");
	}
	if (json_array_size(asked->copies) == 0)
		printf("no copy to %s\n", asked->pause    ? "pause"
					  : asked->resume ? "resume"
							  : "stop");
}

static int snapshot(const struct settings *settings, struct asked *asked)
{
	struct err e = ERR_INIT;
	int code = EXIT_OK;

	asked->token = settings->http_token;
	if (verb_capture_address(settings, &asked->address, &e) < 0 || send(asked, &e) < 0)
		code = verb_fail(&e);
	else if (asked->pause || asked->resume || asked->stop || asked->detach)
		print_changed(asked);
	else
		code = follow(asked);
	json_decref(asked->copies);
	free(asked->address);
	return code;
}

static int run(const struct settings *settings, int argc, char **argv)
{
	struct asked asked = { 0 };
	const struct verb_option options[] = {
		{ "--pause", &asked.pause, NULL }, { "--resume", &asked.resume, NULL },
		{ "--stop", &asked.stop, NULL },   { "--detach", &asked.detach, NULL },
		{ "--json", &asked.json, NULL },   { "--where", NULL, &asked.where },
	};

	asked.table_count = verb_options(&verb_snapshot, argc, argv, options,
					 sizeof(options) / sizeof(options[0]));
	if (asked.table_count < 0)
		return EXIT_USAGE;
	if (asked.table_count == 0)
		return verb_usage_error(&verb_snapshot, "which table?");
	if (asked.pause + asked.resume + asked.stop > 1)
		return verb_usage_error(&verb_snapshot,
					"--pause, --resume and --stop exclude each other");
	if (asked.where != NULL && (asked.pause || asked.resume || asked.stop))
		return verb_usage_error(&verb_snapshot, "--where belongs to a new copy");
	asked.tables = argv;
	stop_install();
	return snapshot(settings, &asked);
}

const struct verb verb_snapshot = {
	.name = "snapshot",
	.summary = "compare tables with what was delivered, and deliver what differs",
	.usage =
		"TABLE... [--where COND] [--detach] [--json]\n"
		"       millrace snapshot TABLE... --pause | --resume | --stop\n\n"
		"  --where COND   only rows for which this SQL condition holds, and all that are gone\n"
		"  --detach       don't wait for the end\n"
		"  --pause        let copies of these tables rest, also first copies\n"
		"  --resume       go on with them\n"
		"  --stop         give them up: the tables may stay different; a first copy rests\n"
		"  --json         print the outcome as JSON\n\n"
		"The capture daemon does it while it goes on streaming. Tables are named db.table.\n",
	.run = run,
	.needs = VERB_NEEDS_NAME,
};
