/* bench_apply.c - how fast a worker applies events to SQLite: the worker's own loop, handlers and
 * store, over records that are made in memory. No Kafka, no decompression: what is left is decode,
 * SQL and commits.
 *
 *   bench_apply [EVENTS] [DISTINCT KEYS]     prints events a second and peak memory; exit 1 below
 * 100,000 events/s */
#include "core/avro/write.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "projections/work/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRANSACTION 20 /* records in a source transaction */
#define GOAL 100000

static const char schema[] =
	"{\"type\": \"record\", \"namespace\": \"bench\", \"name\": \"Joined\", \"fields\": "
	"[{\"name\": \"meta\", \"type\": "
	"{\"type\": \"record\", \"name\": \"Meta\", \"fields\": [{\"name\": \"seq\", \"type\": "
	"\"long\"}, {\"name\": \"gtid\", "
	"\"type\": \"string\"}, {\"name\": \"at\", \"type\": \"long\"}, {\"name\": "
	"\"traceparent\", \"type\": [\"null\", "
	"\"string\"], \"default\": null}]}}, {\"name\": \"group_id\", \"type\": \"long\"}, "
	"{\"name\": \"member_id\", "
	"\"type\": \"long\"}, {\"name\": \"joined_at\", \"type\": \"long\"}, {\"name\": \"name\", "
	"\"type\": \"string\"}]}";

struct made {
	struct intake_position position;
	int64_t at, total, keys;
	struct buf value;
};

static int64_t total_events = 2000000, distinct_keys = 500000;

static int made_open(void *context, const struct intake_options *options, void **ret_feed,
		     struct err *e)
{
	struct made *m = xcalloc(1, sizeof(*m));

	(void)context;
	(void)options;
	(void)e;
	m->total = total_events;
	m->keys = distinct_keys;
	m->position.gtid_set = xstrdup("0-1-1");
	*ret_feed = m;
	return 0;
}

static void made_close(void *feed)
{
	struct made *m = feed;

	intake_position_done(&m->position);
	buf_done(&m->value);
	free(m);
}

static int made_next(void *feed, int timeout_ms, struct intake_item *item, struct err *e)
{
	struct made *m = feed;
	int64_t key = (int64_t)((uint64_t)m->at * UINT64_C(0x9e3779b97f4a7c15) % (uint64_t)m->keys);

	(void)e;
	if (m->at == m->total && m->position.seq == m->at) {
		clock_sleep_us(timeout_ms * 100);
		*item = (struct intake_item){ .kind = INTAKE_IDLE };
		return 0;
	}
	if (m->at > m->position.seq && (m->at % TRANSACTION == 0 || m->at == m->total)) {
		m->position.seq = m->at;
		*item = (struct intake_item){ .kind = INTAKE_TRANSACTION };
		return 0;
	}
	buf_reset(&m->value);
	write_long(&m->value, ++m->at);
	write_str(&m->value, "0-1-123456");
	write_long(&m->value, 1700000000000000 + m->at);
	write_long(&m->value, 0);
	write_long(&m->value, key / 100);
	write_long(&m->value, key % 100);
	write_long(&m->value, 1700000000000000 + m->at);
	write_str(&m->value, "a member's name");
	*item = (struct intake_item){ .kind = INTAKE_RECORD,
				      .seq = m->at,
				      .offset = m->at,
				      .schema_id = 1,
				      .value = buf_slice(&m->value) };
	return 0;
}

static const struct intake_position *made_position(const void *feed)
{
	return &((const struct made *)feed)->position;
}

static void made_delivered(const void *feed, struct intake_end *end)
{
	const struct made *m = feed;

	*end = (struct intake_end){ .commits_behind = m->total - m->position.seq };
}

static const char *const *made_copying(const void *feed)
{
	static const char *const none[] = { NULL };

	(void)feed;
	return none;
}

static const struct intake_reconciling *made_reconciling(void *feed, size_t *ret_count)
{
	(void)feed;
	*ret_count = 0;
	return NULL;
}

static int64_t made_records(const void *feed)
{
	return ((const struct made *)feed)->at;
}

static int64_t made_total(const void *feed)
{
	return ((const struct made *)feed)->total;
}

static void made_commit(void *feed)
{
	(void)feed;
}

