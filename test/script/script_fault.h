/* script_fault.h - the n-th call of a kind fails: what the scripted source and the scripted brokers
 * ask before and after everything they do.
 *
 * A test first runs without a fault and reads how often each call was made; then it arms one fault
 * at a time. Calls made by a thread that is neither the test's own nor a reader of its streams are
 * neither counted nor failed, so the numbers are the same in every run. */
#ifndef TEST_SCRIPT_SCRIPT_FAULT_H
#define TEST_SCRIPT_SCRIPT_FAULT_H

#include "core/base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* X(name, whether it has an effect that can happen although the answer is lost) */
#define SCRIPT_CALLS(X)           \
	X(DB_OPEN, false)         \
	X(DB_RUN, false)          \
	X(DB_QUERY, false)        \
	X(DB_NEXT, false)         \
	X(DB_DUMP, false)         \
	X(DB_DUMP_NEXT, false)    \
	X(ADMIN_OPEN, false)      \
	X(ADMIN_TOPIC, false)     \
	X(ADMIN_ENSURE, true)     \
	X(ADMIN_MARKS, false)     \
	X(ADMIN_LIST, false)      \
	X(CONSUMER_OPEN, false)   \
	X(CONSUMER_ASSIGN, false) \
	X(CONSUMER_POLL, false)   \
	X(PRODUCER_OPEN, true)    \
	X(PRODUCER_BEGIN, true)   \
	X(PRODUCER_SEND, true)    \
	X(PRODUCER_LATER, false)  \
	X(PRODUCER_FLUSH, true)   \
	X(PRODUCER_COMMIT, true)

enum script_call {
#define X(name, effect) SCRIPT_##name,
	SCRIPT_CALLS(X)
#undef X
};
#define SCRIPT_CALL_COUNT (SCRIPT_PRODUCER_COMMIT + 1)

/* PRODUCER_LATER: a send that is taken, and fails when it is delivered. */

enum script_mode {
	SCRIPT_BEFORE, /* the call fails and had no effect */
	SCRIPT_AFTER,  /* it had its effect, but says that it failed */
	SCRIPT_CRASH,  /* as BEFORE, and nothing works any more until script_fault_heal() */
};

const char *script_call_name(enum script_call call);
bool script_call_has_effect(enum script_call call);

/* Counts from zero again; no fault is armed. The caller becomes the thread whose calls count. */
void script_fault_reset(void);
void script_fault_arm(enum script_call call, int64_t number, enum script_mode mode,
		      enum err_kind kind);
void script_fault_heal(void);
int64_t script_fault_count(enum script_call call);
bool script_fault_struck(void);
bool script_fault_dead(void);   /* a crash: what was open stays open */
bool script_fault_counts(void); /* this thread is the one whose calls count */

/* Before the effect of a call. -1: it fails so. `counted` false: 0. */
int script_fault_before(enum script_call call, bool counted, struct err *e);
/* Behind its effect. */
int script_fault_after(enum script_call call, bool counted, struct err *e);

#endif
