/* mysql_writer.c - MySQL's events, written from the descriptions in its manual and headers. */
#include "test/lib/mysql_writer.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define HEADER_SIZE 19

enum {
	QUERY = 2,
	ROTATE = 4,
	FORMAT = 15,
	XID = 16,
	TABLE_MAP = 19,
	GTID = 33,
	ANONYMOUS = 34,
	XA_PREPARE = 38,
	UPDATE_ROWS = 31,
	DELETE_ROWS = 32,
	PAYLOAD = 40,
	TAGGED = 42
};

void writer_done(struct writer *w)
{
	buf_done(&w->out);
}

void writer_le(struct buf *b, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		buf_add_u8(b, (uint8_t)(v >> 8 * i));
}

void writer_lenenc(struct buf *b, uint64_t v)
{
	if (v < 251) {
		buf_add_u8(b, (uint8_t)v);
	} else if (v < 1 << 16) {
		buf_add_u8(b, 252);
		writer_le(b, v, 2);
	} else if (v < 1 << 24) {
		buf_add_u8(b, 253);
		writer_le(b, v, 3);
	} else {
		buf_add_u8(b, 254);
		writer_le(b, v, 8);
	}
}

/* n bytes hold 7n bits, nine hold 64: the number of ones at the low end of the first byte, then a
 * zero, then the number. */
void writer_varlen(struct buf *b, uint64_t v)
{
	int n = 1;

	while (n < 9 && v >> 7 * n != 0)
		n++;
	if (n == 9) {
		buf_add_u8(b, 0xff);
		writer_le(b, v, 8);
		return;
	}
	writer_le(b, v << n | ((UINT64_C(1) << (n - 1)) - 1), n);
}

void writer_event(struct writer *w, uint8_t type, uint16_t flags, struct slice body)
{
	size_t from = w->out.size, size = HEADER_SIZE + body.size + (w->bare ? 0 : 4);
	bool artificial = (flags & 0x20) != 0 || w->hidden;

	writer_le(&w->out, 1700000000, 4);
	writer_le(&w->out, type, 1);
	writer_le(&w->out, 77, 4);
	writer_le(&w->out, size, 4);
	writer_le(&w->out, artificial ? 0 : w->position + size, 4);
	writer_le(&w->out, flags, 2);
	buf_add_slice(&w->out, body);
	if (!artificial)
		w->position += size;
	if (!w->bare)
		writer_le(&w->out, crc32(0, w->out.data + from, (uInt)(w->out.size - from)), 4);
}

void writer_begin(struct writer *w, const char *file, uint64_t position, bool checksums)
{
	struct buf body = BUF_INIT;

	writer_le(&body, position, 8);
	buf_add_str(&body, file);
	w->bare = !checksums;
	writer_event(w, ROTATE, 0x20, buf_slice(&body));
	w->position = position;
	w->hidden = position > 4;
	buf_reset(&body);
	writer_le(&body, 4, 2);
	buf_add_str(&body, "8.0.31");
	while (body.size < 52)
		buf_add_u8(&body, 0);
	writer_le(&body, w->hidden ? 0 : 1700000000, 4);
	writer_le(&body, HEADER_SIZE, 1);
	for (int type = 1; type <= 42; type++)
		buf_add_u8(&body, type == TABLE_MAP ? 8 : 0);
	buf_add_u8(&body, checksums);
	if (!checksums) /* room for one all the same */
		writer_le(&body, 0, 4);
	writer_event(w, FORMAT, 0, buf_slice(&body));
	w->hidden = false;
	buf_done(&body);
}

void writer_gtid_body(struct buf *b, const struct gtid_range *id, enum writer_gtid fields,
		      uint64_t commit_us)
{
	static const struct gtid_range none;

	id = id != NULL ? id : &none;
	writer_le(b, 1, 1);
	buf_add(b, id->uuid, sizeof(id->uuid));
	writer_le(b, id->first, 8);
	if (fields == WRITER_56)
		return;
	writer_le(b, 2, 1);
	writer_le(b, 5, 8);
	writer_le(b, 6, 8);
	if (fields == WRITER_57)
		return;
	if (fields == WRITER_80_REPLICATED)
		writer_le(b, 1234567 | UINT64_C(1) << 55, 7);
	writer_le(b, commit_us, 7);
	writer_lenenc(b, 300);
	writer_le(b, 80031, 4);
}

void writer_tagged_body(struct buf *b, const struct gtid_range *id, uint64_t commit_us,
			uint64_t original_us)
{
	struct buf fields = BUF_INIT;
	size_t size;

	for (uint64_t field = 0; field < 12; field++) {
		if ((field == 7 && original_us == 0) || field == 10 || field == 11)
			continue;
		writer_varlen(&fields, field);
		switch (field) {
		case 1:
			for (size_t i = 0; i < sizeof(id->uuid); i++)
				writer_varlen(&fields, id->uuid[i]);
			break;
		case 2:
			writer_varlen(&fields, id->first << 1);
			break;
		case 3:
			writer_varlen(&fields, strlen(id->tag));
			buf_add_str(&fields, id->tag);
			break;
		case 6:
			writer_varlen(&fields, commit_us);
			break;
		case 7:
			writer_varlen(&fields, original_us);
			break;
		case 8:
			writer_varlen(&fields, 400);
			break;
		default:
			writer_varlen(&fields, field * 1000);
		}
	}
	writer_varlen(b, 1);
	/* the size counts itself */
	size = fields.size + 2 + (fields.size + 3 < 128 ? 1 : 2);
	writer_varlen(b, size);
	writer_varlen(b, 0);
	buf_add_slice(b, buf_slice(&fields));
	buf_done(&fields);
}

