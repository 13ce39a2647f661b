/* normal_source.c - what a class makes of a value that the source printed.
 *
 * First the text becomes the canonical value that an event of the same row would have carried
 * (value_from_text()), then that what the store makes of it. Whole numbers, most of what there is,
 * are read here in one go. Where SQLite has rules of its own (how it reads and prints floating
 * point numbers changes with its releases) it is asked itself. */
#include "projections/store/normal_source.h"

#include "core/base/mem.h"
#include "core/sql/store_db.h"
#include "core/value/real.h"
#include "core/value/shape.h"
#include "core/value/temporal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DAY_US 86400000000LL
#define ONES_MAX 18 /* digits that always fit */

/* Codes that only the protocol uses (core/value/value_source.c). */
enum { SOURCE_OLD_DECIMAL = 0, SOURCE_NEWDATE = 14, SOURCE_VAR_STRING = 253 };

struct normal_source {
	struct sql_db *db;
	struct sql_statement *to_text, *to_numeric, *to_real;
	/* a table with a column of that affinity, for text that isn't plainly a number */
	struct sql_statement *put, *get;
};

void normal_source_close(struct normal_source *n)
{
	if (n == NULL)
		return;
	sql_finalize(n->to_text);
	sql_finalize(n->to_numeric);
	sql_finalize(n->to_real);
	sql_finalize(n->put);
	sql_finalize(n->get);
	sql_close(n->db);
	free(n);
}

int normal_source_open(struct normal_source **ret_source, struct err *e)
{
	struct normal_source *n = xcalloc(1, sizeof(*n));

	if (sql_open_db(NULL, SQL_OPEN_MEMORY, &n->db, e) < 0 ||
	    sql_run(n->db, "CREATE TABLE a (id INTEGER PRIMARY KEY, n NUMERIC, r REAL)", e) < 0 ||
	    sql_prepare(n->db, "verify", "SELECT CAST(?1 AS TEXT)", NULL, &n->to_text, e) < 0 ||
	    sql_prepare(n->db, "verify", "SELECT CAST(?1 AS NUMERIC)", NULL, &n->to_numeric, e) <
		    0 ||
	    sql_prepare(n->db, "verify", "SELECT CAST(?1 AS REAL)", NULL, &n->to_real, e) < 0 ||
	    sql_prepare(n->db, "verify", "REPLACE INTO a VALUES (1, ?1, ?1)", NULL, &n->put, e) <
		    0 ||
	    sql_prepare(n->db, "verify", "SELECT n, r FROM a", NULL, &n->get, e) < 0) {
		normal_source_close(n);
		return -1;
	}
	*ret_source = n;
	return 0;
}

/* ---- SQLite ---------------------------------------------------------------------------------- */

/* A result's bytes are gone at the next step: they go into scratch. */
static void keep(struct value *v, struct buf *scratch)
{
	size_t begin = scratch->size;

	if (v->kind != VALUE_TEXT && v->kind != VALUE_BYTES)
		return;
	buf_add_slice(scratch, v->bytes);
	v->bytes = slice_of(scratch->data + begin, v->bytes.size);
}

static int ask_sqlite(struct sql_statement *s, int column, struct buf *scratch, struct value *v,
		      struct err *e)
{
	if (sql_step(s, e) < 0)
		return -1;
	sql_column(s, column, v);
	keep(v, scratch);
	sql_reset(s);
	return 0;
}

static int cast(struct sql_statement *s, struct buf *scratch, struct value *v, struct err *e)
{
	return sql_bind(s, 1, v, e) < 0 ? -1 : ask_sqlite(s, 0, scratch, v, e);
}

static int store_and_read(struct normal_source *n, int column, struct buf *scratch, struct value *v,
			  struct err *e)
{
	if (sql_bind(n->put, 1, v, e) < 0 || sql_step(n->put, e) < 0)
		return -1;
	sql_reset(n->put);
	return ask_sqlite(n->get, column, scratch, v, e);
}

static int loose_number(struct normal_source *n, bool real, struct buf *scratch, struct value *v,
			struct err *e)
{
	struct value number;

	if (v->kind != VALUE_TEXT)
		return 0;
	if (memchr(v->bytes.data, 'e', v->bytes.size) != NULL ||
	    memchr(v->bytes.data, 'E', v->bytes.size) != NULL ||
	    !normal_number(v->bytes, scratch, &number))
		return store_and_read(n, real, scratch, v, e);
	if (number.kind == VALUE_INT) {
		*v = number;
		return 0;
	}
	return cast(real ? n->to_real : n->to_numeric, scratch, v, e);
}

static void print_int(struct buf *scratch, struct value *v)
{
	size_t begin = scratch->size;

	buf_add_format(scratch, "%lld", (long long)v->i);
	*v = (struct value){ .kind = VALUE_TEXT,
			     .bytes = slice_of(scratch->data + begin, scratch->size - begin) };
}

