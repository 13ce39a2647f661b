/* verify_sort.c - SQLite's external sorting, over keys that it orders as normal.h does.
 *
 * A row is one BLOB beside its key's columns. SQLite's own order of values is the one of normal.h
 * but for decimals, which are text there. In a column of such a class every value becomes a BLOB of
 * which memcmp gives the order: a byte for its kind; for numbers, how many digits stand before the
 * point, and the digits; of negative ones all that with its bits inverted. */
#include "projections/verify/verify_sort.h"

#include "core/base/mem.h"
#include "core/sql/store_db.h"

#include <stdio.h>
#include <stdlib.h>

enum { KIND_NEGATIVE = 1, KIND_POSITIVE = 2, KIND_TEXT = 3, KIND_BYTES = 4 };

struct sorter {
	struct sql_db *db;
	struct sql_statement *insert, *rows;
	size_t column_count, key_count;
	const size_t *key;
	const enum normal_class *classes;
	struct buf row;
	struct buf *keys; /* by key column: the BLOB that is bound */
	struct value *values;
};

static int prepare(struct sorter *s, struct err *e)
{
	struct buf create = BUF_INIT, insert = BUF_INIT;
	int rc;

	buf_add_str(&create, "PRAGMA journal_mode = off; PRAGMA synchronous = off; "
			     "PRAGMA cache_size = -16000; CREATE TABLE answer (r BLOB");
	buf_add_str(&insert, "INSERT INTO answer VALUES (?1");
	for (size_t k = 0; k < s->key_count; k++) {
		buf_add_format(&create, ", k%zu", k);
		buf_add_format(&insert, ", ?%zu", k + 2);
	}
	buf_add_str(&create, "); BEGIN");
	buf_add_str(&insert, ")");
	rc = sql_run(s->db, buf_cstr(&create), e) < 0
		     ? -1
		     : sql_prepare(s->db, "verify", buf_cstr(&insert), NULL, &s->insert, e);
	buf_done(&create);
	buf_done(&insert);
	return rc;
}

int sorter_open(size_t column_count, const size_t *key, size_t key_count,
		const enum normal_class *classes, struct sorter **ret_sorter, struct err *e)
{
	struct sorter *s = xcalloc(1, sizeof(*s));

	s->column_count = column_count;
	s->key = key;
	s->key_count = key_count;
	s->classes = classes;
	s->values = xcalloc(column_count + 1, sizeof(*s->values));
	s->keys = xcalloc(key_count + 1, sizeof(*s->keys));
	/* an empty name is SQLite's own temporary file: it is gone with the connection */
	if (sql_open_db("", SQL_OPEN_CREATE, &s->db, e) < 0 || prepare(s, e) < 0) {
		sorter_close(s);
		return -1;
	}
	*ret_sorter = s;
	return 0;
}

