/* key_collation.h - what a collation makes of text, as part of a key (key.h).
 *
 * Only the server knows its collations. It tells what a text weighs (WEIGHT_STRING, for each level
 * of the collation); here that becomes bytes whose memcmp is the collation's order, and equal bytes
 * for texts that the collation calls equal. Two things are added:
 *
 *   PAD SPACE: texts compare as if spaces without end stood behind them. A run of weights equal to
 *   a space's is written as its length and a mark that says how what follows compares with a
 *   space, so that no key is padded to its column's width.
 *   NO PAD: 00 is written as 00 ff, and 00 00 stands at the end.
 *
 * ASCII text needs no server where the collation weighs each ASCII character by itself; that was
 * asked before (cdc/source/collator.h). Pure. */
#ifndef CDC_CHANGE_KEY_COLLATION_H
#define CDC_CHANGE_KEY_COLLATION_H

#include "core/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define KEY_LEVELS_MAX 3
#define KEY_UNIT_MAX 8

struct key_weight {
	uint8_t size, bytes[KEY_UNIT_MAX];
};

struct key_collation {
	uint16_t id;
	char charset[40], name[80];
	bool pad;
	uint8_t level_count;
	uint8_t levels[KEY_LEVELS_MAX]; /* numbers, as WEIGHT_STRING(... LEVEL n) takes them */
	struct key_weight space[KEY_LEVELS_MAX];
	bool ascii;                     /* the table below serves */
	struct key_weight weights[128]; /* one level only */
};

/* Appends the part. weights: what the server said, one for each level. false: they are no whole
 * number of weights. */
bool key_collate(const struct key_collation *k, const struct slice *weights, struct buf *key);
/* The same from the text itself. false, with nothing appended: the server must be asked. */
bool key_collate_ascii(const struct key_collation *k, struct slice text, struct buf *scratch,
		       struct buf *key);
/* Appends ",WEIGHT_STRING(`name`)", one for each level. */
void key_collation_select(const struct key_collation *k, const char *expression, struct buf *sql);

#endif
