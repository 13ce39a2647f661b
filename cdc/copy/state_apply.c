/* state_apply.c - the topic into the file.
 *
 * clang-format off
 *   identity    format, topic, key        what the file is of: another one is begun anew
 *   partitions  partition, next, seq      written in the same transaction as the rows
 *   rows        key -> seq, partition, schema, body
 * clang-format on
 *
 * key: as of change/key.h, so that the order of the file is the order of chunks. Keys that the
 * server calls equal (other letters, one row) may stand in two partitions: the later seq counts.
 * body: the datums of
 * the envelope's after, absent and exact, each with its size before it, in the writer's schema: a
 * row is turned back only when it is compared, into the shape that the table has then.
 *
 * A transaction of the file ends every APPLY_RECORDS records; a crash repeats what came after,
 * which is harmless: applying is idempotent and in the partition's order. */
#include "cdc/copy/state_priv.h"

#include "cdc/change/key.h"
#include "core/avro/decode.h"
#include "core/avro/row_schema.h"
#include "core/avro/write.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT 1
#define APPLY_RECORDS 5000
#define QUEUE_BYTES (2 * 1024 * 1024)
#define POLL_MS 50
#define AGAIN_US 5000

/* ---- the file ------------------------------------------------------------------------------- */

static const char tables[] =
	"CREATE TABLE identity (format INTEGER, topic TEXT, key TEXT);"
	"CREATE TABLE partitions (partition INTEGER PRIMARY KEY, next INTEGER, seq INTEGER);"
	"CREATE TABLE rows (key BLOB PRIMARY KEY, seq INTEGER, partition INTEGER, schema INTEGER, "
	"body BLOB) "
	"WITHOUT ROWID;";

/* Schema 0: deleted, and since when. A topic that got more partitions has records of one key in
 * two of them, which are read in any order: the older one must not bring the row back. */
static const char graves[] = "CREATE INDEX IF NOT EXISTS graves ON rows (schema) WHERE schema = 0";

void state_close_file(struct state *s)
{
	struct sql_statement **const all[] = { &s->put,    &s->drop, &s->empty,
					       &s->offset, &s->find, &s->range };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		sql_finalize(*all[i]);
		*all[i] = NULL;
	}
	sql_close(s->db);
	s->db = NULL;
}

int state_delete_file(struct state *s, struct err *e)
{
	static const char *const endings[] = { "", "-wal", "-shm" };

	state_close_file(s);
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		char *path = xasprintf("%s%s", s->path, endings[i]);
		int rc = unlink(path);

		if (rc < 0 && errno != ENOENT)
			err_config(e, "%s cannot be deleted: %s", path, strerror(errno));
		free(path);
		if (rc < 0 && e->kind != ERR_NONE)
			return -1;
	}
	for (size_t p = 0; p < s->partition_count; p++)
		s->partitions[p].next = s->partitions[p].seq = 0;
	return 0;
}

static int key_text(const struct state *s, struct buf *text, struct err *e)
{
	if (row_schema_key(s->settings->name, s->shape, text, e) < 0)
		return -1;
	(void)buf_cstr(text); /* adds the NUL */
	return 0;
}

static int bind_text(struct sql_statement *q, int i, const char *text, struct err *e)
{
	struct value v = { .kind = VALUE_TEXT, .bytes = slice_str(text) };

	return sql_bind(q, i, &v, e);
}

static int bind_int(struct sql_statement *q, int i, int64_t number, struct err *e)
{
	struct value v = { .kind = VALUE_INT, .i = number };

	return sql_bind(q, i, &v, e);
}

static int bind_bytes(struct sql_statement *q, int i, struct slice bytes, struct err *e)
{
	struct value v = { .kind = VALUE_BYTES, .bytes = bytes };

	return sql_bind(q, i, &v, e);
}

static int run(struct sql_statement *q, struct err *e)
{
	int rc = sql_step(q, e);

	sql_reset(q);
	return rc < 0 ? -1 : 0;
}

/* Is the file of this topic, format and key? A file without tables is of none. */
static int is_ours(struct state *s, const char *key, bool *ret_ours, struct err *e)
{
	struct sql_statement *q = NULL;
	int64_t have = 0;
	int rc;

	*ret_ours = false;
	if (sql_get_int(s->db, "SELECT count(*) FROM sqlite_schema WHERE name = 'identity'", &have,
			e) < 0)
		return -1;
	if (have == 0)
		return 0;
	if (sql_prepare(s->db, s->path,
			"SELECT 1 FROM identity WHERE format = ?1 AND topic = ?2 AND key = ?3",
			NULL, &q, e) < 0)
		return -1;
	rc = bind_int(q, 1, FORMAT, e) < 0 || bind_text(q, 2, s->topic, e) < 0 ||
			     bind_text(q, 3, key, e) < 0
		     ? -1
		     : sql_step(q, e);
	*ret_ours = rc == 1;
	sql_finalize(q);
	return rc < 0 ? -1 : 0;
}

