/* source_check.h - is this server set up so that it can be captured? */
#ifndef CDC_CAPTURE_SOURCE_CHECK_H
#define CDC_CAPTURE_SOURCE_CHECK_H

#include "core/mysql/db.h"

struct source_finding {
	bool fatal; /* capture refuses to start; else worth knowing */
	char *what; /* "binlog_format is MIXED" */
	char *mend; /* the statement or setting that mends it */
};

/* All findings at once; none is fine. Fails only when the server could not be asked. */
int source_check(const struct settings *settings, struct db *db,
		 struct source_finding **ret_findings, size_t *ret_count, struct err *e);
/* Its binlog names columns (binlog_row_metadata = FULL). Otherwise shapes come from
 * information_schema: catalog mode. */
int source_names_columns(struct db *db, bool *ret_names, struct err *e);
void source_findings_free(struct source_finding *findings, size_t count);
/* 0 when no finding is fatal; else ERR_CONFIG that holds all that are. */
int source_findings_refuse(const struct source_finding *findings, size_t count, struct err *e);

#endif
