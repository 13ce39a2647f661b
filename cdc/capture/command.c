/* command.c - a list of commands under one lock.
 *
 * A command belongs to who asks: it stands on the list until it is taken or its time is over. One
 * that was taken is always answered, so who asks then waits on, however long that takes; a session
 * that fails meanwhile answers by command_box's next take (what was taken and never answered
 * fails). */
#include "cdc/capture/command.h"

#include "core/base/clock.h"
#include "core/base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum command_state { COMMAND_WAITS, COMMAND_TAKEN, COMMAND_ENDED };

struct command {
	char *name;
	struct {
		char *name, *text;
	} fields[COMMAND_FIELDS_MAX];
	size_t field_count;
	enum command_state state;
	struct buf answer;
	struct err failure; /* kind NONE: answered */
	struct command *next;
};

struct command_box {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct command *first; /* oldest; waiting and taken ones */
	size_t count;
	bool closed;
};

struct command_box *command_box_new(void)
{
	struct command_box *box = xcalloc(1, sizeof(*box));
	pthread_condattr_t attributes;

	pthread_mutex_init(&box->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&box->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	return box;
}

void command_box_free(struct command_box *box)
{
	if (box == NULL)
		return;
	pthread_cond_destroy(&box->changed);
	pthread_mutex_destroy(&box->lock);
	free(box);
}

static void fail_closed(struct command *c)
{
	err_retry(&c->failure, "capture ends");
	c->state = COMMAND_ENDED;
}

void command_box_close(struct command_box *box)
{
	pthread_mutex_lock(&box->lock);
	box->closed = true;
	for (struct command *c = box->first; c != NULL; c = c->next)
		if (c->state != COMMAND_ENDED)
			fail_closed(c);
	pthread_cond_broadcast(&box->changed);
	pthread_mutex_unlock(&box->lock);
}

static void take_out(struct command_box *box, struct command *c)
{
	struct command **at = &box->first;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	box->count--;
}

static void append(struct command_box *box, struct command *c)
{
	struct command **at = &box->first;

	while (*at != NULL)
		at = &(*at)->next;
	*at = c;
	box->count++;
}

/* With the lock held. False: its time is over and nobody has taken it. */
static bool wait_for(struct command_box *box, struct command *c, int64_t until_us)
{
	struct timespec t = clock_timespec(until_us);

	while (c->state != COMMAND_ENDED) {
		if (c->state == COMMAND_TAKEN)
			pthread_cond_wait(&box->changed, &box->lock);
		else if (pthread_cond_timedwait(&box->changed, &box->lock, &t) == ETIMEDOUT &&
			 c->state == COMMAND_WAITS)
			return false;
	}
	return true;
}

static void command_free(struct command *c)
{
	for (size_t i = 0; i < c->field_count; i++) {
		free(c->fields[i].name);
		free(c->fields[i].text);
	}
	buf_done(&c->answer);
	free(c->name);
	free(c);
}

static struct command *command_new(const char *name, const struct command_field *fields,
				   size_t count)
{
	struct command *c = xcalloc(1, sizeof(*c));

	c->name = xstrdup(name);
	for (size_t i = 0; i < count && i < COMMAND_FIELDS_MAX; i++) {
		if (fields[i].text == NULL)
			continue;
		c->fields[c->field_count].name = xstrdup(fields[i].name);
		c->fields[c->field_count++].text = xstrdup(fields[i].text);
	}
	return c;
}

int command_ask(struct command_box *box, const char *name, const struct command_field *fields,
		size_t field_count, int64_t timeout_ms, struct buf *ret_answer, struct err *e)
{
	struct command *c = command_new(name, fields, field_count);
	bool ended = false, full;
	int rc = -1;

	pthread_mutex_lock(&box->lock);
	full = box->count >= COMMANDS_WAITING_MAX;
	if (box->closed) {
		fail_closed(c);
		full = false;
		ended = true;
	} else if (!full) {
		append(box, c);
		ended = wait_for(box, c, clock_monotonic_us() + timeout_ms * 1000);
		take_out(box, c);
	}
	pthread_mutex_unlock(&box->lock);
	if (full) {
		err_retry(e, "%d commands are waiting already", COMMANDS_WAITING_MAX);
	} else if (!ended) {
		err_retry(e, "capture did not come to it within %lld s",
			  (long long)timeout_ms / 1000);
		err_hint(e, "It takes commands between source transactions, while changes flow: "
			    "`millrace lag` shows its state.");
	} else if (c->failure.kind != ERR_NONE) {
		*e = c->failure;
	} else {
		buf_add_slice(ret_answer, buf_slice(&c->answer));
		rc = 0;
	}
	command_free(c);
	return rc;
}

/* ---- the pipeline --------------------------------------------------------------------------- */

struct command *command_take(struct command_box *box)
{
	struct command *found = NULL;

	pthread_mutex_lock(&box->lock);
	for (struct command *c = box->first; c != NULL; c = c->next) {
		if (c->state ==
		    COMMAND_TAKEN) { /* by a session that has failed before it answered */
			err_retry(
				&c->failure,
				"capture had to reconnect; it is not known whether this was done");
			c->state = COMMAND_ENDED;
			pthread_cond_broadcast(&box->changed);
		} else if (c->state == COMMAND_WAITS && found == NULL) {
			found = c;
		}
	}
	if (found != NULL)
		found->state = COMMAND_TAKEN;
	pthread_mutex_unlock(&box->lock);
	return found;
}

const char *command_name(const struct command *c)
{
	return c->name;
}

const char *command_text(const struct command *c, const char *field)
{
	for (size_t i = 0; i < c->field_count; i++)
		if (strcmp(c->fields[i].name, field) == 0)
			return c->fields[i].text;
	return NULL;
}

static void end(struct command_box *box, struct command *c)
{
	pthread_mutex_lock(&box->lock);
	c->state = COMMAND_ENDED;
	pthread_cond_broadcast(&box->changed);
	pthread_mutex_unlock(&box->lock);
}

void command_answer(struct command_box *box, struct command *c, struct slice json)
{
	buf_add_slice(&c->answer, json);
	end(box, c);
}

void command_fail(struct command_box *box, struct command *c, const struct err *e)
{
	c->failure = *e;
	end(box, c);
}
