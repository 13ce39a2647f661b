/* make.c - making and removing the tables of a version, and its definition.
 *
 * A version's item is written first, with the names of its tables, and is `whole` last; removing
 * goes the other way. So whatever a crash leaves behind is named by an item, and is removed by the
 * next attempt of that number, or as a failed version. Tables are made and removed by the service
 * in its own time: they are waited for. */
#include "projections/store/dynamo/dynamo_priv.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/quote.h"

#include <stdlib.h>

#define TABLE_WAIT_US 300000000
#define POLL_FIRST_US 20000
#define POLL_LONGEST_US 1000000
#define CHUNKS_MAX 64

enum table_state { TABLE_MISSING, TABLE_ACTIVE, TABLE_CHANGING };

static int table_state(struct store_dynamo *s, const char *name, enum table_state *ret_state,
		       struct err *e)
{
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	struct slice status;
	int rc;

	buf_add_format(&body, "{\"TableName\":\"%s\"}", name);
	rc = store_dynamo_ask(s, "DescribeTable", &body, &answer, e);
	status = dynamo_text(dynamo_get(dynamo_get(answer.root, "Table"), "TableStatus"));
	*ret_state = slice_is(status, "ACTIVE") ? TABLE_ACTIVE : TABLE_CHANGING;
	if (rc < 0 && answer.outcome == DYNAMO_MISSING) {
		err_clear(e);
		*ret_state = TABLE_MISSING;
		rc = 0;
	}
	dynamo_answer_done(&answer);
	buf_done(&body);
	return rc;
}

static int await_table(struct store_dynamo *s, const char *name, enum table_state wanted,
		       struct err *e)
{
	int64_t until = clock_monotonic_us() + TABLE_WAIT_US, wait = POLL_FIRST_US;
	enum table_state state;

	for (;;) {
		if (table_state(s, name, &state, e) < 0)
			return -1;
		if (state == wanted)
			return 0;
		if (clock_monotonic_us() > until)
			return err_retry(e, "DynamoDB: table %s is not %s after %d s", name,
					 wanted == TABLE_ACTIVE ? "made" : "removed",
					 TABLE_WAIT_US / 1000000);
		clock_sleep_us(wait);
		wait = wait * 2 < POLL_LONGEST_US ? wait * 2 : POLL_LONGEST_US;
	}
}

/* ---- one table ------------------------------------------------------------------------------- */

static void add_schema(struct buf *out, char *const *attributes, const struct dynamo_key *key)
{
	buf_add_str(out, "\"KeySchema\":[");
	for (size_t i = 0; i < key->count; i++) {
		buf_add_format(out, "%s{\"KeyType\":\"%s\"", i > 0 ? "," : "",
			       i == 0 ? "HASH" : "RANGE");
		quote_json_key(out, "AttributeName");
		quote_json(out, slice_str(attributes[key->attributes[i]]));
		buf_add_u8(out, '}');
	}
	buf_add_u8(out, ']');
}

static bool in_a_key(const struct dynamo_table *t, size_t attribute)
{
	bool found = dynamo_key_has(t, attribute);

	for (size_t i = 0; i < t->index_count; i++) {
		for (size_t k = 0; k < t->indexes[i].key.count; k++)
			found |= t->indexes[i].key.attributes[k] == attribute;
	}
	return found;
}

static void write_table(const struct dynamo_table *t, const char *name, struct buf *out)
{
	size_t n = 0;

	buf_add_format(out, "{\"TableName\":\"%s\",\"BillingMode\":\"PAY_PER_REQUEST\",", name);
	add_schema(out, t->attributes, &t->key);
	buf_add_str(out, ",\"AttributeDefinitions\":[");
	for (size_t i = 0; i < t->attribute_count; i++) {
		if (!in_a_key(t, i))
			continue;
		buf_add_format(out, "%s{\"AttributeType\":\"%s\"", n++ > 0 ? "," : "",
			       dynamo_type_letter(t->types[i]));
		quote_json_key(out, "AttributeName");
		quote_json(out, slice_str(t->attributes[i]));
		buf_add_u8(out, '}');
	}
	buf_add_u8(out, ']');
	for (size_t i = 0; i < t->index_count; i++) {
		buf_add_format(out, "%s{\"IndexName\":\"%s\",",
			       i == 0 ? ",\"GlobalSecondaryIndexes\":[" : ",", t->indexes[i].name);
		add_schema(out, t->attributes, &t->indexes[i].key);
		buf_add_str(out, ",\"Projection\":{\"ProjectionType\":\"ALL\"}}");
	}
	buf_add_str(out, t->index_count > 0 ? "]}" : "}");
}

