/* script_fault.c - see script_fault.h. One lock: a stream's reader counts, too. */
#include "test/script/script_fault.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t owner;
static int64_t counts[SCRIPT_CALL_COUNT];
static bool armed, struck, dead;
static enum script_call armed_call;
static int64_t armed_number;
static enum script_mode armed_mode;
static enum err_kind armed_kind;

static const struct {
	const char *name;
	bool effect;
} calls[] = {
#define X(name, effect) { #name, effect },
	SCRIPT_CALLS(X)
#undef X
};

const char *script_call_name(enum script_call call)
{
	return calls[call].name;
}

bool script_call_has_effect(enum script_call call)
{
	return calls[call].effect;
}

void script_fault_reset(void)
{
	pthread_mutex_lock(&lock);
	memset(counts, 0, sizeof(counts));
	armed = struck = dead = false;
	owner = pthread_self();
	pthread_mutex_unlock(&lock);
}

void script_fault_arm(enum script_call call, int64_t number, enum script_mode mode,
		      enum err_kind kind)
{
	pthread_mutex_lock(&lock);
	armed = true;
	struck = dead = false;
	armed_call = call;
	armed_number = number;
	armed_mode = mode;
	armed_kind = kind;
	pthread_mutex_unlock(&lock);
}

void script_fault_heal(void)
{
	pthread_mutex_lock(&lock);
	armed = dead = false;
	pthread_mutex_unlock(&lock);
}

int64_t script_fault_count(enum script_call call)
{
	int64_t n;

	pthread_mutex_lock(&lock);
	n = counts[call];
	pthread_mutex_unlock(&lock);
	return n;
}

bool script_fault_struck(void)
{
	bool is;

	pthread_mutex_lock(&lock);
	is = struck;
	pthread_mutex_unlock(&lock);
	return is;
}

bool script_fault_dead(void)
{
	bool is;

	pthread_mutex_lock(&lock);
	is = dead;
	pthread_mutex_unlock(&lock);
	return is;
}

bool script_fault_counts(void)
{
	bool is;

	pthread_mutex_lock(&lock);
	is = pthread_equal(owner, pthread_self()) != 0;
	pthread_mutex_unlock(&lock);
	return is;
}

static int fail(enum script_call call, struct err *e)
{
	switch (armed_kind) {
	case ERR_CONFIG:
		return err_config(e, "scripted fault: %s is refused", calls[call].name);
	case ERR_FATAL:
		return err_fatal(e, "scripted fault: %s is impossible", calls[call].name);
	case ERR_DATA:
		return err_data(e, "scripted fault: %s has wrong bytes", calls[call].name);
	case ERR_NONE:
	case ERR_RETRY:
		break;
	}
	return err_retry(e, "scripted fault: %s lost its connection", calls[call].name);
}

int script_fault_before(enum script_call call, bool counted, struct err *e)
{
	int rc = 0;

	if (!counted)
		return 0;
	pthread_mutex_lock(&lock);
	counts[call]++;
	if (armed && !struck && call == armed_call && counts[call] == armed_number) {
		struck = true;
		dead = armed_mode == SCRIPT_CRASH;
		if (armed_mode == SCRIPT_BEFORE)
			rc = fail(call, e);
	}
	if (dead)
		rc = fail(call, e);
	pthread_mutex_unlock(&lock);
	return rc;
}

int script_fault_after(enum script_call call, bool counted, struct err *e)
{
	int rc = 0;

	if (!counted)
		return 0;
	pthread_mutex_lock(&lock);
	if (armed && struck && armed_mode == SCRIPT_AFTER && call == armed_call &&
	    counts[call] == armed_number) {
		armed = false;
		rc = fail(call, e);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}