void writer_gtid(struct writer *w, const struct gtid_range *id)
{
	struct buf body = BUF_INIT;
	bool tagged = id != NULL && id->tag[0] != '\0';

	if (tagged)
		writer_tagged_body(&body, id, 1700000000123456, 0);
	else
		writer_gtid_body(&body, id, WRITER_80, 1700000000123456);
	writer_event(w, tagged ? TAGGED : id == NULL ? ANONYMOUS : GTID, 0, buf_slice(&body));
	buf_done(&body);
}

void writer_query(struct writer *w, const char *db, const char *text)
{
	struct buf body = BUF_INIT;

	writer_le(&body, 9, 4);
	writer_le(&body, 0, 4);
	writer_le(&body, strlen(db), 1);
	writer_le(&body, 0, 2);
	writer_le(&body, 3, 2);
	buf_add_str(&body, "xyz");
	buf_add_str(&body, db);
	buf_add_u8(&body, 0);
	buf_add_str(&body, text);
	writer_event(w, QUERY, 0, buf_slice(&body));
	buf_done(&body);
}

void writer_xid(struct writer *w)
{
	writer_event(w, XID, 0, slice_of("\1\2\3\4\5\6\7\10", 8));
}

void writer_xa_prepare(struct writer *w, bool one_phase, const char *gtrid, const char *bqual)
{
	struct buf body = BUF_INIT;

	writer_le(&body, one_phase, 1);
	writer_le(&body, 1, 4);
	writer_le(&body, strlen(gtrid), 4);
	writer_le(&body, strlen(bqual), 4);
	buf_add_str(&body, gtrid);
	buf_add_str(&body, bqual);
	writer_event(w, XA_PREPARE, 0, buf_slice(&body));
	buf_done(&body);
}

void writer_table_map(struct writer *w, uint64_t id, const char *table)
{
	struct buf body = BUF_INIT;

	writer_le(&body, id, 6);
	writer_le(&body, 1, 2);
	buf_add(&body, "\1t", 3);
	writer_le(&body, strlen(table), 1);
	buf_add(&body, table, strlen(table) + 1);
	buf_add(&body, "\2\3\3", 3); /* two INT */
	buf_add(&body, "\0", 1);     /* no metadata */
	buf_add(&body, "\2", 1);     /* v may be NULL */
	buf_add(&body, "\1\1\0", 3);
	buf_add(&body, "\4\5\2id\1v", 7);
	buf_add(&body, "\10\1\0", 3);
	writer_event(w, TABLE_MAP, 0, buf_slice(&body));
	buf_done(&body);
}

static void add_image(struct buf *b, int32_t id, int32_t v)
{
	buf_add_u8(b, 0);
	writer_le(b, (uint32_t)id, 4);
	writer_le(b, (uint32_t)v, 4);
}

void writer_row(struct writer *w, uint8_t type, uint64_t table_id, int32_t id, int32_t v,
		int32_t after, size_t extra)
{
	struct buf body = BUF_INIT;

	writer_le(&body, table_id, 6);
	writer_le(&body, 1, 2);
	writer_le(&body, 2 + extra, 2);
	for (size_t i = 0; i < extra; i++)
		buf_add_u8(&body, (uint8_t)i);
	buf_add(&body, "\2\3", 2);
	if (type == UPDATE_ROWS)
		buf_add_u8(&body, 3);
	add_image(&body, id, v);
	if (type == UPDATE_ROWS)
		add_image(&body, id, after);
	writer_event(w, type, 0, buf_slice(&body));
	buf_done(&body);
}

void writer_payload_body(struct buf *b, struct slice inner, int level)
{
	size_t most = ZSTD_compressBound(inner.size);
	void *packed = malloc(most + 1);
	struct slice bytes = inner;
	struct buf number = BUF_INIT;

	if (level > 0)
		bytes = slice_of(packed,
				 ZSTD_compress(packed, most, inner.data, inner.size, level));
	const uint64_t fields[][2] = { { 2, level > 0 ? 0 : 255 },
				       { 3, inner.size },
				       { 9, 12345 }, /* a field that nobody knows yet */
				       { 1, bytes.size } };
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		buf_reset(&number);
		writer_lenenc(&number, fields[i][1]);
		writer_lenenc(b, fields[i][0]);
		writer_lenenc(b, number.size);
		buf_add_slice(b, buf_slice(&number));
	}
	writer_lenenc(b, 0);
	buf_add_slice(b, bytes);
	buf_done(&number);
	free(packed);
}

void writer_payload(struct writer *w, struct slice inner, int level)
{
	struct buf body = BUF_INIT;

	writer_payload_body(&body, inner, level);
	writer_event(w, PAYLOAD, 0, buf_slice(&body));
	buf_done(&body);
}
