/* catalog_labels.c - ENUM and SET labels as information_schema tells them.
 *
 * COLUMN_TYPE is 'a','it''s','\\': quotes are doubled, and four characters escaped. It is text of
 * three bytes a character: any character beyond the basic plane is a '?' in it, like a real '?'.
 *
 * Such a label is asked for by a recursive query. Its first row takes the column's type from the
 * table, and NULL instead of a row of it; the second puts a number in its place, which becomes the
 * label with that number. No row of the table is read. MariaDB from 10.2.2 on and MySQL 9 do so. On
 * MySQL 8.0 the column becomes plain text, and the number comes back as it is, which no label that
 * is asked for can look like. MariaDB makes the column one byte wide, so that columns with more
 * than 255 labels, or 8 members, don't get theirs. There, and where the query isn't known, the
 * label is refused. */
#include "cdc/catalog/catalog_priv.h"

#include "core/base/mem.h"
#include "core/mysql/db.h"
#include "core/value/charset.h"
#include "core/value/row.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ASKED_MAX 500 /* labels of one query */

/* ---- out of the text ------------------------------------------------------------------------- */

/* A backslash and what follows it in a list of labels, whatever the SQL mode: append_unescaped() of
 * the servers writes these four. */
static uint8_t escaped(uint8_t c)
{
	return c == 'n' ? '\n' : c == 'r' ? '\r' : c == '0' ? '\0' : c;
}

/* The next label, without quotes and escapes. false when there is none. */
static bool next_label(struct slice list, size_t *at, struct buf *label)
{
	buf_reset(label);
	while (*at < list.size && list.data[*at] != '\'')
		(*at)++;
	if (*at >= list.size)
		return false;
	for ((*at)++; *at < list.size; (*at)++) {
		if (list.data[*at] == '\'') {
			if (*at + 1 >= list.size || list.data[*at + 1] != '\'')
				break;
			(*at)++;
		} else if (list.data[*at] == '\\' && *at + 1 < list.size) {
			buf_add_u8(label, escaped(list.data[++*at]));
			continue;
		}
		buf_add_u8(label, list.data[*at]);
	}
	(*at)++;
	return true;
}

bool catalog_take_labels(struct column *c, struct slice full_type)
{
	struct buf label = BUF_INIT;
	size_t at = 0, capacity = 0;
	bool whole = true;

	while (whole && c->label_count < UINT16_MAX && next_label(full_type, &at, &label)) {
		whole = label.size == 0 || memchr(label.data, '\0', label.size) == NULL;
		if (c->label_count == capacity) {
			capacity = capacity == 0 ? 8 : capacity * 2;
			c->labels = xrealloc(c->labels, capacity * sizeof(c->labels[0]));
		}
		c->labels[c->label_count++] = xstrdup(buf_cstr(&label));
	}
	buf_done(&label);
	return whole;
}

/* ---- those with a '?' ------------------------------------------------------------------------ */

static bool has_more_characters(const struct column *c)
{
	enum charset charset = charset_of(c->collation);

	return (c->type == COLUMN_ENUM || c->type == COLUMN_SET) && charset != CHARSET_ASCII &&
	       charset != CHARSET_LATIN1 && charset != CHARSET_UTF8MB3 && charset != CHARSET_UCS2;
}

/* "4": what puts this label into its column. */
static void number_of_label(const struct column *c, uint16_t label, char ret_text[24])
{
	snprintf(ret_text, 24, "%" PRIu64,
		 c->type == COLUMN_SET ? UINT64_C(1) << label : (uint64_t)label + 1);
}

static void make_question(const struct shape *s, const struct column *c, const uint16_t *asked,
			  size_t count, struct buf *sql)
{
	char number[24];

	buf_add_str(sql, "WITH RECURSIVE r(i, v) AS (SELECT -1, t.");
	row_quote_name(c->name, sql);
	buf_add_str(sql, " FROM (SELECT 1) d LEFT JOIN ");
	row_quote_name(s->db, sql);
	buf_add_u8(sql, '.');
	row_quote_name(s->table, sql);
	buf_add_str(sql, " t ON FALSE UNION ALL SELECT q.i, q.v FROM r JOIN (");
	for (size_t i = 0; i < count; i++) {
		number_of_label(c, asked[i], number);
		buf_add_format(sql, i == 0 ? "SELECT %u AS i, %s AS v" : " UNION ALL SELECT %u, %s",
			       asked[i], number);
	}
	buf_add_str(sql, ") q WHERE r.i = -1)"
			 " SELECT i, HEX(CONVERT(v USING utf8mb4)) FROM r WHERE i >= 0");
}

