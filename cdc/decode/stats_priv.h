/* stats_priv.h - what stats.c counts and stats_print.c prints. */
#ifndef CDC_DECODE_STATS_PRIV_H
#define CDC_DECODE_STATS_PRIV_H

#include "cdc/decode/stats.h"

#include <uthash.h>

#define STATS_OPS 3  /* enum rows_kind */
#define STATS_ENDS 6 /* enum walk_end */

struct stats_count {
	uint64_t events, bytes;
};

struct stats_table {
	UT_hash_handle hh;
	uint64_t rows[STATS_OPS];
	uint64_t bytes; /* of its row events */
	const char *table;
	char name[]; /* database, NUL, table, NUL */
};

struct stats_largest {
	char *file; /* NULL: there was none */
	struct walk_transaction transaction;
};

struct stats {
	uint64_t files, statements, anonymous;
	struct stats_count all, types[256];
	struct stats_table *tables, *last;
	uint64_t rows[STATS_OPS], ends[STATS_ENDS];
	struct gtid_set gtids; /* MySQL: those seen; MariaDB: the last one of each domain */
	char first_gtid[GTID_ID_SIZE], last_gtid[GTID_ID_SIZE];
	struct stats_largest largest_bytes, largest_rows;
	int64_t first_us, last_us;
};

#endif
