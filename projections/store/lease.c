/* lease.c - the lease as an open file description lock (fcntl(2), F_OFD_SETLK): it belongs to the
 * open file, not to the thread or process that asks, and F_OFD_GETLK can look at it without taking
 * it. */
#include "projections/store/lease.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_MS 100 /* between two tries */

struct lease {
	int fd;
	char *path;
};

static struct flock whole_file(void)
{
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
}

static int make_folder(const char *path, struct err *e)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST) {
		err_config(e, "%s: %s", path, strerror(errno));
		return err_hint(e, "millrace.state must be a folder that this user may write to.");
	}
	return 0;
}

static int make_folders(const char *state_dir, const char *view, struct err *e)
{
	char *views = xasprintf("%s/views", state_dir),
	     *own = xasprintf("%s/views/%s", state_dir, view);
	int rc = make_folder(state_dir, e) < 0 || make_folder(views, e) < 0 ||
				 make_folder(own, e) < 0
			 ? -1
			 : 0;

	free(views);
	free(own);
	return rc;
}

static void read_owner(int fd, struct lease_owner *ret_owner)
{
	char text[512] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long pid = 0;

	*ret_owner = (struct lease_owner){ 0 };
	if (n <= 0)
		return;
	text[n] = '\0';
	if (sscanf(text, "pid %ld\nhttp %255s", &pid, ret_owner->http) >= 1)
		ret_owner->pid = (pid_t)pid;
}

static int write_owner(struct lease *l, const char *http, struct err *e)
{
	char *text = xasprintf("pid %ld\nhttp %s\n", (long)getpid(), http);
	size_t size = strlen(text);
	int rc = 0;

	if (ftruncate(l->fd, 0) < 0 || pwrite(l->fd, text, size, 0) != (ssize_t)size)
		rc = err_fatal(e, "%s: %s", l->path, strerror(errno));
	free(text);
	return rc;
}

static bool lock_within(int fd, int64_t wait_ms)
{
	int64_t until = clock_monotonic_us() + wait_ms * 1000;
	struct flock lock = whole_file();

	while (fcntl(fd, F_OFD_SETLK, &lock) < 0)
		if (clock_monotonic_us() >= until || stop_wait_ms(LOOK_MS))
			return false;
	return true;
}

int lease_take(const char *state_dir, const char *view, int64_t wait_ms, struct lease **ret_lease,
	       struct err *e)
{
	struct lease *l;

	if (make_folders(state_dir, view, e) < 0)
		return -1;
	l = xcalloc(1, sizeof(*l));
	l->path = xasprintf("%s/views/%s/lease", state_dir, view);
	l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (l->fd < 0) {
		err_config(e, "%s: %s", l->path, strerror(errno));
		goto fail;
	}
	if (!lock_within(l->fd, wait_ms)) {
		struct lease_owner owner;

		read_owner(l->fd, &owner);
		err_config(e, "view %s belongs to process %ld%s%s", view, (long)owner.pid,
			   owner.http[0] != '\0' ? ", http " : "", owner.http);
		err_hint(e, "One process works on a view at a time; stop that one, or ask it.");
		goto fail;
	}
	if (write_owner(l, "", e) < 0)
		goto fail;
	*ret_lease = l;
	return 0;
fail:
	lease_free(l);
	return -1;
}

int lease_set_http(struct lease *l, const char *http, struct err *e)
{
	return write_owner(l, http, e);
}

void lease_free(struct lease *l)
{
	if (l == NULL)
		return;
	if (l->fd >= 0)
		close(l->fd);
	free(l->path);
	free(l);
}

bool lease_find(const char *state_dir, const char *view, struct lease_owner *ret_owner)
{
	char *path = xasprintf("%s/views/%s/lease", state_dir, view);
	struct flock lock = whole_file();
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool taken = false;

	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	if (fd < 0)
		return false;
	taken = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	if (taken)
		read_owner(fd, ret_owner);
	close(fd);
	return taken;
}
