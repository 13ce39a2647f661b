/* verb_run.c - `millrace run`: the capture daemon.
 *
 * Foreground; logs to stderr; ready when rows can flow (sd_notify). SIGTERM or SIGINT: what is in
 * hand is delivered, then it ends with 0; where that takes longer than CAPTURE_DRAIN_MS (brokers
 * that don't answer) it leaves as it is, which is safe: the position decides. A second signal
 * leaves at once. */
#include "cdc/capture/capture.h"
#include "cdc/capture/capture_http.h"
#include "cli/verb.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/notify.h"
#include "core/base/stop.h"
#include "core/http/daemon_http.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

static bool healthy(void *context, struct buf *ret_why)
{
	int64_t still_us = clock_monotonic_us() - report_turned_us(context);

	if (still_us < REPORT_STUCK_US)
		return true;
	buf_add_format(ret_why, "the capture loop has not turned for %" PRId64 " s",
		       still_us / 1000000);
	return false;
}

static bool ready(void *context, struct buf *ret_why)
{
	if (report_is_ready(context))
		return true;
	if (report_is_standby(context)) {
		buf_add_str(ret_why, "standby");
		return true;
	}
	buf_add_str(ret_why, "changes don't flow: see the log");
	return false;
}

/* Ends the process when a clean stop takes too long. */
static void *limit_drain(void *unused)
{
	struct pollfd asked = { .fd = stop_fd(), .events = POLLIN };

	(void)unused;
	while (!stop_requested())
		(void)poll(&asked, 1, -1); /* interrupted: look again */
	clock_sleep_us(CAPTURE_DRAIN_MS * INT64_C(1000));
	log_warning("capture", "leaving: what is in hand could not be delivered within %d ms",
		    CAPTURE_DRAIN_MS);
	_exit(EXIT_UNREACHABLE);
}

static int run(const struct settings *settings, int argc, char **argv)
{
	struct daemon_http_options http_options = { .default_listen = "127.0.0.1:7411",
						    .healthy = healthy,
						    .ready = ready };
	struct daemon_http *http = NULL;
	struct capture_api api = { .settings = settings };
	struct report *report = NULL;
	struct err e = ERR_INIT;
	pthread_t drain;
	int code;

	if (argc > 0)
		return verb_usage_error(&verb_run, "unexpected argument '%s'", argv[0]);
	if (settings->capture_tables.count == 0) {
		err_config(&e, "capture.tables is empty: nothing would be captured");
		err_hint(&e, "In the configuration file, section [capture]: tables = db.table, "
			     "other_db.*");
		return verb_fail(&e);
	}
	stop_install();
	if (report_new(settings, &report, &e) < 0)
		return verb_fail(&e);
	http_options.context = report;
	api.commands = command_box_new();
	http_options.routes = capture_routes(&api, &http_options.route_count);
	if (daemon_http_start(settings, &http_options, &http, &e) < 0) {
		report_free(report);
		command_box_free(api.commands);
		return verb_fail(&e);
	}
	report_http(report, daemon_http_address(http));
	if (pthread_create(&drain, NULL, limit_drain, NULL) == 0)
		(void)pthread_detach(drain); /* nobody waits for it */
	log_info("capture", "%s starts%s%s", settings->name,
		 http != NULL ? "; pages at http://" : "", daemon_http_address(http));
	code = capture_run(settings, report, api.commands);
	notify_stopping();
	report_free(report);
	daemon_http_stop(http);
	command_box_free(api.commands);
	return code;
}

const struct verb verb_run = {
	.name = "run",
	.summary = "capture the source's changes into Kafka (daemon)",
	.usage = "\n",
	.run = run,
	.needs = VERB_NEEDS_NAME,
};
