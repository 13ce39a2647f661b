/* status_state.h - what is known of all processes: the latest status of each, its lags, and its
 * last minutes.
 *
 * Pure but for memory: status records come in as JSON text (schemas/status.avsc), JSON for page
 * and verbs goes out. Not thread-safe. Three lags, never one (DESIGN 6), each {transactions,
 * bytes, us}, seconds by the source's own clock, never negative: capture: "read" = head - read,
 * "delivered" = read - delivered;   a view: "applied" = delivered - applied. A lag is null when
 * one of its ends isn't known. For a silent view, delivered is capture's: it stands still while
 * that goes on. A process is silent when its status is older than STATUS_SILENT_US and it did
 * not say that it stopped. */
#ifndef CORE_HTTP_STATUS_STATE_H
#define CORE_HTTP_STATUS_STATE_H

#include "core/base/buf.h"
#include "core/base/err.h"

#define STATUS_SILENT_US 15000000
#define STATUS_POINTS 600       /* of history per process, */
#define STATUS_POINT_US 1500000 /* at least so far apart: 15 minutes */
#define STATUS_PROCESSES_MAX 1000
#define STATUS_TEXT_MAX (256 * 1024)

struct status_state;

struct status_state *status_state_new(const char *name);
void status_state_free(struct status_state *s);
/* Takes in the status of process `key` ("capture", "view:<name>"); an empty text removes it.
 * ERR_DATA: not a JSON object, too long, too many processes. */
int status_state_take(struct status_state *s, const char *key, struct slice json, struct err *e);
/* Why statuses may be old or missing ("" when they are followed). */
void status_state_note(struct status_state *s, const char *note);
/* Appends {"name", "now_us", "note", "processes": [status + {"key", "age_us", "silent", "lag"}],
 * "history": {key: points}}, where a point is [at_us, seq, us, transactions, bytes] of a view,
 * and the same three numbers once more (delivered after read) of capture. Only points younger
 * than `since_us`. */
void status_state_write(const struct status_state *s, int64_t now_us, int64_t since_us,
			struct buf *out);

#endif
