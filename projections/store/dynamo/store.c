/* store.c - versions of a view in DynamoDB, and an item as the public name.
 *
 *   PREFIX VIEW.v2.TABLE     a table of version 2, with the user's items and nothing else
 *   PREFIX VIEW.millrace     the bookkeeping of all versions, key "item":
 *     view                   whose they are: millrace.name
 *     public                 the version that readers are to read, and what its tables are called
 *     v2                     state, fingerprint, when it was made ...
 *     v2/position            seq, GTID set and position of the last commit
 *     v2/fence/0 ... 7       who may write (dynamo/fence.c)
 *     v2/definition/0 ...    the view's files, cut into pieces
 *     v2/parked/...          records that can't be applied
 *
 * Readers look `public` up (a consistent read), then read the tables that it names. A version's
 * tables are never changed into another's; so whoever reads those of one look-up reads one
 * version, and when a table is gone (the version was dropped, project.keep_applied after the
 * swap) looks it up again. */
#include "projections/store/dynamo/dynamo_priv.h"
#include "projections/store/dynamo/store_dynamo.h"

#include "core/base/mem.h"
#include "core/base/quote.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define VIEW_NAME_MAX 100 /* leaves room for prefix, version and table */
#define PREFIX_MAX 40

char *store_dynamo_label(int version)
{
	return version == STORE_SCRATCH ? xasprintf("v0-%d", (int)getpid())
					: xasprintf("v%d", version);
}

char *store_dynamo_table(const struct store_dynamo *s, const char *label, const char *table)
{
	return xasprintf("%s%s.%s.%s", s->settings->dynamodb_prefix, s->view, label, table);
}

static char *place(const struct store *s, int version)
{
	char *label = store_dynamo_label(version);
	char *text = store_dynamo_table((const struct store_dynamo *)s, label, "*");

	free(label);
	return text;
}

/* ---- requests -------------------------------------------------------------------------------- */

void store_dynamo_key(struct buf *out, const char *label, const char *after)
{
	buf_add_format(out, "\"Key\":{\"item\":{\"S\":\"%s%s\"}}", label, after);
}

void store_dynamo_add_int(struct buf *out, const char *name, int64_t i)
{
	quote_json_key(out, name);
	buf_add_format(out, "{\"N\":\"%lld\"}", (long long)i);
}

void store_dynamo_add_text(struct buf *out, const char *name, struct slice text)
{
	quote_json_key(out, name);
	buf_add_str(out, "{\"S\":");
	quote_json(out, text);
	buf_add_u8(out, '}');
}

int store_dynamo_ask(struct store_dynamo *s, const char *operation, const struct buf *body,
		     struct dynamo_answer *ret_answer, struct err *e)
{
	int rc;

	pthread_mutex_lock(&s->lock);
	rc = dynamo_call(s->client, operation, buf_slice(body), ret_answer, e);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int store_dynamo_get(struct store_dynamo *s, const char *label, const char *after,
		     struct dynamo_answer *ret_answer, const struct dynamo_node **ret_item,
		     struct err *e)
{
	struct buf body = BUF_INIT;
	int rc;

