/* The datagrams that systemd would get, over a real socket. */
#include "core/base/clock.h"
#include "core/base/notify.h"
#include "test/unit/unit.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int server = -1;
static char received[1024];

static void listen_at(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_usec = 200000 };

	memcpy(a.sun_path, name, strlen(name));
	if (a.sun_path[0] == '@')
		a.sun_path[0] = '\0';
	else
		unlink(name);
	server = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(server, (struct sockaddr *)&a,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
			 0);
	setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setenv("NOTIFY_SOCKET", name, 1);
}

/* The next datagram, "" when none comes. */
static const char *next(void)
{
	ssize_t n = recv(server, received, sizeof(received) - 1, 0);

	received[n > 0 ? n : 0] = '\0';
	return received;
}

static void check_messages(const char *name)
{
	listen_at(name);
	notify_ready();
	notify_ready();
	ck_assert_str_eq(next(), "READY=1");
	notify_status("lag %d s", 3);
	notify_status("lag %d s", 3);
	notify_status("two\nREADY=0");
	ck_assert_str_eq(next(), "STATUS=lag 3 s");
	ck_assert_str_eq(next(), "STATUS=two READY=0"); /* a line break would be another variable */
	notify_stopping();
	ck_assert_str_eq(next(), "STOPPING=1");
	ck_assert_str_eq(next(), "");
	close(server);
}

START_TEST(test_path_socket)
{
	char name[64];

	snprintf(name, sizeof(name), "/tmp/millrace-notify-%d", (int)getpid());
	check_messages(name);
	unlink(name);
}
END_TEST

START_TEST(test_abstract_socket)
{
	char name[64];

	snprintf(name, sizeof(name), "@millrace-notify-%d", (int)getpid());
	check_messages(name);
}
END_TEST

START_TEST(test_watchdog)
{
	char name[64], pid[16];

	snprintf(name, sizeof(name), "@millrace-watchdog-%d", (int)getpid());
	listen_at(name);
	notify_watchdog();
	ck_assert_int_eq(notify_watchdog_interval_us(), 0);
	setenv("WATCHDOG_USEC", "100000", 1);
	ck_assert_int_eq(notify_watchdog_interval_us(), 50000);
	setenv("WATCHDOG_PID", "1", 1);
	ck_assert_int_eq(notify_watchdog_interval_us(), 0);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	ck_assert_int_eq(notify_watchdog_interval_us(), 50000);
	for (int i = 0; i < 100; i++)
		notify_watchdog();
	ck_assert_str_eq(next(), "WATCHDOG=1");
	ck_assert_str_eq(next(), "");
	clock_sleep_us(60000);
	notify_watchdog();
	ck_assert_str_eq(next(), "WATCHDOG=1");
	setenv("WATCHDOG_USEC", "nonsense", 1);
	ck_assert_int_eq(notify_watchdog_interval_us(), 0);
	close(server);
}
END_TEST

START_TEST(test_without_systemd)
{
	static const char *const names[] = { "", "relative", "/nonexistent/socket", "@", "/" };
	char longest[300];

	unsetenv("NOTIFY_SOCKET");
	notify_stopping();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		notify_stopping();
	}
	memset(longest, '/', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longest, 1);
	notify_stopping();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("notify");

	unit_test(s, test_path_socket);
	unit_test(s, test_abstract_socket);
	unit_test(s, test_watchdog);
	unit_test(s, test_without_systemd);
	return unit_run(s);
}
