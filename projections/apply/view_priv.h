/* view_priv.h - between the files that read a view: mistakes are gathered, so that all of them are
 * reported. */
#ifndef PROJECTIONS_APPLY_VIEW_PRIV_H
#define PROJECTIONS_APPLY_VIEW_PRIV_H

#include "projections/apply/view.h"

struct view_mistakes {
	const char *place; /* put before file names */
	struct buf text;
	size_t count;
};

/* Adds "place/file:line: what" (line 0: without). `hint` may be NULL. */
void view_mistake(struct view_mistakes *m, const char *file, int line, const char *hint,
		  const char *format, ...) __attribute__((format(printf, 5, 6)));
void view_mistake_err(struct view_mistakes *m,
		      const struct err *e); /* an error that names its file already */

const struct view_file *view_file(const struct view *v, const char *name);
void view_table_done(struct view_table *t);
struct view_table *view_table_find(struct view *v, const char *name);
void view_conf_parse(struct view *v, const char *text, struct view_mistakes *m);
void view_source_parse(struct view *v, const char *file, const char *text, struct view_mistakes *m);
/* For SQLite: creates the tables in memory, learns their columns and keys, prepares every handler.
 * False: tables.sql can't be run, and the rest says nothing. */
bool view_check(struct view *v, struct view_mistakes *m);
/* The same for DynamoDB (view_dynamo.c). False: there are mistakes. */
bool view_learn_dynamo(struct view *v, struct view_mistakes *m);
struct target;
void view_check_keys(struct view *v, struct view_mistakes *m);
void view_check_handlers(struct view *v, struct target *target, struct view_mistakes *m);

/* Kinds mirror and query: tables and statements from the shapes among the files; nothing when there
 * are none yet. */
void view_generate(struct view *v, struct view_mistakes *m);
/* create_sql, after_build_sql and the rest of a view whose mirrors are known. */
void view_generate_sql(struct view *v, struct view_mistakes *m);
/* A table for an input, still without columns; NULL: a mistake. */
struct mirror_table *mirror_add_table(struct view *v, const char *topic, struct view_mistakes *m);
void view_generated(struct view *v, struct view_mistakes *m);
/* The questions of a view without source.sql. */
void view_generate_source(struct view *v);
/* Kind query: what it reads is no table of the view, whatever the store has learned. */
void view_hide_mirrors(struct view *v);

bool view_ends_with(const char *text, const char *end);
/* All that is a view's, also what is wrong with it (view_folder.c). */
void view_folder_read(const char *dir, struct view_files *files, struct view_mistakes *m);
void view_words_add(char ***words, size_t *count, const char *text, size_t size);

#endif
