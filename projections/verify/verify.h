/* verify.h - is a view right: its tables against the same question asked of the source, each piece
 * at one GTID (DESIGN 5.4).
 *
 * For a piece the view is held; an exact snapshot of the source is opened, whose GTID set G is
 * known (verify_snapshot.h); the view is advanced to exactly G, a read snapshot of its version is
 * taken, and the view released: it stands still for some milliseconds. Then the SELECT of
 * source.sql runs in the source's snapshot, for the rows behind the last piece's, and rows are
 * compared by key. A pair of snapshots is used for as many pieces as fit into half a second: a
 * small view is verified at one GTID, a large one at several, and no table of the source is kept
 * from an ALTER for longer. What can't be asked in pieces is read whole, and gives way when
 * somebody waits for a table.
 *
 * A row that differs is looked at again at a later GTID. When it doesn't differ any more it was
 * late, and is counted apart. */
#ifndef PROJECTIONS_VERIFY_VERIFY_H
#define PROJECTIONS_VERIFY_VERIFY_H

#include "core/base/settings.h"
#include "projections/verify/compare.h"

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
	int64_t rate; /* rows a second at most; 0: as fast as it goes */
	/* May be NULL: which table, rows compared so far. false stops. Also called while waiting,
	 * several times a second. */
	bool (*progress)(void *context, const char *table, int64_t rows);
	void *context;
};

struct verify_result {
	struct compare *compare;         /* left: view, right: source */
	char *first_gtid_set, *gtid_set; /* of the first piece and of the last */
	int64_t seq;                     /* of the last */
	int version;
	int64_t snapshots, pieces;
	int64_t gave_way; /* reads that were ended because somebody waited for a table */
	int64_t took_us;
};

/* ERR_CONFIG: no question for any table, or one the source refuses; ERR_RETRY: source or view out
 * of reach. */
int verify_run(const struct verify_options *options, struct verify_result *ret_result,
	       struct err *e);
void verify_result_done(struct verify_result *r);
/* {"view":..,"version":..,"gtid_set":..,"seq":..,"first_gtid_set":..,"snapshots":N,"pieces":N,
 *  "gave_way":N,"rows":N,"missing":N,"extra":N,"changed":N,"late":N,"seconds":..,
 *  "rows_per_second":..,"compare":{as compare_json}}; missing: rows that the view lacks. */
void verify_json(const char *view, const struct verify_result *r, struct buf *out);

/* A version (0: the live one) with its own definition, ready to be verified. source_file: its
 * questions instead of the definition's, or NULL. ERR_CONFIG: there is no live version. */
int verify_find(struct store *store, const char *name, int version, const char *source_file,
		int *ret_version, struct view **ret_view, struct err *e);

#endif
