/* spool.c - length and bytes of each row, one behind the other. */
#include "cdc/source/spool.h"

#include "core/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES (256 * 1024)

struct spool {
	FILE *file;
	int64_t rows;
	struct buf row;
};

static int failed(const char *what, struct err *e)
{
	err_retry(e, "the spool of a table copy: %s: %s", what, strerror(errno));
	return err_hint(e, "A table without a key is kept in a file in millrace.state while it is "
			   "copied: make room there.");
}

/* A file that never has a name; where the file system can't do that, one that loses it at once. */
static int open_unnamed(const char *folder)
{
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char *path;

	if (fd >= 0)
		return fd;
	path = xasprintf("%s/spool-XXXXXX", folder);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(path);
	free(path);
	return fd;
}

int spool_new(const char *folder, struct spool **ret_spool, struct err *e)
{
	struct spool *s;
	int fd;

	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return failed(folder, e);
	fd = open_unnamed(folder);
	if (fd < 0)
		return failed(folder, e);
	s = xcalloc(1, sizeof(*s));
	s->file = fdopen(fd, "w+");
	if (s->file == NULL) {
		(void)close(fd);
		free(s);
		return failed(folder, e);
	}
	(void)setvbuf(s->file, NULL, _IOFBF, BUFFER_BYTES);
	*ret_spool = s;
	return 0;
}

void spool_free(struct spool *s)
{
	if (s == NULL)
		return;
	(void)fclose(s->file);
	buf_done(&s->row);
	free(s);
}

int spool_add(struct spool *s, struct slice image, struct err *e)
{
	uint32_t size = (uint32_t)image.size;

	if (image.size > UINT32_MAX)
		return err_data(e, "a row of %zu bytes", image.size);
	if (fwrite(&size, sizeof(size), 1, s->file) != 1 ||
	    (size > 0 && fwrite(image.data, size, 1, s->file) != 1))
		return failed("writing", e);
	s->rows++;
	return 0;
}

int64_t spool_rows(const struct spool *s)
{
	return s->rows;
}

int spool_rewind(struct spool *s, struct err *e)
{
	if (fflush(s->file) != 0 || fseeko(s->file, 0, SEEK_SET) != 0)
		return failed("writing", e);
	return 0;
}

int spool_next(struct spool *s, struct slice *ret_image, struct err *e)
{
	uint32_t size;

	if (fread(&size, sizeof(size), 1, s->file) != 1)
		return ferror(s->file) ? failed("reading", e) : 0;
	buf_reset(&s->row);
	if (size > 0 && fread(buf_reserve(&s->row, size), size, 1, s->file) != 1)
		return failed("reading", e);
	s->row.size = size;
	*ret_image = buf_slice(&s->row);
	return 1;
}
