/* script_db.c - the whole of core/mysql/db.h by a script: canned answers to statements, a prepared
 * binlog as the stream. See script.h. */
#include "core/base/mem.h"
#include "core/base/stop.h"
#include "core/mysql/db.h"
#include "test/script/script.h"
#include "test/script/script_fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define CELLS_MAX 32

struct db {
	bool counted;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool interrupted;
	uint64_t from; /* groups up to this one are left out */
	size_t at;
};

struct db_result {
	struct db *db;
	char *text, *rest;
	struct slice cells[CELLS_MAX];
	size_t count;
};

static const struct script_binlog *binlog;
static const struct script_answer *answers;
static size_t answer_count;
static int64_t patience_ms;

void script_source(const struct script_binlog *b, const struct script_answer *a, size_t count)
{
	binlog = b;
	answers = a;
	answer_count = count;
}

void script_patience(int64_t ms)
{
	patience_ms = ms;
}

int db_open(const struct settings *settings, enum db_text text, struct db **ret_db, struct err *e)
{
	bool counted = script_fault_counts();
	struct db *db;

	(void)settings, (void)text;
	if (script_fault_before(SCRIPT_DB_OPEN, counted, e) < 0)
		return -1;
	db = xcalloc(1, sizeof(*db));
	db->counted = counted;
	pthread_mutex_init(&db->lock, NULL);
	pthread_cond_init(&db->changed, NULL);
	*ret_db = db;
	return 0;
}

void db_close(struct db *db)
{
	if (db == NULL)
		return;
	pthread_mutex_destroy(&db->lock);
	pthread_cond_destroy(&db->changed);
	free(db);
}

int db_run(struct db *db, const char *sql, struct err *e)
{
	(void)sql;
	return script_fault_before(SCRIPT_DB_RUN, db->counted, e);
}

int db_query(struct db *db, const char *sql, struct db_result **ret_result, struct err *e)
{
	struct db_result *r;

	if (script_fault_before(SCRIPT_DB_QUERY, db->counted, e) < 0)
		return -1;
	for (size_t i = 0; i < answer_count; i++) {
		if (strstr(sql, answers[i].part) == NULL)
			continue;
		r = xcalloc(1, sizeof(*r));
		r->db = db;
		r->text = r->rest = xstrdup(answers[i].rows);
		*ret_result = r;
		return 0;
	}
	return err_fatal(e, "the script has no answer to: %s", sql);
}

int db_next(struct db_result *r, const struct slice **ret_row, struct err *e)
{
	if (script_fault_before(SCRIPT_DB_NEXT, r->db->counted, e) < 0)
		return -1;
	if (*r->rest == '\0')
		return 0;
	for (r->count = 0; *r->rest != '\n' && *r->rest != '\0'; r->count++) {
		size_t size = strcspn(r->rest, "\t");
		bool is_null = size == 2 && memcmp(r->rest, "\\N", 2) == 0;

		r->cells[r->count] = slice_of(is_null ? NULL : r->rest, is_null ? 0 : size);
		r->rest += size + 1;
	}
	r->rest += *r->rest == '\n';
	*ret_row = r->cells;
	return 1;
}

int db_query_batch(struct db *db, const char *statements, db_row_fn row, void *context,
		   size_t *ret_done, struct err *e)
{
	char *list = xstrdup(statements), *rest = list, *sql;
	size_t done = 0;
	int rc = 0;

	*ret_done = 0;
	while (rc == 0 && (sql = strsep(&rest, ";")) != NULL) {
		const struct slice *cells;
		struct db_result *r = NULL;

		rc = db_query(db, sql, &r, e);
		while (rc >= 0 && (rc = db_next(r, &cells, e)) == 1 &&
		       (rc = row(context, done, cells, r->count, e)) == 0)
			;
		if (rc == 0)
			*ret_done = ++done;
		if (r != NULL) {
			free(r->text);
			free(r);
		}
	}
	free(list);
	return rc;
}

