/* gtid_ranges.h - MySQL's sets of global transaction ids.
 *
 * A GTID is uuid:number, or uuid:tag:number since 8.3; a set is "uuid:1-5:7:tag:1-3,uuid:9" (MySQL
 * manual, "GTID Sets"). Numbers count from 1; a tag is a letter or '_' and up to 31 more letters,
 * digits or '_', without case. Part of struct gtid_set (core/base/gtid.h), whose callers need not
 * know which dialect they hold. */
#ifndef CORE_BASE_GTID_RANGES_H
#define CORE_BASE_GTID_RANGES_H

#include "core/base/buf.h"
#include "core/base/err.h"

#define GTID_RANGES_MAX 65536
#define GTID_NUMBER_MAX (INT64_MAX - 1)
#define GTID_UUID_SIZE 16
#define GTID_TAG_SIZE 33

struct gtid_range {
	uint8_t uuid[GTID_UUID_SIZE];
	char tag[GTID_TAG_SIZE]; /* "" without; NUL to its end, so that memcmp orders it */
	uint64_t first, last;    /* both inclusive */
};

/* Sorted by uuid, tag and first; ranges of one uuid and tag neither overlap nor touch. */
struct gtid_ranges {
	struct gtid_range *items;
	size_t count, capacity;
};

void gtid_ranges_done(struct gtid_ranges *s);
/* Adds what the text names. ERR_DATA: malformed (the set is then in no defined state, but can be
 * released), more than GTID_RANGES_MAX ranges. */
int gtid_ranges_parse(struct slice text, struct gtid_ranges *s, struct err *e);
void gtid_ranges_text(const struct gtid_ranges *s, struct buf *out);
/* ERR_DATA beyond GTID_RANGES_MAX; the set is then unchanged. */
int gtid_ranges_add(struct gtid_ranges *s, const struct gtid_range *range, struct err *e);
int gtid_ranges_union(struct gtid_ranges *s, const struct gtid_ranges *other, struct err *e);
/* What is in s and not in other. May need more ranges than s had, never more than both together. */
void gtid_ranges_minus(const struct gtid_ranges *s, const struct gtid_ranges *other,
		       struct gtid_ranges *ret_difference);
bool gtid_ranges_contain(const struct gtid_ranges *s, const struct gtid_ranges *part);
bool gtid_ranges_equal(const struct gtid_ranges *a, const struct gtid_ranges *b);
void gtid_ranges_copy(struct gtid_ranges *to, const struct gtid_ranges *from);
/* A tag, in any case, into GTID_TAG_SIZE bytes: lower, NUL to the end. "" is none. */
bool gtid_tag_read(struct slice text, char *out);
/* The id of one transaction (range->first): appends "uuid:5" or "uuid:tag:5". */
void gtid_range_id(const struct gtid_range *range, struct buf *out);
/* As the server packs them (gtid_ranges_wire.c). pack appends; unpack replaces what was there.
 * ERR_DATA: malformed. */
void gtid_ranges_pack(const struct gtid_ranges *s, struct buf *out);
int gtid_ranges_unpack(struct slice packed, struct gtid_ranges *ret_ranges, struct err *e);
/* How many GTIDs it holds; saturates at UINT64_MAX. */
uint64_t gtid_ranges_size(const struct gtid_ranges *s);

#endif
