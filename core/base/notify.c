/* notify.c - the service side of sd_notify(3), without libsystemd: "KEY=value\n" lines in one
 * datagram to the UNIX socket that NOTIFY_SOCKET names ('@' first: the abstract namespace).
 * WATCHDOG_USEC counts only when WATCHDOG_PID is ours or unset (sd_watchdog_enabled(3)). A
 * datagram that cannot be sent is dropped: systemd's own limit then decides. */
#include "core/base/notify.h"

#include "core/base/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static atomic_int ready_sent;
static _Atomic int64_t watchdog_sent_us;

static void send_text(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t size = path != NULL ? strlen(path) : 0;
	int fd;

	if (size < 2 || size >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, size);
	if (to.sun_path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
		     (const struct sockaddr *)&to,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)); /* see above */
	close(fd);
}

void notify_ready(void)
{
	if (atomic_exchange(&ready_sent, 1) == 0)
		send_text("READY=1");
}

void notify_stopping(void)
{
	send_text("STOPPING=1");
}

void notify_status(const char *format, ...)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static char last[512];
	char text[sizeof(last)] = "STATUS=";
	bool changed;
	va_list args;

	va_start(args, format);
	vsnprintf(text + strlen("STATUS="), sizeof(text) - strlen("STATUS="), format, args);
	va_end(args);
	for (char *p = text; *p != '\0'; p++)
		if (*p == '\n')
			*p = ' '; /* a line of the datagram is a variable of its own */
	pthread_mutex_lock(&lock);
	changed = strcmp(text, last) != 0;
	memcpy(last, text, sizeof(last));
	pthread_mutex_unlock(&lock);
	if (changed)
		send_text(text);
}

int64_t notify_watchdog_interval_us(void)
{
	const char *limit = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	int64_t us = limit != NULL ? strtoll(limit, NULL, 10) : 0;

	if (us <= 0 || (pid != NULL && strtoll(pid, NULL, 10) != getpid()))
		return 0;
	return us > 1 ? us / 2 : 1;
}

void notify_watchdog(void)
{
	int64_t interval = notify_watchdog_interval_us(), now = clock_monotonic_us();
	int64_t sent = atomic_load(&watchdog_sent_us);

	if (interval == 0 || now - sent < interval)
		return;
	if (atomic_compare_exchange_strong(&watchdog_sent_us, &sent, now))
		send_text("WATCHDOG=1");
}
