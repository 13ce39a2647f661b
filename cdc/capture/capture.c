/* capture.c - sessions, one after the other.
 *
 * A session opens everything from the stored position and runs until something fails or a stop is
 * asked for. There is no other recovery: what heals by itself (ERR_RETRY) is one log line, a wait
 * that grows, and a new session, the same way as a process that starts. What doesn't heal ends the
 * process with its exit code. */
#include "cdc/capture/capture.h"

#include "cdc/capture/session.h"
#include "core/base/backoff.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/notify.h"
#include "core/base/stop.h"

#define SETTLED_US \
	10000000 /* a session that lived so long was fine: the next wait is short again */

static int run_session(const struct settings *settings, struct report *report,
		       struct command_box *commands, struct err *e)
{
	struct session *session = NULL;
	int rc = session_open(settings, report, &session, e);

	if (rc == 0) {
		session_take_commands(session, commands);
		rc = session_run(session, e);
	}
	session_close(session);
	return rc;
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

static int run(const struct settings *settings, struct report *report,
	       struct command_box *commands)
{
	struct backoff backoff = BACKOFF_INIT;

	while (!stop_requested()) {
		int64_t begun = clock_monotonic_us(), wait;
		struct err e = ERR_INIT;

		if (run_session(settings, report, commands, &e) == 0)
			break;
		if (e.kind != ERR_RETRY) {
			log_err(LOG_LEVEL_ERROR, "capture", NULL, &e);
			report_state(report, "failed", e.msg);
			return err_exit_code(&e);
		}
		if (stop_requested())
			break; /* whatever a stop has torn down on its way */
		if (clock_monotonic_us() - begun > SETTLED_US)
			backoff_reset(&backoff);
		wait = backoff_next_ms(&backoff);
		err_wrap(&e, "trying again in %lld ms", (long long)wait);
		log_err(LOG_LEVEL_WARNING, "capture", NULL, &e);
		report_state(report, "retrying", e.msg);
		wait_for_next(report, wait);
	}
	report_state(report, "stopped", NULL);
	log_info("capture", "stopped");
	return EXIT_OK;
}

int capture_run(const struct settings *settings, struct report *report,
		struct command_box *commands)
{
	int code = run(settings, report, commands);

	command_box_close(commands);
	return code;
}
