/* dump.h - files to JSON lines, or to counts: all of `millrace decode` but its command line. */
#ifndef CDC_DECODE_DUMP_H
#define CDC_DECODE_DUMP_H

#include "cdc/decode/range.h"
#include "cdc/decode/stats.h"

#include <stdio.h>

enum dump_what { DUMP_CHANGES, DUMP_EVENTS, DUMP_STATS };

struct dump_opts {
	char *const *files; /* in their order; "-" is stdin */
	size_t file_count;
	char *const *tables; /* patterns as in capture.tables; count 0: all */
	size_t table_count;
	enum dump_what what;
	struct range range; /* its file names are filled in here */
	FILE *out;          /* lines; DUMP_STATS: nothing */
	FILE *progress;     /* NULL: none */
};

/* Stops at the first mistake; what came before is written then. stats: of DUMP_STATS, else NULL. */
int dump_files(struct dump_opts *opts, struct stats *stats, struct err *e);

#endif
