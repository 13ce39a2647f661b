/* capture.c - sessions, one after the other, while this instance leads.
 *
 *   STANDBY ---- the brokers give us the group's partition ----> SESSION
 *      ^                                                            |
 *      +--------- it is lost: abort what is open -------------------+
 *
 * A session opens everything from the stored position and runs until something fails or a stop is
 * asked for. There is no other recovery: what heals by itself (ERR_RETRY) is one log line, a wait
 * that grows, and a new session, the same way as a process that starts. What doesn't heal ends the
 * process with its exit code. An instance that was fenced while it believed to lead ends with
 * EXIT_FENCED and is started again by its service manager: whatever it was doing is not ours to
 * explain, and a fresh one stands by like any other.
 *
 * Bytes that make no sense (ERR_DATA) may have been damaged on their way here. So they are read
 * once more, on a new connection; when reading fails behind the same place again, they are the
 * binlog's own. */
#include "cdc/capture/capture.h"

#include "cdc/delivery/delivery.h"
#include "cdc/capture/leader.h"
#include "cdc/capture/session.h"
#include "core/base/backoff.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/notify.h"
#include "core/base/stop.h"

#define SETTLED_US \
	10000000 /* a session that lived so long was fine: the next wait is short again */
#define STAND_BY_MS 100

struct capture {
	const struct settings *settings;
	struct report *report;
	struct command_box *commands;
	struct leader *leader;
	size_t server; /* of source.host: where the next session begins to try */
	struct backoff backoff;
	int64_t session_us;  /* when the last session began */
	struct buf doubtful; /* the place behind which bytes made no sense, a GTID set */
	bool doubt;          /* they did in the last session, and for the first time there */
};

static void note_doubt(struct capture *c, struct session *session)
{
	const char *place = session_place(session);

	if (place[0] == '\0')
		place = "the beginning";
	c->doubt = c->doubtful.size == 0 || strcmp(buf_cstr(&c->doubtful), place) != 0;
	buf_reset(&c->doubtful);
	buf_add_str(&c->doubtful, place);
}

/* What to do, where nothing below said it. */
static void explain(struct err *e)
{
	if (strstr(e->msg, "HINT:") == NULL)
		err_hint(e, "It was read twice, with the same result. Whether the binlog is "
			    "damaged, mariadb-binlog --verify-binlog-checksum FILE tells on the "
			    "source.");
}

static int run_session(struct capture *c, struct err *e)
{
	struct session_options options = { .settings = c->settings,
					   .report = c->report,
					   .leader = c->leader,
					   .server = c->server };
	struct session *session = NULL;
	int rc;

	c->doubt = false;
	c->session_us = clock_monotonic_us();
	report_lead(c->report, true);
	report_state(c->report, "starting", NULL);
	rc = session_open(&options, &session, e);
	if (rc == 0) {
		c->server = session_server(session);
		session_take_commands(session, c->commands);
		rc = session_run(session, e);
	}
	if (rc < 0 && session != NULL && e->kind == ERR_DATA)
		note_doubt(c, session);
	session_close(session);
	if (rc < 0 && clock_monotonic_us() - c->session_us < SETTLED_US)
		c->server++; /* it may be this one that does not work */
	return rc;
}

/* A standby has a status too, on a topic that the first leader has made. */
static void know_status_schema(struct capture *c)
{
	struct err e = ERR_INIT;
	int32_t id;

	if (delivery_find_status(c->settings, &id, &e) > 0)
		report_can_write(c->report, id);
	else if (e.kind != ERR_NONE)
		log_debug("capture", "no status of this standby: %s", e.msg);
}

/* Until we lead, or a stop is asked for. */
static int stand_by(struct capture *c, struct err *e)
{
	int rc = leader_wait(c->leader, STAND_BY_MS * 10, e);

	if (rc != 0 || stop_requested())
		return rc < 0 ? -1 : 0;
	report_lead(c->report, false);
	report_state(c->report, "standby", NULL);
	know_status_schema(c);
	log_info("capture", "standing by: another instance of %s leads", c->settings->name);
	notify_ready(); /* it does all that it is there for */
	while (rc == 0 && !stop_requested()) {
		report_turn(c->report);
		notify_watchdog();
		rc = leader_wait(c->leader, STAND_BY_MS, e);
	}
	if (rc > 0)
		log_info("capture", "taking over");
	return rc < 0 ? -1 : 0;
}

static int turn(struct capture *c, struct err *e)
{
	if (c->leader == NULL && leader_open(c->settings, &c->leader, e) < 0)
		return -1;
	if (stand_by(c, e) < 0) {
		leader_close(c->leader); /* it joins anew */
		c->leader = NULL;
		return -1;
	}
	return stop_requested() ? 0 : run_session(c, e);
}

/* A wait is no hanging: systemd hears of us all the while. */
static void wait_for_next(struct report *report, int64_t ms)
{
	for (int64_t slice; ms > 0 && !stop_requested(); ms -= slice) {
		slice = ms < 1000 ? ms : 1000;
		report_turn(report);
		notify_watchdog();
		(void)stop_wait_ms(slice); /* the loops ask */
	}
}

static bool was_replaced(const struct capture *c, const struct err *e)
{
	return c->leader != NULL && !leader_leads(c->leader) &&
	       (e->kind == ERR_RETRY || e->exit_code == EXIT_FENCED);
}

static void retry(struct capture *c, struct err *e)
{
	int64_t wait;

	if (clock_monotonic_us() - c->session_us > SETTLED_US)
		backoff_reset(&c->backoff);
	wait = backoff_next_ms(&c->backoff);
	err_wrap(e, "trying again in %lld ms", (long long)wait);
	log_err(LOG_LEVEL_WARNING, "capture", NULL, e);
	report_state(c->report, "retrying", e->msg);
	wait_for_next(c->report, wait);
}

static int give_up(struct capture *c, struct err *e)
{
	if (e->kind == ERR_DATA)
		explain(e);
	log_err(LOG_LEVEL_ERROR, "capture", NULL, e);
	report_state(c->report, "failed", e->msg);
	return err_exit_code(e);
}

static int run(struct capture *c)
{
	while (!stop_requested()) {
		struct err e = ERR_INIT;

		if (turn(c, &e) == 0)
			break;
		if (was_replaced(c, &e)) {
			log_err(LOG_LEVEL_WARNING, "capture", NULL, &e);
			continue;
		}
		if (e.kind == ERR_DATA && c->doubt)
			err_wrap(&e, "read once more, to be sure");
		else if (e.kind != ERR_RETRY)
			return give_up(c, &e);
		if (stop_requested())
			break; /* whatever a stop has torn down on its way */
		retry(c, &e);
	}
	report_state(c->report, "stopped", NULL);
	log_info("capture", "stopped");
	return EXIT_OK;
}

int capture_run(const struct settings *settings, struct report *report,
		struct command_box *commands)
{
	struct capture c = { .settings = settings,
			     .report = report,
			     .commands = commands,
			     .backoff = BACKOFF_INIT };
	int code = run(&c);

	command_box_close(commands);
	report_finish(report); /* the next leader's record comes after our last */
	leader_close(c.leader);
	buf_done(&c.doubtful);
	return code;
}
