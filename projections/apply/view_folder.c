/* view_folder.c - files of a view's folder, as text; and folders of views.
 *
 * Names that no view has are left alone: a README, an editor's backup. */
#include "projections/apply/view_priv.h"

#include "core/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void view_files_add(struct view_files *files, const char *name, char *take_text)
{
	size_t at = files->count;

	files->items = xrealloc(files->items, (files->count + 1) * sizeof(*files->items));
	while (at > 0 && strcmp(files->items[at - 1].name, name) > 0) {
		files->items[at] = files->items[at - 1];
		at--;
	}
	files->items[at] = (struct view_file){ .name = xstrdup(name), .text = take_text };
	files->count++;
}

void view_files_done(struct view_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		free(files->items[i].name);
		free(files->items[i].text);
	}
	free(files->items);
	*files = (struct view_files){ 0 };
}

int view_read_file(const char *path, char **ret_text, struct err *e)
{
	FILE *file = fopen(path, "re");
	struct buf text = BUF_INIT;
	size_t n;
	int rc = -1;

	if (file == NULL)
		return err_config(e, "%s: %s", path, strerror(errno));
	do {
		n = fread(buf_reserve(&text, 65536), 1, 65536, file);
		text.size += n;
	} while (n > 0 && text.size <= VIEW_FILE_MAX);
	if (ferror(file) != 0)
		err_config(e, "%s: %s", path, strerror(errno));
	else if (text.size > VIEW_FILE_MAX)
		err_config(e, "%s: larger than %d bytes", path, VIEW_FILE_MAX);
	else if (text.size > 0 && memchr(text.data, 0, text.size) != NULL)
		err_config(e, "%s: not a text file: it holds a zero byte", path);
	else
		rc = 0;
	fclose(file);
	if (rc == 0)
		*ret_text = xstrdup(buf_cstr(&text));
	buf_done(&text);
	return rc;
}

static void read_folder(const char *dir, const char *below, const char *ending, bool needed,
			struct view_files *files, struct view_mistakes *m)
{
	char *path = xasprintf("%s/%s", dir, below);
	DIR *folder = opendir(path);
	const struct dirent *entry;

	if (folder == NULL) {
		if (needed || errno != ENOENT)
			view_mistake(m, below, 0, NULL, "%s", strerror(errno));
		free(path);
		return;
	}
	while ((entry = readdir(folder)) != NULL && files->count < VIEW_FILES_MAX) {
		struct err e = ERR_INIT;
		char *file, *name, *text = NULL;

		if (entry->d_name[0] == '.' || !view_ends_with(entry->d_name, ending))
			continue;
		name = below[0] != '\0' ? xasprintf("%s/%s", below, entry->d_name)
					: xstrdup(entry->d_name);
		file = xasprintf("%s/%s", dir, name);
		if (view_read_file(file, &text, &e) < 0)
			view_mistake(m, name, 0, NULL, "%s", e.msg + strlen(file) + 2);
		else
			view_files_add(files, name, text);
		free(file);
		free(name);
	}
	if (entry != NULL)
		view_mistake(m, below, 0, NULL, "more than %d files", VIEW_FILES_MAX);
	closedir(folder);
	free(path);
}

void view_folder_read(const char *dir, struct view_files *files, struct view_mistakes *m)
{
	read_folder(dir, "", ".sql", true, files, m);
	read_folder(dir, "", "view.conf", true, files, m);
	read_folder(dir, "", "tables.json", true, files, m);
	read_folder(dir, "on", ".sql", false, files, m);
	read_folder(dir, "on", ".json", false, files, m);
	read_folder(dir, "keys", ".sql", false, files, m);
	read_folder(dir, "cases", ".jsonl", false, files, m);
	read_folder(dir, "cases", ".sql", false, files, m);
}

/* What view.conf of a folder says, whatever else is wrong with it. */
static struct view *read_conf(const char *dir)
{
	struct view_mistakes ignored = { .place = dir };
	struct view *v = xcalloc(1, sizeof(*v));
	char *path = xasprintf("%s/view.conf", dir), *text = NULL;
	struct err e = ERR_INIT;

	if (view_read_file(path, &text, &e) == 0)
		view_conf_parse(v, text, &ignored);
	free(text);
	free(path);
	buf_done(&ignored.text);
	return v;
}

char *view_store_name(const char *dir)
{
	struct view *v = read_conf(dir);
	char *name = xstrdup(v->store != NULL ? v->store : "sqlite");

	view_free(v);
	return name;
}

void view_verify_every(const char *dir, int64_t *ret_ms)
{
	struct view *v = read_conf(dir);

	if (v->has_verify_every)
		*ret_ms = v->verify_every_ms;
	view_free(v);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int view_list(const char *dir, char ***ret_names, size_t *ret_count, struct err *e)
{
	DIR *folder = opendir(dir);
	const struct dirent *entry;
	char **names = NULL;
	size_t count = 0;

	if (folder == NULL) {
		err_config(e, "%s: %s", dir, strerror(errno));
		return err_hint(e, "Set project.views to the folder that holds the view folders.");
	}
	while ((entry = readdir(folder)) != NULL) {
		char *conf = xasprintf("%s/%s/view.conf", dir, entry->d_name);
		struct stat info;

		if (entry->d_name[0] != '.' && stat(conf, &info) == 0)
			view_words_add(&names, &count, entry->d_name, strlen(entry->d_name));
		free(conf);
	}
	closedir(folder);
	if (count > 0)
		qsort(names, count, sizeof(*names), compare_names);
	*ret_names = names;
	*ret_count = count;
	return 0;
}
