/* view_print.c - a comparison for people: a line per table, then samples of what differs. */
#include "cli/view_access.h"

#include "core/base/progress.h"
#include "core/base/table.h"
#include "core/base/term.h"

static const char *const kinds[] = { "only_left", "only_right", "changed" };

static int64_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static void number_cell(struct table *t, int64_t n, const char *colour)
{
	struct buf b = BUF_INIT;

	progress_number(&b, n);
	table_cell(t, "%s", buf_cstr(&b));
	if (n > 0 && colour != NULL)
		table_colour(t, colour);
	buf_done(&b);
}

static void print_counts(const json_t *tables, const char *left, const char *right)
{
	struct table *t = table_new();
	char only_left[100], only_right[100];
	const json_t *one;
	size_t i;

	snprintf(only_left, sizeof(only_left), "only %s", left);
	snprintf(only_right, sizeof(only_right), "only %s", right);
	table_column(t, "table", TABLE_LEFT);
	table_column(t, left, TABLE_RIGHT);
	table_column(t, right, TABLE_RIGHT);
	table_column(t, only_left, TABLE_RIGHT);
	table_column(t, only_right, TABLE_RIGHT);
	table_column(t, "changed", TABLE_RIGHT);
	json_array_foreach(tables, i, one)
	{
		table_cell(t, "%s", text(one, "table"));
		number_cell(t, number(one, "left_rows"), NULL);
		number_cell(t, number(one, "right_rows"), NULL);
		number_cell(t, number(one, "only_left"), TERM_RED);
		number_cell(t, number(one, "only_right"), TERM_GREEN);
		number_cell(t, number(one, "changed"), TERM_YELLOW);
	}
	table_print(t, stdout, 2);
	table_free(t);
}

static void print_row(const char *mark, const char *colour, json_t *row)
{
	const char *key, *between = "";
	json_t *value;

	printf("    %s%s%s ", term(stdout, colour), mark, term(stdout, TERM_PLAIN));
	json_object_foreach(row, key, value)
	{
		printf("%s%s=%s", between, key, json_string_value(value));
		between = ", ";
	}
}

static void print_changes(json_t *sample)
{
	const char *column;
	json_t *pair;

	print_row("~", TERM_YELLOW, json_object_get(sample, "key"));
	json_object_foreach(json_object_get(sample, "columns"), column, pair)
	{
		printf("; %s: %s -> %s", column, json_string_value(json_array_get(pair, 0)),
		       json_string_value(json_array_get(pair, 1)));
	}
}

static void print_samples(const json_t *table, size_t kind, const char *left, const char *right)
{
	static const char *const marks[] = { "-", "+", "~" }, *const colours[] = { TERM_RED,
										   TERM_GREEN,
										   TERM_YELLOW };
	json_t *samples = json_object_get(json_object_get(table, "samples"), kinds[kind]), *one;
	size_t i, count = json_array_size(samples);

	if (count == 0)
		return;
	if (kind == 2)
		printf("\n  %s: changed, %s -> %s", text(table, "table"), left, right);
	else
		printf("\n  %s: only %s", text(table, "table"), kind == 0 ? left : right);
	if ((int64_t)count < number(table, kinds[kind]))
		printf(" (%zu of %lld)", count, (long long)number(table, kinds[kind]));
	printf("\n");
	json_array_foreach(samples, i, one)
	{
		if (kind == 2)
			print_changes(one);
		else
			print_row(marks[kind], colours[kind], one);
		printf("\n");
	}
}

void view_print_compare(const json_t *compare, const char *left, const char *right)
{
	const json_t *tables = json_object_get(compare, "tables"), *one;
	size_t i;

	print_counts(tables, left, right);
	json_array_foreach(tables, i, one)
	{
		if (text(one, "note")[0] != '\0')
			printf("  %s: %s\n", text(one, "table"), text(one, "note"));
		for (size_t kind = 0; kind < 3; kind++)
			print_samples(one, kind, left, right);
	}
}
