/* binlog_file.c - cuts a file into events.
 *
 * The size in an event's header is believed only as far as bytes really come: the window grows in
 * steps, so a size that lies reserves nothing. Sizes below a header's, and above what the largest
 * packet of a server can hold, are refused: the bytes there are no event.
 *
 * Encrypted files are told by MySQL with another first byte, by MariaDB with an event behind the
 * first one. Neither is decrypted: the keys are the server's, and the server gives its events in
 * the clear to whoever may replicate. What a client writes down then (--raw) has MariaDB's event
 * still in it: so the event behind it is looked at, whose end position is either where it ends, or
 * scrambled. */
#include "cdc/decode/binlog_file.h"

#include "cdc/binlog/event.h"
#include "core/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "\xfe\x62in"
#define MAGIC_ENCRYPTED "\xfd\x62in"
#define EVENT_SIZE_MAX (EVENT_INFLATED_MAX + 65536u)
#define STEP 262144

struct binlog_file {
	int fd;
	char *path;
	const char *name; /* in path */
	uint64_t size;
	uint64_t at;       /* offset of the event given last */
	uint64_t next;     /* of the one behind it: offset of data[begin] */
	struct buf window; /* begin .. size: read, not given yet */
	size_t begin;
	bool ended;
};

static int bad(const struct binlog_file *f, struct err *e, const char *what)
{
	return err_data(e, "%s:%" PRIu64 ": %s", f->path, f->next, what);
}

static int refuse_encrypted(const struct binlog_file *f, struct err *e)
{
	bad(f, e, "the file is encrypted from here on, and only its server has the key");
	return err_hint(e,
			"mysqlbinlog or mariadb-binlog with --read-from-remote-server --raw %s "
			"asks the server for it, which gives it in the clear.",
			f->name);
}

/* ---- the window ----------------------------------------------------------------------------- */

/* Adds to the window. ERR_FATAL. */
static int read_more(struct binlog_file *f, struct err *e)
{
	ssize_t got;

	if (f->begin > 0 && f->window.capacity - f->window.size < STEP) {
		memmove(f->window.data, f->window.data + f->begin, f->window.size - f->begin);
		f->window.size -= f->begin;
		f->begin = 0;
	}
	do
		got = read(f->fd, buf_reserve(&f->window, STEP), STEP);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_fatal(e, "%s:%" PRIu64 ": cannot read: %s", f->path,
				 f->next + (f->window.size - f->begin), strerror(errno));
	f->window.size += (size_t)got;
	f->ended = got == 0;
	return 0;
}

/* n bytes in the window: 1; 0: the file ends before; -1. */
static int need(struct binlog_file *f, size_t n, struct err *e)
{
	while (f->window.size - f->begin < n && !f->ended)
		if (read_more(f, e) < 0)
			return -1;
	return f->window.size - f->begin >= n;
}

/* A single large event must not keep its room to the end of the file. */
static void give_back(struct binlog_file *f)
{
	if (f->window.capacity > 8 * (size_t)STEP && f->begin == f->window.size) {
		buf_done(&f->window);
		f->begin = 0;
	}
}

/* ---- open, close ---------------------------------------------------------------------------- */

static int read_magic(struct binlog_file *f, struct err *e)
{
	int rc = need(f, BINLOG_FILE_MAGIC_SIZE, e);

	if (rc < 0)
		return -1;
	if (rc == 1 && memcmp(f->window.data, MAGIC_ENCRYPTED, BINLOG_FILE_MAGIC_SIZE) == 0)
		return refuse_encrypted(f, e);
	if (rc == 0 || memcmp(f->window.data, MAGIC, BINLOG_FILE_MAGIC_SIZE) != 0)
		return bad(f, e, "not a binlog file: it does not begin with the bytes fe 62 69 6e");
	f->begin = f->next = f->at = BINLOG_FILE_MAGIC_SIZE;
	return 0;
}

int binlog_file_open(const char *path, struct binlog_file **ret_file, struct err *e)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	struct binlog_file *f;
	const char *slash;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || S_ISDIR(st.st_mode)) {
		err_config(e, "%s: cannot be read: %s", path,
			   fd < 0 ? strerror(errno) : "not a file");
		if (fd > STDIN_FILENO)
			close(fd);
		return -1;
	}
	f = xcalloc(1, sizeof(*f));
	f->fd = fd;
	f->path = xstrdup(is_stdin ? "stdin" : path);
	slash = strrchr(f->path, '/');
	f->name = slash != NULL ? slash + 1 : f->path;
	f->size = S_ISREG(st.st_mode) && !is_stdin ? (uint64_t)st.st_size : 0;
	if (read_magic(f, e) < 0) {
		binlog_file_close(f);
		return -1;
	}
	*ret_file = f;
	return 0;
}

