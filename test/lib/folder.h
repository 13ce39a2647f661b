/* folder.h - a temporary folder for a test, and files in it. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes /tmp/millrace-XXXXXX (or under $TMPDIR). The path lives until the process ends. */
static inline const char *folder_new(void)
{
	static char path[256];
	const char *tmp = getenv("TMPDIR");

	snprintf(path, sizeof(path), "%s/millrace-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(path) == NULL)
		abort();
	return path;
}

static inline void folder_remove(const char *path)
{
	char command[600];

	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	if (system(command) != 0)
		abort();
}

/* Writes dir/name; missing folders in name are made. */
static inline void folder_write(const char *dir, const char *name, const char *text)
{
	char path[1024];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (char *p = path + strlen(dir) + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	f = fopen(path, "w");
	if (f == NULL)
		abort();
	fputs(text, f);
	fclose(f);
}
