/* fault.h - named places in the code where the fault tests can stop the process, and mistakes that
 * they can build in.
 *
 *   FAULT(name)   make FAULTS=1: counts the pass in the file that MILLRACE_FAULT_FILE names, and
 *                 stops the process (SIGSTOP, all its threads) when that file asks for it there.
 *                 The tests then kill it, or something else, and let it go on.
 *   FAULT_SLOW(name)  the same builds: each pass takes as many milliseconds as the slot's `armed`
 *                 says.
 *   BUG(name)     make BUG=name: true for that name. One deliberate mistake each, to show that the
 *                 fault tests find it (make faults-prove).
 *
 * In any other build both are nothing: no code, no branch, no symbol.
 *
 * The file is an array of struct fault_slot, slot 0 for the process as a whole: there `passes` is
 * the number of the slot passed last and `armed` the slot the process stopped in. The tests may
 * make a slot before it is passed for the first time. */
#ifndef CORE_BASE_FAULT_H
#define CORE_BASE_FAULT_H

#include <stdint.h>

#define FAULT_SLOTS 64
#define FAULT_NAME_SIZE 48

struct fault_slot {
	char name[FAULT_NAME_SIZE];
	uint64_t passes; /* so far */
	uint64_t armed;  /* stop at this pass or the next one behind it; 0: never */
};

#ifdef MILLRACE_FAULTS
void fault_pass(struct fault_slot **slot, const char *name);
#define FAULT(name)                                        \
	do {                                               \
		static struct fault_slot *fault_slot_here; \
		fault_pass(&fault_slot_here, #name);       \
	} while (0)
void fault_slow(struct fault_slot **slot, const char *name);
#define FAULT_SLOW(name)                                   \
	do {                                               \
		static struct fault_slot *fault_slot_here; \
		fault_slow(&fault_slot_here, #name);       \
	} while (0)
#else
#define FAULT(name) ((void)0)
#define FAULT_SLOW(name) ((void)0)
#endif

#ifdef MILLRACE_BUG
#include <string.h>
#define FAULT_TEXT_OF(bug) #bug
#define FAULT_TEXT(bug) FAULT_TEXT_OF(bug)
#define BUG(name) (strcmp(FAULT_TEXT(MILLRACE_BUG), #name) == 0)
#else
#define BUG(name) 0
#endif

#endif