void binlog_file_close(struct binlog_file *f)
{
	if (f == NULL)
		return;
	if (f->fd != STDIN_FILENO)
		close(f->fd);
	buf_done(&f->window);
	free(f->path);
	free(f);
}

const char *binlog_file_name(const struct binlog_file *f)
{
	return f->name;
}

uint64_t binlog_file_size(const struct binlog_file *f)
{
	return f->size;
}

uint64_t binlog_file_at(const struct binlog_file *f)
{
	return f->at;
}

/* ---- events --------------------------------------------------------------------------------- */

/* Behind an event of `size` bytes, which is the next one: is what follows in the clear, or nothing?
 * 1, 0, -1. */
static int is_clear_behind(struct binlog_file *f, size_t size, struct err *e)
{
	int rc = need(f, size + EVENT_HEADER_SIZE, e);
	struct rd in;
	uint32_t end;

	if (rc <= 0)
		return rc < 0 ? -1 : f->window.size - f->begin == size;
	in = rd_of(f->window.data + f->begin + size + 9, 8);
	end = rd_u32(&in); /* its size, which isn't scrambled */
	end += (uint32_t)(f->next + size);
	return rd_u32(&in) == end;
}

int binlog_file_next(struct binlog_file *f, struct slice *ret_packet, struct err *e)
{
	const uint8_t *header;
	struct rd in;
	uint32_t size;
	int rc;

	give_back(f);
	rc = need(f, EVENT_HEADER_SIZE, e);
	f->at = f->next;
	if (rc < 0)
		return -1;
	if (rc == 0 && f->window.size == f->begin)
		return 0;
	if (rc == 0)
		return bad(f, e, "the file ends inside an event's header");
	header = f->window.data + f->begin;
	in = rd_of(header + 9, 4);
	size = rd_u32(&in);
	if (size < EVENT_HEADER_SIZE || size > EVENT_SIZE_MAX)
		return err_data(e,
				"%s:%" PRIu64 ": no event begins here: its size would be %" PRIu32
				" bytes",
				f->path, f->next, size);
	rc = need(f, size, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_data(e,
				"%s:%" PRIu64 ": the file ends inside a %s event of %" PRIu32
				" bytes, of which %zu are there",
				f->path, f->next, event_type_name(f->window.data[f->begin + 4]),
				size, f->window.size - f->begin);
	if (f->window.data[f->begin + 4] == EVENT_START_ENCRYPTION) {
		rc = is_clear_behind(f, size, e);
		if (rc <= 0)
			return rc < 0 ? -1 : refuse_encrypted(f, e);
	}
	*ret_packet = slice_of(f->window.data + f->begin, size);
	f->begin += size;
	f->next += size;
	return 1;
}

int binlog_file_skip_to(struct binlog_file *f, uint64_t offset, struct err *e)
{
	uint64_t left = offset > f->next ? offset - f->next : 0;

	if (offset < f->next)
		return err_config(e, "%s:%" PRIu64 ": lies inside the event before %" PRIu64,
				  f->path, offset, f->next);
	while (left > 0) {
		size_t have = f->window.size - f->begin, step = left < have ? (size_t)left : have;

		f->begin += step;
		f->next += step;
		left -= step;
		if (left > 0 && f->ended)
			return err_config(e, "%s: ends at %" PRIu64 ", before offset %" PRIu64,
					  f->path, f->next, offset);
		if (left > 0 && f->size > 0 && have == step) { /* nothing read ahead: jump */
			if (f->next + left > f->size ||
			    lseek(f->fd, (off_t)(f->next + left), SEEK_SET) < 0)
				return err_config(e,
						  "%s: ends at %" PRIu64 ", before offset %" PRIu64,
						  f->path, f->size, offset);
			f->next += left;
			left = 0;
			f->begin = f->window.size = 0;
		} else if (left > 0 && read_more(f, e) < 0) {
			return -1;
		}
	}
	f->at = f->next;
	return 0;
}