/* Asks for the table; a request whose answer was lost finds it being made. */
static int make_table(struct store_dynamo *s, const struct dynamo_table *t, const char *name,
		      bool may_exist, struct err *e)
{
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	enum table_state state = TABLE_MISSING;
	int rc = 0;

	write_table(t, name, &body);
	if (!may_exist && (rc = table_state(s, name, &state, e)) == 0 && state != TABLE_MISSING) {
		rc = err_config(e, "DynamoDB: there is a table %s already", name);
		err_hint(e, "Millrace did not make it, or its bookkeeping was lost: remove it, or "
			    "set dynamodb.prefix.");
	}
	if (rc == 0) {
		rc = store_dynamo_ask(s, "CreateTable", &body, &answer, e);
		if (rc < 0 && answer.outcome == DYNAMO_IN_USE) {
			err_clear(e);
			rc = 0;
		}
		dynamo_answer_done(&answer);
	}
	buf_done(&body);
	return rc;
}

int store_dynamo_make_book(struct store_dynamo *s, struct err *e)
{
	char *attribute = (char *)(uintptr_t) "item";
	enum dynamo_type type = DYNAMO_STRING;
	struct dynamo_table t = {
		.attributes = &attribute,
		.types = &type,
		.attribute_count = 1,
		.key = { .attributes = { 0 }, .count = 1 },
	};
	enum table_state state;

	if (table_state(s, s->book, &state, e) < 0)
		return -1;
	if (state == TABLE_ACTIVE)
		return 0;
	return make_table(s, &t, s->book, true, e) < 0 ? -1
						       : await_table(s, s->book, TABLE_ACTIVE, e);
}

static int remove_table(struct store_dynamo *s, const char *name, struct err *e)
{
	int64_t until = clock_monotonic_us() + TABLE_WAIT_US;
	enum dynamo_outcome outcome;
	struct buf body = BUF_INIT;
	int rc;

	buf_add_format(&body, "{\"TableName\":\"%s\"}", name);
	for (;;) {
		struct dynamo_answer answer;

		rc = store_dynamo_ask(s, "DeleteTable", &body, &answer, e);
		outcome = answer.outcome;
		dynamo_answer_done(&answer);
		/* one that is being made can't be removed yet; one being removed is in use too */
		if (rc == 0 || outcome != DYNAMO_IN_USE || clock_monotonic_us() > until)
			break;
		err_clear(e);
		clock_sleep_us(POLL_LONGEST_US / 4);
	}
	buf_done(&body);
	if (rc < 0 && outcome == DYNAMO_MISSING) {
		err_clear(e);
		return 0;
	}
	return rc < 0 ? -1 : await_table(s, name, TABLE_MISSING, e);
}

/* ---- bookkeeping ----------------------------------------------------------------------------- */

static int put_item(struct store_dynamo *s, const struct buf *item, struct err *e)
{
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	int rc;

	buf_add_format(&body, "{\"TableName\":\"%s\",\"Item\":{", s->book);
	buf_add_slice(&body, buf_slice(item));
	buf_add_str(&body, "}}");
	rc = store_dynamo_ask(s, "PutItem", &body, &answer, e);
	dynamo_answer_done(&answer);
	buf_done(&body);
	return rc;
}

static int delete_item(struct store_dynamo *s, const char *label, const char *after, struct err *e)
{
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	int rc;

	buf_add_format(&body, "{\"TableName\":\"%s\",", s->book);
	store_dynamo_key(&body, label, after);
	buf_add_u8(&body, '}');
	rc = store_dynamo_ask(s, "DeleteItem", &body, &answer, e);
	dynamo_answer_done(&answer);
	buf_done(&body);
	return rc;
}

