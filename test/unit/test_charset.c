/*
 * test_charset.c - character sets: every code of every table against what the servers said
 * (test/golden/charsets.txt), the way back, ids of collations, and text of all kinds.
 */
#include "core/value/charset.h"
#include "core/value/charset_table.h"
#include "core/value/row.h"
#include "test/unit/unit.h"

#include <zlib.h>

#define SUMS "test/golden/charsets.txt"

static const struct {
	const char *name;
	enum charset charset;
	uint16_t collation;
} sets[] = {
	{ "armscii8", CHARSET_ARMSCII8, 32 },
	{ "ascii", CHARSET_ASCII, 11 },
	{ "big5", CHARSET_BIG5, 1 },
	{ "cp1250", CHARSET_CP1250, 26 },
	{ "cp1251", CHARSET_CP1251, 51 },
	{ "cp1256", CHARSET_CP1256, 57 },
	{ "cp1257", CHARSET_CP1257, 59 },
	{ "cp850", CHARSET_CP850, 4 },
	{ "cp852", CHARSET_CP852, 40 },
	{ "cp866", CHARSET_CP866, 36 },
	{ "cp932", CHARSET_CP932, 95 },
	{ "dec8", CHARSET_DEC8, 3 },
	{ "eucjpms", CHARSET_EUCJPMS, 97 },
	{ "euckr", CHARSET_EUCKR, 19 },
	{ "gb18030", CHARSET_GB18030, 248 },
	{ "gb2312", CHARSET_GB2312, 24 },
	{ "gbk", CHARSET_GBK, 28 },
	{ "geostd8", CHARSET_GEOSTD8, 92 },
	{ "greek", CHARSET_GREEK, 25 },
	{ "hebrew", CHARSET_HEBREW, 16 },
	{ "hp8", CHARSET_HP8, 6 },
	{ "keybcs2", CHARSET_KEYBCS2, 37 },
	{ "koi8r", CHARSET_KOI8R, 7 },
	{ "koi8u", CHARSET_KOI8U, 22 },
	{ "latin1", CHARSET_LATIN1, 8 },
	{ "latin2", CHARSET_LATIN2, 9 },
	{ "latin5", CHARSET_LATIN5, 30 },
	{ "latin7", CHARSET_LATIN7, 41 },
	{ "macce", CHARSET_MACCE, 38 },
	{ "macroman", CHARSET_MACROMAN, 39 },
	{ "sjis", CHARSET_SJIS, 13 },
	{ "swe7", CHARSET_SWE7, 10 },
	{ "tis620", CHARSET_TIS620, 18 },
	{ "ujis", CHARSET_UJIS, 12 },
};
#define SETS (sizeof(sets) / sizeof(sets[0]))

struct sum {
	unsigned long crc;
	int count;
	enum charset charset;
	bool ambiguous;
};

/* Converts one code, adds its line to the sum, and takes it back. */
static void add_code(struct sum *s, const uint8_t *code, size_t size)
{
	struct buf utf8 = BUF_INIT, back = BUF_INIT, again = BUF_INIT, line = BUF_INIT;

	if (charset_to_utf8(s->charset, slice_of(code, size), &utf8) && utf8.size <= 4 &&
	    (size == 1 || !charset_to_utf8(s->charset, slice_of(code, 1), &line))) {
		line.size = 0;
		for (size_t i = 0; i < size; i++)
			buf_add_format(&line, "%02x", code[i]);
		buf_add_u8(&line, ' ');
		for (size_t i = 0; i < utf8.size; i++)
			buf_add_format(&line, "%02x", utf8.data[i]);
		buf_add_u8(&line, '\n');
		s->crc = crc32(s->crc, line.data, (unsigned)line.size);
		s->count++;
		ck_assert(charset_from_utf8(s->charset, buf_slice(&utf8), &back));
		s->ambiguous = s->ambiguous || back.size != size ||
			       memcmp(back.data, code, size) != 0;
		ck_assert(charset_to_utf8(s->charset, buf_slice(&back), &again) &&
			  slice_equal(buf_slice(&again), buf_slice(&utf8)));
	}
	buf_done(&utf8);
	buf_done(&back);
	buf_done(&again);
	buf_done(&line);
}

/* All codes in the order of their bytes. */
static void add_codes(struct sum *s)
{
	bool quads = s->charset == CHARSET_GB18030;
	bool triples = s->charset == CHARSET_UJIS || s->charset == CHARSET_EUCJPMS;

	for (unsigned a = 0; a < 256; a++) {
		uint8_t code[4] = { (uint8_t)a };

		add_code(s, code, 1);
		for (unsigned b = 0; a >= 0x80 && b < 256; b++) {
			code[1] = (uint8_t)b;
			add_code(s, code, 2);
			for (unsigned c = 0;
			     ((triples && a == 0x8f) || (quads && a < 0x85 && b - '0' < 10)) &&
			     c < 256;
			     c++) {
				code[2] = (uint8_t)c;
				if (triples)
					add_code(s, code, 3);
				for (unsigned d = '0'; quads && d <= '9'; d++) {
					code[3] = (uint8_t)d;
					add_code(s, code, 4);
				}
			}
		}
	}
}

START_TEST(test_charset_sums)
{
	struct sum s = { .charset = sets[_i].charset };
	char line[200], name[50] = "";
	FILE *f = fopen(SUMS, "r");
	unsigned long crc = 0;
	int count = 0;

	ck_assert_ptr_nonnull(f);
	while (strcmp(name, sets[_i].name) != 0 && fgets(line, sizeof(line), f) != NULL)
		(void)sscanf(line, "%49s %d %lx", name, &count, &crc);
	fclose(f);
	ck_assert_str_eq(name, sets[_i].name);
	add_codes(&s);
	ck_assert_msg(s.count == count && s.crc == crc, "%s: %d codes, %08lx", name, s.count,
		      s.crc);
	ck_assert_int_eq(charset_is_ambiguous(s.charset), s.ambiguous);
	ck_assert_int_eq(charset_of(sets[_i].collation), s.charset);
}
END_TEST

