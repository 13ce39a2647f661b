/* db_watch.c - the thread that asks whether somebody waits.
 *
 * It has one connection, opened when first needed. Each round it asks about every read that is old
 * enough, with lock_wait_timeout = 0. What it cannot find out (no connection, a server that knows
 * no such timeout) ends no read: the statement's own time limit does. */
#include "core/mysql/db_watch.h"

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/value/row.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define ROUND_US 200000
#define LOAD_US 1000000
#define AGAIN_US 5000000 /* after a failed connection */
#define ERROR_LOCK_WAIT 1205

struct watched {
	uint64_t connection_id; /* 0: free */
	int64_t since_us;
	char *what, *probe; /* for people; the statement that needs the read's locks */
	bool gave_way;
};

struct db_watch {
	const struct settings *settings;
	bool wants_load;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stopping;
	struct watched reads[DB_WATCH_READS_MAX];
	size_t read_count;
	int64_t load;
	struct db *db; /* set and cleared under the lock, used by the thread alone */
	int64_t load_us, again_us;
};

static void disconnect(struct db_watch *w)
{
	struct db *db;

	pthread_mutex_lock(&w->lock);
	db = w->db;
	w->db = NULL;
	w->load = -1;
	pthread_mutex_unlock(&w->lock);
	db_close(db);
	w->again_us = clock_monotonic_us() + AGAIN_US;
}

/* MySQL has no limit for one statement, and no shorter one for a session. */
static int dont_wait(struct db *db, struct err *e)
{
	return db_is_mariadb(db) ? 0 : db_run(db, "SET SESSION lock_wait_timeout = 1", e);
}

static bool connected(struct db_watch *w)
{
	struct err e = ERR_INIT;
	struct db *db = NULL;

	if (w->db != NULL)
		return true;
	if (clock_monotonic_us() < w->again_us)
		return false;
	if (db_open(w->settings, DB_TEXT_UTF8, &db, &e) < 0 || dont_wait(db, &e) < 0) {
		if (db != NULL)
			db_close(db);
		log_warning("source", "reads are not watched: %s", e.msg);
		w->again_us = clock_monotonic_us() + AGAIN_US;
		return false;
	}
	pthread_mutex_lock(&w->lock);
	w->db = db;
	pthread_mutex_unlock(&w->lock);
	return true;
}

/* ---- one round ------------------------------------------------------------------------------ */

static bool somebody_waits(struct db_watch *w, const struct watched *read)
{
	struct buf sql = BUF_INIT;
	struct err e = ERR_INIT;
	bool waits = false;

	if (db_is_mariadb(w->db))
		buf_add_str(&sql, "SET STATEMENT lock_wait_timeout=0 FOR ");
	buf_add_str(&sql, read->probe);
	if (db_run(w->db, buf_cstr(&sql), &e) < 0) {
		waits = db_error_number(w->db) == ERROR_LOCK_WAIT;
		if (!waits && e.kind == ERR_RETRY)
			disconnect(w);
	}
	buf_done(&sql);
	return waits;
}

/* The read may have ended meanwhile: it is ended only while it still stands in its place. What the
 * KILL then hits can only be the next statement of the same reader, which fails with ERR_RETRY. */
static void end_read(struct db_watch *w, size_t i, const struct watched *seen)
{
	struct buf sql = BUF_INIT;
	struct err e = ERR_INIT;
	bool same;

	pthread_mutex_lock(&w->lock);
	same = w->reads[i].connection_id == seen->connection_id &&
	       w->reads[i].since_us == seen->since_us;
	if (same)
		w->reads[i].gave_way = true;
	pthread_mutex_unlock(&w->lock);
	if (!same)
		return;
	log_info("source", "reading %s gives way: somebody waits for the table", seen->what);
	buf_add_format(&sql, "KILL QUERY %llu", (unsigned long long)seen->connection_id);
	if (db_run(w->db, buf_cstr(&sql), &e) < 0 && e.kind == ERR_RETRY)
		disconnect(w);
	buf_done(&sql);
}

static bool copy_read(struct db_watch *w, size_t i, struct watched *ret_read)
{
	const struct watched *read = &w->reads[i];
	bool due;

	pthread_mutex_lock(&w->lock);
	due = read->connection_id != 0 && !read->gave_way &&
	      clock_monotonic_us() - read->since_us >= ROUND_US;
	if (due) {
		*ret_read = *read;
		ret_read->what = xstrdup(read->what);
		ret_read->probe = xstrdup(read->probe);
	}
	pthread_mutex_unlock(&w->lock);
	return due;
}