static int begin_file(struct state *s, const char *key, struct err *e)
{
	struct sql_statement *q = NULL;
	int rc;

	if (sql_script(s->db, s->path, tables, e) < 0 ||
	    sql_prepare(s->db, s->path, "INSERT INTO identity VALUES (?1, ?2, ?3)", NULL, &q, e) <
		    0)
		return -1;
	rc = bind_int(q, 1, FORMAT, e) < 0 || bind_text(q, 2, s->topic, e) < 0 ||
			     bind_text(q, 3, key, e) < 0 || sql_step(q, e) < 0
		     ? -1
		     : 0;
	sql_finalize(q);
	return rc;
}

static int prepare(struct state *s, struct err *e)
{
	const struct {
		struct sql_statement **statement;
		const char *text;
	} all[] = {
		{ &s->put,
		  "INSERT INTO rows VALUES (?1, ?5, ?2, ?3, ?4) ON CONFLICT (key) DO UPDATE "
		  "SET seq = ?5, partition = ?2, schema = ?3, body = ?4 WHERE ?5 > seq" },
		{ &s->drop,
		  "INSERT INTO rows VALUES (?1, ?2, ?3, 0, x'') ON CONFLICT (key) DO UPDATE "
		  "SET seq = ?2, partition = ?3, schema = 0, body = x'' WHERE ?2 > seq" },
		{ &s->empty, "DELETE FROM rows WHERE partition = ?1" },
		{ &s->offset, "INSERT OR REPLACE INTO partitions VALUES (?1, ?2, ?3)" },
		{ &s->find, "SELECT key, schema, body FROM rows WHERE key = ?1 AND schema <> 0" },
		{ &s->range, "SELECT key, schema, body FROM rows WHERE key > ?1 AND (?2 IS NULL OR "
			     "key <= ?2) AND schema <> 0 ORDER BY key" },
	};

	if (sql_run(s->db, graves, e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (sql_prepare(s->db, s->path, all[i].text, NULL, all[i].statement, e) < 0)
			return -1;
	return 0;
}

static void room_for_partition(struct state *s, size_t partition)
{
	if (partition < s->partition_count)
		return;
	s->partitions = xrealloc(s->partitions, (partition + 1) * sizeof(*s->partitions));
	memset(s->partitions + s->partition_count, 0,
	       (partition + 1 - s->partition_count) * sizeof(*s->partitions));
	s->partition_count = partition + 1;
}

static int read_offsets(struct state *s, struct err *e)
{
	struct sql_statement *q = NULL;
	struct value v[3];
	int rc;

	if (sql_prepare(s->db, s->path, "SELECT partition, next, seq FROM partitions", NULL, &q,
			e) < 0)
		return -1;
	while ((rc = sql_step(q, e)) == 1) {
		for (int i = 0; i < 3; i++)
			sql_column(q, i, &v[i]);
		if (v[0].i < 0 || v[0].i > 100000)
			continue;
		room_for_partition(s, (size_t)v[0].i);
		s->partitions[v[0].i].next = v[1].i;
		s->partitions[v[0].i].seq = v[2].i;
	}
	sql_finalize(q);
	return rc;
}

static int open_as_is(struct state *s, const char *key, bool *ret_ours, struct err *e)
{
	if (sql_open_db(s->path, SQL_OPEN_CREATE, &s->db, e) < 0 ||
	    sql_run(s->db, "PRAGMA synchronous = normal", e) < 0 ||
	    sql_run(s->db, "PRAGMA cache_size = -2000", e) < 0)
		return -1;
	return is_ours(s, key, ret_ours, e);
}

int state_open_file(struct state *s, struct err *e)
{
	struct buf key = BUF_INIT;
	bool ours = false;
	int rc = key_text(s, &key, e);

	if (rc == 0 && open_as_is(s, (char *)key.data, &ours, e) < 0) {
		/* damaged, of another format: a cache is no loss */
		log_warning("copy", "%s is begun anew: %s", s->path, e->msg);
		err_clear(e);
	}
	if (rc == 0 && !ours &&
	    (state_delete_file(s, e) < 0 || open_as_is(s, (char *)key.data, &ours, e) < 0 ||
	     begin_file(s, (char *)key.data, e) < 0))
		rc = -1;
	buf_done(&key);
	if (rc < 0)
		return -1;
	return prepare(s, e) < 0 ? -1 : read_offsets(s, e);
}

/* ---- records -------------------------------------------------------------------------------- */

void state_forget_schemas(struct state *s)
{
	struct state_schema *one, *next;

	HASH_ITER(hh, s->schemas, one, next)
	{
		HASH_DEL(s->schemas, one);
		row_back_free(one->back);
		free(one);
	}
}

int state_schema(struct state *s, int32_t id, struct row_back **ret_back, struct err *e)
{
	struct registry_schema text;
	struct state_schema *one;

	HASH_FIND_INT(s->schemas, &id, one);
	if (one == NULL) {
		if (registry_by_id(s->registry, id, &text, e) < 0)
			return -1;
		one = xcalloc(1, sizeof(*one));
		one->id = id;
		if (row_back_new(slice_str(text.text), s->shape, &one->back, e) < 0) {
			free(one);
			return -1;
		}
		HASH_ADD_INT(s->schemas, id, one);
	}
	*ret_back = one->back;
	return 0;
}

static struct slice behind_header(struct slice wire)
{
	return slice_of(wire.data + DECODE_WIRE_HEADER, wire.size - DECODE_WIRE_HEADER);
}

static int put(struct state *s, int32_t partition, int32_t schema,
	       const struct row_back_record *record, struct err *e)
{
	buf_reset(&s->body);
	write_slice(&s->body, record->after);
	write_slice(&s->body, record->absent);
	write_slice(&s->body, record->exact);
	if (bind_bytes(s->put, 1, buf_slice(&s->key), e) < 0 ||
	    bind_int(s->put, 2, partition, e) < 0 || bind_int(s->put, 3, schema, e) < 0 ||
	    bind_bytes(s->put, 4, buf_slice(&s->body), e) < 0 ||
	    bind_int(s->put, 5, record->seq, e) < 0)
		return -1;
	return run(s->put, e);
}

/* Of a stand-in the row is not known, only its key: that is kept in its place, with the key's
 * schema below zero. */
static int put_unknown(struct state *s, const struct consumer_message *message, int64_t seq,
		       struct err *e)
{
	struct row_back_record record = { .op = 'r', .seq = seq };
	int32_t id;

	if (message->key.data == NULL || decode_wire_id(message->key, &id, e) < 0)
		return err_data(e, "a stand-in without a key");
	record.after = behind_header(message->key);
	return put(s, message->partition, -id, &record, e);
}

/* The row's key: of the record's own key where that has all its columns, else of an image. */
static int make_key(struct state *s, const struct consumer_message *message,
		    struct row_back *values, const struct row_back_record *record, struct err *e)
{
	enum row_back_image image = record->has_after ? ROW_BACK_AFTER : ROW_BACK_BEFORE;
	struct row_back *back;
	bool whole = false;
	int32_t id;

	buf_reset(&s->key);
	if (message->key.data != NULL &&
	    (decode_wire_id(message->key, &id, e) < 0 || state_schema(s, id, &back, e) < 0 ||
	     row_back_key(back, behind_header(message->key), &s->bytes, s->cells, &whole, e) < 0))
		return -1;
	if (!whole && row_back_cells(values, record, image, &s->bytes, s->cells, e) < 0)
		return -1;
	return key_from_cells(s->shape, s->cells, collator_weigher(s->collator), &s->key, e);
}

static int apply(struct state *s, const struct consumer_message *message, struct err *e)
{
	struct row_back_record record;
	struct row_back *back;
	int32_t id;

	if (decode_wire_id(message->value, &id, e) < 0 || state_schema(s, id, &back, e) < 0 ||
	    row_back_read(back, behind_header(message->value), &record, e) < 0)
		return -1;
	s->partitions[message->partition].seq = record.seq;
	if (record.op == 't')
		return bind_int(s->empty, 1, message->partition, e) < 0 ? -1 : run(s->empty, e);
	if (make_key(s, message, back, &record, e) < 0)
		return -1;
	if (record.op != 'd' && record.parked)
		return put_unknown(s, message, record.seq, e);
	if (record.op != 'd')
		return put(s, message->partition, id, &record, e);
	if (bind_bytes(s->drop, 1, buf_slice(&s->key), e) < 0 ||
	    bind_int(s->drop, 2, record.seq, e) < 0 ||
	    bind_int(s->drop, 3, message->partition, e) < 0)
		return -1;
	return run(s->drop, e);
}

int state_apply(struct state *s, const struct consumer_message *message, struct err *e)
{
	struct state_partition *p;
	int64_t seq = 0;

	room_for_partition(s, (size_t)message->partition);
	p = &s->partitions[message->partition];
	if (message->value.data != NULL && decode_seq(message->value, &seq, e) < 0)
		goto failed;
	p->beyond = p->beyond || seq > s->seq_max;
	if (p->beyond) /* and so is all that follows: seq rises */
		return 0;
	p->next = message->offset + 1;
	if (message->value.data == NULL) /* a tombstone says what the delete before it has said */
		return 0;
	if (apply(s, message, e) == 0)
		return 0;
failed:
	return err_wrap(e, "topic %s partition %d offset %lld", message->topic,
			(int)message->partition, (long long)message->offset);
}

/* ---- the topic ------------------------------------------------------------------------------ */

static int save_offsets(struct state *s, struct err *e)
{
	for (size_t p = 0; p < s->partition_count; p++) {
		if (bind_int(s->offset, 1, (int64_t)p, e) < 0 ||
		    bind_int(s->offset, 2, s->partitions[p].next, e) < 0 ||
		    bind_int(s->offset, 3, s->partitions[p].seq, e) < 0 || run(s->offset, e) < 0)
			return -1;
	}
	return sql_run(s->db, "COMMIT", e);
}

static int apply_all(struct state *s, const struct consumer_message *messages, size_t count,
		     struct err *e)
{
	if (count == 0)
		return 0;
	if (!sql_in_transaction(s->db) && sql_run(s->db, "BEGIN", e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (state_apply(s, &messages[i], e) < 0)
			return -1;
	s->done += (int64_t)count;
	return 0;
}

/* Offsets behind transaction markers and aborted records, too: else they would be read again. */
static void take_positions(struct state *s)
{
	for (size_t p = 0; p < s->partition_count; p++) {
		int64_t next = consumer_next(s->consumer, p);

		if (next > s->partitions[p].next && !s->partitions[p].beyond)
			s->partitions[p].next = next;
	}
}

/* From where each partition stands to its end as of now. */
static int read_to_end(struct state *s, struct err *e)
{
	struct consumer_partition *from = xcalloc(s->partition_count + 1, sizeof(*from));
	const struct consumer_message *messages;
	size_t count, unsaved = 0;
	int rc;

	for (size_t p = 0; p < s->partition_count; p++)
		from[p] =
			(struct consumer_partition){ s->topic, (int32_t)p, s->partitions[p].next };
	rc = consumer_assign(s->consumer, from, s->partition_count, e);
	while (rc == 0 && !s->stopping && !consumer_at_end(s->consumer)) {
		rc = consumer_poll(s->consumer, POLL_MS, &messages, &count, e);
		if (rc == 0)
			rc = apply_all(s, messages, count, e);
		unsaved += count;
		if (rc == 0 && unsaved >= APPLY_RECORDS) {
			rc = save_offsets(s, e);
			unsaved = 0;
		}
	}
	if (rc == 0) {
		take_positions(s);
		if (!sql_in_transaction(s->db))
			rc = sql_run(s->db, "BEGIN", e);
	}
	if (rc == 0)
		rc = save_offsets(s, e);
	free(from);
	return rc < 0 ? -1 : 0;
}

static bool is_there(const struct state *s)
{
	for (size_t p = 0; p < s->partition_count; p++)
		if (s->partitions[p].seq < s->partitions[p].wanted)
			return false;
	return true;
}

/* A commit is acknowledged a moment before all its partitions show it. */
int state_read_topic(struct state *s, struct err *e)
{
	struct consumer_options options = { .queue_bytes_max = QUEUE_BYTES,
					    .partitions = (int64_t)s->partition_count,
					    .stop_at_end = true };
	int64_t give_up = clock_monotonic_us() + s->settings->kafka_timeout_ms * 1000;

	if (s->consumer == NULL && consumer_open(s->settings, &options, &s->consumer, e) < 0)
		return -1;
	for (;;) {
		if (read_to_end(s, e) < 0)
			return -1;
		if (s->stopping)
			return err_retry(e, "stopping");
		/* within a session a key has one partition: no older records follow */
		if (is_there(s))
			return sql_run(s->db, "DELETE FROM rows WHERE schema = 0", e);
		if (clock_monotonic_us() > give_up)
			return err_retry(e, "topic %s does not show what was committed to it",
					 s->topic);
		clock_sleep_us(AGAIN_US);
	}
}
