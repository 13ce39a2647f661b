/* mysql_writer.h - binlog events as MySQL writes them, made for tests by a writer that shares
 * nothing with the decoders but the numbers of event types.
 *
 * A writer is a stream of events in one file: each is appended with its checksum, unless the writer
 * is `bare` (inside of a payload events have none). */
#ifndef TEST_LIB_MYSQL_WRITER_H
#define TEST_LIB_MYSQL_WRITER_H

#include "core/base/buf.h"
#include "core/base/gtid_ranges.h"

#include <stdbool.h>

struct writer {
	struct buf out;
	bool bare;
	bool hidden;       /* what is written stands in no file */
	uint64_t position; /* of the next event in its file */
};

void writer_done(struct writer *w);
void writer_le(struct buf *b, uint64_t v, int bytes);
void writer_lenenc(struct buf *b, uint64_t v);
/* MySQL's serialization library: a number of 1 to 9 bytes. */
void writer_varlen(struct buf *b, uint64_t v);

void writer_event(struct writer *w, uint8_t type, uint16_t flags, struct slice body);
/* ROTATE as the server sends it before anything else, then FORMAT_DESCRIPTION. position: where in
 * the file it begins to send; beyond 4, the FORMAT_DESCRIPTION does not count. */
void writer_begin(struct writer *w, const char *file, uint64_t position, bool checksums);

/* fields: how much of the body a server of some version writes. */
enum writer_gtid { WRITER_56, WRITER_57, WRITER_80, WRITER_80_REPLICATED };
void writer_gtid_body(struct buf *b, const struct gtid_range *id, enum writer_gtid fields,
		      uint64_t commit_us);
void writer_tagged_body(struct buf *b, const struct gtid_range *id, uint64_t commit_us,
			uint64_t original_us);
void writer_gtid(struct writer *w,
		 const struct gtid_range *id); /* plain or tagged; NULL: anonymous */
void writer_query(struct writer *w, const char *db, const char *text);
void writer_xid(struct writer *w);
void writer_xa_prepare(struct writer *w, bool one_phase, const char *gtrid, const char *bqual);
/* Table t.TABLE of two INT columns id (key) and v, with full metadata. */
void writer_table_map(struct writer *w, uint64_t id, const char *table);
/* One row; type EVENT_WRITE_ROWS, EVENT_UPDATE_ROWS (v becomes after) or EVENT_DELETE_ROWS. extra:
 * bytes of extra data. */
void writer_row(struct writer *w, uint8_t type, uint64_t table_id, int32_t id, int32_t v,
		int32_t after, size_t extra);
/* The payload's fields and `inner` packed by zstd (level 0: not packed), as one body. */
void writer_payload_body(struct buf *b, struct slice inner, int level);
void writer_payload(struct writer *w, struct slice inner, int level);

#endif
