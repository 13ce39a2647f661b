/* fault.c - the file of counters behind FAULT(), in builds for the fault tests only.
 *
 * Every process has a file of its own, shared with the test by mmap. Names are found once for each
 * place in the code. A file that can't be used is fatal: a test that believes it has armed a fault
 * must not go green without it. */
#include "core/base/fault.h"

#ifdef MILLRACE_FAULTS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct fault_slot *slots;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_file(void)
{
	const char *path = getenv("MILLRACE_FAULT_FILE");
	size_t size = sizeof(struct fault_slot) * FAULT_SLOTS;
	void *map = MAP_FAILED;
	int fd;

	if (path == NULL)
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		perror(path);
		abort();
	}
	(void)close(fd); /* the map stays */
	slots = map;
}

static struct fault_slot *find(const char *name)
{
	size_t i;

	pthread_mutex_lock(&lock);
	for (i = 1; i < FAULT_SLOTS; i++) {
		if (slots[i].name[0] == '\0')
			(void)snprintf(slots[i].name, FAULT_NAME_SIZE, "%s", name); /* short */
		if (strncmp(slots[i].name, name, FAULT_NAME_SIZE) == 0)
			break;
	}
	pthread_mutex_unlock(&lock);
	if (i == FAULT_SLOTS)
		abort();
	return &slots[i];
}

static bool known(struct fault_slot **slot, const char *name)
{
	(void)pthread_once(&once, open_file); /* cannot fail */
	if (slots == NULL)
		return false;
	if (__atomic_load_n(slot, __ATOMIC_ACQUIRE) == NULL)
		__atomic_store_n(slot, find(name), __ATOMIC_RELEASE);
	return true;
}

void fault_slow(struct fault_slot **slot, const char *name)
{
	if (!known(slot, name))
		return;
	__atomic_add_fetch(&(*slot)->passes, 1, __ATOMIC_RELAXED);
	(void)usleep((useconds_t)(__atomic_load_n(&(*slot)->armed, __ATOMIC_ACQUIRE) * 1000));
}

void fault_pass(struct fault_slot **slot, const char *name)
{
	uint64_t pass, armed;

	if (!known(slot, name))
		return;
	__atomic_store_n(&slots[0].passes, (uint64_t)(*slot - slots), __ATOMIC_RELAXED);
	pass = __atomic_add_fetch(&(*slot)->passes, 1, __ATOMIC_RELAXED);
	armed = __atomic_load_n(&(*slot)->armed, __ATOMIC_ACQUIRE);
	if (armed == 0 || pass < armed)
		return;
	/* another thread may have stopped the process here a moment ago */
	if (!__atomic_compare_exchange_n(&(*slot)->armed, &armed, 0, 0, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&slots[0].armed, (uint64_t)(*slot - slots), __ATOMIC_RELEASE);
	(void)raise(SIGSTOP); /* this thread, so that it does not go on a while */
}

#endif
