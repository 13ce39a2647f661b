/* log.c - the log lines of log.h.
 *
 * logfmt: time=... level=info area=capture msg="..." [hint="..."] [kind=retry]; JSON: the same
 * members in an object. A line is put together in a buffer of the thread's own and leaves with
 * one write(2), so that lines of several threads never mix. A message is cut at MESSAGE_MAX;
 * line breaks in it are escaped, so one event is always one line. Whether stderr is journald's
 * is decided once: JOURNAL_STREAM must name the device and inode that stderr really is
 * (systemd.exec(5)), since children with a redirected stderr inherit the variable too. */
#include "core/base/log.h"

#include "core/base/clock.h"
#include "core/base/quote.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGE_MAX 4096

struct entry {
	enum log_level level;
	const char *area, *kind; /* kind may be NULL */
	struct slice message, hint;
};

static const char *const level_names[] = { "debug", "info", "warning", "error" };
static const int priorities[] = { 7, 6, 4, 3 }; /* of syslog(3) */

static atomic_int least_level = LOG_LEVEL_INFO;
static atomic_int line_format = LOG_FORMAT_LOGFMT;
static atomic_int journal = -1; /* -1: not looked at yet */

static bool under_journal(void)
{
	int known = atomic_load_explicit(&journal, memory_order_relaxed);
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	if (known >= 0)
		return known != 0;
	known = stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
		fstat(STDERR_FILENO, &st) == 0 && (unsigned long long)st.st_dev == device &&
		(unsigned long long)st.st_ino == inode;
	atomic_store_explicit(&journal, known, memory_order_relaxed);
	return known != 0;
}

void log_setup(enum log_level least, enum log_format format)
{
	atomic_store(&least_level, (int)least);
	atomic_store(&line_format, (int)format);
	atomic_store(&journal, -1);
}

/* logfmt: a word without blanks, quotes and = stays bare. */
static void add_word(struct buf *line, struct slice text)
{
	bool bare = text.size != 0;

	for (size_t i = 0; i < text.size && bare; i++)
		bare = text.data[i] > ' ' && text.data[i] < 0x7f && text.data[i] != '"' &&
		       text.data[i] != '=' && text.data[i] != '\\';
	if (bare)
		buf_add_slice(line, text);
	else
		quote_json(line, text);
}

static void add_field(struct buf *line, enum log_format format, const char *key, struct slice text)
{
	if (format == LOG_FORMAT_JSON) {
		quote_json_key(line, key);
		quote_json(line, text);
		return;
	}
	buf_add_format(line, " %s=", key);
	add_word(line, text);
}

static void write_entry(const struct entry *entry)
{
	enum log_format format =
		(enum log_format)atomic_load_explicit(&line_format, memory_order_relaxed);
	char time[CLOCK_TEXT_SIZE];
	struct buf line = BUF_INIT;

	clock_text(clock_now_us(), time);
	if (under_journal())
		buf_add_format(&line, "<%d>", priorities[entry->level]);
	buf_add_format(&line, format == LOG_FORMAT_JSON ? "{\"time\":\"%s\"" : "time=%s", time);
	add_field(&line, format, "level", slice_str(level_names[entry->level]));
	add_field(&line, format, "area", slice_str(entry->area));
	add_field(&line, format, "msg", entry->message);
	if (entry->kind != NULL)
		add_field(&line, format, "kind", slice_str(entry->kind));
	if (entry->hint.size != 0)
		add_field(&line, format, "hint", entry->hint);
	buf_add_str(&line, format == LOG_FORMAT_JSON ? "}\n" : "\n");
	(void)!write(STDERR_FILENO, line.data,
		     line.size); /* nowhere left to say that the log is gone */
	buf_done(&line);
}

static bool wanted(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

void log_write(enum log_level level, const char *area, const char *format, ...)
{
	char message[MESSAGE_MAX];
	va_list args;

	if (!wanted(level))
		return;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	write_entry(&(struct entry){ .level = level, .area = area, .message = slice_str(message) });
}

void log_err(enum log_level level, const char *area, const char *context, const struct err *e)
{
	static const char mark[] = "\nHINT: ";
	const char *hint = strstr(e->msg, mark);
	size_t size = hint != NULL ? (size_t)(hint - e->msg) : strlen(e->msg);
	char message[MESSAGE_MAX];

	if (!wanted(level))
		return;
	snprintf(message, sizeof(message), "%s%s%.*s", context != NULL ? context : "",
		 context != NULL ? ": " : "", (int)size, e->msg);
	write_entry(
		&(struct entry){ .level = level,
				 .area = area,
				 .kind = err_kind_name(e->kind),
				 .message = slice_str(message),
				 .hint = slice_str(hint != NULL ? hint + sizeof(mark) - 1 : "") });
}
