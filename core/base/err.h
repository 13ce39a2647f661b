/* err.h - errors that carry the decision.
 *
 * A function that can fail returns 0 or -1 and fills `struct err`. The kind says what the top of
 * the program does: RETRY: reconnect and resume. DATA: these bytes cannot be represented; the
 * policy (stop, or park) decides. CONFIG and FATAL: exit. Only main, the verbs and the daemons'
 * loops turn a kind into an action or a log line; everything below just passes it up, adding
 * context with err_wrap.
 *
 * Message form: lowercase, no full stop: what, where, what it means; then "\nHINT: A sentence."
 * saying what to type. */
#ifndef CORE_BASE_ERR_H
#define CORE_BASE_ERR_H

enum err_kind { ERR_NONE, ERR_RETRY, ERR_DATA, ERR_CONFIG, ERR_FATAL };

/* The documented exit codes of every verb (README, "Exit codes"). */
enum exit_code {
	EXIT_OK = 0,
	EXIT_DIFFERS = 1, /* verify, diff, view test: the answer is "not equal" */
	EXIT_USAGE = 2,   /* the command line is wrong */
	EXIT_CONFIG =
		3, /* configuration, grants or server settings: a person must change something */
	EXIT_DATA = 4,        /* bytes that cannot be decoded or represented; nothing was guessed */
	EXIT_UNREACHABLE = 5, /* source, Kafka or a daemon did not answer within the limit */
	EXIT_FATAL = 6,       /* a bug or a broken environment (disk full, ...) */
	EXIT_FENCED = 7,      /* another instance with the same name has fenced this one */
	EXIT_PURGED = 8,      /* the source no longer has the binlog that our position needs */
};

struct err {
	enum err_kind kind;
	int exit_code; /* 0: the kind's own (RETRY 5, DATA 4, CONFIG 3, FATAL 6) */
	char msg[2048];
};

#define ERR_INIT                 \
	{                        \
		.kind = ERR_NONE \
	}

/* Each fills *e (e must not be NULL) and returns -1, so that `return err_data(e, ...)` reads as
 * one step. */
int err_retry(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
int err_data(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
int err_config(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
int err_fatal(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "context: " before the message. Returns -1. */
int err_wrap(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends "\nHINT: ..." to the message. Returns -1. */
int err_hint(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Overrides the kind's exit code. Returns -1. */
int err_exit(struct err *e, enum exit_code code);

void err_clear(struct err *e);
int err_exit_code(const struct err *e);        /* 0 when there is no error */
const char *err_kind_name(enum err_kind kind); /* "retry", "data", ... */

#endif
