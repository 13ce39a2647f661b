/* verify_answer.c - the answer as it comes from the source, row by row, in normal form.
 *
 * Each row's key is compared with the one before: a key that comes twice is an error of the
 * question (pairing rows of one key would be a guess, and could hide that the view lacks one), and
 * a key that falls means that the source orders in another way than was thought (its
 * max_sort_length cuts long text): then the answer is asked for again and sorted here. */
#include "projections/verify/verify_question_priv.h"

#include "core/base/mem.h"
#include "core/base/quote.h"
#include "core/value/shape.h"
#include "projections/verify/verify_sort.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	ERROR_QUERY_KILLED = 1317,
	ERROR_TABLE_CHANGED = 1412,
	ERROR_TIME_OVER = 1969,
	ERROR_TIME_OVER_MYSQL = 3024,
	ERROR_LOCK_WAIT = 1205
};

struct answer {
	struct question *question;
	struct db *db;
	struct db_watch *watch;
	int watched; /* -1: not */
	struct normal_source *source;
	struct db_result *result;
	struct sorter *sorter;
	struct value_source_type *types;
	struct value *values;
	struct buf scratch, exact;
	struct last_key last;
	struct question_place place; /* once all rows that were asked for came */
	int64_t rows, limit;
	bool again, gave_way;
};

/* ---- the row before ---------------------------------------------------------------------------
 */

int last_key_compare(const struct last_key *last, const struct question *q, const struct value *row)
{
	for (size_t k = 0; last->has && k < q->table->key_count; k++) {
		size_t i = q->key[k];
		int order = normal_compare(q->classes[i], &last->values[k], &row[i]);

		if (order != 0)
			return order;
	}
	return last->has ? 0 : -1;
}

void last_key_keep(struct last_key *last, const struct question *q, const struct value *row)
{
	size_t count = q->table->key_count, room = 0, at = 0;

	if (last->values == NULL)
		last->values = xcalloc(count + 1, sizeof(*last->values));
	last->has = true;
	for (size_t k = 0; k < count; k++) {
		last->values[k] = row[q->key[k]];
		room += last->values[k].kind >= VALUE_TEXT ? last->values[k].bytes.size : 0;
	}
	if (room == 0)
		return;
	buf_reset(&last->bytes);
	buf_reserve(&last->bytes, room);
	for (size_t k = 0; k < count; k++) {
		struct value *v = &last->values[k];

		if (v->kind < VALUE_TEXT || v->bytes.size == 0)
			continue;
		memcpy(last->bytes.data + at, v->bytes.data, v->bytes.size);
		v->bytes.data = last->bytes.data + at;
		at += v->bytes.size;
	}
}

void last_key_done(struct last_key *last)
{
	free(last->values);
	buf_done(&last->bytes);
	*last = (struct last_key){ 0 };
}

/* ---- the end of a read ------------------------------------------------------------------------
 */

static void end_read(struct answer *a)
{
	db_result_free(a->result);
	a->result = NULL;
	if (a->watched >= 0)
		a->gave_way |= db_watch_end(a->watch, a->watched);
	a->watched = -1;
}

static int read_failed(struct answer *a, struct err *e)
{
	unsigned number = db_error_number(a->db);

	end_read(a);
	a->again = a->gave_way || number == ERROR_QUERY_KILLED || number == ERROR_TABLE_CHANGED ||
		   number == ERROR_TIME_OVER || number == ERROR_TIME_OVER_MYSQL ||
		   number == ERROR_LOCK_WAIT;
	if (number == ERROR_TIME_OVER || number == ERROR_TIME_OVER_MYSQL)
		err_hint(e, "The question takes longer than copy.read_limit: raise it, or write "
			    "the question so that an index of the source gives the order of the "
			    "key.");
	return err_wrap(e, "source.sql, table %s", a->question->table->name);
}

/* ---- a row ------------------------------------------------------------------------------------
 */

static void take_literal(const struct question *q, size_t k, const struct value_source_type *type,
			 struct slice text, char **ret)
{
	struct buf sql = BUF_INIT;

