/* rows.c - the rows of a table in normal form (normal.h), ordered by a key.
 *
 * Where the key begins the primary key and the server orders it as normal.h does (numbers, times,
 * bytes, text by its bytes), rows are asked for in pieces behind the last key: nothing is sorted,
 * nothing much is read in vain when the reader stops early, and the result of one piece is what
 * lies in memory and socket. Any other key is sorted by the server, and its rows are streamed.
 *
 * Numbers come as text and are made into normal form here, without a copy: DECIMAL and BIGINT
 * UNSIGNED by normal_number(), integers by their digits, the rest by value_from_text(). A FLOAT
 * prints six digits, so it is asked for as a DOUBLE, which prints all. */
#include "projections/store/mysql/mysql_priv.h"

#include "core/base/mem.h"
#include "projections/apply/row_copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define PIECE_ROWS 5000 /* doubled with each one: who has read on will go on */
#define PIECE_ROWS_MAX 20000

enum key_order {
	KEY_PLAIN, /* as the server has it */
	KEY_BYTES, /* text of another collation: by its bytes, sorted */
	KEY_LABEL, /* ENUM, SET, UUID: by what they print */
};

/* Of information_schema. */
struct mydb_column_facts {
	char type[64], collation[80], declared[200];
};

struct rows_column {
	enum normal_class class;
	enum key_order order;
	bool single; /* FLOAT */
};

/* How a cell of the answer becomes a value. */
enum cell_form { CELL_INTEGER, CELL_DECIMAL, CELL_OTHER };

struct cell_reader {
	enum cell_form form;
	struct value_source_type type;
};

struct store_rows {
	struct db *db;
	struct db_result *result;
	char *select;              /* SELECT ... FROM ... */
	char **key;                /* expressions, in order */
	struct rows_column *parts; /* of the key */
	size_t *at;                /* where the key stands in a row */
	size_t key_count, count;
	bool paged;
	int64_t piece, left; /* rows of this piece; and those still to come */
	struct row_copy after;
	struct cell_reader *cells;
	struct value *values;
	struct buf scratch;
};

/* ---- columns --------------------------------------------------------------------------------- */

static enum key_order order_of(const struct mydb_column_facts *f)
{
	static const char *const labels[] = {
		"enum", "set", "uuid", "inet4", "inet6", "json", NULL
	};

	for (const char *const *l = labels; *l != NULL; l++)
		if (strcasecmp(f->type, *l) == 0)
			return KEY_LABEL;
	return mydb_is_exact(slice_str(f->collation)) ? KEY_PLAIN : KEY_BYTES;
}

static int read_column(struct store_snapshot *n, const char *table, const char *name,
		       struct rows_column *ret, struct err *e)
{
	char *d = mydb_literal(n->database), *t = mydb_literal(table), *c = mydb_literal(name);
	struct mydb_column_facts f = { "", "", "" };
	struct db_result *r = NULL;
	const struct slice *row;
	char *sql = xasprintf("SELECT DATA_TYPE, COALESCE(COLLATION_NAME, ''), COLUMN_TYPE FROM "
			      "information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = "
			      "%s AND COLUMN_NAME = %s",
			      d, t, c);
	int rc = db_query(n->db, sql, &r, e);

	if (rc == 0 && (rc = db_next(r, &row, e)) == 1) {
		snprintf(f.type, sizeof(f.type), "%.*s", (int)row[0].size,
			 (const char *)row[0].data);
		snprintf(f.collation, sizeof(f.collation), "%.*s", (int)row[1].size,
			 (const char *)row[1].data);
		snprintf(f.declared, sizeof(f.declared), "%.*s", (int)row[2].size,
			 (const char *)row[2].data);
		ret->class = normal_class("mysql", f.declared);
		ret->order = order_of(&f);
		ret->single = strcasecmp(f.type, "float") == 0;
	} else if (rc == 0) {
		rc = err_config(e, "table %s has no column %s", table, name);
	}
	db_result_free(r);
	free(sql);
	free(d);
	free(t);
	free(c);
	return rc < 0 ? -1 : 0;
}

/* Does the key begin the primary key, and is all of it in order there? */
static int begins_primary(struct store_snapshot *n, const char *table, char *const *key,
			  size_t count, bool *ret_begins, struct err *e)
{
	char *d = mydb_literal(n->database), *t = mydb_literal(table), **names = NULL;
	size_t found = 0;
	int rc = mydb_get_names(n->db, &names, &found, e,
				"SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE "
				"TABLE_SCHEMA = %s AND TABLE_NAME = %s AND INDEX_NAME = 'PRIMARY' "
				"AND SUB_PART IS NULL AND COLLATION = 'A' ORDER BY SEQ_IN_INDEX",
				d, t);

	*ret_begins = rc == 0 && found == count;
	for (size_t i = 0; i < count && *ret_begins; i++)
		*ret_begins = strcasecmp(names[i], key[i]) == 0;
	view_names_free(names, found);
	free(d);
	free(t);
	return rc;
}

/* ---- the question ---------------------------------------------------------------------------- */

