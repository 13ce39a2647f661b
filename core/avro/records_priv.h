/* records_priv.h - the records' structs as tables: one walk writes, one reads, one prints them. */
#ifndef CORE_AVRO_RECORDS_PRIV_H
#define CORE_AVRO_RECORDS_PRIV_H

#include "core/avro/records.h"

enum member_kind {
	MEMBER_LONG,  /* int64_t */
	MEMBER_DELTA, /* int64_t; written as the difference to the array's item before */
	MEMBER_INT,   /* int32_t */
	MEMBER_BOOL,
	MEMBER_DOUBLE,
	MEMBER_TEXT, /* const char *, never NULL when read */
	MEMBER_TEXT_OR_NULL,
	MEMBER_BYTES,          /* struct slice */
	MEMBER_BYTES_OR_NULL,  /* the same; data NULL is null */
	MEMBER_TEXTS,          /* struct record_texts */
	MEMBER_RECORD_OR_NULL, /* pointer to `type` */
	MEMBER_RECORDS,        /* pointer to the first of size_t (at count_offset) `type`s */
};

struct record_type;

struct member {
	const char *name; /* as in the schema */
	enum member_kind kind;
	size_t offset, count_offset;
	const struct record_type *type;
};

/* Members stand in the schema's order: what the writer writes is what the schema says. */
struct record_type {
	size_t size;
	const struct member *members;
	size_t member_count;
};

extern const struct record_type records_types[RECORD_KINDS];

/* The field of a struct that a member describes. */
static inline void *records_at(const struct member *m, void *record)
{
	return (char *)record + m->offset;
}

static inline const void *records_in(const struct member *m, const void *record)
{
	return (const char *)record + m->offset;
}

static inline size_t *records_count(const struct member *m, void *record)
{
	return (size_t *)(void *)((char *)record + m->count_offset);
}

static inline size_t records_count_in(const struct member *m, const void *record)
{
	return *(const size_t *)(const void *)((const char *)record + m->count_offset);
}

#endif
