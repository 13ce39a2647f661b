/* view_new.h - between the parts of `millrace view new`: what is asked for, and the texts of the
 * folder. */
#ifndef CLI_VIEW_NEW_H
#define CLI_VIEW_NEW_H

#include "cli/verb_view.h"

#include "cdc/publish/event_files.h"
#include "core/base/buf.h"

enum new_form { FORM_NUMBER, FORM_DECIMAL, FORM_REAL, FORM_TEXT, FORM_BYTES };

struct new_column {
	char *name;
	enum new_form form;
	int precision, scale; /* of a decimal */
	bool key;
};

struct new_folder {
	const struct view_new *asked;
	char *dir, *topic;
	char *table;        /* what the view calls it; malloced */
	const char *source; /* the source's table, behind the dot */
	bool mysql;         /* the store speaks MariaDB's and MySQL's SQL */
	struct new_column *columns;
	size_t count;
	/* of a topic of events */
	struct event_files events;
	const struct event_schema *enters; /* NULL: none of its events says so */
};

/* What both kinds of folder are made of (verb_view_new.c). */
int view_new_write(const struct new_folder *f, const char *name, struct buf *take, struct err *e);
/* A JSON object with a value for each column of the key, and null for the others. */
void view_new_sample(const struct new_folder *f, bool key_only, struct buf *out);

/* Fills columns, each with what it holds and whether it is part of the key (view_new_columns.c). */
int view_new_columns(struct new_folder *f, const struct settings *settings, struct err *e);
/* A column for values of that schema, at the end. NULL: left out, for it is a record (GEOMETRY),
 * which a view has in two. */
struct new_column *view_new_add(struct new_folder *f, const char *name,
				const struct schema *schema);
struct new_column *view_new_find(const struct new_folder *f, const char *name); /* or NULL */

/* ---- events of a topic (view_new_topic.c) ---- */
int view_new_topic_columns(struct new_folder *f, const struct settings *settings, struct err *e);
/* ERR_CONFIG: items can't be put by these events. */
int view_new_topic_check(const struct new_folder *f, struct err *e);
int view_new_topic_handlers(const struct new_folder *f, bool json, struct err *e);
bool view_new_topic_source(const struct new_folder *f, struct buf *out); /* false: there is none */
void view_new_topic_cases(const struct new_folder *f, struct buf *out);

/* ---- SQL (view_new_sql.c); all append ---- */
/* CREATE TABLE of that name; of any dialect, SQLite understands it. */
void view_new_tables_sql(const struct new_folder *f, const char *table, struct buf *out);
void view_new_put_sql(const struct new_folder *f, struct buf *out);
void view_new_delete_sql(const struct new_folder *f, bool all, struct buf *out);
/* In the source's words. */
void view_new_source_sql(const struct new_folder *f, struct buf *out);
/* In the store's. */
void view_new_query_sql(const struct new_folder *f, struct buf *out);
void view_new_keys_sql(const struct new_folder *f, struct buf *out);
/* :name of a handler: seq, gtid and at are the record's own. */
void view_new_parameter(const char *name, struct buf *out);

/* ---- DynamoDB (view_new_dynamo.c); all append ---- */
/* ERR_CONFIG: the key can't be one of DynamoDB's. */
int view_new_check_dynamo(const struct new_folder *f, struct err *e);
void view_new_tables_json(const struct new_folder *f, struct buf *out);
void view_new_put_json(const struct new_folder *f, struct buf *out);
void view_new_delete_json(const struct new_folder *f, bool all, struct buf *out);

#endif
