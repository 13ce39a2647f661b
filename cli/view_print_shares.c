/* view_print_shares.c - order = partition, for people: which member has which partitions, how far
 * each is, and what is wrong with it. */
#include "cli/view_access.h"

#include "core/base/progress.h"
#include "core/base/table.h"
#include "core/base/term.h"

#include <string.h>

static int64_t number(const json_t *o, const char *key)
{
	return (int64_t)json_number_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static const char *member_of(const json_t *share)
{
	return text(share, "member")[0] != '\0' ? text(share, "member") : "nobody";
}

static void add_lag(struct buf *out, int64_t us)
{
	if (us <= 0)
		buf_add_str(out, "none");
	else
		progress_duration(out, us);
}

static void add_share(struct table *t, const json_t *share)
{
	const char *trouble = text(share, "trouble");
	struct buf lag = BUF_INIT;

	add_lag(&lag, number(share, "lag_us"));
	table_cell(t, "%s", text(share, "topic"));
	table_cell(t, "%lld", (long long)number(share, "partition"));
	table_cell(t, "%lld", (long long)number(share, "offset"));
	table_cell(t, "%lld", (long long)number(share, "seq"));
	table_cell(t, "%s", buf_cstr(&lag));
	table_cell(t, "%s", member_of(share));
	table_cell(t, "%.*s", (int)strcspn(trouble, "\n"), trouble);
	if (trouble[0] != '\0')
		table_colour(t, TERM_RED);
	buf_done(&lag);
}

void view_print_shares(const json_t *version, size_t indent, FILE *out)
{
	static const char *const titles[] = { "topic", "partition", "offset", "seq",
					      "lag",   "member",    "trouble" };
	const json_t *shares = json_object_get(version, "shares"), *share;
	struct table *t;
	size_t i;

	if (json_array_size(shares) == 0)
		return;
	t = table_new();
	for (i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
		table_column(t, titles[i], i >= 1 && i <= 3 ? TABLE_RIGHT : TABLE_LEFT);
	json_array_foreach(shares, i, share) add_share(t, share);
	table_print(t, out, indent);
	table_free(t);
}

/* ---- by member ------------------------------------------------------------------------------- */

struct line {
	struct buf partitions;
	const char *topic, *trouble; /* the last topic named */
	int64_t seq, lag_us;         /* of the partition furthest behind */
	size_t count;
};

static void add_to_line(struct line *l, const json_t *share)
{
	const char *topic = text(share, "topic");
	int64_t seq = number(share, "seq"), lag_us = number(share, "lag_us");

	if (l->topic == NULL || strcmp(l->topic, topic) != 0)
		buf_add_format(&l->partitions, "%s%s", l->count > 0 ? "; " : "", topic);
	else
		buf_add_u8(&l->partitions, ',');
	buf_add_format(&l->partitions, " %lld", (long long)number(share, "partition"));
	l->topic = topic;
	l->seq = l->count == 0 || seq < l->seq ? seq : l->seq;
	l->lag_us = lag_us > l->lag_us ? lag_us : l->lag_us;
	if (l->trouble[0] == '\0')
		l->trouble = text(share, "trouble");
	l->count++;
}

static void print_line(struct line *l, const char *member, int indent, FILE *out)
{
	struct buf lag = BUF_INIT;

	add_lag(&lag, l->lag_us);
	fprintf(out, "%*s%s: %s, at %lld, lag %s\n", indent, "", member, buf_cstr(&l->partitions),
		(long long)l->seq, buf_cstr(&lag));
	if (l->trouble[0] != '\0')
		fprintf(out, "%*s%s%.*s%s\n", indent + 2, "", term(out, TERM_RED),
			(int)strcspn(l->trouble, "\n"), l->trouble, term(out, TERM_PLAIN));
	buf_done(&lag);
}

static bool came_before(const json_t *shares, size_t at)
{
	const char *member = member_of(json_array_get(shares, at));

	for (size_t i = 0; i < at; i++)
		if (strcmp(member_of(json_array_get(shares, i)), member) == 0)
			return true;
	return false;
}

void view_print_members(const json_t *version, int indent, FILE *out)
{
	const json_t *shares = json_object_get(version, "shares");
	size_t count = json_array_size(shares);

	for (size_t i = 0; i < count; i++) {
		const char *member = member_of(json_array_get(shares, i));
		struct line l = { .trouble = "" };

		if (came_before(shares, i))
			continue;
		for (size_t k = i; k < count; k++)
			if (strcmp(member_of(json_array_get(shares, k)), member) == 0)
				add_to_line(&l, json_array_get(shares, k));
		print_line(&l, member, indent, out);
		buf_done(&l.partitions);
	}
}
