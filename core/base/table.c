/* table.c - cells are kept as text until the widths of all are known; then printed row by row. */
#include "core/base/table.h"

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/base/term.h"

#include <stdarg.h>

struct cell_text {
	char *text;
	const char *colour;
};

struct column_info {
	char *title;
	enum table_align align;
	size_t width;
};

struct table {
	struct column_info *columns;
	size_t column_count;
	struct cell_text *cells;
	size_t cell_count, cell_capacity;
};

struct table *table_new(void)
{
	return xcalloc(1, sizeof(struct table));
}

void table_free(struct table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->column_count; i++)
		free(t->columns[i].title);
	for (size_t i = 0; i < t->cell_count; i++)
		free(t->cells[i].text);
	free(t->columns);
	free(t->cells);
	free(t);
}

static size_t columns_of(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80; /* continuation bytes take no place */
	return n;
}

static void widen(struct column_info *column, const char *text)
{
	size_t width = columns_of(text);

	if (width > column->width)
		column->width = width;
}

void table_column(struct table *t, const char *title, enum table_align align)
{
	t->columns = xrealloc(t->columns, (t->column_count + 1) * sizeof(*t->columns));
	t->columns[t->column_count] =
		(struct column_info){ .title = xstrdup(title), .align = align };
	widen(&t->columns[t->column_count++], title);
}

void table_cell(struct table *t, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	if (t->cell_count == t->cell_capacity) {
		t->cell_capacity = t->cell_capacity != 0 ? t->cell_capacity * 2 : 32;
		t->cells = xrealloc(t->cells, t->cell_capacity * sizeof(*t->cells));
	}
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = xstrdup("?");
	va_end(args);
	widen(&t->columns[t->cell_count % t->column_count], text);
	t->cells[t->cell_count++] = (struct cell_text){ .text = text };
}

void table_colour(struct table *t, const char *sequence)
{
	t->cells[t->cell_count - 1].colour = sequence;
}

size_t table_rows(const struct table *t)
{
	return (t->cell_count + t->column_count - 1) / t->column_count;
}

static void print_cell(const struct column_info *column, const char *text, const char *colour,
		       bool last, FILE *out)
{
	size_t pad = column->width - columns_of(text);

	for (size_t i = 0; column->align == TABLE_RIGHT && i < pad; i++)
		fputc(' ', out);
	fprintf(out, "%s%s%s", colour, text, *colour != '\0' ? TERM_PLAIN : "");
	for (size_t i = 0; column->align == TABLE_LEFT && !last && i < pad; i++)
		fputc(' ', out);
	fputs(last ? "\n" : "  ", out);
}

/* The last cell of the row that is not empty: behind it nothing is printed. */
static size_t row_end(const struct table *t, size_t first)
{
	size_t end = first + t->column_count < t->cell_count ? first + t->column_count
							     : t->cell_count;

	while (end > first + 1 && t->cells[end - 1].text[0] == '\0')
		end--;
	return end;
}

void table_print(const struct table *t, FILE *out, size_t indent)
{
	bool coloured = term_colours(out);
	size_t titles = t->column_count;

	while (titles > 0 && t->columns[titles - 1].title[0] == '\0')
		titles--;
	fprintf(out, "%*s", titles > 0 ? (int)indent : 0, "");
	for (size_t i = 0; i < titles; i++)
		print_cell(&t->columns[i], t->columns[i].title, coloured ? TERM_DIM : "",
			   i + 1 == titles, out);
	for (size_t first = 0; first < t->cell_count; first += t->column_count) {
		size_t end = row_end(t, first);

		fprintf(out, "%*s", (int)indent, "");
		for (size_t i = first; i < end; i++)
			print_cell(&t->columns[i - first], t->cells[i].text,
				   coloured && t->cells[i].colour != NULL ? t->cells[i].colour : "",
				   i + 1 == end, out);
	}
}