static int to_loose(struct normal_source *n, enum normal_class c, struct buf *scratch,
		    struct value *v, struct err *e)
{
	int rc;

	if (c == NORMAL_LOOSE_TEXT && v->kind == VALUE_INT)
		print_int(scratch, v);
	if (c == NORMAL_LOOSE_TEXT && v->kind == VALUE_DOUBLE)
		return cast(n->to_text, scratch, v, e);
	if (c == NORMAL_LOOSE_NUMERIC)
		return loose_number(n, false, scratch, v, e);
	if (c == NORMAL_LOOSE_REAL) {
		rc = loose_number(n, true, scratch, v, e);
		if (rc == 0 && v->kind == VALUE_INT)
			*v = (struct value){ .kind = VALUE_DOUBLE, .d = (double)v->i };
		return rc;
	}
	return 0;
}

/* ---- the other classes ----------------------------------------------------------------------- */

static void print_double(struct buf *scratch, struct value *v)
{
	char text[REAL_TEXT_MAX];
	size_t begin = scratch->size;

	real_short_text(v->d, false, text);
	buf_add_str(scratch, text);
	*v = (struct value){ .kind = VALUE_TEXT,
			     .bytes = slice_of(scratch->data + begin, scratch->size - begin) };
}

static void to_number(struct buf *scratch, struct value *v)
{
	struct value number;

	if (v->kind == VALUE_DOUBLE)
		print_double(scratch, v);
	if (v->kind == VALUE_TEXT && normal_number(v->bytes, scratch, &number))
		*v = number;
}

static void to_double(bool single, struct buf *scratch, struct value *v)
{
	struct value number;
	char text[512];

	if (v->kind == VALUE_INT)
		*v = (struct value){ .kind = VALUE_DOUBLE, .d = (double)v->i };
	if (v->kind == VALUE_TEXT && v->bytes.size < sizeof(text) &&
	    normal_number(v->bytes, scratch, &number)) {
		memcpy(text, v->bytes.data, v->bytes.size);
		text[v->bytes.size] = '\0';
		*v = (struct value){ .kind = VALUE_DOUBLE, .d = strtod(text, NULL) };
	}
	if (v->kind == VALUE_DOUBLE && single)
		v->d = (double)(float)v->d;
}

static void to_boolean(struct buf *scratch, struct value *v)
{
	to_number(scratch, v);
	if (v->kind == VALUE_INT)
		v->i = v->i != 0;
}

static bool is_moment(uint8_t type)
{
	return type == COLUMN_DATETIME || type == COLUMN_DATETIME2 || type == COLUMN_TIMESTAMP ||
	       type == COLUMN_TIMESTAMP2;
}

static bool is_date(uint8_t type)
{
	return type == COLUMN_DATE || type == SOURCE_NEWDATE;
}

/* type: what the class is, as a column of the source. */
static void to_temporal(uint8_t type, const struct value_source_type *from, struct value *v)
{
	struct temporal t;
	int64_t number;

	if (v->kind == VALUE_TEXT && temporal_parse(type, v->bytes, &t) &&
	    temporal_number(type, &t, &number)) {
		*v = (struct value){ .kind = VALUE_INT, .i = number };
		return;
	}
	if (v->kind != VALUE_INT)
		return;
	if (type == COLUMN_DATE && is_moment(from->type))
		v->i = v->i / DAY_US - (v->i % DAY_US < 0);
	else if (type == COLUMN_DATETIME && is_date(from->type))
		v->i *= DAY_US;
}

static void to_text(bool bytes, struct buf *scratch, struct value *v)
{
	if (v->kind == VALUE_INT)
		print_int(scratch, v);
	else if (v->kind == VALUE_DOUBLE)
		print_double(scratch, v);
	if (v->kind == VALUE_TEXT || v->kind == VALUE_BYTES)
		v->kind = bytes ? VALUE_BYTES : VALUE_TEXT;
}

static int to_class(struct normal_source *n, enum normal_class c,
		    const struct value_source_type *type, struct buf *scratch, struct value *v,
		    struct err *e)
{
	switch (c) {
	case NORMAL_NUMBER:
		to_number(scratch, v);
		return 0;
	case NORMAL_DOUBLE:
	case NORMAL_FLOAT:
		to_double(c == NORMAL_FLOAT, scratch, v);
		return 0;
	case NORMAL_BOOLEAN:
		to_boolean(scratch, v);
		return 0;
	case NORMAL_DATE:
		to_temporal(COLUMN_DATE, type, v);
		return 0;
	case NORMAL_DATETIME:
		to_temporal(COLUMN_DATETIME, type, v);
		return 0;
	case NORMAL_TIME:
		to_temporal(COLUMN_TIME, type, v);
		return 0;
	case NORMAL_TEXT:
	case NORMAL_JSON:
		to_text(false, scratch, v);
		return 0;
	case NORMAL_BYTES:
		to_text(true, scratch, v);
		return 0;
	case NORMAL_ANY:
		if (v->kind == VALUE_DOUBLE || type->type == COLUMN_NEWDECIMAL ||
		    type->type == SOURCE_OLD_DECIMAL || type->type == COLUMN_LONGLONG)
			to_number(scratch, v);
		return 0;
	case NORMAL_LOOSE:
	case NORMAL_LOOSE_TEXT:
	case NORMAL_LOOSE_NUMERIC:
	case NORMAL_LOOSE_REAL:
		return to_loose(n, c, scratch, v, e);
	}
	return 0;
}