size_t db_column_count(const struct db_result *r)
{
	return r->count;
}

const char *db_column_name(const struct db_result *r, size_t column)
{
	(void)r, (void)column;
	return "";
}

struct value_source_type db_column_type(const struct db_result *r, size_t column)
{
	(void)r, (void)column;
	return (struct value_source_type){ 0 };
}

void db_result_free(struct db_result *r)
{
	if (r == NULL)
		return;
	free(r->text);
	free(r);
}

int db_get_text(struct db *db, const char *sql, char **ret_text, struct err *e)
{
	struct db_result *r;
	const struct slice *row;
	char *text = NULL;
	int rc;

	if (db_query(db, sql, &r, e) < 0)
		return -1;
	rc = db_next(r, &row, e);
	if (rc == 1 && row[0].data != NULL)
		text = xstrndup((const char *)row[0].data, row[0].size);
	db_result_free(r);
	if (rc < 0)
		return -1;
	*ret_text = text;
	return 0;
}

unsigned db_error_number(const struct db *db)
{
	(void)db;
	return 0;
}

const char *db_where(const struct db *db)
{
	(void)db;
	return "127.0.0.1:3306";
}

bool db_is_mariadb(const struct db *db)
{
	(void)db;
	return true;
}

uint64_t db_connection_id(const struct db *db)
{
	(void)db;
	return 1;
}

const char *db_server_version(const struct db *db)
{
	(void)db;
	return "10.11.19-MariaDB-log";
}

unsigned db_server_number(const struct db *db)
{
	(void)db;
	return 101119;
}

void db_quote(struct slice text, struct buf *sql)
{
	buf_add_u8(sql, '\'');
	buf_add_slice(sql, text);
	buf_add_u8(sql, '\'');
}

/* ---- the stream ------------------------------------------------------------------------------ */

int db_dump(struct db *db, const struct db_dump_options *options, struct err *e)
{
	const char *dash = strrchr(options->gtid, '-');

	if (script_fault_before(SCRIPT_DB_DUMP, db->counted, e) < 0)
		return -1;
	db->from = dash != NULL ? strtoull(dash + 1, NULL, 10) : 0;
	db->at = 0;
	return 0;
}

/* With its lock held. */
static void wait_at_end(struct db *db)
{
	struct timespec t;

	if (patience_ms == 0) {
		pthread_cond_wait(&db->changed, &db->lock);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += patience_ms * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	if (pthread_cond_timedwait(&db->changed, &db->lock, &t) == ETIMEDOUT)
		stop_request();
}

int db_dump_next(struct db *db, struct slice *ret_event, struct err *e)
{
	int rc;

	while (db->at < binlog->count && binlog->events[db->at].gtid != 0 &&
	       binlog->events[db->at].gtid <= db->from)
		db->at++;
	pthread_mutex_lock(&db->lock);
	while (db->at == binlog->count && !db->interrupted)
		wait_at_end(db);
	rc = db->interrupted ? err_retry(e, "interrupted") : 0;
	pthread_mutex_unlock(&db->lock);
	if (rc < 0 || script_fault_before(SCRIPT_DB_DUMP_NEXT, db->counted, e) < 0)
		return -1;
	*ret_event = script_packet(binlog, db->at++);
	return 0;
}

int db_dump_try_next(struct db *db, struct slice *ret_event, struct err *e)
{
	while (db->at < binlog->count && binlog->events[db->at].gtid != 0 &&
	       binlog->events[db->at].gtid <= db->from)
		db->at++;
	if (script_fault_before(SCRIPT_DB_DUMP_NEXT, db->counted, e) < 0)
		return -1;
	if (db->at == binlog->count)
		return 0;
	*ret_event = script_packet(binlog, db->at++);
	return 1;
}

void db_interrupt(struct db *db)
{
	pthread_mutex_lock(&db->lock);
	db->interrupted = true;
	pthread_cond_signal(&db->changed);
	pthread_mutex_unlock(&db->lock);
}
