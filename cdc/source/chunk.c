/* chunk.c - the thread that reads chunks, one request at a time.
 *
 * Lost connections and reads that the server ended (its time limit, a killed session) are answered
 * with ERR_RETRY; the connection is made anew for the next request. chunk_reader_close() shuts the
 * socket, so it never waits for a long read. */
#include "cdc/source/chunk.h"

#include "core/base/mem.h"
#include "core/mysql/db.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* A border that is a date like 2024-02-31 must stay one; keys of TEXT columns may be longer than
 * the 1024 bytes that are sorted by default. */
#define MYSQL_READ_LIMIT 50708 /* max_execution_time came with it */
#define CHUNK_SESSION "SET sql_mode = 'ALLOW_INVALID_DATES', max_sort_length = 16384"

enum job { JOB_NONE, JOB_ASKED, JOB_DONE, JOB_FAILED };

struct chunk_reader {
	const struct settings *settings;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stopping;
	enum job job;
	struct db *db; /* set and cleared under the lock, used by the thread alone */

	struct chunk_request request; /* members point into the copies below */
	char *db_name, *table, *file, *where;
	struct key_border low, high;
	struct gtid_set seen;
	struct xa_list unsettled;
	struct shape *key_shape;

	char place_file[CHUNK_FILE_SIZE]; /* "": not known */
	uint64_t place_position;

	struct chunk *chunk;
	struct err failure;
};

static void drop_connection(struct chunk_reader *r)
{
	struct db *db;

	pthread_mutex_lock(&r->lock);
	db = r->db;
	r->db = NULL;
	pthread_mutex_unlock(&r->lock);
	if (db != NULL)
		db_close(db);
}

/* MariaDB takes the limit with each statement. */
static int limit_reads(const struct chunk_reader *r, struct db *db, struct err *e)
{
	char *sql;
	int rc;

	if (db_is_mariadb(db) || db_server_number(db) < MYSQL_READ_LIMIT)
		return 0;
	sql = xasprintf("SET SESSION max_execution_time = %" PRId64,
			r->settings->copy_read_limit_ms);
	rc = db_run(db, sql, e);
	free(sql);
	return rc;
}

static int connect_source(struct chunk_reader *r, struct err *e)
{
	struct db *db = NULL;
	bool stopping;

	if (r->db != NULL)
		return 0;
	if (db_open(r->settings, DB_TEXT_BINARY, &db, e) < 0)
		return -1;
	/* a server whose default is READ COMMITTED would ignore WITH CONSISTENT SNAPSHOT */
	if (db_run(db, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", e) < 0 ||
	    db_run(db, CHUNK_SESSION, e) < 0 || limit_reads(r, db, e) < 0) {
		db_close(db);
		return -1;
	}
	pthread_mutex_lock(&r->lock);
	stopping = r->stopping;
	r->db = db;
	pthread_mutex_unlock(&r->lock);
	return stopping ? err_retry(e, "stopping") : 0;
}

static void placed(void *context, const char *file, uint64_t position)
{
	struct chunk_reader *r = context;

	pthread_mutex_lock(&r->lock);
	(void)snprintf(r->place_file, sizeof(r->place_file), "%s", file); /* same size */
	r->place_position = position;
	pthread_mutex_unlock(&r->lock);
}

bool chunk_place(struct chunk_reader *r, char *file, uint64_t *ret_position)
{
	bool known;

	pthread_mutex_lock(&r->lock);
	known = r->place_file[0] != '\0';
	if (known) {
		memcpy(file, r->place_file, sizeof(r->place_file));
		*ret_position = r->place_position;
	}
	pthread_mutex_unlock(&r->lock);
	return known;
}

static void work(struct chunk_reader *r)
{
	struct chunk *chunk = NULL;
	struct err e = ERR_INIT;
	bool ok = connect_source(r, &e) == 0 &&
		  chunk_read(r->settings, r->db, &r->request, &chunk, &e) == 0;

	if (!ok || chunk->cut)
		drop_connection(r);
	pthread_mutex_lock(&r->lock);
	r->chunk = chunk;
	r->failure = e;
	r->job = ok ? JOB_DONE : JOB_FAILED;
	pthread_mutex_unlock(&r->lock);
}

static void *reader(void *context)
{
	struct chunk_reader *r = context;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (!r->stopping && r->job != JOB_ASKED)
			pthread_cond_wait(&r->changed, &r->lock);
		if (r->stopping)
			break;
		pthread_mutex_unlock(&r->lock);
		work(r);
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

int chunk_reader_open(const struct settings *settings, struct chunk_reader **ret_reader,
		      struct err *e)
{
	struct chunk_reader *r = xcalloc(1, sizeof(*r));

	r->settings = settings;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	if (pthread_create(&r->thread, NULL, reader, r) != 0) {
		pthread_cond_destroy(&r->changed);
		pthread_mutex_destroy(&r->lock);
		free(r);
		return err_fatal(e, "no thread could be made to copy tables");
	}
	*ret_reader = r;
	return 0;
}

static void forget_request(struct chunk_reader *r)
{
	free(r->db_name);
	free(r->table);
	free(r->file);
	free(r->where);
	r->db_name = r->table = r->file = r->where = NULL;
	shape_unref(r->key_shape);
	r->key_shape = NULL;
}

void chunk_reader_close(struct chunk_reader *r)
{
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	if (r->db != NULL)
		db_interrupt(r->db);
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	drop_connection(r);
	chunk_free(r->chunk);
	forget_request(r);
	key_border_done(&r->low);
	key_border_done(&r->high);
	gtid_set_done(&r->seen);
	xa_list_done(&r->unsettled);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* The thread rests between answer and next request, so its request can be replaced. */
void chunk_request(struct chunk_reader *r, const struct chunk_request *request)
{
	pthread_mutex_lock(&r->lock);
	forget_request(r);
	r->request = *request;
	r->request.db = r->db_name = xstrdup(request->db);
	r->request.table = r->table = xstrdup(request->table);
	r->request.seen_file = r->file = xstrdup(request->seen_file);
	if (request->where != NULL)
		r->request.where = r->where = xstrdup(request->where);
	if (request->low != NULL) {
		key_border_copy(&r->low, request->low);
		r->request.low = &r->low;
	}
	if (request->high != NULL) {
		key_border_copy(&r->high, request->high);
		r->request.high = &r->high;
	}
	gtid_set_copy(&r->seen, request->seen);
	r->request.seen = &r->seen;
	if (request->unsettled != NULL) {
		xa_list_copy(&r->unsettled, request->unsettled);
		r->request.unsettled = &r->unsettled;
	}
	if (request->key_shape != NULL)
		r->key_shape = shape_ref((struct shape *)(uintptr_t)request->key_shape);
	r->request.placed = placed;
	r->request.context = r;
	r->place_file[0] = '\0';
	r->job = JOB_ASKED;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

int chunk_poll(struct chunk_reader *r, struct chunk **ret_chunk, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	if (r->job == JOB_DONE) {
		*ret_chunk = r->chunk;
		r->chunk = NULL;
		rc = 1;
	} else if (r->job == JOB_FAILED) {
		*e = r->failure;
		rc = -1;
	}
	if (rc != 0)
		r->job = JOB_NONE;
	pthread_mutex_unlock(&r->lock);
	return rc;
}
