/* store.c - versions of a view in DynamoDB, and an item as the public name.
 *
 *   PREFIX VIEW.v2.TABLE     a table of version 2, with the user's items and nothing else
 *   PREFIX VIEW.millrace     the bookkeeping of all versions, key "item":
 *     view                   whose they are: millrace.name
 *     public                 the version that readers are to read, and what its tables are called
 *     v2                     state, fingerprint, when it was made ...
 *     v2/position            seq, GTID set and position of the last commit
 *     v2/fence/0 ... 7       who may write (dynamo/version.c)
 *     v2/definition/0 ...    the view's files, cut into pieces
 *     v2/parked/...          records that can't be applied
 *
 * Publishing is one transaction: the public item, the new version's state and the old one's change
 * together, or none does; so nothing has to be repaired after a crash.
 *
 * Readers look `public` up (a consistent read), then read the tables that it names. A version's
 * tables are never changed into another's; so whoever reads those of one look-up reads one
 * version, and when a table is gone (the version was dropped, project.keep_applied after the
 * swap) looks it up again. */
#include "projections/store/dynamo/dynamo_priv.h"
#include "projections/store/dynamo/store_dynamo.h"

#include "core/base/clock.h"
#include "core/base/gtid.h"
#include "core/base/mem.h"
#include "core/base/quote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION_MAX 1000000
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
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	if (strspn(prefix, plain) != strlen(prefix) || strlen(prefix) > PREFIX_MAX) {
		err_config(e, "dynamodb.prefix: '%.100s' can't begin a table's name", prefix);
		return err_hint(e, "Letters, digits, '_', '-' and '.', at most %d.", PREFIX_MAX);
	}
	if (view[0] != '\0' && view[0] != '.' && strlen(view) <= VIEW_NAME_MAX &&
	    strspn(view, plain) == strlen(view))
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

/* ---- list ------------------------------------------------------------------------------------ */

void store_dynamo_info(const struct dynamo_node *version, const struct dynamo_node *position,
		       struct store_info *ret_info)
{
	struct slice state = dynamo_text(dynamo_get(dynamo_get(version, "state"), "S")),
		     print = dynamo_text(dynamo_get(dynamo_get(version, "fingerprint"), "S")),
		     gtid = dynamo_text(dynamo_get(dynamo_get(position, "gtid_set"), "S"));

	*ret_info = (struct store_info){
		.version = (int)dynamo_int(version, "version"),
		.state = store_state_of(state),
		.made_us = dynamo_int(version, "made_us"),
		.superseded_us = dynamo_int(version, "superseded_us"),
		.built = dynamo_int(version, "built") != 0,
		.swap = dynamo_int(version, "swap") != 0,
		.seq = dynamo_int(position, "seq"),
		.commit_us = dynamo_int(position, "commit_us"),
	};
	snprintf(ret_info->fingerprint, sizeof(ret_info->fingerprint), "%.*s", (int)print.size,
		 (const char *)print.data);
	gtid_text_cut(gtid, ret_info->gtid_set, sizeof(ret_info->gtid_set));
}

struct listing {
	struct store_info *infos;
	size_t count;
	int live;
};

static struct store_info *entry(struct listing *l, int version)
{
	for (size_t i = 0; i < l->count; i++) {
		if (l->infos[i].version == version)
			return &l->infos[i];
	}
	l->infos = xrealloc(l->infos, (l->count + 1) * sizeof(*l->infos));
	l->infos[l->count] = (struct store_info){ .version = version, .state = STORE_FAILED };
	return &l->infos[l->count++];
}

/* "v12" and "v12/position" -> 12; 0: another item. */
static int version_of(struct slice item, bool *ret_position)
{
	char text[40], *end;
	long n;

	if (item.size < 2 || item.size >= sizeof(text) || item.data[0] != 'v' ||
	    item.data[1] < '1' || item.data[1] > '9')
		return 0;
	memcpy(text, item.data, item.size);
	text[item.size] = '\0';
	n = strtol(text + 1, &end, 10);
	*ret_position = strcmp(end, "/position") == 0;
	return (*end == '\0' || *ret_position) && n <= VERSION_MAX ? (int)n : 0;
}

static int take_item(void *context, const struct dynamo_node *item, struct err *e)
{
	struct listing *l = context;
	struct slice name = dynamo_text(dynamo_get(dynamo_get(item, "item"), "S"));
	struct store_info info, *to;
	bool position;
	int version = version_of(name, &position);

	(void)e;
	if (slice_is(name, "public"))
		l->live = (int)dynamo_int(item, "version");
	if (version == 0 || (!position && dynamo_int(item, "whole") == 0))
		return 0;
	to = entry(l, version);
	if (position) {
		store_dynamo_info(NULL, item, &info);
		to->seq = info.seq;
		to->commit_us = info.commit_us;
		memcpy(to->gtid_set, info.gtid_set, sizeof(to->gtid_set));
		return 0;
	}
	store_dynamo_info(item, NULL, &info);
	info.version = version;
	info.seq = to->seq;
	info.commit_us = to->commit_us;
	memcpy(info.gtid_set, to->gtid_set, sizeof(info.gtid_set));
	*to = info;
	return 0;
}

