/* stats_print.c - the counts as tables, and as one JSON object. */
#include "cdc/decode/stats_priv.h"

#include "cdc/decode/value_json.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/progress.h"
#include "core/base/table.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const op_names[STATS_OPS] = { "insert", "update", "delete" };

/* ---- orders --------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct stats_table *x = *(const struct stats_table *const *)a,
				 *y = *(const struct stats_table *const *)b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : strcmp(x->table, y->table);
}

static const struct stats_table **sorted_tables(const struct stats *s, size_t *ret_count)
{
	const struct stats_table **list, *t;
	size_t n = 0;

	list = xcalloc(HASH_COUNT(s->tables) + 1, sizeof(*list));
	for (t = s->tables; t != NULL; t = t->hh.next)
		list[n++] = t;
	qsort(list, n, sizeof(*list), by_name);
	*ret_count = n;
	return list;
}

/* ---- tables --------------------------------------------------------------------------------- */

static void number_cell(struct table *t, uint64_t n)
{
	struct buf text = BUF_INIT;

	progress_number(&text, (int64_t)n);
	table_cell(t, "%s", buf_cstr(&text));
	buf_done(&text);
}

static void bytes_cell(struct table *t, uint64_t n)
{
	struct buf text = BUF_INIT;

	progress_bytes(&text, (int64_t)n);
	table_cell(t, "%s", buf_cstr(&text));
	buf_done(&text);
}

static void print_types(const struct stats *s, FILE *out)
{
	struct table *t = table_new();

	table_column(t, "event", TABLE_LEFT);
	table_column(t, "events", TABLE_RIGHT);
	table_column(t, "bytes", TABLE_RIGHT);
	for (unsigned i = 0; i < 256; i++) {
		if (s->types[i].events == 0)
			continue;
		table_cell(t, "%s", event_type_name((uint8_t)i));
		number_cell(t, s->types[i].events);
		bytes_cell(t, s->types[i].bytes);
	}
	table_cell(t, "all, of %" PRIu64 " file%s", s->files, s->files == 1 ? "" : "s");
	number_cell(t, s->all.events);
	bytes_cell(t, s->all.bytes);
	table_print(t, out, 0);
	table_free(t);
}

static void print_tables(const struct stats *s, FILE *out)
{
	struct table *t = table_new();
	size_t count;
	const struct stats_table **list = sorted_tables(s, &count);

	table_column(t, "table", TABLE_LEFT);
	for (size_t op = 0; op < STATS_OPS; op++)
		table_column(t, op_names[op], TABLE_RIGHT);
	table_column(t, "bytes", TABLE_RIGHT);
	for (size_t i = 0; i < count; i++) {
		table_cell(t, "%s.%s", list[i]->name, list[i]->table);
		for (size_t op = 0; op < STATS_OPS; op++)
			number_cell(t, list[i]->rows[op]);
		bytes_cell(t, list[i]->bytes);
	}
	table_cell(t, "all");
	for (size_t op = 0; op < STATS_OPS; op++)
		number_cell(t, s->rows[op]);
	table_cell(t, "%s", "");
	if (count > 0) {
		fputc('\n', out);
		table_print(t, out, 0);
	}
	table_free(t);
	free(list);
}

static void largest_row(struct table *t, const char *title, const struct stats_largest *l)
{
	if (l->file == NULL)
		return;
	table_cell(t, "%s", title);
	number_cell(t, l->transaction.rows);
	bytes_cell(t, l->transaction.bytes);
	table_cell(t, "%s:%" PRIu64 "  %s", l->file, l->transaction.at, l->transaction.id);
}

static uint64_t transactions(const struct stats *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < STATS_ENDS; i++)
		n += s->ends[i];
	return n;
}

static void print_transactions(const struct stats *s, FILE *out)
{
	struct table *t = table_new();

	table_column(t, "largest transaction", TABLE_LEFT);
	table_column(t, "rows", TABLE_RIGHT);
	table_column(t, "bytes", TABLE_RIGHT);
	table_column(t, "from", TABLE_LEFT);
	largest_row(t, "by bytes", &s->largest_bytes);
	largest_row(t, "by rows", &s->largest_rows);
	if (table_rows(t) > 0) {
		fputc('\n', out);
		table_print(t, out, 0);
	}
	table_free(t);
}

static void print_summary(const struct stats *s, FILE *out)
{
	char first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE];
	struct buf gtids = BUF_INIT, count = BUF_INIT;
	const char *mark = ": ";

	progress_number(&count, (int64_t)transactions(s));
	fprintf(out, "\ntransactions  %s", buf_cstr(&count));
	for (unsigned i = 1; i < STATS_ENDS; i++)
		if (s->ends[i] > 0) {
			fprintf(out, "%s%" PRIu64 " %s", mark, s->ends[i],
				walk_end_name((enum walk_end)i));
			mark = ", ";
		}
	fprintf(out, "\nstatements    %" PRIu64 "\n", s->statements);
	gtid_set_text(&s->gtids, &gtids);
	if (gtids.size > 0)
		fprintf(out, "GTIDs         %s to %s\nposition      %s\n", s->first_gtid,
			s->last_gtid, buf_cstr(&gtids));
	if (s->anonymous > 0)
		fprintf(out, "without GTID  %" PRIu64 "\n", s->anonymous);
	if (s->last_us > 0)
		fprintf(out, "time          %s to %s\n", clock_text(s->first_us, first),
			clock_text(s->last_us, last));
	buf_done(&gtids);
	buf_done(&count);
}

