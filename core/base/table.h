/* table.h - aligned text tables for verbs. Widths count characters of UTF-8, not bytes. */
#ifndef CORE_BASE_TABLE_H
#define CORE_BASE_TABLE_H

#include <stddef.h>
#include <stdio.h>

struct table;

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table *table_new(void);
void table_free(struct table *t);
/* Columns first. A title may be "" (then no title row is printed if all are). */
void table_column(struct table *t, const char *title, enum table_align align);
/* The next cell of the current row; a row is full after one cell per column. Text is copied. */
void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Escape sequence (term.h) around the cell just added; ignored where colours are unwanted. */
void table_colour(struct table *t, const char *sequence);
size_t table_rows(const struct table *t);
/* Two blanks between columns, no trailing blanks; `indent` blanks before each line. An
 * unfinished row is filled up. */
void table_print(const struct table *t, FILE *out, size_t indent);

#endif