/* ---- one value ------------------------------------------------------------------------------- */

static bool is_integer(const struct value_source_type *type)
{
	return type->type == COLUMN_LONG || type->type == COLUMN_TINY ||
	       type->type == COLUMN_SHORT || type->type == COLUMN_INT24 ||
	       (type->type == COLUMN_LONGLONG && !type->is_unsigned);
}

static bool keeps_integers(enum normal_class c)
{
	return c == NORMAL_LOOSE_NUMERIC || c == NORMAL_NUMBER || c == NORMAL_LOOSE;
}

/* Up to 18 digits; else it is left to those who take more care. */
static bool read_ones(struct slice text, int64_t *ret_i)
{
	const uint8_t *p = text.data, *end = p + text.size;
	bool negative = p < end && *p == '-';
	uint64_t v = 0;

	p += negative;
	if (p == end || end - p > ONES_MAX)
		return false;
	for (; p < end; p++) {
		if ((uint8_t)(*p - '0') > 9)
			return false;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	*ret_i = negative ? -(int64_t)v : (int64_t)v;
	return true;
}

int normal_from_source(struct normal_source *n, enum normal_class c,
		       const struct value_source_type *type, struct slice text, struct buf *scratch,
		       struct value *ret_value, struct err *e)
{
	if (text.data == NULL) {
		ret_value->kind = VALUE_NULL;
		return 0;
	}
	if (is_integer(type) && keeps_integers(c) && read_ones(text, &ret_value->i)) {
		ret_value->kind = VALUE_INT;
		return 0;
	}
	if (value_from_text(type, text, scratch, ret_value, e) < 0)
		return -1;
	return ret_value->kind == VALUE_NULL ? 0 : to_class(n, c, type, scratch, ret_value, e);
}

/* ---- order ----------------------------------------------------------------------------------- */

static bool is_number(const struct value_source_type *t)
{
	return is_integer(t) || t->type == COLUMN_LONGLONG || t->type == COLUMN_YEAR ||
	       t->type == COLUMN_NEWDECIMAL || t->type == SOURCE_OLD_DECIMAL ||
	       t->type == COLUMN_FLOAT || t->type == COLUMN_DOUBLE;
}

/* Numbers that are text in canonical form. */
static bool is_long_number(const struct value_source_type *t)
{
	return (t->type == COLUMN_LONGLONG && t->is_unsigned) || t->type == COLUMN_NEWDECIMAL ||
	       t->type == SOURCE_OLD_DECIMAL;
}

static bool is_time(const struct value_source_type *t)
{
	return is_date(t->type) || is_moment(t->type) || t->type == COLUMN_TIME ||
	       t->type == COLUMN_TIME2;
}

static bool is_string(const struct value_source_type *t)
{
	return t->type == COLUMN_VARCHAR || t->type == COLUMN_STRING ||
	       t->type == SOURCE_VAR_STRING || t->type == COLUMN_BLOB ||
	       (t->type >= 249 && t->type <= 251) || t->type == COLUMN_ENUM ||
	       t->type == COLUMN_SET;
}

bool normal_source_orders(enum normal_class c, const struct value_source_type *type,
			  bool *ret_bytes)
{
	bool string = is_string(type);

	*ret_bytes = string;
	switch (c) {
	case NORMAL_NUMBER:
	case NORMAL_DOUBLE:
	case NORMAL_FLOAT:
	case NORMAL_LOOSE_NUMERIC:
	case NORMAL_LOOSE_REAL:
		return is_number(type) || is_time(type);
	case NORMAL_DATE:
	case NORMAL_DATETIME:
	case NORMAL_TIME:
		return is_time(type) || is_integer(type);
	case NORMAL_TEXT:
	case NORMAL_BYTES:
	case NORMAL_LOOSE_TEXT:
		return string;
	case NORMAL_LOOSE:
		return string || is_time(type) || (is_number(type) && !is_long_number(type));
	case NORMAL_ANY:
		return is_number(type) || is_time(type);
	case NORMAL_BOOLEAN:
	case NORMAL_JSON:
		return false;
	}
	return false;
}
