/* normal.h - the normal form of a row: what rows() of every store gives, and what the source's
 * answer is made into, so that two sides that mean the same are equal byte by byte.
 *
 * Each column has a class. A store of its own SQL reports the type that it declared
 * (view_learn_column(): "numeric(12,2)", "timestamp with time zone", "varchar(40)", or one of the
 * words below), and normal_class() reads the class out of it. SQLite has affinities instead.
 * clang-format off
 *   class      its word    value in normal form                              order of keys
 *   NUMBER     number      INT when it is whole and fits; else TEXT, a       by value
 *                          decimal without needless zeros: 12.5, -0.001,
 *                          18446744073709551615 (normal_number() makes it)
 *   DOUBLE     double      DOUBLE                                            by value
 *   FLOAT      float       DOUBLE that a float holds                         by value
 *   BOOLEAN    boolean     INT, 0 or 1                                       0, 1
 *   DATE       date        INT, days since 1970                              by value
 *   DATETIME   datetime    INT, microseconds since 1970 (with a time zone:   by value
 *                          in UTC; without one: as it is written)
 *   TIME       time        INT, microseconds; also intervals                 by value
 *   TEXT       text        TEXT in UTF-8; CHAR(n) without blanks at its end; by bytes (COLLATE "C",
 *                          uuid, inet and whatever else prints as text       utf8mb4_nopad_bin)
 *   BYTES      bytes       BYTES                                             by bytes
 *   JSON       json        TEXT as the store prints it; normal_equal()       (no key)
 *                          compares what it says (normal_json.h)
 *   ANY        any         what has no declared type (DynamoDB): numbers as  NUMBER, TEXT, BYTES
 *                          NUMBER, strings as TEXT, binary as BYTES, true
 *                          and false as INT. Text that reads as a number is
 *                          compared as one
 *   LOOSE...   sqlite      as SQLite has stored it, by its affinity       NULL, number, text, bytes
 * clang-format on
 * NULL is NULL in all of them and comes before everything. What a class can't hold (a zero date,
 * numeric 'NaN') is TEXT, behind everything but BYTES.
 *
 * Keys are ordered by normal_compare(): numbers by value, text by bytes, never by a collation. It
 * is the order that a database's own index gives for numbers and times, so asking for it costs no
 * sorting there. */
#ifndef PROJECTIONS_STORE_NORMAL_H
#define PROJECTIONS_STORE_NORMAL_H

#include "core/value/value.h"
#include "projections/apply/view.h"
#include "projections/store/normal_json.h"

enum normal_class {
	NORMAL_NUMBER,
	NORMAL_DOUBLE,
	NORMAL_FLOAT,
	NORMAL_BOOLEAN,
	NORMAL_DATE,
	NORMAL_DATETIME,
	NORMAL_TIME,
	NORMAL_TEXT,
	NORMAL_BYTES,
	NORMAL_JSON,
	NORMAL_ANY,
	NORMAL_LOOSE,         /* SQLite, no affinity: values stay what they are */
	NORMAL_LOOSE_TEXT,    /* numbers become text */
	NORMAL_LOOSE_NUMERIC, /* INTEGER and NUMERIC: text that is a number becomes one */
	NORMAL_LOOSE_REAL     /* the same, and numbers become doubles */
};

/* The class of a column of that declared type in that store ("sqlite", ...). Types are read up to
 * their '(', in any case; one that isn't known is TEXT, "" is ANY. */
enum normal_class normal_class(const char *store, const char *type);
const char *normal_class_name(enum normal_class c);

/* The decimal that `text` is ("012.50", "-0", "1.5e3") in normal form. False when it is none; the
 * value is TEXT as it stands then. Points into text, or into scratch when something had to be made
 * (at most text.size + 32 bytes; where that can't move, reserve it beforehand). */
bool normal_number(struct slice text, struct buf *scratch, struct value *ret_value);

/* <0, 0, >0. Both in normal form. */
int normal_compare(enum normal_class c, const struct value *a, const struct value *b);
/* In a LOOSE column: a number and a text that is that number, '12.50' and 12.5. What a SELECT in
 * SQLite computes of decimals are numbers, what the source computes are decimals. */
bool normal_loose_equal(const struct value *a, const struct value *b);
static inline bool normal_equal(enum normal_class c, const struct value *a, const struct value *b)
{
	if (a->kind == VALUE_INT && b->kind == VALUE_INT)
		return a->i == b->i;
	if (c == NORMAL_LOOSE && (a->kind == VALUE_TEXT) != (b->kind == VALUE_TEXT))
		return normal_loose_equal(a, b);
	if (c == NORMAL_JSON && a->kind == VALUE_TEXT && b->kind == VALUE_TEXT)
		return normal_json_equal(a->bytes, b->bytes);
	return normal_compare(c, a, b) == 0;
}

#endif
