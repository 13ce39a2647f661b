/*
 * test_json_binary.c - MySQL's binary JSON: values by hand, random documents against the model of
 * test/lib/doc.h, partial updates against edits of that model, samples recorded from real
 * servers (test/golden/json.txt), and every kind of damage.
 */
#include "core/value/json_binary.h"
#include "core/value/charset.h"
#include "core/value/real.h"
#include "test/lib/doc.h"
#include "test/unit/unit.h"

#define SAMPLES "test/golden/json.txt"

static uint64_t below(uint64_t limit)
{
	return unit_random_below(limit);
}

static void text_is(struct slice binary, const char *text)
{
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	ck_assert_msg(json_binary_text(binary, &out, &e) == 0, "%s: %s", text, e.msg);
	ck_assert_str_eq(buf_cstr(&out), text);
	buf_done(&out);
}

#define BYTES(s) slice_of(s, sizeof(s) - 1)

START_TEST(test_json_by_hand)
{
	text_is(BYTES(""), "null");
	text_is(BYTES("\x04\x00"), "null");
	text_is(BYTES("\x04\x01"), "true");
	text_is(BYTES("\x04\x02"), "false");
	text_is(BYTES("\x05\xff\xff"), "-1");
	text_is(BYTES("\x06\xff\xff"), "65535");
	text_is(BYTES("\x07\x00\x00\x00\x80"), "-2147483648");
	text_is(BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff"), "18446744073709551615");
	text_is(BYTES("\x0b\x00\x00\x00\x00\x00\x00\xf0\x3f"), "1.0");
	text_is(BYTES("\x0c\x03"
		      "a\"b"),
		"\"a\\\"b\"");
	text_is(BYTES("\x0f\x0f\x02\xff\x00"), "\"base64:type15:/wA=\"");
	text_is(BYTES("\x02\x00\x00\x04\x00"), "[]");
	text_is(BYTES("\x00\x00\x00\x04\x00"), "{}");
	/* the example of the server's source: ["abc", "def"] */
	text_is(BYTES("\x02\x02\x00\x12\x00\x0c\x0a\x00\x0c\x0e\x00\x03"
		      "abc\x03"
		      "def"),
		"[\"abc\", \"def\"]");
}
END_TEST

static void real_is(double v, const char *text)
{
	char got[REAL_TEXT_MAX + 1];

	got[real_text(v, got)] = '\0';
	ck_assert_str_eq(got, text);
}

START_TEST(test_json_reals)
{
	real_is(0, "0");
	real_is(-0.0, "-0");
	real_is(0.1, "0.1");
	real_is(1e15, "1e15");
	real_is(123456789012345, "123456789012345");
	real_is(1234567890123456, "1.234567890123456e15");
	real_is(1234567890123456.8, "1234567890123456.8");
	real_is(1e-15, "0.000000000000001");
	real_is(1e-16, "1e-16");
	real_is(1.7976931348623157e308, "1.7976931348623157e308");
	real_is(5e-324, "5e-324");
	real_is(2.2250738585072014e-308, "2.2250738585072014e-308");
	real_is(5.6843418860808015e-14, "0.00000000000005684341886080802"); /* 2^-44 */
	real_is(9007199254740992, "9.007199254740992e15");
	real_is(1.5e300, "1.5e300");
	real_is(-2.5, "-2.5");
}
END_TEST

START_TEST(test_json_reals_random)
{
	unit_seed();
	for (int i = 0; i < 20000; i++) {
		uint64_t bits = unit_random64();
		char text[REAL_TEXT_MAX + 1];
		double v;

		if (i % 4 == 0)
			bits &= UINT64_C(0xfff0000000000000); /* powers of two */
		memcpy(&v, &bits, 8);
		if (v != v || v - v != 0)
			continue;
		text[real_text(v, text)] = '\0';
		ck_assert_msg(strtod(text, NULL) == v, "%s is not %.17g", text, v);
	}
}
END_TEST

START_TEST(test_doc_random_fn)
{
	struct buf text = BUF_INIT, binary = BUF_INIT;

	unit_seed();
	for (int i = 0; i < 1500; i++) {
		struct doc *n = doc_random(below, 1 + (unsigned)below(6));

		buf_reset(&text);
		buf_reset(&binary);
		doc_text(n, &text);
		doc_binary(n, below, &binary);
		text_is(buf_slice(&binary), buf_cstr(&text));
		doc_free(n);
	}
	buf_done(&text);
	buf_done(&binary);
}
END_TEST

START_TEST(test_json_changes_random)
{
	struct buf text = BUF_INIT, binary = BUF_INIT, diffs = BUF_INIT, after = BUF_INIT;
	struct err e = ERR_INIT;
	int changed = 0;

	unit_seed();
	for (int i = 0; i < 1500; i++) {
		struct doc *n = doc_random(below, 1 + (unsigned)below(5));
		size_t wanted = below(8);

		buf_reset(&text);
		buf_reset(&binary);
		buf_reset(&diffs);
		buf_reset(&after);
		doc_binary(n, below, &binary);
		for (size_t k = 0; k < wanted; k++)
			changed += doc_change(n, below, &diffs);
		doc_text(n, &text);
		ck_assert_msg(
			json_binary_apply(buf_slice(&binary), buf_slice(&diffs), &after, &e) == 0,
			"%s", e.msg);
		text_is(buf_slice(&after), buf_cstr(&text));
		doc_free(n);
	}
	ck_assert_int_gt(changed, 300);
	buf_done(&text);
	buf_done(&binary);
	buf_done(&diffs);
	buf_done(&after);
}
END_TEST

static void apply_fails(struct slice before, struct slice diffs, const char *why)
{
	struct buf after = BUF_INIT;
	struct err e = ERR_INIT;

	ck_assert_int_eq(json_binary_apply(before, diffs, &after, &e), -1);
	ck_assert_int_eq((int)e.kind, ERR_DATA);
	ck_assert_msg(strstr(e.msg, why) != NULL, "%s", e.msg);
	ck_assert_uint_eq(after.size, 0);
	buf_done(&after);
}

static const char abc_def[] = "\x02\x02\x00\x12\x00\x0c\x0a\x00\x0c\x0e\x00\x03"
			      "abc\x03"
			      "def";

START_TEST(test_json_changes_refused)
{
	struct slice before = BYTES(abc_def);

	apply_fails(before, BYTES("\x00\x04$[2]\x02\x04\x00"), "leads nowhere");
	apply_fails(before, BYTES("\x02\x04$[9]"), "leads nowhere");
	apply_fails(before, BYTES("\x00\x03$.a\x02\x04\x00"), "a name for an array");
	apply_fails(before, BYTES("\x00\x07$[0].ab\x02\x04\x00"), "into a scalar");
	apply_fails(before, BYTES("\x00\x01$\x02\x04\x00"), "can't be read");
	apply_fails(before, BYTES("\x00\x04$[*]\x02\x04\x00"), "can't be read");
	apply_fails(before, BYTES("\x00\x03[0]\x02\x04\x00"), "can't be read");
	apply_fails(before, BYTES("\x00\x05$.\"ab\x02\x04\x00"), "can't be read");
	apply_fails(before, BYTES("\x03\x04$[0]\x02\x04\x00"), "damaged");
	apply_fails(before, BYTES("\x00\x04$[0]\x02\x04\x03"), "new value is damaged");
	apply_fails(before, BYTES("\x00\x04$[0]\x02\x04"), "damaged");
	apply_fails(BYTES("\x04\x00"), BYTES("\x00\x04$[0]\x02\x04\x00"), "into a scalar");
	apply_fails(BYTES("\x02\x01"), BYTES(""), "damaged");
	/* {"a": null}: insert of what is there */
	apply_fails(BYTES("\x00\x01\x00\x0c\x00\x0b\x00\x01\x00\x04\x00\x00"
			  "a"),
		    BYTES("\x01\x03$.a\x02\x04\x01"), "there already");
}
END_TEST

static void is_refused(struct slice binary, const char *why)
{
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	ck_assert_int_eq(json_binary_text(binary, &out, &e), -1);
	ck_assert_int_eq((int)e.kind, ERR_DATA);
	ck_assert_msg(strstr(e.msg, why) != NULL, "%s", e.msg);
	ck_assert_uint_eq(out.size, 0);
	buf_done(&out);
}

/* An array in an array in an array ... */
static void nest(unsigned depth, struct buf *out)
{
	buf_add_u8(out, 2);
	for (unsigned i = 0; i + 1 < depth; i++) {
		size_t size = 4 + 7 * (size_t)(depth - 1 - i);
		uint8_t head[7] = { 1, 0, (uint8_t)size, (uint8_t)(size >> 8), 2, 7, 0 };

		buf_add(out, head, sizeof(head));
	}
	buf_add(out, "\x00\x00\x04\x00", 4);
}

/* Arrays of two members that are both the same next array: 2^n values in 10 n bytes. */
static void doubled(unsigned depth, struct buf *out)
{
	buf_add_u8(out, 2);
	for (unsigned i = 0; i + 1 < depth; i++) {
		size_t size = 4 + 10 * (size_t)(depth - 1 - i);
		uint8_t head[10] = {
			2, 0, (uint8_t)size, (uint8_t)(size >> 8), 2, 10, 0, 2, 10, 0
		};

		buf_add(out, head, sizeof(head));
	}
	buf_add(out, "\x00\x00\x04\x00", 4);
}

/* MySQL 5.7 counts the digits of whole groups: DECIMAL(66,30) for a DECIMAL(65,30). */
START_TEST(test_json_loose_decimal)
{
	struct slice document = BYTES("\x0f\xf6\x20\x42\x1e\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
				      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	ck_assert_int_eq(json_binary_text_5_7(document, &text, &e), 0);
	ck_assert_str_eq(buf_cstr(&text), "1.000000000000000000000000000000");
	buf_done(&text);
}
END_TEST

START_TEST(test_json_refused)
{
	struct buf deep = BUF_INIT;
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	is_refused(BYTES("\x0d"), "no value");
	is_refused(BYTES("\x04\x03"), "no value");
	is_refused(BYTES("\x05\x01"), "no value");
	is_refused(BYTES("\x0c\x02"
			 "a"),
		   "no value");
	is_refused(BYTES("\x0c\x02\xc3\x28"), "UTF-8");
	is_refused(BYTES("\x0c\xff\xff\xff\xff\xff\x01"), "no value");
	is_refused(BYTES("\x0b\x00\x00\x00\x00\x00\x00\xf0\x7f"), "no number");
	is_refused(BYTES("\x02\x01\x00\x07\x00\x0c\x03\x00"), "outside");
	is_refused(BYTES("\x02\x01\x00\x06\x00\x04\x00\x00"), "no value");
	is_refused(BYTES("\x00\x01\x00\x0b\x00\x0b\x00\x01\x00\x04\x00\x00"), "key");
	is_refused(BYTES("\x0f\xf6\x03\x00\x00\x80"), "decimal");
	is_refused(BYTES("\x0f\x0c\x01\x80"), "date");
	nest(JSON_BINARY_DEPTH_MAX, &deep);
	ck_assert_int_eq(json_binary_text(buf_slice(&deep), &text, &e), 0);
	ck_assert_uint_eq(text.size, 2 * JSON_BINARY_DEPTH_MAX);
	buf_reset(&deep);
	nest(JSON_BINARY_DEPTH_MAX + 1, &deep);
	is_refused(buf_slice(&deep), "too deep");
	buf_reset(&deep);
	doubled(90, &deep);
	is_refused(buf_slice(&deep), "overlap");
	buf_done(&deep);
	buf_done(&text);
}
END_TEST

static void try_both(const struct buf *binary, const struct buf *diffs)
{
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	if (json_binary_text(buf_slice(binary), &out, &e) == 0)
		ck_assert(charset_utf8_valid(out.data, out.size, false));
	else
		ck_assert_uint_eq(out.size, 0);
	buf_reset(&out);
	if (json_binary_apply(buf_slice(binary), buf_slice(diffs), &out, &e) < 0)
		ck_assert_uint_eq(out.size, 0);
	buf_done(&out);
}

/* Valid values with some bytes changed, cut off, or all made up. */
START_TEST(test_json_damage)
{
	struct buf binary = BUF_INIT, diffs = BUF_INIT;

	unit_seed();
	for (int i = 0; i < 6000; i++) {
		struct doc *n = doc_random(below, 1 + (unsigned)below(4));
		struct doc *changed = doc_copy(n);
		struct buf *victim = below(3) == 0 ? &diffs : &binary;

		buf_reset(&binary);
		buf_reset(&diffs);
		doc_binary(n, below, &binary);
		for (size_t k = below(3); k > 0; k--)
			(void)doc_change(changed, below, &diffs);
		for (size_t k = 1 + below(4); k > 0 && victim->size > 0; k--)
			victim->data[below(victim->size < 40 || below(2) ? victim->size : 40)] =
				(uint8_t)below(below(2) ? 256 : 16);
		if (below(4) == 0 && victim->size > 0)
			victim->size = below(victim->size);
		/* on the heap to the byte, where the sanitizer sees a step too far */
		struct buf exact = { malloc(binary.size + 1), binary.size, binary.size + 1 };

		memcpy(exact.data, binary.size > 0 ? binary.data : exact.data, binary.size);
		exact.data = realloc(exact.data, binary.size > 0 ? binary.size : 1);
		try_both(&exact, &diffs);
		free(exact.data);
		doc_free(n);
		doc_free(changed);
	}
	for (int i = 0; i < 20000; i++) {
		buf_reset(&binary);
		buf_reset(&diffs);
		buf_add_u8(&binary, (uint8_t)below(16));
		for (size_t k = below(60); k > 0; k--)
			buf_add_u8(&binary, (uint8_t)below(below(2) ? 256 : 12));
		try_both(&binary, &diffs);
	}
	buf_done(&binary);
	buf_done(&diffs);
}
END_TEST

static int hex_digit(int c)
{
	return c >= 'a' ? c - 'a' + 10 : c - '0';
}

/* U+2424 stands for a line's end in the samples. */
static void put_breaks(char *text)
{
	for (char *at; (at = strstr(text, "\xe2\x90\xa4")) != NULL;) {
		*at = '\n';
		memmove(at + 1, at + 3, strlen(at + 3) + 1);
	}
}

/* Lines "server hex text", as a server stored and printed it. */
START_TEST(test_json_samples)
{
	FILE *f = fopen(SAMPLES, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t size;
	int count = 0;

	ck_assert_ptr_nonnull(f);
	while ((size = getline(&line, &room, f)) > 0) {
		struct buf binary = BUF_INIT, out = BUF_INIT;
		struct err e = ERR_INIT;
		char *hex, *text;

		if (line[0] == '#')
			continue;
		line[size - 1] = '\0';
		hex = strchr(line, ' ') + 1;
		text = strchr(hex, ' ') + 1;
		for (; *hex != ' '; hex += 2)
			buf_add_u8(&binary, (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1])));
		if (strncmp(line, "mysql-5.7", 9) == 0)
			ck_assert_msg(json_binary_text_5_7(buf_slice(&binary), &out, &e) == 0, "%s",
				      e.msg);
		else
			ck_assert_msg(json_binary_text(buf_slice(&binary), &out, &e) == 0, "%s",
				      e.msg);
		put_breaks(text);
		ck_assert_str_eq(buf_cstr(&out), text);
		buf_done(&binary);
		buf_done(&out);
		count++;
	}
	ck_assert_int_gt(count, 100);
	free(line);
	fclose(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("json_binary");

	unit_test(s, test_json_by_hand);
	unit_test(s, test_json_reals);
	unit_test(s, test_json_reals_random);
	unit_test_slow(s, test_doc_random_fn, 60);
	unit_test_slow(s, test_json_changes_random, 60);
	unit_test(s, test_json_changes_refused);
	unit_test(s, test_json_loose_decimal);
	unit_test(s, test_json_refused);
	unit_test_slow(s, test_json_damage, 120);
	unit_test(s, test_json_samples);
	return unit_run(s);
}
