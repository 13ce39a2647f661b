/* collator.h - asks the server how its collations sort, for keys that are text (key_collation.h).
 *
 * One for all tables being copied: it keeps what it has learnt about each collation, and the parts
 * of recent texts, so that a busy table does not ask for each change. ASCII text mostly needs no
 * question at all. It has a connection of its own, opened at the first question. Any thread. */
#ifndef CDC_SOURCE_COLLATOR_H
#define CDC_SOURCE_COLLATOR_H

#include "cdc/change/key.h"
#include "cdc/change/key_collation.h"
#include "core/base/settings.h"

struct collator;

struct collator *collator_new(const struct settings *settings);
void collator_free(struct collator *c); /* NULL is fine */
/* Learns all collations of the key. ERR_CONFIG names one whose weights don't show its order;
 * ERR_RETRY when the server cannot be asked. Nothing is asked for keys without text. */
int collator_prepare(struct collator *c, const struct shape *shape, struct err *e);
/* A collation that collator_prepare() has learnt; lives as long as the collator. */
const struct key_collation *collator_find(struct collator *c, uint16_t collation);
/* For keys of any shape that was prepared; lives as long as the collator. */
const struct key_weigher *collator_weigher(const struct collator *c);

#endif
