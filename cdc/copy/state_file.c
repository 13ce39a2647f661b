/* state_file.c - the file: opened, begun anew where it is of something else, its statements.
 *
 * clang-format off
 *   identity    format, topic, key        what the file is of: another one is begun anew
 *   partitions  partition, next, seq      written in the same transaction as the rows
 *   rows        key -> seq, partition, schema, body
 *   counts      image, partition -> n     instead of rows, of a table without a key (state_count.c)
 *   linked, links                         state_link.c
 *   seen        image -> n                a snapshot of such a table, while it is compared
 * clang-format on
 *
 * A table without a key has no rows that could be converted later: its images are counted in the
 * shape that the table has, and another shape begins another file. */
#include "cdc/copy/state_priv.h"

#include "core/avro/row_schema.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define FORMAT 3

static const char tables[] =
	"CREATE TABLE identity (format INTEGER, topic TEXT, key TEXT);"
	"CREATE TABLE partitions (partition INTEGER PRIMARY KEY, next INTEGER, seq INTEGER);"
	"CREATE TABLE rows (key BLOB PRIMARY KEY, seq INTEGER, partition INTEGER, schema INTEGER, "
	"body BLOB) "
	"WITHOUT ROWID;"
	"CREATE TABLE counts (image BLOB, partition INTEGER, n INTEGER, "
	"PRIMARY KEY (image, partition)) WITHOUT ROWID;"
	"CREATE TABLE seen (image BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID;"
	"CREATE TABLE linked (link INTEGER PRIMARY KEY, names TEXT, def BLOB);"
	"CREATE TABLE links (link INTEGER, value BLOB, key BLOB, PRIMARY KEY (link, value, key)) "
	"WITHOUT ROWID;";

/* Schema 0: deleted, and since when. A topic that got more partitions has records of one key in
 * two of them, which are read in any order: the older one must not bring the row back. */
static const char graves[] = "CREATE INDEX IF NOT EXISTS graves ON rows (schema) WHERE schema = 0;"
			     "CREATE INDEX IF NOT EXISTS stand_ins ON rows (schema) "
			     "WHERE schema < 0";

void state_close_file(struct state *s)
{
	struct sql_statement **const all[] = { &s->put,    &s->drop,  &s->empty, &s->offset,
					       &s->find,   &s->range, &s->count, &s->zero,
					       &s->differ, &s->see,   &s->link,  &s->unlink,
					       &s->follow };

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
	if ((s->counted ? row_schema_envelope(s->settings->name, s->shape, text, e)
			: row_schema_key(s->settings->name, s->shape, text, e)) < 0)
		return -1;
	(void)buf_cstr(text); /* adds the NUL */
	return 0;
}

int state_bind_text(struct sql_statement *q, int i, const char *text, struct err *e)
{
	struct value v = { .kind = VALUE_TEXT, .bytes = slice_str(text) };

	return sql_bind(q, i, &v, e);
}

int state_bind_int(struct sql_statement *q, int i, int64_t number, struct err *e)
{
	struct value v = { .kind = VALUE_INT, .i = number };

	return sql_bind(q, i, &v, e);
}

int state_bind_bytes(struct sql_statement *q, int i, struct slice bytes, struct err *e)
{
	struct value v = { .kind = VALUE_BYTES, .bytes = bytes };

	return sql_bind(q, i, &v, e);
}

int state_run(struct sql_statement *q, struct err *e)
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
	rc = state_bind_int(q, 1, FORMAT, e) < 0 || state_bind_text(q, 2, s->topic, e) < 0 ||
			     state_bind_text(q, 3, key, e) < 0
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
	rc = state_bind_int(q, 1, FORMAT, e) < 0 || state_bind_text(q, 2, s->topic, e) < 0 ||
			     state_bind_text(q, 3, key, e) < 0 || sql_step(q, e) < 0
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
		{ &s->empty, s->counted ? "DELETE FROM counts WHERE partition = ?1"
					: "DELETE FROM rows WHERE partition = ?1" },
		{ &s->offset, "INSERT OR REPLACE INTO partitions VALUES (?1, ?2, ?3)" },
		{ &s->find, "SELECT key, schema, body FROM rows WHERE key = ?1 AND schema <> 0" },
		{ &s->range, "SELECT key, schema, body FROM rows WHERE key > ?1 AND (?2 IS NULL OR "
			     "key <= ?2) AND schema <> 0 ORDER BY key" },
		{ &s->count, "INSERT INTO counts VALUES (?1, ?2, ?3) ON CONFLICT (image, "
			     "partition) DO UPDATE SET n = n + ?3" },
		{ &s->zero, "DELETE FROM counts WHERE image = ?1 AND partition = ?2 AND n = 0" },
		{ &s->differ, "SELECT image, n FROM counts UNION ALL SELECT image, -n FROM seen "
			      "ORDER BY 1" },
		{ &s->link, "INSERT OR IGNORE INTO links VALUES (?1, ?2, ?3)" },
		{ &s->unlink, "DELETE FROM links WHERE link = ?1 AND value = ?2 AND key = ?3" },
		{ &s->follow, "SELECT key FROM links WHERE link = ?1 AND value = ?2 AND key > ?3 "
			      "ORDER BY key LIMIT 1" },
		{ &s->see, "INSERT INTO seen VALUES (?1, 1) ON CONFLICT (image) DO UPDATE SET n = "
			   "n + 1" },
	};

	if (sql_script(s->db, s->path, graves, e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (sql_prepare(s->db, s->path, all[i].text, NULL, all[i].statement, e) < 0)
			return -1;
	return 0;
}

void state_room_for(struct state *s, size_t partition)
{
	if (partition < s->partition_count)
		return;
	s->partitions = xrealloc(s->partitions, (partition + 1) * sizeof(*s->partitions));
	memset(s->partitions + s->partition_count, 0,
	       (partition + 1 - s->partition_count) * sizeof(*s->partitions));
	s->partition_count = partition + 1;
}

/* Only the file counts: what is remembered may be of a transaction that was rolled back. */
static int read_offsets(struct state *s, struct err *e)
{
	struct sql_statement *q = NULL;
	struct value v[3];
	int rc;

	for (size_t p = 0; p < s->partition_count; p++)
		s->partitions[p].next = s->partitions[p].seq = 0;
	if (sql_prepare(s->db, s->path, "SELECT partition, next, seq FROM partitions", NULL, &q,
			e) < 0)
		return -1;
	while ((rc = sql_step(q, e)) == 1) {
		for (int i = 0; i < 3; i++)
			sql_column(q, i, &v[i]);
		if (v[0].i < 0 || v[0].i > 100000)
			continue;
		state_room_for(s, (size_t)v[0].i);
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
	return prepare(s, e) < 0 || state_read_links(s, e) < 0 ? -1 : read_offsets(s, e);
}
