/* group_priv.h - what the files of struct group share: group.c (scanning), group_mysql.c (what
 * MySQL writes in its own way), group_payload.c (compressed transactions), group_statement.c,
 * group_rows.c (decoding). */
#ifndef CDC_CHANGE_GROUP_PRIV_H
#define CDC_CHANGE_GROUP_PRIV_H

#include "cdc/binlog/payload.h"
#include "cdc/binlog/rows.h"
#include "cdc/change/cuts.h"
#include "cdc/change/group.h"

enum group_state { GROUP_BETWEEN, GROUP_OPEN, GROUP_COMPLETE };
enum group_pass { GROUP_KEEPING, GROUP_LOOKING, GROUP_AGAIN };

/* A row event of a captured table, to be decoded when the group is known to have committed; or a
 * payload that holds such events, which is then read once more. */
struct group_event {
	struct event event;
	struct shape *shape; /* a reference: the catalog may replace it before we come to decode;
			      * NULL: a payload */
	/* Among the captured and watched row events of the group; of a payload, its first one's */
	uint64_t number;
	bool watched;
};

/* Stands before row event `number`; its texts are the group's. */
struct group_statement_effect {
	struct group_effect effect;
	uint64_t number;
};

struct group {
	const struct settings *settings;
	struct catalog *catalog;
	struct event_format format;
	enum group_state state;
	enum group_pass pass;
	struct group_info info;
	struct event_gtid gtid; /* its slices are not valid later: only flags are used */
	bool by_place;          /* transactions are called by where they end in the binlog files */
	bool mysql;             /* the group in hand is MySQL's, and */
	bool begun;             /* BEGIN or XA START has come: else one statement is all of it */
	struct gtid_range mysql_id;
	uint64_t begin; /* where it begins in its file (by_place) */
	bool rolled_back;
	struct cuts cuts;
	uint64_t numbers; /* captured row events so far */
	struct group_event *events;
	size_t event_count, event_capacity;
	struct group_statement_effect *effects;
	size_t effect_capacity;
	struct buf scratch, xid;
	int64_t bytes;
	char file[GTID_FILE_MAX + 1];
	uint64_t file_position;
	uint32_t file_created;
	struct payload *payload; /* NULL until there was one */
	bool in_payload;         /* what is scanned just now goes away with the next event */

	/* decoding */
	size_t event_at, cut_at, effect_at;
	bool payload_open; /* events[event_at], at payload_number */
	uint64_t payload_number;
	bool has_current, rows_open; /* the event whose rows are given; rows_read() was called */
	struct group_event current;  /* its shape is a reference of its own */
	struct rows rows;
	struct buf inflated;
	struct cell *before, *after;
	size_t cell_capacity;
	bool before_full, after_full;
	bool not_logged; /* of some column: absent, whatever the row image has in its place */
	int64_t order;
	/* the table id looked up last: most row events come in runs */
	uint64_t last_id;
	const struct catalog_table *last_table;
};

/* Statements: what a QUERY event inside or instead of a transaction means for captured tables. */
int group_statement(struct group *g, const struct event *ev, const struct event_query *query,
		    struct err *e);
/* Rows of this table came, and what they are can't be known. */
void group_unknown_rows(struct group *g, const char *db, const char *table);
void group_effects_reset(struct group *g);

/* group.c: a group begins; its name and time are filled in. ERR_DATA: inside of another one, or not
 * where it began before. */
int group_begin(struct group *g, const char *id, int64_t commit_us, struct err *e);
/* One event inside of a group. */
int group_scan_inside(struct group *g, const struct event *ev, struct err *e);
/* Adds to the list of events to be decoded. shape NULL: a payload. */
void group_keep(struct group *g, const struct event *ev, struct shape *shape, uint64_t number,
		bool watched);
/* A statement is the whole of the group in hand. */
bool group_is_alone(const struct group *g);
/* info.xid; whatever bytes the two parts have. */
void group_name_xid(struct group *g, uint32_t format, struct slice gtrid, struct slice bqual);

/* group_mysql.c */
int group_scan_mysql_gtid(struct group *g, const struct event *ev, struct err *e);
/* An event where no group is open: it begins one, where the server writes no GTID events at all. */
int group_begin_bare(struct group *g, const struct event *ev, struct err *e);
/* XA COMMIT X'..',X'..',1 and XA ROLLBACK: info.xid from the text. */
int group_mysql_xid(struct group *g, struct slice text, struct err *e);
/* by_place: the group in hand is called by where it ends. */
void group_name_place(struct group *g, uint64_t offset);

/* group_payload.c */
int group_scan_payload(struct group *g, const struct event *ev, struct err *e);
/* The next row event of a captured or watched table in the payload at events[event_at]: 1 and
 * g->current, 0 at its end, -1. */
int group_walk_payload(struct group *g, struct err *e);

#endif