static char *key_expression(const char *name, enum key_order order)
{
	struct buf text = BUF_INIT;

	if (order != KEY_PLAIN)
		buf_add_str(&text, "CAST(CONVERT(");
	db_store_name(name, &text);
	if (order != KEY_PLAIN)
		buf_add_str(&text, " USING utf8mb4) AS BINARY)");
	return buf_cstr(&text);
}

/* A key's value in the server's own type. */
static void add_literal(const struct rows_column *c, const struct value *v, struct buf *sql)
{
	struct value bytes = { .kind = VALUE_BYTES, .bytes = v->bytes };

	if (v->kind == VALUE_INT && c->class == NORMAL_DATE)
		buf_add_format(sql, "(DATE'1970-01-01' + INTERVAL %lld DAY)", (long long)v->i);
	else if (v->kind == VALUE_INT && c->class == NORMAL_DATETIME)
		buf_add_format(sql, "(TIMESTAMP'1970-01-01 00:00:00' + INTERVAL %lld MICROSECOND)",
			       (long long)v->i);
	else if (v->kind == VALUE_INT && c->class == NORMAL_TIME)
		buf_add_format(sql, "SEC_TO_TIME(%lld * 0.000001)", (long long)v->i);
	else if (v->kind == VALUE_TEXT && c->class == NORMAL_NUMBER)
		buf_add(sql, v->bytes.data, v->bytes.size); /* a decimal: digits, sign, point */
	else if (v->kind == VALUE_TEXT && c->order != KEY_PLAIN)
		db_store_literal(&bytes, sql);
	else
		db_store_literal(v, sql);
}

/* Rows behind `after`: NULL is before everything, and equal to itself. */
static void add_after(const struct store_rows *r, const struct value *after, struct buf *sql)
{
	if (r->paged && r->key_count > 1 && after[0].kind != VALUE_NULL) { /* for the index */
		buf_add_format(sql, "%s >= ", r->key[0]);
		add_literal(&r->parts[0], &after[0], sql);
		buf_add_str(sql, " AND ");
	}
	buf_add_u8(sql, '(');
	for (size_t i = 0; i < r->key_count; i++) {
		bool null = after[i].kind == VALUE_NULL;

		buf_add_format(sql, "%s %s", r->key[i], null ? "IS NOT NULL" : "> ");
		if (!null)
			add_literal(&r->parts[i], &after[i], sql);
		if (i + 1 < r->key_count) {
			buf_add_format(sql, " OR (%s <=> ", r->key[i]);
			add_literal(&r->parts[i], &after[i], sql);
			buf_add_str(sql, " AND (");
		}
	}
	for (size_t i = 1; i < r->key_count; i++)
		buf_add_str(sql, "))");
	buf_add_u8(sql, ')');
}

static int ask(struct store_rows *r, const struct value *after, struct err *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	buf_add_str(&sql, r->select);
	if (after != NULL) {
		buf_add_str(&sql, " WHERE ");
		add_after(r, after, &sql);
	}
	buf_add_str(&sql, " ORDER BY ");
	for (size_t i = 0; i < r->key_count; i++)
		buf_add_format(&sql, "%s%s", i > 0 ? ", " : "", r->key[i]);
	r->piece = r->piece == 0 ? PIECE_ROWS : r->piece < PIECE_ROWS_MAX ? 2 * r->piece : r->piece;
	if (r->paged)
		buf_add_format(&sql, " LIMIT %lld", (long long)r->piece);
	r->left = r->piece;
	rc = db_query(r->db, buf_cstr(&sql), &r->result, e);
	buf_done(&sql);
	return rc;
}

static void write_select(struct store_rows *r, const char *table, char *const *columns,
			 const struct rows_column *kinds)
{
	struct buf sql = BUF_INIT;

	buf_add_str(&sql, "SELECT ");
	for (size_t i = 0; i < r->count; i++) {
		buf_add_str(&sql, i > 0 ? ", " : "");
		db_store_name(columns[i], &sql);
		buf_add_str(&sql, kinds[i].single ? " + 0e0" : "");
	}
	buf_add_str(&sql, " FROM ");
	db_store_name(table, &sql);
	if (r->paged)
		buf_add_str(&sql, " FORCE INDEX (PRIMARY)");
	r->select = buf_cstr(&sql);
}

/* Where the key's columns stand among those that are read; false: not all of them are. */
static bool find_key(struct store_rows *r, char *const *columns, char *const *key)
{
	for (size_t k = 0; k < r->key_count; k++) {
		size_t i = 0;

		while (i < r->count && strcasecmp(columns[i], key[k]) != 0)
			i++;
		if (i == r->count)
			return false;
		r->at[k] = i;
	}
	return true;
}

