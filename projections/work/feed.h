/* feed.h - where a worker's records come from: the intake, or a script in a test. The promises are
 * those of core/intake/intake.h; the functions have its shape. */
#ifndef PROJECTIONS_WORK_FEED_H
#define PROJECTIONS_WORK_FEED_H

#include "core/intake/intake.h"

struct feed_ops {
	int (*open)(void *context, const struct intake_options *options, void **ret_feed,
		    struct err *e);
	void (*close)(void *feed);
	int (*next)(void *feed, int timeout_ms, struct intake_item *ret_item, struct err *e);
	const struct intake_position *(*position)(const void *feed);
	const char *(*next_gtid)(void *feed);
	int64_t (*next_commit_us)(void *feed);
	void (*slowest)(const void *feed, struct intake_slowest *ret_slowest);
	void (*delivered)(const void *feed, struct intake_end *ret_end);
	const char *const *(*copying)(const void *feed);
	const struct intake_reconciling *(*reconciling)(void *feed, size_t *ret_count);
	int64_t (*records)(const void *feed);
	int64_t (*records_total)(const void *feed);
	void (*commit_offsets)(void *feed);
	/* order = partition: options.only was given */
	void (*share_position)(const void *feed, size_t i, struct intake_position *ret_position);
	int (*rewind)(void *feed, const struct intake_share *only, struct err *e);
	int (*wait)(void *feed, int timeout_ms, struct err *e);
	/* Text of a schema by id; lives as long as the context. Thread-safe. */
	int (*schema)(void *context, int32_t id, const char **ret_text, struct err *e);
	/* The newest registered schema of rows in a topic; lives as long as the context. 1: there
	 * is one, 0: none yet. NULL: a feed without tables. Thread-safe. */
	int (*latest)(void *context, const char *topic, const char **ret_text, struct err *e);
	/* The value (with its wire header) that a stand-in's `parked` refers to. */
	int (*parked)(void *context, struct slice reference, int64_t seq, struct buf *ret_value,
		      struct err *e);
};

struct feed_source {
	const struct feed_ops *ops;
	void *context; /* for the intake: struct feed_intake */
};

struct registry;

/* The real one. The registry is shared by all workers. */
struct feed_intake {
	const struct settings *settings;
	struct registry *registry;
};

extern const struct feed_ops feed_intake_ops;

#endif
