/* log.h - one line per event to stderr: logfmt (default) or JSON, UTC, level, area, message.
 *
 * Thread-safe; a line is written with one write(2). Never row data, never secrets. Under
 * journald (JOURNAL_STREAM set) each line gets the "<n>" priority prefix. Library code does not
 * log its errors: it returns them; only main, the verbs and the daemons' loops log. */
#ifndef CORE_BASE_LOG_H
#define CORE_BASE_LOG_H

#include "core/base/err.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

void log_setup(enum log_level least, enum log_format format);
void log_write(enum log_level level, const char *area, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Logs an error with its kind; a HINT becomes a field of its own. `context` may be NULL. */
void log_err(enum log_level level, const char *area, const char *context, const struct err *e);

/* area: "capture", "copy", "view:group_members", "http", ... */
#define log_debug(area, ...) log_write(LOG_LEVEL_DEBUG, area, __VA_ARGS__)
#define log_info(area, ...) log_write(LOG_LEVEL_INFO, area, __VA_ARGS__)
#define log_warning(area, ...) log_write(LOG_LEVEL_WARNING, area, __VA_ARGS__)
#define log_error(area, ...) log_write(LOG_LEVEL_ERROR, area, __VA_ARGS__)

#endif
