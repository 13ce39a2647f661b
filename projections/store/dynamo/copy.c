/* copy.c - a version as it is at one moment. DynamoDB has no snapshots: all items are
 * copied into a temporary SQLite file, and the copy is what stands still.
 *
 * Position and fences are read, at once, before and after the copying. Every write moves a fence:
 * so if they are the same, nothing was written between, and the copy is exact; else it is
 * ERR_RETRY. Whoever wants a snapshot of a version that is being written holds its worker until it
 * has one, and is asked for it every ASK_US: a hold that nobody renews ends by itself.
 *
 * Each table is scanned in SEGMENTS parts side by side, with consistent reads. A row of the file is
 * the table's attributes, and its key once more as bytes that sort as keys do (normal.h): so
 * rows are there in their order, whatever order they came in. */
#include "projections/store/dynamo/copy_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "projections/store/normal.h"

#include <stdlib.h>

#define SEGMENTS 4
#define ASK_US 3000000

void store_dynamo_snapshot_close(struct store_snapshot *n)
{
	if (n == NULL)
		return;
	sql_close(n->db);
	dynamo_tables_free(n->tables);
	free(n);
}

/* ---- what stands still ----------------------------------------------------------------------- */

/* Version, position and fences as they are at one moment, as text. */
static int read_marks(struct store_dynamo *s, const char *label, struct store_info *ret_info,
		      struct buf *ret_text, struct err *e)
{
	const struct dynamo_node *list, *version;
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	int rc;

	buf_add_str(&body, "{\"TransactItems\":[");
	for (int i = -2; i < STORE_DYNAMO_LANES; i++) {
		char *after = i == -2   ? xstrdup("")
			      : i == -1 ? xstrdup("/position")
					: xasprintf("/fence/%d", i);

		buf_add_format(&body, "%s{\"Get\":{\"TableName\":\"%s\",", i > -2 ? "," : "",
			       s->book);
		store_dynamo_key(&body, label, after);
		buf_add_str(&body, "}}");
		free(after);
	}
	buf_add_str(&body, "]}");
	rc = store_dynamo_ask(s, "TransactGetItems", &body, &answer, e);
	buf_done(&body);
	list = dynamo_get(answer.root, "Responses");
	version = dynamo_get(dynamo_at(list, 0), "Item");
	if (rc == 0 && dynamo_int(version, "whole") == 0)
		rc = err_config(e, "view %s has no %s", s->view, label);
	if (rc == 0) {
		store_dynamo_info(version, dynamo_get(dynamo_at(list, 1), "Item"), ret_info);
		for (size_t i = 1; i < dynamo_count(list); i++)
			dynamo_print(dynamo_at(list, i), ret_text);
	}
	dynamo_answer_done(&answer);
	return rc;
}

/* ---- copying --------------------------------------------------------------------------------- */

void copy_sort_bytes(enum dynamo_type type, const struct value *v, struct buf *out)
{
	char digits[24];

	buf_add_u8(out, v->kind != VALUE_NULL); /* NULL is before everything */
	if (v->kind == VALUE_NULL)
		return;
	if (type != DYNAMO_NUMBER)
		buf_add_slice(out, v->bytes);
	else if (v->kind == VALUE_INT)
		(void)dynamo_number_sort(
			slice_of(digits,
				 (size_t)snprintf(digits, sizeof(digits), "%lld", (long long)v->i)),
			out);
	else if (!dynamo_number_sort(v->bytes, out)) /* text in place of a number: behind all */
		buf_add_u8(out, 0xff);
}

/* `suffix`: "", or of a table that is sorted by another key. */
char *copy_table_name(const struct dynamo_table *t, const char *suffix)
{
	struct buf name = BUF_INIT;
	char *plain = xasprintf("%s%s", t->name, suffix), *quoted;

	sql_quote_name(plain, &name);
	quoted = xstrdup(buf_cstr(&name));
	buf_done(&name);
	free(plain);
	return quoted;
}

int copy_make_table(struct sql_db *db, const struct dynamo_table *t, const char *suffix,
		    struct sql_statement **ret_insert, struct err *e)
{
	struct buf sql = BUF_INIT, insert = BUF_INIT;
	char *name = copy_table_name(t, suffix);
	int rc;

