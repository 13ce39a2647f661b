/* fold.h - one table during its first copy: which streamed changes flow, and which become part of a
 * chunk (DESIGN 4.7).
 *
 * Keys are byte strings in the server's order (cdc/change/key.h):
 *
 *        copied          |      the open chunk     |      ahead
 *   ------------------- low ------------------- high --------------> keys
 *     changes flow           changes are folded         changes are dropped
 *
 * What lies ahead will be read with its own chunk.
 *
 * A chunk's SELECT sees the table at some point P of the binlog. Every change to its keys since the
 * window was opened is kept here, the latest state per key, so at any point behind P the SELECT's
 * rows overlaid with the fold are the table at that point. A key that crosses a border becomes the
 * half that lies on the copied side. Pure. */
#ifndef CDC_CAPTURE_FOLD_H
#define CDC_CAPTURE_FOLD_H

#include "core/base/buf.h"

struct fold;

enum fold_answer {
	FOLD_FLOW,      /* deliver the change as it is */
	FOLD_DROP,      /* nothing to deliver (it may have been folded) */
	FOLD_AS_DELETE, /* deliver the deletion of the before-image's row */
	FOLD_AS_CREATE, /* deliver the creation of the after-image's row */
};

struct fold *fold_new(void); /* nothing copied: everything lies ahead */
void fold_free(struct fold *f);
/* Goes on behind this key (from the position). */
void fold_resume(struct fold *f, struct slice low);
/* The last key copied; false: none yet. */
bool fold_low(const struct fold *f, struct slice *ret_low);
bool fold_done(const struct fold *f); /* all is copied: everything flows */
void fold_set_done(struct fold *f);

/* Opens the window (low, high]; high NULL: to the end of the table. */
void fold_open(struct fold *f, const struct slice *high);
bool fold_is_open(const struct fold *f);
/* The chunk turned out smaller: what was folded beyond `high` is left to the next one. */
void fold_narrow(struct fold *f, struct slice high);
/* Gives the window up: what was folded is forgotten, its keys lie ahead again. */
void fold_abandon(struct fold *f);

/* One change; before_key is NULL for a new row, after_key for a deleted one. after_image: kept with
 * its key. */
enum fold_answer fold_change(struct fold *f, const struct slice *before_key,
			     const struct slice *after_key, struct slice after_image);
size_t fold_bytes(const struct fold *f);

/* The chunk's rows as they are now: call with the rows of the SELECT in key order, each once, then
 * with NULL; `row` is called for every row that exists, in key order. At the end the window is
 * closed and its keys count as copied. */
typedef int (*fold_row_fn)(void *context, struct slice image, bool folded, void *e);
struct fold_select {
	struct slice key, image;
};
int fold_merge(struct fold *f, const struct fold_select *selected, size_t count, fold_row_fn row,
	       void *context, void *e);
void fold_close(struct fold *f);

#endif
