/* group_priv.h - what group.c (scanning) and group_rows.c (decoding) share. */
#ifndef CDC_CHANGE_GROUP_PRIV_H
#define CDC_CHANGE_GROUP_PRIV_H

#include "cdc/binlog/rows.h"
#include "cdc/change/cuts.h"
#include "cdc/change/group.h"

enum group_state { GROUP_BETWEEN, GROUP_OPEN, GROUP_COMPLETE };
enum group_pass { GROUP_KEEPING, GROUP_LOOKING, GROUP_AGAIN };

/* A row event of a captured table, to be decoded when the group is known to have committed. */
struct group_event {
	struct event event;
	struct shape *shape; /* a reference: the catalog may replace it before we come to decode */
	uint64_t number;     /* among the captured and watched row events of the group */
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
	bool rolled_back;
	struct cuts cuts;
	uint64_t numbers; /* captured row events so far */
	struct group_event *events;
	size_t event_count, event_capacity;
	struct group_statement_effect *effects;
	size_t effect_capacity;
	struct buf scratch, xid;
	int64_t bytes;
	char file[512];
	uint32_t file_position;

	/* decoding */
	size_t event_at, cut_at, effect_at;
	bool rows_open;
	struct rows rows;
	struct buf inflated;
	struct cell *before, *after;
	size_t cell_capacity;
	bool before_full, after_full;
	int64_t order;
	/* the table id looked up last: most row events come in runs */
	uint64_t last_id;
	const struct catalog_table *last_table;
};

/* Statements: what a QUERY event inside or instead of a transaction means for captured tables. */
int group_statement(struct group *g, const struct event *ev, const struct event_query *query,
		    struct err *e);
void group_effects_reset(struct group *g);

#endif
