/*
 * position.c - an intake's position as text and back.
 *
 * One line of JSON, so that people and tools can look at it; the reader takes exactly what the
 * writer makes (names and order included), which is all that ever stands in a store's position row.
 * Anything else is ERR_DATA with the byte where it stopped being one: a position is never guessed.
 */
#include "core/intake/intake.h"

#include "core/base/hex.h"
#include "core/base/mem.h"
#include "core/base/quote.h"

#include <inttypes.h>
#include <stdlib.h>

#define PARTITIONS_MAX 1000000
#define TABLES_MAX 1000000

void intake_position_done(struct intake_position *p)
{
	for (size_t i = 0; i < p->partition_count; i++)
		free(p->partitions[i].topic);
	for (size_t i = 0; p->copying != NULL && p->copying[i] != NULL; i++)
		free(p->copying[i]);
	for (size_t i = 0; i < p->reconciling_count; i++)
		free(p->reconciling[i].table);
	free(p->partitions);
	free(p->copying);
	free(p->reconciling);
	free(p->gtid_set);
	memset(p, 0, sizeof(*p));
}

void intake_position_copy(const struct intake_position *from, struct intake_position *ret_copy)
{
	struct intake_position copy = *from;
	size_t n = 0;

	copy.gtid_set = xstrdup(from->gtid_set != NULL ? from->gtid_set : "");
	copy.partitions = xcalloc(from->partition_count + 1, sizeof(*copy.partitions));
	for (size_t i = 0; i < from->partition_count; i++) {
		copy.partitions[i] = from->partitions[i];
		copy.partitions[i].topic = xstrdup(from->partitions[i].topic);
	}
	while (from->copying != NULL && from->copying[n] != NULL)
		n++;
	copy.copying = xcalloc(n + 1, sizeof(*copy.copying));
	for (size_t i = 0; i < n; i++)
		copy.copying[i] = xstrdup(from->copying[i]);
	copy.reconciling = xcalloc(from->reconciling_count + 1, sizeof(*copy.reconciling));
	for (size_t i = 0; i < from->reconciling_count; i++)
		copy.reconciling[i] =
			(struct intake_reconciling){ xstrdup(from->reconciling[i].table),
						     from->reconciling[i].since_us };
	*ret_copy = copy;
}

/* Nothing when there is none: so a position means the same to releases that know of no
 * reconciling. */
static void write_reconciling(const struct intake_position *p, struct buf *text)
{
	for (size_t i = 0; i < p->reconciling_count; i++) {
		buf_add_str(text, i > 0 ? ",{\"table\":" : ",\"reconciling\":[{\"table\":");
		quote_json(text, slice_str(p->reconciling[i].table));
		buf_add_format(text, ",\"since\":%" PRId64 "}", p->reconciling[i].since_us);
	}
	if (p->reconciling_count > 0)
		buf_add_u8(text, ']');
}

void intake_position_write(const struct intake_position *p, struct buf *text)
{
	buf_add_format(
		text,
		"{\"seq\":%" PRId64 ",\"commits_offset\":%" PRId64 ",\"commit_us\":%" PRId64
		",\"bytes_total\":%" PRId64 ",\"transactions_total\":%" PRId64 ",\"gtid_set\":",
		p->seq, p->commits_offset, p->commit_us, p->bytes_total, p->transactions_total);
	quote_json(text, slice_str(p->gtid_set != NULL ? p->gtid_set : ""));
	buf_add_str(text, ",\"partitions\":[");
	for (size_t i = 0; i < p->partition_count; i++) {
		buf_add_str(text, i > 0 ? ",{\"topic\":" : "{\"topic\":");
		quote_json(text, slice_str(p->partitions[i].topic));
		buf_add_format(text,
			       ",\"partition\":%d,\"offset\":%" PRId64 ",\"taken\":%" PRId64 "}",
			       p->partitions[i].partition, p->partitions[i].offset,
			       p->partitions[i].taken);
	}
	buf_add_str(text, "],\"copying\":[");
	for (size_t i = 0; p->copying != NULL && p->copying[i] != NULL; i++) {
		if (i > 0)
			buf_add_u8(text, ',');
		quote_json(text, slice_str(p->copying[i]));
	}
	buf_add_u8(text, ']');
	write_reconciling(p, text);
	buf_add_u8(text, '}');
}

/* ---- reading: a cursor that fails once and for all ------------------------------------------ */

struct text {
	struct slice all;
	size_t at;
	bool failed;
};

static bool try_word(struct text *t, const char *word)
{
	size_t n = strlen(word);

	if (t->failed || t->all.size - t->at < n || memcmp(t->all.data + t->at, word, n) != 0)
		return false;
	t->at += n;
	return true;
}

static void word(struct text *t, const char *expected)
{
	if (!try_word(t, expected))
		t->failed = true;
}

