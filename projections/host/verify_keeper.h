/* verify_keeper.h - views verified again and again, in the daemon that serves them
 * (`verify_every`).
 *
 * One thread of low priority, one view at a time, at most project.verify_rate rows a second, over
 * a connection of its own that is closed in between. What it finds is the view's `verified`
 * (host_set_verified()); a difference is a warning in the log. What keeps it from verifying
 * (source away, a question it refuses) is logged once, counted, and tried again: it harms
 * nobody. */
#ifndef PROJECTIONS_HOST_VERIFY_KEEPER_H
#define PROJECTIONS_HOST_VERIFY_KEEPER_H

#include "projections/host/host.h"

struct verify_keeper;

/* The hosts outlive it. */
int verify_keeper_start(const struct settings *settings, struct host *const *hosts, size_t count,
			struct verify_keeper **ret_keeper, struct err *e);
void verify_keeper_stop(struct verify_keeper *k); /* NULL is fine; before the hosts are closed */

#endif
