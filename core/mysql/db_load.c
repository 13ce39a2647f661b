/* db_load.c - LOAD DATA LOCAL INFILE out of memory, while the caller goes on.
 *
 * MySQL manual, "LOAD DATA Statement" and "Security Considerations for LOAD DATA LOCAL"; protocol:
 * "LOCAL INFILE Request". The library reads the answer and sends the rows in one call, which waits
 * for the server; so a thread of its own makes it, and db_store_take() joins it. The connection
 * belongs to that thread until then.
 *
 * A server may answer any statement with a request for any file. Here no file is ever opened: what
 * is given are the rows of the load that was sent, and without one the request is refused. */
#include "core/mysql/db_store.h"

#include "core/base/mem.h"
#include "core/mysql/db_priv.h"

#include <errmsg.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct db_load {
	pthread_t thread;
	bool running; /* sent, and not yet taken */
	struct buf sql, rows;
	size_t at; /* how much of the rows the server has */
	struct db *db;
	int rc;
	struct err err;
	uint64_t records;
	bool plain; /* the server has nothing to say about them */
};

/* ---- what the library asks for --------------------------------------------------------------- */

static int begin_rows(void **ret_load, const char *file, void *db)
{
	struct db_load *l = ((struct db *)db)->load;

	(void)file; /* whatever it says */
	*ret_load = l;
	if (l == NULL || !l->running)
		return 1;
	l->at = 0;
	return 0;
}

static int read_rows(void *load, char *to, unsigned room)
{
	struct db_load *l = load;
	size_t left = l->rows.size - l->at, count = left < room ? left : room;

	memcpy(to, l->rows.data + l->at, count);
	l->at += count;
	return (int)count;
}

static void end_rows(void *load)
{
	(void)load;
}

static int refused(void *load, char *text, unsigned room)
{
	(void)load;
	(void)snprintf(text, room, "the server asks for a file, and nothing is being loaded");
	return CR_UNKNOWN_ERROR;
}

void db_load_allow(struct db *db)
{
	mysql_set_local_infile_handler(db->mysql, begin_rows, read_rows, end_rows, refused, db);
}

/* ---- a load ---------------------------------------------------------------------------------- */

/* "Records: 3  Deleted: 0  Skipped: 0  Warnings: 0" */
static void read_outcome(struct db_load *l)
{
	const char *info = mysql_info(l->db->mysql);
	uint64_t deleted, skipped, warnings;

	l->plain = info != NULL &&
		   sscanf(info,
			  "Records: %" SCNu64 " Deleted: %" SCNu64 " Skipped: %" SCNu64
			  " Warnings: %" SCNu64,
			  &l->records, &deleted, &skipped, &warnings) == 4 &&
		   skipped == 0 && warnings == 0 && mysql_warning_count(l->db->mysql) == 0;
}

static void *run(void *load)
{
	struct db_load *l = load;
	const struct buf *sql = &l->sql;

	l->records = 0;
	l->plain = false;
	l->rc = 0;
	if (mysql_real_query(l->db->mysql, (const char *)sql->data, sql->size) != 0)
		l->rc = db_failed(l->db, "load rows into", &l->err);
	else
		read_outcome(l);
	return NULL;
}

int db_store_send_load(struct db *db, struct slice sql, struct buf *rows, struct err *e)
{
	struct db_load *l = db->load;
	struct buf empty;

	if (db->result_open)
		return err_fatal(e, "rows on a connection that still owes answers");
	if (l == NULL) {
		l = db->load = xcalloc(1, sizeof(*l));
		l->db = db;
	}
	buf_reset(&l->sql);
	buf_reset(&l->rows);
	buf_add_slice(&l->sql, sql);
	empty = l->rows;
	l->rows = *rows;
	*rows = empty;
	err_clear(&l->err);
	l->running = true;
	if (pthread_create(&l->thread, NULL, run, l) != 0) {
		l->running = false;
		return err_retry(e, "no thread to load rows with");
	}
	db->result_open = true;
	return 0;
}

bool db_load_runs(const struct db *db)
{
	return db->load != NULL && db->load->running;
}

int db_load_take(struct db *db, struct err *e)
{
	struct db_load *l = db->load;

	pthread_join(l->thread, NULL);
	l->running = db->result_open = false;
	if (l->rc < 0)
		*e = l->err;
	return l->rc;
}

bool db_store_load_was_plain(const struct db *db, uint64_t *ret_records)
{
	*ret_records = db->load->records;
	return db->load->plain;
}

struct slice db_store_load_rows(const struct db *db)
{
	return buf_slice(&db->load->rows);
}

void db_load_free(struct db *db)
{
	struct db_load *l = db->load;

	if (l == NULL)
		return;
	if (l->running) {
		db_interrupt(db);
		pthread_join(l->thread, NULL);
	}
	buf_done(&l->sql);
	buf_done(&l->rows);
	free(l);
	db->load = NULL;
}

/* ---- its rows -------------------------------------------------------------------------------- */

/* FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n', which is the default. */
static void add_escaped(struct slice text, struct buf *rows)
{
	uint8_t *p = buf_reserve(rows, text.size * 2), *begin = p;

	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];

		if (c == '\\' || c == '\t' || c == '\n' || c == '\0') {
			*p++ = '\\';
			c = c == '\t' ? 't' : c == '\n' ? 'n' : c == '\0' ? '0' : c;
		}
		*p++ = c;
	}
	rows->size += (size_t)(p - begin);
}

void db_store_load_field(const struct value *value, struct buf *rows)
{
	if (value->kind == VALUE_TEXT)
		add_escaped(value->bytes, rows);
	else if (value->kind == VALUE_NULL || value->kind == VALUE_ABSENT)
		buf_add(rows, "\\N", 2);
	else
		db_store_literal(value, rows);
}

static const uint8_t *add_field(const uint8_t *at, const uint8_t *end, struct buf *text)
{
	buf_reset(text);
	for (; at < end && *at != '\t' && *at != '\n'; at++) {
		uint8_t c = *at;

		if (c == '\\') {
			c = *++at;
			c = c == 't' ? '\t' : c == 'n' ? '\n' : c == '0' ? '\0' : c;
		}
		buf_add_u8(text, c);
	}
	return at;
}

void db_store_load_literals(struct slice rows, struct buf *sql)
{
	const uint8_t *at = rows.data, *end = at + rows.size;
	struct buf text = BUF_INIT;
	bool begins = true;

	for (; at < end; at++) { /* behind each field, one byte ends it */
		if (begins)
			buf_add_str(sql, at == rows.data ? "(" : ",(");
		if (end - at > 2 && at[0] == '\\' && at[1] == 'N') {
			buf_add_str(sql, "NULL");
			at += 2;
		} else {
			at = add_field(at, end, &text);
			db_quote(buf_slice(&text), sql);
		}
		begins = at < end && *at == '\n';
		buf_add_u8(sql, begins ? ')' : ',');
	}
	buf_done(&text);
}