	*ret = NULL;
	if (text.data == NULL)
		return;
	if (q->hex[k] || type->type == COLUMN_BIT) {
		buf_add_str(&sql, q->hex[k] ? "x'" : "0x0");
		for (size_t i = 0; i < text.size; i++)
			buf_add_format(&sql, "%02x", text.data[i]);
		buf_add_str(&sql, q->hex[k] ? "'" : "");
	} else {
		switch (type->type) {
		case COLUMN_DATE:
		case COLUMN_TIME:
		case COLUMN_DATETIME:
		case COLUMN_TIMESTAMP:
			db_quote(text, &sql);
			break;
		default: /* a number */
			buf_add_slice(&sql, text);
		}
	}
	*ret = xstrdup(buf_cstr(&sql));
	buf_done(&sql);
}

static void take_place(struct answer *a, const struct slice *row)
{
	const struct question *q = a->question;

	a->place.count = q->table->key_count;
	a->place.literals = xcalloc(a->place.count + 1, sizeof(char *));
	for (size_t k = 0; k < a->place.count; k++)
		take_literal(q, k, &a->types[q->key[k]], row[q->key[k]], &a->place.literals[k]);
}

static int duplicate(const struct answer *a, struct err *e)
{
	const struct view_table *t = a->question->table;
	struct buf key = BUF_INIT;

	for (size_t k = 0; k < t->key_count; k++) {
		buf_add_format(&key, "%s%s=", k > 0 ? ", " : "", t->key[k]);
		value_text(&a->values[a->question->key[k]], &key);
	}
	err_config(e, "source.sql: the answer has more than one row with the key %s",
		   buf_cstr(&key));
	buf_done(&key);
	return err_hint(e, "Rows are compared by the table's key: the question must give each key "
			   "once.");
}

static int check_key(struct answer *a, struct err *e)
{
	const struct question *q = a->question;
	int order = last_key_compare(&a->last, q, a->values);

	if (order == 0)
		return duplicate(a, e);
	if (order > 0 && a->sorter == NULL) {
		a->question->ordered = a->question->ranged = false;
		a->again = true;
		return err_data(e, "the source orders table %s in another way", q->table->name);
	}
	last_key_keep(&a->last, q, a->values);
	return 0;
}

/* Would the column's type at the store not hold it? Then the event of such a row has no value for
 * the column, but its exact text: a date that is none, and the text of an ENUM's error. */
static bool is_inexact(const struct question *q, size_t i, const struct value *v)
{
	const struct column *of = q->mirrored[i] != NULL ? q->mirrored[i]->of : NULL;

	if (of == NULL || v->kind != VALUE_TEXT)
		return false;
	if (q->classes[i] == NORMAL_DATE || q->classes[i] == NORMAL_DATETIME ||
	    q->classes[i] == NORMAL_TIME)
		return true;
	if (of->type != COLUMN_ENUM || v->bytes.size > 0)
		return false;
	for (uint16_t l = 0; l < of->label_count; l++) {
		if (of->labels[l][0] == '\0')
			return false;
	}
	return true;
}

/* The row as a strict store has it: {"column": "exact text"} beside NULL. */
static void put_exact_beside(struct answer *a)
{
	const struct question *q = a->question;

	buf_reset(&a->exact);
	for (size_t i = 0; i < q->table->column_count; i++) {
		if (!is_inexact(q, i, &a->values[i]))
			continue;
		if (a->exact.size == 0)
			buf_add_u8(&a->exact, '{');
		quote_json_key(&a->exact, q->mirrored[i]->leaf);
		quote_json(&a->exact, a->values[i].bytes);
		a->values[i].kind = VALUE_NULL;
	}
	if (a->exact.size == 0)
		return;
	buf_add_u8(&a->exact, '}');
	a->values[q->exact] = (struct value){ .kind = VALUE_TEXT, .bytes = buf_slice(&a->exact) };
}

static int convert(struct answer *a, const struct slice *row, struct err *e)
{
	const struct question *q = a->question;
	size_t count = q->table->column_count, room = 0;

	/* nothing may move while values point into it */
	for (size_t i = 0; i < count; i++)
		room += row[i].size * 4 + NORMAL_SOURCE_ROOM;
	buf_reset(&a->scratch);
	buf_reserve(&a->scratch, room);
	for (size_t i = 0; i < count; i++) {
		if (normal_from_source(a->source, q->classes[i], &a->types[i], row[i], &a->scratch,
				       &a->values[i], e) < 0)
			return err_wrap(e, "table %s, column %s", q->table->name,
					q->table->columns[i]);
	}
	if (q->exact != NO_EXACT)
		put_exact_beside(a);
	return 0;
}

