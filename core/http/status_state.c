/* status_state.c - an array of processes sorted by key, each with its last status (a jansson
 * tree) and a ring of points.
 *
 * A view's own idea of what is delivered (it reads the commits topic) is preferred to capture's,
 * because both its numbers were then taken at the same moment; else capture's last word is used. */
#include "core/http/status_state.h"

#include "core/base/mem.h"

#include <jansson.h>
#include <stdlib.h>

#define LAGS_MAX 2

struct lag {
	bool known;
	int64_t us, transactions, bytes;
};

struct point {
	int64_t at_us, seq;
	struct lag lags[LAGS_MAX];
};

struct process {
	char *key;
	json_t *status;
	struct point *points; /* ring of STATUS_POINTS */
	size_t point_count;   /* all ever added */
};

struct status_state {
	char *name, *note;
	struct process *processes;
	size_t count;
};

struct status_state *status_state_new(const char *name)
{
	struct status_state *s = xcalloc(1, sizeof(*s));

	s->name = xstrdup(name);
	s->note = xstrdup("");
	return s;
}

static void drop(struct process *p)
{
	free(p->key);
	json_decref(p->status);
	free(p->points);
}

void status_state_free(struct status_state *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->count; i++)
		drop(&s->processes[i]);
	free(s->processes);
	free(s->name);
	free(s->note);
	free(s);
}

void status_state_note(struct status_state *s, const char *note)
{
	free(s->note);
	s->note = xstrdup(note);
}

/* Where `key` is, or belongs. */
static size_t place(const struct status_state *s, const char *key)
{
	size_t i = 0;

	while (i < s->count && strcmp(s->processes[i].key, key) < 0)
		i++;
	return i;
}

static struct process *find(const struct status_state *s, const char *key)
{
	size_t i = place(s, key);

	return i < s->count && strcmp(s->processes[i].key, key) == 0 ? &s->processes[i] : NULL;
}

static struct process *insert(struct status_state *s, const char *key)
{
	size_t i = place(s, key);

	s->processes = xrealloc(s->processes, (s->count + 1) * sizeof(*s->processes));
	memmove(&s->processes[i + 1], &s->processes[i], (s->count - i) * sizeof(*s->processes));
	s->processes[i] =
		(struct process){ .key = xstrdup(key),
				  .points = xcalloc(STATUS_POINTS, sizeof(struct point)) };
	s->count++;
	return &s->processes[i];
}

static void remove_process(struct status_state *s, const char *key)
{
	struct process *p = find(s, key);

	if (p == NULL)
		return;
	drop(p);
	s->count--;
	memmove(p, p + 1, (size_t)(s->processes + s->count - p) * sizeof(*p));
}

static int64_t number(const json_t *object, const char *name)
{
	return (int64_t)json_number_value(json_object_get(object, name));
}

static int64_t not_negative(int64_t n)
{
	return n > 0 ? n : 0;
}

static struct lag lag_between(const json_t *ahead, const json_t *behind)
{
	struct lag lag = { .known = json_is_object(ahead) && json_is_object(behind) };

	if (!lag.known)
		return lag;
	lag.transactions =
		not_negative(number(ahead, "transactions") - number(behind, "transactions"));
	lag.bytes = not_negative(number(ahead, "bytes") - number(behind, "bytes"));
	/* 0 stands for "no transaction yet", not for 1970 */
	if ((lag.transactions > 0 || lag.bytes > 0) && number(ahead, "us") > 0 &&
	    number(behind, "us") > 0)
		lag.us = not_negative(number(ahead, "us") - number(behind, "us"));
	return lag;
}

static bool is_view(const char *key)
{
	return strncmp(key, "view:", 5) == 0;
}

/* What a view is measured against: what itself saw delivered, or capture's last word when that
 * is not known or, from a view that went silent, old. */
static const json_t *delivered_for(const struct status_state *s, const struct process *view,
				   int64_t now_us)
{
	const json_t *own = json_object_get(view->status, "delivered"), *other;
	const struct process *capture = find(s, "capture");

	if (capture == NULL)
		return own;
	other = json_object_get(capture->status, "delivered");
	if (!json_is_object(own))
		return other;
	return now_us - number(view->status, "at_us") > STATUS_SILENT_US
			       && number(other, "transactions") > number(own, "transactions")
		       ? other
		       : own;
}

/* The lags of one process as of now: one of a view, two of capture. */
static size_t lags_of(const struct status_state *s, const struct process *p, int64_t now_us,
		      struct lag *ret_lags)
{
	const json_t *read = json_object_get(p->status, "read");

	if (is_view(p->key)) {
		ret_lags[0] = lag_between(delivered_for(s, p, now_us),
					  json_object_get(p->status, "applied"));
		return 1;
	}
	ret_lags[0] = lag_between(json_object_get(p->status, "head"), read);
	ret_lags[1] = lag_between(read, json_object_get(p->status, "delivered"));
	return 2;
}

