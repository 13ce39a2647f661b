/* shape.h - what a table looks like at one moment: columns, types, key.
 *
 * A shape is immutable once made, and shared by reference between catalog, changes, plans and copy.
 * It is built from a TABLE_MAP event with binlog_row_metadata=FULL (cdc/catalog) or from
 * information_schema (first copy). Both must give the same shape for the same table; shape_equal
 * says so.
 *
 * Types are the codes of the binlog and the client protocol (enum_field_types in MySQL's source;
 * the manual calls them "Protocol::ColumnType"). */
#ifndef CORE_VALUE_SHAPE_H
#define CORE_VALUE_SHAPE_H

#include "core/base/err.h"
#include "core/base/slice.h"

enum column_type {
	COLUMN_TINY = 1,
	COLUMN_SHORT = 2,
	COLUMN_LONG = 3,
	COLUMN_FLOAT = 4,
	COLUMN_DOUBLE = 5,
	COLUMN_TIMESTAMP = 7, /* 7, 11, 12: old forms (mysql56_temporal_format=OFF) */
	COLUMN_LONGLONG = 8,
	COLUMN_INT24 = 9,
	COLUMN_DATE = 10,
	COLUMN_TIME = 11, /* without fraction: with one, a TABLE_MAP can't tell */
	COLUMN_DATETIME = 12,
	COLUMN_YEAR = 13,
	COLUMN_VARCHAR = 15,
	COLUMN_BIT = 16,
	COLUMN_TIMESTAMP2 = 17,
	COLUMN_DATETIME2 = 18,
	COLUMN_TIME2 = 19,
	COLUMN_VECTOR = 242, /* on MariaDB a TABLE_MAP says VARBINARY: a hint tells */
	COLUMN_JSON = 245,   /* MySQL's, in binary form; MariaDB's is a LONGTEXT */
	COLUMN_NEWDECIMAL = 246,
	COLUMN_ENUM = 247,
	COLUMN_SET = 248,
	COLUMN_BLOB = 252,     /* all BLOB and TEXT sizes */
	COLUMN_STRING = 254,   /* CHAR, BINARY; its metadata may say ENUM (247) or SET (248) */
	COLUMN_GEOMETRY = 255, /* of every sub-type */
	/* MariaDB's, stored like BINARY(16), (4) and (16), and called so by a TABLE_MAP: a hint
	 * tells. No codes of the wire, where these numbers are free. */
	COLUMN_UUID = 200,
	COLUMN_INET4 = 201,
	COLUMN_INET6 = 202,
};

#define SHAPE_COLUMNS_MAX 4096
#define COLLATION_BINARY 63

struct column {
	char *name;   /* UTF-8, as the server has it */
	uint8_t type; /* enum column_type; anything else is refused by name before a shape exists */
	bool nullable;
	bool is_unsigned;   /* numeric types only */
	bool is_binary;     /* character types with collation 63: bytes, not text */
	uint16_t collation; /* character types, ENUM and SET: collation id; else 0 */
	/* VARCHAR, STRING, VECTOR: most bytes; UUID, INET4, INET6: all bytes; BLOB, JSON, GEOMETRY:
	 * number of length bytes (1..4) */
	uint32_t size_max;
	uint8_t precision, scale; /* NEWDECIMAL; YEAR: precision 2 is YEAR(2), by a hint only */
	uint8_t fraction;         /* TIME2, DATETIME2, TIMESTAMP2: fractional digits 0..6 */
	uint16_t bits;            /* BIT: 1..64 */
	uint8_t pack_bytes; /* ENUM: 1 or 2; SET: 1..8 bytes of the value; VECTOR: length bytes */
	bool json_5_7;      /* JSON: printed as MySQL 5.7 does */
	uint8_t stored;     /* row_stored(), looked up by shape_pack(); 0: not yet */
	bool not_logged;    /* virtual, of a server whose row images don't have its value */
	char **labels;      /* ENUM and SET: UTF-8 labels, in order */
	uint16_t label_count;
};

/* What a binlog without full row metadata leaves open. Only shapes made for `decode` have such gaps
 * (catalog_take_gaps); whatever is delivered is known. */