	buf_add_format(&body, "{\"TableName\":\"%s\",\"ConsistentRead\":true,", s->book);
	store_dynamo_key(&body, label, after);
	buf_add_u8(&body, '}');
	rc = store_dynamo_ask(s, "GetItem", &body, ret_answer, e);
	*ret_item = rc == 0 ? dynamo_get(ret_answer->root, "Item") : NULL;
	buf_done(&body);
	return rc;
}

/* ---- the place ------------------------------------------------------------------------------- */

static void close_store(struct store *store)
{
	struct store_dynamo *s = store_dynamo_of(store);

	if (s == NULL)
		return;
	dynamo_free(s->client);
	pthread_mutex_destroy(&s->lock);
	free(s->view);
	free(s->book);
	free(s);
}

/* The name becomes part of tables' names, and may come from a command line. */
static int check_name(const char *view, const char *prefix, struct err *e)
{
	if (!view_is_plain(prefix) || strlen(prefix) > PREFIX_MAX) {
		err_config(e, "dynamodb.prefix: '%.100s' can't begin a table's name", prefix);
		return err_hint(e, "Letters, digits, '_', '-' and '.', at most %d.", PREFIX_MAX);
	}
	if (view[0] != '\0' && view[0] != '.' && strlen(view) <= VIEW_NAME_MAX &&
	    view_is_plain(view))
		return 0;
	err_config(e, "not a name for a view in DynamoDB: '%.200s'", view);
	return err_hint(e, "Give the name of a folder in project.views, of at most %d characters.",
			VIEW_NAME_MAX);
}

/* Leases and notes are files, also of views that live elsewhere. */
static int make_folders(const struct settings *settings, const char *view, struct err *e)
{
	char *views = xasprintf("%s/views", settings->state_dir);
	char *dir = xasprintf("%s/%s", views, view);
	int rc = 0;

	if ((mkdir(settings->state_dir, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(views, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(dir, 0755) < 0 && errno != EEXIST))
		rc = err_config(e, "%s: %s", dir, strerror(errno));
	free(dir);
	free(views);
	return rc;
}

static int check_owner(struct store_dynamo *s, struct err *e)
{
	const struct dynamo_node *item;
	struct dynamo_answer answer;
	char *owner = NULL;
	int rc = store_dynamo_get(s, "view", "", &answer, &item, e);

	if (rc == 0 && item != NULL) {
		owner = dynamo_string(item, "millrace");
		if (owner == NULL || strcmp(owner, s->settings->name) != 0) {
			rc = err_config(e, "view %s in DynamoDB belongs to the Millrace named '%s'",
					s->view, owner != NULL ? owner : "?");
			err_hint(e, "Set dynamodb.prefix: two Millraces of one account and region "
				    "need tables of their own.");
		}
	}
	free(owner);
	dynamo_answer_done(&answer);
	return rc;
}

/* Whoever comes first writes its name; another Millrace is refused. */
static int claim(struct store_dynamo *s, struct err *e)
{
	const char *name = s->settings->name;
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	int rc;

	buf_add_format(&body, "{\"TableName\":\"%s\",\"Item\":{\"item\":{\"S\":\"view\"}", s->book);
	store_dynamo_add_text(&body, "millrace", slice_str(name));
	buf_add_str(&body, "},\"ConditionExpression\":\"attribute_not_exists(#m) OR #m = :m\","
			   "\"ExpressionAttributeNames\":{\"#m\":\"millrace\"},"
			   "\"ExpressionAttributeValues\":{");
	store_dynamo_add_text(&body, ":m", slice_str(name));
	buf_add_str(&body, "}}");
	rc = store_dynamo_ask(s, "PutItem", &body, &answer, e);
	buf_done(&body);
	if (rc == 0 || answer.outcome != DYNAMO_CONDITION) {
		dynamo_answer_done(&answer);
		return rc;
	}
	dynamo_answer_done(&answer);
	err_clear(e);
	return check_owner(s, e);
}

/* The client, but nothing is made yet. */
static int new_store(const struct settings *settings, const char *view,
		     struct store_dynamo **ret_store, struct err *e)
{
	struct store_dynamo *s;

	if (check_name(view, settings->dynamodb_prefix, e) < 0)
		return -1;
	s = xcalloc(1, sizeof(*s));
	s->store.ops = &store_dynamo;
	s->settings = settings;
	s->view = xstrdup(view);
	s->book = xasprintf("%s%s.millrace", settings->dynamodb_prefix, view);
	pthread_mutex_init(&s->lock, NULL);
	if (dynamo_new(settings, &s->client, e) < 0) {
		close_store(&s->store);
		return -1;
	}
	*ret_store = s;
	return 0;
}

int store_dynamo_probe(const struct settings *settings, const char *view, char **ret_endpoint,
		       struct err *e)
{
	struct dynamo_answer answer;
	struct store_dynamo *s;
	struct buf body = BUF_INIT;
	int rc;

	*ret_endpoint = NULL;
	if (new_store(settings, view, &s, e) < 0)
		return -1;
	*ret_endpoint = xstrdup(dynamo_endpoint(s->client));
	buf_add_format(&body, "{\"TableName\":\"%s\"}", s->book);
	rc = store_dynamo_ask(s, "DescribeTable", &body, &answer, e);
	if (rc == 0) {
		rc = check_owner(s, e);
	} else if (answer.outcome == DYNAMO_MISSING) { /* it is made when the view is */
		err_clear(e);
		rc = 0;
	}
	dynamo_answer_done(&answer);
	buf_done(&body);
	close_store(&s->store);
	return rc;
}

static int open_store(const struct settings *settings, const char *view, struct store **ret_store,
		      struct err *e)
{
	struct store_dynamo *s;

	if (new_store(settings, view, &s, e) < 0)
		return err_wrap(e, "view %s", view);
	if (make_folders(settings, view, e) < 0 || store_dynamo_make_book(s, e) < 0 ||
	    claim(s, e) < 0) {
		close_store(&s->store);
		return err_wrap(e, "view %s", view);
	}
	*ret_store = &s->store;
	return 0;
}

const struct store_ops store_dynamo = {
	.name = "dynamodb",
	.open = open_store,
	.close = close_store,
	.list = store_dynamo_list,
	.create = store_dynamo_create,
	.definition = store_dynamo_definition,
	.set_state = store_dynamo_set_state,
	.remove = store_dynamo_remove,
	.publish = store_dynamo_publish,
	.place = place,
	.version_open = store_dynamo_version_open,
	.version_close = store_dynamo_version_close,
	.target = store_dynamo_target,
	.position = store_dynamo_position,
	.begin = store_dynamo_begin,
	.commit = store_dynamo_commit,
	.rollback = store_dynamo_rollback,
	.border = store_dynamo_border,
	.finish = store_dynamo_finish,
	.snapshot = store_dynamo_snapshot,
	.snapshot_slow = store_dynamo_snapshot_slow,
	.snapshot_close = store_dynamo_snapshot_close,
	.snapshot_info = store_dynamo_snapshot_info,
	.columns = store_dynamo_columns,
	.rows = store_dynamo_rows,
	.next = store_dynamo_next,
	.rows_close = store_dynamo_rows_close,
	.row_count = store_dynamo_row_count,
	.park = store_dynamo_park,
	.unpark = store_dynamo_unpark,
	.parked = store_dynamo_parked,
	.savepoint = store_dynamo_savepoint,
	.undo = store_dynamo_undo,
};
