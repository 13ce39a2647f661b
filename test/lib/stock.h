/* stock.h - a view "stock" over a made-up history (script_feed.h), with its state folder, for tests
 * of replays and what belongs to them.
 *
 * One rule holds all the time, and stock_check() holds the rows against it: what a version shows
 * equals its own definition applied to the history up to the seq that the version names. */
#pragma once

#include "projections/host/host.h"
#include "test/lib/script_feed.h"

extern struct script stock_script;
extern struct settings stock_settings;
extern const char *stock_dir;

void stock_setup(void);
void stock_teardown(void);
/* The view's folder; `changed`: the definition that adds 1,000,000 to each value. */
void stock_write(bool changed);
void stock_grow(int transactions);
struct host *stock_host(void);
/* Waits until the phase is there (or failed, which is returned too). live 0: any. */
enum host_phase stock_await(struct host *h, enum host_phase phase, int live);
/* Reads the public name in one transaction and holds it against the history. Returns its seq. */
int64_t stock_check(int *ret_version);
void stock_await_applied(int64_t seq);
