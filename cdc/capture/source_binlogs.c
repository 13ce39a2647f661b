/* source_binlogs.c - SHOW BINARY LOGS, and the head of one file by SHOW BINLOG EVENTS, or as a
 * stream. */
#include "cdc/capture/source_binlogs.h"

#include "cdc/binlog/event.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* What says where a file begins stands behind the format description, and START_ENCRYPTION if any
 */
#define HEAD_ROWS 5

static int64_t number(struct slice text)
{
	char digits[24] = "";

	if (text.data != NULL && text.size < sizeof(digits))
		memcpy(digits, text.data, text.size);
	return strtoll(digits, NULL, 10);
}

int source_binlogs_read(struct db *db, const char *file, struct source_binlogs *ret_binlogs,
			struct err *e)
{
	struct source_binlogs b = { .has_file = false };
	struct db_result *result = NULL;
	const struct slice *row;
	int rc;

	if (db_query(db, "SHOW BINARY LOGS", &result, e) < 0)
		return -1;
	while ((rc = db_next(result, &row, e)) == 1) {
		if (b.first[0] == '\0')
			(void)snprintf(b.first, sizeof(b.first), "%.*s", (int)row[0].size,
				       (const char *)row[0].data); /* names are shorter */
		if (!slice_is(row[0], file))
			continue;
		b.has_file = true;
		b.file_size = db_column_count(result) > 1 ? number(row[1]) : 0;
	}
	db_result_free(result);
	if (rc == 0)
		*ret_binlogs = b;
	return rc;
}

int source_binlogs_info(struct db *db, const char *file, const char *type, char **ret_info,
			struct err *e)
{
	struct db_result *result = NULL;
	struct buf sql = BUF_INIT;
	const struct slice *row;
	char *info = NULL;
	int rc;

	buf_add_str(&sql, "SHOW BINLOG EVENTS IN ");
	db_quote(slice_str(file), &sql);
	buf_add_format(&sql, " LIMIT %d", HEAD_ROWS);
	rc = db_query(db, buf_cstr(&sql), &result, e);
	buf_done(&sql);
	if (rc < 0)
		return -1;
	while ((rc = db_next(result, &row, e)) == 1)
		if (info == NULL && slice_is(row[2], type))
			info = xstrndup((const char *)row[5].data, row[5].size);
	db_result_free(result);
	if (rc < 0) {
		free(info);
		return -1;
	}
	*ret_info = info != NULL ? info : xstrdup("");
	return 0;
}

#define HEAD_OFFSET 4 /* behind the magic number */
#define HEAD_EVENTS 10

int source_binlogs_created(const struct settings *settings, const char *file, uint32_t *ret_created,
			   struct err *e)
{
	struct db_dump_options options = { .file = file,
					   .offset = HEAD_OFFSET,
					   .heartbeat_ms = settings->source_read_timeout_ms / 4 };
	struct event_header header = { 0 };
	struct db *db = NULL;
	struct slice packet;
	int rc = db_open(settings, DB_TEXT_UTF8, &db, e) < 0 ? -1 : db_dump(db, &options, e);

	for (int i = 0; rc == 0 && header.type != EVENT_FORMAT_DESCRIPTION; i++) {
		rc = db_dump_next(db, &packet, e);
		if (rc == 0)
			rc = event_header_read(packet, &header, e);
		if (rc == 0 && i == HEAD_EVENTS)
			rc = err_data(e, "binlog file %s begins without a format description",
				      file);
	}
	db_close(db);
	if (rc == 0)
		*ret_created = header.timestamp;
	return rc;
}
