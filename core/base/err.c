/* err.c - fills, wraps and hints errors. Messages that outgrow the buffer are cut, never
 * overrun.
 */
#include "core/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int fill(struct err *e, enum err_kind kind, const char *format, va_list args)
{
	e->kind = kind;
	e->exit_code = 0;
	vsnprintf(e->msg, sizeof(e->msg), format, args);
	return -1;
}

#define DEFINE_ERR(name, kind)                           \
	int name(struct err *e, const char *format, ...) \
	{                                                \
		va_list args;                            \
		va_start(args, format);                  \
		fill(e, kind, format, args);             \
		va_end(args);                            \
		return -1;                               \
	}

DEFINE_ERR(err_retry, ERR_RETRY)
DEFINE_ERR(err_data, ERR_DATA)
DEFINE_ERR(err_config, ERR_CONFIG)
DEFINE_ERR(err_fatal, ERR_FATAL)

int err_wrap(struct err *e, const char *format, ...)
{
	char rest[sizeof(e->msg)];
	va_list args;
	int n;

	memcpy(rest, e->msg, sizeof(rest));
	va_start(args, format);
	n = vsnprintf(e->msg, sizeof(e->msg), format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof(e->msg))
		snprintf(e->msg + n, sizeof(e->msg) - (size_t)n, ": %s", rest);
	return -1;
}

int err_hint(struct err *e, const char *format, ...)
{
	size_t at = strlen(e->msg);
	va_list args;
	int n;

	n = snprintf(e->msg + at, sizeof(e->msg) - at, "\nHINT: ");
	if (n < 0 || (size_t)n >= sizeof(e->msg) - at)
		return -1;
	va_start(args, format);
	vsnprintf(e->msg + at + n, sizeof(e->msg) - at - (size_t)n, format, args);
	va_end(args);
	return -1;
}

int err_exit(struct err *e, enum exit_code code)
{
	e->exit_code = (int)code;
	return -1;
}

void err_clear(struct err *e)
{
	e->kind = ERR_NONE;
	e->exit_code = 0;
	e->msg[0] = '\0';
}

int err_exit_code(const struct err *e)
{
	if (e->exit_code != 0)
		return e->exit_code;
	switch (e->kind) {
	case ERR_NONE:
		return EXIT_OK;
	case ERR_RETRY:
		return EXIT_UNREACHABLE;
	case ERR_DATA:
		return EXIT_DATA;
	case ERR_CONFIG:
		return EXIT_CONFIG;
	case ERR_FATAL:
		return EXIT_FATAL;
	}
	return EXIT_FATAL;
}

const char *err_kind_name(enum err_kind kind)
{
	static const char *const names[] = { "none", "retry", "data", "config", "fatal" };

	return names[kind];
}
