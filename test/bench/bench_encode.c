/*
 * bench_encode.c - rows a second through row_split and encode_for's functions: the hot path without
 * sockets and Kafka.
 *
 * One thread, a few hundred typical rows of ten columns, over and over in cache; measured in CPU
 * time, so that what else the machine does matters less. What it prints is an upper limit.
 */
#include "core/value/write.h"
#include "core/base/mem.h"
#include "core/value/encode.h"

#include <stdio.h>
#include <time.h>

#define COLUMNS 10
#define IMAGES 256

static const struct column columns[COLUMNS] = {
	{ .name = "id", .type = COLUMN_LONGLONG },
	{ .name = "n", .type = COLUMN_LONG, .nullable = true },
	{ .name = "name", .type = COLUMN_VARCHAR, .size_max = 400, .collation = 45 },
	{ .name = "email", .type = COLUMN_VARCHAR, .size_max = 800, .collation = 45 },
	{ .name = "status", .type = COLUMN_VARCHAR, .size_max = 80, .collation = 45 },
	{ .name = "price", .type = COLUMN_NEWDECIMAL, .precision = 12, .scale = 2 },
	{ .name = "joined", .type = COLUMN_DATETIME2, .fraction = 3 },
	{ .name = "changed", .type = COLUMN_TIMESTAMP2 },
	{ .name = "flag", .type = COLUMN_TINY },
	{ .name = "score", .type = COLUMN_DOUBLE },
};

static struct shape *make_shape(void)
{
	struct shape *shape = shape_new("bench", "row", COLUMNS);

	for (uint16_t i = 0; i < COLUMNS; i++) {
		shape->columns[i] = columns[i];
		shape->columns[i].name = xstrdup(columns[i].name);
	}
	return shape;
}

/* Rows that differ in length, so that branches are guessed as they would be in life. */
static int make_images(const struct shape *shape, struct buf *images, struct err *e)
{
	for (unsigned i = 0; i < IMAGES; i++) {
		char text[COLUMNS][64];
		struct slice row[COLUMNS];

		snprintf(text[0], 64, "%u", 1000000 + i * 7919);
		snprintf(text[1], 64, "%u", i);
		snprintf(text[2], 64, "%.*s J\xc3\xb6rg %u", (int)(i % 7), "Annette", i);
		snprintf(text[3], 64, "member%u@%.*s.example.org", i * 37, (int)(1 + i % 11),
			 "meetup-group");
		snprintf(text[4], 64, "%s", i % 5 == 0 ? "disabled" : "active");
		snprintf(text[5], 64, "%u.%02u", i * 12345, i % 100);
		snprintf(text[6], 64, "2024-%02u-%02u 12:%02u:56.789", 1 + i % 12, 1 + i % 28,
			 i % 60);
		snprintf(text[7], 64, "2026-%02u-%02u 07:%02u:08", 1 + i % 12, 1 + i % 28, i % 60);
		snprintf(text[8], 64, "%d", (int)(i % 256) - 128);
		snprintf(text[9], 64, "%u.25", i);
		for (size_t c = 0; c < COLUMNS; c++)
			row[c] = slice_str(text[c]);
		if (row_image_from_text(shape, row, images, e) < 0)
			return -1;
	}
	return 0;
}

static int encode_images(const struct shape *shape, const struct buf *images, struct buf *out,
			 struct err *e)
{
	static const uint8_t present[(COLUMNS + 7) / 8] = { 0xff, 0xff };
	struct rd in = rd_from(buf_slice(images));
	encode_fn functions[COLUMNS];
	struct cell cells[COLUMNS];

	for (size_t c = 0; c < COLUMNS; c++)
		functions[c] = encode_for(&shape->columns[c]);
	while (rd_left(&in) > 0) {
		if (row_split(&in, shape, present, cells, e) < 0)
			return -1;
		buf_reset(out);
		for (size_t c = 0; c < COLUMNS; c++) {
			write_long(out, 1);
			if (functions[c](&shape->columns[c], &cells[c], out) != ENCODE_OK)
				return err_data(e, "column %s is inexact", shape->columns[c].name);
		}
	}
	return 0;
}

static int64_t cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int main(void)
{
	struct shape *shape = make_shape();
	struct buf images = BUF_INIT, out = BUF_INIT;
	struct err e = ERR_INIT;
	int64_t begin, us, rows = 0;

	if (make_images(shape, &images, &e) < 0)
		goto failed;
	begin = cpu_us();
	do {
		if (encode_images(shape, &images, &out, &e) < 0)
			goto failed;
		rows += IMAGES;
		us = cpu_us() - begin;
	} while (us < 500000);
	printf("encode: %.0f rows/s, %.0f ns a row of %d columns, %zu bytes as stored\n",
	       (double)rows * 1e6 / (double)us, (double)us * 1000 / (double)rows, COLUMNS,
	       images.size / IMAGES);
	buf_done(&images);
	buf_done(&out);
	shape_unref(shape);
	return 0;
failed:
	fprintf(stderr, "%s\n", e.msg);
	return 1;
}