static void write_scan(const struct store_dynamo *s, const char *prefix, const char *const *names,
		       struct buf *page, struct buf *out)
{
	buf_add_format(out, "{\"TableName\":\"%s\",\"ConsistentRead\":true%s", s->book,
		       buf_cstr(page));
	if (prefix[0] != '\0') {
		buf_add_str(out, ",\"FilterExpression\":\"begins_with(#0, :p)\","
				 "\"ExpressionAttributeValues\":{");
		store_dynamo_add_text(out, ":p", slice_str(prefix));
		buf_add_u8(out, '}');
	}
	buf_add_str(out, ",\"ProjectionExpression\":\"");
	for (size_t i = 0; names[i] != NULL; i++)
		buf_add_format(out, "%s#%zu", i > 0 ? "," : "", i);
	buf_add_str(out, "\",\"ExpressionAttributeNames\":{");
	for (size_t i = 0; names[i] != NULL; i++)
		buf_add_format(out, "%s\"#%zu\":\"%s\"", i > 0 ? "," : "", i, names[i]);
	buf_add_str(out, "}}");
}

/* The first of `names` is the key. */
int store_dynamo_each(struct store_dynamo *s, const char *prefix, const char *const *names,
		      int (*each)(void *context, const struct dynamo_node *item, struct err *e),
		      void *context, struct err *e)
{
	struct buf page = BUF_INIT, body = BUF_INIT;
	int rc;

	do {
		const struct dynamo_node *items, *last;
		struct dynamo_answer answer;

		buf_reset(&body);
		write_scan(s, prefix, names, &page, &body);
		rc = store_dynamo_ask(s, "Scan", &body, &answer, e);
		items = dynamo_get(answer.root, "Items");
		last = dynamo_get(answer.root, "LastEvaluatedKey");
		for (size_t i = 0; i < dynamo_count(items) && rc == 0; i++)
			rc = each(context, dynamo_at(items, i), e);
		buf_reset(&page);
		if (rc == 0 && last != NULL) {
			buf_add_str(&page, ",\"ExclusiveStartKey\":");
			dynamo_print(last, &page);
		}
		dynamo_answer_done(&answer);
	} while (page.size > 0);
	buf_done(&page);
	buf_done(&body);
	return rc;
}

static int compare_infos(const void *a, const void *b)
{
	const struct store_info *x = a, *y = b;

	return (x->version > y->version) - (x->version < y->version);
}

/* Half-made versions have no `made_us` here, because `whole` is not set. */
static void finish_listing(struct listing *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->count; i++) {
		struct store_info *info = &l->infos[i];

		if (info->made_us == 0)
			continue;
		if (info->version == l->live && info->built)
			info->state = STORE_LIVE;
		else if (info->state == STORE_LIVE)
			info->state = STORE_SUPERSEDED;
		l->infos[kept++] = *info;
	}
	l->count = kept;
	if (kept > 0)
		qsort(l->infos, kept, sizeof(*l->infos), compare_infos);
}

static int list(struct store *store, struct store_info **ret_infos, size_t *ret_count,
		struct err *e)
{
	struct store_dynamo *s = store_dynamo_of(store);
	/* of definitions and parked records everything but their names stays there */
	static const char *const names[] = { "item", "whole",         "version",  "state",
					     "swap", "superseded_us", "made_us",  "built",
					     "seq",  "fingerprint",   "gtid_set", "commit_us",
					     NULL };
	struct listing l = { 0 };

	if (store_dynamo_each(s, "", names, take_item, &l, e) < 0) {
		free(l.infos);
		return err_wrap(e, "view %s", s->view);
	}
	finish_listing(&l);
	*ret_infos = l.infos;
	*ret_count = l.count;
	return 0;
}

/* ---- states and the public name -------------------------------------------------------------- */

/* An update of a version's item, as a transaction's action takes it, or without the outer braces as
 * a request of its own. */
static void write_state(const struct store_dynamo *s, const char *label, enum store_state state,
			bool swap, const char *condition, struct buf *out)
{
	buf_add_format(out, "\"TableName\":\"%s\",", s->book);
	store_dynamo_key(out, label, "");
	buf_add_format(out,
		       ",\"UpdateExpression\":\"SET #state = :state, #swap = :swap, "
		       "superseded_us = :when\",\"ConditionExpression\":\"%s\","
		       "\"ExpressionAttributeNames\":{\"#state\":\"state\",\"#swap\":\"swap\","
		       "\"#whole\":\"whole\"%s},\"ExpressionAttributeValues\":{",
		       condition,
		       strstr(condition, "#built") != NULL ? ",\"#built\":\"built\"" : "");
	store_dynamo_add_text(out, ":state", slice_str(store_state_name(state)));
	store_dynamo_add_int(out, ":swap", swap);
	store_dynamo_add_int(out, ":when", state == STORE_SUPERSEDED ? clock_now_us() : 0);
	store_dynamo_add_int(out, ":one", 1);
	buf_add_u8(out, '}');
}

