/* script_binlog.c - writes binlogs for tests: real FORMAT_DESCRIPTION and TABLE_MAP events out of a
 * recorded file, the rest made here, with right sizes, positions and checksums. */
#include "cdc/binlog/event.h"
#include "core/base/mem.h"
#include "test/script/script.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define MAGIC_SIZE 4
#define SERVER_ID 1
#define TIME 1700000000

static void put(struct buf *b, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		buf_add_u8(b, (uint8_t)(v >> (8 * i)));
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void note(struct script_binlog *b, size_t at)
{
	if (b->count == b->capacity) {
		b->capacity = b->capacity * 2 + 64;
		b->events = xrealloc(b->events, b->capacity * sizeof(*b->events));
	}
	b->events[b->count++] = (struct script_event){ at, b->bytes.size - at, b->gtid };
}

void script_event(struct script_binlog *b, uint8_t type, const void *body, size_t size)
{
	size_t at = b->bytes.size, whole = EVENT_HEADER_SIZE + size + EVENT_CHECKSUM_SIZE;

	b->log_pos += (uint32_t)whole;
	put(&b->bytes, TIME, 4);
	put(&b->bytes, type, 1);
	put(&b->bytes, SERVER_ID, 4);
	put(&b->bytes, whole, 4);
	put(&b->bytes, b->log_pos, 4);
	put(&b->bytes, 0, 2);
	buf_add(&b->bytes, body, size);
	put(&b->bytes, crc32(0, b->bytes.data + at, (uInt)(b->bytes.size - at)), 4);
	note(b, at);
}

/* Database and table stand behind the table id (6), flags (2): length, bytes, zero, twice. */
static bool is_map_of(struct slice body, const char *table)
{
	size_t db = body.data[8], at = 8 + 1 + db + 1;

	return body.data[at] == strlen(table) &&
	       memcmp(body.data + at + 1, table, strlen(table)) == 0;
}

void script_binlog_init(struct script_binlog *b, const char *path, const char *table)
{
	struct buf file = BUF_INIT;
	FILE *in = fopen(path, "rb");
	size_t n;

	ck_assert_msg(in != NULL, "%s: run it at the top of the tree", path);
	while ((n = fread(buf_reserve(&file, 65536), 1, 65536, in)) > 0)
		file.size += n;
	fclose(in);
	*b = (struct script_binlog){ .log_pos = MAGIC_SIZE };
	for (size_t at = MAGIC_SIZE; at < file.size && b->table_map.size == 0;) {
		size_t size = get32(file.data + at + 9);
		struct slice body = slice_of(file.data + at + EVENT_HEADER_SIZE,
					     size - EVENT_HEADER_SIZE - EVENT_CHECKSUM_SIZE);

		if (at == MAGIC_SIZE) {
			buf_add(&b->bytes, file.data + at, size);
			b->log_pos += (uint32_t)size;
			note(b, 0);
		} else if (file.data[at + 4] == EVENT_TABLE_MAP && is_map_of(body, table)) {
			buf_add_slice(&b->table_map, body);
		}
		at += size;
	}
	ck_assert_msg(b->table_map.size > 0, "%s has no table %s", path, table);
	buf_done(&file);
}

void script_binlog_done(struct script_binlog *b)
{
	buf_done(&b->bytes);
	buf_done(&b->table_map);
	free(b->events);
}

void script_seal(uint8_t *event, size_t size)
{
	uint32_t crc;

	for (int i = 0; i < 4; i++)
		event[9 + i] = (uint8_t)(size >> (8 * i));
	crc = (uint32_t)crc32(0, event, (uInt)(size - EVENT_CHECKSUM_SIZE));
	for (int i = 0; i < 4; i++)
		event[size - 4 + (size_t)i] = (uint8_t)(crc >> (8 * i));
}

struct slice script_packet(const struct script_binlog *b, size_t i)
{
	return slice_of(b->bytes.data + b->events[i].at, b->events[i].size);
}

static void add(struct script_binlog *b, uint8_t type, struct buf *body)
{
	script_event(b, type, body->data, body->size);
	buf_done(body);
}

void script_gtid(struct script_binlog *b, uint64_t sequence, uint8_t flags)
{
	struct buf body = BUF_INIT;

	b->gtid = sequence;
	put(&body, sequence, 8);
	put(&body, 0, 4);
	put(&body, flags, 1);
	put(&body, 0, 6);
	add(b, EVENT_GTID, &body);
}

/* thread 4, seconds 4, database's length 1, error 2, variables' length 2, database, zero, text */
void script_query(struct script_binlog *b, const char *text)
{
	struct buf body = BUF_INIT;

	put(&body, 7, 4);
	put(&body, 0, 4);
	put(&body, 6, 1);
	put(&body, 0, 2);
	put(&body, 0, 2);
	buf_add_str(&body, "golden");
	put(&body, 0, 1);
	buf_add_str(&body, text);
	add(b, EVENT_QUERY, &body);
}

void script_xid(struct script_binlog *b)
{
	struct buf body = BUF_INIT;

	put(&body, 99, 8);
	add(b, EVENT_XID, &body);
}

static void image(struct buf *body, int32_t id, int32_t n)
{
	put(body, 0xfc, 1); /* neither column is NULL; unused bits are set */
	put(body, (uint32_t)id, 4);
	put(body, (uint32_t)n, 4);
}

void script_rows(struct script_binlog *b, uint8_t type, int32_t first_id, int32_t rows,
		 int32_t before, int32_t number)
{
	struct buf body = BUF_INIT;

	script_event(b, EVENT_TABLE_MAP, b->table_map.data, b->table_map.size);
	buf_add(&body, b->table_map.data, 6); /* its id */
	put(&body, 1, 2);                     /* the statement ends here */
	put(&body, 2, 1);
	put(&body, 0xff, 1);
	if (type == EVENT_UPDATE_ROWS_V1)
		put(&body, 0xff, 1);
	for (int32_t i = 0; i < rows; i++) {
		if (type == EVENT_UPDATE_ROWS_V1)
			image(&body, first_id + i, before);
		image(&body, first_id + i, number);
	}
	add(b, type, &body);
}