	/* the last column tells rows apart whose sort bytes are the same: keys of another version
	 */
	buf_add_format(&sql,
		       "CREATE TABLE %s (\"/0\" BLOB NOT NULL, \"/1\" BLOB NOT NULL, "
		       "\"/n\" INTEGER NOT NULL",
		       name);
	buf_add_format(&insert, "INSERT INTO %s VALUES (?1, ?2, ?3", name);
	for (size_t i = 0; i < t->attribute_count; i++) {
		/* names in SQLite don't know case, attributes do */
		buf_add_format(&sql, ", \"%zu\"", i);
		buf_add_format(&insert, ", ?%zu", i + 4);
	}
	buf_add_str(&sql, ", PRIMARY KEY (\"/0\", \"/1\", \"/n\")) WITHOUT ROWID");
	buf_add_u8(&insert, ')');
	rc = sql_run(db, buf_cstr(&sql), e) < 0
		     ? -1
		     : sql_prepare(db, "snapshot", buf_cstr(&insert), NULL, ret_insert, e);
	buf_done(&sql);
	buf_done(&insert);
	free(name);
	return rc;
}

int copy_sorter_add(struct copy_sorter *s, const struct value *values, struct err *e)
{
	struct value number = { .kind = VALUE_INT, .i = s->rows++ };
	int rc = sql_bind(s->insert, 3, &number, e);

	for (size_t i = 0; i < s->table->attribute_count && rc == 0; i++)
		rc = sql_bind(s->insert, (int)i + 4, &values[i], e);
	for (size_t i = 0; i < 2 && rc == 0; i++) {
		struct value bytes = { .kind = VALUE_BYTES };

		buf_reset(&s->sort[i]);
		(void)buf_reserve(&s->sort[i], 0); /* no bytes are not NULL */
		if (i < s->key.count)
			copy_sort_bytes(s->table->types[s->key.attributes[i]],
					&values[s->key.attributes[i]], &s->sort[i]);
		bytes.bytes = buf_slice(&s->sort[i]);
		rc = sql_bind(s->insert, (int)i + 1, &bytes, e);
	}
	if (rc == 0)
		rc = sql_step(s->insert, e);
	sql_reset(s->insert);
	return rc;
}

void copy_sorter_done(struct copy_sorter *s)
{
	sql_finalize(s->insert);
	buf_done(&s->sort[0]);
	buf_done(&s->sort[1]);
}

/* Who has the version stand still meanwhile (store.h). */
struct asking {
	const struct store_still *still; /* NULL: nobody */
	int64_t asked_us;
};

static int ask_still(struct asking *a, struct err *e)
{
	int64_t now = clock_monotonic_us();

	if (a->still == NULL || now - a->asked_us < ASK_US)
		return 0;
	a->asked_us = now;
	return a->still->ask(a->still->context, e);
}

struct copy {
	const struct dynamo_table *table;
	const char *name; /* in the service */
	struct dynamo *client;
	struct copy_sorter sorter;
	struct value *values;
	struct buf scratch;
	struct asking *asking;
	struct buf bodies[SEGMENTS]; /* empty: the segment is at its end */
};

static int copy_item(struct copy *c, const struct dynamo_node *item, struct err *e)
{
	const struct dynamo_table *t = c->table;
	int rc = 0;

	buf_reset(&c->scratch);
	/* an item has 400 kB at most, and all that points into it must not move */
	(void)buf_reserve(&c->scratch, DYNAMO_ITEM_MAX * 2 + t->attribute_count * 64);
	for (size_t i = 0; i < t->attribute_count && rc == 0; i++) {
		struct value *v = &c->values[i];

		rc = dynamo_attribute(item, t->attributes[i], &c->scratch, v, e);
		if (rc == 0 && t->types[i] == DYNAMO_NUMBER && v->kind == VALUE_TEXT)
			(void)normal_number(v->bytes, &c->scratch, v); /* else it stays text */
	}
	return rc == 0 ? copy_sorter_add(&c->sorter, c->values, e) : -1;
}

static void begin_page(struct copy *c, int segment, const struct dynamo_node *last)
{
	struct buf *body = &c->bodies[segment];

	buf_reset(body);
	buf_add_format(body,
		       "{\"TableName\":\"%s\",\"ConsistentRead\":true,\"Segment\":%d,"
		       "\"TotalSegments\":%d",
		       c->name, segment, SEGMENTS);
	if (last != NULL) {
		buf_add_str(body, ",\"ExclusiveStartKey\":");
		dynamo_print(last, body);
	}
	buf_add_u8(body, '}');
	dynamo_begin(c->client, segment, "Scan", buf_slice(body));
}

