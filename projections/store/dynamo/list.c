/* list.c - the versions that there are, and where each stands: one scan of the bookkeeping. Items
 * come in any order, and may come and go meanwhile. A version whose item isn't `whole` is none. */
#include "projections/store/dynamo/dynamo_priv.h"

#include "core/base/gtid.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define VERSION_MAX 1000000

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
	if (dynamo_int(item, "removing") != 0) { /* and a crash came between: its time is over */
		info.state = STORE_SUPERSEDED;
		info.superseded_us = 1;
	}
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
		store_sort_infos(l->infos, kept);
}

int store_dynamo_list(struct store *store, struct store_info **ret_infos, size_t *ret_count,
		      struct err *e)
{
	struct store_dynamo *s = store_dynamo_of(store);
	/* of definitions and parked records everything but their names stays there */
	static const char *const names[] = { "item",        "whole",    "version",
					     "state",       "swap",     "superseded_us",
					     "made_us",     "built",    "seq",
					     "fingerprint", "gtid_set", "commit_us",
					     "removing",    NULL };
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
