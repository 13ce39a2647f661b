/* event_files.c - reads the events folder. Every mistake of every file is collected before it
 * fails, so that one run of `millrace check` shows all there is to mend. */
#include "cdc/publish/event_files.h"

#include "core/base/buf.h"
#include "core/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_event_file(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return n > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 5, ".avsc") == 0;
}

static void add_mistake(struct buf *mistakes, const struct err *one)
{
	buf_add_format(mistakes, "%s%s", mistakes->size != 0 ? "\n" : "", one->msg);
}

static int read_file(const char *path, struct buf *text, struct err *e)
{
	FILE *file = fopen(path, "re");
	size_t n;

	if (file == NULL)
		return err_config(e, "%s: %s", path, strerror(errno));
	n = fread(buf_reserve(text, SCHEMA_TEXT_MAX + 1), 1, SCHEMA_TEXT_MAX + 1, file);
	fclose(file);
	text->size += n;
	if (n > SCHEMA_TEXT_MAX)
		return err_config(e, "%s: larger than %d bytes", path, SCHEMA_TEXT_MAX);
	return 0;
}

static void read_one(struct event_files *files, const char *path, struct buf *mistakes)
{
	struct buf text = BUF_INIT;
	struct err one = ERR_INIT;

	if (read_file(path, &text, &one) < 0 ||
	    event_schema_read(path, buf_slice(&text), &files->events[files->count], &one) < 0)
		add_mistake(mistakes, &one);
	else
		files->count++;
	buf_done(&text);
}

static void check_pair(const struct event_schema *a, const struct event_schema *b,
		       struct buf *mistakes)
{
	struct err one = ERR_INIT;

	if (strcmp(a->full_name, b->full_name) == 0) {
		err_config(&one, "%s: event %s is declared in %s already", b->file, b->full_name,
			   a->file);
		add_mistake(mistakes, &one);
	}
	if (strcmp(a->topic, b->topic) == 0 && strcmp(a->key_text, b->key_text) != 0) {
		err_config(&one, "%s: shares topic %s with %s, but its key differs", b->file,
			   b->topic, a->file);
		err_hint(
			&one,
			"Events of one topic keep their order by a common key: same fields, same types, same order.");
		add_mistake(mistakes, &one);
	}
}

static void check_together(const struct event_files *files,
			   bool (*captured)(const char *db, const char *table, void *context),
			   void *context, struct buf *mistakes)
{
	struct err one = ERR_INIT;

	for (size_t i = 0; i < files->count; i++) {
		const struct event_schema *event = files->events[i];

		if (!captured(event->db, event->table, context)) {
			err_config(&one, "%s: table %s.%s is not captured", event->file, event->db,
				   event->table);
			err_hint(&one, "Add it to capture.tables.");
			add_mistake(mistakes, &one);
		}
		for (size_t j = 0; j < i; j++)
			check_pair(files->events[j], event, mistakes);
	}
}

int event_files_read(const char *dir,
		     bool (*captured)(const char *db, const char *table, void *context),
		     void *context, struct event_files *ret_files, struct err *e)
{
	struct event_files files = { NULL, 0 };
	struct dirent **entries = NULL;
	struct buf mistakes = BUF_INIT;
	int n, rc = 0;

	*ret_files = files;
	if (dir == NULL || dir[0] == '\0')
		return 0;
	n = scandir(dir, &entries, is_event_file, alphasort);
	if (n < 0) {
		err_config(e, "capture.events: %s: %s", dir, strerror(errno));
		return -1;
	}
	files.events = xcalloc((size_t)n, sizeof(*files.events));
	for (int i = 0; i < n; i++) {
		char *path = xasprintf("%s/%s", dir, entries[i]->d_name);

		if (i < EVENT_FILES_MAX)
			read_one(&files, path, &mistakes);
		free(path);
		free(entries[i]);
	}
	free(entries);
	check_together(&files, captured, context, &mistakes);
	if (n == 0 || n > EVENT_FILES_MAX)
		rc = err_config(e, "capture.events: %s holds %d *.avsc files; expected 1 to %d",
				dir, n, EVENT_FILES_MAX);
	else if (mistakes.size != 0)
		rc = err_config(e, "%s", buf_cstr(&mistakes));
	buf_done(&mistakes);
	if (rc < 0)
		event_files_done(&files);
	*ret_files = files;
	return rc;
}

void event_files_done(struct event_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		event_schema_free(files->events[i]);
	free(files->events);
	*files = (struct event_files){ NULL, 0 };
}