static void converts(enum charset charset, const char *text, const char *utf8)
{
	struct buf out = BUF_INIT;
	bool ok = charset_to_utf8(charset, slice_str(text), &out);

	ck_assert_int_eq(ok, utf8 != NULL);
	if (ok)
		ck_assert_str_eq(buf_cstr(&out), utf8);
	ck_assert(ok || out.size == 0);
	buf_done(&out);
}

START_TEST(test_charset_text)
{
	converts(CHARSET_SJIS,
		 "ab\x82\xa0"
		 "c\xb1\\",
		 "ab\xe3\x81\x82"
		 "c\xef\xbd\xb1\\");
	converts(CHARSET_SJIS, "ab\x82", NULL);
	converts(CHARSET_SJIS, "\x82\x20", NULL);
	converts(CHARSET_GBK, "\xc4\xe3 plain text of some length \xba\xc3",
		 "\xe4\xbd\xa0 plain text of some length \xe5\xa5\xbd");
	converts(CHARSET_UJIS, "\xa4\xa2\x8e\xb1\x8f\xb0\xa1",
		 "\xe3\x81\x82\xef\xbd\xb1\xe4\xb8\x82");
	converts(CHARSET_GB18030, "\x90\x30\x81\x30", "\xf0\x90\x80\x80");
	converts(CHARSET_GB18030, "\xe3\x32\x9a\x35", "\xf4\x8f\xbf\xbf");
	converts(CHARSET_GB18030, "\xe3\x32\x9a\x36", NULL);
	converts(CHARSET_GB18030, "\x81\x30\x81", NULL);
	converts(CHARSET_SWE7, "[\\]", "\xc3\x84\xc3\x96\xc3\x85");
	converts(CHARSET_KOI8R, "\xf0\xd2\xc9", "\xd0\x9f\xd1\x80\xd0\xb8");
	converts(CHARSET_LATIN1, "\x80\x81", "\xe2\x82\xac\xc2\x81");
	converts(CHARSET_UNKNOWN, "a", NULL);
}
END_TEST

/* Ids of MySQL 8 and MariaDB's UCA 14, and what is in no server. */
START_TEST(test_charset_ids)
{
	ck_assert_int_eq(charset_of(255), CHARSET_UTF8MB4);
	ck_assert_int_eq(charset_of(309), CHARSET_UTF8MB4);
	ck_assert_int_eq(charset_of(323), CHARSET_UTF8MB4);
	ck_assert_int_eq(charset_of(76), CHARSET_UTF8MB3);
	ck_assert_int_eq(charset_of(250), CHARSET_GB18030);
	ck_assert_int_eq(charset_of(2048), CHARSET_UTF8MB3);
	ck_assert_int_eq(charset_of(2304), CHARSET_UTF8MB4);
	ck_assert_int_eq(charset_of(1111), CHARSET_GBK);
	ck_assert_int_eq(charset_of(0), CHARSET_UNKNOWN);
	ck_assert_int_eq(charset_of(9999), CHARSET_UNKNOWN);
	ck_assert_int_eq(charset_of(UINT16_MAX), CHARSET_UNKNOWN);
}
END_TEST

/* cp932 has two codes for U+2252, and a row read back from a topic may have the other one. */
START_TEST(test_charset_same)
{
	struct column c = { .type = COLUMN_VARCHAR, .size_max = 9, .collation = 95 };
	struct cell a = { (const uint8_t *)"\x81\xe0", 2, CELL_VALUE },
		    b = { (const uint8_t *)"\x87\x90", 2, CELL_VALUE },
		    other = { (const uint8_t *)"\x81\xe1", 2, CELL_VALUE },
		    null = { NULL, 0, CELL_NULL };

	ck_assert(row_cell_same(&c, &a, &b) && !row_cell_same(&c, &a, &other));
	ck_assert(!row_cell_same(&c, &a, &null) && row_cell_same(&c, &null, &null));
	c.collation = 13; /* sjis has only the first */
	ck_assert(!row_cell_same(&c, &a, &b));
}
END_TEST

/* Any bytes: valid UTF-8 comes out, or nothing. */
START_TEST(test_charset_garbage)
{
	unit_seed();
	for (int i = 0; i < 40000; i++) {
		enum charset charset = (enum charset)unit_random_below(CHARSET_COUNT);
		size_t size = unit_random_below(12);
		uint8_t *text = malloc(size + 1);
		struct buf out = BUF_INIT;

		for (size_t k = 0; k < size; k++)
			text[k] = (uint8_t)(unit_random_below(4) == 0 ? '0' + unit_random_below(10)
								      : unit_random64());
		if (charset_to_utf8(charset, slice_of(text, size), &out))
			ck_assert(charset == CHARSET_BINARY ||
				  charset_utf8_valid(out.data, out.size, false));
		else
			ck_assert_uint_eq(out.size, 0);
		free(text);
		buf_done(&out);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("charset");
	TCase *all = tcase_create("test_charset_sums");

	tcase_set_timeout(all, 120);
	tcase_add_loop_test(all, test_charset_sums, 0, SETS);
	suite_add_tcase(s, all);
	unit_test(s, test_charset_text);
	unit_test(s, test_charset_ids);
	unit_test(s, test_charset_same);
	unit_test_slow(s, test_charset_garbage, 60);
	return unit_run(s);
}