enum shape_unknown {
	SHAPE_UNKNOWN_NAMES = 1,    /* columns are called @1, @2, ... */
	SHAPE_UNKNOWN_SIGNS = 2,    /* is_unsigned means nothing */
	SHAPE_UNKNOWN_CHARSETS = 4, /* collation and is_binary of character columns mean nothing */
	SHAPE_UNKNOWN_LABELS = 8,   /* ENUM and SET have no labels */
};

struct shape {
	char *db, *table;
	struct column *columns;
	uint16_t column_count;
	uint16_t *key;      /* column numbers of the primary key, in key order */
	uint16_t key_count; /* 0: no primary key */
	bool packed;        /* all of it is one block */
	uint8_t unknown;    /* enum shape_unknown, added up */
	uint32_t references;
};

/* Bytes of the length that stands before a value of a row image; 0: its type has a fixed size. */
static inline size_t column_length_bytes(const struct column *c)
{
	switch ((enum column_type)c->type) {
	case COLUMN_BLOB:
	case COLUMN_JSON:
	case COLUMN_GEOMETRY:
		return c->size_max;
	case COLUMN_VARCHAR:
	case COLUMN_STRING:
	case COLUMN_UUID:
	case COLUMN_INET4:
	case COLUMN_INET6:
		return c->size_max > 255 ? 2 : 1;
	case COLUMN_VECTOR:
		return c->pack_bytes;
	case COLUMN_TINY:
	case COLUMN_SHORT:
	case COLUMN_LONG:
	case COLUMN_FLOAT:
	case COLUMN_DOUBLE:
	case COLUMN_TIMESTAMP:
	case COLUMN_LONGLONG:
	case COLUMN_INT24:
	case COLUMN_DATE:
	case COLUMN_TIME:
	case COLUMN_DATETIME:
	case COLUMN_YEAR:
	case COLUMN_BIT:
	case COLUMN_TIMESTAMP2:
	case COLUMN_DATETIME2:
	case COLUMN_TIME2:
	case COLUMN_NEWDECIMAL:
	case COLUMN_ENUM:
	case COLUMN_SET:
		break;
	}
	return 0;
}

/* Most bytes of a value that has its length before it. */
static inline size_t column_bytes_max(const struct column *c)
{
	if (c->type == COLUMN_BLOB || c->type == COLUMN_JSON || c->type == COLUMN_GEOMETRY)
		return UINT32_MAX >>
		       (32 - 8 * (c->size_max >= 1 && c->size_max <= 4 ? c->size_max : 4));
	return c->size_max;
}

/* The year that a YEAR's byte stands for. YEAR(2) has no year zero: 0 is 2000 there, as 100 is. */
static inline int column_year(const struct column *c, uint8_t stored)
{
	if (stored == 0)
		return c->precision == 2 ? 2000 : 0;
	return 1900 + stored;
}

/* A type of which MariaDB's TABLE_MAPs say nothing. */
static inline bool column_is_hidden(const struct column *c)
{
	return c->type == COLUMN_UUID || c->type == COLUMN_INET4 || c->type == COLUMN_INET6 ||
	       c->type == COLUMN_VECTOR;
}

/* Character data or bytes: VARCHAR, CHAR, BINARY, BLOB, TEXT. */
static inline bool column_is_character(const struct column *c)
{
	return c->type == COLUMN_VARCHAR || c->type == COLUMN_STRING || c->type == COLUMN_BLOB;
}

/* One reference; columns zeroed. */
struct shape *shape_new(const char *db, const char *table, uint16_t column_count);
/* The same, made of one block: there may be ten thousand that stay. Takes the caller's reference of
 * s, which must be the only one. */
struct shape *shape_pack(struct shape *s);
struct shape *shape_ref(struct shape *s);
void shape_unref(struct shape *s); /* NULL is fine */
/* Equal in everything that decides how rows decode and how the record schema reads (names, types,
 * key, labels). */
bool shape_equal(const struct shape *a, const struct shape *b);
/* Number of the column with this name (exact bytes), or -1. */
int shape_column(const struct shape *s, struct slice name);
/* "int unsigned", "decimal(10,2)", "varchar", "binary", ... for messages. Writes at most size
 * bytes. Returns out. */
char *column_type_text(const struct column *c, char *out, size_t size);

#endif
