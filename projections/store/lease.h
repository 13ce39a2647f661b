/* lease.h - one process at a time owns a view: it writes its versions and moves its public name.
 *
 * A file views/VIEW/lease in the state folder, locked while the process lives (the kernel drops the
 * lock with the process, so there is nothing to clean up after a crash). Its text names the owner,
 * for people and for the verbs that talk to it. */
#ifndef PROJECTIONS_STORE_LEASE_H
#define PROJECTIONS_STORE_LEASE_H

#include "core/base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct lease;

struct lease_owner {
	pid_t pid;
	char http[256]; /* host:port of its API; "" when it has none */
};

/* ERR_CONFIG naming pid and address when another process has it, and keeps it for wait_ms. A stop
 * that is asked for ends the wait. */
int lease_take(const char *state_dir, const char *view, int64_t wait_ms, struct lease **ret_lease,
	       struct err *e);
int lease_set_http(struct lease *l, const char *http, struct err *e);
void lease_free(struct lease *l); /* NULL is fine */
/* Who owns the view now: true and *ret_owner, or false: nobody. Takes nothing. */
bool lease_find(const char *state_dir, const char *view, struct lease_owner *ret_owner);

#endif