static int put_version(struct store_dynamo *s, const char *label, const struct view *view,
		       int version, bool swap, const struct dynamo_tables *tables, size_t chunks,
		       bool whole, struct err *e)
{
	struct buf item = BUF_INIT;
	int rc;

	store_dynamo_add_text(&item, "item", slice_str(label));
	store_dynamo_add_int(&item, "version", version);
	store_dynamo_add_text(&item, "state", slice_str(store_state_name(STORE_BUILDING)));
	store_dynamo_add_text(&item, "fingerprint", slice_str(view->fingerprint));
	store_dynamo_add_text(&item, "owner", slice_str(view->owner != NULL ? view->owner : ""));
	store_dynamo_add_int(&item, "made_us", clock_now_us());
	store_dynamo_add_int(&item, "superseded_us", 0);
	store_dynamo_add_int(&item, "built", 0);
	store_dynamo_add_int(&item, "swap", swap);
	store_dynamo_add_int(&item, "chunks", (int64_t)chunks);
	store_dynamo_add_int(&item, "whole", whole);
	buf_add_str(&item, ",\"tables\":{\"L\":[");
	for (size_t i = 0; i < tables->count; i++)
		buf_add_format(&item, "%s{\"S\":\"%s\"}", i > 0 ? "," : "", tables->items[i].name);
	buf_add_str(&item, "]}");
	rc = put_item(s, &item, e);
	buf_done(&item);
	return rc;
}

/* ---- the definition -------------------------------------------------------------------------- */

/* Names and texts, each ended by a zero byte, which neither can hold. */
static void join_files(const struct view_files *files, struct buf *out)
{
	for (size_t i = 0; i < files->count; i++) {
		buf_add(out, files->items[i].name, strlen(files->items[i].name) + 1);
		buf_add(out, files->items[i].text, strlen(files->items[i].text) + 1);
	}
}

static int split_files(struct slice text, struct view_files *files, struct err *e)
{
	const char *at = (const char *)text.data, *end = at + text.size;

	while (at < end) {
		const char *name = at, *body;

		body = memchr(name, 0, (size_t)(end - name));
		at = body != NULL ? memchr(body + 1, 0, (size_t)(end - body - 1)) : NULL;
		if (at == NULL || files->count == VIEW_FILES_MAX)
			return err_data(e, "the stored definition can't be read");
		view_files_add(files, name, xstrdup(body + 1));
		at++;
	}
	return 0;
}

static int put_definition(struct store_dynamo *s, const char *label, struct slice text,
			  struct err *e)
{
	struct buf item = BUF_INIT;
	int rc = 0;

	for (size_t i = 0, at = 0; at < text.size && rc == 0; i++) {
		size_t n = text.size - at < STORE_DYNAMO_CHUNK ? text.size - at
							       : STORE_DYNAMO_CHUNK;

		buf_reset(&item);
		buf_add_format(&item,
			       "\"item\":{\"S\":\"%s/definition/%zu\"},\"content\":{\"B\":\"",
			       label, i);
		dynamo_base64_write(slice_of(text.data + at, n), &item);
		buf_add_str(&item, "\"}");
		rc = put_item(s, &item, e);
		at += n;
	}
	buf_done(&item);
	return rc;
}

static int get_definition(struct store_dynamo *s, const char *label, int64_t chunks,
			  struct buf *out, struct err *e)
{
	int rc = chunks < 1 || chunks > CHUNKS_MAX
			 ? err_data(e, "the stored definition has %lld pieces", (long long)chunks)
			 : 0;

	for (int64_t i = 0; i < chunks && rc == 0; i++) {
		char *after = xasprintf("/definition/%lld", (long long)i);
		const struct dynamo_node *item;
		struct dynamo_answer answer;
		struct value v;

		rc = store_dynamo_get(s, label, after, &answer, &item, e);
		if (rc == 0)
			rc = dynamo_attribute(item, "content", out, &v, e);
		if (rc == 0 && v.kind != VALUE_BYTES)
			rc = err_data(e, "the stored definition lacks piece %lld", (long long)i);
		dynamo_answer_done(&answer);
		free(after);
	}
	return rc;
}