/* The next page is asked for before this one is copied. */
static int take_page(struct copy *c, int segment, struct err *e)
{
	const struct dynamo_node *items, *last;
	struct dynamo_answer answer;
	int rc = dynamo_finish(c->client, segment, &answer, e);

	items = dynamo_get(answer.root, "Items");
	last = dynamo_get(answer.root, "LastEvaluatedKey");
	if (rc == 0 && last != NULL)
		begin_page(c, segment, last);
	else
		buf_reset(&c->bodies[segment]);
	for (size_t i = 0; i < dynamo_count(items) && rc == 0; i++)
		rc = copy_item(c, dynamo_at(items, i), e);
	dynamo_answer_done(&answer);
	return rc;
}

static int copy_pages(struct copy *c, struct err *e)
{
	bool more = true;

	for (int i = 0; i < SEGMENTS; i++)
		begin_page(c, i, NULL);
	while (more) {
		more = false;
		for (int i = 0; i < SEGMENTS; i++) {
			if (c->bodies[i].size == 0)
				continue;
			if (take_page(c, i, e) < 0 || ask_still(c->asking, e) < 0)
				return -1;
			more = true;
		}
	}
	return 0;
}

static int copy_table(struct store_dynamo *s, const char *label, struct dynamo *client,
		      struct store_snapshot *n, const struct dynamo_table *t, struct asking *asking,
		      struct err *e)
{
	char *name = store_dynamo_table(s, label, t->name);
	struct copy c = { .table = t,
			  .name = name,
			  .client = client,
			  .asking = asking,
			  .sorter = { .table = t, .key = t->key } };
	int rc = copy_make_table(n->db, t, "", &c.sorter.insert, e);

	c.values = xcalloc(t->attribute_count + 1, sizeof(*c.values));
	if (rc == 0)
		rc = copy_pages(&c, e);
	dynamo_abandon(client);
	copy_sorter_done(&c.sorter);
	for (int i = 0; i < SEGMENTS; i++)
		buf_done(&c.bodies[i]);
	buf_done(&c.scratch);
	free(c.values);
	free(name);
	return rc < 0 ? err_wrap(e, "table %s", t->name) : 0;
}

/* An empty file name is SQLite's own temporary file: it is gone with the connection. */
static int open_temporary(struct sql_db **ret_db, struct err *e)
{
	return sql_open_db("", SQL_OPEN_CREATE, ret_db, e) < 0 ||
			       sql_run(*ret_db,
				       "PRAGMA journal_mode = off; PRAGMA synchronous = off; "
				       "PRAGMA cache_size = -16000; BEGIN",
				       e) < 0
		       ? -1
		       : 0;
}

static int copy_all(struct store_dynamo *s, const char *label, struct dynamo *client,
		    struct store_snapshot *n, struct asking *asking, struct err *e)
{
	struct buf before = BUF_INIT, after = BUF_INIT;
	struct store_info ignored;
	int rc = read_marks(s, label, &n->info, &before, e);

	for (size_t i = 0; i < n->tables->count && rc == 0; i++)
		rc = copy_table(s, label, client, n, &n->tables->items[i], asking, e);
	if (rc == 0)
		rc = read_marks(s, label, &ignored, &after, e);
	if (rc == 0 &&
	    (before.size != after.size || memcmp(before.data, after.data, after.size) != 0))
		rc = err_retry(e, "%s was written to while it was copied", label);
	buf_done(&before);
	buf_done(&after);
	return rc;
}

int store_dynamo_snapshot(struct store *s, int version, struct store_snapshot **ret_snapshot,
			  struct err *e)
{
	return store_dynamo_snapshot_slow(s, version, NULL, ret_snapshot, e);
}

int store_dynamo_snapshot_slow(struct store *store, int version, const struct store_still *still,
			       struct store_snapshot **ret_snapshot, struct err *e)
{
	struct asking asking = { .still = still, .asked_us = clock_monotonic_us() };
	struct store_dynamo *s = store_dynamo_of(store);
	struct store_snapshot *n = xcalloc(1, sizeof(*n));
	char *label = store_dynamo_label(version);
	struct dynamo *client = NULL;
	int rc = -1;

	if (store_dynamo_tables(s, version, &n->tables, e) == 0 &&
	    dynamo_new(s->settings, &client, e) == 0 && open_temporary(&n->db, e) == 0)
		rc = copy_all(s, label, client, n, &asking, e);
	n->info.version = version;
	dynamo_free(client);
	free(label);
	if (rc < 0) {
		store_dynamo_snapshot_close(n);
		return err_wrap(e, "view %s", s->view);
	}
	*ret_snapshot = n;
	return 0;
}

void store_dynamo_snapshot_info(const struct store_snapshot *n, struct store_info *ret_info)
{
	*ret_info = n->info;
}
