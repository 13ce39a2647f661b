/* host_as_of.c - a view as it was (replay --as-of): which moment is meant, what is refused
 * beforehand, and whether a version that has come to its end is what was asked for. */
#include "projections/host/host_priv.h"

#include "core/base/clock.h"
#include "core/base/gtid.h"
#include "core/base/mem.h"

#include <stdlib.h>
#include <time.h>

static int bad_time(const char *text, struct err *e)
{
	err_config(e, "neither a GTID nor a time: '%s'", text);
	return err_hint(e, "Give a GTID or a GTID set of the source, or a time in UTC such as "
			   "\"2026-11-21 06:00:00\".");
}

/* "2026-11-21 06:00:00", 'T' for the blank, a fraction, 'Z' at the end. UTC. */
static int read_time(const char *text, int64_t *ret_us, struct err *e)
{
	static const char *const forms[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
					     "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M" };
	const char *rest = NULL;
	struct tm t;
	int64_t us = 0, unit = 100000;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]) && rest == NULL; i++) {
		memset(&t, 0, sizeof(t));
		rest = strptime(text, forms[i], &t);
	}
	if (rest == NULL)
		return bad_time(text, e);
	if (*rest == '.') {
		for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
			us += (*rest - '0') * unit;
	}
	if (strcmp(rest, "") != 0 && strcmp(rest, "Z") != 0)
		return bad_time(text, e);
	us += (int64_t)timegm(&t) * 1000000;
	if (us <= 0)
		return bad_time(text, e);
	*ret_us = us;
	return 0;
}

int host_read_until(const char *text, struct worker_until *ret_until, struct err *e)
{
	struct gtid_set set = GTID_SET_INIT;
	struct err ignored = ERR_INIT;
	bool gtid = gtid_set_parse(slice_str(text), &set, &ignored) == 0 &&
		    !gtid_set_is_empty(&set);

	gtid_set_done(&set);
	*ret_until = (struct worker_until){ 0 };
	if (gtid)
		ret_until->gtid_set = xstrdup(text);
	return gtid ? 0 : read_time(text, &ret_until->commit_us, e);
}

static int refuse_future(const struct host *h, const char *what, const char *delivered,
			 struct err *e)
{
	err_config(e, "view %s: %s is not in the history: what was delivered ends at %s", h->name,
		   what, delivered[0] != '\0' ? delivered : "its beginning");
	return err_hint(e, "It has not happened yet, is of another server, or capture has not come "
			   "to it; `millrace lag` shows how far it is.");
}

int host_may_as_of(struct host *h, const struct worker_until *until, struct err *e)
{
	const struct version *live = host_find_state(h, STORE_LIVE);
	struct worker_status s;
	char *have = NULL, time[CLOCK_TEXT_SIZE];
	struct gtid_set at = GTID_SET_INIT, want = GTID_SET_INIT;
	int rc = 0;

	if (host_job_runs(h))
		return host_refuse_running(h, e);
	if (live == NULL)
		return err_config(e, "view %s has no live version yet", h->name);
	if (host_count(h, STORE_AS_OF) >= HOST_AS_OF_MAX) {
		err_config(e, "view %s has %d versions as it was already", h->name, HOST_AS_OF_MAX);
		return err_hint(e,
				"`millrace view show %s` lists them, `millrace view drop %s "
				"VERSION` removes one.",
				h->name, h->name);
	}
	if (until->commit_us > clock_now_us())
		return refuse_future(h, clock_text(until->commit_us, time), "now", e);
	if (until->gtid_set == NULL || live->worker == NULL)
		return 0;
	worker_status(live->worker, &s);
	have = s.caught_up ? worker_gtid_set(live->worker) : NULL;
	if (have != NULL && gtid_set_parse(slice_str(have), &at, e) == 0 &&
	    gtid_set_parse(slice_str(until->gtid_set), &want, e) == 0 &&
	    !gtid_set_contains_set(&at, &want) && s.delivered.commits_behind == 0)
		rc = refuse_future(h, until->gtid_set, s.gtid_set, e);
	gtid_set_done(&at);
	gtid_set_done(&want);
	free(have);
	return rc;
}

int host_refuse_as_of(const struct host *h, const struct view *view,
		      const struct host_replay_options *options, struct err *e)
{
	if (options->as_of == NULL || view->order != VIEW_ORDER_PARTITION)
		return 0;
	err_config(e, "view %s: --as-of: with order = partition its members don't pass through the "
		      "states that the source had, so there is none to stop at",
		   h->name);
	return err_hint(e, "Take order = partition out of its view.conf for such a replay.");
}

int host_refuse_until(struct host *h, const struct worker_status *s, struct err *e)
{
	char what[400], ends[CLOCK_TEXT_SIZE], wanted[CLOCK_TEXT_SIZE];
	const struct host_note *note;
	bool by_gtid;

	pthread_mutex_lock(&h->lock);
	note = host_note_of(h, h->job_version);
	by_gtid = note != NULL && note->until.gtid_set != NULL;
	if (by_gtid)
		gtid_text_cut(slice_str(note->until.gtid_set), what, sizeof(what));
	else
		snprintf(what, sizeof(what), "%s",
			 clock_text(note != NULL ? note->until.commit_us : 0, wanted));
	pthread_mutex_unlock(&h->lock);
	return refuse_future(h, what, by_gtid ? s->gtid_set : clock_text(s->commit_us, ends), e);
}

int host_check_reached(struct host *h, const struct worker_status *s, struct err *e)
{
	char begins[CLOCK_TEXT_SIZE];

	if (s->copying) {
		err_config(e,
			   "view %s: then the first copy of its tables was going on: what it "
			   "would show is no state of the source",
			   h->name);
		return err_hint(e, "The first copy ended later; ask for a moment after it.");
	}
	if (s->seq > 0)
		return 0;
	err_config(e, "view %s: that lies before the history of its topics, which begins later%s%s",
		   h->name, s->commit_us > 0 ? ": " : "",
		   s->commit_us > 0 ? clock_text(s->commit_us, begins) : "");
	return -1;
}