int store_dynamo_definition(struct store *store, int version, struct view_files *ret_files,
			    struct err *e)
{
	struct store_dynamo *s = store_dynamo_of(store);
	char *label = store_dynamo_label(version);
	struct view_files files = { 0 };
	const struct dynamo_node *item;
	struct dynamo_answer answer;
	struct buf text = BUF_INIT;
	int rc = store_dynamo_get(s, label, "", &answer, &item, e);

	if (rc == 0 && item == NULL)
		rc = err_config(e, "there is no such version");
	if (rc == 0)
		rc = get_definition(s, label, dynamo_int(item, "chunks"), &text, e);
	if (rc == 0)
		rc = split_files(buf_slice(&text), &files, e);
	if (rc < 0) {
		view_files_done(&files);
		err_wrap(e, "view %s, version %d", s->view, version);
	} else {
		*ret_files = files;
	}
	dynamo_answer_done(&answer);
	buf_done(&text);
	free(label);
	return rc;
}

int store_dynamo_tables(struct store_dynamo *s, int version, struct dynamo_tables **ret_tables,
			struct err *e)
{
	struct view_files files = { 0 };
	int rc = store_dynamo_definition(&s->store, version, &files, e);
	const char *text = NULL;

	for (size_t i = 0; i < files.count; i++) {
		if (strcmp(files.items[i].name, "tables.json") == 0)
			text = files.items[i].text;
	}
	if (rc == 0)
		rc = text == NULL ? err_data(e, "version %d has no tables.json", version)
				  : dynamo_tables_read("tables.json", text, ret_tables, e);
	view_files_done(&files);
	return rc;
}

/* ---- versions -------------------------------------------------------------------------------- */

static int remove_item(void *context, const struct dynamo_node *item, struct err *e)
{
	char *label = dynamo_string(item, "item");
	int rc = label != NULL ? delete_item(context, label, "", e) : 0;

	free(label);
	return rc;
}

/* The version's own item last: it names what else there is to remove. */
static int remove_items(struct store_dynamo *s, const char *label, struct err *e)
{
	static const char *const names[] = { "item", NULL };
	char *prefix = xasprintf("%s/", label);
	int rc = store_dynamo_each(s, prefix, names, remove_item, s, e);

	free(prefix);
	return rc == 0 ? delete_item(s, label, "", e) : -1;
}

/* From here on it is a failed one, whatever happens: never live, and to be removed. */
static int mark_failed(struct store_dynamo *s, const char *label, struct err *e)
{
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	int rc;

	buf_add_format(&body, "{\"TableName\":\"%s\",", s->book);
	store_dynamo_key(&body, label, "");
	buf_add_str(&body, ",\"UpdateExpression\":\"SET #s = :s, #b = :b\","
			   "\"ExpressionAttributeNames\":{\"#s\":\"state\",\"#b\":\"built\"},"
			   "\"ExpressionAttributeValues\":{");
	store_dynamo_add_text(&body, ":s", slice_str(store_state_name(STORE_FAILED)));
	store_dynamo_add_int(&body, ":b", 0);
	buf_add_str(&body, "}}");
	rc = store_dynamo_ask(s, "UpdateItem", &body, &answer, e);
	dynamo_answer_done(&answer);
	buf_done(&body);
	return rc;
}

int store_dynamo_remove(struct store *store, int version, struct err *e)
{
	struct store_dynamo *s = store_dynamo_of(store);
	char *label = store_dynamo_label(version);
	const struct dynamo_node *item, *tables;
	struct dynamo_answer answer;
	int rc = store_dynamo_get(s, label, "", &answer, &item, e);

	if (rc == 0 && item != NULL) {
		tables = dynamo_get(dynamo_get(item, "tables"), "L");
		rc = mark_failed(s, label, e);
		for (size_t i = 0; i < dynamo_count(tables) && rc == 0; i++) {
			struct slice text = dynamo_text(dynamo_get(dynamo_at(tables, i), "S"));
			char *plain = xstrndup((const char *)text.data, text.size);
			char *name = store_dynamo_table(s, label, plain);

			rc = remove_table(s, name, e);
			free(name);
			free(plain);
		}
		if (rc == 0)
			rc = remove_items(s, label, e);
	}
	dynamo_answer_done(&answer);
	free(label);
	return rc < 0 ? err_wrap(e, "view %s, version %d", s->view, version) : 0;
}

