/* key_collation.c - weights to key bytes.
 *
 * With padding, write S for the weight of a space. Behind a common beginning two texts differ in
 * one of: the end (spaces without end), a weight other than S, a run of S and then a smaller
 * weight, a run of S and then a greater one. Their order is
 *
 *   weight < S,  S..S smaller (shorter run first),  the end,  S..S greater (longer run first),
 *   weight > S
 *
 * so a run is written as S 01 length, the end as S 02, S 03 inverted length. */
#include "cdc/change/key_collation.h"

#include <string.h>

enum run { RUN_SMALLER = 1, RUN_END = 2, RUN_GREATER = 3 };

static void add_run(const struct key_weight *space, enum run run, uint32_t length, struct buf *key)
{
	buf_add(key, space->bytes, space->size);
	buf_add_u8(key, (uint8_t)run);
	if (run == RUN_GREATER)
		length = ~length;
	for (int shift = 24; run != RUN_END && shift >= 0; shift -= 8)
		buf_add_u8(key, (uint8_t)(length >> shift));
}

static bool add_padded(const struct key_weight *space, struct slice level, struct buf *key)
{
	size_t size = space->size, run = 0;

	if (size == 0 || level.size % size != 0 || level.size / size > UINT32_MAX)
		return false;
	for (size_t i = 0; i < level.size; i += size) {
		int order = memcmp(level.data + i, space->bytes, size);

		if (order == 0) {
			run++;
			continue;
		}
		if (run > 0)
			add_run(space, order < 0 ? RUN_SMALLER : RUN_GREATER, (uint32_t)run, key);
		run = 0;
		buf_add(key, level.data + i, size);
	}
	add_run(space, RUN_END, 0, key);
	return true;
}

static void add_ended(struct slice level, struct buf *key)
{
	static const uint8_t zero[2] = { 0x00, 0xff }, end[2] = { 0x00, 0x00 };

	for (size_t i = 0; i < level.size; i++) {
		if (level.data[i] == 0)
			buf_add(key, zero, 2);
		else
			buf_add_u8(key, level.data[i]);
	}
	buf_add(key, end, 2);
}

bool key_collate(const struct key_collation *k, const struct slice *weights, struct buf *key)
{
	size_t before = key->size;

	for (size_t i = 0; i < k->level_count; i++) {
		if (!k->pad) {
			add_ended(weights[i], key);
		} else if (!add_padded(&k->space[i], weights[i], key)) {
			key->size = before;
			return false;
		}
	}
	return true;
}

bool key_collate_ascii(const struct key_collation *k, struct slice text, struct buf *scratch,
		       struct buf *key)
{
	struct slice weights;

	if (!k->ascii)
		return false;
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] >= 0x80)
			return false;
	buf_reset(scratch);
	for (size_t i = 0; i < text.size; i++) {
		const struct key_weight *w = &k->weights[text.data[i]];

		buf_add(scratch, w->bytes, w->size);
	}
	weights = buf_slice(scratch);
	return key_collate(k, &weights, key);
}

void key_collation_select(const struct key_collation *k, const char *expression, struct buf *sql)
{
	for (size_t i = 0; i < k->level_count; i++) {
		buf_add_format(sql, ",WEIGHT_STRING(%s", expression);
		if (k->level_count > 1)
			buf_add_format(sql, " LEVEL %u", k->levels[i]);
		buf_add_str(sql, ")");
	}
}