void stats_print(const struct stats *s, FILE *out)
{
	print_types(s, out);
	print_tables(s, out);
	print_transactions(s, out);
	print_summary(s, out);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void add_count(struct buf *out, const char *key, uint64_t n)
{
	buf_add_format(out, "\"%s\":%" PRIu64, key, n);
}

static void add_types(const struct stats *s, struct buf *out)
{
	const char *mark = "";

	buf_add_str(out, ",\"types\":{");
	for (unsigned i = 0; i < 256; i++) {
		if (s->types[i].events == 0)
			continue;
		buf_add_format(out, "%s\"%s\":{", mark, event_type_name((uint8_t)i));
		add_count(out, "events", s->types[i].events);
		buf_add_u8(out, ',');
		add_count(out, "bytes", s->types[i].bytes);
		buf_add_u8(out, '}');
		mark = ",";
	}
	buf_add_u8(out, '}');
}

static void add_ops(struct buf *out, const uint64_t *rows)
{
	for (size_t op = 0; op < STATS_OPS; op++) {
		if (op > 0)
			buf_add_u8(out, ',');
		add_count(out, op_names[op], rows[op]);
	}
}

static void add_tables(const struct stats *s, struct buf *out)
{
	size_t count;
	const struct stats_table **list = sorted_tables(s, &count);

	buf_add_str(out, ",\"rows\":{");
	add_ops(out, s->rows);
	buf_add_str(out, "},\"tables\":[");
	for (size_t i = 0; i < count; i++) {
		buf_add_str(out, i == 0 ? "{\"db\":" : ",{\"db\":");
		value_json_text(out, slice_str(list[i]->name));
		value_json_pair(out, "table", slice_str(list[i]->table));
		buf_add_u8(out, ',');
		add_ops(out, list[i]->rows);
		buf_add_u8(out, ',');
		add_count(out, "bytes", list[i]->bytes);
		buf_add_u8(out, '}');
	}
	buf_add_u8(out, ']');
	free(list);
}

static void add_largest(struct buf *out, const char *key, const struct stats_largest *l)
{
	if (l->file == NULL)
		return;
	buf_add_format(out, ",\"%s\":{\"from\":", key);
	value_json_place(out, l->file, l->transaction.at);
	if (l->transaction.id[0] != '\0')
		value_json_pair(out, "gtid", slice_str(l->transaction.id));
	buf_add_u8(out, ',');
	add_count(out, "rows", l->transaction.rows);
	buf_add_u8(out, ',');
	add_count(out, "bytes", l->transaction.bytes);
	buf_add_u8(out, '}');
}

static void add_transactions(const struct stats *s, struct buf *out)
{
	struct buf gtids = BUF_INIT;

	buf_add_str(out, ",\"transactions\":{");
	add_count(out, "all", transactions(s));
	for (unsigned i = 1; i < STATS_ENDS; i++)
		if (s->ends[i] > 0)
			buf_add_format(out, ",\"%s\":%" PRIu64, walk_end_name((enum walk_end)i),
				       s->ends[i]);
	if (s->anonymous > 0)
		buf_add_format(out, ",\"without_gtid\":%" PRIu64, s->anonymous);
	buf_add_u8(out, '}');
	gtid_set_text(&s->gtids, &gtids);
	if (gtids.size > 0) {
		value_json_pair(out, "first_gtid", slice_str(s->first_gtid));
		value_json_pair(out, "last_gtid", slice_str(s->last_gtid));
		value_json_pair(out, "position", buf_slice(&gtids));
	}
	buf_done(&gtids);
	add_largest(out, "largest_by_bytes", &s->largest_bytes);
	add_largest(out, "largest_by_rows", &s->largest_rows);
}

void stats_json(const struct stats *s, struct buf *out)
{
	char time[CLOCK_TEXT_SIZE];

	buf_add_u8(out, '{');
	add_count(out, "files", s->files);
	buf_add_u8(out, ',');
	add_count(out, "events", s->all.events);
	buf_add_u8(out, ',');
	add_count(out, "bytes", s->all.bytes);
	buf_add_u8(out, ',');
	add_count(out, "statements", s->statements);
	if (s->last_us > 0) {
		value_json_pair(out, "first", slice_str(clock_text(s->first_us, time)));
		value_json_pair(out, "last", slice_str(clock_text(s->last_us, time)));
	}
	add_types(s, out);
	add_tables(s, out);
	add_transactions(s, out);
	buf_add_str(out, "}\n");
}
