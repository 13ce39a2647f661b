/* registry_priv.h - the registry's memory and the record format, for registry.c, registry_record.c
 * and their test. */
#ifndef CORE_REGISTRY_REGISTRY_PRIV_H
#define CORE_REGISTRY_REGISTRY_PRIV_H

#include "core/base/buf.h"
#include "core/registry/registry.h"
#include "core/registry/registry_text.h"

#include <uthash.h>

struct registry_subject;

/* One version of one subject. Never freed while the registry is open, so that callers may keep the
 * text. There are two for each table, so its size counts. */
struct registry_entry {
	struct registry_schema schema; /* text: NULL while it is packed */
	struct registry_text text;
	uint64_t sum;                 /* of what the text says */
	struct registry_entry *older; /* of the same subject, by arrival */
	struct registry_entry *alike, *alike_last; /* the next with the same sum, by arrival; the
						      first one knows the last */
	bool avro; /* false: another registry's JSON Schema or Protobuf; only its id counts */
	bool deleted;
};

struct registry_subject {
	UT_hash_handle hh;
	struct registry_entry *newest;
	int32_t version_max; /* deleted ones included */
	char name[];
};

/* Entries by a number of theirs; of several with the same one the first. */
struct registry_index {
	struct registry_entry **slots; /* a power of two; NULL: free */
	size_t size, used;
};

struct registry_store {
	struct registry_entry **entries; /* in topic order */
	size_t count, capacity;
	struct registry_subject *subjects;
	struct registry_index ids, sums;
	struct registry_packer packer;
	int32_t id_max;
	int64_t skipped; /* records that could not be read */
};

void registry_store_done(struct registry_store *s);
/* Takes in one record of the topic. Records of other kinds (NOOP, CONFIG, MODE ...) are fine; one
 * that cannot be read is counted and logged, since it concerns only who needs its id. */
void registry_store_apply(struct registry_store *s, struct slice key, struct slice value,
			  int64_t offset);
/* The entry's schema with its text, which lasts as long as the store. */
struct registry_schema registry_store_open(const struct registry_store *s,
					   const struct registry_entry *entry);
/* The same; the text may lie in `room`. */
struct registry_schema registry_store_look(const struct registry_store *s,
					   const struct registry_entry *entry, struct buf *room);
const struct registry_entry *registry_store_by_id(const struct registry_store *s, int32_t id);
const struct registry_entry *registry_store_latest(const struct registry_store *s,
						   const char *subject);
/* The version of the subject, not deleted, whose text says the same; NULL: none. */
const struct registry_entry *registry_store_find(const struct registry_store *s,
						 const char *subject, const char *text);
/* What a new version of the subject would get: an id that the text has in another subject, or the
 * next. */
void registry_store_next(const struct registry_store *s, const char *subject, const char *text,
			 int32_t *ret_id, int32_t *ret_version);
/* The record of a new version, as another registry would write it. */
void registry_record(const struct registry_schema *schema, struct buf *key, struct buf *value);

#endif