static int set_state(struct store *store, int version, enum store_state state, bool swap,
		     struct err *e)
{
	struct store_dynamo *s = store_dynamo_of(store);
	char *label = store_dynamo_label(version);
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	int rc;

	buf_add_u8(&body, '{');
	write_state(s, label, state, swap, "#whole = :one", &body);
	buf_add_u8(&body, '}');
	rc = store_dynamo_ask(s, "UpdateItem", &body, &answer, e);
	if (rc < 0 && answer.outcome == DYNAMO_CONDITION)
		rc = err_config(e, "view %s has no version %d", s->view, version);
	dynamo_answer_done(&answer);
	buf_done(&body);
	free(label);
	return rc;
}

/* The public item: version, and what its tables are called. */
static int write_public(struct store_dynamo *s, int version, int old, struct buf *out,
			struct err *e)
{
	char *label = store_dynamo_label(version);
	struct dynamo_tables *tables;

	if (store_dynamo_tables(s, version, &tables, e) < 0) {
		free(label);
		return -1;
	}
	buf_add_format(out, "{\"Put\":{\"TableName\":\"%s\",\"Item\":{\"item\":{\"S\":\"public\"}",
		       s->book);
	store_dynamo_add_int(out, "version", version);
	store_dynamo_add_int(out, "since_us", clock_now_us());
	buf_add_str(out, ",\"tables\":{\"M\":{");
	for (size_t i = 0; i < tables->count; i++) {
		char *name = store_dynamo_table(s, label, tables->items[i].name);

		store_dynamo_add_text(out, tables->items[i].name, slice_str(name));
		free(name);
	}
	buf_add_str(out, "}}},\"ConditionExpression\":\"");
	buf_add_str(out, old == 0 ? "attribute_not_exists(#v)\"" : "#v = :old\"");
	buf_add_str(out, ",\"ExpressionAttributeNames\":{\"#v\":\"version\"}");
	if (old != 0)
		buf_add_format(out, ",\"ExpressionAttributeValues\":{\":old\":{\"N\":\"%d\"}}",
			       old);
	buf_add_str(out, "}}");
	dynamo_tables_free(tables);
	free(label);
	return 0;
}

static int live_version(struct store_dynamo *s, int *ret_version, struct err *e)
{
	const struct dynamo_node *item;
	struct dynamo_answer answer;
	int rc = store_dynamo_get(s, "public", "", &answer, &item, e);

	*ret_version = rc == 0 ? (int)dynamo_int(item, "version") : 0;
	dynamo_answer_done(&answer);
	return rc;
}

static int has_version(struct store_dynamo *s, int version, bool *ret_there, struct err *e)
{
	char *label = store_dynamo_label(version);
	const struct dynamo_node *item;
	struct dynamo_answer answer;
	int rc = store_dynamo_get(s, label, "", &answer, &item, e);

	*ret_there = dynamo_int(item, "whole") != 0;
	dynamo_answer_done(&answer);
	free(label);
	return rc;
}

static int write_publish(struct store_dynamo *s, int version, int old, struct buf *body,
			 struct err *e)
{
	char *label = store_dynamo_label(version), *old_label = store_dynamo_label(old);
	bool there = false;
	int rc = 0;

	if (old != 0 && old != version)
		rc = has_version(s, old, &there, e);
	buf_add_str(body, "{\"TransactItems\":[");
	if (rc == 0)
		rc = write_public(s, version, old, body, e);
	buf_add_str(body, ",{\"Update\":{");
	write_state(s, label, STORE_LIVE, false, "#whole = :one AND #built = :one", body);
	buf_add_str(body, "}}");
	if (there) {
		buf_add_str(body, ",{\"Update\":{");
		write_state(s, old_label, STORE_SUPERSEDED, false, "#whole = :one", body);
		buf_add_str(body, "}}");
	}
	buf_add_str(body, "]}");
	free(label);
	free(old_label);
	return rc;
}

/* A request whose answer was lost is sent again, and finds itself carried out. */
static int publish(struct store *store, int version, struct err *e)
{
	struct store_dynamo *s = store_dynamo_of(store);
	struct dynamo_answer answer;
	struct buf body = BUF_INIT;
	int old = 0, now = 0, rc;

	if (live_version(s, &old, e) < 0)
		return -1;
	rc = write_publish(s, version, old, &body, e);
	if (rc == 0) {
		rc = store_dynamo_ask(s, "TransactWriteItems", &body, &answer, e);
		if (rc < 0 && answer.outcome == DYNAMO_CONDITION) {
			struct err other = ERR_INIT;

			rc = live_version(s, &now, &other) == 0 && now == version && old != version
				     ? 0
				     : err_config(e,
						  "view %s: version %d is not built, or another"
						  " swap came first",
						  s->view, version);
		}
		dynamo_answer_done(&answer);
	}
	buf_done(&body);
	return rc;
}

const struct store_ops store_dynamo = {
	.name = "dynamodb",
	.open = open_store,
	.close = close_store,
	.list = list,
	.create = store_dynamo_create,
	.definition = store_dynamo_definition,
	.set_state = set_state,
	.remove = store_dynamo_remove,
	.publish = publish,
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
