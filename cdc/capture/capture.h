/* capture.h - the capture daemon's loop: copy, stream, deliver, position; again after everything
 * that heals by itself. */
#ifndef CDC_CAPTURE_CAPTURE_H
#define CDC_CAPTURE_CAPTURE_H

#include "cdc/capture/command.h"
#include "cdc/capture/report.h"

#define CAPTURE_DRAIN_MS 10000 /* longest time between a request to stop and the end */

/* Runs until stop_requested() (core/base/stop.h) or an error that doesn't heal. Returns the exit
 * code; logs. commands: where the HTTP API puts what it is asked for; closed at the end. */
int capture_run(const struct settings *settings, struct report *report,
		struct command_box *commands);

#endif