static int next_from_source(struct answer *a, struct err *e)
{
	const struct slice *row;
	int rc;

	if (a->result == NULL)
		return 0;
	rc = db_next(a->result, &row, e);
	if (rc < 0)
		return read_failed(a, e);
	if (rc == 0) {
		end_read(a);
		return 0;
	}
	if (convert(a, row, e) < 0)
		return -1;
	if (a->limit > 0 && a->rows + 1 == a->limit)
		take_place(a, row);
	return 1;
}

int answer_next(void *answer, const struct value **ret_values, struct err *e)
{
	struct answer *a = answer;
	const struct value *sorted;
	int rc;

	if (a->sorter == NULL) {
		rc = next_from_source(a, e);
	} else {
		rc = sorter_next(a->sorter, &sorted, e);
		if (rc == 1)
			memcpy(a->values, sorted,
			       a->question->table->column_count * sizeof(*sorted));
	}
	if (rc == 1 && check_key(a, e) < 0)
		return -1;
	a->rows += rc == 1;
	*ret_values = a->values;
	return rc;
}

/* ---- open and close -------------------------------------------------------------------------- */

static int sort_here(struct answer *a, struct err *e)
{
	const struct question *q = a->question;
	struct sorter *s;
	int rc =
		sorter_open(q->table->column_count, q->key, q->table->key_count, q->classes, &s, e);

	if (rc < 0)
		return -1;
	while ((rc = next_from_source(a, e)) == 1 && (rc = sorter_add(s, a->values, e)) == 0)
		;
	if (rc < 0)
		sorter_close(s);
	else
		a->sorter = s;
	return rc < 0 ? -1 : 0;
}

int answer_open(struct question *q, struct db *db, struct db_watch *watch, struct normal_source *n,
		const struct question_place *from, int64_t rows, struct answer **ret_answer,
		struct err *e)
{
	struct answer *a = *ret_answer = xcalloc(1, sizeof(*a));
	size_t count = q->table->column_count;
	struct buf sql = BUF_INIT, probe = BUF_INIT;

	*a = (struct answer){ .question = q, .db = db, .watch = watch, .source = n, .watched = -1 };
	a->limit = q->ordered ? rows : 0;
	a->types = xcalloc(count + 1, sizeof(*a->types));
	a->values = xcalloc(count + 1, sizeof(*a->values));
	buf_add_str(&sql, q->limit);
	question_text(q, q->ordered ? from : NULL, a->limit, &sql);
	buf_add_format(&probe, "EXPLAIN %s", q->table->source);
	if (watch != NULL)
		a->watched = db_watch_begin_query(watch, db, q->table->name, buf_cstr(&probe));
	buf_done(&probe);
	if (db_query(db, buf_cstr(&sql), &a->result, e) < 0) {
		buf_done(&sql);
		return read_failed(a, e);
	}
	buf_done(&sql);
	for (size_t i = 0; i < count; i++)
		a->types[i] = db_column_type(a->result, i);
	return q->ordered ? 0 : sort_here(a, e);
}

bool answer_again(const struct answer *a)
{
	return a->again;
}

int64_t answer_rows(const struct answer *a)
{
	return a->rows;
}

bool answer_goes_on(const struct answer *a)
{
	return a->limit > 0 && a->rows == a->limit;
}

void answer_place(const struct answer *a, struct question_place *ret_place)
{
	ret_place->count = a->place.count;
	ret_place->literals = xcalloc(a->place.count + 1, sizeof(char *));
	for (size_t k = 0; k < a->place.count; k++)
		ret_place->literals[k] =
			a->place.literals[k] != NULL ? xstrdup(a->place.literals[k]) : NULL;
}

const struct value *answer_key(const struct answer *a)
{
	return a->last.values;
}

bool answer_close(struct answer *a)
{
	bool gave_way;

	if (a == NULL)
		return false;
	end_read(a);
	gave_way = a->gave_way;
	sorter_close(a->sorter);
	question_place_done(&a->place);
	free(a->types);
	free(a->values);
	last_key_done(&a->last);
	buf_done(&a->scratch);
	buf_done(&a->exact);
	free(a);
	return gave_way;
}
