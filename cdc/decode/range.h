/* range.h - which part of the binlog is asked for: `decode --from A --to B`.
 *
 * A and B are positions, as everywhere: --from A leaves out what A contains, --to B leaves out what
 * B doesn't contain. They may be of different kinds:
 *
 *   0-1-5,1-2-7                  MariaDB's: every GTID of a domain up to its sequence; domains that
 *                                are not named are not contained
 *   3e11fa47-...:1-5             MySQL's set of GTIDs
 *   binlog.000003:1234           a place: what ends there or before, in this file and those before
 *   1234                         the same; --from: in the first file given, --to: in the last
 *   2026-11-21T22:46:44Z         a time: transactions before it. A blank for the T, a fraction, and
 *                                no Z are fine; it is UTC always
 *
 * Places choose events; everything else whole transactions. Files are compared by their names. */
#ifndef CDC_DECODE_RANGE_H
#define CDC_DECODE_RANGE_H

#include "cdc/decode/walk.h"

struct range_end {
	enum { RANGE_NONE, RANGE_GTIDS, RANGE_PLACE, RANGE_OFFSET, RANGE_TIME } kind;
	struct gtid_set gtids; /* RANGE_PLACE too */
	uint64_t offset;
	int64_t time_us;
};

/* Zeroed memory is everything. */
struct range {
	struct range_end from, to;
	const char *first_file, *last_file; /* names: for offsets */
};

/* files: those to be read, which may have any names in a place; else it must be numbered.
 * ERR_CONFIG with exit code 2: it is none of the above. */
int range_end_parse(const char *text, char *const *files, size_t file_count,
		    struct range_end *ret_end, struct err *e);
/* The name of a file without its folders; "stdin" for "-". */
const char *range_file_name(const char *path);
void range_done(struct range *r);
/* Where to begin in this file: an offset, or 0: at its beginning. UINT64_MAX: nothing in it is
 * wanted. */
uint64_t range_begin(const struct range *r, const char *file);
/* No event from here on, in this file or a later one, is wanted. */
bool range_is_over(const struct range *r, const char *file, uint64_t at);
/* ERR_DATA: a transaction without GTID, where GTIDs are asked for. */
int range_wants(const struct range *r, const char *file, const struct walk_event *ev,
		bool *ret_wanted, struct err *e);

#endif
