/* verify.h - is a view right: its tables against the same question asked of the source, at one GTID
 * (DESIGN 5.4).
 *
 * The view is held; an exact snapshot of the source is opened, whose GTID set G is known
 * (verify_snapshot.h); the view is advanced to exactly G, a read snapshot of its version is taken,
 * and the view released: it stands still for some milliseconds. Then the SELECTs of source.sql run
 * in the source's snapshot, and rows are compared by key. The answer is sorted in a temporary
 * SQLite file, so memory stays bounded. */
#ifndef PROJECTIONS_REPLAY_VERIFY_H
#define PROJECTIONS_REPLAY_VERIFY_H

#include "core/base/settings.h"
#include "projections/replay/compare.h"

/* The hold on the version that is verified: in this process, or asked of the daemon that owns it.
 */
struct verify_control {
	/* Holds; *ret_gtid_set (malloced): where the version stands. ERR_CONFIG when the view is
	 * incomplete. */
	int (*hold)(void *context, char **ret_gtid_set, struct err *e);
	int (*advance)(void *context, const char *gtid_set, struct err *e);
	void (*release)(void *context);
	void *context;
};

struct verify_options {
	const struct settings *settings;
	struct store *store;
	int version;
	const struct view *view; /* the version's own definition, with the questions to ask */
	struct verify_control control;
	/* May be NULL: which table, rows read of the source so far. false stops. */
	bool (*progress)(void *context, const char *table, int64_t rows);
	void *context;
};

struct verify_result {
	struct compare *compare; /* left: view, right: source */
	char *gtid_set;
	int64_t seq;
	int version;
};

/* ERR_CONFIG: no question for any table, or one the source refuses; ERR_RETRY: source or view out
 * of reach. */
int verify_run(const struct verify_options *options, struct verify_result *ret_result,
	       struct err *e);
void verify_result_done(struct verify_result *r);
/* {"view":..,"version":..,"gtid_set":..,"seq":..,"compare":{as compare_json}} */
void verify_json(const char *view, const struct verify_result *r, struct buf *out);

#endif
