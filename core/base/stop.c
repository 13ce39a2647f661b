/* stop.c - a self-pipe for stop.h. The handler only sets a flag and writes one byte (both
 * async-signal-safe, signal-safety(7)); the byte stays in the pipe, so every thread that polls
 * the descriptor wakes, now and later. */
#include "core/base/stop.h"

#include "core/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_int requested;
static int pipe_ends[2] = { -1, -1 };

static void on_signal(int signal)
{
	int saved = errno;

	if (atomic_exchange(&requested, 1) != 0)
		_exit(128 + signal);
	(void)!write(pipe_ends[1], "", 1); /* an empty pipe takes a byte */
	errno = saved;
}

void stop_install(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	if (pipe_ends[0] >= 0)
		return;
	if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) < 0)
		abort(); /* no descriptor at start-up: nothing would work */
	sigemptyset(&action.sa_mask);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes is an error of write(2) then */
}

bool stop_requested(void)
{
	return atomic_load_explicit(&requested, memory_order_relaxed) != 0;
}

void stop_request(void)
{
	if (atomic_exchange(&requested, 1) == 0 && pipe_ends[1] >= 0)
		(void)!write(pipe_ends[1], "", 1);
}

int stop_fd(void)
{
	return pipe_ends[0];
}

bool stop_wait_ms(int64_t wait_ms)
{
	int64_t end = clock_monotonic_us() + wait_ms * 1000;
	struct pollfd p = { .fd = pipe_ends[0], .events = POLLIN };

	while (!stop_requested()) {
		int64_t left_ms = (end - clock_monotonic_us() + 999) / 1000;

		if (left_ms <= 0)
			break;
		(void)poll(&p, 1,
			   left_ms < 3600000 ? (int)left_ms : 3600000); /* EINTR: look again */
	}
	return stop_requested();
}