static int nibble(uint8_t c)
{
	return c >= 'A' ? c - 'A' + 10 : c - '0';
}

/* Is `text` what information_schema would print as `printed`? */
static bool is_printed_so(const char *text, const char *printed)
{
	for (; *printed != '\0' && *text != '\0'; printed++) {
		if (*printed != '?' && *printed != *text)
			return false;
		for (text++; ((uint8_t)*text & 0xc0) == 0x80 && *printed == '?';)
			text++;
	}
	return *printed == *text;
}

static bool take_answer(struct column *c, const struct slice *row)
{
	struct buf text = BUF_INIT;
	uint16_t label = (uint16_t)strtoul((const char *)row[0].data, NULL, 10);
	char number[24];
	bool good = label < c->label_count && row[1].data != NULL;

	for (size_t i = 0; good && i + 1 < row[1].size; i += 2)
		buf_add_u8(&text,
			   (uint8_t)(nibble(row[1].data[i]) << 4 | nibble(row[1].data[i + 1])));
	if (good) {
		number_of_label(c, label, number);
		good = strcmp(buf_cstr(&text), number) != 0 &&
		       is_printed_so(buf_cstr(&text), c->labels[label]);
	}
	if (good) {
		free(c->labels[label]);
		c->labels[label] = xstrdup(buf_cstr(&text));
	}
	buf_done(&text);
	return good;
}

/* 1: all were told, 0: the server doesn't, -1. */
static int ask(struct db *db, const struct shape *s, struct column *c, const uint16_t *asked,
	       size_t count, struct err *e)
{
	struct buf sql = BUF_INIT;
	struct db_result *r;
	const struct slice *row;
	size_t told = 0;
	int rc;

	if (c->pack_bytes > 1 && strstr(db_server_version(db), "MariaDB") != NULL)
		return 0;
	buf_add_str(&sql, "USE "); /* MariaDB 10.2 looks for r in the default database */
	row_quote_name(s->db, &sql);
	rc = db_run(db, buf_cstr(&sql), e);
	buf_reset(&sql);
	make_question(s, c, asked, count, &sql);
	if (rc == 0)
		rc = db_query(db, buf_cstr(&sql), &r, e);
	buf_done(&sql);
	if (rc < 0) {
		if (e->kind == ERR_RETRY)
			return -1;
		err_clear(e); /* a server that knows no recursive queries */
		return 0;
	}
	while ((rc = db_next(r, &row, e)) == 1)
		told += take_answer(c, row);
	db_result_free(r);
	return rc < 0 ? -1 : told == count;
}

static int settle_column(struct db *db, const struct shape *s, struct column *c, struct err *e)
{
	uint16_t asked[ASKED_MAX];
	size_t count = 0;
	int rc = 1;

	for (uint16_t i = 0; i < c->label_count && rc == 1; i++) {
		if (strchr(c->labels[i], '?') != NULL)
			asked[count++] = i;
		if (count == 0 || (count < ASKED_MAX && i + 1 < c->label_count))
			continue;
		rc = ask(db, s, c, asked, count, e);
		count = 0;
	}
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	err_config(e,
		   "table %s.%s, column %s: a label with '?' may be another one: this server "
		   "prints characters beyond the basic plane so",
		   s->db, s->table, c->name);
	return err_hint(e, CATALOG_HINT);
}

int catalog_settle_labels(struct db *db, struct shape *s, struct err *e)
{
	for (uint16_t i = 0; i < s->column_count; i++)
		if (has_more_characters(&s->columns[i]) &&
		    settle_column(db, s, &s->columns[i], e) < 0)
			return -1;
	return 0;
}