/* All that a writer needs, and the mark that the version is complete, at once. */
static int put_fences(struct store_dynamo *s, const char *label, struct err *e)
{
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	int rc;

	buf_add_str(&body, "{\"TransactItems\":[{\"Update\":{");
	buf_add_format(&body, "\"TableName\":\"%s\",", s->book);
	store_dynamo_key(&body, label, "");
	buf_add_str(&body, ",\"UpdateExpression\":\"SET #w = :one\",\"ExpressionAttributeNames\":{"
			   "\"#w\":\"whole\"},\"ExpressionAttributeValues\":{\":one\":{\"N\":\"1\"}"
			   "}}}");
	for (int i = 0; i < STORE_DYNAMO_LANES; i++)
		buf_add_format(&body,
			       ",{\"Put\":{\"TableName\":\"%s\",\"Item\":{\"item\":{\"S\":"
			       "\"%s/fence/%d\"},\"epoch\":{\"N\":\"0\"},\"n\":{\"N\":\"0\"}}}}",
			       s->book, label, i);
	buf_add_format(&body,
		       ",{\"Put\":{\"TableName\":\"%s\",\"Item\":{\"item\":{\"S\":\"%s/position\"},"
		       "\"seq\":{\"N\":\"0\"},\"commit_us\":{\"N\":\"0\"}}}}]}",
		       s->book, label);
	rc = store_dynamo_ask(s, "TransactWriteItems", &body, &answer, e);
	dynamo_answer_done(&answer);
	buf_done(&body);
	return rc;
}

static int make_tables(struct store_dynamo *s, const char *label,
		       const struct dynamo_tables *tables, struct err *e)
{
	int rc = 0;

	for (int wait = 0; wait < 2; wait++) { /* all are asked for, then all waited for */
		for (size_t i = 0; i < tables->count && rc == 0; i++) {
			const struct dynamo_table *t = &tables->items[i];
			char *name = store_dynamo_table(s, label, t->name);

			if (strlen(name) > DYNAMO_TABLE_NAME_MAX)
				rc = err_config(e, "'%s' is too long for a table's name", name);
			else
				rc = wait == 0 ? make_table(s, t, name, false, e)
					       : await_table(s, name, TABLE_ACTIVE, e);
			free(name);
		}
	}
	return rc;
}

/* A public name that leads to tables which were taken away must not lead to their half-built
 * successors. */
static int hide(struct store_dynamo *s, int version, struct err *e)
{
	const struct dynamo_node *item;
	struct dynamo_answer answer;
	int rc = store_dynamo_get(s, "public", "", &answer, &item, e);
	bool live = rc == 0 && version != STORE_SCRATCH && dynamo_int(item, "version") == version;

	dynamo_answer_done(&answer);
	return rc < 0 ? -1 : live ? delete_item(s, "public", "", e) : 0;
}

int store_dynamo_create(struct store *store, const struct view *view, int version, bool swap,
			struct err *e)
{
	struct store_dynamo *s = store_dynamo_of(store);
	char *label = store_dynamo_label(version);
	struct dynamo_tables *tables = NULL;
	struct buf text = BUF_INIT;
	size_t chunks;
	int rc = view_dynamo_tables(view, &tables, e);

	join_files(&view->files, &text);
	chunks = (text.size + STORE_DYNAMO_CHUNK - 1) / STORE_DYNAMO_CHUNK;
	if (rc == 0 && chunks > CHUNKS_MAX)
		rc = err_config(e, "the definition is larger than %d MB",
				CHUNKS_MAX * STORE_DYNAMO_CHUNK >> 20);
	if (rc == 0 &&
	    (hide(s, version, e) < 0 || store_dynamo_remove(store, version, e) < 0 ||
	     put_version(s, label, view, version, swap, tables, chunks, false, e) < 0 ||
	     make_tables(s, label, tables, e) < 0 ||
	     put_definition(s, label, buf_slice(&text), e) < 0 || put_fences(s, label, e) < 0))
		rc = -1;
	dynamo_tables_free(tables);
	buf_done(&text);
	free(label);
	return rc < 0 ? err_wrap(e, "view %s, version %d", s->view, version) : 0;
}
