/* Row images: split, made from text, and bytes that fit no shape. The known image was put together
 * by hand from the format. */
#include "core/base/mem.h"
#include "core/value/row.h"
#include "test/unit/unit.h"

#define COLUMNS 12

static const struct column columns[COLUMNS] = {
	{ .name = "id", .type = COLUMN_LONG },
	{ .name = "name", .type = COLUMN_VARCHAR, .size_max = 40, .collation = 45 },
	{ .name = "long`name", .type = COLUMN_VARCHAR, .size_max = 1200, .collation = 45 },
	{ .name = "price", .type = COLUMN_NEWDECIMAL, .precision = 12, .scale = 2 },
	{ .name = "at", .type = COLUMN_DATETIME2, .fraction = 3 },
	{ .name = "took", .type = COLUMN_TIME2, .fraction = 2 },
	{ .name = "kind", .type = COLUMN_ENUM, .pack_bytes = 1 },
	{ .name = "flags", .type = COLUMN_SET, .pack_bytes = 2 },
	{ .name = "bits", .type = COLUMN_BIT, .bits = 9 },
	{ .name = "raw", .type = COLUMN_STRING, .size_max = 4, .is_binary = true, .collation = 63 },
	{ .name = "body", .type = COLUMN_BLOB, .size_max = 2, .collation = 45 },
	{ .name = "f", .type = COLUMN_FLOAT },
};

static const char *const sample_text[COLUMNS] = {
	"-2",  "ab",  "xyz", "-0.01", "2024-02-29 23:59:59.999", "-00:00:00.01", "3",
	"257", "256", "a\n", "body",  "0.10000000149011612",
};

static const uint8_t sample_image[] = {
	0x00, 0xf0,                                    /* no NULLs, unused bits set */
	0xfe, 0xff, 0xff, 0xff,                        /* -2 */
	0x02, 'a',  'b',  0x03, 0x00, 'x',  'y',  'z', /* one and two bytes of length */
	0x7f, 0xff, 0xff, 0xff, 0xff, 0xfe,            /* 0 | 000000000 | 01, inverted */
	0x99, 0xb2, 0xbb, 0x7e, 0xfb, 0x27, 0x06,      /* 2024-02-29 23:59:59, 9990 */
	0x7f, 0xff, 0xff, 0xff,                        /* 0x80000000 - 1 */
	0x03, 0x01, 0x01, 0x01, 0x00, 0x02, 'a',  '\n', 0x04,
	0x00, 'b',  'o',  'd',  'y',  0xcd, 0xcc, 0xcc, 0x3d,
};

static struct shape *shape;
static const uint8_t all_present[2] = { 0xff, 0xff };

static void setup(void)
{
	shape = shape_new("shop", "all", COLUMNS);
	for (size_t i = 0; i < COLUMNS; i++) {
		shape->columns[i] = columns[i];
		shape->columns[i].name = xstrdup(columns[i].name);
	}
}

static void teardown(void)
{
	shape_unref(shape);
}

static void sample_row(struct slice *row)
{
	for (size_t i = 0; i < COLUMNS; i++)
		row[i] = slice_str(sample_text[i]);
}

