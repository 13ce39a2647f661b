/* state.c - the thread that keeps the file up, and how its owner looks into it.
 *
 * Ownership moves with the job: ASKED, the thread works; DONE or FAILED, it rests, and file,
 * schemas and buffers are the owner's. A catch-up that fails has written whole transactions or
 * nothing. A topic that is not the one the file was built from (its offsets are not there) makes
 * the file begin anew, once per catch-up. */
#include "cdc/copy/state_priv.h"

#include "core/avro/read.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/kafka/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- the thread ----------------------------------------------------------------------------- */

static int count_partitions(struct state *s, struct err *e)
{
	struct admin *admin = NULL;
	int32_t partitions = 0;
	bool exists = false;
	int64_t low, high;
	int rc;

	if (admin_open(s->settings, &admin, e) < 0)
		return -1;
	rc = admin_partitions(admin, s->topic, &exists, &partitions, e);
	if (rc == 0 && !exists)
		rc = err_retry(e, "topic %s does not exist", s->topic);
	if (rc == 0 && (size_t)partitions > s->partition_count) {
		s->partitions =
			xrealloc(s->partitions, (size_t)partitions * sizeof(*s->partitions));
		memset(s->partitions + s->partition_count, 0,
		       ((size_t)partitions - s->partition_count) * sizeof(*s->partitions));
		s->partition_count = (size_t)partitions;
	}
	s->done = 0;
	s->total = 0;
	for (int32_t p = 0; rc == 0 && p < partitions; p++) {
		rc = admin_watermarks(admin, s->topic, p, &low, &high, e);
		if (rc == 0 && high > s->partitions[p].next)
			s->total += high - s->partitions[p].next;
	}
	admin_close(admin);
	return rc;
}

static void drop_consumer(struct state *s)
{
	consumer_close(s->consumer);
	s->consumer = NULL;
}

static int roll_back(struct state *s)
{
	struct err unused = ERR_INIT;

	if (s->db == NULL)
		return 0;
	if (sql_in_transaction(s->db))
		(void)sql_run(s->db, "ROLLBACK", &unused); /* the file is opened anew */
	state_close_file(s);
	return 0;
}

static int count_spool(struct state *s, struct err *e)
{
	int rc = state_count_spool(s, e);

	spool_free(s->spool);
	s->spool = NULL;
	if (rc < 0)
		roll_back(s);
	return rc;
}

static int catch_up(struct state *s, struct err *e)
{
	for (int tries = 0;; tries++) {
		if (collator_prepare(s->collator, s->shape, e) < 0 ||
		    (s->db == NULL && state_open_file(s, e) < 0) || state_make_link(s, e) < 0 ||
		    (s->consumer == NULL && count_partitions(s, e) < 0)) {
			if (s->db != NULL && sql_in_transaction(s->db))
				roll_back(s);
			return -1;
		}
		if (state_read_topic(s, e) == 0)
			return s->spool == NULL ? 0 : count_spool(s, e);
		drop_consumer(s);
		roll_back(s);
		if (e->kind != ERR_DATA || tries > 0)
			return -1;
		log_warning("copy", "the last state of %s is built anew: %s", s->topic, e->msg);
		err_clear(e);
		if (state_delete_file(s, e) < 0)
			return -1;
	}
}