static int made_schema(void *context, int32_t id, const char **ret_text, struct err *e)
{
	(void)context;
	(void)id;
	(void)e;
	*ret_text = schema;
	return 0;
}

static const struct feed_ops made_ops = {
	.open = made_open,
	.close = made_close,
	.next = made_next,
	.position = made_position,
	.delivered = made_delivered,
	.copying = made_copying,
	.reconciling = made_reconciling,
	.records = made_records,
	.records_total = made_total,
	.commit_offsets = made_commit,
	.schema = made_schema,
};

static int make_view(struct view **ret_view, struct err *e)
{
	struct view_files files = { 0 };

	view_files_add(&files, "view.conf", xstrdup("inputs = joined\n"));
	view_files_add(
		&files, "tables.sql",
		xstrdup("CREATE TABLE members (group_id INTEGER NOT NULL, member_id INTEGER NOT "
			"NULL, joined_at INTEGER NOT NULL, "
			"name TEXT NOT NULL, PRIMARY KEY (group_id, member_id)) WITHOUT ROWID;\n"
			"-- after build\n"
			"CREATE INDEX members_by_member ON members (member_id);\n"));
	view_files_add(
		&files, "on/Joined.sql",
		xstrdup("INSERT INTO members VALUES (:group_id, :member_id, :joined_at, :name) ON "
			"CONFLICT (group_id, member_id) "
			"DO UPDATE SET joined_at = excluded.joined_at, name = excluded.name"));
	return view_from_files("bench", "bench", &files, ret_view, e);
}

static int measure(struct store *store, const struct view *view, struct err *e)
{
	struct worker_options o = {
		.store = store, .view = view, .version = 1, .source = { &made_ops, NULL }
	};
	int64_t began = clock_monotonic_us(), applied_us, ended_us;
	struct worker_status s;
	struct worker *w;
	struct rusage usage;
	double rate, cpu;

	if (store->ops->create(store, view, 1, true, e) < 0 || worker_start(&o, &w, e) < 0)
		return -1;
	do {
		clock_sleep_us(20000);
		worker_status(w, &s);
	} while (s.seq < total_events && s.state != WORKER_FAILED);
	applied_us = clock_monotonic_us();
	if (s.state == WORKER_FAILED)
		return err_data(e, "%s", s.message);
	if (worker_finish_build(w, e) < 0)
		return -1;
	ended_us = clock_monotonic_us();
	worker_stop(w);
	getrusage(RUSAGE_SELF, &usage);
	cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	rate = (double)total_events * 1e6 / (double)(applied_us - began);
	printf("apply %lld events, %lld keys: %.0f events/s (%.2f s; %lld commits); end of build "
	       "%.2f s; peak RSS %.1f MB; "
	       "%.0f events per CPU second\n",
	       (long long)total_events, (long long)distinct_keys, rate,
	       (double)(applied_us - began) / 1e6, (long long)s.commits,
	       (double)(ended_us - applied_us) / 1e6, (double)usage.ru_maxrss / 1024,
	       (double)total_events / cpu);
	return rate >= GOAL ? 0 : 1;
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/millrace-bench-XXXXXX";
	struct settings settings = { .state_dir = dir };
	struct store *store = NULL;
	struct view *view = NULL;
	struct err e = ERR_INIT;
	int rc = -1;

	log_setup(LOG_LEVEL_WARNING, LOG_FORMAT_LOGFMT);
	total_events = argc > 1 ? strtoll(argv[1], NULL, 10) : total_events;
	distinct_keys = argc > 2 ? strtoll(argv[2], NULL, 10) : distinct_keys;
	if (total_events < 1 || distinct_keys < 1 || mkdtemp(dir) == NULL)
		return EXIT_USAGE;
	if (make_view(&view, &e) == 0 && store_sqlite.open(&settings, "bench", &store, &e) == 0)
		rc = measure(store, view, &e);
	if (rc < 0)
		fprintf(stderr, "%s\n", e.msg);
	if (store != NULL) {
		struct err ignored = ERR_INIT;

		(void)store->ops->remove(store, 1, &ignored); /* the folder is temporary */
		store->ops->close(store);
	}
	view_free(view);
	return rc == 0 ? 0 : 1;
}
