/* command.h - commands from other threads (the HTTP API) to the pipeline: a mailbox.
 *
 * Who asks waits for the answer. The pipeline takes a command between source transactions, does
 * what it says, makes it durable with a group commit where it must be, and answers. The box lives
 * as long as the process, across sessions; while capture retries, commands wait. */
#ifndef CDC_CAPTURE_COMMAND_H
#define CDC_CAPTURE_COMMAND_H

#include "core/base/buf.h"
#include "core/base/err.h"

#define COMMANDS_WAITING_MAX 32
#define COMMAND_FIELDS_MAX 8

struct command_box;
struct command;

struct command_field {
	const char *name, *text; /* text NULL: not given */
};

struct command_box *command_box_new(void);
/* The pipeline has ended: whoever waits, and whoever asks from now on, gets ERR_RETRY. */
void command_box_close(struct command_box *box);
/* Nobody may be asking any more, or ever again. NULL is fine. */
void command_box_free(struct command_box *box);

/* From any thread: waits at most timeout_ms. *ret_answer: the JSON text of the answer, appended.
 * -1: what the pipeline says, or ERR_RETRY when it did not come to it in time (then it never
 * will). At most COMMAND_FIELDS_MAX fields; copied. */
int command_ask(struct command_box *box, const char *name, const struct command_field *fields,
		size_t field_count, int64_t timeout_ms, struct buf *ret_answer, struct err *e);

/* The pipeline: the oldest command that waits, or NULL. To be answered before the next is taken. */
struct command *command_take(struct command_box *box);
const char *command_name(const struct command *c);
const char *command_text(const struct command *c, const char *field); /* NULL: not given */
/* Each ends the command: it may not be touched afterwards. */
void command_answer(struct command_box *box, struct command *c, struct slice json);
void command_fail(struct command_box *box, struct command *c, const struct err *e);

#endif