static void *worker(void *context)
{
	struct state *s = context;

	pthread_mutex_lock(&s->lock);
	while (!s->stopping) {
		struct err e = ERR_INIT;
		int rc;

		if (s->job != STATE_ASKED) {
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		rc = catch_up(s, &e);
		pthread_mutex_lock(&s->lock);
		s->failure = e;
		s->job = rc == 0 ? STATE_DONE : STATE_FAILED;
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- the owner's side ----------------------------------------------------------------------- */

static int make_path(struct state *s, const char *user, struct err *e)
{
	char *folder = xasprintf("%s/rows", s->settings->state_dir);
	int rc = 0;

	if ((mkdir(s->settings->state_dir, 0777) < 0 && errno != EEXIST) ||
	    (mkdir(folder, 0777) < 0 && errno != EEXIST)) {
		err_config(e, "%s cannot be made: %s", folder, strerror(errno));
		rc = err_hint(e, "millrace.state names a folder that this account may write to.");
	}
	s->path = xasprintf("%s/%s%s%s.db", folder, s->topic, user[0] != '\0' ? "+" : "", user);
	free(folder);
	return rc;
}

static void set_shape(struct state *s, struct shape *shape)
{
	shape_ref(shape);
	shape_unref(s->shape);
	s->shape = shape;
	s->cells = xrealloc(s->cells, shape->column_count * sizeof(*s->cells));
	s->counted = shape->key_count == 0;
	state_forget_schemas(s);
}

int state_open(const struct settings *settings, struct registry *registry, const char *topic,
	       const char *user, struct shape *shape, struct state **ret_state, struct err *e)
{
	struct state *s = xcalloc(1, sizeof(*s));

	s->settings = settings;
	s->registry = registry;
	s->topic = xstrdup(topic);
	s->seq_max = INT64_MAX;
	s->collator = collator_new(settings);
	set_shape(s, shape);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	if (make_path(s, user, e) == 0) {
		if (pthread_create(&s->thread, NULL, worker, s) == 0) {
			*ret_state = s;
			return 0;
		}
		err_fatal(e, "no thread could be made to read %s", topic);
	}
	s->stopping = true;
	s->thread = 0;
	state_close(s);
	return -1;
}

void state_close(struct state *s)
{
	if (s == NULL)
		return;
	if (s->thread != 0) {
		pthread_mutex_lock(&s->lock);
		s->stopping = true;
		pthread_cond_signal(&s->changed);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	drop_consumer(s);
	roll_back(s);
	state_forget_schemas(s);
	collator_free(s->collator);
	shape_unref(s->shape);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	buf_done(&s->key);
	buf_done(&s->body);
	buf_done(&s->bytes);
	buf_done(&s->image);
	buf_done(&s->link_value);
	state_forget_links(s);
	free(s->wanted_link);
	spool_free(s->spool);
	free(s->partitions);
	free(s->cells);
	free(s->topic);
	free(s->path);
	free(s);
}

int state_reshape(struct state *s, struct shape *shape, struct err *e)
{
	if (s->shape == shape)
		return 0;
	if (!shape_equal(s->shape, shape)) {
		set_shape(s, shape);
		state_close_file(s); /* the key may be another one: the file is looked at again */
		return state_open_file(s, e);
	}
	return 0;
}

void state_catch_up(struct state *s, const int64_t *last_seqs, size_t partitions)
{
	pthread_mutex_lock(&s->lock);
	if (partitions > s->partition_count) {
		s->partitions = xrealloc(s->partitions, partitions * sizeof(*s->partitions));
		memset(s->partitions + s->partition_count, 0,
		       (partitions - s->partition_count) * sizeof(*s->partitions));
		s->partition_count = partitions;
	}
	for (size_t p = 0; p < s->partition_count; p++) {
		s->partitions[p].wanted = p < partitions ? last_seqs[p] : 0;
		s->partitions[p].beyond = false;
	}
	s->job = STATE_ASKED;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

void state_limit(struct state *s, int64_t seq_max)
{
	s->seq_max = seq_max;
}

int state_poll(struct state *s, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (s->job == STATE_DONE)
		rc = 1;
	if (s->job == STATE_FAILED) {
		*e = s->failure;
		rc = -1;
	}
	if (rc != 0)
		s->job = STATE_RESTS;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void state_progress(const struct state *s, int64_t *ret_done, int64_t *ret_total)
{
	*ret_done = s->done;
	*ret_total = s->total;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void take_row(const struct sql_statement *q, struct state_row *row)
{
	struct value v[3];

	for (int i = 0; i < 3; i++)
		sql_column(q, i, &v[i]);
	row->key = v[0].kind == VALUE_BYTES ? v[0].bytes : slice_of("", 0);
	row->schema = (int32_t)v[1].i;
	row->unknown = row->schema < 0;
	row->body = v[2].kind == VALUE_BYTES ? v[2].bytes : slice_of("", 0);
}

int state_seek(struct state *s, const struct slice *low, const struct slice *high, struct err *e)
{
	struct value from = { .kind = VALUE_BYTES, .bytes = slice_of("", 0) },
		     to = { .kind = VALUE_NULL };

	sql_reset(s->range);
	if (low != NULL)
		from.bytes = *low;
	else
		from = (struct value){ .kind = VALUE_INT, .i = 0 }; /* numbers sort before bytes */
	if (high != NULL)
		to = (struct value){ .kind = VALUE_BYTES, .bytes = *high };
	return sql_bind(s->range, 1, &from, e) < 0 ? -1 : sql_bind(s->range, 2, &to, e);
}

int state_next(struct state *s, struct state_row *ret_row, struct err *e)
{
	int rc = sql_step(s->range, e);

	if (rc == 1)
		take_row(s->range, ret_row);
	else
		sql_reset(s->range);
	return rc;
}

int state_find(struct state *s, struct slice key, struct state_row *ret_row, struct err *e)
{
	struct value v = { .kind = VALUE_BYTES, .bytes = key };
	int rc;

	sql_reset(s->find);
	if (sql_bind(s->find, 1, &v, e) < 0)
		return -1;
	rc = sql_step(s->find, e);
	if (rc == 1)
		take_row(s->find, ret_row);
	return rc;
}

int state_cells(struct state *s, const struct state_row *row, struct buf *bytes,
		struct cell *ret_cells, struct err *e)
{
	struct row_back_record record = { .op = 'r', .has_after = true };
	struct rd in = rd_from(row->body);
	struct row_back *back;
	bool whole;

	record.after = read_bytes(&in);
	record.absent = read_bytes(&in);
	record.exact = read_bytes(&in);
	if (!rd_end(&in))
		return err_fatal(e, "%s: damaged", s->path);
	if (state_schema(s, row->unknown ? -row->schema : row->schema, &back, e) < 0)
		return -1;
	if (row->unknown)
		return row_back_key(back, record.after, bytes, ret_cells, &whole, e);
	if (row_back_cells(back, &record, ROW_BACK_AFTER, bytes, ret_cells, e) < 0)
		return -1;
	s->converted = row_back_converted(back);
	return 0;
}

bool state_converted(const struct state *s)
{
	return s->converted;
}
