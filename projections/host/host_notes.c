/* host_notes.c - what a host must know of its versions after a restart, besides what their store
 * says: the last number given (numbers are never used twice, also when the version with the highest
 * is gone), at which share of a core a replay works, and up to where a view as it was is built.
 *
 * STATE/views/VIEW/notes, lines "last N", "share VERSION PERCENT", "gtid VERSION SET" and "time
 * VERSION MICROSECONDS". Written anew, synced and renamed before the version is made: a version
 * that lost its end in a crash would be built beyond it. */
#include "projections/host/host_priv.h"

#include "core/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *notes_path(const struct host *h, const char *ending)
{
	return xasprintf("%s/views/%s/notes%s", h->options.settings->state_dir, h->name, ending);
}

bool host_note_ends(const struct host_note *n)
{
	return n->until.gtid_set != NULL || n->until.commit_us != 0;
}

struct host_note *host_note_of(struct host *h, int version)
{
	for (struct host_note *n = h->notes; n != NULL; n = n->next) {
		if (n->version == version)
			return n;
	}
	return NULL;
}

static struct host_note *make(struct host *h, int version)
{
	struct host_note *n = host_note_of(h, version);

	if (n != NULL)
		return n;
	n = xcalloc(1, sizeof(*n));
	n->version = version;
	n->next = h->notes;
	h->notes = n;
	return n;
}

static void free_note(struct host_note *n)
{
	free(n->until.gtid_set);
	free(n);
}

void host_notes_done(struct host *h)
{
	while (h->notes != NULL) {
		struct host_note *n = h->notes;

		h->notes = n->next;
		free_note(n);
	}
}

/* ---- the file -------------------------------------------------------------------------------- */

static void take_line(struct host *h, char *line)
{
	char *word = strtok_r(line, " ", &line), *number = strtok_r(NULL, " ", &line);
	char *rest = line;
	int version = number != NULL ? (int)strtol(number, NULL, 10) : 0;

	if (word == NULL || version < 1)
		return;
	if (strcmp(word, "last") == 0)
		h->last_number = version;
	else if (strcmp(word, "share") == 0 && rest != NULL)
		make(h, version)->share = strtoll(rest, NULL, 10);
	else if (strcmp(word, "time") == 0 && rest != NULL)
		make(h, version)->until.commit_us = strtoll(rest, NULL, 10);
	else if (strcmp(word, "gtid") == 0 && rest != NULL && rest[0] != '\0') {
		struct host_note *n = make(h, version);

		free(n->until.gtid_set);
		n->until.gtid_set = xstrdup(rest);
	}
}

int host_notes_read(struct host *h, struct err *e)
{
	char *path = notes_path(h, ""), *text = NULL, *at, *line;
	int rc = 0;

	if (access(path, F_OK) == 0) {
		rc = view_read_file(path, &text, e);
		at = text;
		while (rc == 0 && (line = strsep(&at, "\n")) != NULL)
			take_line(h, line);
	}
	free(text);
	free(path);
	return rc;
}

static void write_notes(const struct host *h, struct buf *out)
{
	buf_add_format(out, "last %d\n", h->last_number);
	for (const struct host_note *n = h->notes; n != NULL; n = n->next) {
		if (n->share > 0)
			buf_add_format(out, "share %d %" PRId64 "\n", n->version, n->share);
		if (n->until.gtid_set != NULL)
			buf_add_format(out, "gtid %d %s\n", n->version, n->until.gtid_set);
		if (n->until.commit_us != 0)
			buf_add_format(out, "time %d %" PRId64 "\n", n->version,
				       n->until.commit_us);
	}
}

static int write_file(const char *path, const char *text, struct err *e)
{
	FILE *f = fopen(path, "we");
	int rc = 0;

	if (f == NULL || fputs(text, f) < 0 || fflush(f) != 0 || fsync(fileno(f)) < 0)
		rc = err_fatal(e, "%s: %s", path, strerror(errno));
	if (f != NULL)
		fclose(f);
	return rc;
}

static int save(struct host *h, struct err *e)
{
	char *path = notes_path(h, ""), *fresh = notes_path(h, ".new");
	struct buf text = BUF_INIT;
	int rc;

	write_notes(h, &text);
	rc = write_file(fresh, buf_cstr(&text), e);
	if (rc == 0 && rename(fresh, path) < 0)
		rc = err_fatal(e, "%s: %s", path, strerror(errno));
	buf_done(&text);
	free(path);
	free(fresh);
	return rc;
}

int host_note_make(struct host *h, int version, int64_t share, struct worker_until *take_until,
		   struct err *e)
{
	int rc;

	pthread_mutex_lock(&h->lock);
	if (share > 0 || take_until->gtid_set != NULL || take_until->commit_us != 0) {
		struct host_note *n = make(h, version);

		n->share = share;
		n->until = *take_until;
		*take_until = (struct worker_until){ 0 };
	}
	rc = save(h, e);
	pthread_mutex_unlock(&h->lock);
	return rc;
}

void host_note_forget(struct host *h, int version)
{
	struct err ignored = ERR_INIT;

	pthread_mutex_lock(&h->lock);
	for (struct host_note **at = &h->notes; *at != NULL; at = &(*at)->next) {
		struct host_note *n = *at;

		if (n->version != version)
			continue;
		*at = n->next;
		free_note(n);
		(void)save(h, &ignored); /* a note of a version that is gone does no harm */
		break;
	}
	pthread_mutex_unlock(&h->lock);
}
