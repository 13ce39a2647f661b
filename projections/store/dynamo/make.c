/* make.c - making and removing a version.
 *
 * A version's item is written first, with the names of its tables, and is `whole` last; removing
 * goes the other way. So whatever a crash leaves behind is named by an item, and is removed by the
 * next attempt of that number, or by whoever lists it as superseded long ago. */
#include "projections/store/dynamo/dynamo_priv.h"

#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/mem.h"

#include <stdlib.h>

/* ---- bookkeeping ----------------------------------------------------------------------------- */

int store_dynamo_put_item(struct store_dynamo *s, const struct buf *item, struct err *e)
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
		       int version, bool swap, const struct dynamo_tables *tables, struct err *e)
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
	store_dynamo_add_int(&item, "chunks",
			     (int64_t)store_dynamo_definition_pieces(&view->files));
	store_dynamo_add_int(&item, "whole", 0);
	buf_add_str(&item, ",\"tables\":{\"L\":[");
	for (size_t i = 0; i < tables->count; i++)
		buf_add_format(&item, "%s{\"S\":\"%s\"}", i > 0 ? "," : "", tables->items[i].name);
	buf_add_str(&item, "]}");
	rc = store_dynamo_put_item(s, &item, e);
	buf_done(&item);
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

/* From here on it is to be removed, whatever happens, and never live: list.c. */
static int mark_removing(struct store_dynamo *s, const char *label, struct err *e)
{
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	int rc;

	buf_add_format(&body, "{\"TableName\":\"%s\",", s->book);
	store_dynamo_key(&body, label, "");
	buf_add_str(&body, ",\"UpdateExpression\":\"SET #s = :s, #b = :b, #r = :r\","
			   "\"ExpressionAttributeNames\":{\"#s\":\"state\",\"#b\":\"built\","
			   "\"#r\":\"removing\"},"
			   "\"ExpressionAttributeValues\":{");
	store_dynamo_add_text(&body, ":s", slice_str(store_state_name(STORE_FAILED)));
	store_dynamo_add_int(&body, ":b", 0);
	store_dynamo_add_int(&body, ":r", 1);
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
		rc = mark_removing(s, label, e);
		for (size_t i = 0; i < dynamo_count(tables) && rc == 0; i++) {
			struct slice text = dynamo_text(dynamo_get(dynamo_at(tables, i), "S"));
			char *plain = xstrndup((const char *)text.data, text.size);
			char *name = store_dynamo_table(s, label, plain);

			rc = store_dynamo_remove_table(s, name, e);
			FAULT(view_dropped);
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
				rc = wait == 0 ? store_dynamo_make_table(s, t, name, false, e)
					       : store_dynamo_await_table(s, name, e);
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
	int rc = -1;

	if (view_dynamo_tables(view, &tables, e) < 0 ||
	    store_dynamo_check_definition(&view->files, e) < 0 || hide(s, version, e) < 0 ||
	    store_dynamo_remove(store, version, e) < 0 ||
	    put_version(s, label, view, version, swap, tables, e) < 0)
		goto out;
	FAULT(view_creating);
	if (make_tables(s, label, tables, e) == 0 &&
	    store_dynamo_put_definition(s, label, &view->files, e) == 0)
		rc = put_fences(s, label, e);
out:
	dynamo_tables_free(tables);
	free(label);
	return rc < 0 ? err_wrap(e, "view %s, version %d", s->view, version) : 0;
}