static void look_at_reads(struct db_watch *w)
{
	for (size_t i = 0; i < DB_WATCH_READS_MAX; i++) {
		struct watched read;

		if (!copy_read(w, i, &read))
			continue;
		if (connected(w) && somebody_waits(w, &read) && w->db != NULL)
			end_read(w, i, &read);
		free(read.what);
		free(read.probe);
	}
}

static void look_at_load(struct db_watch *w)
{
	int64_t now = clock_monotonic_us(), load = -1;
	struct db_result *r = NULL;
	const struct slice *row;
	struct err e = ERR_INIT;

	if (!w->wants_load || now - w->load_us < LOAD_US || !connected(w))
		return;
	w->load_us = now;
	if (db_query(w->db, "SHOW GLOBAL STATUS LIKE 'Threads_running'", &r, &e) == 0 &&
	    db_next(r, &row, &e) == 1) {
		char text[24] = "";

		if (row[1].size < sizeof(text))
			memcpy(text, row[1].data, row[1].size);
		load = strtoll(text, NULL, 10) - 1; /* this question itself */
	}
	db_result_free(r);
	if (e.kind == ERR_RETRY)
		disconnect(w);
	pthread_mutex_lock(&w->lock);
	w->load = load;
	pthread_mutex_unlock(&w->lock);
}

/* ---- the thread ----------------------------------------------------------------------------- */

/* With the lock held. */
static void rest(struct db_watch *w)
{
	struct timespec until;

	if (w->read_count == 0 && !w->wants_load) {
		pthread_cond_wait(&w->changed, &w->lock);
		return;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ROUND_US * 1000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	(void)pthread_cond_timedwait(&w->changed, &w->lock, &until);
}

static void *watcher(void *context)
{
	struct db_watch *w = context;

	pthread_mutex_lock(&w->lock);
	while (!w->stopping) {
		pthread_mutex_unlock(&w->lock);
		look_at_load(w);
		look_at_reads(w);
		pthread_mutex_lock(&w->lock);
		if (!w->stopping)
			rest(w);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int db_watch_open(const struct settings *settings, bool load, struct db_watch **ret_watch,
		  struct err *e)
{
	struct db_watch *w = xcalloc(1, sizeof(*w));
	pthread_condattr_t attributes;

	w->settings = settings;
	w->wants_load = load;
	w->load = -1;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	if (pthread_create(&w->thread, NULL, watcher, w) != 0) {
		pthread_cond_destroy(&w->changed);
		pthread_mutex_destroy(&w->lock);
		free(w);
		return err_fatal(e, "no thread could be made to watch reads");
	}
	*ret_watch = w;
	return 0;
}

void db_watch_close(struct db_watch *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	if (w->db != NULL)
		db_interrupt(w->db);
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	db_close(w->db);
	for (size_t i = 0; i < DB_WATCH_READS_MAX; i++) {
		free(w->reads[i].what);
		free(w->reads[i].probe);
	}
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

int db_watch_begin(struct db_watch *w, const struct db *reader, const char *db, const char *table)
{
	struct buf sql = BUF_INIT;
	char *what = xasprintf("%s.%s", db, table);
	int at;

	buf_add_str(&sql, "SELECT 1 FROM ");
	row_quote_name(db, &sql);
	buf_add_str(&sql, ".");
	row_quote_name(table, &sql);
	buf_add_str(&sql, " LIMIT 0");
	at = db_watch_begin_query(w, reader, what, buf_cstr(&sql));
	free(what);
	buf_done(&sql);
	return at;
}

int db_watch_begin_query(struct db_watch *w, const struct db *reader, const char *what,
			 const char *probe)
{
	int at = -1;

	pthread_mutex_lock(&w->lock);
	for (int i = 0; i < DB_WATCH_READS_MAX && at < 0; i++)
		if (w->reads[i].connection_id == 0)
			at = i;
	if (at >= 0) {
		w->reads[at] = (struct watched){ .connection_id = db_connection_id(reader),
						 .since_us = clock_monotonic_us(),
						 .what = xstrdup(what),
						 .probe = xstrdup(probe) };
		if (w->read_count++ == 0)
			pthread_cond_signal(&w->changed);
	}
	pthread_mutex_unlock(&w->lock);
	return at;
}

bool db_watch_end(struct db_watch *w, int read)
{
	bool gave_way;

	if (read < 0)
		return false;
	pthread_mutex_lock(&w->lock);
	gave_way = w->reads[read].gave_way;
	free(w->reads[read].what);
	free(w->reads[read].probe);
	w->reads[read] = (struct watched){ 0 };
	w->read_count--;
	pthread_mutex_unlock(&w->lock);
	return gave_way;
}

int64_t db_watch_load(struct db_watch *w)
{
	int64_t load;

	pthread_mutex_lock(&w->lock);
	load = w->load;
	pthread_mutex_unlock(&w->lock);
	return load;
}
