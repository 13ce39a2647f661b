/* fuzz_position.c - the position's fingerprint against the configuration (cdc/delivery/position.c),
 * and keys as positions keep them (cdc/change/key_sql.c, key_collation.c). Input: a table, then
 * parts: literals of its key's columns, what its collation weighs, and two fingerprints. */
#include "test/fuzz/fuzz.h"

#include "cdc/change/key.h"
#include "cdc/change/key_collation.h"
#include "cdc/delivery/position.h"
#include "core/base/mem.h"

#include <string.h>

#define COLUMNS 3

/* Any text weighs what it is. */
static int weigh(void *context, size_t part, const struct column *c, struct slice value,
		 struct buf *key, struct err *e)
{
	(void)context, (void)part, (void)c, (void)e;
	buf_add_slice(key, value);
	buf_add(key, "\0\0", 2);
	return 0;
}

static const char *charset(void *context, const struct column *c)
{
	(void)context, (void)c;
	return "utf8mb4";
}

static const struct key_weigher weigher = { NULL, weigh, charset };

static void check_literals(struct shape *s)
{
	struct key_border border = { BUF_INIT, BUF_INIT };
	const char *literals[COLUMNS];
	struct buf texts[COLUMNS] = { BUF_INIT, BUF_INIT, BUF_INIT }, sql = BUF_INIT;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < COLUMNS; i++) {
		buf_add_slice(&texts[i], fuzz_part());
		literals[i] = buf_cstr(&texts[i]);
	}
	if (key_refused(s) == NULL &&
	    key_border_from_literals(s, literals, s->key_count, &weigher, &border, &e) == 0) {
		key_condition(s, &border, true, true, &sql);
		fuzz_check(sql.size > 0 && border.key.size > 0, "no condition");
	} else if (key_refused(s) == NULL) {
		fuzz_check_error(&e, ERR_DATA);
	}
	key_border_done(&border);
	buf_done(&sql);
	for (size_t i = 0; i < COLUMNS; i++)
		buf_done(&texts[i]);
}

static void check_weights(void)
{
	struct key_collation k = { .charset = "utf8mb4", .name = "x", .pad = fuzz_pick(2) == 1 };
	struct slice weights[KEY_LEVELS_MAX];
	struct buf key = BUF_INIT, again = BUF_INIT;

	k.level_count = (uint8_t)(1 + fuzz_pick(KEY_LEVELS_MAX));
	for (uint8_t i = 0; i < k.level_count; i++) {
		k.levels[i] = (uint8_t)(i + 1);
		k.space[i].size = (uint8_t)(1 + fuzz_pick(KEY_UNIT_MAX));
		memset(k.space[i].bytes, 0x20, sizeof(k.space[i].bytes));
		weights[i] = fuzz_part();
	}
	if (key_collate(&k, weights, &key)) {
		fuzz_check(key_collate(&k, weights, &again), "again");
		fuzz_check_same(buf_slice(&key), buf_slice(&again));
	}
	buf_done(&key);
	buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf stored = BUF_INIT, now = BUF_INIT, notes = BUF_INIT;
	struct err e = ERR_INIT;
	struct shape *s;

	fuzz_input = rd_of(data, size);
	s = fuzz_table(COLUMNS);
	s->key = xcalloc(COLUMNS, sizeof(*s->key));
	s->key_count = (uint16_t)(1 + fuzz_pick(s->column_count));
	for (uint16_t i = 0; i < s->key_count; i++)
		s->key[i] = i;
	check_literals(s);
	check_weights();
	buf_add_slice(&stored, fuzz_part());
	buf_add_slice(&now, rd_rest(&fuzz_input));
	(void)position_partitions(buf_cstr(&stored), "a");
	if (position_compare(buf_cstr(&stored), buf_cstr(&now), &notes, &e) < 0)
		fuzz_check_error(&e, ERR_CONFIG);
	buf_reset(&notes);
	fuzz_check(position_compare(buf_cstr(&now), buf_cstr(&now), &notes, &e) == 0, "%s", e.msg);
	fuzz_check(notes.size == 0, "%s", buf_cstr(&notes));
	shape_unref(s);
	buf_done(&stored);
	buf_done(&now);
	buf_done(&notes);
	return 0;
}
