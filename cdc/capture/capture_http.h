/* capture_http.h - the capture daemon's API: GET /api/copies, POST /api/copies, POST /api/parked.
 * Handlers run in the server's threads and hand over to the pipeline by its mailbox. */
#ifndef CDC_CAPTURE_CAPTURE_HTTP_H
#define CDC_CAPTURE_CAPTURE_HTTP_H

#include "cdc/capture/command.h"
#include "core/base/settings.h"
#include "core/http/http_server.h"

struct capture_api {
	const struct settings *settings;
	struct command_box *commands;
};

/* *ret_count of them; valid as long as `api`. */
const struct http_route *capture_routes(struct capture_api *api, size_t *ret_count);

/* A condition as it may stand behind WHERE: ERR_CONFIG for what could end it or begin something
 * else (unbalanced brackets, comments, semicolons), without asking the server. */
#define CAPTURE_WHERE_MAX 4096
int capture_check_where(const char *where, struct err *e);

#endif