/* 0 .. limit: nothing in a position is negative. */
static int64_t number(struct text *t, const char *before, int64_t limit)
{
	int64_t v = 0;
	size_t from;

	word(t, before);
	from = t->at;
	while (!t->failed && t->at < t->all.size && t->all.data[t->at] >= '0' &&
	       t->all.data[t->at] <= '9') {
		int digit = t->all.data[t->at++] - '0';

		t->failed = v > (limit - digit) / 10;
		v = t->failed ? 0 : v * 10 + digit;
	}
	if (t->at == from)
		t->failed = true;
	return v;
}

/* What follows a backslash, as quote_json writes it. */
static uint8_t escaped(struct text *t)
{
	static const char pairs[] = "b\bf\fn\nr\rt\t\"\"\\\\";
	uint8_t c = t->all.data[t->at++];
	int high, low;

	for (size_t i = 0; i + 1 < sizeof(pairs); i += 2) {
		if (c == (uint8_t)pairs[i])
			return (uint8_t)pairs[i + 1];
	}
	t->failed = c != 'u' || !try_word(t, "00") || t->all.size - t->at < 2;
	if (t->failed)
		return 0;
	high = hex_value_lower(t->all.data[t->at]);
	low = hex_value_lower(t->all.data[t->at + 1]);
	t->at += 2;
	t->failed = high < 0 || low < 0 || high + low == 0;
	return t->failed ? 0 : (uint8_t)(high * 16 + low);
}

/* Never NULL; caller frees. */
static char *string(struct text *t, const char *before)
{
	struct buf out = BUF_INIT;

	word(t, before);
	word(t, "\"");
	while (!t->failed && !try_word(t, "\"")) {
		uint8_t c;

		if (t->all.size - t->at < 2) {
			t->failed = true;
			break;
		}
		c = t->all.data[t->at++];
		if (c == '\0')
			t->failed = true;
		buf_add_u8(&out, c == '\\' ? escaped(t) : c);
	}
	return buf_cstr(&out); /* the caller takes the memory */
}

static void read_partitions(struct text *t, struct intake_position *p)
{
	size_t capacity = 0;

	word(t, ",\"partitions\":[");
	while (!t->failed && !try_word(t, "]") && p->partition_count < PARTITIONS_MAX) {
		struct intake_partition *at;

		if (p->partition_count == capacity) {
			capacity = capacity > 0 ? 2 * capacity : 16;
			p->partitions = xrealloc(p->partitions, capacity * sizeof(*p->partitions));
		}
		at = &p->partitions[p->partition_count];
		at->topic = string(t, p->partition_count > 0 ? ",{\"topic\":" : "{\"topic\":");
		p->partition_count++;
		at->partition = (int32_t)number(t, ",\"partition\":", INT32_MAX);
		at->offset = number(t, ",\"offset\":", INT64_MAX);
		at->taken = number(t, ",\"taken\":", INT64_MAX);
		word(t, "}");
	}
}

static void read_copying(struct text *t, struct intake_position *p)
{
	size_t n = 0;

	word(t, ",\"copying\":[");
	p->copying = xcalloc(1, sizeof(*p->copying));
	while (!t->failed && !try_word(t, "]") && n < TABLES_MAX) {
		p->copying = xrealloc(p->copying, (n + 2) * sizeof(*p->copying));
		p->copying[n] = string(t, n > 0 ? "," : "");
		p->copying[++n] = NULL;
	}
}

/* Positions of a release that knew of no reconciling end before it. */
static void read_reconciling(struct text *t, struct intake_position *p)
{
	if (!try_word(t, ",\"reconciling\":["))
		return;
	do {
		struct intake_reconciling *r;

		p->reconciling = xrealloc(p->reconciling,
					  (p->reconciling_count + 1) * sizeof(*p->reconciling));
		r = &p->reconciling[p->reconciling_count];
		r->table = string(t, p->reconciling_count > 0 ? ",{\"table\":" : "{\"table\":");
		p->reconciling_count++;
		r->since_us = number(t, ",\"since\":", INT64_MAX);
		word(t, "}");
	} while (!t->failed && !try_word(t, "]") && p->reconciling_count < TABLES_MAX);
}

int intake_position_read(struct slice text, struct intake_position *ret_position, struct err *e)
{
	struct intake_position p = { 0 };
	struct text t = { text, 0, false };

	p.seq = number(&t, "{\"seq\":", INT64_MAX);
	p.commits_offset = number(&t, ",\"commits_offset\":", INT64_MAX);
	p.commit_us = number(&t, ",\"commit_us\":", INT64_MAX);
	p.bytes_total = number(&t, ",\"bytes_total\":", INT64_MAX);
	p.transactions_total = number(&t, ",\"transactions_total\":", INT64_MAX);
	p.gtid_set = string(&t, ",\"gtid_set\":");
	read_partitions(&t, &p);
	read_copying(&t, &p);
	read_reconciling(&t, &p);
	word(&t, "}");
	if (!t.failed && t.at == text.size) {
		*ret_position = p;
		return 0;
	}
	intake_position_done(&p);
	return err_data(e, "position: not one of Millrace's at byte %zu of %zu", t.at, text.size);
}
