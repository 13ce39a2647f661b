/* view_access.h - a view for verbs: through the daemon that owns it, or, without one, in this
 * process with the same code. */
#ifndef CLI_VIEW_ACCESS_H
#define CLI_VIEW_ACCESS_H

#include "core/base/buf.h"
#include "core/base/settings.h"
#include "projections/host/host.h"
#include "projections/verify/verify.h"

#include <jansson.h>

struct view_access;

/* Who has the view's lease is asked; nobody: this process takes it (and connects to Kafka). */
int view_access_open(const struct settings *settings, const char *view,
		     struct view_access **ret_access, struct err *e);
void view_access_close(struct view_access *a); /* NULL is fine */
bool view_access_is_remote(const struct view_access *a);
/* The state as host_json writes it; caller decrefs. */
int view_access_get(struct view_access *a, json_t **ret_state, struct err *e);
/* The same with the bytes that each version takes: the store is asked. */
int view_access_get_sizes(struct view_access *a, json_t **ret_state, struct err *e);
/* *ret_state: as it is right after the job was begun; its job names the version. The caller
 * decrefs. */
int view_access_replay(struct view_access *a, const struct host_replay_options *options,
		       json_t **ret_state, struct err *e);
int view_access_swap(struct view_access *a, bool force, json_t **ret_state, struct err *e);
int view_access_rollback(struct view_access *a, bool force, json_t **ret_state, struct err *e);
int view_access_drop(struct view_access *a, int version, struct err *e);
/* Parked records of a version (0: the live one); *ret_result: {"applied":N,"left":N}. */
int view_access_parked(struct view_access *a, int version, const struct worker_parked_ask *ask,
		       json_t **ret_result, struct err *e);
/* Holds for verify_run, on `version` (0: live). *ret_control is valid while a is open. */
void view_access_control(struct view_access *a, int version, struct verify_control *ret_control);
void view_access_verified(struct view_access *a, const char *gtid_set, int64_t rows,
			  int64_t differences);

/* Prints the tables and samples of a compare_json object to stdout; left and right are the sides'
 * names for people. */
void view_print_compare(const json_t *compare, const char *left, const char *right);

/* order = partition: a version's shares (worker_shares) as a table, one for each partition; nothing
 * when there are none. */
void view_print_shares(const json_t *version, size_t indent, FILE *out);
/* The same in a line for each member. */
void view_print_members(const json_t *version, int indent, FILE *out);

#endif
