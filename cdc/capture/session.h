/* session.h - one life of the capture: from the stored position until something fails or a stop is
 * asked for. */
#ifndef CDC_CAPTURE_SESSION_H
#define CDC_CAPTURE_SESSION_H

#include "cdc/capture/command.h"
#include "cdc/capture/leader.h"
#include "cdc/capture/report.h"

struct session;

struct session_options {
	const struct settings *settings;
	struct report *report;
	const struct leader *leader; /* asked before anything becomes visible; NULL: always */
	size_t server;               /* which of source.host is tried first (modulo their number) */
};

/* Opens everything: producer (fencing an older instance), position, source, topics and schemas,
 * copy, stream. */
int session_open(const struct session_options *options, struct session **ret_session,
		 struct err *e);
/* Commands of this box are done between source transactions; NULL: there are none. */
void session_take_commands(struct session *s, struct command_box *box);
/* 0: stopped because it was asked to, everything in hand delivered. */
int session_run(struct session *s, struct err *e);
/* Which of source.host it reads. */
size_t session_server(const struct session *s);
/* The GTID set up to which everything was taken in; what failed lies behind it. Valid until the
 * next call. */
const char *session_place(struct session *s);
void session_close(struct session *s); /* aborts what isn't committed; NULL is fine */

#endif
