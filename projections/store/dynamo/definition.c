/* definition.c - the files that a version was built with, as items of the bookkeeping: one text,
 * cut into pieces that fit into an item. */
#include "projections/store/dynamo/dynamo_priv.h"

#include "core/base/mem.h"

#include <stdlib.h>

#define CHUNKS_MAX 64

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

static size_t size_of(const struct view_files *files)
{
	size_t size = 0;

	for (size_t i = 0; i < files->count; i++)
		size += strlen(files->items[i].name) + strlen(files->items[i].text) + 2;
	return size;
}

size_t store_dynamo_definition_pieces(const struct view_files *files)
{
	return (size_of(files) + STORE_DYNAMO_CHUNK - 1) / STORE_DYNAMO_CHUNK;
}

int store_dynamo_check_definition(const struct view_files *files, struct err *e)
{
	if (store_dynamo_definition_pieces(files) <= CHUNKS_MAX)
		return 0;
	return err_config(e, "the definition is larger than %d MB",
			  CHUNKS_MAX * STORE_DYNAMO_CHUNK >> 20);
}

static int put_pieces(struct store_dynamo *s, const char *label, struct slice text, struct err *e)
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
		rc = store_dynamo_put_item(s, &item, e);
		at += n;
	}
	buf_done(&item);
	return rc;
}

int store_dynamo_put_definition(struct store_dynamo *s, const char *label,
				const struct view_files *files, struct err *e)
{
	struct buf text = BUF_INIT;
	int rc;

	join_files(files, &text);
	rc = put_pieces(s, label, buf_slice(&text), e);
	buf_done(&text);
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