void sorter_close(struct sorter *s)
{
	if (s == NULL)
		return;
	sql_finalize(s->insert);
	sql_finalize(s->rows);
	sql_close(s->db);
	for (size_t k = 0; k < s->key_count; k++)
		buf_done(&s->keys[k]);
	free(s->keys);
	buf_done(&s->row);
	free(s->values);
	free(s);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static bool is_decimal(struct slice text)
{
	size_t at = text.size > 0 && text.data[0] == '-';

	return at < text.size && text.data[at] >= '0' && text.data[at] <= '9';
}

/* text: a decimal in normal form. */
static void put_number(struct slice text, struct buf *out)
{
	bool negative = text.data[0] == '-';
	const uint8_t *p = text.data + negative, *end = text.data + text.size;
	const uint8_t *point = memchr(p, '.', (size_t)(end - p));
	size_t whole = (size_t)((point != NULL ? point : end) - p), begin = out->size + 1;

	if (whole == 1 && *p == '0') { /* no digit that counts */
		p++;
		whole = 0;
	}
	buf_add_u8(out, negative ? KIND_NEGATIVE : KIND_POSITIVE);
	buf_add_u8(out, (uint8_t)(whole >> 8));
	buf_add_u8(out, (uint8_t)whole);
	buf_add(out, p, whole);
	if (point != NULL)
		buf_add(out, point + 1, (size_t)(end - point - 1));
	buf_add_u8(out, 0);
	for (size_t i = begin; negative && i < out->size; i++)
		out->data[i] = (uint8_t)~out->data[i];
}

/* The value that is bound for a column of the key. */
static struct value sort_key(enum normal_class c, const struct value *v, struct buf *out)
{
	char text[24];
	int size;

	if ((c != NORMAL_NUMBER && c != NORMAL_ANY) ||
	    (v->kind != VALUE_INT && v->kind != VALUE_TEXT && v->kind != VALUE_BYTES))
		return *v;
	buf_reset(out);
	if (v->kind == VALUE_INT) {
		size = snprintf(text, sizeof(text), "%lld", (long long)v->i);
		put_number(slice_of(text, (size_t)size), out);
	} else if (v->kind == VALUE_TEXT && is_decimal(v->bytes)) {
		put_number(v->bytes, out);
	} else {
		buf_add_u8(out, v->kind == VALUE_TEXT ? KIND_TEXT : KIND_BYTES);
		buf_add_slice(out, v->bytes);
	}
	return (struct value){ .kind = VALUE_BYTES, .bytes = buf_slice(out) };
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void put_row(const struct value *values, size_t count, struct buf *out)
{
	buf_reset(out);
	for (size_t i = 0; i < count; i++) {
		const struct value *v = &values[i];

		buf_add_u8(out, v->kind);
		if (v->kind == VALUE_INT)
			buf_add(out, &v->i, sizeof(v->i));
		else if (v->kind == VALUE_DOUBLE)
			buf_add(out, &v->d, sizeof(v->d));
		else if (v->kind == VALUE_TEXT || v->kind == VALUE_BYTES) {
			buf_add(out, &v->bytes.size, sizeof(v->bytes.size));
			buf_add_slice(out, v->bytes);
		}
	}
}

static void get_row(const uint8_t *p, struct value *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct value *v = &values[i];

		*v = (struct value){ .kind = *p++ };
		if (v->kind == VALUE_INT) {
			memcpy(&v->i, p, sizeof(v->i));
			p += sizeof(v->i);
		} else if (v->kind == VALUE_DOUBLE) {
			memcpy(&v->d, p, sizeof(v->d));
			p += sizeof(v->d);
		} else if (v->kind == VALUE_TEXT || v->kind == VALUE_BYTES) {
			memcpy(&v->bytes.size, p, sizeof(v->bytes.size));
			v->bytes.data = p += sizeof(v->bytes.size);
			p += v->bytes.size;
		}
	}
}

int sorter_add(struct sorter *s, const struct value *values, struct err *e)
{
	struct value v;

	put_row(values, s->column_count, &s->row);
	v = (struct value){ .kind = VALUE_BYTES, .bytes = buf_slice(&s->row) };
	if (sql_bind(s->insert, 1, &v, e) < 0)
		return -1;
	for (size_t k = 0; k < s->key_count; k++) {
		size_t i = s->key[k];

		v = sort_key(s->classes[i], &values[i], &s->keys[k]);
		if (sql_bind(s->insert, (int)k + 2, &v, e) < 0)
			return -1;
	}
	if (sql_step(s->insert, e) < 0)
		return -1;
	sql_reset(s->insert);
	return 0;
}

static int begin_reading(struct sorter *s, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	buf_add_str(&sql, "SELECT r FROM answer");
	for (size_t k = 0; k < s->key_count; k++)
		buf_add_format(&sql, "%sk%zu", k > 0 ? ", " : " ORDER BY ", k);
	rc = sql_prepare(s->db, "verify", buf_cstr(&sql), NULL, &s->rows, e);
	buf_done(&sql);
	return rc;
}

int sorter_next(struct sorter *s, const struct value **ret_values, struct err *e)
{
	struct value row;
	int rc;

	if (s->rows == NULL && begin_reading(s, e) < 0)
		return -1;
	rc = sql_step(s->rows, e);
	if (rc != 1)
		return rc;
	sql_column(s->rows, 0, &row);
	get_row(row.bytes.data, s->values, s->column_count);
	*ret_values = s->values;
	return 1;
}