static void add_point(const struct status_state *s, struct process *p)
{
	struct point point = { .at_us = number(p->status, "at_us"),
			       .seq = number(p->status, "seq") };
	const struct point *last = &p->points[(p->point_count + STATUS_POINTS - 1) % STATUS_POINTS];

	if (p->point_count > 0 && point.at_us - last->at_us < STATUS_POINT_US)
		return;
	(void)lags_of(s, p, point.at_us, point.lags); /* how many follows from the key */
	p->points[p->point_count++ % STATUS_POINTS] = point;
}

int status_state_take(struct status_state *s, const char *key, struct slice json, struct err *e)
{
	struct process *p = find(s, key);
	json_t *status;

	if (json.size == 0) {
		remove_process(s, key);
		return 0;
	}
	if (json.size > STATUS_TEXT_MAX)
		return err_data(e, "status of %s: longer than %d bytes", key, STATUS_TEXT_MAX);
	if (p == NULL && s->count >= STATUS_PROCESSES_MAX)
		return err_data(e, "status: more than %d processes", STATUS_PROCESSES_MAX);
	status = json_loadb((const char *)json.data, json.size, 0, NULL);
	if (!json_is_object(status)) {
		json_decref(status);
		return err_data(e, "status of %s: not a JSON object", key);
	}
	if (p == NULL)
		p = insert(s, key);
	json_decref(p->status);
	p->status = status;
	add_point(s, p);
	return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

static json_t *lag_json(const struct lag *lag)
{
	if (!lag->known)
		return json_null();
	return json_pack("{s:I,s:I,s:I}", "transactions", (json_int_t)lag->transactions, "bytes",
			 (json_int_t)lag->bytes, "us", (json_int_t)lag->us);
}

static json_t *process_json(const struct status_state *s, const struct process *p, int64_t now_us)
{
	json_t *object = json_copy(p->status),
	       *lag = json_object(); /* shallow: the status itself stays untouched */
	const char *state = json_string_value(json_object_get(p->status, "state"));
	int64_t age = not_negative(now_us - number(p->status, "at_us"));
	bool stopped = state != NULL && strcmp(state, "stopped") == 0;
	struct lag lags[LAGS_MAX];
	size_t n = lags_of(s, p, now_us, lags);

	json_object_set_new(lag, n == 1 ? "applied" : "read", lag_json(&lags[0]));
	if (n == 2)
		json_object_set_new(lag, "delivered", lag_json(&lags[1]));
	json_object_set_new(object, "key", json_string(p->key));
	json_object_set_new(object, "age_us", json_integer(age));
	json_object_set_new(object, "silent", json_boolean(!stopped && age > STATUS_SILENT_US));
	json_object_set_new(object, "lag", lag);
	return object;
}

static json_t *point_json(const struct point *point, size_t lags)
{
	json_t *array = json_pack("[I,I]", (json_int_t)point->at_us, (json_int_t)point->seq);

	for (size_t i = 0; i < lags; i++) {
		bool known = point->lags[i].known;

		json_array_append_new(array, known ? json_integer(point->lags[i].us) : json_null());
		json_array_append_new(array, known ? json_integer(point->lags[i].transactions)
						   : json_null());
		json_array_append_new(array,
				      known ? json_integer(point->lags[i].bytes) : json_null());
	}
	return array;
}

static json_t *history_json(const struct process *p, int64_t since_us)
{
	json_t *array = json_array();
	size_t first = p->point_count > STATUS_POINTS ? p->point_count - STATUS_POINTS : 0;

	for (size_t i = first; i < p->point_count; i++)
		if (p->points[i % STATUS_POINTS].at_us > since_us)
			json_array_append_new(array, point_json(&p->points[i % STATUS_POINTS],
								is_view(p->key) ? 1 : 2));
	return array;
}

static int append(const char *data, size_t size, void *context)
{
	buf_add(context, data, size);
	return 0;
}

void status_state_write(const struct status_state *s, int64_t now_us, int64_t since_us,
			struct buf *out)
{
	json_t *processes = json_array(), *history = json_object();
	json_t *root = json_object();

	for (size_t i = 0; i < s->count; i++) {
		json_array_append_new(processes, process_json(s, &s->processes[i], now_us));
		json_object_set_new(history, s->processes[i].key,
				    history_json(&s->processes[i], since_us));
	}
	json_object_set_new(root, "name", json_string(s->name));
	json_object_set_new(root, "now_us", json_integer(now_us));
	json_object_set_new(root, "note", json_string(s->note));
	json_object_set_new(root, "processes", processes);
	json_object_set_new(root, "history", history);
	json_dump_callback(root, append, out, JSON_COMPACT);
	json_decref(root);
}