START_TEST(test_from_text)
{
	struct slice row[COLUMNS];
	struct buf image = BUF_INIT;
	struct err e = ERR_INIT;

	sample_row(row);
	ck_assert_msg(row_image_from_text(shape, row, &image, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(image.size, sizeof(sample_image));
	ck_assert_mem_eq(image.data, sample_image, sizeof(sample_image));
	row[0] = slice_of(NULL, 0);
	row[11] = slice_of(NULL, 0);
	ck_assert_int_eq(row_image_from_text(shape, row, &image, &e), 0); /* appends */
	ck_assert_uint_eq(image.size, 2 * sizeof(sample_image) - 8);
	ck_assert_uint_eq(image.data[sizeof(sample_image)], 0x01);
	ck_assert_uint_eq(image.data[sizeof(sample_image) + 1], 0xf8);
	buf_done(&image);
}
END_TEST

START_TEST(test_split)
{
	struct rd in = rd_of(sample_image, sizeof(sample_image));
	struct cell cells[COLUMNS];
	struct err e = ERR_INIT;

	ck_assert_msg(row_split(&in, shape, all_present, cells, &e) == 0, "%s", e.msg);
	ck_assert(rd_end(&in));
	ck_assert(slice_is(slice_of(cells[1].data, cells[1].size), "ab"));
	ck_assert(slice_is(slice_of(cells[2].data, cells[2].size), "xyz"));
	ck_assert(slice_is(slice_of(cells[10].data, cells[10].size), "body"));
	ck_assert_uint_eq(cells[3].size, 6);
	ck_assert_uint_eq(cells[4].size, 7);
	for (size_t i = 0; i < COLUMNS; i++)
		ck_assert_uint_eq(cells[i].state, CELL_VALUE);
}
END_TEST

/* Only columns 0, 1 and 9 are in the image, and the second of them is NULL. */
START_TEST(test_absent)
{
	static const uint8_t image[] = { 0xfa, 1, 0, 0, 0, 1, 'x', 0x77 },
			     present[2] = { 0x03, 0x02 };
	struct rd in = rd_of(image, sizeof(image));
	struct cell cells[COLUMNS];
	struct err e = ERR_INIT;

	ck_assert_msg(row_split(&in, shape, present, cells, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(in.at, 7);
	ck_assert_uint_eq(cells[0].state, CELL_VALUE);
	ck_assert_uint_eq(cells[1].state, CELL_NULL);
	ck_assert_uint_eq(cells[2].state, CELL_ABSENT);
	ck_assert_uint_eq(cells[8].state, CELL_ABSENT);
	ck_assert_uint_eq(cells[9].size, 1);
	ck_assert_uint_eq(cells[10].state, CELL_ABSENT);
}
END_TEST

START_TEST(test_cut_short)
{
	for (size_t size = 0; size < sizeof(sample_image); size++) {
		uint8_t *copy = xmalloc(
			size + 1); /* a heap block of its own: a sanitizer sees reads beyond it */
		struct cell cells[COLUMNS];
		struct err e = ERR_INIT;
		struct rd in;

		memcpy(copy, sample_image, size);
		in = rd_of(copy, size);
		ck_assert_int_eq(row_split(&in, shape, all_present, cells, &e), -1);
		ck_assert_int_eq(e.kind, ERR_DATA);
		ck_assert_ptr_nonnull(strstr(e.msg, "shop.all"));
		free(copy);
	}
}
END_TEST

START_TEST(test_garbage)
{
	unit_seed();
	for (int i = 0; i < 20000; i++) {
		uint8_t image[sizeof(sample_image)];
		struct cell cells[COLUMNS];
		struct rd in = rd_of(image, sizeof(image));
		struct err e = ERR_INIT;

		memcpy(image, sample_image, sizeof(image));
		for (uint64_t n = unit_random_below(4) + 1; n > 0; n--)
			image[unit_random_below(sizeof(image))] = (uint8_t)unit_random64();
		if (row_split(&in, shape, all_present, cells, &e) < 0) {
			ck_assert_int_eq(e.kind, ERR_DATA);
			continue;
		}
		for (size_t c = 0; c < COLUMNS; c++)
			ck_assert(cells[c].state != CELL_VALUE ||
				  (cells[c].data >= image &&
				   cells[c].data + cells[c].size <= image + sizeof(image)));
	}
}
END_TEST

START_TEST(test_too_long)
{
	static const uint8_t image[] = { 0xfc, 1, 0, 0, 0, 41 }, present[2] = { 0x03, 0x00 };
	struct rd in = rd_of(image, sizeof(image));
	struct cell cells[COLUMNS];
	struct err e = ERR_INIT;

	ck_assert_int_eq(row_split(&in, shape, present, cells, &e), -1);
	ck_assert_ptr_nonnull(
		strstr(e.msg, "column name has a value of 41 bytes where 40 are possible"));
}
END_TEST

START_TEST(test_bad_text)
{
	static const struct {
		size_t column;
		const char *text;
	} bad[] = {
		{ 0, "" },
		{ 0, "x" },
		{ 0, "2147483648" },
		{ 0, "-2147483649" },
		{ 0, "1.0" },
		{ 0, "--1" },
		{ 0, "99999999999999999999" },
		{ 1, "12345678901234567890123456789012345678901" },
		{ 3, "10000000000.00" },
		{ 3, "0.001" },
		{ 3, "." },
		{ 3, "-" },
		{ 3, "1e3" },
		{ 4, "2024-02-29" },
		{ 4, "2024-13-01 00:00:00" },
		{ 4, "2024-02-29 24:00:00" },
		{ 4, "2024-02-29 23:59:59.9999" },
		{ 4, "2024-02-29 23:59:59 " },
		{ 5, "839:00:00" },
		{ 5, "1:00:00" },
		{ 5, "00:60:00" },
		{ 5, "00:00:00.001" },
		{ 6, "256" },
		{ 6, "a" },
		{ 7, "65536" },
		{ 7, "-1" },
		{ 8, "512" },
		{ 9, "abcde" },
		{ 11, "0.1" },
		{ 11, "nan" },
		{ 11, "inf" },
		{ 11, "1e99" },
	};
	struct slice row[COLUMNS];
	struct buf image = BUF_INIT;
	struct err e = ERR_INIT;

	buf_add_str(&image, "before");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		sample_row(row);
		row[bad[i].column] = slice_str(bad[i].text);
		ck_assert_msg(row_image_from_text(shape, row, &image, &e) == -1, "column %zu '%s'",
			      bad[i].column, bad[i].text);
		ck_assert_int_eq(e.kind, ERR_DATA);
		ck_assert_ptr_nonnull(strstr(e.msg, columns[bad[i].column].name));
		ck_assert(slice_is(buf_slice(&image), "before"));
	}
	buf_done(&image);
}
END_TEST

START_TEST(test_select_list)
{
	struct buf sql = BUF_INIT;

	row_select_list(shape, &sql);
	ck_assert_str_eq(
		buf_cstr(&sql),
		"`id`,`name`,`long``name`,`price`,`at`,`took`,CAST(`kind` AS UNSIGNED),"
		"CAST(`flags` AS UNSIGNED),CAST(`bits` AS UNSIGNED),`raw`,`body`,`f`*1e0");
	buf_done(&sql);
}
END_TEST

/* Trailing blanks and zero bytes that the server doesn't store, in every unit size. */
START_TEST(test_trim)
{
	static const struct {
		struct column c;
		const char *text;
		size_t size, stored;
	} all[] = {
		{ { .name = "c", .type = COLUMN_STRING, .size_max = 40, .collation = 45 },
		  " a  ",
		  4,
		  2 },
		{ { .name = "c",
		    .type = COLUMN_STRING,
		    .size_max = 40,
		    .is_binary = true,
		    .collation = 63 },
		  "a \0\0",
		  4,
		  2 },
		{ { .name = "c", .type = COLUMN_STRING, .size_max = 40, .collation = 35 },
		  "\0a\0 \0 ",
		  6,
		  2 },
		{ { .name = "c", .type = COLUMN_STRING, .size_max = 40, .collation = 56 },
		  "a\0 \0 \0",
		  6,
		  2 },
		{ { .name = "c", .type = COLUMN_STRING, .size_max = 40, .collation = 60 },
		  "\0\0\0a\0\0\0 ",
		  8,
		  4 },
		{ { .name = "c", .type = COLUMN_VARCHAR, .size_max = 40, .collation = 45 },
		  "a  ",
		  3,
		  3 },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct shape *s = shape_new("a", "b", 1);
		struct slice text = slice_of(all[i].text, all[i].size);
		struct buf image = BUF_INIT;
		struct err e = ERR_INIT;

		s->columns[0] = all[i].c;
		s->columns[0].name = xstrdup("c");
		ck_assert_int_eq(row_image_from_text(s, &text, &image, &e), 0);
		ck_assert_uint_eq(image.data[1], all[i].stored);
		ck_assert_uint_eq(image.size, 2 + all[i].stored);
		buf_done(&image);
		shape_unref(s);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("row");
	const TTest *const tests[] = { test_from_text, test_split,       test_absent,
				       test_cut_short, test_garbage,     test_too_long,
				       test_bad_text,  test_select_list, test_trim };
	TCase *c = tcase_create("image");

	tcase_add_checked_fixture(c, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(c, tests[i]);
	suite_add_tcase(s, c);
	return unit_run(s);
}
