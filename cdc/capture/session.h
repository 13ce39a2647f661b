/* session.h - one life of the capture: from the stored position until something fails or a stop is
 * asked for. */
#ifndef CDC_CAPTURE_SESSION_H
#define CDC_CAPTURE_SESSION_H

#include "cdc/capture/command.h"
#include "cdc/capture/report.h"

struct session;

/* Opens everything: producer (fencing an older instance), position, source, topics and schemas,
 * copy, stream. */
int session_open(const struct settings *settings, struct report *report,
		 struct session **ret_session, struct err *e);
/* Commands of this box are done between source transactions; NULL: there are none. */
void session_take_commands(struct session *s, struct command_box *box);
/* 0: stopped because it was asked to, everything in hand delivered. */
int session_run(struct session *s, struct err *e);
void session_close(struct session *s); /* aborts what isn't committed; NULL is fine */

#endif