static void choose_readers(struct store_rows *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct cell_reader *c = &r->cells[i];

		c->type = db_column_type(r->result, i);
		switch (c->type.type) {
		case 1:  /* TINY */
		case 2:  /* SHORT */
		case 3:  /* LONG */
		case 9:  /* INT24 */
		case 13: /* YEAR */
			c->form = CELL_INTEGER;
			break;
		case 8: /* LONGLONG */
			c->form = c->type.is_unsigned ? CELL_DECIMAL : CELL_INTEGER;
			break;
		case 0:   /* DECIMAL */
		case 246: /* NEWDECIMAL */
			c->form = CELL_DECIMAL;
			break;
		default: /* a byte from the server, not an enum */
			c->form = CELL_OTHER;
		}
	}
}

int store_mysql_rows(struct store_snapshot *n, const char *table, char *const *columns,
		     size_t column_count, char *const *key, size_t key_count,
		     const struct value *after, struct store_rows **ret_rows, struct err *e)
{
	struct store_rows *r = xcalloc(1, sizeof(*r));
	struct rows_column *kinds = xcalloc(column_count + 1, sizeof(*kinds));
	int rc = 0;

	r->db = n->db;
	r->count = column_count;
	r->key_count = key_count;
	r->values = xcalloc(column_count + 1, sizeof(*r->values));
	r->cells = xcalloc(column_count + 1, sizeof(*r->cells));
	r->key = xcalloc(key_count + 1, sizeof(*r->key));
	r->parts = xcalloc(key_count + 1, sizeof(*r->parts));
	r->at = xcalloc(key_count + 1, sizeof(*r->at));
	for (size_t i = 0; i < column_count && rc == 0; i++)
		rc = read_column(n, table, columns[i], &kinds[i], e);
	for (size_t i = 0; i < key_count && rc == 0; i++) {
		rc = read_column(n, table, key[i], &r->parts[i], e);
		r->key[i] = key_expression(key[i], r->parts[i].order);
	}
	if (rc == 0)
		rc = begins_primary(n, table, key, key_count, &r->paged, e);
	r->paged = r->paged && key_count > 0 && find_key(r, columns, key);
	for (size_t i = 0; i < key_count; i++)
		r->paged = r->paged && r->parts[i].order == KEY_PLAIN;
	if (rc == 0) {
		write_select(r, table, columns, kinds);
		rc = ask(r, after, e);
	}
	if (rc == 0)
		choose_readers(r);
	free(kinds);
	if (rc < 0)
		store_mysql_rows_close(r);
	else
		*ret_rows = r;
	return rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* ZEROFILL may put zeros in front. */
static bool read_integer(struct slice text, struct value *ret)
{
	const uint8_t *p = text.data, *end = p + text.size;
	bool negative = p < end && *p == '-';
	uint64_t v = 0;

	if (end - p > 20 || p + negative == end)
		return false;
	for (p += negative; p < end; p++) {
		if (*p < '0' || *p > '9')
			return false;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	ret->kind = VALUE_INT;
	ret->i = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

static int read_cell(struct store_rows *r, size_t i, struct slice text, struct err *e)
{
	struct value *v = &r->values[i];

	*v = (struct value){ .kind = VALUE_NULL };
	if (text.data == NULL)
		return 0;
	if (r->cells[i].form == CELL_INTEGER && read_integer(text, v))
		return 0;
	if (r->cells[i].form == CELL_DECIMAL && normal_number(text, &r->scratch, v))
		return 0;
	return value_from_text(&r->cells[i].type, text, &r->scratch, v, e);
}

static int read_row(struct store_rows *r, const struct slice *row, struct err *e)
{
	size_t room = 0;

	for (size_t i = 0; i < r->count; i++)
		room += row[i].size * 4 + 64;
	buf_reset(&r->scratch);
	(void)buf_reserve(&r->scratch, room); /* so that nothing moves while values point into it */
	for (size_t i = 0; i < r->count; i++)
		if (read_cell(r, i, row[i], e) < 0)
			return -1;
	return 1;
}

/* The last row's key, before its bytes are gone. */
static void keep_key(struct store_rows *r)
{
	struct value *key = xcalloc(r->key_count, sizeof(*key));

	for (size_t k = 0; k < r->key_count; k++)
		key[k] = r->values[r->at[k]];
	row_copy_done(&r->after);
	row_copy_init(&r->after, key, r->key_count);
	free(key);
}

int store_mysql_next(struct store_rows *r, const struct value **ret_values, struct err *e)
{
	const struct slice *row;
	int rc;

	if (r->paged && r->left == 0) {
		keep_key(r);
		db_result_free(r->result);
		r->result = NULL;
		if (ask(r, r->after.values, e) < 0)
			return -1;
	}
	rc = db_next(r->result, &row, e);
	if (rc != 1)
		return rc;
	r->left--;
	rc = read_row(r, row, e);
	if (rc == 1)
		*ret_values = r->values;
	return rc;
}

void store_mysql_rows_close(struct store_rows *r)
{
	if (r == NULL)
		return;
	db_result_free(r->result);
	for (size_t k = 0; k < r->key_count; k++)
		free(r->key[k]);
	free(r->key);
	free(r->parts);
	free(r->at);
	free(r->cells);
	free(r->values);
	free(r->select);
	row_copy_done(&r->after);
	buf_done(&r->scratch);
	free(r);
}
